"""Requests cut into shards of equal size, and the melodies of a shard.

A shard says all that its melodies depend on, in plain values: which requests
they belong to, and each request's emotion or sections, seed, temperature,
intensity, guidance and formats, and the notes of the user's own melody that it
moves, what of it stays and over which chords. A worker needs no other file of
the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import numpy as np

from emotion_musicvae.batch import requests
from emotion_musicvae.emotions import arcs
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.music import metres

if TYPE_CHECKING:
  from emotion_musicvae.files import songs

# Windows of 16 bars in a shard, which most melodies are one of: the unit of
# work, and all that a killed worker loses.
SHARD_SIZE = 128

# What JSON keeps: 'shard' (its number), 'emotions', 'formats', 'songs', 'arcs'
# and 'recognized' (each stands there once), and 'slices' (which melodies, of
# what).
Shard = dict[str, Any]


class Item(NamedTuple):
  """A melody of a shard: melody `number` of the request in `line`."""

  line: int
  emotion: catalogue.Emotion
  formats: list[str]
  song: songs.Song | None
  number: int
  seed: int
  temperature: float
  intensity: float
  guidance: float
  keep: float
  chords: str
  sections: list[arcs.Section]
  recognized: list[str]

  @property
  def name(self) -> str:
    """Its name in files, unlike any other of the job."""
    return f'{self.line:07d}-{self.number:06d}'


def cut(found: Iterable[requests.Request]) -> Iterator[Shard]:
  """Cuts requests into shards, in their order.

  Args:
    found: requests.

  Yields:
    What `items` reads. Each has as many melodies as fit into `SHARD_SIZE`
    windows, but for the last; a longer one is alone.
  """
  number, room = 0, SHARD_SIZE
  slices: list[tuple[requests.Request, int, int]] = []
  for request in found:
    done = 0
    while done < request.num_outputs:
      fit = room // request.num_windows or int(room == SHARD_SIZE)
      n = min(fit, request.num_outputs - done)
      if n:
        slices.append((request, done, n))
        done, room = done + n, room - n * request.num_windows
      if not n or room <= 0:
        yield _shard(number, slices)
        number, room, slices = number + 1, SHARD_SIZE, []
  if slices:
    yield _shard(number, slices)


def items(shard: Shard) -> list[Item]:
  """The melodies of a shard, in order."""
  from emotion_musicvae.files import songs  # pylint: disable=g-import-not-at-top

  known = [catalogue.Emotion(**fields) for fields in shard['emotions']]
  own = [
    songs.Song(
      **{
        **fields,
        'tokens': np.array(fields['tokens'], np.uint8),
        'metre': metres.Metre(*fields['metre']),
      }
    )
    for fields in shard['songs']
  ]
  sections = [
    [
      arcs.Section(known[emotion], intensity, bars)
      for emotion, intensity, bars in arc
    ]
    for arc in shard['arcs']
  ]
  return [
    Item(
      line,
      known[emotion],
      shard['formats'][formats],
      None if song is None else own[song],
      number,
      seed,
      temperature,
      intensity,
      guidance,
      keep,
      chords,
      sections[arc],
      shard['recognized'][recognized],
    )
    for (
      line,
      emotion,
      formats,
      song,
      first,
      count,
      seed,
      temperature,
      intensity,
      guidance,
      keep,
      chords,
      arc,
      recognized,
    ) in shard['slices']
    for number in range(first, first + count)
  ]


def deciding(shard: Shard) -> Shard:
  """What of a shard decides its melodies: all but what is told of them."""
  without = [{**song, 'report': ''} for song in shard['songs']]
  return {**shard, 'songs': without, 'recognized': []}


def num_melodies(shard: Shard) -> int:
  """How many melodies a shard has."""
  return sum(count for _, _, _, _, _, count, *_ in shard['slices'])


def _shard(
  number: int, slices: list[tuple[requests.Request, int, int]]
) -> Shard:
  # Requests of a job mostly share a few of these: each stands there once.
  known: dict[catalogue.Emotion, int] = {}
  formats: dict[tuple[str, ...], int] = {}
  own: dict[songs.Song, int] = {}
  sections: dict[tuple[tuple[int, float, int], ...], int] = {}
  recognized: dict[tuple[str, ...], int] = {}

  def arc(request: requests.Request) -> tuple[tuple[int, float, int], ...]:
    return tuple(
      (known.setdefault(s.emotion, len(known)), s.intensity, s.bars)
      for s in request.sections
    )

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
      r.guidance,
      r.keep,
      r.chords,
      sections.setdefault(arc(r), len(sections)),
      recognized.setdefault(r.recognized, len(recognized)),
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
    'arcs': list(sections),
    'recognized': list(recognized),
    'slices': rows,
  }
