"""A thousand calls in one process, and ten processes at once.

python benchmarks/soak.py --calls=1000

Prints a JSON: memory and seconds of the calls by tenths, after a first tenth
that warms up; and what ten commands that were started together on one cache and
one output folder left there. As a machine with other work is slower at times, a
bare decode of one melody is timed every tenth call, and `slower` is the second
half of the calls beside the first, both counted in it; `graph` and `objects`
are what TensorFlow's graphs and Python grew by after the warming up.
"""

import argparse
import gc
import itertools
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
  from emotion_musicvae.emotions import catalogue

  model = EmotionMusicVAE.from_pretrained()
  known = catalogue.load()
  z = model.sample_prior(0, 1)
  tenths, counts = [], []
  for tenth in range(11):
    seconds, decodes = [], []
    for i in range(number // 10):
      start = time.process_time()
      model.generate(known[i % len(known)], 1 + i % 3, seed=number * tenth + i)
      seconds.append(time.process_time() - start)
      if i % 10 == 0:
        start = time.process_time()
        model.decode(z, 0.5, 0)
        decodes.append(time.process_time() - start)
    tenths.append((_resident_mib(), seconds, decodes))
    counts.append(_counts())
  memory, seconds, decodes = zip(*tenths[1:])
  before, after = (
    statistics.median(itertools.chain(*seconds[half]))
    / statistics.median(itertools.chain(*decodes[half]))
    for half in (slice(5), slice(5, 10))
  )
  return {
    'calls': number,
    'mib': [round(m) for m in memory],
    'growth': round(memory[-1] / memory[0] - 1, 4),
    'cpu_seconds': [round(statistics.median(s), 4) for s in seconds],
    'decode_cpu_seconds': [round(statistics.median(s), 4) for s in decodes],
    'slower': round(after / before - 1, 4),
    **{k: counts[-1][k] - counts[0][k] for k in counts[0]},
  }


def _counts():
  """Nodes of all graphs of TensorFlow's, and objects that Python tracks."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top

  gc.collect()
  objects = gc.get_objects()
  return {
    'graph': sum(
      len(one.get_operations()) for one in objects if isinstance(one, tf.Graph)
    ),
    'objects': len(objects),
  }


def together(processes, count):
  """What commands that start together on one folder leave there."""
  with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, 'out')
    command = [
      sys.executable, '-m', 'emotion_musicvae.cli.generate',
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
