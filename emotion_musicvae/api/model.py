"""`EmotionMusicVAE`: the ways to ask for melodies.

They differ in where melodies start and where they go; see `pipeline` for the
stages, of which the last three are one for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from emotion_musicvae.api import arcs
from emotion_musicvae.api import arguments
from emotion_musicvae.api import between
from emotion_musicvae.api import pipeline
from emotion_musicvae.api import stages
from emotion_musicvae.api import steered
from emotion_musicvae.api import transformation
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import arcs as sectioned
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import targets
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError


class EmotionMusicVAE(between.Between):
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
