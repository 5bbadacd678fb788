"""What is asked of each melody of a batch, from the request to the loss."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.music import adaptation
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import Term

_HALF_BAR = melody.STEPS_PER_BAR // 2
# Chord tones by half bar, final tones, mean pitch and density.
NUM_FEATURES = 2 * melody.NUM_BARS * 12 + 12 + 2
# Middle of the mean pitches that actors are trained for, MIDI.
CANONICAL_PITCH = 66.0


class Condition(typing.NamedTuple):
  """Targets of a batch of melodies, one row per melody.

  A named tuple of arrays: TensorFlow takes it wherever it takes a structure of
  tensors, and gives it back with tensors in place of the arrays.

  Attributes:
    mean_pitch: [B] reference mean pitch of the notes, MIDI.
    onsets_per_bar: [B] reference number of notes that begin in a bar.
    energy: [B] reference spectrogram energy of a frame, from
      `references.energy_reference`.
    chord_tone_weights: [B, 256, 12] weights in [0, 1] of each pitch class at
      each step, 0 is C; see `harmony.chord_tones`.
    chord_mask: [B, 256] 1 where a chord stands, 0 where notes are free.
    final_tones: [B, 12] 1 for the pitch class that ends the melody, the tonic;
      all 0 where any may.
    returning: [B, 16] bars that are to return to an earlier one, see
      `adaptation.returning_bars`.
    metrical_weight: [B, 256] what each step weighs in its bar, see
      `metres.Metre.weights`.
    targets: [B, K] of further terms, NaN where none is asked for, see
      `registry.vector`; [B, 0] where none is of any melody.
  """

  mean_pitch: npt.NDArray[typing.Any]
  onsets_per_bar: npt.NDArray[typing.Any]
  energy: npt.NDArray[typing.Any]
  chord_tone_weights: npt.NDArray[typing.Any]
  chord_mask: npt.NDArray[typing.Any]
  final_tones: npt.NDArray[typing.Any]
  returning: npt.NDArray[typing.Any]
  metrical_weight: npt.NDArray[typing.Any]
  targets: npt.NDArray[typing.Any]

  @classmethod
  def of(cls, emotions: Sequence[catalogue.Emotion]) -> Condition:
    """The condition of melodies that are each to follow an emotion.

    Args:
      emotions: B emotions, a row each; the same one costs nothing twice.

    Raises:
      ValueError: a progression that cannot be read, see `harmony.chord_tones`.
      UserError: further targets in another metre than 4/4.
    """
    distinct = {emotion: i for i, emotion in enumerate(dict.fromkeys(emotions))}
    rows = [distinct[emotion] for emotion in emotions]
    metre = [metres.parse(e.time_signature) for e in distinct]
    tones = [
      harmony.chord_tones(
        harmony.written_out(e.chords, e.mode, e.cadence, own), metre=own
      )
      for e, own in zip(distinct, metre)
    ]
    tonics = [harmony.key(emotion.chords, emotion.mode) for emotion in distinct]
    # Where a part of each of the model's bars is heard, so many notes are.
    heard = np.array([own.heard().mean() for own in metre], np.float32)[rows]
    targets = np.zeros([len(distinct), 0], np.float32)
    if any(emotion.targets for emotion in distinct):
      _check_metres(distinct)
      targets = np.stack([registry.vector(e.targets) for e in distinct])
    return cls.from_targets(
      np.array([e.mean_pitch for e in emotions], np.float32),
      np.array([e.onsets_per_bar for e in emotions], np.float32) * heard,
      np.stack([weights for weights, _ in tones])[rows],
      np.stack([mask for _, mask in tones])[rows],
      np.stack([_one_hot(tonic) for tonic in tonics])[rows],
      np.stack(
        [
          np.tile(own.weights(), len(mask) // melody.NUM_STEPS)
          for own, (_, mask) in zip(metre, tones)
        ]
      )[rows],
      targets[rows],
    )

  @classmethod
  def from_targets(
    cls,
    mean_pitch: npt.NDArray[typing.Any],
    onsets_per_bar: npt.NDArray[typing.Any],
    chord_tone_weights: npt.NDArray[typing.Any],
    chord_mask: npt.NDArray[typing.Any],
    final_tones: npt.NDArray[typing.Any],
    metrical_weight: npt.NDArray[typing.Any] | None = None,
    targets: npt.NDArray[typing.Any] | None = None,
  ) -> Condition:
    """A condition whose energy is that of real music of its pitch and density.

    Bars return where chords do, or as a form among the targets says. The
    arguments are the attributes of the same names; without metrical weights it
    is 4/4.
    """
    if metrical_weight is None:
      own = metres.QUADRUPLE.weights()
      metrical_weight = np.tile(own, [len(mean_pitch), 1])
    if targets is None:
      targets = np.zeros([len(mean_pitch), 0], np.float32)
    return cls(
      mean_pitch,
      onsets_per_bar,
      references.energy_reference()(mean_pitch, onsets_per_bar),
      chord_tone_weights,
      chord_mask,
      final_tones,
      registry.returning(
        targets,
        adaptation.returning_bars(chord_tone_weights),
        chord_tone_weights,
      ),
      metrical_weight,
      targets,
    )

  def in_canonical_key(
    self, transposition: npt.ArrayLike | None = None
  ) -> tuple[Condition, npt.NDArray[np.int64]]:
    """The same condition in the one key signature that is learned, no sharps.

    A melody in another key is one in this key, transposed: whatever a model can
    play in one key it can in all. The octave is that in which the mean pitch
    lies nearest to `CANONICAL_PITCH`. The energy changes with the octave, as
    low notes ring longer.

    Args:
      transposition: [B] semitones from there where they are known, as of a
        melody whose key is; found from the chords when None.

    Returns:
      `(condition, transposition)`: the condition there, and the [B] semitones
      by which melodies that meet it are to be transposed to meet this one.
    """
    if transposition is None:
      tonic = np.array(
        [harmony.signature(weights) for weights in self.chord_tone_weights], int
      )
      away = self.mean_pitch - CANONICAL_PITCH - tonic
      transposition = tonic + 12 * np.round(away / 12.0).astype(int)
    semitones = np.asarray(transposition, int)
    there = self.with_chords_transposed(-semitones)
    canonical = Condition.from_targets(
      self.mean_pitch - semitones.astype(np.float32),
      self.onsets_per_bar,
      there.chord_tone_weights,
      there.chord_mask,
      there.final_tones,
      self.metrical_weight,
      self.targets,
    )._replace(returning=self.returning)
    return canonical, semitones

  def as_heard(self) -> Condition:
    """The same of what is heard alone, in rows of one metre."""
    heard = self.metrical_weight[0] > metres.UNHEARD
    share = np.float32(heard.mean())
    return self._replace(
      onsets_per_bar=self.onsets_per_bar / share,
      chord_tone_weights=self.chord_tone_weights[:, heard],
      chord_mask=self.chord_mask[:, heard],
      metrical_weight=self.metrical_weight[:, heard],
    )

  def with_form_of_its_own(self, rows: npt.ArrayLike) -> Condition:
    """The same condition where the [B] rows named keep their melody's form.

    But for a form that is among their targets.
    """
    own = np.where(np.asarray(rows, bool)[:, None], -1, self.returning)
    return self._replace(
      returning=registry.returning(self.targets, own, self.chord_tone_weights)
    )

  def with_chords_transposed(self, semitones: npt.ArrayLike) -> Condition:
    """The same condition with progressions and endings in another key.

    Args:
      semitones: [B] integers to go up by.
    """
    classes = (np.arange(12) - np.asarray(semitones)[:, None]) % 12
    return self._replace(
      chord_tone_weights=np.take_along_axis(
        self.chord_tone_weights, classes[:, None], axis=2
      ),
      final_tones=np.take_along_axis(self.final_tones, classes, axis=1),
    )

  def transposed(self, semitones: npt.ArrayLike) -> Condition:
    """The same condition, up by [B] semitones; the energy is left as it is."""
    moved = self.with_chords_transposed(semitones)
    return moved._replace(mean_pitch=self.mean_pitch + np.asarray(semitones))

  def take(
    self, rows: Sequence[int] | npt.NDArray[np.int64] | slice
  ) -> Condition:
    """The given rows, as an array indexes."""
    return Condition(*(values[rows] for values in self))

  def as_float32(self) -> Condition:
    """The same as float32 arrays, the type of every tensor here."""
    return Condition(*(np.asarray(values, np.float32) for values in self))

  def features(self, terms: Sequence[str] = ()) -> npt.NDArray[np.float32]:
    """[B, features] float32, what an actor sees of it; see `num_features`.

    Args:
      terms: names of those further ones that it is trained for.
    """
    own = np.concatenate(
      [
        (self.mean_pitch[:, None] - CANONICAL_PITCH) / 6.0,
        np.log2(self.onsets_per_bar[:, None] / 6.0),
        self.chord_tone_weights[:, ::_HALF_BAR].reshape(
          [len(self.mean_pitch), -1]
        ),
        self.final_tones,
      ],
      axis=1,
    ).astype(np.float32)
    return np.concatenate(
      [own, *(registry.features(self.targets, name) for name in terms)], axis=1
    )


def _check_metres(emotions: Iterable[catalogue.Emotion]) -> None:
  for emotion in emotions:
    if emotion.targets and metres.parse(emotion.time_signature) != (
      metres.QUADRUPLE
    ):
      raise UserError(
        'target',
        messages.say(
          '{targets} goes with 4/4, not with {metre}',
          targets=emotion.targets,
          metre=emotion.time_signature,
        ),
      )


def num_features(terms: Sequence[Term] = ()) -> int:
  """How many features an actor sees.

  Args:
    terms: further ones that it is trained for, of which it sees each value and
      whether it is asked for.
  """
  return NUM_FEATURES + sum(2 * term.size for term in terms)


def concatenated(parts: Sequence[Condition]) -> Condition:
  """The condition of the melodies of several, one after another."""
  most = max(part.targets.shape[1] for part in parts)
  widened = [
    part._replace(
      targets=np.pad(
        part.targets,
        [(0, 0), (0, most - part.targets.shape[1])],
        constant_values=np.nan,
      )
    )
    for part in parts
  ]
  return Condition(*(np.concatenate(rows) for rows in zip(*widened)))


def _one_hot(pitch_class: int | None) -> npt.NDArray[np.float32]:
  """[12] 1 at a pitch class; all 0 for None."""
  result = np.zeros(12, np.float32)
  if pitch_class is not None:
    result[pitch_class] = 1.0
  return result
