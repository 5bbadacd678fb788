"""What a learner trains on: conditions, and latent vectors to start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.support import configuration

_CYCLE = 4  # bars of a progression that is mixed


class ConditionSampler:
  """Draws the conditions to train on, all in the canonical key.

  A share of them are the given emotions. The rest are four bars, over and over,
  each with the chords of any bar of any emotion, with any mean pitch and
  density of the trained range, so that other targets and progressions need no
  training of their own.

  Args:
    emotions: what to train for.
    hparams: its share, its ranges, and how many to draw.
  """

  def __init__(
    self,
    emotions: Sequence[catalogue.Emotion],
    hparams: configuration.LearnerHparams,
  ) -> None:
    self._emotions, _ = conditions.Condition.of(emotions).in_canonical_key()
    self._hparams = hparams

  def __call__(self, rng: np.random.Generator) -> conditions.Condition:
    """The condition of `forecast_batch_size` melodies."""
    h = self._hparams
    size = h.forecast_batch_size
    count = len(self._emotions.mean_pitch)
    drawn = self._emotions.take(rng.integers(count, size=size))
    free = rng.random(size) >= h.emotion_share
    lowest, highest = h.mean_pitch
    low, high = np.log(h.onsets_per_bar)
    bars = (
      rng.integers(count, size=[size, _CYCLE]),
      rng.integers(melody.NUM_BARS, size=[size, _CYCLE]),
    )

    def mixed(
      values: npt.NDArray[np.float32], own: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
      """[size, 256, ...] rows mixed of `values`' bars, or the row's own."""
      by_bar = values.reshape(count, melody.NUM_BARS, melody.STEPS_PER_BAR, -1)
      cycles = np.tile(by_bar[bars], [1, melody.NUM_BARS // _CYCLE, 1, 1])
      chosen = free.reshape([-1] + [1] * (own.ndim - 1))
      return np.where(chosen, cycles.reshape(own.shape), own)

    return conditions.Condition.from_targets(
      np.where(free, rng.uniform(lowest, highest, size), drawn.mean_pitch),
      np.where(
        free, np.exp(rng.uniform(low, high, size)), drawn.onsets_per_bar
      ),
      mixed(self._emotions.chord_tone_weights, drawn.chord_tone_weights),
      mixed(self._emotions.chord_mask, drawn.chord_mask),
    )


class StartSampler:
  """Draws latent vectors: of real melodies, and to move to a condition.

  Args:
    mean: [N, Z] means of the posterior of real melodies.
    deviation: [N, Z] its standard deviations.
  """

  def __init__(
    self, mean: npt.NDArray[np.float32], deviation: npt.NDArray[np.float32]
  ) -> None:
    self.mean = mean
    self.deviation = deviation

  def real(
    self, rng: np.random.Generator, size: int
  ) -> npt.NDArray[np.float32]:
    """[size, Z] samples of the posterior of real melodies."""
    rows = rng.integers(len(self.mean), size=size)
    noise = rng.standard_normal([size, self.mean.shape[1]])
    return (self.mean[rows] + self.deviation[rows] * noise).astype(np.float32)

  def __call__(
    self, rng: np.random.Generator, size: int
  ) -> npt.NDArray[np.float32]:
    """[size, Z]: half of the prior, as generation starts; half of `real`."""
    real = self.real(rng, size)
    prior = rng.standard_normal(real.shape)
    return np.where(rng.random([size, 1]) < 0.5, prior, real).astype(np.float32)
