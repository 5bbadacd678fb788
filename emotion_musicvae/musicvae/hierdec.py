"""The hierarchical encoder and decoder of MusicVAE as TF2 functions.

Everything here reads one dictionary, `weights`: Magenta's variable names to
tensors or variables, as `checkpoints.load_weights` returns it. The sizes of the
layers are those of the arrays.

With the tokens known, the core decoder needs nothing from the bar before but
its last token, so all 16 bars run side by side: 16 conductor steps and 16 core
steps in place of 16 + 256. The LSTM layer brings its own gradient, which keeps
the recurrence down to one product per step and forms the gradient of its kernel
in a single product outside the loop, which is not even formed where only the
latent vector is asked for.
"""

import numpy as np
import tensorflow as tf

from emotion_musicvae.music import melody

FORGET_BIAS = 1.0  # Magenta's cells add it to the bias they store.

_CONDUCTOR = 'decoder/hierarchical_level_0/'
_CORE = 'core_decoder/decoder/'
_ENCODER = 'encoder/cell_%d/bidirectional_rnn/%s/multi_rnn_cell/cell_0/'


def variable_shapes(z_size, enc_rnn_size, dec_rnn_size):
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

  def add_cell(scope, depth, units):
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


def initial_weights(shapes, seed):
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
      value[2] = memory - FORGET_BIAS
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


def z_size(weights):
  """Size of the latent vector that `weights` decode."""
  return weights[_CONDUCTOR + 'initial_state/kernel'].shape[0]


def embedding_size(weights):
  """Size of what the conductor says for a bar."""
  return weights[_CORE + 'z_to_initial_state/kernel'].shape[0]


def encode(weights, tokens):
  """The posterior of melodies.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [B, 256] int tokens.

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
        gates = _token_rows(kernel[: melody.NUM_TOKENS], tokens) + bias
      else:
        gates = _product(inputs, kernel[:-units]) + bias
      if direction == 'bw':
        gates = gates[::-1]
      zeros = tf.zeros([tf.shape(tokens)[1], units], bias.dtype)
      hidden = _lstm(gates, kernel[-units:], zeros, zeros)
      outputs.append(hidden if direction == 'fw' else hidden[::-1])
    inputs = tf.concat(outputs, axis=-1)  # [T, B, 2H]
    layer += 1
  summary = tf.concat([outputs[0][-1], outputs[1][0]], axis=-1)
  mean = _dense(weights, 'encoder/mu/', summary)
  deviation = tf.nn.softplus(_dense(weights, 'encoder/sigma/', summary))
  return mean, deviation


def bar_embeddings(weights, z):
  """What the conductor says for each bar.

  Args:
    weights: dictionary of Magenta's variables.
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
      gates = _product(inputs, kernel[:-units]) + bias
    inputs = _lstm(gates, kernel[-units:], c, h)
  return inputs


def teacher_forced_logits(weights, z, tokens):
  """Logits of every token given those before it, all bars in parallel.

  Args:
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int tokens; the last one is never read.

  Returns:
    [B, 256, 90] logits; `softmax` of them are the model's probabilities at
    temperature 1.
  """
  batch = tf.shape(z)[0]
  embeddings = bar_embeddings(weights, z)  # [16, B, E]
  embeddings = tf.reshape(embeddings, [-1, embeddings.shape[-1]])
  # -1 stands for "no token yet", which Magenta feeds as zeros.
  previous = tf.pad(tokens[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
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
        _product(embeddings, kernel[melody.NUM_TOKENS : -units]) + bias
      )
      gates = _token_rows(kernel[: melody.NUM_TOKENS], previous) + bar_gates
    else:
      gates = _product(inputs, kernel[:-units]) + bias
    inputs = _lstm(gates, kernel[-units:], c, h)
  logits = _dense(weights, _CORE + 'output_projection/', inputs)
  logits = tf.reshape(
    logits, [melody.STEPS_PER_BAR, melody.NUM_BARS, batch, melody.NUM_TOKENS]
  )
  logits = tf.transpose(logits, [2, 1, 0, 3])
  return tf.reshape(logits, [batch, melody.NUM_STEPS, melody.NUM_TOKENS])


def uniform(seed, batch):
  """What `sample` draws tokens by.

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


def sample(weights, z, temperature, drawn, max_passes=melody.NUM_BARS):
  """Sings latent vectors as the stock decoder does, all bars side by side.

  All that a bar takes over from the one before is its last token. So every bar
  is sung from a guess of that token, then again from what the bar before has
  come to with the same noise, until no guess changes: that is the melody sung
  note by note, after some five passes of 16 steps in place of 256.

  Args:
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    temperature: softmax temperature, above 0.
    drawn: [B, 256] from `uniform`; a melody depends on its own row only.
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
  bar_gates = _product(embeddings, kernel[melody.NUM_TOKENS : -units]) + bias
  token_kernel = tf.pad(kernel[: melody.NUM_TOKENS], [[0, 1], [0, 0]])
  shape = [melody.STEPS_PER_BAR, melody.NUM_BARS * batch]
  drawn = tf.reshape(drawn, [batch, melody.NUM_BARS, melody.STEPS_PER_BAR])
  drawn = tf.reshape(tf.transpose(drawn, [2, 1, 0]), shape)
  up_to = tf.constant(np.triu(np.ones([melody.NUM_TOKENS] * 2, np.float32)))

  def step(t, token, states, tokens):
    new_states = []
    x = None
    for (cell_kernel, cell_bias, cell_units), (c, h) in zip(cells, states):
      if x is None:
        gates = tf.gather(token_kernel, token) + bar_gates
      else:
        gates = x @ cell_kernel[:-cell_units] + cell_bias
      gates += h @ cell_kernel[-cell_units:]
      _, _, _, _, c, _, x = _cell(gates, c)
      new_states.append((c, x))
    logits = _dense(weights, _CORE + 'output_projection/', x)
    # One number a token, where Gumbel's trick takes 90: drawing them would
    # cost more than the LSTMs.
    cumulative = tf.nn.softmax(logits / temperature) @ up_to
    passed = cumulative <= drawn[t][:, None] * cumulative[:, -1:]
    token = tf.reduce_sum(tf.cast(passed, tf.int32), axis=1)
    return t + 1, token, new_states, tokens.write(t, token)

  def sing(passes, before, tokens, changed):
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

  # The row of zeros before the first bar; elsewhere a note that goes on.
  before = tf.concat(
    [
      tf.fill([batch], melody.NUM_TOKENS),
      tf.zeros([(melody.NUM_BARS - 1) * batch], tf.int32),
    ],
    axis=0,
  )
  _, _, tokens, _ = tf.while_loop(
    lambda passes, before, tokens, changed: changed & (passes < max_passes),
    sing,
    (0, before, tf.zeros(shape, tf.int32), True),
  )
  tokens = tf.reshape(tokens, [melody.STEPS_PER_BAR, melody.NUM_BARS, batch])
  return tf.reshape(tf.transpose(tokens, [2, 1, 0]), [batch, melody.NUM_STEPS])


def _core_cell(weights, layer):
  scope = f'{_CORE}multi_rnn_cell/cell_{layer}/lstm_cell/'
  kernel, bias = weights[scope + 'kernel'], weights[scope + 'bias']
  return kernel, bias, bias.shape[0] // 4


def _product(x, kernel):
  """[..., D] times [D, E]."""
  # `@` would form the gradient of `kernel` for each step of a sequence, 32 GiB
  # at the published sizes, and add these up.
  return tf.tensordot(x, kernel, 1)


def _dense(weights, scope, x):
  return _product(x, weights[scope + 'kernel']) + weights[scope + 'bias']


def _initial_states(weights, scope, x):
  """[(c, h)] of each layer from an embedding, as Magenta lays them out."""
  state = tf.tanh(_dense(weights, scope, x))
  core = scope.startswith(_CORE)
  sizes = []
  while True:
    cell = f'multi_rnn_cell/cell_{len(sizes)}' if core else f'cell_{len(sizes)}'
    name = (_CORE if core else _CONDUCTOR) + cell + '/lstm_cell/bias'
    if name not in weights:
      break
    sizes.append(weights[name].shape[0] // 4)
  parts = tf.split(state, [s for size in sizes for s in (size, size)], axis=-1)
  return list(zip(parts[::2], parts[1::2]))


@tf.custom_gradient
def _token_rows(kernel, tokens):
  """Rows of `kernel` [90, D] for `tokens` [T, B]; zeros for token -1."""

  def gradient(rows):
    # One product, where the gradient of a gather adds row by row.
    one_hot = tf.one_hot(tokens, melody.NUM_TOKENS, dtype=kernel.dtype)
    return tf.tensordot(one_hot, rows, [[0, 1], [0, 1]]), None

  return tf.gather(tf.pad(kernel, [[1, 0], [0, 0]]), tokens + 1), gradient


def _cell(gates, c):
  """One step of Magenta's LSTMBlockCell from its summed gates."""
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
def _lstm(gates, kernel, c0, h0):
  """An LSTM layer over a whole sequence, its input products already made.

  Args:
    gates: [T, B, 4H] products of the inputs with their kernel, plus bias.
    kernel: [H, 4H] recurrent kernel; gate order i, c, f, o.
    c0: [B, H] first cell state.
    h0: [B, H] first output.

  Returns:
    [T, B, H] outputs.
  """
  steps = gates.shape[0]

  def arrays(count):
    return [tf.TensorArray(gates.dtype, steps) for _ in range(count)]

  def forward(t, c, h, written):
    values = _cell(gates[t] + h @ kernel, c)
    written = [a.write(t, v) for a, v in zip(written, values)]
    return t + 1, values[4], values[6], written

  *_, written = tf.while_loop(
    lambda t, *_: t < steps,
    forward,
    (0, c0, h0, arrays(7)),
    maximum_iterations=steps,
  )
  i, j, f, o, c, tanh_c, h = (a.stack() for a in written)

  def gradient(dh):
    # Every factor that does not depend on later steps, for all steps at once.
    before = tf.concat([c0[None], c[:-1]], axis=0)
    by_o = tanh_c * o * (1.0 - o)
    by_c = o * (1.0 - tanh_c * tanh_c)
    by_i = j * i * (1.0 - i)
    by_j = i * (1.0 - j * j)
    by_f = before * f * (1.0 - f)
    transposed = tf.transpose(kernel)

    def backward(t, dc, dh_later, array):
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
