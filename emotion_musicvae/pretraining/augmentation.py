"""Variants of melodies that a tune could have had, in its own key signature.

The base model knows one key signature, the one without sharps and flats, so it
cannot be shown a tune in twelve keys. What it is shown instead is played in
other ways: its parts in another order, in forms whose bars return; moved within
the scale, so that major becomes relative minor; an octave away; with ornaments
more or fewer, and with even beats dotted; with bars of other tunes where they
fit. Bars that are equal before are equal afterwards, as form is what the model
has to learn.
"""

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody

_BAR = melody.STEPS_PER_BAR
_PHRASE = 4 * _BAR  # steps of four bars

SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
# Octaves that keep the mean pitch where a melody may lie (MIDI).
HOME_PITCH = 67
TONICS = (0, 9)  # of the major and the minor of one signature

# What is played of two tunes: phrases of four bars, or of two (lower case `x`
# and `y` halves of a phrase). Upper case: the tune itself; lower: the other.
# 0 to 3 are phrases in their order; 3 ends as the tune does.
FORMS = (
  'A0 A3 A0 A3',
  'A0 A1 A0 A3',
  'A3 A3 B0 A3',
  'A0 A3 B0 B3',
  'B0 A3 B0 A3',
  'A0 A0 A3 A3',
  'A0 A3 B0 A3',
  'A2 A3 A2 A3',
  'A0 B3 A0 A3',
  'B2 B2 A3 A3',
)


def canonical_shift(pitches: npt.ArrayLike, durations: npt.ArrayLike) -> int:
  """Semitones that bring a tune to the signature without sharps and flats.

  The signature fits best in which most of the sounding time lies on the scale.
  Of those that fit about as well, the one counts in which the last note is the
  tonic of the major or of its relative minor.

  Args:
    pitches: [N] int MIDI pitches in order of onset.
    durations: [N] float, in any unit.

  Returns:
    Integer from -11 to 11; the mean pitch comes within half an octave of
    `HOME_PITCH`.
  """
  pitches = np.asarray(pitches, int)
  durations = np.asarray(durations, float)
  weights = np.bincount(pitches % 12, durations, minlength=12)
  weights = weights / max(weights.sum(), 1e-9)
  fit = np.array([weights[(SCALE - shift) % 12].sum() for shift in range(12)])
  last = (pitches[-1] + np.arange(12)) % 12
  fit += 0.03 * np.isin(last, TONICS) + 0.001 * (last == 0)
  shift = int(np.argmax(fit))
  mean = np.average(pitches, weights=durations) + shift
  return shift - 12 * int(np.round((mean - HOME_PITCH) / 12))


def _degrees_table() -> npt.NDArray[np.int64]:
  """[15, 128] MIDI pitch moved by -7 to 7 degrees of the scale."""
  pitch = np.arange(128)
  degree = np.searchsorted(SCALE, pitch % 12, side='right') - 1
  accidental = pitch % 12 - SCALE[degree]
  moved = degree + np.arange(-7, 8)[:, None]
  octave = pitch // 12 + moved // 7
  return np.clip(12 * octave + SCALE[moved % 7] + accidental, 0, 127)


_DEGREES = _degrees_table()


def move(tokens: melody.Tokens, degrees: int) -> melody.Tokens:
  """Moves a melody along the scale; what would leave the range stays.

  Args:
    tokens: [T] int tokens.
    degrees: steps of the scale, from -7 to 7.

  Returns:
    [T] int32 tokens.
  """
  tokens = np.asarray(tokens, np.int32)
  pitch = np.maximum(tokens - melody.FIRST_ONSET, 0) + melody.MIN_PITCH
  moved = _DEGREES[degrees + 7, pitch] - melody.MIN_PITCH + melody.FIRST_ONSET
  fits = (
    (tokens >= melody.FIRST_ONSET)
    & (moved >= melody.FIRST_ONSET)
    & (moved < melody.NUM_TOKENS)
  )
  return np.where(fits, moved, tokens).astype(np.int32)


def degrees_to_tonic(final: int, tonic: int) -> int:
  """Steps of the scale, -3 to 3, from one pitch class to another on it."""
  there = int(np.searchsorted(SCALE, tonic))
  here = int(np.searchsorted(SCALE, final, side='right')) - 1
  return (there - here + 3) % 7 - 3


def in_form(
  own: melody.Tokens, other: melody.Tokens, form: str
) -> melody.Tokens:
  """Sixteen bars of phrases of two melodies.

  Args:
    own: [256] tokens of a melody that ends as a tune does.
    other: [256] tokens of another.
    form: one of `FORMS`.

  Returns:
    [256] tokens.
  """
  phrases = {'A': own, 'B': other}
  row = np.concatenate(
    [
      phrases[name[0]][int(name[1]) * _PHRASE :][:_PHRASE]
      for name in form.split()
    ]
  )
  first = int(np.argmax(row >= melody.FIRST_ONSET))
  row[:first] = melody.HOLD
  return row


def in_small_form(own: melody.Tokens) -> melody.Tokens:
  """A melody of two-bar phrases: x y x z, twice, z the end of the tune."""
  half = 2 * _BAR
  x, y, z = own[:half], own[half : 2 * half], own[-half:]
  eight = np.concatenate([x, y, x, z])
  row = np.concatenate([eight, eight])
  first = int(np.argmax(row >= melody.FIRST_ONSET))
  row[:first] = melody.HOLD
  return row


def thinned(
  bars: melody.Tokens, rate: float, rng: np.random.Generator
) -> melody.Tokens:
  """Leaves out notes off the beat, whose time goes to the note before.

  Args:
    bars: [N, 16] tokens.
    rate: probability that a note on the weakest sixteenth goes.
    rng: `np.random.Generator`.

  Returns:
    [N, 16] tokens.
  """
  weakness = np.array([0.0, 1.0, 0.6, 1.0, 0.15, 1.0, 0.6, 1.0] * 2)
  weakness[8] = 0.05
  gone = rng.random(bars.shape) < rate * weakness
  return np.where(gone & (bars >= melody.FIRST_ONSET), melody.HOLD, bars)


def ornamented(
  bars: melody.Tokens, rate: float, rng: np.random.Generator
) -> melody.Tokens:
  """Plays a neighbouring note in the middle of some notes of a beat or more.

  Args:
    bars: [N, 16] tokens.
    rate: probability of each such note.
    rng: `np.random.Generator`.

  Returns:
    [N, 16] tokens.
  """
  bars = bars.copy()
  for bar in bars:
    events = np.append(np.flatnonzero(bar), _BAR)
    for start, stop in zip(events[:-1], events[1:]):
      length = stop - start
      if bar[start] < melody.FIRST_ONSET or length not in (4, 8):
        continue
      if rng.random() >= rate:
        continue
      neighbour = move(bar[start : start + 1], int(rng.choice([-1, 1])))[0]
      bar[start + length // 2] = neighbour
      if rng.random() < 0.5:
        bar[start + 3 * length // 4] = bar[start]
  return bars


def with_rhythm(bars: melody.Tokens, before: int, after: int) -> melody.Tokens:
  """Moves the second of two notes on a beat.

  Args:
    bars: [N, 16] tokens.
    before: step of the beat, 1 to 3, that the second note has.
    after: step that it gets.

  Returns:
    [N, 16] tokens.
  """
  beats = bars.reshape(-1, 4).copy()
  onset = beats >= melody.FIRST_ONSET
  pair = onset[:, 0] & onset[:, before] & (onset.sum(axis=1) == 2)
  pair &= (beats == melody.NOTE_OFF).sum(axis=1) == 0
  second = beats[pair, before].copy()
  beats[pair, before] = melody.HOLD
  beats[pair, after] = second
  return beats.reshape(bars.shape)


def varied(row: melody.Tokens, rng: np.random.Generator) -> melody.Tokens:
  """One variant of a melody's ornaments or rhythm.

  Args:
    row: [256] int tokens.
    rng: `np.random.Generator`.

  Returns:
    [256] int tokens; bars that were equal are equal.
  """
  bars, where = np.unique(row.reshape(-1, _BAR), axis=0, return_inverse=True)
  where = where.reshape(-1)
  kind = rng.integers(3)
  if kind == 0:
    bars = thinned(bars, rng.uniform(0.2, 0.9), rng)
  elif kind == 1:
    bars = ornamented(bars, rng.uniform(0.2, 0.7), rng)
  else:
    before, after = [(2, 3), (3, 2), (2, 1)][rng.choice(3, p=[0.4, 0.4, 0.2])]
    bars = with_rhythm(bars, before, after)
  result = bars[where].reshape(-1)
  return result if (result >= melody.FIRST_ONSET).sum() > 1 else row


class Bars:
  """Distinct bars of many tunes, by what joins them to the bars around them.

  Args:
    tokens: [N, 256] int tokens of the tunes, in one key.
  """

  def __init__(self, tokens: melody.Tokens) -> None:
    bars = np.ascontiguousarray(tokens, np.uint8).reshape(-1, _BAR)
    whole = np.unique(bars.view(f'V{_BAR}').reshape(-1))
    bars = whole.view(np.uint8).reshape(-1, _BAR)
    keys = _joins(bars)
    order = np.argsort(keys, kind='stable')
    self._bars, self._keys = bars[order], keys[order]

  def exchanged(
    self, row: melody.Tokens, share: float, rng: np.random.Generator
  ) -> melody.Tokens:
    """Plays bars of other tunes in place of some of a melody's.

    A bar gives way to one with as many notes that begins and ends on the same
    pitches, so that the line goes on as it did; one without notes stays.

    Args:
      row: [256] int tokens.
      share: of the melody's distinct bars.
      rng: `np.random.Generator`.

    Returns:
      [256] int tokens; bars that were equal are equal.
    """
    bars, where = np.unique(row.reshape(-1, _BAR), axis=0, return_inverse=True)
    where = where.reshape(-1)
    keys = _joins(bars)
    first = np.searchsorted(self._keys, keys, 'left')
    count = np.searchsorted(self._keys, keys, 'right') - first
    drawn = rng.random(len(bars)), rng.random(len(bars))
    for i in np.flatnonzero((drawn[0] < share) & (count > 0) & (keys > 0)):
      bars[i] = self._bars[first[i] + int(drawn[1][i] * count[i])]
    return bars[where].reshape(-1)


def _joins(bars: melody.Tokens) -> npt.NDArray[np.int64]:
  """[N] equal for bars that may stand for each other; 0 without notes.

  Bars are [N, 16] tokens.
  """
  onset = bars >= melody.FIRST_ONSET
  count = onset.sum(axis=1)
  rows = np.arange(len(bars))
  first = bars[rows, onset.argmax(axis=1)].astype(int)
  last = bars[rows, _BAR - 1 - onset[:, ::-1].argmax(axis=1)].astype(int)
  begins = np.minimum(bars[:, 0], melody.FIRST_ONSET).astype(int)
  key = ((count * 3 + begins) * 128 + first) * 128 + last
  return np.where(count > 0, key, 0)


def octave_for(
  row: melody.Tokens,
  mean_pitch: tuple[float, float],
  elsewhere: float,
  rng: np.random.Generator,
) -> int:
  """Octaves to move a melody by, so that its mean pitch is in a range.

  Args:
    row: [256] int tokens.
    mean_pitch: the range in MIDI pitch.
    elsewhere: probability of an octave that is not nearest to `HOME_PITCH`.
    rng: `np.random.Generator`.

  Returns:
    Semitones, a multiple of 12.
  """
  onsets = (
    row[row >= melody.FIRST_ONSET].astype(int)
    - melody.FIRST_ONSET
    + melody.MIN_PITCH
  )
  octaves = 12 * np.arange(-3, 4)
  means = onsets.mean() + octaves
  fits = (onsets.min() + octaves >= melody.MIN_PITCH) & (
    onsets.max() + octaves <= melody.MAX_PITCH
  )
  nearest = octaves[np.argmin(np.where(fits, abs(means - HOME_PITCH), 999.0))]
  fits &= (means >= mean_pitch[0]) & (means <= mean_pitch[1])
  others = octaves[fits & (octaves != nearest)]
  drawn = rng.random(), rng.random()
  if len(others) and drawn[0] < elsewhere:
    return int(others[int(drawn[1] * len(others))])
  return int(nearest)


def encoder_view(
  tokens: melody.Tokens, rate: float, rng: np.random.Generator
) -> melody.Tokens:
  """Melodies with some notes left out and some on a neighbouring pitch.

  Args:
    tokens: [B, 256] int32.
    rate: probability of each of both, per note.
    rng: `np.random.Generator`.

  Returns:
    [B, 256] int32.
  """
  drawn = rng.random(tokens.shape)
  onset = tokens >= melody.FIRST_ONSET
  up, down = move(tokens, 1), move(tokens, -1)
  result = np.where(onset & (drawn < rate), melody.HOLD, tokens)
  result = np.where(onset & (drawn > 1.0 - rate / 2), up, result)
  middle = (drawn > 1.0 - rate) & (drawn <= 1.0 - rate / 2)
  return np.where(onset & middle, down, result).astype(np.int32)


def decoder_view(
  tokens: melody.Tokens,
  dropped: float,
  replaced: float,
  rng: np.random.Generator,
) -> melody.Tokens:
  """What a decoder is told of the tokens so far, some of it missing or wrong.

  Args:
    tokens: [B, 256] int32.
    dropped: probability that a token is not told: -1.
    replaced: probability that another of the same melody is told.
    rng: `np.random.Generator`.

  Returns:
    [B, 256] int32.
  """
  drawn = rng.random(tokens.shape)
  elsewhere = rng.integers(tokens.shape[1], size=tokens.shape)
  wrong = np.take_along_axis(tokens, elsewhere, axis=1)
  result = np.where(drawn < dropped, -1, tokens)
  return np.where(drawn > 1.0 - replaced, wrong, result).astype(np.int32)
