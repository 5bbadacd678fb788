"""Latent constraints: actor and critic learn from latent vectors alone."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.evaluation import bench as benches
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.steering import networks
from emotion_musicvae.steering import sampling

# What an update learns from: [B, …] by name.
Batch: TypeAlias = dict[str, tf.Tensor]

_GRADIENT_PENALTY = 10.0


class LatentConstraints:
  """Actor and critic on latent vectors alone, nothing decoded to learn from.

  Engel, Hoffman and Roberts (2017, arXiv 1711.05772): the critic tells real
  melodies with their own condition from real ones with another and from the
  actor's. A real melody's condition is what it measures itself, over the
  progression of the emotions, in any key, that holds most of its notes.
  """

  def __init__(self, bench: benches.Bench) -> None:
    s, h = bench.settings, bench.hparams
    rng = np.random.default_rng((bench.seed, 3))
    z_size = bench.model.z_size
    self._distance = s.constraint_distance
    self._actor = networks.Actor(z_size, conditions.NUM_FEATURES, h.units, rng)
    self._critic = networks.Mlp(
      [z_size + conditions.NUM_FEATURES, *[h.units] * 3, 1],
      rng,
      0.1,
      'constraint',
    )
    self._actor_optimizer, self._critic_optimizer = (
      tf.keras.optimizers.Adam(s.constraint_learning_rate, 0.0, 0.9)
      for _ in range(2)
    )
    draw = _batches(bench, rng)
    for step in bench.steps(s.constraint_updates, 'latent constraints'):
      actor_too = step % s.constraint_actor_every == 0
      self._learn(draw(), _noise_seed(rng), actor_too)

  def __call__(
    self,
    start: melody.Floats,
    condition: conditions.Condition,
    temperature: float,
    seed: int,
  ) -> melody.Floats:
    del temperature, seed
    return self._actor(start, condition.features()).numpy()

  @tf.function
  def _learn(self, batch: Batch, seed: tf.Tensor, actor_too: bool) -> None:
    """One update of the critic and, if `actor_too`, one of the actor."""
    with tf.GradientTape() as tape:
      loss = self._loss_of_critic(batch, seed)
    _apply(self._critic_optimizer, tape, loss, self._critic)
    if actor_too:
      with tf.GradientTape() as tape:
        loss = self._loss_of_actor(batch)
      _apply(self._actor_optimizer, tape, loss, self._actor)

  def _logits(self, z: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """[B] of [B, Z] and [B, F]: above 0 for a real melody of the condition."""
    return self._critic(tf.concat([z, features], axis=1))[:, 0]

  def _loss_of_critic(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
    moved = self._actor(batch['start'], batch['condition'])
    good = self._logits(batch['real'], batch['own'])
    bad = [
      self._logits(batch['real'], batch['other']),
      self._logits(moved, batch['condition']),
    ]
    loss = tf.reduce_mean(tf.nn.softplus(-good)) + 0.5 * tf.add_n(
      [tf.reduce_mean(tf.nn.softplus(x)) for x in bad]
    )
    mix = tf.random.stateless_uniform([len(moved), 1], seed)
    between = mix * batch['real'] + (1.0 - mix) * moved
    with tf.GradientTape() as inner:
      inner.watch(between)
      total = tf.reduce_sum(self._logits(between, batch['own']))
    gradient = inner.gradient(total, between)
    norm = tf.norm(gradient + 1e-12, axis=1)
    return loss + _GRADIENT_PENALTY * tf.reduce_mean(tf.square(norm - 1.0))

  def _loss_of_actor(self, batch: Batch) -> tf.Tensor:
    moved = self._actor(batch['start'], batch['condition'])
    distance = tf.math.log1p(tf.square(moved - batch['start']))
    logits = self._logits(moved, batch['condition'])
    return tf.reduce_mean(
      tf.nn.softplus(-logits)
    ) + self._distance * tf.reduce_mean(distance)


def _apply(
  optimizer: tf.keras.optimizers.Optimizer,
  tape: tf.GradientTape,
  loss: tf.Tensor,
  network: tf.Module,
) -> None:
  variables = network.trainable_variables
  optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))


def _batches(
  bench: benches.Bench, rng: np.random.Generator
) -> Callable[[], Batch]:
  """A function that draws what an update learns from."""
  size = bench.settings.constraint_batch_size
  tokens, condition = own_conditions(bench.tokens, bench.emotions)
  mean, deviation = posterior.encode(bench.weights, tokens)
  own = condition.features()
  sampler = sampling.ConditionSampler(bench.emotions, bench.hparams)

  def draw() -> Batch:
    index = rng.integers(len(mean), size=size)
    noise = rng.standard_normal([size, mean.shape[1]])
    batch = {
      'real': mean[index] + deviation[index] * noise,
      'own': own[index],
      'other': own[rng.permutation(index)],
      'start': rng.standard_normal([size, mean.shape[1]]),
      'condition': sampler(rng, size).features(),
    }
    return {k: tf.constant(v, tf.float32) for k, v in batch.items()}

  return draw


def _noise_seed(rng: np.random.Generator) -> tf.Tensor:
  return tf.constant(rng.integers(2**31 - 1, size=2), tf.int32)


def own_conditions(
  tokens: melody.Tokens, emotions: Sequence[catalogue.Emotion]
) -> tuple[melody.Tokens, conditions.Condition]:
  """Real melodies in the canonical key, and what they measure themselves there.

  Args:
    tokens: [N, 256] tokens.
    emotions: whose progressions a melody may have.

  Returns:
    `(tokens, condition)`: the melodies transposed so that the progression that
    holds most of their notes is in the canonical key, and the condition that
    they meet there.
  """
  known, _ = conditions.Condition.of(emotions).in_canonical_key()
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
  index = np.argmax(rates, axis=0)
  best = [ways[i] for i in index]
  moved = melody.transpose(tokens, [semitones for semitones, _ in best])
  return moved, conditions.Condition.from_targets(
    melody.mean_pitch(moved).astype(np.float32),
    melody.onsets_per_bar(moved).astype(np.float32),
    np.stack([weights for _, weights in best]),
    np.ones(tokens.shape, np.float32),
    known.final_tones[index // (len(ways) // len(known.final_tones))],
  )
