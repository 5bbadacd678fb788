"""Flags that say how melodies are played, of every command that writes some."""

import dataclasses
from typing import Any

from absl import flags

from emotion_musicvae.files import playing

FLAGS = flags.FLAGS

# What is defined here belongs to the command that asks for it.
flags.disclaim_key_flags()


class _Styles(flags.ArgumentParser):
  """Takes any text, as `playing` refuses a style with the nearest."""

  def __init__(self) -> None:
    self.enum_values = list(playing.styles())  # which the help lists


def define() -> None:
  """Defines a flag for each field of `playing.Playing`."""
  flags.DEFINE_string(
    'accompaniment',
    'none',
    'none: the melody alone; chords: a track of its chords; full: bass and '
    'drums as well, where the style has them.',
  )
  flags.DEFINE(
    _Styles(),
    'style',
    '',
    "Figure of the accompaniment, in place of the emotion's.",
  )
  flags.DEFINE_float(
    'humanize', 0.0, 'How uneven in time and force, from 0 (not at all) to 1.'
  )
  flags.DEFINE_bool('ritardando', False, 'Slow down over the last two bars.')
  flags.DEFINE_bool(
    'loop',
    False,
    'To be repeated: audio as long as its bars, and no closing chord.',
  )
  flags.DEFINE_float('room', 0.0, 'Reverberation of the audio, from 0 to 1.')
  flags.DEFINE_string(
    'soundfont',
    '',
    'SoundFont to play the audio with, .sf2 or .sf3; that of the package '
    'pretty_midi if none is named.',
  )


def asked(lyrics: str = '') -> playing.Playing:
  """What the flags ask for.

  Args:
    lyrics: see `playing.Playing`.

  Raises:
    UserError: a value that will not do; names the flag.
  """
  names = {f.name for f in dataclasses.fields(playing.Playing)} - {'lyrics'}
  given: dict[str, Any] = {name: FLAGS[name].value for name in names}
  return playing.Playing(**given, lyrics=lyrics)
