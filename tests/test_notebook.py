"""The notebook runs from the top, and is kept without outputs."""

import json
import pathlib

import matplotlib
import matplotlib.pyplot as plt
import mido
import pytest

PATH = (
  pathlib.Path(__file__).parent.parent / 'notebooks' / 'emotion_musicvae.ipynb'
)


@pytest.fixture(scope='module')
def cells():
  notebook = json.loads(PATH.read_text(encoding='utf-8'))
  assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
  return [c for c in notebook['cells'] if c['cell_type'] == 'code']


def _is_install(cell):
  return 'install' in cell['metadata'].get('tags', [])


def test_it_is_kept_without_outputs(cells):
  assert [_is_install(cell) for cell in cells].count(True) == 1
  for cell in cells:
    assert cell['outputs'] == []
    assert cell['execution_count'] is None


def test_every_cell_runs(cells, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  drawn = []
  monkeypatch.setattr(plt, 'show', lambda: drawn.append(plt.gcf()))
  backend = matplotlib.get_backend()
  plt.switch_backend('agg')
  space = {}
  for cell in cells:
    if not _is_install(cell):
      exec(''.join(cell['source']), space)
  plt.close('all')
  plt.switch_backend(backend)
  # Five figures with notes in every roll, three sounds, one file.
  assert len(drawn) == 5
  for figure in drawn:
    for ax in figure.axes:
      assert len(ax.lines) > 16
  assert capsys.readouterr().out.count('Audio') == 3
  midi = mido.MidiFile(tmp_path / 'hopeful.mid')
  notes = [m for m in midi if m.type == 'note_on' and m.velocity]
  assert len(notes) == len(space['melody'].note_sequence.notes)
