"""The objective of base training, term by term."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec

_HEAD_UNITS, _HEAD_FEATURES = 512, 24
_SOUNDS = melody.NUM_PITCHES + 1  # every pitch, and silence


def posterior_sample(
  weights: Mapping[str, tf.Tensor], tokens: tf.Tensor, noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """A draw of the posterior, and its distance from the prior.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [B, 256] int32.
    noise: [B, Z] draws of the standard normal.

  Returns:
    `(z, kl)`: [B, Z], and [B] KL divergence in nats.
  """
  mean, deviation = hierdec.encode(weights, tokens)
  z = mean + deviation * noise
  kl = tf.reduce_sum(
    0.5 * (tf.square(mean) + tf.square(deviation) - 1.0)
    - tf.math.log(deviation),
    axis=1,
  )
  return z, kl


def reconstruction_loss(
  weights: Mapping[str, tf.Tensor],
  z: tf.Tensor,
  tokens: tf.Tensor,
  told: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Negative log likelihood of melodies under the decoder.

  Args:
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int32.
    told: [B, 256] int32, see `hierdec.teacher_forced_logits`.

  Returns:
    `(loss, logits)`: [B] in nats, and [B, 256, 90].
  """
  logits = hierdec.teacher_forced_logits(weights, z, tokens, told)
  loss = tf.reduce_sum(
    tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits), axis=1
  )
  return loss, logits


def fresh_head(embedding_size: int, seed: int) -> dict[str, tf.Variable]:
  """Variables of the second decoder, under names that are no weight's."""
  rng = np.random.default_rng(seed)
  shapes = {
    'bar': (embedding_size, _HEAD_UNITS),
    'steps': (_HEAD_UNITS, melody.STEPS_PER_BAR * _HEAD_FEATURES),
    'sounds': (_HEAD_FEATURES, _SOUNDS),
  }
  head = {}
  for name, shape in shapes.items():
    scale = np.sqrt(1.0 / shape[0])
    head[checkpoints.HEAD + name + '/kernel'] = rng.normal(0.0, scale, shape)
    head[checkpoints.HEAD + name + '/bias'] = np.zeros(shape[1])
  return {
    name: tf.Variable(value.astype(np.float32), name=name)
    for name, value in head.items()
  }


def sounding_loss(
  head: Mapping[str, tf.Tensor],
  weights: Mapping[str, tf.Tensor],
  z: tf.Tensor,
  tokens: tf.Tensor,
) -> tf.Tensor:
  """Surprise of a decoder that is told the bar, and no token.

  Args:
    head: dictionary of the second decoder's variables.
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int32.

  Returns:
    [B] negative log likelihood of the pitch that sounds at each step, in nats.
  """

  def dense(name: str, x: tf.Tensor) -> tf.Tensor:
    name = checkpoints.HEAD + name
    return x @ head[name + '/kernel'] + head[name + '/bias']

  bars = tf.transpose(hierdec.bar_embeddings(weights, z), [1, 0, 2])
  x = dense('steps', tf.nn.swish(dense('bar', bars)))
  x = tf.reshape(x, [-1, melody.NUM_STEPS, _HEAD_FEATURES])
  logits = dense('sounds', tf.nn.swish(x))  # [B, 256, 89]
  return tf.reduce_sum(
    tf.nn.sparse_softmax_cross_entropy_with_logits(sounds(tokens), logits),
    axis=1,
  )


def sounds(tokens: tf.Tensor) -> tf.Tensor:
  """Which pitch each step belongs to, rests counted to the note before.

  Args:
    tokens: [B, 256] int32.

  Returns:
    [B, 256] int32: 0 before the first note, then 1 for MIDI pitch 21 and up.
  """
  steps = tf.range(melody.NUM_STEPS)
  begun = tf.where(tokens >= melody.FIRST_ONSET, steps, -1)
  last = tf.transpose(tf.scan(tf.maximum, tf.transpose(begun)))
  token = tf.gather(tokens, tf.maximum(last, 0), batch_dims=1)
  return tf.where(last >= 0, token - melody.FIRST_ONSET + 1, 0)
