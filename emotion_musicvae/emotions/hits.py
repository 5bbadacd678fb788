"""When a melody meets its condition, and how far it lies outside."""

from __future__ import annotations

from collections.abc import Mapping
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

if typing.TYPE_CHECKING:
  from emotion_musicvae.emotions import conditions

PITCH_TOLERANCE = 1.5  # semitones
DENSITY_TOLERANCE = 0.1  # of the reference,
DENSITY_TOLERANCE_ONSETS = 0.5  # or onsets a bar, whichever is wider
# Chord tones as people have them over people's chords: on the beat as four in
# five of their tunes, of all notes as nine in ten.
CHORD_TONE_FLOOR = 0.62
ON_BEAT_FLOOR = 0.72
# What only one in three of people's tunes has; see `strict`.
STRICT_CHORD_TONE_FLOOR = 0.75


def density_tolerance(
  onsets_per_bar: npt.ArrayLike,
) -> npt.NDArray[np.floating]:
  """How far the onsets a bar may lie from a reference to count as met."""
  return np.maximum(
    DENSITY_TOLERANCE * np.asarray(onsets_per_bar), DENSITY_TOLERANCE_ONSETS
  )


def measure(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """What is asked of melodies: [B] each, by name.

  Args:
    tokens: [B, 256] tokens.
    condition: of B rows, for the chords and the beats.
  """
  chords = condition.chord_tone_weights, condition.chord_mask
  return {
    'mean_pitch': melody.mean_pitch(tokens),
    'onsets_per_bar': melody.onsets_per_bar(tokens) / share_heard(condition),
    'chord_tone_rate': melody.chord_tone_rate(tokens, *chords),
    'chord_tones_on_beat': melody.chord_tone_rate(
      tokens, *chords, condition.metrical_weight >= metres.BEAT
    ),
  }


def share_heard(condition: conditions.Condition) -> melody.Floats:
  """[B] share of the steps at which something is heard."""
  heard = np.asarray(condition.metrical_weight) > metres.UNHEARD
  return np.asarray(heard.mean(axis=1, dtype=np.float32))


def closed(
  tokens: melody.Tokens, final_tones: melody.Floats
) -> npt.NDArray[np.bool_]:
  """[B] whether melodies end on a final tone, or on any where none is asked.

  Args:
    tokens: [B, 256] tokens.
    final_tones: [B, 12].
  """
  onset = tokens >= melody.FIRST_ONSET
  last = tokens.shape[1] - 1 - onset[:, ::-1].argmax(axis=1)
  row = np.arange(len(tokens))
  pitch = tokens[row, last].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
  ends = onset.any(axis=1) & (final_tones[row, pitch % 12] > 0)
  return np.asarray(ends | ~final_tones.any(axis=1))


def excess(
  measured: Mapping[str, npt.NDArray[np.floating]],
  condition: conditions.Condition,
) -> dict[str, npt.NDArray[np.float64]]:
  """How far melodies lie outside each tolerance.

  Args:
    measured: dictionary of [B] arrays from `api.measure`.
    condition: of the B melodies.

  Returns:
    Dictionary of `mean_pitch`, `onsets_per_bar`, `chord_tone_rate` and
    `chord_tones_on_beat` to [B] distances in units of the tolerance: 0 where it
    is met, infinite where there is no note to measure. Where no chord is asked
    for, any note will do.
  """
  asked = condition.chord_mask.any(axis=1)
  distances = {
    'mean_pitch': np.abs(measured['mean_pitch'] - condition.mean_pitch)
    / PITCH_TOLERANCE,
    'onsets_per_bar': np.abs(
      measured['onsets_per_bar'] - condition.onsets_per_bar
    )
    / density_tolerance(condition.onsets_per_bar),
    'chord_tone_rate': np.where(
      asked, (1.0 - measured['chord_tone_rate']) / (1.0 - CHORD_TONE_FLOOR), 0.0
    ),
  }
  result = {
    name: np.nan_to_num(np.maximum(distance - 1.0, 0.0), nan=np.inf)
    for name, distance in distances.items()
  }
  # A melody may go without a note on the beat.
  on_beat = np.nan_to_num(measured['chord_tones_on_beat'], nan=1.0)
  result['chord_tones_on_beat'] = np.where(
    asked,
    np.maximum((1.0 - on_beat) / (1.0 - ON_BEAT_FLOOR) - 1.0, 0.0),
    0.0,
  )
  return result


def total_excess(
  measured: Mapping[str, npt.NDArray[np.floating]],
  condition: conditions.Condition,
) -> npt.NDArray[np.float64]:
  """[B] sum of `excess` over the targets; 0 is a hit."""
  return np.sum(list(excess(measured, condition).values()), axis=0)


def strict(
  measured: Mapping[str, npt.NDArray[np.floating]],
  condition: conditions.Condition,
) -> npt.NDArray[np.bool_]:
  """[B] hits with three chord tones in four notes, wherever they stand."""
  away = excess(measured, condition)
  few = measured['chord_tone_rate'] < STRICT_CHORD_TONE_FLOOR
  return np.asarray(
    (away['mean_pitch'] + away['onsets_per_bar'] == 0)
    & ~(few & condition.chord_mask.any(axis=1))
  )
