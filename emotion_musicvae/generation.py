"""The Python API: load a model once, then ask it for emotions."""

import dataclasses
import functools

import numpy as np

from emotion_musicvae import actor_critic
from emotion_musicvae import arrangement
from emotion_musicvae import checkpoints
from emotion_musicvae import configuration
from emotion_musicvae import emotions
from emotion_musicvae import melody
from emotion_musicvae import musicvae
from emotion_musicvae import references
from emotion_musicvae import spectrogram
from emotion_musicvae.configuration import UserError

MAX_OUTPUTS = 100_000
MAX_UPDATES = 1000


@dataclasses.dataclass(frozen=True)
class Melody:
  """One generated melody.

  Attributes:
    emotion: `emotions.Emotion` that it follows.
    note_sequence: 16 bars in 4/4 with the emotion's tempo, instrument, key and
      chord symbols, see `arrangement.arrange`.
    tokens: [256] uint8 tokens that the stock decoder drew, transposed.
    z: [Z] latent vector it was sung from.
    shift: semitones by which it was transposed, see
      `actor_critic.Targets.at_home`.
    measured: what it measures, see `measure`.
    reference: what was asked for, under the same names.
  """

  emotion: emotions.Emotion
  note_sequence: object
  tokens: np.ndarray
  z: np.ndarray
  shift: int
  measured: dict
  reference: dict

  def record(self):
    """Measures and references as plain numbers for a JSON."""
    return {
      'measured': {k: _plain(v) for k, v in self.measured.items()},
      'reference': {k: _plain(v) for k, v in self.reference.items()},
    }


@dataclasses.dataclass(frozen=True)
class Order:
  """One melody to compose; what comes of it depends on nothing else.

  Attributes:
    emotion: `emotions.Emotion`.
    seed: integer from 0.
    number: which melody of the seed, from 0.
    temperature: softmax temperature of the decoder.
    intensity: how far to follow the emotion, from 0 to 1.
  """

  emotion: emotions.Emotion
  seed: int
  number: int
  temperature: float
  intensity: float


class EmotionMusicVAE:
  """A MusicVAE whose latent vectors are moved towards an emotion.

  Args:
    config: name of a configuration in `configs/`.
    prefix: prefix of the base model's checkpoint.
    weights: dictionary of Magenta's variables in it.
    actor: maps [B, Z] latent vectors and [B, F] features to moved vectors; see
      `networks.Actor`.
    max_batch_size: melodies that the decoder sings at once.
  """

  def __init__(self, config, prefix, weights, actor, max_batch_size):
    self._config = config
    self._weights = weights
    self._fingerprint = checkpoints.fingerprint(weights)
    self._actor = actor
    entry, hparams = configuration.load_model_config(config)
    self.z_size = hparams.z_size
    self._stock = musicvae.StockModel(
      musicvae.magenta_config(entry['base'], entry['hparams']),
      prefix,
      max_batch_size,
    )
    self._energy = references.EnergyReference(references.load_melodies())

  @classmethod
  def from_pretrained(
    cls,
    config='hierdec-mel_16bar_lite',
    checkpoint_file=None,
    run_dir=None,
    max_batch_size=8,
    actor_dir=None,
    hparams=None,
    progress=None,
  ):
    """Loads a base model and the actor that was trained for it.

    Args:
      config: name of a configuration in `configs/`.
      checkpoint_file: the base model's checkpoint: a tar, a prefix or one of
        its files. When None the bundled one, or the published one, which is
        fetched once.
      run_dir: folder of a training run of Magenta's or of
        `emotion_musicvae_pretrain`, in place of `checkpoint_file`.
      max_batch_size: melodies that the decoder sings at once.
      actor_dir: run folder of `emotion_musicvae_train` to take the actor from,
        in place of the one that was trained for this checkpoint by default.
      hparams: dictionary of settings over `configs/actor_critic.yaml`, for the
        case that no actor was trained for this checkpoint yet.
      progress: makes the progress bar of a training or a download, as `tqdm`
        does.

    Returns:
      An `EmotionMusicVAE`.

    Raises:
      UserError: a checkpoint that is missing, unreadable or of another
        configuration, or an actor of another checkpoint.
    """
    with checkpoints.located(
      config, checkpoint_file, run_dir, progress
    ) as prefix:
      weights = checkpoints.load_model(prefix, config)
      fingerprint = checkpoints.fingerprint(weights)
      if actor_dir:
        actor = actor_of(actor_dir, fingerprint)
      else:
        actor = actor_for(config, weights, fingerprint, hparams, progress)
      return cls(config, prefix, weights, actor, max_batch_size)

  def description(self):
    """What the model is, as plain values for a JSON."""
    entry, _ = configuration.load_model_config(self._config)
    return {
      'config': self._config,
      'base': entry['base'],
      'hparams': entry['hparams'],
      'fingerprint': self._fingerprint,
    }

  def generate(
    self,
    emotion,
    n=1,
    temperature=0.5,
    seed=0,
    intensity=1.0,
    updates=0,
    progress=None,
  ):
    """Composes melodies that follow an emotion.

    Args:
      emotion: name or alias of one of the nine, a blend of them (see
        `emotions.parse`), or an `emotions.Emotion`.
      n: how many melodies.
      temperature: softmax temperature of the decoder, above 0; lower is
        plainer.
      seed: integer; melody i of a seed is the same whatever `n` is.
      intensity: how far the latent vectors go from where they were drawn, from
        0 (not at all: unconditioned samples) to 1 (all the way).
      updates: how often each latent vector is then retrained by itself, see
        `move`.
      progress: makes the progress bar of the retraining, as `tqdm` does.

    Returns:
      List of n `Melody`.

    Raises:
      UserError: an argument out of range.
    """
    if isinstance(emotion, str):
      emotion = emotions.parse(emotion)
    if not 1 <= n <= MAX_OUTPUTS:
      raise UserError(
        f'--num_outputs: expected 1 to {MAX_OUTPUTS} melodies, got {n}'
      )
    if not 0.01 <= temperature <= 10:
      raise UserError(f'--temperature: expected 0.01 to 10, got {temperature}')
    if not 0 <= intensity <= 1:
      raise UserError(f'--intensity: expected 0 to 1, got {intensity}')
    if not 0 <= updates <= MAX_UPDATES:
      raise UserError(f'--updates: expected 0 to {MAX_UPDATES}, got {updates}')
    return self.compose(
      [Order(emotion, seed, i, temperature, intensity) for i in range(n)],
      updates,
      progress,
    )

  def compose(self, orders, updates=0, progress=None):
    """Composes a melody for each of N orders, which may differ in everything.

    Args:
      orders: sequence of N `Order`; to be retrained, of one seed.
      updates: see `move`.
      progress: makes the progress bar of the retraining, as `tqdm` does.

    Returns:
      List of N `Melody`.
    """
    wanted = [order.emotion for order in orders]
    distinct = list(dict.fromkeys(wanted))
    targets = actor_critic.Targets.of(distinct).take(
      [distinct.index(emotion) for emotion in wanted]
    )
    home, shift = targets.at_home()
    start = _draws([(o.seed, o.number) for o in orders], self.z_size)
    moved = self.move(start, home, updates, orders[0].seed, progress)
    intensity = np.array([[o.intensity] for o in orders], np.float32)
    z = (1.0 - intensity) * start + intensity * moved
    sung = self._stock.decode(
      z,
      [order.temperature for order in orders],
      [(order.seed, order.number, 1) for order in orders],
    )
    tokens = melody.transpose(sung, shift)
    measured = measure(tokens, targets)
    sequences = self._stock.note_sequences(tokens)
    return [
      Melody(
        emotion,
        arrangement.arrange(sequences[i], emotion),
        tokens[i],
        z[i],
        int(shift[i]),
        {name: values[i] for name, values in measured.items()},
        self._reference(emotion),
      )
      for i, emotion in enumerate(wanted)
    ]

  def move(self, z, targets, updates=0, seed=0, progress=None):
    """[N, Z] latent vectors moved towards `actor_critic.Targets` of N rows.

    Args:
      z: [N, Z] latent vectors.
      targets: at home, where the actor has learned.
      updates: how often each vector, brought back to a part of the way that the
        actor moved it, is then retrained by itself through the decoder: nearer
        to the targets, and more of what it was. Some 0.01 CPU seconds each, and
        10 seconds once.
      seed: integer seed of what is sung to learn from.
      progress: makes the progress bar of the retraining, as `tqdm` does.
    """
    moved = self._actor(z, targets.features()).numpy()
    if not updates:
      return moved
    return self._retraining(z, moved, targets, updates, seed, progress)

  @functools.cached_property
  def _retraining(self):
    hparams, _ = actor_critic.load_hparams()
    return actor_critic.Retraining(
      self._weights, hparams, self._energy, **actor_critic.load_retraining()
    )

  def _reference(self, emotion):
    """What a melody of an emotion should measure."""
    pitch, density = emotion.mean_pitch, emotion.onsets_per_bar
    return {
      'mean_pitch': pitch,
      'onsets_per_bar': density,
      'chord_tone_rate': 1.0,
      'energy': float(self._energy(pitch, density)),
    }

  def sing(self, z, temperature, seed):
    """[N, 256] tokens of [N, Z] latent vectors by the stock decoder.

    Row i is drawn with the noise of (seed, i), whatever the other rows are.
    """
    return self._stock.decode(
      z, temperature, [(seed, i, 1) for i in range(len(z))]
    )


def prior(seed, n, z_size):
  """[n, z_size] float32 draws of the prior; row i follows from seed and i."""
  return _draws([(seed, i) for i in range(n)], z_size)


def _draws(seeds, z_size):
  """[N, z_size] float32 draws of the prior, a row for each (seed, number)."""
  rows = [
    np.random.default_rng((*seed, 0)).standard_normal(z_size) for seed in seeds
  ]
  return np.stack(rows).astype(np.float32)


def measure(tokens, targets):
  """What melodies measure, each as [N] array.

  Args:
    tokens: [N, 256] int tokens.
    targets: `actor_critic.Targets` of N rows, for the chords.

  Returns:
    Dictionary of `mean_pitch` (MIDI), `onsets_per_bar`, `chord_tone_rate` and
    `energy` (of a spectrogram frame); NaN where there is no note to measure.
  """
  energy = spectrogram.span_energy(melody.one_hot(tokens), melody.NUM_BARS)
  return {
    'mean_pitch': melody.mean_pitch(tokens),
    'onsets_per_bar': melody.onsets_per_bar(tokens),
    'chord_tone_rate': melody.chord_tone_rate(
      tokens, targets.fit, targets.sounding
    ),
    'energy': energy.numpy()[:, 0],
  }


def actor_of(run_dir, fingerprint):
  """The actor of a training run, however long it was trained.

  Raises:
    UserError: there is none, or it was trained for another base model.
  """
  prefix = checkpoints.latest(run_dir)
  if not prefix:
    raise UserError(f'--actor_dir: no checkpoint in {run_dir!r}/train')
  if actor_critic.fingerprint_of(prefix) != fingerprint:
    raise UserError(
      f'--actor_dir: the actor in {run_dir!r} belongs to another base model'
    )
  return actor_critic.load_actor(prefix)[0]


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
  hparams, num_steps = actor_critic.load_hparams(overrides or {})
  run_dir = checkpoints.actor_dir(fingerprint)
  prefix = checkpoints.bundled(config, 'actor.ckpt')
  if prefix and actor_critic.fingerprint_of(prefix) == fingerprint:
    return actor_critic.load_actor(prefix)[0]
  prefix = checkpoints.latest(run_dir)
  if prefix:
    actor, steps = actor_critic.load_actor(prefix)
    if steps >= num_steps:
      return actor
  print(
    f'No actor for this checkpoint yet: training one for {num_steps} steps, '
    f'kept in {run_dir}. Interrupt it and it goes on from there next time.'
  )
  learner = actor_critic.learner_for(weights, hparams, seed=0)
  actor_critic.train(learner, run_dir, num_steps, progress)
  return learner.actor


def _plain(value):
  """A rounded float, or None for NaN, which JSON does not know."""
  return None if np.isnan(value) else round(float(value), 4)
