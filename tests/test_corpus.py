import dataclasses

import numpy as np
import pytest

from emotion_musicvae import corpus
from emotion_musicvae import melody
from emotion_musicvae import pretraining

REEL = """X:7
T:A Reel
M:C|
L:1/8
K:G
AG|B2B2 B2AG|B4 A4|1 G8:|2 c8|]
"""


@pytest.fixture(scope='module')
def reel(tmp_path_factory):
  path = tmp_path_factory.mktemp('abc') / 'reel.abc'
  waltz = REEL.replace('X:7', 'X:8').replace('C|', '3/4')
  path.write_text(REEL + '\n' + waltz)
  tunes, refused = corpus.read_abc(str(path))
  assert not refused
  (tune,) = tunes  # the waltz is not in duple metre
  return tune


def test_repeats_are_written_out_and_the_pickup_precedes_the_bar(reel):
  # Pick-up A G, then B B B A G | B A | G, and again with the second ending.
  pitches = reel.notes[:, 2].tolist()
  first = [69, 67, 71, 71, 71, 69, 67, 71, 69]
  assert pitches == [*first, 67, *first, 72]
  assert reel.notes[:3, 0].tolist() == [-1.0, -0.5, 0.0]


def test_a_short_tune_is_sung_again_until_the_window_is_full():
  notes = np.array([[t, 1.0, 60 + t] for t in range(8)], np.float32)
  (window,) = corpus.tune_windows(corpus.Tune('scale', notes, 8.0))
  assert window.shape == (256,)
  np.testing.assert_array_equal(window[:32], window[32:64])
  assert (window[:32:4] + 19).tolist() == list(range(60, 68))
  assert not window[1:4].any()


def test_half_speed_halves_the_onsets():
  notes = np.array([[t / 2, 0.5, 60 + t % 5] for t in range(64)], np.float32)
  tune = corpus.Tune('even', notes, 32.0)
  densities = [
    melody.onsets_per_bar(corpus.tune_windows(tune, s))[0] for s in (1, 2, 4)
  ]
  assert densities == [8.0, 4.0, 2.0]


def test_a_rest_ends_the_note_before_it():
  notes = np.array([[0, 1, 60], [4, 4, 62]], np.float32)
  (window,) = corpus.tune_windows(corpus.Tune('rest', notes, 8.0))
  assert window[0] == 60 - 19
  assert window[4] == melody.NOTE_OFF
  assert window[16] == 62 - 19
  assert not window[17:32].any()


def test_notes_too_short_for_the_grid_leave_the_tune_out():
  notes = np.array([[t / 8, 0.125, 60] for t in range(64)], np.float32)
  assert len(corpus.tune_windows(corpus.Tune('fast', notes, 8.0))) == 0


def _random_tunes(count):
  rng = np.random.default_rng(0)
  for i in range(count):
    notes = np.stack(
      [np.arange(40), np.ones(40), rng.integers(60, 80, 40)], axis=1
    )
    yield corpus.Tune(f'tune {i}', notes.astype(np.float32), 40.0)


def _with_notes(tune, notes):
  return dataclasses.replace(tune, name=tune.name + "'", notes=notes)


def test_a_tune_in_two_keys_is_one_family():
  tunes = list(_random_tunes(20))
  higher = [_with_notes(t, t.notes + np.float32([0, 0, 5])) for t in tunes]
  family = corpus.families(tunes + higher)
  assert len(set(family)) == 20
  np.testing.assert_array_equal(family[:20], family[20:])


def test_nothing_held_out_has_a_variant_on_the_training_side():
  tunes = list(_random_tunes(200))
  # Variants begin on another note, so each would fall on a side of its own.
  variants = []
  for tune in tunes:
    notes = tune.notes.copy()
    notes[0, 2] += 1
    variants.append(_with_notes(tune, notes))
  held_out = corpus.are_held_out(tunes + variants, 3)
  np.testing.assert_array_equal(held_out[:200], held_out[200:])
  alone = corpus.are_held_out(tunes, 3)
  assert 0 < held_out[:200].sum() < alone.sum() < 100


def test_the_bundled_corpus_reads_one_collection_nearly_whole():
  path = next(p for p in corpus.folk_files() if 'book2' in p)
  tunes, refused = corpus.read_abc(path)
  assert len(tunes) > 100
  assert len(refused) <= 0.02 * len(tunes)


def test_rare_densities_are_drawn_more_often():
  sparse = np.zeros([90, 256], np.uint8)
  sparse[:, ::8] = 41
  dense = np.zeros([10, 256], np.uint8)
  dense[:, ::2] = 41
  windows = pretraining.Windows.balanced(np.concatenate([sparse, dense]), 1.0)
  batch = windows.batch(2000, (57, 79), seed=0, step=0)
  assert np.mean(melody.onsets_per_bar(batch) == 8) == pytest.approx(
    0.5, abs=0.05
  )


def test_batches_follow_from_seed_and_step():
  tokens = np.resize(np.arange(40, 60, dtype=np.uint8), [30, 256])
  windows = pretraining.Windows.balanced(tokens, 0.5)
  first, again, later, other = (
    windows.batch(4, (57, 79), *at) for at in ((1, 5), (1, 5), (1, 6), (2, 5))
  )
  np.testing.assert_array_equal(first, again)
  assert (first != later).any()
  assert (first != other).any()
