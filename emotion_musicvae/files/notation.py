"""Notation (ABC, MusicXML) as tunes, read by music21.

Repeats are written out, and a pick-up stands before the first bar line.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import re
from typing import Any

from music21 import abcFormat
from music21 import bar
from music21 import converter
from music21 import meter
from music21 import spanner
from music21 import stream
import numpy as np

from emotion_musicvae.files import tunes

_MUSIC_LINE = re.compile(r'^(?![A-Za-z]:).+$', re.MULTILINE)
_TURN = re.compile(r'(?<=[^:])(::|:\|:)(?=.)')


def abc_pieces(path: str, name: str) -> Iterator[tunes.Piece | tunes.Refusal]:
  """The pieces of an ABC file, one tune each.

  Args:
    path: the file.
    name: what it is called in the names of its pieces.
  """
  with open(path, encoding='utf-8', errors='replace') as f:
    parts = re.split(r'^X:\s*(\d+).*$', f.read(), flags=re.MULTILINE)
  for number, body in zip(parts[1::2], parts[2::2]):
    body = f'X:{number}\n{body.strip()}\n'
    # music21 knows the end and the start of a repeat in one as `:||:` only.
    body = _MUSIC_LINE.sub(lambda line: _TURN.sub(':||:', line[0]), body)
    # music21 would write a note of a thousand lengths out bar by bar.
    lengths = re.findall(r'\d{4,}', ' '.join(_MUSIC_LINE.findall(body)))
    title = re.search(r'^T:\s*(.*?)\s*$', body, re.MULTILINE)
    tune_name = f'{name}#{int(number)} {title.group(1) if title else ""}'
    metre = re.search(r'^M:\s*(\S+)', body, re.MULTILINE)
    if not metre or metre.group(1) not in tunes.METRES:
      yield tunes.Refusal(tune_name, tunes.NOT_QUADRUPLE)
      continue
    if lengths:
      yield tunes.Refusal(
        tune_name, tunes.TOO_LONG, f'a note of {lengths[0][:9]} lengths'
      )
      continue
    try:
      # By the standard since 2.0 an accidental lasts to the bar line.
      with _bounded_metres():
        handler = abcFormat.ABCFile(abcVersion=(2, 1, 0)).readstr(body)
        score = abcFormat.translate.abcToStreamScore(handler)
        tune = _tune_from_part(tune_name, score.parts[0])
      yield _piece(tune_name, [tune])
    except Exception as e:  # pylint: disable=broad-except
      yield tunes.unreadable(tune_name, e)


def musicxml_pieces(
  path: str, name: str
) -> Iterator[tunes.Piece | tunes.Refusal]:
  """The piece of a MusicXML file, a tune of each of its parts.

  Args:
    path: the file.
    name: what the piece is called.
  """
  found: list[tunes.Tune | tunes.Refusal] = []
  with _bounded_metres():
    score: Any = converter.parse(path, forceSource=True, storePickle=False)
    for part in score.parts:
      metres = part.flatten().getElementsByClass('TimeSignature')
      if any(metre.ratioString not in tunes.METRES for metre in metres):
        found.append(tunes.Refusal(name, tunes.NOT_QUADRUPLE))
      else:
        found.append(_tune_from_part(name, part.toSoundingPitch()))
  yield _piece(name, found or [tunes.Refusal(name, tunes.NO_NOTES)])


@contextlib.contextmanager
def _bounded_metres() -> Iterator[None]:
  """Keeps music21 from taking minutes and more over a metre of many beats.

  Most of it goes into weights of the beats, which nothing here asks for.
  """
  metre: Any = meter.TimeSignature
  load, weigh = metre.load, metre._setDefaultAccentWeights

  def bounded(self: Any, value: str, divisions: Any = None) -> None:
    if re.search(r'\d{5}', value):
      raise ValueError(f'a metre of {value[:20]}')
    load(self, value, divisions)

  metre.load, metre._setDefaultAccentWeights = bounded, lambda *_: None
  try:
    yield
  finally:
    metre.load, metre._setDefaultAccentWeights = load, weigh


def _piece(
  name: str, found: Sequence[tunes.Tune | tunes.Refusal]
) -> tunes.Piece | tunes.Refusal:
  """Its tunes as a `Piece`; the first `Refusal` where there is none."""
  read = tuple(one for one in found if isinstance(one, tunes.Tune))
  refused = [one for one in found if isinstance(one, tunes.Refusal)]
  return tunes.Piece(name, read) if read else refused[0]


def _tune_from_part(name: str, part: stream.Part) -> tunes.Tune | tunes.Refusal:
  """A music21 part as a `tunes.Tune`, or the `Refusal` of one without notes.

  Grace notes are left out, and of notes that sound together the top one stays,
  until the next begins.
  """
  measures: list[Any] = list(part.getElementsByClass(stream.Measure)) or [part]
  notes: dict[float, tuple[float, int]] = {}  # by onset: duration, MIDI pitch
  end = 0.0
  if len(measures) > 1:
    first = measures[0].duration.quarterLength
    if first < measures[0].barDuration.quarterLength:
      end = -float(first)  # The pick-up comes before time zero.
  for measure in _as_played(part, measures):
    for note in measure.flatten().notes:
      duration = float(note.duration.quarterLength)
      if not duration or not note.pitches:
        continue
      tied = note.tie is not None and note.tie.type in ('continue', 'stop')
      onset = end + float(note.offset)
      pitch = max(p.midi for p in note.pitches)
      if tied and notes:
        last = max(notes)
        notes[last] = (onset + duration - last, notes[last][1])
      elif onset not in notes or pitch > notes[onset][1]:
        notes[onset] = (duration, pitch)
    end += float(measure.duration.quarterLength)
  if not notes:
    return tunes.Refusal(name, tunes.NO_NOTES)
  rows = np.array([(t, *notes[t]) for t in sorted(notes)], np.float32)
  rows[:-1, 1] = np.minimum(rows[:-1, 1], np.diff(rows[:, 0]))
  if end <= 0.0:  # What no bar follows is no pick-up.
    rows[:, 0] -= rows[0, 0]
    end = float(rows[-1, :2].sum())
  # The last bar of a tune with a pick-up is short by it: the verse closes at
  # the next bar line of four quarters (or two, in 2/4).
  quarters = float(np.ceil(round(end / 2, 3)) * 2)
  last = float(rows[-1, :2].sum())
  return tunes.too_long(name, len(rows), max(quarters, last)) or tunes.Tune(
    name, rows, quarters
  )


def _as_played(part: stream.Part, measures: Sequence[Any]) -> Iterator[Any]:
  """Measures with their repeats written out.

  A repeat goes back to its start mark or, where there is none, to the end of
  the repeat or second ending before it. (music21's own expansion goes back to
  the beginning of the piece, and so plays A B written `A :| B :|` as A A B A A
  B.) Jumps by words, as D.C., are not followed.

  Args:
    part: music21 part.
    measures: its measures.

  Yields:
    Measures, some of them twice.
  """
  ending = {
    id(measure): min(bracket.numberRange, default=1)
    for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket)
    for measure in bracket.getSpannedElements()
  }
  endings = [ending.get(id(measure), 0) for measure in measures] + [0]

  def repeats(barline: Any, direction: str) -> bool:
    return isinstance(barline, bar.Repeat) and barline.direction == direction

  start = 0
  for i, measure in enumerate(measures):
    if repeats(getattr(measure, 'leftBarline', None), 'start'):
      start = i
    yield measure
    if endings[i] > 1:
      if endings[i + 1] != endings[i]:
        start = i + 1
    elif repeats(getattr(measure, 'rightBarline', None), 'end'):
      for j in range(start, i + 1):
        if endings[j] != 1:
          yield measures[j]
      start = i + 1
