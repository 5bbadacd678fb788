"""The decoder's gradient with respect to z against Magenta's own graph.

python benchmarks/decoder_gradient.py --runs=9

Forward and backward to z of the negative log likelihood of given tokens, three
ways in turn within one run: `hierdec.teacher_forced_logits`; `tf.gradients`
through the stock decoder, restored from the same checkpoint and fed the same
tokens; and the bare matrix products of our forward and backward pass. Both
models are random weights: the bundled sizes and those of the published model,
of which only the decoder is written. Prints a JSON of ratios and of our peak
memory, which must not grow with the steps.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np

CONFIGS = ('hierdec-mel_16bar_lite', 'hierdec-mel_16bar')
BATCH_SIZES = (4, 32)
MEMORY_STEPS = 10


def ours(weights, z, tokens):
  """Our gradient as a function of nothing."""
  import tensorflow as tf

  from emotion_musicvae.musicvae import hierdec

  weights = {k: tf.constant(v) for k, v in weights.items()}
  tokens = tf.constant(tokens)

  @tf.function(jit_compile=True)
  def gradient(z):
    with tf.GradientTape() as tape:
      tape.watch(z)
      logits = hierdec.teacher_forced_logits(weights, z, tokens)
      loss = tf.reduce_sum(
        tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits)
      )
    return tape.gradient(loss, z)

  z = tf.constant(z)
  return lambda: gradient(z).numpy()


def stock(config, prefix, z, tokens):
  """The gradient through Magenta's graph."""
  import tensorflow.compat.v1 as tf

  from emotion_musicvae.music import melody
  from emotion_musicvae.musicvae import stock

  batch = len(z)
  magenta = stock.magenta_config(
    config['base'], {**config['hparams'], 'batch_size': batch}
  )
  target = np.eye(melody.NUM_TOKENS, dtype=np.float32)[tokens]
  with tf.Graph().as_default():
    feed = {
      tf.placeholder(tf.float32, z.shape): z,
      tf.placeholder(tf.float32, target.shape): np.pad(
        target[:, :-1], [(0, 0), (1, 0), (0, 0)]
      ),
      tf.placeholder(tf.float32, target.shape): target,
    }
    z, previous, target = feed
    magenta.model.build(magenta.hparams, melody.NUM_TOKENS, is_training=False)
    loss, _, _ = magenta.model.decoder.reconstruction_loss(
      previous, target, tf.fill([batch], melody.NUM_STEPS), z
    )
    (gradient,) = tf.gradients(tf.reduce_sum(loss), z)
    session = tf.Session()
    tf.train.Saver(tf.trainable_variables()).restore(session, prefix)
  return lambda: session.run(gradient, feed)


def products(weights, batch):
  """The matrix products of one forward and one backward pass, nothing else.

  Those of the recurrences one step after the other; no gradient of a weight.
  Token inputs are rows of their kernel, no product.
  """
  import tensorflow as tf

  from emotion_musicvae.music import melody

  bars, steps = melody.NUM_BARS, melody.STEPS_PER_BAR
  shapes = []  # (rows, times, kernel)
  for scope, layer_inputs, rows, length in (
    ('decoder/hierarchical_level_0/', 0, batch, bars),
    ('core_decoder/decoder/', melody.NUM_TOKENS, bars * batch, steps),
  ):
    for name, kernel in sorted(weights.items()):
      if not (name.startswith(scope) and name.endswith('/kernel')):
        continue
      if 'lstm_cell' not in name:
        output = 'output' in name
        shapes.append((rows * length if output else rows, 1, kernel))
        continue
      units = kernel.shape[1] // 4
      shapes.append((rows, length, kernel[-units:]))
      if 'cell_0' not in name:
        shapes.append((rows * length, 1, kernel[:-units]))
      elif layer_inputs:
        shapes.append((rows, 1, kernel[layer_inputs:-units]))
  arguments = [
    (
      tf.random.normal([rows, len(kernel)]),
      tf.constant(kernel),
      tf.constant(kernel.T.copy()),
      times,
    )
    for rows, times, kernel in shapes
  ]

  def run():
    # Op by op: a graph would notice that nothing needs the results.
    for x, kernel, transposed, times in arguments:
      for _ in range(times):
        out = tf.matmul(x, kernel)
        tf.matmul(out, transposed)

  return run


def peak_mib():
  return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def measure(name, batch, runs):
  """Ratios and memory of one model at one batch size."""
  from emotion_musicvae.music import melody
  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.musicvae import hierdec
  from emotion_musicvae.support import configuration

  config, h = configuration.load_model_config(name)
  shapes = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
  shapes = {k: v for k, v in shapes.items() if not k.startswith('encoder/')}
  weights = hierdec.initial_weights(shapes, seed=0)
  rng = np.random.default_rng(0)
  z = rng.standard_normal([batch, h.z_size]).astype(np.float32)
  tokens = rng.integers(melody.NUM_TOKENS, size=[batch, melody.NUM_STEPS])
  our_gradient = ours(weights, z, tokens)
  for _ in range(2):
    our_gradient()
  memory = [peak_mib()]
  for _ in range(MEMORY_STEPS):
    our_gradient()
  memory.append(peak_mib())
  with tempfile.TemporaryDirectory() as folder:
    prefix = os.path.join(folder, 'model.ckpt')
    checkpoints.save(prefix, weights)
    ways = [
      our_gradient,
      stock(config, prefix, z, tokens),
      products(weights, batch),
    ]
  # The same gradient, or a ratio means nothing.
  np.testing.assert_allclose(ways[0](), ways[1](), rtol=1e-3, atol=1e-4)
  ways[2]()
  seconds = []
  for _ in range(runs):
    seconds.append([])
    for way in ways:
      start = time.perf_counter()
      way()
      seconds[-1].append(time.perf_counter() - start)
  return {
    'stock / ours': spread(s[1] / s[0] for s in seconds),
    'ours / bare products': spread(s[0] / s[2] for s in seconds),
    'peak MiB after 2 steps': memory[0],
    f'peak MiB after {2 + MEMORY_STEPS}': memory[1],
  }


def spread(ratios):
  ratios = sorted(ratios)
  return {
    'median': round(statistics.median(ratios), 2),
    'min': round(ratios[0], 2),
    'max': round(ratios[-1], 2),
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--runs', type=int, default=9)
  parser.add_argument('--configs', nargs='+', choices=CONFIGS, default=CONFIGS)
  parser.add_argument('--batch_sizes', nargs='+', type=int, default=BATCH_SIZES)
  flags = parser.parse_args()
  result = {'cpu': platform.processor() or platform.machine()}
  # A process for each, because peak memory never falls.
  with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
    for name in flags.configs:
      for batch in flags.batch_sizes:
        result[f'{name}, batch {batch}'] = pool.apply(
          measure, (name, batch, flags.runs)
        )
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
