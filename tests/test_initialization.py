import numpy as np
import pytest

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.pretraining import initialization
from emotion_musicvae.pretraining import trainer
from emotion_musicvae.support import configuration

UNITS = 64


@pytest.fixture(scope='module')
def weights():
  shapes = hierdec.variable_shapes(2 * UNITS, (64, UNITS), (64, 64))
  weights = initialization.latched(hierdec.initial_weights(shapes, 0), 0)
  # The posterior's mean then is what the latches hold: forward, backward.
  weights['encoder/mu/kernel'] = np.eye(2 * UNITS, dtype=np.float32)
  weights['encoder/mu/bias'][:] = 0.0
  return weights


def _quarters(rng, count):
  tokens = np.zeros([count, 256], np.int32)
  tokens[:, ::4] = rng.integers(35, 60, [count, 64])
  return tokens


def test_a_bar_is_held_by_its_own_latches(weights):
  rng = np.random.default_rng(0)
  before, bars = _quarters(rng, 32), (0, 7, 15)
  tokens = [before]
  for bar in bars:
    after = before.copy()
    after[:, 16 * bar : 16 * bar + 16 : 4] = rng.integers(35, 60, [32, 4])
    tokens.append(after)
  # All at once, as it is the steps that take time, and not the melodies.
  mean, _ = hierdec.encode(weights, np.concatenate(tokens))
  mean = np.reshape(mean, [4, 32, 2 * UNITS])
  for bar, after in zip(bars, mean[1:]):
    change = np.square(after - mean[0]).mean(axis=0)
    share = np.zeros(16)
    for units in (change[:UNITS], change[UNITS:][::-1]):  # both by time
      share += units.reshape(16, -1).sum(axis=1)
    share /= share.sum()
    assert share[bar] > 0.6, bar
    assert share[max(bar - 1, 0) : bar + 2].sum() > 0.9, bar


def test_units_of_a_bar_speak_in_that_bar(weights):
  z = np.random.default_rng(0).standard_normal([32, 2 * UNITS])
  embeddings = hierdec.bar_embeddings(weights, z.astype(np.float32)).numpy()
  loudness = np.square(embeddings).mean(axis=1)  # [16, 64]
  own = loudness[:, 16:].reshape(16, 16, 3).mean(axis=2)  # by bar, whose units
  assert (np.argmax(own, axis=1) == np.arange(16)).all()
  assert own[np.arange(16), np.arange(16)].min() > 10 * np.median(own)
  in_every_bar = loudness[:, :16].mean(axis=1)
  assert in_every_bar.min() > 0.05 * in_every_bar.max()


def test_a_wider_model_says_what_the_narrow_one_does():
  narrow, wide = (
    hierdec.variable_shapes(*sizes)
    for sizes in ((8, (40, 33), (48, 34)), (11, (52, 47), (48, 51)))
  )
  weights, fresh = (
    initialization.latched(hierdec.initial_weights(shapes, seed), seed)
    for seed, shapes in enumerate((narrow, wide))
  )
  wider = initialization.widened(weights, fresh)
  assert {name: list(value.shape) for name, value in wider.items()} == wide
  tokens = _quarters(np.random.default_rng(0), 4)
  z, logits = [], []
  for each in (weights, wider):
    mean, _ = hierdec.encode(each, tokens)
    z.append(mean[:, :8])
    logits.append(hierdec.teacher_forced_logits(each, mean, tokens))
  np.testing.assert_allclose(*z, atol=1e-5)
  np.testing.assert_allclose(*logits, atol=1e-4)
  # What is new has something to say to what is new, and learns from it.
  state = wider['decoder/hierarchical_level_0/initial_state/kernel']
  assert (state[8:, :16] == 0.0).all()
  assert np.abs(state[:, 2 * 48 + 34 : 2 * 48 + 51]).min(axis=0).max() > 0.0
  assert hierdec.layer_sizes(wide) == (11, (52, 47), (48, 51))


@pytest.mark.slow
def test_training_moves_the_latches_and_leaves_the_clocks(weights):
  hparams = configuration.ModelHparams(
    z_size=2 * UNITS,
    enc_rnn_size=(64, UNITS),
    dec_rnn_size=(64, 64),
    batch_size=4,
    latched=True,
    sounding=0.5,
  )
  pretrainer = trainer.Pretrainer(hparams, weights, 0)
  tokens = _quarters(np.random.default_rng(1), 4)
  first = pretrainer.step(tokens)
  for _ in range(9):
    last = pretrainer.step(tokens)
  assert last['losses/sounding'] < first['losses/sounding']
  masks = initialization.held_still(weights)
  for name, variable in pretrainer.weights.items():
    still = masks.get(name, np.ones_like(weights[name])) == 0
    moved = variable.numpy() != weights[name]
    assert not moved[still].any()
    assert moved[~still].any()


def test_a_layer_too_small_for_clocks_is_refused():
  shapes = hierdec.variable_shapes(8, (16, 16), (64, 64))
  with pytest.raises(ValueError, match='at least 32 units in encoder/cell_0'):
    initialization.latched(hierdec.initial_weights(shapes, 0), 0)
