"""Refines latent vectors one by one by the decoder's own gradient."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import typing

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.steering import objective
from emotion_musicvae.support import caches
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError


class Refinement:
  """Moves latent vectors on, each by itself, through the decoder.

  Adam on the vectors themselves, for the same losses as the actor's, by the
  pathwise gradient. A cost on the distance from where a vector started keeps as
  much of that melody as the condition leaves.

  Args:
    weights: Magenta's variables of the frozen base model, by name.
    hparams: settings of the losses.
    distance: cost of the mean square of the distance moved, from 0.
    learning_rate: of Adam, above 0.
  """

  # Of one size, so that nothing is compiled twice and no vector's path depends
  # on how many others there are.
  BATCH = 8
  _OUTSIDE = 5.0

  def __init__(
    self,
    weights: Mapping[str, npt.NDArray[np.float32]],
    hparams: configuration.LearnerHparams,
    distance: float,
    learning_rate: float,
  ) -> None:
    self._objective = objective.Objective.of(weights, hparams)
    self._distance = distance
    self._learning_rate = learning_rate

  def __call__(
    self,
    start: npt.NDArray[np.float32],
    moved: npt.NDArray[np.float32],
    condition: conditions.Condition,
    num_steps: int,
    seed: int,
    number: int = 0,
    progress: Callable[[range], Iterable[int]] | None = None,
  ) -> npt.NDArray[np.float32]:
    """Latent vectors after a number of gradient steps.

    Args:
      start: [N, Z] where the vectors started.
      moved: [N, Z] where the actor moved them.
      condition: of N rows, in the canonical key.
      num_steps: gradient steps on each.
      seed: a row follows from it, its number and its own values alone.
      number: of the first row, a multiple of BATCH; the others count on.
      progress: wraps the iterable of batches as `tqdm` does, or None.

    Returns:
      [N, Z] float32.
    """
    condition = condition.as_float32()
    firsts = range(0, len(moved), self.BATCH)
    result = []
    for first in progress(firsts) if progress else firsts:
      rows = np.arange(first, first + self.BATCH) % len(moved)
      arguments = (
        start[rows],
        moved[rows],
        condition.take(rows),
        num_steps,
        [seed % 2**31, number + first],
      )
      try:
        result.append(self._refine(*arguments))
      except tf.errors.OpError:
        if not caches.forget_compiled():
          raise
        raise UserError(
          'cache_dir',
          messages.say('what an earlier run has compiled may be damaged'),
          messages.say('it is thrown away, so repeat the command'),
        ) from None
    return np.concatenate(result)[: len(moved)]

  def _refine(
    self,
    start: npt.NDArray[np.float32],
    moved: npt.NDArray[np.float32],
    condition: conditions.Condition,
    num_steps: int,
    seed: list[int],
  ) -> npt.NDArray[np.float32]:
    z = tf.Variable(moved, dtype=tf.float32)
    start = tf.constant(start, tf.float32)
    condition = tf.nest.map_structure(tf.constant, condition)
    optimizer = tf.keras.optimizers.Adam(self._learning_rate, 0.9, 0.99)
    for k in range(num_steps):
      noise_seed = tf.random.experimental.stateless_fold_in(seed, k)
      gradient = self._gradient(start, z, condition, noise_seed)
      optimizer.apply_gradients([(gradient, z)])
    return z.numpy()

  @tf.function(jit_compile=True)
  def _gradient(
    self,
    start: tf.Tensor,
    z: tf.Variable,
    condition: conditions.Condition,
    seed: tf.Tensor,
  ) -> tf.Tensor:
    with tf.GradientTape() as tape:
      tape.watch(z)
      uniform = hierdec.uniform(seed, len(z))  # [B, 256]
      _, probabilities = self._objective.decode(z, uniform)
      terms = self._objective.measure(probabilities, condition)
      distance = tf.reduce_mean(tf.square(z - start), axis=1)  # [B]
      # Further out than the prior reaches, and than where it started, the
      # melody is music no more.
      inside = tf.maximum(tf.reduce_mean(tf.square(start), axis=1), 1.0)
      outside = tf.nn.relu(tf.reduce_mean(tf.square(z), axis=1) - inside)
      loss = tf.reduce_sum(
        self._objective.cost(terms)
        + self._distance * distance
        + self._OUTSIDE * outside
      )
    return tape.gradient(loss, z)


def load_settings() -> dict[str, typing.Any]:
  """Settings of `Refinement` by name, of `configs/actor_critic.yaml`."""
  return configuration.load_yaml('actor_critic')['refinement']
