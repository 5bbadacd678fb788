"""Ways to steer the same latent space, to compare ours with.

An arm is built on a `Bench`, where it learns what it has to learn, and is then
called with first latent vectors and targets; it returns the vectors to sing.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.emotions import calibration
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.steering import actor_critic
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import refinement
from emotion_musicvae.support import configuration


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of the arms; see configs/arms.yaml."""

  tries: int = 16
  extremes: float = 0.25
  steps: tuple = (0.5, 1.0, 1.5)
  ascent_updates: int = 40
  ascent_learning_rate: float = 0.1
  constraint_updates: int = 3000
  constraint_batch_size: int = 128
  constraint_learning_rate: float = 0.0003
  constraint_distance: float = 0.1
  constraint_actor_every: int = 2


@dataclasses.dataclass(frozen=True)
class Bench:
  """What all arms share.

  Attributes:
    model: `api.EmotionMusicVAE` with the shipped actor.
    weights: dictionary of Magenta's variables of its base model.
    hparams: `configuration.LearnerHparams` of the learner.
    settings: `Settings`.
    num_steps: updates of the learners that are trained to be compared.
    wanted: sequence of `catalogue.Emotion`.
    seed: integer seed of all that is learned.
    progress: wraps an iterable as `tqdm` does, or None.
  """

  model: api.EmotionMusicVAE
  weights: dict
  hparams: configuration.LearnerHparams
  settings: Settings
  num_steps: int
  wanted: tuple
  seed: int = 0
  progress: object = None

  @functools.cached_property
  def tokens(self):
    """[N, 256] real melodies that the learners know."""
    return references.load_melodies()[: self.hparams.real_melodies]

  @functools.cached_property
  def real(self):
    """`(mean, deviation)` of their posterior, [N, Z] each."""
    return posterior.encode(self.weights, self.tokens)

  def steps(self, number, description):
    """Numbers from 0, with a progress bar."""
    steps = range(number)
    if not self.progress:
      return steps
    return self.progress(steps, desc=description, leave=False)


class Prior:
  """Unconditioned samples: the stock model as it is."""

  def __init__(self, bench):
    del bench

  def __call__(self, start, condition, temperature, seed):
    """Latent vectors to sing.

    Args:
      start: [N, Z] first latent vectors.
      condition: `conditions.Condition` of N rows, in the canonical key.
      temperature: at which they will be sung.
      seed: integer; melody i will be sung with the noise of (seed, i).

    Returns:
      [N, Z] float32 latent vectors.
    """
    del condition, temperature, seed
    return start


class Rejection:
  """The best of several samples of the prior, all of them sung and measured."""

  def __init__(self, bench):
    self._model = bench.model
    self._tries = bench.settings.tries

  def __call__(self, start, condition, temperature, seed):
    best, distance = start, np.full(len(start), np.inf)
    for k in range(self._tries):
      z = start
      if k:
        rng = np.random.default_rng((seed, k, 2))
        z = rng.standard_normal(start.shape).astype(np.float32)
      tokens = self._model.sing(z, temperature, seed)
      off = hits.total_excess(api.measure(tokens, condition), condition)
      best = np.where((off < distance)[:, None], z, best)
      distance = np.minimum(off, distance)
    return best


class AttributeVectors:
  """MusicVAE's own way (Roberts et al. 2018, arXiv 1803.05428).

  For mean pitch, density and mode, the mean latent vector of the real melodies
  that have much of it less that of those that have little. A request adds each
  in proportion to how far the target lies from the middle, times the step that
  serves the nine emotions best.
  """

  def __init__(self, bench):
    s = bench.settings
    mean, _ = bench.real
    values = self._attributes(
      melody.mean_pitch(bench.tokens),
      melody.onsets_per_bar(bench.tokens),
      [is_major(row) for row in bench.tokens],
    )
    self._middle = values.mean(axis=0)
    self._vectors = []
    for column in values.T:
      low, high = np.quantile(column, [s.extremes, 1.0 - s.extremes])
      low, high = column <= low, column >= high
      if column.min() == column[low].max() == column[high].min():
        high = column > column.min()
      apart = column[high].mean() - column[low].mean()
      self._vectors.append(
        (mean[high].mean(axis=0) - mean[low].mean(axis=0)) / apart
      )
    self._steps = np.ones(values.shape[1])
    wanted = [e for e in bench.wanted for _ in range(8)]
    condition, _ = conditions.Condition.of(wanted).in_canonical_key()
    # Other vectors than any that the arms are measured on.
    start = api.prior(2**31 + bench.seed, len(wanted), mean.shape[1])
    for i in range(len(self._steps)):
      off = []
      for step in s.steps:
        self._steps[i] = step
        z = self(start, condition, bench.hparams.temperature, bench.seed)
        tokens = bench.model.sing(z, bench.hparams.temperature, bench.seed)
        measured = api.measure(tokens, condition)
        off.append(
          np.minimum(hits.total_excess(measured, condition), 10.0).mean()
        )
      self._steps[i] = s.steps[int(np.argmin(off))]

  @staticmethod
  def _attributes(mean_pitch, onsets_per_bar, major):
    return np.stack([mean_pitch, np.log(onsets_per_bar), major], axis=1)

  def __call__(self, start, condition, temperature, seed):
    del temperature, seed
    # A key of its own mode fits a progression's tones best.
    major = [
      calibration.key_of(weights.sum(axis=0))[1] == 'major'
      for weights in condition.chord_tone_weights
    ]
    wanted = self._attributes(
      condition.mean_pitch, condition.onsets_per_bar, major
    )
    away = (wanted - self._middle) * self._steps
    return (start + away @ np.stack(self._vectors)).astype(np.float32)


class LatentAscent:
  """Each request's own latent vector, retrained without actor or critic.

  The same losses as ours and the pathwise gradient. Only a latent vector
  further out than the prior's pays for where it lies.
  """

  def __init__(self, bench):
    s = bench.settings
    self._updates = s.ascent_updates
    self._retraining = refinement.Retraining(
      bench.weights,
      bench.hparams,
      part=0.0,
      distance=0.0,
      learning_rate=s.ascent_learning_rate,
    )

  def __call__(self, start, condition, temperature, seed):
    del temperature  # As ours, it learns at the temperature of the settings.
    return self._retraining(start, start, condition, self._updates, seed)


class LatentConstraints:
  """Actor and critic on latent vectors alone, nothing sung to learn from.

  Engel, Hoffman and Roberts (2017, arXiv 1711.05772): the critic tells real
  melodies with their own condition from real ones with another and from the
  actor's. A real melody's condition is what it measures itself, over the
  progression of the emotions, in any key, that holds most of its notes.
  """

  def __init__(self, bench):
    s, h = bench.settings, bench.hparams
    tokens, own = _own_conditions(bench.tokens, bench.wanted)
    mean, deviation = posterior.encode(bench.weights, tokens)
    own = own.features()
    rng = np.random.default_rng((bench.seed, 3))
    z_size = mean.shape[1]
    self._settings = s
    self._actor = networks.Actor(z_size, conditions.NUM_FEATURES, h.units, rng)
    self._critic = networks.Mlp(
      [z_size + conditions.NUM_FEATURES, *[h.units] * 3, 1],
      rng,
      0.1,
      'constraint',
    )
    self._optimizers = [
      tf.keras.optimizers.Adam(s.constraint_learning_rate, 0.0, 0.9)
      for _ in range(2)
    ]
    sampler = actor_critic.ConditionSampler(
      bench.wanted,
      dataclasses.replace(h, forecast_batch_size=s.constraint_batch_size),
    )
    for step in bench.steps(s.constraint_updates, 'latent constraints'):
      index = rng.integers(len(mean), size=s.constraint_batch_size)
      noise = rng.standard_normal([len(index), z_size])
      batch = {
        'real': mean[index] + deviation[index] * noise,
        'own': own[index],
        'other': own[rng.permutation(index)],
        'start': rng.standard_normal([len(index), z_size]),
        'asked': sampler(rng).features(),
      }
      batch = {k: tf.constant(v, tf.float32) for k, v in batch.items()}
      self._learn(batch, self._noise(rng), step % s.constraint_actor_every == 0)

  @staticmethod
  def _noise(rng):
    return tf.constant(rng.integers(2**31 - 1, size=2), tf.int32)

  def __call__(self, start, condition, temperature, seed):
    del temperature, seed
    return self._actor(start, condition.features()).numpy()

  def _judge(self, z, features):
    return self._critic(tf.concat([z, features], axis=1))[:, 0]

  @tf.function
  def _learn(self, batch, seed, actor_too):
    with tf.GradientTape() as tape:
      moved = self._actor(batch['start'], batch['asked'])
      good = self._judge(batch['real'], batch['own'])
      bad = [
        self._judge(batch['real'], batch['other']),
        self._judge(moved, batch['asked']),
      ]
      loss = tf.reduce_mean(tf.nn.softplus(-good)) + 0.5 * tf.add_n(
        [tf.reduce_mean(tf.nn.softplus(x)) for x in bad]
      )
      mix = tf.random.stateless_uniform([len(moved), 1], seed)
      between = mix * batch['real'] + (1.0 - mix) * moved
      with tf.GradientTape() as inner:
        inner.watch(between)
        judged = tf.reduce_sum(self._judge(between, batch['own']))
      slope = tf.norm(inner.gradient(judged, between) + 1e-12, axis=1)
      loss += 10.0 * tf.reduce_mean(tf.square(slope - 1.0))
    variables = self._critic.trainable_variables
    gradients = tape.gradient(loss, variables)
    self._optimizers[0].apply_gradients(zip(gradients, variables))
    if actor_too:
      with tf.GradientTape() as tape:
        moved = self._actor(batch['start'], batch['asked'])
        away = tf.math.log1p(tf.square(moved - batch['start']))
        loss = tf.reduce_mean(
          tf.nn.softplus(-self._judge(moved, batch['asked']))
        ) + self._settings.constraint_distance * tf.reduce_mean(away)
      variables = self._actor.trainable_variables
      gradients = tape.gradient(loss, variables)
      self._optimizers[1].apply_gradients(zip(gradients, variables))


class Shipped:
  """Ours, as it is shipped or was trained for this base model."""

  def __init__(self, bench):
    self._model = bench.model

  def __call__(self, start, condition, temperature, seed):
    del temperature, seed
    return self._model.move(start, condition)


class Retrained:
  """Ours, and then each vector retrained by itself, as `updates` does."""

  def __init__(self, bench):
    self._model = bench.model
    self._updates = bench.settings.ascent_updates

  def __call__(self, start, condition, temperature, seed):
    del temperature
    return self._model.move(start, condition, self._updates, seed)


class Trained:
  """Our learner, trained here with some settings changed.

  Attributes:
    curves: dictionary of scalar name to list of values, one a step.

  Args:
    bench: `Bench`.
    overrides: dictionary of settings over `bench.hparams`.
    name: what the progress bar says.
  """

  def __init__(self, bench, overrides, name='ours'):
    learner = _learner(bench, bench.wanted, overrides)
    self.curves = _train(learner, bench.steps(bench.num_steps, name))
    self._actor = learner.actor

  def __call__(self, start, condition, temperature, seed):
    del temperature, seed
    return self._actor(start, condition.features()).numpy()


class OnePerEmotion:
  """Our learner once for each emotion, with the updates shared out."""

  def __init__(self, bench):
    known, _ = conditions.Condition.of(bench.wanted).in_canonical_key()
    self._known = known.features()
    self._actors = []
    for e in bench.wanted:
      learner = _learner(bench, [e], {'emotion_share': 1.0})
      _train(
        learner, bench.steps(bench.num_steps // len(bench.wanted), e.alias)
      )
      self._actors.append(learner.actor)

  def __call__(self, start, condition, temperature, seed):
    del temperature, seed
    features = condition.features()
    # A target between the emotions takes the actor of the nearest.
    away = np.square(features[:, None] - self._known).sum(axis=2)
    result = np.array(start)
    for k, actor in enumerate(self._actors):
      rows = away.argmin(axis=1) == k
      if rows.any():
        result[rows] = actor(start[rows], features[rows]).numpy()
    return result


def load_settings():
  """`(Settings, num_steps, ablations)` of `configs/arms.yaml`."""
  entry = configuration.load_yaml('arms')
  settings = configuration.build(Settings, entry['settings'], 'arms.yaml')
  return settings, int(entry['num_steps']), entry['ablations']


def builders():
  """Dictionary of an arm's name to a function of a `Bench` that builds it."""
  _, _, ablations = load_settings()
  return {
    'prior': Prior,
    'rejection': Rejection,
    'attribute vectors': AttributeVectors,
    'latent ascent': LatentAscent,
    'latent constraints': LatentConstraints,
    'ours': Shipped,
    'ours retrained': Retrained,
    **{
      name: functools.partial(Trained, overrides=overrides, name=name)
      for name, overrides in ablations.items()
    },
    'one actor per emotion': OnePerEmotion,
  }


def _learner(bench, wanted, overrides):
  hparams = dataclasses.replace(bench.hparams, **overrides)
  return actor_critic.ActorCritic(
    bench.weights,
    bench.real,
    actor_critic.ConditionSampler(wanted, hparams),
    hparams,
    bench.seed,
  )


def _train(learner, steps):
  curves = {}
  for _ in steps:
    for name, value in learner.step().items():
      curves.setdefault(name, []).append(value)
  return curves


def is_major(row):
  """Whether [256] tokens, weighted by duration, lie nearer a major key."""
  notes = melody.notes(row)
  profile = np.bincount(notes.pitch % 12, notes.length, 12)
  return calibration.key_of(profile)[1] == 'major'


def _own_conditions(tokens, wanted):
  """Real melodies in the canonical key, and what they measure themselves there.

  Args:
    tokens: [N, 256] int tokens.
    wanted: sequence of `catalogue.Emotion`, whose progressions a melody may
      have.

  Returns:
    `(tokens, condition)`: the melodies transposed so that the progression that
    holds most of their notes is in the canonical key, and the
    `conditions.Condition` that they meet there.
  """
  known, _ = conditions.Condition.of(wanted).in_canonical_key()
  everywhere = np.ones(melody.NUM_STEPS)
  ways = [
    (semitones, weights)
    for weights in known.chord_tone_weights
    for semitones in range(-6, 6)
  ]
  rates = [
    melody.chord_tone_rate(
      melody.transpose(tokens, np.full(len(tokens), semitones)),
      weights,
      everywhere,
    )
    for semitones, weights in ways
  ]
  best = [ways[i] for i in np.argmax(rates, axis=0)]
  moved = melody.transpose(tokens, [semitones for semitones, _ in best])
  return moved, conditions.Condition.from_targets(
    melody.mean_pitch(moved).astype(np.float32),
    melody.onsets_per_bar(moved).astype(np.float32),
    np.stack([weights for _, weights in best]),
    np.ones(tokens.shape, np.float32),
  )
