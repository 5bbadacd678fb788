"""`EmotionMusicVAE`: the ways to ask for melodies.

They differ in where melodies start and where they go; see `pipeline` for the
stages, of which the last three are one for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from emotion_musicvae.api import arcs
from emotion_musicvae.api import arguments
from emotion_musicvae.api import pipeline
from emotion_musicvae.api import stages
from emotion_musicvae.api import starts
from emotion_musicvae.api import steered
from emotion_musicvae.api import transformation
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import arcs as sectioned
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import targets
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError


class EmotionMusicVAE(pipeline.Pipeline):
  """A MusicVAE whose latent vectors are moved towards an emotion.

  Loaded by `EmotionMusicVAE.from_pretrained()`; then `generate`, `transform`,
  `variations`, `interpolate` and `compose` give melodies.
  """

  def generate(
    self,
    emotion: catalogue.Emotion | str | None = None,
    n: int = 1,
    temperature: float = 0.5,
    seed: int | None = None,
    intensity: float = 1.0,
    updates: int = 0,
    reject_misses: bool = False,
    progress: steered.Progress | None = None,
    guidance: float = 1.0,
    text: str | None = None,
    arc: bool | Sequence[sectioned.Section] = False,
    time_signature: str | None = None,
    target: Mapping[str, Any] | str | None = None,
  ) -> list[Melody]:
    """Composes melodies that follow an emotion, or a text.

    Args:
      emotion: name or alias of one of the nine, a word for a feeling, a blend
        of them (see `catalogue.parse`), or an `Emotion`.
      n: how many melodies.
      temperature: softmax temperature of the decoder, from 0.01 to 10; lower is
        plainer.
      seed: integer from 0, drawn when None (`Melody.seed` says which); melody i
        of a seed is the same whatever `n` is.
      intensity: how far the latent vectors go from where they were drawn, from
        0 (not at all: unconditioned samples) to 1 (all the way).
      updates: number of gradient steps by which each latent vector is then
        refined by itself, from 0 to 1000; see `move`.
      reject_misses: go on drawing until n melodies meet their targets, to
        `DRAWS_PER_OUTPUT` for each; what is missing then is filled up with the
        nearest misses.
      progress: makes the progress bar of the refinement, as `tqdm` does.
      guidance: how strongly the decoder is guided, from 0 (not at all) to 1;
        see `steering.guidance`.
      text: what to take the emotion from, in place of `emotion`, in Korean or
        English; `Recognition.intensity` multiplies `intensity`.
      arc: whether each melody has a section for each part of the text that
        feels otherwise; or these sections, from `emotions.arcs.from_text`, in
        place of the text.
      target: targets over those of the emotion, or alone, as `{'range': 12,
        'form': 'AABA'}` or `range=12,form=AABA`; see `targets.replaced`.
      time_signature: metre to compose in, as `3/4`, see `metres.PLAYABLE`; the
        emotion's own, 4/4 but in files of the user's, when None.

    Returns:
      n melodies, in the order of their numbers.

    Raises:
      UserError: an argument out of range, a text without a feeling, or a metre
        that melodies cannot be composed in.

    Example:
      model.generate('peaceful', n=3, seed=1)
    """
    arguments.check(
      n=n,
      temperature=temperature,
      intensity=intensity,
      guidance=guidance,
      updates=updates,
    )
    seed = arguments.seed(seed)
    sections = () if isinstance(arc, bool) else tuple(arc)
    if target is not None and emotion is text is None and not sections:
      emotion = catalogue.Emotion(name='target', alias='target')
    if [emotion is None, text is None, not sections].count(False) != 1:
      raise UserError('emotion', messages.say('give it or `text`, one of them'))
    if arc and emotion is not None:
      raise UserError('arc', messages.say('goes with `text`'))
    if text is not None and arc:
      sections = tuple(sectioned.from_text(text))
    elif text is not None:
      emotion, recognized = readings.from_text(text)
      intensity *= recognized.intensity
    followed = arguments.emotion(sections[0].emotion if sections else emotion)
    assert followed is not None
    metre = time_signature or followed.time_signature

    def adjusted(one: catalogue.Emotion) -> catalogue.Emotion:
      one = catalogue.in_metre(one, metre)
      return one if target is None else targets.replaced(one, target)

    followed = adjusted(followed)
    sections = tuple(s._replace(emotion=adjusted(s.emotion)) for s in sections)

    def draw(numbers: range) -> list[Melody]:
      orders = [
        pipeline.Order(
          followed, seed, number, temperature, intensity, None, guidance
        )
        for number in numbers
      ]
      if not sections:
        return self.compose(orders, updates, progress)
      parts = [o for order in orders for o in arcs.orders(order, sections)]
      return arcs.joined(parts, self.compose(parts, updates, progress))

    return self._draw(draw, n, reject_misses)

  def recompose(
    self,
    melody: Melody,
    keep_bars: Sequence[int],
    n: int = 1,
    emotion: catalogue.Emotion | str | None = None,
    temperature: float = 0.5,
    seed: int | None = None,
    intensity: float = 1.0,
    guidance: float = 1.0,
  ) -> list[Melody]:
    """Composes anew what lies around bars of a melody that stay.

    Args:
      melody: of 16 bars.
      keep_bars: numbers of the bars that stay, from 1; to the note, but that
        one which is held across a bar line may end or begin there.
      n: how many melodies.
      emotion: as in `generate`; the melody's own when None.
      temperature: as in `generate`.
      seed: as in `generate`.
      intensity: as in `generate`.
      guidance: as in `generate`.

    Returns:
      n melodies.

    Raises:
      UserError: an argument out of range, or a melody of another length.

    Example:
      model.recompose(melody, keep_bars=[1, 2, 3, 4], n=4)
    """
    arguments.check(
      n=n, temperature=temperature, intensity=intensity, guidance=guidance
    )
    seed = arguments.seed(seed)
    own = melody.emotion.time_signature
    held = arguments.held(melody.tokens, keep_bars, metres.parse(own))
    followed = arguments.emotion(emotion) or melody.emotion
    followed = catalogue.in_metre(followed, own)
    return self.compose(
      [
        pipeline.Order(
          followed,
          seed,
          number,
          temperature,
          intensity,
          None,
          guidance,
          held=held,
        )
        for number in range(n)
      ]
    )

  def compose(
    self,
    orders: Sequence[pipeline.Order],
    updates: int = 0,
    progress: steered.Progress | None = None,
  ) -> list[Melody]:
    """Composes a melody for each of N orders, which may differ in everything.

    Args:
      orders: N of them; to be refined, without songs and of one seed, with
        numbers that count on.
      updates: see `move`.
      progress: makes the progress bar of the refinement, as `tqdm` does.

    Returns:
      N melodies: what `generate` or `transform` gives for each.
    """
    drawn = [order for order in orders if order.song is None]
    takes = iter(self._draws(drawn, updates, progress) if drawn else [])
    # Takes of one song differ in what is drawn for them alone.
    alike: dict[pipeline.Order, list[int]] = {}
    for i, order in enumerate(orders):
      if order.song is not None:
        once = dataclasses.replace(order, seed=0, number=0, temperature=1.0)
        alike.setdefault(once, []).append(i)
    plans = [
      transformation.plan(once.song, once.emotion, once.intensity, once.chords)
      for once in alike
      if once.song is not None
    ]
    encoded = self._encode_songs(
      [(plan.song, plan.transposition) for plan in plans]
    )
    of_songs: dict[int, stages.Take] = {}
    for rows, plan, start in zip(alike.values(), plans, encoded):
      own = self._song_takes(plan, start, [orders[i] for i in rows])
      of_songs.update(zip(rows, own))
    found = [
      of_songs[i] if i in of_songs else next(takes) for i in range(len(orders))
    ]
    return self._finish(found)

  def transform(
    self,
    song: pipeline.SongLike,
    emotion: catalogue.Emotion | str,
    n: int = 1,
    temperature: float = 0.5,
    seed: int | None = None,
    intensity: float = 1.0,
    start_bar: int | None = None,
    updates: int = 0,
    reject_misses: bool = False,
    progress: steered.Progress | None = None,
    guidance: float = 1.0,
    keep: float = transformation.KEEP,
    chords: str = transformation.OWN,
    target: Mapping[str, Any] | str | None = None,
  ) -> list[Melody]:
    """Moves the user's melody to an emotion.

    Its tonic stays and its mode becomes the emotion's; register, density and
    tempo follow the targets, contour, rhythm and form stay. It is adapted so by
    rule, 16 bars at a time, and sets out from where that lies in the latent
    space; actor and critic retrain the vector, and the decoder is held to the
    adapted tune. 16 bars of silence stay silent.

    Args:
      song: path of a MIDI, MusicXML or ABC file, a `note_seq.NoteSequence`, or
        what `load_song` returns.
      emotion: as in `generate`.
      n: how many takes; they differ in what the decoder draws.
      temperature: as in `generate`.
      seed: as in `generate`; take i of a seed is the same whatever `n` is.
      intensity: how far to move it, from 0 (the melody as it is, in its own
        tempo) to 1 (all the way).
      start_bar: first bar to take, as the file counts them from 1; all of it
        when None.
      updates: as in `generate`.
      reject_misses: as in `generate`.
      progress: as in `generate`.
      guidance: as in `generate`.
      keep: how much of the song stays, from 0 (the targets above all) to 1
        (the song above all).
      chords: 'own', chords that go with the melody, in the emotion's mode;
        'emotion', those of the emotion in the song's key; or a progression.
      target: as in `generate`; of each 16 bars.

    Returns:
      n melodies, as long as the song.

    Raises:
      UserError: an argument out of range, or no melody in the song.

    Example:
      model.transform('song.mid', 'gloomy', intensity=0.5)
    """
    arguments.check(
      n=n,
      temperature=temperature,
      intensity=intensity,
      guidance=guidance,
      keep=keep,
      updates=updates,
    )
    seed = arguments.seed(seed)
    followed = arguments.emotion(emotion)
    assert followed is not None
    if target is not None:
      followed = targets.replaced(followed, target)
    plan, start = self._plan(song, start_bar, followed, intensity, chords)
    order = pipeline.Order(
      followed, seed, 0, temperature, intensity, None, guidance, chords, keep
    )

    def draw(numbers: range) -> list[Melody]:
      orders = [dataclasses.replace(order, number=n) for n in numbers]
      takes = self._song_takes(plan, start, orders, updates, progress)
      return self._finish(takes)

    return self._draw(draw, n, reject_misses)

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
    z0 = np.concatenate(
      [
        starts.slerp(
          start.z, starts.draw(seed, number, windows, self.z_size), distance
        )
        for number in range(n)
      ]
    )
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
