"""A base model with its actor, and the five stages of a request.

  start    z0, a draw of the prior or the user's own melody
  move     z0 and a goal to z: what z0 stands for is adapted to the goal by rule
           and encoded, and retrained from there: the actor, refinement
  decode   z to tokens, by the stock decoder, guided
  measure  tokens to numbers, hit or miss
  arrange  tempo, key, instrument, chords: a `Melody`

Where melodies start stands in `starts`, the last three stages in `stages`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import os
import threading
from typing import Any
from typing import Self
from typing import TYPE_CHECKING
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emotion_musicvae.api import arguments
from emotion_musicvae.api import stages
from emotion_musicvae.api import starts
from emotion_musicvae.api import transformation
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import posterior
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
  import note_seq

DRAWS_PER_OUTPUT = 64  # at most, where melodies that miss are rejected

# A melody of the user's: the path of a file, notes, or what `load_song` gives.
SongLike: TypeAlias = (
  'str | os.PathLike[str] | note_seq.NoteSequence | songs.Song'
)
# Makes a progress bar of an iterable, as `tqdm` does.
Progress = Callable[..., Iterable[Any]]


@dataclasses.dataclass(frozen=True)
class Order:
  """One melody to compose; what comes of it depends on nothing else.

  Attributes:
    emotion: what it is to follow.
    seed: integer from 0.
    number: which melody of the seed, from 0.
    temperature: softmax temperature of the decoder.
    intensity: how far to follow the emotion, from 0 to 1.
    song: to move to the emotion; a draw of the prior when None.
    guidance: how strongly to guide the decoder, from 0 to 1.
    chords: that a song is to follow, see `transformation.plan`.
    keep: how much of a song stays, from 0 to 1.
    section: which section of an arc it is.
    held: bars that stay as they were; of 16 bars, without a song.
  """

  emotion: catalogue.Emotion
  seed: int
  number: int
  temperature: float
  intensity: float
  song: songs.Song | None = None
  guidance: float = 1.0
  chords: str = transformation.OWN
  keep: float = transformation.KEEP
  section: starts.Section = starts.WHOLE
  held: starts.Held | None = None


class Pipeline:
  """A base model, the actor that steers it, and the stages of a request.

  Args:
    config: name of a configuration in `configs/`.
    prefix: prefix of the base model's checkpoint.
    weights: dictionary of Magenta's variables in it.
    fingerprint: of the weights, from `checkpoints.fingerprint`.
    actor: maps [B, Z] latent vectors and [B, F] features to moved vectors.
    max_batch_size: melodies that are decoded at once.

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
  ) -> None:
    self._config = config
    self._weights = weights
    self._fingerprint = fingerprint
    self._actor = actor
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

    Returns:
      The model.

    Raises:
      UserError: a checkpoint that is missing, unreadable or of another
        configuration, or an actor of another checkpoint.
      actors.NoActorError: none was trained for this checkpoint.
    """
    forks.check()
    with checkpoints.located(
      config, checkpoint_file, run_dir, progress
    ) as prefix:
      weights = checkpoints.load_model(prefix, config)
      fingerprint = checkpoints.fingerprint(weights)
      if actor_dir:
        actor = actors.of_run(actor_dir, fingerprint)
      elif train_actor:
        actor = training.find_or_train(
          config, weights, fingerprint, hparams, progress
        )
      else:
        actor = actors.find(config, fingerprint)
      return cls(config, prefix, weights, fingerprint, actor, max_batch_size)

  def description(self) -> dict[str, Any]:
    """What the model is, as plain values for a JSON."""
    entry, _ = configuration.load_model_config(self._config)
    return {
      'config': self._config,
      'base': entry['base'],
      'hparams': entry['hparams'],
      'fingerprint': self._fingerprint,
    }

  def note_sequences(self, tokens: melody.Tokens) -> list[Any]:
    """[N, T] tokens as N NoteSequences at 120 quarter notes a minute."""
    return self._stock.note_sequences(tokens)

  def _plan(
    self,
    song: SongLike,
    start_bar: int | None,
    emotion: catalogue.Emotion | None,
    intensity: float,
    chords: str = transformation.OWN,
    argument: str = 'song',
  ) -> tuple[transformation.Plan, starts.SongStart]:
    """What is asked of the user's melody, and where it lies."""
    taken = arguments.song(song, argument).starting(start_bar)
    plan = transformation.plan(taken, emotion, intensity, chords)
    (start,) = self._encode_songs([(plan.song, plan.transposition)])
    return plan, start

  def _song_takes(
    self,
    plan: transformation.Plan,
    start: starts.SongStart,
    orders: Sequence[Order],
    updates: int = 0,
    progress: Progress | None = None,
  ) -> list[stages.Take]:
    """Takes of the user's melody, moved to an emotion.

    Args:
      plan: what is asked of it.
      start: where it lies.
      orders: of the takes, which differ in what is drawn for them alone.
      updates: see `move`.
      progress: see `move`.
    """
    assert start.tunes is not None
    order, windows = orders[0], len(start.z)
    goal = stages.Goal.of(
      transformation.by_window(plan.emotion, windows),
      order.intensity,
      plan.transposition,
    )
    references, z = [start.tunes] * len(orders), [start.z] * len(orders)
    targets = [
      transformation.softened(
        goal.canonical, start.tunes, order.intensity, order.keep
      )
    ] * len(orders)
    if order.intensity:
      # As one, so that no seam is heard between its windows.
      steps = start.model_steps
      whole = transformation.softened(
        transformation.as_one(goal.canonical, steps),
        start.tunes.reshape(1, -1)[:, :steps],
        order.intensity,
        order.keep,
      )
      anchored = start.outer_notes
      takes = [
        transformation.varied(start.tunes, o.seed, o.number, o.keep, anchored)
        for o in orders
      ]
      adapted = transformation.adapted(
        np.stack([take.ravel()[:steps] for take in takes]),
        whole.take([0] * len(orders)),
        order.keep,
        np.tile(anchored.reshape(1, -1)[:, :steps], [len(orders), 1]),
      )
      # What is missing to the last 16 bars is filled from the beginning.
      again = np.arange(start.tunes.size) % steps
      adapted = adapted[:, again].reshape(-1, melody.NUM_STEPS)
      moved = self.move(
        adapted,
        goal.canonical.take(np.tile(np.arange(windows), len(orders))),
        updates,
        order.seed,
        order.number * windows,
        progress,
        True,
      )
      references = np.split(adapted, len(orders))
      targets = [
        transformation.by_reference(goal.canonical, whole, reference, steps)
        for reference in references
      ]
      z = [
        goal.part_of_the_way(start.z, own)
        for own in np.split(moved, len(orders))
      ]
    kept = transformation.least_played(order.intensity, order.keep)
    return [
      stages.Take(
        start,
        own,
        start.emotion(plan.emotion, o.intensity),
        plan.emotion,
        asked,
        plan.transposition,
        o.seed,
        o.number,
        o.temperature,
        o.guidance,
        reference if kept else None,
        kept,
        original=plan.original,
      )
      for o, asked, reference, own in zip(orders, targets, references, z)
    ]

  def _draws(
    self,
    orders: Sequence[Order],
    updates: int,
    progress: Progress | None,
  ) -> list[stages.Take]:
    """Takes that set out from draws of the prior."""
    goal = stages.Goal.of(
      [order.emotion for order in orders],
      [order.intensity for order in orders],
    )
    begun = [
      starts.Start(
        starts.draw(o.seed, o.number, 1, self.z_size, o.section.number),
        section=o.section,
        metre=metres.parse(o.emotion.time_signature),
      )
      for o in orders
    ]
    z = np.concatenate([start.z for start in begun])

    def tunes() -> melody.Tokens:
      decoder = stages.seeded(
        self._stock,
        z,
        np.array([order.temperature for order in orders]),
        [
          starts.noise_seeds(o.seed, o.number, 1, o.section.number)[0]
          for o in orders
        ],
        goal.canonical.metrical_weight,
      )
      played = decoder(np.arange(len(z)))
      # So that a vector knows of the bars that stay.
      for i, order in enumerate(orders):
        if order.held:
          down = int(goal.transposition[i])
          played[i] = order.held.within(played[i], down)
      return played

    first = orders[0]
    moved = self._go(
      z, goal, tunes, updates, first.seed, first.number, progress
    )
    return [
      stages.Take(
        start,
        moved[i : i + 1],
        start.emotion(order.emotion, order.intensity),
        order.emotion,
        # Where nothing is asked for, no key is either.
        goal.canonical.take([i]),
        int(goal.transposition[i]),
        order.seed,
        order.number,
        order.temperature,
        order.guidance * order.intensity,
        held=order.held,
      )
      for i, (start, order) in enumerate(zip(begun, orders))
    ]

  def _end(
    self,
    song: SongLike | None,
    start_bar: int | None,
    argument: str,
    order: Order,
    moved: bool,
  ) -> stages.Take:
    """The take at one end of an interpolation."""
    if song is None:
      (take,) = self._draws([order], 0, None)
      return take
    plan, start = self._plan(
      song,
      start_bar,
      order.emotion if moved else None,
      order.intensity,
      argument=argument,
    )
    (take,) = self._song_takes(plan, start, [order])
    if moved:
      return take
    itself = start.emotion(None, 0.0)
    return dataclasses.replace(take, emotion=itself, asked=itself)

  def _go(
    self,
    z: melody.Floats,
    goal: stages.Goal | None,
    tunes: Callable[[], melody.Tokens],
    updates: int = 0,
    seed: int = 0,
    number: int = 0,
    progress: Progress | None = None,
  ) -> melody.Floats:
    """[N, Z] moved as far to a goal as it says; left where there is none.

    The goal is of N rows; `tunes` gives what the vectors stand for, [N, 256]
    tokens.
    """
    if goal is None or not np.any(goal.intensity):
      return z
    moved = self.move(tunes(), goal.canonical, updates, seed, number, progress)
    return goal.part_of_the_way(z, moved)

  def _finish(self, takes: Sequence[stages.Take]) -> list[Melody]:
    """The last three stages, of N melodies."""
    tokens, guided = stages.decode(self._stock, takes)
    measurements = stages.measure_each(tokens, [take.asked for take in takes])
    return stages.arrange(self._stock, takes, tokens, measurements, guided)

  def _draw(
    self,
    draw: Callable[[range], list[Melody]],
    n: int,
    reject_misses: bool,
  ) -> list[Melody]:
    """The first n melodies, or the first n that meet their targets.

    Args:
      draw: gives the melodies of some numbers.
      n: how many.
      reject_misses: see `generate`.
    """
    if not reject_misses:
      return draw(range(n))
    found: list[Melody] = []
    missed: list[Melody] = []
    most = n * DRAWS_PER_OUTPUT
    # Whole batches of the refinement, so that a draw is the same in any part.
    size = -(-self._stock.batch_size // refinement.Refinement.BATCH)
    size *= refinement.Refinement.BATCH
    for first in range(0, most, size):
      for one in draw(range(first, min(first + size, most))):
        (missed if one.missed else found).append(one)
      if len(found) >= n:
        break
      missed = sorted(missed, key=lambda one: sum(one.missed.values()))[:n]
    kept = (found + missed)[:n]
    return sorted(kept, key=lambda one: one.number)

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
