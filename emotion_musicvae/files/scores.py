"""Music as its parts, notes and bars, whatever kind of file it comes from.

Every reader gives a `Score`; what is in one metre of it is found, and laid on a
grid, here alone.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages

Notes = npt.NDArray[np.float64]

ONSET, DURATION, PITCH, STAFF = range(4)  # columns of a part's notes
NO_NOTES: Notes = np.zeros([0, 4])
_SLACK = 1e-3  # quarter notes; thirds of them are no floats


class Bar(NamedTuple):
  """A bar as it is played: one that is repeated is there twice.

  Attributes:
    start: quarter notes from the start of the music.
    number: as the file counts it.
    metre: numerator and denominator; None where there is none.
  """

  start: float
  number: int
  metre: tuple[int, int] | None

  @property
  def quarters(self) -> float:
    """What the metre asks of it; 0 where there is none."""
    return 4.0 * self.metre[0] / self.metre[1] if self.metre else 0.0

  @property
  def metre_text(self) -> str:
    """As `4/4`."""
    if not self.metre:
      return messages.say('no metre')
    return f'{self.metre[0]}/{self.metre[1]}'

  @property
  def is_quadruple(self) -> bool:
    """Whether bars like it fill bars of four quarters."""
    return self.quarters in (2.0, 4.0, 8.0)

  @property
  def grid(self) -> metres.Metre | None:
    """The metre of the grid that it is laid on; None where there is none."""
    if self.is_quadruple:
      return metres.QUADRUPLE
    metre = metres.Metre(*self.metre) if self.metre else None
    return metre if metre in metres.PLAYABLE else None


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
  """What one instrument plays.

  Attributes:
    title: what to call it, with the number that `--track` takes.
    name: what the file calls it.
    notes: [N, 4] float64 of onset and duration in quarter notes, MIDI pitch and
      staff from 1 on, in order of onset.
    is_drum: whether its pitches are none.
    unplayed: how many there are of each thing that is written but not played
      in a melody, as `{'grace note': 2}`.
  """

  title: str
  name: str = ''
  notes: Notes = dataclasses.field(default_factory=lambda: NO_NOTES)
  is_drum: bool = False
  unplayed: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
  """A piece of music.

  Attributes:
    name: as in `tunes.Tune`.
    parts: as the file counts them, those without notes too.
    bars: as played, without a gap.
    end: where the last of them ends, in quarter notes.
    tempos: `(quarter, quarter notes a minute)` of every change, in order; none
      where the file says none.
    performed: whether somebody played it, so that notes begin a little early or
      late, and how long the last one is held says nothing.
    is_repeated: whether some bars are there more than once.
  """

  name: str
  parts: tuple[Part, ...]
  bars: tuple[Bar, ...]
  end: float
  tempos: tuple[tuple[float, float], ...] = ()
  performed: bool = False
  is_repeated: bool = False


class Section(NamedTuple):
  """Successive bars on one grid, or on none.

  Attributes:
    bars: as in `Score`.
    end: where the last of them ends.
    places: where each begins on the grid, in quarter notes; 0 is the first full
      bar. Full bars begin at their multiples.
    metre: of the bars; where those of four quarters change among each other,
      4/4. None where melodies cannot be composed in it.
  """

  bars: Sequence[Bar]
  end: float
  places: tuple[float, ...]
  metre: metres.Metre | None

  @property
  def is_quadruple(self) -> bool:
    """Whether its bars fill bars of four quarters."""
    return self.metre is not None and self.metre.bar_steps in (8, 16, 32)

  @property
  def is_triple(self) -> bool:
    """Whether its bars are in three; see `metres.Metre.in_four`."""
    return self.metre is not None and self.metre.is_triple

  @property
  def length(self) -> float:
    """Quarter notes from the first full bar to the end, on the grid."""
    return self.places[-1] + self.end - self.bars[-1].start

  def place(self, notes: Notes, performed: bool) -> Notes:
    """The notes that begin in these bars, with their times on the grid.

    Args:
      notes: [N, 4], as in `Part`.
      performed: as in `Score`. What then begins just before a bar line belongs
        to the bar after it.

    Returns:
      [M, 4]
    """
    starts = np.array([bar.start for bar in self.bars])
    onsets = notes[:, ONSET]
    onsets = steps(onsets) / melody.STEPS_PER_QUARTER if performed else onsets
    inside = (onsets >= starts[0] - _SLACK) & (onsets < self.end - _SLACK)
    found = notes[inside].copy()
    ends = found[:, ONSET] + found[:, DURATION]
    shifts = np.array(self.places) - starts
    begun = np.searchsorted(starts, onsets[inside] + _SLACK, 'right') - 1
    # What ends with a bar does not reach the next.
    ended = np.searchsorted(starts, ends - _SLACK, 'right') - 1
    found[:, ONSET] += shifts[np.maximum(begun, 0)]
    found[:, DURATION] = np.maximum(
      ends + shifts[np.maximum(ended, begun)] - found[:, ONSET], 0.0
    )
    return found


def steps(quarters: npt.ArrayLike) -> npt.NDArray[np.int64]:
  """The nearest sixteenths of times in quarter notes, the later of two."""
  scaled = np.asarray(quarters) * melody.STEPS_PER_QUARTER
  return np.asarray(np.floor(scaled + 0.5).astype(np.int64))


def sections(score: Score) -> list[Section]:
  """Cuts a score where the metre changes, but among those of four quarters.

  A first bar that is shorter than the one that it leads to is its pick-up,
  whatever metre is written for it; so a last one completes it; and short bars
  in between that make up a whole one are one bar that is written as two. Where
  bars are too short otherwise, as one of 2/4 among those of 4/4, the next full
  one begins with a bar of the grid.

  Returns:
    List of `Section`, in order.
  """
  ends = [bar.start for bar in score.bars[1:]] + [score.end]
  lengths = [end - bar.start for bar, end in zip(score.bars, ends)]
  grids = list(_grids(score.bars, lengths))
  found = []
  for grid, group in itertools.groupby(range(len(grids)), grids.__getitem__):
    indices = list(group)
    bars = score.bars[indices[0] : indices[-1] + 1]
    places = tuple(_places(bars, [lengths[i] for i in indices], grid))
    own = {bar.metre for bar in bars if bar.metre and bar.is_quadruple}
    if grid == metres.QUADRUPLE and len(own) == 1:
      (metre,) = own
      if metre in metres.PLAYABLE:
        grid = metres.Metre(*metre)
    found.append(Section(bars, ends[indices[-1]], places, grid))
  return found


def qpm(score: Score, start: float, end: float) -> float | None:
  """The tempo of a stretch of music.

  The one that most of it is in, so that a count-in or a ritardando does not
  decide; the mean where it keeps changing.

  Args:
    score: a `Score`.
    start: quarter notes from the start of the music.
    end: later.

  Returns:
    Quarter notes a minute; None where the file says none.
  """
  if not score.tempos:
    return None
  times = np.array([time for time, _ in score.tempos])
  values = np.array([value for _, value in score.tempos])
  until = np.append(times[1:], np.inf)
  times[0] = -np.inf  # What is said late holds before as well.
  quarters = np.clip(np.minimum(until, end) - np.maximum(times, start), 0, None)
  if not quarters.sum():
    return float(values[np.searchsorted(times, start, 'right') - 1])
  spans: dict[float, float] = {}
  for value, length in zip(values, quarters):
    spans[value] = spans.get(value, 0.0) + length
  longest = max(spans, key=lambda value: spans[value])
  if spans[longest] >= quarters.sum() / 2:
    return float(longest)
  return float(quarters.sum() / (quarters / values).sum())


def _grids(
  bars: Sequence[Bar], lengths: Sequence[float]
) -> Iterator[metres.Metre | None]:
  """The grid that each bar is laid on; short ones go with those around them."""
  runs = [
    (grid, list(group))
    for grid, group in itertools.groupby(
      range(len(bars)), key=lambda i: bars[i].grid
    )
  ]
  for number, (grid, run) in enumerate(runs):
    alone = len(run) == 1 and number in (0, len(runs) - 1)
    total = sum(lengths[i] for i in run)
    for beside, others in (*runs[number + 1 :][:1], *runs[:number][-1:]):
      if beside is None or (grid and len(others) <= len(run)):
        continue
      full = _quarters(beside)
      whole = len(run) > 1 and abs(total - full) < _SLACK
      if all(lengths[i] < full for i in run) and (alone or whole):
        grid = beside
        break
    yield from [grid] * len(run)


def _places(
  bars: Sequence[Bar], lengths: Sequence[float], grid: metres.Metre | None
) -> Iterator[float]:
  """See `Section.places`."""
  place = 0.0
  full = _quarters(grid) if grid else bars[0].quarters
  if bars[0].grid == grid:
    full = min(full, bars[0].quarters)
  has_pick_up = len(bars) > 1 and lengths[0] < full - _SLACK
  for number, (bar, length) in enumerate(zip(bars, lengths)):
    if not number and has_pick_up:
      place = -length
    elif grid and bar.grid == grid and length >= bar.quarters - _SLACK:
      unit = min(bar.quarters, _quarters(grid))
      place = float(np.ceil(place / unit - _SLACK) * unit)
    yield place
    place += length


def _quarters(metre: metres.Metre) -> float:
  return metre.bar_steps / melody.STEPS_PER_QUARTER
