"""Measured melodies that the critic goes on learning from."""

from __future__ import annotations

from collections.abc import Mapping
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody

if typing.TYPE_CHECKING:
  import tensorflow as tf

Rows = Mapping[str, 'npt.NDArray[np.float32] | tf.Tensor']


class Replay:
  """The newest melodies as `objective.Objective.describe` describes them.

  Attributes:
    rows: dictionary of name to [size, ...] float32 arrays; the latent vectors
      are not among them, as the conductor's embeddings say all that the decoder
      knows of them.

  Args:
    size: how many melodies it holds.
    embedding_size: size of what the conductor says for a bar.
    further: how many further terms the critic predicts.
  """

  def __init__(self, size: int, embedding_size: int, further: int = 0) -> None:
    bars = melody.NUM_BARS
    self.rows: dict[str, npt.NDArray[np.float32]] = {
      name: np.zeros([size, bars, *shape], np.float32)
      for name, shape in (
        ('embeddings', [embedding_size]),
        ('classes', [2, 2, 12]),
        ('mean_pitch', []),
        ('repeats', []),
        ('steps', []),
        ('log_energy', []),
        *([('further', [further])] if further else []),
      )
    }

  def __len__(self) -> int:
    return len(self.rows['classes'])

  def write(self, position: int, rows: Rows) -> None:
    """Puts B melodies in place of the oldest.

    Args:
      position: how many were written before; it wraps around.
      rows: dictionary of the same names to [B, ...] arrays.
    """
    places = (position + np.arange(len(rows['classes']))) % len(self)
    for name, values in rows.items():
      self.rows[name][places] = values

  def sample(
    self, rng: np.random.Generator, size: int
  ) -> dict[str, npt.NDArray[np.float32]]:
    """A replay batch: `size` melodies drawn with replacement."""
    places = rng.integers(len(self), size=size)
    return {name: values[places] for name, values in self.rows.items()}
