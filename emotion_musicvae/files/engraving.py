"""Sheet music for a page: the lead sheet of `musicxml` as SVG, by verovio.

Of what verovio gives, drawing alone goes into a page, each element and
attribute of it by name: no styles, which the policy of a page may forbid, no
addresses, and no ids but of the glyphs, as several sheets stand in one page.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import importlib.resources
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import verovio

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import musicxml
from emotion_musicvae.files import originals

if TYPE_CHECKING:
  import note_seq

_SVG = '{http://www.w3.org/2000/svg}'
# What is kept of a sheet.
_DRAWN = {
  'svg', 'defs', 'g', 'path', 'polygon', 'polyline', 'ellipse', 'rect', 'use',
  'text', 'tspan',
}  # fmt: skip
_ATTRIBUTES = {
  'viewBox', 'd', 'points', 'transform', 'x', 'y', 'width', 'height', 'cx',
  'cy', 'rx', 'ry', 'fill', 'stroke', 'stroke-width', 'stroke-linecap',
  'stroke-linejoin', 'stroke-dasharray', 'text-anchor', 'font-size',
}  # fmt: skip
_CLASSES = {'measure', 'note', 'mNum', 'tempo', 'dir', 'dynam', 'harm'}
# Glyphs of a music font that stand in text, as text fonts have them.
_IN_TEXT = {
  0xEA63: '♭♭', 0xEA64: '♭', 0xEA65: '♮', 0xEA66: '♯', 0xEA67: '𝄪',
  0xECA5: '♩', 0xECA7: '♪', 0xECB7: '.',
}  # fmt: skip
_FONTS = str(importlib.resources.files('verovio') / 'data')
_SCALE = 40  # percent of verovio's own size
_SPACE = 180  # between two lines of a staff, in verovio's units
# As the roll does.
_MARKS = {originals.MOVED: '▲', originals.NEW: '✚'}

verovio.enableLog(verovio.LOG_OFF)


def svg(
  sequence: note_seq.NoteSequence, width: int, kinds: Sequence[str] = ()
) -> str:
  """The melody of an arranged NoteSequence as a drawing for a page.

  Verovio and music21 know one thread: callers take turns.

  Args:
    sequence: from `arrangement.arrange`.
    width: of the drawing, in pixels; as many bars stand on a line as fit.
    kinds: of each note, what became of it, see `originals.Changes`; those that
      were moved and that are new are marked.

  Returns:
    An SVG element. Each bar is a group with `data-bar`, its number, 0 of a
    pick-up, and each note one with `data-note`, its index; of tied ones all
    parts have it. The ground of a bar is a rectangle of class `ground`, what
    stands above it one of class `strip`.
  """
  written = musicxml.musicxml(sequence, '')
  # The page says what plays it.
  written = re.sub(rb'<part-name>[^<]*', b'<part-name>', written)
  written = re.sub(
    rb'(?<=<per-minute>)[\d.]+', lambda n: b'%d' % round(float(n[0])), written
  )
  # Where its fonts are is known to the thread alone that imported it.
  toolkit = verovio.toolkit(False)
  toolkit.setResourcePath(_FONTS)
  toolkit.setOptions(
    {
      'scale': _SCALE,
      'pageWidth': width * 100 // _SCALE,
      'pageHeight': 60_000,  # All of it stands on one.
      'adjustPageHeight': True,
      'pageMarginLeft': 30,
      'pageMarginRight': 10,
      'pageMarginTop': 40,
      'pageMarginBottom': 40,
      'breaks': 'auto',
      'footer': 'none',
      'header': 'none',
      'mnumInterval': 1,
      'smuflTextFont': 'none',
      'svgViewBox': True,
      'svgRemoveXlink': True,
      # The same melody gives the same drawing.
      'xmlIdChecksum': True,
    }
  )
  toolkit.loadData(written.decode())
  sheet = ElementTree.fromstring(toolkit.renderToSVG(1))
  drawn = _kept(sheet)
  assert drawn is not None
  _number(drawn, _parts(written), arrangement.pick_up(sequence) > 0, kinds)
  drawn.set('xmlns', _SVG[1:-1])
  _, _, *size = (sheet.get('viewBox') or '').split()
  drawn.attrib.update(zip(('width', 'height'), size))
  return ElementTree.tostring(drawn, encoding='unicode')


def _kept(element: ElementTree.Element) -> ElementTree.Element | None:
  """An element of a drawing, without what does not go into a page."""
  name = element.tag.removeprefix(_SVG)
  classes = set(element.get('class', '').split())
  if name not in _DRAWN or 'placeholder' in classes:
    return None
  kept = ElementTree.Element(name)
  for attribute, value in element.items():
    if attribute in _ATTRIBUTES:
      kept.set(attribute, value)
  if element.get('href', '').startswith('#'):
    kept.set('href', element.get('href', ''))
  if classes & _CLASSES:
    kept.set('class', ' '.join(sorted(classes & _CLASSES)))
  kept.text = (element.text or '').strip('\n\t ') or None
  if name == 'tspan' and kept.text:
    # Its spaces are of what is said.
    kept.text = (element.text or '').translate(_IN_TEXT)
    if kept.text != element.text:
      kept.set('font-size', '440px')
  for child in element:
    own = _kept(child)
    if own is not None:
      if name == 'defs':
        own.set('id', child.get('id', ''))
      kept.append(own)
  return kept


def _parts(written: bytes) -> Iterator[int]:
  """Of each written note, which note of the melody it is a part of."""
  index = -1
  for note in ElementTree.fromstring(written).iter('note'):
    if note.find('rest') is None:
      ties = {tie.get('type') for tie in note.findall('tie')}
      index += 'stop' not in ties
      yield index


def _number(
  drawn: ElementTree.Element,
  parts: Iterator[int],
  has_pick_up: bool,
  kinds: Sequence[str],
) -> None:
  """Says of each bar and note which it is, and marks what was changed."""
  groups = drawn.iter('g')
  bars = [g for g in groups if g.get('class') == 'measure']
  marked = set()
  for number, bar in enumerate(bars, 1 - has_pick_up):
    bar.set('data-bar', str(number))
    notes = [g for g in bar.iter('g') if g.get('class') == 'note']
    for note in notes:
      index = next(parts)
      note.set('data-note', str(index))
      sign = _MARKS.get(kinds[index]) if index < len(kinds) else None
      if sign and index not in marked:
        marked.add(index)
        note.append(_mark(note, sign))
    for i, rectangle in enumerate(_grounds(bar)):
      bar.insert(i, rectangle)


def _grounds(bar: ElementTree.Element) -> Iterator[ElementTree.Element]:
  """What lies under a bar, and over it where its number stands."""
  lines = [
    _numbers(path.get('d', ''))
    for path in bar.iter('path')
    if re.fullmatch(r'M\S+ (\S+) L\S+ \1', path.get('d', ''))
  ]
  left, top, right, _ = lines[0]
  over, under = 4 * _SPACE, 3 * _SPACE
  for name, y, height in (
    ('ground', top - over, over + 4 * _SPACE + under),
    ('strip', top - over, over),
  ):
    values = {'x': left, 'y': y, 'width': right - left, 'height': height}
    yield ElementTree.Element(
      'rect', {'class': name, **{k: f'{v:g}' for k, v in values.items()}}
    )


def _mark(note: ElementTree.Element, sign: str) -> ElementTree.Element:
  """A sign at the head of a note, where its stem is not."""
  signs = [use.get('transform', '') for use in note.iter('use')]
  (x, y), *others = ([float(n) for n in _numbers(s)[:2]] for s in signs)
  stems = [_numbers(path.get('d', '')) for path in note.iter('path')]
  is_up = any(min(p[1], p[3]) < y - _SPACE for p in stems)
  # Beyond a dot for staccato.
  away = max([_SPACE] + [1.6 * _SPACE for _, other in others if other > y])
  place = {'x': f'{x:g}', 'y': f'{y + (away + 200 if is_up else -160):g}'}
  mark = ElementTree.Element(
    'text', {**place, 'class': 'change', 'font-size': '270px'}
  )
  mark.text = sign
  return mark


def _numbers(text: str) -> list[float]:
  return [float(number) for number in re.findall(r'-?[\d.]+', text)]
