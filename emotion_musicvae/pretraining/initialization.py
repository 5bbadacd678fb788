"""A start for base training that lets every bar through from the first step.

The latent vector knows of a melody what is left in the encoder's last states.
From a plain start the memory of a step fades within a few, and what the encoder
then learns to keep is rhythm and register, not the tune. Here each unit of the
encoder's last layer is a latch: it follows what sounds and holds it from a step
of its own on, so that together they hold the whole melody. The conductor has
the same the other way round: units that speak in one bar only.

Both need to know the time. A few units of the first layer are clocks: each
starts when the one before it has run, and their sum tells the step. Training
holds them still (`held_still`), as every latch is set by them.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import lstm
from emotion_musicvae.support import messages

_Array = npt.NDArray[np.float32]
# Of an axis: which fresh unit each of its places is like, and how many were
# there before.
_Part: TypeAlias = tuple[npt.NDArray[np.int64], int]
NUM_CLOCKS = melody.NUM_BARS
# The next clock starts when the one before it has come this far.
_RELAY = 0.7
_RELAY_GAIN = 40.0
_OPEN = 5.0  # what goes into a gate that is open; its negative shuts it
_NEVER_FADES = 10.0
_LATCH_SLOPE = 0.7  # of a latch's gates, per step: it shuts within six
_BAR_GAIN = 15.0
_GLOBAL_SHARE = 0.25  # of the conductor's units, which speak in every bar
_INPUT, _CONTENT, _FORGET, _OUTPUT = range(4)  # gates, in Magenta's order

_ENCODER = (
  'encoder/cell_%d/bidirectional_rnn/%s/multi_rnn_cell/cell_0/lstm_cell/'
)
_MU, _SIGMA = 'encoder/mu/', 'encoder/sigma/'
_CONDUCTOR = 'decoder/hierarchical_level_0/'
_CORE = 'core_decoder/decoder/'


def latched(weights: Mapping[str, _Array], seed: int) -> dict[str, _Array]:
  """Sets clocks and latches in fresh weights.

  Args:
    weights: dictionary from `hierdec.initial_weights`, with two layers in the
      encoder and in the conductor.
    seed: integer seed.

  Returns:
    Dictionary of name to float32 array.

  Raises:
    ValueError: a first layer with no units to spare for the clocks.
  """
  for scope in (_ENCODER % (0, 'fw'), _CONDUCTOR + 'cell_0/lstm_cell/'):
    units = weights[scope + 'bias'].shape[0] // 4
    if units < 2 * NUM_CLOCKS:
      raise ValueError(
        messages.say(
          'weights: expected at least {least} units in {scope}, got {units}',
          least=2 * NUM_CLOCKS,
          scope=scope,
          units=units,
        )
      )
  rng = np.random.default_rng(seed)
  weights = {name: value.copy() for name, value in weights.items()}
  time, pace = _clock_sum()
  for direction in ('fw', 'bw'):
    _listen(weights, _ENCODER % (0, direction), rng)
    _hold(weights, direction, time, pace)
  _speak_by_bar(weights)
  return weights


def widened(
  weights: Mapping[str, _Array], fresh: Mapping[str, _Array]
) -> dict[str, _Array]:
  """Gives a model wider layers; what it makes of a melody stays the same.

  What is new listens as in a fresh model, and is not listened to yet by what
  was there; compare Net2WiderNet (Chen et al. 2016, arXiv 1511.05641), which
  doubles units. The new units are every n-th of the fresh model's, so that
  there are latches and units for every bar among them.

  Args:
    weights: dictionary of Magenta's variables, with two layers in the encoder
      and in the decoder.
    fresh: the same of a model with nothing learned, nowhere smaller.

  Returns:
    Dictionary of name to float32 array, shaped as in `fresh`. The units and
    latent dimensions that were there are the first of their layers.
  """

  def same(count: int) -> _Part:
    return np.arange(count), count

  def layer(scope: str) -> _Part:
    old, new = (w[scope + 'bias'].shape[0] // 4 for w in (weights, fresh))
    others = np.linspace(NUM_CLOCKS, new - 1, new - old).round().astype(int)
    return np.append(np.arange(old), others), old

  tokens = same(melody.NUM_TOKENS)
  latent = (
    np.arange(fresh['encoder/mu/bias'].shape[0]),
    weights['encoder/mu/bias'].shape[0],
  )
  cells = [
    [scope % k + 'lstm_cell/' for k in range(2)]
    for scope in (
      _CONDUCTOR + 'cell_%d/',
      _CORE + 'multi_rnn_cell/cell_%d/',
    )
  ]
  (bar, said), (heard, sung) = ([layer(c) for c in pair] for pair in cells)
  axes = {  # of each kernel: what its rows and its columns belong to
    _CONDUCTOR + 'initial_state/': ([latent], [bar, bar, said, said]),
    cells[0][0]: ([same(1), bar], [bar] * 4),
    cells[0][1]: ([bar, said], [said] * 4),
    _CORE + 'z_to_initial_state/': ([said], [heard, heard, sung, sung]),
    cells[1][0]: ([tokens, said, heard], [heard] * 4),
    cells[1][1]: ([heard, sung], [sung] * 4),
    _CORE + 'output_projection/': ([sung], [tokens]),
  }
  for direction in ('fw', 'bw'):
    first, last = (layer(_ENCODER % (k, direction)) for k in range(2))
    axes[_ENCODER % (0, direction)] = ([tokens, first], [first] * 4)
    axes[_ENCODER % (1, direction)] = ([first, first, last], [last] * 4)
    axes[_MU] = axes[_SIGMA] = ([last, last], [latent])

  result: dict[str, _Array] = {}
  for scope, (inputs, outputs) in axes.items():
    rows, were_rows = _along(inputs, fresh[scope + 'kernel'].shape[0])
    columns, were_columns = _along(outputs, fresh[scope + 'bias'].shape[0])
    kernel = fresh[scope + 'kernel'][np.ix_(rows, columns)]
    kernel[np.ix_(~were_rows, were_columns)] = 0.0
    kernel[np.ix_(were_rows, were_columns)] = weights[scope + 'kernel']
    bias = fresh[scope + 'bias'][columns]
    bias[were_columns] = weights[scope + 'bias']
    result |= {scope + 'kernel': kernel, scope + 'bias': bias}
  return result


def _along(
  parts: list[_Part], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
  """Fresh index of each place along an axis, and whether it was there."""
  starts = np.cumsum([0] + [len(indices) for indices, _ in parts])
  assert starts[-1] == length
  return (
    np.concatenate([i + start for (i, _), start in zip(parts, starts)]),
    np.concatenate([np.arange(len(i)) < old for i, old in parts]),
  )


def held_still(
  weights: Mapping[str, _Array],
) -> dict[str, _Array]:
  """Which entries of the weights are clocks, and not to be trained.

  Args:
    weights: dictionary of Magenta's variables.

  Returns:
    Dictionary of name to float32 array of the variable's shape, 0 at the
    entries of a clock and 1 elsewhere, for the variables that have any.
  """
  masks = {}
  for scope in (
    _ENCODER % (0, 'fw'),
    _ENCODER % (0, 'bw'),
    _CONDUCTOR + 'cell_0/lstm_cell/',
  ):
    for name in (scope + 'kernel', scope + 'bias'):
      masks[name] = np.ones(weights[name].shape, np.float32)
      _by_gate(masks[name])[..., :NUM_CLOCKS] = 0.0
  units = weights[_CONDUCTOR + 'cell_0/lstm_cell/bias'].shape[0] // 4
  for name in ('kernel', 'bias'):
    name = _CONDUCTOR + 'initial_state/' + name
    masks[name] = np.ones(weights[name].shape, np.float32)
    for first in (0, units):  # cell state and output of the first layer
      masks[name][..., first : first + NUM_CLOCKS] = 0.0
  return masks


def _by_gate(array: _Array) -> _Array:
  """[..., 4H] kernel or bias as a view [..., 4, H]."""
  return array.reshape(*array.shape[:-1], 4, array.shape[-1] // 4)


def _rate() -> float:
  """What a clock gains a step, to hand over after its share of the steps."""
  return float(np.arctanh(_RELAY)) * NUM_CLOCKS / melody.NUM_STEPS


def _clock_sum() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
  """Sum of the encoder's clocks after each step, and its slope: [256] each."""
  cell = np.zeros(NUM_CLOCKS)
  sums = []
  for _ in range(melody.NUM_STEPS):
    started = _RELAY_GAIN * (np.tanh(cell[:-1]) - _RELAY)
    gate = 1.0 / (1.0 + np.exp(-np.append(30.0, started)))
    cell = cell + gate * np.tanh(_rate())
    sums.append(np.tanh(cell).sum())
  return np.array(sums), np.gradient(sums)


def _set_clocks(
  kernel: _Array,
  bias: _Array,
  first_recurrent_row: int,
  rate: float,
  relay: float,
) -> None:
  """Makes the first units of a layer clocks, which heed nothing else."""
  kernel[:, :, :NUM_CLOCKS] = 0.0
  bias[:, :NUM_CLOCKS] = 0.0
  bias[_CONTENT, :NUM_CLOCKS] = rate
  bias[_FORGET, :NUM_CLOCKS] = _NEVER_FADES
  bias[_OUTPUT, :NUM_CLOCKS] = _NEVER_FADES
  bias[_INPUT, 0] = 30.0
  for k in range(1, NUM_CLOCKS):
    kernel[first_recurrent_row + k - 1, _INPUT, k] = _RELAY_GAIN
    bias[_INPUT, k] = -_RELAY_GAIN * relay


def _listen(
  weights: Mapping[str, _Array],
  scope: str,
  rng: np.random.Generator,
) -> None:
  """The encoder's first layer: clocks, the sounding pitch, traces of onsets.

  A unit of the sounding pitch takes a wave over pitch, of any length from a
  fourth to the keyboard, at every onset and keeps it until the next. A trace
  jumps at every onset and fades, each at its own pace.
  """
  kernel = _by_gate(weights[scope + 'kernel'])
  bias = _by_gate(weights[scope + 'bias'])
  units = bias.shape[-1]
  _set_clocks(kernel, bias, melody.NUM_TOKENS, _rate(), _RELAY)
  traces = units - (units - NUM_CLOCKS) // 4
  sounding, trace = slice(NUM_CLOCKS, traces), slice(traces, units)
  onsets = slice(melody.FIRST_ONSET, melody.NUM_TOKENS)
  gates = [_INPUT, _FORGET, _OUTPUT]
  kernel[:, gates, NUM_CLOCKS:] *= 0.3
  bias[:, NUM_CLOCKS:] = 0.0
  bias[_OUTPUT, NUM_CLOCKS:] = 1.0

  for tokens, take, keep in (
    (melody.HOLD, -_OPEN, _OPEN),
    (melody.NOTE_OFF, -_OPEN, -_OPEN),
    (onsets, _OPEN, -_OPEN),
  ):
    kernel[tokens, _INPUT, sounding] += take
    kernel[tokens, _FORGET, sounding] += keep
  count = traces - NUM_CLOCKS
  semitones = np.exp(rng.uniform(np.log(5.0), np.log(80.0), count))
  phase = rng.uniform(0.0, 2.0 * np.pi, count)
  kernel[: melody.FIRST_ONSET, _CONTENT, sounding] = 0.0
  kernel[melody.NUM_TOKENS :, _CONTENT, sounding] *= 0.3
  kernel[onsets, _CONTENT, sounding] = 1.5 * np.cos(
    2.0 * np.pi * melody.PITCHES[:, None] / semitones + phase
  )

  kernel[: melody.FIRST_ONSET, _INPUT, trace] -= 3.0
  kernel[onsets, _INPUT, trace] += 3.0
  kernel[onsets, _CONTENT, trace] += 1.5
  memory = np.exp(rng.uniform(np.log(0.7), np.log(12.0), units - traces))
  bias[_FORGET, trace] = np.log(memory) - lstm.FORGET_BIAS


def _hold(
  weights: Mapping[str, _Array],
  direction: str,
  time: npt.NDArray[np.float64],
  pace: npt.NDArray[np.float64],
) -> None:
  """The encoder's last layer: a latch for every moment."""
  scope = _ENCODER % (1, direction)
  kernel = _by_gate(weights[scope + 'kernel'])
  bias = _by_gate(weights[scope + 'bias'])
  units = bias.shape[-1]
  below = (kernel.shape[0] - units) // 2  # units of each direction
  kernel[:, [_INPUT, _FORGET, _OUTPUT]] = 0.0
  kernel[: 2 * below, _CONTENT] *= 2.0
  for first in (0, below):
    kernel[first : first + NUM_CLOCKS, _CONTENT] = 0.0
  clocks = slice(0, NUM_CLOCKS)
  if direction == 'bw':
    clocks = slice(below, below + NUM_CLOCKS)
  steps = np.arange(melody.NUM_STEPS)
  moment = (np.arange(units) + 0.5) * melody.NUM_STEPS / units
  due = np.interp(moment, steps, time)
  gain = _LATCH_SLOPE / np.interp(moment, steps, pace)
  kernel[clocks, _FORGET] = gain
  kernel[clocks, _INPUT] = -gain
  bias[_FORGET] = -gain * due - lstm.FORGET_BIAS
  bias[_INPUT] = gain * due
  bias[_CONTENT] = 0.0
  bias[_OUTPUT] = 3.0


def _speak_by_bar(weights: Mapping[str, _Array]) -> None:
  """The conductor: clocks, units for every bar, and units for one bar each.

  What the core decoder makes of a unit is the same in every bar to begin with.
  """
  scope = _CONDUCTOR + 'cell_0/lstm_cell/'
  bias = _by_gate(weights[scope + 'bias'])
  first_units = bias.shape[-1]
  # One clock a bar: each is at 0.76 in its own bar, 0.96 in the next.
  _set_clocks(_by_gate(weights[scope + 'kernel']), bias, 1, 2.0, 0.5)

  scope = _CONDUCTOR + 'cell_1/lstm_cell/'
  kernel = _by_gate(weights[scope + 'kernel'])
  bias = _by_gate(weights[scope + 'bias'])
  units = bias.shape[-1]
  in_a_bar = int(units * (1.0 - _GLOBAL_SHARE)) // melody.NUM_BARS
  first = units - in_a_bar * melody.NUM_BARS
  local = slice(first, units)
  kernel[:, [_INPUT, _FORGET, _OUTPUT], local] = 0.0
  bias[:, local] = 0.0
  bias[_INPUT, local] = -4.0
  bias[_FORGET, local] = _NEVER_FADES
  bias[_OUTPUT, local] = -0.4 * _BAR_GAIN
  for bar in range(melody.NUM_BARS):
    own = slice(first + bar * in_a_bar, first + (bar + 1) * in_a_bar)
    kernel[bar, _OUTPUT, own] = _BAR_GAIN
    if bar + 1 < melody.NUM_BARS:
      kernel[bar + 1, _OUTPUT, own] = -_BAR_GAIN

  state = weights[_CONDUCTOR + 'initial_state/kernel']
  for start in (0, first_units):
    state[:, start : start + NUM_CLOCKS] = 0.0
  last_cell = 2 * first_units
  state[:, last_cell + first : last_cell + units] *= 2.0

  core = weights[_CORE + 'multi_rnn_cell/cell_0/lstm_cell/kernel']
  for rows in (
    weights[_CORE + 'z_to_initial_state/kernel'],
    core[melody.NUM_TOKENS : melody.NUM_TOKENS + units],
  ):
    one = rows[first : first + in_a_bar]
    rows[first:] = 2.0 * np.tile(one, [melody.NUM_BARS, 1])
