"""What is measured of melodies: how well they are steered, and as music.

Two kinds. `scores` says of each melody whether it meets its condition; a
`MusicMetrics` says of a set of melodies how it compares with real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import spatial
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior

# A melody that has no note to measure is infinitely far from a hit; in means it
# counts as this far, as does one that is further, in tolerances.
MAX_EXCESS = 10.0
# Melodies at once of the likelihood.
_BATCH = 32
_NOT_CLASSIFIED, _NOT_AN_EMOTION = -1, -2


def describe(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """What melodies measure: `api.measure` and more.

  Args:
    tokens: [N, 256] tokens.
    condition: of the N melodies, for the chords and the energy.

  Returns:
    Dictionary of [N] arrays: those of `api.measure`; `reference_energy`;
    `repeated_notes`, the share of notes that repeat the one before; `major`, 1
    where the notes fit a major key better than a minor one, else 0. NaN where
    there is no note.
  """
  return {
    **api.measure(tokens, condition),
    'reference_energy': condition.energy,
    'repeated_notes': melody.repeated_notes(tokens),
    'major': np.array([is_major(row) for row in tokens], float),
  }


def is_major(tokens: melody.Tokens) -> bool:
  """Whether [256] tokens, weighted by duration, lie nearer a major key."""
  notes = melody.notes(tokens)
  profile = np.bincount(notes.pitch % 12, notes.length, 12)
  return bool(harmonization.key_of(profile)[1] == 'major')


def scores(
  described: Mapping[str, melody.Floats],
  condition: conditions.Condition,
  emotions: Sequence[catalogue.Emotion],
) -> dict[str, melody.Floats]:
  """How well each melody meets its condition.

  Args:
    described: dictionary of [N] arrays from `describe`.
    condition: of the N melodies.
    emotions: those that a melody may be classified as.

  Returns:
    Dictionary of [N] float64 arrays: `chord_tone_rate` and
    `chord_tones_on_beat`; `pitch_error`, the
    distance of the mean pitch from the reference in semitones; `density_error`
    and `energy_error`, that of the onsets a bar and of the spectrogram energy
    as a share of the reference; `register_and_density` and `hit_rate`, 1 where
    pitch and density are met, and the chord tones too; `strict_hit_rate`, see
    `hits.strict`; `recognition`, 1 where
    it is classified as the emotion asked for; `repeated_notes`. NaN where a
    melody has no note to measure; it meets nothing.
  """
  pitch = np.abs(described['mean_pitch'] - condition.mean_pitch)
  onsets = np.abs(described['onsets_per_bar'] - condition.onsets_per_bar)
  excess = hits.excess(described, condition)
  both = excess['mean_pitch'] + excess['onsets_per_bar'] == 0
  chords = excess['chord_tone_rate'] + excess['chord_tones_on_beat'] == 0
  recognized = classify(described, emotions) == _rows(condition, emotions)
  return {
    'chord_tone_rate': described['chord_tone_rate'],
    'chord_tones_on_beat': described['chord_tones_on_beat'],
    'pitch_error': pitch,
    'density_error': onsets / condition.onsets_per_bar,
    'energy_error': np.abs(
      described['energy'] / described['reference_energy'] - 1.0
    ),
    'register_and_density': both.astype(float),
    'hit_rate': (both & chords).astype(float),
    'strict_hit_rate': hits.strict(described, condition).astype(float),
    'recognition': recognized.astype(float),
    'repeated_notes': described['repeated_notes'],
  }


def classify(
  described: Mapping[str, melody.Floats],
  emotions: Sequence[catalogue.Emotion],
) -> npt.NDArray[np.integer[Any]]:
  """The emotion whose register, density and mode lie nearest to a melody's.

  Distances are in units of the references' standard deviation; the mode counts
  as 1 or 0.

  Args:
    described: dictionary of [N] arrays from `describe`.
    emotions: K emotions.

  Returns:
    [N] integers from 0 to K - 1; -1 where there is no note.
  """
  known = np.array(
    [(e.mean_pitch, e.onsets_per_bar, e.mode == 'major') for e in emotions],
    float,
  )
  scale = np.maximum(known.std(axis=0), 1e-6)
  found = np.stack(
    [described[k] for k in ('mean_pitch', 'onsets_per_bar', 'major')], axis=1
  )
  distances = np.square((found[:, None] - known) / scale).sum(axis=2)
  nearest = np.nan_to_num(distances, nan=np.inf).argmin(axis=1)
  return np.where(np.isnan(distances).any(axis=1), _NOT_CLASSIFIED, nearest)


def _rows(
  condition: conditions.Condition, emotions: Sequence[catalogue.Emotion]
) -> npt.NDArray[np.integer[Any]]:
  """[N] which emotion each row of a condition is of."""
  known = conditions.Condition.of(emotions).features()
  distances = np.abs(condition.features()[:, None] - known).max(axis=2)
  return np.where(
    distances.min(axis=1) < 1e-6, distances.argmin(axis=1), _NOT_AN_EMOTION
  )


def musical_facts(
  by_emotion: melody.Tokens, condition: conditions.Condition
) -> dict[str, float]:
  """What a listener would notice, on average and in the worst emotion.

  Args:
    by_emotion: [E, N, 256] tokens, N melodies of each emotion.
    condition: of E rows, for the final tones.

  Returns:
    Dictionary of floats: `similarity.variety` of an emotion's melodies and
    `similarity.form`, means over emotions; `worst_alike`.
  """
  rows = [
    {
      **similarity.variety(tokens),
      **similarity.form(tokens, np.flatnonzero(tones).tolist()),
    }
    for tokens, tones in zip(by_emotion, condition.final_tones)
  ]
  names = [name for name in rows[0] if all(name in row for row in rows)]
  facts = {
    name: float(np.nanmean([row[name] for row in rows])) for name in names
  }
  if 'alike' in names:
    facts['worst_alike'] = float(np.nanmax([row['alike'] for row in rows]))
  return facts


def mean_excess(
  measured: Mapping[str, melody.Floats], condition: conditions.Condition
) -> float:
  """Mean of `hits.total_excess`, each melody's at most `MAX_EXCESS`.

  Args:
    measured: dictionary of [N] arrays from `api.measure`.
    condition: of the N melodies.
  """
  excess = hits.total_excess(measured, condition)
  return float(np.minimum(excess, MAX_EXCESS).mean())


class MusicMetrics:
  """Measures sets of melodies against real ones.

  Args:
    weights: dictionary of Magenta's variables of the base model.
    held_out: [M, 256] tokens of real tunes that it has not learned from.
    known: [K, 256] tokens of tunes that it has learned from.
    seed: integer seed.

  Attributes:
    posterior: [M, Z] float32, a draw of each held-out tune's posterior.
  """

  def __init__(
    self,
    weights: Mapping[str, npt.NDArray[Any]],
    held_out: melody.Tokens,
    known: melody.Tokens,
    seed: int = 0,
  ) -> None:
    self._weights = {k: tf.constant(v) for k, v in weights.items()}
    self._held_out = held_out
    self._known = known
    mean, deviation = posterior.encode(weights, held_out)
    noise = np.random.default_rng((seed, 4)).standard_normal(mean.shape)
    self.posterior = (mean + deviation * noise).astype(np.float32)

  def __call__(self, tokens: melody.Tokens, z: melody.Floats) -> dict[str, Any]:
    """How a set of melodies fares as music.

    Args:
      tokens: [N, 256] tokens.
      z: [N, Z] latent vectors that they were decoded from.

    Returns:
      Dictionary of numbers. `overlap`: mean overlap area with held-out tunes
      over `similarity.MUSICALITY`. `mmd`: squared maximum mean discrepancy of
      the latent vectors from the posterior of held-out tunes (Gretton et al.
      2012), Gaussian kernel as wide as the median distance. `norm`: their mean
      length over that of the latter. `nll_per_note`: negative log-likelihood
      under the base model, nats a note, each melody from its own encoding.
      `exact_repeats`: how many melodies equal an earlier one. `longest_shared`:
      the most bars in a row that one has in common with a known tune.
    """
    areas = similarity.overlap(tokens, self._held_out, similarity.MUSICALITY)
    real = self.posterior
    length = np.linalg.norm(real, axis=1).mean()
    return {
      'overlap': float(np.mean(list(areas.values()))),
      'mmd': discrepancy(z[:: max(1, len(z) // len(real))], real),
      'norm': float(np.linalg.norm(z, axis=1).mean() / length),
      'nll_per_note': self._nll_per_note(tokens),
      'exact_repeats': len(tokens) - len(np.unique(tokens, axis=0)),
      'longest_shared': int(similarity.shared_bars(tokens, self._known).max()),
    }

  def _nll_per_note(self, tokens: melody.Tokens) -> float:
    padded = np.pad(tokens, [(0, -len(tokens) % _BATCH), (0, 0)])
    nats = np.concatenate(
      [
        self._nll(tf.constant(padded[i : i + _BATCH], tf.int32)).numpy()
        for i in range(0, len(padded), _BATCH)
      ]
    )[: len(tokens)]
    return float(nats.sum() / max(1, (tokens >= melody.FIRST_ONSET).sum()))

  @tf.function(jit_compile=True)
  def _nll(self, tokens: tf.Tensor) -> tf.Tensor:
    """[B] nats of [B, 256] tokens."""
    mean, _ = hierdec.encode(self._weights, tokens)
    logits = hierdec.teacher_forced_logits(self._weights, mean, tokens)
    return tf.reduce_sum(
      tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits), axis=1
    )


def discrepancy(a: melody.Floats, b: melody.Floats) -> float:
  """Squared maximum mean discrepancy of two sets of vectors, unbiased.

  Args:
    a: [N, D] vectors.
    b: [M, D] vectors; the Gaussian kernel is as wide as their median distance.
  """
  width = np.median(spatial.distance.pdist(b))

  def kernel(distances: melody.Floats) -> float:
    return float(np.exp(-np.square(distances) / (2.0 * width**2)).mean())

  return float(
    kernel(spatial.distance.pdist(a))
    + kernel(spatial.distance.pdist(b))
    - 2.0 * kernel(spatial.distance.cdist(a, b))
  )


def diversity(tokens: melody.Tokens) -> float:
  """Mean share of steps in which two of [N, 256] melodies differ, N >= 2."""
  return float(spatial.distance.pdist(tokens, 'hamming').mean())


def diversity_of_tunes(
  emotions: Sequence[catalogue.Emotion], n: int
) -> dict[str, float]:
  """Diversity of the real tunes nearest to each emotion in density.

  Sparse melodies share the steps at which nothing begins, so that the fewer
  notes are asked for, the less any two melodies can differ.

  Args:
    emotions: whose densities.
    n: tunes per emotion, each moved to the emotion's mean pitch.

  Returns:
    Dictionary of alias to `diversity`.
  """
  tunes = references.load_melodies()
  onsets = melody.onsets_per_bar(tunes)
  result = {}
  for e in emotions:
    nearest = np.argsort(np.abs(onsets - e.onsets_per_bar), kind='stable')[:n]
    result[e.alias] = diversity(
      melody.transpose_to(tunes[nearest], np.full(n, e.mean_pitch))
    )
  return result
