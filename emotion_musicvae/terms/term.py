"""One measure of a melody that can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

if typing.TYPE_CHECKING:
  import tensorflow as tf

# Either side of a term: what is measured of tokens or expected of
# probabilities.
Values = typing.TypeVar('Values')


class Term:
  """What is measured of a melody, and what missing a target costs.

  A subclass says what it is called and gives `measure` and `expected`; the rest
  has defaults. It neither depends on the key nor knows of any model. Its
  docstring says what it measures and where the measure is from.

  Attributes:
    name: what it is asked for by; small letters, digits and underscores.
    korean: the same in Korean, for a page; its name where there is none.
    unit: what its values are counted in.
    low: the smallest value that may be asked for.
    high: the largest.
    tolerance: how far from its target a melody may lie to meet it.
    share: of the actor's loss, beside the terms of the paper.
    bar_scale: how large what `by_bar` gives is, so that the critic learns it as
      well as the rest.
    size: values a melody; those of one are [B], of more [B, size].
  """

  name: str = ''
  korean: str = ''
  unit: str = ''
  low: float = 0.0
  high: float = 1.0
  tolerance: float = 0.1
  share: float = 1.0
  bar_scale: float = 1.0
  size: int = 1

  def measure(self, tokens: melody.Tokens) -> npt.NDArray[typing.Any]:
    """What melodies measure, exactly, and finite also where there is no note.

    Args:
      tokens: [B, 256] tokens.

    Returns:
      [B] floats, or [B, size].
    """
    raise NotImplementedError

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    """The same of melodies still to be drawn; differentiable.

    Args:
      probabilities: [B, 256, 90] of the tokens, rows summing to 1.

    Returns:
      What `measure` gives, of the same shape; equal to it on one-hot input.
    """
    raise NotImplementedError

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor | None:
    """What the critic is to predict of each bar, [B, 16]; None of nothing.

    Args:
      probabilities: as `expected` takes them.
    """
    return None

  def of_bars(self, bars: tf.Tensor, notes: tf.Tensor) -> tf.Tensor:
    """The measure of what `by_bar` gives, as the critic predicts it.

    Args:
      bars: [B, 16].
      notes: [B, 16] notes that begin in each bar, predicted as well.

    Returns:
      What `expected` gives; the mean of the bars unless a subclass knows
      better.
    """
    import tensorflow as tf

    return tf.reduce_mean(bars, axis=1)

  def cost(self, measured: typing.Any, target: typing.Any) -> typing.Any:
    """What missing a target costs, value by value.

    Args:
      measured: arrays or tensors, as `measure` or `expected` gives them.
      target: of the same shape.

    Returns:
      From 0; 1 at twice the tolerance, unless a subclass says otherwise.
    """
    return ((measured - target) / (2.0 * self.tolerance)) ** 2

  def excess(
    self, measured: melody.Floats, target: melody.Floats
  ) -> npt.NDArray[np.float64]:
    """How far melodies lie outside the tolerance, in tolerances.

    Args:
      measured: [B, size].
      target: [B, size].

    Returns:
      [B], 0 where it is met.
    """
    away = np.abs(np.asarray(measured) - target) / self.tolerance
    return np.asarray(np.maximum(away - 1.0, 0.0).max(axis=1))

  def parse(self, text: str) -> tuple[float, ...]:
    """A target as a user writes it.

    Returns:
      As many numbers as the term has values.

    Raises:
      UserError: none of its range.
    """
    try:
      value = float(text)
    except ValueError:
      value = float('nan')
    if not self.low <= value <= self.high:
      raise UserError(
        'target',
        messages.say(
          '{name}: expected {low:g} to {high:g}, got {value!r}',
          name=self.name,
          low=self.low,
          high=self.high,
          value=text,
        ),
      )
    return (value,) * self.size

  def told(
    self, values: Sequence[float] | npt.NDArray[typing.Any]
  ) -> float | str:
    """A target or a measure, [size] values, as it is told."""
    return float(values[0])

  def returning(
    self,
    target: Sequence[float],
    returning: npt.NDArray[np.int64],
    chord_tone_weights: melody.Floats,
  ) -> npt.NDArray[np.int64]:
    """Which bars are to return, where a target says so; as they do else.

    Args:
      target: [size].
      returning: [16], see `adaptation.returning_bars`.
      chord_tone_weights: [256, 12] of the chords asked for.
    """
    return returning

  def revise(
    self, tokens: melody.Tokens, target: melody.Floats
  ) -> melody.Tokens:
    """Melodies brought nearer to a target by a rule, should there be one.

    Before they are adapted to density, register and chords. What is left to do
    is found by trying, see `steering.plans`.

    Args:
      tokens: [B, 256] tokens.
      target: [B, size].

    Returns:
      [B, 256] tokens.
    """
    return tokens


def columns(values: typing.Any, term: Term) -> npt.NDArray[np.float64]:
  """[B, size] of what `Term.measure` gives."""
  return np.reshape(np.asarray(values, np.float64), [-1, term.size])
