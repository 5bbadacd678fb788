"""Runs the baselines side by side.

Every baseline sets out from the same latent vectors, its vectors are decoded
with the same noise, and the same functions measure the melodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import time
from typing import Any

import numpy as np

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.evaluation import baselines
from emotion_musicvae.evaluation import bench as benches
from emotion_musicvae.evaluation import metrics
from emotion_musicvae.music import melody
from emotion_musicvae.steering import sampling

# How many melodies the cost of a training is shared by.
SPREADS = (1, 100, 10_000)
# Shares of the way that vectors go.
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SWEPT = {'mean_pitch': (58.0, 74.0), 'onsets_per_bar': (2.5, 11.5)}
_WORST_OF = ('register_and_density', 'hit_rate')
_RELATIVE = ('overlap', 'diversity')


@dataclasses.dataclass(frozen=True)
class Run:
  """Melodies of one baseline, temperature and seed, emotion by emotion.

  Attributes:
    z: [E n, Z] latent vectors, n of each of the bench's E emotions.
    tokens: [E n, 256].
    described: dictionary of [E n] arrays from `metrics.describe`.
    scores: dictionary of [E n] arrays from `metrics.scores`.
    music: dictionary of numbers from `metrics.MusicMetrics`.
    diversity: [E], of each emotion's melodies.
    cpu: seconds of processor time a melody.
    curves: scalars of its training by name, a value per step; None where there
      was none.
  """

  z: melody.Floats
  tokens: melody.Tokens
  described: dict[str, melody.Floats]
  scores: dict[str, melody.Floats]
  music: dict[str, Any]
  diversity: melody.Floats
  cpu: float
  curves: dict[str, list[float]] | None = None


def evaluate(
  bench: benches.Bench,
  names: Sequence[str],
  n: int,
  temperatures: Sequence[float],
  seeds: Sequence[int],
) -> tuple[dict[str, Any], dict[str, Run]]:
  """Every baseline, side by side.

  Args:
    bench: what they share.
    names: names of `baselines.builders` to compare.
    n: melodies per emotion, baseline and seed, at least 2.
    temperatures: softmax temperatures of the decoder.
    seeds: integer seeds of the latent vectors and of the noise.

  Returns:
    `(result, samples)`. The result is plain, for a JSON: under `arms` for each
    baseline its `training_cpu` in seconds, `cpu_per_melody`, `sweeps`,
    `identity`, `generalization` and under `temperatures` by temperature
    `emotions` (alias to measure to a list with one value a seed), `all` and
    `cpu_per_hit`. The samples are the `Run` of each baseline at the first
    temperature and seed.
  """
  music = metrics.MusicMetrics(
    bench.weights, references.load_held_out(), references.load_melodies()
  )
  entries: dict[str, Any] = {}
  samples = {}
  for name in names:
    entries[name], samples[name] = _evaluate_one(
      bench, music, name, n, temperatures, seeds
    )
  tunes = metrics.diversity_of_tunes(bench.emotions, n)
  for entry in entries.values():
    _add_relative(
      entry, entries.get('prior'), float(np.mean(list(tunes.values())))
    )
  return {'melodies': n, 'seeds': list(seeds), 'arms': entries}, samples


def _evaluate_one(
  bench: benches.Bench,
  music: metrics.MusicMetrics,
  name: str,
  n: int,
  temperatures: Sequence[float],
  seeds: Sequence[int],
) -> tuple[dict[str, Any], Run]:
  """`(entry, sample)` of one baseline, see `evaluate`."""
  began = time.process_time()
  baseline = baselines.builders()[name](bench)
  entry: dict[str, Any] = {
    'training_cpu': time.process_time() - began,
    'temperatures': {},
  }
  first: list[Run] = []
  for temperature in temperatures:
    steps = bench.steps(len(seeds), f'{name}, temperature {temperature:g}')
    runs = [
      _run(bench, music, baseline, n, temperature, seeds[k]) for k in steps
    ]
    entry['temperatures'][f'{temperature:g}'] = _summary(
      bench, runs, entry['training_cpu']
    )
    first = first or runs
  entry['cpu_per_melody'] = float(np.mean([run.cpu for run in first]))
  entry['sweeps'] = _sweeps(bench, baseline, temperatures[0])
  entry['identity'] = _identity(
    bench, music.posterior, baseline, temperatures[0]
  )
  entry['generalization'] = _generalization(bench, baseline, temperatures[0])
  curves = getattr(baseline, 'curves', None)
  return entry, dataclasses.replace(first[0], curves=curves)


def _run(
  bench: benches.Bench,
  music: metrics.MusicMetrics,
  baseline: benches.Baseline,
  n: int,
  temperature: float,
  seed: int,
) -> Run:
  condition = conditions.Condition.of(
    [e for e in bench.emotions for _ in range(n)]
  )
  start = bench.model.sample_prior(seed, len(condition.mean_pitch))
  began = time.process_time()
  z, tokens = _decode(bench, baseline, start, condition, temperature, seed)
  cpu = (time.process_time() - began) / len(tokens)
  described = metrics.describe(tokens, condition)
  by_emotion = tokens.reshape(len(bench.emotions), n, -1)
  return Run(
    z,
    tokens,
    described,
    metrics.scores(described, condition, bench.emotions),
    {
      **music(tokens, z),
      **metrics.musical_facts(by_emotion, condition.take(slice(0, None, n))),
    },
    np.array([metrics.diversity(group) for group in by_emotion]),
    cpu,
  )


def _decode(
  bench: benches.Bench,
  baseline: benches.Baseline,
  start: melody.Floats,
  condition: conditions.Condition,
  temperature: float,
  seed: int,
  strength: float = 1.0,
) -> tuple[melody.Floats, melody.Tokens]:
  """`(z, tokens)` of a baseline, the melodies in the key of the condition.

  Args:
    bench: what all share.
    baseline: what moves the vectors.
    start: [N, Z] first latent vectors.
    condition: of N rows.
    temperature: of the decoder.
    seed: of its noise.
    strength: share of the way to go, and of the guidance.
  """
  canonical, transposition = condition.in_canonical_key()
  moved = baseline(start, canonical, temperature, seed)
  z = (1.0 - strength) * start + strength * moved
  if isinstance(baseline, baselines.Guided):
    tokens = bench.model.decode(z, temperature, seed, canonical, strength)
  else:
    tokens = bench.model.decode(z, temperature, seed)
  return z, melody.transpose(tokens, transposition)


def _summary(
  bench: benches.Bench, runs: Sequence[Run], training_cpu: float
) -> dict[str, Any]:
  """What is kept of the runs of one temperature, a value a seed."""
  tables = [_by_emotion(run, len(bench.emotions)) for run in runs]
  return {
    'emotions': {
      e.alias: {name: [float(t[name][i]) for t in tables] for name in tables[0]}
      for i, e in enumerate(bench.emotions)
    },
    'all': {
      **{name: [float(t[name].mean()) for t in tables] for name in tables[0]},
      **{
        f'worst_{name}': [float(t[name].min()) for t in tables]
        for name in _WORST_OF
      },
      **{
        name: [float(run.music[name]) for run in runs] for name in runs[0].music
      },
    },
    'cpu_per_hit': _cpu_per_hit(runs, training_cpu),
  }


def _by_emotion(run: Run, count: int) -> dict[str, melody.Floats]:
  """Dictionary of a score's name to its [count] means, one an emotion."""
  means = {
    name: np.nanmean(values.reshape(count, -1), axis=1)
    for name, values in run.scores.items()
  }
  return {**means, 'diversity': run.diversity}


def _cpu_per_hit(
  runs: Sequence[Run], training_cpu: float
) -> dict[str, float | None]:
  """Seconds by how many melodies share the training; None where none hits."""
  rate = np.mean([run.scores['hit_rate'].mean() for run in runs])
  cpu = np.mean([run.cpu for run in runs])
  costs = {
    'training excluded': cpu,
    **{f'over {spread}': cpu + training_cpu / spread for spread in SPREADS},
  }
  return {
    name: float(cost / rate) if rate else None for name, cost in costs.items()
  }


def _add_relative(
  entry: Mapping[str, Any],
  prior: Mapping[str, Any] | None,
  diversity_of_tunes: float,
) -> None:
  """Adds what is read as a share of the prior's own, and of real tunes'."""
  for temperature, values in entry['temperatures'].items():
    shown = values['all']
    shown['diversity_beside_tunes'] = [
      x / diversity_of_tunes for x in shown['diversity']
    ]
    if prior:
      own = prior['temperatures'][temperature]['all']
      for name in _RELATIVE:
        shown[f'{name}_share'] = [a / b for a, b in zip(shown[name], own[name])]


def _sweeps(
  bench: benches.Bench,
  baseline: benches.Baseline,
  temperature: float,
  n: int = 64,
) -> dict[str, float]:
  """Correlation of each target with what is measured, over its range."""
  result = {}
  for name, (low, high) in _SWEPT.items():
    emotions = itertools.cycle(bench.emotions)
    condition = conditions.Condition.of(
      [
        dataclasses.replace(emotion, **{name: value})
        for emotion, value in zip(emotions, np.linspace(low, high, n))
      ]
    )
    start = bench.model.sample_prior(0, n)
    _, tokens = _decode(bench, baseline, start, condition, temperature, 0)
    measured = api.measure(tokens, condition)[name]
    known = np.isfinite(measured)
    result[name] = float(
      np.corrcoef(getattr(condition, name)[known], measured[known])[0, 1]
    )
  return result


def _identity(
  bench: benches.Bench,
  real: melody.Floats,
  baseline: benches.Baseline,
  temperature: float,
  n: int = 63,
) -> dict[str, float]:
  """How much of real melodies is left when they are moved.

  Args:
    bench: what all share.
    real: [M, Z] latent vectors of real melodies, of which n are moved.
    baseline: what moves them.
    temperature: of the decoder.
    n: how many, or M if it is less.

  Returns:
    Dictionary of `distance`, the root mean square of z' - z0, and
    `shared_onsets`, the share of steps at which either melody begins a note and
    both do.
  """
  start = real[:n]
  emotions = itertools.islice(itertools.cycle(bench.emotions), len(start))
  canonical, _ = conditions.Condition.of(list(emotions)).in_canonical_key()
  z = baseline(start, canonical, temperature, 0)
  before, after = (
    bench.model.decode(x, temperature, 0) >= melody.FIRST_ONSET
    for x in (start, z)
  )
  return {
    'distance': float(np.sqrt(np.square(z - start).mean())),
    'shared_onsets': float(
      (before & after).sum() / max(1, (before | after).sum())
    ),
  }


def _generalization(
  bench: benches.Bench,
  baseline: benches.Baseline,
  temperature: float,
  n: int = 90,
) -> dict[str, Any]:
  """Control where no emotion stands: targets not trained on, blends, strength.

  Returns:
    Dictionary of `unseen_hits`, the share of hits among n conditions drawn from
    the trained range; `interpolation`, see `_interpolation`; and `excess`, by
    strength how far melodies are from a hit, see `metrics.mean_excess`.
  """
  condition = conditions.Condition.of(
    [e for e in bench.emotions for _ in range(n // len(bench.emotions))]
  )
  start = bench.model.sample_prior(6, len(condition.mean_pitch))
  by_strength = []
  for strength in STRENGTHS:
    _, tokens = _decode(
      bench, baseline, start, condition, temperature, 0, strength
    )
    by_strength.append(api.measure(tokens, condition))
  return {
    'unseen_hits': _unseen_hits(bench, baseline, temperature, n),
    'interpolation': _interpolation(
      bench, baseline, temperature, by_strength[-1]
    ),
    'excess': {
      str(strength): metrics.mean_excess(measured, condition)
      for strength, measured in zip(STRENGTHS, by_strength)
    },
  }


def _unseen_hits(
  bench: benches.Bench, baseline: benches.Baseline, temperature: float, n: int
) -> float:
  """Share of hits among n conditions drawn from the trained range."""
  hparams = dataclasses.replace(bench.hparams, emotion_share=0.0)
  # In the canonical key, as the trained ones are, then taken to any key.
  rng = np.random.default_rng(5)
  drawn = sampling.ConditionSampler(bench.emotions, hparams)(rng, n)
  unseen = drawn.with_chords_transposed(rng.integers(12, size=n))
  start = bench.model.sample_prior(5, n)
  _, tokens = _decode(bench, baseline, start, unseen, temperature, 0)
  met = hits.total_excess(api.measure(tokens, unseen), unseen) == 0
  return float(met.mean())


def _interpolation(
  bench: benches.Bench,
  baseline: benches.Baseline,
  temperature: float,
  measured_of_emotions: Mapping[str, melody.Floats],
  each: int = 3,
) -> float | None:
  """Whether what a blend of two emotions measures lies between what they do.

  Args:
    bench: what all share.
    baseline: what moves the vectors.
    temperature: of the decoder.
    measured_of_emotions: what melodies of the bench's emotions measure, emotion
      by emotion.
    each: melodies a blend.

  Returns:
    The share of even blends whose mean pitch, or density, lies between those of
    both emotions, where these are further apart than the tolerances of a hit;
    None where none are.
  """
  pairs = list(itertools.combinations(range(len(bench.emotions)), 2))
  blends = [
    catalogue.parse(
      ','.join(f'{bench.emotions[i].alias}:1' for i in pair), bench.emotions
    )
    for pair in pairs
  ]
  condition = conditions.Condition.of([e for e in blends for _ in range(each)])
  start = bench.model.sample_prior(7, len(condition.mean_pitch))
  _, tokens = _decode(bench, baseline, start, condition, temperature, 0)
  measured = api.measure(tokens, condition)
  density = [hits.density_tolerance(e.onsets_per_bar) for e in bench.emotions]
  tolerances: dict[str, Sequence[Any]] = {
    'mean_pitch': [hits.PITCH_TOLERANCE] * len(bench.emotions),
    'onsets_per_bar': density,
  }
  between = []
  for name, tolerance in tolerances.items():
    own = measured_of_emotions[name].reshape(len(bench.emotions), -1)
    ends = np.nanmean(own, axis=1)
    blended = np.nanmean(measured[name].reshape(len(pairs), each), axis=1)
    for pair, value in zip(pairs, blended):
      low, high = sorted(ends[list(pair)])
      if high - low > sum(tolerance[i] for i in pair):
        between.append(low < value < high)
  return float(np.mean(between)) if between else None
