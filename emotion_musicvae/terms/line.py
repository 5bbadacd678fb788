"""Terms of the line: range, direction, arch and steps."""

from __future__ import annotations

import typing

import numpy as np

from emotion_musicvae.music import melody
from emotion_musicvae.terms.term import Term

if typing.TYPE_CHECKING:
  import tensorflow as tf

_MIDDLE = 66.0  # MIDI, from which pitches are counted
_NUM_PHRASES, _PHRASE_BARS = 4, 4


def _pitches(tokens: melody.Tokens) -> melody.Floats:
  """[B, 256] MIDI pitches above the middle where a note begins; 0 elsewhere."""
  pitch = tokens.astype(np.float64) - melody.FIRST_ONSET + melody.MIN_PITCH
  return np.where(tokens >= melody.FIRST_ONSET, pitch - _MIDDLE, 0.0)


class Range(Term):
  """Semitones from the lowest note to the highest, the ambitus of a melody."""

  name = 'range'
  korean = '음역'
  unit = 'semitones'
  low = 2.0
  high = 30.0
  tolerance = 1.5

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    onset = tokens >= melody.FIRST_ONSET
    highest = np.where(onset, tokens, 0).max(axis=1).astype(float)
    lowest = np.where(onset, tokens, melody.NUM_TOKENS).min(axis=1)
    return np.where(onset.any(axis=1), highest - lowest, 0.0)

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onsets = probabilities[:, :, melody.FIRST_ONSET :]

    def reached(reverse: bool) -> tf.Tensor:
      """[B, 88] that some note lies at a pitch or beyond."""
      beyond = tf.cumsum(onsets, axis=2, reverse=reverse)
      return 1.0 - tf.reduce_prod(1.0 - tf.minimum(beyond, 1.0), axis=1)

    above, below = reached(True), reached(False)
    # Of n pitches from one end some note lies at n - 1 or beyond.
    any_note = above[:, 0]
    return (
      tf.reduce_sum(above, axis=1)
      + tf.reduce_sum(below, axis=1)
      - (melody.NUM_PITCHES + 1) * any_note
    )


class _Shape(Term):
  """How some bars of each phrase lie beside the others in pitch."""

  unit = 'semitones'
  low = -8.0
  high = 8.0
  tolerance = 0.75
  bar_scale = 20.0
  _bars: tuple[int, ...] = ()

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    onset = tokens >= melody.FIRST_ONSET
    pitch, count = (
      x.reshape(len(tokens), melody.NUM_BARS, -1).sum(axis=2)
      for x in (_pitches(tokens), onset.astype(float))
    )
    return np.asarray(self._contrast(pitch, count, np))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onsets = probabilities[:, :, melody.FIRST_ONSET :]
    count = tf.reduce_sum(
      tf.reshape(
        onsets, [-1, melody.NUM_BARS, melody.STEPS_PER_BAR * melody.NUM_PITCHES]
      ),
      axis=2,
    )
    return self._contrast(self.by_bar(probabilities), count, tf)

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onsets = probabilities[:, :, melody.FIRST_ONSET :]
    above = onsets @ (melody.PITCHES[:, None] - np.float32(_MIDDLE))
    bars = tf.reshape(above, [-1, melody.NUM_BARS, melody.STEPS_PER_BAR])
    return tf.reduce_sum(bars, axis=2)

  def of_bars(self, bars: tf.Tensor, notes: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return self._contrast(bars, notes, tf)

  def _contrast(
    self, pitch: typing.Any, count: typing.Any, xp: typing.Any
  ) -> typing.Any:
    """[B] mean over phrases of how far the mean of some bars lies above.

    Args:
      pitch: [B, 16] summed pitches of the notes of a bar.
      count: [B, 16] how many they are.
      xp: numpy or TensorFlow.
    """
    total = xp.sum if xp is np else xp.reduce_sum
    shape = [-1, _NUM_PHRASES, _PHRASE_BARS]
    pitch, count = xp.reshape(pitch, shape), xp.reshape(count, shape)
    inside = np.isin(np.arange(_PHRASE_BARS), self._bars).astype(np.float32)
    sides = []
    for weight in (inside, 1.0 - inside):
      notes = total(count * weight, axis=2)
      sides.append((total(pitch * weight, axis=2), notes))
    (a, n), (b, m) = sides
    # Where one side has no note there is nothing to compare.
    both = xp.minimum(xp.minimum(n, m), 1.0)
    away = a / xp.maximum(n, 1.0) - b / xp.maximum(m, 1.0)
    return total(away * both, axis=1) / _NUM_PHRASES


class Direction(_Shape):
  """Semitones by which phrases rise: their last half above their first.

  Mean of the four phrases of four bars; below 0 they fall, as most do at last
  (Huron 1996, The melodic arch in Western folksongs, Computing in Musicology
  10).
  """

  name = 'direction'
  korean = '방향'
  _bars = (2, 3)


class Arch(_Shape):
  """Semitones by which phrases are arched: their middle above their ends.

  The two bars in the middle of each phrase of four beside its first and last,
  mean of the four; below 0 they sag. Four in ten phrases of folk song are
  arches (Huron 1996, The melodic arch in Western folksongs).
  """

  name = 'arch'
  korean = '아치'
  _bars = (1, 2)


class Stepwise(Term):
  """Share of the notes that lie a step of one or two semitones from the last.

  Small intervals are commonest all over the world, and what comes next is
  expected near by (Huron 2006, Sweet Anticipation, chapter 5).
  """

  name = 'stepwise'
  korean = '순차 진행'
  unit = 'share of the intervals'
  tolerance = 0.06
  bar_scale = 2.0

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    notes = melody.notes(tokens)
    interval = np.abs(np.diff(notes.pitch))
    by_step = (interval >= 1) & (interval <= 2)
    by_step &= notes.row[1:] == notes.row[:-1]
    steps = np.bincount(notes.row[1:], by_step, minlength=len(tokens))
    count = np.bincount(notes.row, minlength=len(tokens))
    return np.asarray(steps / np.maximum(count - 1, 1))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    from emotion_musicvae.terms import expectation

    onsets = expectation.expected_onsets(probabilities)
    _, steps = expectation.expected_motion(probabilities)
    return expectation.per_pair(steps, tf.reduce_sum(onsets, axis=2))

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    from emotion_musicvae.terms import expectation

    _, steps = expectation.expected_motion(probabilities)
    bars = tf.reshape(steps, [-1, melody.NUM_BARS, melody.STEPS_PER_BAR])
    return tf.reduce_sum(bars, axis=2)

  def of_bars(self, bars: tf.Tensor, notes: tf.Tensor) -> tf.Tensor:
    from emotion_musicvae.terms import expectation

    return expectation.per_pair(bars, notes)
