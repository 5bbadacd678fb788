"""What all ways of steering share, and what each of them is."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import functools
from typing import Any
from typing import Protocol

import numpy.typing as npt

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of the baselines; see configs/arms.yaml for their meaning."""

  tries: int = 16
  extremes: float = 0.25
  steps: tuple = (0.5, 1.0, 1.5)
  ascent_updates: int = 40
  ascent_learning_rate: float = 0.1
  constraint_updates: int = 3000
  constraint_batch_size: int = 128
  constraint_learning_rate: float = 0.0003
  constraint_distance: float = 0.1
  constraint_actor_every: int = 2


@dataclasses.dataclass(frozen=True)
class Bench:
  """What all baselines share.

  Attributes:
    model: with the shipped actor.
    weights: dictionary of Magenta's variables of its base model.
    hparams: settings of the learner.
    settings: settings of the baselines.
    num_steps: updates of the learners that are trained to be compared.
    emotions: those to follow.
    seed: integer seed of all that is learned.
    progress: wraps an iterable as `tqdm` does, or None.
  """

  model: api.EmotionMusicVAE
  weights: dict[str, npt.NDArray[Any]]
  hparams: configuration.LearnerHparams
  settings: Settings
  num_steps: int
  emotions: tuple[catalogue.Emotion, ...]
  seed: int = 0
  progress: Callable[..., Iterable[int]] | None = None

  @functools.cached_property
  def tokens(self) -> melody.Tokens:
    """[N, 256] real melodies that the learners know."""
    return references.load_melodies()[: self.hparams.real_melodies]

  @functools.cached_property
  def tunes(self) -> sampling.Tunes:
    """Their posterior, and that of adaptations to conditions."""
    return sampling.Tunes.encode(
      self.weights,
      self.tokens,
      sampling.ConditionSampler(self.emotions, self.hparams),
      self.hparams.adapted_melodies,
      self.seed,
    )

  def steps(self, number: int, description: str) -> Iterable[int]:
    """Numbers from 0, with a progress bar."""
    steps = range(number)
    if not self.progress:
      return steps
    return self.progress(steps, desc=description, leave=False)


class Baseline(Protocol):
  """A way to steer the latent space.

  It is built on a `Bench`, where it learns what it has to learn.
  """

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    """Latent vectors to decode.

    Args:
      start: [N, Z] first latent vectors.
      condition: of N rows, in the canonical key.
      temperature: at which they will be decoded.
      seed: integer; melody i will be decoded with the noise of (seed, i).

    Returns:
      [N, Z] float32 latent vectors.
    """
