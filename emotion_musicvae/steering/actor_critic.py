"""The learner: retrains latent vectors by an actor and a critic.

Each step the actor moves a batch of latent vectors and the decoder sings some
of them. The losses come back to the actor by two ways:

  forecast: through the critic, which foresees what each bar measures from what
    the frozen conductor says of it; smooth, sees across the whole latent space,
    and costs so little that it serves many more vectors than are sung;
  pathwise: d/dz loss(p(. | z, tokens so far)) through the decoder, what each
    token's distribution owes to z; exact, but blind to what later tokens owe to
    the earlier ones that were drawn.

The critic learns at the same time, from the melodies just sung and a replay of
earlier ones: to foresee what they measure, and to tell the actor's vectors from
those of real melodies.
"""

import os

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import expectation
from emotion_musicvae.steering import losses
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import objective
from emotion_musicvae.support import configuration
from emotion_musicvae.support import distribution
from emotion_musicvae.support.errors import UserError

SUMMARY_EVERY = 10
SAVE_EVERY = 100
_HEARD_AT_ONCE = 32
# Posterior of the real melodies in a checkpoint.
_REAL = ('real/mean', 'real/deviation')


class ConditionSampler:
  """Draws the conditions to train on, all in the canonical key.

  A share of them are the given emotions. The rest are four bars, over and over,
  each with the chords of any bar of any emotion, with any mean pitch and
  density of the trained range, so that other targets and progressions need no
  training of their own.

  Args:
    emotions: sequence of `catalogue.Emotion`.
    hparams: `configuration.LearnerHparams`.
  """

  _CYCLE = 4

  def __init__(self, emotions, hparams):
    self._emotions, _ = conditions.Condition.of(emotions).in_canonical_key()
    self._hparams = hparams

  def __call__(self, rng):
    """`Condition` of a batch, drawn with a numpy Generator."""
    h = self._hparams
    size = h.forecast_batch_size
    count = len(self._emotions.mean_pitch)
    drawn = self._emotions.take(rng.integers(count, size=size))
    free = rng.random(size) >= h.emotion_share
    low, high = np.log(h.onsets_per_bar)
    bars = (
      rng.integers(count, size=[size, self._CYCLE]),
      rng.integers(melody.NUM_BARS, size=[size, self._CYCLE]),
    )

    def mixed(name):
      values = getattr(self._emotions, name)
      by_bar = values.reshape(count, melody.NUM_BARS, melody.STEPS_PER_BAR, -1)
      cycles = np.tile(by_bar[bars], [1, melody.NUM_BARS // self._CYCLE, 1, 1])
      own = getattr(drawn, name)
      chosen = free.reshape([-1] + [1] * (own.ndim - 1))
      return np.where(chosen, cycles.reshape(own.shape), own)

    mean_pitch = np.where(
      free, rng.uniform(*h.mean_pitch, size), drawn.mean_pitch
    )
    onsets_per_bar = np.where(
      free, np.exp(rng.uniform(low, high, size)), drawn.onsets_per_bar
    )
    return conditions.Condition.from_targets(
      mean_pitch,
      onsets_per_bar,
      mixed('chord_tone_weights'),
      mixed('chord_mask'),
    )


class ActorCritic:
  """The learner.

  Args:
    weights: dictionary of Magenta's variables of the frozen base model.
    real: `(mean, deviation)` of the posterior of real melodies, [N, Z] each.
    sampler: `ConditionSampler`.
    hparams: `configuration.LearnerHparams`.
    seed: integer; every random draw follows from it and the step.
    strategy: a `tf.distribute.Strategy`, see `distribution`; that of one device
      when None.

  Raises:
    UserError: a batch that cannot be shared out to the strategy's devices.
  """

  def __init__(self, weights, real, sampler, hparams, seed, strategy=None):
    self.strategy = strategy or distribution.strategy('one_device')
    distribution.check_rows(
      self.strategy,
      batch_size=hparams.batch_size,
      forecast_batch_size=hparams.forecast_batch_size,
      replay_batch_size=hparams.replay_batch_size,
    )
    self.fingerprint = checkpoints.fingerprint(weights)
    self._objective = objective.Objective(weights, hparams)
    self._real = real
    self._sampler = sampler
    self._hparams = h = hparams
    self._seed = seed
    self.step_number = 0
    z_size = hierdec.z_size(weights)
    embedding_size = hierdec.embedding_size(weights)
    rng = np.random.default_rng(seed)
    with self.strategy.scope():
      self.actor = networks.Actor(z_size, conditions.NUM_FEATURES, h.units, rng)
      self.critic = networks.Critic(z_size, embedding_size, h.critic_units, rng)
      self._optimizers = {
        'actor': tf.keras.optimizers.Adam(
          tf.keras.optimizers.schedules.ExponentialDecay(
            h.learning_rate, 1, h.decay_rate
          ),
          0.9,
          0.99,
        ),
        'critic': tf.keras.optimizers.Adam(h.critic_learning_rate, 0.5, 0.9),
      }
      for name, module in self._modules().items():
        self._optimizers[name].build(module.trainable_variables)
    bars = [melody.NUM_BARS]
    self._replay = {
      name: np.zeros([h.replay_size, *shape], np.float32)
      for name, shape in (
        # Not the vectors: the conductor has said it already.
        ('embeddings', [*bars, embedding_size]),
        ('classes', [*bars, 2, 12]),
        ('mean_pitch', bars),
        ('repeats', bars),
        ('intervals', bars),
        ('log_energy', bars),
      )
    }

  def _modules(self):
    return {'actor': self.actor, 'critic': self.critic}

  def step(self):
    """One update of both networks: dictionary of name to float."""
    if not self.step_number:
      self._fill_replay()
    h = self._hparams
    rng = np.random.default_rng([self._seed, 1, self.step_number])
    condition = self._sampler(rng)
    moved = (
      self._starts(rng, h.forecast_batch_size),
      condition.features(),
      condition.as_float32(),
    )
    drawn = hierdec.uniform(self._noise_seed(rng), h.batch_size)
    z, music, scalars = self._update_actor(
      # Of the vectors that are moved, the first are sung.
      *distribution.share(self.strategy, moved, first=h.batch_size),
      *distribution.share(self.strategy, [drawn]),
    )
    z, music = distribution.joined(self.strategy, (z, music))
    self._remember(self.step_number * h.batch_size, music)
    for _ in range(h.critic_updates):
      index = rng.integers(h.replay_size, size=h.replay_batch_size)
      heard = {name: rows[index] for name, rows in self._replay.items()}
      real = self._posterior(rng, h.batch_size)
      mix = tf.random.stateless_uniform([len(z), 1], self._noise_seed(rng))
      (more,) = self._update_critic(
        *distribution.share(self.strategy, (heard, real, z, mix)),
        tf.constant(heard['classes'].sum() / len(index), tf.float32),
      )
      scalars = {**scalars, **more}
    self.step_number += 1
    return distribution.mean(self.strategy, scalars)

  @tf.function
  def _update_actor(self, *shares):
    return self._run('actor', self._slope_of_actor, shares)

  @tf.function
  def _update_critic(self, *shares):
    return self._run('critic', self._slope_of_critic, shares)

  def _run(self, name, slope, shares):
    """Applies the first of what `slope` gives; returns the others."""

    def on_replica(*rows):
      gradients, *others = slope(*rows)
      gradients = distribution.averaged(gradients)
      gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
      self._optimizers[name].apply_gradients(
        zip(gradients, self._modules()[name].trainable_variables),
        skip_gradients_aggregation=True,
      )
      return others

    return self.strategy.run(on_replica, shares)

  def _posterior(self, rng, size):
    """[size, Z] posterior samples of real melodies."""
    mean, deviation = self._real
    index = rng.integers(len(mean), size=size)
    noise = rng.standard_normal([size, mean.shape[1]])
    return (mean[index] + deviation[index] * noise).astype(np.float32)

  def _starts(self, rng, size):
    """Half from the prior, as generation sets out; half from real melodies."""
    real = self._posterior(rng, size)
    prior = rng.standard_normal(real.shape)
    return np.where(rng.random([size, 1]) < 0.5, prior, real).astype(np.float32)

  @staticmethod
  def _noise_seed(rng):
    return tf.constant(rng.integers(2**31 - 1, size=2), tf.int32)

  def _fill_replay(self):
    """Melodies of vectors as they are before the actor has moved any."""
    h = self._hparams
    # Batches that a machine is quick with, however small those of a step are.
    size = min(_HEARD_AT_ONCE, h.replay_size)
    for i in range(0, h.replay_size, size):
      rng = np.random.default_rng([self._seed, 0, i])
      z = tf.constant(self._starts(rng, size))
      drawn = hierdec.uniform(self._noise_seed(rng), size)
      self._remember(i, self._listen(z, drawn))

  def _remember(self, position, music):
    count = len(music['embeddings'])
    index = (position + np.arange(count)) % self._hparams.replay_size
    for name, rows in music.items():
      self._replay[name][index] = rows

  @tf.function(jit_compile=True)
  def _listen(self, z, drawn):
    return self._music(z, self._objective.sing(z, drawn)[1])

  def _music(self, z, probabilities):
    """What the critic is to foresee, of the melody as expected, and from what.

    Args:
      z: [B, Z] latent vectors.
      probabilities: [B, 256, 90] of what they sing.

    Returns:
      Dictionary of arrays of B rows, as the replay holds them.
    """
    embeddings = hierdec.bar_embeddings(self._objective.weights, z)
    onsets = expectation.expected_onsets(probabilities)
    pitch_class = tf.one_hot(melody.PITCHES.astype(np.int32) % 12, 12)
    by_bar = [-1, melody.NUM_BARS, melody.STEPS_PER_BAR]
    classes = tf.reshape(
      onsets @ pitch_class,
      [-1, melody.NUM_BARS, 2, melody.STEPS_PER_BAR // 2, 12],
    )
    number = tf.reduce_sum(tf.reshape(onsets, [*by_bar, 88]), axis=[2, 3])
    above = tf.reshape(onsets @ (melody.PITCHES[:, None] - 66.0), by_bar)
    repeats, intervals = (
      tf.reduce_sum(tf.reshape(x, by_bar), axis=2)
      for x in expectation.expected_motion(probabilities)
    )
    energy = expectation.span_energy(probabilities, 1)
    return {
      'embeddings': tf.transpose(embeddings, [1, 0, 2]),
      'classes': tf.reduce_sum(classes, axis=3),
      'mean_pitch': 66.0 + tf.reduce_sum(above, axis=2) / (number + 1e-6),
      'repeats': repeats,
      'intervals': intervals,
      'log_energy': tf.math.log(energy + losses.ENERGY_FLOOR),
    }

  def _forecast(self, z, condition):
    """[B, 7] losses that the critic foresees."""
    music = self.critic.music(
      hierdec.bar_embeddings(self._objective.weights, z)
    )
    onsets = music.onsets[..., None] * tf.exp(music.log_classes)
    number = tf.reduce_sum(music.onsets, axis=2)  # [B, 16]
    energy = tf.reshape(
      tf.exp(music.log_energy),
      [len(z), -1, self._objective.density_loss.span_bars],
    )
    return objective.stack(
      {
        **self._objective.pitch_loss.of_forecast(
          tf.reshape(onsets, [len(z), 2 * melody.NUM_BARS, 12]),
          tf.reduce_sum(number * music.mean_pitch, axis=1)
          / tf.reduce_sum(number, axis=1),
          expectation.per_pair(music.repeats, number),
          expectation.per_pair(music.intervals, number),
          condition,
        ),
        **self._objective.density_loss.of_forecast(
          tf.reduce_mean(energy, axis=2),
          tf.reduce_mean(number, axis=1),
          condition,
        ),
      }
    )

  @tf.function(jit_compile=True)
  def _slope_of_actor(self, start, features, condition, drawn):
    """`(gradients, z, music, scalars)`: z and music of what is sung."""
    h = self._hparams
    sung = len(drawn)
    heard = condition.take(slice(sung))
    with tf.GradientTape() as tape:
      z = self.actor(start, features)
      tokens, probabilities = self._objective.sing(z[:sung], drawn)
      expected = self._objective.measure(probabilities, heard)  # [B, 7]
      foreseen = self._forecast(z, condition)  # [F, 7]
      parts = {
        'forecast': tf.reduce_mean(self._objective.cost(foreseen)),
        'pathwise': tf.reduce_mean(self._objective.cost(expected)),
        'realism': tf.reduce_mean(tf.nn.softplus(-self.critic.realism(z))),
        'distance': tf.reduce_mean(tf.square(z - start)),
      }
      loss = tf.add_n([getattr(h, name) * part for name, part in parts.items()])
    gradients = tape.gradient(loss, self.actor.trainable_variables)
    measured = self._objective.measure(expectation.one_hot(tokens), heard)
    scalars = {'actor/' + name: part for name, part in parts.items()}
    scalars['actor/loss'] = loss
    for i, name in enumerate(objective.TERMS):
      scalars['measured/' + name] = tf.reduce_mean(measured[:, i])
      scalars['expected/' + name] = tf.reduce_mean(expected[:, i])
      scalars['foreseen/' + name] = tf.reduce_mean(foreseen[:, i])
    z = z[:sung]
    return gradients, z, self._music(z, probabilities), scalars

  @tf.function(jit_compile=True)
  def _slope_of_critic(self, heard, real, fake, mix, notes_per_melody):
    """`(gradients, scalars)`; the number of notes is the whole batch's mean."""
    with tf.GradientTape() as tape:
      music = self.critic.music(tf.transpose(heard['embeddings'], [1, 0, 2]))
      notes = heard['classes']  # [B, 16, 2, 12]
      number = tf.reduce_sum(notes, axis=3)  # [B, 16, 2]
      notes_per_bar = notes_per_melody / melody.NUM_BARS + 1e-6
      weight = tf.reduce_sum(number, axis=2) / notes_per_bar
      surprise = -tf.reduce_mean(
        tf.reduce_sum(notes * music.log_classes, axis=[2, 3]) / notes_per_bar
      )
      onsets_error = tf.reduce_mean(tf.square(music.onsets - number))
      pitch_error = tf.reduce_mean(
        weight * tf.square((music.mean_pitch - heard['mean_pitch']) / 3.0)
      )
      repeats_error = tf.reduce_mean(
        tf.square(music.repeats - heard['repeats'])
      )
      intervals_error = tf.reduce_mean(
        tf.square((music.intervals - heard['intervals']) / 10.0)
      )
      energy_error = tf.reduce_mean(
        tf.square((music.log_energy - heard['log_energy']) / 0.3)
      )
      real_logit = self.critic.realism(real)
      fake_logit = self.critic.realism(fake)
      realism = tf.reduce_mean(
        tf.nn.softplus(-real_logit) + tf.nn.softplus(fake_logit)
      )
      penalty = self._gradient_penalty(real, fake, mix)
      loss = (
        surprise
        + onsets_error
        + pitch_error
        + repeats_error
        + intervals_error
        + energy_error
        + realism
        + self._hparams.gradient_penalty * penalty
      )
    gradients = tape.gradient(loss, self.critic.trainable_variables)
    accuracy = 0.5 * (
      tf.reduce_mean(tf.cast(real_logit > 0, tf.float32))
      + tf.reduce_mean(tf.cast(fake_logit <= 0, tf.float32))
    )
    return gradients, {
      'critic/pitch_classes': surprise,
      'critic/onsets': onsets_error,
      'critic/mean_pitch': pitch_error,
      'critic/repeats': repeats_error,
      'critic/intervals': intervals_error,
      'critic/energy': energy_error,
      'critic/realism': realism,
      'critic/accuracy': accuracy,
      'critic/gradient_penalty': penalty,
    }

  def _gradient_penalty(self, real, fake, mix):
    """Squared distance of the realism logit's slope from 1 between both."""
    between = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
      tape.watch(between)
      logit = tf.reduce_sum(self.critic.realism(between))
    slope = tf.norm(tape.gradient(logit, between) + 1e-12, axis=1)
    return tf.reduce_mean(tf.square(slope - 1.0))

  def _state(self):
    """Variables and arrays that training goes on from, by name."""
    state = dict(zip(_REAL, self._real))
    state |= {'replay/' + name: rows for name, rows in self._replay.items()}
    for name, module in self._modules().items():
      optimizer = self._optimizers[name]
      state[f'optimizer/{name}/iterations'] = optimizer.iterations
      for variable, m, v in zip(
        module.trainable_variables, optimizer._momentums, optimizer._velocities
      ):
        key = actors.key(variable)
        state.update({key: variable, key + '/Adam': m, key + '/Adam_1': v})
    return state

  def save(self, run_dir):
    """Writes both networks and their optimizers to `run_dir/train`."""
    return checkpoints.write(
      os.path.join(run_dir, 'train'),
      self.step_number,
      {
        actors.FINGERPRINT: self.fingerprint,
        **{name: np.asarray(value) for name, value in self._state().items()},
      },
    )

  def restore(self, prefix):
    """Takes up training where the checkpoint left it.

    Raises:
      UserError: it was left by a learner of other settings.
    """
    arrays = checkpoints.read(prefix)
    state = self._state()
    for name, value in state.items():
      if name not in arrays or arrays[name].shape != value.shape:
        raise UserError(
          'run_dir',
          f'{prefix!r} was left by a learner of other settings ({name} '
          'differs)',
          'name another folder, or repeat its `hparams`',
        )
    for name, value in state.items():
      if isinstance(value, np.ndarray):
        value[:] = arrays[name]
      else:
        value.assign(arrays[name])
    self.step_number = int(arrays['global_step'])


def beyond_training(emotion):
  """Which target of an emotion lies outside what actors are trained for.

  Any register is reached, by octaves.

  Args:
    emotion: `catalogue.Emotion`.

  Returns:
    A sentence that names the target and the range; None when it lies inside.
  """
  hparams, _ = configuration.load_learner()
  low, high = hparams.onsets_per_bar
  if low <= emotion.onsets_per_bar <= high:
    return None
  return (
    f'onsets_per_bar {emotion.onsets_per_bar:g} lies outside {low:g} to '
    f'{high:g}, which the actor was trained to reach'
  )


def learner_for(weights, hparams, seed, run_dir, strategy=None, progress=None):
  """An `ActorCritic` on the bundled melodies and the nine emotions.

  Args:
    weights: dictionary of Magenta's variables of the frozen base model.
    hparams: `configuration.LearnerHparams`.
    seed: as of `ActorCritic`.
    run_dir: folder of the run. One that was begun knows the posterior of the
      real melodies, which takes minutes at the published size.
    strategy: as of `ActorCritic`.
    progress: wraps the batches of real melodies as `tqdm` does, or None.
  """
  tokens = references.load_melodies()
  prefix = checkpoints.latest(run_dir)
  known = checkpoints.read(prefix, _REAL.__contains__) if prefix else {}
  if not known:
    real = posterior.encode(
      weights, tokens[: hparams.real_melodies], progress=progress
    )
    known = dict(zip(_REAL, real))
  return ActorCritic(
    weights,
    tuple(known[name] for name in _REAL),
    ConditionSampler(catalogue.load(), hparams),
    hparams,
    seed,
    strategy,
  )


def train(learner, run_dir, num_steps, progress):
  """Trains up to `num_steps`, resuming where `run_dir` left off.

  Args:
    learner: an `ActorCritic`.
    run_dir: folder for checkpoints and TensorBoard scalars.
    num_steps: updates in all.
    progress: wraps the iterable of steps as `tqdm` does, or None.

  Raises:
    FloatingPointError: a loss is no longer finite. The last good state is the
      newest checkpoint.
  """
  prefix = checkpoints.latest(run_dir)
  if prefix:
    if actors.fingerprint_of(prefix) != learner.fingerprint:
      raise UserError(
        'run_dir',
        f'{run_dir!r} holds an actor of another base model',
        'name another folder',
      )
    learner.restore(prefix)
  chief = distribution.is_chief(learner.strategy)
  writer = tf.summary.create_noop_writer()
  if chief:
    writer = tf.summary.create_file_writer(os.path.join(run_dir, 'train'))
  steps = range(learner.step_number, num_steps)
  if progress:
    steps = progress(
      steps, 'training', initial=learner.step_number, total=num_steps
    )
  with writer.as_default():
    for _ in steps:
      scalars = learner.step()
      step = learner.step_number
      bad = [name for name, value in scalars.items() if not np.isfinite(value)]
      if bad:
        raise FloatingPointError(
          f'{", ".join(bad)} not finite at step {step}; the last good state is '
          f'{checkpoints.latest(run_dir)}'
        )
      if step % SUMMARY_EVERY == 0:
        for name, value in scalars.items():
          tf.summary.scalar(name, value, step)
      if chief and (step % SAVE_EVERY == 0 or step == num_steps):
        learner.save(run_dir)


def actor_for(config, weights, fingerprint, overrides=None, progress=None):
  """The actor trained for a base model; trains one where there is none yet.

  Looked for beside the bundled model and in the cache folder, by the
  fingerprint of the weights, so that an actor never meets another model.

  Args:
    config: name of the model configuration.
    weights: dictionary of Magenta's variables.
    fingerprint: of the weights, from `checkpoints.fingerprint`.
    overrides: dictionary of settings over `configs/actor_critic.yaml`.
    progress: wraps an iterable of steps as `tqdm` does.

  Returns:
    A `networks.Actor`.
  """
  hparams, num_steps = configuration.load_learner(config, overrides or {})
  run_dir = checkpoints.actor_dir(fingerprint)
  prefix = checkpoints.bundled(config, 'actor.ckpt')
  if prefix and actors.fingerprint_of(prefix) == fingerprint:
    return actors.load_actor(prefix)[0]

  def finished():
    prefix = checkpoints.latest(run_dir)
    actor, steps = actors.load_actor(prefix) if prefix else (None, 0)
    return actor if steps >= num_steps else None

  actor = finished()
  if actor:
    return actor
  with checkpoints.hold_dir(run_dir, 'cache_dir'):
    actor = finished()
    if actor:
      return actor
    print(
      f'No actor for this checkpoint yet: training one for {num_steps} steps, '
      f'kept in {run_dir}. Interrupt it and it goes on from there next time.'
    )
    learner = learner_for(weights, hparams, 0, run_dir, progress=progress)
    train(learner, run_dir, num_steps, progress)
  return learner.actor
