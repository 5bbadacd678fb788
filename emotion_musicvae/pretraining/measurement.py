"""What a base model makes of held-out tunes, and what its prior sounds like."""

import functools

import numpy as np
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.musicvae import prior
from emotion_musicvae.pretraining import augmentation
from emotion_musicvae.pretraining import draws
from emotion_musicvae.pretraining import lookback_training
from emotion_musicvae.pretraining import objective

_DENSITIES = (2, 4, 6, 8, 12)  # onsets a bar
_AGAIN = 6  # times that samples are encoded and decoded again


def evaluate(
  weights: hierdec.Weights,
  tokens: melody.Tokens,
  seed: int,
  batch_size: int = 32,
) -> dict[str, float]:
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
  collected: dict[str, list[np.ndarray]] = {}
  for i in range(0, len(tokens), batch_size):
    batch = tf.constant(tokens[i : i + batch_size], tf.int32)
    batch_seed = tf.constant([seed, i], tf.int32)
    result = _reconstruct(weights, batch, batch_seed)
    result['reconstruction'] = _decode(
      weights, result.pop('mean'), tf.constant(1e-3), batch_seed
    )
    del result['z']
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


def sample_posterior(
  weights: hierdec.Weights,
  tokens: melody.Tokens,
  temperature: float,
  seed: int,
  batch_size: int = 32,
) -> melody.Tokens:
  """Melodies encoded to a draw of their posterior and decoded again.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [N, 256] int tokens, N a multiple of `batch_size`.
    temperature: softmax temperature, above 0.
    seed: integer seed.
    batch_size: melodies at once.

  Returns:
    [N, 256] int32 tokens.
  """
  weights = {k: tf.convert_to_tensor(v) for k, v in weights.items()}
  z = [
    # Compiled already, which takes longer than what is not needed of it.
    _reconstruct(
      weights,
      tf.constant(tokens[i : i + batch_size], tf.int32),
      tf.constant([seed, i], tf.int32),
    )['z'].numpy()
    for i in range(0, len(tokens), batch_size)
  ]
  return decode(weights, np.concatenate(z), temperature, seed, batch_size)


def sample_prior(
  weights: hierdec.Weights,
  n: int,
  temperature: float,
  seed: int,
  batch_size: int = 32,
  fitted: prior.Prior | None = None,
) -> melody.Tokens:
  """Decodes `n` draws of a prior.

  Args:
    weights: dictionary of Magenta's variables.
    n: how many.
    temperature: softmax temperature, above 0.
    seed: integer seed.
    batch_size: melodies at once.
    fitted: a `prior.Prior`; N(0, 1) when None.

  Returns:
    [n, 256] int32 tokens.
  """
  if fitted:
    z = fitted.vectors(
      [(seed, i) for i in range(n)],
      functools.partial(posterior.encode, weights),
    )
  else:
    z = np.concatenate(
      [
        normal(tf.constant([seed, i]) + 1, weights, batch_size).numpy()
        for i in range(0, n, batch_size)
      ]
    )[:n]
  return decode(weights, z, temperature, seed, batch_size)


def decode(
  weights: hierdec.Weights,
  z: np.ndarray,
  temperature: float,
  seed: int,
  batch_size: int = 32,
) -> melody.Tokens:
  """Decodes latent vectors in batches.

  Args:
    weights: dictionary of Magenta's variables.
    z: [N, Z] latent vectors.
    temperature: softmax temperature, above 0.
    seed: integer seed.
    batch_size: melodies at once.

  Returns:
    [N, 256] int32 tokens.
  """
  weights = {k: tf.convert_to_tensor(v) for k, v in weights.items()}
  temperature = tf.constant(temperature, tf.float32)
  padded = np.pad(z, [(0, -len(z) % batch_size), (0, 0)]).astype(np.float32)
  melodies = [
    _decode(
      weights,
      tf.constant(padded[i : i + batch_size]),
      temperature,
      tf.constant([seed, i], tf.int32),
    ).numpy()
    for i in range(0, len(padded), batch_size)
  ]
  return np.concatenate(melodies)[: len(z)]


def form_of(name: str, tokens: melody.Tokens) -> dict[str, float]:
  """`similarity.form` of melodies, under names that begin with `name`."""
  facts = similarity.form(tokens)
  return {f'{name}_{key}': value for key, value in facts.items()}


def report(
  weights: hierdec.Weights,
  held_out: melody.Tokens,
  windows: draws.Windows,
  mean_pitch: tuple[float, ...],
  seed: int,
  fitted: prior.Prior | None = None,
) -> dict[str, float | dict[str, float]]:
  """All that evaluation measures of a model.

  Args:
    weights: dictionary of Magenta's variables.
    held_out: [N, 256] int tokens, N a multiple of 32.
    windows: the `draws.Windows` that the model learned from.
    mean_pitch: range that they were transposed to.
    seed: integer seed.
    fitted: the model's `prior.Prior`, if it has one.

  Returns:
    What `evaluate` gives, the nats that the fitted prior's model of melodies
    takes a held-out one for, and under the name of each set of melodies what
    `compare` gives: N samples of N(0, 1) at two temperatures, of the fitted
    prior and of the held-out tunes' own posteriors at 0.5; the melodies whose
    posteriors the fitted prior drew from; samples of N(0, 1)
    that were encoded and decoded again and again, which leads to where the
    model's own posteriors lie; and what to read them against, the held-out
    tunes themselves, as many windows of other real tunes, and what training
    draws.
  """
  n = len(held_out)
  sets = {
    'prior at temperature 1': sample_prior(weights, n, 1.0, seed),
    'prior at temperature 0.5': sample_prior(weights, n, 0.5, seed),
    'reconstructed at temperature 0.5': sample_posterior(
      weights, held_out, 0.5, seed
    ),
    'held-out tunes': held_out,
    'training tunes': windows.batch(n, mean_pitch, seed, 0, varied=False),
  }
  if windows.cut is not None:
    sets['training draws'] = windows.batch(n, mean_pitch, seed, 0)
  scores = evaluate(weights, held_out, seed)
  if fitted:
    sets['fitted prior at temperature 0.5'] = sample_prior(
      weights, n, 0.5, seed, fitted=fitted
    )
    sets['melodies of the fitted prior'] = fitted.melodies(
      [(seed, i) for i in range(n)]
    )
    nats = lookback_training.surprise(fitted.weights, held_out)
    scores['fitted_prior_nats'] = float(nats.sum(axis=1).mean())
  again = sets['prior at temperature 0.5']
  for number in range(1, _AGAIN + 1):
    again = sample_posterior(weights, again, 0.5, seed + number)
  sets['prior at temperature 0.5, again and again'] = again
  in_one_key = windows.cut is not None
  return {
    **scores,
    **{
      name: compare(melodies, held_out, windows.tokens, in_one_key)
      for name, melodies in sets.items()
    },
  }


def compare(
  samples: melody.Tokens,
  held_out: melody.Tokens,
  train: melody.Tokens,
  in_one_key: bool = True,
) -> dict[str, float]:
  """How samples of a model compare with melodies that it has not learned from.

  Args:
    samples: [N, 256] int tokens.
    held_out: [M, 256] int tokens of real melodies.
    train: [K, 256] int tokens of all that the model learned from.
    in_one_key: whether all are in the signature without sharps and flats;
      otherwise the signature that fits a melody best tells its tonic.

  Returns:
    Dictionary of floats: `overlap`, the mean of `similarity.overlap` over its
    features, and each under `overlap/<feature>`; `musicality`, the same of the
    features that a prescribed key, register and density leave; what
    `similarity.form` gives; onsets a bar, and under `density/<from>-<to>` the
    share of melodies between two numbers of them; and how many bars in a row a
    sample shares with a training window, on average and at most.
  """
  overlap = similarity.overlap(samples, held_out)
  musicality = similarity.overlap(samples, held_out, similarity.MUSICALITY)
  shared = similarity.shared_bars(samples, train)
  density = melody.onsets_per_bar(samples)
  canonical = samples if in_one_key else _in_one_key(samples)
  return {
    'overlap': float(np.mean(list(overlap.values()))),
    **{f'overlap/{name}': value for name, value in overlap.items()},
    'musicality': float(np.mean(list(musicality.values()))),
    **similarity.form(canonical),
    'onsets_per_bar': float(density.mean()),
    **{
      f'density/{low}-{high}': float(
        np.mean((density >= low) & (density < high))
      )
      for low, high in zip(_DENSITIES[:-1], _DENSITIES[1:])
    },
    'shared_bars_mean': float(shared.mean()),
    'shared_bars_max': int(shared.max()),
  }


def _in_one_key(tokens: melody.Tokens) -> melody.Tokens:
  """Melodies in the signature without sharps and flats."""
  notes = melody.notes(tokens)
  moved = []
  for row in range(len(tokens)):
    own = notes.row == row
    shift = 0
    if own.any():
      shift = augmentation.canonical_shift(notes.pitch[own], notes.length[own])
    moved.append(shift)
  return melody.transpose(np.asarray(tokens), np.array(moved))


@tf.function(jit_compile=True)
def _reconstruct(
  weights: hierdec.Weights, tokens: tf.Tensor, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
  noise = normal(seed, weights, len(tokens))
  z, kl = objective.posterior_sample(weights, tokens, noise)
  r_loss, logits = objective.reconstruction_loss(weights, z, tokens)
  mean, _ = hierdec.encode(weights, tokens)
  return {
    'r_loss': r_loss,
    'kl': kl,
    'teacher_forced': tf.argmax(logits, -1, tf.int32),
    'mean': mean,
    'z': z,
  }


@tf.function(jit_compile=True)
def _decode(
  weights: hierdec.Weights,
  z: tf.Tensor,
  temperature: float,
  seed: tf.Tensor,
) -> tf.Tensor:
  drawn = hierdec.uniform(seed, len(z))
  return hierdec.sample(weights, z, temperature, drawn)


def normal(seed: tf.Tensor, weights: hierdec.Weights, count: int) -> tf.Tensor:
  """[count, Z] draws of the standard normal."""
  return tf.random.stateless_normal([count, hierdec.z_size(weights)], seed)
