"""The order in which bars are played: repeats, endings, and jumps by words."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import re

# Marks of a bar: the jumps after it, and what they lead to or end with.
DA_CAPO, DAL_SEGNO = 'D.C. jump', 'D.S. jump'
SEGNO, TO_CODA, CODA, FINE = 'segno', 'to coda', 'coda', 'fine'
AL_FINE, AL_CODA = 'al fine', 'al coda'

_MAX_PASSES, _MAX_JUMPS = 32, 8
_WORDS = {
  DA_CAPO: r'd\.?\s?c\b|da\s?capo\b',
  DAL_SEGNO: r'd\.?\s?s\b|dal\s?segno\b',
  FINE: r'fine\W*$',
  TO_CODA: r'to\s?coda\b',
  CODA: r'coda\W*$',
  AL_FINE: r'd.*\bfine\b',
  AL_CODA: r'd.*\bcoda\b',
}


@dataclasses.dataclass
class Signs:
  """What a bar says of the order in which bars are played.

  Attributes:
    forward: whether a repeat begins with it.
    times: how often what ends with it is played; 0 without a repeat.
    endings: the passes that it is played in; empty for all.
    closes: whether a repeat after it does not go back beyond it.
    marks: which of the marks above stand in it.
  """

  forward: bool = False
  times: int = 0
  endings: frozenset[int] = frozenset()
  closes: bool = False
  marks: set[str] = dataclasses.field(default_factory=set)


def together(parts: Sequence[Signs]) -> Signs:
  """The signs of a bar, some of which stand in one part for all."""
  return Signs(
    any(part.forward for part in parts),
    max(part.times for part in parts),
    next((part.endings for part in parts if part.endings), frozenset()),
    any(part.closes for part in parts),
    set().union(*(part.marks for part in parts)),
  )


def said_by(words: str) -> set[str]:
  """The marks that words above the music stand for, as `D.S. al Coda`."""
  return {
    mark
    for mark, pattern in _WORDS.items()
    if re.match(pattern, words.strip(), re.IGNORECASE)
  }


def passes(numbers: str) -> frozenset[int]:
  """The passes that an ending names, as `1, 2` or `1-3`."""
  found: set[int] = set()
  for first, last in re.findall(r'(\d+)(?:\s*-\s*(\d+))?', numbers):
    found |= set(range(int(first), min(int(last or first), _MAX_PASSES) + 1))
  return frozenset(found)


def as_played(bars: Sequence[Signs]) -> tuple[list[int], list[str]]:
  """Bars in the order in which they are played.

  A jump is taken after its bar has been played as often as repeats ask for.
  From then on repeats are not taken, and last endings are, until the bar of the
  jump is passed; where a Fine or the way to a coda stands, that is taken.

  Args:
    bars: what each of them says.

  Returns:
    `(order, jumps)`: numbers of bars, from 0; and the marks of the jumps that
    lead nowhere.
  """
  full = list(_with_repeats(bars))
  once = list(_with_repeats(bars, last_pass=True))
  played: list[int] = []
  rest, left = full, []
  jumps = [
    (i, jump)
    for i, bar in enumerate(bars)
    for jump in (DA_CAPO, DAL_SEGNO)
    if jump in bar.marks
  ]
  left += [jump for _, jump in jumps[_MAX_JUMPS:]]
  for i, jump in jumps[:_MAX_JUMPS]:
    if i not in rest:
      continue
    target: int | None = 0
    if jump == DAL_SEGNO:
      signs = [k for k in range(i + 1) if SEGNO in bars[k].marks]
      target = max(signs, default=None)
    if target is None:
      left.append(jump)
      continue
    done = len(rest) - rest[::-1].index(i)
    played += rest[:done]
    again = [k for k in once if target <= k <= i]
    rest = _until_its_end(bars, bars[i].marks, again, full) or [
      *again,
      *(k for k in full if k > i),
    ]
  return played + rest, left


def _until_its_end(
  bars: Sequence[Signs], jump: set[str], again: list[int], full: list[int]
) -> list[int]:
  """What is played after a jump that ends early; empty if it does not.

  Args:
    bars: all of them.
    jump: the marks of the jump's bar.
    again: what is played after it to the bar it stands in.
    full: all bars with their repeats.
  """
  codas = [k for k, bar in enumerate(bars) if CODA in bar.marks]
  ways = {k for k, bar in enumerate(bars) if TO_CODA in bar.marks}
  ways = ways or set(codas[:-1])  # Two signs, and no words.
  for number, k in enumerate(again):
    if FINE in bars[k].marks and AL_CODA not in jump:
      return again[: number + 1]
    coda = next((c for c in codas if c > k and c not in ways), None)
    if k in ways and coda is not None and AL_FINE not in jump:
      return again[: number + 1] + [c for c in full if c >= coda]
  return []


def _with_repeats(
  bars: Sequence[Signs], last_pass: bool = False
) -> Iterator[int]:
  """Numbers of the bars with their repeats, or the last pass of each alone.

  A repeat goes back to its start mark or, where there is none, to the end of
  the repeat or last ending before it, or to a Fine after the first repeat; in
  ABC, as abc2midi plays it, also to a double bar line.
  """
  start, was_repeated = 0, False
  for i, bar in enumerate(bars):
    was_repeated |= bar.times > 0
    last = i + 1 == len(bars)
    endings_end = bar.endings and (last or not bars[i + 1].endings)
    begins_next = not last and bars[i + 1].forward
    repeated = bar.times and not bar.endings
    closes = bar.closes or FINE in bar.marks
    closed = closes and was_repeated and not bars[start].forward
    if last or endings_end or begins_next or repeated or closed:
      yield from _repeated(bars, range(start, i + 1), last_pass)
      start = i + 1


def _repeated(
  bars: Sequence[Signs], section: range, last_pass: bool
) -> Iterator[int]:
  """The bars of a section as often as it is played."""
  times = max(bars[i].times for i in section)
  endings = [number for i in section for number in bars[i].endings]
  count = min(max([times, *endings]), _MAX_PASSES) if times else 1
  for number in range(count if last_pass else 1, count + 1):
    for i in section:
      here = bars[i].endings
      if not times or not here or number in here:
        yield i
