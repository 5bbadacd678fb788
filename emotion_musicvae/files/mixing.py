"""How parts are balanced: volumes that make them as loud as they should be.

Instruments of a SoundFont differ by twenty decibels at the same velocity. How
loud each is was measured once; the volume of a part makes up for it, and leaves
velocities to expression.
"""

from collections.abc import Sequence
import functools

import numpy as np

from emotion_musicvae.files import arrangement
from emotion_musicvae.support import configuration

PITCHES = (40, 58, 76)  # MIDI, that levels.yaml is measured at
_DRUM_LEVEL = -24.0  # LUFS of the same SoundFont's bass drum
_HIGHEST = 110  # MIDI volume of the part that needs most
# By General MIDI 2 a channel's volume gives 40 log10(volume / 127) decibels.
_DECIBELS = 40.0


def volumes(parts: Sequence[arrangement.Part]) -> list[int]:
  """MIDI volumes that bring parts to their levels.

  Args:
    parts: the melody first.

  Returns:
    For each a volume from 1 to 110, which one of them has.
  """
  levels = [part.level - _loudness(part) for part in parts]
  gains = 10 ** ((np.array(levels) - max(levels)) / _DECIBELS)
  return [max(round(_HIGHEST * gain), 1) for gain in gains]


def _loudness(part: arrangement.Part) -> float:
  """LUFS of a part's instrument at its pitch."""
  if part.instrument == arrangement.DRUMS:
    return _DRUM_LEVEL
  pitch = np.mean([pitch for _, _, pitch in part.notes] or PITCHES)
  return float(np.interp(pitch, PITCHES, _levels()[part.program]))


@functools.cache
def _levels() -> list[list[float]]:
  return configuration.load_yaml('levels')['levels']
