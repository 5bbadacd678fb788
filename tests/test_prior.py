import dataclasses
import functools

import numpy as np
import pytest

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import lookback
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.musicvae import prior
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError


@pytest.fixture(scope='module')
def base_weights():
  shapes = hierdec.variable_shapes(8, (16, 16), (16, 16))
  return hierdec.initial_weights(shapes, 0)


@pytest.fixture(scope='module')
def fitted():
  weights = {
    name: value.astype(np.float16).astype(np.float32)
    for name, value in lookback.initial_weights(16, seed=0).items()
  }
  return prior.Prior(weights, 0.9, 'model')


def test_vectors_are_draws_of_the_posteriors_of_what_is_drawn(
  base_weights, fitted
):
  encode = functools.partial(posterior.encode, base_weights)
  seeds = [(3, i) for i in range(200)]
  z = fitted.vectors(seeds, encode)
  mean, deviation = encode(fitted.melodies(seeds))
  noise = (z - mean) / deviation
  np.testing.assert_allclose(noise.mean(), 0.0, atol=0.1)
  np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.2)
  # Noise of its own for each melody and each number.
  assert np.abs(np.corrcoef(noise.T) - np.eye(8)).max() < 0.3


def test_a_vector_follows_from_its_seed_alone(base_weights, fitted):
  encode = posterior.Encoder(base_weights).posterior
  seeds = [(2, i) for i in range(30)]
  many = fitted.vectors(seeds, encode)
  np.testing.assert_array_equal(many[:3], fitted.vectors(seeds[:3], encode))
  np.testing.assert_array_equal(many[20:], fitted.vectors(seeds[20:], encode))
  assert len(np.unique(many, axis=0)) == 30
  assert len(np.unique(fitted.melodies(seeds), axis=0)) == 30


def test_a_prior_is_read_back_by_its_own_model_only(fitted, tmp_path):
  path = str(tmp_path / prior.FILE)
  fitted.save(path)
  again = prior.load(path, 'model')
  seeds = [(0, i) for i in range(4)]
  np.testing.assert_array_equal(again.melodies(seeds), fitted.melodies(seeds))
  assert again.digest() == fitted.digest()
  other = dataclasses.replace(fitted, temperature=0.8)
  assert other.digest() != fitted.digest()
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
  without = {k: v for k, v in fitted.weights.items() if k != 'output/bias'}
  broken = {**fitted.weights, 'again/bias': np.full(4, np.nan, np.float32)}
  for weights in (without, broken):
    dataclasses.replace(fitted, weights=weights).save(path)
    with pytest.raises(UserError, match='damaged'):
      prior.load(path, 'model')
  with pytest.raises(UserError, match='cannot be read'):
    prior.load(str(tmp_path / 'none'), 'model')


def test_the_prior_beside_the_checkpoint_is_taken(fitted, tmp_path):
  (tmp_path / 'train').mkdir()
  in_run = str(tmp_path / 'train' / 'model.ckpt-3')
  assert prior.find(None, in_run, 'model') is None
  fitted.save(str(tmp_path / prior.FILE))
  for prefix in (in_run, str(tmp_path / 'model.ckpt')):
    found = prior.find(None, prefix, 'model')
    assert found.digest() == fitted.digest()
    assert prior.find(prior.NORMAL, prefix, 'model') is None
    with pytest.raises(UserError, match='another base model'):
      prior.find(None, prefix, 'other')
  elsewhere = prior.find(str(tmp_path / prior.FILE), 'model.ckpt', 'model')
  assert elsewhere.digest() == fitted.digest()


@pytest.mark.slow
def test_bars_return_where_the_form_model_starts_from_its_prior():
  config = 'hierdec-mel_16bar_form'
  own = EmotionMusicVAE.from_pretrained(config)
  plain = EmotionMusicVAE.from_pretrained(config, prior=prior.NORMAL)
  assert plain.description()['prior'] == prior.NORMAL
  assert own.description()['prior'] != prior.NORMAL
  np.testing.assert_array_equal(
    own.sample_prior(3, 20)[:5], own.sample_prior(3, 5)
  )
  fitted, normal = (
    similarity.form(model.decode(model.sample_prior(3, 64), 0.5, 3))
    for model in (own, plain)
  )
  assert fitted['bars_again'] > 0.18
  assert normal['bars_again'] < 0.02
  assert fitted['leaps'] < 0.06 < normal['leaps']
  assert fitted['steps'] > 0.45 > normal['steps']


@pytest.mark.parametrize(
  ('setting', 'expected'),
  [
    ({'temperature': 0.0}, 'temperature: expected above 0, got 0.0'),
    ({'dropout': 1.0}, 'dropout: expected a share below 1, got 1.0'),
    ({'unheard': 2.0}, 'unheard: expected a share, 0 to 1, got 2.0'),
    ({'units': 0}, 'units: expected above 0, got 0'),
  ],
)
def test_settings_that_no_prior_can_be_fitted_by(setting, expected):
  with pytest.raises(UserError, match=expected):
    configuration.PriorHparams(**setting)
