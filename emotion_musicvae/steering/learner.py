"""The learner: an actor that moves latent vectors, and a critic beside it.

Each step the actor moves a batch of latent vectors and the decoder plays some
of them. The losses come back to the actor in two ways:

  forecast: through the critic, which predicts what each bar measures from what
    the frozen conductor says of it; smooth, sees across the whole latent space,
    and costs so little that it serves many more vectors than are decoded;
  pathwise: d/dz loss(p(. | z, tokens so far)) through the decoder, what each
    token's distribution owes to z; exact, but blind to what later tokens owe to
    the earlier ones that were drawn.

The critic learns at the same time, from a replay of decoded melodies: to
predict what they measure, and to tell the actor's vectors from those of real
melodies.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import os
import typing

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import objective as objectives
from emotion_musicvae.steering import replay as replays
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration
from emotion_musicvae.support import distribution
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import expectation
from emotion_musicvae.terms.term import Term

# Posteriors of the real tunes in a checkpoint: the fields of `sampling.Tunes`.
TUNES = tuple(f'tunes/{name}' for name in sampling.Tunes._fields)
# Melodies that the replay is filled with at once: a batch that a machine is
# quick with, however small that of a step is.
_FILLED_AT_ONCE = 32


class ActorCriticLearner:
  """Updates an actor and a critic, a step at a time.

  Attributes:
    actor: `networks.Actor`.
    critic: `networks.Critic`.
    strategy: `tf.distribute.Strategy` that shares the batches out.
    fingerprint: of the base model that the actor is for.
    step_number: steps done.

  Args:
    learned: the networks and their optimizers.
    objective: what melodies cost.
    starts: draws the latent vectors and their conditions.
    replay: where decoded melodies are kept for the critic.
    hparams: sizes of the batches and weights of the losses.
    seed: every random draw follows from it and the step.
    fingerprint: of the base model, from `checkpoints.fingerprint`.
    strategy: see `distribution`.

  Raises:
    UserError: a batch that cannot be shared out to the strategy's devices.
  """

  def __init__(
    self,
    learned: networks.Networks,
    objective: objectives.Objective,
    starts: sampling.StartSampler,
    replay: replays.Replay,
    hparams: configuration.LearnerHparams,
    seed: int,
    fingerprint: str,
    strategy: tf.distribute.Strategy,
  ) -> None:
    distribution.check_rows(
      strategy,
      batch_size=hparams.batch_size,
      forecast_batch_size=hparams.forecast_batch_size,
      replay_batch_size=hparams.replay_batch_size,
    )
    self.actor, self.critic = learned.actor, learned.critic
    self._optimizers = {
      'actor': learned.actor_optimizer,
      'critic': learned.critic_optimizer,
    }
    self._objective = objective
    self._starts = starts
    self._replay = replay
    self._hparams = hparams
    self._seed = seed
    self.fingerprint = fingerprint
    self.strategy = strategy
    self.step_number = 0

  def step(self) -> dict[str, float]:
    """Updates both networks: scalars by name, every loss under its own."""
    if not self.step_number:
      self._fill_replay()
    h = self._hparams
    rng = np.random.default_rng([self._seed, 1, self.step_number])
    start, condition = self._starts(rng, h.forecast_batch_size)
    moved = (
      start,
      condition.features(self.actor.terms),
      condition.as_float32(),
    )
    uniform = hierdec.uniform(_noise_seed(rng), h.batch_size)
    z, described, scalars = self._update_actor(
      # Of the vectors that are moved, the first are decoded.
      *distribution.share(self.strategy, moved, first=h.batch_size),
      *distribution.share(self.strategy, [uniform]),
    )
    z, described = distribution.joined(self.strategy, (z, described))
    self._replay.write(self.step_number * h.batch_size, described)
    for _ in range(h.critic_updates):
      batch = self._replay.sample(rng, h.replay_batch_size)
      real = self._starts.real(rng, h.batch_size)
      mix = tf.random.stateless_uniform([len(z), 1], _noise_seed(rng))
      (more,) = self._update_critic(
        *distribution.share(self.strategy, (batch, real, z, mix)),
        # Of the whole batch, whatever part of it a device has.
        tf.constant(batch['classes'].sum() / h.replay_batch_size, tf.float32),
      )
      scalars = {**scalars, **more}
    self.step_number += 1
    return distribution.mean(self.strategy, scalars)

  @tf.function
  def _update_actor(self, *shares: typing.Any) -> list[typing.Any]:
    return self._update('actor', self.actor, self._actor_gradients, shares)

  @tf.function
  def _update_critic(self, *shares: typing.Any) -> list[typing.Any]:
    return self._update('critic', self.critic, self._critic_gradients, shares)

  def _update(
    self,
    name: str,
    module: tf.Module,
    gradients_of: Callable[..., tuple[typing.Any, ...]],
    shares: tuple[typing.Any, ...],
  ) -> list[typing.Any]:
    """Applies the first of what `gradients_of` gives; returns the others."""

    def on_replica(*rows: typing.Any) -> list[typing.Any]:
      gradients, *others = gradients_of(*rows)
      gradients = distribution.averaged(gradients)
      gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
      self._optimizers[name].apply_gradients(
        zip(gradients, module.trainable_variables),
        skip_gradients_aggregation=True,
      )
      return others

    return self.strategy.run(on_replica, shares)

  def _fill_replay(self) -> None:
    """Melodies of vectors as they are before the actor has moved any."""
    size = min(_FILLED_AT_ONCE, len(self._replay))
    for i in range(0, len(self._replay), size):
      rng = np.random.default_rng([self._seed, 0, i])
      z = tf.constant(self._starts(rng, size)[0])
      uniform = hierdec.uniform(_noise_seed(rng), size)
      self._replay.write(i, self._decode_and_describe(z, uniform))

  @tf.function(jit_compile=True)
  def _decode_and_describe(
    self, z: tf.Tensor, uniform: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    return self._objective.describe(z, self._objective.decode(z, uniform)[1])

  @tf.function(jit_compile=True)
  def _actor_gradients(
    self,
    start: tf.Tensor,
    features: tf.Tensor,
    condition: conditions.Condition,
    uniform: tf.Tensor,
  ) -> tuple[typing.Any, ...]:
    """`(gradients, z, described, scalars)`, z and the rest of B melodies.

    Args:
      start: [F, Z], of which the first B are decoded.
      features: [F, features].
      condition: `conditions.Condition` of F rows.
      uniform: [B, 256] noise of the decoder.
    """
    h, decoded = self._hparams, len(uniform)
    condition_of_decoded = condition.take(slice(decoded))
    with tf.GradientTape() as tape:
      z = self.actor(start, features)  # [F, Z]
      tokens, probabilities = self._objective.decode(z[:decoded], uniform)
      expected = self._objective.measure(  # [B] by name
        probabilities, condition_of_decoded
      )
      predicted = self._objective.predict(self.critic, z, condition)  # [F]
      parts = {
        'forecast': tf.reduce_mean(self._objective.cost(predicted)),
        'pathwise': tf.reduce_mean(self._objective.cost(expected)),
        'realism': tf.reduce_mean(tf.nn.softplus(-self.critic.realism(z))),
        'distance': tf.reduce_mean(tf.square(z - start)),
      }
      loss = tf.add_n([getattr(h, name) * part for name, part in parts.items()])
    gradients = tape.gradient(loss, self.actor.trainable_variables)
    measured = self._objective.measure(
      expectation.one_hot(tokens), condition_of_decoded
    )
    scalars = {'actor/' + name: part for name, part in parts.items()}
    scalars['actor/loss'] = loss
    for kind, terms in (
      ('measured', measured),
      ('expected', expected),
      ('predicted', predicted),
    ):
      for name, term in terms.items():
        scalars[f'{kind}/{name}'] = tf.reduce_mean(term)
    z = z[:decoded]
    described = self._objective.describe(z, probabilities)
    return gradients, z, described, scalars

  @tf.function(jit_compile=True)
  def _critic_gradients(
    self,
    batch: Mapping[str, tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    mix: tf.Tensor,
    notes_per_melody: tf.Tensor,
  ) -> tuple[typing.Any, ...]:
    """`(gradients, scalars)`.

    Args:
      batch: dictionary of [R, 16, ...] from `Replay.sample`.
      real: [B, Z] latent vectors of real melodies.
      fake: [B, Z] latent vectors that the actor moved.
      mix: [B, 1] in [0, 1], where the gradient penalty is taken between both.
      notes_per_melody: mean number of notes in the whole replay batch.
    """
    with tf.GradientTape() as tape:
      predicted = self.critic.predict(
        tf.transpose(batch['embeddings'], [1, 0, 2])
      )
      notes = batch['classes']  # [R, 16, 2, 2, 12]
      number = tf.reduce_sum(notes, axis=4)  # [R, 16, 2, 2]
      notes_per_bar = notes_per_melody / melody.NUM_BARS + 1e-6
      weight = tf.reduce_sum(number, axis=[2, 3]) / notes_per_bar
      terms = {
        # Negative log-likelihood per note.
        'pitch_classes': -tf.reduce_mean(
          tf.reduce_sum(notes * predicted.log_classes, axis=[2, 3, 4])
          / notes_per_bar
        ),
        'onsets': tf.reduce_mean(tf.square(predicted.onsets - number)),
        'mean_pitch': tf.reduce_mean(
          weight * tf.square((predicted.mean_pitch - batch['mean_pitch']) / 3.0)
        ),
        'repeats': tf.reduce_mean(
          tf.square(predicted.repeats - batch['repeats'])
        ),
        'steps': tf.reduce_mean(tf.square(predicted.steps - batch['steps'])),
        'energy': tf.reduce_mean(
          tf.square((predicted.log_energy - batch['log_energy']) / 0.3)
        ),
        **{
          name: tf.reduce_mean(
            tf.square(predicted.further[..., i] - batch['further'][..., i])
          )
          for i, name in enumerate(self._objective.by_bar)
        },
      }
      real_logit = self.critic.realism(real)
      fake_logit = self.critic.realism(fake)
      terms['realism'] = tf.reduce_mean(
        tf.nn.softplus(-real_logit) + tf.nn.softplus(fake_logit)
      )
      penalty = self._gradient_penalty(real, fake, mix)
      loss = sum(terms.values()) + self._hparams.gradient_penalty * penalty
    gradients = tape.gradient(loss, self.critic.trainable_variables)
    accuracy = 0.5 * (
      tf.reduce_mean(tf.cast(real_logit > 0, tf.float32))
      + tf.reduce_mean(tf.cast(fake_logit <= 0, tf.float32))
    )
    terms |= {'accuracy': accuracy, 'gradient_penalty': penalty}
    return gradients, {f'critic/{name}': x for name, x in terms.items()}

  def _gradient_penalty(
    self, real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor
  ) -> tf.Tensor:
    """Squared distance of the realism logit's gradient from length 1."""
    between = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
      tape.watch(between)
      logit = tf.reduce_sum(self.critic.realism(between))
    length = tf.norm(tape.gradient(logit, between) + 1e-12, axis=1)
    return tf.reduce_mean(tf.square(length - 1.0))

  def state(self) -> dict[str, npt.NDArray[np.float32] | tf.Variable]:
    """All that training resumes from but the step, by name in a checkpoint."""
    state = dict(zip(TUNES, self._starts.tunes))
    state |= {f'replay/{k}': rows for k, rows in self._replay.rows.items()}
    for name, module in (('actor', self.actor), ('critic', self.critic)):
      optimizer = self._optimizers[name]
      state[f'optimizer/{name}/iterations'] = optimizer.iterations
      for variable, m, v in zip(
        module.trainable_variables, optimizer._momentums, optimizer._velocities
      ):
        key = actors.key(variable)
        state |= {key: variable, key + '/Adam': m, key + '/Adam_1': v}
    return state

  def save(self, run_dir: str) -> str:
    """Writes the state to `run_dir/train`; returns the checkpoint's prefix."""
    return checkpoints.write(
      os.path.join(run_dir, 'train'),
      self.step_number,
      {
        actors.FINGERPRINT: self.fingerprint,
        actors.TERMS: ','.join(self.actor.terms),
        **{name: np.asarray(value) for name, value in self.state().items()},
      },
    )

  def restore(self, prefix: str) -> None:
    """Resumes training where a checkpoint left it.

    Args:
      prefix: of a checkpoint that `save` wrote.

    Raises:
      UserError: it was left by a learner of other settings.
    """
    arrays = checkpoints.read(prefix)
    terms = actors.terms_of(prefix)
    if terms != self.actor.terms:
      raise UserError(
        'run_dir',
        messages.say(
          '{prefix!r} was trained for the terms {terms}',
          prefix=prefix,
          terms=', '.join(terms) or '–',
        ),
        messages.say('name another folder, or repeat its `losses`'),
      )
    state = self.state()
    for name, value in state.items():
      if name not in arrays or arrays[name].shape != value.shape:
        raise UserError(
          'run_dir',
          messages.say(
            '{prefix!r} was left by a learner of other settings ({name} '
            'differs)',
            prefix=prefix,
            name=name,
          ),
          messages.say('name another folder, or repeat its `hparams`'),
        )
    for name, value in state.items():
      if isinstance(value, np.ndarray):
        value[:] = arrays[name]
      else:
        value.assign(arrays[name])
    self.step_number = int(arrays['global_step'])


def make(
  weights: Mapping[str, npt.NDArray[np.float32]],
  tunes: sampling.Tunes,
  emotions: Sequence[catalogue.Emotion],
  hparams: configuration.LearnerHparams,
  seed: int,
  strategy: tf.distribute.Strategy | None = None,
  objective: objectives.Objective | None = None,
  terms: Sequence[Term] = (),
) -> ActorCriticLearner:
  """A learner of the default networks.

  Args:
    weights: Magenta's variables of the frozen base model, by name.
    tunes: real ones, encoded; adapted to conditions of the same `emotions`,
      `hparams` and `seed`.
    emotions: what to train for.
    hparams: all settings.
    seed: of networks, conditions and noise.
    strategy: that of one device when None.
    objective: losses of one's own; the default ones when None.
    terms: further ones to train for, any of which may then be asked for.

  Raises:
    UserError: a batch that cannot be shared out to the strategy's devices.
  """
  strategy = strategy or distribution.strategy('one_device')
  embedding_size = hierdec.embedding_size(weights)
  objective = objective or objectives.Objective.of(weights, hparams, terms)
  with strategy.scope():
    learned = networks.make(
      hierdec.z_size(weights),
      embedding_size,
      hparams,
      seed,
      terms,
      len(objective.by_bar),
    )
  return ActorCriticLearner(
    learned,
    objective,
    sampling.StartSampler(
      tunes, sampling.ConditionSampler(emotions, hparams, terms), seed
    ),
    replays.Replay(hparams.replay_size, embedding_size, len(objective.by_bar)),
    hparams,
    seed,
    checkpoints.fingerprint(weights),
    strategy,
  )


def _noise_seed(rng: np.random.Generator) -> tf.Tensor:
  return tf.constant(rng.integers(2**31 - 1, size=2), tf.int32)
