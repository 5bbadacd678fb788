"""One update of the base model: the package's against tools/pretrain_torch.py.

python benchmarks/pretrain_torch.py --updates=6 --rounds=3

Same sizes, batches and losses (hierdec-mel_16bar_form). The two take turns,
each in a process of its own, as TensorFlow and PyTorch's compiler do not get on
in one. Prints a JSON: melodies a second of each, how many times faster the tool
is, and by what the processor multiplies bfloat16.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_form'
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')


def package(path, updates):
  """Writes the state that both start from, and times the package's updates."""
  from emotion_musicvae.musicvae import hierdec
  from emotion_musicvae.pretraining import initialization
  from emotion_musicvae.pretraining import trainer

  _, hparams = configuration.load_model_config(CONFIG)
  shapes = hierdec.variable_shapes(
    hparams.z_size, hparams.enc_rnn_size, hparams.dec_rnn_size
  )
  weights = initialization.latched(hierdec.initial_weights(shapes, 0), 0)
  pretrainer = trainer.Pretrainer(hparams, weights, 0)
  if not os.path.exists(path):
    masks = initialization.held_still(weights)
    np.savez(
      path,
      **{k: v.numpy() for k, v in pretrainer._state().items()},
      **{'mask/' + k: v for k, v in masks.items()},
      global_step=np.int64(0),
    )
  return _timed(lambda tokens, _: pretrainer.step(tokens), updates)


def tool(path, updates):
  """Times the updates of tools/pretrain_torch.py."""
  sys.path.insert(0, os.path.join(ROOT, 'tools'))
  import pretrain_torch

  pretrain_torch.prepare()
  _, hparams = configuration.load_model_config(CONFIG)
  with np.load(path) as file:
    arrays = dict(file)
  masks = {
    k.removeprefix('mask/'): arrays.pop(k)
    for k in list(arrays)
    if k.startswith('mask/')
  }
  trainer = pretrain_torch.Trainer(hparams, arrays, masks)
  return _timed(
    lambda tokens, noise: trainer.step(tokens, tokens, tokens, noise), updates
  )


def _timed(step, updates):
  """Melodies a second of each update but the first, which compiles."""
  _, hparams = configuration.load_model_config(CONFIG)
  melodies = np.load(
    os.path.join(ROOT, 'emotion_musicvae', 'emotions', 'melodies.npz')
  )['tokens'].astype(np.int32)
  size = hparams.batch_size
  rates = []
  for number in range(updates + 1):
    tokens = np.roll(melodies, number * size, axis=0)[:size]
    noise = np.random.default_rng(number).standard_normal(
      [size, hparams.z_size], np.float32
    )
    start = time.perf_counter()
    step(tokens, noise)
    rates.append(size / (time.perf_counter() - start))
  return rates[1:]


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--updates', type=int, default=6)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--one', help=argparse.SUPPRESS)
  parser.add_argument('--state', help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.one:
    rates = globals()[arguments.one](arguments.state, arguments.updates)
    print(json.dumps(rates))
    return
  rates = {'package': [], 'tool': []}
  with tempfile.TemporaryDirectory() as folder:
    for _ in range(arguments.rounds):
      for name, found in rates.items():
        done = subprocess.run(
          [
            *(sys.executable, __file__, '--one', name),
            *('--state', os.path.join(folder, 'state.npz')),
            *('--updates', str(arguments.updates)),
          ],
          check=True,
          stdout=subprocess.PIPE,
          text=True,
        )
        found.append(
          statistics.median(json.loads(done.stdout.splitlines()[-1]))
        )
  ratios = [b / a for a, b in zip(rates['package'], rates['tool'])]
  with open('/proc/cpuinfo', encoding='utf-8') as f:
    known = f.read().split()
  result = {
    'cores': os.cpu_count(),
    'bfloat16': [k for k in ('amx_bf16', 'avx512_bf16') if k in known],
    'times faster': [round(ratio, 2) for ratio in ratios],
    'melodies a second': {
      name: [round(rate, 1) for rate in found] for name, found in rates.items()
    },
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
