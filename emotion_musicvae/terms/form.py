"""The term of form: which phrases return."""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms.term import Term

if typing.TYPE_CHECKING:
  import tensorflow as tf

_NUM_PHRASES, _PHRASE_BARS = 4, 4
_PHRASE = _PHRASE_BARS * melody.STEPS_PER_BAR
PAIRS = tuple(itertools.combinations(range(_NUM_PHRASES), 2))
# How alike two phrases are at least where one returns; see benchmarks/terms.py.
RETURNS = 0.6
# How alike others may be for nothing, and what a lack of likeness costs.
_APART, _SCALE = 0.45, 0.3
# Semitones from which on two notes at the same place have nothing in common.
_WIDE = 8.0


class Form(Term):
  """Which of four phrases of four bars return, as AABA or ABAC.

  Two phrases are as alike as their notes begin at the same places and near in
  pitch: twice what the pairs of notes at one place count (1 for the same pitch,
  less by an eighth a semitone) over all notes of both. What follows another
  with at least 0.6 is its return, if over other chords. So forms are told apart
  by repetition (Lerdahl and Jackendoff 1983, A Generative Theory of Tonal
  Music, on parallelism), with bar similarity as measure.

  Its six values are of the pairs of phrases (1, 2), (1, 3), (1, 4), (2, 3),
  (2, 4), (3, 4): how alike they are; of a target, 1 for a return, else 0.
  """

  name = 'form'
  korean = '형식'
  unit = 'letters of four phrases'
  size = len(PAIRS)

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    tokens = tokens.astype(np.int64)
    phrases = tokens.reshape(len(tokens), _NUM_PHRASES, _PHRASE)
    onset = phrases >= melody.FIRST_ONSET
    count = onset.sum(axis=2)
    result = []
    for i, j in PAIRS:
      both = onset[:, i] & onset[:, j]
      away = np.abs(phrases[:, i] - phrases[:, j]) / _WIDE
      near = np.where(both, np.maximum(1.0 - away, 0.0), 0.0).sum(axis=1)
      result.append(2.0 * near / np.maximum(count[:, i] + count[:, j], 1))
    return np.stack(result, axis=1)

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    onsets = tf.reshape(
      probabilities[:, :, melody.FIRST_ONSET :],
      [-1, _NUM_PHRASES, _PHRASE, melody.NUM_PITCHES],
    )
    away = np.abs(melody.PITCHES[:, None] - melody.PITCHES) / _WIDE
    near = onsets @ np.maximum(1.0 - away, 0.0).astype(np.float32)
    count = tf.reduce_sum(onsets, axis=[2, 3])
    return tf.stack(
      [
        2.0
        * tf.reduce_sum(near[:, i] * onsets[:, j], axis=[1, 2])
        / tf.maximum(count[:, i] + count[:, j], 1.0)
        for i, j in PAIRS
      ],
      axis=1,
    )

  def cost(self, measured: typing.Any, target: typing.Any) -> typing.Any:
    """Likeness that is missing, and likeness that is too much."""
    beyond = measured - _APART
    beyond = (beyond + abs(beyond)) / 2.0
    return (
      target * ((1.0 - measured) / _SCALE) ** 2
      + (1.0 - target) * (beyond / _SCALE) ** 2
    )

  def excess(
    self, measured: melody.Floats, target: melody.Floats
  ) -> npt.NDArray[np.float64]:
    """0 where the form found is the one asked for; else what pairs lack."""
    lacking = np.where(target > 0.5, RETURNS - measured, measured - RETURNS)
    away = np.maximum(lacking, 0.0).max(axis=1) / 0.1 + 0.1
    same = [
      self.told(a) == self.told(b) for a, b in zip(measured, np.asarray(target))
    ]
    return np.where(same, 0.0, away)

  def parse(self, text: str) -> tuple[float, ...]:
    letters = str(text).strip().upper()
    if len(letters) != _NUM_PHRASES or not letters.isalpha():
      raise UserError(
        'target',
        messages.say(
          '{name}: expected a letter for each of four phrases, as AABA, got '
          '{value!r}',
          name=self.name,
          value=text,
        ),
      )
    return tuple(float(letters[i] == letters[j]) for i, j in PAIRS)

  def told(self, values: Sequence[float] | npt.NDArray[typing.Any]) -> str:
    """The letters of a form: each phrase's own, or that of the likest."""
    letters = [0]
    for j in range(1, _NUM_PHRASES):
      alike = [values[PAIRS.index((i, j))] for i in range(j)]
      i = int(np.argmax(alike))
      letters.append(letters[i] if alike[i] >= RETURNS else max(letters) + 1)
    return ''.join('ABCD'[letter] for letter in letters)

  @staticmethod
  def _sources(target: Sequence[float]) -> list[int]:
    """Which phrase each is to return to; its own number for none."""
    return [
      next((i for i in range(j) if target[PAIRS.index((i, j))] > 0.5), j)
      for j in range(_NUM_PHRASES)
    ]

  def returning(
    self,
    target: Sequence[float],
    returning: npt.NDArray[np.int64],
    chord_tone_weights: melody.Floats,
  ) -> npt.NDArray[np.int64]:
    """Bars return with their phrase, as long as their chords do."""
    result = np.full(melody.NUM_BARS, -1)
    bars = chord_tone_weights.reshape(melody.NUM_BARS, -1)
    for phrase, source in enumerate(self._sources(target)):
      if phrase == source:
        continue
      for k in range(_PHRASE_BARS):
        bar, before = phrase * _PHRASE_BARS + k, source * _PHRASE_BARS + k
        if not (bars[bar] == bars[before]).all():
          break
        result[bar] = before
    result[-1] = -1  # It closes.
    return result

  def revise(
    self, tokens: melody.Tokens, target: melody.Floats
  ) -> melody.Tokens:
    """Phrases take over the notes of those that they return to.

    The last bar closes as it does.
    """
    result = np.array(tokens)
    phrases = result.reshape(len(result), _NUM_PHRASES, _PHRASE)
    last = result[:, -melody.STEPS_PER_BAR :].copy()
    for row, own in enumerate(target):
      for phrase, source in enumerate(self._sources(own)):
        phrases[row, phrase] = phrases[row, source]
    result[:, -melody.STEPS_PER_BAR :] = last
    return result
