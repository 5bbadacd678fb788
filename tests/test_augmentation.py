import numpy as np
import pytest

from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.pretraining import augmentation
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.pretraining import draws
from emotion_musicvae.support import configuration

MAJOR = [0, 2, 4, 5, 7, 9, 11]


def _tokens(pitches):
  return np.array(pitches) - melody.MIN_PITCH + melody.FIRST_ONSET


def _pitches(row):
  row = np.asarray(row, int)
  return row[row >= melody.FIRST_ONSET] - melody.FIRST_ONSET + melody.MIN_PITCH


def _melody(pitches, every=4):
  """[256] tokens: the pitches one after another, again and again."""
  row = np.zeros(256, np.uint8)
  row[::every] = np.resize(_tokens(pitches), 256 // every)
  return row


@pytest.fixture
def phrases():
  """A melody of four phrases of four bars, each on a pitch of its own."""
  return np.repeat(_tokens([60, 62, 64, 65]), 64).astype(np.uint8)


@pytest.mark.parametrize('tonic', range(12))
def test_a_scale_in_any_key_comes_to_c(tonic):
  pitches = np.array([0, 2, 4, 5, 7, 9, 11, 12, 11, 7, 4, 0]) + 60 + tonic
  shift = augmentation.canonical_shift(pitches, np.ones(12))
  assert set((pitches + shift) % 12) <= set(MAJOR)
  assert (pitches[-1] + shift) % 12 == 0
  assert abs((pitches + shift).mean() - augmentation.HOME_PITCH) <= 6


def test_a_minor_tune_comes_to_the_relative_minor():
  pitches = np.array([2, 4, 5, 7, 9, 10, 12, 9, 5, 2]) + 60  # natural, on D
  shift = augmentation.canonical_shift(pitches, np.ones(10))
  assert (pitches[-1] + shift) % 12 == 9


def test_five_tones_fit_three_signatures_and_the_last_note_decides():
  pitches = np.array([0, 2, 4, 7, 9, 7, 4, 2, 0]) + 65  # F G A C D, on F
  shift = augmentation.canonical_shift(pitches, np.ones(9))
  assert (pitches[-1] + shift) % 12 == 0


def test_moving_along_the_scale_keeps_to_it_and_comes_back():
  row = _melody([60, 64, 67, 65, 59, 72])
  up = augmentation.move(row, 2)
  assert _pitches(up)[:6].tolist() == [64, 67, 71, 69, 62, 76]
  np.testing.assert_array_equal(augmentation.move(up, -2), row)


def test_the_other_tonic_is_a_third_away():
  assert augmentation.degrees_to_tonic(0, 9) == -2
  assert augmentation.degrees_to_tonic(9, 0) == 2
  assert augmentation.degrees_to_tonic(7, 0) == 3


def test_bars_return_in_forms(phrases):
  other = augmentation.move(phrases, 3)
  for form in augmentation.FORMS:
    row = augmentation.in_form(phrases, other, form)
    assert row.shape == (256,)
    assert set(row) <= set(phrases) | set(other)
  aaba = augmentation.in_form(phrases, other, 'A3 A3 B0 A3')
  assert _pitches(aaba[::64]).tolist() == [65, 65, 65, 65]
  abac = augmentation.in_form(phrases, other, 'A0 A1 A0 A3')
  assert _pitches(abac[::64]).tolist() == [60, 62, 60, 65]


def test_variants_keep_equal_bars_equal():
  rng = np.random.default_rng(0)
  bars = np.zeros([4, 16], np.uint8)
  bars[:, ::2] = _tokens(rng.choice([60, 62, 64, 65, 67], [4, 8]))
  row = bars[[0, 1, 0, 2, 0, 1, 0, 3] * 2].reshape(-1)
  before = similarity.form(row[None])['bars_again']
  changed = 0
  for seed in range(30):
    varied = augmentation.varied(row, np.random.default_rng(seed))
    changed += (varied != row).any()
    assert similarity.form(varied[None])['bars_again'] >= before
  assert changed > 10


def test_the_beat_stays_where_notes_are_thinned():
  bars = np.full([3, 16], 43, np.uint8)
  thinned = augmentation.thinned(bars, 1.0, np.random.default_rng(0))
  assert (thinned[:, 0] == 43).all()
  assert (thinned[:, 1::2] == melody.HOLD).all()


def test_even_beats_are_dotted_and_back():
  bars = _melody([60, 62], every=2).reshape(16, 16)
  dotted = augmentation.with_rhythm(bars, 2, 3)
  assert np.flatnonzero(dotted[0]).tolist() == [0, 3, 4, 7, 8, 11, 12, 15]
  np.testing.assert_array_equal(augmentation.with_rhythm(dotted, 3, 2), bars)


def test_what_is_told_is_wrong_as_often_as_asked():
  tokens = np.tile(_melody([60, 62, 64, 65]), [50, 1]).astype(np.int32)
  rng = np.random.default_rng(0)
  told = augmentation.decoder_view(tokens, 0.2, 0.0, rng)
  assert np.mean(told == -1) == pytest.approx(0.2, abs=0.01)
  assert ((told == tokens) | (told == -1)).all()
  heard = augmentation.encoder_view(tokens, 0.1, rng)
  onset = tokens >= melody.FIRST_ONSET
  assert np.mean(heard[onset] == melody.HOLD) == pytest.approx(0.1, abs=0.02)
  moved = onset & (heard != tokens) & (heard != melody.HOLD)
  assert np.mean(moved[onset]) == pytest.approx(0.1, abs=0.02)
  assert (heard[~onset] == tokens[~onset]).all()


def _tune(pick_up):
  """Thirty-two bars in D whose parts of eight bars end on D."""
  part = [2, 4, 6, 7] * 15 + [9, 6, 4, 2]  # 64 quarters, 16 bars at 4 each
  notes = [[t, 1.0, 60 + p] for t, p in enumerate(part * 2)]
  if pick_up:
    # It takes the last beat of the last bar.
    notes = [[-1.0, 1.0, 69], *notes[:-2], [126.0, 1.0, 62]]
  return tunes.Tune('tune', np.array(notes, np.float32), 128.0)


def test_windows_that_end_as_the_tune_does_are_found():
  tune = corpus.in_one_key(_tune(False))
  assert tune.notes[-1, 2] % 12 == 0
  windows, closes = corpus.form_windows(tune, 1, 4)
  assert closes.tolist() == [True, False, False, False, True]
  assert _pitches(windows[0])[-1] % 12 == 0


def test_a_pick_up_to_what_follows_is_no_ending():
  windows, closes = corpus.form_windows(corpus.in_one_key(_tune(True)), 1, 8)
  assert closes[-1]
  assert _pitches(windows[-1])[-1] % 12 == 0


@pytest.fixture
def windows():
  rng = np.random.default_rng(0)
  tokens = np.zeros([40, 256], np.uint8)
  tokens[:, ::4] = _tokens(rng.choice([60, 62, 64, 65, 67, 69, 71], [40, 64]))
  tokens[:, -4] = _tokens([60])
  closes = np.arange(40) < 10
  cut = corpus.Cut(tokens, closes, np.zeros(40, np.uint8), np.zeros(40, bool))
  return draws.Windows.in_one_key(
    cut,
    configuration.CorpusHparams(one_key=True, aligned=0.75),
    configuration.AugmentationHparams(
      recombined=0.5, varied=0.5, moved=0.3, octave=0.3, decoder_dropout=0.1
    ),
  )


def test_draws_in_one_key_follow_from_seed_and_step(windows):
  one, again, other = (
    windows.batch(64, (57, 79), 3, step) for step in (5, 5, 6)
  )
  np.testing.assert_array_equal(one, again)
  assert (one != other).any()
  assert set(_pitches(one.ravel()) % 12) <= set(MAJOR)
  told = [windows.noisy(one, 3, step)[1] for step in (5, 5, 6)]
  np.testing.assert_array_equal(told[0], told[1])
  assert (told[0] != told[2]).any()
  for plain in windows.noisy(one, 3, 5, share=0.0):
    np.testing.assert_array_equal(plain, one)


def test_windows_that_close_are_the_share_asked_for(windows):
  drawn = windows.batch(4000, (57, 79), 0, 0, varied=False)
  known = {row.tobytes() for row in windows.tokens[:10].astype(np.int32)}
  share = np.mean([row.tobytes() in known for row in drawn])
  assert share == pytest.approx(0.75, abs=0.03)


def test_draws_bring_bars_back(windows):
  plain = windows.batch(200, (57, 79), 0, 0, varied=False)
  varied = windows.batch(200, (57, 79), 0, 0)
  again = [similarity.form(x)['bars_again'] for x in (plain, varied)]
  assert again[0] < 0.05 < 0.15 < again[1]


def test_bars_give_way_to_others_that_join_as_they_did(windows):
  bars = augmentation.Bars(windows.tokens)
  rng = np.random.default_rng(0)
  row = windows.tokens[0].copy()
  row[128:192] = row[:64]
  found = bars.exchanged(row, 1.0, rng)
  before, after = row.reshape(16, 16), found.reshape(16, 16)
  assert (before != after).any(axis=1).sum() >= 8
  np.testing.assert_array_equal(after[8:12], after[:4])
  known = {bar.tobytes() for bar in windows.tokens.reshape(-1, 16)}
  for old, new in zip(before, after):
    assert new.tobytes() in known
    old, new = _pitches(old), _pitches(new)
    assert (len(old), old[0], old[-1]) == (len(new), new[0], new[-1])
  np.testing.assert_array_equal(bars.exchanged(row, 0.0, rng), row)


def test_a_bar_without_notes_stays():
  row = np.zeros(256, np.uint8)
  row[0] = _tokens(60)
  bars = augmentation.Bars(row[None])
  rng = np.random.default_rng(0)
  np.testing.assert_array_equal(bars.exchanged(row, 1.0, rng), row)


def test_tunes_in_three_are_the_share_asked_for():
  tokens = np.zeros([40, 256], np.uint8)
  tokens[:, ::4] = _tokens([60])
  in_three = np.arange(40) < 30
  tokens[in_three, 0] = _tokens([62])
  cut = corpus.Cut(tokens, np.zeros(40, bool), np.zeros(40, np.uint8), in_three)
  drawn = draws.Windows.in_one_key(
    cut,
    configuration.CorpusHparams(one_key=True, triple=0.2),
    configuration.AugmentationHparams(),
  ).batch(4000, (57, 79), 0, 0, varied=False)
  share = np.mean(drawn[:, 0] == _tokens([62]))
  assert share == pytest.approx(0.2, abs=0.03)
