"""Fits a `prior.Prior` to the latent vectors of melodies.

The network is shown points on the straight way from a draw of N(0, 1) to a
latent vector and learns the direction (flow matching). What it keeps is the
mean of late updates.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.pretraining import prior
from emotion_musicvae.support import configuration

_AVERAGING = 0.999
_MAX_EPOCHS = 100


def fit(
  mean: npt.ArrayLike,
  deviation: npt.ArrayLike,
  fingerprint: str,
  hparams: configuration.PriorHparams,
  seed: int,
  progress: Callable[[Iterable[int]], Iterable[int]] | None = None,
) -> prior.Prior:
  """Learns which latent vectors are melodies.

  Args:
    mean: [N, Z] of the melodies' posteriors.
    deviation: [N, Z] of them.
    fingerprint: `checkpoints.fingerprint` of the base model.
    hparams: `configuration.PriorHparams`.
    seed: integer; equal seeds give equal priors.
    progress: wraps the iterable of steps as `tqdm` does, or None.

  Returns:
    A `prior.Prior`.
  """
  mean, deviation = (np.asarray(x, np.float32) for x in (mean, deviation))
  # A few melodies are soon known.
  batches = -(-len(mean) // hparams.batch_size)
  hparams = dataclasses.replace(
    hparams, num_steps=min(hparams.num_steps, _MAX_EPOCHS * batches)
  )
  centre = mean.mean(axis=0)
  noise = hparams.posterior_noise * deviation
  scale = np.sqrt(mean.var(axis=0) + np.square(noise).mean(axis=0) + 1e-6)
  learner = _Learner(
    prior.initial_weights(mean.shape[1], hparams.units, hparams.blocks, seed),
    hparams,
  )
  steps = range(hparams.num_steps)
  for step in progress(steps) if progress else steps:
    rng = np.random.default_rng([seed, step])
    index = rng.integers(len(mean), size=hparams.batch_size)
    drawn = rng.standard_normal([3, len(index), mean.shape[1]], np.float32)
    vectors = mean[index] + noise[index] * drawn[0]
    time = rng.random([len(index), 1], np.float32)
    learner.step(step, (vectors - centre) / scale, drawn[1], time)
  return prior.Prior(
    {name: value.numpy() for name, value in learner.average.items()},
    centre,
    scale,
    fingerprint,
    hparams.ode_steps,
  )


class _Learner:
  """The network, its optimizer and the mean of its updates."""

  def __init__(
    self,
    weights: Mapping[str, npt.NDArray[np.float32]],
    hparams: configuration.PriorHparams,
  ) -> None:
    self._hparams = hparams
    self._weights = {k: tf.Variable(v, name=k) for k, v in weights.items()}
    self.average = {k: tf.Variable(v) for k, v in weights.items()}
    self._names = sorted(weights)
    self._moments = [
      [tf.Variable(tf.zeros_like(weights[k])) for _ in range(2)]
      for k in self._names
    ]

  def step(
    self,
    step: int,
    vectors: npt.NDArray[np.float32],
    noise: npt.NDArray[np.float32],
    time: npt.NDArray[np.float32],
  ) -> None:
    """One update; the rate rises over 200 steps and falls to zero."""
    h = self._hparams
    rate = h.learning_rate * min(1.0, (step + 1) / 200)
    rate *= 0.5 * (1.0 + np.cos(np.pi * step / h.num_steps))
    self._update(
      tf.constant(vectors),
      tf.constant(noise),
      tf.constant(time),
      tf.constant(rate, tf.float32),
      tf.constant(step + 1.0, tf.float32),
    )

  @tf.function(jit_compile=True)
  def _update(
    self,
    vectors: tf.Tensor,
    noise: tf.Tensor,
    time: tf.Tensor,
    rate: tf.Tensor,
    count: tf.Tensor,
  ) -> tf.Tensor:
    """Adam with decoupled weight decay."""
    variables = [self._weights[name] for name in self._names]
    with tf.GradientTape() as tape:
      x = (1.0 - time) * noise + time * vectors
      error = _velocity(self._weights, x, time) - (vectors - noise)
      loss = tf.reduce_mean(tf.square(error))
    gradients = tape.gradient(loss, variables)
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    averaging = tf.minimum(_AVERAGING, count / (10.0 + count))
    for name, gradient, (m, v) in zip(self._names, gradients, self._moments):
      variable = self._weights[name]
      m.assign(0.9 * m + 0.1 * gradient)
      v.assign(0.99 * v + 0.01 * tf.square(gradient))
      moved = m / (1.0 - 0.9**count)
      moved /= tf.sqrt(v / (1.0 - 0.99**count)) + 1e-8
      if name.endswith('kernel'):
        moved += self._hparams.weight_decay * variable
      variable.assign_sub(rate * moved)
      average = self.average[name]
      average.assign_sub((1.0 - averaging) * (average - variable))
    return loss


def _velocity(
  weights: dict[str, tf.Variable], x: tf.Tensor, time: tf.Tensor
) -> tf.Tensor:
  """`prior.velocity`, differentiable, each row at a time of its own."""
  angles = time * tf.constant(prior.FREQUENCIES / 4.0, tf.float32)
  features = tf.concat([time, tf.cos(angles), tf.sin(angles)], axis=1)

  def normed(h: tf.Tensor) -> tf.Tensor:
    return h * tf.math.rsqrt(
      tf.reduce_mean(tf.square(h), axis=1, keepdims=True) + 1e-6
    )

  h = x @ weights['in/kernel'] + weights['in/bias']
  h += features @ weights['time/kernel']
  for i in range(prior.num_blocks(weights)):
    scope = f'block_{i}/'
    y = normed(h) @ weights[scope + 'in/kernel'] + weights[scope + 'in/bias']
    y += features @ weights[scope + 'time/kernel']
    h += tf.nn.silu(y) @ weights[scope + 'out/kernel']
  return normed(h) @ weights['out/kernel'] + weights['out/bias']
