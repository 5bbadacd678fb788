"""Time and memory of emotion_musicvae_batch over the number of melodies.

python benchmarks/batch.py
python benchmarks/batch.py --num_outputs 10000 --stock 10000 --loop 0

Runs the commands as a user does and prints a JSON: for each number of melodies
seconds, melodies a second, CPU milliseconds a melody and the peak memory of all
processes; a thousand requests of one melody; two worker processes of Dask's,
whether they gave the same bytes, and their pace once both are loaded; a shell
loop over emotion_musicvae_generate; and stock
music_vae_generate with the same weights, as it comes (batches of 8) and in
batches of 64, with the ratios of ours to its. CPU time says more than seconds
where the cores are shared.
"""

import argparse
import filecmp
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_lite'

# Magenta's command, told of the bundled model's sizes.
_STOCK = """
import os, sys
os.environ['TF_USE_LEGACY_KERAS'] = '1'
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import configs, music_vae_generate
config = configs.CONFIG_MAP['hierdec-mel_16bar']
config.hparams.override_from_dict({hparams})
tf.disable_v2_behavior()
tf.app.run(lambda _: music_vae_generate.run(configs.CONFIG_MAP))
"""


def resident(pid):
  """KiB of memory of a process, and of each below it."""
  try:
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
      lines = dict(line.split(':', 1) for line in f)
    children = []
    for task in os.listdir(f'/proc/{pid}/task'):
      with open(f'/proc/{pid}/task/{task}/children', encoding='utf-8') as f:
        children += f.read().split()
  except OSError:
    return [0]
  own = int(lines.get('VmRSS', '0 kB').split()[0])
  return [own, *(kib for child in children for kib in resident(int(child)))]


def measure(command, n):
  """What a command that makes n melodies takes, as a dictionary.

  `to_first` are the seconds to the first finished shard of a batch job, whose
  melodies stand in its folder then, `loaded` those from there to its manifest,
  `after_loading` the melodies a second in them.
  """
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  start, peaks, first = time.monotonic(), [0, 0, 0], None
  parts = command[-1].partition('=')[2] + '/.job/parts'
  process = subprocess.Popen(
    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )

  def watch():
    nonlocal first
    while process.poll() is None:
      launcher, *others = resident(process.pid)
      now = launcher + sum(others), launcher, max(others, default=0)
      peaks[:] = map(max, peaks, now)
      if first is None and os.path.isdir(parts) and (done := os.listdir(parts)):
        made = sum(int(name.split('-')[1].split('.')[0]) for name in done)
        first = time.monotonic() - start, made
      time.sleep(0.2)

  thread = threading.Thread(target=watch)
  thread.start()
  status = process.wait()
  seconds = time.monotonic() - start
  thread.join()
  if status:
    raise RuntimeError(f'{command} ended with status {status}')
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  told = {
    'melodies': n,
    'seconds': round(seconds, 1),
    'melodies_per_second': round(n / seconds, 2),
    'cpu_ms_per_melody': round(1000 * cpu / n, 1),
    'peak_mib': round(peaks[0] / 2**10),
    'launcher_mib': round(peaks[1] / 2**10),
    'largest_worker_mib': round(peaks[2] / 2**10),
  }
  if first:
    told['to_first'] = round(first[0], 1)
  if first and n > first[1]:
    told['loaded'] = round(seconds - first[0], 1)
    told['after_loading'] = round((n - first[1]) / (seconds - first[0]), 2)
  # The whole takes long; what is measured should not be lost.
  print(told, file=sys.stderr, flush=True)
  return told


def _command(name, **flags):
  return [
    sys.executable,
    '-m',
    f'emotion_musicvae.cli.{name}',
    *(f'--{flag}={value}' for flag, value in flags.items()),
  ]


def _same(a, b):
  """Whether two folders hold the same files."""
  names = [
    os.path.relpath(os.path.join(parent, name), folder)
    for folder in (a, b)
    for parent, _, files in os.walk(folder)
    for name in files
  ]
  return not any(filecmp.cmpfiles(a, b, names, shallow=False)[1:])


def _stock(folder, n, batch_size):
  entry, _ = configuration.load_model_config(CONFIG)
  return [
    sys.executable,
    '-c',
    _STOCK.format(hparams=entry['hparams']),
    '--config=hierdec-mel_16bar',
    f'--checkpoint_file={checkpoints.bundled(CONFIG)}',
    f'--num_outputs={n}',
    f'--max_batch_size={batch_size}',
    f'--output_dir={folder}/stock',
  ]


def _beside_stock(ours, folder, n):
  """Stock's measures for as many melodies, and ours over its."""
  told = []
  for size in (8, 64):
    stock = measure(_stock(folder, n, size), n)
    ratios = {
      f'ours_to_stock_in_{name}': round(ours[name] / stock[name], 2)
      for name in ('seconds', 'cpu_ms_per_melody')
    }
    print(ratios, file=sys.stderr, flush=True)
    told.append({'batch_size': size, **stock, **ratios})
  return told


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--num_outputs', type=int, nargs='+', default=[100, 1000])
  parser.add_argument(
    '--stock',
    type=int,
    nargs='*',
    default=[1000],
    help='which of --num_outputs to measure stock at, too',
  )
  parser.add_argument('--loop', type=int, default=3, help='single calls')
  parser.add_argument(
    '--guidance', type=float, default=1.0, help='0: as stock decodes'
  )
  parser.add_argument(
    '--workers', type=int, nargs='*', default=[1000], help='those by Dask'
  )
  sizes = parser.parse_args()
  result = {'cores': os.cpu_count(), 'batch': [], 'stock': [], 'dask': []}
  for n in sorted({*sizes.num_outputs, *sizes.workers}):
    with tempfile.TemporaryDirectory() as folder:
      command = _command(
        'batch',
        emotions='peaceful',
        num_outputs=n,
        guidance=sizes.guidance,
        output_dir=f'{folder}/one',
      )
      if n in sizes.num_outputs:
        result['batch'].append(measure(command, n))
        if n in sizes.stock:
          result['stock'] += _beside_stock(result['batch'][-1], folder, n)
      if n in sizes.workers:
        workers = [
          *command[:-1], '--runner=dask', '--num_workers=2',
          f'--output_dir={folder}/two',
        ]  # fmt: skip
        result['dask'].append(measure(workers, n))
      if n in sizes.num_outputs and n in sizes.workers:
        result['dask'][-1]['same_bytes'] = _same(
          f'{folder}/one', f'{folder}/two'
        )
      if n == 1000 and n in sizes.num_outputs:
        workers = command[:-1] + [
          f'--output_dir={folder}/local',
          '--pipeline_options=--direct_num_workers=2 '
          '--direct_running_mode=multi_processing',
        ]
        result['two_workers'] = measure(workers, n)
        result['two_workers']['same_bytes'] = _same(
          f'{folder}/one', f'{folder}/local'
        )
        requests = os.path.join(folder, 'requests.jsonl')
        with open(requests, 'w') as f:
          f.writelines(['{"emotion": "peaceful"}\n'] * n)
        single = _command(
          'batch', requests=requests, output_dir=f'{folder}/single'
        )
        result['requests_of_one'] = measure(single, n)
  with tempfile.TemporaryDirectory() as folder:
    single = _command(
      'generate', emotion='peaceful', num_outputs=1, output_dir=folder
    )
    result['shell_loop'] = [measure(single, 1) for _ in range(sizes.loop)]
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
