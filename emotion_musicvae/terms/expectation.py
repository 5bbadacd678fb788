"""What a melody is expected to be, differentiable in token probabilities.

What `music.melody` and `music.spectrogram` measure of finished tokens, here of
the probabilities of tokens still to be drawn; equal on one-hot input.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram as music_spectrogram


def expected_onsets(probabilities: tf.Tensor) -> tf.Tensor:
  """Expected number of notes that begin at each step and pitch.

  Args:
    probabilities: [B, 256, 90] float, rows summing to 1.

  Returns:
    [B, 256, 88], pitches from MIDI 21 to 108.
  """
  return probabilities[:, :, melody.FIRST_ONSET :]


def expected_sounding(
  probabilities: tf.Tensor, decay: npt.NDArray[np.float32] | None = None
) -> tf.Tensor:
  """Expected sounding notes, each fading from its onset on.

  A note sounds at its onset and through every hold after it. With one-hot
  `probabilities` and no decay this is the melody's piano roll.

  Args:
    probabilities: [B, 256, 90] float, rows summing to 1.
    decay: [88] what is left of a note after one step, in [0, 1]; nothing fades
      when None.

  Returns:
    [B, 256, 88], at most 1 each.
  """
  holds = probabilities[:, :, melody.HOLD, None]
  if decay is None:
    decay = np.ones(melody.NUM_PITCHES, np.float32)
  kept = holds * tf.constant(decay, holds.dtype)
  return carried(expected_onsets(probabilities), kept)


@tf.custom_gradient
def carried(begun: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
  """What has begun and is kept from step to step: y[t] = x[t] + k[t] y[t-1].

  Its gradient is the same recurrence backwards in time, a fraction of the work
  of differentiating the loop.

  Args:
    begun: [B, T, P].
    kept: [B, T, P].

  Returns:
    [B, T, P].
  """

  def run(begun: tf.Tensor, kept: tf.Tensor, reverse: bool) -> tf.Tensor:
    begun, kept = (tf.transpose(x, [1, 0, 2]) for x in (begun, kept))
    carried = tf.scan(
      lambda before, x: x[0] + x[1] * before,
      (begun, kept),
      initializer=tf.zeros_like(begun[0]),
      reverse=reverse,
    )
    return tf.transpose(carried, [1, 0, 2])

  carried = run(begun, kept, reverse=False)

  def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    following = tf.pad(kept[:, 1:], [[0, 0], [0, 1], [0, 0]])
    to_begun = run(upstream, following, reverse=True)
    return to_begun, to_begun * _later(carried, 1)

  return carried, gradient


def _later(x: tf.Tensor, steps: int) -> tf.Tensor:
  """[B, T, ...] moved `steps` later in time, zeros before."""
  return tf.pad(x[:, :-steps], [[0, 0], [steps, 0], [0, 0]])


def expected_motion(probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """How each note is expected to follow the one before.

  Args:
    probabilities: [B, 256, 90] float, rows summing to 1.

  Returns:
    `(repeats, steps)`, [B, 256] each: of the notes that begin at a step, how
    many repeat the pitch of the note before, and how many lie a step of one or
    two semitones from it.
  """
  onsets = expected_onsets(probabilities)
  none = 1.0 - tf.reduce_sum(onsets, axis=2, keepdims=True)
  none = tf.broadcast_to(none, tf.shape(onsets))
  # [B, 256, 88]: the distribution of the last note begun before each step.
  last = _later(carried(onsets, none), 1)
  interval = np.abs(melody.PITCHES[:, None] - melody.PITCHES)
  by_step = tf.constant((interval == 1) | (interval == 2), onsets.dtype)
  return (
    tf.reduce_sum(onsets * last, axis=2),
    tf.reduce_sum(onsets * (last @ by_step), axis=2),
  )


def final_note(probabilities: tf.Tensor) -> tf.Tensor:
  """How likely a melody is to end on each pitch, with a long note.

  Args:
    probabilities: [B, 256, 90] float, rows summing to 1.

  Returns:
    [B, 88], of pitches from MIDI 21 to 108; what they lack of 1 is the
    probability that no note ends it, or one that begins in its last three
    sixteenths.
  """
  onsets = expected_onsets(probabilities)
  none = 1.0 - tf.reduce_sum(onsets, axis=2, keepdims=True)
  last = carried(onsets, tf.broadcast_to(none, tf.shape(onsets)))
  short = melody.STEPS_PER_QUARTER - 1
  return last[:, -1 - short] * tf.reduce_prod(none[:, -short:], axis=1)


def per_pair(motion: tf.Tensor, onsets: tf.Tensor) -> tf.Tensor:
  """Mean of what `expected_motion` adds up, over pairs of successive notes.

  Args:
    motion: [B, T] repeats or steps.
    onsets: [B, T] expected notes that begin.

  Returns:
    [B]; 0 where there are fewer than two notes. Of repeats that are certain it
    is `repeated_notes`.
  """
  pairs = tf.reduce_sum(onsets, axis=1) - 1.0
  return tf.reduce_sum(motion, axis=1) / tf.maximum(pairs, 1.0)


def one_hot(tokens: npt.ArrayLike) -> tf.Tensor:
  """[B, 256] tokens as [B, 256, 90] float32 probabilities."""
  return tf.one_hot(tokens, melody.NUM_TOKENS)


def spectrogram(probabilities: tf.Tensor) -> tf.Tensor:
  """Expected energy of a melody by frame and mel band.

  Args:
    probabilities: [B, 256, 90] float, rows summing to 1.

  Returns:
    [B, 256, 64] energies; a note of full strength adds 1 to its first frame.
  """
  sounding = expected_sounding(
    probabilities, music_spectrogram.decay_per_frame()
  )
  return tf.einsum('btp,pf->btf', sounding, music_spectrogram.templates())


def span_energy(probabilities: tf.Tensor, span_bars: int) -> tf.Tensor:
  """Mean spectrogram energy of a frame, span by span.

  Args:
    probabilities: [B, 16 n, 90] float, rows summing to 1.
    span_bars: length of a span in bars, a divisor of n.

  Returns:
    [B, n / span_bars] energies.
  """
  # The templates sum to 1, so a frame's energy over all bands is that of the
  # notes themselves: the bands need not be formed to be summed again.
  sounding = expected_sounding(
    probabilities, music_spectrogram.decay_per_frame()
  )
  frames = tf.reduce_sum(sounding, axis=-1)
  span = span_bars * melody.STEPS_PER_BAR
  frames = tf.reshape(frames, [-1, frames.shape[1] // span, span])
  return tf.reduce_mean(frames, axis=-1)
