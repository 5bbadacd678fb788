"""When a melody meets its targets, and by how much it misses them."""

import numpy as np

PITCH_TOLERANCE = 1.5  # semitones
DENSITY_TOLERANCE = 0.1  # of the reference,
DENSITY_TOLERANCE_ONSETS = 0.5  # or onsets a bar, whichever is wider
CHORD_TONE_FLOOR = 0.75


def allowed(onsets_per_bar):
  """How far the onsets a bar may lie from a reference to count as met."""
  return np.maximum(
    DENSITY_TOLERANCE * np.asarray(onsets_per_bar), DENSITY_TOLERANCE_ONSETS
  )


def misses(measured, targets):
  """How far melodies lie outside each tolerance, in tolerances.

  Args:
    measured: dictionary of [N] arrays from `api.measure`.
    targets: `conditions.Targets` of N rows.

  Returns:
    Dictionary of `mean_pitch`, `onsets_per_bar` and `chord_tone_rate` to [N]
    float64: 0 where it is met, infinite where there is no note to measure.
    Where no chord is asked for, any note will do.
  """
  chords = (1.0 - measured['chord_tone_rate']) / (1.0 - CHORD_TONE_FLOOR)
  off = {
    'mean_pitch': np.abs(measured['mean_pitch'] - targets.mean_pitch)
    / PITCH_TOLERANCE,
    'onsets_per_bar': np.abs(
      measured['onsets_per_bar'] - targets.onsets_per_bar
    )
    / allowed(targets.onsets_per_bar),
    'chord_tone_rate': np.where(targets.sounding.any(axis=1), chords, 0.0),
  }
  return {
    name: np.nan_to_num(np.maximum(value - 1.0, 0.0), nan=np.inf)
    for name, value in off.items()
  }


def missed(measured, targets):
  """[N] how far melodies are from a hit, added up over the three; 0 is one."""
  return sum(misses(measured, targets).values())
