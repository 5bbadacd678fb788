"""Both learners on one device and on two, in a process that has two.

Prints a JSON: by learner, how far the variables and the scalars of a few
updates on two devices are from those on one, at most.
"""

# ruff: noqa: E402

import json

import tensorflow as tf

tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)
_function = tf.function


def _interpreted(function=None, jit_compile=None):
  """What is shared out is the same; compiling it would take minutes."""
  del jit_compile
  return _function(function) if function else _interpreted


tf.function = _interpreted

import numpy as np

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.pretraining import trainer
from emotion_musicvae.steering import learner as learners
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration
from emotion_musicvae.support import distribution

SIZES = {'z_size': 6, 'enc_rnn_size': (8,), 'dec_rnn_size': (8, 8)}
UPDATES = 2
WEIGHTS = hierdec.initial_weights(hierdec.variable_shapes(**SIZES), 3)
TOKENS = references.load_melodies()[:64]


def actor_and_critic(strategy):
  """Scalars of each update, and all variables at the end."""
  hparams = configuration.LearnerHparams(
    units=16,
    batch_size=4,
    forecast_batch_size=8,
    replay_size=8,
    replay_batch_size=8,
  )
  rng = np.random.default_rng(0)
  learner = learners.make(
    WEIGHTS,
    sampling.Tunes(*rng.random([4, 16, 6], np.float32)),
    catalogue.load(),
    hparams,
    0,
    strategy,
  )
  scalars = [learner.step() for _ in range(UPDATES)]
  return scalars, {k: np.asarray(v) for k, v in learner.state().items()}


def base_model(strategy):
  """The same of the base model's."""
  hparams = configuration.ModelHparams(
    **SIZES, batch_size=4, free_bits=1.0, sounding=0.5
  )
  pretrainer = trainer.Pretrainer(hparams, WEIGHTS, 0, strategy)
  scalars = [pretrainer.step(TOKENS[4 * i : 4 * i + 4].astype(np.int32))
             for i in range(UPDATES)]  # fmt: skip
  variables = {**pretrainer.weights, **pretrainer._head, **pretrainer._slots}
  return scalars, {k: v.numpy() for k, v in variables.items()}


def main():
  told = {}
  strategies = list(map(distribution.strategy, ('one_device', 'mirrored')))
  assert [s.num_replicas_in_sync for s in strategies] == [1, 2]
  for train in (actor_and_critic, base_model):
    one, two = map(train, strategies)
    told[train.__name__] = {
      'scalars': max(
        abs(a[name] - b[name]) / (1.0 + abs(a[name]))
        for a, b in zip(one[0], two[0])
        for name in a
      ),
      'variables': max(
        float(np.abs(one[1][name] - two[1][name]).max()) for name in one[1]
      ),
      'names': len(one[1]),
    }
  print(json.dumps(told))


if __name__ == '__main__':
  main()
