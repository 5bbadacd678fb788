import dataclasses

import numpy as np
import pytest

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import lookback
from emotion_musicvae.pretraining import lookback_training
from emotion_musicvae.support import configuration

HPARAMS = configuration.PriorHparams(
  units=32,
  batch_size=32,
  num_steps=300,
  learning_rate=0.02,
  weight_decay=0.0,
  unheard=0.0,
  dropout=0.0,
)
_C, _D, _E, _G = (
  melody.FIRST_ONSET + p - melody.MIN_PITCH for p in (60, 62, 64, 67)
)


def _bars(rng, count):
  """[count, 16] bars of four quarters of C, D, E and G."""
  bars = np.zeros([count, melody.STEPS_PER_BAR], np.int32)
  bars[:, ::4] = rng.choice([_C, _D, _E, _G], [count, 4])
  return bars


def _in_fours(step):
  """32 melodies of four bars that are played four times."""
  rng = np.random.default_rng(step)
  return np.stack(
    [np.tile(_bars(rng, 4), (4, 1)).reshape(-1) for _ in range(32)]
  )


@pytest.fixture(scope='module')
def learned():
  return lookback_training.fit(_in_fours, HPARAMS, seed=1)


def test_what_is_told_is_the_past_alone():
  rng = np.random.default_rng(0)
  tokens = rng.integers(0, melody.NUM_TOKENS, [3, 256])
  slots, features = lookback.told(tokens)
  assert slots.shape == (3, 257, 8)
  assert features.shape == (3, 257, 56)
  np.testing.assert_array_equal(slots[:, 1:, 0], tokens)
  assert (slots[:, 0] == lookback.NOTHING).all()
  for k, bars in enumerate((1, 2, 4, 8)):
    lag = 16 * bars
    np.testing.assert_array_equal(slots[:, lag:, 4 + k], tokens[:, : 257 - lag])
    assert (slots[:, :lag, 4 + k] == lookback.NOTHING).all()
  # A change of one token changes nothing before it.
  other = tokens.copy()
  other[:, 100] = (other[:, 100] + 1) % melody.NUM_TOKENS
  slots_then, features_then = lookback.told(other)
  np.testing.assert_array_equal(slots[:, :101], slots_then[:, :101])
  np.testing.assert_array_equal(features[:, :101], features_then[:, :101])
  assert (slots[:, 101] != slots_then[:, 101]).any()


def test_the_last_notes_are_told_and_when_they_began():
  tokens = np.zeros([1, 64], np.int32)
  tokens[0, [2, 6, 8, 40]] = [_C, _G, melody.NOTE_OFF, _E]
  slots, features = lookback.told(tokens)
  nothing = lookback.NOTHING
  for step, notes, since in (
    (2, [nothing] * 3, 15),
    (3, [_C, nothing, nothing], 0),
    (6, [_C, nothing, nothing], 3),
    (7, [_G, _C, nothing], 0),
    (12, [_G, _C, nothing], 5),
    (40, [_G, _C, nothing], 15),
    (44, [_E, _G, _C], 3),
  ):
    assert slots[0, step, 1:4].tolist() == notes
    assert features[0, step, 32:48].argmax() == since
    assert features[0, step, 32:48].sum() == 1.0


def test_agreement_with_bars_ago_is_counted():
  bar = np.zeros([1, 16], np.int32)
  bar[:, ::4] = [_C, _D, _E, _C]
  other = bar.copy()
  other[:, 4:] = _G
  tokens = np.concatenate([bar, bar, other, other]).reshape(1, -1)
  agreed = lookback.told(tokens)[1][0, :, 48:].reshape(-1, 2, 4)
  # After two equal bars the second has agreed for 4 and for 16 steps.
  np.testing.assert_array_equal(agreed[32, :, 0], [1.0, 1.0])
  assert agreed[48, 0, 0] == 0.0  # the third's end is like none before
  assert agreed[48, 1, 0] == 0.25  # its first four steps are
  np.testing.assert_array_equal(agreed[64, :, 0], [1.0, 1.0])
  assert (agreed[:17] == 0).all()  # nothing to agree with


@pytest.mark.slow
def test_bars_that_return_in_what_was_learned_return_in_what_is_drawn(learned):
  noise = np.random.default_rng(5).random([64, 256], np.float32)
  drawn = lookback.sample(learned, noise, 1.0).reshape(64, 16, 16)
  returned = (drawn[:, 4:] == drawn[:, :-4]).all(axis=2).mean()
  assert returned > 0.9
  first = drawn[:, :4]
  assert len(np.unique(first.reshape(64, 64), axis=0)) > 60
  on_beats = (first >= melody.FIRST_ONSET)[..., ::4].mean()
  assert on_beats > 0.85
  assert (first.reshape(64, 16, 4)[..., 1:] == 0).mean() > 0.95
  shares = [(first == token).mean() * 4 for token in (_C, _D, _E, _G)]
  np.testing.assert_allclose(shares, 0.25, atol=0.07)


@pytest.mark.slow
def test_the_first_of_bars_that_return_are_what_surprises(learned):
  nats = lookback_training.surprise(learned, _in_fours(10**6))
  chance = 16 * np.log(4)  # sixteen notes of four kinds
  assert nats[:, :64].sum(axis=1).mean() == pytest.approx(chance, rel=0.1)
  assert nats[:, 64:].sum(axis=1).mean() < 2.0


def test_what_is_drawn_follows_the_chances_that_are_trained():
  """Of all noise, a token takes the share that training gives it."""
  rng = np.random.default_rng(0)
  weights = {
    name: (0.3 * rng.standard_normal(shape)).astype(np.float32)
    for name, shape in lookback.shapes(24).items()
  }
  noise = rng.random([4, 256], np.float32)
  drawn = lookback.sample(weights, noise, 1.0)
  chance = np.exp(-lookback_training.surprise(weights, drawn))
  assert chance.min() > 0.0
  counts = []
  for i in range(4):
    for t in (0, 20, 70):
      token = drawn[i, t]
      line = np.linspace(0, 1, 501, dtype=np.float32)[:-1]
      many = np.repeat(noise[i : i + 1], len(line), axis=0)[:, : t + 1]
      many[:, t] = line
      share = np.mean(lookback.sample(weights, many, 1.0)[:, t] == token)
      counts.append((share, chance[i, t]))
  shares, chances = np.transpose(counts)
  np.testing.assert_allclose(shares, chances, atol=3e-3)


def test_temperature_sharpens_which_pitch_begins_and_not_whether_one_does():
  rng = np.random.default_rng(1)
  weights = {
    name: (0.5 * rng.standard_normal(shape)).astype(np.float32)
    for name, shape in lookback.shapes(24).items()
  }
  line = np.linspace(0, 1, 20001, dtype=np.float32)[:-1, None]

  def shares(temperature):
    drawn = lookback.sample(weights, line, temperature)[:, 0]
    return np.bincount(drawn, minlength=melody.NUM_TOKENS) / len(line)

  plain, sharp = shares(1.0), shares(0.5)
  first = melody.FIRST_ONSET
  np.testing.assert_allclose(sharp[:first], plain[:first], atol=1e-3)
  squared = plain[first:] ** 2
  np.testing.assert_allclose(
    sharp[first:],
    plain[first:].sum() * squared / squared.sum(),
    atol=2e-3,
  )
  assert sharp.max() > 1.3 * plain[first:].max()


@pytest.fixture
def kept_often(monkeypatch):
  monkeypatch.setattr(lookback_training, '_KEPT_EVERY', 2)


def _counted(asked, until=None):
  """Draws that note which are asked for, and break off."""

  def draw(step):
    if step == until:
      raise KeyboardInterrupt
    asked.append(step)
    return _in_fours(step)

  return draw


@pytest.mark.usefixtures('kept_often')
def test_what_was_broken_off_goes_on_to_the_same_weights(tmp_path):
  hparams = dataclasses.replace(HPARAMS, num_steps=6, units=8, dropout=0.2)
  path = tmp_path / 'unfinished'
  whole = lookback_training.fit(_in_fours, hparams, seed=2)
  with pytest.raises(KeyboardInterrupt):
    lookback_training.fit(
      _counted([], until=5), hparams, 2, unfinished=str(path)
    )
  asked = []
  again = lookback_training.fit(
    _counted(asked), hparams, 2, unfinished=str(path)
  )
  assert asked == [4, 5]
  assert not path.exists()
  for name, value in whole.items():
    np.testing.assert_array_equal(value, again[name])


@pytest.mark.usefixtures('kept_often')
@pytest.mark.parametrize('what', ['other', 'damaged'])
def test_what_another_recipe_left_is_begun_anew(what, tmp_path):
  path = tmp_path / 'unfinished'
  hparams = dataclasses.replace(HPARAMS, num_steps=2, units=8)
  if what == 'other':
    longer = dataclasses.replace(hparams, num_steps=6)
    with pytest.raises(KeyboardInterrupt):
      lookback_training.fit(
        _counted([], until=3), longer, 0, unfinished=str(path)
      )
    assert path.exists()
  else:
    path.write_bytes(b'PK\x03\x04 and no more')
  asked = []
  lookback_training.fit(_counted(asked), hparams, 0, unfinished=str(path))
  assert asked == [0, 1]
  assert not path.exists()
