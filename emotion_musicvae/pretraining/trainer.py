"""Trains the base model itself: MusicVAE's loss over `hierdec`.

The objective is Magenta's: reconstruction in nats plus beta times the KL
divergence above `free_bits`, Adam with a decaying rate and gradients clipped by
their global norm (Roberts et al. 2018, arXiv 1803.05428).

A decoder that is told every token so far leans on those and leaves the latent
vector to say little about the tune. So a second, small decoder reads nothing
but the conductor's word on each bar, and has to tell which pitch sounds at each
of its steps. Its share of the loss fades with the learning rate, and it is no
part of the model that is trained.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.pretraining import initialization
from emotion_musicvae.pretraining import whitening
from emotion_musicvae.support import distribution

_HEAD_UNITS, _HEAD_FEATURES = 512, 24
_SOUNDS = melody.NUM_PITCHES + 1  # every pitch, and silence
_SUMMARY_EVERY = 20
_WHITENED_ON = 2048  # melodies


@dataclasses.dataclass(frozen=True)
class Windows:
  """16-bar windows and how often each is drawn.

  Attributes:
    tokens: [N, 256] uint8.
    probabilities: [N] float64, summing to 1.
  """

  tokens: np.ndarray
  probabilities: np.ndarray

  @classmethod
  def balanced(cls, tokens, density_balance):
    """Draws windows of rare densities more often; see `CorpusHparams`."""
    density = np.round(
      (tokens >= melody.FIRST_ONSET).sum(axis=1) / melody.NUM_BARS
    )
    _, inverse, counts = np.unique(
      density, return_inverse=True, return_counts=True
    )
    share = counts[inverse] ** -density_balance
    return cls(tokens, share / share.sum())

  def batch(self, size, mean_pitch, seed, step):
    """Draws [size, 256] int32 tokens, each window freshly transposed.

    The new mean pitch is uniform in the range `mean_pitch`; where that is
    empty, windows stay in their key. Depends on nothing but the arguments, so
    that training resumes with the batches it would have seen.
    """
    rng = np.random.default_rng([seed, step])
    index = rng.choice(len(self.tokens), size, p=self.probabilities)
    tokens = self.tokens[index].astype(np.int32)
    if not mean_pitch:
      return tokens
    return melody.transpose_to(tokens, rng.uniform(*mean_pitch, size))


class Pretrainer:
  """Learns the weights of the hierarchical VAE.

  Args:
    hparams: `configuration.ModelHparams`.
    weights: dictionary of name to array to start from.
    seed: integer; every random draw follows from it and the step.
    strategy: a `tf.distribute.Strategy`, see `distribution`; that of one device
      when None.

  Raises:
    UserError: a batch that cannot be shared out to the strategy's devices.
  """

  def __init__(self, hparams, weights, seed, strategy=None):
    self.hparams = hparams
    self.strategy = strategy or distribution.strategy('one_device')
    distribution.check_rows(self.strategy, batch_size=hparams.batch_size)
    self.seed = seed
    self.step_number = 0
    self._masks = initialization.held_still(weights) if hparams.latched else {}
    with self.strategy.scope():
      self.weights = {k: tf.Variable(v, name=k) for k, v in weights.items()}
      self._head = {}
      if hparams.sounding:
        self._head = _fresh_head(hparams.dec_rnn_size[-1], seed)
      variables = {**self.weights, **self._head}
      self._names = sorted(variables)
      self._trainable = [variables[name] for name in self._names]
      self._optimizer = tf.keras.optimizers.Adam(hparams.learning_rate)
      self._optimizer.build(self._trainable)
    self._slots = dict(self._optimizer_slots())

  def _optimizer_slots(self):
    # The names that TF1's Adam, and so Magenta's own trainer, gives them.
    for name, m, v in zip(
      self._names, self._optimizer._momentums, self._optimizer._velocities
    ):
      yield name + '/Adam', m
      yield name + '/Adam_1', v

  def save(self, run_dir):
    """Writes weights and optimizer to `run_dir/train`."""
    arrays = {**self.weights, **self._head, **self._slots}
    return checkpoints.write(
      os.path.join(run_dir, 'train'),
      self.step_number,
      {name: value.numpy() for name, value in arrays.items()},
    )

  def restore(self, prefix):
    """Takes up training where the checkpoint left it."""
    arrays = checkpoints.read(prefix)
    variables = {**self.weights, **self._head, **self._slots}
    for name, variable in variables.items():
      variable.assign(arrays[name])
    self.step_number = int(arrays['global_step'])
    self._optimizer.iterations.assign(self.step_number)

  def whiten(self, tokens):
    """Brings the latent vectors of melodies to the prior; see `whitening`.

    Args:
      tokens: [N, 256] int tokens.
    """
    weights, centre, change = whitening.whitened(
      {name: value.numpy() for name, value in self.weights.items()}, tokens
    )
    slots = {name: value.numpy() for name, value in self._slots.items()}
    for name, value in weights.items():
      self.weights[name].assign(value)
    for name, value in whitening.moments(slots, centre, change).items():
      self._slots[name].assign(value)

  def step(self, tokens):
    """One update.

    Args:
      tokens: [B, 256] int32.

    Returns:
      Dictionary of scalar name to float, named as Magenta's summaries.
    """
    h = self.hparams
    fading = h.decay_rate**self.step_number
    rate = (
      h.learning_rate - h.min_learning_rate
    ) * fading + h.min_learning_rate
    beta = h.max_beta * (1.0 - h.beta_rate**self.step_number)
    if not h.beta_rate:
      beta = h.max_beta
    self._optimizer.learning_rate.assign(rate)
    noise = _normal([self.seed, self.step_number], self.weights, len(tokens))
    scalars = self._on_replicas(
      *distribution.share(self.strategy, (tokens, noise)),
      tf.constant(beta, tf.float32),
      tf.constant(h.sounding * fading, tf.float32),
    )
    self.step_number += 1
    return {
      'learning_rate': rate,
      **distribution.mean(self.strategy, scalars),
    }

  @tf.function
  def _on_replicas(self, *arguments):
    return self.strategy.run(self._update, arguments)

  def _update(self, tokens, noise, beta, sounding):
    gradients, scalars = self._slope(tokens, noise, beta, sounding)
    gradients = distribution.averaged(gradients)
    gradients, norm = tf.clip_by_global_norm(gradients, self.hparams.grad_clip)
    self._optimizer.apply_gradients(
      zip(gradients, self._trainable), skip_gradients_aggregation=True
    )
    return {**scalars, 'global_norm': norm}

  @tf.function(jit_compile=True)
  def _slope(self, tokens, noise, beta, sounding):
    scalars = {}
    with tf.GradientTape() as tape:
      z, kl = posterior_sample(self.weights, tokens, noise)
      r_loss = tf.reduce_mean(reconstruction_loss(self.weights, z, tokens)[0])
      free_nats = self.hparams.free_bits * np.log(2.0)
      kl_cost = tf.reduce_mean(tf.maximum(kl - free_nats, 0.0))
      loss = r_loss + beta * kl_cost
      if self._head:
        scalars['losses/sounding'] = tf.reduce_mean(
          sounding_loss(self._head, self.weights, z, tokens)
        )
        loss += sounding * scalars['losses/sounding']
    gradients = [
      gradient * self._masks.get(name, 1.0)
      for name, gradient in zip(
        self._names, tape.gradient(loss, self._trainable)
      )
    ]
    return gradients, {
      **scalars,
      'loss': loss,
      'losses/r_loss': r_loss,
      'losses/kl_bits': tf.reduce_mean(kl) / np.log(2.0),
    }


def train(
  pretrainer,
  windows,
  held_out,
  mean_pitch,
  run_dir,
  num_steps,
  eval_every,
  progress,
):
  """Trains up to `num_steps`, resuming where `run_dir` left off.

  Args:
    pretrainer: a `Pretrainer`.
    windows: `Windows` to learn from.
    held_out: [N, 256] int tokens to evaluate on, N a multiple of 32.
    mean_pitch: range that windows are transposed to; see `Windows.batch`.
    run_dir: folder for checkpoints and TensorBoard scalars.
    num_steps: updates in all.
    eval_every: updates between checkpoints.
    progress: makes a progress bar, as `tqdm` does.

  Raises:
    FloatingPointError: the loss is no longer finite. The last good state is
      the newest checkpoint.
  """
  prefix = checkpoints.latest(run_dir)
  if prefix:
    pretrainer.restore(prefix)
  h = pretrainer.hparams
  chief = distribution.is_chief(pretrainer.strategy)
  writer = tf.summary.create_noop_writer()
  if chief:
    writer = tf.summary.create_file_writer(os.path.join(run_dir, 'train'))
  step = pretrainer.step_number
  with writer.as_default(), progress(total=num_steps, initial=step) as bar:
    while step < num_steps:
      scalars = pretrainer.step(
        windows.batch(h.batch_size, mean_pitch, pretrainer.seed, step)
      )
      step = pretrainer.step_number
      if h.whiten_every and step % h.whiten_every == 0:
        pretrainer.whiten(
          windows.batch(_WHITENED_ON, mean_pitch, pretrainer.seed, step)
        )
      bar.update()
      if step % _SUMMARY_EVERY == 0:
        bar.set_postfix(loss=f'{scalars["loss"]:.1f}')
        for name, value in scalars.items():
          tf.summary.scalar(name, value, step)
      if step % eval_every and step != num_steps:
        continue
      if not np.isfinite(scalars['loss']):
        raise FloatingPointError(
          f'the loss is not finite at step {step}; the last good state is '
          f'{checkpoints.latest(run_dir)}'
        )
      if not chief:
        continue
      pretrainer.save(run_dir)
      samples = sample_prior(
        pretrainer.weights, len(held_out), 1.0, pretrainer.seed
      )
      scores = {
        **evaluate(pretrainer.weights, held_out, pretrainer.seed),
        **judge_samples(samples, held_out, windows.tokens),
      }
      for name, value in scores.items():
        tf.summary.scalar('eval/' + name, value, step)
      writer.flush()
      bar.write(
        f'step {step}: '
        + ', '.join(f'{k} {v:.3f}' for k, v in scores.items() if '/' not in k)
      )


def posterior_sample(weights, tokens, noise):
  """A draw of the posterior, and its distance from the prior.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [B, 256] int32.
    noise: [B, Z] draws of the standard normal.

  Returns:
    `(z, kl)`: [B, Z], and [B] KL divergence in nats.
  """
  mean, deviation = hierdec.encode(weights, tokens)
  z = mean + deviation * noise
  kl = tf.reduce_sum(
    0.5 * (tf.square(mean) + tf.square(deviation) - 1.0)
    - tf.math.log(deviation),
    axis=1,
  )
  return z, kl


def reconstruction_loss(weights, z, tokens):
  """Negative log likelihood of melodies under the decoder.

  Args:
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int32.

  Returns:
    `(loss, logits)`: [B] in nats, and [B, 256, 90].
  """
  logits = hierdec.teacher_forced_logits(weights, z, tokens)
  loss = tf.reduce_sum(
    tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits), axis=1
  )
  return loss, logits


def _fresh_head(embedding_size, seed):
  """Variables of the second decoder, under names that are no weight's."""
  rng = np.random.default_rng(seed)
  shapes = {
    'bar': (embedding_size, _HEAD_UNITS),
    'steps': (_HEAD_UNITS, melody.STEPS_PER_BAR * _HEAD_FEATURES),
    'sounds': (_HEAD_FEATURES, _SOUNDS),
  }
  head = {}
  for name, shape in shapes.items():
    scale = np.sqrt(1.0 / shape[0])
    head[checkpoints.HEAD + name + '/kernel'] = rng.normal(0.0, scale, shape)
    head[checkpoints.HEAD + name + '/bias'] = np.zeros(shape[1])
  return {
    name: tf.Variable(value.astype(np.float32), name=name)
    for name, value in head.items()
  }


def sounding_loss(head, weights, z, tokens):
  """Surprise of a decoder that is told the bar, and no token.

  Args:
    head: dictionary of the second decoder's variables.
    weights: dictionary of Magenta's variables.
    z: [B, Z] latent vectors.
    tokens: [B, 256] int32.

  Returns:
    [B] negative log likelihood of the pitch that sounds at each step, in nats.
  """

  def dense(name, x):
    name = checkpoints.HEAD + name
    return x @ head[name + '/kernel'] + head[name + '/bias']

  bars = tf.transpose(hierdec.bar_embeddings(weights, z), [1, 0, 2])
  x = dense('steps', tf.nn.swish(dense('bar', bars)))
  x = tf.reshape(x, [-1, melody.NUM_STEPS, _HEAD_FEATURES])
  logits = dense('sounds', tf.nn.swish(x))  # [B, 256, 89]
  return tf.reduce_sum(
    tf.nn.sparse_softmax_cross_entropy_with_logits(sounds(tokens), logits),
    axis=1,
  )


def sounds(tokens):
  """Which pitch each step belongs to, rests counted to the note before.

  Args:
    tokens: [B, 256] int32.

  Returns:
    [B, 256] int32: 0 before the first note, then 1 for MIDI pitch 21 and up.
  """
  steps = tf.range(melody.NUM_STEPS)
  begun = tf.where(tokens >= melody.FIRST_ONSET, steps, -1)
  last = tf.transpose(tf.scan(tf.maximum, tf.transpose(begun)))
  token = tf.gather(tokens, tf.maximum(last, 0), batch_dims=1)
  return tf.where(last >= 0, token - melody.FIRST_ONSET + 1, 0)


def evaluate(weights, tokens, seed, batch_size=32):
  """What the model makes of melodies it may or may not have seen.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [N, 256] int tokens, N a multiple of `batch_size`.
    seed: integer seed.
    batch_size: melodies at once.

  Returns:
    Dictionary of floats: the losses in nats, teacher-forced accuracy over all
    tokens and over onsets, and reconstruction from the posterior mean near
    temperature 0 of tokens and of onset pitches.
  """
  weights = {k: tf.convert_to_tensor(v) for k, v in weights.items()}
  collected = {}
  for i in range(0, len(tokens), batch_size):
    batch = tf.constant(tokens[i : i + batch_size], tf.int32)
    batch_seed = tf.constant([seed, i], tf.int32)
    result = _judge(weights, batch, batch_seed)
    result['reconstruction'] = _sing(
      weights, result.pop('mean'), tf.constant(1e-3), batch_seed
    )
    for name, value in result.items():
      collected.setdefault(name, []).append(value.numpy())
  r = {name: np.concatenate(values) for name, values in collected.items()}
  onset = tokens >= melody.FIRST_ONSET
  scores = {name: float(r[name].mean()) for name in ('r_loss', 'kl')}
  for name in ('teacher_forced', 'reconstruction'):
    equal = r[name] == tokens
    scores[f'{name}_tokens'] = float(equal.mean())
    scores[f'{name}_onsets'] = float(equal[onset].mean())
  return scores


def sample_prior(weights, n, temperature, seed, batch_size=32):
  """Sings `n` latent vectors drawn from the prior: [n, 256] int32 tokens."""
  weights = {k: tf.convert_to_tensor(v) for k, v in weights.items()}
  temperature = tf.constant(temperature, tf.float32)
  melodies = []
  for i in range(0, n, batch_size):
    batch_seed = tf.constant([seed, i], tf.int32)
    z = _normal(batch_seed + 1, weights, batch_size)
    melodies.append(_sing(weights, z, temperature, batch_seed).numpy())
  return np.concatenate(melodies)[:n]


def report(weights, held_out, windows, mean_pitch, seed):
  """All that evaluation measures of a model.

  Args:
    weights: dictionary of Magenta's variables.
    held_out: [N, 256] int tokens, N a multiple of 32.
    windows: the `Windows` that the model learned from.
    mean_pitch: range that they were transposed to.
    seed: integer seed.

  Returns:
    What `evaluate` gives, and under the name of each set of melodies what
    `judge_samples` gives: N samples of the prior at two temperatures, and what
    to read them against, the held-out tunes themselves and as many windows of
    other real tunes.
  """
  n = len(held_out)
  sets = {
    'prior at temperature 1': sample_prior(weights, n, 1.0, seed),
    'prior at temperature 0.5': sample_prior(weights, n, 0.5, seed),
    'held-out tunes': held_out,
    'training tunes': windows.batch(n, mean_pitch, seed, 0),
  }
  return {
    **evaluate(weights, held_out, seed),
    **{
      name: judge_samples(melodies, held_out, windows.tokens)
      for name, melodies in sets.items()
    },
  }


def judge_samples(samples, held_out, train):
  """How samples of a model compare with melodies that it has not learned from.

  Args:
    samples: [N, 256] int tokens.
    held_out: [M, 256] int tokens of real melodies.
    train: [K, 256] int tokens of all that the model learned from.

  Returns:
    Dictionary of floats: `overlap`, the mean of `similarity.overlap` over its
    features, and each under `overlap/<feature>`; onsets a bar; and how many
    bars in a row a sample shares with a training window, on average and at
    most.
  """
  overlap = similarity.overlap(samples, held_out)
  shared = similarity.shared_bars(samples, train)
  return {
    'overlap': float(np.mean(list(overlap.values()))),
    **{f'overlap/{name}': value for name, value in overlap.items()},
    'onsets_per_bar': float(melody.onsets_per_bar(samples).mean()),
    'shared_bars_mean': float(shared.mean()),
    'shared_bars_max': int(shared.max()),
  }


@tf.function(jit_compile=True)
def _judge(weights, tokens, seed):
  noise = _normal(seed, weights, len(tokens))
  z, kl = posterior_sample(weights, tokens, noise)
  r_loss, logits = reconstruction_loss(weights, z, tokens)
  mean, _ = hierdec.encode(weights, tokens)
  return {
    'r_loss': r_loss,
    'kl': kl,
    'teacher_forced': tf.argmax(logits, -1, tf.int32),
    'mean': mean,
  }


@tf.function(jit_compile=True)
def _sing(weights, z, temperature, seed):
  drawn = hierdec.uniform(seed, len(z))
  return hierdec.sample(weights, z, temperature, drawn)


def _normal(seed, weights, count):
  """[count, Z] draws of the standard normal."""
  return tf.random.stateless_normal([count, hierdec.z_size(weights)], seed)
