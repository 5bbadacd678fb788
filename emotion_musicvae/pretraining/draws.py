"""Batches of windows to train on, each drawn and varied afresh."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.pretraining import augmentation
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.support import configuration


@dataclasses.dataclass(frozen=True)
class Windows:
  """16-bar windows and how often each is drawn.

  Attributes:
    tokens: [N, 256] uint8.
    probabilities: [N] float64, summing to 1.
    cut: the `corpus.Cut` of the same windows, where they are in one key and
      may be varied within it; None where they are transposed instead.
    hparams: `configuration.AugmentationHparams`.
  """

  tokens: melody.Tokens
  probabilities: npt.NDArray[np.float64]
  cut: corpus.Cut | None = None
  hparams: configuration.AugmentationHparams | None = None

  @classmethod
  def balanced(cls, tokens: melody.Tokens, density_balance: float) -> 'Windows':
    """Draws windows of rare densities more often; see `CorpusHparams`."""
    share = _balance(tokens, density_balance)
    return cls(tokens, share / share.sum())

  @classmethod
  def in_one_key(
    cls,
    cut: corpus.Cut,
    corpus_hparams: configuration.CorpusHparams,
    hparams: configuration.AugmentationHparams,
  ) -> 'Windows':
    """Draws windows that end as their tune does in a share of the draws.

    Args:
      cut: `corpus.Cut` of tunes in one key.
      corpus_hparams: `configuration.CorpusHparams`.
      hparams: `configuration.AugmentationHparams`.
    """
    share = _balance(cut.tokens, corpus_hparams.density_balance)
    for kind, part in (
      (cut.stretched, corpus_hparams.triple),
      (cut.closes, corpus_hparams.aligned),
    ):
      if part and kind.any() and not kind.all():
        for side, of_it in ((kind, part), (~kind, 1.0 - part)):
          share[side] *= of_it / share[side].sum()
    return cls(cut.tokens, share / share.sum(), cut, hparams)

  def batch(
    self,
    size: int,
    mean_pitch: tuple[float, ...],
    seed: int,
    step: int,
    varied: bool = True,
  ) -> melody.Tokens:
    """Draws [size, 256] int32 tokens, each window freshly transposed.

    Where the windows are in one key they are varied within it, unless `varied`
    is False. Elsewhere the new mean pitch is uniform in the range `mean_pitch`;
    where that is empty, windows stay in their key. Depends on nothing but the
    arguments, so that training resumes with the batches it would have seen.
    """
    rng = np.random.default_rng([seed, step])
    index = rng.choice(len(self.tokens), size, p=self.probabilities)
    tokens = self.tokens[index].astype(np.int32)
    if self.cut is not None:
      if not varied:
        return tokens
      return np.stack(
        [self._variant(self.cut, i, mean_pitch, rng) for i in index]
      )
    if not mean_pitch:
      return tokens
    return melody.transpose_to(
      tokens, rng.uniform(mean_pitch[0], mean_pitch[1], size)
    )

  def noisy(
    self, tokens: melody.Tokens, seed: int, step: int, share: float = 1.0
  ) -> tuple[melody.Tokens, melody.Tokens]:
    """What the encoder and the decoder are told of a batch.

    Args:
      tokens: [B, 256] int32.
      seed: integer seed.
      step: number of the update.
      share: of the noise that `hparams` ask for.

    Returns:
      `(heard, told)`, [B, 256] int32 each; see `augmentation`.
    """
    h = self.hparams
    if h is None:
      return tokens, tokens
    rng = np.random.default_rng([seed, step, 1])
    return (
      augmentation.encoder_view(tokens, share * h.encoder_noise, rng),
      augmentation.decoder_view(
        tokens, share * h.decoder_dropout, share * h.decoder_noise, rng
      ),
    )

  def _variant(
    self,
    cut: corpus.Cut,
    i: int,
    mean_pitch: tuple[float, ...],
    rng: np.random.Generator,
  ) -> melody.Tokens:
    """[256] int32 tokens: the window `i` as it might be played otherwise."""
    h = self.hparams or configuration.AugmentationHparams()
    row = self.tokens[i]
    final = int(cut.finals[i])
    if cut.closes[i] and rng.random() < h.recombined:
      if rng.random() < 0.25:
        row = augmentation.in_small_form(row)
      else:
        form = augmentation.FORMS[rng.integers(len(augmentation.FORMS))]
        row = augmentation.in_form(
          row, self.tokens[self._partner(i, rng)], form
        )
    if rng.random() < h.exchanged:
      row = self._bars.exchanged(row, rng.uniform(0.3, 1.0), rng)
    if rng.random() < h.varied:
      row = augmentation.varied(row, rng)
    if rng.random() < h.moved:
      if rng.random() < 0.15:
        degrees = int(rng.integers(-2, 3))
      else:
        tonics = [t for t in augmentation.TONICS if t != final]
        tonic = tonics[rng.integers(len(tonics))]
        degrees = augmentation.degrees_to_tonic(final, tonic)
      row = augmentation.move(row, degrees)
    low, high = mean_pitch or (57.0, 79.0)
    octave = augmentation.octave_for(row, (low, high), h.octave, rng)
    row = row.astype(np.int32)
    return np.where(row >= melody.FIRST_ONSET, row + octave, row)

  def _partner(self, i: int, rng: np.random.Generator) -> int:
    """Another window that closes on the same final, as dense as window `i`."""
    keys, pools = self._pools
    pool = pools[keys[i]]
    return int(pool[rng.integers(len(pool))])

  @functools.cached_property
  def _bars(self) -> augmentation.Bars:
    """The bars of all windows."""
    return augmentation.Bars(self.tokens)

  @functools.cached_property
  def _pools(
    self,
  ) -> tuple[list[tuple[int, int]], dict[tuple[int, int], list[int]]]:
    """Key of each window, and the windows that close, by key."""
    assert self.cut is not None
    density = (self.tokens >= melody.FIRST_ONSET).sum(axis=1) // 24
    keys = list(zip(self.cut.finals.tolist(), density.tolist()))
    pools: dict[tuple[int, int], list[int]] = {}
    for k in np.flatnonzero(self.cut.closes).tolist():
      pools.setdefault(keys[k], []).append(k)
    return keys, pools


def _balance(
  tokens: melody.Tokens, density_balance: float
) -> npt.NDArray[np.float64]:
  """[N] weights, larger for windows of rare densities."""
  density = np.round(
    (tokens >= melody.FIRST_ONSET).sum(axis=1) / melody.NUM_BARS
  )
  _, inverse, counts = np.unique(
    density, return_inverse=True, return_counts=True
  )
  return np.asarray(counts[inverse] ** -float(density_balance))
