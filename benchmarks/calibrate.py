"""Time and memory of emotion_musicvae_calibrate over the number of files.

python benchmarks/calibrate.py

Composes MIDI files as long as pop songs are (72 bars, a melody over three held
voices, bass and drums: about 1,300 notes), calibrates 100 and then 1,000 of
them by the command, and prints a JSON with the seconds and the peak memory of
its processes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pretty_midi

BARS = 72
CHORDS = ((0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2))


def compose(path, seed):
  """Writes one song: returns its number of notes."""
  rng = np.random.default_rng(seed)
  song = pretty_midi.PrettyMIDI(initial_tempo=120.0)
  parts = {
    name: pretty_midi.Instrument(program, is_drum=name == 'drums')
    for name, program in (('tune', 0), ('pad', 48), ('bass', 32), ('drums', 0))
  }
  middle, onsets = 60 + 12 * rng.random(), int(rng.integers(3, 12))

  def add(part, pitch, start, end):
    parts[part].notes.append(
      pretty_midi.Note(80, int(pitch), 2.0 * start, 2.0 * end)
    )

  for bar in range(BARS):
    chord = CHORDS[bar % 4]
    for tone in chord:
      add('pad', 48 + tone, bar, bar + 1)
    for beat in range(4):
      add('bass', 36 + chord[0], bar + beat / 4, bar + beat / 4 + 0.25)
      add('drums', 36 + beat % 2 * 2, bar + beat / 4, bar + beat / 4 + 0.1)
    steps = sorted(rng.choice(16, onsets, replace=False))
    for step, end in zip(steps, [*steps[1:], 16]):
      pitch = middle + rng.integers(-7, 8)
      add('tune', pitch, bar + step / 16, bar + end / 16)
  song.instruments = list(parts.values())
  song.write(path)
  return sum(len(part.notes) for part in parts.values())


def _resident(pid):
  """KiB in memory of a process and those it started, as Linux tells."""
  try:
    with open(f'/proc/{pid}/status') as f:
      lines = dict(line.split(':', 1) for line in f)
    with open(f'/proc/{pid}/task/{pid}/children') as f:
      children = f.read().split()
  except OSError:
    return 0
  own = int(lines.get('VmRSS', '0 kB').split()[0])
  return own + sum(_resident(int(child)) for child in children)


def measure(folder, output):
  """`(seconds, MiB)` of a run of the command."""
  process = subprocess.Popen(
    [
      sys.executable,
      '-m',
      'emotion_musicvae.cli.calibrate',
      f'--input_dir={folder}',
      f'--output_file={output}',
    ],
    stdout=subprocess.DEVNULL,
  )
  peak = 0

  def watch():
    nonlocal peak
    while process.poll() is None:
      peak = max(peak, _resident(process.pid))
      time.sleep(0.5)

  thread = threading.Thread(target=watch)
  start = time.time()
  thread.start()
  status = process.wait()
  seconds = time.time() - start
  thread.join()
  if status:
    raise RuntimeError(f'the command ended with status {status}')
  return seconds, peak / 2**10


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--num_files', type=int, nargs='+', default=[100, 1000])
  numbers = parser.parse_args().num_files
  result = {'cores': os.cpu_count(), 'runs': []}
  for n in numbers:
    with tempfile.TemporaryDirectory() as folder:
      notes = 0
      for i in range(n):
        label = os.path.join(folder, 'in', f'label {i % 9}')
        os.makedirs(label, exist_ok=True)
        notes += compose(os.path.join(label, f'{i}.mid'), seed=i)
      seconds, mebibytes = measure(
        os.path.join(folder, 'in'), os.path.join(folder, 'out.yaml')
      )
    result['runs'].append(
      {
        'files': n,
        'notes_per_file': round(notes / n),
        'seconds': round(seconds, 1),
        'peak_mib': round(mebibytes),
      }
    )
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
