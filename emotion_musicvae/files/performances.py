"""Performances (MIDI, NoteSequences in a TFRecord) as scores.

mido reads MIDI, once what no melody needs is taken away: a wrapper, chunks of
others, and messages whose contents break the standard.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import io
import itertools
import struct
import threading
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import mido
import numpy as np

from emotion_musicvae.files import encodings
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.support import messages

if TYPE_CHECKING:
  import note_seq

_QPM = 120.0  # quarter notes a minute where nothing is said, as MIDI has it
_DRUMS = 9  # channel, from 0
_FINEST = 64  # unit of a metre; a damaged file has millions of bars a beat
# How far a metre may stand beside the bar line that it belongs to, and two
# instruments overlap that take turns, in quarter notes.
_BESIDE = 0.25
# Microseconds a quarter note that a tempo has at least, as damaged ones do not;
# and bytes that may stand before a file's header.
_SHORTEST, _MAX_WRAPPER = 60_000, 4096
_lock = threading.Lock()


class _Note(NamedTuple):
  """Times in quarter notes."""

  onset: float
  end: float
  pitch: int
  channel: int


class _Track(NamedTuple):
  """What stands in one track of a MIDI file; times in quarter notes.

  Attributes:
    name: as the file has it, in Latin-1.
    notes: in order of onset.
    programs: the first program of each channel.
    tempos: `(time, quarter notes a minute)`.
    metres: `(time, numerator, denominator)`.
  """

  name: str
  notes: list[_Note]
  programs: dict[int, int]
  tempos: list[tuple[float, float]]
  metres: list[tuple[float, int, int]]


def midi_scores(path: str, name: str) -> Iterator[scores.Score | tunes.Refusal]:
  """The piece of a MIDI file.

  A track of the file is one part, whatever channels and programs it uses, and
  its drums another. Where a single track has all notes, instruments that sound
  at the same time are parts.

  Args:
    path: the file.
    name: what the piece is called.
  """
  with open(path, 'rb') as f:
    data, breaks_off = _only_tracks(f.read())
  with _lenient(breaks_off):
    midi: Any = mido.MidiFile(
      file=io.BytesIO(data), charset='latin1', clip=True
    )
  if midi.ticks_per_beat <= 0:
    unit = 'in frames, not in beats' if midi.ticks_per_beat else 'in no unit'
    raise ValueError(f'times {unit}')
  read = [_track(messages, midi.ticks_per_beat) for messages in midi.tracks]
  if breaks_off and not any(track.notes for track in read):
    raise ValueError('it breaks off before the first note')
  programs = {
    c: p for track in reversed(read) for c, p in track.programs.items()
  }
  counted = read
  if len(read) > 1 and not read[0].notes:
    counted = read[1:]  # The first one conducts.
  alone = sum(bool(track.notes) for track in counted) == 1
  parts: list[scores.Part] = []
  for track in counted:
    groups = _instruments(track, programs, split=alone)
    for notes in groups or [[]]:
      channel = notes[0].channel if notes else 0
      first = {**programs, **track.programs}.get(channel, 0)
      parts.append(
        _part(
          len(parts) + 1,
          encodings.decoded(track.name.encode('latin-1')),
          first if channel != _DRUMS else None,
          [(n.onset, n.end, n.pitch) for n in notes],
          {'track that breaks off': 1} if breaks_off else None,
        )
      )
  yield _score(
    name,
    parts,
    (tempo for track in read for tempo in track.tempos),
    (metre for track in read for metre in track.metres),
  )


def tfrecord_scores(
  path: str, name: str
) -> Iterator[scores.Score | tunes.Refusal]:
  """The pieces of a TFRecord of NoteSequences.

  Args:
    path: the file.
    name: what it is called in the names of its pieces.
  """
  # pylint: disable=g-import-not-at-top
  import note_seq
  import tensorflow as tf

  for i, record in enumerate(tf.data.TFRecordDataset(path)):
    sequence = note_seq.NoteSequence.FromString(record.numpy())
    yield sequence_score(f'{name}#{i}', sequence)


def sequence_score(
  name: str, sequence: 'note_seq.NoteSequence'
) -> scores.Score | tunes.Refusal:
  """A NoteSequence as a score, each instrument of it a part.

  Args:
    name: what the piece is called.
    sequence: a performance.
  """
  tempos = sorted(
    (tempo.time, tempo.qpm) for tempo in sequence.tempos if tempo.qpm > 0
  )
  times = np.array([0.0] + [time for time, _ in tempos])
  rates = np.array([_QPM] + [qpm for _, qpm in tempos]) / 60.0
  passed = np.cumsum(np.append(0.0, np.diff(times) * rates[:-1]))

  def quarters(time: float) -> float:
    i = max(int(np.searchsorted(times, time, side='right')) - 1, 0)
    return float(passed[i] + (time - times[i]) * rates[i])

  # One of this package's own has the steps that are written beside the times
  # that are played; see `expression`.
  own = sequence.total_quantized_steps and not sequence.HasField(
    'quantization_info'
  )

  def span(note: Any) -> tuple[float, float]:
    if own:
      steps = note.quantized_start_step, note.quantized_end_step
      return tuple(step / melody.STEPS_PER_QUARTER for step in steps)
    return quarters(note.start_time), quarters(note.end_time)

  by_instrument: dict[int, list[Any]] = {}
  for note in sequence.notes:
    if note.velocity:
      by_instrument.setdefault(note.instrument, []).append(note)
  names = {info.instrument: info.name for info in sequence.instrument_infos}
  parts = [
    _part(
      number,
      names.get(i, ''),
      None if by_instrument[i][0].is_drum else by_instrument[i][0].program,
      [(*span(n), n.pitch) for n in by_instrument[i]],
    )
    for number, i in enumerate(sorted(by_instrument), 1)
  ]
  return _score(
    name,
    parts,
    ((quarters(time), qpm) for time, qpm in tempos),
    (
      (quarters(metre.time), metre.numerator, metre.denominator)
      for metre in sequence.time_signatures
    ),
  )


def _only_tracks(data: bytes) -> tuple[bytes, bool]:
  """A MIDI file's header and tracks alone, and whether the last breaks off.

  Neither the RIFF wrapper of Windows, nor what stands before the header, nor
  chunks that others add are music. How many tracks there are is counted, as
  files say it wrongly.
  """
  start = max(data.find(b'MThd', 0, _MAX_WRAPPER), 0)
  chunks = []
  while start + 8 <= len(data):
    kind, size = data[start : start + 4], data[start + 4 : start + 8]
    end = start + 8 + struct.unpack('>I', size)[0]
    if kind in (b'MThd', b'MTrk'):
      chunks.append(data[start:end])
    start = end
  breaks_off = start > len(data) and chunks[-1:] == [data[-len(chunks[-1]) :]]
  header, tracks = (chunks or [data])[0], chunks[1:]
  if header[:4] != b'MThd' or len(header) < 14 or not tracks:
    return data, False  # mido says what is wrong with it.
  if breaks_off:
    size = struct.pack('>I', len(tracks[-1]) - 8)
    tracks[-1] = b'MTrk' + size + tracks[-1][8:]
  content = b''.join(
    [
      header[:4],
      struct.pack('>I', 6),
      header[8:10],
      struct.pack('>H', len(tracks)),
      header[12:14],
      *tracks,
    ]
  )
  return content, breaks_off


@contextlib.contextmanager
def _lenient(breaks_off: bool) -> Iterator[None]:
  """Lets mido pass over what a meta message says where it makes no sense.

  It would refuse the whole file, for a key signature of 18 flats.

  Args:
    breaks_off: whether the last track may do so in the middle of an event.
  """
  reader: Any = mido.midifiles.midifiles
  with _lock:
    build, read_track = reader.build_meta_message, reader.read_track
    new_track, begun = reader.MidiTrack, []

    def built(meta_type: int, data: Any, delta: int = 0) -> Any:
      try:
        return build(meta_type, data, delta)
      except Exception:  # pylint: disable=broad-except
        return mido.UnknownMetaMessage(meta_type, data, delta)

    def begin() -> Any:
      begun.append(new_track())
      return begun[-1]

    def read_to_the_break(*args: Any, **settings: Any) -> Any:
      try:
        return read_track(*args, **settings)
      except EOFError:
        if not breaks_off or not begun:
          raise
        return begun[-1]

    reader.build_meta_message, reader.MidiTrack = built, begin
    reader.read_track = read_to_the_break
    try:
      yield
    finally:
      reader.build_meta_message, reader.MidiTrack = build, new_track
      reader.read_track = read_track


def _track(messages: Iterable[Any], ticks_per_quarter: int) -> _Track:
  """Reads one track; a note that is never let go lasts until the next."""
  ticks = 0
  track = _Track('', [], {}, [], [])
  begun: dict[tuple[int, int], collections.deque[int]] = {}
  ended: list[tuple[int, int | None, int, int]] = []
  name = ''
  for message in messages:
    ticks += message.time
    time = ticks / ticks_per_quarter
    kind = message.type
    if kind == 'note_on' and message.velocity:
      key = message.channel, message.note
      begun.setdefault(key, collections.deque()).append(len(ended))
      ended.append((ticks, None, message.note, message.channel))
    elif kind in ('note_on', 'note_off'):
      # Of notes of one pitch that overlap, the first is the first to end.
      waiting = begun.get((message.channel, message.note))
      if waiting:
        i = waiting.popleft()
        ended[i] = (ended[i][0], ticks, *ended[i][2:])
    elif kind == 'program_change':
      track.programs.setdefault(message.channel, message.program)
    elif kind == 'track_name':
      name = name or message.name.strip('\0 ')
    elif kind == 'set_tempo' and message.tempo >= _SHORTEST:
      track.tempos.append((time, mido.tempo2bpm(message.tempo)))
    elif kind == 'time_signature':
      track.metres.append((time, message.numerator, message.denominator))
  onsets = sorted({onset for onset, *_ in ended})
  following = dict(itertools.pairwise(onsets))
  for onset, end, pitch, channel in ended:
    if end is None:
      end = following.get(onset, onset + ticks_per_quarter)
    track.notes.append(
      _Note(onset / ticks_per_quarter, end / ticks_per_quarter, pitch, channel)
    )
  return track._replace(name=name)


def _instruments(
  track: _Track, programs: dict[int, int], split: bool
) -> list[list[_Note]]:
  """The notes of a track by instrument: drums apart, others if they overlap.

  A program change starts none, and a note's channel says nothing: guitars have
  one a string, other controllers one a finger.
  """
  programs = {**programs, **track.programs}
  drums = [note for note in track.notes if note.channel == _DRUMS]
  pitched = [note for note in track.notes if note.channel != _DRUMS]
  groups: dict[int, list[_Note]] = {}
  for note in pitched:
    groups.setdefault(programs.get(note.channel, 0), []).append(note)
  if split and _overlap(list(groups.values())):
    found = list(groups.values())
  else:
    found = [pitched]
  return [notes for notes in [*found, drums] if notes]


def _overlap(groups: Sequence[list[_Note]]) -> bool:
  """Whether notes of two groups sound at once."""
  last: list[tuple[float, int]] = []  # by group: until when it sounds
  for note, group in sorted(
    (note, i) for i, notes in enumerate(groups) for note in notes
  ):
    if any(
      end > note.onset + _BESIDE and other != group for end, other in last
    ):
      return True
    last = [(end, other) for end, other in last if end > note.onset]
    last.append((note.end, group))
  return False


def _part(
  number: int,
  name: str,
  program: int | None,
  notes: Sequence[tuple[float, float, int]],
  unplayed: Mapping[str, int] | None = None,
) -> scores.Part:
  """A part; `program` is None for drums."""
  import pretty_midi  # pylint: disable=g-import-not-at-top

  kind = messages.say('drums')
  if program is not None:
    kind = pretty_midi.program_to_instrument_name(min(max(program, 0), 127))
  quoted = f' {name[:40]!r}' if name else ''
  rows = sorted((onset, max(end - onset, 0.0), p, 1) for onset, end, p in notes)
  return scores.Part(
    messages.say('track {number}', number=number) + f'{quoted} ({kind})',
    name,
    np.array(rows, np.float64).reshape(-1, 4),
    program is None,
    unplayed or {},
  )


def _score(
  name: str,
  parts: Sequence[scores.Part],
  tempos: Iterable[tuple[float, float]],
  metres: Iterable[tuple[float, int, int]],
) -> scores.Score | tunes.Refusal:
  """Parts with the bars that they fill, to the one in which the last begins."""
  last = max((float(p.notes[-1, 0]) for p in parts if len(p.notes)), default=0)
  too_long = tunes.too_long(name, sum(len(p.notes) for p in parts), last)
  if too_long:
    return too_long
  changes = [(0.0, 4, 4)]
  for time, numerator, denominator in sorted(metres, key=lambda m: m[0]):
    if numerator <= 0 or not 0 < denominator <= _FINEST:
      continue
    if (numerator, denominator) == changes[-1][1:]:
      continue  # Said again, wherever that is.
    start, *metre = changes[-1]
    bar = 4.0 * metre[0] / metre[1]
    whole = start + round((time - start) / bar) * bar
    if abs(time - whole) < _BESIDE:
      time = whole
    if time <= start:
      changes.pop()
    changes.append((max(time, start), numerator, denominator))
  bars: list[scores.Bar] = []
  last = float(scores.steps(last)) / 4
  ends = [time for time, *_ in changes[1:]] + [float('inf')]
  for (time, numerator, denominator), until in zip(changes, ends):
    while time < until and time <= last:
      bars.append(scores.Bar(time, len(bars) + 1, (numerator, denominator)))
      time += bars[-1].quarters
  end = min(
    bars[-1].start + bars[-1].quarters, *(e for e in ends if e > bars[-1].start)
  )
  return scores.Score(
    name,
    tuple(parts),
    tuple(bars),
    end,
    tuple(sorted(tempos, key=lambda t: t[0])) or ((0.0, _QPM),),
    performed=True,
  )
