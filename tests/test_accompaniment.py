"""Accompaniments by the rules they are led by, as a teacher would mark them."""

import dataclasses
import itertools

from note_seq import chord_symbols_lib
import numpy as np
import pytest
from test_expression import arranged
from test_expression import tune

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import accompaniment
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.files import playing

NINE = catalogue.load()
MELODY, CHORDS, BASS, DRUMS = range(4)


def _played(notes, emotion, **asked):
  asked = {'accompaniment': 'full', **asked}
  if isinstance(emotion, str):
    emotion = catalogue.find(emotion)
  return expression.perform(
    arranged(notes, emotion), emotion, playing.Playing(**asked)
  )


def _spans(sequence):
  """`(symbol, notes of the melody, chords, bass)` under each chord symbol."""
  changes = arrangement.chords(sequence)
  ends = [step for step, _ in changes[1:]] + [arrangement.num_steps(sequence)]
  for (start, symbol), end in zip(changes, ends):
    yield (
      symbol,
      *(
        sorted(
          (n.quantized_start_step, n.pitch)
          for n in sequence.notes
          if n.instrument == instrument
          and start <= n.quantized_start_step < end
        )
        for instrument in (MELODY, CHORDS, BASS)
      ),
    )


@pytest.mark.parametrize('emotion', NINE, ids=lambda e: e.alias)
def test_voices_move_little_and_never_in_parallel(emotion):
  moved = []
  for number in (0, 9, 21):
    before = None
    for _, _, chords, bass in _spans(_played(tune(number), emotion)):
      voices = sorted({pitch for _, pitch in chords})
      if before and voices != before[0]:
        pairs = list(zip(before[0], voices))
        moved.append(np.mean([abs(b - a) for a, b in pairs]))
        pairs.append((before[1], bass[0][1]))
        for (a, c), (b, d) in itertools.combinations(pairs, 2):
          alike = (b - a) % 12 == (d - c) % 12 in (0, 7)
          assert not (alike and (c - a) * (d - b) > 0)
      before = voices, bass[-1][1]
  assert len(moved) > 10
  assert np.mean(moved) <= 2.5


@pytest.mark.parametrize('emotion', NINE, ids=lambda e: e.alias)
def test_the_accompaniment_stays_below_the_melody(emotion):
  for number in (0, 9, 21):
    sequence = _played(tune(number), emotion)
    top = np.zeros(arrangement.num_steps(sequence))
    for note in sequence.notes:
      if note.instrument in (CHORDS, BASS):
        steps = slice(note.quantized_start_step, note.quantized_end_step)
        top[steps] = np.maximum(top[steps], note.pitch)
    for start, end, pitch in tune(number):
      assert (top[start:end] < pitch).all()


@pytest.mark.parametrize('style', playing.styles())
@pytest.mark.parametrize(
  'chords', ['C Am F G', 'Cm7 | F7 Bb6/D | C/E Am7b5 | C']
)
def test_every_style_plays_the_chords_and_their_bass(style, chords):
  emotion = catalogue.Emotion(name='x', chords=chords)
  sequence = _played(tune(2), emotion, style=style, loop=True)
  for symbol, _, played, bass in _spans(sequence):
    tones = {p % 12 for p in chord_symbols_lib.chord_symbol_pitches(symbol)}
    sounding = {pitch % 12 for _, pitch in (*played, *bass)}
    assert sounding <= tones | {chord_symbols_lib.chord_symbol_bass(symbol)}
    assert len(sounding) >= 2
    assert bass[0][1] % 12 in (
      chord_symbols_lib.chord_symbol_bass(symbol),
      (chord_symbols_lib.chord_symbol_root(symbol) + 7) % 12,
    )


@pytest.mark.parametrize(('numerator', 'denominator'), [(3, 4), (2, 4), (6, 8)])
@pytest.mark.parametrize('style', ['waltz', 'pulse', 'alberti'])
def test_other_metres_fill_their_bars(style, numerator, denominator):
  bar = numerator * 16 // denominator
  sequence = arranged([(i * bar, i * bar + 4, 72) for i in range(8)], 'gloomy')
  metre = sequence.time_signatures[0]
  metre.numerator, metre.denominator = numerator, denominator
  for i, annotation in enumerate(sequence.text_annotations):
    annotation.quantized_step = i * bar
  sequence = arrangement.first_steps(sequence, 8 * bar)
  emotion = catalogue.find('gloomy')
  result = expression.perform(
    sequence, emotion, playing.Playing('full', style, loop=True)
  )
  found = {(n.instrument, n.quantized_start_step // bar) for n in result.notes}
  assert {(CHORDS, i) for i in range(8)} <= found
  assert {(BASS, i) for i in range(8)} <= found
  for note in result.notes:
    if note.instrument == CHORDS:
      symbol = emotion.chords.split()[note.quantized_start_step // bar]
      assert note.pitch % 12 in chord_symbols_lib.chord_symbol_pitches(symbol)


@pytest.mark.parametrize('emotion', NINE, ids=lambda e: e.alias)
def test_it_ends_on_the_tonic_which_is_held(emotion):
  sequence = _played(tune(4), emotion)
  tonic, mode = arrangement.key(sequence)
  assert arrangement.chords(sequence)[-1][1] == tonic + 'm' * (mode == 'minor')
  end = arrangement.num_steps(sequence)
  last = [n for n in sequence.notes if n.quantized_start_step >= end - 16]
  held = [n for n in last if n.instrument in (CHORDS, BASS)]
  assert len(held) >= 4
  for note in held:
    assert (note.quantized_start_step, note.quantized_end_step) == (
      end - 16,
      end,
    )
  (bass,) = (n.pitch for n in held if n.instrument == BASS)
  assert bass % 12 == sequence.key_signatures[0].key


def test_a_loop_goes_on():
  sequence = _played(tune(4), 'intense', loop=True)
  assert arrangement.num_steps(sequence) == 256
  struck = [
    n.quantized_start_step
    for n in sequence.notes
    if n.instrument == BASS and n.quantized_start_step >= 240
  ]
  assert struck == list(range(240, 256, 2))


def test_the_nine_are_accompanied_each_in_its_own_style():
  assert len({emotion.style for emotion in NINE}) == 9
  assert len(playing.styles()) >= 8
  tracks = {
    e.alias: [i.name for i in _played(tune(0), e).instrument_infos]
    for e in NINE
  }
  drummed = {alias for alias, names in tracks.items() if 'Drums' in names}
  assert drummed == {'intense', 'bright', 'lively'}
  for names in tracks.values():
    assert names[:3] == ['Melody', 'Chords', 'Bass']


def test_chords_alone_have_neither_bass_nor_drums():
  sequence = _played(tune(0), 'intense', accompaniment='chords')
  names = [info.name for info in sequence.instrument_infos]
  assert names == ['Melody', 'Chords']
  assert {n.instrument for n in sequence.notes} == {MELODY, CHORDS}


def test_without_chords_only_drums_play():
  emotion = dataclasses.replace(catalogue.find('lively'), chords='N.C.')
  sequence = _played(tune(0), emotion)
  assert {n.instrument for n in sequence.notes} == {MELODY, DRUMS}
  assert all(n.is_drum == (n.instrument == DRUMS) for n in sequence.notes)


def test_parallel_motion_is_what_textbooks_call_it():
  fifths = [(48, 50), (55, 57)]
  assert accompaniment.parallels(fifths) == 1
  assert accompaniment.parallels([(48, 50), (60, 62)]) == 1  # octaves
  assert accompaniment.parallels([(48, 50), (55, 55)]) == 0  # oblique
  assert accompaniment.parallels([(48, 46), (55, 65)]) == 0  # contrary
  assert accompaniment.parallels([(48, 50), (52, 54)]) == 0  # thirds


def test_rows_are_as_long_as_their_bars():
  for name, style in playing.styles().items():
    for metre, rows in style.patterns.items():
      numerator, denominator = map(int, metre.split('/'))
      for bars in rows.values():
        for row in bars:
          assert len(row) == numerator * 16 // denominator, (name, metre)
      assert set(rows) <= {'chords', 'bass', *playing.DRUMS}
