import dataclasses

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.music import harmony


def _conditions():
  """The nine progressions at mean pitches all over the keyboard."""
  return conditions.Condition.of(
    [
      dataclasses.replace(e, mean_pitch=p)
      for e, p in zip(catalogue.load(), np.linspace(30.0, 100.0, 9))
    ]
  )


def test_every_key_and_register_is_the_canonical_one_transposed():
  condition = _conditions()
  canonical, transposition = condition.in_canonical_key()
  np.testing.assert_allclose(
    canonical.mean_pitch + transposition, condition.mean_pitch, 1e-6
  )
  middle = conditions.CANONICAL_PITCH
  assert (np.abs(canonical.mean_pitch - middle) <= 6.0).all()
  for there, here, semitones in zip(
    canonical.chord_tone_weights, condition.chord_tone_weights, transposition
  ):
    np.testing.assert_array_equal(np.roll(there, semitones, axis=1), here)
    assert harmony.signature(there) == 0


def test_a_condition_in_the_canonical_key_stays_there():
  canonical, _ = _conditions().in_canonical_key()
  again, transposition = canonical.in_canonical_key()
  np.testing.assert_array_equal(transposition, 0)
  for once, twice in zip(canonical, again):
    np.testing.assert_array_equal(once, twice)


def test_energy_is_that_of_the_octave_that_is_asked_for():
  condition = _conditions()
  energy = references.energy_reference()
  for c in (condition, condition.in_canonical_key()[0]):
    np.testing.assert_array_equal(
      c.energy, energy(c.mean_pitch, c.onsets_per_bar)
    )


def test_chords_transposed_are_those_of_the_progression_in_that_key():
  e = catalogue.Emotion(chords='C Am F G')
  here, third_up = conditions.Condition.of(
    [e, dataclasses.replace(e, chords='Eb Cm Ab Bb')]
  ).chord_tone_weights
  up = conditions.Condition.of([e]).with_chords_transposed([3])
  np.testing.assert_array_equal(up.chord_tone_weights[0], third_up)
  assert (here != third_up).any()


def test_an_emotion_has_the_same_row_in_any_batch():
  emotions = catalogue.load()
  whole = conditions.Condition.of(emotions * 2)
  alone = conditions.Condition.of(emotions[3:4])
  for values, row in zip(whole.take([3, 12]), alone):
    np.testing.assert_allclose(values, np.repeat(row, 2, axis=0), 1e-12)


def test_tensorflow_takes_it_as_a_structure():
  condition = conditions.Condition.of(catalogue.load()).as_float32()
  given = tf.function(lambda c: c.take(slice(2)))(condition)
  assert isinstance(given, conditions.Condition)
  assert {values.dtype for values in given} == {tf.float32}
  for values, expected in zip(given, condition):
    np.testing.assert_array_equal(values, expected[:2])
