"""What became of the user's melody: heard, and note by note."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING
from typing import TypedDict

from note_seq.protobuf import music_pb2

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.music import melody as melody_grid

if TYPE_CHECKING:
  from emotion_musicvae.files import writers

KEPT, MOVED, NEW = 'kept', 'moved', 'new'


class Changes(TypedDict):
  """What became of a melody's notes.

  Attributes:
    notes: of each note that is played now, in their order, which of `KEPT`
      (begun where it was), `MOVED` (begun where another was) and `NEW` it is.
    kept: how many of each.
    moved: likewise.
    new: likewise.
    left_out: how many began where none does now.
  """

  notes: list[str]
  kept: int
  moved: int
  new: int
  left_out: int


def notes(tokens: melody_grid.Tokens) -> list[tuple[int, int, int]]:
  """The notes of [16 n] tokens, as `(start, end, pitch)` in sixteenths."""
  found = melody_grid.notes(tokens)
  return [
    (int(start), int(end), int(pitch))
    for start, end, pitch in zip(found.onset, found.end, found.pitch)
  ]


def changes(
  original: melody_grid.Tokens, played: Sequence[arrangement.Note]
) -> Changes:
  """What became of a melody's notes.

  Args:
    original: [16 n] tokens.
    played: the notes that are played now.
  """
  before = {start: pitch for start, _, pitch in notes(original)}
  kinds = []
  for note in played:
    if note.start not in before:
      kinds.append(NEW)
    else:
      kinds.append(KEPT if note.pitch == before[note.start] else MOVED)
  return {
    'notes': kinds,
    'kept': kinds.count(KEPT),
    'moved': kinds.count(MOVED),
    'new': kinds.count(NEW),
    'left_out': len(before.keys() - {note.start for note in played}),
  }


def performed(melody: writers.Melody) -> music_pb2.NoteSequence:
  """The melody that one was made of, played as that one is.

  Without an accompaniment, whose chords would be the other's.

  Args:
    melody: `api.Melody` that has an original.
  """
  assert melody.original is not None
  steps = len(melody.original)
  sequence = arrangement.first_steps(melody.note_sequence, steps)
  del sequence.notes[:]
  for start, end, pitch in notes(melody.original):
    sequence.notes.add(
      pitch=pitch,
      velocity=80,
      quantized_start_step=start,
      quantized_end_step=end,
      instrument=arrangement.MELODY,
    )
  alone = dataclasses.replace(melody.playing, accompaniment='none', style='')
  return expression.perform(sequence, melody.emotion, alone)
