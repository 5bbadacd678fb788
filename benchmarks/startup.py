"""Time until the first note, and of a later call, against stock Magenta.

python benchmarks/startup.py --runs=5

Runs `emotion_musicvae_generate` (trained actor, bundled model) and stock
`music_vae_generate --mode=sample` on the same checkpoint in turn, whole
processes; then, in one process, `.generate` and `TrainedModel.decode` in turn.
Prints a JSON: of each the median with the smallest and largest, and of the
pairs' ratios the same. Ratios say more than seconds, and the ratio of CPU
seconds more than that of wall time where the machine does other work.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

CONFIG = 'hierdec-mel_16bar_lite'
TEMPERATURE = 0.5

_STOCK = f"""
import os
os.environ['TF_USE_LEGACY_KERAS'] = '1'
import copy
from magenta.models.music_vae import configs, music_vae_generate
from emotion_musicvae.support import configuration
entry = configuration.load_yaml('{CONFIG}')
config = copy.deepcopy(configs.CONFIG_MAP[entry['base']])
config.hparams.override_from_dict(entry['hparams'])
configs.CONFIG_MAP['{CONFIG}'] = config
music_vae_generate.console_entry_point()
"""


def _spent():
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return time.perf_counter(), used.ru_utime + used.ru_stime


def _process(command):
  """Wall and CPU seconds of a process."""
  before = _spent()
  subprocess.run(command, check=True, capture_output=True)
  return [b - a for a, b in zip(before, _spent())]


def processes(checkpoint, count):
  """`(ours, stock)`: wall and CPU seconds of one run of each command."""
  with tempfile.TemporaryDirectory() as folder:
    common = [f'--num_outputs={count}', f'--temperature={TEMPERATURE}',
              f'--output_dir={folder}', f'--config={CONFIG}']  # fmt: skip
    ours = [sys.executable, '-m', 'emotion_musicvae.cli.generate',
            '--emotion=peaceful', *common]  # fmt: skip
    stock = [sys.executable, '-c', _STOCK, '--mode=sample',
             f'--checkpoint_file={checkpoint}', *common]  # fmt: skip
    return _process(ours), _process(stock)


def calls(counts, runs):
  """Dictionary of count to pairs of wall seconds, as `processes`."""
  # pylint: disable=g-import-not-at-top
  from magenta.models.music_vae import trained_model
  import numpy as np

  from emotion_musicvae import api
  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.musicvae import stock
  from emotion_musicvae.support import configuration

  entry = configuration.load_yaml(CONFIG)
  stock = trained_model.TrainedModel(
    stock.magenta_config(entry['base'], entry['hparams']),
    batch_size=8,
    checkpoint_dir_or_path=checkpoints.bundled(CONFIG),
  )
  model = api.EmotionMusicVAE.from_pretrained(CONFIG)
  z = np.random.default_rng(0).standard_normal([max(counts), model.z_size])

  def timed(function, *arguments):
    start = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - start[0], time.process_time() - start[1]

  def pair(count):
    return (
      timed(model.generate, 'peaceful', count, TEMPERATURE),
      timed(stock.decode, z[:count], 256, TEMPERATURE),
    )

  pair(1)  # the first call of each, which is not what is asked for
  return {count: [pair(count) for _ in range(runs)] for count in counts}


def _spread(values):
  return {
    'median': round(statistics.median(values), 3),
    'min': round(min(values), 3),
    'max': round(max(values), 3),
  }


def summary(pairs):
  """Medians and spread of seconds, and of the ratios of pairs."""
  result = {}
  for i, clock in enumerate(('wall', 'cpu')):
    result[clock] = {
      'ours': _spread([ours[i] for ours, _ in pairs]),
      'stock': _spread([stock[i] for _, stock in pairs]),
      'ratio': _spread([ours[i] / stock[i] for ours, stock in pairs]),
    }
  return result


def _cpu_name():
  if os.path.exists('/proc/cpuinfo'):
    with open('/proc/cpuinfo', encoding='utf-8') as f:
      for line in f:
        if line.startswith('model name'):
          return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--runs', type=int, default=5)
  parser.add_argument('--num_outputs', type=int, nargs='+', default=[1, 8, 64])
  arguments = parser.parse_args()
  counts, runs = arguments.num_outputs, arguments.runs

  from emotion_musicvae.musicvae import checkpoints

  prefix = checkpoints.bundled(CONFIG)
  result = {
    'cpu': _cpu_name(),
    'cores': os.cpu_count(),
    'runs': runs,
    'processes': {
      n: summary([processes(prefix, n) for _ in range(runs)]) for n in counts
    },
  }
  pairs = calls(counts, 5 * runs)  # more runs, as they are short
  result['calls'] = {n: summary(pairs[n]) for n in counts}
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
