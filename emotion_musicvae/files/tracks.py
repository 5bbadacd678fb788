"""The tracks of a file, and which of them has the melody."""

from collections.abc import Mapping
import dataclasses
import re

import numpy as np

from emotion_musicvae.files import lines
from emotion_musicvae.files import scores
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

# Share of its notes that a voice's melody is; and semitones: how much lower
# than chords a voice may lie that they go with, and how much lower than the
# melody what is as likely that.
_ONE_VOICE, _UNDER_CHORDS, _AS_HIGH = 0.8, 12, 7
# How people name the track that has the melody, and those that go with it.
_MELODIC = re.compile(
  r'melod|m[ée]lodie|vocal|voice|voix|\bvoz|canto|gesang|sopran|lead'
  r'|멜로디|보컬|노래|주선율|가락|メロディ|ボーカル|主旋律|旋律|歌|人声|主唱',
  re.IGNORECASE,
)
_BESIDE = re.compile(
  r'back|harmon|choir|chorus|\bpad|counter|코러스|합창|화음|반주|コーラス|和声',
  re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
  """One track of a file, in the part of it that is taken.

  Attributes:
    title: what to call it.
    name: what the file calls it.
    line: [N, 4] the notes of its melody, as in `scores.Part`, on the grid.
    num_notes: how many notes it has.
    outside: how many of them the model has no token for.
    elsewhere: how many stand in staves that do not have the melody.
    unplayed: as in `scores.Part`.
    bar: quarter notes.
  """

  title: str
  name: str
  line: scores.Notes
  num_notes: int
  outside: int
  elsewhere: int
  unplayed: Mapping[str, int]
  bar: float

  @property
  def is_one_voice(self) -> bool:
    """Whether it hardly plays more than its melody."""
    played = self.num_notes - self.outside - self.elsewhere
    return len(self.line) >= _ONE_VOICE * played

  @property
  def height(self) -> float:
    """Mean pitch of its melody."""
    return float(self.line[:, scores.PITCH].mean())

  @property
  def num_bars(self) -> int:
    """In how many bars a note begins."""
    return len(np.unique(self.line[:, scores.ONSET] // self.bar))


def track_of(
  part: scores.Part, section: scores.Section, score: scores.Score
) -> Track:
  """A part of a score as a `Track`."""
  notes = section.place(part.notes, score.performed)
  able = lines.in_range(notes)
  line = able[:0]
  if not part.is_drum:
    line = lines.melody_line(able, score.performed)
  return Track(
    part.title,
    part.name,
    line,
    len(notes),
    len(notes) - len(able),
    len(able) - len(lines.upper_staff(able)),
    part.unplayed,
    metre_of(section).bar_steps / melody.STEPS_PER_QUARTER,
  )


def metre_of(section: scores.Section) -> metres.Metre:
  assert section.metre is not None  # No other is taken.
  return section.metre


def chosen(
  tracks: list[Track], number: int | None, argument: str, subject: str
) -> tuple[Track, list[str]]:
  """The track that has the melody, and titles of others that may have it."""
  if number is not None:
    if not 1 <= number <= len(tracks):
      raise UserError(
        'track',
        messages.say(
          '{argument}: {subject} has tracks 1 to {count}, got {value}',
          argument=argument,
          subject=subject,
          count=len(tracks),
          value=number,
        ),
      )
    if not len(tracks[number - 1].line):
      raise UserError(
        'track',
        messages.say(
          '{title} has no note to take', title=tracks[number - 1].title
        ),
        messages.say('name another'),
      )
    return tracks[number - 1], []
  able = [t for t in tracks if len(t.line)]
  fullest = max(t.num_bars for t in able)
  named = [
    t for t in able if _MELODIC.search(t.name) and not _BESIDE.search(t.name)
  ]
  if named:
    return max(named, key=lambda t: t.height), []
  full = [t for t in able if t.num_bars >= fullest / 2]
  highest = max(t.height for t in full)
  voices = [
    t for t in full if t.is_one_voice and t.height >= highest - _UNDER_CHORDS
  ]
  among = voices or full
  chosen = max(among, key=lambda t: t.height)
  return chosen, [
    t.title
    for t in among
    if t is not chosen and t.height >= chosen.height - _AS_HIGH
  ]
