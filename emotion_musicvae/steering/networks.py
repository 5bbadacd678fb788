"""The actor and the critic."""

from __future__ import annotations

from collections.abc import Sequence
import typing

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.support import configuration
from emotion_musicvae.terms.term import Term

HIDDEN_LAYERS = 3


class Bars(typing.NamedTuple):
  """What each bar of a melody is predicted to measure.

  Attributes:
    log_classes: [B, 16, 2, 2, 12] log probability of a note's pitch class, by
      half bar, on the beat and off it.
    onsets: [B, 16, 2, 2] notes that begin there.
    mean_pitch: [B, 16] MIDI, of the notes that begin in a bar.
    repeats: [B, 16] notes that repeat the one before.
    steps: [B, 16] notes a step from the one before.
    log_energy: [B, 16] natural log of the spectrogram energy of a frame.
    further: [B, 16, K] what further terms measure, in units of each.
  """

  log_classes: tf.Tensor
  onsets: tf.Tensor
  mean_pitch: tf.Tensor
  repeats: tf.Tensor
  steps: tf.Tensor
  log_energy: tf.Tensor
  further: tf.Tensor


class Mlp(tf.Module):
  """Dense layers with swish between them.

  Args:
    sizes: width of the input, of each hidden layer and of the output.
    rng: numpy Generator of the He-normal kernels.
    final_scale: factor on the last kernel.
    prefix: prefix of the variables' names.
  """

  def __init__(
    self,
    sizes: Sequence[int],
    rng: np.random.Generator,
    final_scale: float,
    prefix: str,
  ) -> None:
    super().__init__()
    self._layers: list[tuple[tf.Variable, tf.Variable]] = []
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
      scale = np.sqrt(2.0 / fan_in)
      if i == len(sizes) - 2:
        scale *= final_scale
      kernel = rng.normal(0.0, scale, [fan_in, fan_out]).astype(np.float32)
      self._layers.append(
        (
          tf.Variable(kernel, name=f'{prefix}/dense_{i}/kernel'),
          tf.Variable(tf.zeros([fan_out]), name=f'{prefix}/dense_{i}/bias'),
        )
      )

  def __call__(self, x: tf.Tensor) -> tf.Tensor:
    """[..., first size] to [..., last size]."""
    for kernel, bias in self._layers[:-1]:
      x = tf.nn.swish(x @ kernel + bias)
    kernel, bias = self._layers[-1]
    return x @ kernel + bias


class Actor(tf.Module):
  """Moves latent vectors towards a condition.

  Each dimension goes part of the way to a new value,
  `z' = (1 - g) z + g dz` with the gate g in (0, 1), as in Latent Constraints
  (Engel, Hoffman and Roberts 2017, arXiv 1711.05772), so that what the
  condition does not need stays as it was.

  Args:
    z_size: size of the latent vector.
    condition_size: size of the condition's features.
    units: width of the hidden layers.
    rng: numpy Generator of the initial kernels.
    terms: names of the further terms that the features say the targets of.

  Attributes:
    terms: those names.
  """

  def __init__(
    self,
    z_size: int,
    condition_size: int,
    units: int,
    rng: np.random.Generator,
    terms: Sequence[str] = (),
  ) -> None:
    super().__init__(name='actor')
    self.terms = tuple(terms)
    self._mlp = Mlp(
      [z_size + condition_size, *[units] * HIDDEN_LAYERS, 2 * z_size],
      rng,
      final_scale=0.1,
      prefix='actor',
    )

  def __call__(self, z: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """[B, Z] latent vectors and [B, F] features to [B, Z] moved vectors."""
    out = self._mlp(tf.concat([z, features], axis=-1))
    gate, target = tf.split(out, 2, axis=-1)
    gate = tf.sigmoid(gate)
    moved = (1.0 - gate) * z + gate * target
    # The root of the mean square is 1 all over the prior, but for a few per
    # cent. Further out, and further than where it was, a melody follows any
    # condition and is music no more.
    size, before = (
      tf.sqrt(tf.reduce_mean(tf.square(x), axis=1, keepdims=True))
      for x in (moved, z)
    )
    most = tf.maximum(before, 1.0)
    return moved * tf.minimum(most / tf.maximum(size, 1e-6), 1.0)


class Critic(tf.Module):
  """Predicts of a latent vector whether it is music, and what it measures.

  The second is a prediction of what the decoded melody measures, bar by bar,
  apart from any condition; how well it meets one follows from the losses' own
  formulas. So every melody that is decoded teaches the critic about every
  condition at once, and its gradient is of use where the decoder's own is flat
  because a rhythm, once begun, continues by itself.

  Its input is what the frozen conductor says for a bar, all that the decoder
  itself will know of the bar but one token. So one small network serves all
  bars, and learns of each from all the others.

  Args:
    z_size: size of the latent vector.
    embedding_size: size of what the conductor says for a bar.
    units: width of the hidden layers.
    rng: numpy Generator of the initial kernels.
    further: how many further terms it predicts the bars of.
  """

  def __init__(
    self,
    z_size: int,
    embedding_size: int,
    units: int,
    rng: np.random.Generator,
    further: int = 0,
  ) -> None:
    super().__init__(name='critic')
    self._further = further
    self._realism = Mlp([z_size, units, units, 1], rng, 0.1, 'critic/realism')
    self._music = Mlp(
      [embedding_size, units, units, 4 * 12 + 4 + 4 + further],
      rng,
      0.1,
      'critic/music',
    )

  def realism(self, z: tf.Tensor) -> tf.Tensor:
    """[B] logit that `z` comes from real music. Blind to the condition.

    A critic that saw the condition could tell real vectors by their not meeting
    it, and would reward the actor for missing.
    """
    return self._realism(z)[:, 0]

  def predict(self, embeddings: tf.Tensor) -> Bars:
    """What each bar of a melody will measure.

    Args:
      embeddings: [16, B, E] from `hierdec.bar_embeddings`.

    Returns:
      `Bars` of logits and values, see there.
    """
    out = tf.transpose(self._music(embeddings), [1, 0, 2])  # [B, 16, 56 + K]
    classes, onsets, pitch, repeats, steps, energy, further = tf.split(
      out, [48, 4, 1, 1, 1, 1, self._further], axis=2
    )
    shape = [-1, melody.NUM_BARS, 2, 2]
    return Bars(
      tf.nn.log_softmax(tf.reshape(classes, [*shape, 12])),
      tf.nn.softplus(tf.reshape(onsets, shape)),
      66.0 + 6.0 * pitch[..., 0],
      tf.nn.softplus(repeats[..., 0]),
      tf.nn.softplus(steps[..., 0]),
      energy[..., 0] - 1.0,
      further,
    )


class Networks(typing.NamedTuple):
  """What is learned; built where the learner's strategy places variables."""

  actor: Actor
  critic: Critic
  actor_optimizer: tf.keras.optimizers.Optimizer
  critic_optimizer: tf.keras.optimizers.Optimizer


def make(
  z_size: int,
  embedding_size: int,
  hparams: configuration.LearnerHparams,
  seed: int,
  terms: Sequence[Term] = (),
  predicted: int = 0,
) -> Networks:
  """The default networks, and an Adam for each.

  Args:
    z_size: size of the latent vector.
    embedding_size: size of what the conductor says for a bar.
    hparams: widths and learning rates.
    seed: of the initial kernels.
    terms: further ones that the actor is told the targets of.
    predicted: of how many of them the critic predicts the bars.
  """
  h, rng = hparams, np.random.default_rng(seed)
  learned = Networks(
    Actor(
      z_size,
      conditions.num_features(terms),
      h.units,
      rng,
      [term.name for term in terms],
    ),
    Critic(z_size, embedding_size, h.critic_units, rng, predicted),
    tf.keras.optimizers.Adam(
      tf.keras.optimizers.schedules.ExponentialDecay(
        h.learning_rate, 1, h.decay_rate
      ),
      0.9,
      0.99,
    ),
    tf.keras.optimizers.Adam(h.critic_learning_rate, 0.5, 0.9),
  )
  learned.actor_optimizer.build(learned.actor.trainable_variables)
  learned.critic_optimizer.build(learned.critic.trainable_variables)
  return learned
