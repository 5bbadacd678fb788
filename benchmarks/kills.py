"""Kills commands at random moments and looks at what is left.

python benchmarks/kills.py --kills=20

Each command runs once to its end, to know how long it takes and what it makes;
then, each time in a folder of its own, it is killed (SIGKILL) at a random
moment, what has a name is read, and the same command runs again to its end.
They are forks of this process, which has loaded TensorFlow: no kill is spent on
the seconds of that, in which nothing is written.
Prints a JSON: how many kills came too late and are not counted, how many left a
file that cannot be read, how many second runs did not end as the first one did,
and what is left after them that belongs to no finished run.
"""

import argparse
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback

import mido
import numpy as np
import yaml

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.support import quiet

_SIZES = 'z_size=12,enc_rnn_size=[24,16],dec_rnn_size=[20,28],batch_size=4'
_LEARNER = (
  'units=8,critic_units=8,batch_size=2,forecast_batch_size=4,replay_size=4,'
  'replay_batch_size=2,real_melodies=8'
)
COMMANDS = {
  'generate': ['--emotion=clear', '--seed=1', '--output_dir=out'],
  'batch': ['--emotions=all', '--num_outputs=67', '--output_dir=out'],
  'calibrate': ['--input_dir=labelled', '--output_file=mine.yaml'],
  'train': [
    '--run_dir=run', '--num_steps=300', f'--hparams={_LEARNER}'
  ],
  'pretrain': [
    '--run_dir=run', '--input_dir=labelled', '--num_steps=60',
    '--eval_every=20', f'--hparams={_SIZES},latched=false',
  ],
}  # fmt: skip


def _music(folder):
  """Two labels of four tunes each, to train on and to measure."""
  rng = random.Random(0)
  for i in range(8):
    label = os.path.join(folder, 'labelled', 'ab'[i % 2])
    os.makedirs(label, exist_ok=True)
    bars = [''.join(rng.choices('CDEFGABcd', k=8)) for _ in range(20)]
    with open(os.path.join(label, f'{i}.abc'), 'w', encoding='utf-8') as f:
      f.write(f'X:1\nT:{i}\nM:4/4\nL:1/8\nK:C\n{"|".join(bars)}|]\n')


def _load():
  """Imports what the commands do; TensorFlow may run nothing before a fork."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  quiet.load_tensorflow = lambda: None
  for name in ('music21', 'tqdm'):
    importlib.import_module(name)
  for name in ('calibration', 'generation', 'plots', 'pretraining'):
    importlib.import_module('emotion_musicvae.' + name)


def _run(command, folder, seconds=None):
  """Runs a command in a fork, killed after some seconds.

  Returns:
    Its exit status; negative for the signal that killed it.
  """
  pid = os.fork()
  if not pid:
    status = 1
    try:
      os.chdir(folder)
      with open(os.devnull, 'r+b') as nothing:
        for stream in (0, 1, 2):
          os.dup2(nothing.fileno(), stream)
      module = importlib.import_module('emotion_musicvae.cli.' + command)
      sys.argv = [command, *COMMANDS[command]]
      module.console_entry_point()
    except SystemExit as e:
      status = e.code or 0
    except BaseException:
      traceback.print_exc()
    finally:
      os._exit(status)
  end = time.time() + (seconds or float('inf'))
  while not (waited := os.waitpid(pid, os.WNOHANG))[0]:
    if time.time() > end:
      os.kill(pid, signal.SIGKILL)
    time.sleep(0.002)
  return os.waitstatus_to_exitcode(waited[1])


def _read(path):
  """Reads a file by its ending; raises where it is torn."""
  if path.endswith('.mid'):
    mido.MidiFile(path)
  elif path.endswith('.json'):
    with open(path, encoding='utf-8') as f:
      json.load(f)
  elif path.endswith('.jsonl'):
    with open(path, encoding='utf-8') as f:
      for line in f:
        json.loads(line)
  elif path.endswith('.yaml'):
    with open(path, encoding='utf-8') as f:
      yaml.safe_load(f)
  elif path.endswith('.npz'):
    with np.load(path) as arrays:
      list(arrays.values())


def torn(folder):
  """Files with a name of their own that cannot be read."""
  found = []
  for path in sorted(_visible(folder)):
    try:
      _read(path)
    except Exception as e:  # pylint: disable=broad-except
      found.append(f'{os.path.basename(path)}: {e}')
  try:
    prefix = checkpoints.latest(os.path.join(folder, 'run'))
    if prefix:
      checkpoints.read(prefix)
  except Exception as e:  # pylint: disable=broad-except
    found.append(f'checkpoint: {e}')
  return found


def _visible(folder):
  for place, folders, names in os.walk(folder):
    folders[:] = [name for name in folders if not name.startswith('.')]
    yield from (os.path.join(place, name) for name in names)


def left_over(folder):
  """Hidden and unfinished files, and melodies that no JSON tells of."""
  found, melodies, told = [], set(), set()
  for place, folders, names in os.walk(folder):
    for name in folders + names:
      if name.startswith('.') or '.tmp' in name or '.tempstate' in name:
        found.append(name)
      elif name.endswith('.mid'):
        melodies.add(name)
      elif name.endswith(('.json', '.jsonl')) and name != 'job.json':
        with open(os.path.join(place, name), encoding='utf-8') as f:
          if name.endswith('.jsonl'):
            entries = map(json.loads, f)
          else:
            entries = json.load(f).get('melodies', [])
          for entry in entries:
            told.update(map(os.path.basename, entry['files']))
  return found + sorted(melodies ^ told)


def made(folder):
  """What a finished command made: digests that do not depend on the hour."""
  prefix = checkpoints.latest(os.path.join(folder, 'run'))
  if prefix:
    return checkpoints.fingerprint(
      {
        name: value
        for name, value in checkpoints.read(prefix).items()
        if isinstance(value, np.ndarray)
      }
    )
  digests = []
  for path in _visible(folder):
    if path.endswith(('.mid', '.yaml', '.png', '.jsonl')):
      with open(path, 'rb') as f:
        digests.append(hashlib.sha256(f.read()).hexdigest())
  return sorted(digests)


def measure(command, kills):
  """Counts for one command."""
  with tempfile.TemporaryDirectory() as folder:
    _music(folder)
    start = time.time()
    status = _run(command, folder)
    seconds = time.time() - start
    whole = made(folder)
  rng = random.Random(1)
  result = {'status': status, 'seconds': round(seconds, 1), 'killed': 0,
            'late': 0, 'torn': [], 'other_end': 0, 'left_over': []}  # fmt: skip
  while result['killed'] < kills:
    with tempfile.TemporaryDirectory() as folder:
      _music(folder)
      ended = _run(command, folder, rng.uniform(0.0, 1.0) * seconds)
      if ended != -signal.SIGKILL:
        result['late'] += 1
        seconds *= 0.8  # The machine has less to do than before.
        continue
      result['killed'] += 1
      result['torn'] += torn(folder)
      _run(command, folder)
      result['other_end'] += made(folder) != whole
      result['left_over'] += left_over(folder)
  return result


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--commands', nargs='+', default=list(COMMANDS))
  arguments = parser.parse_args()
  _load()
  print(
    json.dumps(
      {name: measure(name, arguments.kills) for name in arguments.commands},
      indent=2,
    )
  )


if __name__ == '__main__':
  main()
