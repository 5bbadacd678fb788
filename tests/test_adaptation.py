"""Tunes adapted by rule, over the bundled tunes and the nine emotions."""

import itertools

import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.music import adaptation
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melodic_lines
from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.steering import sampling

EACH = 6


@pytest.fixture(scope='module')
def adapted():
  """`(tunes, adapted, condition)`, EACH held-out tunes for each emotion."""
  emotions = [e for e in catalogue.load() for _ in range(EACH)]
  condition, _ = conditions.Condition.of(emotions).in_canonical_key()
  tunes = references.load_held_out()[:: 512 // len(emotions)][: len(emotions)]
  return tunes, sampling.adapt(tunes, condition), condition


def test_adapted_tunes_meet_their_condition(adapted):
  _, tokens, condition = adapted
  met = hits.total_excess(hits.measure(tokens, condition), condition) == 0
  assert met.mean() >= 0.85  # Those that miss are adapted more strictly.
  number = (tokens >= melody.FIRST_ONSET).sum(axis=1)
  np.testing.assert_allclose(number, 16 * condition.onsets_per_bar, atol=2.0)


def test_they_end_on_the_tonic_with_a_long_note(adapted):
  _, tokens, condition = adapted
  assert hits.closed(tokens, condition.final_tones).all()
  assert (tokens[:, 249:] < melody.FIRST_ONSET).all()


def test_they_are_as_many_tunes_as_before_and_go_by_step(adapted):
  tunes, tokens, _ = adapted
  alike = [similarity.variety(rows)['alike'] for rows in np.split(tokens, 9)]
  assert np.mean(alike) < 0.2
  steps = [similarity.form(rows)['steps'] for rows in (tunes, tokens)]
  assert steps[1] > steps[0] - 0.12


def test_bars_return_where_the_chords_of_the_first_phrase_do(adapted):
  tones, _ = harmony.chord_tones('C Am F G')
  other, _ = harmony.chord_tones('C Am F G C Am G G F F F F C F F G')
  loop, own = adaptation.returning_bars(np.stack([tones, other]))
  assert loop.tolist() == [-1] * 4 + [0, 1, 2, 3] + [-1] * 4 + [0, 1, 2, -1]
  assert own.tolist() == [-1] * 4 + [0, 1] + [-1] * 6 + [0] + [-1] * 3
  _, tokens, condition = adapted
  row, bar = np.nonzero(condition.returning >= 0)
  assert len(row) > len(tokens)
  bars = tokens.reshape(-1, 16, 16)
  np.testing.assert_array_equal(
    bars[row, bar], bars[row, condition.returning[row, bar]]
  )


def test_a_melody_keeps_its_own_form_where_it_is_the_users(adapted):
  tunes, _, condition = adapted
  own = condition.with_form_of_its_own(np.ones(len(tunes)))
  tokens = sampling.adapt(tunes, own)
  again = [similarity.form(rows)['bars_again'] for rows in (tunes, tokens)]
  assert abs(again[0] - again[1]) < 0.3
  assert not (own.returning >= 0).any()


def test_each_keeps_the_line_of_its_own_tune(adapted):
  tunes, tokens, _ = adapted

  def lines(rows):
    onset = rows >= melody.FIRST_ONSET
    last = np.maximum.accumulate(np.where(onset, np.arange(256), 0), axis=1)
    return np.take_along_axis(rows.astype(float), last, axis=1)

  own, other = [], []
  before, after = lines(tunes), lines(tokens)
  for i in range(len(tunes)):
    own.append(np.corrcoef(before[i, 32:], after[i, 32:])[0, 1])
    other.append(np.corrcoef(before[i - 1, 32:], after[i, 32:])[0, 1])
  assert np.mean(own) > 0.6
  assert np.mean(other) < 0.2


def test_a_tune_is_adapted_alike_in_any_batch(adapted):
  tunes, tokens, condition = adapted
  some = [3, 40, 17]
  np.testing.assert_array_equal(
    sampling.adapt(tunes[some], condition.take(some)), tokens[some]
  )
  # Beside one whose bars return, or alone.
  own = condition.take(some).with_form_of_its_own([True, False, True])
  np.testing.assert_array_equal(
    sampling.adapt(tunes[some], own)[:1],
    sampling.adapt(tunes[some[:1]], own.take([0])),
  )


def test_what_has_no_note_is_left_alone_and_one_note_becomes_a_tune(adapted):
  _, _, condition = adapted
  tokens = np.zeros([2, 256], np.uint8)
  tokens[1, 250] = 60 - melody.MIN_PITCH + melody.FIRST_ONSET
  silent, grown = sampling.adapt(tokens, condition.take([0, 1]))
  assert not silent.any()
  number = (grown >= melody.FIRST_ONSET).sum()
  assert abs(number - 16 * condition.onsets_per_bar[1]) <= 1


def test_without_chords_a_tune_moves_to_its_register_as_it_is():
  tune = references.load_held_out()[:1]
  onsets = melody.onsets_per_bar(tune)
  free = np.zeros([1, 256, 12], np.float32), np.zeros([1, 256], np.float32)
  pitch = melody.mean_pitch(tune)
  rules = melodic_lines.Rules(wide=0.0, too_wide=0.0)
  result = adaptation.adapt(
    tune, pitch, onsets, *free, np.zeros([1, 12]), rules=rules
  )
  # But for its ending, which is made long, and the notes that this costs.
  both = (tune >= melody.FIRST_ONSET) & (result >= melody.FIRST_ONSET)
  assert both.sum() > 0.75 * (tune >= melody.FIRST_ONSET).sum()
  assert (tune[both] == result[both]).mean() > 0.8


def test_a_line_over_three_octaves_is_drawn_together_and_a_sung_one_is_not():
  condition = _without_chords()
  wide, narrow = (
    _tune([60 + int(half * np.sin(i / 5.0)) for i in range(64)])
    for half in (18, 8)
  )

  def compass(tokens):
    return int(np.ptp(tokens[tokens >= melody.FIRST_ONSET].astype(int)))

  for tune, least, most in ((wide, 24, 32), (narrow, 13, 19)):
    adapted = adaptation.adapt(tune[None], 60.0, 4.0, *condition)[0]
    assert least <= compass(adapted) <= most


def test_what_stands_still_for_long_moves_unless_it_may_stand():
  tones, mask = (x[None] for x in harmony.chord_tones('C Am F G'))
  tune = _tune([60 + (0, 4, 7, 2)[i // 8 % 4] for i in range(128)], 2)[None]

  def longest(**rules):
    tokens = adaptation.adapt(
      *(tune, 64.0, 8.0, tones, mask, np.zeros([1, 12], np.float32)),
      rules=melodic_lines.Rules(**rules),
    )
    pitches = tokens[tokens >= melody.FIRST_ONSET]
    return max(len(list(run)) for _, run in itertools.groupby(pitches))

  assert longest(may_stand=True) >= 8
  assert longest() <= 4


def test_what_goes_by_step_goes_on_so_and_what_leaps_may_leap():
  tones, mask = (x[None] for x in harmony.chord_tones('C Am F G'))
  final = np.zeros([1, 12], np.float32)
  # Up and down the scale, and up and down its triads.
  scale, triads = [0, 2, 4, 5, 7, 9, 11, 12], [0, 4, 7, 12, 16, 12, 7, 4]
  intervals = []
  for degrees in (scale + scale[::-1], triads + triads):
    tune = _tune([60 + d for d in (degrees * 8)[:128]], 2)
    adapted = adaptation.adapt(tune[None], 66.0, 8.0, tones, mask, final)[0]
    pitches = adapted[adapted >= melody.FIRST_ONSET].astype(int)
    intervals.append(np.abs(np.diff(pitches)).mean())
  assert intervals[1] > 1.3 * intervals[0]


def _without_chords():
  free = np.zeros([1, 256, 12], np.float32), np.zeros([1, 256], np.float32)
  return *free, np.zeros([1, 12], np.float32)


def _tune(pitches, length=4):
  tokens = np.zeros(256, np.uint8)
  tokens[::length] = np.array(pitches) - melody.MIN_PITCH + melody.FIRST_ONSET
  return tokens
