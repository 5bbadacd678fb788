"""Melodies as tokens: expected notes, differentiable, and plain statistics.

Tokens are Magenta's: 0 goes on (hold), 1 ends the note, i >= 2 begins a note at
MIDI pitch i + 19. A melody has 256 steps, sixteenths of 16 bars in 4/4.
"""

import numpy as np

HOLD, NOTE_OFF, FIRST_ONSET = 0, 1, 2
NUM_TOKENS = 90
MIN_PITCH, MAX_PITCH = 21, 108
NUM_PITCHES = MAX_PITCH - MIN_PITCH + 1
NUM_BARS = 16
STEPS_PER_BAR = 16
STEPS_PER_QUARTER = 4
NUM_STEPS = NUM_BARS * STEPS_PER_BAR

PITCHES = np.arange(MIN_PITCH, MAX_PITCH + 1, dtype=np.float32)


def transpose(tokens, semitones):
  """Transposes each of [B, 256] melodies by [B] whole semitones.

  A note that would leave the model's range sounds an octave nearer.

  Returns:
    [B, 256] of the tokens' own type.
  """
  moved = tokens.astype(np.int32) + np.asarray(semitones, np.int32)[:, None]
  # Octaves by which a note lies beyond either end.
  below = -((moved - FIRST_ONSET) // 12)
  above = -((NUM_TOKENS - 1 - moved) // 12)
  moved += 12 * np.where(below > 0, below, np.where(above > 0, -above, 0))
  return np.where(tokens >= FIRST_ONSET, moved, tokens).astype(tokens.dtype)


def transpose_to(tokens, mean_pitch):
  """Transposes melodies by whole semitones to the nearest mean pitch.

  Args:
    tokens: [B, 256] int tokens.
    mean_pitch: [B] MIDI pitch; a melody that would leave the model's range is
      moved only as far as it fits.

  Returns:
    [B, 256] int32 tokens.
  """
  tokens = np.asarray(tokens, np.int32)
  onset = tokens >= FIRST_ONSET
  count = np.maximum(onset.sum(axis=1), 1)
  mean = (
    np.where(onset, tokens - FIRST_ONSET + MIN_PITCH, 0).sum(axis=1) / count
  )
  lowest = np.where(onset, tokens, NUM_TOKENS).min(axis=1)
  highest = np.where(onset, tokens, 0).max(axis=1)
  shift = np.round(mean_pitch - mean).astype(np.int32)
  shift = np.clip(shift, FIRST_ONSET - lowest, NUM_TOKENS - 1 - highest)
  return np.where(onset, tokens + shift[:, None], tokens)


def mean_pitch(tokens):
  """Mean MIDI pitch of the notes of each melody; NaN where there are none.

  Args:
    tokens: [B, 256] int array.

  Returns:
    [B] float64.
  """
  onset = tokens >= FIRST_ONSET
  total = np.where(onset, tokens - FIRST_ONSET + MIN_PITCH, 0).sum(axis=1)
  count = onset.sum(axis=1)
  return np.where(count, total / np.maximum(count, 1), np.nan)


def onsets_per_bar(tokens):
  """Notes begun in an average bar: [B, 16 n] tokens to [B] float64."""
  return (tokens >= FIRST_ONSET).mean(axis=1) * STEPS_PER_BAR


def repeated_notes(tokens):
  """Share of the notes that repeat the pitch of the note before.

  About one in ten in the bundled tunes; near 1, a melody drones.

  Args:
    tokens: [B, 256] int array.

  Returns:
    [B] float64; NaN where there are fewer than two notes.
  """
  rates = []
  for row in tokens:
    pitches = row[row >= FIRST_ONSET]
    same = pitches[1:] == pitches[:-1]
    rates.append(same.mean() if len(same) else np.nan)
  return np.array(rates)


def chord_tone_rate(tokens, fit, sounding):
  """Share of the notes that belong to the chord they begin over.

  Args:
    tokens: [B, 256] int array.
    fit: [B, 256, 12], or [256, 12] for all, from `harmony.chord_tones`; above 0
      counts as belonging.
    sounding: [B, 256] or [256], 0 where there is no chord; notes there do not
      count.

  Returns:
    [B] float64; NaN where no note begins over a chord.
  """
  onset = (tokens >= FIRST_ONSET) & (sounding > 0)
  pitch_class = (tokens.astype(np.int32) - FIRST_ONSET + MIN_PITCH) % 12
  fit = np.broadcast_to(fit, [*tokens.shape, 12])
  belongs = np.take_along_axis(fit, pitch_class[..., None], axis=2)[..., 0] > 0
  count = onset.sum(axis=1)
  total = (onset & belongs).sum(axis=1)
  return np.where(count, total / np.maximum(count, 1), np.nan)
