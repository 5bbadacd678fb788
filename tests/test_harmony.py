import numpy as np
import pytest

from emotion_musicvae.music import harmony


def test_one_chord_a_bar_repeats_until_sixteen_bars_are_filled():
  bars = harmony.bars('C Am F G')
  assert bars == [('C',), ('Am',), ('F',), ('G',)] * 4


def test_two_chords_share_a_bar():
  weights, _ = harmony.chord_tones('C Am | F G')
  assert np.flatnonzero(weights[7]).tolist() == [0, 4, 7]  # C E G
  assert np.flatnonzero(weights[8]).tolist() == [0, 4, 9]  # A C E
  assert np.flatnonzero(weights[16]).tolist() == [0, 5, 9]  # F A C


@pytest.mark.parametrize(
  ('symbol', 'classes'),
  [
    ('Am', [0, 4, 9]),
    ('F#dim', [0, 6, 9]),
    ('Dm7b5', [2, 5, 8]),  # the seventh is no root, third or fifth
    ('Bb', [2, 5, 10]),
    ('Caug', [0, 4, 8]),
    ('G7', [2, 7, 11]),
  ],
)
def test_root_third_and_fifth_are_the_chord_tones(symbol, classes):
  weights, mask = harmony.chord_tones(symbol)
  assert np.flatnonzero(weights[100]).tolist() == classes
  assert mask.all()


def test_each_weight_lands_on_its_tone():
  tones = harmony.ToneWeights(root=1.0, third=0.75, fifth=0.5, other=0.25)
  weights, _ = harmony.chord_tones('G7', tones)
  assert weights[0, [7, 11, 2, 5]].tolist() == [1.0, 0.75, 0.5, 0.25]


def test_no_chord_judges_nothing():
  weights, mask = harmony.chord_tones('C N.C.')
  assert not weights[16:32].any()
  assert not mask[16:32].any()
  assert mask[:16].all()


def test_unknown_symbol_is_named():
  with pytest.raises(ValueError, match="'H7x' is not a chord symbol"):
    harmony.chord_tones('C H7x F G')


@pytest.mark.parametrize('progression', ['', 'C F G', 'C F | | G', 'C D E | F'])
def test_progressions_that_do_not_fill_sixteen_bars(progression):
  with pytest.raises(ValueError, match='chords: '):
    harmony.bars(progression)


@pytest.mark.parametrize(
  ('progression', 'mode', 'tonic'),
  [
    ('C Am F G', 'major', 0),
    ('F G Am C', 'major', 0),  # ends on the tonic
    ('Am F C G', 'major', 0),  # never begins or ends there
    ('Am F C G', 'minor', 9),
    ('Am Dm E Am', 'minor', 9),  # E major is not in the natural minor
    ('Dm C Dm G', 'minor', 2),  # Dorian
    ('Dm7 G7 | Cmaj7', 'major', 0),
    ('C F', 'major', 0),  # as much in F: the first chord decides
    ('F C', 'major', 5),
    ('N.C. Gb Db7 Gb', 'major', 6),
    ('N.C.', 'major', None),
  ],
)
def test_the_key_holds_most_of_the_chord_tones(progression, mode, tonic):
  assert harmony.key(progression, mode) == tonic


def test_negative_weight_is_named():
  with pytest.raises(ValueError, match=r'third: expected a weight in \[0, 1\]'):
    harmony.ToneWeights(third=-0.1)


@pytest.mark.parametrize(
  ('progression', 'tonic'),
  [
    ('C Am F G', 0),
    ('Am Dm E Am', 0),
    ('Dm C Dm G', 0),
    ('Cm Fm Gm Cm', 3),
    ('D G A D', 2),
    ('G D Em C', 7),
    ('N.C.', 0),
  ],
)
def test_signature_is_that_of_the_key_or_its_relative(progression, tonic):
  weights, _ = harmony.chord_tones(progression)
  assert harmony.signature(weights) == tonic


@pytest.mark.parametrize(
  ('progression', 'mode', 'last'),
  [
    ('C Am F G', 'major', 'C'),
    ('Am F C G', 'minor', 'Am'),
    ('F G Em Am', 'major', 'C'),  # The tonic itself is not among them.
    ('C Am | F G', 'major', 'C'),
    ('Dm7 G7 Cmaj7 A7', 'major', 'Cmaj7'),
    ('C F G C', 'major', 'C'),
  ],
)
def test_a_loop_closes_on_the_tonic_in_its_last_bar(progression, mode, last):
  written = harmony.bars(harmony.written_out(progression, mode))
  loop = harmony.bars(progression)
  assert written[:-1] == loop[:-1]
  assert written[-1] == (last,)
  assert harmony.bars(harmony.written_out(progression, mode, False)) == loop


def test_what_is_written_out_or_has_no_chord_is_left_alone():
  written = 'C Am F G ' * 3 + 'F C Dm G'
  for progression in (written, 'N.C.'):
    found = harmony.bars(harmony.written_out(progression, 'major'))
    assert found == harmony.bars(progression)
