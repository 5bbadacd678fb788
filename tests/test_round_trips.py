"""What this package writes, it reads back to the note."""

import note_seq
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.files import readers
from emotion_musicvae.files import scores
from emotion_musicvae.files import songs
from emotion_musicvae.files import writers
from emotion_musicvae.music import melody

FORMATS = ('mid', 'musicxml', 'mxl', 'abc')
PLAYED = {
  'plainly': {},
  'with chords': {'accompaniment': 'chords'},
  'with all': {'accompaniment': 'full', 'lyrics': '쓸쓸한 저녁'},
  'unevenly, slowing down': {'humanize': 1.0, 'ritardando': True},
}


def _notes(seed, num_steps=256):
  """`(start, end, pitch)` of all lengths, gaps and places in the bar."""
  rng = np.random.default_rng(seed)
  notes, now = [], int(rng.integers(0, 8))
  while now < num_steps:
    end = min(now + int(rng.integers(1, 22)), num_steps)
    notes.append((now, end, int(rng.integers(48, 85))))
    now = end + int(rng.choice([0, 0, 0, 1, 3, 20]))
  return notes


def _melody(notes, emotion, num_bars=16):
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.tempos.add(qpm=120)
  for start, end, pitch in notes:
    sequence.notes.add(
      pitch=pitch, velocity=80, start_time=start / 8, end_time=end / 8
    )
  arranged = arrangement.arrange(sequence, emotion, num_bars)
  tokens = np.zeros(num_bars * melody.STEPS_PER_BAR, np.uint8)
  return api.Melody(
    emotion,
    expression.perform(arranged, emotion),
    tokens,
    np.zeros(4),
    0,
    {},
    {},
    {},
  )


def _onsets(notes):
  return [(start, pitch) for start, _, pitch in notes]


def _read(path):
  """`(start, end, pitch)` of the notes of a song, and the song."""
  song = songs.load_song(str(path))
  found = melody.notes(song.tokens)
  ends = found.onset + found.length
  return list(zip(found.onset, ends, found.pitch)), song


@pytest.mark.parametrize(
  ('name', 'played'),
  [(emotion.name, 'plainly') for emotion in catalogue.load()]
  + [('gloomy', played) for played in PLAYED],
)
def test_a_melody_is_read_back_as_it_was_written(tmp_path, name, played):
  notes = _notes(len(name + played))
  emotion = catalogue.find(name)
  melody_played = _melody(notes, emotion).played(**PLAYED[played])
  written = writers.contents(melody_played, FORMATS)
  for ending in FORMATS:
    path = tmp_path / f'melody.{ending}'
    path.write_bytes(written[ending])
    read, song = _read(path)
    assert _onsets(read) == _onsets(notes)
    assert len(song.tokens) == 256
    assert song.qpm == pytest.approx(emotion.qpm, abs=0.01)
    assert (song.first_bar, song.last_bar) == (1, 16)
    if ending != 'mid':
      assert read == notes  # MIDI has what is played: staccato is shorter.


@pytest.mark.parametrize('num_bars', [1, 4, 24, 40])
def test_a_melody_of_another_length_is_as_long_when_it_is_read(
  tmp_path, num_bars
):
  notes = [(4 * i, 4 * i + 4, 60 + i % 13) for i in range(4 * num_bars)]
  written = writers.contents(
    _melody(notes, catalogue.find('clear'), num_bars), FORMATS
  )
  for ending in FORMATS:
    path = tmp_path / f'melody.{ending}'
    path.write_bytes(written[ending])
    read, song = _read(path)
    assert _onsets(read) == _onsets(notes)
    assert len(song.tokens) == num_bars * melody.STEPS_PER_BAR


def test_a_tfrecord_is_read_back_with_the_lengths_that_are_written(tmp_path):
  notes = _notes(3)
  path = str(tmp_path / 'melodies.tfrecord')
  sequence = _melody(notes, catalogue.find('lively')).note_sequence
  with tf.io.TFRecordWriter(path) as writer:
    writer.write(sequence.SerializeToString())
  assert _read(path)[0] == notes


def test_the_same_melody_in_every_format_is_one_tune(tmp_path):
  notes = _notes(5)
  written = writers.contents(_melody(notes, catalogue.find('intense')), FORMATS)
  found = []
  for ending in FORMATS:
    path = tmp_path / f'melody.{ending}'
    path.write_bytes(written[ending])
    score = next(readers.read_scores(str(path)))
    assert {bar.metre for bar in score.bars} == {(4, 4)}
    found.append(
      [
        (int(step), int(pitch))
        for step, pitch in zip(
          scores.steps(score.parts[0].notes[:, scores.ONSET]),
          score.parts[0].notes[:, scores.PITCH],
        )
      ]
    )
  assert all(one == _onsets(notes) for one in found)
