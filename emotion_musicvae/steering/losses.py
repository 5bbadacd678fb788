"""The two losses of the paper, on expected notes.

Both take token probabilities [B, 256, 90] and return one value per melody, so
that a one-hot input gives exactly what the decoded melody measures.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import typing

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.terms import expectation
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import Term

_EPSILON = 1e-6
# Silence has a finite logarithm, far below any reference.
ENERGY_FLOOR = 0.01


class Predicted(typing.NamedTuple):
  """What the critic predicts of melodies.

  Attributes:
    onsets: [B, 32, 2, 12] notes that begin in each half bar, on the beat and
      off it, by pitch class.
    mean_pitch: [B] MIDI.
    repeats: [B] share of notes that repeat the one before.
    steps: [B] share of notes a step from the one before.
    energy: [B, 16] spectrogram energy of a frame, by bar.
    onsets_per_bar: [B].
    notes: [B, 16] notes that begin in each bar.
    bars: [B, 16] of each further term that says so what its bars measure, by
      name.
  """

  onsets: tf.Tensor
  mean_pitch: tf.Tensor
  repeats: tf.Tensor
  steps: tf.Tensor
  energy: tf.Tensor
  onsets_per_bar: tf.Tensor
  notes: tf.Tensor
  bars: Mapping[str, tf.Tensor]


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

  `chord` weighs notes by metre, as people do: the squared share of notes on
  the beat that are foreign to their chord, beyond `free_on_beat`, and the
  squared share among all notes beyond `free_foreign`, both in units of
  `foreign_scale`. So a line may walk from one chord tone to the next. `close`
  is the squared probability, in units of `open_scale`, that the melody does not
  end with a long note of the final tones. `register` is the squared distance of
  the mean pitch from the reference in units of `register_scale` semitones.
  `motion` keeps a melody from meeting all that by droning on one chord tone:
  the squared share of notes that repeat the one before, beyond `free_repeats`,
  in units of `repeats_scale`. `steps` keeps it from falling apart into the
  notes of a chord: the squared share of notes by which those a step from the
  one before fall short of `enough_steps`, in units of `steps_scale`.

  Attributes:
    free_on_beat: share of foreign notes on the beat that costs nothing; folk
      tunes have 0.2 over the chords that people wrote for them.
    free_foreign: the same of all notes; folk tunes have 0.28.
    foreign_scale: share beyond either that costs 1.
    open_scale: probability of another ending that costs 1.
    register_scale: semitones off the reference that cost 1.
    free_repeats: share of repeated notes that costs nothing; real tunes have
      one in ten.
    repeats_scale: share beyond it that costs 1.
    enough_steps: share of notes by step that costs nothing; real tunes have
      0.48 to 0.56.
    steps_scale: share short of it that costs 1.
  """

  free_on_beat: float = 0.17
  free_foreign: float = 0.3
  foreign_scale: float = 0.1
  open_scale: float = 0.5
  register_scale: float = 3.0
  free_repeats: float = 0.1
  repeats_scale: float = 0.2
  enough_steps: float = 0.5
  steps_scale: float = 0.15
  names: typing.ClassVar = ('chord', 'close', 'register', 'motion', 'steps')

  def __post_init__(self) -> None:
    for name in (
      'free_on_beat',
      'free_foreign',
      'free_repeats',
      'enough_steps',
    ):
      value = getattr(self, name)
      if not 0 <= value <= 1:
        raise ValueError(f'{name}: expected a share in [0, 1], got {value}')
    _check_scales(
      self,
      'foreign_scale',
      'open_scale',
      'register_scale',
      'repeats_scale',
      'steps_scale',
    )

  def __call__(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """`chord`, `close`, `register`, `motion` and `steps` by name, each [B]."""
    _check(probabilities, condition)
    onsets = expectation.expected_onsets(probabilities)
    # [B, 256, 88]: what a note of this pitch costs at this step.
    pitch_class = melody.PITCHES.astype(np.int32) % 12
    cost = 1.0 - tf.gather(condition.chord_tone_weights, pitch_class, axis=2)
    counted = onsets * condition.chord_mask[..., None]
    number = tf.reduce_sum(counted, axis=2)  # [B, 256]
    foreign = tf.reduce_sum(counted * cost, axis=2)
    every = melody.STEPS_PER_QUARTER
    ending = expectation.final_note(probabilities) * tf.gather(
      condition.final_tones, pitch_class, axis=1
    )
    asked = tf.reduce_max(condition.final_tones, axis=1)
    missing = asked - tf.reduce_sum(ending, axis=1)
    # Measured from the reference, so that a melody without notes is at it.
    away = melody.PITCHES - condition.mean_pitch[:, None]
    distance = tf.reduce_sum(onsets * away[:, None], [1, 2]) / (
      tf.reduce_sum(onsets, [1, 2]) + _EPSILON
    )
    begun = tf.reduce_sum(onsets, axis=2)
    repeats, steps = expectation.expected_motion(probabilities)
    return {
      'chord': self._chord(
        _share(foreign[:, ::every], number[:, ::every]), _share(foreign, number)
      ),
      'close': tf.square(missing / self.open_scale),
      'register': tf.square(distance / self.register_scale),
      **self._line(
        expectation.per_pair(repeats, begun),
        expectation.per_pair(steps, begun),
      ),
    }

  def _chord(self, on_beat: tf.Tensor, of_all: tf.Tensor) -> tf.Tensor:
    beyond = (
      tf.maximum(on_beat - self.free_on_beat, 0.0),
      tf.maximum(of_all - self.free_foreign, 0.0),
    )
    return tf.add_n([tf.square(x / self.foreign_scale) for x in beyond])

  def _line(self, repeats: tf.Tensor, steps: tf.Tensor) -> dict[str, tf.Tensor]:
    droning = tf.maximum(repeats - self.free_repeats, 0.0)
    missing = tf.maximum(self.enough_steps - steps, 0.0)
    return {
      'motion': tf.square(droning / self.repeats_scale),
      'steps': tf.square(missing / self.steps_scale),
    }

  def of_predicted(
    self, predicted: Predicted, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The same but `close`, which lies within a bar."""
    half_bar = melody.STEPS_PER_BAR // 2
    weights = condition.chord_tone_weights[:, ::half_bar, None]
    mask = condition.chord_mask[:, ::half_bar, None, None]
    counted = predicted.onsets * mask  # [B, 32, 2, 12]
    away = predicted.mean_pitch - condition.mean_pitch
    number = tf.reduce_sum(counted, axis=3)  # [B, 32, 2]
    foreign = tf.reduce_sum(counted * (1.0 - weights), axis=3)
    return {
      'chord': self._chord(
        _share(foreign[..., 0], number[..., 0]),
        _share(tf.reduce_sum(foreign, axis=2), tf.reduce_sum(number, axis=2)),
      ),
      'register': tf.square(away / self.register_scale),
      **self._line(predicted.repeats, predicted.steps),
    }


def _check_scales(loss: object, *names: str) -> None:
  """Refuses settings that something is divided by, and that are not above 0."""
  for name in names:
    value = getattr(loss, name)
    if not 0 < value < np.inf:
      raise ValueError(f'{name}: expected a value above 0, got {value}')


def _share(part: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
  """[B] share of [B, T] parts in their wholes, 0 of nothing."""
  return tf.reduce_sum(part, axis=1) / (tf.reduce_sum(whole, axis=1) + _EPSILON)


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
  names: typing.ClassVar = ('density', 'evenness', 'rate')

  def __post_init__(self) -> None:
    if self.span_bars < 1 or melody.NUM_BARS % self.span_bars:
      raise ValueError(
        f'span_bars: expected a divisor of 16, got {self.span_bars}'
      )
    _check_scales(self, 'scale', 'rate_scale')
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


class TargetLoss:
  """What it costs to miss the target of a further term; 0 where none is asked.

  Args:
    term: that measures.
  """

  def __init__(self, term: Term) -> None:
    self._term = term

  def __call__(
    self, probabilities: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The term's cost, [B] under its name."""
    return self._missed(self._term.expected(probabilities), condition)

  def of_predicted(
    self, predicted: Predicted, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    """The same of what its bars are predicted to measure, if they are."""
    name = self._term.name
    if name not in predicted.bars:
      return {}
    measured = self._term.of_bars(predicted.bars[name], predicted.notes)
    return self._missed(measured, condition)

  def _missed(
    self, measured: tf.Tensor, condition: conditions.Condition
  ) -> dict[str, tf.Tensor]:
    measured = tf.reshape(measured, [-1, self._term.size])
    place = registry.places()[self._term.name]
    if condition.targets.shape[1] < place.stop:  # Of no melody.
      return {self._term.name: tf.zeros_like(measured[:, 0])}
    target = condition.targets[:, place]
    asked = tf.math.is_finite(target)
    # What is not asked for has no gradient, not one of NaN.
    cost = self._term.cost(measured, tf.where(asked, target, measured))
    cost = tf.where(asked, cost, tf.zeros_like(cost))
    return {self._term.name: tf.reduce_mean(cost, axis=1)}


# What only the paper's own terms are called.
registry.reserve(PitchLoss.names + DensityLoss.names)


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
    ('final_tones', condition.final_tones, (12,)),
  ):
    expected, shape = (batch, *rest), tuple(values.shape)
    if shape != expected:
      raise ValueError(f'{name}: expected shape {expected}, got {shape}')
  # Inside a compiled step the learner watches for non-finite losses instead.
  if tf.executing_eagerly() and not bool(
    tf.reduce_all(tf.math.is_finite(probabilities))
  ):
    raise ValueError('probabilities: expected finite values, got NaN or inf')
