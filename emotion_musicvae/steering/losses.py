"""The two losses of the paper, on expected notes.

Both take token probabilities [B, 256, 90] and return one value per melody, so
that a one-hot input gives exactly what the decoded melody measures.
"""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.steering import expectation

_EPSILON = 1e-6
# Silence has a finite logarithm, far below any reference.
ENERGY_FLOOR = 0.01


class Predicted(typing.NamedTuple):
  """What the critic predicts of melodies.

  Attributes:
    onsets: [B, 32, 12] notes that begin in each half bar, by pitch class.
    mean_pitch: [B] MIDI.
    repeats: [B] share of notes that repeat the one before.
    interval: [B] mean interval from the note before, in semitones.
    energy: [B, 16] spectrogram energy of a frame, by bar.
    onsets_per_bar: [B].
  """

  onsets: tf.Tensor
  mean_pitch: tf.Tensor
  repeats: tf.Tensor
  interval: tf.Tensor
  energy: tf.Tensor
  onsets_per_bar: tf.Tensor


class Loss(typing.Protocol):
  """Terms of what melodies cost, each under its name, [B], from 0."""

  def __call__(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The terms of [B, 256, 90] token probabilities; differentiable."""

  def of_predicted(
    self, predicted: Predicted, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The same terms of what the critic predicts."""


@dataclasses.dataclass(frozen=True)
class PitchLoss:
  """Fitness of the notes: chord tones earn, others pay; register; line.

  `chord` is the squared share of notes foreign to their chord, the mean over
  notes of `1 - fit`, beyond `free_foreign`, in units of `foreign_scale`: a line
  takes passing notes to go from one chord tone to the next. `register` is the
  squared distance of the mean pitch from the reference in units of
  `register_scale` semitones. `motion` keeps a melody from meeting both by
  droning on one chord tone: the squared share of notes that repeat the one
  before, beyond `free_repeats`, in units of `repeats_scale`. `leaps` keeps it
  from falling apart into the notes of a chord wherever they lie: the squared
  mean interval beyond `free_interval`, in units of `interval_scale`.

  Attributes:
    free_foreign: share of foreign notes that costs nothing.
    foreign_scale: share beyond it that costs 1.
    register_scale: semitones off the reference that cost 1.
    strong_beat: additional weight of notes on the first and third beat; 0
      weighs all notes alike.
    free_repeats: share of repeated notes that costs nothing; real tunes have
      one in ten.
    repeats_scale: share beyond it that costs 1.
    free_interval: mean interval in semitones that costs nothing; real tunes
      have 2.7.
    interval_scale: semitones beyond it that cost 1.
  """

  free_foreign: float = 0.15
  foreign_scale: float = 0.1
  register_scale: float = 3.0
  strong_beat: float = 0.0
  free_repeats: float = 0.1
  repeats_scale: float = 0.2
  free_interval: float = 3.0
  interval_scale: float = 1.0

  def __post_init__(self) -> None:
    if not 0 <= self.free_foreign <= 1:
      raise ValueError(
        f'free_foreign: expected a share in [0, 1], got {self.free_foreign}'
      )
    if not 0 < self.foreign_scale < np.inf:
      raise ValueError(
        f'foreign_scale: expected a share above 0, got {self.foreign_scale}'
      )
    if not 0 < self.register_scale < np.inf:
      raise ValueError(
        f'register_scale: expected semitones above 0, got {self.register_scale}'
      )
    if not 0 <= self.strong_beat < np.inf:
      raise ValueError(
        f'strong_beat: expected a weight of at least 0, got {self.strong_beat}'
      )
    if not 0 <= self.free_repeats <= 1:
      raise ValueError(
        f'free_repeats: expected a share in [0, 1], got {self.free_repeats}'
      )
    if not 0 < self.repeats_scale < np.inf:
      raise ValueError(
        f'repeats_scale: expected a share above 0, got {self.repeats_scale}'
      )
    if not 0 <= self.free_interval < np.inf:
      raise ValueError(
        f'free_interval: expected semitones, got {self.free_interval}'
      )
    if not 0 < self.interval_scale < np.inf:
      raise ValueError(
        f'interval_scale: expected semitones above 0, got {self.interval_scale}'
      )

  def __call__(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """Dictionary of `chord`, `register`, `motion` and `leaps`, each [B]."""
    _check(probabilities, condition)
    onsets = expectation.expected_onsets(probabilities)
    # [B, 256, 88]: what a note of this pitch costs at this step.
    pitch_class = melody.PITCHES.astype(np.int32) % 12
    cost = 1.0 - tf.gather(condition.chord_tone_weights, pitch_class, axis=2)
    emphasis = np.ones(melody.NUM_STEPS, np.float32)
    emphasis[:: melody.STEPS_PER_BAR // 2] += self.strong_beat
    counted = onsets * (condition.chord_mask * emphasis)[..., None]
    foreign = tf.reduce_sum(counted * cost, [1, 2]) / (
      tf.reduce_sum(counted, [1, 2]) + _EPSILON
    )
    # Measured from the reference, so that a melody without notes is at it.
    away = melody.PITCHES - condition.mean_pitch[:, None]
    distance = tf.reduce_sum(onsets * away[:, None], [1, 2]) / (
      tf.reduce_sum(onsets, [1, 2]) + _EPSILON
    )
    begun = tf.reduce_sum(onsets, axis=2)
    repeats, intervals = expectation.expected_motion(probabilities)
    return {
      'chord': self._chord(foreign),
      'register': tf.square(distance / self.register_scale),
      **self._line(
        expectation.per_pair(repeats, begun),
        expectation.per_pair(intervals, begun),
      ),
    }

  def _chord(self, foreign: tf.Tensor) -> tf.Tensor:
    beyond = tf.maximum(foreign - self.free_foreign, 0.0)
    return tf.square(beyond / self.foreign_scale)

  def _line(
    self, repeats: tf.Tensor, interval: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    droning = tf.maximum(repeats - self.free_repeats, 0.0)
    leaping = tf.maximum(interval - self.free_interval, 0.0)
    return {
      'motion': tf.square(droning / self.repeats_scale),
      'leaps': tf.square(leaping / self.interval_scale),
    }

  def of_predicted(
    self, predicted: Predicted, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The same, notes taken as spread evenly over half bars."""
    half_bar = melody.STEPS_PER_BAR // 2
    weights = condition.chord_tone_weights[:, ::half_bar]
    counted = predicted.onsets * condition.chord_mask[:, ::half_bar, None]
    away = predicted.mean_pitch - condition.mean_pitch
    foreign = tf.reduce_sum(counted * (1.0 - weights), axis=[1, 2]) / (
      tf.reduce_sum(counted, axis=[1, 2]) + _EPSILON
    )
    return {
      'chord': self._chord(foreign),
      'register': tf.square(away / self.register_scale),
      **self._line(predicted.repeats, predicted.interval),
    }


@dataclasses.dataclass(frozen=True)
class DensityLoss:
  """Spectrogram energy over spans of time against the reference.

  `density` is the squared log ratio of the whole melody's energy to the
  reference, in units of `scale`; `evenness` the same of each span, beyond a
  tolerance that leaves room for phrasing. `rate` is that of the notes begun, in
  units of `rate_scale`: equal energy comes of few long notes as of many that
  break off, and it is the number of notes that a reference names.

  Attributes:
    span_bars: bars in a span, a divisor of 16.
    scale: natural log of an energy ratio that costs 1.
    tolerance: natural log of the ratio within which a span may stray for free.
    rate_scale: natural log of a ratio of onsets that costs 1.
  """

  span_bars: int = 4
  scale: float = 0.3
  tolerance: float = 0.3
  rate_scale: float = 0.2

  def __post_init__(self) -> None:
    if self.span_bars < 1 or melody.NUM_BARS % self.span_bars:
      raise ValueError(
        f'span_bars: expected a divisor of 16, got {self.span_bars}'
      )
    for name in ('scale', 'rate_scale'):
      if not 0 < getattr(self, name) < np.inf:
        raise ValueError(
          f'{name}: expected a value above 0, got {getattr(self, name)}'
        )
    if not 0 <= self.tolerance < np.inf:
      raise ValueError(
        f'tolerance: expected a value of at least 0, got {self.tolerance}'
      )

  def __call__(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """Dictionary of `density`, `evenness` and `rate`, each [B]."""
    _check(probabilities, condition)
    onsets = expectation.expected_onsets(probabilities)
    return self._terms(
      expectation.span_energy(probabilities, self.span_bars),
      tf.reduce_sum(onsets, axis=[1, 2]) / melody.NUM_BARS,
      condition,
    )

  def of_predicted(
    self, predicted: Predicted, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The same of the energies of bars."""
    energy = tf.reshape(
      predicted.energy, [len(predicted.energy), -1, self.span_bars]
    )
    return self._terms(
      tf.reduce_mean(energy, axis=2), predicted.onsets_per_bar, condition
    )

  def _terms(
    self,
    energy: tf.Tensor,
    onsets_per_bar: tf.Tensor,
    condition: conditions.Condition,
  ) -> dict[str, tf.Tensor]:
    """The terms of [B, spans] energies of a frame and [B] onsets a bar."""
    reference = tf.math.log(condition.energy + ENERGY_FLOOR)
    spans = tf.math.log(energy + ENERGY_FLOOR) - reference[:, None]
    mean = tf.reduce_mean(energy, axis=1)
    whole = tf.math.log(mean + ENERGY_FLOOR) - reference
    beyond = tf.maximum(tf.abs(spans) - self.tolerance, 0.0)
    rate = tf.math.log(
      (onsets_per_bar + 0.1) / (condition.onsets_per_bar + 0.1)
    )
    return {
      'density': tf.square(whole / self.scale),
      'evenness': tf.reduce_mean(tf.square(beyond / self.scale), axis=1),
      'rate': tf.square(rate / self.rate_scale),
    }


def _check(probabilities: tf.Tensor, condition: conditions.Condition) -> None:
  batch = condition.mean_pitch.shape[0]
  for name, values, rest in (
    ('probabilities', probabilities, (melody.NUM_STEPS, melody.NUM_TOKENS)),
    ('mean_pitch', condition.mean_pitch, ()),
    ('onsets_per_bar', condition.onsets_per_bar, ()),
    ('energy', condition.energy, ()),
    (
      'chord_tone_weights',
      condition.chord_tone_weights,
      (melody.NUM_STEPS, 12),
    ),
    ('chord_mask', condition.chord_mask, (melody.NUM_STEPS,)),
  ):
    expected, shape = (batch, *rest), tuple(values.shape)
    if shape != expected:
      raise ValueError(f'{name}: expected shape {expected}, got {shape}')
  # Inside a compiled step the learner watches for non-finite losses instead.
  if tf.executing_eagerly() and not bool(
    tf.reduce_all(tf.math.is_finite(probabilities))
  ):
    raise ValueError('probabilities: expected finite values, got NaN or inf')
