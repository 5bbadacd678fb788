"""Chord progressions: their chord tones on the grid, and their key."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support.lazy import deferred

# What note_seq needs in notebooks, for sound files and to infer melodies.
with deferred(
  'IPython:display',
  'bokeh',
  'bokeh.plotting',
  'pandas',
  'scipy',
  'scipy.io.wavfile',
  'scipy.io:wavfile',
  'scipy.linalg',
):
  from note_seq import chord_symbols_lib

NO_CHORD = 'N.C.'

# Tonics by pitch class, as key signatures spell them.
TONICS = {
  'major': ('C', 'Db', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'),
  'minor': ('C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'Bb', 'B'),
}
_THIRDS = (3, 4)
_FIFTHS = (6, 7, 8)
# Degrees of a mode's scale and of its tonic's triad, semitones above the tonic.
_SCALES = {
  'major': ((0, 2, 4, 5, 7, 9, 11), (0, 4, 7)),
  'minor': ((0, 2, 3, 5, 7, 8, 10), (0, 3, 7)),
}


@dataclasses.dataclass(frozen=True)
class ToneWeights:
  """What each tone of a chord counts, from 0 (foreign) to 1 (belongs)."""

  root: float = 1.0
  third: float = 1.0
  fifth: float = 1.0
  other: float = 0.0  # sevenths, sixths, suspensions and further tensions

  def __post_init__(self) -> None:
    for name, value in dataclasses.asdict(self).items():
      if not 0.0 <= value <= 1.0:
        raise ValueError(f'{name}: expected a weight in [0, 1], got {value}')


def bars(
  progression: str, metre: metres.Metre = metres.QUADRUPLE
) -> list[tuple[str, ...]]:
  """Splits a progression into bars of one or two chord symbols.

  Args:
    progression: chord symbols, one a bar (`C Am F G`), or bars of one or two
      chords between `|` (`C Am | F G | C`). It is repeated until 16 bars are
      filled, `metre.bars_per_window`; for longer melodies it has as many or a
      multiple.
    metre: of the bars.

  Returns:
    List of 16 tuples of one or two symbols, or of as many as there are more.

  Raises:
    ValueError: no chord, more than two in a bar, or a number of bars that does
      not divide 16.
  """
  result = _own_bars(progression)
  for bar in result:
    if not 1 <= len(bar) <= 2:
      raise ValueError(
        messages.say(
          'chords: a bar takes one or two chords, got {bar!r} in {chords!r}',
          bar=' '.join(bar),
          chords=progression,
        )
      )
  in_all = metre.bars_per_window
  if not result or (in_all % len(result) and len(result) % in_all):
    able = [str(n) for n in range(1, in_all) if not in_all % n]
    raise ValueError(
      messages.say(
        'chords: expected {able} or {in_all} bars, which fill {in_all} by '
        'repeating, got {count} in {chords!r}',
        able=', '.join(able),
        in_all=in_all,
        count=len(result),
        chords=progression,
      )
    )
  return result * max(1, in_all // len(result))


def _own_bars(progression: str) -> list[tuple[str, ...]]:
  """The bars of a progression as it is written."""
  if '|' in progression:
    return [tuple(b.split()) for b in progression.strip(' |').split('|')]
  return [(symbol,) for symbol in progression.split()]


def chord_tones(
  progression: str,
  weights: ToneWeights = ToneWeights(),
  metre: metres.Metre = metres.QUADRUPLE,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
  """How far each pitch class belongs to the chord at each of the model's steps.

  Args:
    progression: see `bars`.
    weights: what each tone of a chord counts.
    metre: of its bars.

  Returns:
    `(chord_tone_weights, chord_mask)`: [256, 12] float32 weights in [0, 1],
    pitch class 0 being C, and [256] float32 that is 1 over a chord and 0 where
    there is none (`N.C.`); more steps where there are more bars.

  Raises:
    ValueError: an unknown symbol, which is named, or what `bars` raises.
  """
  written = bars(progression, metre)
  windows = len(written) // metre.bars_per_window
  heard = np.flatnonzero(np.tile(metre.heard(), windows))
  steps_in_all = windows * melody.NUM_STEPS
  chord_tone_weights = np.zeros([steps_in_all, 12], np.float32)
  chord_mask = np.zeros([steps_in_all], np.float32)
  for number, bar in enumerate(written):
    for symbol, begins in zip(bar, (0, metre.middle)):
      if symbol == NO_CHORD:
        tones, covers = np.zeros(12, np.float32), 0.0
      else:
        tones, covers = symbol_tones(symbol, weights), 1.0
      # To the next chord: what is not heard between them has this one.
      steps = slice(int(heard[number * metre.bar_steps + begins]), None)
      chord_tone_weights[steps] = tones
      chord_mask[steps] = covers
  return chord_tone_weights, chord_mask


def signature(chord_tone_weights: melody.Floats) -> int:
  """The major scale that holds most of a progression's chord tones.

  Args:
    chord_tone_weights: [256, 12] from `chord_tones`.

  Returns:
    Pitch class of its tonic: 0 for `C Am F G` and for `Am Dm E Am`, 3 for
    `Cm Fm Gm Cm`; the lowest of several, so 0 where there is no chord.
  """
  weights = chord_tone_weights.sum(axis=0)
  held = [weights[np.add(_SCALES['major'][0], k) % 12].sum() for k in range(12)]
  # Sums of the same weights in another order differ in the last digits.
  return int(np.argmax(np.round(held, 3)))


def scale(chord_tone_weights: melody.Floats) -> npt.NDArray[np.bool_]:
  """[12] which pitch classes the `signature` of a progression has.

  Args:
    chord_tone_weights: [256, 12] from `chord_tones`.
  """
  degrees = np.add(_SCALES['major'][0], signature(chord_tone_weights))
  return np.isin(np.arange(12), degrees % 12)


@functools.lru_cache  # Melody after melody asks for the same.
def key(progression: str, mode: str) -> int | None:
  """The key of a progression whose mode is known.

  It is the one whose scale holds most of the chord tones; the tonic's own triad
  counts once more. Where that leaves several, it is that of the first chord.
  The minor scale is the natural one, as key signatures have it.

  Args:
    progression: see `bars`.
    mode: 'major' or 'minor'.

  Returns:
    Pitch class of the tonic, 0 being C; None where there is no chord.

  Raises:
    ValueError: an unknown symbol.
  """
  symbols = [
    symbol
    for bar in _own_bars(progression)
    for symbol in (bar * 2 if len(bar) == 1 else bar)
  ]
  tones = np.stack(
    [
      symbol_tones(symbol) > 0 if symbol != NO_CHORD else np.zeros(12, bool)
      for symbol in symbols or [NO_CHORD]
    ]
  )
  roots = [
    chord_symbols_lib.chord_symbol_root(symbol)
    for symbol in symbols
    if symbol != NO_CHORD
  ]
  if not roots:
    return None

  def weight(tonic: int) -> tuple[int, bool]:
    scale, triad = (
      np.isin((np.arange(12) - tonic) % 12, degrees)
      for degrees in _SCALES[mode]
    )
    inside = (tones & scale).sum()
    tonic_chords = (tones == triad).all(axis=1).sum()
    return inside + tonic_chords, tonic == roots[0]

  return max(range(12), key=weight)


@functools.lru_cache
def written_out(
  progression: str,
  mode: str,
  cadence: bool = True,
  metre: metres.Metre = metres.QUADRUPLE,
) -> str:
  """A progression's 16 bars; what is repeated closes on the tonic at last.

  A loop leads to its own beginning, so that a melody over it would end in the
  air. One that is written out in 16 bars is left as it is.

  Args:
    progression: see `bars`.
    mode: 'major' or 'minor'.
    cadence: whether to close.
    metre: of the bars.

  Returns:
    16 bars between `|`, or `metre.bars_per_window`.

  Raises:
    ValueError: what `chord_tones` raises.
  """
  written = bars(progression, metre)
  own = len(_own_bars(progression))
  tonic = key(progression, mode)
  if cadence and tonic is not None and own < len(written):
    at_home = [
      symbol
      for bar in written
      for symbol in bar
      if symbol != NO_CHORD
      and chord_symbols_lib.chord_symbol_root(symbol) == tonic
    ]
    named = TONICS[mode][tonic] + ('m' if mode == 'minor' else '')
    if not at_home or written[-1][-1] not in at_home:
      written = [*written[:-1], ((at_home or [named])[0],)]
  return ' | '.join(' '.join(bar) for bar in written)


def rebarred(progression: str, metre: metres.Metre, other: metres.Metre) -> str:
  """A progression in another metre, as long in the model's bars.

  Two bars of one that take half as long are one bar with two chords; but the
  last chord has a bar of its own.

  Args:
    progression: see `bars`.
    metre: it is written in.
    other: to write it in.

  Returns:
    `other.bars_per_window` bars between `|`; the same where they are as many.
  """
  if metre.bars_per_window == other.bars_per_window:
    return progression
  half_bars = [
    symbol
    for bar in bars(progression, metre)
    for symbol in (bar * 2 if len(bar) == 1 else bar)
  ]
  # Halves of the 16 bars that both of them divide or join.
  share = len(half_bars) / (2 * other.bars_per_window)
  halves = [half_bars[int(i * share)] for i in range(2 * other.bars_per_window)]
  if share > 1:  # The last bar closes: what leads there stands before it.
    halves[-3:-1] = halves[-2:]
  return ' | '.join(
    first if first == second else f'{first} {second}'
    for first, second in zip(halves[::2], halves[1::2])
  )


def spelled(pitch_class: int, tonic: int, mode: str) -> str:
  """A root as its key has it: Ab in C minor, G# in A minor.

  Args:
    pitch_class: of the root.
    tonic: pitch class of the key's.
    mode: 'major' or 'minor'.
  """
  name = TONICS[mode][tonic]
  fifths = 'FCGDAEB'.index(name[0]) - 1
  fifths += 7 * (name.count('#') - name.count('b'))
  sharps = fifths - 3 * (mode == 'minor')
  # From the flat third of the major key to the leading note of the minor one.
  for fifth in range(sharps - 3, sharps + 9):
    if fifth * 7 % 12 == pitch_class:
      number, letter = (fifth + 1) // 7, 'FCGDAEB'[(fifth + 1) % 7]
      return letter + '#' * number + 'b' * -number
  raise AssertionError('twelve fifths have every pitch class')


def transposed(progression: str, semitones: int) -> str:
  """A progression in another key.

  Args:
    progression: see `bars`.
    semitones: to go up by.

  Raises:
    ValueError: an unknown symbol.
  """
  if not semitones % 12:
    return progression
  result = []
  for symbol in progression.split():
    if symbol not in ('|', NO_CHORD):
      try:
        symbol = chord_symbols_lib.transpose_chord_symbol(symbol, semitones)
      except chord_symbols_lib.ChordSymbolError:
        raise ValueError(f'chords: {symbol!r} is not a chord symbol') from None
    result.append(symbol)
  return ' '.join(result)


def symbol_tones(
  symbol: str, weights: ToneWeights = ToneWeights()
) -> npt.NDArray[np.float32]:
  """How far each pitch class belongs to a chord.

  Args:
    symbol: chord symbol, as `Am` or `Bb7`; not `N.C.`.
    weights: what each tone of the chord counts.

  Returns:
    [12] float32 weights in [0, 1], pitch class 0 being C.

  Raises:
    ValueError: an unknown symbol.
  """
  return _symbol_tones(symbol, weights).copy()


@functools.lru_cache(4096)
def _symbol_tones(symbol: str, weights: ToneWeights) -> npt.NDArray[np.float32]:
  """As `symbol_tones`; each note of a melody asks for its chord's."""
  try:
    root = chord_symbols_lib.chord_symbol_root(symbol)
    pitches = chord_symbols_lib.chord_symbol_pitches(symbol)
  except chord_symbols_lib.ChordSymbolError:
    raise ValueError(
      messages.say(
        'chords: {symbol!r} is not a chord symbol; write C, Am, F#dim, Bb7, '
        'Dm7b5 or {none}',
        symbol=symbol,
        none=NO_CHORD,
      )
    ) from None
  result = np.zeros(12, np.float32)
  for pitch in pitches:
    interval = (pitch - root) % 12
    if interval == 0:
      value = weights.root
    elif interval in _THIRDS:
      value = weights.third
    elif interval in _FIFTHS:
      value = weights.fifth
    else:
      value = weights.other
    result[pitch % 12] = value
  return result
