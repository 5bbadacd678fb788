"""How an arranged melody is played: dynamics, articulation, timing.

The rules are of the kind that KTH found by synthesis and listening (Friberg,
Bresin and Sundberg 2006, Overview of the KTH rule system for musical
performance): each adds its share, in decibels or time, by a quantity that an
emotion names. What is written stays in the steps of the NoteSequence; what is
played are its seconds and velocities.
"""

from typing import Protocol
import zlib

from note_seq.protobuf import music_pb2
import numpy as np
import numpy.typing as npt

from emotion_musicvae.files import accompaniment
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import mixing
from emotion_musicvae.files import playing
from emotion_musicvae.music import melody

_Floats = npt.NDArray[np.float64]
_Steps = npt.NDArray[np.int64]

# Decibels at a quantity of 1. From one level of the metre to the next: strong
# beats are played louder (Drake and Palmer 1993).
_ACCENT = 0.75
# From the ends of a phrase to its middle, and from the ends of four phrases to
# theirs: the dynamics of a phrase are a parabola (Todd 1992), as is KTH's
# "phrase arch".
_ARCH, _LONG_ARCH = 7.0, 2.0
_HIGH_LOUD = 0.25  # a semitone upwards, KTH's "high loud"
# A synthesizer's level is 40 log10(velocity / 127), by the SoundFont and the
# General MIDI 2 standards.
_DECIBELS = 40.0
# Of what a note sounds by its articulation: where the next repeats its pitch
# (KTH's "repetition articulation"), and where its phrase ends ("punctuation").
_REPEATED, _PHRASE_END = 0.85, 0.8
_MOST_SILENCE = 2.0  # steps that articulation takes of a note
# Seconds of standard deviation at a `humanize` of 1. What players share drifts
# as 1/f noise (Hennig et al. 2011); what each adds is white.
_DRIFT, _MOTOR = 0.012, 0.006
_UNEVEN = 1.5  # decibels of standard deviation at a `humanize` of 1
# The final ritard of Friberg and Sundberg 1999: the last tempo as a share of
# the first, and the exponent of its curve; bars that it lasts, and steps that
# have one tempo.
_LAST_TEMPO, _CURVE, _RITARDANDO_BARS, _TEMPO_STEPS = 0.55, 3.0, 2, 2
VOLUME, PAN = 7, 10  # MIDI controllers


class Emotion(arrangement.Emotion, Protocol):
  """What is taken of a `catalogue.Emotion`, which says what these are."""

  @property
  def velocity(self) -> float: ...

  @property
  def articulation(self) -> float: ...

  @property
  def accents(self) -> float: ...

  @property
  def phrase_arch(self) -> float: ...

  @property
  def style(self) -> str: ...

  @property
  def loudness(self) -> float: ...


def perform(
  sequence: music_pb2.NoteSequence,
  emotion: Emotion,
  asked: playing.Playing = playing.PLAIN,
) -> music_pb2.NoteSequence:
  """Plays an arranged melody as its emotion asks for.

  Args:
    sequence: from `arrangement.arrange`, or from here, to be played anew.
    emotion: `catalogue.Emotion`, for the quantities of the rules.
    asked: what else is asked for.

  Returns:
    A new NoteSequence. Its unevenness follows from the notes: the same melody
    is always played the same.
  """
  result = music_pb2.NoteSequence()
  result.CopyFrom(sequence)
  if asked.accompaniment != 'none' and not asked.loop:
    accompaniment.close(result)
  parts = _parts(result, emotion, asked)
  if asked.lyrics:
    result.text_annotations.add(text=asked.lyrics)
  del result.notes[:], result.instrument_infos[:], result.control_changes[:]
  clock = _Clock(result, asked)
  clock.set_times(result)
  written = np.array(parts[0].notes, np.int64)
  rng = np.random.default_rng(zlib.crc32(written.tobytes()))
  drift = _DRIFT * _pink(rng, arrangement.num_steps(result) + 1)
  for part, volume in zip(parts, mixing.volumes(parts)):
    starts, ends, pitches = np.array(part.notes, np.int64).reshape(-1, 3).T
    level = levels(sequence, starts, emotion)
    released = ends.astype(np.float64)
    if part.instrument == arrangement.MELODY and len(starts):
      level += _HIGH_LOUD * (pitches - pitches.mean())
      level -= level.mean()
      released = starts + _sounding(sequence, starts, ends, pitches, emotion)
    motor, uneven = rng.standard_normal([2, len(drift)])
    level += asked.humanize * _UNEVEN * uneven[starts]
    late = asked.humanize * (drift + _MOTOR * motor)
    begun = np.maximum(clock.seconds(starts) + late[starts], 0.0)
    over = clock.seconds(released) + late[starts]
    # What comes after a note is not begun before it is over.
    following = np.searchsorted(starts, ends)
    over = np.minimum(over, np.append(begun, clock.end)[following])
    _add(result, part, volume, begun, over, _velocities(level, emotion))
  return result


def _parts(
  sequence: music_pb2.NoteSequence, emotion: Emotion, asked: playing.Playing
) -> list[arrangement.Part]:
  """What plays: the melody, and what accompanies it."""
  notes = tuple(note[:3] for note in arrangement.notes(sequence))
  parts = [
    arrangement.Part('Melody', arrangement.MELODY, emotion.program, notes)
  ]
  if asked.accompaniment == 'none':
    return parts
  style = playing.styles()[asked.style or emotion.style]
  full = asked.accompaniment == 'full'
  return parts + accompaniment.parts(sequence, style, full, asked.loop)


def levels(
  sequence: music_pb2.NoteSequence, steps: _Steps, emotion: Emotion
) -> _Floats:
  """How loud the metre and the phrases have it at steps.

  Args:
    sequence: arranged NoteSequence.
    steps: [N] sixteenths from the beginning.
    emotion: for its accents and the arch of its phrases.

  Returns:
    [N] float64, decibels.
  """
  metre = arrangement.metre(sequence)
  # A pick-up is as weak as its place in a bar, and the beginning of a phrase.
  steps = steps - arrangement.pick_up(sequence)
  accents = _ACCENT * metre.strength(steps)
  steps = np.maximum(steps, 0)
  phrase = arrangement.phrases(sequence).step
  arch = _ARCH * _parabola(steps % phrase / phrase)
  period = arrangement.PHRASE_BARS * phrase
  arch += _LONG_ARCH * _parabola(steps % period / period)
  return emotion.accents * accents + emotion.phrase_arch * arch


def _parabola(x: _Floats) -> _Floats:
  """A parabola over [0, 1] from its ends to 1 above them, 0 in the mean."""
  return 4.0 * x * (1.0 - x) - 2.0 / 3.0


def _sounding(
  sequence: music_pb2.NoteSequence,
  starts: _Steps,
  ends: _Steps,
  pitches: _Steps,
  emotion: Emotion,
) -> _Floats:
  """[N] steps that the notes of a melody sound of what is written."""
  length = ends - starts
  phrases = arrangement.phrases(sequence)
  share = np.full(len(starts), emotion.articulation)
  repeated = (pitches[1:] == pitches[:-1]) & (starts[1:] == ends[:-1])
  share[:-1][repeated] *= _REPEATED
  phrase = np.maximum(starts - phrases.start, 0) // phrases.step
  closes = phrase[1:] > phrase[:-1]
  share[:-1][closes] *= _PHRASE_END
  share[-1] = 1.0  # The last one rings.
  return np.maximum(share * length, length - _MOST_SILENCE)


def _velocities(level: _Floats, emotion: Emotion) -> npt.NDArray[np.int64]:
  """[N] MIDI velocities of decibels about the emotion's own."""
  velocity = emotion.velocity * 10.0 ** (level / _DECIBELS)
  return np.clip(np.rint(velocity), 1, 127).astype(np.int64)


class _Clock:
  """When the steps of an arranged NoteSequence are played."""

  def __init__(self, sequence: music_pb2.NoteSequence, asked: playing.Playing):
    qpm = sequence.tempos[0].qpm
    end = arrangement.num_steps(sequence)
    self._steps, self._qpm = [0], [qpm]
    if asked.ritardando:
      length = _RITARDANDO_BARS * arrangement.metre(sequence).bar_steps
      for step in range(max(end - length, 0), end, _TEMPO_STEPS):
        gone = 1.0 - (end - step) / length
        slowed = 1.0 + (_LAST_TEMPO**_CURVE - 1.0) * gone
        self._steps.append(step)
        self._qpm.append(qpm * slowed ** (1.0 / _CURVE))
    self._steps.append(end)
    durations = np.diff(self._steps) * 60.0 / melody.STEPS_PER_QUARTER
    self._seconds = np.append(0.0, np.cumsum(durations / self._qpm))

  @property
  def end(self) -> float:
    """Seconds from the first step to the last."""
    return float(self._seconds[-1])

  def seconds(self, steps: _Floats | _Steps) -> _Floats:
    """[N] seconds of [N] steps, which may be parts of one."""
    return np.interp(steps, self._steps, self._seconds)

  def set_times(self, sequence: music_pb2.NoteSequence) -> None:
    """Gives a NoteSequence the times of all but its notes."""
    del sequence.tempos[:]
    for time, qpm in zip(self._seconds, self._qpm):
      sequence.tempos.add(time=time, qpm=qpm)
    sequence.total_time = self.end
    annotations = sequence.text_annotations
    steps = np.array([a.quantized_step for a in annotations], np.int64)
    for annotation, time in zip(annotations, self.seconds(steps)):
      annotation.time = time


def _add(
  sequence: music_pb2.NoteSequence,
  part: arrangement.Part,
  volume: int,
  begun: _Floats,
  over: _Floats,
  velocities: npt.NDArray[np.int64],
) -> None:
  """Adds a part to a NoteSequence, its notes when and as strong as played."""
  own = {
    'instrument': part.instrument,
    'program': part.program,
    'is_drum': part.instrument == arrangement.DRUMS,
  }
  sequence.instrument_infos.add(instrument=part.instrument, name=part.name)
  for control, value in ((VOLUME, volume), (PAN, part.pan)):
    sequence.control_changes.add(
      control_number=control, control_value=value, **own
    )
  for (start, end, pitch), time, end_time, velocity in zip(
    part.notes, begun, over, velocities
  ):
    sequence.notes.add(
      pitch=pitch,
      velocity=velocity,
      start_time=time,
      end_time=end_time,
      quantized_start_step=start,
      quantized_end_step=end,
      **own,
    )


def _pink(rng: np.random.Generator, count: int) -> _Floats:
  """[count] of noise whose power falls as 1/f, of standard deviation 1."""
  spectrum = np.fft.rfft(rng.standard_normal(count))
  spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
  spectrum[0] = 0.0
  noise = np.fft.irfft(spectrum, count)
  return noise / noise.std()
