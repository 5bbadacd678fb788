"""Tunes as readers give them: as notes, with their pieces, and as tokens."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import messages

if TYPE_CHECKING:
  from emotion_musicvae.files import scores

MAX_BARS = 4096  # over two hours; a damaged file may claim weeks
MAX_NOTES = 50_000  # ten seconds of reading

# Why a piece gives no tune.
UNREADABLE = messages.mark('cannot be read')
TOO_LARGE = messages.mark('too large')
TOO_LONG = messages.mark('too long')
NO_NOTES = messages.mark('without notes from MIDI 21 to 108')
DRUMS_ONLY = messages.mark('drums only')
NOT_QUADRUPLE = messages.mark('not in 4/4')
NOT_PLAYABLE = messages.mark('in a metre that the model cannot play')


@dataclasses.dataclass(frozen=True)
class Tune:
  """A monophonic tune whose first full bar starts at time zero.

  Attributes:
    name: the piece that it comes from, `collection/file#number title`; the
      melodies of one piece share it.
    notes: [N, 3] float32 of onset and duration in quarter notes and MIDI
      pitch, in order of onset. The notes of a pick-up have negative onsets.
    quarters: length of one verse in quarter notes, without the pick-up.
    stretched: whether it is in three as it is written; see
      `metres.Metre.in_four`.
  """

  name: str
  notes: npt.NDArray[np.float32]
  quarters: float
  stretched: bool = False


@dataclasses.dataclass(frozen=True)
class Refusal:
  """A piece that gives no tune.

  Attributes:
    name: the piece, as in `Tune`.
    reason: `UNREADABLE`, `TOO_LARGE`, `TOO_LONG`, `NO_NOTES`, `DRUMS_ONLY`,
      `NOT_QUADRUPLE` or `NOT_PLAYABLE`.
    detail: what was met where it cannot be read, how much is too much, or the
      metres.
  """

  name: str
  reason: str
  detail: str = ''


@dataclasses.dataclass(frozen=True)
class Piece:
  """A piece of music and the tunes in it.

  Attributes:
    name: as in `Tune`.
    tunes: at least one `Tune`.
    score: all its voices, as its reader gives them.
  """

  name: str
  tunes: tuple[Tune, ...]
  score: 'scores.Score'


def too_long(name: str, notes: int, quarters: float) -> Refusal | None:
  """The `Refusal` of more music than a piece has, or None.

  Args:
    name: the piece.
    notes: how many notes it has.
    quarters: its length in quarter notes.
  """
  if notes > MAX_NOTES:
    detail = messages.say('more than {count:,} notes', count=MAX_NOTES)
    return Refusal(name, TOO_LONG, detail)
  if not quarters <= melody.BEATS_PER_BAR * MAX_BARS:
    detail = messages.say('more than {count:,} bars', count=MAX_BARS)
    return Refusal(name, TOO_LONG, detail)
  return None


def unreadable(name: str, error: Exception) -> Refusal:
  """The `Refusal` of a piece that a parser could not read."""
  detail = f'{type(error).__name__}: {error}'.removesuffix(': ')
  return Refusal(name, UNREADABLE, detail)


def from_tokens(name: str, tokens: melody.Tokens) -> Tune:
  """Tokens as a tune that is as long as they are.

  Args:
    name: of its piece.
    tokens: [S] tokens.
  """
  notes = melody.notes(tokens)
  columns = [
    notes.onset / melody.STEPS_PER_QUARTER,
    notes.length / melody.STEPS_PER_QUARTER,
    notes.pitch,
  ]
  return Tune(
    name,
    np.stack(columns, axis=1).astype(np.float32),
    len(tokens) / melody.STEPS_PER_QUARTER,
  )


def verse_tokens(tune: Tune, slowdown: float = 1) -> npt.NDArray[np.uint8]:
  """One verse of a tune as tokens, its pick-up wrapped to the end.

  Args:
    tune: a `Tune` with pitches from 21 to 108.
    slowdown: factor on all times.

  Returns:
    [S] uint8 tokens, a sixteenth each; of notes on the same one the last.
  """
  verse = round(tune.quarters * slowdown * melody.STEPS_PER_QUARTER)
  starts, stops = note_steps(tune, slowdown)
  grid = np.zeros(verse, np.uint8)
  for stop in stops:
    grid[stop % verse] = melody.NOTE_OFF
  for start, stop in zip(starts, stops):
    inner = np.arange(start + 1, stop) % verse
    grid[inner] = np.where(
      grid[inner] == melody.NOTE_OFF, melody.HOLD, grid[inner]
    )
  grid[starts % verse] = (
    tune.notes[:, 2].astype(int) - melody.MIN_PITCH + melody.FIRST_ONSET
  )
  return grid


def note_steps(
  tune: Tune, slowdown: float = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
  """The steps that the notes of a tune begin and end on.

  Args:
    tune: a `Tune`.
    slowdown: factor on all times.

  Returns:
    `(starts, ends)`, [N] each, nearest sixteenths; a note has at least one.
  """
  starts = tune.notes[:, 0] * slowdown * melody.STEPS_PER_QUARTER
  ends = starts + tune.notes[:, 1] * slowdown * melody.STEPS_PER_QUARTER
  starts = np.floor(starts + 0.5).astype(int)
  stops = np.maximum(np.floor(ends + 0.5).astype(int), starts + 1)
  return starts, stops
