"""A small model of melodies that hears, at each step, what came bars ago.

It is Magenta's Lookback RNN (Waite 2016, "Generating Long-Term Structure in
Songs and Stories") over sixteen bars: an LSTM that is told the token before,
the last notes, the tokens that came one, two, four and eight bars ago, where in
its bar and in the sixteen bars it is, how long ago the last note began, and for
how long the melody has lately agreed with those bars. What it gives each token
adds to what it gives those bars' tokens, so that a bar that returns need not be
learned note by note.

This module needs numpy alone; `lookback_training` learns the weights.
"""

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody

LOOKBACKS = melody.STEPS_PER_BAR * np.array([1, 2, 4, 8])  # steps
NOTHING = -1  # told where there is no such token yet
_NOTES = 3  # last ones that are told
_SLOTS = 1 + _NOTES + len(LOOKBACKS)  # tokens that are told
_AGREED = (4, 16)  # steps that agreement is looked at over
_EMBEDDING = 32
_FEATURES = (
  2 * melody.STEPS_PER_BAR + melody.NUM_BARS + len(_AGREED) * len(LOOKBACKS)
)
_PAD = int(LOOKBACKS.max())

Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]


def shapes(units: int) -> dict[str, tuple[int, ...]]:
  """Shape of each array of weights, by name."""
  return {
    'embedding': (melody.NUM_TOKENS, _EMBEDDING),
    'lstm/kernel': (_SLOTS * _EMBEDDING + _FEATURES, 4 * units),
    'lstm/recurrent': (units, 4 * units),
    'lstm/bias': (4 * units,),
    'output/kernel': (units, melody.NUM_TOKENS),
    'output/bias': (melody.NUM_TOKENS,),
    'again/kernel': (units, len(LOOKBACKS)),
    'again/bias': (len(LOOKBACKS),),
  }


def initial_weights(units: int, seed: int) -> Weights:
  """Weights to begin with: small, and no word for any token over another."""
  rng = np.random.default_rng(seed)
  weights = {
    name: rng.normal(0.0, shape[0] ** -0.5, shape)
    if len(shape) > 1
    else np.zeros(shape)
    for name, shape in shapes(units).items()
  }
  weights['output/kernel'] *= 0.1
  return {name: value.astype(np.float32) for name, value in weights.items()}


def told(tokens: melody.Tokens) -> tuple[npt.NDArray[np.int32], Floats]:
  """What the network is told before each token, and after the last.

  Args:
    tokens: [B, N] int tokens from the beginning of the melodies, N up to 256.

  Returns:
    `(tokens, features)`: [B, N + 1, S] int32 from -1, which is `NOTHING`, to
    89, those of `LOOKBACKS` last, and [B, N + 1, F] float32 from 0 to 1.
  """
  return _told(np.asarray(tokens, np.int32), 0)


def _told(
  tokens: melody.Tokens, first: int
) -> tuple[npt.NDArray[np.int32], Floats]:
  """`told` from step `first` on."""
  count, steps = tokens.shape
  step = np.arange(first, steps + 1)
  padded = np.pad(tokens, [(0, 0), (_PAD, 0)], constant_values=NOTHING)
  came = [padded[:, _PAD + step - lag] for lag in (1, *LOOKBACKS)]
  notes, since = _notes(tokens, step)
  slots = np.stack([came[0], *notes, *came[1:]], axis=-1)

  # Agreement of the steps that `_AGREED` looks at.
  at = _PAD + np.arange(first - max(_AGREED), steps)
  agreed = np.stack(
    [
      (padded[:, at] == padded[:, at - lag]) & (at - lag >= _PAD)
      for lag in LOOKBACKS
    ],
    axis=-1,
  )
  total = np.cumsum(np.pad(agreed, [(0, 0), (1, 0), (0, 0)]), axis=1)
  last = step - first + max(_AGREED)
  recent = [(total[:, last] - total[:, last - n]) / n for n in _AGREED]

  bar, place = np.divmod(step, melody.STEPS_PER_BAR)
  position = [
    np.eye(melody.STEPS_PER_BAR)[place],
    np.eye(melody.NUM_BARS + 1)[bar][:, : melody.NUM_BARS],
  ]
  features = np.concatenate(
    [
      *(np.broadcast_to(x, (count, *x.shape)) for x in position),
      np.eye(melody.STEPS_PER_BAR)[since],
      *recent,
    ],
    axis=-1,
  )
  return slots, features.astype(np.float32)


def _notes(
  tokens: melody.Tokens, step: npt.NDArray[np.int64]
) -> tuple[list[npt.NDArray[np.int32]], npt.NDArray[np.int64]]:
  """The last notes before each step, and the steps since the last began.

  Args:
    tokens: [B, N] int32.
    step: [M] from 0 to N.

  Returns:
    `(notes, since)`: `_NOTES` of [B, M] tokens, the last one first, and [B, M]
    from 0 to 15, which also stands for longer.
  """
  count, steps = tokens.shape
  onset = tokens >= melody.FIRST_ONSET
  number = np.pad(np.cumsum(onset, axis=1), [(0, 0), (1, 0)])[:, step]
  row, where = np.nonzero(onset)
  # Of each melody, what comes before its first note and its notes in order.
  order = np.full([count, _NOTES + steps], NOTHING, np.int32)
  begun = np.full([count, _NOTES + steps], -steps - melody.STEPS_PER_BAR)
  nth = _NOTES - 1 + np.cumsum(onset, axis=1)[row, where]
  order[row, nth] = tokens[row, where]
  begun[row, nth] = where
  notes = [
    np.take_along_axis(order, _NOTES - 1 - k + number, axis=1)
    for k in range(_NOTES)
  ]
  since = step - 1 - np.take_along_axis(begun, _NOTES - 1 + number, axis=1)
  return notes, np.minimum(since, melody.STEPS_PER_BAR - 1)


def sample(
  weights: Weights, noise: Floats, temperature: float
) -> melody.Tokens:
  """Draws melodies token by token.

  Args:
    weights: arrays by name, as `shapes` lays them out.
    noise: [B, 256] uniform from 0 to 1; a melody depends on its own row, and in
      the last bits of its probabilities on how many rows there are.
    temperature: softmax temperature, above 0, of the pitch of a note that
      begins; whether one does is drawn as it was learned.

  Returns:
    [B, 256] int32 tokens.
  """
  count, steps = noise.shape
  tokens = np.zeros([count, steps], np.int32)
  units = len(weights['lstm/recurrent'])
  c = h = np.zeros([count, units], np.float32)
  # The last row is that of `NOTHING`.
  embedding = np.pad(weights['embedding'], [(0, 1), (0, 0)])
  for t in range(steps):
    slots, features = (x[:, 0] for x in _told(tokens[:, :t], t))
    x = np.concatenate([embedding[slots].reshape(count, -1), features], axis=1)
    gates = x @ weights['lstm/kernel'] + weights['lstm/bias']
    c, h = _cell(gates + h @ weights['lstm/recurrent'], c)
    logits = h @ weights['output/kernel'] + weights['output/bias']
    again = h @ weights['again/kernel'] + weights['again/bias']
    logits = np.pad(logits, [(0, 0), (0, 1)])
    for k in range(len(LOOKBACKS)):
      came = slots[:, k - len(LOOKBACKS)]
      logits[np.arange(count), came] += again[:, k]
    chance = _chances(logits[:, : melody.NUM_TOKENS], temperature)
    total = np.cumsum(chance, axis=1)
    tokens[:, t] = (total <= noise[:, t, None] * total[:, -1:]).sum(axis=1)
  return np.minimum(tokens, melody.NUM_TOKENS - 1)


def _chances(logits: Floats, temperature: float) -> Floats:
  """[B, 90] of each token, up to a factor.

  What is unlikely for a note and yet drawn is mostly a wrong pitch. Sharpened
  as a whole, tokens would be more often the likeliest one, which is that
  nothing happens, and melodies be slower than tunes.
  """

  def softmax(x: Floats) -> Floats:
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)

  chance = softmax(logits)
  pitches = slice(melody.FIRST_ONSET, None)
  begins = chance[:, pitches].sum(axis=1, keepdims=True)
  chance[:, pitches] = begins * softmax(
    logits[:, pitches] / np.float32(temperature)
  )
  return chance


def _cell(gates: Floats, c: Floats) -> tuple[Floats, Floats]:
  """One step of an LSTM, gates i, j, f, o, with forget bias 1."""
  i, j, f, o = np.split(gates, 4, axis=1)
  i, f, o = (0.5 + 0.5 * np.tanh(0.5 * x) for x in (i, f + 1.0, o))
  c = f * c + i * np.tanh(j)
  return c, o * np.tanh(c)
