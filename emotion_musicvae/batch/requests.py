"""Requests of a batch job: read row by row, and understood.

A request that cannot be met becomes a `Failure`, and the rest go on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import csv
import dataclasses
import functools
import io
import json
import os
from typing import Any
from typing import BinaryIO
from typing import NamedTuple
from typing import TYPE_CHECKING

import numpy as np

from emotion_musicvae.emotions import arcs
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import targets as replacing
from emotion_musicvae.files import writers
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from emotion_musicvae.files import songs

TARGETS = (
  'mean_pitch',
  'onsets_per_bar',
  'mode',
  'chords',
  'cadence',
  'time_signature',
  'qpm',
  'target',
)
FIELDS = (
  'emotion',
  'text',
  'arc',
  *TARGETS,
  'num_outputs',
  'seed',
  'temperature',
  'intensity',
  'guidance',
  'keep',
  'output_formats',
  'input_midi',
  'start_bar',
  'track',
)
KEEP = 0.7  # where a request names none
# What fields were called before they were called as their flags are.
_OLD_NAMES = {'num_outputs': 'count', 'output_formats': 'formats'}

# A line, what stands there, and its fields.
Row = tuple[int, str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Request:
  """So many melodies of one emotion.

  Attributes:
    line: where it stands, from 1.
    emotion: `catalogue.Emotion`.
    num_outputs: how many melodies, see `ranges.COUNT`.
    seed: integer from 0; melody i of a seed is the same in every job.
    temperature: softmax temperature of the decoder.
    intensity: how far to follow the emotion, from 0 to 1.
    formats: what to write, names out of `writers.FORMATS` in their order.
    song: `songs.Song` of the user's to move to the emotion, or None.
    guidance: how strongly to guide the decoder, from 0 to 1.
    sections: of an arc what each of its sections follows.
    recognized: what was recognized in its text, a line for each section.
    keep: how much of the song stays, from 0 to 1.
    chords: that the song is to follow: 'own', 'emotion' or a progression.
  """

  line: int
  emotion: catalogue.Emotion
  num_outputs: int
  seed: int
  temperature: float
  intensity: float
  formats: tuple[str, ...] = ('mid',)
  song: songs.Song | None = None
  guidance: float = 1.0
  sections: tuple[arcs.Section, ...] = ()
  recognized: tuple[str, ...] = ()
  keep: float = KEEP
  chords: str = 'own'

  @property
  def num_windows(self) -> int:
    """How many windows of 16 bars each of its melodies takes."""
    return self.song.num_windows if self.song else max(len(self.sections), 1)


class _Followed(NamedTuple):
  """What a request follows, and the share of its intensity; see `Request`."""

  emotion: catalogue.Emotion
  share: float
  sections: tuple[arcs.Section, ...]
  recognized: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Failure:
  """A request that cannot be met: its line, why, and what stands there."""

  line: int
  reason: str
  request: str


def jsonl_rows(stream: Iterable[bytes]) -> Iterator[Row | Failure]:
  """Reads requests from lines of JSON.

  Args:
    stream: yields lines as bytes.

  Yields:
    `(line, text, fields)`, or the `Failure` of a line that is no JSON object.
  """
  for line, raw in enumerate(stream, 1):
    text = raw.decode('utf-8', 'backslashreplace').lstrip('\ufeff').strip()
    if not text:
      continue
    try:
      fields = json.loads(text)
    except (ValueError, RecursionError) as e:
      yield Failure(line, messages.say('not JSON: {error}', error=e), text)
      continue
    if isinstance(fields, dict):
      yield line, text, fields
    else:
      yield Failure(
        line, messages.say('not a JSON object: {"emotion": …}'), text
      )


def csv_rows(stream: BinaryIO) -> Iterator[Row | Failure]:
  """Reads requests from a CSV with a heading.

  Args:
    stream: binary file in UTF-8.

  Yields:
    `(line, text, fields)`, or the `Failure` of a row longer than the heading.

  Raises:
    UserError: a heading that is no field of a request.
  """
  text = io.TextIOWrapper(
    stream, 'utf-8-sig', errors='backslashreplace', newline=''
  )
  reader = csv.DictReader(text)
  _refuse_unknown(reader.fieldnames or ['nothing'], 'requests')
  for fields in reader:
    beyond = fields.pop(None, None)
    row = ','.join([*(v or '' for v in fields.values()), *(beyond or ())])
    if beyond:
      yield Failure(
        reader.line_num, messages.say('more cells than the heading has'), row
      )
    else:
      yield reader.line_num, row, fields


def plain_rows(names: Iterable[str], num_outputs: int) -> Iterator[Row]:
  """One request for each of some emotions, numbered from 1."""
  for line, name in enumerate(names, 1):
    yield line, name, {'emotion': name, 'num_outputs': num_outputs}


def parse_formats(
  value: str | list[str], argument: str, tfrecord: bool
) -> tuple[str, ...]:
  """Formats of a melody's files.

  Args:
    value: list of names, or text with commas or spaces between them.
    argument: what to name in an error, an argument or a field.
    tfrecord: whether the job writes TFRecords in place of files.

  Returns:
    Tuple of names out of `writers.FORMATS`, in their order.

  Raises:
    UserError: a format that is unknown, that a melody alone has no file of,
      that takes a package which is not installed, or that is no NoteSequence.
  """
  names = value
  if not isinstance(value, list):
    names = str(value).replace(',', ' ').split()
  able = tuple(name for name in writers.FORMATS if name != 'html')
  if 'html' in names:
    raise UserError(
      argument,
      messages.say(
        'html is one page for a whole run of emotion_musicvae_generate'
      ),
      messages.say('of a job there are {known}', known=', '.join(able)),
    )
  writers.check_formats(names, argument, able)
  if tfrecord and {*names} != {'mid'}:
    raise UserError(
      argument,
      messages.say('`output_tfrecord` writes NoteSequences in place of files'),
      messages.say('leave one of them out'),
    )
  return tuple(name for name in able if name in names)


def parse(
  rows: Iterable[Row | Failure],
  known: list[catalogue.Emotion],
  seed: int,
  temperature: float,
  intensity: float,
  guidance: float,
  formats: tuple[str, ...],
  tfrecord: bool,
) -> Iterator[Request | Failure]:
  """Understands requests.

  Args:
    rows: from `jsonl_rows`, `csv_rows` or `plain_rows`.
    known: emotions to choose from.
    seed: where requests without one take theirs from, each another.
    temperature: of requests that name none, see `ranges`.
    intensity: of requests that name none, likewise.
    guidance: of requests that name none, likewise.
    formats: of requests that name none.
    tfrecord: see `parse_formats`.

  Yields:
    A `Request`, or a `Failure`, for each row.
  """

  # Take seconds to load, and bad flags are told before.
  # pylint: disable=g-import-not-at-top
  from emotion_musicvae.files import songs
  from emotion_musicvae.music import harmony
  from emotion_musicvae.music import metres

  @functools.lru_cache(maxsize=4096)
  def followed(
    name: Any, text: Any, is_arc: bool, targets: tuple[tuple[str, Any], ...]
  ) -> _Followed:
    if name and text:
      raise UserError('text', messages.say('leave it out, or `emotion`'))
    if is_arc and not text:
      raise UserError('arc', messages.say('goes with `text`'))

    def adjusted(emotion: catalogue.Emotion) -> catalogue.Emotion:
      asked = dict(targets)
      if 'time_signature' in asked:
        emotion = catalogue.in_metre(emotion, str(asked.pop('time_signature')))
      further = asked.pop('target', None)
      if asked:
        values = {**dataclasses.asdict(emotion), **asked}
        emotion = configuration.build(catalogue.Emotion, values, 'targets')
        catalogue.check(emotion, 'targets')
      if further is not None:
        emotion = replacing.replaced(emotion, str(further))
      metre = metres.parse(emotion.time_signature)
      harmony.chord_tones(emotion.chords, metre=metre)
      return emotion

    if is_arc:
      # The plan keeps no text of the user's.
      sections = tuple(
        section._replace(emotion=adjusted(section.emotion))
        for section in arcs.from_text(str(text), known)
      )
      return _Followed(
        sections[0].emotion,
        1.0,
        tuple(s._replace(text='', recognized=None) for s in sections),
        tuple(section.described() for section in sections),
      )
    emotion, share = catalogue.Emotion(name='target', alias='target'), 1.0
    lines: tuple[str, ...] = ()
    if name:
      emotion = catalogue.parse(str(name), known)
      lines = tuple(catalogue.readings(str(name), known))
    if text:
      emotion, found = readings.from_text(str(text), known)
      share = found.intensity
      lines = (recognition.describe(found),)
    return _Followed(adjusted(emotion), share, (), lines)

  @functools.lru_cache(maxsize=256)
  def load(path: str, track: int | None, start_bar: int | None) -> songs.Song:
    path = os.path.expanduser(path)
    return songs.load_song(path, start_bar, track, 'input_midi')

  def song_of(
    fields: dict[str, Any], number: Callable[..., Any]
  ) -> songs.Song | None:
    path = fields.get('input_midi')
    track, start_bar = (
      number(name, ranges.COUNT) if name in fields else None
      for name in ('track', 'start_bar')
    )
    for name, given in (
      ('arc', _flag(fields, 'arc')),
      ('time_signature', 'time_signature' in fields),
    ):
      if path is not None and given:
        raise UserError(name, messages.say('leave it out, or `input_midi`'))
    if path is not None:
      return load(str(path), track, start_bar)
    if track or start_bar:
      raise UserError(
        'input_midi', messages.say('name your melody to take a track or bar of')
      )
    return None

  for row in rows:
    if isinstance(row, Failure):
      yield row
      continue
    line, text, fields = row
    try:
      fields = _given(fields)
      number = functools.partial(_number, fields)
      formats_field = _as_written('output_formats', fields)
      # Chords of a song are its own business.
      has_song = fields.get('input_midi') is not None
      chords = str(fields.pop('chords', 'own')) if has_song else 'own'
      if chords not in ('own', 'emotion'):
        harmony.chord_tones(chords)
      wanted = followed(
        fields.get('emotion'),
        fields.get('text'),
        _flag(fields, 'arc'),
        tuple((name, fields[name]) for name in TARGETS if name in fields),
      )
      yield Request(
        line,
        wanted.emotion,
        number(_as_written('num_outputs', fields), ranges.COUNT, 1),
        number('seed', ranges.SEED, _own_seed(seed, line)),
        number('temperature', ranges.TEMPERATURE, temperature),
        wanted.share * number('intensity', ranges.INTENSITY, intensity),
        parse_formats(fields[formats_field], formats_field, tfrecord)
        if formats_field in fields
        else formats,
        song_of(fields, number),
        number('guidance', ranges.GUIDANCE, guidance),
        wanted.sections,
        wanted.recognized,
        number('keep', ranges.KEEP, KEEP),
        chords,
      )
    except ValueError as e:
      yield Failure(line, str(e), text)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
  """Fields with a value; refuses what is none of a request's."""
  _refuse_unknown(fields)
  given = {k: v for k, v in fields.items() if v not in (None, '')}
  for name, old in _OLD_NAMES.items():
    if {name, old} <= {*given}:
      raise UserError(old, messages.say('leave it out, or `{name}`', name=name))
  for name, value in given.items():
    listed = name.endswith('formats') and isinstance(value, list)
    for one in value if listed else [value]:
      if (isinstance(one, bool) and name != 'arc') or not isinstance(
        one, str | int | float
      ):
        raise UserError(
          name,
          messages.say('expected a number or text, got {value!r}', value=value),
        )
  if not {'emotion', 'text', *TARGETS} & set(given):
    raise UserError(
      '', messages.say('neither an emotion nor a text nor a target')
    )
  return given


def _as_written(name: str, fields: dict[str, Any]) -> str:
  """A field's name, or its old one where that was used."""
  old = _OLD_NAMES[name]
  return old if old in fields else name


def _refuse_unknown(names: Iterable[str], argument: str = '') -> None:
  for name in names:
    if name not in (*FIELDS, *_OLD_NAMES.values()):
      raise UserError(
        argument,
        messages.say('no field is called {name!r}', name=name),
        messages.say('there are {known}', known=', '.join(FIELDS)),
      )


def _number(
  fields: dict[str, Any], name: str, able: ranges.Range, default: Any = None
) -> Any:
  return able.parse(name, fields.get(name, default))


def _flag(fields: dict[str, Any], name: str) -> bool:
  """Whether a field says yes, which may be text as a cell of a table is."""
  said = str(fields.get(name, 'false')).lower()
  if said not in ('true', 'false'):
    raise UserError(
      name, messages.say('expected true or false, got {value!r}', value=said)
    )
  return said == 'true'


def _own_seed(seed: int, line: int) -> int:
  # 53 bits, which every reader of JSON keeps.
  return int(
    np.random.SeedSequence((seed, line)).generate_state(1, np.uint64)[0] >> 11
  )
