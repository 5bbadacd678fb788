import dataclasses

import numpy as np
import pytest

from emotion_musicvae.pretraining import flow
from emotion_musicvae.pretraining import prior
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError

HPARAMS = configuration.PriorHparams(
  units=48, blocks=2, batch_size=128, num_steps=600, learning_rate=0.003
)


@pytest.fixture(scope='module')
def two_modes():
  """Posteriors of 2,000 vectors: a third about (2, -1), the rest (-1, 0.5)."""
  rng = np.random.default_rng(0)
  mode = rng.random([2000, 1]) < 1 / 3
  mean = np.where(mode, [2.0, -1.0], [-1.0, 0.5])
  mean = mean + 0.2 * rng.standard_normal([2000, 2])
  return mean, np.full([2000, 2], 0.1)


@pytest.fixture(scope='module')
def fitted(two_modes):
  return flow.fit(*two_modes, 'model', HPARAMS, seed=1)


def test_two_modes_are_found_with_their_shares(two_modes, fitted):
  drawn = fitted.sample(4000, seed=5)
  mean, deviation = two_modes
  np.testing.assert_allclose(drawn.mean(axis=0), mean.mean(axis=0), atol=0.08)
  spread = np.sqrt(mean.var(axis=0) + np.square(deviation[0]))
  np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.07)
  right = drawn[:, 0] > 0.5
  assert right.mean() == pytest.approx(1 / 3, abs=0.04)
  # Few lie between the modes, where a normal density has its middle.
  between = np.abs(drawn[:, 0] - 0.5) < 0.4
  assert between.mean() < 0.06
  for side, centre in ((right, [2.0, -1.0]), (~right, [-1.0, 0.5])):
    np.testing.assert_allclose(drawn[side].mean(axis=0), centre, atol=0.15)


def test_the_same_seed_gives_the_same_bytes(two_modes, fitted, tmp_path):
  short = dataclasses.replace(HPARAMS, num_steps=20)
  for name in 'ab':
    flow.fit(*two_modes, 'model', short, seed=3).save(str(tmp_path / name))
  assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
  few, many = fitted.sample(3, seed=2), fitted.sample(200, seed=2)
  np.testing.assert_array_equal(few, many[:3])
  assert (fitted.sample(3, seed=4) != few).all()


def test_noise_and_vectors_are_each_others_inverse(fitted):
  noise = np.random.default_rng(0).standard_normal([50, 2], np.float32)
  back = fitted.noise(fitted.vectors(noise))
  assert np.median(np.abs(back - noise)) < 0.02


def test_the_network_in_numpy_is_the_one_that_is_trained():
  rng = np.random.default_rng(0)
  weights = prior.initial_weights(4, 16, 2, seed=0)
  weights = {
    k: rng.standard_normal(v.shape).astype(np.float32)
    for k, v in weights.items()
  }
  x = rng.standard_normal([5, 4]).astype(np.float32)
  time = np.full([5, 1], 0.3, np.float32)
  np.testing.assert_allclose(
    flow._velocity(weights, x, time),
    prior.velocity(weights, x, np.float32(0.3)),
    rtol=1e-4,
    atol=1e-4,
  )


def test_a_prior_is_read_back_by_its_own_model_only(fitted, tmp_path):
  path = str(tmp_path / prior.FILE)
  fitted.save(path)
  again = prior.load(path, 'model')
  np.testing.assert_array_equal(again.sample(4, 0), fitted.sample(4, 0))
  with pytest.raises(UserError, match='another base model'):
    prior.load(path, 'other')


@pytest.mark.parametrize(
  'content', [b'', b'no archive', b'PK\x03\x04 and no more']
)
def test_a_damaged_prior_is_refused(content, tmp_path):
  path = tmp_path / prior.FILE
  path.write_bytes(content)
  with pytest.raises(UserError, match='damaged, or no prior'):
    prior.load(str(path), 'model')


def test_a_prior_with_an_array_missing_or_not_finite_is_refused(
  fitted, tmp_path
):
  path = str(tmp_path / prior.FILE)
  without = {k: v for k, v in fitted.weights.items() if k != 'out/bias'}
  broken = {**fitted.weights, 'out/bias': np.full(2, np.nan, np.float32)}
  for weights in (without, broken):
    dataclasses.replace(fitted, weights=weights).save(path)
    with pytest.raises(UserError, match='damaged'):
      prior.load(path, 'model')
  with pytest.raises(UserError, match='cannot be read'):
    prior.load(str(tmp_path / 'none'), 'model')
