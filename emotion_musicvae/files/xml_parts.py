"""One part of a MusicXML document, bar by bar as it is written."""

import collections
import dataclasses
import re
from typing import NamedTuple
from xml.etree import ElementTree

from emotion_musicvae.files import repeats

_STEPS = {'C': 0, 'D': 2, 'E': 4, 'F': 5, 'G': 7, 'A': 9, 'B': 11}
_UNITS = {
  'whole': 4.0,
  'half': 2.0,
  'quarter': 1.0,
  'eighth': 0.5,
  '16th': 0.25,
}
# Attributes of a <sound>, and what stands for it where there is none.
_MARKS = {
  'dacapo': repeats.DA_CAPO,
  'dalsegno': repeats.DAL_SEGNO,
  'segno': repeats.SEGNO,
  'tocoda': repeats.TO_CODA,
  'coda': repeats.CODA,
  'fine': repeats.FINE,
}


class Event(NamedTuple):
  """A note as written; times in quarter notes from its bar's beginning.

  Attributes:
    onset: when it begins.
    duration: how long it lasts.
    pitch: MIDI, as it sounds.
    staff: from 1.
    voice: as the file names it.
    continues: whether a tie leads to it.
    goes_on: whether a tie leads away from it.
  """

  onset: float
  duration: float
  pitch: int
  staff: int
  voice: str
  continues: bool
  goes_on: bool


@dataclasses.dataclass
class Measure:
  """A bar as written, of one part or of all.

  Attributes:
    number: as the file has it; '' if it says none.
    length: of what stands in it, in quarter notes.
    metre: as in `scores.Bar`.
    time: whether it is written here what the metre is.
    events: the notes of each part.
    tempos: `(time in the bar, quarter notes a minute)`.
    signs: which bars are played after it.
  """

  number: str = ''
  length: float = 0.0
  metre: tuple[int, int] | None = None
  time: bool = False
  events: list[list[Event]] = dataclasses.field(default_factory=list)
  tempos: list[tuple[float, float]] = dataclasses.field(default_factory=list)
  signs: repeats.Signs = dataclasses.field(default_factory=repeats.Signs)


class Reader:
  """Reads one part.

  Attributes:
    measures: its `Measure`s; each has the events of this part alone.
    is_drum: whether all its notes are unpitched.
    unplayed: as in `scores.Part`.
  """

  def __init__(self, part: ElementTree.Element, is_abc: bool):
    self._is_abc = is_abc
    self._altered: dict[str, int] = {}  # in this bar
    self.unplayed: collections.Counter[str] = collections.Counter()
    self._pending: set[str] = set()  # of the next bar
    self._divisions = 1.0
    self._transpose = 0
    self._metre: tuple[int, int] | None = None
    self._endings: frozenset[int] = frozenset()
    self._unpitched = 0
    self.measures = [self._measure(m) for m in part.findall('measure')]
    pitched = sum(len(m.events[0]) for m in self.measures)
    self.is_drum = self._unpitched > 0 and not pitched

  def _measure(self, element: ElementTree.Element) -> Measure:
    number = '' if element.get('implicit') == 'yes' else element.get('number')
    if element.get('implicit') == 'yes' and element.get('number') == '0':
      number = '0'
    measure = Measure(number or '', events=[[]])
    measure.signs.marks, self._pending = self._pending, set()
    marks: list[tuple[str, float]] = []
    self._now = self._onset = 0.0
    self._altered.clear()
    for child in element:
      if child.tag == 'note':
        self._note(child, measure)
      elif child.tag in ('backup', 'forward'):
        way = -1 if child.tag == 'backup' else 1
        self._now = max(self._now + way * self._quarters(child), 0.0)
      elif child.tag == 'attributes':
        self._attributes(child, measure)
      elif child.tag == 'barline':
        self._barline(child, measure)
        at = 0.0 if child.get('location') == 'left' else float('inf')
        marks += [(mark, at) for mark in _marks(child)]
      elif child.tag in ('direction', 'sound'):
        marks += [(mark, self._now) for mark in _marks(child)]
        tempo = _tempo(child)
        if tempo:
          measure.tempos.append((self._now, tempo))
      measure.length = max(measure.length, self._now)
    measure.metre = self._metre
    measure.signs.endings = measure.signs.endings or self._endings
    for mark, time in marks:
      # What a jump leads to begins with a bar.
      is_goal = mark in (repeats.SEGNO, repeats.CODA)
      at_end = is_goal and 0.0 < measure.length <= time
      (self._pending if at_end else measure.signs.marks).add(mark)
    return measure

  def _quarters(self, element: ElementTree.Element) -> float:
    return float(element.findtext('duration') or 0) / self._divisions

  def _attributes(self, element: ElementTree.Element, measure: Measure) -> None:
    divisions = float(element.findtext('divisions') or self._divisions)
    self._divisions = divisions if divisions > 0 else self._divisions
    transpose = element.find('transpose')
    if transpose is not None:
      self._transpose = int(float(transpose.findtext('chromatic') or 0))
      octaves = transpose.findtext('octave-change') or 0
      self._transpose += 12 * int(float(octaves))
    time = element.find('time')
    if time is not None:
      measure.time = True
      self._metre = _metre(time)

  def _note(self, element: ElementTree.Element, measure: Measure) -> None:
    if element.find('grace') is not None:
      self.unplayed['grace note'] += 1
      return
    duration = self._quarters(element)
    if element.find('chord') is None:
      self._onset = self._now
      self._now += duration
    if element.find('rest') is not None:
      return
    if element.find('cue') is not None:
      self.unplayed['cue note'] += 1
      return
    pitch = element.find('pitch')
    if pitch is None:
      self._unpitched += 1
      return
    ties = {tie.get('type') for tie in element.findall('tie')} | {
      tie.get('type') for tie in element.findall('notations/tied')
    }
    step = (pitch.findtext('step') or '').strip()
    alter = round(float(pitch.findtext('alter') or 0))
    if self._is_abc and element.find('accidental') is not None:
      self._altered[step] = alter
    elif 'stop' not in ties:
      alter = self._altered.get(step, alter)
    midi = (
      _STEPS[step]
      + alter
      + 12 * (int(pitch.findtext('octave') or 0) + 1)
      + self._transpose
    )
    measure.events[0].append(
      Event(
        self._onset,
        duration,
        midi,
        int(element.findtext('staff') or 1),
        element.findtext('voice') or '',
        bool(ties & {'stop', 'continue'}),
        bool(ties & {'start', 'continue'}),
      )
    )

  def _barline(self, element: ElementTree.Element, measure: Measure) -> None:
    signs = measure.signs
    ending = element.find('ending')
    if ending is not None:
      numbers = repeats.passes(ending.get('number') or '')
      if ending.get('type') == 'start':
        self._endings = numbers
      else:
        signs.endings = self._endings or numbers
        self._endings = frozenset()
    repeat = element.find('repeat')
    if repeat is None:
      style = element.findtext('bar-style')
      signs.closes |= self._is_abc and style in ('light-light', 'light-heavy')
    else:
      if repeat.get('direction') == 'forward':
        signs.forward = True
      else:
        times = repeat.get('times') or ''
        signs.times = int(times) if times.isdigit() else 2


def _marks(element: ElementTree.Element) -> set[str]:
  """The marks of a direction, a sound or a bar line, see `repeats`.

  Signs and words count where no sound says what they mean, and words for how
  far a jump goes.
  """
  sounds = [element, *element.findall('sound')]
  found = {_MARKS[name] for s in sounds for name in s.attrib if name in _MARKS}
  words = ' '.join(w.text or '' for w in element.iter('words'))
  said = repeats.said_by(words)
  if found:
    return found | said & {repeats.AL_FINE, repeats.AL_CODA}
  for sign in (repeats.SEGNO, repeats.CODA):
    if (
      repeats.TO_CODA not in said and next(element.iter(sign), None) is not None
    ):
      said.add(sign)
  return said


def _metre(time: ElementTree.Element) -> tuple[int, int] | None:
  """A metre, as 3+2 eighths are five; None where there is none."""
  parts = [
    (
      sum(int(beat) for beat in re.findall(r'\d+', beats.text or '')),
      int(unit.text or 0),
    )
    for beats, unit in zip(time.findall('beats'), time.findall('beat-type'))
  ]
  if not parts or any(beats <= 0 or unit <= 0 for beats, unit in parts):
    return None
  finest = max(unit for _, unit in parts)
  return sum(beats * finest // unit for beats, unit in parts), finest


def _number(text: str | None) -> float:
  """The number that a text begins with, 0 where it is none."""
  found = re.match(r'\s*\d+(?:[.,]\d+)?', text or '')
  return float(found[0].replace(',', '.')) if found else 0.0


def _tempo(element: ElementTree.Element) -> float | None:
  """Quarter notes a minute that a direction asks for; None if it does not."""
  sounds = [element] if element.tag == 'sound' else element.findall('sound')
  for sound in sounds:
    tempo = _number(sound.get('tempo'))
    if tempo > 0:
      return tempo
  for mark in element.iter('metronome'):
    unit = _UNITS.get(mark.findtext('beat-unit') or '')
    rate = re.search(r'\d.*', mark.findtext('per-minute') or '')
    if unit and rate and _number(rate[0]) > 0:
      dotted = 1.5 if mark.find('beat-unit-dot') is not None else 1.0
      return _number(rate[0]) * unit * dotted
  return None
