"""What melodies cost, as they are decoded and as the critic predicts them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.steering import losses
from emotion_musicvae.steering import networks
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import expectation
from emotion_musicvae.terms.term import Term

# Middle of the pitches, from which they are counted.
_MIDDLE = 66.0


class Objective:
  """What melodies cost, term by term, and how they are decoded to find out.

  Args:
    weights: Magenta's variables of the frozen base model, by name.
    shares: weight of each term by its name.
    temperature: softmax temperature at which melodies are decoded.
    terms: losses that give the terms, each under its name; see `losses.Loss`.
    further: terms whose bars the critic is to predict, where they say what.

  Attributes:
    names: of all terms.
    by_bar: names of those further ones whose bars the critic predicts.
  """

  def __init__(
    self,
    weights: Mapping[str, npt.NDArray[np.float32]],
    shares: Mapping[str, float],
    temperature: float,
    terms: Sequence[losses.Loss] = (losses.PitchLoss(), losses.DensityLoss()),
    further: Sequence[Term] = (),
  ) -> None:
    self.weights = {k: tf.constant(v) for k, v in weights.items()}
    self._shares = dict(shares)
    self._temperature = temperature
    self._losses = tuple(terms)
    self._further = {term.name: term for term in further if _has_bars(term)}
    self.by_bar = tuple(self._further)
    self.names = tuple(shares)

  @classmethod
  def of(
    cls,
    weights: Mapping[str, npt.NDArray[np.float32]],
    hparams: configuration.LearnerHparams,
    further: Sequence[Term] = (),
  ) -> Objective:
    """The paper's losses and further terms, in the shares of the settings."""
    of_paper = (losses.PitchLoss(), losses.DensityLoss())
    shares = {
      name: getattr(hparams, name) for loss in of_paper for name in loss.names
    }
    shares |= {term.name: hparams.further * term.share for term in further}
    return cls(
      weights,
      shares,
      hparams.temperature,
      (*of_paper, *(losses.TargetLoss(term) for term in further)),
      further,
    )

  def decode(
    self, z: tf.Tensor, uniform: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Melodies of latent vectors, as drawn and as expected.

    Args:
      z: [B, Z] latent vectors.
      uniform: [B, 256] from `hierdec.uniform`.

    Returns:
      `(tokens, probabilities)`: [B, 256] tokens, drawn with every bar begun as
      if the last note of the one before went on (see `hierdec.sample`); and
      [B, 256, 90] probabilities of each token given those before it, through
      which the gradient goes back to `z`.
    """
    tokens = tf.stop_gradient(
      hierdec.sample(self.weights, z, self._temperature, uniform, max_passes=1)
    )
    logits = hierdec.teacher_forced_logits(self.weights, z, tokens)
    return tokens, tf.nn.softmax(logits / self._temperature)

  def measure(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """Each term, [B] by name.

    Args:
      probabilities: [B, 256, 90] float, rows summing to 1.
      condition: of B melodies.
    """
    heard = tf.cast(condition.metrical_weight, tf.float32) > metres.UNHEARD
    # Elsewhere the decoder is made to play on what sounds.
    probabilities = tf.where(
      heard[..., None],
      probabilities,
      tf.one_hot(melody.HOLD, melody.NUM_TOKENS),
    )
    return _merged(loss(probabilities, condition) for loss in self._losses)

  def predict(
    self,
    critic: networks.Critic,
    z: tf.Tensor,
    condition: conditions.Condition,
  ) -> dict[str, tf.Tensor]:
    """Each term as the critic predicts it, [B] by name.

    Args:
      critic: what predicts each bar's measures.
      z: [B, Z] latent vectors.
      condition: of B melodies.
    """
    bars = critic.predict(hierdec.bar_embeddings(self.weights, z))
    onsets = bars.onsets[..., None] * tf.exp(bars.log_classes)
    number = tf.reduce_sum(bars.onsets, axis=[2, 3])  # [B, 16]
    predicted = losses.Predicted(
      tf.reshape(onsets, [len(z), 2 * melody.NUM_BARS, 2, 12]),
      tf.reduce_sum(number * bars.mean_pitch, axis=1)
      / tf.reduce_sum(number, axis=1),
      expectation.per_pair(bars.repeats, number),
      expectation.per_pair(bars.steps, number),
      tf.exp(bars.log_energy),
      tf.reduce_mean(number, axis=1),
      number,
      {
        name: bars.further[..., i] * self._further[name].bar_scale
        for i, name in enumerate(self.by_bar)
      },
    )
    return _merged(
      loss.of_predicted(predicted, condition) for loss in self._losses
    )

  def cost(self, terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """[B] weighted sum of those [B] terms that are there."""
    names = [name for name in self._shares if name in terms]
    shares = tf.constant([self._shares[name] for name in names])
    stacked = tf.stack([terms[name] for name in names], axis=1)
    # A melody far off must not outweigh the rest of the batch.
    return tf.reduce_sum(shares * _soft(stacked), axis=1)

  def describe(
    self, z: tf.Tensor, probabilities: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    """What the critic learns to predict of melodies, and from what.

    Args:
      z: [B, Z] latent vectors.
      probabilities: [B, 256, 90] of what the decoder makes of them.

    Returns:
      Dictionary of [B, 16, ...] tensors, as `replay.Replay` holds them.
    """
    embeddings = hierdec.bar_embeddings(self.weights, z)  # [16, B, E]
    onsets = expectation.expected_onsets(probabilities)  # [B, 256, 88]
    pitch_class = tf.one_hot(melody.PITCHES.astype(np.int32) % 12, 12)
    by_bar = [-1, melody.NUM_BARS, melody.STEPS_PER_BAR]
    classes = tf.reshape(  # [B, 16, half bars, beats, sixteenths, 12]
      onsets @ pitch_class,
      [-1, melody.NUM_BARS, 2, 2, melody.STEPS_PER_QUARTER, 12],
    )
    classes = tf.stack(
      [
        tf.reduce_sum(classes[:, :, :, :, 0], axis=3),
        tf.reduce_sum(classes[:, :, :, :, 1:], axis=[3, 4]),
      ],
      axis=3,
    )
    number = tf.reduce_sum(  # [B, 16]
      tf.reshape(onsets, [*by_bar, melody.NUM_PITCHES]), axis=[2, 3]
    )
    above = tf.reshape(onsets @ (melody.PITCHES[:, None] - _MIDDLE), by_bar)
    repeats, steps = (
      tf.reduce_sum(tf.reshape(x, by_bar), axis=2)
      for x in expectation.expected_motion(probabilities)
    )
    energy = expectation.span_energy(probabilities, 1)
    return {
      'embeddings': tf.transpose(embeddings, [1, 0, 2]),
      'classes': classes,  # [B, 16, 2, 2, 12], on the beat and off it
      'mean_pitch': _MIDDLE + tf.reduce_sum(above, axis=2) / (number + 1e-6),
      'repeats': repeats,
      'steps': steps,
      'log_energy': tf.math.log(energy + losses.ENERGY_FLOOR),
      **self._describe_further(probabilities),
    }

  def _describe_further(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """[B, 16, K] what further terms measure, in units of each, if there are."""
    bars = [
      (term.by_bar(probabilities), term.bar_scale)
      for term in self._further.values()
    ]
    values = [x / scale for x, scale in bars if x is not None]
    return {'further': tf.stack(values, axis=2)} if values else {}


def _has_bars(term: Term) -> bool:
  """Whether a term says what the critic is to predict."""
  return type(term).by_bar is not Term.by_bar


def _merged(parts: Iterable[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
  return {name: term for part in parts for name, term in part.items()}


def _soft(squared: tf.Tensor) -> tf.Tensor:
  """Squares near zero, growing like the distance further out."""
  return tf.sqrt(1.0 + squared) * 2.0 - 2.0
