"""What a request asks for, and its last stages: decode, measure, arrange."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion_musicvae.api import starts
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.music import spectrogram
from emotion_musicvae.musicvae import stock
from emotion_musicvae.steering import guidance
from emotion_musicvae.steering import plans
from emotion_musicvae.terms import registry

# Melodies that are guided side by side: 24 MiB of noise.
_GUIDED_AT_ONCE = 256
_HELD = 100.0  # nats that no draw makes up for


@dataclasses.dataclass(frozen=True)
class Goal:
  """What N windows of 16 bars are moved to, built once for a request.

  Attributes:
    canonical: condition of N rows in the canonical key, where the actor has
      learned.
    transposition: [N] semitones from there to the emotions' keys; 0 where the
      intensity is, but of the user's melodies.
    intensity: how far to go, from 0 to 1, [N] float32.
  """

  canonical: conditions.Condition
  transposition: npt.NDArray[np.integer[Any]]
  intensity: npt.NDArray[np.float32]

  @classmethod
  def of(
    cls,
    emotions: Sequence[catalogue.Emotion],
    intensity: npt.ArrayLike,
    transposition: int | None = None,
  ) -> Goal:
    """The goal of windows that each follow an emotion.

    Args:
      emotions: N emotions.
      intensity: how far to go, for all or [N].
      transposition: of the user's melody, which keeps its own form; None of
        draws of the prior.
    """
    condition = conditions.Condition.of(emotions)
    share = np.broadcast_to(np.asarray(intensity, np.float32), [len(emotions)])
    if transposition is None:
      canonical, found = condition.in_canonical_key()
      return cls(canonical, np.where(share > 0, found, 0), share)
    own = np.full(len(emotions), transposition)
    canonical, _ = condition.in_canonical_key(own)
    return cls(canonical.with_form_of_its_own(own == own), own, share)

  def part_of_the_way(
    self, z: melody.Floats, moved: melody.Floats
  ) -> melody.Floats:
    """[N, Z] between where vectors were and where they were moved."""
    share = self.intensity[:, None]
    return np.asarray((1.0 - share) * z + share * moved, np.float32)


@dataclasses.dataclass(frozen=True)
class Take:
  """A melody to be decoded.

  Attributes:
    start: where it set out from.
    z: [W, Z] float32 where it was moved.
    emotion: how it is played, at its own tempo.
    asked: what it is measured against.
    condition: of W rows, what it is guided to, in the key that is decoded in.
    transposition: semitones from there.
    seed: integer of the request.
    number: which draw of the seed it is.
    temperature: softmax temperature of the decoder.
    guidance: how strongly it is guided, from 0 to 1; see `steering.guidance`.
    reference: [W, 256] tokens to hold to; None for what is played, adapted.
    kept: share of their notes that is to be played.
    held: bars that are played as they were, in the emotion's key; of a take of
      16 bars.
    original: [T] tokens of the user's melody, before anything is asked of
      it.
  """

  start: starts.Start
  z: npt.NDArray[np.float32]
  emotion: catalogue.Emotion
  asked: catalogue.Emotion
  condition: conditions.Condition
  transposition: int
  seed: int
  number: int
  temperature: float
  guidance: float
  reference: npt.NDArray[np.uint8] | None = None
  kept: float = 0.0
  held: starts.Held | None = None
  original: npt.NDArray[np.uint8] | None = None

  def first(self, windows: int) -> Take:
    """The same of its first windows of 16 bars."""
    return dataclasses.replace(
      self,
      start=self.start.first(windows),
      z=self.z[:windows],
      condition=self.condition.take(slice(windows)),
      reference=None if self.reference is None else self.reference[:windows],
    )


def decode(
  model: stock.StockModel, takes: Sequence[Take]
) -> tuple[list[melody.Tokens], list[float]]:
  """Decodes melodies, in full batches whatever their lengths.

  Args:
    model: the stock model.
    takes: N melodies.

  Returns:
    `(tokens, guided)`: for each [16 n] uint8 tokens, in its emotion's key; and
    the share of them that guidance changed.
  """
  windows = [len(take.z) for take in takes]
  owner = np.repeat(np.arange(len(takes)), windows)
  z = np.concatenate([take.z for take in takes])
  temperature = np.array([take.temperature for take in takes])[owner]
  seeds = [
    seed
    for take, count in zip(takes, windows)
    for seed in starts.noise_seeds(
      take.seed, take.number, count, take.start.section.number
    )
  ]
  transposition = np.array([take.transposition for take in takes])[owner]
  condition = conditions.concatenated([take.condition for take in takes])
  amount = np.array([take.guidance for take in takes], np.float32)[owner]
  # The user's melody ends as it does.
  ends = [t.start.tunes is None and t.start.section.closes for t in takes]
  closes = np.append(owner[1:] != owner[:-1], True) & np.array(ends)[owner]
  reference = np.concatenate(
    [
      np.zeros([len(take.z), melody.NUM_STEPS], np.uint8)
      if take.reference is None
      else take.reference
      for take in takes
    ]
  )
  kept = np.array([take.kept for take in takes], np.float32)[owner]
  held = np.zeros([len(z), melody.NUM_STEPS], np.uint8)
  holds = np.zeros(held.shape, bool)
  for i, take in enumerate(takes):
    rows = owner == i
    if take.held:
      held[rows] = take.held.below(take.transposition)
      holds[rows] = take.held.steps
    elif take.guidance and take.reference is not None:
      held[rows], holds[rows] = take.reference, take.start.outer_notes
  settings = guidance.load_settings()
  parts = []
  for first in range(0, len(z), _GUIDED_AT_ONCE):
    rows = slice(first, first + _GUIDED_AT_ONCE)
    parts.append(
      guidance.decode(
        seeded(
          model,
          z[rows],
          temperature[rows],
          seeds[rows],
          condition.metrical_weight[rows],
        ),
        condition.take(rows),
        amount[rows],
        settings,
        closes[rows],
        reference[rows],
        kept[rows],
        held[rows],
        holds[rows],
      )
    )
  decoded, changed = (np.concatenate(x) for x in zip(*parts))
  tokens = melody.transpose(decoded, transposition)
  return (
    [take.start.join(tokens[owner == i]) for i, take in enumerate(takes)],
    [float(changed[owner == i].mean()) for i in range(len(takes))],
  )


def seeded(
  model: stock.StockModel,
  z: melody.Floats,
  temperature: npt.ArrayLike,
  seeds: Sequence[stock.Seed],
  metrical_weight: npt.NDArray[np.integer[Any]],
) -> Callable[..., npt.NDArray[np.uint8]]:
  """What `guidance.decode` asks for: a decoder of given vectors and noise.

  Where the metre has nothing to be heard it plays on what sounds.

  Args:
    model: the stock model.
    z: [N, Z] latent vectors.
    temperature: softmax temperature, for all or [N].
    seeds: N seeds of the noise.
    metrical_weight: [N, 256] see `metres.Metre.weights`.
  """
  temperatures = np.broadcast_to(temperature, [len(z)])
  unheard = np.asarray(metrical_weight) == metres.UNHEARD

  def decoder(
    rows: npt.NDArray[np.int64], bias: npt.NDArray[np.float32] | None = None
  ) -> npt.NDArray[np.uint8]:
    own = [seeds[i] for i in rows]
    silent = unheard[rows]
    if silent.any():
      if bias is None:
        bias = np.zeros([*silent.shape, melody.NUM_TOKENS], np.float32)
      bias[silent, melody.HOLD] += _HELD
    return model.decode(z[rows], temperatures[rows], own, bias)

  return decoder


def measure(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """What melodies of one length measure.

  Args:
    tokens: [N, 16 n] tokens.
    condition: of N rows, of what is heard, for the chords, which begin again
      where they end.

  Returns:
    Dictionary to [N] arrays of `mean_pitch` (MIDI), `onsets_per_bar`,
    `chord_tone_rate`, `chord_tones_on_beat` and `energy` (of a spectrogram
    frame); NaN where there is no note to measure.
  """
  again = np.arange(tokens.shape[1]) % condition.chord_mask.shape[1]
  by_step = ('chord_tone_weights', 'chord_mask', 'metrical_weight')
  whole = {name: getattr(condition, name)[:, again] for name in by_step}
  return {
    **hits.measure(tokens, condition._replace(**whole)),
    'energy': spectrogram.energy(tokens),
  }


@dataclasses.dataclass(frozen=True)
class Measurement:
  """What a melody measures, and by how much it misses.

  Attributes:
    measured: numbers by name, see `measure`; and of further terms what was
      asked for, a form as its letters.
    missed: of those outside the tolerances of `hits`, and of further terms, how
      far outside.
    against: of further terms, and of what is missed beside them, which targets
      pull against it; see `plans.pulls`.
  """

  measured: dict[str, float | str]
  missed: dict[str, float]
  against: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def measure_each(
  tokens: Sequence[melody.Tokens], emotions: Sequence[catalogue.Emotion]
) -> list[Measurement]:
  """What melodies measure that may differ in length.

  Args:
    tokens: N arrays, [16 n] each.
    emotions: N that they are measured against.
  """
  alike = collections.defaultdict(list)
  for i, (own, emotion) in enumerate(zip(tokens, emotions)):
    metre = metres.parse(emotion.time_signature)
    bars = len(harmony.bars(emotion.chords, metre))
    alike[len(own), bars, metre].append(i)
  result: dict[int, Measurement] = {}
  for rows in alike.values():
    targets = conditions.Condition.of([emotions[i] for i in rows]).as_heard()
    measured = measure(np.stack([tokens[i] for i in rows]), targets)
    excess = hits.excess(measured, targets)
    for k, i in enumerate(rows):
      told, further = _further(tokens[i], emotions[i])
      missed = {name: v[k] for name, v in excess.items() if v[k]} | further
      against: dict[str, list[str]] = {}
      if told and missed and len(tokens[i]) == melody.NUM_STEPS:
        against = plans.pulls(tokens[i], targets.take([k]), [*missed])
      result[i] = Measurement(
        {**{name: values[k] for name, values in measured.items()}, **told},
        missed,
        against,
      )
  return [result[i] for i in range(len(tokens))]


def _further(
  tokens: melody.Tokens, emotion: catalogue.Emotion
) -> tuple[dict[str, float | str], dict[str, float]]:
  """What a melody measures of further terms, and by how much it misses them.

  Args:
    tokens: [16 n] tokens.
    emotion: that asks for them.
  """
  told: dict[str, float | str] = {}
  missed: dict[str, float] = {}
  asked = registry.parse(emotion.targets) if emotion.targets else {}
  for name, values in registry.measure(tokens[None], asked).items():
    term = registry.known()[name]
    target = np.array([term.parse(asked[name])])
    told[name] = term.told(values[0])
    (excess,) = term.excess(values, target)
    if excess:
      missed[name] = float(excess)
  return told, missed


def arrange(
  model: stock.StockModel,
  takes: Sequence[Take],
  tokens: Sequence[melody.Tokens],
  measurements: Sequence[Measurement],
  guided: Sequence[float],
) -> list[Melody]:
  """Gives melodies their tempo, key, instrument and chords.

  Args:
    model: the stock model, which turns tokens into notes.
    takes: N melodies.
    tokens: of each, from `decode`.
    measurements: of each, from `measure_each`.
    guided: of each, from `decode`.
  """
  known = {take.asked: _reference(take.asked) for take in takes}
  melodies = []
  for take, own, measurement, changed in zip(
    takes, tokens, measurements, guided
  ):
    (sequence,) = model.note_sequences(own[None])
    metre = metres.parse(take.emotion.time_signature)
    num_bars = len(own) // metre.bar_steps
    melodies.append(
      Melody(
        take.emotion,
        expression.perform(
          arrangement.arrange(sequence, take.emotion, num_bars, metre),
          take.emotion,
        ),
        own,
        take.z[0] if len(take.z) == 1 else take.z,
        take.transposition,
        measurement.measured,
        dict(known[take.asked]),
        measurement.missed,
        take.number,
        take.seed,
        against=measurement.against,
        guided=changed,
        original=None if take.original is None else take.original[: len(own)],
      )
    )
  return melodies


def _reference(emotion: catalogue.Emotion) -> Mapping[str, float | str]:
  """What a melody of an emotion should measure, chord tones at the least."""
  pitch, onsets = emotion.mean_pitch, emotion.onsets_per_bar
  return {
    'mean_pitch': pitch,
    'onsets_per_bar': onsets,
    'chord_tone_rate': hits.CHORD_TONE_FLOOR,
    'chord_tones_on_beat': hits.ON_BEAT_FLOOR,
    'energy': float(references.energy_reference()(pitch, onsets)),
    **registry.told(emotion.targets),
  }
