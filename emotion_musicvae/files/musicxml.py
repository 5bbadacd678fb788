"""NoteSequences as sheet music, written by music21."""

import re
from typing import TYPE_CHECKING

from music21 import clef
from music21 import harmony as chord_symbols
from music21 import instrument
from music21 import key
from music21 import metadata
from music21 import meter
from music21 import note
from music21 import pitch
from music21 import stream
from music21 import tempo
from music21 import tie
from music21.musicxml import m21ToXml
from note_seq import chord_symbols_lib
import pretty_midi

from emotion_musicvae.files import arrangement
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody

if TYPE_CHECKING:
  import note_seq

_BAR = melody.STEPS_PER_BAR
# Sixteenths that one note can be written with: plain, dotted, double-dotted.
_SINGLE = {1, 2, 3, 4, 6, 7, 8, 12, 14, 16}


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
  num_bars = arrangement.num_steps(sequence) // _BAR
  bars = [stream.Measure(number=i + 1) for i in range(num_bars)]
  written_key = None
  named_key = arrangement.key(sequence)
  if named_key:
    tonic, mode = named_key
    written_key = key.Key(tonic.replace('b', '-'), mode)
    bars[0].insert(0, written_key)
  bars[0].insert(0, meter.TimeSignature('4/4'))
  bars[0].insert(0, tempo.MetronomeMark(number=sequence.tempos[0].qpm))
  chords = [
    (step, _chord_symbol(text)) for step, text in arrangement.chords(sequence)
  ]
  now = 0
  for played in arrangement.notes(sequence):
    _write_rest(bars, now, played.start)
    over = [symbol for step, symbol in chords if step <= played.start]
    spelled = _spelled(played.pitch, over[-1:], written_key)
    _write_note(bars, played.start, played.end, spelled)
    now = played.end
  _write_rest(bars, now, len(bars) * _BAR)
  bars[-1].rightBarline = 'final'
  part.append(bars)
  bars[0].insert(0, clef.bestClef(part, recurse=True))
  # Accidentals and beams come first: music21 would take the tones of the chord
  # symbols for notes that have to be cancelled.
  part.makeNotation(inPlace=True)
  for step, symbol in chords:
    bars[step // _BAR].insert(step % _BAR / 4, symbol)
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


def _write_note(
  bars: list[stream.Measure], start: int, end: int, spelled: pitch.Pitch
) -> None:
  """Writes a note, tied where a bar line or its length asks for it."""
  pieces = [
    piece for low, high in _by_bar(start, end) for piece in _writable(low, high)
  ]
  for i, (low, high) in enumerate(pieces):
    written = note.Note(spelled, quarterLength=(high - low) / 4)
    if len(pieces) > 1:
      last = len(pieces) - 1
      kind = {0: 'start', last: 'stop'}.get(i, 'continue')
      written.tie = tie.Tie(kind)
    bars[low // _BAR].insert(low % _BAR / 4, written)


def _write_rest(bars: list[stream.Measure], start: int, end: int) -> None:
  """Writes rests from step to step, a whole bar as one."""
  for low, high in _by_bar(start, end):
    for begun, over in _writable(low, high):
      rest = note.Rest(quarterLength=(over - begun) / 4)
      if over - begun == _BAR:
        rest.fullMeasure = True
      bars[begun // _BAR].insert(begun % _BAR / 4, rest)


def _by_bar(start: int, end: int) -> list[tuple[int, int]]:
  """A span of steps, cut at the bar lines."""
  cuts = [start, *range((start // _BAR + 1) * _BAR, end, _BAR), end]
  return list(zip(cuts, cuts[1:])) if start < end else []


def _writable(start: int, end: int) -> list[tuple[int, int]]:
  """A span within a bar as one note, or two that meet on a strong beat."""
  if end - start in _SINGLE:
    return [(start, end)]
  cuts = [
    cut for cut in range(start + 1, end) if {cut - start, end - cut} <= _SINGLE
  ]
  cut = max(cuts, key=lambda step: step & -step)
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
