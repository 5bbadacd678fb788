"""The notebook runs from the top, and is kept without outputs."""

import ast
import json
import pathlib
from unittest import mock

import IPython
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


def _run(cell, space):
  """Runs a cell; what its last line gives is what a notebook shows."""
  tree = ast.parse(''.join(cell['source']))
  last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
  exec(compile(tree, '<cell>', 'exec'), space)
  if last is not None:
    return eval(compile(ast.Expression(last.value), '<cell>', 'eval'), space)
  return None


@pytest.mark.slow
def test_every_cell_runs(cells, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  # Something with a kernel, as a notebook's shell has.
  shell = mock.MagicMock()
  monkeypatch.setattr(IPython, 'get_ipython', lambda: shell)
  drawn = []
  monkeypatch.setattr(plt, 'show', lambda: drawn.append(plt.gcf()))
  backend = matplotlib.get_backend()
  plt.switch_backend('agg')
  space = {}
  shown = [_run(cell, space) for cell in cells if not _is_install(cell)]
  plt.close('all')
  plt.switch_backend(backend)
  # Five figures with notes in every roll; of single melodies a page, a sound
  # and a picture; one file.
  assert len(drawn) == 5
  for figure in drawn:
    for ax in figure.axes:
      assert len(ax.lines) >= 12
  kinds = [type(one).__name__ for one in shown if one is not None]
  assert kinds == ['list', 'Melody', 'Audio', 'Figure', 'str']
  midi = mido.MidiFile(tmp_path / 'hopeful.mid')
  notes = [m for m in midi if m.type == 'note_on' and m.velocity]
  assert len(notes) == len(space['melody'].note_sequence.notes)
