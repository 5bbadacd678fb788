"""What the page asks for, as plain values that fit into a link.

A take is a request and a number; nothing else is kept of it on the server, so
that a link gives the same take on another day, and after a restart.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from typing import Any
from typing import Protocol
import zlib

import numpy as np
import numpy.typing as npt

from emotion_musicvae import api
from emotion_musicvae.api import arguments
from emotion_musicvae.api import transformation
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import targets
from emotion_musicvae.files import playing
from emotion_musicvae.files import songs
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

MOST_TAKES = 8  # of a request
MOST_SECTIONS = 8  # of a take
MOST_CHARACTERS = 2000  # of a text
_NUMBERS = {
  'intensity': ranges.INTENSITY,
  'temperature': ranges.TEMPERATURE,
  'guidance': ranges.GUIDANCE,
  'keep': ranges.KEEP,
  'distance': ranges.DISTANCE,
  'valence': ranges.VALENCE,
  'arousal': ranges.AROUSAL,
  'qpm': ranges.QPM,
  'program': ranges.PROGRAM,
  'seed': ranges.SEED,
  'mean_pitch': ranges.MEAN_PITCH,
  'onsets_per_bar': ranges.ONSETS_PER_BAR,
  'humanize': ranges.HUMANIZE,
  'room': ranges.ROOM,
}
_TEXTS = (
  'emotion',
  'text',
  'target',
  'chords',
  'time_signature',
  'accompaniment',
  'style',
)


@dataclasses.dataclass(frozen=True)
class Request:
  """Takes that are asked for; None where nothing is said.

  Attributes:
    emotion: as in `api.EmotionMusicVAE.generate`.
    text: likewise, in place of it.
    valence: in place of both, with `arousal`; see `readings.from_place`.
    arousal: likewise.
    seed: of its takes.
    intensity: as in `generate`.
    temperature: likewise.
    guidance: likewise.
    target: further targets, as in `generate`.
    mean_pitch: target over the emotion's, MIDI.
    onsets_per_bar: likewise.
    chords: a progression over the emotion's.
    time_signature: metre over the emotion's.
    qpm: tempo over the emotion's.
    program: instrument over the emotion's.
    song: a melody to move, see `packed`; or to vary, where there is a distance.
    keep: how much of the song stays, from 0 to 1.
    distance: as in `variations`.
    bars: numbers of the song's bars that stay, the others being composed anew.
    accompaniment: as in `playing.Playing`.
    style: likewise.
    humanize: likewise.
    room: likewise.
    after: takes that this one is a further section of, see `Spec`.
  """

  emotion: str | None = None
  text: str | None = None
  valence: float | None = None
  arousal: float | None = None
  seed: int = 0
  intensity: float = 1.0
  temperature: float = 0.5
  guidance: float = 1.0
  target: str | None = None
  mean_pitch: float | None = None
  onsets_per_bar: float | None = None
  chords: str | None = None
  time_signature: str | None = None
  qpm: float | None = None
  program: int | None = None
  song: Packed | None = None
  keep: float = transformation.KEEP
  distance: float | None = None
  bars: tuple[int, ...] = ()
  accompaniment: str = 'none'
  style: str = ''
  humanize: float = 0.0
  room: float = 0.0
  after: tuple[Spec, ...] = ()

  @classmethod
  def of(cls, values: Any, most_bars: int, depth: int = 0) -> Request:
    """A request of what a browser sent.

    Args:
      values: what was sent; nothing is taken for granted.
      most_bars: how long a song may be.
      depth: how many requests it stands in.

    Raises:
      UserError: names the field and what would do.
    """
    known = {field.name for field in dataclasses.fields(cls)}
    if not isinstance(values, dict):
      raise UserError('', messages.say('expected an object of fields'))
    found: dict[str, Any] = {}
    for name, value in values.items():
      if name not in known:
        raise UserError(str(name)[:40], messages.say('there is no such field'))
      if value is None:
        continue
      if name in _NUMBERS:
        _NUMBERS[name].check(name, value)
      elif name in _TEXTS:
        if not _is_text(value):
          raise UserError(
            name,
            messages.say(
              'expected a text of at most {most} characters',
              most=MOST_CHARACTERS,
            ),
          )
      elif name == 'song':
        value = Packed.of(value, most_bars)
      elif name == 'bars':
        value = tuple(_list(name, value, most_bars))
        for bar in value:
          ranges.Range(int, 1, most_bars).check(name, bar)
      else:
        if depth:
          raise UserError(name, messages.say('sections do not nest'))
        value = tuple(
          Spec.of(one, most_bars, depth + 1)
          for one in _list(name, value, MOST_SECTIONS - 1)
        )
      found[name] = value
    request = cls(**found)
    request.followed()
    request.playing()
    return request

  def record(self) -> dict[str, Any]:
    """What it says, as plain values: those that `of` reads."""
    return {
      field.name: _plain(getattr(self, field.name))
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != field.default
    }

  def recognized(self) -> recognition.Recognition | None:
    """What is read in its text, if it has one."""
    return recognition.recognize(self.text) if self.text is not None else None

  def followed(self) -> tuple[catalogue.Emotion, float]:
    """The emotion that its takes follow, and how far.

    Raises:
      UserError: none is named or read, or a target that will not do.
    """
    given = [
      self.emotion is not None,
      self.text is not None,
      self.valence is not None,
    ]
    if given.count(True) != 1:
      raise UserError(
        'emotion',
        messages.say('say how you feel, name one, or point at the plane'),
      )
    intensity = self.intensity
    if self.text is not None:
      emotion, found = readings.from_text(self.text)
      intensity *= found.intensity
    elif self.emotion is not None:
      emotion = catalogue.parse(self.emotion)
    else:
      emotion = readings.from_place(self.valence or 0.0, self.arousal or 0.0)
    changed: dict[str, Any] = {
      name: getattr(self, name)
      for name in ('mean_pitch', 'onsets_per_bar', 'qpm', 'program')
      if getattr(self, name) is not None
    }
    if self.target:
      emotion = targets.replaced(emotion, self.target)
    if self.time_signature and self.song is None:
      emotion = catalogue.in_metre(emotion, self.time_signature)
    if self.chords and (self.song is None or self.bars):
      check_chords(self.chords, time_signature=emotion.time_signature)
      changed['chords'] = self.chords
    return dataclasses.replace(emotion, **changed), intensity

  def playing(self) -> playing.Playing:
    """How its takes are played."""
    return playing.Playing(
      self.accompaniment, self.style, self.humanize, room=self.room
    )


@dataclasses.dataclass(frozen=True)
class Packed:
  """A melody of the user's, or of an earlier take, small enough for a link.

  Attributes:
    name: that it is called.
    tokens: its sixteenths, compressed, in URL-safe base64.
    qpm: its tempo; None where it has none.
    time_signature: its metre.
  """

  name: str
  tokens: str
  qpm: float | None = None
  time_signature: str = '4/4'

  @classmethod
  def of(cls, values: Any, most_bars: int) -> Packed:
    """One of what a browser sent.

    Raises:
      UserError: it is none, or longer than may be.
    """
    try:
      name = values['name'] if _is_text(values['name']) else 'song'
      metre = metres.parse(values.get('time_signature', '4/4'))
      packed = cls(name[:80], values['tokens'], values.get('qpm'), str(metre))
      if packed.qpm is not None:
        ranges.QPM.check('song', packed.qpm)
      tokens = unpacked(packed.tokens, most_bars * metre.bar_steps)
      is_whole = len(tokens) % metre.bar_steps == 0
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error):
      tokens, is_whole = np.zeros(0, np.uint8), False
    if not is_whole or not (tokens >= melody.FIRST_ONSET).any():
      raise UserError(
        'song',
        messages.say('expected a melody of 1 to {most} bars', most=most_bars),
      )
    return packed

  def song(self) -> songs.Song:
    """The melody."""
    return songs.Song(
      self.name,
      unpacked(self.tokens, 1 << 20),
      qpm=self.qpm,
      metre=metres.parse(self.time_signature),
    )


@dataclasses.dataclass(frozen=True)
class Spec:
  """One take of a request.

  Attributes:
    request: that it is a take of.
    number: which, from 0.
  """

  request: Request
  number: int = 0

  @classmethod
  def of(cls, values: Any, most_bars: int, depth: int = 0) -> Spec:
    """One of what a browser sent; see `Request.of`."""
    if not isinstance(values, dict) or set(values) - {'request', 'number'}:
      raise UserError('take', messages.say('expected a request and a number'))
    number = values.get('number', 0)
    ranges.Range(int, 0, 999).check('number', number)
    return cls(Request.of(values.get('request'), most_bars, depth), number)

  def record(self) -> dict[str, Any]:
    """As plain values."""
    return {'request': self.request.record(), 'number': self.number}

  def key(self) -> str:
    """The same for the same take."""
    return json.dumps(self.record(), sort_keys=True)


def packed(tokens: melody.Tokens) -> str:
  """[16 n] tokens as a text that fits into a link."""
  pressed = zlib.compress(np.asarray(tokens, np.uint8).tobytes(), 9)
  return base64.urlsafe_b64encode(pressed).decode('ascii')


def unpacked(text: str, most: int) -> npt.NDArray[np.uint8]:
  """The tokens of `packed`, of which there may be so many.

  Raises:
    ValueError: it is something else, or more.
  """
  pressed = base64.b64decode(text, altchars=b'-_', validate=True)
  content = zlib.decompressobj().decompress(pressed, most + 1)
  tokens = np.frombuffer(content, np.uint8)
  if len(tokens) > most or (tokens >= melody.NUM_TOKENS).any():
    raise ValueError
  return tokens


def check_chords(
  text: str, mode: str = 'major', time_signature: str = '4/4'
) -> tuple[str, int]:
  """Reads a progression.

  Args:
    text: as `harmony.bars` reads it.
    mode: that it is in, should it not tell.
    time_signature: of its bars.

  Returns:
    `(key, bars)`: its tonic, '' where there is none, and how many bars it has.

  Raises:
    UserError: it is none.
  """
  try:
    harmony.chord_tones(text, metre=metres.parse(time_signature))
    tonic = harmony.key(text, mode)
    bars = len(text.split('|')) if '|' in text else len(text.split())
  except ValueError as e:
    raise UserError('chords', str(e).removeprefix('chords: ')) from None
  return '' if tonic is None else harmony.TONICS[mode][tonic], bars


class Composer(Protocol):
  """What is asked of a model; `together.Together` is one as well."""

  def compose(self, orders: Sequence[api.Order], /) -> list[api.Melody]: ...

  def variations(self, *args: Any, **kwargs: Any) -> list[api.Melody]: ...


def compose(model: Composer, spec: Spec) -> api.Melody:
  """The take that a spec stands for."""
  (found,) = compose_some(model, spec.request, [spec.number])
  return found


def compose_some(
  model: Composer, request: Request, numbers: Sequence[int]
) -> list[api.Melody]:
  """Takes of a request.

  Args:
    model: that composes.
    request: what is asked for.
    numbers: of the takes.

  Returns:
    A melody for each; of what comes after others, with those.
  """
  emotion, intensity = request.followed()
  common: dict[str, Any] = {
    'temperature': request.temperature,
    'seed': request.seed,
    'intensity': intensity,
    'guidance': request.guidance,
  }
  song = request.song.song() if request.song else None
  if song is not None and request.distance is not None:
    takes = model.variations(
      song,
      max(numbers) + 1,
      request.distance,
      emotion if intensity else None,
      **common,
    )
    found = [takes[number] for number in numbers]
  else:
    held = None
    if song is not None and request.bars:
      emotion = catalogue.in_metre(emotion, str(song.metre))
      held = arguments.held(song.tokens, request.bars, song.metre)
      song = None
    order = api.Order(
      emotion,
      number=0,
      song=song,
      chords=request.chords or transformation.OWN,
      keep=request.keep,
      held=held,
      **common,
    )
    found = model.compose(
      [dataclasses.replace(order, number=number) for number in numbers]
    )
  how = dataclasses.asdict(request.playing())
  before = [compose(model, spec) for spec in request.after]
  return [
    api.join([*before, one]).played(**how) if before else one.played(**how)
    for one in found
  ]


def _is_text(value: Any) -> bool:
  """Whether it is text that may be, and can be written down."""
  if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
    return False
  return not any('\ud800' <= letter <= '\udfff' for letter in value)


def _list(name: str, value: Any, most: int) -> Sequence[Any]:
  if not isinstance(value, list) or len(value) > most:
    raise UserError(
      name, messages.say('expected a list of at most {most}', most=most)
    )
  return value


def _plain(value: Any) -> Any:
  if isinstance(value, (Request, Spec)):
    return value.record()
  if isinstance(value, tuple):
    return [_plain(one) for one in value]
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    plain: Mapping[str, Any] = dataclasses.asdict(value)
    return {k: v for k, v in plain.items() if v is not None}
  return value
