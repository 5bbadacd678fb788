import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.pretraining import whitening

MU = 'encoder/mu/'
STATE = 'decoder/hierarchical_level_0/initial_state/'


@pytest.fixture(scope='module')
def both(small_weights, random_tokens):
  """Weights before, weights after, centre and change of coordinates."""
  return small_weights, *_whitened(small_weights, random_tokens)


def _whitened(weights, tokens):
  return whitening.whitened(weights, whitening.summaries(weights, tokens))


def test_melodies_are_encoded_and_decoded_as_before(both, random_tokens):
  before, after, *_ = both
  tokens = random_tokens[:8].astype(np.int32)
  logits = [
    hierdec.teacher_forced_logits(w, hierdec.encode(w, tokens)[0], tokens)
    for w in (before, after)
  ]
  np.testing.assert_allclose(*logits, atol=1e-3)


def test_latent_vectors_get_the_priors_mean_and_covariance(both, random_tokens):
  before, after, *_ = both

  def off(weights):
    mean, deviation = posterior.encode(weights, random_tokens)
    noise = np.random.default_rng(0).standard_normal([50, *mean.shape])
    z = (mean + deviation * noise).reshape(-1, mean.shape[1])
    return np.abs(z.mean(axis=0)).max(), np.abs(np.cov(z.T) - np.eye(12)).max()

  assert off(before)[1] > 0.5
  mean, covariance = off(after)
  assert mean < 0.05
  # What a diagonal posterior cannot say of the old one's is what is left.
  assert covariance < 0.15


def test_a_second_time_changes_nothing_more(both, random_tokens):
  _, once, *_ = both
  twice, _, _ = _whitened(once, random_tokens)
  deviations = [
    np.sort(posterior.encode(w, random_tokens)[1].mean(axis=0))
    for w in (once, twice)
  ]
  np.testing.assert_allclose(*deviations, rtol=0.05)


def test_averages_of_gradients_turn_with_the_weights(both, random_tokens):
  before, after, centre, change = both
  tokens = random_tokens[:4].astype(np.int32)

  def gradients(weights):
    names = [
      layer + part for layer in (MU, STATE) for part in ('kernel', 'bias')
    ]
    variables = {k: tf.Variable(v) for k, v in weights.items()}
    with tf.GradientTape() as tape:
      mean, _ = hierdec.encode(variables, tokens)
      loss = tf.reduce_sum(tf.square(hierdec.bar_embeddings(variables, mean)))
    found = tape.gradient(loss, [variables[name] for name in names])
    return dict(zip(names, (g.numpy() for g in found)))

  old, new = gradients(before), gradients(after)
  slots = {name + '/Adam': value for name, value in old.items()}
  slots |= {name + '/Adam_1': value**2 for name, value in old.items()}
  turned = whitening.moments(slots, centre, change)
  for name in (MU + 'kernel', MU + 'bias', STATE + 'kernel'):
    value = new[name]
    scale = np.abs(value).max()
    np.testing.assert_allclose(turned[name + '/Adam'], value, atol=1e-3 * scale)
    assert (turned[name + '/Adam_1'] >= 0).all()
