"""Metres: how many sixteenth steps a bar has, and where its beats are."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_STEPS_PER_WHOLE = 16


class Metre(NamedTuple):
  """A metre, as 4/4 or 6/8.

  Attributes:
    numerator: units in a bar.
    denominator: what a unit is of a whole note: 1, 2, 4, 8 or 16.
  """

  numerator: int = 4
  denominator: int = 4

  def __str__(self) -> str:
    return f'{self.numerator}/{self.denominator}'

  @property
  def is_compound(self) -> bool:
    """Whether beats have three units, as in 6/8, 9/8 and 12/8."""
    return self.numerator > 3 and self.numerator % 3 == 0

  @property
  def unit_steps(self) -> int:
    """Steps of a unit."""
    return _STEPS_PER_WHOLE // self.denominator

  @property
  def beat_steps(self) -> int:
    """Steps of a beat: 4 in 4/4, 6 in 6/8."""
    return (3 if self.is_compound else 1) * self.unit_steps

  @property
  def bar_steps(self) -> int:
    """Steps of a bar: 16 in 4/4, 12 in 3/4 and 6/8, 18 in 9/8."""
    return self.numerator * self.unit_steps

  @property
  def middle(self) -> int:
    """The step on which the second of two chords begins, on a beat.

    In three beats it is the last of them.
    """
    beats = self.bar_steps // self.beat_steps
    return (beats + 1) // 2 * self.beat_steps

  def strength(self, steps: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How strong places in a bar are.

    Args:
      steps: [N] from the beginning of a bar; bars after it are like it.

    Returns:
      [N] float64: 2 for the first beat, 1 for the middle of four, 0 for other
      beats, -1 for what divides a beat, -2 for what divides that.
    """
    steps = np.asarray(steps) % self.bar_steps
    beat = self.beat_steps
    part = self.unit_steps if self.is_compound else max(beat // 2, 1)
    result = np.full(steps.shape, -2.0)
    result[steps % part == 0] = -1.0
    result[steps % beat == 0] = 0.0
    if self.bar_steps == 4 * beat:
      result[steps == 2 * beat] = 1.0
    result[steps == 0] = 2.0
    return result


QUADRUPLE = Metre(4, 4)  # what the model composes in
