import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.terms import expectation


def _rolls(sequence):
  """Onsets and sounding notes of a NoteSequence, [256, 88] each."""
  onsets, sounding = np.zeros([2, 256, 88], np.float32)
  for note in sequence.notes:
    start, end = (round(t / 0.125) for t in (note.start_time, note.end_time))
    onsets[start, note.pitch - melody.MIN_PITCH] = 1.0
    sounding[start:end, note.pitch - melody.MIN_PITCH] = 1.0
  return onsets, sounding


def test_random_tokens_have_every_case(random_tokens):
  onset = random_tokens >= melody.FIRST_ONSET
  before_any = ~np.logical_or.accumulate(onset, axis=1)
  off = random_tokens == melody.NOTE_OFF
  last = np.where(random_tokens == melody.HOLD, 0, np.arange(256)).max(axis=1)
  held_to_the_end = (last < 255) & onset[np.arange(1000), last]
  again = onset[:, 1:] & (random_tokens[:, 1:] == random_tokens[:, :-1])
  assert len(random_tokens) == 1000
  for case in (
    before_any & (random_tokens == melody.HOLD),
    before_any & off,
    ~before_any & off,
    off[:, 1:] & off[:, :-1],
    again,
    held_to_the_end,
  ):
    assert case.sum() >= 20


def test_onsets_and_sounding_notes_are_the_decoded_piano_roll(
  stock_model, random_tokens
):
  sequences = stock_model.note_sequences(random_tokens)
  for i in range(0, 1000, 100):
    probabilities = expectation.one_hot(random_tokens[i : i + 100])
    rolls = zip(*map(_rolls, sequences[i : i + 100]))
    for function, expected in zip(
      (expectation.expected_onsets, expectation.expected_sounding), rolls
    ):
      np.testing.assert_array_equal(function(probabilities), np.stack(expected))


def test_statistics_are_those_of_the_notes(stock_model, random_tokens):
  tokens = random_tokens[:100]
  for sequence, pitch, density in zip(
    stock_model.note_sequences(tokens),
    melody.mean_pitch(tokens),
    melody.onsets_per_bar(tokens),
  ):
    pitches = [note.pitch for note in sequence.notes]
    assert density == len(pitches) / 16
    assert pitch == pytest.approx(np.mean(pitches))


def test_notes_are_those_that_magenta_decodes(stock_model, random_tokens):
  tokens = random_tokens[:100]
  expected = [
    (row, round(note.start_time / 0.125), round(note.end_time / 0.125))
    + (note.pitch,)
    for row, sequence in enumerate(stock_model.note_sequences(tokens))
    for note in sequence.notes
  ]
  assert list(zip(*melody.notes(tokens))) == expected
  alone = melody.notes(tokens[7])
  assert list(zip(*alone)) == [(0, *n[1:]) for n in expected if n[0] == 7]


def test_silence_has_no_notes_and_no_mean_pitch():
  silence = np.zeros([1, 256], np.uint8)
  assert np.isnan(melody.mean_pitch(silence)[0])
  assert melody.onsets_per_bar(silence)[0] == 0
  assert not len(melody.notes(silence).pitch)


def test_repeated_notes_are_those_at_the_pitch_before():
  tokens = np.zeros([2, 256], np.uint8)
  tokens[0, [0, 4, 8, 12, 16]] = 40, 40, 45, 45, 40
  assert melody.repeated_notes(tokens)[0] == 0.5
  assert np.isnan(melody.repeated_notes(tokens)[1])


def test_chord_tone_rate_counts_notes_over_chords():
  weights, mask = harmony.chord_tones('C N.C.')
  tokens = np.zeros([1, 256], np.uint8)
  # C and D in the bar of C major, C sharp where there is no chord.
  tokens[0, [0, 8, 16]] = np.array([60, 62, 61]) - 19
  assert melody.chord_tone_rate(tokens, weights, mask)[0] == 0.5


def test_transposition_keeps_rhythm_and_intervals():
  tokens = np.zeros([1, 256], np.uint8)
  tokens[0, [0, 4, 9]] = np.array([60, 64, 62]) - 19
  tokens[0, 12] = melody.NOTE_OFF
  moved = melody.transpose_to(tokens, np.array([67.0]))
  assert moved[0, [0, 4, 9]].tolist() == [65 - 19, 69 - 19, 67 - 19]
  assert moved[0, 12] == melody.NOTE_OFF
  assert (moved > 1).sum() == 3


def test_transposition_stays_on_the_keyboard():
  tokens = np.zeros([1, 256], np.uint8)
  tokens[0, [0, 4]] = 2, 89  # the lowest and the highest note
  np.testing.assert_array_equal(
    melody.transpose_to(tokens, np.array([40.0])), tokens
  )


def test_expected_motion_is_that_of_decoded_melodies(random_tokens):
  begun = (random_tokens >= melody.FIRST_ONSET).astype(np.float32)
  repeats, steps = (
    expectation.per_pair(x, begun)
    for x in expectation.expected_motion(expectation.one_hot(random_tokens))
  )
  np.testing.assert_allclose(
    repeats, melody.repeated_notes(random_tokens), atol=1e-5
  )
  plain = [
    np.isin(np.abs(np.diff(row[row >= melody.FIRST_ONSET].astype(int))), [1, 2])
    for row in random_tokens
  ]
  plain = [by_step.mean() for by_step in plain]
  np.testing.assert_allclose(steps, plain, atol=1e-5)
  assert np.mean(plain) > 0.01


def test_the_gradient_of_sounding_notes_is_that_of_central_differences(
  random_tokens,
):
  rng = np.random.default_rng(0)
  p = rng.dirichlet(np.ones(90), [1, 256])
  direction = rng.standard_normal(p.shape)
  weight = rng.standard_normal([1, 256, 88])

  def value(p):
    sounding = expectation.expected_sounding(p, np.full(88, 0.9))
    return tf.reduce_sum(sounding * weight)

  with tf.GradientTape() as tape:
    x = tf.constant(p)
    tape.watch(x)
    total = value(x)
  exact = float(tf.reduce_sum(tape.gradient(total, x) * direction))
  step = 1e-5
  plain = value(p + step * direction) - value(p - step * direction)
  np.testing.assert_allclose(exact, plain / (2.0 * step), rtol=1e-6)


def test_transposed_melodies_keep_rhythm_and_pitch_classes(random_tokens):
  shifts = np.resize([0, 5, -7, 24, -24, 60], len(random_tokens))
  moved = melody.transpose(random_tokens, shifts)
  assert moved.dtype == random_tokens.dtype
  onset = random_tokens >= melody.FIRST_ONSET
  np.testing.assert_array_equal(moved >= melody.FIRST_ONSET, onset)
  np.testing.assert_array_equal(moved[~onset], random_tokens[~onset])
  assert moved.max() < melody.NUM_TOKENS
  away = moved.astype(int) - random_tokens - shifts[:, None]
  np.testing.assert_array_equal(away[onset] % 12, 0)
  inside = onset & (random_tokens + shifts[:, None] >= melody.FIRST_ONSET)
  inside &= random_tokens + shifts[:, None] < melody.NUM_TOKENS
  np.testing.assert_array_equal(away[inside], 0)
