"""What limits how well a base model gives tunes back: data, encoder, decoder.

emotion_musicvae_pretrain --config=hierdec-mel_16bar_form --run_dir=base \\
  --num_steps=1 --prior_hparams=num_steps=0        # reads the tunes
python benchmarks/reconstruction_limit.py --run_dir=base

Prints a JSON: for windows of tunes that were learned from and of tunes that
were held out, by their onsets a bar, reconstruction near temperature 0 (as
`--mode=eval` measures it); then, for held-out windows drawn as in training,
what the decoder makes of the encoder's mean, and of vectors that were moved
from there to where the likelihood is best, by so many steps of Adam. If learned
and held-out tunes come out alike, more tunes would not help; what is gained by
moving is what the encoder misses, and what is missing even then the decoder
cannot say. Last, how much a draw of the posterior loses of what its mean says:
decoded at temperature 0.5, with the quartiles of the posterior's deviations.
"""

import argparse
import json

import numpy as np
import tensorflow as tf
import tqdm

from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.pretraining import draws
from emotion_musicvae.pretraining import measurement
from emotion_musicvae.pretraining import objective
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_form'
DENSITIES = (2, 4, 6, 8, 13)  # onsets a bar
RATE = 0.03
BATCH = 32


def by_density(weights, tokens, n, rng):
  """Reconstruction of `n` windows of each density, evaluated together."""
  onsets = melody.onsets_per_bar(tokens)
  told = {}
  for low, high in zip(DENSITIES[:-1], DENSITIES[1:]):
    among = np.flatnonzero((low <= onsets) & (onsets < high))
    drawn = tokens[rng.choice(among, n, replace=False)]
    scores = measurement.evaluate(weights, drawn, 0, BATCH)
    told[f'{low}-{high} onsets a bar'] = {
      name: round(scores[f'reconstruction_{name}'], 3)
      for name in ('tokens', 'onsets')
    }
  return told


def moved(weights, tokens, steps):
  """What the decoder makes of means, and of where the likelihood is best.

  Args:
    weights: dictionary of Magenta's variables.
    tokens: [B, 256] int32.
    steps: numbers of updates after which to measure, ascending.
  """
  mean, deviation = hierdec.encode(weights, tf.constant(tokens))
  z = tf.Variable(mean)
  optimizer = tf.keras.optimizers.Adam(RATE)
  onset = tokens >= melody.FIRST_ONSET

  @tf.function(jit_compile=True)
  def slope(z):
    with tf.GradientTape() as tape:
      tape.watch(z)
      nats, logits = objective.reconstruction_loss(weights, z, tokens)
    best = tf.argmax(logits, -1, tf.int32)
    return nats, best, tape.gradient(nats, z)

  told = {}
  for step in tqdm.trange(steps[-1] + 1):
    nats, best, gradient = slope(z.value())
    if step in steps:
      given_back = measurement.decode(weights, z.numpy(), 1e-3, 0, BATCH)
      away = tf.abs(z - mean) / deviation
      told[f'{step} steps'] = {
        'nats': round(float(tf.reduce_mean(nats)), 1),
        'teacher_forced_onsets': round(
          float((best.numpy() == tokens)[onset].mean()), 3
        ),
        'reconstruction_onsets': round(
          float((given_back == tokens)[onset].mean()), 3
        ),
        'deviations_moved': round(float(tf.reduce_mean(away)), 2),
      }
    optimizer.apply_gradients([(gradient, z)])
  return told


def drawn(weights, tokens, rng):
  """What is given back of the posteriors' means and of draws of them."""
  mean, deviation = posterior.encode(weights, tokens)
  noise = rng.standard_normal(mean.shape, np.float32)
  onset = tokens >= melody.FIRST_ONSET
  told = {'deviations': np.quantile(deviation, [0.25, 0.5, 0.75]).tolist()}
  for name, z in (('mean', mean), ('draw', mean + deviation * noise)):
    given_back = measurement.decode(weights, z, 0.5, 0, BATCH)
    told[name] = {
      'onsets': round(float((given_back == tokens)[onset].mean()), 3),
      'bars_again': round(similarity.form(given_back)['bars_again'], 3),
    }
  return told


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--run_dir', required=True, help='whose tunes to take')
  parser.add_argument('--checkpoint', default=checkpoints.bundled(CONFIG))
  parser.add_argument('--n', type=int, default=64, help='windows of each kind')
  parser.add_argument('--steps', type=int, nargs='+', default=[0, 50, 150])
  arguments = parser.parse_args()
  weights = {
    name: tf.constant(value)
    for name, value in checkpoints.load_weights(arguments.checkpoint).items()
  }
  with np.load(f'{arguments.run_dir}/windows.npz') as arrays:
    learned, held_out = (
      corpus.Cut.read(arrays, side) for side in ('train', 'held_out')
    )
  entry, _ = configuration.load_model_config(CONFIG)
  hparams = configuration.build(
    configuration.CorpusHparams, entry['corpus'], CONFIG
  )
  windows = draws.Windows.in_one_key(
    held_out, hparams, configuration.AugmentationHparams()
  )
  rng = np.random.default_rng(0)
  result = {
    'learned': by_density(weights, learned.tokens, arguments.n, rng),
    'held out': by_density(weights, held_out.tokens, arguments.n, rng),
  }

  def batch(count):
    return windows.batch(count, hparams.mean_pitch, 0, 0, varied=False)

  result['moved'] = moved(weights, batch(arguments.n), arguments.steps)
  result['drawn'] = drawn(weights, batch(4 * arguments.n), rng)
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
