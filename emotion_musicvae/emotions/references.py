"""Real melodies that the package carries, and what they measure.

They answer two questions that a latent vector alone cannot: what spectrogram
energy music of a given density has, and where in the latent space real music
lies.
"""

from __future__ import annotations

import functools
import importlib.resources
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram


def load_melodies() -> npt.NDArray[np.uint8]:
  """[N, 256] uint8 tokens of real tunes of many densities, all in one key.

  They are windows of the bundled model's training tunes; see BUILD_NOTES.md.
  """
  return _melodies('tokens')


def load_held_out() -> npt.NDArray[np.uint8]:
  """[M, 256] uint8 tokens of real tunes that the bundled model never saw."""
  return _melodies('held_out')


def _melodies(name: str) -> npt.NDArray[np.uint8]:
  path = importlib.resources.files('emotion_musicvae.emotions') / 'melodies.npz'
  with path.open('rb') as f, np.load(f, allow_pickle=False) as arrays:
    return arrays[name]


@functools.cache
def energy_reference() -> EnergyReference:
  """The `EnergyReference` of the bundled melodies, measured once a process."""
  return EnergyReference(load_melodies())


class EnergyReference:
  """Spectrogram energy of real music, by mean pitch and onset rate.

  The melodies are measured at several transpositions through the density loss's
  own spectrogram, and the logarithm of their energy is regressed on mean pitch
  and the logarithm of their onset rate.

  Args:
    tokens: [N, 256] int tokens with at least one onset each.
  """

  _PITCHES = (54.0, 60.0, 66.0, 72.0, 78.0)

  def __init__(self, tokens: melody.Tokens) -> None:
    rows, values = [], []
    for pitch in self._PITCHES:
      moved = melody.transpose_to(tokens, np.full(len(tokens), pitch))
      rows.append(
        self._features(melody.mean_pitch(moved), melody.onsets_per_bar(moved))
      )
      values.append(np.log(spectrogram.energy(moved)))
    self._coefficients, *_ = np.linalg.lstsq(
      np.concatenate(rows), np.concatenate(values), rcond=None
    )

  @staticmethod
  def _features(
    mean_pitch: npt.ArrayLike, onsets_per_bar: npt.ArrayLike
  ) -> npt.NDArray[typing.Any]:
    pitch, density = np.broadcast_arrays(
      (np.asarray(mean_pitch) - 66.0) / 12.0,
      np.log(np.asarray(onsets_per_bar) / 6.0),
    )
    return np.stack(
      [np.ones_like(density), density, density**2, pitch, pitch * density],
      axis=-1,
    )

  def __call__(
    self, mean_pitch: npt.ArrayLike, onsets_per_bar: npt.ArrayLike
  ) -> npt.NDArray[np.float64]:
    """Reference energy of a frame, of the shape of the arguments.

    Args:
      mean_pitch: MIDI.
      onsets_per_bar: above 0.
    """
    return np.exp(
      self._features(mean_pitch, onsets_per_bar) @ self._coefficients
    )
