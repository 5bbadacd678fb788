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
from emotion_musicvae.music import metres

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


@pytest.mark.parametrize('pick_up', [0, 2])
@pytest.mark.parametrize(
  ('numerator', 'denominator'),
  [(2, 4), (3, 4), (5, 4), (6, 8), (9, 8), (12, 8)],
)
@pytest.mark.parametrize('style', playing.styles())
def test_every_style_fills_the_bars_of_every_metre(
  style, numerator, denominator, pick_up
):
  metre = metres.Metre(numerator, denominator)
  bar, emotion = metre.bar_steps, catalogue.find('gloomy')
  sequence = arranged(
    [(pick_up + i * bar, pick_up + i * bar + 4, 72) for i in range(16)],
    emotion,
    metre=metre,
    pick_up=pick_up,
  )
  result = expression.perform(
    sequence, emotion, playing.Playing('full', style, loop=True)
  )
  found = {
    (n.instrument, (n.quantized_start_step - pick_up) // bar)
    for n in result.notes
  }
  for part in {CHORDS, BASS} | {i for i, _ in found}:
    assert {i for p, i in found if p == part} == set(range(16))
  symbols = emotion.chords.split()
  for note in result.notes:
    place = note.quantized_start_step - pick_up
    end = note.quantized_end_step - pick_up
    assert end <= (place // bar + 1) * bar
    if note.instrument == CHORDS:
      pitches = chord_symbols_lib.chord_symbol_pitches(symbols[place // bar])
      assert note.pitch % 12 in pitches
  # The bass sounds on the first beat of each bar.
  low = {n.quantized_start_step for n in result.notes if n.instrument == BASS}
  assert set(range(pick_up, pick_up + 16 * bar, bar)) <= low


def test_a_waltz_has_its_chords_on_the_second_and_third_beat():
  emotion = catalogue.find('gloomy')
  sequence = arranged([(0, 192, 72)], emotion, metre=metres.Metre(3, 4))
  result = expression.perform(
    sequence, emotion, playing.Playing('full', 'waltz', loop=True)
  )
  struck = {
    i: {n.quantized_start_step % 12 for n in result.notes if n.instrument == i}
    for i in (CHORDS, BASS)
  }
  assert struck == {CHORDS: {4, 8}, BASS: {0}}


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


def test_where_the_melody_dips_chords_thin_out_and_do_not_leap():
  # Its fourth bar lies an octave and a half below the others.
  notes = [(16 * i, 16 * i + 16, 50 if i == 3 else 70) for i in range(16)]
  spans = list(_spans(_played(notes, 'lively', style='block', loop=True)))
  voices = [sorted({pitch for _, pitch in chords}) for _, _, chords, _ in spans]
  assert 1 <= len(voices[3]) < 3 == len(voices[2]) == len(voices[4])
  assert max(voices[3]) < 50
  for before, after in itertools.pairwise(voices):
    pairs = accompaniment.voice_pairs(tuple(before), tuple(after))
    assert max(abs(b - a) for a, b in pairs) < 10


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
