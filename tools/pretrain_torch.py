"""Goes on with a run of emotion_musicvae_pretrain in PyTorch.

emotion_musicvae_pretrain --run_dir=run --num_steps=1 \\
  --prior_hparams=num_steps=0
python tools/pretrain_torch.py --run_dir=run --num_steps=4000
emotion_musicvae_pretrain --run_dir=run --mode=prior

The same objective, recipe, batches and checkpoints, so that either can go on
where the other stopped. TensorFlow's compiler multiplies in float32; PyTorch
multiplies bfloat16 by what recent processors have for it (AMX, AVX-512), and
sums in float32. States and gates' sums stay float32.

Needs PyTorch, which the package does not: pip install torch
"""

from collections.abc import Iterator
from collections.abc import Mapping
from concurrent import futures
import ctypes
import functools
import json
import math
import multiprocessing
import os
import sys
from typing import Any
from typing import NoReturn

from absl import app
from absl import flags
import numpy as np
import torch
import torch.nn.functional as F
import tqdm

from emotion_musicvae.music import melody
from emotion_musicvae.support import configuration

FLAGS = flags.FLAGS

flags.DEFINE_string('run_dir', None, 'A run of emotion_musicvae_pretrain.')
flags.DEFINE_integer('num_steps', None, 'Updates in all.')
flags.DEFINE_integer('eval_every', 200, 'Updates between checkpoints.')

Weights = Mapping[str, torch.Tensor]

# One program for each shape that a layer has, forward and backward.
torch._dynamo.config.recompile_limit = 64

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of mallopt
_AHEAD = 8  # batches that are drawn before they are needed
_WHITENED_ON = 2048  # melodies
_CONDUCTOR = 'decoder/hierarchical_level_0/'
_CORE = 'core_decoder/decoder/'
_ENCODER = 'encoder/cell_%d/bidirectional_rnn/%s/multi_rnn_cell/cell_0/'
_HEAD = 'auxiliary/'
_CLOCKS = melody.NUM_BARS  # as `initialization.NUM_CLOCKS`


@torch.compile(dynamic=False, fullgraph=True)
def _forward_cell(
  product: torch.Tensor,
  more: torch.Tensor,
  c: torch.Tensor,
  activated: torch.Tensor,
  cell: torch.Tensor,
  output: torch.Tensor,
) -> None:
  """One step of Magenta's cell; writes gates, cell state and output."""
  i, j, f, o = (product + more).chunk(4, -1)
  i, j, f, o = i.sigmoid(), j.tanh(), (f + 1.0).sigmoid(), o.sigmoid()
  c = f * c + i * j
  activated.copy_(torch.cat([i, j, f, o], -1))
  cell.copy_(c)
  output.copy_(o * c.tanh())


@torch.compile(dynamic=False, fullgraph=True)
def _backward_cell(
  activated: torch.Tensor,
  before: torch.Tensor,
  cell: torch.Tensor,
  dh: torch.Tensor,
  dh_later: torch.Tensor,
  dc: torch.Tensor,
  dgates: torch.Tensor,
) -> None:
  """Gradients of a step's gates, and in place that of the cell before."""
  i, j, f, o = activated.float().chunk(4, -1)
  tanh_c = cell.tanh()
  dh = dh + dh_later
  by_c = dc + dh * o * (1 - tanh_c * tanh_c)
  parts = [
    by_c * j * i * (1 - i),
    by_c * i * (1 - j * j),
    by_c * before * f * (1 - f),
    dh * tanh_c * o * (1 - o),
  ]
  dgates.copy_(torch.cat(parts, -1))
  dc.copy_(by_c * f)


class _Layer(torch.autograd.Function):
  """An LSTM layer in D directions at once, as `lstm.layer` runs one.

  Args:
    x: [D, T, B, I] inputs.
    kernel: [D, I + H, 4H].
    more: [D, T or 1, B or 1, 4H] float32, what else goes into the gates.
    c: [D, B, H] first cell states.
    h: [D, B, H] first outputs.

  Returns:
    [D, T, B, H] outputs, of the kind of `x`.
  """

  @staticmethod
  def forward(ctx, x, kernel, more, c, h):
    directions, steps, batch, width = x.shape
    units = h.shape[-1]
    kernel = kernel.to(x.dtype)

    def empty(count: int, size: int, dtype: torch.dtype) -> list[torch.Tensor]:
      # Not parts of one: a compiled function copies what it finds to overlap.
      shape = directions, batch, size
      return [torch.empty(shape, dtype=dtype) for _ in range(count)]

    # What is multiplied: a step's input beside the output before it.
    both = empty(steps + 1, width + units, x.dtype)
    for t in range(steps):
      both[t][..., :width] = x[:, t]
    both[0][..., width:] = h
    activated = empty(steps, 4 * units, x.dtype)
    cells = [c, *empty(steps, units, c.dtype)]
    for t in range(steps):
      _forward_cell(
        torch.bmm(both[t], kernel),
        more[:, min(t, more.shape[1] - 1)],
        cells[t],
        activated[t],
        cells[t + 1],
        both[t + 1][..., width:],
      )
    ctx.kept = both, activated, cells, kernel, more.shape
    return torch.stack([step[..., width:] for step in both[1:]], 1)

  @staticmethod
  def backward(ctx, dh):
    both, activated, cells, kernel, shape = ctx.kept
    units = cells[0].shape[-1]
    width = both[0].shape[-1] - units
    transposed = kernel.transpose(1, 2).contiguous()
    to_x, to_h = transposed[..., :width], transposed[..., width:].contiguous()
    dgates = [torch.empty_like(step) for step in activated]
    dc = torch.zeros_like(cells[0])
    dh_later = torch.zeros_like(dc, dtype=kernel.dtype)
    for t in reversed(range(len(activated))):
      _backward_cell(
        activated[t], cells[t], cells[t + 1], dh[:, t], dh_later, dc, dgates[t]
      )
      dh_later = torch.bmm(dgates[t], to_h)
    dgates = torch.stack(dgates, 1)
    dx = None
    if ctx.needs_input_grad[0]:
      dx = (dgates.flatten(1, 2) @ to_x).unflatten(1, dgates.shape[1:3])
    dkernel = torch.stack(
      [
        torch.cat([step[d] for step in both[:-1]]).T @ dgates[d].flatten(0, 1)
        for d in range(len(kernel))
      ]
    )
    if shape[2] > 1:
      dmore = dgates.sum(1, keepdim=True, dtype=torch.float32)
    else:
      # As a product, whose sums are kept in float32.
      rows = dgates if shape[1] > 1 else dgates.flatten(1, 2)[:, None]
      dmore = rows.new_ones(*rows.shape[:2], 1, rows.shape[2]) @ rows
    return dx, dkernel.float(), dmore.float(), dc, dh_later.float()


class Model:
  """`hierdec` and `objective` over tensors, term by term.

  Args:
    weights: mapping of Magenta's variables and, for `sounding_loss`, the second
      decoder's.
    dtype: of what is multiplied.
    latched: whether the first units of the encoder's first layer are clocks.
  """

  def __init__(
    self, weights: Weights, dtype: torch.dtype, latched: bool
  ) -> None:
    self.weights = weights
    self.dtype = dtype
    self.latched = latched

  def encode(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation, [B, Z] each, of [B, 256] tokens."""
    last = self.summary(tokens)
    mean = self._dense('encoder/mu/', last)
    return mean, F.softplus(self._dense('encoder/sigma/', last))

  def summary(self, tokens: torch.Tensor) -> torch.Tensor:
    """[B, 2H] last states of the encoder after [B, 256] tokens."""
    x = self._one_hot(tokens.T)
    x = torch.stack([x, x.flip(0)])
    units = 0
    for layer in range(2):
      scopes = [_ENCODER % (layer, direction) for direction in ('fw', 'bw')]
      kernels, biases = zip(*map(self._cell, scopes))
      kernel = torch.stack(kernels)
      more = torch.stack(biases)[:, None, None]
      if layer and self.latched:
        # A latch compares the clocks' sum, times ten, with the step that it is
        # due at: more digits than those of a half. They are all melodies' own.
        clocks = [*range(_CLOCKS), *range(units, units + _CLOCKS)]
        more = more + x[:, :, :1, clocks].float() @ kernel[:, None, clocks]
        kernel = kernel.index_fill(1, torch.tensor(clocks), 0.0)
      units = more.shape[-1] // 4
      zeros = torch.zeros(2, len(tokens), units)
      forth, back = _Layer.apply(x, kernel, more, zeros, zeros)
      last = torch.cat([forth[-1], back[-1]], -1)
      x = torch.cat([forth, back.flip(0)], -1)
      x = torch.stack([x, x.flip(0)])
    return last.float()

  def bar_embeddings(self, z: torch.Tensor) -> torch.Tensor:
    """[16, B, E] embeddings of the bars of [B, Z] latent vectors."""
    scopes = [f'{_CONDUCTOR}cell_{k}/' for k in range(2)]
    states = self._initial_states(_CONDUCTOR + 'initial_state/', z, scopes)
    x = z.new_zeros(melody.NUM_BARS, len(z), 1, dtype=self.dtype)
    for scope, (c, h) in zip(scopes, states):
      kernel, bias = self._cell(scope)
      x = self._layer(x, kernel, bias[None, None], c, h)
    return x

  def logits(self, bars: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    """[B, 256, 90] logits of tokens, those before being [B, 256] `told`."""
    batch = len(told)
    bars = bars.flatten(0, 1)  # [16 B, E]
    previous = F.pad(told[:, :-1], (1, 0), value=-1)
    previous = previous.reshape(
      batch, melody.NUM_BARS, melody.STEPS_PER_BAR
    ).permute(2, 1, 0)
    x = self._one_hot(previous.flatten(1))  # [16, 16 B, 90]
    scopes = [f'{_CORE}multi_rnn_cell/cell_{k}/' for k in range(2)]
    states = self._initial_states(_CORE + 'z_to_initial_state/', bars, scopes)
    for k, (scope, (c, h)) in enumerate(zip(scopes, states)):
      kernel, more = self._cell(scope)
      if not k:
        token, bar, own = kernel.split(
          [melody.NUM_TOKENS, bars.shape[1], c.shape[1]]
        )
        kernel = torch.cat([token, own])
        more = more + self._product(bars, bar)
      x = self._layer(x, kernel, torch.atleast_2d(more)[None], c, h)
    x = self._dense(_CORE + 'output_projection/', x)
    x = x.reshape(melody.STEPS_PER_BAR, melody.NUM_BARS, batch, -1)
    return x.permute(2, 1, 0, 3).flatten(1, 2)

  def sounding_logits(self, bars: torch.Tensor) -> torch.Tensor:
    """[B, 256, 89] of the second decoder; see `objective.sounding_loss`."""
    x = F.silu(self._dense(_HEAD + 'bar/', bars.transpose(0, 1)))
    x = self._dense(_HEAD + 'steps/', x)
    features = self.weights[_HEAD + 'sounds/kernel'].shape[0]
    x = F.silu(x.reshape(len(x), melody.NUM_STEPS, features))
    return self._dense(_HEAD + 'sounds/', x)

  def _one_hot(self, tokens: torch.Tensor) -> torch.Tensor:
    """[..., 90] of tokens; zeros for -1."""
    return F.one_hot(tokens + 1, melody.NUM_TOKENS + 1)[..., 1:].to(self.dtype)

  def _cell(self, scope: str) -> tuple[torch.Tensor, torch.Tensor]:
    scope += 'lstm_cell/'
    return self.weights[scope + 'kernel'], self.weights[scope + 'bias']

  def _layer(self, x, kernel, more, c, h) -> torch.Tensor:
    parts = (x, kernel, more, c, h)
    return _Layer.apply(*(part[None] for part in parts))[0]

  def _product(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return (x.to(self.dtype) @ kernel.to(self.dtype)).float()

  def _dense(self, scope: str, x: torch.Tensor) -> torch.Tensor:
    kernel, bias = (self.weights[scope + k] for k in ('kernel', 'bias'))
    return self._product(x, kernel) + bias

  def _initial_states(self, scope, x, scopes):
    sizes = [len(self._cell(s)[1]) // 4 for s in scopes for _ in ('c', 'h')]
    parts = torch.tanh(self._dense(scope, x)).split(sizes, -1)
    return list(zip(parts[::2], parts[1::2]))


def losses(
  model: Model,
  tokens: torch.Tensor,
  heard: torch.Tensor,
  told: torch.Tensor,
  noise: torch.Tensor,
) -> dict[str, torch.Tensor]:
  """The terms of `trainer.Pretrainer`'s loss, [B] nats each."""
  mean, deviation = model.encode(heard)
  kl = 0.5 * (mean.square() + deviation.square() - 1.0) - deviation.log()
  bars = model.bar_embeddings(mean + deviation * noise)
  logits = model.logits(bars, told)
  terms = {'kl': kl.sum(1), 'r_loss': _surprise(logits, tokens)}
  if _HEAD + 'bar/kernel' in model.weights:
    terms['sounding'] = _surprise(model.sounding_logits(bars), _sounds(tokens))
  return terms


def _surprise(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
  loss = F.cross_entropy(
    logits.flatten(0, 1), targets.flatten(), reduction='none'
  )
  return loss.reshape(targets.shape).sum(1)


def _sounds(tokens: torch.Tensor) -> torch.Tensor:
  """As `objective.sounds`."""
  steps = torch.arange(melody.NUM_STEPS)
  begun = torch.where(tokens >= melody.FIRST_ONSET, steps, -1)
  last = begun.cummax(1).values
  token = tokens.gather(1, last.clamp(min=0))
  return torch.where(last >= 0, token - melody.FIRST_ONSET + 1, 0)


class Trainer:
  """`trainer.Pretrainer` in PyTorch.

  Args:
    hparams: `configuration.ModelHparams`.
    arrays: of a checkpoint that `trainer.Pretrainer` wrote.
    masks: of `initialization.held_still`.
    dtype: of what is multiplied.
  """

  def __init__(
    self,
    hparams: configuration.ModelHparams,
    arrays: Mapping[str, np.ndarray],
    masks: Mapping[str, np.ndarray],
    dtype: torch.dtype = torch.bfloat16,
  ) -> None:
    self.hparams = hparams
    self.step_number = int(arrays['global_step'])
    state = {k: torch.tensor(v) for k, v in arrays.items()}
    self._masks = {}
    if hparams.latched:
      self._masks = {k: torch.tensor(v) for k, v in masks.items()}
    self.names = sorted(
      k[: -len('/Adam')] for k in state if k.endswith('/Adam')
    )
    trained = '/Trained' if hparams.averaging else ''
    own = [k for k in self.names if not k.startswith(_HEAD)]
    self.average = {k: state[k] for k in own}
    self.weights = {
      k: state[k if k.startswith(_HEAD) else k + trained].requires_grad_()
      for k in self.names
    }
    self.moments = {
      k + suffix: state[k + suffix]
      for k in self.names
      for suffix in ('/Adam', '/Adam_1')
    }
    self.model = Model(self.weights, dtype, hparams.latched)

  def state(self) -> dict[str, np.ndarray]:
    """All arrays by the name that they have in a checkpoint."""
    trained = '/Trained' if self.hparams.averaging else ''
    tensors = {
      **self.average,
      **{
        k if k.startswith(_HEAD) else k + trained: v.detach()
        for k, v in self.weights.items()
      },
      **self.moments,
    }
    return {k: v.numpy() for k, v in tensors.items()}

  def assign(self, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets what is named as in a checkpoint."""
    trained = '/Trained' if self.hparams.averaging else ''
    for name, value in arrays.items():
      if name in self.moments:
        tensor = self.moments[name]
      elif name in self.average and trained:
        tensor = self.average[name]
      else:
        tensor = self.weights[name.removesuffix('/Trained')]
      with torch.no_grad():
        tensor.copy_(torch.tensor(value))

  def summaries(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """What `whitening.summaries` says of the mean of updates and of the last.

    Returns:
      Dictionary of the suffix in a checkpoint to [N, 2H].
    """
    sets = {'': {**self.weights, **self.average}}
    if self.hparams.averaging:
      sets['/Trained'] = self.weights
    parts = torch.tensor(tokens, dtype=torch.int64).split(
      self.hparams.batch_size
    )
    found = {}
    with torch.no_grad():
      for suffix, weights in sets.items():
        model = Model(weights, self.model.dtype, self.hparams.latched)
        found[suffix] = torch.cat([model.summary(part) for part in parts])
    return {suffix: summary.numpy() for suffix, summary in found.items()}

  def step(
    self,
    tokens: np.ndarray,
    heard: np.ndarray,
    told: np.ndarray,
    noise: np.ndarray,
  ) -> dict[str, float]:
    """One update, as `trainer.Pretrainer.step`, by [B, Z] noise."""
    h, number = self.hparams, self.step_number
    fading = h.fading(number)
    rate = (h.learning_rate - h.min_learning_rate) * fading
    rate = (rate + h.min_learning_rate) * min(
      1.0, (number + 1) / max(h.warmup_steps, 1)
    )
    beta = h.max_beta * (1.0 - h.beta_rate**number if h.beta_rate else 1.0)
    tensors = (
      torch.tensor(x, dtype=torch.int64) for x in (tokens, heard, told)
    )
    terms = losses(self.model, *tensors, torch.tensor(noise))
    terms = {
      **terms,
      'cost': (terms['kl'] - h.free_bits * math.log(2.0)).clamp(min=0.0),
    }
    means = {k: v.mean() for k, v in terms.items()}
    loss = means['r_loss'] + beta * means['cost']
    loss = loss + h.sounding * fading * means.get('sounding', 0.0)
    slopes = torch.autograd.grad(loss, [self.weights[k] for k in self.names])
    with torch.no_grad():
      slopes = [
        g * self._masks[k] if k in self._masks else g
        for k, g in zip(self.names, slopes)
      ]
      norm = torch.stack([g.square().sum() for g in slopes]).sum().sqrt()
      clip = min(1.0, h.grad_clip / float(norm))
      self._update(slopes, clip, rate)
    self.step_number += 1
    scalars = {**means, 'norm': norm, 'loss': loss.detach()}
    return {k: v.item() for k, v in scalars.items()}

  def _update(
    self, slopes: list[torch.Tensor], clip: float, rate: float
  ) -> None:
    """Adam as Keras has it, decay of the kernels, and the mean of updates."""
    h, count = self.hparams, self.step_number + 1
    pace = rate * math.sqrt(1.0 - 0.999**count) / (1.0 - 0.9**count)
    share = min(h.averaging, count / (9.0 + count))
    for name, slope in zip(self.names, slopes):
      slope = slope * clip
      first, second = (
        self.moments[name + '/Adam'],
        self.moments[name + '/Adam_1'],
      )
      first.lerp_(slope, 0.1)
      second.lerp_(slope.square(), 0.001)
      weight = self.weights[name]
      weight -= pace * first / (second.sqrt() + 1e-7)
      if h.weight_decay and name.endswith('/kernel'):
        weight -= rate * h.weight_decay * weight * self._masks.get(name, 1.0)
      if h.averaging and name in self.average:
        self.average[name].lerp_(weight, 1.0 - share)


# What follows runs in a process of its own: TensorFlow and PyTorch's compiler
# do not get on in one.


def _read(run_dir: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """Arrays of the newest checkpoint, and what of them is held still."""
  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.pretraining import initialization

  arrays = checkpoints.read(checkpoints.latest(run_dir))
  return arrays, initialization.held_still(arrays)


def _write(run_dir: str, step: int, arrays: dict[str, np.ndarray]) -> str:
  from emotion_musicvae.musicvae import checkpoints

  return checkpoints.write(os.path.join(run_dir, 'train'), step, arrays)


def _whitened(
  arrays: dict[str, np.ndarray], summaries: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """The state in coordinates in which tunes match the prior.

  Args:
    arrays: of a checkpoint.
    summaries: by the suffix of what is trained and of its mean, [N, 2H] last
      states of the encoder.
  """
  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.pretraining import whitening

  weights = {k: v for k, v in arrays.items() if checkpoints.is_weight(k)}
  result, centre, change = whitening.whitened(weights, summaries[''])
  if '/Trained' in summaries:
    trained = {k: arrays[k + '/Trained'] for k in weights}
    trained = whitening.in_coordinates(
      trained, summaries['/Trained'], centre, change
    )
    result |= {k + '/Trained': v for k, v in trained.items()}
  slots = {k: v for k, v in arrays.items() if k.endswith(('/Adam', '/Adam_1'))}
  return result | whitening.moments(slots, centre, change)


@functools.cache
def _windows(run_dir: str) -> tuple[Any, Any]:
  """The run's windows to learn from, and the settings of its recipe."""
  from emotion_musicvae.pretraining import corpus
  from emotion_musicvae.pretraining import draws

  recipe = _recipe(run_dir)
  hparams = configuration.build(
    configuration.CorpusHparams, recipe['corpus'], 'run_dir'
  )
  with np.load(os.path.join(run_dir, 'windows.npz')) as arrays:
    cut = corpus.Cut.read(arrays, 'train')
  if not hparams.one_key:
    balanced = draws.Windows.balanced(cut.tokens, hparams.density_balance)
    return balanced, hparams.mean_pitch
  varied = configuration.build(
    configuration.AugmentationHparams, recipe['augmentation'], 'run_dir'
  )
  windows = draws.Windows.in_one_key(cut, hparams, varied)
  return windows, hparams.mean_pitch


def _batch(
  run_dir: str, size: int, seed: int, step: int
) -> tuple[np.ndarray, ...]:
  """Tokens, what the encoder hears and the decoder is told of them, noise."""
  windows, mean_pitch = _windows(run_dir)
  tokens = windows.batch(size, mean_pitch, seed, step)
  hparams = configuration.build(
    configuration.ModelHparams, _recipe(run_dir)['hparams'], run_dir
  )
  noise = np.random.default_rng([seed, step, 2]).standard_normal(
    [size, hparams.z_size], np.float32
  )
  told = windows.noisy(tokens, seed, step, hparams.fading(step))
  return tokens, *told, noise


def _recipe(run_dir: str) -> dict[str, Any]:
  with open(os.path.join(run_dir, 'config.json'), encoding='utf-8') as f:
    return json.load(f)


def _batches(
  pool: futures.Executor, size: int, seed: int, steps: range
) -> Iterator[tuple[np.ndarray, ...]]:
  """Batches of `_batch`, drawn ahead of their need."""
  waiting = []
  for step in steps:
    waiting.append(pool.submit(_batch, FLAGS.run_dir, size, seed, step))
    if len(waiting) > _AHEAD:
      yield waiting.pop(0).result()
  for future in waiting:
    yield future.result()


def prepare() -> None:
  """Has the C library keep memory, which an update asks for again and again."""
  if sys.platform == 'linux':
    library = ctypes.CDLL(None)
    for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
      library.mallopt(option, value)


def _refuse(problem: str) -> NoReturn:
  print(problem, file=sys.stderr)
  sys.exit(2)


def main(argv: list[str]) -> None:
  del argv
  prepare()
  if not os.path.exists(os.path.join(FLAGS.run_dir, 'train', 'checkpoint')):
    _refuse(
      f'--run_dir: no checkpoint in {FLAGS.run_dir}/train; begin it with '
      'emotion_musicvae_pretrain --num_steps=1 --prior_hparams=num_steps=0'
    )
  recipe = _recipe(FLAGS.run_dir)
  hparams = configuration.build(
    configuration.ModelHparams, recipe['hparams'], 'run_dir'
  )
  if not len(hparams.enc_rnn_size) == len(hparams.dec_rnn_size) == 2:
    _refuse('--run_dir: this takes two layers in the encoder and the decoder')
  seed = recipe['seed']
  context = multiprocessing.get_context('spawn')
  with (
    futures.ProcessPoolExecutor(1, context) as pool,
    futures.ProcessPoolExecutor(1, context) as files,
  ):
    trainer = Trainer(hparams, *files.submit(_read, FLAGS.run_dir).result())
    steps = range(trainer.step_number, FLAGS.num_steps)
    bar = tqdm.tqdm(
      total=FLAGS.num_steps, initial=steps.start, mininterval=20.0
    )
    kept: dict[str, list[float]] = {}
    for batch in _batches(pool, hparams.batch_size, seed, steps):
      for name, value in trainer.step(*batch).items():
        kept.setdefault(name, []).append(value)
      step = trainer.step_number
      bar.update()
      if hparams.whiten_every and step % hparams.whiten_every == 0:
        tokens = pool.submit(
          _batch, FLAGS.run_dir, _WHITENED_ON, seed, step
        ).result()[0]
        trainer.assign(
          files.submit(
            _whitened, trainer.state(), trainer.summaries(tokens)
          ).result()
        )
      if step % FLAGS.eval_every and step != FLAGS.num_steps:
        continue
      if not math.isfinite(kept['loss'][-1]):
        raise FloatingPointError(
          f'the loss is not finite at step {step}; the last good state is the '
          f'newest checkpoint in {FLAGS.run_dir}/train'
        )
      means = ', '.join(f'{k} {np.mean(v):.1f}' for k, v in kept.items())
      bar.write(f'step {step}: {means}')
      kept = {}
      files.submit(_write, FLAGS.run_dir, step, trainer.state()).result()


if __name__ == '__main__':
  flags.mark_flags_as_required(['run_dir', 'num_steps'])
  app.run(main)
