import numpy as np
import pytest

from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity


def _walks(n, seed, steps=(1, 2), every=(2, 4)):
  """Melodies that walk up and down, in notes of different lengths."""
  rng = np.random.default_rng(seed)
  tokens = np.zeros([n, 256], int)
  for row in tokens:
    onsets = np.arange(0, 256, rng.choice(every))
    jumps = rng.choice(steps, len(onsets)) * rng.choice([-1, 1], len(onsets))
    row[onsets] = 41 + rng.integers(-6, 7) + np.abs(np.cumsum(jumps)) % 24
  return tokens


def test_features_of_a_scale():
  # C4 D4 E4 for a half, a quarter and a quarter, then three bars of rest.
  tokens = np.zeros([1, 256], int)
  tokens[0, [0, 8, 12]] = np.array([60, 62, 64]) - 19
  tokens[0, 16] = melody.NOTE_OFF
  found = {k: v[0] for k, v in similarity.features(tokens).items()}
  assert set(found) == set(similarity.FEATURES)
  assert found['pitch_count'] == 3
  assert found['pitch_range'] == 4
  assert found['pitch_class_histogram'].tolist() == [
    *(0.5, 0, 0.25, 0, 0.25),
    *[0] * 7,
  ]
  transitions = found['pitch_class_transitions'].reshape(12, 12)
  assert transitions[0, 2] == transitions[2, 4] == 1
  assert transitions.sum() == 2
  # Lengths of 1, 2, 3, 4, 6, 8, 12 and 16 steps.
  np.testing.assert_allclose(
    found['note_length_histogram'], [0, 0, 0, 2 / 3, 0, 1 / 3, 0, 0]
  )
  assert found['inter_onset_interval'] == 6
  assert found['pitch_interval'] == 2


def test_a_set_overlaps_itself_and_others_of_its_kind():
  reference = _walks(256, seed=0)
  same = similarity.overlap(reference, reference)
  assert min(same.values()) > 0.98
  kin = similarity.overlap(_walks(256, seed=1), reference)
  assert min(kin.values()) > 0.9


def test_a_drone_and_noise_overlap_little():
  reference = _walks(256, seed=0)
  drone = np.zeros([256, 256], int)
  drone[:, ::3] = 41
  found = similarity.overlap(drone, reference)
  assert np.mean(list(found.values())) < 0.3
  assert found['pitch_class_transitions'] < 0.01
  rng = np.random.default_rng(2)
  noise = np.where(
    rng.random([256, 256]) < 0.4, rng.integers(2, 90, [256, 256]), 0
  )
  found = similarity.overlap(noise, reference)
  assert np.mean(list(found.values())) < 0.3
  assert found['pitch_interval'] < 0.05


def test_silence_overlaps_nothing():
  silence = np.zeros([8, 256], int)
  found = similarity.overlap(silence, _walks(32, seed=0))
  assert found == dict.fromkeys(similarity.FEATURES, 0.0)


@pytest.fixture(scope='module')
def corpus():
  """Melodies that have no bar in common with each other, almost surely."""
  rng = np.random.default_rng(0)
  tokens = rng.integers(30, 70, [20, 256])
  tokens[rng.random(tokens.shape) < 0.5] = 0
  tokens[:, ::16] = rng.integers(30, 70, [20, 16])
  return tokens


@pytest.mark.parametrize('bars', [1, 3, 9, 16])
def test_a_run_of_bars_is_found_in_another_key_and_place(corpus, bars):
  other = np.random.default_rng(1).integers(30, 70, [1, 256])
  other[:, 2::4] = 0
  start = min(5, 16 - bars)
  copied = corpus[7, : 16 * bars]
  other[0, 16 * start :][: len(copied)] = np.where(copied, copied + 4, 0)
  assert similarity.shared_bars(other, corpus).tolist() == [bars]


def test_another_interval_rhythm_or_bar_line_ends_the_run(corpus):
  wrong_note, late, off_bar = corpus[7:8].copy().repeat(3, axis=0)
  wrong_note[16 * 6] += 1
  late[16 * 10 :] = np.roll(late[16 * 10 :], 1)
  off_bar[:] = np.roll(off_bar, 4)
  found = similarity.shared_bars(np.stack([wrong_note, late, off_bar]), corpus)
  # The wrong note is the first of bar 7, so a new run begins with bar 8.
  assert found.tolist() == [9, 10, 0]


def test_form_of_a_tune_in_two_halves():
  bars = np.zeros([16, 16], np.int64)
  scale = np.array([60, 62, 64, 65, 67, 69, 71, 72]) - 19
  bars[:, 0] = np.tile(scale, 2)
  bars[:, 8] = np.tile(scale, 2)
  bars[-1, 8] = 60 - 19
  facts = similarity.form(bars.reshape(1, 256))
  assert facts['bars_again'] == pytest.approx(7 / 16)
  assert facts['tonic_end'] == 1.0
  assert facts['long_end'] == 1.0
  assert facts['rests'] == 0.0
  assert facts['repeats'] == pytest.approx(15 / 31)
  assert facts['leaps'] == pytest.approx(2 / 31)
  assert facts['steps'] == pytest.approx(14 / 31)


def test_a_silence_of_an_eighth_is_a_rest():
  row = np.zeros([1, 256], np.int64)
  row[0, ::16] = 48
  row[0, 14] = row[0, 31] = 1
  assert similarity.form(row)['rests'] == 1.0
