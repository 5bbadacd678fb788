import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.evaluation import metrics


def _measured(emotions, **changes):
  """What melodies measure that meet each emotion's references exactly."""
  exact = {
    'mean_pitch': [e.mean_pitch for e in emotions],
    'onsets_per_bar': [e.onsets_per_bar for e in emotions],
    'chord_tone_rate': [1.0] * len(emotions),
    'chord_tones_on_beat': [1.0] * len(emotions),
    'energy': [0.5] * len(emotions),
    'reference_energy': [0.5] * len(emotions),
    'repeated_notes': [0.1] * len(emotions),
    'major': [e.mode == 'major' for e in emotions],
  }
  return {k: np.array(changes.get(k, v), float) for k, v in exact.items()}


@pytest.fixture(scope='module')
def emotions():
  return catalogue.load()


def test_melodies_at_the_references_meet_all(emotions):
  scores = metrics.scores(
    _measured(emotions), conditions.Condition.of(emotions), emotions
  )
  for name in ('register_and_density', 'hit_rate', 'recognition'):
    np.testing.assert_array_equal(scores[name], 1.0)
  for name in ('pitch_error', 'density_error', 'energy_error'):
    np.testing.assert_allclose(scores[name], 0.0, atol=1e-5)


def test_a_hit_takes_pitch_density_and_chords(emotions):
  targets = conditions.Condition.of(emotions)
  pitch = targets.mean_pitch + 1.6
  onsets = targets.onsets_per_bar + np.maximum(
    0.6, 0.11 * targets.onsets_per_bar
  )
  for changes in (
    {'mean_pitch': pitch},
    {'onsets_per_bar': onsets},
    {'chord_tone_rate': [0.61] * 9},
    {'chord_tones_on_beat': [0.71] * 9},
  ):
    scores = metrics.scores(_measured(emotions, **changes), targets, emotions)
    np.testing.assert_array_equal(scores['hit_rate'], 0.0)


def test_a_strict_hit_takes_three_chord_tones_in_four(emotions):
  targets = conditions.Condition.of(emotions)
  for share, strict in ((0.74, 0.0), (0.76, 1.0)):
    measured = _measured(emotions, chord_tone_rate=[share] * 9)
    scores = metrics.scores(measured, targets, emotions)
    np.testing.assert_array_equal(scores['hit_rate'], 1.0)
    np.testing.assert_array_equal(scores['strict_hit_rate'], strict)


def test_silence_is_no_hit_and_no_emotion(emotions):
  silent = _measured(emotions)
  for name in ('mean_pitch', 'chord_tone_rate', 'major'):
    silent[name][:] = np.nan
  silent['onsets_per_bar'][:] = 0.0
  targets = conditions.Condition.of(emotions)
  scores = metrics.scores(silent, targets, emotions)
  assert not scores['hit_rate'].any()
  assert not scores['recognition'].any()


def test_mode_tells_emotions_of_like_register_and_density_apart(emotions):
  peaceful = [e for e in emotions if e.alias == 'peaceful']
  found = metrics.classify(_measured(peaceful, major=[0.0]), emotions)
  assert emotions[found[0]].mode == 'minor'


def test_discrepancy_is_zero_within_one_distribution_only():
  rng = np.random.default_rng(0)
  a, b = rng.standard_normal([2, 400, 16])
  assert abs(metrics.discrepancy(a, b)) < 0.002
  assert metrics.discrepancy(a + 0.5, b) > 0.01
  assert metrics.discrepancy(0.5 * a, b) > 0.01


def test_diversity_is_the_share_of_steps_that_differ():
  tokens = np.zeros([3, 256], int)
  tokens[1, :64] = 5
  assert metrics.diversity(tokens[:2]) == 0.25
  assert metrics.diversity(tokens) == pytest.approx(0.5 / 3)


def test_held_out_tunes_are_others_than_those_learned_from():
  known = {row.tobytes() for row in references.load_melodies()}
  held_out = references.load_held_out()
  assert len(held_out) >= 500
  assert not [row for row in held_out if row.tobytes() in known]


def test_sparse_tunes_differ_less_than_dense_ones(emotions):
  tunes = metrics.diversity_of_tunes(emotions, 40)
  by_alias = {e.alias: e for e in emotions}
  assert tunes['gloomy'] < tunes['peaceful'] < tunes['intense'] < 1.0
  assert by_alias['gloomy'].onsets_per_bar < by_alias['intense'].onsets_per_bar
