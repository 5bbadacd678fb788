"""Terms of rhythm: syncopation, articulation and how phrases end."""

from __future__ import annotations

import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.terms.term import Term

if typing.TYPE_CHECKING:
  import tensorflow as tf

_PHRASE = 4 * melody.STEPS_PER_BAR
_AT_REST = melody.STEPS_PER_BAR // 2  # a note that ends a phrase, at most


def _gains() -> npt.NDArray[np.float32]:
  """[16, 16] what a note of each step gains by lasting so many steps on.

  Row p, column k: by how many levels the metre of step p + k lies above all
  from p to there, 0 where it does not, or beyond the next bar line.
  """
  weight = metres.QUADRUPLE.weights()[: melody.STEPS_PER_BAR].astype(int)
  result = np.zeros([melody.STEPS_PER_BAR] * 2, np.float32)
  for position in range(melody.STEPS_PER_BAR):
    highest = weight[position]
    for k in range(1, melody.STEPS_PER_BAR - position + 1):
      level = weight[(position + k) % melody.STEPS_PER_BAR]
      if level > highest:
        result[position, k] = level - highest
        highest = level
  return result


_GAINS = _gains()


class Syncopation(Term):
  """Metrical levels that a note is held, or silent, over a stronger position.

  Longuet-Higgins and Lee 1984 (The rhythmic interpretation of monophonic
  music, Music Perception 1): a rest or tied note on a stronger position than
  the note before it began on is a syncopation as strong as the levels between
  them. Here the mean over all notes, so that it does not follow from how many
  there are: 0 on the beat, 1 where each eighth off the beat is held over the
  next, 4 for sixteenths that are held over the bar line.
  """

  name = 'syncopation'
  korean = '당김음'
  unit = 'metrical levels a note'
  high = 1.5
  tolerance = 0.06

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    onset = tokens >= melody.FIRST_ONSET
    held = self._held(onset, ~onset, np).sum(axis=1)
    return np.asarray(held / np.maximum(onset.sum(axis=1), 1))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onset = tf.reduce_sum(probabilities[:, :, melody.FIRST_ONSET :], axis=2)
    held = tf.reduce_sum(self._held(onset, 1.0 - onset, tf), axis=1)
    return held / tf.maximum(tf.reduce_sum(onset, axis=1), 1.0)

  @staticmethod
  def _held(begun: typing.Any, empty: typing.Any, xp: typing.Any) -> typing.Any:
    """[B, 256] levels by which the notes of each step are held.

    Args:
      begun: [B, 256] whether a note begins, or its probability.
      empty: [B, 256] that none does.
      xp: numpy or TensorFlow.
    """
    steps = melody.NUM_STEPS
    total, alive = 0.0, begun
    for k in range(1, melody.STEPS_PER_BAR):
      # Nothing lasts beyond the end.
      alive = alive * xp.pad(empty[:, k:], [[0, 0], [0, k]])
      gain = np.tile(_GAINS[:, k], steps // melody.STEPS_PER_BAR)
      total = total + alive * gain
    return total

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onset = tf.reduce_sum(probabilities[:, :, melody.FIRST_ONSET :], axis=2)
    return _by_bar(self._held(onset, 1.0 - onset, tf))

  def of_bars(self, bars: tf.Tensor, notes: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    number = tf.maximum(tf.reduce_sum(notes, axis=1), 1.0)
    return tf.reduce_sum(bars, axis=1) / number


class Articulation(Term):
  """Share of the time from the first note on that sounds: staccato to legato.

  A note's length over the time to the next one is what players mean by
  articulation (Bresin and Battel 2000, Articulation strategies in expressive
  piano performance, Journal of New Music Research 29); over a whole melody it
  is the share of the sixteenths that sound. What a file plays shorter than
  written (`articulation` of an emotion) comes on top.
  """

  name = 'articulation'
  korean = '아티큘레이션'
  unit = 'share of the time'
  low = 0.3
  tolerance = 0.03

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    event = tokens != melody.HOLD
    last = np.maximum.accumulate(
      np.where(event, np.arange(tokens.shape[1]), -1), axis=1
    )
    begun = np.maximum.accumulate(tokens >= melody.FIRST_ONSET, axis=1)
    token = np.take_along_axis(tokens, np.maximum(last, 0), axis=1)
    sounds = (last >= 0) & (token >= melody.FIRST_ONSET)
    return np.asarray(sounds.sum(axis=1) / np.maximum(begun.sum(axis=1), 1))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    sounds, begun = self._sounding(probabilities)
    return tf.reduce_sum(sounds, axis=1) / tf.maximum(
      tf.reduce_sum(begun, axis=1), 1.0
    )

  @staticmethod
  def _sounding(probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, 256] probabilities that a note sounds, and that one has begun."""
    import tensorflow as tf

    from emotion_musicvae.terms import expectation

    onset = tf.reduce_sum(
      probabilities[:, :, melody.FIRST_ONSET :], axis=2, keepdims=True
    )
    hold = probabilities[:, :, melody.HOLD, None]
    sounds = expectation.carried(onset, hold)
    begun = expectation.carried(onset, 1.0 - onset)
    return sounds[..., 0], begun[..., 0]

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor:
    return _by_bar(self._sounding(probabilities)[0]) / melody.STEPS_PER_BAR


class Cadence(Term):
  """How much phrases come to rest where they end.

  The last note of a phrase is long: listeners part phrases there before all
  else (Deliege 1987, Grouping conditions in listening to music, Music
  Perception 4; Temperley 2001). Of the last half of bars 4, 8 and 12 the share
  in which no other note begins, their mean: 1/8 where sixteenths run on, 1
  where each phrase ends in a half note. How the whole melody ends, long and on
  the tonic or not, is the business of the emotion's chords and its `cadence`.
  """

  name = 'cadence'
  korean = '종지'
  unit = 'share of a half note'
  low = 0.125
  tolerance = 0.08

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    onset = tokens >= melody.FIRST_ONSET
    phrases = onset.reshape(len(tokens), -1, _PHRASE)
    backwards = phrases[:, :, ::-1][:, :, : _AT_REST - 1]
    # Steps from the end before any in which a note begins.
    free = np.logical_and.accumulate(~backwards, axis=2).sum(axis=2)
    return np.asarray((1.0 + free[:, :-1]).mean(axis=1) / _AT_REST)

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    return self.of_bars(self.by_bar(probabilities), probabilities)

  def by_bar(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onset = tf.reduce_sum(probabilities[:, :, melody.FIRST_ONSET :], axis=2)
    bars = tf.reshape(onset, [-1, melody.NUM_BARS, melody.STEPS_PER_BAR])
    backwards = tf.reverse(bars, [2])[:, :, : _AT_REST - 1]
    free = tf.reduce_sum(tf.math.cumprod(1.0 - backwards, axis=2), axis=2)
    return (1.0 + free) / _AT_REST

  def of_bars(self, bars: tf.Tensor, notes: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.reduce_mean(bars[:, 3:-1:4], axis=1)


def _by_bar(steps: tf.Tensor) -> tf.Tensor:
  """[B, 256] summed by bar, [B, 16]."""
  import tensorflow as tf

  bars = tf.reshape(steps, [-1, melody.NUM_BARS, melody.STEPS_PER_BAR])
  return tf.reduce_sum(bars, axis=2)
