"""Small changes to melodies, drawn at random, as a composer tries them.

None knows what is asked for: notes move, come, go, last and change their pitch,
one by one or many alike. What a change is good for is measured; see `plans`.
"""

from __future__ import annotations

from collections.abc import Callable
import random

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody

_Row = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]
_STEPS = melody.STEPS_PER_BAR
# Bars that a change may span, and how often it does.
_SPANS = (1, 1, 2, 4, 8, 16)
# The first of some bars of each phrase of four, and how many they are.
_OF_PHRASES = ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1))
# The first note and the last are few to lose.
_FEWEST = 4
_LOW = 36 - melody.MIN_PITCH + melody.FIRST_ONSET
_HIGH = 96 - melody.MIN_PITCH + melody.FIRST_ONSET


class Editor:
  """Draws changes to one melody.

  Args:
    rng: of what is drawn.
    scale: [12] which pitch classes are at home.
    chord_tone_weights: [256, 12] of the chords.
    last: step from which on nothing but a pitch changes, so that a melody ends
      as it does.
  """

  def __init__(
    self,
    rng: random.Random,
    scale: npt.NDArray[np.bool_],
    chord_tone_weights: melody.Floats,
    last: int,
  ) -> None:
    self._rng = rng
    self._last = last
    self._home = _tokens_of(scale)
    chords = np.asarray(chord_tone_weights)[:: melody.STEPS_PER_QUARTER] > 0
    # Of each beat; the scale's where no chord stands.
    known = {
      row.tobytes(): _tokens_of(row if row.any() else scale) for row in chords
    }
    self._tones = [known[row.tobytes()] for row in chords]
    self._kinds: tuple[Callable[[_Row, _Ints], None], ...] = (
      self._repitch,
      self._repitch,
      self._repitch,
      self._move,
      self._move,
      self._anticipate,
      self._lift,
      self._fold,
      self._add,
      self._remove,
      self._shorten,
      self._lengthen,
      self._shift_ending,
    )

  def __call__(self, tokens: _Row) -> _Row:
    """[256] the same melody with one change, or none."""
    result = tokens.copy()
    onsets = np.flatnonzero(result >= melody.FIRST_ONSET)
    if len(onsets) >= _FEWEST:
      self._rng.choice(self._kinds)(result, onsets)
    return result

  def _span(self, onsets: _Ints) -> _Ints:
    """The notes of some bars, or of the same bars of each phrase."""
    if self._rng.random() < 0.4:
      first, bars = self._rng.choice(_OF_PHRASES)
      bar = onsets // _STEPS % 4
      return onsets[(bar >= first) & (bar < first + bars)]
    bars = self._rng.choice(_SPANS)
    first = self._rng.randrange(melody.NUM_BARS // bars) * bars * _STEPS
    return onsets[(onsets >= first) & (onsets < first + bars * _STEPS)]

  def _near(self, token: int, at: int) -> int:
    """A token near another: of the scale, on the beat mostly of the chord.

    Now and then it is of none.
    """
    drawn = self._rng.random()
    if drawn < 0.1:
      return min(max(token + self._rng.choice((-1, 1)), _LOW), _HIGH)
    on_beat = at % melody.STEPS_PER_QUARTER == 0 and drawn < 0.7
    able = (
      self._tones[at // melody.STEPS_PER_QUARTER] if on_beat else self._home
    )
    most = 1 if on_beat else 3
    place = int(np.searchsorted(able, token)) + self._rng.randint(-most, most)
    return int(able[min(max(place, 0), len(able) - 1)])

  def _repitch(self, row: _Row, onsets: _Ints) -> None:
    """One note gets a pitch near its own, or near a neighbour's."""
    i = self._rng.randrange(len(onsets))
    like = min(max(i + self._rng.choice((-1, 0, 1)), 0), len(onsets) - 1)
    row[onsets[i]] = self._near(int(row[onsets[like]]), int(onsets[i]))

  def _move(self, row: _Row, onsets: _Ints) -> None:
    """One note begins a little sooner or later."""
    at = int(self._rng.choice(onsets.tolist()))
    to = at + self._rng.choice((-4, -2, -2, -1, -1, 1, 1, 2, 2, 4))
    if (
      to >= 0
      and max(at, to) < self._last
      and not (
        row[min(at, to) + (at < to) : max(at, to) + (at < to)] >= 2
      ).any()
    ):
      token = row[at]
      row[min(at, to) : max(at, to) + 1] = melody.HOLD
      row[to] = token

  def _anticipate(self, row: _Row, onsets: _Ints) -> None:
    """Notes of some bars on one place of the beat all move to another."""
    place = self._rng.randrange(melody.STEPS_PER_QUARTER)
    by = self._rng.choice((-2, -1, 1, 2))
    notes = self._span(onsets)
    for at in notes[notes % melody.STEPS_PER_QUARTER == place].tolist():
      to = at + by
      between = row[min(at, to) + (at < to) : max(at, to) + (at < to)]
      if to >= 0 and max(at, to) < self._last and not (between >= 2).any():
        token = row[at]
        row[min(at, to) : max(at, to) + 1] = melody.HOLD
        row[to] = token

  def _lift(self, row: _Row, onsets: _Ints) -> None:
    """The notes of some bars all go up or down by degrees of the scale."""
    notes = self._span(onsets)
    by = self._rng.choice((-3, -2, -1, 1, 2, 3))
    place = np.searchsorted(self._home, row[notes]) + by
    moved = self._home[np.clip(place, 0, len(self._home) - 1)]
    # On the beat, to the nearest tone of the chord, or now and then not.
    if self._rng.random() < 0.7:
      for k in np.flatnonzero(notes % melody.STEPS_PER_QUARTER == 0).tolist():
        tones = self._tones[notes[k] // melody.STEPS_PER_QUARTER]
        moved[k] = tones[np.abs(tones - moved[k]).argmin()]
    row[notes] = moved

  def _fold(self, row: _Row, onsets: _Ints) -> None:
    """All notes of one pitch get another, or the outermost come nearer."""
    pitches = np.unique(row[onsets]).tolist()
    i = self._rng.choice((0, -1, self._rng.randrange(len(pitches))))
    by = 0
    if self._rng.random() < 0.3:
      by = 12 if pitches[i] < np.mean(pitches) else -12
    for at in onsets[row[onsets] == pitches[i]].tolist():
      row[at] = pitches[i] + by if by else self._near(pitches[i], at)

  def _add(self, row: _Row, onsets: _Ints) -> None:
    """A note begins where none did."""
    at = self._rng.randrange(self._last)
    if row[at] < melody.FIRST_ONSET:
      before = onsets[max(int(np.searchsorted(onsets, at)) - 1, 0)]
      row[at] = self._near(int(row[before]), at)

  def _remove(self, row: _Row, onsets: _Ints) -> None:
    """One note goes; the one before it lasts on."""
    at = int(self._rng.choice(onsets.tolist()))
    if 0 < at < self._last:
      row[at] = melody.HOLD

  def _shorten(self, row: _Row, onsets: _Ints) -> None:
    """The notes of some bars, or one, end before the next begins."""
    notes = self._span(onsets)
    if self._rng.random() < 0.3 and len(notes):
      notes = notes[[self._rng.randrange(len(notes))]]
    share = self._rng.choice((0.25, 0.5, 0.5, 0.75, 0.9))
    ends = np.append(onsets[1:], self._last)
    for at in notes.tolist():
      end = int(ends[np.searchsorted(onsets, at)])
      length = max(1, int((end - at) * share))
      if at + length < min(end, self._last):
        row[at + 1 : end] = melody.HOLD
        row[at + length] = melody.NOTE_OFF

  def _lengthen(self, row: _Row, onsets: _Ints) -> None:
    """The notes of some bars, or one, last until the next begins."""
    offs = np.flatnonzero(row == melody.NOTE_OFF)
    if not len(offs):
      return
    offs = (
      offs[[self._rng.randrange(len(offs))]]
      if (self._rng.random() < 0.3)
      else self._span(offs)
    )
    row[offs] = melody.HOLD

  def _shift_ending(self, row: _Row, onsets: _Ints) -> None:
    """The last notes of a phrase go, or one of them comes back."""
    end = self._rng.choice((4, 8, 12)) * _STEPS
    rest = self._rng.choice((2, 4, 6, 8))
    notes = onsets[(onsets > end - rest) & (onsets < end)]
    row[notes] = melody.HOLD


def _tokens_of(classes: npt.NDArray[np.bool_]) -> _Ints:
  """The tokens of some of [12] pitch classes, where melodies lie."""
  token = np.arange(_LOW, _HIGH + 1)
  return token[classes[(token - melody.FIRST_ONSET + melody.MIN_PITCH) % 12]]
