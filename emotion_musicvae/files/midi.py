"""NoteSequences as MIDI files of format 1, as sequencers like them.

The first track has tempo, metre, key, chord symbols as text and a marker for
each phrase. Every instrument has a track of its own with its name, program and
place, and every track ends with the last bar.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import fractions
import io
from typing import TYPE_CHECKING

import mido
import numpy as np

from emotion_musicvae.files import arrangement
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

if TYPE_CHECKING:
  import note_seq

_TICKS_PER_QUARTER = 480
_DRUM_CHANNEL = 9
# What comes first of what is at the same time.
_SETTING, _OFF, _ON = range(3)
# A tick, the place among what is at the same, and the message.
_Event = tuple[int, int, mido.Message | mido.MetaMessage]


def midi(sequence: 'note_seq.NoteSequence') -> bytes:
  """A NoteSequence from `expression.perform` as a MIDI file.

  Returns:
    A file of format 1, of 480 ticks a quarter note; texts are in UTF-8.
  """
  file = mido.MidiFile(
    type=1, ticks_per_beat=_TICKS_PER_QUARTER, charset='utf-8'
  )
  clock = _Clock(sequence)
  tracks = [_conductor(sequence, clock)]
  for info in sequence.instrument_infos:
    tracks.append(_part(sequence, info, clock))
  words = [a.text for a in sequence.text_annotations if not a.annotation_type]
  if words:
    tracks.append(_lyrics(words))
  end = clock.tick(sequence.total_time)
  file.tracks.extend(_track(list(events), end) for events in tracks)
  with io.BytesIO() as content:
    file.save(file=content)
    return content.getvalue()


class _Clock:
  """The ticks at which seconds of a NoteSequence are, in its tempos."""

  def __init__(self, sequence: 'note_seq.NoteSequence'):
    tempos = sequence.tempos
    self._seconds = [tempo.time for tempo in tempos] + [sequence.total_time]
    quarters = np.diff(self._seconds) * [tempo.qpm / 60.0 for tempo in tempos]
    self._ticks = _TICKS_PER_QUARTER * np.append(0.0, np.cumsum(quarters))

  def tick(self, seconds: float) -> int:
    """The nearest tick, at most that of the end."""
    return round(float(np.interp(seconds, self._seconds, self._ticks)))


def _tick_of(step: int) -> int:
  """The tick of a sixteenth step."""
  return step * _TICKS_PER_QUARTER // melody.STEPS_PER_QUARTER


def _conductor(
  sequence: 'note_seq.NoteSequence', clock: _Clock
) -> Iterator[_Event]:
  """What the first track has; nothing of it sounds."""
  for tempo in sequence.tempos:
    message = mido.MetaMessage('set_tempo', tempo=mido.bpm2tempo(tempo.qpm))
    yield clock.tick(tempo.time), _SETTING, message
  metre, pick_up = arrangement.metre(sequence), arrangement.pick_up(sequence)
  if (
    pick_up
  ):  # A bar of its own length, so that sequencers count from the next.
    short = fractions.Fraction(pick_up, metres.QUADRUPLE.bar_steps)
    yield 0, _SETTING, _time_signature(metres.Metre(*short.as_integer_ratio()))
  yield _tick_of(pick_up), _SETTING, _time_signature(metre)
  for signature in sequence.key_signatures:
    mode = signature.Mode.Name(signature.mode).lower()
    key = harmony.TONICS[mode][signature.key] + 'm' * (mode == 'minor')
    at = clock.tick(signature.time)
    yield at, _SETTING, mido.MetaMessage('key_signature', key=key)
  for step, symbol in arrangement.chords(sequence):
    yield _tick_of(step), _SETTING, mido.MetaMessage('text', text=symbol)
  for i, step in enumerate(arrangement.phrases(sequence)):
    marker = mido.MetaMessage('marker', text=f'Phrase {i + 1}')
    yield _tick_of(step), _SETTING, marker


def _time_signature(metre: metres.Metre) -> mido.MetaMessage:
  return mido.MetaMessage(
    'time_signature',
    numerator=metre.numerator,
    denominator=metre.denominator,
    # There are 24 clocks to a quarter note.
    clocks_per_click=metre.beat_steps * 24 // melody.STEPS_PER_QUARTER,
  )


def _part(
  sequence: 'note_seq.NoteSequence',
  info: 'note_seq.NoteSequence.InstrumentInfo',
  clock: _Clock,
) -> Iterator[_Event]:
  """The name, settings and notes of an instrument."""
  number = info.instrument
  channel = _DRUM_CHANNEL if number == arrangement.DRUMS else number
  yield 0, _SETTING, mido.MetaMessage('track_name', name=info.name)
  changes = [c for c in sequence.control_changes if c.instrument == number]
  for program in {change.program for change in changes}:
    program = {'channel': channel, 'program': program}
    yield 0, _SETTING, mido.Message('program_change', **program)
  for change in changes:
    control = {
      'control': change.control_number,
      'value': change.control_value,
    }
    yield (
      0,
      _SETTING,
      mido.Message('control_change', channel=channel, **control),
    )
  for note in sequence.notes:
    if note.instrument == number:
      # To check each takes longer than to write it.
      struck = {'channel': channel, 'note': note.pitch, 'skip_checks': True}
      on = clock.tick(note.start_time)
      off = max(clock.tick(note.end_time), on + 1)
      yield on, _ON, mido.Message('note_on', velocity=note.velocity, **struck)
      yield off, _OFF, mido.Message('note_off', velocity=0, **struck)


def _lyrics(words: Sequence[str]) -> Iterator[_Event]:
  """A track of words that stand at the beginning."""
  yield 0, _SETTING, mido.MetaMessage('track_name', name='Lyrics')
  for text in words:
    yield 0, _SETTING, mido.MetaMessage('lyrics', text=text)


def _track(events: list[_Event], end: int) -> mido.MidiTrack:
  """Events in their order, each with the ticks since the one before."""
  track, now = mido.MidiTrack(), 0
  for tick, _, message in sorted(events, key=lambda event: event[:2]):
    message.time, now = tick - now, tick
    track.append(message)
  track.append(mido.MetaMessage('end_of_track', time=max(end - now, 0)))
  return track
