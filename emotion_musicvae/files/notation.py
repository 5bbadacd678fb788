"""MusicXML as scores, its repeats written out.

Read by the standard library's parser: of what other readers make of it, nothing
is needed here but who plays what when.
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import io
import re
from typing import NamedTuple
from xml.etree import ElementTree
import zipfile

import numpy as np

from emotion_musicvae.files import repeats
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.support import messages

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


class _Event(NamedTuple):
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
class _Measure:
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
  events: list[list[_Event]] = dataclasses.field(default_factory=list)
  tempos: list[tuple[float, float]] = dataclasses.field(default_factory=list)
  signs: repeats.Signs = dataclasses.field(default_factory=repeats.Signs)


def musicxml_scores(
  path: str, name: str
) -> Iterator[scores.Score | tunes.Refusal]:
  """The piece of a MusicXML file, compressed or not.

  Args:
    path: the file.
    name: what the piece is called.
  """
  with open(path, 'rb') as f:
    data = f.read()
  if data[:2] == b'PK':
    data = _unpacked(data)
  root = ElementTree.fromstring(data.lstrip(b' \t\r\n'))
  for element in root.iter():
    element.tag = element.tag.rpartition('}')[2]  # without a namespace
  yield document_score(name, root)


def _unpacked(data: bytes) -> bytes:
  """The score in a compressed file."""
  with zipfile.ZipFile(io.BytesIO(data)) as members:
    names = [
      name
      for name in members.namelist()
      if name.lower().endswith(('.xml', '.musicxml'))
    ]
    if 'META-INF/container.xml' in names:
      container = ElementTree.fromstring(members.read('META-INF/container.xml'))
      roots = [
        element.get('full-path')
        for element in container.iter()
        if element.tag.endswith('rootfile')
      ]
      names = [n for n in roots if n in members.namelist()] + [
        n for n in names if not n.startswith('META-INF')
      ]
    if not names:
      raise ValueError('an archive without a score')
    return members.read(names[0])


def document_score(
  name: str, root: ElementTree.Element, is_abc: bool = False
) -> scores.Score | tunes.Refusal:
  """A MusicXML document as a score.

  Args:
    name: of the piece.
    root: the document.
    is_abc: whether it was ABC, where a bar with nothing in it is none, a double
      bar line is where a repeat goes back to, and an accidental holds in all
      octaves.
  """
  if root.tag == 'score-timewise':
    parts = _by_part(root)
  elif root.tag == 'score-partwise':
    parts = root.findall('part')
  else:
    raise ValueError(f'no score but <{root.tag[:20]}>')
  read = [_Reader(part, is_abc) for part in parts]
  measures = _together([reader.measures for reader in read])
  if not is_abc and not any(measure.time for measure in measures):
    _infer_metre(measures)
  for measure in measures:
    if not measure.length and measure.metre and not is_abc:
      measure.length = 4.0 * measure.metre[0] / measure.metre[1]
  order, jumps = repeats.as_played([measure.signs for measure in measures])
  total = sum(measures[i].length for i in order)
  count = sum(len(e) for i in order for e in measures[i].events)
  too_long = tunes.too_long(name, count, total)
  if too_long:
    return too_long
  bars: list[scores.Bar] = []
  tempos: list[tuple[float, float]] = []
  notes: list[list[tuple[float, float, int, int]]] = [[] for _ in read]
  tied: list[dict[int, dict[str, int]]] = [{} for _ in read]
  start, number = 0.0, 0
  unnumbered = not any(measure.number for measure in measures)
  for i in order:
    measure = measures[i]
    found = re.match(r'\d+', measure.number)
    number = int(found[0]) if found else i + 1 if unnumbered else number
    if measure.length:
      bars.append(scores.Bar(start, number, measure.metre))
    tempos += [(start + time, qpm) for time, qpm in measure.tempos]
    for part, events in enumerate(measure.events):
      _play(events, start, notes[part], tied[part])
    start += measure.length
  titles = _names(root)
  return scores.Score(
    name,
    tuple(
      scores.Part(
        messages.say('part {number}', number=n + 1)
        + (f' {title[:40]!r}' if title else ''),
        title,
        np.array(sorted(notes[n]), np.float64).reshape(-1, 4),
        reader.is_drum,
        dict(reader.unplayed + collections.Counter(jumps)),
      )
      for n, (reader, title) in enumerate(
        zip(read, (titles.get(part.get('id', ''), '') for part in parts))
      )
    ),
    tuple(bars),
    start,
    tuple(tempos),
    is_repeated=len(set(order)) < len(order),
  )


def _infer_metre(measures: Sequence[_Measure]) -> None:
  """Gives bars that say no metre the one that most of them fill."""
  lengths = collections.Counter(m.length for m in measures if m.length)
  for quarters, _ in lengths.most_common(1):
    for measure in measures:
      measure.metre = max(round(quarters), 1), 4


def _by_part(root: ElementTree.Element) -> list[ElementTree.Element]:
  """The parts of a document that is ordered by bars."""
  parts: dict[str, ElementTree.Element] = {}
  for measure in root.findall('measure'):
    for part in measure.findall('part'):
      key = part.get('id', '')
      whole = parts.setdefault(key, ElementTree.Element('part', {'id': key}))
      copy = ElementTree.SubElement(whole, 'measure', measure.attrib)
      copy.extend(part)
  return list(parts.values())


def _names(root: ElementTree.Element) -> dict[str, str]:
  """What the parts are called, by their identifiers."""
  return {
    part.get('id', ''): ' '.join((part.findtext('part-name') or '').split())
    for part in root.iter('score-part')
  }


class _Reader:
  """Reads one part.

  Attributes:
    measures: its `_Measure`s; each has the events of this part alone.
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

  def _measure(self, element: ElementTree.Element) -> _Measure:
    number = '' if element.get('implicit') == 'yes' else element.get('number')
    if element.get('implicit') == 'yes' and element.get('number') == '0':
      number = '0'
    measure = _Measure(number or '', events=[[]])
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

  def _attributes(
    self, element: ElementTree.Element, measure: _Measure
  ) -> None:
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

  def _note(self, element: ElementTree.Element, measure: _Measure) -> None:
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
      _Event(
        self._onset,
        duration,
        midi,
        int(element.findtext('staff') or 1),
        element.findtext('voice') or '',
        bool(ties & {'stop', 'continue'}),
        bool(ties & {'start', 'continue'}),
      )
    )

  def _barline(self, element: ElementTree.Element, measure: _Measure) -> None:
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


def _together(parts: Sequence[list[_Measure]]) -> list[_Measure]:
  """The bars of all parts.

  Where parts are in different metres at once, the bar is in none of four
  quarters if one of them is not.
  """
  found = []
  for i in range(max(map(len, parts), default=0)):
    here = [part[i] if i < len(part) else _Measure() for part in parts]
    metres = [m.metre for m in here if m.metre]
    metres.sort(key=lambda metre: 4.0 * metre[0] / metre[1] in (2.0, 4.0, 8.0))
    tempos = next((m.tempos for m in here if m.tempos), [])
    found.append(
      _Measure(
        next((m.number for m in here if m.number), ''),
        _length(here, metres[0] if metres else None),
        metres[0] if metres else None,
        any(m.time for m in here),
        [m.events[0] if m.events else [] for m in here],
        tempos,
        repeats.together([m.signs for m in here]),
      )
    )
  return found


def _length(here: Sequence[_Measure], metre: tuple[int, int] | None) -> float:
  """The length of a bar of several parts, in quarter notes.

  Where some have more in it than the metre asks for, that of most of those that
  are full: one part does not lengthen the others.
  """
  # Thirds of a quarter add up to whole ones but for a rounding.
  lengths = [round(measure.length, 6) for measure in here]
  asked = 4.0 * metre[0] / metre[1] if metre else 0.0
  full = collections.Counter(x for x in sorted(lengths) if x >= asked)
  if not asked or not full:
    return max(lengths)
  return full.most_common(1)[0][0]


def _play(
  events: Sequence[_Event],
  start: float,
  notes: list[tuple[float, float, int, int]],
  tied: dict[int, dict[str, int]],
) -> None:
  """Adds the notes of a bar; what is tied lengthens the note before it.

  Args:
    events: of the bar.
    start: when it begins.
    notes: of the part so far.
    tied: where in them those are that a tie leads away from, by pitch and
      voice. A tie may lead to another voice.
  """
  for event in sorted(events):
    onset = start + event.onset
    waiting = tied.setdefault(event.pitch, {})
    i = None
    if event.continues and waiting:
      i = waiting.pop(event.voice if event.voice in waiting else min(waiting))
    if i is not None:
      first, length, pitch, staff = notes[i]
      if abs(first + length - onset) < 1e-3:
        notes[i] = first, onset + event.duration - first, pitch, staff
      else:
        i = None
    if i is None:
      i = len(notes)
      notes.append((onset, event.duration, event.pitch, event.staff))
    if event.goes_on:
      waiting[event.voice] = i
