"""Performances (MIDI, NoteSequences in a TFRecord) as tunes.

They go through Magenta's own converter, which takes the top line of every
instrument but the drums and ends a melody where a bar is silent.
"""

from collections.abc import Iterator

import mido
import note_seq
from note_seq import sequences_lib
import numpy as np
import pretty_midi

from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import stock

_MAX_TICKS = 10_000_000  # seconds of reading and 80 MB
_QPM = 120.0  # quarter notes a minute where nothing is said, as in MIDI


def midi_pieces(path: str, name: str) -> Iterator[tunes.Piece | tunes.Refusal]:
  """The piece of a MIDI file.

  Args:
    path: the file.
    name: what the piece is called.
  """
  midi = mido.MidiFile(path, charset='latin1')
  notes = sum(
    message.type == 'note_on' and message.velocity > 0
    for track in midi.tracks
    for message in track
  )
  ticks = max(sum(message.time for message in track) for track in midi.tracks)
  if midi.ticks_per_beat <= 0:
    raise ValueError('times in frames, not in beats')
  quarters = ticks / midi.ticks_per_beat
  if ticks > _MAX_TICKS:
    quarters = float('inf')
  # Before pretty_midi makes a table of all ticks.
  yield tunes.too_long(name, notes, quarters) or from_sequence(
    name,
    note_seq.midi_to_note_sequence(pretty_midi.PrettyMIDI(mido_object=midi)),
  )


def tfrecord_pieces(
  path: str, name: str
) -> Iterator[tunes.Piece | tunes.Refusal]:
  """The pieces of a TFRecord of NoteSequences.

  Args:
    path: the file.
    name: what it is called in the names of its pieces.
  """
  import tensorflow as tf  # pylint: disable=g-import-not-at-top

  for i, record in enumerate(tf.data.TFRecordDataset(path)):
    sequence = note_seq.NoteSequence.FromString(record.numpy())
    yield from_sequence(f'{name}#{i}', sequence)


def from_sequence(
  name: str, sequence: note_seq.NoteSequence
) -> tunes.Piece | tunes.Refusal:
  """A NoteSequence with every melody in it, or the `Refusal` of none.

  Args:
    name: what the piece is called.
    sequence: a performance.
  """
  notes = [
    n
    for n in sequence.notes
    if n.velocity and melody.MIN_PITCH <= n.pitch <= melody.MAX_PITCH
  ]
  if not notes:
    return tunes.Refusal(name, tunes.NO_NOTES)
  if all(n.is_drum for n in notes):
    return tunes.Refusal(name, tunes.DRUMS_ONLY)
  even = in_quarters(sequence)
  # Not its total time, which a file may claim as it likes.
  end = max(max(n.start_time, n.end_time) for n in even.notes)
  too_long = tunes.too_long(name, len(even.notes), end * first_qpm(even) / 60.0)
  if too_long:
    return too_long
  found = tuple(
    tunes.from_tokens(name, tokens) for tokens in stock.melodies(even)
  )
  if found:
    return tunes.Piece(name, found, sequence)
  metres = sorted(
    f'{m.numerator}/{m.denominator}' for m in even.time_signatures
  )
  return tunes.Refusal(
    name, tunes.NOT_QUADRUPLE, ', '.join(dict.fromkeys(metres))
  )


def in_quarters(sequence: note_seq.NoteSequence) -> note_seq.NoteSequence:
  """A copy in one tempo, its bars of two or four quarters counted as 4/4.

  So Magenta's converter takes the most of it.
  """
  result = type(sequence).FromString(at_one_tempo(sequence).SerializeToString())
  for metre in result.time_signatures:
    if f'{metre.numerator}/{metre.denominator}' in tunes.METRES:
      metre.numerator = metre.denominator = 4
  return result


def first_qpm(sequence: note_seq.NoteSequence) -> float:
  """Quarter notes a minute at the start; 120 where nothing is said."""
  tempos = sorted(sequence.tempos, key=lambda tempo: tempo.time)
  return tempos[0].qpm if tempos else _QPM


def at_one_tempo(sequence: note_seq.NoteSequence) -> note_seq.NoteSequence:
  """The same notes in the same bars at 120 quarter notes a minute.

  Magenta's converter ends a melody wherever the tempo changes, which would cut
  a performance to pieces that means nothing to a model that knows no tempo.
  """
  tempos = sorted(sequence.tempos, key=lambda tempo: tempo.time)
  if len({tempo.qpm for tempo in tempos}) < 2:
    return sequence
  times = np.array([0.0] + [tempo.time for tempo in tempos])
  qpm = np.array([_QPM] + [tempo.qpm for tempo in tempos])
  beats = np.cumsum(np.append(0.0, np.diff(times) * qpm[:-1] / 60.0))

  def at_120(time: float) -> float:
    i = np.searchsorted(times, time, side='right') - 1
    return 0.5 * float(beats[i] + (time - times[i]) * qpm[i] / 60.0)

  return sequences_lib.adjust_notesequence_times(sequence, at_120)[0]
