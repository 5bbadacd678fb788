"""How melodies of the bundled model are played, as numbers.

python benchmarks/playing.py
python benchmarks/playing.py --fluidsynth=fluidsynth

Generates melodies of each emotion and prints a JSON: for each emotion the
loudness (by pyloudnorm, alone and accompanied), true peak, offset, what is left
in the last 10 ms, velocities, phrase arch, voice leading and collisions of the
accompaniment, and CPU seconds a WAV; and over all the rank correlation of
loudness and arousal. With FluidSynth, its CPU seconds for the same MIDI file
and SoundFont beside ours.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import tempfile
import time

import numpy as np
import pyloudnorm
from scipy import signal
from scipy import stats

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import recognition
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import audio
from emotion_musicvae.files import audio_formats
from emotion_musicvae.files import midi

_METER = pyloudnorm.Meter(44100)


def _decibels(amplitude):
  return 20 * float(np.log10(max(amplitude, 1e-12)))


def sound(melody):
  """What a melody's audio measures, and what it took to make a WAV of it."""
  start = time.process_time()
  samples = audio.render(
    melody.note_sequence, melody.emotion.loudness, melody.playing
  )
  audio_formats.wav(samples)
  taken = time.process_time() - start
  finer = signal.resample_poly(samples, 4, 1, axis=0)
  return {
    'lufs': _METER.integrated_loudness(samples.astype(float)),
    'true_peak': _decibels(np.abs(finer).max()),
    'offset': float(np.abs(samples.mean(axis=0)).max()),
    'last_10_ms': _decibels(np.abs(samples[-441:]).max()),
    'side_to_mid': _decibels(
      np.std(samples[:, 0] - samples[:, 1])
      / np.std(samples[:, 0] + samples[:, 1])
    ),
    'cpu_seconds': taken,
    'times_real_time': len(samples) / 44100 / taken,
  }


def dynamics(melody):
  """Velocities, and the t value of the arch that a regression finds."""
  notes = [n for n in melody.note_sequence.notes if n.instrument == 0]
  velocities = np.array([n.velocity for n in notes], float)
  steps = np.array([n.quantized_start_step for n in notes])
  pitches = np.array([n.pitch for n in notes], float)
  place = steps % 64 / 64 - 0.5
  features = np.stack(
    [
      place**2,
      place,
      pitches - pitches.mean(),
      steps % 16 == 0,
      steps % 4 == 0,
      np.ones(len(steps)),
    ],
    axis=1,
  ).astype(float)
  weights, _, _, _ = np.linalg.lstsq(features, velocities, rcond=None)
  rest = velocities - features @ weights
  variance = rest @ rest / max(len(rest) - features.shape[1], 1)
  error = np.sqrt(variance * np.linalg.pinv(features.T @ features)[0, 0])
  return {
    'velocity_deviation': velocities.std(),
    'arch': -weights[0] / 4,  # velocities from the ends to the middle
    'arch_t': -weights[0] / error,
  }


def voice_leading(melody):
  """What a teacher would mark, taken from the notes that are written."""
  sequence = melody.note_sequence
  changes = arrangement.chords(sequence)
  ends = [step for step, _ in changes[1:]] + [arrangement.num_steps(sequence)]
  parallels, moved, before = 0, [], None
  for (start, _), end in zip(changes, ends):
    chords, bass = (
      sorted(
        (n.quantized_start_step, n.pitch)
        for n in sequence.notes
        if n.instrument == instrument and start <= n.quantized_start_step < end
      )
      for instrument in (arrangement.CHORDS, arrangement.BASS)
    )
    voices = sorted({pitch for _, pitch in chords})
    if before and len(voices) == len(before[0]) and voices != before[0]:
      pairs = list(zip(before[0], voices))
      moved.append(np.mean([abs(b - a) for a, b in pairs]))
      pairs.append((before[1], bass[0][1]))
      parallels += sum(
        (b - a) % 12 == (d - c) % 12
        and (b - a) % 12 in (0, 7)
        and (c - a) * (d - b) > 0
        for (a, c), (b, d) in itertools.combinations(pairs, 2)
      )
    before = voices, bass[-1][1]
  top = np.zeros(arrangement.num_steps(sequence))
  for note in sequence.notes:
    if note.instrument in (arrangement.CHORDS, arrangement.BASS):
      steps = slice(note.quantized_start_step, note.quantized_end_step)
      top[steps] = np.maximum(top[steps], note.pitch)
  collided = [
    top[start:end] >= pitch
    for start, end, pitch, _ in arrangement.notes(sequence)
  ]
  return {
    'parallels': parallels,
    'semitones_a_voice': np.mean(moved),
    'collisions': np.concatenate(collided).mean(),
  }


def fluidsynth(command, melody):
  """CPU seconds of FluidSynth for a melody's MIDI, and ours."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'it.mid')
    with open(path, 'wb') as f:
      f.write(midi.midi(melody.note_sequence))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
      [command, '-ni', '-q', '-r', '44100', '-F', os.path.join(folder, 'a.wav')]
      + [audio.SOUNDFONT, path],
      check=True,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
  return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--num_outputs', type=int, default=2)
  parser.add_argument('--seed', type=int, default=1)
  parser.add_argument('--fluidsynth', default='')
  args = parser.parse_args()
  model = api.EmotionMusicVAE.from_pretrained(max_batch_size=8)
  report = {}
  for emotion in catalogue.load():
    rows = []
    for melody in model.generate(emotion.alias, args.num_outputs, args.seed):
      full = melody.played(accompaniment='full')
      row = {**sound(melody), **dynamics(melody), **voice_leading(full)}
      row |= {f'full_{k}': v for k, v in sound(full).items()}
      if args.fluidsynth:
        theirs = fluidsynth(args.fluidsynth, melody)
        row['fluidsynth_seconds'] = theirs
      rows.append(row)
    report[emotion.alias] = {
      'target': emotion.loudness,
      **{k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]},
      'worst': {
        'true_peak': max(r['full_true_peak'] for r in rows),
        'velocity_deviation': min(r['velocity_deviation'] for r in rows),
        'arch_t': min(r['arch_t'] for r in rows),
      },
    }
  arousal = [recognition.PLACES[alias][1] for alias in report]
  ranks = {
    kind: stats.spearmanr([row[kind] for row in report.values()], arousal)[0]
    for kind in ('lufs', 'full_lufs')
  }
  report['rank_correlation_with_arousal'] = ranks
  print(json.dumps(report, indent=1))


if __name__ == '__main__':
  main()
