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

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.pretraining import draws
from emotion_musicvae.pretraining import initialization
from emotion_musicvae.pretraining import measurement
from emotion_musicvae.pretraining import objective
from emotion_musicvae.pretraining import whitening
from emotion_musicvae.support import configuration
from emotion_musicvae.support import distribution
from emotion_musicvae.support import messages

_SUMMARY_EVERY = 20
_WHITENED_ON = 2048  # melodies


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

  def __init__(
    self,
    hparams: configuration.ModelHparams,
    weights: Mapping[str, npt.NDArray[np.float32]],
    seed: int,
    strategy: tf.distribute.Strategy | None = None,
  ) -> None:
    self.hparams = hparams
    self.strategy = strategy or distribution.strategy('one_device')
    distribution.check_rows(self.strategy, batch_size=hparams.batch_size)
    self.seed = seed
    self.step_number = 0
    self._masks = initialization.held_still(weights) if hparams.latched else {}
    with self.strategy.scope():
      self._trained = {k: tf.Variable(v, name=k) for k, v in weights.items()}
      # What is evaluated and kept: the mean of late updates, where asked for.
      self.weights = self._trained
      if hparams.averaging:
        self.weights = {
          k: tf.Variable(
            v,
            name=k + '/Average',
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
          )
          for k, v in weights.items()
        }
      self._head = {}
      if hparams.sounding:
        self._head = objective.fresh_head(hparams.dec_rnn_size[-1], seed)
      variables = {**self._trained, **self._head}
      self._names = sorted(variables)
      self._trainable = [variables[name] for name in self._names]
      self._optimizer = tf.keras.optimizers.Adam(hparams.learning_rate)
      self._optimizer.build(self._trainable)
    self._slots = dict(self._optimizer_slots())

  def _optimizer_slots(self) -> Iterator[tuple[str, tf.Variable]]:
    # The names that TF1's Adam, and so Magenta's own trainer, gives them.
    for name, m, v in zip(
      self._names, self._optimizer._momentums, self._optimizer._velocities
    ):
      yield name + '/Adam', m
      yield name + '/Adam_1', v

  def _state(self) -> dict[str, tf.Variable]:
    """All variables by the name that they have in a checkpoint."""
    trained = {}
    if self.hparams.averaging:
      trained = {k + '/Trained': v for k, v in self._trained.items()}
    return {**self.weights, **trained, **self._head, **self._slots}

  def save(self, run_dir: str) -> str:
    """Writes weights and optimizer to `run_dir/train`."""
    arrays = self._state()
    return checkpoints.write(
      os.path.join(run_dir, 'train'),
      self.step_number,
      {name: value.numpy() for name, value in arrays.items()},
    )

  def restore(self, prefix: str) -> None:
    """Takes up training where the checkpoint left it."""
    arrays = checkpoints.read(prefix)
    for name, variable in self._state().items():
      variable.assign(arrays[name])
    self.step_number = int(arrays['global_step'])
    self._optimizer.iterations.assign(self.step_number)

  def whiten(self, tokens: melody.Tokens) -> None:
    """Brings the latent vectors of melodies to the prior; see `whitening`.

    Args:
      tokens: [N, 256] int tokens.
    """

    def arrays(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
      return {name: value.numpy() for name, value in variables.items()}

    weights, trained = arrays(self.weights), arrays(self._trained)
    summary = whitening.summaries(weights, tokens)
    weights, centre, change = whitening.whitened(weights, summary)
    slots = arrays(self._slots)
    for name, value in weights.items():
      self.weights[name].assign(value)
    if self.hparams.averaging:
      summary = whitening.summaries(trained, tokens)
      trained = whitening.in_coordinates(trained, summary, centre, change)
      for name, value in trained.items():
        self._trained[name].assign(value)
    for name, value in whitening.moments(slots, centre, change).items():
      self._slots[name].assign(value)

  def step(
    self,
    tokens: melody.Tokens,
    heard: melody.Tokens | None = None,
    told: melody.Tokens | None = None,
  ) -> dict[str, float]:
    """One update.

    Args:
      tokens: [B, 256] int32.
      heard: [B, 256] int32 that the encoder gets in their place.
      told: [B, 256] int32 that the decoder is told of them; see
        `hierdec.teacher_forced_logits`.

    Returns:
      Dictionary of scalar name to float, named as Magenta's summaries.
    """
    h = self.hparams
    fading = h.fading(self.step_number)
    rate = (
      h.learning_rate - h.min_learning_rate
    ) * fading + h.min_learning_rate
    rate *= min(1.0, (self.step_number + 1) / max(h.warmup_steps, 1))
    beta = h.max_beta * (1.0 - h.beta_rate**self.step_number)
    if not h.beta_rate:
      beta = h.max_beta
    self._optimizer.learning_rate.assign(rate)
    noise = measurement.normal(
      [self.seed, self.step_number], self.weights, len(tokens)
    )
    scalars = self._on_replicas(
      *distribution.share(
        self.strategy,
        (
          tokens,
          tokens if heard is None else heard,
          tokens if told is None else told,
          noise,
        ),
      ),
      tf.constant(rate * h.weight_decay, tf.float32),
      tf.constant(
        min(h.averaging, (1.0 + self.step_number) / (10.0 + self.step_number)),
        tf.float32,
      ),
      tf.constant(beta, tf.float32),
      tf.constant(h.sounding * fading, tf.float32),
    )
    self.step_number += 1
    return {
      'learning_rate': rate,
      **distribution.mean(self.strategy, scalars),
    }

  @tf.function
  def _on_replicas(self, *arguments: Any) -> Any:
    return self.strategy.run(self._update, arguments)

  def _update(
    self,
    tokens: tf.Tensor,
    heard: tf.Tensor,
    told: tf.Tensor,
    noise: tf.Tensor,
    decay: tf.Tensor,
    averaging: tf.Tensor,
    beta: tf.Tensor,
    sounding: tf.Tensor,
  ) -> dict[str, tf.Tensor]:
    gradients, scalars = self._slope(tokens, heard, told, noise, beta, sounding)
    gradients = distribution.averaged(gradients)
    gradients, norm = tf.clip_by_global_norm(gradients, self.hparams.grad_clip)
    self._optimizer.apply_gradients(
      zip(gradients, self._trainable), skip_gradients_aggregation=True
    )
    if self.hparams.weight_decay:
      for name, variable in zip(self._names, self._trainable):
        if name.endswith('/kernel'):
          variable.assign_sub(decay * self._masks.get(name, 1.0) * variable)
    if self.hparams.averaging:
      for name, average in self.weights.items():
        average.assign_sub((1.0 - averaging) * (average - self._trained[name]))
    return {**scalars, 'global_norm': norm}

  @tf.function(jit_compile=True)
  def _slope(
    self,
    tokens: tf.Tensor,
    heard: tf.Tensor,
    told: tf.Tensor,
    noise: tf.Tensor,
    beta: tf.Tensor,
    sounding: tf.Tensor,
  ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
    scalars = {}
    weights = self._trained
    with tf.GradientTape() as tape:
      z, kl = objective.posterior_sample(weights, heard, noise)
      r_loss = tf.reduce_mean(
        objective.reconstruction_loss(weights, z, tokens, told)[0]
      )
      free_nats = self.hparams.free_bits * np.log(2.0)
      kl_cost = tf.reduce_mean(tf.maximum(kl - free_nats, 0.0))
      loss = r_loss + beta * kl_cost
      if self._head:
        scalars['losses/sounding'] = tf.reduce_mean(
          objective.sounding_loss(self._head, weights, z, tokens)
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
  pretrainer: Pretrainer,
  windows: draws.Windows,
  held_out: melody.Tokens,
  mean_pitch: tuple[float, ...],
  run_dir: str,
  num_steps: int,
  eval_every: int,
  progress: Callable[..., Any],
) -> None:
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
      tokens = windows.batch(h.batch_size, mean_pitch, pretrainer.seed, step)
      scalars = pretrainer.step(
        tokens,
        *windows.noisy(tokens, pretrainer.seed, step, h.fading(step)),
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
          messages.say(
            'the loss is not finite at step {step}; the last good state is '
            '{path}',
            step=step,
            path=checkpoints.latest(run_dir),
          )
        )
      if not chief:
        continue
      pretrainer.save(run_dir)
      samples = measurement.sample_prior(
        pretrainer.weights, len(held_out), 0.5, pretrainer.seed
      )
      scores = {
        **measurement.evaluate(pretrainer.weights, held_out, pretrainer.seed),
        **measurement.compare(samples, held_out, windows.tokens),
        **measurement.form_of('prior', samples),
        **measurement.form_of(
          'again',
          measurement.sample_posterior(
            pretrainer.weights, held_out, 0.5, pretrainer.seed
          ),
        ),
      }
      for name, value in scores.items():
        tf.summary.scalar('eval/' + name, value, step)
      writer.flush()
      bar.write(
        f'step {step}: '
        + ', '.join(f'{k} {v:.3f}' for k, v in scores.items() if '/' not in k)
      )
