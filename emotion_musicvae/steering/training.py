"""Trains an actor for a base model: a run in a folder, begun or resumed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import logging
import os
import typing

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import learner as learners
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration
from emotion_musicvae.support import distribution
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import checks
from emotion_musicvae.terms import own
from emotion_musicvae.terms import registry

SUMMARY_EVERY = 10  # steps
SAVE_EVERY = 100
Progress = Callable[..., typing.Any]
_logger = logging.getLogger(__name__)


def make_learner(
  weights: Mapping[str, npt.NDArray[np.float32]],
  hparams: configuration.LearnerHparams,
  seed: int,
  run_dir: str,
  strategy: tf.distribute.Strategy | None = None,
  progress: Progress | None = None,
  terms: Sequence[str] = (),
) -> learners.ActorCriticLearner:
  """A learner on the bundled tunes and the nine emotions.

  Args:
    weights: Magenta's variables of the frozen base model, by name.
    hparams: all settings.
    seed: of networks, conditions and noise.
    run_dir: folder of the run. One that was begun knows the posterior of the
      real melodies, which takes minutes at the published size.
    strategy: that of one device when None.
    progress: wraps the batches of real melodies as `tqdm` does, or None.
    terms: names of further ones to train for, see `registry.known`. Copies of
      a user's own are kept beside the run.

  Raises:
    UserError: a term that cannot be trained for.
  """
  further = [registry.known()[name] for name in terms]
  for term in further:
    checks.check_differentiable(term, registry.where_from(term.name))
  own.keep(terms, run_dir)
  prefix = checkpoints.latest(run_dir)
  names = learners.TUNES
  known = checkpoints.read(prefix, names.__contains__) if prefix else {}
  emotions = catalogue.load()
  if known:
    tunes = sampling.Tunes(*(known[name] for name in names))
  else:
    tunes = sampling.Tunes.encode(
      weights,
      references.load_melodies()[: hparams.real_melodies],
      sampling.ConditionSampler(emotions, hparams, further),
      hparams.adapted_melodies,
      seed,
      progress,
    )
  return learners.make(
    weights, tunes, emotions, hparams, seed, strategy, terms=further
  )


def train(
  learner: learners.ActorCriticLearner,
  run_dir: str,
  num_steps: int,
  progress: Progress | None = None,
) -> None:
  """Trains up to a number of steps, resuming where the run left off.

  Args:
    learner: at its beginning.
    run_dir: folder for checkpoints and TensorBoard scalars.
    num_steps: steps in all, those of the resumed run included.
    progress: wraps the iterable of steps as `tqdm` does, or None.

  Raises:
    UserError: the run is one of another base model or of other settings.
    FloatingPointError: a loss is no longer finite. The last good state is the
      newest checkpoint.
  """
  prefix = checkpoints.latest(run_dir)
  if prefix:
    if actors.fingerprint_of(prefix) != learner.fingerprint:
      raise UserError(
        'run_dir',
        messages.say(
          '{path!r} holds an actor of another base model', path=run_dir
        ),
        messages.say('name another folder'),
      )
    learner.restore(prefix)
  chief = distribution.is_chief(learner.strategy)
  writer = tf.summary.create_noop_writer()
  if chief:
    writer = tf.summary.create_file_writer(os.path.join(run_dir, 'train'))
  steps = range(learner.step_number, num_steps)
  if progress:
    steps = progress(
      steps,
      messages.say('training'),
      initial=learner.step_number,
      total=num_steps,
    )
  with writer.as_default():
    for _ in steps:
      scalars = learner.step()
      step = learner.step_number
      bad = [name for name, value in scalars.items() if not np.isfinite(value)]
      if bad:
        raise FloatingPointError(
          messages.say(
            '{names} not finite at step {step}; the last good state is {path}',
            names=', '.join(bad),
            step=step,
            path=checkpoints.latest(run_dir),
          )
        )
      if step % SUMMARY_EVERY == 0:
        for name, value in scalars.items():
          tf.summary.scalar(name, value, step)
      if chief and (step % SAVE_EVERY == 0 or step == num_steps):
        learner.save(run_dir)


def find_or_train(
  config: str,
  weights: Mapping[str, npt.NDArray[np.float32]],
  fingerprint: str,
  overrides: Mapping[str, typing.Any] | None = None,
  progress: Progress | None = None,
) -> networks.Actor:
  """The actor of a base model, trained where there is none yet.

  That takes up to an hour. What was trained is kept in the cache folder, also
  where it was interrupted, and is resumed from there.

  Args:
    config: name of the model configuration.
    weights: Magenta's variables of the base model, by name.
    fingerprint: of the weights, from `checkpoints.fingerprint`.
    overrides: settings over `configs/actor_critic.yaml`.
    progress: wraps an iterable of steps as `tqdm` does, or None.

  Raises:
    UserError: the cache folder cannot be written to, or a setting is unknown.
  """
  hparams, num_steps = configuration.load_learner(config, overrides or {})
  try:
    return actors.find(config, fingerprint)
  except actors.NoActorError:
    run_dir = checkpoints.actor_dir(fingerprint)
  with checkpoints.hold_dir(run_dir, 'cache_dir'):
    try:  # Another process may have trained it in the meantime.
      return actors.find(config, fingerprint)
    except actors.NoActorError:
      _logger.info(
        messages.say(
          'No actor for this checkpoint yet: training one for {num_steps} '
          'steps, kept in {path}. Interrupt it and it resumes from there next '
          'time.',
          num_steps=num_steps,
          path=run_dir,
        )
      )
    learner = make_learner(weights, hparams, 0, run_dir, progress=progress)
    train(learner, run_dir, num_steps, progress)
  return learner.actor
