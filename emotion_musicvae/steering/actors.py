"""Trained actors: found, loaded, or trained for a base model that has none."""

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import networks
from emotion_musicvae.support.errors import UserError

FINGERPRINT = 'fingerprint'


def load_actor(prefix):
  """The actor of a checkpoint, and how many steps it was trained."""
  arrays = checkpoints.read(
    prefix,
    lambda name: (
      name == 'global_step'
      or (name.startswith('actor/') and checkpoints.is_weight(name))
    ),
  )
  bias = arrays['actor/dense_0/bias']
  z_size = arrays[f'actor/dense_{networks.HIDDEN_LAYERS}/bias'].shape[0] // 2
  actor = networks.Actor(
    z_size, conditions.NUM_FEATURES, len(bias), np.random.default_rng(0)
  )
  for variable in actor.trainable_variables:
    variable.assign(arrays[key(variable)])
  return actor, int(arrays['global_step'])


def fingerprint_of(prefix):
  """Fingerprint of the base model that a checkpoint's actor was trained for.

  Raises:
    UserError: it is no checkpoint of an actor.
  """
  reader = tf.train.load_checkpoint(prefix)
  if not reader.has_tensor(FINGERPRINT):
    raise UserError(prefix, 'no checkpoint of an actor')
  return reader.get_tensor(FINGERPRINT).decode()


def actor_of(run_dir, fingerprint):
  """The actor of a training run, however long it was trained.

  Raises:
    UserError: there is none, or it was trained for another base model.
  """
  prefix = checkpoints.latest(run_dir)
  if not prefix:
    raise UserError('actor_dir', f'no checkpoint in {run_dir!r}/train')
  if fingerprint_of(prefix) != fingerprint:
    raise UserError(
      'actor_dir', f'the actor in {run_dir!r} belongs to another base model'
    )
  return load_actor(prefix)[0]


def key(variable):
  return variable.name.removesuffix(':0')
