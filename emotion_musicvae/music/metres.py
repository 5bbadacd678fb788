"""Metres: how many sixteenth steps a bar has, and where its beats are.

The model's bars have 16 steps and nothing else. A bar of 3/4 is the first
twelve of one, and the rest is never heard; one of 9/8 takes two, cut at a beat;
two of 2/4 share one. `heard` and `weights` say so of its 256 steps.
"""

import functools
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import messages

_STEPS_PER_WHOLE = 16
# What `weights` gives where nothing is heard, and where a beat begins.
UNHEARD, BEAT = -1, 2


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
  def bars_per_model_bar(self) -> int:
    """How many of its bars share one of the model's; 1 where it takes two."""
    return max(1, melody.STEPS_PER_BAR // self.bar_steps)

  @property
  def model_bars(self) -> tuple[int, ...]:
    """Steps that are heard of each of the model's bars that a bar takes.

    Of the one that several share it is all of theirs. A bar is cut at a beat.
    """
    together = self.bars_per_model_bar * self.bar_steps
    if together <= melody.STEPS_PER_BAR:
      return (together,)
    beats = melody.STEPS_PER_BAR // self.beat_steps
    first = beats * self.beat_steps
    return (first, self.bar_steps - first)

  @property
  def bars_per_window(self) -> int:
    """How many of its bars the model's 16 have room for: 8, 16 or more."""
    bars = melody.NUM_BARS // len(self.model_bars)
    return bars * self.bars_per_model_bar

  @property
  def middle(self) -> int:
    """The step on which the second of two chords begins, on a beat.

    In three beats it is the last of them.
    """
    beats = self.bar_steps // self.beat_steps
    return (beats + 1) // 2 * self.beat_steps

  @property
  def is_triple(self) -> bool:
    """Whether a bar is one, two or four groups of three units."""
    return self.numerator in (3, 6, 12)

  def in_four(self, quarters: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Times of a triple metre as they are in four.

    The first of three units takes the time of two, as where a jig is played as
    a reel, so that a bar becomes one, two or four of 4/4, or half of one.

    Args:
      quarters: [N] quarter notes from a bar line.

    Returns:
      [N] float64 quarter notes from it.
    """
    unit = self.unit_steps / melody.STEPS_PER_QUARTER
    group, rest = np.divmod(np.asarray(quarters, np.float64), 3 * unit)
    return 4 * unit * group + np.minimum(rest, unit) + rest

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

  def weights(self) -> npt.NDArray[np.int64]:
    """[256] how much each of the model's steps weighs in its bar.

    4 at the bar line, 3 at the middle of four beats, `BEAT` at other beats, 1
    where a beat is divided, 0 where that is; `UNHEARD` where nothing is heard.
    In 2/2 and 3/2 quarters count as beats.
    """
    return _weights(self)

  def heard(self) -> npt.NDArray[np.bool_]:
    """[256] which of the model's steps are heard."""
    return _weights(self) > UNHEARD


QUADRUPLE = Metre(4, 4)  # what the model has learned
# In which melodies are composed, and songs taken.
PLAYABLE = tuple(
  Metre(*both)
  for both in (
    *((2, 2), (3, 2), (4, 2)),
    *((2, 4), (3, 4), (4, 4), (6, 4)),
    *((3, 8), (6, 8), (9, 8), (12, 8)),
  )
)


def parse(text: str) -> Metre:
  """The metre that a text such as `3/4` names.

  Raises:
    ValueError: no metre, or one that melodies cannot be composed in; says which
      there are.
  """
  found = re.fullmatch(r'\s*(\d{1,2})\s*/\s*(\d{1,2})\s*', text)
  metre = Metre(*map(int, found.groups())) if found else None
  if metre is None or metre not in PLAYABLE:
    raise ValueError(
      messages.say(
        'cannot compose in {value!r}; there are {known}',
        value=text,
        known=', '.join(map(str, PLAYABLE)),
      )
    )
  return metre


@functools.lru_cache
def _weights(metre: Metre) -> npt.NDArray[np.int64]:
  beat = metre.beat_steps
  if not metre.is_compound:
    beat = min(beat, melody.STEPS_PER_QUARTER)
  bar = np.zeros(metre.bar_steps, int)
  bar[:: metre.unit_steps if metre.is_compound else max(beat // 2, 1)] = 1
  bar[::beat] = BEAT
  if metre.bar_steps % (4 * beat) == 0:
    bar[metre.bar_steps // 2] = 3
  bar[0] = 4
  result = np.full([melody.NUM_BARS, melody.STEPS_PER_BAR], UNHEARD)
  heard = np.concatenate([bar] * metre.bars_per_model_bar)
  begun = 0
  for number, steps in enumerate(metre.model_bars):
    result[number :: len(metre.model_bars), :steps] = heard[
      begun : begun + steps
    ]
    begun += steps
  result.setflags(write=False)
  return result.reshape(-1)
