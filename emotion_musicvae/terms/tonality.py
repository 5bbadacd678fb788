"""Terms of key: how surely one is heard, and how much lies outside it."""

from __future__ import annotations

import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import harmonization
from emotion_musicvae.music import melody
from emotion_musicvae.terms.term import Term

if typing.TYPE_CHECKING:
  import tensorflow as tf

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
# Of a spread of pitch classes, below which it is even.
_EVEN = 1e-6


def _profiles() -> npt.NDArray[np.float32]:
  """[12, 24] key profiles, each of mean 0 and length 1."""
  rows = [
    np.roll(profile, tonic)
    for profile in harmonization.KEY_PROFILES.values()
    for tonic in range(12)
  ]
  away = np.array(rows) - np.mean(rows, axis=1, keepdims=True)
  away /= np.linalg.norm(away, axis=1, keepdims=True)
  return np.asarray(away.T, np.float32)


def _scales() -> npt.NDArray[np.float32]:
  """[12, 12] a column of each major scale, 1 for the classes outside."""
  inside = [np.isin(np.arange(12), np.add(_MAJOR, k) % 12) for k in range(12)]
  return 1.0 - np.array(inside, np.float32).T


_PROFILES, _OUTSIDE = _profiles(), _scales()


class TonalClarity(Term):
  """How surely one key is heard: the best correlation with a key's profile.

  Krumhansl and Schmuckler's algorithm: the time that each pitch class sounds is
  correlated with what listeners found to fit each of the 24 keys (Krumhansl and
  Kessler 1982; Krumhansl 1990, Cognitive Foundations of Musical Pitch, chapter
  4). 1 is the profile of a key itself; twelve tones alike have 0.
  """

  name = 'tonal_clarity'
  korean = '조성 선명도'
  unit = 'correlation'
  tolerance = 0.05

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    notes = melody.notes(tokens)
    time = np.bincount(
      12 * notes.row + notes.pitch % 12, notes.length, 12 * len(tokens)
    ).reshape(len(tokens), 12)
    away = time - time.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(away).sum(axis=1))
    best = (away @ _PROFILES.astype(float)).max(axis=1)
    return np.asarray(best / np.maximum(length, _EVEN))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    from emotion_musicvae.terms import expectation

    begun = _by_class(probabilities)
    hold = tf.repeat(probabilities[:, :, melody.HOLD, None], 12, axis=2)
    time = tf.reduce_sum(expectation.carried(begun, hold), axis=1)
    away = time - tf.reduce_mean(time, axis=1, keepdims=True)
    # What is even has no direction to go in.
    length = tf.sqrt(tf.reduce_sum(tf.square(away), axis=1) + _EVEN**2)
    return tf.reduce_max(away @ _PROFILES, axis=1) / length


class Chromaticism(Term):
  """Share of the notes outside the major scale that holds most of them.

  That of a minor melody is its relative's, so that its raised leading note
  counts; chromatic notes are what a scale of seven leaves over (Temperley 2001,
  The Cognition of Basic Musical Structures, chapter 7).
  """

  name = 'chromaticism'
  korean = '반음계'
  unit = 'share of the notes'
  high = 0.4
  tolerance = 0.03

  def measure(self, tokens: melody.Tokens) -> melody.Floats:
    notes = melody.notes(tokens)
    count = np.bincount(
      12 * notes.row + notes.pitch % 12, minlength=12 * len(tokens)
    ).reshape(len(tokens), 12)
    outside = (count @ _OUTSIDE.astype(float)).min(axis=1)
    return np.asarray(outside / np.maximum(count.sum(axis=1), 1))

  def expected(self, probabilities: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    count = tf.reduce_sum(_by_class(probabilities), axis=1)
    outside = tf.reduce_min(count @ _OUTSIDE, axis=1)
    return outside / tf.maximum(tf.reduce_sum(count, axis=1), 1.0)


def _by_class(probabilities: tf.Tensor) -> tf.Tensor:
  """[B, 256, 12] notes that are expected to begin, by pitch class."""
  classes = np.eye(12, dtype=np.float32)[melody.PITCHES.astype(int) % 12]
  return probabilities[:, :, melody.FIRST_ONSET :] @ classes
