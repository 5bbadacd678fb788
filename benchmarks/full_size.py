"""The published model's size from end to end.

python benchmarks/full_size.py

Makes a stand-in for Magenta's published archive: its exact names and shapes
(176,061,530 floats), with the bundled model's weights in the first units of
every layer and zeros elsewhere, so that it costs what the published model costs
and sings what the bundled one sings. A server on this machine breaks off once
while it is fetched. Then, each by its command, an actor is trained for it and
melodies are composed. Prints a JSON:

  parts: wall seconds of each part of the first command
  curve: by updates, CPU seconds and wall seconds so far, and what nine times
    --num_outputs melodies measure, an equal number of each emotion
  memory: GiB at most, by command
  load: seconds of stock `TrainedModel` and of ours, alternated, and their ratio
  step: the same of one stock decode and one training step of 32 melodies
"""

import argparse
import http.server
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar'

# Runs a command with the address in configs/ replaced, and tells how long the
# functions named take.
_COMMAND = """
import importlib, json, sys, time
from emotion_musicvae.support import configuration, quiet
configuration._parsed('hierdec-mel_16bar')['url'] = {url!r}
spent, load = {{}}, quiet.load_tensorflow
def timed(module, name):
  module = importlib.import_module('emotion_musicvae.' + module)
  function = getattr(module, name)
  def call(*args, **kwargs):
    start = time.monotonic()
    try:
      return function(*args, **kwargs)
    finally:
      spent[name] = spent.get(name, 0) + time.monotonic() - start
  setattr(module, name, call)
def load_tensorflow():
  load()
  for module, name in (
    ('musicvae.downloads', 'fetch'), ('musicvae.checkpoints', '_unpack'),
    ('musicvae.checkpoints', 'load_model'), ('musicvae.posterior', 'encode'),
    ('steering.training', 'train')):
    timed(module, name)
quiet.load_tensorflow = load_tensorflow
command = importlib.import_module('emotion_musicvae.cli.{command}')
try:
  command.console_entry_point()
finally:
  with open({told!r}, 'w') as f:
    json.dump(spent, f)
"""

_LOAD = """
import json, os, resource, time
os.environ['TF_USE_LEGACY_KERAS'] = '1'
import emotion_musicvae
from emotion_musicvae import api
from emotion_musicvae.musicvae import stock
from emotion_musicvae.support import configuration
from magenta.models.music_vae import trained_model
entry, _ = configuration.load_model_config('hierdec-mel_16bar')
start = time.monotonic()
{load}
print(json.dumps([time.monotonic() - start,
                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""
_STOCK = """trained_model.TrainedModel(
  stock.magenta_config(entry['base'], entry['hparams']), 8, {prefix!r})"""
_OURS = """api.EmotionMusicVAE.from_pretrained(
  'hierdec-mel_16bar', {prefix!r}, actor_dir={actor!r})"""

_STEP = """
import json, time
import numpy as np
import emotion_musicvae
from emotion_musicvae.emotions import catalogue, references
from emotion_musicvae.musicvae import checkpoints, stock
from emotion_musicvae.steering import learner as learners
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration
from magenta.models.music_vae import trained_model
entry, _ = configuration.load_model_config('hierdec-mel_16bar')
h, _ = configuration.load_learner(
  'hierdec-mel_16bar', {{'batch_size': 32, 'replay_size': 32}})
weights = checkpoints.load_weights({prefix!r})
z = np.random.default_rng(0).standard_normal([32, 512]).astype('f')
theirs = trained_model.TrainedModel(
  stock.magenta_config(entry['base'], entry['hparams']), 32, {prefix!r})
learner = learners.make(
  weights, sampling.Tunes(*[z, np.ones_like(z)] * 2), catalogue.load(), h, 0)
def seconds(function):
  start = time.monotonic()
  function()
  return time.monotonic() - start
decode = lambda: theirs.decode_to_tensors(z, length=256, temperature=0.5)
decode(), learner.step()
print(json.dumps([[seconds(decode), seconds(learner.step)]
                  for _ in range({runs})]))
"""

_HITS = """
import json
import numpy as np
from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.music import melody
model = EmotionMusicVAE.from_pretrained(
  'hierdec-mel_16bar', {prefix!r}, actor_dir={actor!r}, max_batch_size=32)
melodies = [m for e in catalogue.load() for m in model.generate(e, {n}, seed=1)]
tones = [m.measured['chord_tone_rate'] for m in melodies]
pitch = [abs(m.measured['mean_pitch'] - m.reference['mean_pitch'])
         for m in melodies]
print(json.dumps({{'hits': np.mean([not m.missed for m in melodies]),
                   'chord_tone_rate': np.mean(tones),
                   'pitch_error': np.mean(pitch)}}))
"""


def enlarged(weights, small, large):
  """A model of larger layers that sings what a smaller one sings.

  Args:
    weights: dictionary of Magenta's variables.
    small: `configuration.ModelHparams` of them.
    large: `configuration.ModelHparams` to have.

  Returns:
    Dictionary of Magenta's variables. What is new in a layer stays at zero and
    is read by nothing; what is new in the latent vector is noise that nothing
    hears, its posterior the prior.
  """
  z = (small.z_size, large.z_size)
  encoder = list(zip(small.enc_rnn_size, large.enc_rnn_size))
  decoder = list(zip(small.dec_rnn_size, large.dec_rnn_size))
  token = (melody.NUM_TOKENS, melody.NUM_TOKENS)
  state = [units for units in decoder for _ in 'ch']

  def blocks(name):
    """Sizes now and then of what the rows and the columns stand for."""
    if name.startswith('encoder/mu') or name.startswith('encoder/sigma'):
      return [encoder[-1]] * 2, [z]
    if 'output_projection' in name:
      return [decoder[-1]], [token]
    if 'z_to_initial_state' in name:
      return [decoder[-1]], state
    if 'initial_state' in name:
      return [z], state
    # A gap between the folder and the number that counts the layer in it.
    layer = int(
      re.search(r'(?:encoder|multi_rnn_cell|level_0)/cell_(\d)', name)[1]
    )
    layers, first, below = decoder, [(1, 1)], 1
    if name.startswith('core_decoder'):
      first = [token, decoder[-1]]
    elif name.startswith('encoder'):
      layers, first, below = encoder, [token], 2
    inputs = [layers[layer - 1]] * below if layer else first
    return [*inputs, layers[layer]], [layers[layer]] * 4

  def places(sizes):
    starts = np.cumsum([0] + [after for _, after in sizes])
    return np.concatenate(
      [start + np.arange(now) for start, (now, _) in zip(starts, sizes)]
    )

  result = {}
  shapes = hierdec.variable_shapes(
    large.z_size, large.enc_rnn_size, large.dec_rnn_size
  )
  for name, shape in shapes.items():
    rows, columns = map(places, blocks(name))
    value = np.zeros(shape, np.float32)
    if name == 'encoder/sigma/bias':
      value[:] = np.log(np.expm1(1.0))  # softplus of it is 1
    where = np.ix_(rows, columns) if len(shape) == 2 else columns
    value[where] = weights[name]
    result[name] = value
  return result


def make_tar(folder):
  """The stand-in under the published prefix, in a tar."""
  small, large = (
    configuration.load_model_config(name)[1] for name in (LITE, CONFIG)
  )
  weights = checkpoints.load_weights(checkpoints.bundled(LITE))
  prefix = os.path.join(folder, CONFIG + '.ckpt')
  # Stock asks for a step; ours does without.
  arrays = {**enlarged(weights, small, large), 'global_step': np.int64(1)}
  checkpoints.save(prefix, arrays)
  path = os.path.join(folder, CONFIG + '.tar')
  with tarfile.open(path, 'w') as tar:
    for suffix in ('.index', '.data-00000-of-00001'):
      tar.add(prefix + suffix, os.path.basename(prefix) + suffix)
      os.remove(prefix + suffix)
  return path


LITE = 'hierdec-mel_16bar_lite'


class _BreaksOff(http.server.BaseHTTPRequestHandler):
  """Serves one file, and breaks off amid the first time that it is asked."""

  def do_GET(self):
    match = re.match(r'bytes=(\d+)-', self.headers.get('Range') or '')
    start, size = int(match[1]) if match else 0, os.path.getsize(self.path)
    self.server.asked += 1
    self.send_response(206 if start else 200)
    if start:
      self.send_header('Content-Range', f'bytes {start}-{size - 1}/{size}')
    self.send_header('Content-Length', str(size - start))
    self.end_headers()
    with open(self.path, 'rb') as f:
      f.seek(start)
      left = size - start if self.server.asked > 1 else size // 2
      while left:
        left -= self.wfile.write(f.read(min(left, 2**20)))

  def log_message(self, *args):
    del args


def _run(arguments):
  """Wall and CPU seconds, peak GiB and output of a process."""
  start = time.monotonic()
  with tempfile.TemporaryFile('w+') as out:
    process = subprocess.Popen([sys.executable, *arguments], stdout=out)
    _, status, usage = os.wait4(process.pid, 0)
    out.seek(0)
    said = out.read()
  if status:
    raise SystemExit(f'{arguments[-1]} failed')
  return {
    'seconds': round(time.monotonic() - start, 1),
    'cpu_seconds': round(usage.ru_utime + usage.ru_stime, 1),
    'gib': round(usage.ru_maxrss / 2**20, 2),
    'out': said,
  }


def _last(ran):
  return json.loads(ran['out'].splitlines()[-1])


def _ratio(pairs):
  ratios = [ours / stock for stock, ours in pairs]
  return {
    'stock': [round(stock, 2) for stock, _ in pairs],
    'ours': [round(ours, 2) for _, ours in pairs],
    'ratio': round(statistics.median(ratios), 2),
    'spread': [round(min(ratios), 2), round(max(ratios), 2)],
  }


def _train(folder, url, steps, hparams, num_outputs, result):
  """Fetches, trains and composes, in so many runs."""
  told = os.path.join(folder, 'told.json')
  cache, actor = (os.path.join(folder, name) for name in ('cache', 'actor'))
  prefix = os.path.join(cache, 'checkpoints', CONFIG, CONFIG + '.ckpt')
  wall = cpu = 0.0
  for number in steps:
    ran = _run(
      [
        '-c',
        _COMMAND.format(url=url, command='train', told=told),
        f'--config={CONFIG}',
        f'--cache_dir={cache}',
        f'--run_dir={actor}',
        f'--num_steps={number}',
        f'--hparams={hparams}',
      ]
    )
    if not result['parts']:
      with open(told) as f:
        parts = json.load(f)
      result['parts'] = {name: round(s, 1) for name, s in parts.items()}
    wall, cpu = wall + ran['seconds'], cpu + ran['cpu_seconds']
    result['memory']['train'] = max(
      result['memory'].get('train', 0), ran['gib']
    )
    sung = _run(['-c', _HITS.format(prefix=prefix, actor=actor, n=num_outputs)])
    result['memory']['compose'] = sung['gib']
    result['curve'][number] = {
      'minutes': round(wall / 60, 1),
      'cpu_minutes': round(cpu / 60, 1),
      **{name: round(value, 3) for name, value in _last(sung).items()},
    }
    print(result, file=sys.stderr, flush=True)
  return prefix, actor


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  _, most = configuration.load_learner(CONFIG)
  parser.add_argument(
    '--steps', type=int, nargs='+', default=[most // 4 * k for k in range(1, 5)]
  )
  parser.add_argument('--hparams', default='', help='of the actor and critic')
  parser.add_argument('--num_outputs', type=int, default=12)
  parser.add_argument('--runs', type=int, default=5)
  arguments = parser.parse_args()
  result = {
    'cpu': platform.processor() or platform.machine(),
    'cores': os.cpu_count(),
    'parts': {},
    'curve': {},
    'memory': {},
  }
  with tempfile.TemporaryDirectory() as folder:
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _BreaksOff)
    server.asked = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}{make_tar(folder)}'
    prefix, actor = _train(
      folder,
      url,
      arguments.steps,
      arguments.hparams,
      arguments.num_outputs,
      result,
    )
    result['asked'] = server.asked
    loads = [
      [
        _run(['-c', _LOAD.format(load=load.format(prefix=prefix, actor=actor))])
        for load in (_STOCK, _OURS)
      ]
      for _ in range(arguments.runs)
    ]
    result['load'] = _ratio([[_last(ran)[0] for ran in pair] for pair in loads])
    steps = _run(['-c', _STEP.format(prefix=prefix, runs=arguments.runs)])
    result['step'] = _ratio(_last(steps))
    result['memory']['step of 32'] = steps['gib']
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
