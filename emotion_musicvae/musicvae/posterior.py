"""The posterior of many melodies, batch by batch."""

import numpy as np
import tensorflow as tf

from emotion_musicvae.musicvae import hierdec


def encode(weights, tokens, batch_size=32, progress=None):
  """Posterior of melodies in batches.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [N, 256] int tokens.
    batch_size: melodies at once.
    progress: wraps the iterable of batches as `tqdm` does, or None.

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
      progress(firsts, 'listening to real tunes') if progress else firsts
    )
  ]
  return tuple(
    np.concatenate([part[k].numpy() for part in parts])[: len(tokens)]
    for k in range(2)
  )
