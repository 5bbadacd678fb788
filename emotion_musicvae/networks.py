"""The actor and the critic."""

import numpy as np
import tensorflow as tf

HIDDEN_LAYERS = 3
NUM_HALF_BARS = 32


class Mlp(tf.Module):
  """Dense layers with swish between them.

  Args:
    sizes: width of the input, of each hidden layer and of the output.
    rng: numpy Generator of the He-normal kernels.
    final_scale: factor on the last kernel.
    prefix: prefix of the variables' names.
  """

  def __init__(self, sizes, rng, final_scale, prefix):
    super().__init__()
    self._layers = []
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:])):
      scale = np.sqrt(2.0 / fan_in)
      if i == len(sizes) - 2:
        scale *= final_scale
      kernel = rng.normal(0.0, scale, [fan_in, fan_out]).astype(np.float32)
      self._layers.append(
        (
          tf.Variable(kernel, name=f'{prefix}/dense_{i}/kernel'),
          tf.Variable(tf.zeros([fan_out]), name=f'{prefix}/dense_{i}/bias'),
        )
      )

  def __call__(self, x):
    for kernel, bias in self._layers[:-1]:
      x = tf.nn.swish(x @ kernel + bias)
    kernel, bias = self._layers[-1]
    return x @ kernel + bias


class Actor(tf.Module):
  """Moves latent vectors towards a condition.

  Each dimension goes part of the way to a new value,
  `z' = (1 - g) z + g dz` with the gate g in (0, 1), as in Latent Constraints
  (Engel, Hoffman and Roberts 2017, arXiv 1711.05772), so that what the
  condition does not need stays as it was.

  Args:
    z_size: size of the latent vector.
    condition_size: size of the condition's features.
    units: width of the hidden layers.
    rng: numpy Generator of the initial kernels.
  """

  def __init__(self, z_size, condition_size, units, rng):
    super().__init__(name='actor')
    self._mlp = Mlp(
      [z_size + condition_size, *[units] * HIDDEN_LAYERS, 2 * z_size],
      rng,
      final_scale=0.1,
      prefix='actor',
    )

  def __call__(self, z, features):
    """[B, Z] latent vectors and [B, F] features to [B, Z] moved vectors."""
    out = self._mlp(tf.concat([z, features], axis=-1))
    gate, target = tf.split(out, 2, axis=-1)
    gate = tf.sigmoid(gate)
    return (1.0 - gate) * z + gate * target


class Critic(tf.Module):
  """Judges a latent vector twice: is it music, and what does it sound like.

  The second judgement is a forecast of what the decoded melody measures, apart
  from any condition; how well it meets one follows from the losses' own
  formulas. So every melody that is decoded teaches the critic about every
  condition at once, and its slope shows the way where the decoder's own
  gradient is flat because a rhythm, once begun, goes on by itself.

  Args:
    z_size: size of the latent vector.
    num_spans: spans of time whose energy it foresees.
    units: width of the hidden layers.
    rng: numpy Generator of the initial kernels.
  """

  def __init__(self, z_size, num_spans, units, rng):
    super().__init__(name='critic')
    self._num_spans = num_spans
    self._realism = Mlp([z_size, units, units, 1], rng, 0.1, 'critic/realism')
    self._music = Mlp(
      [z_size, units, units, NUM_HALF_BARS * 12 + 2 + num_spans],
      rng,
      0.1,
      'critic/music',
    )

  def realism(self, z):
    """[B] logit that `z` comes from real music. Blind to the condition.

    A critic that saw the condition could tell real vectors by their not meeting
    it, and would reward the actor for missing.
    """
    return self._realism(z)[:, 0]

  def music(self, z):
    """What the melody of `z` will measure.

    Args:
      z: [B, Z] latent vectors.

    Returns:
      `(pitch_classes, mean_pitch, repeats, log_energy)`: [B, 32, 12] logits of
      the pitch class of a note in each half bar, [B] MIDI, [B] share of notes
      that repeat the one before, and [B, num_spans] natural log of the energy
      of a frame.
    """
    out = self._music(z)
    classes, pitch, repeats, energy = tf.split(
      out, [NUM_HALF_BARS * 12, 1, 1, self._num_spans], axis=1
    )
    return (
      tf.reshape(classes, [-1, NUM_HALF_BARS, 12]),
      66.0 + 6.0 * pitch[:, 0],
      tf.sigmoid(repeats[:, 0]),
      energy - 1.0,
    )
