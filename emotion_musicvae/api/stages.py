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
from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram
from emotion_musicvae.musicvae import stock
from emotion_musicvae.steering import guidance

# Melodies that are guided side by side: 24 MiB of noise.
_GUIDED_AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class Goal:
  """What N melodies are moved to, built once for a request.

  Attributes:
    condition: of N rows, in the keys of the emotions.
    canonical: the same in the canonical key, where the actor has learned.
    transposition: [N] semitones from there to the emotions' keys; 0 where the
      intensity is.
    intensity: how far to go, from 0 to 1, for all or as [N] float32.
  """

  condition: conditions.Condition
  canonical: conditions.Condition
  transposition: npt.NDArray[np.integer[Any]]
  intensity: float | npt.NDArray[np.float32]

  @classmethod
  def of(
    cls,
    emotions: Sequence[catalogue.Emotion],
    intensity: float | npt.NDArray[np.float32],
    own_form: npt.ArrayLike = False,
  ) -> Goal:
    """The goal of melodies that each follow an emotion.

    Args:
      emotions: N emotions.
      intensity: as the attribute.
      own_form: whether they are the user's melodies, whose form stays; or [N].
    """
    own = np.broadcast_to(own_form, [len(emotions)])
    condition = conditions.Condition.of(emotions).with_form_of_its_own(own)
    canonical, transposition = condition.in_canonical_key()
    sought = np.asarray(intensity) > 0
    return cls(
      condition, canonical, np.where(sought, transposition, 0), intensity
    )

  def take(self, rows: npt.NDArray[np.int64]) -> Goal:
    """The given rows, as an array indexes."""
    intensity = self.intensity
    if isinstance(intensity, np.ndarray):
      intensity = intensity[rows]
    return Goal(
      self.condition.take(rows),
      self.canonical.take(rows),
      self.transposition[rows],
      intensity,
    )

  def part_of_the_way(
    self, z: melody.Floats, moved: melody.Floats
  ) -> melody.Floats:
    """[N, Z] between where vectors were and where they were moved."""
    intensity = self.intensity
    if isinstance(intensity, np.ndarray):
      intensity = intensity[:, None]
    return (1.0 - intensity) * z + intensity * moved


@dataclasses.dataclass(frozen=True)
class Take:
  """A melody to be decoded.

  Attributes:
    start: where it set out from.
    z: [W, Z] float32 where it was moved.
    emotion: what it follows, at its own tempo.
    transposition: semitones from the key that it is decoded in.
    seed: integer of the request.
    number: which draw of the seed it is.
    temperature: softmax temperature of the decoder.
    guidance: how strongly it is guided, from 0 to 1; see `steering.guidance`.
  """

  start: starts.Start
  z: npt.NDArray[np.float32]
  emotion: catalogue.Emotion
  transposition: int
  seed: int
  number: int
  temperature: float
  guidance: float


def decode(
  model: stock.StockModel,
  takes: Sequence[Take],
  condition: conditions.Condition,
) -> tuple[list[melody.Tokens], list[float]]:
  """Decodes melodies, in full batches whatever their lengths.

  Args:
    model: the stock model.
    takes: N melodies.
    condition: of N rows, in the keys of their emotions.

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
  there = condition.take(owner).transposed(-transposition)
  amount = np.array([take.guidance for take in takes], np.float32)[owner]
  closes = np.append(owner[1:] != owner[:-1], True)
  closes &= np.array([take.start.section.closes for take in takes])[owner]
  settings = guidance.load_settings()
  parts = []
  for first in range(0, len(z), _GUIDED_AT_ONCE):
    rows = slice(first, first + _GUIDED_AT_ONCE)
    parts.append(
      guidance.decode(
        seeded(model, z[rows], temperature[rows], seeds[rows]),
        there.take(rows),
        amount[rows],
        settings,
        closes[rows],
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
) -> Callable[..., npt.NDArray[np.uint8]]:
  """What `guidance.decode` asks for: a decoder of given vectors and noise."""
  temperatures = np.broadcast_to(temperature, [len(z)])

  def decoder(
    rows: npt.NDArray[np.int64], bias: npt.NDArray[np.float32] | None
  ) -> npt.NDArray[np.uint8]:
    own = [seeds[i] for i in rows]
    return model.decode(z[rows], temperatures[rows], own, bias)

  return decoder


def measure(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """What melodies of one length measure.

  Args:
    tokens: [N, 16 n] tokens.
    condition: of N rows, for the chords, which begin again every 16 bars.

  Returns:
    Dictionary to [N] arrays of `mean_pitch` (MIDI), `onsets_per_bar`,
    `chord_tone_rate`, `chord_tones_on_beat` and `energy` (of a spectrogram
    frame); NaN where there is no note to measure.
  """
  steps = tokens.shape[1]
  weights, mask = condition.chord_tone_weights, condition.chord_mask
  if steps != melody.NUM_STEPS:
    again = np.arange(steps) % melody.NUM_STEPS
    weights, mask = weights[:, again], mask[:, again]
  whole = condition._replace(chord_tone_weights=weights, chord_mask=mask)
  return {
    **guidance.measure(tokens, whole),
    'energy': spectrogram.energy(tokens),
  }


@dataclasses.dataclass(frozen=True)
class Measurement:
  """What a melody measures, and by how much it misses.

  Attributes:
    measured: numbers by name, see `measure`.
    missed: of those outside the tolerances of `hits`, how far outside.
  """

  measured: dict[str, float]
  missed: dict[str, float]


def measure_each(
  tokens: Sequence[melody.Tokens], condition: conditions.Condition
) -> list[Measurement]:
  """What melodies measure that may differ in length.

  Args:
    tokens: N arrays, [16 n] each.
    condition: of N rows.
  """
  by_length = collections.defaultdict(list)
  for i, own in enumerate(tokens):
    by_length[len(own)].append(i)
  result: dict[int, Measurement] = {}
  for rows in by_length.values():
    targets = condition.take(rows)
    measured = measure(np.stack([tokens[i] for i in rows]), targets)
    excess = hits.excess(measured, targets)
    for k, i in enumerate(rows):
      result[i] = Measurement(
        {name: values[k] for name, values in measured.items()},
        {name: values[k] for name, values in excess.items() if values[k]},
      )
  return [result[i] for i in range(len(tokens))]


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
  known = {take.emotion: _reference(take.emotion) for take in takes}
  melodies = []
  for take, own, measurement, changed in zip(
    takes, tokens, measurements, guided
  ):
    (sequence,) = model.note_sequences(own[None])
    num_bars = len(own) // melody.STEPS_PER_BAR
    melodies.append(
      Melody(
        take.emotion,
        expression.perform(
          arrangement.arrange(sequence, take.emotion, num_bars), take.emotion
        ),
        own,
        take.z[0] if len(take.z) == 1 else take.z,
        take.transposition,
        measurement.measured,
        dict(known[take.emotion]),
        measurement.missed,
        take.number,
        take.seed,
        guided=changed,
      )
    )
  return melodies


def _reference(emotion: catalogue.Emotion) -> Mapping[str, float]:
  """What a melody of an emotion should measure."""
  pitch, onsets = emotion.mean_pitch, emotion.onsets_per_bar
  return {
    'mean_pitch': pitch,
    'onsets_per_bar': onsets,
    'chord_tone_rate': 1.0,
    'chord_tones_on_beat': 1.0,
    'energy': float(references.energy_reference()(pitch, onsets)),
  }
