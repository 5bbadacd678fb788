"""Long text as an arc: sections, each with the feeling of a part of it."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
import re
from typing import Any
from typing import NamedTuple

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import spelling
from emotion_musicvae.support import messages

MAX_SECTIONS = 8
# How near in valence and arousal two feelings are told in one section.
_ALIKE = 0.35
# Bars of a section, by the share that its text has of the longest part.
_BARS = ((0.5, 16), (0.25, 8), (0.0, 4))
_ENDS = re.compile(r'(?<=[.!?…。！？])\s+|\n+')


class Section(NamedTuple):
  """A part of a text, and what the music there follows.

  Attributes:
    emotion: of its feeling; all sections have the instrument and the style of
      the accompaniment of the longest one.
    intensity: how far to follow it, as `Recognition.intensity`.
    bars: length of the section, 4, 8 or 16; the last one has 16, to close.
    text: the part.
    recognized: what was read in it.
  """

  emotion: catalogue.Emotion
  intensity: float
  bars: int
  text: str = ''
  recognized: recognition.Recognition | None = None

  def described(self) -> str:
    """One line on what was recognized, in the language of the text."""
    if not self.recognized:
      return ''
    return messages.say_in(
      self.recognized.language,
      '{bars} bars. {recognized}',
      bars=self.bars,
      recognized=recognition.describe(self.recognized),
    )

  def record(self) -> dict[str, Any]:
    """The section as plain values for a JSON."""
    return {
      'text': self.text,
      'bars': self.bars,
      'intensity': self.intensity,
      'emotion': dataclasses.asdict(self.emotion),
      'recognized': self.recognized and dataclasses.asdict(self.recognized),
    }


def from_text(
  text: str,
  emotions: Sequence[catalogue.Emotion] | None = None,
  where: str = 'text',
) -> list[Section]:
  """The sections of a text, where its feeling changes.

  Sentences without a feeling belong to the one before; neighbours that feel
  alike are one section, and where there are more than `MAX_SECTIONS` those
  nearest to one another are joined.

  Args:
    text: as in `readings.from_text`.
    emotions: likewise.
    where: likewise.

  Returns:
    List of `Section`, at least one.

  Raises:
    UserError: no feeling was recognized in the text.
  """
  emotions = catalogue.load() if emotions is None else emotions
  whole = spelling.decoded(text)[: recognition.MAX_CHARACTERS]
  parts: list[_Part] = []
  before = ''
  for sentence in filter(None, map(str.strip, _ENDS.split(whole))):
    part = _Part.of(f'{before}\n{sentence}' if before else sentence)
    if part.found.known:
      parts.append(part)
      before = ''
    elif parts:
      parts[-1] = parts[-1].longer(sentence)
    else:
      before = part.text
  if not parts:
    readings.from_text(text, emotions, where)  # says why there is none
    parts = [_Part.of(whole)]
  while len(parts) > 1:
    distance, i = min(
      (a.distance(b), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))
    )
    if distance > _ALIKE and len(parts) <= MAX_SECTIONS:
      break
    parts[i : i + 2] = [parts[i].joined(parts[i + 1])]
  return _sections(parts, emotions, where)


class _Part(NamedTuple):
  """Sentences that are told in one section."""

  text: str
  found: recognition.Recognition

  @classmethod
  def of(cls, text: str) -> _Part:
    return cls(text, recognition.recognize(text))

  def longer(self, sentence: str) -> _Part:
    """With a sentence that has no feeling."""
    return self._replace(text=f'{self.text}\n{sentence}')

  def joined(self, other: _Part) -> _Part:
    """With the next; as the stronger where both together say nothing."""
    both = _Part.of(f'{self.text}\n{other.text}')
    if both.found.known:
      return both
    stronger = max(self, other, key=lambda part: part.found.strength)
    return both._replace(found=stronger.found)

  def distance(self, other: _Part) -> float:
    """How far apart two feelings lie; none where the first emotion is one."""
    if next(iter(self.found.weights)) == next(iter(other.found.weights)):
      return 0.0
    return math.dist(
      (self.found.valence, self.found.arousal),
      (other.found.valence, other.found.arousal),
    )


def _sections(
  parts: Sequence[_Part], emotions: Sequence[catalogue.Emotion], where: str
) -> list[Section]:
  longest = max(parts, key=lambda part: len(part.text))
  main = readings.of_recognition(longest.found, emotions, longest.text, where)
  sections = []
  for part in parts:
    share = len(part.text) / len(longest.text)
    emotion = readings.of_recognition(part.found, emotions, part.text, where)
    sections.append(
      Section(
        dataclasses.replace(emotion, program=main.program, style=main.style),
        part.found.intensity,
        next(bars for least, bars in _BARS if share >= least),
        part.text,
        part.found,
      )
    )
  sections[-1] = sections[-1]._replace(bars=_BARS[0][1])
  return sections
