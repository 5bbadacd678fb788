"""What the arguments of a request may be."""

from __future__ import annotations

from collections.abc import Sequence
import os
import secrets
from typing import Any

import numpy as np

from emotion_musicvae.api import starts
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

_RANGES = {
  'n': ranges.NUM_OUTPUTS,
  'temperature': ranges.TEMPERATURE,
  'intensity': ranges.INTENSITY,
  'guidance': ranges.GUIDANCE,
  'keep': ranges.KEEP,
  'distance': ranges.DISTANCE,
  'updates': ranges.UPDATES,
}


def check(**arguments: Any) -> None:
  """Refuses numbers that are none, or out of range.

  Args:
    **arguments: those of `_RANGES` by name.

  Raises:
    UserError: names the argument and the range.
  """
  for name, value in arguments.items():
    _RANGES[name].check(name, value)


def seed(value: int | None) -> int:
  """A seed as it is, or one drawn where there is none.

  Raises:
    UserError: out of range.
  """
  if value is None:
    return secrets.randbelow(2**31)
  ranges.SEED.check('seed', value)
  return value


def emotion(
  value: catalogue.Emotion | str | None, argument: str = 'emotion'
) -> catalogue.Emotion | None:
  """An emotion as it is, by its name, or None.

  Raises:
    UserError: nothing of that name, or of another type.
  """
  if isinstance(value, str):
    named: catalogue.Emotion = catalogue.parse(value)
    return named
  if value is None or isinstance(value, catalogue.Emotion):
    return value
  raise UserError(
    argument,
    messages.say(
      'expected a name or an `Emotion`, got {value!r:.60}', value=value
    ),
  )


def held(
  tokens: melody.Tokens, bars: Sequence[int], metre: metres.Metre
) -> starts.Held:
  """Bars of a melody that are to stay.

  Args:
    tokens: of the melody.
    bars: their numbers, from 1.
    metre: of the melody.

  Raises:
    UserError: another length than the model's, or a bar that there is not.
  """
  count = metre.bars_per_window
  if len(tokens) != count * metre.bar_steps:
    raise UserError(
      'melody',
      messages.say(
        'has {bars} bars; bars can stay in a melody of {known}',
        bars=len(tokens) // metre.bar_steps,
        known=count,
      ),
    )
  for bar in bars:
    ranges.Range(int, 1, count).check('keep_bars', bar)
  heard = metre.heard()
  laid, stays = np.full(heard.shape, melody.HOLD), np.zeros(heard.shape, bool)
  laid[heard] = tokens
  stays[heard] = np.isin(np.arange(len(tokens)) // metre.bar_steps + 1, bars)
  return starts.Held(tuple(map(int, laid)), tuple(map(bool, stays)))


def song(value: Any, argument: str = 'song') -> songs.Song:
  """A song as it is, or the melody of a file or NoteSequence.

  Raises:
    UserError: there is no melody, or the value is none of these.
  """
  if isinstance(value, songs.Song):
    return value
  from note_seq.protobuf import music_pb2

  if isinstance(value, (str, os.PathLike, music_pb2.NoteSequence)):
    return songs.load_song(value, argument=argument)
  raise UserError(
    argument,
    messages.say(
      'expected the path of a file, a `NoteSequence` or a `Song`, got {value}',
      value=type(value).__name__,
    ),
  )
