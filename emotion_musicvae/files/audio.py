"""NoteSequences as sound, by a SoundFont synthesizer."""

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pretty_midi
from scipy import signal
import tinysoundfont

from emotion_musicvae.files import expression
from emotion_musicvae.files import loudness
from emotion_musicvae.files import playing
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  import note_seq

SAMPLE_RATE = loudness.SAMPLE_RATE
# General MIDI, of the package pretty_midi.
SOUNDFONT = os.path.join(os.path.dirname(pretty_midi.__file__), 'TimGM6mb.sf2')
_DRUM_BANK = 128
# By the SoundFont and General MIDI 2 standards, amplitude grows with the square
# of velocity and of volume; tinysoundfont takes the first power of the one and
# the third of the other.
_VOLUME_POWER = 2 / 3
# Below this, beside the loudest sample, a release has rung out; but not later.
_SILENCE = 10 ** (-75.0 / 20)
_MOST_RINGING = 12.0  # seconds
_BLOCK_SECONDS, _FADE_SECONDS = 0.25, 0.05
_FRAME = 8  # bytes of a sample of two channels
# Takes away the offset that some sampled instruments have.
_HIGH_PASS = [
  c.astype(np.float32) for c in signal.butter(1, 15.0, 'high', fs=SAMPLE_RATE)
]
# A reflection that comes to the left as it is and to the right turned over: it
# gives width, and nothing of it is left in mono (Lauridsen 1954).
_WIDTH, _WIDTH_SECONDS = 0.22, 0.011
# Of a room of 1: seconds until its answer has faded by 60 dB and until it
# comes, and its energy beside that of what is played.
_ROOM_SECONDS, _ROOM_DELAY, _ROOM_LEVEL = 1.6, 0.02, 0.7
_WALLS = signal.butter(1, 4000.0, fs=SAMPLE_RATE)
_loaded = threading.local()


def render(
  sequence: 'note_seq.NoteSequence',
  target: float,
  asked: playing.Playing = playing.PLAIN,
) -> loudness.Audio:
  """Plays a NoteSequence with a SoundFont.

  Args:
    sequence: NoteSequence from `expression.perform`.
    target: integrated loudness to play it at, LUFS.
    asked: for room, SoundFont and whether to loop: the audio then ends with
      the last bar, and what rings on stands at its beginning, so that it is
      repeated without a seam.

  Returns:
    [N, 2] float32 at 44,100 Hz, at most -1 dB true peak. It lasts until all has
    rung out.

  Raises:
    UserError: the SoundFont is damaged, or has no sound for a program.
  """
  length = _samples(sequence.total_time)
  audio = _played(sequence, asked.soundfont)
  audio = signal.lfilter(*_HIGH_PASS, audio, axis=0)
  _widen(audio)
  if asked.room:
    audio = _in_room(audio, asked.room)
  if asked.loop:
    audio = _folded(audio, length)
  else:
    fade = _samples(_FADE_SECONDS)
    audio[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
  return loudness.mastered(audio, target)


def _played(
  sequence: 'note_seq.NoteSequence', soundfont: str
) -> loudness.Audio:
  """[N, 2] as the synthesizer gives it, until what rings on has ended."""
  synth, font = _synthesizer(soundfont or SOUNDFONT)
  for change in sequence.control_changes:
    bank = _DRUM_BANK if change.is_drum else 0
    if synth.sfpreset_name(font, bank, change.program) is None:
      kind = messages.say('drums')
      if not change.is_drum:
        kind = messages.say('program {program}', program=change.program)
      raise UserError(
        'soundfont',
        messages.say(
          '{soundfont!r} has no sound for {kind}',
          soundfont=soundfont,
          kind=kind,
        ),
        messages.say('name another, or another program'),
      )
    synth.program_select(
      change.instrument, font, bank, change.program, change.is_drum
    )
    value = change.control_value
    if change.control_number == expression.VOLUME:
      value = round(127 * (value / 127) ** _VOLUME_POWER)
    synth.control_change(change.instrument, change.control_number, value)
  events: list[tuple[int, int, tuple[int, int]]] = []
  for note in sequence.notes:
    struck = note.instrument, note.pitch
    # At the same time a note ends before the next begins.
    events.append((_samples(note.end_time), 0, struck))
    events.append((_samples(note.start_time), note.velocity, struck))
  end = _samples(sequence.total_time)
  block, blocks = (
    _samples(_BLOCK_SECONDS),
    round(_MOST_RINGING / _BLOCK_SECONDS),
  )
  audio = np.zeros([end + blocks * block, 2], np.float32)
  into = audio.data.cast('B')
  now, loudest = 0, 0.0

  def go_on(until: int) -> float:
    nonlocal now
    synth.generate(until - now, into[now * _FRAME : until * _FRAME])
    played, now = audio[now:until], until
    return max(played.max(), -played.min())

  for position, velocity, struck in sorted(events):
    if position > now:
      loudest = max(loudest, go_on(position))
    if velocity:
      synth.noteon(*struck, velocity * velocity / 127)
    else:
      synth.noteoff(*struck)
  if end > now:
    loudest = max(loudest, go_on(end))
  for _ in range(blocks):
    if go_on(now + block) <= _SILENCE * loudest:
      break
  return audio[:now]


def _synthesizer(soundfont: str) -> tuple[tinysoundfont.Synth, int]:
  """A synthesizer on which nothing sounds, and its number of a SoundFont.

  Loading takes as long as playing some seconds, so each thread keeps what it
  loaded last.
  """
  status = os.stat(soundfont)
  wanted = soundfont, status.st_mtime_ns, status.st_size
  if getattr(_loaded, 'file', None) != wanted:
    synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
    try:
      font = synth.sfload(soundfont)
    except Exception:
      raise UserError(
        'soundfont',
        messages.say('{soundfont!r} is damaged', soundfont=soundfont),
        messages.say('name another'),
      ) from None
    _loaded.file, _loaded.synth, _loaded.font = wanted, synth, font
  synth = _loaded.synth
  for channel in synth.channel:
    synth.sounds_off(channel)
  # What is cut off fades within a hundredth of a second.
  synth.generate(_samples(_FADE_SECONDS))
  return synth, _loaded.font


def _widen(audio: loudness.Audio) -> None:
  """Adds the reflection to [N, 2] audio in place, from its end on."""
  late = _samples(_WIDTH_SECONDS)
  for end in range(len(audio), late, -SAMPLE_RATE):
    begin = max(end - SAMPLE_RATE, late)
    earlier = audio[begin - late : end - late]
    side = np.float32(0.5 * _WIDTH) * (earlier[:, 0] + earlier[:, 1])
    audio[begin:end, 0] += side
    audio[begin:end, 1] -= side


def _in_room(audio: loudness.Audio, amount: float) -> loudness.Audio:
  """[N, 2] with what comes back from walls, and as long as that lasts.

  The walls' answer is noise that fades away (Moorer 1979), another to the left
  than to the right.
  """
  length = _samples(_ROOM_SECONDS)
  noise = np.random.default_rng(0).standard_normal([length, 2])
  fade = 10 ** (-3 * np.arange(length) / length)  # by 60 dB
  answer = noise * fade[:, None]
  # Walls take more of high notes.
  answer = signal.lfilter(*_WALLS, answer, axis=0)
  answer *= amount * _ROOM_LEVEL / np.linalg.norm(answer, axis=0)
  late = _samples(_ROOM_DELAY)
  dry = np.pad(audio, [(0, length + late), (0, 0)])
  wet = signal.oaconvolve(audio, answer.astype(np.float32), axes=0)
  dry[late : late + len(wet)] += wet
  return dry.astype(np.float32)


def _folded(audio: loudness.Audio, length: int) -> loudness.Audio:
  """What rings on after the end is moved to the beginning, as a loop has it."""
  result = audio[:length].copy()
  for begin in range(length, len(audio), length):
    rest = audio[begin : begin + length]
    result[: len(rest)] += rest
  return result


def _samples(seconds: float) -> int:
  return round(seconds * SAMPLE_RATE)
