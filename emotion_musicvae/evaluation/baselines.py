"""Ways to steer the same latent space, to compare ours with.

Each is a `bench.Baseline`: built on a `bench.Bench`, where it learns what it
has to learn, and then called with first latent vectors and a condition; it
returns the vectors to decode.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from emotion_musicvae import api
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.evaluation import bench as benches
from emotion_musicvae.evaluation import latent_constraints
from emotion_musicvae.evaluation import metrics
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import melody
from emotion_musicvae.steering import learner as learners
from emotion_musicvae.steering import refinement
from emotion_musicvae.support import configuration


class Prior:
  """Unconditioned samples: the stock model as it is."""

  def __init__(self, bench: benches.Bench) -> None:
    del bench

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    del condition, temperature, seed
    return start


class Rejection:
  """The best of several samples of the prior, all decoded and measured."""

  def __init__(self, bench: benches.Bench) -> None:
    self._model = bench.model
    self._tries = bench.settings.tries

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    best, distance = start, np.full(len(start), np.inf)
    for k in range(self._tries):
      z = start
      if k:
        rng = np.random.default_rng((seed, k, 2))
        z = rng.standard_normal(start.shape).astype(np.float32)
      tokens = self._model.decode(z, temperature, seed)
      off = hits.total_excess(api.measure(tokens, condition), condition)
      best = np.where((off < distance)[:, None], z, best)
      distance = np.minimum(off, distance)
    return best


class AttributeVectors:
  """MusicVAE's own way (Roberts et al. 2018, arXiv 1803.05428).

  For mean pitch, density and mode, the mean latent vector of the real melodies
  that have much of it less that of those that have little. A request adds each
  in proportion to how far the target lies from the middle, times the step that
  serves the nine emotions best.
  """

  def __init__(self, bench: benches.Bench) -> None:
    values = self._attributes(
      melody.mean_pitch(bench.tokens),
      melody.onsets_per_bar(bench.tokens),
      [metrics.is_major(row) for row in bench.tokens],
    )
    self._middle = values.mean(axis=0)
    self._vectors = np.stack(
      [
        _difference(bench.tunes.mean, column, bench.settings.extremes)
        for column in values.T
      ]
    )
    self._steps = np.ones(len(self._vectors))
    self._choose_steps(bench)

  @staticmethod
  def _attributes(
    mean_pitch: melody.Floats,
    onsets_per_bar: melody.Floats,
    major: Sequence[bool],
  ) -> melody.Floats:
    """[N, 3] values in which the vectors are linear."""
    return np.stack([mean_pitch, np.log(onsets_per_bar), major], axis=1)

  def _choose_steps(self, bench: benches.Bench) -> None:
    """Tries the steps of one attribute after the other."""
    emotions = [e for e in bench.emotions for _ in range(8)]
    condition, _ = conditions.Condition.of(emotions).in_canonical_key()
    # Other vectors than any that the baselines are measured on.
    start = bench.model.sample_prior(2**31 + bench.seed, len(emotions))
    temperature, seed = bench.hparams.temperature, bench.seed
    for i in range(len(self._steps)):
      excess = []
      for step in bench.settings.steps:
        self._steps[i] = step
        z = self(start, condition, temperature, seed)
        tokens = bench.model.decode(z, temperature, seed)
        measured = api.measure(tokens, condition)
        excess.append(metrics.mean_excess(measured, condition))
      self._steps[i] = bench.settings.steps[int(np.argmin(excess))]

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    del temperature, seed
    # A key of its own mode fits a progression's tones best.
    major = [
      harmonization.key_of(weights.sum(axis=0))[1] == 'major'
      for weights in condition.chord_tone_weights
    ]
    values = self._attributes(
      condition.mean_pitch, condition.onsets_per_bar, major
    )
    distance = (values - self._middle) * self._steps
    return (start + distance @ self._vectors).astype(np.float32)


def _difference(
  z: melody.Floats, values: melody.Floats, extremes: float
) -> melody.Floats:
  """[Z] what a unit of an attribute is in the latent space.

  Args:
    z: [N, Z] latent vectors.
    values: [N] of the attribute.
    extremes: share of the melodies on each side that counts as low and high.
  """
  low, high = np.quantile(values, [extremes, 1.0 - extremes])
  low, high = values <= low, values >= high
  if values.min() == values[low].max() == values[high].min():
    high = values > values.min()
  apart = values[high].mean() - values[low].mean()
  return (z[high].mean(axis=0) - z[low].mean(axis=0)) / apart


class LatentAscent:
  """Each request's own latent vector, retrained without actor or critic.

  The same losses as ours and the pathwise gradient. Only a latent vector
  further out than the prior's pays for where it lies.
  """

  def __init__(self, bench: benches.Bench) -> None:
    s = bench.settings
    self._updates = s.ascent_updates
    self._refine = refinement.Refinement(
      bench.weights,
      bench.hparams,
      distance=0.0,
      learning_rate=s.ascent_learning_rate,
    )

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    del temperature  # As ours, it learns at the temperature of the settings.
    return self._refine(start, start, condition, self._updates, seed)


class Guided:
  """Another baseline, whose vectors are decoded guided.

  Args:
    bench: what all share.
    other: builds it.
  """

  def __init__(
    self,
    bench: benches.Bench,
    other: Callable[[benches.Bench], benches.Baseline],
  ) -> None:
    self._other = other(bench)

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    return self._other(start, condition, temperature, seed)


class Adapted:
  """What the prior plays, adapted by rule and encoded; nothing is learned."""

  def __init__(self, bench: benches.Bench) -> None:
    self._model = bench.model

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    tunes = self._model.decode(start, temperature, seed)
    return self._model.adapt(tunes, condition)


class Shipped:
  """Ours, as it is shipped or was trained for this base model.

  Args:
    bench: what all share.
    updates: by which each vector is then refined by itself.
  """

  def __init__(self, bench: benches.Bench, updates: int = 0) -> None:
    self._model = bench.model
    self._updates = updates

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    tunes = self._model.decode(start, temperature, seed)
    return self._model.move(tunes, condition, self._updates, seed)


class Trained:
  """Our learner, trained here with some settings changed.

  Args:
    bench: what all share.
    overrides: settings over `bench.hparams` by name.
    name: what the progress bar says.

  Attributes:
    curves: scalars of the training by name, a value per step.
  """

  def __init__(
    self,
    bench: benches.Bench,
    overrides: Mapping[str, Any],
    name: str = 'ours',
  ) -> None:
    hparams = dataclasses.replace(bench.hparams, **overrides)
    learner = learners.make(
      bench.weights, bench.tunes, bench.emotions, hparams, bench.seed
    )
    self.curves = _train(learner, bench.steps(bench.num_steps, name))
    self._actor = learner.actor
    self._adapted = Adapted(bench)

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    adapted = self._adapted(start, condition, temperature, seed)
    return self._actor(adapted, condition.features()).numpy()


def load_settings() -> tuple[benches.Settings, int, dict[str, dict[str, Any]]]:
  """`(settings, num_steps, ablations)` of `configs/arms.yaml`."""
  entry = configuration.load_yaml('arms')
  settings = configuration.build(
    benches.Settings, entry['settings'], 'arms.yaml'
  )
  return settings, int(entry['num_steps']), entry['ablations']


def builders() -> dict[str, Callable[[benches.Bench], benches.Baseline]]:
  """Dictionary of a baseline's name to what builds it on a bench."""
  _, _, ablations = load_settings()
  guided: dict[str, Callable[[benches.Bench], benches.Baseline]] = {
    'prior guided': Prior,
    'latent ascent guided': LatentAscent,
    'adapted guided': Adapted,
    'ours': Shipped,
    'ours retrained': lambda bench: Shipped(
      bench, bench.settings.ascent_updates
    ),
  }
  return {
    'prior': Prior,
    'rejection': Rejection,
    'attribute vectors': AttributeVectors,
    'latent ascent': LatentAscent,
    'latent constraints': latent_constraints.LatentConstraints,
    'adapted': Adapted,
    'ours unguided': Shipped,
    # Unguided, so that what a part earns is not made up for.
    **{
      name: functools.partial(Trained, overrides=overrides, name=name)
      for name, overrides in ablations.items()
    },
    **{
      name: functools.partial(Guided, other=other)
      for name, other in guided.items()
    },
  }


def _train(
  learner: learners.ActorCriticLearner, steps: Iterable[int]
) -> dict[str, list[float]]:
  """Scalars of the steps by name."""
  curves: dict[str, list[float]] = {}
  for _ in steps:
    for name, value in learner.step().items():
      curves.setdefault(name, []).append(value)
  return curves
