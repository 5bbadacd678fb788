"""One update of the base model: ours against stock Magenta's graph.

python benchmarks/pretrain_step.py --batch_sizes=16,64 --runs=9

Same sizes (hierdec-mel_16bar_lite), same batches, both in turn within one run.
Magenta's own trainer does not survive today's TensorFlow, so its graph, with
its loss, Adam and clipping as in music_vae_train, is fed from numpy. Prints a
JSON: melodies a second of each, and how many times faster ours is.
"""

import argparse
import json
import os
import platform
import statistics
import time

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import tensorflow.compat.v1 as tf

from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import stock
from emotion_musicvae.pretraining import trainer
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_lite'


def stock_step(settings):
  """A function of [B, 256] tokens that makes one update of Magenta's model."""
  with tf.Graph().as_default():
    config = stock.magenta_config('hierdec-mel_16bar', settings)
    hparams = config.hparams
    model = config.model
    model.build(hparams, melody.NUM_TOKENS, is_training=True)
    batch = hparams.batch_size
    sequence = tf.placeholder(tf.float32, [batch, 256, melody.NUM_TOKENS])
    lengths = tf.fill([batch], 256)
    optimizer = model.train(sequence, sequence, lengths)
    gradients, variables = zip(*optimizer.compute_gradients(model.loss))
    clipped, _ = tf.clip_by_global_norm(gradients, hparams.grad_clip)
    update = optimizer.apply_gradients(
      zip(clipped, variables), global_step=model.global_step
    )
    session = tf.Session()
    session.run(tf.global_variables_initializer())
  one_hot = np.eye(melody.NUM_TOKENS, dtype=np.float32)
  return lambda tokens: session.run(update, {sequence: one_hot[tokens]})


def ours(hparams):
  """The same of `trainer.Pretrainer`, with all that it learns besides."""
  shapes = hierdec.variable_shapes(
    hparams.z_size, hparams.enc_rnn_size, hparams.dec_rnn_size
  )
  weights = hierdec.initial_weights(shapes, 0)
  return trainer.Pretrainer(hparams, weights, 0).step


def measure(batch_size, runs):
  entry, hparams = configuration.load_model_config(CONFIG)
  settings = {**entry['hparams'], 'batch_size': batch_size}
  melodies = references.load_melodies().astype(np.int32)
  steps = {'ours': ours(hparams), 'stock': stock_step(settings)}
  seconds = {name: [] for name in steps}
  for run in range(runs + 1):
    tokens = np.roll(melodies, run * batch_size, axis=0)[:batch_size]
    for name, step in steps.items():
      start = time.perf_counter()
      step(tokens)
      seconds[name].append(time.perf_counter() - start)
  # The first of each compiles.
  seconds = {name: values[1:] for name, values in seconds.items()}
  ratios = [b / a for a, b in zip(seconds['ours'], seconds['stock'])]
  return {
    'times faster, median': round(statistics.median(ratios), 2),
    'min': round(min(ratios), 2),
    'max': round(max(ratios), 2),
    'melodies a second, median': {
      name: round(batch_size / statistics.median(values), 1)
      for name, values in seconds.items()
    },
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--batch_sizes', default='16,64')
  parser.add_argument('--runs', type=int, default=9)
  arguments = parser.parse_args()
  result = {
    'cpu': platform.processor() or platform.machine(),
    'cores': os.cpu_count(),
  }
  for size in map(int, arguments.batch_sizes.split(',')):
    result[f'batch {size}'] = measure(size, arguments.runs)
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
