"""A base model with its actor, and the five stages of a request.

  start    z0, a draw of the prior or the user's own melody
  move     z0 and a goal to z: what z0 stands for is adapted to the goal by rule
           and encoded, and retrained from there: the actor, refinement
  decode   z to tokens, by the stock decoder, guided
  measure  tokens to numbers, hit or miss
  arrange  tempo, key, instrument, chords: a `Melody`

Where melodies start stands in `starts`, how vectors are moved in `steered`, the
last three stages in `stages`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
from typing import TYPE_CHECKING
from typing import TypeAlias

import numpy as np

from emotion_musicvae.api import arguments
from emotion_musicvae.api import stages
from emotion_musicvae.api import starts
from emotion_musicvae.api import steered
from emotion_musicvae.api import transformation
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.steering import refinement

if TYPE_CHECKING:
  import note_seq

DRAWS_PER_OUTPUT = 64  # at most, where melodies that miss are rejected

# A melody of the user's: the path of a file, notes, or what `load_song` gives.
SongLike: TypeAlias = (
  'str | os.PathLike[str] | note_seq.NoteSequence | songs.Song'
)


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


class Pipeline(steered.SteeredModel):
  """The stages of a request, of a base model and the actor that steers it."""

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
    progress: steered.Progress | None = None,
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
    progress: steered.Progress | None,
  ) -> list[stages.Take]:
    """Takes that set out from draws of the prior."""
    goal = stages.Goal.of(
      [order.emotion for order in orders],
      [order.intensity for order in orders],
    )
    z = self._from_prior(
      [
        own
        for o in orders
        for own in starts.latent_seeds(o.seed, o.number, 1, o.section.number)
      ]
    )
    begun = [
      starts.Start(
        z[i : i + 1],
        section=o.section,
        metre=metres.parse(o.emotion.time_signature),
      )
      for i, o in enumerate(orders)
    ]

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
    progress: steered.Progress | None = None,
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
