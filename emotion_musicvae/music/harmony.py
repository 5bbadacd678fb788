"""Chord symbols to chord tones on the 256-step grid."""

import dataclasses
import functools

import numpy as np

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

NUM_BARS = 16
STEPS_PER_BAR = 16
NO_CHORD = 'N.C.'

_THIRDS = (3, 4)
_FIFTHS = (6, 7, 8)
# Degrees of a mode's scale and of its tonic's triad, semitones above the tonic.
_SCALES = {
  'major': ((0, 2, 4, 5, 7, 9, 11), (0, 4, 7)),
  'minor': ((0, 2, 3, 5, 7, 8, 10), (0, 3, 7)),
}


@dataclasses.dataclass(frozen=True)
class ToneWeights:
  """How well a note fits its chord, from 0 (foreign) to 1 (fits wholly)."""

  root: float = 1.0
  third: float = 1.0
  fifth: float = 1.0
  other: float = 0.0  # sevenths, sixths, suspensions and further tensions

  def __post_init__(self):
    for name, value in dataclasses.asdict(self).items():
      if not 0.0 <= value <= 1.0:
        raise ValueError(f'{name}: expected a weight in [0, 1], got {value}')


def bars(progression):
  """Splits a progression into bars of one or two chord symbols.

  Args:
    progression: chord symbols, one a bar (`C Am F G`), or bars of one or two
      chords between `|` (`C Am | F G | C`). It is repeated until 16 bars are
      filled.

  Returns:
    List of 16 tuples of one or two symbols.

  Raises:
    ValueError: no chord, more than two in a bar, or a number of bars that does
      not divide 16.
  """
  if '|' in progression:
    result = [tuple(b.split()) for b in progression.strip(' |').split('|')]
  else:
    result = [(symbol,) for symbol in progression.split()]
  for bar in result:
    if not 1 <= len(bar) <= 2:
      raise ValueError(
        f'chords: a bar takes one or two chords, got {" ".join(bar)!r} in '
        f'{progression!r}'
      )
  if not result or NUM_BARS % len(result):
    raise ValueError(
      f'chords: expected 1, 2, 4, 8 or 16 bars, which fill 16 by repeating, '
      f'got {len(result)} in {progression!r}'
    )
  return result * (NUM_BARS // len(result))


def chord_tones(progression, weights=ToneWeights()):
  """How well each pitch class fits at each step.

  Args:
    progression: see `bars`.
    weights: `ToneWeights`.

  Returns:
    `(fit, sounding)`: [256, 12] float32 weights in [0, 1], pitch class 0 being
    C, and [256] float32 that is 0 where there is no chord (`N.C.`).

  Raises:
    ValueError: an unknown symbol, which is named, or what `bars` raises.
  """
  fit = np.zeros([NUM_BARS * STEPS_PER_BAR, 12], np.float32)
  sounding = np.zeros([NUM_BARS * STEPS_PER_BAR], np.float32)
  step = 0
  for bar in bars(progression):
    for symbol in bar:
      length = STEPS_PER_BAR // len(bar)
      if symbol != NO_CHORD:
        fit[step : step + length] = symbol_tones(symbol, weights)
        sounding[step : step + length] = 1.0
      step += length
  return fit, sounding


def signature(fit):
  """The major scale that holds most of a progression's chord tones.

  Args:
    fit: [256, 12] weights from `chord_tones`.

  Returns:
    Pitch class of its tonic: 0 for `C Am F G` and for `Am Dm E Am`, 3 for
    `Cm Fm Gm Cm`; the lowest of several, so 0 where there is no chord.
  """
  weights = fit.sum(axis=0)
  held = [weights[np.add(_SCALES['major'][0], k) % 12].sum() for k in range(12)]
  # Sums of the same weights in another order differ in the last digits.
  return int(np.argmax(np.round(held, 3)))


@functools.lru_cache  # Melody after melody asks for the same.
def key(progression, mode):
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
    ValueError: what `chord_tones` raises.
  """
  fit, _ = chord_tones(progression)
  tones = fit > 0
  symbols = [symbol for bar in bars(progression) for symbol in bar]
  roots = [
    chord_symbols_lib.chord_symbol_root(symbol)
    for symbol in symbols
    if symbol != NO_CHORD
  ]
  if not roots:
    return None

  def weight(tonic):
    scale, triad = (
      np.isin((np.arange(12) - tonic) % 12, degrees)
      for degrees in _SCALES[mode]
    )
    inside = (tones & scale).sum()
    home = (tones == triad).all(axis=1).sum()
    return inside + home, tonic == roots[0]

  return max(range(12), key=weight)


def symbol_tones(symbol, weights=ToneWeights()):
  """How well each pitch class fits a chord: [12] float32 weights in [0, 1].

  Raises:
    ValueError: an unknown symbol.
  """
  try:
    root = chord_symbols_lib.chord_symbol_root(symbol)
    pitches = chord_symbols_lib.chord_symbol_pitches(symbol)
  except chord_symbols_lib.ChordSymbolError:
    raise ValueError(
      f'chords: {symbol!r} is not a chord symbol; write C, Am, F#dim, Bb7, '
      f'Dm7b5 or {NO_CHORD}'
    ) from None
  fit = np.zeros(12, np.float32)
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
    fit[pitch % 12] = value
  return fit
