"""A generated melody at a prompt and in a notebook: shown, played, saved."""

import html
import io
import json
import os
import sys
import types

import IPython
import mido
import numpy as np
from PIL import Image
import pytest
import soundfile

from emotion_musicvae import UserError


@pytest.fixture(scope='module')
def melody(model):
  (melody,) = model.generate('peaceful', seed=7)
  return melody


def test_it_is_told_in_one_line(melody):
  text = repr(melody)
  assert '\n' not in text
  assert len(text) < 160
  assert "'peaceful'" in text
  assert f'mean pitch {melody.measured["mean_pitch"]:.1f}' in text
  assert text.endswith('a hit>')


def test_a_notebook_shows_and_plays_it_without_a_network(melody):
  shown = html.unescape(melody._repr_html_())
  assert shown.startswith('<iframe')
  assert 'data:audio' in shown or 'audio/mpeg' in shown
  for fetched in ('src="http', "src='http", 'href="http', 'import('):
    assert fetched not in shown


def test_without_a_synthesizer_a_notebook_shows_a_picture(melody, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tinysoundfont', None)
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  shown = melody._repr_html_()
  assert shown.startswith('<img')
  assert 'pip install --no-deps tinysoundfont' in html.unescape(shown)


def test_the_ending_says_what_is_saved(melody, tmp_path):
  saved = {}
  for ending in (
    'mid', 'wav', 'flac', 'png', 'dark.png', 'musicxml', 'abc', 'html', 'json'
  ):  # fmt: skip
    path = tmp_path / f'it.{ending}'
    assert melody.save(path) == str(path)
    saved[ending] = path.read_bytes()
  assert sorted(os.listdir(tmp_path)) == sorted(f'it.{e}' for e in saved)
  notes = [
    message
    for message in mido.MidiFile(file=io.BytesIO(saved['mid']))
    if message.type == 'note_on' and message.velocity
  ]
  assert len(notes) == len(melody.note_sequence.notes)
  for ending in ('wav', 'flac'):
    sound, rate = soundfile.read(io.BytesIO(saved[ending]))
    seconds = melody.note_sequence.total_time
    assert 0 < len(sound) / rate - seconds < 8
    assert np.abs(sound).max() > 0.1
  assert Image.open(io.BytesIO(saved['png'])).size == (1400, 600)
  assert saved['png'] != saved['dark.png']
  assert b'<score-partwise' in saved['musicxml']
  assert b'<!DOCTYPE html>' in saved['html'] or b'<html' in saved['html']
  assert json.loads(saved['json']) == melody.record()


def test_nothing_is_overwritten_unless_asked(melody, tmp_path):
  path = tmp_path / 'it.MID'
  melody.save(str(path))
  first = path.read_bytes()
  path.write_bytes(b'mine')
  with pytest.raises(UserError, match='exists; .*overwrite=True'):
    melody.save(path)
  assert path.read_bytes() == b'mine'
  melody.save(path, overwrite=True)
  assert path.read_bytes() == first
  assert os.listdir(tmp_path) == ['it.MID']


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('it.aiff', r"end in 'aiff'; known: \.mid, \.wav,.*\.json"),
    ('it', 'known: '),
    ('absent/it.mid', 'could not write'),
  ],
)
def test_what_cannot_be_saved_leaves_nothing(melody, tmp_path, name, message):
  with pytest.raises(UserError, match=message):
    melody.save(tmp_path / name)
  assert os.listdir(tmp_path) == []


def test_a_notebook_plays_it_and_elsewhere_an_error_says_what_to_do(
  melody, monkeypatch
):
  with pytest.raises(UserError, match=r"melody\.save\('melody\.wav'\)"):
    melody.play()
  shell = types.SimpleNamespace(kernel=None)
  monkeypatch.setattr(IPython, 'get_ipython', lambda: shell)
  sound, rate = soundfile.read(io.BytesIO(melody.play().data))
  assert 0 < len(sound) / rate - melody.note_sequence.total_time < 8


def test_its_figure_has_a_roll_and_a_gauge_for_each_measure(melody):
  figure = melody.plot()
  assert len(figure.axes) == 1 + len(melody.reference)
