"""What the learner draws: conditions, and latent vectors to start from."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.music import adaptation
from emotion_musicvae.music import melodic_lines
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import Term

_PHRASE = 4  # bars
# Which of two phrases follow each other, four to a melody.
_FORMS = np.array([[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]])
_ADAPTED_AT_ONCE = 64
_AT_ONCE = 3  # further targets, at most
_RULES = melodic_lines.Rules()
_Floats = npt.NDArray[np.float32]


class ConditionSampler:
  """Draws the conditions to train on, all in the canonical key.

  A share of them are the given emotions. The rest are two phrases of four bars
  in one of some forms, each bar with the chords of any bar of any emotion, with
  any mean pitch and density of the trained range, and the close of any emotion,
  so that other targets and progressions need no training of their own.

  Args:
    emotions: what to train for.
    hparams: its share and its ranges.
    terms: further ones, of which any few are asked for at once: what a real
      tune measures of them.
  """

  def __init__(
    self,
    emotions: Sequence[catalogue.Emotion],
    hparams: configuration.LearnerHparams,
    terms: Sequence[Term] = (),
  ) -> None:
    self._terms = tuple(terms)
    self._emotions, _ = conditions.Condition.of(emotions).in_canonical_key()
    self._hparams = hparams

  def __call__(
    self, rng: np.random.Generator, size: int
  ) -> conditions.Condition:
    """The condition of `size` melodies."""
    h = self._hparams
    count = len(self._emotions.mean_pitch)
    drawn = self._emotions.take(rng.integers(count, size=size))
    free = rng.random(size) >= h.emotion_share
    lowest, highest = h.mean_pitch
    low, high = np.log(h.onsets_per_bar)
    bars = (
      rng.integers(count, size=[size, 2, _PHRASE]),
      rng.integers(melody.NUM_BARS, size=[size, 2, _PHRASE]),
    )
    forms = _FORMS[rng.integers(len(_FORMS), size=size)]
    closing = rng.integers(count, size=size)

    def mixed(values: _Floats, own: _Floats) -> _Floats:
      """[size, 256, ...] rows mixed of `values`' bars, or the row's own."""
      by_bar = values.reshape(count, melody.NUM_BARS, melody.STEPS_PER_BAR, -1)
      phrases = by_bar[bars]  # [size, 2, 4, 16, ...]
      whole = phrases[np.arange(size)[:, None], forms]
      whole = whole.reshape(size, *by_bar.shape[1:]).copy()
      whole[:, -1] = by_bar[closing, -1]
      chosen = free.reshape([-1] + [1] * (own.ndim - 1))
      return np.where(chosen, whole.reshape(own.shape), own)

    canonical = conditions.Condition.from_targets(
      np.where(free, rng.uniform(lowest, highest, size), drawn.mean_pitch),
      np.where(
        free, np.exp(rng.uniform(low, high, size)), drawn.onsets_per_bar
      ),
      mixed(self._emotions.chord_tone_weights, drawn.chord_tone_weights),
      mixed(self._emotions.chord_mask, drawn.chord_mask),
      np.where(
        free[:, None], self._emotions.final_tones[closing], drawn.final_tones
      ),
    )
    if not self._terms:
      return canonical
    targets = self._targets(rng, size)
    return canonical._replace(
      targets=targets,
      returning=registry.returning(
        targets, canonical.returning, canonical.chord_tone_weights
      ),
    )

  def _targets(self, rng: np.random.Generator, size: int) -> _Floats:
    """[size, width] targets of up to `_AT_ONCE` terms, NaN for the others.

    A third of them is as it comes in one tune, the rest each as in any.
    """
    result = np.full([size, registry.width()], np.nan, np.float32)
    where, measured = registry.places(), self._measured
    count = len(next(iter(measured.values())))
    number = rng.integers(_AT_ONCE + 1, size=size)
    order = rng.random([size, len(self._terms)]).argsort(axis=1)
    together = rng.integers(count, size=size)
    for i, term in enumerate(self._terms):
      alone = rng.integers(count, size=size)
      rows = np.where(rng.random(size) < 1 / 3, together, alone)
      drawn = measured[term.name][rows]
      asked = (order < number[:, None])[:, i]
      result[:, where[term.name]] = np.where(asked[:, None], drawn, np.nan)
    return result

  @functools.cached_property
  def _measured(self) -> dict[str, _Floats]:
    """What real tunes measure, [N, size] by term, as a target would say it."""
    tunes = references.load_melodies()
    result = {}
    for term in self._terms:
      values = registry.measure(tunes, [term.name])[term.name]
      told = (term.told(row) for row in values)
      result[term.name] = np.array(
        [
          term.parse(
            x if isinstance(x, str) else str(min(max(x, term.low), term.high))
          )
          for x in told
        ],
        np.float32,
      )
    return result


class Tunes(typing.NamedTuple):
  """Posteriors of real tunes, as they are and adapted to conditions.

  Attributes:
    mean: [N, Z] of the tunes.
    deviation: [N, Z].
    adapted_mean: [P, Z] of tunes adapted to conditions that a seed gives.
    adapted_deviation: [P, Z].
  """

  mean: _Floats
  deviation: _Floats
  adapted_mean: _Floats
  adapted_deviation: _Floats

  @classmethod
  def encode(
    cls,
    weights: Mapping[str, npt.NDArray[typing.Any]],
    tokens: melody.Tokens,
    sampler: ConditionSampler,
    size: int,
    seed: int,
    progress: Callable[..., typing.Any] | None = None,
  ) -> Tunes:
    """Encodes tunes, and adaptations of them.

    Args:
      weights: Magenta's variables of the base model, by name.
      tokens: [N, 256] tokens of the tunes, in the canonical key.
      sampler: draws the conditions.
      size: how many adaptations, P.
      seed: of the conditions.
      progress: wraps the batches as `tqdm` does, or None.
    """
    condition = _conditions(sampler, size, seed)
    blocks = np.split(
      np.arange(size), range(_ADAPTED_AT_ONCE, size, _ADAPTED_AT_ONCE)
    )
    adapted = np.concatenate(
      [
        adapt(tokens[rows % len(tokens)], condition.take(rows))
        for rows in blocks
      ]
    )
    both = np.concatenate([np.asarray(tokens, np.uint8), adapted])
    mean, deviation = posterior.encode(weights, both, progress=progress)
    n = len(tokens)
    return cls(mean[:n], deviation[:n], mean[n:], deviation[n:])


class StartSampler:
  """Draws latent vectors: of real melodies, and to move to a condition.

  Args:
    tunes: what to draw from.
    sampler: that drew the conditions of the adapted ones.
    seed: theirs.
  """

  def __init__(
    self, tunes: Tunes, sampler: ConditionSampler, seed: int
  ) -> None:
    self.tunes = tunes
    self._condition = _conditions(sampler, len(tunes.adapted_mean), seed)

  def real(self, rng: np.random.Generator, size: int) -> _Floats:
    """[size, Z] samples of the posterior of real melodies."""
    rows = rng.integers(len(self.tunes.mean), size=size)
    return _drawn(rng, self.tunes.mean[rows], self.tunes.deviation[rows])

  def __call__(
    self, rng: np.random.Generator, size: int
  ) -> tuple[_Floats, conditions.Condition]:
    """`(start, condition)`: posterior samples of adapted tunes, [size, Z]."""
    rows = rng.integers(len(self.tunes.adapted_mean), size=size)
    start = _drawn(
      rng, self.tunes.adapted_mean[rows], self.tunes.adapted_deviation[rows]
    )
    return start, self._condition.take(rows)


def adapt(
  tokens: melody.Tokens,
  condition: conditions.Condition,
  closes: npt.NDArray[np.bool_] | None = None,
  rules: melodic_lines.Rules = _RULES,
) -> npt.NDArray[np.uint8]:
  """[B, 256] tunes adapted to the conditions of B rows by rule.

  Args:
    tokens: [B, 256] tokens.
    condition: of B rows.
    closes: see `adaptation.adapt`.
    rules: what counts how much.
  """
  return adaptation.adapt(
    tokens,
    condition.mean_pitch,
    condition.onsets_per_bar,
    condition.chord_tone_weights,
    condition.chord_mask,
    condition.final_tones,
    condition.returning,
    closes,
    rules,
    metrical_weight=np.asarray(condition.metrical_weight, int),
  )


def _conditions(
  sampler: ConditionSampler, size: int, seed: int
) -> conditions.Condition:
  return sampler(np.random.default_rng([seed, 2]), size)


def _drawn(
  rng: np.random.Generator, mean: _Floats, deviation: _Floats
) -> _Floats:
  noise = rng.standard_normal(mean.shape)
  return (mean + deviation * noise).astype(np.float32)
