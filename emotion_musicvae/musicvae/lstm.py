"""Magenta's LSTM layers over whole sequences, with gradients of their own.

The gradient of a layer keeps the recurrence down to one product per step. That
of its kernel is a single product outside the loop, which is not even formed
where only the latent vector is asked for.

Shapes: T steps, B sequences, H the units of the layer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from emotion_musicvae.music import melody

FORGET_BIAS = 1.0  # Magenta's cells add it to the bias they store.


@tf.custom_gradient
def layer(
  gates: tf.Tensor, kernel: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
  """An LSTM layer over a whole sequence, given the products with its input.

  Args:
    gates: [T, B, 4H] products of the inputs with their kernel, plus bias.
    kernel: [H, 4H] recurrent kernel; gate order i, c, f, o.
    c0: [B, H] first cell state.
    h0: [B, H] first output.

  Returns:
    [T, B, H] outputs.
  """
  steps = gates.shape[0]

  def arrays(count: int) -> list[tf.TensorArray]:
    return [tf.TensorArray(gates.dtype, steps) for _ in range(count)]

  def forward(
    t: tf.Tensor, c: tf.Tensor, h: tf.Tensor, written: list[tf.TensorArray]
  ) -> tuple[Any, ...]:
    values = cell(gates[t] + h @ kernel, c)
    written = [a.write(t, v) for a, v in zip(written, values)]
    return t + 1, values[4], values[6], written

  *_, written = tf.while_loop(
    lambda t, *_: t < steps,
    forward,
    (0, c0, h0, arrays(7)),
    maximum_iterations=steps,
  )
  i, j, f, o, c, tanh_c, h = (a.stack() for a in written)

  def gradient(dh: tf.Tensor) -> tuple[tf.Tensor, ...]:
    # Every factor that does not depend on later steps, for all steps at once.
    before = tf.concat([c0[None], c[:-1]], axis=0)
    by_o = tanh_c * o * (1.0 - o)
    by_c = o * (1.0 - tanh_c * tanh_c)
    by_i = j * i * (1.0 - i)
    by_j = i * (1.0 - j * j)
    by_f = before * f * (1.0 - f)
    transposed = tf.transpose(kernel)

    def backward(
      t: tf.Tensor, dc: tf.Tensor, dh_later: tf.Tensor, array: tf.TensorArray
    ) -> tuple[Any, ...]:
      total = dh[t] + dh_later
      dc += total * by_c[t]
      dgates = tf.concat(
        [dc * by_i[t], dc * by_j[t], dc * by_f[t], total * by_o[t]], axis=-1
      )
      return t - 1, dc * f[t], dgates @ transposed, array.write(t, dgates)

    _, dc, dh_first, array = tf.while_loop(
      lambda t, *_: t >= 0,
      backward,
      (steps - 1, tf.zeros_like(c0), tf.zeros_like(h0), arrays(1)[0]),
      maximum_iterations=steps,
    )
    dgates = array.stack()
    outputs_before = tf.concat([h0[None], h[:-1]], axis=0)
    dkernel = tf.einsum('tbh,tbg->hg', outputs_before, dgates)
    return dgates, dkernel, dc, dh_first

  return h, gradient


def outputs(
  gates: tf.Tensor, kernel: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor
) -> tf.Tensor:
  """What `layer` gives, to the bit, where no gradient is asked for.

  Nothing is kept but the outputs, and gates are halved beforehand: a power of
  two changes no digit.
  """
  steps, units = gates.shape[0], c0.shape[-1]
  half = np.repeat([0.5, 1.0, 0.5, 0.5], units).astype(np.float32)
  gates, kernel = gates * half, kernel * half

  def forward(
    t: tf.Tensor, c: tf.Tensor, h: tf.Tensor, written: tf.TensorArray
  ) -> tuple[Any, ...]:
    i, j, f, o = tf.split(gates[t] + h @ kernel, 4, axis=-1)
    i, f, o = (tf.tanh(x) * 0.5 + 0.5 for x in (i, f + 0.5 * FORGET_BIAS, o))
    c = f * c + i * tf.tanh(j)
    h = o * tf.tanh(c)
    return t + 1, c, h, written.write(t, h)

  *_, written = tf.while_loop(
    lambda t, *_: t < steps,
    forward,
    (0, c0, h0, tf.TensorArray(gates.dtype, steps)),
    maximum_iterations=steps,
  )
  return written.stack()


def cell(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, ...]:
  """One step of Magenta's LSTMBlockCell from its summed gates.

  Args:
    gates: [B, 4H] products of input and output before with their kernels, plus
      bias; gate order i, c, f, o.
    c: [B, H] cell state before.

  Returns:
    `(i, j, f, o, c, tanh(c), h)`, each [B, H]: gates after their activations
    (j is that of gate c), new cell state, output.
  """
  # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: one tanh over all gates takes a
  # fraction of the time of four activations of a part each.
  units = c.shape[-1]
  half = np.repeat([0.5, 1.0, 0.5, 0.5], units)
  bias = np.repeat([0.0, 0.0, FORGET_BIAS, 0.0], units)
  activated = tf.tanh(half * (gates + bias)) * half + (1.0 - half)
  i, j, f, o = tf.split(activated, 4, axis=-1)
  c = f * c + i * j
  tanh_c = tf.tanh(c)
  return i, j, f, o, c, tanh_c, o * tanh_c


@tf.custom_gradient
def token_rows(
  kernel: tf.Tensor, tokens: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
  """The product of one-hot tokens with a kernel, row by row.

  Args:
    kernel: [90, D].
    tokens: [T, B] int32, -1 to 89.

  Returns:
    [T, B, D] rows of the kernel; zeros for token -1.
  """

  def gradient(rows: tf.Tensor) -> tuple[tf.Tensor, None]:
    # One product, where the gradient of a gather adds row by row.
    one_hot = tf.one_hot(tokens, melody.NUM_TOKENS, dtype=kernel.dtype)
    return tf.tensordot(one_hot, rows, [[0, 1], [0, 1]]), None

  return tf.gather(tf.pad(kernel, [[1, 0], [0, 0]]), tokens + 1), gradient


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """[..., D] times [D, E]: [..., E]."""
  # `@` would form the gradient of `kernel` for each step of a sequence, 32 GiB
  # at the published sizes, and add these up.
  return tf.tensordot(x, kernel, 1)
