"""One melody as notes, as readers give it, and as tokens."""

import dataclasses

import numpy as np

from emotion_musicvae.music import melody


@dataclasses.dataclass(frozen=True)
class Tune:
  """A monophonic tune whose first full bar starts at time zero.

  Attributes:
    name: the piece that it comes from, `collection/file#number title`; the
      melodies of one piece share it.
    notes: [N, 3] float32 of onset and duration in quarter notes and MIDI
      pitch, in order of onset. The notes of a pick-up have negative onsets.
    quarters: length of one verse in quarter notes, without the pick-up.
  """

  name: str
  notes: np.ndarray
  quarters: float


def verse_tokens(tune, slowdown=1):
  """One verse of a tune as melody tokens, its pick-up wrapped to the end.

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


def note_steps(tune, slowdown):
  """[N] sixteenths that the notes of a tune begin on, and that they end on."""
  onsets = tune.notes[:, 0] * slowdown * melody.STEPS_PER_QUARTER
  ends = onsets + tune.notes[:, 1] * slowdown * melody.STEPS_PER_QUARTER
  starts = np.floor(onsets + 0.5).astype(int)
  stops = np.maximum(np.floor(ends + 0.5).astype(int), starts + 1)
  return starts, stops
