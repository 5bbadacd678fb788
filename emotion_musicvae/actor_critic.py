"""The learner: retrains latent vectors by an actor and a critic.

Each step the actor moves a batch of latent vectors and the decoder sings them.
The losses come back to the actor by two ways:

  forecast: through the critic, which foresees from the vector what the melody
    measures; smooth, and sees across the whole latent space;
  pathwise: d/dz loss(p(. | z, tokens so far)) through the decoder, what each
    token's distribution owes to z; exact, but blind to what later tokens owe to
    the earlier ones that were drawn.

The critic learns at the same time, from the melodies just sung and a replay of
earlier ones: to foresee what they measure, and to tell the actor's vectors from
those of real melodies.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from emotion_musicvae import checkpoints
from emotion_musicvae import configuration
from emotion_musicvae import emotions
from emotion_musicvae import harmony
from emotion_musicvae import hierdec
from emotion_musicvae import losses
from emotion_musicvae import melody
from emotion_musicvae import networks
from emotion_musicvae import references
from emotion_musicvae import spectrogram

TERMS = ('chord', 'register', 'motion', 'density', 'evenness')
# Chord tones by half bar, mean pitch and density.
CONDITION_SIZE = 2 * melody.NUM_BARS * 12 + 2
SUMMARY_EVERY = 10
SAVE_EVERY = 100
FINGERPRINT = 'fingerprint'


@dataclasses.dataclass(frozen=True)
class Hparams:
  """Settings of the learner; see configs/ for what they do."""

  units: int = 512
  batch_size: int = 16
  learning_rate: float = 0.0005
  critic_learning_rate: float = 0.0005
  temperature: float = 0.5
  chord: float = 8.0
  register: float = 1.0
  motion: float = 1.0
  density: float = 1.0
  evenness: float = 0.2
  forecast: float = 1.0
  pathwise: float = 1.0
  realism: float = 1.0
  distance: float = 0.3
  real_melodies: int = 1536
  gradient_penalty: float = 10.0
  replay_size: int = 4096
  replay_batch_size: int = 256
  critic_updates: int = 2
  emotion_share: float = 0.5
  mean_pitch: tuple = (58.0, 74.0)
  onsets_per_bar: tuple = (2.5, 11.5)


@dataclasses.dataclass(frozen=True)
class Targets:
  """Conditions as plain arrays, one row per melody.

  Attributes:
    mean_pitch: [B] MIDI.
    onsets_per_bar: [B].
    fit: [B, 256, 12], see `harmony.chord_tones`.
    sounding: [B, 256].
  """

  mean_pitch: np.ndarray
  onsets_per_bar: np.ndarray
  fit: np.ndarray
  sounding: np.ndarray

  @classmethod
  def of(cls, wanted):
    """Targets of a sequence of `emotions.Emotion`, a row each."""
    tones = [harmony.chord_tones(e.chords) for e in wanted]
    return cls(
      np.array([e.mean_pitch for e in wanted], np.float32),
      np.array([e.onsets_per_bar for e in wanted], np.float32),
      np.stack([fit for fit, _ in tones]),
      np.stack([sounding for _, sounding in tones]),
    )

  def take(self, index):
    """The rows `index`, as an array indexes."""
    return Targets(
      *(getattr(self, f.name)[index] for f in dataclasses.fields(self))
    )

  def features(self):
    """[B, 386] float32, what the actor and the critic see of a condition."""
    half_bar = melody.STEPS_PER_BAR // 2
    return np.concatenate(
      [
        (self.mean_pitch[:, None] - 66.0) / 6.0,
        np.log2(self.onsets_per_bar[:, None] / 6.0),
        self.fit[:, ::half_bar].reshape([len(self.fit), -1]),
      ],
      axis=1,
    ).astype(np.float32)


class TargetSampler:
  """Draws the conditions to train on.

  A share of them are the given emotions. The rest are their progressions in any
  key with any mean pitch and density of the trained range, so that targets
  between and beyond the emotions need no training of their own.

  Args:
    wanted: sequence of `emotions.Emotion`.
    hparams: `Hparams`.
  """

  def __init__(self, wanted, hparams):
    self._emotions = Targets.of(wanted)
    self._hparams = hparams

  def __call__(self, rng):
    """`Targets` of a batch, drawn with a numpy Generator."""
    h = self._hparams
    size = h.batch_size
    drawn = self._emotions.take(
      rng.integers(len(self._emotions.fit), size=size)
    )
    free = rng.random(size) >= h.emotion_share
    low, high = np.log(h.onsets_per_bar)
    shift = np.where(free, rng.integers(12, size=size), 0)
    classes = (np.arange(12)[None] - shift[:, None]) % 12
    return Targets(
      np.where(free, rng.uniform(*h.mean_pitch, size), drawn.mean_pitch),
      np.where(
        free, np.exp(rng.uniform(low, high, size)), drawn.onsets_per_bar
      ),
      np.take_along_axis(drawn.fit, classes[:, None], axis=2),
      drawn.sounding,
    )


class ActorCritic:
  """The learner.

  Args:
    weights: dictionary of Magenta's variables of the frozen base model.
    real: `(mean, deviation)` of the posterior of real melodies, [N, Z] each.
    energy: `references.EnergyReference`.
    sampler: `TargetSampler`.
    hparams: `Hparams`.
    seed: integer; every random draw follows from it and the step.
  """

  def __init__(self, weights, real, energy, sampler, hparams, seed):
    self.fingerprint = checkpoints.fingerprint(weights)
    self._weights = {k: tf.constant(v) for k, v in weights.items()}
    self._real = real
    self._energy = energy
    self._sampler = sampler
    self._hparams = h = hparams
    self._seed = seed
    self.step_number = 0
    z_size = hierdec.z_size(weights)
    rng = np.random.default_rng(seed)
    self.actor = networks.Actor(z_size, CONDITION_SIZE, h.units, rng)
    self._pitch_loss = losses.PitchLoss()
    self._density_loss = losses.DensityLoss()
    spans = melody.NUM_BARS // self._density_loss.span_bars
    self.critic = networks.Critic(z_size, spans, h.units, rng)
    self._replay = {
      name: np.zeros([h.replay_size, *shape], np.float32)
      for name, shape in (
        ('z', [z_size]),
        ('pitch_classes', [networks.NUM_HALF_BARS, 12]),
        ('mean_pitch', []),
        ('repeats', []),
        ('log_energy', [spans]),
      )
    }
    self._optimizers = {
      'actor': tf.keras.optimizers.Adam(h.learning_rate, 0.9, 0.99),
      'critic': tf.keras.optimizers.Adam(h.critic_learning_rate, 0.5, 0.9),
    }
    for name, module in self._modules().items():
      self._optimizers[name].build(module.trainable_variables)

  def _modules(self):
    return {'actor': self.actor, 'critic': self.critic}

  def step(self):
    """One update of both networks: dictionary of name to float."""
    if not self.step_number:
      self._fill_replay()
    h = self._hparams
    rng = np.random.default_rng([self._seed, 1, self.step_number])
    targets = self._sampler(rng)
    z, music, scalars = self._update_actor(
      tf.constant(self._starts(rng, h.batch_size)),
      tf.constant(targets.features()),
      condition(targets, self._energy),
      self._noise_seed(rng),
    )
    self._remember(self.step_number * h.batch_size, z, music)
    for _ in range(h.critic_updates):
      index = rng.integers(h.replay_size, size=h.replay_batch_size)
      scalars |= self._update_critic(
        {name: tf.constant(rows[index]) for name, rows in self._replay.items()},
        tf.constant(self._posterior(rng, h.batch_size)),
        z,
        self._noise_seed(rng),
      )
    self.step_number += 1
    return {name: float(value) for name, value in scalars.items()}

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
    for i in range(0, h.replay_size, h.batch_size):
      rng = np.random.default_rng([self._seed, 0, i])
      z = tf.constant(self._starts(rng, h.batch_size))
      self._remember(i, z, self._listen(z, self._noise_seed(rng)))

  def _remember(self, position, z, music):
    index = (position + np.arange(len(z))) % self._hparams.replay_size
    self._replay['z'][index] = z
    names = ('pitch_classes', 'mean_pitch', 'repeats', 'log_energy')
    for name, rows in zip(names, music):
      self._replay[name][index] = rows

  @tf.function(jit_compile=True)
  def _listen(self, z, seed):
    return self._music(self._sing(z, seed)[1])

  def _sing(self, z, seed):
    """Melodies of `z`: tokens [B, 256], and their logits at temperature."""
    temperature = self._hparams.temperature
    tokens = tf.stop_gradient(
      hierdec.sample(self._weights, z, temperature, seed)
    )
    logits = hierdec.teacher_forced_logits(self._weights, z, tokens)
    return tokens, logits / temperature

  def _music(self, logits):
    """What the critic is to foresee, of the melody as expected."""
    probabilities = tf.nn.softmax(logits)
    onsets = melody.expected_onsets(probabilities)
    classes = tf.one_hot(melody.PITCHES.astype(np.int32) % 12, 12)
    by_class = tf.reshape(
      onsets @ classes,
      [-1, networks.NUM_HALF_BARS, melody.STEPS_PER_BAR // 2, 12],
    )
    mean = tf.einsum('btp,p->b', onsets, melody.PITCHES) / (
      tf.reduce_sum(onsets, [1, 2]) + 1e-6
    )
    energy = spectrogram.span_energy(
      probabilities, self._density_loss.span_bars
    )
    return (
      tf.reduce_sum(by_class, axis=2),
      mean,
      melody.expected_repeats(probabilities),
      tf.math.log(energy + losses.ENERGY_FLOOR),
    )

  def _measure(self, probabilities, wanted):
    """[B, 5] losses in the order of TERMS."""
    return _stack(
      {
        **self._pitch_loss(probabilities, wanted),
        **self._density_loss(probabilities, wanted),
      }
    )

  def _forecast(self, z, wanted):
    """[B, 5] losses that the critic foresees."""
    classes, mean_pitch, repeats, log_energy = self.critic.music(z)
    return _stack(
      {
        **self._pitch_loss.of_forecast(
          tf.nn.softmax(classes), mean_pitch, repeats, wanted
        ),
        **self._density_loss.of_energy(tf.exp(log_energy), wanted),
      }
    )

  def _cost(self, terms):
    """[B] weighted sum of [B, 5] losses."""
    shares = tf.constant([getattr(self._hparams, name) for name in TERMS])
    # A melody far off must not outweigh the rest of the batch.
    return tf.reduce_sum(shares * _soft(terms), axis=1)

  @tf.function(jit_compile=True)
  def _update_actor(self, start, features, wanted, seed):
    h = self._hparams
    wanted = losses.Condition(**wanted)
    with tf.GradientTape() as tape:
      z = self.actor(start, features)
      tokens, logits = self._sing(z, seed)
      expected = self._measure(tf.nn.softmax(logits), wanted)  # [B, 5]
      measured = self._measure(melody.one_hot(tokens), wanted)  # [B, 5]
      foreseen = self._forecast(z, wanted)  # [B, 5]
      parts = {
        'forecast': tf.reduce_mean(self._cost(foreseen)),
        'pathwise': tf.reduce_mean(self._cost(expected)),
        'realism': tf.reduce_mean(tf.nn.softplus(-self.critic.realism(z))),
        'distance': tf.reduce_mean(tf.math.log1p(tf.square(z - start))),
      }
      loss = tf.add_n([getattr(h, name) * part for name, part in parts.items()])
    self._apply('actor', tape.gradient(loss, self.actor.trainable_variables))
    scalars = {'actor/' + name: part for name, part in parts.items()}
    scalars['actor/loss'] = loss
    for i, name in enumerate(TERMS):
      scalars['measured/' + name] = tf.reduce_mean(measured[:, i])
      scalars['expected/' + name] = tf.reduce_mean(expected[:, i])
      scalars['foreseen/' + name] = tf.reduce_mean(foreseen[:, i])
    return z, self._music(logits), scalars

  @tf.function(jit_compile=True)
  def _update_critic(self, heard, real, fake, seed):
    with tf.GradientTape() as tape:
      classes, mean_pitch, repeats, log_energy = self.critic.music(heard['z'])
      notes = heard['pitch_classes']  # [B, 32, 12]
      surprise = -tf.reduce_sum(notes * tf.nn.log_softmax(classes)) / (
        tf.reduce_sum(notes) + 1e-6
      )
      pitch_error = tf.reduce_mean(
        tf.square((mean_pitch - heard['mean_pitch']) / 3.0)
      )
      repeats_error = tf.reduce_mean(
        tf.square((repeats - heard['repeats']) / 0.1)
      )
      energy_error = tf.reduce_mean(
        tf.square((log_energy - heard['log_energy']) / 0.3)
      )
      real_logit = self.critic.realism(real)
      fake_logit = self.critic.realism(fake)
      realism = tf.reduce_mean(
        tf.nn.softplus(-real_logit) + tf.nn.softplus(fake_logit)
      )
      penalty = self._gradient_penalty(real, fake, seed)
      loss = (
        surprise
        + pitch_error
        + repeats_error
        + energy_error
        + realism
        + self._hparams.gradient_penalty * penalty
      )
    self._apply('critic', tape.gradient(loss, self.critic.trainable_variables))
    accuracy = 0.5 * (
      tf.reduce_mean(tf.cast(real_logit > 0, tf.float32))
      + tf.reduce_mean(tf.cast(fake_logit <= 0, tf.float32))
    )
    return {
      'critic/pitch_classes': surprise,
      'critic/mean_pitch': pitch_error,
      'critic/repeats': repeats_error,
      'critic/energy': energy_error,
      'critic/realism': realism,
      'critic/accuracy': accuracy,
      'critic/gradient_penalty': penalty,
    }

  def _gradient_penalty(self, real, fake, seed):
    """Squared distance of the realism logit's slope from 1 between both."""
    mix = tf.random.stateless_uniform([tf.shape(real)[0], 1], seed)
    between = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
      tape.watch(between)
      logit = tf.reduce_sum(self.critic.realism(between))
    slope = tf.norm(tape.gradient(logit, between) + 1e-12, axis=1)
    return tf.reduce_mean(tf.square(slope - 1.0))

  def _apply(self, name, gradients):
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    self._optimizers[name].apply_gradients(
      zip(gradients, self._modules()[name].trainable_variables)
    )

  def _state(self):
    """Variables and arrays that training goes on from, by name."""
    state = {'replay/' + name: rows for name, rows in self._replay.items()}
    for name, module in self._modules().items():
      optimizer = self._optimizers[name]
      state[f'optimizer/{name}/iterations'] = optimizer.iterations
      for variable, m, v in zip(
        module.trainable_variables, optimizer._momentums, optimizer._velocities
      ):
        key = _key(variable)
        state.update({key: variable, key + '/Adam': m, key + '/Adam_1': v})
    return state

  def save(self, run_dir):
    """Writes both networks and their optimizers to `run_dir/train`."""
    return checkpoints.write(
      os.path.join(run_dir, 'train'),
      self.step_number,
      {
        FINGERPRINT: self.fingerprint,
        **{name: np.asarray(value) for name, value in self._state().items()},
      },
    )

  def restore(self, prefix):
    """Takes up training where the checkpoint left it."""
    arrays = checkpoints.read(prefix)
    for name, value in self._state().items():
      if isinstance(value, np.ndarray):
        value[:] = arrays[name]
      else:
        value.assign(arrays[name])
    self.step_number = int(arrays['global_step'])


def load_hparams(overrides=()):
  """`(Hparams, steps to train)` of `configs/actor_critic.yaml`."""
  entry = configuration.load_yaml('actor_critic')
  hparams = configuration.build(
    Hparams, {**entry['hparams'], **dict(overrides)}, '--hparams'
  )
  return hparams, int(entry['num_steps'])


def beyond_training(emotion):
  """Which targets of an emotion lie outside what actors are trained for.

  Args:
    emotion: `emotions.Emotion`.

  Returns:
    List of sentences that name the target and the range; empty when it lies
    inside.
  """
  hparams, _ = load_hparams()
  said = []
  for name in ('mean_pitch', 'onsets_per_bar'):
    low, high = getattr(hparams, name)
    value = getattr(emotion, name)
    if not low <= value <= high:
      said.append(
        f'{name} {value:g} lies outside {low:g} to {high:g}, which the actor '
        'was trained to reach'
      )
  return said


def learner_for(weights, hparams, seed):
  """An `ActorCritic` on the bundled melodies and the nine emotions."""
  tokens = references.load_melodies()
  return ActorCritic(
    weights,
    references.encode(weights, tokens[: hparams.real_melodies]),
    references.EnergyReference(tokens),
    TargetSampler(emotions.load(), hparams),
    hparams,
    seed,
  )


def load_actor(prefix):
  """The actor of a checkpoint, and how many steps it was trained."""
  arrays = checkpoints.read(prefix)
  bias = arrays['actor/dense_0/bias']
  z_size = arrays[f'actor/dense_{networks.HIDDEN_LAYERS}/bias'].shape[0] // 2
  actor = networks.Actor(
    z_size, CONDITION_SIZE, len(bias), np.random.default_rng(0)
  )
  for variable in actor.trainable_variables:
    variable.assign(arrays[_key(variable)])
  return actor, int(arrays['global_step'])


def fingerprint_of(prefix):
  """Fingerprint of the base model that a checkpoint's actor was trained for.

  Raises:
    UserError: it is no checkpoint of an actor.
  """
  reader = tf.train.load_checkpoint(prefix)
  if not reader.has_tensor(FINGERPRINT):
    raise configuration.UserError(f'{prefix!r} is no checkpoint of an actor')
  return reader.get_tensor(FINGERPRINT).decode()


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
    if fingerprint_of(prefix) != learner.fingerprint:
      raise configuration.UserError(
        f'--run_dir: {run_dir!r} holds an actor of another base model; name '
        'another folder'
      )
    learner.restore(prefix)
  writer = tf.summary.create_file_writer(os.path.join(run_dir, 'train'))
  steps = range(learner.step_number, num_steps)
  if progress:
    steps = progress(steps, initial=learner.step_number, total=num_steps)
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
      if step % SAVE_EVERY == 0 or step == num_steps:
        learner.save(run_dir)


def condition(targets, energy):
  """`losses.Condition` of targets, as a dictionary of tensors."""
  return {
    'mean_pitch': tf.constant(targets.mean_pitch, tf.float32),
    'energy': tf.constant(
      energy(targets.mean_pitch, targets.onsets_per_bar), tf.float32
    ),
    'fit': tf.constant(targets.fit),
    'sounding': tf.constant(targets.sounding),
  }


def _key(variable):
  return variable.name.removesuffix(':0')


def _stack(terms):
  return tf.stack([terms[name] for name in TERMS], axis=1)


def _soft(squared):
  """Squares near zero, growing like the distance further out."""
  return tf.sqrt(1.0 + squared) * 2.0 - 2.0
