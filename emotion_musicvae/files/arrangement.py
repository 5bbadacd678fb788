"""A melody as a finished piece: tempo, key, instrument, chords, names.

Everything is kept in the NoteSequence itself, chord symbols as its text
annotations, so that the writers need nothing else.
"""

import re
from typing import NamedTuple
from typing import Protocol

from note_seq import chord_symbols_lib
from note_seq import chords_lib
from note_seq.protobuf import music_pb2

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody

MELODY, CHORDS = 0, 1  # instruments of the NoteSequence
# String ensemble: chords are held for a bar and must not fade before it ends.
_CHORD_PROGRAM = 48
# The melody's is 80. At most as loud as it, within 0.5 dB, with all nine.
_CHORD_VELOCITY = 30
# As the MIDI writer spells the keys.
_TONICS = {
  'major': ('C', 'Db', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'),
  'minor': ('C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'Bb', 'B'),
}


class Emotion(Protocol):
  """What is taken of a `catalogue.Emotion`, which says what these are."""

  @property
  def name(self) -> str: ...

  @property
  def alias(self) -> str: ...

  @property
  def mode(self) -> str: ...

  @property
  def chords(self) -> str: ...

  @property
  def qpm(self) -> float: ...

  @property
  def program(self) -> int: ...


class Note(NamedTuple):
  """A note of the melody.

  Attributes:
    start: sixteenth step on which it begins, from 0.
    end: step on which it has ended.
    pitch: MIDI pitch.
    is_chord_tone: whether it is root, third or fifth of the chord it begins
      over; None where there is no chord.
  """

  start: int
  end: int
  pitch: int
  is_chord_tone: bool | None


def arrange(
  sequence: music_pb2.NoteSequence,
  emotion: Emotion,
  num_bars: int = melody.NUM_BARS,
) -> music_pb2.NoteSequence:
  """Gives a melody what an emotion says of it beside its notes.

  Args:
    sequence: NoteSequence of one voice in one tempo.
    emotion: `catalogue.Emotion`, for tempo, instrument, key and chords.
    num_bars: length in 4/4 bars; the chords repeat every 16.

  Returns:
    A new NoteSequence: tempo, 4/4, key, instrument, the track's name, and a
    chord symbol at each change of the progression.
  """
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequence)
  stretch = sequence.tempos[0].qpm / emotion.qpm
  for note in result.notes:
    note.start_time *= stretch
    note.end_time *= stretch
    note.instrument = MELODY
    note.program = emotion.program
  result.tempos[0].qpm = emotion.qpm
  bar = 240.0 / emotion.qpm  # seconds
  result.total_time = num_bars * bar
  del result.time_signatures[:], result.key_signatures[:]
  result.time_signatures.add(numerator=4, denominator=4)
  tonic = harmony.key(emotion.chords, emotion.mode)
  if tonic is not None:
    mode = music_pb2.NoteSequence.KeySignature.Mode.Value(emotion.mode.upper())
    result.key_signatures.add(key=tonic, mode=mode)
  progression = harmony.bars(emotion.chords)
  for i in range(num_bars):
    symbols = progression[i % len(progression)]
    for half, symbol in enumerate(symbols):
      result.text_annotations.add(
        time=(i + half / len(symbols)) * bar,
        text=symbol,
        annotation_type=chords_lib.CHORD_SYMBOL,
      )
  result.instrument_infos.add(instrument=MELODY, name='Melody')
  return result


def accompanied(sequence: music_pb2.NoteSequence) -> music_pb2.NoteSequence:
  """A copy of an arranged NoteSequence with its chords as a softer track."""
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequence)
  chords_lib.BasicChordRenderer(
    velocity=_CHORD_VELOCITY, instrument=CHORDS, program=_CHORD_PROGRAM
  ).render(result)
  result.instrument_infos.add(instrument=CHORDS, name='Chords')
  return result


def chords(sequence: music_pb2.NoteSequence) -> list[tuple[int, str]]:
  """Chords of an arranged NoteSequence, as `(step, symbol)` in their order."""
  return sorted(
    (_step(sequence, annotation.time), annotation.text)
    for annotation in sequence.text_annotations
    if annotation.annotation_type == chords_lib.CHORD_SYMBOL
  )


def notes(sequence: music_pb2.NoteSequence) -> list[Note]:
  """The melody of an arranged NoteSequence, as `Note` in their order."""
  changes = chords(sequence)
  result = []
  for note in sequence.notes:
    if note.instrument != MELODY:
      continue
    start = _step(sequence, note.start_time)
    over = [symbol for step, symbol in changes if step <= start]
    is_chord_tone = None
    if over and over[-1] != harmony.NO_CHORD:
      is_chord_tone = bool(harmony.symbol_tones(over[-1])[note.pitch % 12])
    end = _step(sequence, note.end_time)
    result.append(Note(start, end, note.pitch, is_chord_tone))
  return sorted(result)


def num_steps(sequence: music_pb2.NoteSequence) -> int:
  """Number of sixteenth steps of an arranged NoteSequence, whole bars."""
  return _step(sequence, sequence.total_time)


def key(sequence: music_pb2.NoteSequence) -> tuple[str, str] | None:
  """Its key as `(tonic, mode)`, as in ('Eb', 'minor'); None where it has none.

  The tonic is spelled as in the chords where it is the root of one.
  """
  if not sequence.key_signatures:
    return None
  signature = sequence.key_signatures[0]
  mode = signature.Mode.Name(signature.mode).lower()
  for _, symbol in chords(sequence):
    if symbol == harmony.NO_CHORD:
      continue
    if chord_symbols_lib.chord_symbol_root(symbol) == signature.key:
      root = re.match('[A-G][#b]*', symbol)
      assert root
      return root[0], mode
  return _TONICS[mode][signature.key], mode


def _step(sequence: music_pb2.NoteSequence, seconds: float) -> int:
  quarters = seconds * sequence.tempos[0].qpm / 60.0
  return round(quarters * melody.STEPS_PER_QUARTER)
