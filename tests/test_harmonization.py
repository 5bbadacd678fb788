"""The key, the chords and the other mode of tunes that everyone knows."""

import numpy as np
import pytest

from emotion_musicvae.music import harmonization
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody


def tune(text, tonic=60):
  """Quarter notes by degree of the major scale, `-` holds, bars of four."""
  degrees = dict(zip('1234567', (0, 2, 4, 5, 7, 9, 11)))
  tokens = np.zeros(4 * len(text.split()), np.uint8)
  for i, sign in enumerate(text.split()):
    if sign != '-':
      pitch = tonic + degrees[sign]
      tokens[4 * i] = pitch - melody.MIN_PITCH + melody.FIRST_ONSET
  return tokens


TWINKLE = tune(
  '1 1 5 5 6 6 5 - 4 4 3 3 2 2 1 - 5 5 4 4 3 3 2 - '
  '5 5 4 4 3 3 2 - 1 1 5 5 6 6 5 - 4 4 3 3 2 2 1 -'
)
ODE = tune(
  '3 3 4 5 5 4 3 2 1 1 2 3 3 - 2 - 3 3 4 5 5 4 3 2 1 1 2 3 2 - 1 -', 62
)


@pytest.mark.parametrize('semitones', [0, 3, -5])
@pytest.mark.parametrize(('tokens', 'tonic'), [(TWINKLE, 0), (ODE, 2)])
def test_the_key_of_a_tune_is_found_wherever_it_lies(tokens, tonic, semitones):
  moved = melody.transpose(tokens[None], np.array([semitones]))[0]
  found = harmonization.melody_key(moved)
  assert found == ((tonic + semitones) % 12, 'major')


def test_chords_are_those_of_the_songbook():
  found = harmonization.progression(TWINKLE, 0, 'major').split(' | ')
  assert len(found) == 12
  assert found[0] == found[8] == 'C'
  assert found[1] == 'F C'
  assert found[3] == found[11] == 'G C'
  tones = [harmony.chord_tones(' | '.join(found[k : k + 4])) for k in (0, 4, 8)]
  weights = np.concatenate([t[0][:64] for t in tones])[None]
  rate = melody.chord_tone_rate(TWINKLE[None], weights, np.ones([1, 192]))
  assert rate[0] >= 0.85


def test_in_the_other_mode_the_tonic_stays_and_the_chords_turn():
  minor = harmonization.turned(TWINKLE, 0, 'major', 'minor')
  assert harmonization.melody_key(minor) == (0, 'minor')
  classes = set(melody.notes(minor).pitch % 12)
  assert classes == {0, 2, 3, 5, 7, 8}
  chords = harmonization.progression(TWINKLE, 0, 'major', 'minor')
  assert chords.startswith('Cm | Fm Cm')
  back = harmonization.turned(minor, 0, 'minor', 'major')
  np.testing.assert_array_equal(back, TWINKLE)
  np.testing.assert_array_equal(
    harmonization.turned(ODE, 2, 'major', 'major'), ODE
  )


def test_a_leading_note_stays_one():
  minor = harmonization.turned(tune('1 7 6 7 1 - - -'), 0, 'major', 'minor')
  # The first seventh falls to the sixth, the second leads home.
  assert (melody.notes(minor).pitch % 12).tolist() == [0, 10, 8, 11, 0]


def test_silence_has_a_chord_and_progressions_are_transposed():
  tokens = np.zeros(64, np.uint8)
  tokens[16] = 60 - melody.MIN_PITCH + melody.FIRST_ONSET
  assert len(harmonization.progression(tokens, 0, 'major').split(' | ')) == 4
  assert harmony.transposed('C Am | F G7', 2) == 'D Bm | G A7'
  assert harmony.transposed('C N.C. F G', 12) == 'C N.C. F G'


@pytest.mark.parametrize(
  ('tonic', 'mode', 'names'),
  [
    (0, 'minor', 'C D Eb F G Ab Bb B'),
    (9, 'minor', 'A B C D E F G G#'),
    (3, 'minor', 'D# E# F# G# A# B C# C##'),
    (5, 'minor', 'F G Ab Bb C Db Eb E'),
    (8, 'minor', 'G# A# B C# D# E F# F##'),
  ],
)
def test_roots_are_spelled_as_their_key_has_them(tonic, mode, names):
  degrees = [0, 2, 3, 5, 7, 8, 10, 11]
  found = [harmony.spelled((tonic + i) % 12, tonic, mode) for i in degrees]
  assert found == names.split()
