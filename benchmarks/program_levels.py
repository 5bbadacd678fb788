"""How loud each General MIDI program of the shipped SoundFont is.

python benchmarks/program_levels.py > configs/levels.yaml

Plays every program the same notes at the same velocity in three registers, and
prints its loudness: what the parts of an accompaniment are balanced by, so that
a soft instrument is heard beside a loud one.
"""

import numpy as np
import tinysoundfont

from emotion_musicvae.files import audio
from emotion_musicvae.files import loudness
from emotion_musicvae.files import mixing

_VELOCITY = 80
_SECONDS = 0.5  # of a note
_INTERVALS = (-5, 0, 4)

_HEAD = """\
# Loudness of the General MIDI programs, counted from 0, of the SoundFont that
# the audio is played with: LUFS of notes of half a second about the MIDI
# pitches {pitches}, velocity 80. Written by benchmarks/program_levels.py.
levels:
"""


def _loudness(synth, pitches):
  parts = []
  for pitch in pitches:
    synth.noteon(0, pitch, _VELOCITY)
    parts.append(bytes(synth.generate(round(_SECONDS * loudness.SAMPLE_RATE))))
    synth.noteoff(0, pitch)
  synth.sounds_off()
  sound = np.frombuffer(b''.join(parts), np.float32).reshape(-1, 2)
  return loudness.integrated(sound - sound.mean(axis=0))


def main():
  synth = tinysoundfont.Synth(samplerate=loudness.SAMPLE_RATE)
  font = synth.sfload(audio.SOUNDFONT)
  print(_HEAD.format(pitches=', '.join(map(str, mixing.PITCHES))), end='')
  for program in range(128):
    synth.program_select(0, font, 0, program)
    levels = [
      _loudness(synth, [pitch + i for i in _INTERVALS])
      for pitch in mixing.PITCHES
    ]
    print('  - [' + ', '.join(f'{level:.0f}' for level in levels) + ']')


if __name__ == '__main__':
  main()
