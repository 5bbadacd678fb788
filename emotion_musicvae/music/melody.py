"""Melodies as tokens: the grid, its notes, and plain statistics of them.

Tokens are Magenta's: 0 holds what sounds, 1 ends the note, i >= 2 begins a note
at MIDI pitch i + 19. A melody has 256 steps, sixteenths of 16 bars in 4/4. This
module owns every constant of that grid.
"""

from typing import Any
from typing import NamedTuple
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Tokens: TypeAlias = npt.NDArray[np.integer[Any]]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]

HOLD, NOTE_OFF, FIRST_ONSET = 0, 1, 2
NUM_TOKENS = 90
MIN_PITCH, MAX_PITCH = 21, 108  # MIDI
NUM_PITCHES = MAX_PITCH - MIN_PITCH + 1
NUM_BARS = 16
BEATS_PER_BAR = 4  # quarter notes
STEPS_PER_QUARTER = 4
STEPS_PER_BAR = BEATS_PER_BAR * STEPS_PER_QUARTER
NUM_STEPS = NUM_BARS * STEPS_PER_BAR

PITCHES = np.arange(MIN_PITCH, MAX_PITCH + 1, dtype=np.float32)


class Notes(NamedTuple):
  """The notes of one melody or of several, in their order.

  Attributes:
    row: [N] int64, the melody in the batch that a note is of; 0 for a single
      one.
    onset: [N] int64, the step on which it begins.
    end: [N] int64, the step on which it has ended, after `onset`.
    pitch: [N] int64, MIDI.
  """

  row: npt.NDArray[np.int64]
  onset: npt.NDArray[np.int64]
  end: npt.NDArray[np.int64]
  pitch: npt.NDArray[np.int64]

  @property
  def length(self) -> npt.NDArray[np.int64]:
    """[N] int64, in steps, from 1."""
    return self.end - self.onset


def notes(tokens: Tokens) -> Notes:
  """The notes that tokens stand for.

  A note lasts until the next event that is no hold, or to the end of its
  melody.

  Args:
    tokens: [B, T] tokens, or [T] of a single melody, of any whole type.

  Returns:
    `Notes`, melody after melody.
  """
  batch = np.atleast_2d(np.asarray(tokens))
  steps = batch.shape[1]
  events = np.flatnonzero(batch != HOLD)
  row, onset = np.divmod(events, max(steps, 1))
  following = np.append(events[1:], batch.size)
  end = np.minimum(following - row * steps, steps)
  token = batch.ravel()[events].astype(np.int64)
  begun = token >= FIRST_ONSET
  return Notes(
    row[begun],
    onset[begun],
    end[begun],
    token[begun] - FIRST_ONSET + MIN_PITCH,
  )


def transpose(tokens: Tokens, semitones: npt.ArrayLike) -> Tokens:
  """Transposes melodies by whole semitones.

  A note that would leave the model's range sounds an octave nearer.

  Args:
    tokens: [B, T] tokens.
    semitones: [B] whole numbers, upwards.

  Returns:
    [B, T] of the tokens' own type.
  """
  moved = tokens.astype(np.int32) + np.asarray(semitones, np.int32)[:, None]
  # Octaves by which a note lies beyond either end.
  below = -((moved - FIRST_ONSET) // 12)
  above = -((NUM_TOKENS - 1 - moved) // 12)
  moved += 12 * np.where(below > 0, below, np.where(above > 0, -above, 0))
  return np.where(tokens >= FIRST_ONSET, moved, tokens).astype(tokens.dtype)


def transpose_to(
  tokens: Tokens, mean_pitch: npt.ArrayLike
) -> npt.NDArray[np.int32]:
  """Transposes melodies by whole semitones to the nearest mean pitch.

  Args:
    tokens: [B, T] tokens.
    mean_pitch: [B] MIDI pitch; a melody that would leave the model's range is
      moved only as far as it fits.

  Returns:
    [B, T] int32 tokens.
  """
  tokens = np.asarray(tokens, np.int32)
  onset = tokens >= FIRST_ONSET
  count = np.maximum(onset.sum(axis=1), 1)
  mean = (
    np.where(onset, tokens - FIRST_ONSET + MIN_PITCH, 0).sum(axis=1) / count
  )
  lowest = np.where(onset, tokens, NUM_TOKENS).min(axis=1)
  highest = np.where(onset, tokens, 0).max(axis=1)
  semitones = np.round(mean_pitch - mean).astype(np.int32)
  semitones = np.clip(semitones, FIRST_ONSET - lowest, NUM_TOKENS - 1 - highest)
  return np.where(onset, tokens + semitones[:, None], tokens)


def mean_pitch(tokens: Tokens) -> npt.NDArray[np.float64]:
  """Mean MIDI pitch of the notes of each melody.

  Args:
    tokens: [B, T] tokens.

  Returns:
    [B] float64 from 21 to 108; NaN where there is no note.
  """
  onset = tokens >= FIRST_ONSET
  total = np.where(onset, tokens - FIRST_ONSET + MIN_PITCH, 0).sum(axis=1)
  count = onset.sum(axis=1)
  return np.where(count, total / np.maximum(count, 1), np.nan)


def onsets_per_bar(tokens: Tokens) -> npt.NDArray[np.float64]:
  """Notes begun in an average bar of four quarters of each melody.

  Args:
    tokens: [B, T] tokens.

  Returns:
    [B] float64 from 0 to 16.
  """
  return (tokens >= FIRST_ONSET).mean(axis=1) * STEPS_PER_BAR


def repeated_notes(tokens: Tokens) -> npt.NDArray[np.float64]:
  """Share of the notes that repeat the pitch of the note before.

  About one in ten in the bundled tunes; near 1, a melody drones.

  Args:
    tokens: [B, T] tokens.

  Returns:
    [B] float64 from 0 to 1; NaN where there are fewer than two notes.
  """
  rates = []
  for row in tokens:
    pitches = row[row >= FIRST_ONSET]
    same = pitches[1:] == pitches[:-1]
    rates.append(same.mean() if len(same) else np.nan)
  return np.array(rates)


def chord_tone_rate(
  tokens: Tokens,
  chord_tone_weights: Floats,
  chord_mask: Floats,
  among: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
  """Share of the notes that belong to the chord they begin over.

  Args:
    tokens: [B, T] tokens.
    chord_tone_weights: [B, T, 12], or [T, 12] for all, from
      `harmony.chord_tones`; a pitch class above 0 belongs to the chord.
    chord_mask: [B, T] or [T], 0 where there is no chord; notes there do not
      count.
    among: [B, T] or [T] the steps whose notes count; all when None.

  Returns:
    [B] float64 from 0 to 1; NaN where no such note begins over a chord.
  """
  onset = (tokens >= FIRST_ONSET) & (chord_mask > 0)
  if among is not None:
    onset &= among
  pitch_class = (tokens.astype(np.int32) - FIRST_ONSET + MIN_PITCH) % 12
  weights = np.broadcast_to(chord_tone_weights, [*tokens.shape, 12])
  weight = np.take_along_axis(weights, pitch_class[..., None], axis=2)[..., 0]
  count = onset.sum(axis=1)
  total = (onset & (weight > 0)).sum(axis=1)
  return np.where(count, total / np.maximum(count, 1), np.nan)
