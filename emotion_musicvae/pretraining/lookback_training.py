"""Learns the weights of `lookback` from melodies that are drawn for it."""

from collections.abc import Callable
from collections.abc import Iterable
import os
import zipfile

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import lookback
from emotion_musicvae.musicvae import lstm
from emotion_musicvae.support import atomic
from emotion_musicvae.support import configuration

_AVERAGING = 0.998
_WARM_UP = 100  # updates
_KEPT_EVERY = 100


def fit(
  draw: Callable[[int], melody.Tokens],
  hparams: configuration.PriorHparams,
  seed: int,
  progress: Callable[[Iterable[int]], Iterable[int]] | None = None,
  unfinished: str | None = None,
) -> lookback.Weights:
  """Learns what melodies are like.

  Args:
    draw: gives the [B, 256] tokens of an update, counted from 0.
    hparams: `configuration.PriorHparams`.
    seed: integer; equal seeds and draws give equal weights.
    progress: wraps the iterable of updates as `tqdm` does, or None.
    unfinished: file that is written now and then, from which a call with the
      same arguments goes on where this one was broken off, and which is gone at
      the end; None to begin at the beginning.

  Returns:
    The mean of late updates, rounded to half precision, in which it is kept.
  """
  learner = _Learner(hparams, seed)
  first = learner.restore(unfinished) if unfinished else 0
  steps = range(first, hparams.num_steps)
  for step in progress(steps) if progress else steps:
    learner.step(step, draw(step))
    if unfinished and (step + 1) % _KEPT_EVERY == 0:
      learner.save(unfinished, step + 1)
  if unfinished and os.path.exists(unfinished):
    os.remove(unfinished)
  return {
    name: value.numpy().astype(np.float16).astype(np.float32)
    for name, value in learner.average.items()
  }


def surprise(weights: lookback.Weights, tokens: melody.Tokens) -> np.ndarray:
  """Nats of each token of melodies: [B, 256] for [B, 256] tokens."""
  slots, features = lookback.told(tokens[:, :-1])
  tensors = {name: tf.constant(value) for name, value in weights.items()}
  values = _surprise(
    tensors, tf.constant(slots), tf.constant(features), tf.constant(tokens)
  )
  return values.numpy()


class _Learner:
  """The network, its optimizer and the mean of its updates."""

  def __init__(self, hparams: configuration.PriorHparams, seed: int) -> None:
    self._hparams, self._seed = hparams, seed
    weights = lookback.initial_weights(hparams.units, seed)
    self._weights = {k: tf.Variable(v, name=k) for k, v in weights.items()}
    self.average = {k: tf.Variable(v) for k, v in weights.items()}
    self._names = sorted(weights)
    self._moments = {
      f'{k}/{moment}': tf.Variable(tf.zeros_like(weights[k]))
      for k in self._names
      for moment in 'mv'
    }

  def _state(self) -> dict[str, tf.Variable]:
    return {
      **{'trained/' + k: v for k, v in self._weights.items()},
      **{'average/' + k: v for k, v in self.average.items()},
      **{'moments/' + k: v for k, v in self._moments.items()},
    }

  def _recipe(self) -> npt.NDArray[np.str_]:
    return np.array(repr((self._hparams, self._seed)))

  def save(self, path: str, done: int) -> None:
    """Writes all that the next update depends on."""
    with atomic.replace_file(path) as f:
      np.savez(
        f,
        done=done,
        recipe=self._recipe(),
        **{name: value.numpy() for name, value in self._state().items()},
      )

  def restore(self, path: str) -> int:
    """Takes up what `save` wrote; how many updates are done.

    What another recipe left, or a damaged file, is begun anew.
    """
    try:
      with np.load(path, allow_pickle=False) as arrays:
        if arrays['recipe'] != self._recipe():
          return 0
        found = {name: arrays[name] for name in self._state()}
        done = int(arrays['done'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
      return 0
    for name, variable in self._state().items():
      variable.assign(found[name])
    return done

  def step(self, step: int, tokens: melody.Tokens) -> None:
    """One update; the rate rises over `_WARM_UP` steps and falls to zero."""
    h = self._hparams
    rate = h.learning_rate * min(1.0, (step + 1) / _WARM_UP)
    rate *= 0.5 * (1.0 + np.cos(np.pi * step / h.num_steps))
    slots, features = lookback.told(tokens[:, :-1])
    # Windows overlap, and a network of this size soon knows tunes by heart.
    rng = np.random.default_rng([self._seed, step, 1])
    slots[rng.random(slots.shape) < h.unheard] = lookback.NOTHING
    kept = rng.random([len(tokens), h.units]) >= h.dropout
    self._update(
      tf.constant(slots),
      tf.constant(features),
      tf.constant(tokens),
      tf.constant(kept / (1.0 - h.dropout), tf.float32),
      tf.constant(rate, tf.float32),
      tf.constant(step + 1.0, tf.float32),
    )

  @tf.function(jit_compile=True)
  def _update(
    self,
    slots: tf.Tensor,
    features: tf.Tensor,
    tokens: tf.Tensor,
    kept: tf.Tensor,
    rate: tf.Tensor,
    count: tf.Tensor,
  ) -> tf.Tensor:
    """Adam with decoupled weight decay."""
    variables = [self._weights[name] for name in self._names]
    with tf.GradientTape() as tape:
      nats = _nats(self._weights, slots, features, tokens, kept)
      loss = tf.reduce_mean(nats)
    gradients = tape.gradient(loss, variables)
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    averaging = tf.minimum(_AVERAGING, count / (10.0 + count))
    for name, gradient in zip(self._names, gradients):
      variable = self._weights[name]
      m, v = self._moments[name + '/m'], self._moments[name + '/v']
      m.assign(0.9 * m + 0.1 * gradient)
      v.assign(0.99 * v + 0.01 * tf.square(gradient))
      moved = m / (1.0 - 0.9**count)
      moved /= tf.sqrt(v / (1.0 - 0.99**count)) + 1e-8
      if len(variable.shape) > 1:
        moved += self._hparams.weight_decay * variable
      variable.assign_sub(rate * moved)
      average = self.average[name]
      average.assign_sub((1.0 - averaging) * (average - variable))
    return loss


def _nats(
  weights: dict[str, tf.Tensor],
  slots: tf.Tensor,
  features: tf.Tensor,
  tokens: tf.Tensor,
  kept: tf.Tensor | float = 1.0,
) -> tf.Tensor:
  """[B, 256] nats of each token, by what `lookback.told` gives of them.

  `kept` [B, H] is what the outputs of a melody are multiplied by.
  """
  slots = tf.transpose(slots, [1, 0, 2])  # [256, B, S]
  steps, count, _ = slots.shape
  x = lstm.token_rows(weights['embedding'], tf.reshape(slots, [steps, -1]))
  x = tf.concat(
    [
      tf.reshape(x, [steps, count, -1]),
      tf.transpose(features, [1, 0, 2]),
    ],
    axis=-1,
  )
  gates = lstm.product(x, weights['lstm/kernel']) + weights['lstm/bias']
  recurrent = weights['lstm/recurrent']
  start = tf.zeros([count, recurrent.shape[0]])
  h = lstm.layer(gates, recurrent, start, start) * kept
  logits = lstm.product(h, weights['output/kernel']) + weights['output/bias']
  again = lstm.product(h, weights['again/kernel']) + weights['again/bias']
  # What is not there yet, -1, has a row of zeros.
  lookbacks = len(lookback.LOOKBACKS)
  for k in range(lookbacks):
    logits += again[..., k, None] * tf.one_hot(
      slots[..., k - lookbacks], melody.NUM_TOKENS
    )
  nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
    tf.transpose(tokens), logits
  )
  return tf.transpose(nats)


_surprise = tf.function(_nats, jit_compile=True)
