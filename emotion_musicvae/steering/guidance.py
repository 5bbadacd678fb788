"""Guided decoding: the stock decoder, listened to and corrected.

The stock decoder draws each token from its own distribution and from noise that
is given. What is added to that noise multiplies the distribution by another one
(a product of experts) and leaves Magenta's graph alone. Here it is a loop:
decode, measure, correct, decode with the same noise again. A correction stands
only where something is amiss:

  chord    notes foreign to their chord cost where they stood, most of all on
           the beat, as far as there are more of them than people have; those
           that pass by step from one note to the next go last
  register a slope over pitch, where the mean pitch is off
  density  a weight on holding, where there are too many notes or too few
  close    in the last bar, on notes but the final ones and on late ones
  form     bars of the melody's first phrase return where its chords do

The latent vector says what is played; guidance trims it. Of all rounds the
nearest is kept.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import typing
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.music import melody
from emotion_musicvae.support import configuration

_Floats = npt.NDArray[np.float32]
_PITCH_CLASS = melody.PITCHES.astype(np.int32) % 12
_BEAT = np.arange(melody.NUM_STEPS) % melody.STEPS_PER_QUARTER == 0
_PHRASE = 4  # bars
# The last note begins here at the latest, so that it can last.
_LAST_ONSET = melody.NUM_STEPS - melody.STEPS_PER_BAR // 2
_LAST_BAR = melody.NUM_STEPS - melody.STEPS_PER_BAR


@dataclasses.dataclass(frozen=True)
class Settings:
  """How the loop corrects; see configs/actor_critic.yaml.

  Attributes:
    rounds: of decoding again after the first time; in all but the last
      something is corrected, and there bars return exactly.
    on_beat: share of chord tones on the beat to come to.
    of_onsets: the same of all notes.
    foreign_on_beat: what is added against a foreign note on the beat, nats.
    foreign: the same off the beat.
    passing: share of either against one that is reached and left by step, where
      chord tones are nearly enough.
    far: share of chord tones that is missing where none is spared.
    register: slope over an octave for each semitone that the mean pitch is off.
    density: nats on holding, for each tolerance that the density is off.
    close: nats against other endings.
    form: nats for the notes of a bar that returns.
  """

  rounds: int = 6
  on_beat: float = 0.75
  of_onsets: float = 0.65
  foreign_on_beat: float = 4.0
  foreign: float = 1.5
  passing: float = 0.25
  far: float = 0.1
  register: float = 0.6
  density: float = 0.6
  close: float = 4.0
  form: float = 30.0


class Guided(typing.NamedTuple):
  """What guided decoding gives.

  Attributes:
    tokens: [B, 256] uint8.
    changed: [B] share of the tokens that differ from what is decoded without
      guidance.
  """

  tokens: npt.NDArray[np.uint8]
  changed: melody.Floats


def decode(
  decoder: Callable[
    [npt.NDArray[np.int64], _Floats | None], npt.NDArray[np.uint8]
  ],
  condition: conditions.Condition,
  amount: npt.ArrayLike,
  settings: Settings,
  closes: npt.NDArray[np.bool_] | None = None,
  returning: npt.NDArray[np.int64] | None = None,
) -> Guided:
  """Decodes melodies and corrects them towards a condition.

  Args:
    decoder: decodes the R of the B melodies that are named, [R, 256], always
      with the same noise, to which it adds [R, 256, 90] nats; nothing when
      None.
    condition: of B rows, in the key that is decoded in.
    amount: how strongly, from 0 (plain decoding) to 1; or [B].
    settings: of the loop.
    closes: [B] whether a melody ends with these 16 bars; all do when None.
    returning: [B, 16] see `returning_bars`, whose are taken when None.

  Returns:
    The nearest of all rounds.
  """
  batch = len(condition.mean_pitch)
  plain = decoder(np.arange(batch), None)
  amount = np.broadcast_to(np.asarray(amount, np.float32), [batch])
  if not amount.any():
    return Guided(plain, np.zeros(batch))
  if closes is None:
    closes = np.ones(batch, bool)
  final_tones = condition.final_tones * closes[:, None]
  condition = condition._replace(final_tones=final_tones)
  if returning is None:
    returning = returning_bars(condition.chord_tone_weights)
  standing = _standing(condition, amount, settings)
  state = _Corrections(
    np.zeros([batch, melody.NUM_STEPS], np.float32),
    np.zeros(batch, np.float32),
    np.zeros(batch, np.float32),
  )
  tokens, best, nearest = plain, plain, np.full(batch, np.inf)
  aims = None
  for k in range(settings.rounds + 1):
    measured = measure(tokens, condition)
    if aims is None:
      aims = _aims(measured, condition, amount)
    distance = hits.total_excess(measured, condition) + 0.3 * (
      ~closed(tokens, final_tones) + _strayed(tokens, returning)
    )
    distance = np.where((k == 0) & (amount > 0), np.inf, distance)
    nearer = distance <= nearest
    best = np.where(nearer[:, None], tokens, best)
    nearest = np.where(nearer, distance, nearest)
    if k == settings.rounds:
      break
    if k < settings.rounds - 1:
      # In the last round the first phrase is what it was before: bars return
      # to it exactly.
      state = state.corrected(tokens, measured, condition, aims, settings)
    # What is as it should be is left alone.
    rows = np.flatnonzero(nearest > 0)
    if not len(rows):
      break
    bias = standing[rows] + state.bias(rows, condition, amount)
    _add_returning(
      bias, tokens[rows], returning[rows], amount[rows] * settings.form
    )
    tokens = tokens.copy()
    tokens[rows] = decoder(rows, bias)
  return Guided(best, (best != plain).mean(axis=1))


def measure(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """What `hits` asks of melodies: [B] each, by name.

  Args:
    tokens: [B, 256] tokens.
    condition: of B rows, for the chords.
  """
  chords = condition.chord_tone_weights, condition.chord_mask
  return {
    'mean_pitch': melody.mean_pitch(tokens),
    'onsets_per_bar': melody.onsets_per_bar(tokens),
    'chord_tone_rate': melody.chord_tone_rate(tokens, *chords),
    'chord_tones_on_beat': melody.chord_tone_rate(
      tokens, *chords, every=melody.STEPS_PER_QUARTER
    ),
  }


def returning_bars(chord_tone_weights: _Floats) -> npt.NDArray[np.int64]:
  """Which bar of the first phrase each bar returns to.

  The second and the fourth phrase of four bars return, AABA, as far as their
  chords are those of the first; but their last bar, which leads on or closes.

  Args:
    chord_tone_weights: [B, 256, 12].

  Returns:
    [B, 16] numbers of bars from 0; -1 where a bar is its own.
  """
  batch = len(chord_tone_weights)
  bars = chord_tone_weights.reshape(batch, melody.NUM_BARS, -1)
  result = np.full([batch, melody.NUM_BARS], -1)
  for phrase in (1, 3):
    same = np.ones(batch, bool)
    for bar in range(_PHRASE - 1):
      at = phrase * _PHRASE + bar
      same &= (bars[:, at] == bars[:, bar]).all(axis=1)
      result[same, at] = bar
  return result


def closed(
  tokens: melody.Tokens, final_tones: melody.Floats
) -> npt.NDArray[np.bool_]:
  """[B] whether melodies end on a final tone, or on any where none is asked.

  Args:
    tokens: [B, 256] tokens.
    final_tones: [B, 12].
  """
  onset = tokens >= melody.FIRST_ONSET
  last = tokens.shape[1] - 1 - onset[:, ::-1].argmax(axis=1)
  row = np.arange(len(tokens))
  pitch = tokens[row, last].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
  ends = onset.any(axis=1) & (final_tones[row, pitch % 12] > 0)
  return np.asarray(ends | ~final_tones.any(axis=1))


def load_settings() -> Settings:
  """`Settings` of `configs/actor_critic.yaml`."""
  return configuration.build(
    Settings, configuration.load_yaml('actor_critic')['guidance'], 'guidance'
  )


@dataclasses.dataclass(frozen=True)
class _Corrections:
  """What the loop has come to.

  Attributes:
    foreign: [B, 256] nats against foreign notes, step by step.
    slope: [B] nats an octave upwards.
    hold: [B] nats on holding.
  """

  foreign: _Floats
  slope: _Floats
  hold: _Floats

  def corrected(
    self,
    tokens: melody.Tokens,
    measured: dict[str, melody.Floats],
    condition: conditions.Condition,
    aims: dict[str, melody.Floats],
    s: Settings,
  ) -> _Corrections:
    """What is to be added after a round; where all is well, nothing more."""
    notes = melody.notes(tokens)
    at = notes.row, notes.onset
    strange = np.zeros_like(self.foreign)
    strange[at] = condition.chord_mask[at] * (
      1.0 - condition.chord_tone_weights[(*at, notes.pitch % 12)]
    )

    passing = _passing(notes, tokens.shape)

    def strength(name: str, most: float, nats: float) -> melody.Floats:
      """[B, 256] nats against foreign notes, as far as too few are not."""
      missing = np.minimum(aims[name], most) - measured[name]
      spared = np.clip(missing / s.far, s.passing, 1.0)[:, None]
      asked = np.nan_to_num(missing)[:, None] > 0
      return np.asarray(nats * asked * np.where(passing, spared, 1.0))

    nats = np.where(
      _BEAT,
      strength('chord_tones_on_beat', s.on_beat, s.foreign_on_beat),
      strength('chord_tone_rate', s.of_onsets, s.foreign),
    )
    flat = np.nan_to_num(aims['mean_pitch'] - measured['mean_pitch'])
    few = (aims['onsets_per_bar'] - measured['onsets_per_bar']) / (
      hits.density_tolerance(condition.onsets_per_bar)
    )
    flat = np.where(np.abs(flat) > 0.5 * hits.PITCH_TOLERANCE, flat, 0.0)
    few = np.where(np.abs(few) > 0.5, np.clip(few, -2.0, 2.0), 0.0)
    return _Corrections(
      self.foreign + (strange * np.nan_to_num(nats)).astype(np.float32),
      self.slope + (s.register * flat).astype(np.float32),
      self.hold - (s.density * few).astype(np.float32),
    )

  def bias(
    self,
    rows: npt.NDArray[np.int64],
    condition: conditions.Condition,
    amount: melody.Floats,
  ) -> _Floats:
    """[R, 256, 90] nats for the given rows."""
    condition = condition.take(rows)
    tones = condition.chord_tone_weights[:, :, _PITCH_CLASS]
    away = (melody.PITCHES - condition.mean_pitch[:, None]) / 12.0
    result = np.zeros(
      [len(rows), melody.NUM_STEPS, melody.NUM_TOKENS], np.float32
    )
    onsets = result[:, :, melody.FIRST_ONSET :]
    onsets -= self.foreign[rows, :, None] * (1.0 - tones)
    onsets += (self.slope[rows, None] * away)[:, None]
    result[:, :, melody.HOLD] += self.hold[rows, None]
    return np.asarray(result * amount[rows, None, None], np.float32)


def _passing(
  notes: melody.Notes, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
  """[B, 256] where a note begins that is reached and left by step."""
  by_step = (np.abs(np.diff(notes.pitch)) <= 2) & (np.diff(notes.row) == 0)
  reached, left = np.append(False, by_step), np.append(by_step, False)
  result = np.zeros(shape, bool)
  result[notes.row, notes.onset] = reached & left
  return result


def _aims(
  measured: dict[str, melody.Floats],
  condition: conditions.Condition,
  amount: melody.Floats,
) -> dict[str, melody.Floats]:
  """Where melodies are to come to: part of the way at part of the strength."""
  ends: dict[str, Any] = {
    'mean_pitch': condition.mean_pitch,
    'onsets_per_bar': condition.onsets_per_bar,
    'chord_tone_rate': 1.0,
    'chord_tones_on_beat': 1.0,
  }
  return {
    name: np.where(
      amount < 1.0,
      (1.0 - amount) * np.nan_to_num(measured[name]) + amount * end,
      end,
    )
    for name, end in ends.items()
  }


def _standing(
  condition: conditions.Condition, amount: melody.Floats, s: Settings
) -> _Floats:
  """[B, 256, 90] nats of the close, the same in all rounds."""
  asked = np.asarray(condition.final_tones.any(axis=1))
  strength = (s.close * amount * asked).astype(np.float32)[:, None]
  result = np.zeros(
    [len(asked), melody.NUM_STEPS, melody.NUM_TOKENS], np.float32
  )
  late = slice(_LAST_ONSET + 1, melody.NUM_STEPS)
  result[:, late, melody.FIRST_ONSET :] -= 2.0 * strength[..., None]
  foreign = 1.0 - condition.final_tones[:, _PITCH_CLASS]
  result[:, _LAST_BAR : _LAST_ONSET + 1, melody.FIRST_ONSET :] -= (
    strength * foreign
  )[:, None]
  result[:, _LAST_BAR:, melody.NOTE_OFF] -= strength
  return result


def _strayed(
  tokens: melody.Tokens, returning: npt.NDArray[np.int64]
) -> melody.Floats:
  """[B] share of the bars that return which are not what they return to."""
  by_bar = tokens.reshape(len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR)
  row = np.arange(len(tokens))[:, None]
  other = (by_bar != by_bar[row, returning]).any(axis=2) & (returning >= 0)
  number = (returning >= 0).sum(axis=1)
  return np.asarray(other.sum(axis=1) / np.maximum(number, 1))


def _add_returning(
  bias: _Floats,
  tokens: melody.Tokens,
  returning: npt.NDArray[np.int64],
  strength: melody.Floats,
) -> None:
  """Adds to `bias` that bars return as they were played before."""
  row, bar = np.nonzero(returning >= 0)
  by_bar = tokens.reshape(len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR)
  played = by_bar[row, returning[row, bar]]  # [R, 16]
  steps = bar[:, None] * melody.STEPS_PER_BAR + np.arange(melody.STEPS_PER_BAR)
  bias[row[:, None], steps, played] += strength[row, None]
