"""Trained actors: found, loaded, and what they are trained to reach."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import networks
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own
from emotion_musicvae.terms import registry

FINGERPRINT = 'fingerprint'
TERMS = 'terms'  # that an actor is trained for beside the paper's


class NoActorError(UserError):
  """No actor has been trained for a base model."""


def find(config: str, fingerprint: str) -> networks.Actor:
  """The actor that was trained for a base model.

  Looked for beside the bundled model and in the cache folder, by the
  fingerprint of the weights, so that an actor never meets another model.

  Args:
    config: name of the model configuration.
    fingerprint: of the weights, from `checkpoints.fingerprint`.

  Raises:
    NoActorError: there is none, or its training has not ended.
  """
  prefix = checkpoints.bundled(config, 'actor.ckpt')
  if prefix and fingerprint_of(prefix) == fingerprint:
    return load(prefix)[0]
  run_dir = checkpoints.actor_dir(fingerprint)
  _, num_steps = configuration.load_learner(config)
  prefix = checkpoints.latest(run_dir)
  actor, steps = load(prefix) if prefix else (None, 0)
  if actor is None or steps < num_steps:
    raise NoActorError(
      'checkpoint_file',
      messages.say(
        'no actor has been trained for this base model to the end ({steps} of '
        '{num_steps} steps)',
        steps=steps,
        num_steps=num_steps,
      )
      if steps
      else messages.say('no actor has been trained for this base model'),
      messages.say(
        'pass `train_actor=True` to train one, which takes up to an hour and '
        'is done once'
      ),
    )
  return actor


def of_run(run_dir: str, fingerprint: str) -> networks.Actor:
  """The actor of a training run, however long it was trained.

  Args:
    run_dir: folder of the run.
    fingerprint: of the base model that it must have been trained for.

  Raises:
    UserError: there is none, or it was trained for another base model.
  """
  own.load_run(run_dir)
  prefix = checkpoints.latest(run_dir)
  if not prefix:
    raise UserError(
      'actor_dir', messages.say('no checkpoint in {path!r}/train', path=run_dir)
    )
  if fingerprint_of(prefix) != fingerprint:
    raise UserError(
      'actor_dir',
      messages.say(
        'the actor in {path!r} belongs to another base model', path=run_dir
      ),
    )
  return load(prefix)[0]


def load(prefix: str) -> tuple[networks.Actor, int]:
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
  names = terms_of(prefix)
  terms = [registry.known()[name] for name in names]
  actor = networks.Actor(
    z_size,
    conditions.num_features(terms),
    len(bias),
    np.random.default_rng(0),
    names,
  )
  for variable in actor.trainable_variables:
    variable.assign(arrays[key(variable)])
  return actor, int(arrays['global_step'])


def fingerprint_of(prefix: str) -> str:
  """Fingerprint of the base model that a checkpoint's actor was trained for.

  Raises:
    UserError: it is no checkpoint of an actor.
  """
  reader = tf.train.load_checkpoint(prefix)
  if not reader.has_tensor(FINGERPRINT):
    raise UserError(prefix, messages.say('no checkpoint of an actor'))
  return reader.get_tensor(FINGERPRINT).decode()


def terms_of(prefix: str) -> tuple[str, ...]:
  """Names of the further terms that a checkpoint's actor is trained for.

  Raises:
    UserError: one that is not known here.
  """
  reader = tf.train.load_checkpoint(prefix)
  if not reader.has_tensor(TERMS):
    return ()
  names = tuple(filter(None, reader.get_tensor(TERMS).decode().split(',')))
  for name in names:
    if name not in registry.known():
      raise UserError(
        prefix,
        messages.say(
          'it is trained for {name!r}, which is not known', name=name
        ),
        messages.say('install or load the term first, see docs/losses.md'),
      )
  return names


def key(variable: tf.Variable) -> str:
  """Name of a variable in a checkpoint."""
  return variable.name.removesuffix(':0')


def part_of_move() -> np.float32:
  """Share of an actor's move that is followed; see configs."""
  return np.float32(configuration.load_yaml('actor_critic')['part'])


def beyond_training(emotion: catalogue.Emotion) -> str | None:
  """Which target of an emotion lies outside what actors are trained for.

  Any register is reached, by octaves.

  Returns:
    A sentence that names the target and the range; None when it lies inside.
  """
  hparams, _ = configuration.load_learner()
  low, high = hparams.onsets_per_bar
  if low <= emotion.onsets_per_bar <= high:
    return None
  return messages.say(
    'onsets_per_bar {value:g} lies outside {low:g} to {high:g}, which the '
    'actor was trained to reach',
    value=emotion.onsets_per_bar,
    low=low,
    high=high,
  )
