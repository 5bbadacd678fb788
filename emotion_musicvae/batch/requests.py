"""Batch jobs: requests, line by line, cut into shards of equal size.

A shard says all that its melodies depend on, in plain values: which requests
they belong to, and each request's emotion, seed, temperature, intensity and
formats, and the notes of the user's own melody that it moves. Whoever sings it
needs no other file of the user's.
"""

import collections
import csv
import dataclasses
import functools
import io
import json

import numpy as np

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import writers
from emotion_musicvae.support import configuration
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

# Windows of 16 bars in a shard, which most melodies are one of: the unit of
# work, and all that a killed worker loses.
SHARD_SIZE = 128
TARGETS = ('mean_pitch', 'onsets_per_bar', 'mode', 'chords', 'qpm')
FIELDS = (
  'emotion',
  'text',
  *TARGETS,
  'count',
  'seed',
  'temperature',
  'intensity',
  'formats',
  'input_midi',
  'start_bar',
  'track',
)


@dataclasses.dataclass(frozen=True)
class Request:
  """So many melodies of one emotion.

  Attributes:
    line: where it stands, from 1.
    emotion: `catalogue.Emotion`.
    count: how many melodies.
    seed: integer from 0; melody i of a seed is the same in every job.
    temperature: softmax temperature of the decoder.
    intensity: how far to follow the emotion, from 0 to 1.
    formats: what to write, names out of `writers.FORMATS` in their order.
    song: `songs.Song` of the user's to move to the emotion, or None.
  """

  line: int
  emotion: catalogue.Emotion
  count: int
  seed: int
  temperature: float
  intensity: float
  formats: tuple = ('mid',)
  song: object = None

  @property
  def num_windows(self):
    """How many windows of 16 bars each of its melodies takes."""
    return self.song.num_windows if self.song else 1


@dataclasses.dataclass(frozen=True)
class Failure:
  """A request that cannot be met: its line, why, and what stands there."""

  line: int
  reason: str
  request: str


class Item(
  collections.namedtuple(
    'Item', 'line emotion formats song number seed temperature intensity'
  )
):
  """A melody of a shard: melody `number` of the request in `line`."""

  @property
  def name(self):
    """Its name in files, unlike any other of the job."""
    return f'{self.line:07d}-{self.number:06d}'


def jsonl_rows(stream):
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
      yield Failure(line, f'not JSON: {e}', text)
      continue
    if isinstance(fields, dict):
      yield line, text, fields
    else:
      yield Failure(line, 'not a JSON object: {"emotion": …}', text)


def csv_rows(stream):
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
      yield Failure(reader.line_num, 'more cells than the heading has', row)
    else:
      yield reader.line_num, row, fields


def plain_rows(names, count):
  """One request for each of some emotions, numbered from 1."""
  for line, name in enumerate(names, 1):
    yield line, name, {'emotion': name, 'count': count}


def parse_formats(value, argument, tfrecord):
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
      'html is one page for a whole run of emotion_musicvae_generate',
      f'of a job there are {", ".join(able)}',
    )
  writers.check_formats(names, argument, able)
  if tfrecord and {*names} != {'mid'}:
    raise UserError(
      argument,
      '`output_tfrecord` writes NoteSequences in place of files',
      'leave one of them out',
    )
  return tuple(name for name in able if name in names)


def requests(rows, known, seed, temperature, intensity, formats, tfrecord):
  """Understands requests.

  Args:
    rows: from `jsonl_rows`, `csv_rows` or `plain_rows`.
    known: list of `catalogue.Emotion` to choose from.
    seed: where requests without one take theirs from, each another.
    temperature: of requests that name none.
    intensity: of requests that name none.
    formats: of requests that name none.
    tfrecord: see `parse_formats`.

  Yields:
    A `Request`, or a `Failure`, for each row.
  """

  # Take seconds to load, and bad flags are told before.
  # pylint: disable=g-import-not-at-top
  from emotion_musicvae.files import songs
  from emotion_musicvae.music import harmony

  @functools.lru_cache(maxsize=4096)
  def wanted(name, text, targets):
    emotion, strength = catalogue.Emotion(name='target', alias='target'), 1.0
    if name and text:
      raise UserError('text', 'leave it out, or `emotion`')
    if name:
      emotion = catalogue.parse(str(name), known)
    if text:
      emotion, recognized = catalogue.from_text(str(text), known, 'text')
      strength = recognized.strength
    if targets:
      values = {**dataclasses.asdict(emotion), **dict(targets)}
      emotion = configuration.build(catalogue.Emotion, values, 'targets')
      catalogue.check(emotion, 'targets')
    harmony.chord_tones(emotion.chords)
    return emotion, strength

  @functools.lru_cache(maxsize=256)
  def song(path, track, start_bar):
    return songs.load_song(path, start_bar, track, 'input_midi')

  def own(fields, number):
    path = fields.get('input_midi')
    track, start_bar = (
      number(name, ranges.COUNT) if name in fields else None
      for name in ('track', 'start_bar')
    )
    if path is not None:
      return song(str(path), track, start_bar)
    if track or start_bar:
      raise UserError(
        'input_midi', 'name your melody to take a track or bar of'
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
      emotion, strength = wanted(
        fields.get('emotion'),
        fields.get('text'),
        tuple((name, fields[name]) for name in TARGETS if name in fields),
      )
      yield Request(
        line,
        emotion,
        number('count', ranges.COUNT, 1),
        number('seed', ranges.SEED, _own_seed(seed, line)),
        number('temperature', ranges.TEMPERATURE, temperature),
        strength * number('intensity', ranges.INTENSITY, intensity),
        parse_formats(fields['formats'], 'formats', tfrecord)
        if 'formats' in fields
        else formats,
        own(fields, number),
      )
    except ValueError as e:
      yield Failure(line, str(e), text)


def shards(wanted):
  """Cuts requests into shards, in their order.

  Args:
    wanted: iterable of `Request`.

  Yields:
    Dictionaries for a JSON, what `items` reads. Each has as many melodies as
    fit into `SHARD_SIZE` windows, but for the last; a longer one is alone.
  """
  number, room, slices = 0, SHARD_SIZE, []
  for request in wanted:
    done = 0
    while done < request.count:
      fit = room // request.num_windows or int(room == SHARD_SIZE)
      n = min(fit, request.count - done)
      if n:
        slices.append((request, done, n))
        done, room = done + n, room - n * request.num_windows
      if not n or room <= 0:
        yield _shard(number, slices)
        number, room, slices = number + 1, SHARD_SIZE, []
  if slices:
    yield _shard(number, slices)


def items(shard):
  """The melodies of a shard, as a list of `Item`."""
  from emotion_musicvae.files import songs  # pylint: disable=g-import-not-at-top

  known = [catalogue.Emotion(**fields) for fields in shard['emotions']]
  own = [
    songs.Song(**{**fields, 'tokens': np.array(fields['tokens'], np.uint8)})
    for fields in shard['songs']
  ]
  return [
    Item(
      line,
      known[emotion],
      shard['formats'][formats],
      None if song is None else own[song],
      number,
      *settings,
    )
    for line, emotion, formats, song, first, count, *settings in shard['slices']
    for number in range(first, first + count)
  ]


def num_melodies(shard):
  """How many melodies a shard has."""
  return sum(count for _, _, _, _, _, count, *_ in shard['slices'])


def _shard(number, slices):
  # Requests of a job mostly share a few of these: each stands there once.
  known, formats, own = {}, {}, {}
  rows = [
    (
      r.line,
      known.setdefault(r.emotion, len(known)),
      formats.setdefault(r.formats, len(formats)),
      r.song and own.setdefault(r.song, len(own)),
      first,
      count,
      r.seed,
      r.temperature,
      r.intensity,
    )
    for r, first, count in slices
  ]
  return {
    'shard': number,
    'emotions': [dataclasses.asdict(emotion) for emotion in known],
    'formats': list(formats),
    'songs': [
      {**dataclasses.asdict(song), 'tokens': song.tokens.tolist()}
      for song in own
    ],
    'slices': rows,
  }


def _given(fields):
  """Fields with a value; refuses what is none of a request's."""
  _refuse_unknown(fields)
  given = {k: v for k, v in fields.items() if v not in (None, '')}
  for name, value in given.items():
    listed = name == 'formats' and isinstance(value, list)
    for one in value if listed else [value]:
      if isinstance(one, bool) or not isinstance(one, str | int | float):
        raise UserError(name, f'expected a number or text, got {value!r}')
  if not {'emotion', 'text', *TARGETS} & set(given):
    raise UserError('', 'neither an emotion nor a text nor a target')
  return given


def _refuse_unknown(names, argument=''):
  for name in names:
    if name not in FIELDS:
      raise UserError(
        argument,
        f'no field is called {name!r}',
        f'there are {", ".join(FIELDS)}',
      )


def _number(fields, name, able, default=None):
  return able.parse(name, fields.get(name, default))


def _own_seed(seed, line):
  # 53 bits, which every reader of JSON keeps.
  return int(
    np.random.SeedSequence((seed, line)).generate_state(1, np.uint64)[0] >> 11
  )
