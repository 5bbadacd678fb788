"""How a melody can be asked to be played, and the styles there are.

Nothing here needs more than the standard library and YAML, so that a request is
refused before anything is loaded.
"""

from collections.abc import Mapping
import dataclasses
import difflib
import functools
from typing import Any

from emotion_musicvae.music import metres
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

ACCOMPANIMENTS = ('none', 'chords', 'full')
# Drums of a pattern, and their pitches by General MIDI.
DRUMS = {'kick': 36, 'rim': 37, 'snare': 38, 'hat': 42}
METRE = '4/4'  # that every style has


@dataclasses.dataclass(frozen=True)
class Style:
  """What an accompaniment plays, as `configs/styles.yaml` explains.

  Attributes:
    chord_program: General MIDI instrument of the chords, counted from 0.
    bass_program: that of the bass.
    level: decibels of the chords above the melody.
    bass_level: those of the bass.
    drum_level: those of the drums.
    patterns: by metre, as '4/4', and by name, as `chords`: a row for each bar.
  """

  chord_program: int
  bass_program: int
  level: float
  bass_level: float
  drum_level: float
  patterns: Mapping[str, Mapping[str, tuple[str, ...]]]

  def pattern(self, metre: metres.Metre) -> Mapping[str, tuple[str, ...]]:
    """What is played in a metre, by name: a row for each bar.

    Where the style says nothing of the metre, that is what it has for the one
    that counts alike: rows may then be longer than a bar or shorter.
    """
    if metre.is_compound:
      alike = ['6/8', '3/4']
    else:
      alike = ['3/4'] if metre.numerator % 3 == 0 else []
    near = next(m for m in (str(metre), *alike, METRE) if m in self.patterns)
    return self.patterns[near]


@dataclasses.dataclass(frozen=True)
class Playing:
  """How a melody is to be played, beside what its emotion says.

  Attributes:
    accompaniment: 'none'; 'chords', a track of them in a style; or 'full', bass
      and the style's drums as well.
    style: name of a style; the emotion's own where it is empty.
    humanize: how uneven in time and force, from 0 (not at all) to 1.
    ritardando: whether the last two bars slow down.
    loop: whether it is to be repeated: an accompaniment then closes with no
      chord of its own, and the audio is as long as its bars.
    room: how much the audio reverberates, from 0 (not at all) to 1.
    soundfont: SF2 or SF3 file to play the audio with; that of the package
      pretty_midi where it is empty.
    lyrics: words that a MIDI file has beside the notes.

  Raises:
    UserError: a name that there is not, a number out of range, or settings that
      do not go together.
  """

  accompaniment: str = 'none'
  style: str = ''
  humanize: float = 0.0
  ritardando: bool = False
  loop: bool = False
  room: float = 0.0
  soundfont: str = ''
  lyrics: str = ''

  def __post_init__(self) -> None:
    if self.accompaniment not in ACCOMPANIMENTS:
      raise refusals.unknown(
        'accompaniment', self.accompaniment, ACCOMPANIMENTS
      )
    if self.style:
      check_style(self.style, 'style')
      if self.accompaniment == 'none':
        raise UserError(
          'style', messages.say('goes with an accompaniment, chords or full')
        )
    ranges.HUMANIZE.check('humanize', self.humanize)
    ranges.ROOM.check('room', self.room)
    if self.soundfont:
      _check_soundfont(self.soundfont)
    if self.ritardando and self.loop:
      raise UserError(
        'ritardando',
        messages.say('what slows down is no loop'),
        messages.say('leave one out'),
      )


PLAIN = Playing()  # what its emotion says, and no more


def _check_soundfont(path: str) -> None:
  """Refuses a file that is no SoundFont by what it begins with."""
  try:
    with open(path, 'rb') as f:
      head = f.read(12)
  except OSError as e:
    raise refusals.unreadable('soundfont', path, e) from None
  if (head[:4], head[8:]) != (b'RIFF', b'sfbk'):
    raise UserError(
      'soundfont',
      messages.say('{path!r} is no SoundFont', path=path),
      messages.say('name an .sf2 or .sf3 file'),
    )


@functools.cache
def styles() -> dict[str, Style]:
  """The styles of `configs/styles.yaml` by name, in its order."""
  return {
    name: _style(dict(entry))
    for name, entry in configuration.load_yaml('styles')['styles'].items()
  }


def _style(entry: dict[str, Any]) -> Style:
  patterns = {
    metre: {
      name: tuple(row.split('|')) for name, row in entry.pop(metre).items()
    }
    for metre in [key for key in entry if '/' in key]
  }
  return Style(**{'drum_level': 0.0, **entry}, patterns=patterns)


def check_style(name: str, where: str) -> None:
  """Refuses a style that there is not.

  Args:
    name: as a user typed it.
    where: what to name in an error, an argument or a file.

  Raises:
    UserError: names the nearest, and those that there are.
  """
  known = list(styles())
  if name in known:
    return
  near = difflib.get_close_matches(name, known, n=1)
  hint = messages.say('; did you mean {name}?', name=near[0]) if near else ''
  raise UserError(
    where,
    messages.say('there is no style {name!r}{hint}', name=name, hint=hint),
    messages.say('there are {known}', known=', '.join(known)),
  )
