"""A melody as a finished piece: tempo, key, instrument, chords, names.

Everything is kept in the NoteSequence itself, chord symbols as its text
annotations, so that the writers need nothing else. What is written stands in
its quantized steps, sixteenths; when and how strongly it is played, see
`expression`, in its seconds and velocities.
"""

from collections.abc import Sequence
import dataclasses
import re
from typing import NamedTuple
from typing import Protocol

from note_seq import chord_symbols_lib
from note_seq import chords_lib
from note_seq.protobuf import music_pb2
import numpy as np

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

MELODY, CHORDS, BASS, DRUMS = range(4)  # instruments of the NoteSequence
PHRASE_BARS = 4


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
  def cadence(self) -> bool: ...

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


class Section(NamedTuple):
  """A stretch of an arranged NoteSequence in one key and, begun in, one tempo.

  Attributes:
    start: sixteenth step on which it begins.
    key: see `key`.
    church_mode: see `church_mode`.
    qpm: its tempo as it begins, quarter notes a minute.
  """

  start: int
  key: tuple[str, str] | None
  church_mode: str
  qpm: float


@dataclasses.dataclass(frozen=True)
class Part:
  """What one instrument plays.

  Attributes:
    name: of its track.
    instrument: its number in the NoteSequence.
    program: General MIDI, counted from 0.
    notes: `(start, end, pitch)`, in steps and MIDI.
    level: how much louder than the melody it is to be, LU.
    pan: its place from 0 (left) to 127 (right), 64 being the middle.
  """

  name: str
  instrument: int
  program: int
  notes: tuple[tuple[int, int, int], ...]
  level: float = 0.0
  pan: int = 64


def arrange(
  sequence: music_pb2.NoteSequence,
  emotion: Emotion,
  num_bars: int = melody.NUM_BARS,
  metre: metres.Metre = metres.QUADRUPLE,
  pick_up: int = 0,
) -> music_pb2.NoteSequence:
  """Gives a melody what an emotion says of it beside its notes.

  Args:
    sequence: NoteSequence of one voice in one tempo.
    emotion: `catalogue.Emotion`, for tempo, instrument, key and chords.
    num_bars: length in bars after the pick-up; the chords begin again where
      they end.
    metre: of the bars.
    pick_up: sixteenth steps before the first bar, less than a bar.

  Returns:
    A new NoteSequence: tempo, metre, key, instrument, the track's name, and a
    chord symbol at each change of the progression. Its time signature begins
    with the first bar.
  """
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequence)
  written_qpm = sequence.tempos[0].qpm
  step = 60.0 / emotion.qpm / melody.STEPS_PER_QUARTER  # seconds
  for note in result.notes:
    note.quantized_start_step = _step(note.start_time, written_qpm)
    note.quantized_end_step = _step(note.end_time, written_qpm)
    note.start_time = note.quantized_start_step * step
    note.end_time = note.quantized_end_step * step
    note.instrument = MELODY
    note.program = emotion.program
  result.tempos[0].qpm = emotion.qpm
  result.total_quantized_steps = pick_up + num_bars * metre.bar_steps
  result.total_time = result.total_quantized_steps * step
  del result.time_signatures[:], result.key_signatures[:]
  result.time_signatures.add(
    time=pick_up * step,
    numerator=metre.numerator,
    denominator=metre.denominator,
  )
  tonic = harmony.key(emotion.chords, emotion.mode)
  if tonic is not None:
    mode = music_pb2.NoteSequence.KeySignature.Mode.Value(emotion.mode.upper())
    result.key_signatures.add(key=tonic, mode=mode)
  progression = harmony.bars(
    harmony.written_out(emotion.chords, emotion.mode, emotion.cadence, metre),
    metre,
  )
  for i in range(num_bars):
    symbols = progression[i % len(progression)]
    for half, symbol in enumerate(symbols):
      at = pick_up + i * metre.bar_steps + half * metre.middle
      result.text_annotations.add(
        time=at * step,
        quantized_step=at,
        text=symbol,
        annotation_type=chords_lib.CHORD_SYMBOL,
      )
  result.instrument_infos.add(instrument=MELODY, name='Melody')
  return result


def first_steps(
  sequence: music_pb2.NoteSequence, count: int
) -> music_pb2.NoteSequence:
  """The first steps of an arranged NoteSequence, without a closing bar."""
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequence)
  result.total_quantized_steps = count
  kept = [a for a in sequence.text_annotations if a.quantized_step < count]
  del result.text_annotations[:]
  result.text_annotations.extend(kept)
  return result


def join(
  sequences: Sequence[music_pb2.NoteSequence],
) -> music_pb2.NoteSequence:
  """Sections one after the other.

  Args:
    sequences: from `expression.perform`, at least one, all of one instrument.

  Returns:
    A new NoteSequence with the tempo and key of each where it begins, which its
    `section_annotations` tell.
  """
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequences[0])
  result.section_annotations.add(time=0.0, section_id=0)
  for number, following in enumerate(sequences[1:], 1):
    time, step = result.total_time, result.total_quantized_steps
    result.section_annotations.add(time=time, section_id=number)
    for name in ('tempos', 'key_signatures', 'text_annotations', 'notes'):
      for event in getattr(following, name):
        moved = getattr(result, name).add()
        moved.CopyFrom(event)
        if name == 'notes':
          moved.start_time += time
          moved.end_time += time
          moved.quantized_start_step += step
          moved.quantized_end_step += step
        else:
          moved.time += time
        if name == 'text_annotations':
          moved.quantized_step += step
    known = {info.instrument for info in result.instrument_infos}
    for info in following.instrument_infos:
      if info.instrument not in known:
        result.instrument_infos.add().CopyFrom(info)
    settled = {(c.instrument, c.control_number) for c in result.control_changes}
    for change in following.control_changes:
      if (change.instrument, change.control_number) not in settled:
        result.control_changes.add().CopyFrom(change)
    result.total_time = time + following.total_time
    result.total_quantized_steps = step + following.total_quantized_steps
  return result


def sections(sequence: music_pb2.NoteSequence) -> list[Section]:
  """The sections of an arranged NoteSequence, of which it may be one."""
  begun = [a.time for a in sequence.section_annotations] or [0.0]
  steps = {
    a.time: a.quantized_step
    for a in sequence.text_annotations
    if a.annotation_type == chords_lib.CHORD_SYMBOL
  }
  starts = [steps[time] if time else 0 for time in begun]
  ends = [*starts[1:], num_steps(sequence) + 1]
  found = []
  for time, start, end in zip(begun, starts, ends):
    symbols = [text for step, text in chords(sequence) if start <= step < end]
    signatures = [s for s in sequence.key_signatures if s.time == time]
    signature = signatures[0] if signatures else None
    found.append(
      Section(
        start,
        _key(signature, symbols) if signature else None,
        _church_mode(signature, symbols) if signature else '',
        next(tempo.qpm for tempo in sequence.tempos if tempo.time == time),
      )
    )
  return found


def chords(sequence: music_pb2.NoteSequence) -> list[tuple[int, str]]:
  """Chords of an arranged NoteSequence, as `(step, symbol)` in their order."""
  return sorted(
    (annotation.quantized_step, annotation.text)
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
    start = note.quantized_start_step
    over = [symbol for step, symbol in changes if step <= start]
    is_chord_tone = None
    if over and over[-1] != harmony.NO_CHORD:
      is_chord_tone = bool(harmony.symbol_tones(over[-1])[note.pitch % 12])
    result.append(
      Note(start, note.quantized_end_step, note.pitch, is_chord_tone)
    )
  return sorted(result)


def num_steps(sequence: music_pb2.NoteSequence) -> int:
  """Number of sixteenth steps of an arranged NoteSequence."""
  return sequence.total_quantized_steps


def metre(sequence: music_pb2.NoteSequence) -> metres.Metre:
  """Metre of an arranged NoteSequence."""
  signature = sequence.time_signatures[0]
  return metres.Metre(signature.numerator, signature.denominator)


def pick_up(sequence: music_pb2.NoteSequence) -> int:
  """Number of sixteenth steps before the first bar."""
  return _step(sequence.time_signatures[0].time, sequence.tempos[0].qpm)


def bar_lines(sequence: music_pb2.NoteSequence) -> range:
  """Steps on which the bars of an arranged NoteSequence begin."""
  return range(
    pick_up(sequence), num_steps(sequence), metre(sequence).bar_steps
  )


def phrases(sequence: music_pb2.NoteSequence) -> range:
  """Steps on which phrases begin.

  A pick-up belongs to the first of them, a single bar at the end to the last.
  """
  first, bar = pick_up(sequence), metre(sequence).bar_steps
  end = max(num_steps(sequence) - bar, first + 1)
  return range(first, end, PHRASE_BARS * bar)


def by_bar(start: int, end: int, lines: Sequence[int]) -> list[tuple[int, int]]:
  """A span of steps, cut at the bar lines that are within it."""
  cuts = [start, *(line for line in lines if start < line < end), end]
  return list(zip(cuts, cuts[1:])) if start < end else []


def key(sequence: music_pb2.NoteSequence) -> tuple[str, str] | None:
  """Its key as `(tonic, mode)`, as in ('Eb', 'minor'); None where it has none.

  The tonic is spelled as in the chords where it is the root of one.
  """
  return sections(sequence)[0].key


def _key(
  signature: music_pb2.NoteSequence.KeySignature, symbols: Sequence[str]
) -> tuple[str, str]:
  mode = signature.Mode.Name(signature.mode).lower()
  for symbol in symbols:
    if symbol == harmony.NO_CHORD:
      continue
    if chord_symbols_lib.chord_symbol_root(symbol) == signature.key:
      root = re.match('[A-G][#b]*', symbol)
      assert root
      return root[0], mode
  return harmony.TONICS[mode][signature.key], mode


def church_mode(sequence: music_pb2.NoteSequence) -> str:
  """The mode whose key signature has the chords of an arranged NoteSequence.

  Returns:
    'major', 'minor', 'dorian' where the sixth above a minor tonic is raised
    throughout, or 'mixolydian' where the seventh of a major one is lowered;
    '' without a key.
  """
  return sections(sequence)[0].church_mode


def _church_mode(
  signature: music_pb2.NoteSequence.KeySignature, symbols: Sequence[str]
) -> str:
  tones = sum(
    harmony.symbol_tones(symbol)
    for symbol in symbols
    if symbol != harmony.NO_CHORD
  )
  tonic = signature.key
  mode = signature.Mode.Name(signature.mode).lower()
  degrees = {(p - tonic) % 12 for p in np.flatnonzero(tones)}
  if mode == 'minor' and 9 in degrees and 8 not in degrees:
    return 'dorian'
  if mode == 'major' and 10 in degrees and 11 not in degrees:
    return 'mixolydian'
  return mode


def _step(seconds: float, qpm: float) -> int:
  return round(seconds * qpm / 60.0 * melody.STEPS_PER_QUARTER)
