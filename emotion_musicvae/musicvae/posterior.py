"""The posterior of many melodies, batch by batch."""

from collections.abc import Callable
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import lstm
from emotion_musicvae.support import messages


class Encoder:
  """The posterior of few melodies at a time, without compiling.

  Args:
    weights: mapping of Magenta's variables.
  """

  # All in batches of one size: the last bits of a product may follow from it.
  # Processors multiply by blocks of 4, 6 or 12 rows, and a melody's may not
  # follow from its place either.
  _ROWS = 12

  def __init__(self, weights: hierdec.Weights) -> None:
    self._weights = {
      name: tf.constant(value)
      for name, value in weights.items()
      if name.startswith('encoder/')
    }
    # Nothing here depends on a tensor's value, and converting the code takes
    # longer than all else.
    self._run = tf.function(
      lambda x: hierdec.encode(self._weights, x, lstm.outputs), autograph=False
    )

  def __call__(self, tokens: melody.Tokens) -> npt.NDArray[np.float32]:
    """[N, Z] means of [N, 256] tokens, N at least 1."""
    return self.posterior(tokens)[0]

  def posterior(
    self, tokens: melody.Tokens
  ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`(mean, deviation)`, [N, Z] each, of [N, 256] tokens, N at least 1."""
    padded = np.pad(tokens, [(0, -len(tokens) % self._ROWS), (0, 0)])
    parts = [
      self._run(tf.constant(padded[i : i + self._ROWS], tf.int32))
      for i in range(0, len(padded), self._ROWS)
    ]
    mean, deviation = (
      np.concatenate([part[k].numpy() for part in parts])[: len(tokens)]
      for k in range(2)
    )
    return mean, deviation


def encode(
  weights: hierdec.Weights,
  tokens: melody.Tokens,
  batch_size: int = 32,
  progress: Callable[[Iterable[int], str], Iterable[int]] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
  """Posterior of melodies in batches.

  Args:
    weights: mapping of Magenta's variables.
    tokens: [N, 256] tokens, N at least 1.
    batch_size: melodies at once.
    progress: wraps the iterable of batches, given what is done, as `tqdm` does;
      None for no bar.

  Returns:
    `(mean, deviation)`, [N, Z] float32 arrays.
  """
  batch_size = min(batch_size, len(tokens))
  # As arrays they would become constants of the program, at many times their
  # size in memory.
  weights = {
    name: tf.constant(value)
    for name, value in weights.items()
    if name.startswith('encoder/')
  }
  run = tf.function(lambda x: hierdec.encode(weights, x), jit_compile=True)
  padded = np.pad(tokens, [(0, -len(tokens) % batch_size), (0, 0)])
  firsts = range(0, len(padded), batch_size)
  parts = [
    run(tf.constant(padded[i : i + batch_size], tf.int32))
    for i in (
      progress(firsts, messages.say('encoding real tunes'))
      if progress
      else firsts
    )
  ]
  mean, deviation = (
    np.concatenate([part[k].numpy() for part in parts])[: len(tokens)]
    for k in range(2)
  )
  return mean, deviation
