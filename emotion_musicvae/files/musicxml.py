"""NoteSequences as sheet music, written by music21.

How they are played is written, too: a dynamic, a hairpin to the middle of each
phrase and one from there, staccato or legato, a ritardando.
"""

import bisect
from collections.abc import Iterator
import copy
import io
import itertools
import re
from typing import Any
from typing import TYPE_CHECKING
import zipfile

from music21 import articulations
from music21 import base
from music21 import clef
from music21 import duration
from music21 import dynamics
from music21 import expressions
from music21 import harmony as chord_symbols
from music21 import instrument
from music21 import key
from music21 import layout
from music21 import metadata
from music21 import meter
from music21 import note
from music21 import pitch
from music21 import stream
from music21 import tempo
from music21 import tie
from music21.musicxml import m21ToXml
from music21.stream import enums
from note_seq import chord_symbols_lib
import numpy as np
import pretty_midi

from emotion_musicvae.files import arrangement
from emotion_musicvae.music import harmony
from emotion_musicvae.music import metres

if TYPE_CHECKING:
  import note_seq

# Sixteenths that one note can be written with: plain, dotted, double-dotted.
_SINGLE = {1, 2, 3, 4, 6, 7, 8, 12, 14, 16, 24}
_BARS_A_LINE = 4
# Dynamics, and the MIDI velocities that notation programs play them with.
_DYNAMICS = {
  'pp': 33, 'p': 49, 'mp': 64, 'mf': 80, 'f': 96, 'ff': 112,
}  # fmt: skip
# Of its written length, what a note sounds that is staccato at most, and what
# one sounds at least where all is legato; steps of the longest with a dot.
_STACCATO, _LEGATO, _LONGEST_DOTTED = 0.7, 0.97, 4
# How much louder the middle of a phrase is than its ends to be worth a hairpin.
_SWELL = 1.15


def musicxml(sequence: 'note_seq.NoteSequence', title: str) -> bytes:
  """The melody of an arranged NoteSequence as a lead sheet.

  Args:
    sequence: from `arrangement.arrange`.
    title: stands above it.

  Returns:
    A MusicXML file: bytes.
  """
  part = stream.Part(id='P1')
  part.insert(0, _player(sequence))
  sheet = _Sheet(sequence)
  bars = sheet.bars
  bars[0].insert(0, meter.TimeSignature(str(arrangement.metre(sequence))))
  beat = arrangement.metre(sequence).beat_steps / 4  # quarter notes
  keys: list[tuple[int, key.Key | None]] = []
  for section in arrangement.sections(sequence):
    written_key = None
    if section.key:
      tonic = section.key[0].replace('b', '-')
      written_key = key.Key(tonic, section.church_mode)
      sheet.insert(section.start, written_key)
    keys.append((section.start, written_key))
    metronome: Any = tempo.MetronomeMark(
      number=round(section.qpm / beat, 2), referent=duration.Duration(beat)
    )
    metronome.placement = 'above'
    sheet.insert(section.start, metronome)
  full = bars[sheet.has_pick_up :]
  # A single bar does not stand on a line of its own.
  for first in range(_BARS_A_LINE, len(full) - 1, _BARS_A_LINE):
    full[first].insert(0, layout.SystemLayout(isNew=True))
  chords = [
    (step, _chord_symbol(text)) for step, text in arrangement.chords(sequence)
  ]
  now, written = 0, []
  for played in arrangement.notes(sequence):
    sheet.rest(now, played.start)
    over = [symbol for step, symbol in chords if step <= played.start]
    in_key = [own for step, own in keys if step <= played.start]
    spelled = _spelled(played.pitch, over[-1:], in_key[-1])
    written.append(sheet.note(played.start, played.end, spelled))
    now = played.end
  sheet.rest(now, arrangement.num_steps(sequence))
  bars[-1].rightBarline = 'final'
  part.append(bars)
  bars[0].insert(0, clef.bestClef(part, recurse=True))
  # Accidentals and beams come first: music21 would take the tones of the chord
  # symbols for notes that have to be cancelled.
  part.makeNotation(inPlace=True)
  _hide_tied(bars)
  for step, symbol in chords:
    sheet.insert(step, symbol)
  _mark(sequence, part, sheet, written)
  score = stream.Score([part])
  score.metadata = metadata.Metadata(title=title, composer='emotion_musicvae')
  exporter = m21ToXml.GeneralObjectExporter()
  exporter.makeNotation = False
  text = exporter.parse(score)
  # The same melody gives the same file on any day.
  return re.sub(rb'\s*<encoding-date>.*?</encoding-date>', b'', text)


def _player(sequence: 'note_seq.NoteSequence') -> instrument.Instrument:
  """The melody's instrument, which sounds as it is written."""
  # Not music21's own clarinets and horns, which would be written transposed.
  programs = {n.program for n in sequence.notes if not n.instrument}
  player = instrument.Instrument()
  player.midiProgram = min(programs, default=0)
  player.midiChannel = 0
  player.partId, player.instrumentId = 'P1', 'P1-I1'
  player.instrumentName = player.partName = (
    pretty_midi.program_to_instrument_name(player.midiProgram)
  )
  return player


def mxl(sequence: 'note_seq.NoteSequence', title: str) -> bytes:
  """As `musicxml`, compressed into an .mxl file."""
  score = 'score.musicxml'
  files = {
    'META-INF/container.xml': (
      '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles>'
      f'<rootfile full-path="{score}"/></rootfiles></container>\n'
    ).encode(),
    score: musicxml(sequence, title),
  }
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, text in files.items():
      # Dated as all archives are that are the same on any day.
      entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
      entry.compress_type = zipfile.ZIP_DEFLATED
      archive.writestr(entry, text)
  return content.getvalue()


def _mark(
  sequence: 'note_seq.NoteSequence',
  part: stream.Part,
  sheet: '_Sheet',
  written: list[note.Note],
) -> None:
  """Writes how the melody is played.

  Args:
    sequence: from `expression.perform`.
    part: what has the bars.
    sheet: its bars, with their notes.
    written: the notes of the melody, of tied ones the first.
  """
  sections = arrangement.sections(sequence)
  if len(sequence.tempos) > len(sections):
    last = sequence.tempos[len(sections) - 1]
    slower = sequence.tempos[len(sections)].time - last.time
    step = sections[-1].start + round(slower * last.qpm / 15)
    rit = expressions.TextExpression('rit.')
    rit.placement = 'above'
    sheet.insert(step, rit)
  notes = sorted(
    (n for n in sequence.notes if n.instrument == arrangement.MELODY),
    key=lambda n: n.quantized_start_step,
  )
  if not notes:
    return
  velocities = np.array([n.velocity for n in notes])
  starts = np.array([n.quantized_start_step for n in notes])
  lengths = np.array([n.quantized_end_step for n in notes]) - starts
  seconds = np.array([n.end_time - n.start_time for n in notes])
  shares = seconds * sequence.tempos[0].qpm / 15 / lengths
  mean = velocities.mean()
  dynamic = min(_DYNAMICS, key=lambda name: abs(_DYNAMICS[name] - mean))
  sheet.insert(0, dynamics.Dynamic(dynamic))
  if np.median(shares) >= _LEGATO:
    legato = expressions.TextExpression('legato')
    legato.placement = 'below'
    sheet.insert(0, legato)
  elif np.median(shares) <= _STACCATO:
    for length, head in zip(lengths, written):
      if length <= _LONGEST_DOTTED and head.tie is None:
        head.articulations.append(articulations.Staccato())
  phrases = arrangement.phrases(sequence)
  places = np.maximum(starts - phrases.start, 0)
  for i in range(len(phrases)):
    halves = [
      np.flatnonzero(places // (phrases.step // 2) == half)
      for half in (2 * i, 2 * i + 1)
    ]
    middle = [velocities[half] for half in halves if len(half) > 1]
    if len(middle) < 2:
      continue
    ends = np.array([middle[0][0], middle[1][-1]])
    if velocities[np.concatenate(halves)].max() < _SWELL * ends.mean():
      continue
    for kind, half in zip((dynamics.Crescendo, dynamics.Diminuendo), halves):
      part.insert(0, kind(written[half[0]], written[half[-1]]))


class _Sheet:
  """The bars of a melody, to be written into.

  Args:
    sequence: arranged NoteSequence.

  Attributes:
    bars: all of them.
    has_pick_up: whether the first is one.
  """

  def __init__(self, sequence: 'note_seq.NoteSequence'):
    self._metre = arrangement.metre(sequence)
    lines, end = (
      arrangement.bar_lines(sequence),
      arrangement.num_steps(sequence),
    )
    self.has_pick_up = lines.start > 0
    self._lines = [*([0] * self.has_pick_up), *lines]
    self.bars: list[stream.Measure] = []
    for low, high in itertools.pairwise([*self._lines, end]):
      bar = stream.Measure(number=len(self.bars) + (not self.has_pick_up))
      missing = (self._metre.bar_steps - (high - low)) / 4
      if self.has_pick_up and not self.bars:
        bar.paddingLeft, bar.showNumber = missing, enums.ShowNumber.NEVER
      else:
        bar.paddingRight = missing
      self.bars.append(bar)

  def insert(self, step: int, element: base.Music21Object) -> None:
    """Writes something over a step."""
    i = bisect.bisect(self._lines, step) - 1
    self.bars[i].insert((step - self._lines[i]) / 4, element)

  def note(self, start: int, end: int, spelled: pitch.Pitch) -> note.Note:
    """Writes a note, tied where a bar line or its length asks for it.

    Returns:
      The first of those that it is written as.
    """
    heads = []
    pieces = list(self._pieces(start, end))
    for i, (low, high) in enumerate(pieces):
      own = copy.deepcopy(spelled)  # Each has an accidental of its own.
      written = note.Note(own, quarterLength=(high - low) / 4)
      if len(pieces) > 1:
        last = len(pieces) - 1
        kind = {0: 'start', last: 'stop'}.get(i, 'continue')
        written.tie = tie.Tie(kind)
      self.insert(low, written)
      heads.append(written)
    return heads[0]

  def rest(self, start: int, end: int) -> None:
    """Writes rests from step to step, a whole bar as one."""
    bar = self._metre.bar_steps
    for low, high in arrangement.by_bar(start, end, self._lines):
      if high - low == bar:
        rest = note.Rest(quarterLength=bar / 4)
        rest.fullMeasure = True
        self.insert(low, rest)
        continue
      for begun, over in self._pieces(low, high):
        self.insert(begun, note.Rest(quarterLength=(over - begun) / 4))

  def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A span as single notes, each within a bar."""
    for low, high in arrangement.by_bar(start, end, self._lines):
      line = self._lines[bisect.bisect(self._lines, low) - 1]
      if line < self._lines[self.has_pick_up]:  # It ends where a bar would.
        line = self._lines[1] - self._metre.bar_steps
      for begun, over in _writable(low - line, high - line, self._metre):
        yield line + begun, line + over


def _hide_tied(bars: list[stream.Measure]) -> None:
  """Writes no accidental where a tie leads to, but where it is next needed."""
  head = None
  for bar in bars:
    shown: set[str] = set()
    due: set[str] = set()
    for written in bar.getElementsByClass(note.Note):
      if written.tie is None or written.tie.type == 'start':
        head = written.pitch.accidental
        name = written.nameWithOctave
        if head is not None and (head.displayStatus or name in due):
          head.displayStatus = True
          shown.add(name)
          due.discard(name)
      elif head is not None:
        # A natural that music21 leaves to its key is another pitch to it.
        written.pitch.accidental = hidden = copy.copy(head)
        hidden.displayStatus = False
        if head.displayStatus and written.nameWithOctave not in shown:
          due.add(written.nameWithOctave)


def _writable(
  start: int, end: int, metre: metres.Metre
) -> list[tuple[int, int]]:
  """A span of a bar as single notes.

  Where it takes more than one they meet on the strongest beat that will do. In
  compound metres a note that is longer than a beat has whole beats, or what is
  beside them is a note of its own.
  """
  beat = metre.beat_steps
  crosses = start // beat < (end - 1) // beat
  if metre.is_compound and crosses and (start % beat or end % beat):
    cut = -(-(start + 1) // beat) * beat if start % beat else end // beat * beat
    return _writable(start, cut, metre) + _writable(cut, end, metre)
  if end - start in _SINGLE:
    return [(start, end)]
  cuts = [
    cut for cut in range(start + 1, end) if {cut - start, end - cut} <= _SINGLE
  ]
  cut = max(cuts, key=lambda step: float(metre.strength(step)))
  return [(start, cut), (cut, end)]


def _chord_symbol(text: str) -> chord_symbols.ChordSymbol:
  """A chord symbol as music21 engraves it."""
  if text == harmony.NO_CHORD:
    return chord_symbols.NoChord(text)
  parts = re.fullmatch(r'([A-G][#b]*)(.*?)(?:/([A-G][#b]*))?', text)
  assert parts
  root, kind, bass = parts.groups()
  root, bass = (name and name.replace('b', '-') for name in (root, bass))
  pitch_classes = {p % 12 for p in chord_symbols_lib.chord_symbol_pitches(text)}
  try:
    symbol = chord_symbols.ChordSymbol(
      root + kind + (f'/{bass}' if bass else '')
    )
    if pitch_classes == {p.pitchClass for p in symbol.pitches}:
      return symbol
  except ValueError:
    pass
  # A kind that music21 has no name for is written as the user did.
  return chord_symbols.ChordSymbol(
    root=root, bass=bass, kind='other', kindStr=kind
  )


def _spelled(
  midi_pitch: int,
  chords: list[chord_symbols.ChordSymbol],
  written_key: key.Key | None,
) -> pitch.Pitch:
  """A pitch named as in its chord, or as its key would have it."""
  named = pitch.Pitch(midi=midi_pitch)
  for tone in (tone for symbol in chords for tone in symbol.pitches):
    if tone.pitchClass == named.pitchClass:
      return _in_octave(tone.name, midi_pitch)
  # From the flat third of the major key (Eb in C major and A minor) up the line
  # of fifths to the leading note of the minor one (G sharp).
  sharps = written_key.sharps if written_key else 0
  for fifth in range(sharps - 3, sharps + 9):
    if fifth * 7 % 12 == named.pitchClass:
      letter, accidentals = 'FCGDAEB'[(fifth + 1) % 7], (fifth + 1) // 7
      accidental = '#' * accidentals or '-' * -accidentals
      return _in_octave(letter + accidental, midi_pitch)
  raise AssertionError('twelve fifths have every pitch class')


def _in_octave(name: str, midi_pitch: int) -> pitch.Pitch:
  """A pitch of this name that sounds at a MIDI pitch."""
  named = pitch.Pitch(name, octave=4)
  named.octave += round((midi_pitch - named.ps) / 12)
  return named
