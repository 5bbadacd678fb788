"""What melodies cost, and how they are decoded to find out."""

import tensorflow as tf

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.steering import losses

TERMS = (
  'chord',
  'register',
  'motion',
  'leaps',
  'density',
  'evenness',
  'rate',
)


class Objective:
  """What melodies cost, and how they are sung to find out.

  Args:
    weights: dictionary of Magenta's variables of the frozen base model.
    hparams: `configuration.LearnerHparams`.
  """

  def __init__(self, weights, hparams):
    self.weights = {k: tf.constant(v) for k, v in weights.items()}
    self._hparams = hparams
    self.pitch_loss = losses.PitchLoss()
    self.density_loss = losses.DensityLoss()

  def sing(self, z, drawn):
    """Melodies of [B, Z] latent vectors, as drawn and as expected.

    Args:
      z: [B, Z] latent vectors.
      drawn: [B, 256] from `hierdec.uniform`.

    Returns:
      `(tokens, probabilities)`: [B, 256] tokens, drawn with every bar begun as
      if the last note of the one before went on (see `hierdec.sample`); and
      [B, 256, 90] probabilities of each token given those before it, through
      which the gradient goes back to `z`.
    """
    temperature = self._hparams.temperature
    tokens = tf.stop_gradient(
      hierdec.sample(self.weights, z, temperature, drawn, max_passes=1)
    )
    logits = hierdec.teacher_forced_logits(self.weights, z, tokens)
    return tokens, tf.nn.softmax(logits / temperature)

  def measure(self, probabilities, condition):
    """[B, 7] losses in the order of TERMS.

    Args:
      probabilities: [B, 256, 90] float, rows summing to 1.
      condition: `conditions.Condition` of B melodies.
    """
    return stack(
      {
        **self.pitch_loss(probabilities, condition),
        **self.density_loss(probabilities, condition),
      }
    )

  def cost(self, terms):
    """[B] weighted sum of [B, 7] losses."""
    shares = tf.constant([getattr(self._hparams, name) for name in TERMS])
    # A melody far off must not outweigh the rest of the batch.
    return tf.reduce_sum(shares * _soft(terms), axis=1)


def stack(terms):
  return tf.stack([terms[name] for name in TERMS], axis=1)


def _soft(squared):
  """Squares near zero, growing like the distance further out."""
  return tf.sqrt(1.0 + squared) * 2.0 - 2.0
