"""MusicXML as scores, its repeats written out.

Read by the standard library's parser: of what other readers make of it, nothing
is needed here but who plays what when.
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import io
import re
from xml.etree import ElementTree
import zipfile

import numpy as np

from emotion_musicvae.files import repeats
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.files import xml_parts
from emotion_musicvae.support import messages


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
  read = [xml_parts.Reader(part, is_abc) for part in parts]
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


def _infer_metre(measures: Sequence[xml_parts.Measure]) -> None:
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


def _together(
  parts: Sequence[list[xml_parts.Measure]],
) -> list[xml_parts.Measure]:
  """The bars of all parts.

  Where parts are in different metres at once, the bar is in none of four
  quarters if one of them is not.
  """
  found = []
  for i in range(max(map(len, parts), default=0)):
    here = [part[i] if i < len(part) else xml_parts.Measure() for part in parts]
    metres = [m.metre for m in here if m.metre]
    metres.sort(key=lambda metre: 4.0 * metre[0] / metre[1] in (2.0, 4.0, 8.0))
    tempos = next((m.tempos for m in here if m.tempos), [])
    found.append(
      xml_parts.Measure(
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


def _length(
  here: Sequence[xml_parts.Measure], metre: tuple[int, int] | None
) -> float:
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
  events: Sequence[xml_parts.Event],
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
