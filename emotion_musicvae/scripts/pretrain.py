"""Trains the base model and writes checkpoints that stock Magenta restores.

emotion_musicvae_pretrain --run_dir=run --num_steps=12000
"""

import dataclasses
import json
import os

from absl import flags

from emotion_musicvae import configuration
from emotion_musicvae import scripts

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'config', 'hierdec-mel_16bar_lite', 'Name of the model configuration.'
)
flags.DEFINE_string(
  'run_dir', None, 'Folder of the run; checkpoints go to its train/.'
)
flags.DEFINE_enum(
  'mode', 'train', ['train', 'eval'], 'Train, or measure the held-out tunes.'
)
flags.DEFINE_string(
  'init_checkpoint',
  None,
  'Checkpoint to start from: a .tar, a .ckpt prefix or one of its files; '
  'fresh weights if not given.',
)
flags.DEFINE_enum('dataset', 'folk', ['folk'], 'Corpus to train on.')
flags.DEFINE_integer(
  'num_steps', 20000, 'Updates in all, resumed ones included.'
)
flags.DEFINE_integer('eval_every', 1000, 'Updates between checkpoints.')
flags.DEFINE_integer('seed', 0, 'Seed of weights, batches and noise.')
flags.DEFINE_string('hparams', '', 'Settings over the config: a=1,b=[2,3].')
flags.DEFINE_string(
  'log', 'ERROR', 'What to log: DEBUG, INFO, WARN, ERROR or FATAL.'
)


def main():
  if not FLAGS.run_dir:
    raise configuration.UserError(
      '--run_dir: name a folder for the checkpoints, as in --run_dir=run'
    )
  scripts.check_range('num_steps', FLAGS.num_steps, 1, 10**9)
  scripts.check_range('eval_every', FLAGS.eval_every, 1, 10**9)
  scripts.check_range('seed', FLAGS.seed, 0, 2**31 - 1)
  scripts.set_log(FLAGS.log)
  config, hparams = configuration.load_model_config(FLAGS.config)
  if 'corpus' not in config:
    raise configuration.UserError(
      f'--config: {FLAGS.config} says nothing of a corpus to train on; '
      'hierdec-mel_16bar_lite does'
    )
  overrides = configuration.parse_settings(FLAGS.hparams)
  hparams = configuration.build(
    configuration.ModelHparams,
    {**dataclasses.asdict(hparams), **overrides},
    '--hparams',
  )

  scripts.load_tensorflow()

  import numpy as np
  import tensorflow as tf
  import tqdm

  from emotion_musicvae import checkpoints
  from emotion_musicvae import corpus
  from emotion_musicvae import hierdec
  from emotion_musicvae import latches
  from emotion_musicvae import pretraining

  corpus_hparams = configuration.build(
    pretraining.CorpusHparams, config['corpus'], f'configs/{FLAGS.config}.yaml'
  )
  try:
    os.makedirs(FLAGS.run_dir, exist_ok=True)
  except OSError as e:
    raise configuration.UserError(
      f'--run_dir: cannot make {FLAGS.run_dir!r} ({e.strerror})'
    ) from None
  cache = os.path.join(FLAGS.run_dir, 'windows.npz')
  if not os.path.exists(cache):
    print('Reading the tunes (once):')
    train, held_out, counts = corpus.folk_windows(corpus_hparams, tqdm.tqdm)
    print(f'{counts["tunes"]} tunes, {counts["refused"]} could not be read.')
    with open(cache + '.tmp', 'wb') as f:
      np.savez_compressed(f, train=train, held_out=held_out)
    os.replace(cache + '.tmp', cache)
  with np.load(cache) as arrays:
    train, held_out = (
      pretraining.Windows.balanced(arrays[name], corpus_hparams.density_balance)
      for name in ('train', 'held_out')
    )
  held_out_tokens = held_out.batch(512, corpus_hparams.mean_pitch, 0, 0)

  prefix = checkpoints.latest(FLAGS.run_dir)
  if FLAGS.mode == 'eval':
    if not prefix:
      raise configuration.UserError(
        f'--run_dir: no checkpoint in {FLAGS.run_dir}/train'
      )
    scores = pretraining.evaluate(
      checkpoints.load_weights(prefix), held_out_tokens, FLAGS.seed
    )
    print(json.dumps(scores, indent=2))
    return

  shapes = hierdec.variable_shapes(
    hparams.z_size, hparams.enc_rnn_size, hparams.dec_rnn_size
  )
  if FLAGS.init_checkpoint and not prefix:
    with checkpoints.located(FLAGS.config, FLAGS.init_checkpoint) as initial:
      weights = checkpoints.load_model(initial, FLAGS.config)
  else:
    weights = hierdec.initial_weights(shapes, FLAGS.seed)
    if hparams.latched:
      weights = latches.latched(weights, FLAGS.seed)
  pretrainer = pretraining.Pretrainer(hparams, weights, FLAGS.seed)
  if prefix:
    pretrainer.restore(prefix)
    print(f'Going on from {prefix}.')
  writer = tf.summary.create_file_writer(os.path.join(FLAGS.run_dir, 'train'))
  bar = tqdm.tqdm(
    total=FLAGS.num_steps,
    initial=pretrainer.step_number,
    unit='step',
    mininterval=2.0,
  )
  with writer.as_default():
    while pretrainer.step_number < FLAGS.num_steps:
      tokens = train.batch(
        hparams.batch_size,
        corpus_hparams.mean_pitch,
        FLAGS.seed,
        pretrainer.step_number,
      )
      scalars = pretrainer.step(tokens)
      step = pretrainer.step_number
      bar.update()
      if step % 20 == 0:
        bar.set_postfix(loss=f'{scalars["loss"]:.1f}')
        for name, value in scalars.items():
          tf.summary.scalar(name, value, step)
      if step % FLAGS.eval_every == 0 or step == FLAGS.num_steps:
        pretrainer.save(FLAGS.run_dir)
        scores = pretraining.evaluate(
          pretrainer.weights, held_out_tokens[:128], FLAGS.seed
        )
        for name, value in scores.items():
          tf.summary.scalar('eval/' + name, value, step)
        tqdm.tqdm.write(
          f'step {step}: '
          + ', '.join(f'{k} {v:.3f}' for k, v in scores.items())
        )
  bar.close()


def console_entry_point():
  scripts.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
