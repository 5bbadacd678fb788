"""The hierarchical encoder and decoder of MusicVAE as TF2 functions.

Everything here reads one mapping, `weights`: Magenta's variable names to
arrays, tensors or variables, as `checkpoints.load_weights` returns it. The
sizes of the layers are those of the arrays.

Shapes: B melodies, Z the latent vector, E the conductor's embedding of a bar.

With the tokens known, the core decoder needs nothing from the bar before but
its last token, so all 16 bars run side by side: 16 conductor steps and 16 core
steps in place of 16 + 256.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
from typing import Any
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import lstm

Weights: TypeAlias = Mapping[str, Any]
Shapes: TypeAlias = dict[str, list[int]]
_State: TypeAlias = tuple[tf.Tensor, tf.Tensor]  # of an LSTM: (c, h)

_CONDUCTOR = 'decoder/hierarchical_level_0/'
_CORE = 'core_decoder/decoder/'
_ENCODER = 'encoder/cell_%d/bidirectional_rnn/%s/multi_rnn_cell/cell_0/'


def variable_shapes(
  z_size: int, enc_rnn_size: Sequence[int], dec_rnn_size: Sequence[int]
) -> Shapes:
  """Names and shapes of the model's variables, as Magenta's graph has them.

  Args:
    z_size: size of the latent vector.
    enc_rnn_size: units of each bidirectional encoder layer.
    dec_rnn_size: units of each conductor layer and of each core layer.

  Returns:
    Dictionary of name to shape.
  """
  state = 2 * sum(dec_rnn_size)
  embedding = dec_rnn_size[-1]
  shapes = {
    _CONDUCTOR + 'initial_state/kernel': [z_size, state],
    _CONDUCTOR + 'initial_state/bias': [state],
    _CORE + 'z_to_initial_state/kernel': [embedding, state],
    _CORE + 'z_to_initial_state/bias': [state],
    _CORE + 'output_projection/kernel': [dec_rnn_size[-1], melody.NUM_TOKENS],
    _CORE + 'output_projection/bias': [melody.NUM_TOKENS],
    'encoder/mu/kernel': [2 * enc_rnn_size[-1], z_size],
    'encoder/mu/bias': [z_size],
    'encoder/sigma/kernel': [2 * enc_rnn_size[-1], z_size],
    'encoder/sigma/bias': [z_size],
  }

  def add_cell(scope: str, depth: int, units: int) -> None:
    shapes[scope + 'lstm_cell/kernel'] = [depth + units, 4 * units]
    shapes[scope + 'lstm_cell/bias'] = [4 * units]

  for scope, depth in (
    (_CONDUCTOR + 'cell_%d/', 1),
    (_CORE + 'multi_rnn_cell/cell_%d/', melody.NUM_TOKENS + embedding),
  ):
    for layer, units in enumerate(dec_rnn_size):
      add_cell(scope % layer, depth, units)
      depth = units
  for direction in ('fw', 'bw'):
    depth = melody.NUM_TOKENS
    for layer, units in enumerate(enc_rnn_size):
      add_cell(_ENCODER % (layer, direction), depth, units)
      depth = 2 * units
  return shapes


def layer_sizes(
  shapes: Mapping[str, Sequence[int]],
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
  """The sizes that `variable_shapes` gives these shapes for.

  Args:
    shapes: dictionary of name to shape.

  Returns:
    `(z_size, enc_rnn_size, dec_rnn_size)`; 0 or empty for what is not there.
  """

  def units(scope: Callable[[int], str]) -> tuple[int, ...]:
    names = (scope(k) + 'lstm_cell/bias' for k in itertools.count())
    found = itertools.takewhile(lambda name: name in shapes, names)
    return tuple(shapes[name][0] // 4 for name in found)

  return (
    shapes.get('encoder/mu/bias', [0])[0],
    units(lambda k: _ENCODER % (k, 'fw')),
    units(lambda k: f'{_CONDUCTOR}cell_{k}/'),
  )


def initial_weights(
  shapes: Shapes, seed: int
) -> dict[str, npt.NDArray[np.float32]]:
  """Fresh weights that let information through from the first step.

  Magenta draws the projections of and onto the latent vector with deviation
  0.001 and starts every forget gate at sigmoid(1), so that a cell forgets in
  three steps what the encoder must carry over 256 and the conductor over 16.
  Here kernels are Glorot-uniform, and the gates' biases make a cell remember
  for between 1 and as many steps as its layer runs (chrono initialization,
  Tallec and Ollivier 2018, arXiv 1804.11188).

  Args:
    shapes: dictionary from `variable_shapes`.
    seed: integer seed.

  Returns:
    Dictionary of name to float32 array.
  """
  rng = np.random.default_rng(seed)
  weights = {}
  for name, shape in sorted(shapes.items()):
    if name.endswith('lstm_cell/bias'):
      units = shape[0] // 4
      steps = (
        melody.NUM_STEPS
        if name.startswith('encoder/')
        else melody.STEPS_PER_BAR
      )
      memory = np.log(rng.uniform(1.0, steps - 1.0, units))
      value = np.zeros([4, units])  # gates i, c, f, o
      value[0] = -memory
      value[2] = memory - lstm.FORGET_BIAS
      value = value.reshape(-1)
    elif name == 'encoder/sigma/bias':
      value = np.full(shape, -1.0)  # deviation 0.31: more signal than noise
    elif name.endswith('/bias'):
      value = np.zeros(shape)
    else:
      limit = np.sqrt(6.0 / sum(shape))
      value = rng.uniform(-limit, limit, shape)
    weights[name] = value.astype(np.float32)
  return weights


def z_size(weights: Weights) -> int:
  """Size of the latent vector that `weights` decode."""
  return weights[_CONDUCTOR + 'initial_state/kernel'].shape[0]


def embedding_size(weights: Weights) -> int:
  """Size of the conductor's embedding of a bar."""
  return weights[_CORE + 'z_to_initial_state/kernel'].shape[0]


def encode(
  weights: Weights,
  tokens: tf.Tensor,
  layer_of: Callable[..., tf.Tensor] = lstm.layer,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The posterior of melodies.

  Args:
    weights: mapping of Magenta's variables.
    tokens: [B, 256] int32 tokens.
    layer_of: `lstm.layer`, or `lstm.outputs` where no gradient is asked for.

  Returns:
    `(mean, deviation)` of the diagonal normal posterior, each [B, Z].
  """
  tokens = tf.transpose(tokens)  # [T, B]
  inputs = None
  layer = 0
  while _ENCODER % (layer, 'fw') + 'lstm_cell/kernel' in weights:
    outputs = []
    for direction in ('fw', 'bw'):
      scope = _ENCODER % (layer, direction) + 'lstm_cell/'
      kernel, bias = weights[scope + 'kernel'], weights[scope + 'bias']
      units = bias.shape[0] // 4
      if inputs is None:
        gates = lstm.token_rows(kernel[: melody.NUM_TOKENS], tokens) + bias
      else:
        gates = lstm.product(inputs, kernel[:-units]) + bias
      if direction == 'bw':
        gates = gates[::-1]
      zeros = tf.zeros([tf.shape(tokens)[1], units], bias.dtype)
      hidden = layer_of(gates, kernel[-units:], zeros, zeros)
      outputs.append(hidden if direction == 'fw' else hidden[::-1])
    inputs = tf.concat(outputs, axis=-1)  # [T, B, 2H]
    layer += 1
  summary = tf.concat([outputs[0][-1], outputs[1][0]], axis=-1)
  mean = _dense(weights, 'encoder/mu/', summary)
  deviation = tf.nn.softplus(_dense(weights, 'encoder/sigma/', summary))
  return mean, deviation


def bar_embeddings(weights: Weights, z: tf.Tensor) -> tf.Tensor:
  """The conductor's embedding of each bar.

  Args:
    weights: mapping of Magenta's variables.
    z: [B, Z] latent vectors.

  Returns:
    [16, B, E] embeddings.
  """
  states = _initial_states(weights, _CONDUCTOR + 'initial_state/', z)
  inputs = None
  for layer, (c, h) in enumerate(states):
    scope = f'{_CONDUCTOR}cell_{layer}/lstm_cell/'
    kernel, bias = weights[scope + 'kernel'], weights[scope + 'bias']
    units = bias.shape[0] // 4
    if inputs is None:  # The conductor's own input is a constant zero.
      gates = tf.broadcast_to(
        bias, [melody.NUM_BARS, tf.shape(z)[0], 4 * units]
      )
    else:
      gates = lstm.product(inputs, kernel[:-units]) + bias
    inputs = lstm.layer(gates, kernel[-units:], c, h)
  return inputs


def teacher_forced_logits(
  weights: Weights,
  z: tf.Tensor,
  tokens: tf.Tensor,
  told: tf.Tensor | None = None,
) -> tf.Tensor:
  """Logits of every token given those before it, all bars in parallel.

  Args:
    weights: mapping of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int32 tokens; the last one is never read.
    told: [B, 256] int32 tokens that the decoder is told in their place, -1 for
      nothing; `tokens` themselves when None.

  Returns:
    [B, 256, 90] logits; `softmax` of them are the model's probabilities at
    temperature 1.
  """
  batch = tf.shape(z)[0]
  embeddings = bar_embeddings(weights, z)  # [16, B, E]
  embeddings = tf.reshape(embeddings, [-1, embeddings.shape[-1]])
  # -1 stands for "no token yet", which Magenta feeds as zeros.
  told = tokens if told is None else told
  previous = tf.pad(told[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
  previous = tf.reshape(
    previous, [batch, melody.NUM_BARS, melody.STEPS_PER_BAR]
  )
  previous = tf.transpose(previous, [2, 1, 0])  # [step, bar, B]
  previous = tf.reshape(previous, [melody.STEPS_PER_BAR, -1])  # [16, 16 B]

  states = _initial_states(weights, _CORE + 'z_to_initial_state/', embeddings)
  inputs = None
  for layer, (c, h) in enumerate(states):
    kernel, bias, units = _core_cell(weights, layer)
    if inputs is None:
      bar_gates = (
        lstm.product(embeddings, kernel[melody.NUM_TOKENS : -units]) + bias
      )
      gates = lstm.token_rows(kernel[: melody.NUM_TOKENS], previous) + bar_gates
    else:
      gates = lstm.product(inputs, kernel[:-units]) + bias
    inputs = lstm.layer(gates, kernel[-units:], c, h)
  logits = _dense(weights, _CORE + 'output_projection/', inputs)
  logits = tf.reshape(
    logits, [melody.STEPS_PER_BAR, melody.NUM_BARS, batch, melody.NUM_TOKENS]
  )
  logits = tf.transpose(logits, [2, 1, 0, 3])
  return tf.reshape(logits, [batch, melody.NUM_STEPS, melody.NUM_TOKENS])


def uniform(seed: npt.ArrayLike, batch: int) -> tf.Tensor:
  """The random numbers by which `sample` draws tokens.

  Args:
    seed: [2] int seed; equal seeds give equal melodies.
    batch: number of melodies.

  Returns:
    [batch, 256] float32, uniform from 0 to just below 1.
  """
  # Short of 1 by more than the sums of probabilities are off.
  drawn = tf.random.stateless_uniform(
    [melody.STEPS_PER_BAR, melody.NUM_BARS, batch], seed, maxval=1.0 - 1e-6
  )
  return tf.reshape(tf.transpose(drawn, [2, 1, 0]), [batch, melody.NUM_STEPS])


def sample(
  weights: Weights,
  z: tf.Tensor,
  temperature: float | tf.Tensor,
  noise: tf.Tensor,
  max_passes: int = melody.NUM_BARS,
) -> tf.Tensor:
  """Samples melodies as the stock decoder does, all bars side by side.

  All that a bar takes over from the one before is its last token. So every bar
  is sampled from a guess of that token, then again from what the bar before has
  come to with the same noise, until no guess changes: that is the melody
  sampled step by step, after some five passes of 16 steps in place of 256.

  Args:
    weights: mapping of Magenta's variables.
    z: [B, Z] latent vectors.
    temperature: softmax temperature, above 0.
    noise: [B, 256] from `uniform`; a melody depends on its own row only.
    max_passes: passes after which to stop at the latest. With the bundled model
      at temperature 0.5, stopping after one leaves 7 tokens in a hundred other
      than they would be, after two 4.

  Returns:
    [B, 256] int32 tokens.
  """
  batch = z.shape[0] or tf.shape(z)[0]
  embeddings = bar_embeddings(weights, z)  # [16, B, E]
  embeddings = tf.reshape(embeddings, [-1, embeddings.shape[-1]])  # [16 B, E]
  states = _initial_states(weights, _CORE + 'z_to_initial_state/', embeddings)
  cells = [_core_cell(weights, layer) for layer in range(len(states))]
  kernel, bias, units = cells[0]
  bar_gates = (
    lstm.product(embeddings, kernel[melody.NUM_TOKENS : -units]) + bias
  )
  token_kernel = tf.pad(kernel[: melody.NUM_TOKENS], [[0, 1], [0, 0]])
  shape = [melody.STEPS_PER_BAR, melody.NUM_BARS * batch]
  noise = tf.reshape(noise, [batch, melody.NUM_BARS, melody.STEPS_PER_BAR])
  noise = tf.reshape(tf.transpose(noise, [2, 1, 0]), shape)
  up_to = tf.constant(np.triu(np.ones([melody.NUM_TOKENS] * 2, np.float32)))

  def step(
    t: tf.Tensor, token: tf.Tensor, states: list[_State], tokens: tf.TensorArray
  ) -> tuple[tf.Tensor, tf.Tensor, list[_State], tf.TensorArray]:
    new_states = []
    x = None
    for (cell_kernel, cell_bias, cell_units), (c, h) in zip(cells, states):
      if x is None:
        gates = tf.gather(token_kernel, token) + bar_gates
      else:
        gates = x @ cell_kernel[:-cell_units] + cell_bias
      gates += h @ cell_kernel[-cell_units:]
      _, _, _, _, c, _, x = lstm.cell(gates, c)
      new_states.append((c, x))
    logits = _dense(weights, _CORE + 'output_projection/', x)
    # One number a token, where Gumbel's trick takes 90: drawing them would
    # cost more than the LSTMs.
    cumulative = tf.nn.softmax(logits / temperature) @ up_to
    passed = cumulative <= noise[t][:, None] * cumulative[:, -1:]
    token = tf.reduce_sum(tf.cast(passed, tf.int32), axis=1)
    return t + 1, token, new_states, tokens.write(t, token)

  def run_pass(
    passes: tf.Tensor, before: tf.Tensor, tokens: tf.Tensor, changed: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Samples every bar from `before`, guesses of the token before it."""
    del tokens, changed
    array = tf.TensorArray(tf.int32, melody.STEPS_PER_BAR)
    _, last, _, array = tf.while_loop(
      lambda t, *_: t < melody.STEPS_PER_BAR,
      step,
      (0, before, states, array),
      maximum_iterations=melody.STEPS_PER_BAR,
    )
    after = tf.concat([before[:batch], last[:-batch]], axis=0)
    after = tf.ensure_shape(after, before.shape)
    changed = tf.reduce_any(after != before)
    return passes + 1, after, tf.reshape(array.stack(), shape), changed

  # The row of zeros before the first bar; elsewhere a held note.
  before = tf.concat(
    [
      tf.fill([batch], melody.NUM_TOKENS),
      tf.zeros([(melody.NUM_BARS - 1) * batch], tf.int32),
    ],
    axis=0,
  )
  _, _, tokens, _ = tf.while_loop(
    lambda passes, before, tokens, changed: changed & (passes < max_passes),
    run_pass,
    (0, before, tf.zeros(shape, tf.int32), True),
  )
  tokens = tf.reshape(tokens, [melody.STEPS_PER_BAR, melody.NUM_BARS, batch])
  return tf.reshape(tf.transpose(tokens, [2, 1, 0]), [batch, melody.NUM_STEPS])


def _core_cell(
  weights: Weights, layer: int
) -> tuple[tf.Tensor, tf.Tensor, int]:
  """Kernel, bias and number of units of a layer of the core decoder."""
  scope = f'{_CORE}multi_rnn_cell/cell_{layer}/lstm_cell/'
  kernel, bias = weights[scope + 'kernel'], weights[scope + 'bias']
  return kernel, bias, bias.shape[0] // 4


def _dense(weights: Weights, scope: str, x: tf.Tensor) -> tf.Tensor:
  return lstm.product(x, weights[scope + 'kernel']) + weights[scope + 'bias']


def _initial_states(weights: Weights, scope: str, x: tf.Tensor) -> list[_State]:
  """(c, h) of each layer from an embedding, as Magenta lays them out."""
  state = tf.tanh(_dense(weights, scope, x))
  core = scope.startswith(_CORE)
  sizes: list[int] = []
  while True:
    cell = f'multi_rnn_cell/cell_{len(sizes)}' if core else f'cell_{len(sizes)}'
    name = (_CORE if core else _CONDUCTOR) + cell + '/lstm_cell/bias'
    if name not in weights:
      break
    sizes.append(weights[name].shape[0] // 4)
  parts = tf.split(state, [s for size in sizes for s in (size, size)], axis=-1)
  return list(zip(parts[::2], parts[1::2]))
