"""What several tests share: models, and commands in forks of one process."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import uncompiled

from emotion_musicvae.support import quiet

quiet.load_tensorflow()
uncompiled.install()

from emotion_musicvae import EmotionMusicVAE  # noqa: E402
from emotion_musicvae.batch import requests  # noqa: E402
from emotion_musicvae.emotions import catalogue  # noqa: E402
from emotion_musicvae.musicvae import checkpoints  # noqa: E402
from emotion_musicvae.musicvae import hierdec  # noqa: E402
from emotion_musicvae.musicvae import stock  # noqa: E402

# Settings of an actor-critic that learns in seconds, and little.
LEARNER = {
  'units': 16,
  'critic_units': 16,
  'batch_size': 4,
  'forecast_batch_size': 8,
  'replay_size': 8,
  'replay_batch_size': 8,
  'real_melodies': 32,
  'adapted_melodies': 32,
}
SMALL = {'z_size': 12, 'enc_rnn_size': [24, 16], 'dec_rnn_size': [20, 28]}


@pytest.fixture(scope='session')
def run():
  """Runs a command: `run(module, *flags, cwd=…)` gives (status, out, err).

  `before` is Python to run before the command, `env` what to add to its
  environment; see forked.py.
  """
  script = os.path.join(os.path.dirname(__file__), 'forked.py')
  with subprocess.Popen(
    [sys.executable, script],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    encoding='utf-8',
  ) as server:
    assert server.stdout.readline() == 'ready\n'

    def ask(module, *flags, cwd, before='', env=()):
      request = {
        'module': module,
        'flags': flags,
        'cwd': str(cwd),
        'before': before,
        'env': dict(env),
      }
      server.stdin.write(json.dumps(request) + '\n')
      server.stdin.flush()
      return json.loads(server.stdout.readline())

    yield ask
    with contextlib.suppress(BrokenPipeError):
      server.stdin.close()


@pytest.fixture(scope='session')
def model():
  """The bundled model; its melodies do not follow from the batch size."""
  return EmotionMusicVAE.from_pretrained(max_batch_size=4)


def requested(rows, seed=0, tfrecord=False):
  """Requests of a batch job whose flags say as little as they can."""
  known = catalogue.load()
  return [
    *requests.parse(iter(rows), known, seed, 0.5, 1.0, 1.0, ('mid',), tfrecord)
  ]


def pack(path, members):
  """Writes a tar of `(name, content)` members; returns its path."""
  with tarfile.open(path, 'w') as tar:
    for name, content in members:
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return str(path)


@pytest.fixture(scope='session')
def small_weights():
  """Random weights of unequal layer sizes, loud enough to sing varied notes."""
  weights = hierdec.initial_weights(hierdec.variable_shapes(**SMALL), seed=3)
  return {
    name: value * (4.0 if name.endswith('output_projection/kernel') else 1.5)
    for name, value in weights.items()
  }


@pytest.fixture(scope='session')
def stock_model(small_weights, tmp_path_factory):
  """Magenta's own model of `small_weights`, 8 melodies at once."""
  config = stock.magenta_config('hierdec-mel_16bar', SMALL)
  # Without a step, and gone by the time that something is encoded.
  prefix = str(tmp_path_factory.mktemp('small') / 'mel_16bar_hierdec.ckpt')
  checkpoints.save(prefix, small_weights)
  model = stock.StockModel(config, prefix, small_weights, batch_size=8)
  for suffix in ('.index', '.data-00000-of-00001'):
    os.remove(prefix + suffix)
  return model


@pytest.fixture(scope='session')
def random_tokens():
  """1,000 token sequences with many holds, note-offs and repeated pitches."""
  rng = np.random.default_rng(0)
  tokens = rng.integers(2, 90, [1000, 256])
  kind = rng.random(tokens.shape)
  hold = rng.uniform(0.1, 0.95, [1000, 1])
  tokens[kind < hold] = 0
  tokens[kind > 1 - 0.1 * (1 - hold)] = 1
  repeat = rng.random(tokens.shape) < 0.2
  repeat[:, 0] = False
  rows, columns = np.nonzero(repeat)
  tokens[rows, columns] = tokens[rows, columns - 1]
  tokens[:, :3][rng.random([1000, 3]) < 0.3] = 0
  return tokens.astype(np.uint8)
