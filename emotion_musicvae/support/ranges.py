"""The ranges of what a request may ask for, each written down once."""

import dataclasses
import numbers
from typing import Any

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError


@dataclasses.dataclass(frozen=True)
class Range:
  """Integers or numbers between two ends, both included.

  Attributes:
    kind: `int` or `float`.
    low: the smallest.
    high: the largest.
  """

  kind: type[int] | type[float]
  low: float
  high: float

  def check(self, argument: str, value: Any) -> None:
    """Refuses a value of another kind or outside the range.

    Args:
      argument: what to call the value in an error.
      value: an integer where the range is one of integers, else any real
        number; of numpy or of Python, but no text and no bool.

    Raises:
      UserError: names the argument and the range.
    """
    kind: Any = numbers.Integral if self.kind is int else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind):
      raise self._refusal(argument, value)
    if not self.low <= value <= self.high:
      raise UserError(
        argument,
        messages.say(
          'expected {low} to {high}, got {value}',
          low=self.low,
          high=self.high,
          value=value,
        ),
      )

  def parse(self, argument: str, value: str | float) -> int | float:
    """Reads a number, which may be text as a cell of a table is.

    Args:
      argument: what to call the value in an error.
      value: a number or its text.

    Returns:
      The number, of the range's kind.

    Raises:
      UserError: it is none (2.5 is no integer), or outside the range.
    """
    try:
      number = self.kind(value)
      whole = isinstance(value, str) or number == value
      fits = whole and self.low <= number <= self.high
    except (TypeError, ValueError, OverflowError):
      fits = False
    if not fits:
      raise self._refusal(argument, value)
    return number

  def _refusal(self, argument: str, value: object) -> UserError:
    expected = messages.mark(
      'expected a number from {low} to {high}, got {value!r}'
    )
    if self.kind is int:
      expected = messages.mark(
        'expected an integer from {low} to {high}, got {value!r}'
      )
    return UserError(
      argument,
      messages.say(expected, low=self.low, high=self.high, value=value),
    )


# A request.
NUM_OUTPUTS = Range(int, 1, 100_000)
INTERPOLATED_OUTPUTS = Range(int, 2, 100_000)  # both ends
MEASURED_OUTPUTS = Range(int, 2, 100_000)  # a spread takes two
TEMPERATURE = Range(float, 0.01, 10)
GUIDANCE = Range(float, 0.0, 1.0)
KEEP = Range(float, 0.0, 1.0)
INTENSITY = Range(float, 0, 1)
DISTANCE = Range(float, 0, 1)
UPDATES = Range(int, 0, 1000)
SEED = Range(int, 0, 2**63 - 1)
BATCH_SIZE = Range(int, 1, 1024)
VALENCE = AROUSAL = Range(float, -1, 1)

# An emotion.
MEAN_PITCH = Range(float, 21, 108)
ONSETS_PER_BAR = Range(float, 0.1, 16)
QPM = Range(float, 10, 400)
PROGRAM = Range(int, 0, 127)
LOUDNESS = Range(float, -40, -9)  # LUFS
VELOCITY = Range(float, 1, 127)
ARTICULATION = Range(float, 0.1, 1)
RULE = Range(float, 0, 4)  # how much of a rule of performance

# How a melody is played.
HUMANIZE = ROOM = Range(float, 0, 1)

# The studio.
PORT = Range(int, 0, 65535)
REQUESTS_A_MINUTE = Range(int, 1, 1_000_000)
BARS = Range(int, 1, 1024)
UPLOAD_KIB = Range(int, 1, 1 << 20)
STAFF_WIDTH = Range(int, 200, 4000)  # pixels

# A batch job.
COUNT = Range(int, 1, 10_000_000)
MAX_ERRORS = Range(int, 0, 10**12)

# Training and measuring. TensorFlow takes its seeds as 32 bits.
TRAINING_SEED = Range(int, 0, 2**31 - 1)
NUM_STEPS = Range(int, 1, 10**9)
MIN_MELODIES = Range(int, 1, 10**6)
