"""Refines latent vectors one by one by the decoder's own gradient."""

import numpy as np
import tensorflow as tf

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.steering import objective
from emotion_musicvae.support import configuration


class Retraining:
  """Moves latent vectors on, each by itself, by what the decoder sings of it.

  Adam on the vectors themselves, for the same losses as the actor's, by the
  pathwise gradient. What it costs to go away from where a vector set out keeps
  as much of that melody as the condition leaves.

  Args:
    weights: dictionary of Magenta's variables of the frozen base model.
    hparams: `configuration.LearnerHparams`.
    part: of the way that the actor moved a vector, from where it goes on. The
      actor knows one answer to a condition; on the way there lie as many as
      there are vectors.
    distance: cost of the mean square of the way gone.
    learning_rate: of Adam.
  """

  # Of one size, so that nothing is compiled twice and no vector's way depends
  # on how many others there are.
  BATCH = 8
  _OUTSIDE = 5.0

  def __init__(self, weights, hparams, part, distance, learning_rate):
    self._objective = objective.Objective(weights, hparams)
    self._part = part
    self._distance = distance
    self._learning_rate = learning_rate

  def __call__(
    self, start, moved, condition, updates, seed, number=0, progress=None
  ):
    """Latent vectors after a number of updates.

    Args:
      start: [N, Z] where the vectors set out.
      moved: [N, Z] where the actor moved them.
      condition: `conditions.Condition` of N rows, in the canonical key.
      updates: how many.
      seed: integer; a row follows from it, its number and its own values alone.
      number: of the first row, a multiple of BATCH; the others count on.
      progress: wraps the iterable of batches as `tqdm` does, or None.

    Returns:
      [N, Z] float32.
    """
    condition = condition.as_float32()
    z = start + self._part * (moved - start)
    firsts = range(0, len(z), self.BATCH)
    result = []
    for first in progress(firsts) if progress else firsts:
      rows = np.arange(first, first + self.BATCH) % len(z)
      result.append(
        self._climb(
          tf.constant(start[rows], tf.float32),
          tf.Variable(z[rows], dtype=tf.float32),
          tf.nest.map_structure(tf.constant, condition.take(rows)),
          updates,
          [seed % 2**31, number + first],
        )
      )
    return np.concatenate(result)[: len(z)]

  def _climb(self, start, z, condition, updates, seed):
    optimizer = tf.keras.optimizers.Adam(self._learning_rate, 0.9, 0.99)
    for k in range(updates):
      drawn = tf.random.experimental.stateless_fold_in(seed, k)
      slope = self._slope(start, z, condition, drawn)
      optimizer.apply_gradients([(slope, z)])
    return z.numpy()

  @tf.function(jit_compile=True)
  def _slope(self, start, z, condition, seed):
    with tf.GradientTape() as tape:
      tape.watch(z)
      drawn = hierdec.uniform(seed, len(z))
      _, probabilities = self._objective.sing(z, drawn)
      terms = self._objective.measure(probabilities, condition)
      gone = tf.reduce_mean(tf.square(z - start), axis=1)
      # Further out than the prior reaches, the melody is music no more.
      outside = tf.nn.relu(tf.reduce_mean(tf.square(z), axis=1) - 1.0)
      loss = tf.reduce_sum(
        self._objective.cost(terms)
        + self._distance * gone
        + self._OUTSIDE * outside
      )
    return tape.gradient(loss, z)


def load_retraining():
  """Settings of `Retraining` by name, of `configs/actor_critic.yaml`."""
  return configuration.load_yaml('actor_critic')['retraining']
