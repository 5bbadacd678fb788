"""The published model's size from end to end, on random weights.

python benchmarks/full_size.py

Writes a checkpoint of the exact names and shapes of Magenta's hierdec-mel_16bar
(176,061,530 floats) into a tar, trains an actor for two steps and composes a
melody with it, each by its command. Prints a JSON of wall seconds and peak
memory of each command.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np

from emotion_musicvae import checkpoints
from emotion_musicvae import configuration
from emotion_musicvae import hierdec

CONFIG = 'hierdec-mel_16bar'


def make_tar(folder):
  """A tar of random weights under the published prefix."""
  _, h = configuration.load_model_config(CONFIG)
  shapes = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
  prefix = os.path.join(folder, CONFIG + '.ckpt')
  checkpoints.save(
    prefix, {**hierdec.initial_weights(shapes, 0), 'global_step': np.int64(1)}
  )
  path = os.path.join(folder, CONFIG + '.tar')
  with tarfile.open(path, 'w') as tar:
    for suffix in ('.index', '.data-00000-of-00001'):
      tar.add(prefix + suffix, os.path.basename(prefix) + suffix)
      os.remove(prefix + suffix)
  return path


def run(command, *flags):
  """Seconds and peak GiB of one command of the package."""
  module = f'emotion_musicvae.scripts.{command}'
  start = time.time()
  process = subprocess.Popen([sys.executable, '-m', module, *flags])
  _, status, usage = os.wait4(process.pid, 0)
  if status:
    raise SystemExit(f'{command} failed')
  return {
    'seconds': round(time.time() - start, 1),
    'peak_gib': round(usage.ru_maxrss / 2**20, 2),
  }


def main():
  argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
  with tempfile.TemporaryDirectory() as folder:
    model = [f'--config={CONFIG}', f'--checkpoint_file={make_tar(folder)}']
    actor = os.path.join(folder, 'actor')
    result = {
      'cpu': platform.processor() or platform.machine(),
      'train, 2 steps of batch 2': run(
        'train',
        *model,
        f'--run_dir={actor}',
        '--num_steps=2',
        '--hparams=batch_size=2,replay_size=4,real_melodies=8',
      ),
      'generate, 1 melody': run(
        'generate',
        *model,
        f'--actor_dir={actor}',
        '--emotion=peaceful',
        '--num_outputs=1',
        f'--output_dir={os.path.join(folder, "out")}',
      ),
    }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
