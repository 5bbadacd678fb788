"""NoteSequences as sound, by a SoundFont synthesizer."""

import io
import os
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pretty_midi
import soundfile
import tinysoundfont

if TYPE_CHECKING:
  import note_seq

Audio: TypeAlias = npt.NDArray[np.float32]  # [N, 2]

SAMPLE_RATE = 44100  # Hz
_PEAK = 0.9  # below full scale, which an MP3's decoder may overshoot
# The last notes are let go with the last bar, whose end must not click.
_FADE_SECONDS = 0.05


def render(sequence: 'note_seq.NoteSequence') -> Audio:
  """Plays a NoteSequence with the General MIDI SoundFont of pretty_midi.

  Args:
    sequence: NoteSequence; its `total_time` is the length of the audio.

  Returns:
    [N, 2] float32 at 44,100 Hz, between -0.9 and 0.9.
  """
  synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
  font = synth.sfload(
    os.path.join(os.path.dirname(pretty_midi.__file__), 'TimGM6mb.sf2')
  )
  events: list[tuple[int, int, tuple[int, int]]] = []
  for note in sequence.notes:
    synth.program_select(note.instrument, font, 0, note.program)
    struck = note.instrument, note.pitch
    # At the same time a note ends before the next begins.
    events.append((_samples(note.end_time), 0, struck))
    events.append((_samples(note.start_time), note.velocity, struck))
  now, parts = 0, []
  for position, velocity, played in [
    *sorted(events),
    (_samples(sequence.total_time), 0, None),
  ]:
    if position > now:
      block = np.frombuffer(synth.generate(position - now), np.float32)
      parts.append(block.reshape(-1, 2))
      now = position
    if played and velocity:
      synth.noteon(*played, velocity)
    elif played:
      synth.noteoff(*played)
  audio = np.concatenate(parts)
  fade = _samples(_FADE_SECONDS)
  audio[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
  return audio * (_PEAK / max(np.abs(audio).max(), 1e-6))


def wav(audio: Audio) -> bytes:
  """A WAV file of 16 bits of [N, 2] audio in stereo."""
  return _encoded(audio, format='WAV', subtype='PCM_16')


def mp3(audio: Audio) -> bytes:
  """An MP3 file of [N, 2] audio, in mono and at a constant bit rate.

  At a constant rate players seek exactly.
  """
  return _encoded(
    audio.mean(axis=1),
    format='MP3',
    bitrate_mode='CONSTANT',
    compression_level=0.8,
  )


def _encoded(audio: Audio, **options: Any) -> bytes:
  file = io.BytesIO()
  soundfile.write(file, audio, SAMPLE_RATE, **options)
  return file.getvalue()


def _samples(seconds: float) -> int:
  return round(seconds * SAMPLE_RATE)
