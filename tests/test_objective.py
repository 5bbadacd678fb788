import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import objective as objectives
from emotion_musicvae.steering import replay
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import expectation


class Silence:
  """A loss of a user's own: the share of steps at which nothing begins."""

  def __call__(self, probabilities, condition):
    onsets = expectation.expected_onsets(probabilities)
    return {'silence': 1.0 - tf.reduce_mean(tf.reduce_sum(onsets, 2), 1)}

  def of_predicted(self, predicted, condition):
    return {'silence': 1.0 - predicted.onsets_per_bar / 16.0}


def test_every_default_term_is_a_value_per_melody(small_weights, random_tokens):
  """As the decoder plays it, and as the critic predicts it."""
  hparams = configuration.LearnerHparams()
  objective = objectives.Objective.of(small_weights, hparams)
  condition = conditions.Condition.of(catalogue.load()[:4]).as_float32()
  measured = objective.measure(
    expectation.one_hot(random_tokens[:4].astype(np.int32)), condition
  )
  rng = np.random.default_rng(0)
  z = tf.constant(rng.standard_normal([4, 12]), tf.float32)
  description = objective.describe(
    z, expectation.one_hot(random_tokens[:4].astype(np.int32))
  )
  critic = networks.Critic(12, description['embeddings'].shape[2], 8, rng)
  predicted = objective.predict(critic, z, condition)
  assert set(measured) == set(objective.names)
  assert set(predicted) == set(objective.names) - {'close'}
  for terms in (measured, predicted):
    assert {tuple(term.shape) for term in terms.values()} == {(4,)}
  assert objective.cost(measured).shape == [4]


def test_a_loss_of_ones_own_counts_by_its_share(small_weights, random_tokens):
  probabilities = expectation.one_hot(random_tokens[:4].astype(np.int32))
  condition = conditions.Condition.of(catalogue.load()[:4]).as_float32()
  cost = {}
  for share in (0.0, 1.0, 2.0):
    objective = objectives.Objective(
      small_weights, {'silence': share}, 0.5, [Silence()]
    )
    terms = objective.measure(probabilities, condition)
    assert list(terms) == ['silence']
    cost[share] = objective.cost(terms).numpy()
  np.testing.assert_array_equal(cost[0.0], 0.0)
  np.testing.assert_allclose(cost[2.0], 2.0 * cost[1.0])
  assert (cost[1.0] > 0.0).all()


def test_a_replay_holds_the_newest_melodies():
  kept = replay.Replay(4, 3)
  for first in (0, 3):
    kept.write(
      first,
      {
        name: np.broadcast_to(
          np.reshape(np.arange(first, first + 3), [3] + [1] * (v.ndim - 1)),
          [3, *v.shape[1:]],
        )
        for name, v in kept.rows.items()
      },
    )
  for rows in kept.rows.values():
    assert sorted(rows.reshape(4, -1)[:, 0]) == [2, 3, 4, 5]
  batch = kept.sample(np.random.default_rng(0), 100)
  assert set(np.unique(batch['mean_pitch'])) == {2, 3, 4, 5}
