"""From `git clone` to the first MIDI file: wall time and where it goes.

python benchmarks/first_melody.py --runs=1

Prints a JSON with the seconds of each part, medians over the runs with the
smallest and largest, and the CPU they were measured on. The share of each part
says more than its seconds: those depend on the machine and the network.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_GENERATE = """
import time
clock = [time.time()]
from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.files import writers
clock.append(time.time())
model = EmotionMusicVAE.from_pretrained(max_batch_size=3)
clock.append(time.time())
melodies = model.generate('peaceful', 3, seed=0)
writers.check_directory('out')
writers.write_run('out', 'bench', 'peaceful', melodies, {})
clock.append(time.time())
print(*(b - a for a, b in zip(clock, clock[1:])))
"""


def _timed(command, folder):
  start = time.time()
  result = subprocess.run(
    command, cwd=folder, check=True, capture_output=True, text=True
  )
  return time.time() - start, result.stdout


def measure(python):
  """Seconds of each part, in a fresh clone."""
  with tempfile.TemporaryDirectory() as folder:
    clone, _ = _timed(['git', 'clone', '-q', REPOSITORY, 'clone'], folder)
    folder = os.path.join(folder, 'clone')
    install, _ = _timed(['make', '.venv/demo', f'PYTHON={python}'], folder)
    venv_python = os.path.join(folder, '.venv', 'bin', 'python')
    total, output = _timed([venv_python, '-c', _GENERATE], folder)
    imports, model, generation = map(float, output.split()[-3:])
    # What is left is Python's own start and stop.
    return {
      'clone': clone,
      'install': install,
      'imports': imports,
      'model': model,
      'generation': generation,
      'rest': total - imports - model - generation,
      'total': clone + install + total,
    }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--runs', type=int, default=1)
  parser.add_argument('--python', default='python3')
  arguments = parser.parse_args()
  runs = [measure(arguments.python) for _ in range(arguments.runs)]
  result = {
    name: {
      'median': round(statistics.median(run[name] for run in runs), 2),
      'min': round(min(run[name] for run in runs), 2),
      'max': round(max(run[name] for run in runs), 2),
    }
    for name in runs[0]
  }
  print(
    json.dumps(
      {
        'seconds': result,
        'runs': arguments.runs,
        'cpu': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
      },
      indent=2,
    )
  )


if __name__ == '__main__':
  main()
