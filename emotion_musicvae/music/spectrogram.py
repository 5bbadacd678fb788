"""Spectrogram energy of a melody.

Each note is a struck or plucked string: at its onset every partial starts at
full strength and fades, higher notes faster, until the note ends. The energy of
a melody therefore grows with the number of its onsets rather than with the
length of its notes. A frame is one sixteenth at 120 quarter notes a minute,
0.125 s, whatever the tempo of the written file.
"""

import librosa
import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody

FRAME_SECONDS = 0.125
NUM_PARTIALS = 8
# The energy of middle C falls to 1/e in this time, that of a note two octaves
# higher in half of it: a plucked, damped string.
DECAY_SECONDS = 0.08
NUM_BANDS = 64
MIN_HZ = 27.5
MAX_HZ = 14080.0


def decay_per_frame() -> npt.NDArray[np.float32]:
  """Share of a note's energy that is left one frame later.

  Returns:
    [88] float32 below 1, by pitch from MIDI 21 to 108.
  """
  seconds = DECAY_SECONDS * 2.0 ** (-(melody.PITCHES - 60.0) / 24.0)
  return np.exp(-FRAME_SECONDS / seconds).astype(np.float32)


def templates() -> npt.NDArray[np.float32]:
  """Energy of one note of each pitch in each mel band at its onset.

  Partial k of a note has the energy 1 / k^2 and falls to the mel bands around
  its frequency; the whole of a note is 1, so that no pitch counts more than
  another.

  Returns:
    [88, 64] float32, rows summing to 1.
  """
  hz = librosa.midi_to_hz(melody.PITCHES)[:, None] * np.arange(
    1, NUM_PARTIALS + 1
  )
  energy = 1.0 / np.arange(1, NUM_PARTIALS + 1) ** 2
  mel = librosa.hz_to_mel(hz)
  low, high = librosa.hz_to_mel(MIN_HZ), librosa.hz_to_mel(MAX_HZ)
  position = (mel - low) / (high - low) * (NUM_BANDS - 1)
  # A triangle one band wide to each side, as mel filters have.
  closeness = 1.0 - np.abs(position[..., None] - np.arange(NUM_BANDS))
  result = (np.maximum(closeness, 0.0) * energy[:, None]).sum(axis=1)
  return (result / result.sum(axis=1, keepdims=True)).astype(np.float32)


def energy(tokens: melody.Tokens) -> npt.NDArray[np.float64]:
  """Mean spectrogram energy of a frame of each melody.

  What `steering.expectation.span_energy` of their one-hot tokens is over the
  whole, in closed form: a note that lasts n frames adds 1 + d + ... + d^(n-1).

  Args:
    tokens: [B, T] tokens.

  Returns:
    [B] float64; 0 where there is no note.
  """
  tokens = np.asarray(tokens)
  notes = melody.notes(tokens)
  decay = decay_per_frame()[notes.pitch - melody.MIN_PITCH].astype(float)
  added = (1.0 - decay**notes.length) / (1.0 - decay)
  total = np.bincount(notes.row, added, minlength=len(tokens))
  return total / tokens.shape[1]
