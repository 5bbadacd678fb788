"""The LSTM layer of `hierdec` against TensorFlow's fused BlockLSTM.

python benchmarks/lstm_layer.py --runs=9

Forward and backward with the gradients of inputs and kernel, float32, at the
sizes of the bundled model's encoder (256 steps, batch 16) and core decoder (16
steps, 256 bars), both in turn within one run. Prints a JSON of ratios: above 1,
our layer is faster.
"""

import argparse
import json
import os
import platform
import statistics
import time

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import tensorflow as tf

from emotion_musicvae.musicvae import lstm

SIZES = {'encoder': (256, 16, 192), 'core decoder': (16, 256, 256)}


def ours(steps, batch, units):
  kernel = tf.Variable(tf.random.normal([2 * units, 4 * units]) * 0.05)
  inputs = tf.random.normal([steps, batch, units])
  zeros = tf.zeros([batch, units])

  @tf.function(jit_compile=True)
  def run():
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      gates = inputs @ kernel[:units]
      hidden = lstm.layer(gates, kernel[units:], zeros, zeros)
      loss = tf.reduce_sum(tf.square(hidden))
    return tape.gradient(loss, [inputs, kernel])

  return run


def fused(steps, batch, units):
  kernel = tf.Variable(tf.random.normal([2 * units, 4 * units]) * 0.05)
  inputs = tf.random.normal([steps, batch, units])
  zeros = tf.zeros([batch, units])
  peephole = tf.zeros([units])

  @tf.function
  def run():
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      hidden = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(steps, tf.int64),
        x=inputs,
        cs_prev=zeros,
        h_prev=zeros,
        w=kernel,
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=tf.zeros([4 * units]),
        forget_bias=1.0,
        cell_clip=-1.0,
      ).h
      loss = tf.reduce_sum(tf.square(hidden))
    return tape.gradient(loss, [inputs, kernel])

  return run


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--runs', type=int, default=9)
  arguments = parser.parse_args()
  result = {'cpu': platform.processor() or platform.machine()}
  for name, sizes in SIZES.items():
    layers = ours(*sizes), fused(*sizes)
    for layer in layers:
      layer()  # traces and compiles
    ratios = []
    for _ in range(arguments.runs):
      seconds = []
      for layer in layers:
        start = time.perf_counter()
        layer()[1].numpy()
        seconds.append(time.perf_counter() - start)
      ratios.append(seconds[1] / seconds[0])
    result[name] = {
      'times faster, median': round(statistics.median(ratios), 2),
      'min': round(min(ratios), 2),
      'max': round(max(ratios), 2),
    }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
