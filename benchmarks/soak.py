"""A thousand calls in one process, and ten processes at once.

python benchmarks/soak.py --calls=1000

Prints a JSON: memory and seconds of the calls by tenths, after a first tenth
that warms up; and what ten commands that were started together on one cache and
one output folder left there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import mido


def _resident_mib():
  with open('/proc/self/status', encoding='utf-8') as f:
    lines = dict(line.split(':', 1) for line in f)
  return int(lines['VmRSS'].split()[0]) / 2**10


def calls(number):
  """Memory at the end of each tenth of the calls, and its median seconds."""
  from emotion_musicvae import EmotionMusicVAE
  from emotion_musicvae import emotions

  model = EmotionMusicVAE.from_pretrained()
  known = emotions.load()
  tenths = []
  for tenth in range(11):
    seconds = []
    for i in range(number // 10):
      start = time.process_time()
      model.generate(known[i % len(known)], 1 + i % 3, seed=number * tenth + i)
      seconds.append(time.process_time() - start)
    tenths.append((_resident_mib(), statistics.median(seconds)))
  memory, seconds = zip(*tenths[1:])
  return {
    'calls': number,
    'mib': [round(m) for m in memory],
    'growth': round(memory[-1] / memory[0] - 1, 4),
    'cpu_seconds': [round(s, 4) for s in seconds],
    'slower': round(seconds[-1] / seconds[0] - 1, 4),
  }


def together(processes, count):
  """What commands that start together on one folder leave there."""
  with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, 'out')
    command = [
      sys.executable, '-m', 'emotion_musicvae.scripts.generate',
      '--emotion=clear', f'--num_outputs={count}', f'--output_dir={out}',
      f'--cache_dir={os.path.join(folder, "cache")}',
    ]  # fmt: skip
    running = [
      subprocess.Popen(command, stdout=subprocess.DEVNULL)
      for _ in range(processes)
    ]
    statuses = [process.wait() for process in running]
    names = os.listdir(out)
    melodies = [name for name in names if name.endswith('.mid')]
    for name in melodies:
      mido.MidiFile(os.path.join(out, name))
    recorded = []
    for name in names:
      if name.endswith('.json'):
        with open(os.path.join(out, name), encoding='utf-8') as f:
          for entry in json.load(f)['melodies']:
            recorded += entry['files']
    return {
      'processes': processes,
      'statuses': statuses,
      'melodies': len(melodies),
      'lost': processes * count - len(set(recorded) & set(melodies)),
      'left_over': len([name for name in names if name.startswith('.')]),
    }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--calls', type=int, default=1000)
  parser.add_argument('--processes', type=int, default=10)
  arguments = parser.parse_args()
  result = {
    'together': together(arguments.processes, 3),
    'calls': calls(arguments.calls),
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
