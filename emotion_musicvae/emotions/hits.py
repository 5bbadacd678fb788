"""When a melody meets its condition, and how far it lies outside."""

from __future__ import annotations

from collections.abc import Mapping
import typing

import numpy as np
import numpy.typing as npt

if typing.TYPE_CHECKING:
  from emotion_musicvae.emotions import conditions

PITCH_TOLERANCE = 1.5  # semitones
DENSITY_TOLERANCE = 0.1  # of the reference,
DENSITY_TOLERANCE_ONSETS = 0.5  # or onsets a bar, whichever is wider
CHORD_TONE_FLOOR = 0.75


def density_tolerance(
  onsets_per_bar: npt.ArrayLike,
) -> npt.NDArray[np.floating]:
  """How far the onsets a bar may lie from a reference to count as met."""
  return np.maximum(
    DENSITY_TOLERANCE * np.asarray(onsets_per_bar), DENSITY_TOLERANCE_ONSETS
  )


def excess(
  measured: Mapping[str, npt.NDArray[np.floating]],
  condition: conditions.Condition,
) -> dict[str, npt.NDArray[np.float64]]:
  """How far melodies lie outside each tolerance.

  Args:
    measured: dictionary of [B] arrays from `api.measure`.
    condition: of the B melodies.

  Returns:
    Dictionary of `mean_pitch`, `onsets_per_bar` and `chord_tone_rate` to [B]
    distances in units of the tolerance: 0 where it is met, infinite where there
    is no note to measure. Where no chord is asked for, any note will do.
  """
  chords = (1.0 - measured['chord_tone_rate']) / (1.0 - CHORD_TONE_FLOOR)
  distances = {
    'mean_pitch': np.abs(measured['mean_pitch'] - condition.mean_pitch)
    / PITCH_TOLERANCE,
    'onsets_per_bar': np.abs(
      measured['onsets_per_bar'] - condition.onsets_per_bar
    )
    / density_tolerance(condition.onsets_per_bar),
    'chord_tone_rate': np.where(condition.chord_mask.any(axis=1), chords, 0.0),
  }
  return {
    name: np.nan_to_num(np.maximum(distance - 1.0, 0.0), nan=np.inf)
    for name, distance in distances.items()
  }


def total_excess(
  measured: Mapping[str, npt.NDArray[np.floating]],
  condition: conditions.Condition,
) -> npt.NDArray[np.float64]:
  """[B] sum of `excess` over the three targets; 0 is a hit."""
  return np.sum(list(excess(measured, condition).values()), axis=0)
