"""A base model and the actor that steers it: from latent vectors to tokens."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import threading
from typing import Any
from typing import Self
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emotion_musicvae.api import stages
from emotion_musicvae.api import starts
from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.musicvae import prior as priors
from emotion_musicvae.musicvae import stock
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import guidance as guiding
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import refinement
from emotion_musicvae.steering import sampling
from emotion_musicvae.steering import training
from emotion_musicvae.support import configuration
from emotion_musicvae.support import forks

if TYPE_CHECKING:
  pass

# Makes a progress bar of an iterable, as `tqdm` does.
Progress = Callable[..., Iterable[Any]]


class SteeredModel:
  """A base model and the actor that steers it.

  Args:
    config: name of a configuration in `configs/`.
    prefix: prefix of the base model's checkpoint.
    weights: dictionary of Magenta's variables in it.
    fingerprint: of the weights, from `checkpoints.fingerprint`.
    actor: maps [B, Z] latent vectors and [B, F] features to moved vectors.
    max_batch_size: melodies that are decoded at once.
    prior: where latent vectors are drawn from; N(0, 1) when None.

  Attributes:
    z_size: size Z of a latent vector.
  """

  def __init__(
    self,
    config: str,
    prefix: str,
    weights: dict[str, npt.NDArray[Any]],
    fingerprint: str,
    actor: networks.Actor,
    max_batch_size: int,
    prior: priors.Prior | None = None,
  ) -> None:
    self._config = config
    self._weights = weights
    self._fingerprint = fingerprint
    self._actor = actor
    self._prior = prior
    entry, hparams = configuration.load_model_config(config)
    self.z_size: int = hparams.z_size
    self._stock = stock.StockModel(
      stock.magenta_config(entry['base'], entry['hparams']),
      prefix,
      weights,
      max_batch_size,
    )
    self._encode_songs = starts.SongEncoder(self._stock)
    self._encode = posterior.Encoder(weights)
    self._building = threading.Lock()

  @classmethod
  def from_pretrained(
    cls,
    config: str = 'hierdec-mel_16bar_lite',
    checkpoint_file: str | None = None,
    run_dir: str | None = None,
    max_batch_size: int = 8,
    actor_dir: str | None = None,
    hparams: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    train_actor: bool = False,
    prior: str | None = None,
  ) -> Self:
    """Loads a base model and the actor that was trained for it.

    Args:
      config: name of a configuration in `configs/`.
      checkpoint_file: the base model's checkpoint: a tar, a prefix or one of
        its files. When None the bundled one, or the published one, which is
        fetched once.
      run_dir: folder of a training run of Magenta's or of
        `emotion_musicvae_pretrain`, in place of `checkpoint_file`.
      max_batch_size: melodies that are decoded at once.
      actor_dir: run folder of `emotion_musicvae_train` to take the actor from,
        in place of the one that was trained for this checkpoint by default.
      hparams: dictionary of settings over `configs/actor_critic.yaml` for
        `train_actor`.
      progress: makes the progress bar of a training or a download, as `tqdm`
        does.
      train_actor: train an actor first where there is none for this checkpoint.
        That takes up to an hour; it is kept in the cache folder, and resumed
        where it was interrupted.
      prior: where latent vectors are drawn from: path of a `prior.npz` that
        `emotion_musicvae_pretrain` fitted to this checkpoint, or `normal`, N(0,
        1) as in Magenta. When None what lies beside the checkpoint or in its
        run's folder, and N(0, 1) where nothing does.

    Returns:
      The model.

    Raises:
      UserError: a checkpoint that is missing, unreadable or of another
        configuration, or an actor or a prior of another checkpoint.
      actors.NoActorError: none was trained for this checkpoint.
    """
    forks.check()
    with checkpoints.located(
      config, checkpoint_file, run_dir, progress
    ) as prefix:
      weights = checkpoints.load_model(prefix, config)
      fingerprint = checkpoints.fingerprint(weights)
      # Before an actor is trained, which may take an hour.
      drawn_from = priors.find(prior, prefix, fingerprint)
      if actor_dir:
        actor = actors.of_run(actor_dir, fingerprint)
      elif train_actor:
        actor = training.find_or_train(
          config, weights, fingerprint, hparams, progress
        )
      else:
        actor = actors.find(config, fingerprint)
      return cls(
        config,
        prefix,
        weights,
        fingerprint,
        actor,
        max_batch_size,
        drawn_from,
      )

  def description(self) -> dict[str, Any]:
    """What the model is, as plain values for a JSON."""
    entry, _ = configuration.load_model_config(self._config)
    return {
      'config': self._config,
      'base': entry['base'],
      'hparams': entry['hparams'],
      'fingerprint': self._fingerprint,
      'prior': self._prior.digest() if self._prior else priors.NORMAL,
    }

  def sample_prior(self, seed: int, n: int) -> melody.Floats:
    """Draws latent vectors from the prior.

    Args:
      seed: integer from 0.
      n: how many, at least 1; vector i follows from the seed and i alone.

    Returns:
      [n, Z] float32.
    """
    return self._from_prior(
      [starts.latent_seeds(seed, i, 1)[0] for i in range(n)]
    )

  def _from_prior(self, seeds: Sequence[tuple[int, ...]]) -> melody.Floats:
    """[N, Z] draws of the prior, each following from its seed alone."""
    if self._prior:
      # Melodies of other emotions set out from the same vectors.
      distinct = list(dict.fromkeys(seeds))
      drawn = self._prior.vectors(distinct, self._encode.posterior)
      where = {seed: i for i, seed in enumerate(distinct)}
      return drawn[[where[seed] for seed in seeds]]
    return starts.normal(seeds, self.z_size)

  def note_sequences(self, tokens: melody.Tokens) -> list[Any]:
    """[N, T] tokens as N NoteSequences at 120 quarter notes a minute."""
    return self._stock.note_sequences(tokens)

  def move(
    self,
    tunes: melody.Tokens,
    condition: conditions.Condition,
    updates: int = 0,
    seed: int = 0,
    number: int = 0,
    progress: Progress | None = None,
    adapted: bool = False,
  ) -> melody.Floats:
    """Latent vectors of melodies that follow a condition, all the way.

    Args:
      tunes: [N, 256] tokens that they set out from.
      condition: of N rows, in the canonical key, where the actor has learned.
      updates: number of gradient steps by which each vector is refined by
        itself through the decoder, after the actor. Each takes as long as
        two decodings; to begin takes seconds, once.
      seed: integer seed of what is decoded to learn from.
      number: of the first vector, see `refinement.Refinement`.
      progress: makes the progress bar of the refinement, as `tqdm` does.
      adapted: whether the tunes are adapted by rule already.

    Returns:
      [N, Z] float32.
    """
    start = self._encode(tunes) if adapted else self.adapt(tunes, condition)
    moved = self._act(start, condition.features(self._actor.terms))
    part = actors.part_of_move()
    moved = (start + part * (moved - start)).astype(np.float32)
    if not updates:
      return moved
    refined: melody.Floats = self._refine(
      start, moved, condition, updates, seed, number, progress
    )
    return refined

  def adapt(
    self, tunes: melody.Tokens, condition: conditions.Condition
  ) -> melody.Floats:
    """Where tunes lie that are adapted to a condition by rule.

    Args:
      tunes: [N, 256] tokens.
      condition: of N rows, in the canonical key.

    Returns:
      [N, Z] float32 means of their posterior.
    """
    return self._encode(sampling.adapt(tunes, condition))

  def _act(
    self, z: melody.Floats, features: npt.NDArray[np.float32]
  ) -> melody.Floats:
    """The actor's [N, Z], in batches of one size as the decoder's.

    The last bits of a product may follow from its size, and a melody's may not
    follow from how many others it is composed with.
    """
    size = self._stock.batch_size
    missing = [(0, -len(z) % size), (0, 0)]
    z_full, features = np.pad(z, missing), np.pad(features, missing)
    parts = [
      self._actor(z_full[i : i + size], features[i : i + size]).numpy()
      for i in range(0, len(z_full), size)
    ]
    return np.concatenate(parts)[: len(z)]

  @property
  def _refine(self) -> refinement.Refinement:
    with self._building:
      return self._built_refinement

  @functools.cached_property
  def _built_refinement(self) -> refinement.Refinement:
    hparams, _ = configuration.load_learner(self._config)
    return refinement.Refinement(
      self._weights, hparams, **refinement.load_settings()
    )

  def decode(
    self,
    z: melody.Floats,
    temperature: float,
    seed: int,
    condition: conditions.Condition | None = None,
    guidance: float = 1.0,
  ) -> melody.Tokens:
    """Decodes latent vectors by the stock decoder.

    Args:
      z: [N, Z] latent vectors.
      temperature: softmax temperature, above 0.
      seed: integer; row i is drawn with the noise of (seed, i), whatever the
        other rows are.
      condition: of N rows, in the canonical key, to guide the decoder to.
      guidance: how strongly, from 0 to 1.

    Returns:
      [N, 256] uint8 tokens, in the canonical key.
    """
    seeds = [starts.noise_seeds(seed, i, 1)[0] for i in range(len(z))]
    if condition is None:
      return self._stock.decode(z, temperature, seeds)
    guided = guiding.decode(
      stages.seeded(
        self._stock, z, temperature, seeds, condition.metrical_weight
      ),
      condition,
      guidance,
      guiding.load_settings(),
    )
    return guided.tokens
