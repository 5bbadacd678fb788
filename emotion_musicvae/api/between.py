"""Melodies near the user's own, and on the way from one to another."""

from __future__ import annotations

import dataclasses

import numpy as np

from emotion_musicvae.api import arguments
from emotion_musicvae.api import pipeline
from emotion_musicvae.api import stages
from emotion_musicvae.api import starts
from emotion_musicvae.api import transformation
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError


class Between(pipeline.Pipeline):
  """The ways to ask for melodies that lie near others, or between them."""

  def variations(
    self,
    song: pipeline.SongLike,
    n: int = 1,
    distance: float = 0.15,
    emotion: catalogue.Emotion | str | None = None,
    temperature: float = 0.5,
    seed: int | None = None,
    intensity: float = 1.0,
    start_bar: int | None = None,
    guidance: float = 1.0,
  ) -> list[Melody]:
    """Melodies near the user's own.

    Each sets out some way from the melody's latent vector towards a vector of
    its own from the prior.

    Args:
      song: as in `transform`.
      n: how many melodies.
      distance: that way, from 0 (the melody itself) to 1 (any melody).
      emotion: as in `generate`, to move them to; None leaves them as they are.
      temperature: as in `generate`.
      seed: as in `generate`; variation i of a seed is the same whatever `n` is.
      intensity: how far to move them to the emotion, from 0 to 1.
      start_bar: as in `transform`.
      guidance: as in `generate`.

    Returns:
      n melodies.

    Raises:
      UserError: an argument out of range, or no melody in the song.
    """
    arguments.check(
      n=n,
      temperature=temperature,
      intensity=intensity,
      guidance=guidance,
      distance=distance,
    )
    seed = arguments.seed(seed)
    followed = arguments.emotion(emotion)
    plan, start = self._plan(song, start_bar, followed, intensity)
    windows = len(start.z)
    drawn = self._from_prior(
      [
        own
        for number in range(n)
        for own in starts.latent_seeds(seed, number, windows)
      ]
    )
    z0 = starts.slerp(np.tile(start.z, (n, 1)), drawn, distance)
    seeds = [
      own
      for number in range(n)
      for own in starts.noise_seeds(seed, number, windows)
    ]
    by_window = transformation.by_window(plan.emotion, windows)
    goal = stages.Goal.of(by_window * n, intensity, plan.transposition)
    condition = goal.canonical.take(slice(windows))
    # Near the melody the decoder is held to it, far from it to nothing.
    amount, kept = guidance * intensity, 0.0
    if followed is None:
      amount = guidance * (1.0 - distance) ** 4
      assert start.tunes is not None
      condition = transformation.softened(condition, start.tunes, 0.0, 1.0)
      kept = transformation.least_played(0.0, 1.0) * (1.0 - distance) ** 4
      condition = condition._replace(
        chord_mask=np.zeros_like(condition.chord_mask)
      )
    z = self._go(
      z0,
      goal if followed else None,
      lambda: stages.seeded(
        self._stock, z0, temperature, seeds, goal.canonical.metrical_weight
      )(np.arange(len(z0))),
    ).reshape(n, windows, -1)
    takes = [
      stages.Take(
        start,
        z[number],
        start.emotion(followed and plan.emotion, intensity),
        plan.emotion if followed else start.emotion(None, intensity),
        condition,
        plan.transposition,
        seed,
        number,
        temperature,
        amount,
        start.tunes if kept else None,
        kept,
        original=plan.original,
      )
      for number in range(n)
    ]
    return self._finish(takes)

  def interpolate(
    self,
    emotion: catalogue.Emotion | str | None = None,
    to_emotion: catalogue.Emotion | str | None = None,
    song: pipeline.SongLike | None = None,
    to_song: pipeline.SongLike | None = None,
    n: int = 5,
    temperature: float = 0.5,
    seed: int | None = None,
    intensity: float = 1.0,
    start_bar: int | None = None,
    guidance: float = 1.0,
  ) -> list[Melody]:
    """Goes in equal steps from one emotion, or melody, to another.

    Both ends are what `generate` or `transform` give for the same seed. Between
    them the latent vectors go along the great circle, as Magenta's do, and are
    decoded with the same noise; the targets are blends of both ends'.

    Args:
      emotion: where to begin, as in `generate`; of a song None leaves it as it
        is.
      to_emotion: where to end; `emotion` when None.
      song: melody to begin with, as in `transform`; one of the prior when None.
      to_song: melody to end with; the one that it begins with when None.
      n: how many melodies, both ends included, at least 2.
      temperature: as in `generate`.
      seed: as in `generate`.
      intensity: how far to move both ends to their emotions, from 0 to 1.
      start_bar: first bar to take of the songs. Of two the shorter one decides
        how long the melodies are, in windows of 16 bars.
      guidance: as in `generate`; it lessens towards an end without an emotion.

    Returns:
      n melodies.

    Raises:
      UserError: an argument out of range, an end that is not named, or no
        melody in a song.
    """
    arguments.check(
      n=n,
      temperature=temperature,
      intensity=intensity,
      guidance=guidance,
    )
    seed = arguments.seed(seed)
    ranges.INTERPOLATED_OUTPUTS.check('n', n)
    if to_emotion is None and to_song is None:
      raise UserError(
        'to_emotion', messages.say('name where to end, or `to_song`')
      )
    if emotion is None and song is None:
      raise UserError('emotion', messages.say('name where to begin, or `song`'))
    first = arguments.emotion(emotion)
    last = first
    if to_emotion is not None:
      last = arguments.emotion(to_emotion, 'to_emotion')
    songs_at = [song, song if to_song is None else to_song]
    if song is None and to_song is None:
      songs_at = [None, None]
    names = ['song', 'song' if to_song is None else 'to_song']
    taken = [
      None if own is None else arguments.song(own, argument)
      for own, argument in zip(songs_at, names)
    ]
    in_metres = {own.metre for own in taken if own is not None}
    if len(in_metres) > 1:
      raise UserError(
        'to_song',
        messages.say(
          'the melodies are in {metres}', metres=', '.join(map(str, in_metres))
        ),
        messages.say('name two in one metre'),
      )
    metre = [
      *map(str, in_metres),
      *(e.time_signature for e in (first, last) if e),
    ]
    first, last = (
      end and catalogue.in_metre(end, metre[0]) for end in (first, last)
    )
    ends = [
      self._end(
        own,
        start_bar,
        argument,
        pipeline.Order(
          followed or catalogue.Emotion(),
          seed,
          0,
          temperature,
          intensity if followed else 0.0,
          None,
          guidance,
        ),
        followed is not None,
      )
      for own, argument, followed in zip(taken, names, (first, last))
    ]
    windows = min(len(end.z) for end in ends)
    ends = [end.first(windows) for end in ends]
    shortest = min((end.start for end in ends), key=lambda one: one.steps)
    # Towards an end without an emotion there is less and less to guide to.
    guided = [
      end.guidance if followed else 0.0
      for end, followed in zip(ends, (first, last))
    ]
    takes = [dataclasses.replace(ends[0], start=shortest)]
    for share in np.linspace(0.0, 1.0, n)[1:-1]:
      # A melody has one key: as its chords, that of the nearer end.
      nearer = ends[int(share > 0.5)]
      weights = [1.0 - share, share]
      between = catalogue.blend([end.emotion for end in ends], weights)
      condition, _ = conditions.Condition.of(
        transformation.by_window(between, windows)
      ).in_canonical_key(np.full(windows, nearer.transposition))
      takes.append(
        dataclasses.replace(
          nearer,
          start=shortest,
          z=starts.slerp(ends[0].z, ends[1].z, share),
          emotion=between,
          asked=between,
          condition=condition.with_form_of_its_own(
            np.full(windows, shortest.tunes is not None)
          ),
          guidance=float(np.dot(weights, guided)),
          reference=None,
          kept=0.0,
        )
      )
    takes.append(dataclasses.replace(ends[1], start=shortest))
    return self._finish(takes)
