"""What comes from outside: feelings in words, chords, files, a keyboard."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any

import numpy as np

from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.studio import requests
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

_SUFFIXES = (
  '.mid',
  '.midi',
  '.kar',
  '.rmi',
  '.musicxml',
  '.xml',
  '.mxl',
  '.abc',
)


def song_of_file(content: bytes, name: str) -> songs.Song:
  """The melody of a file that was sent.

  Args:
    content: of the file.
    name: that it is called; only its ending counts.

  Raises:
    UserError: there is no melody in it.
  """
  stem, suffix = os.path.splitext(os.path.basename(name.replace('\\', '/')))
  if suffix.lower() not in _SUFFIXES:
    raise UserError(
      'song', messages.say('expected a MIDI, MusicXML or ABC file')
    )
  with tempfile.TemporaryDirectory(prefix='emotion_musicvae_') as folder:
    path = os.path.join(folder, 'song' + suffix.lower())
    with open(path, 'wb') as f:
      f.write(content)
    try:
      song = songs.load_song(path)
    except UserError as e:
      raise UserError(
        'song', e.problem.replace(path, name[:80]), e.remedy
      ) from None
  return dataclasses.replace(song, name=stem[:80] or 'song')


def reading(values: Any, most_bars: int) -> dict[str, Any]:
  """What is read in a request, as plain values: the blend, and why.

  Args:
    values: what a browser sent.
    most_bars: see `requests.Request.of`.

  Raises:
    UserError: nothing is.
  """
  request = requests.Request.of(values, most_bars)
  emotion, intensity = request.followed()
  found = request.recognized()
  return {
    'korean': emotion.name,
    'english': emotion.alias or emotion.name,
    'weights': found.weights if found else {},
    'evidence': [list(one) for one in found.evidence[:6]] if found else [],
    'place': [found.valence, found.arousal] if found else None,
    'intensity': intensity,
    'targets': {
      'mean_pitch': emotion.mean_pitch,
      'onsets_per_bar': emotion.onsets_per_bar,
      'mode': emotion.mode,
      'chords': emotion.chords,
      'qpm': emotion.qpm,
      'program': emotion.program,
    },
  }


def song_of_keys(values: Any, qpm: Any, most_bars: int) -> songs.Song:
  """The melody that was played on a keyboard.

  Args:
    values: `[[start, end, pitch], …]` in sixteenths and MIDI, one voice.
    qpm: its tempo.
    most_bars: how long it may be.

  Raises:
    UserError: it is something else.
  """
  most = most_bars * melody.STEPS_PER_BAR
  try:
    notes = sorted((int(a), int(b), int(p)) for a, b, p in values)
    end = max(b for _, b, _ in notes)
    fits = notes[0][0] >= 0 and end <= most and len(notes) <= most
    fits = fits and all(
      a < b and melody.MIN_PITCH <= p < melody.MIN_PITCH + 88
      for a, b, p in notes
    )
  except (TypeError, ValueError, OverflowError):
    fits = False
  if not fits:
    raise UserError(
      'notes',
      messages.say('expected notes within {most} bars', most=most_bars),
    )
  tokens = [0] * (-(-end // melody.STEPS_PER_BAR) * melody.STEPS_PER_BAR)
  tokens[0] = melody.NOTE_OFF
  for start, stop, pitch in notes:
    # The next note ends one that still sounds.
    if stop < len(tokens):
      tokens[stop] = tokens[stop] or melody.NOTE_OFF
    tokens[start] = pitch - melody.MIN_PITCH + melody.FIRST_ONSET
    following = [a for a, _, _ in notes if a > start]
    for step in range(start + 1, min([stop, *following])):
      tokens[step] = 0
  packed = {
    'name': 'keyboard',
    'tokens': requests.packed(np.array(tokens)),
    'qpm': qpm,
  }
  return requests.Packed.of(packed, most_bars).song()
