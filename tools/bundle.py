"""Puts what was trained into the package, without the optimizers' state.

python tools/bundle.py --base_run_dir=RUN
python tools/bundle.py --actor_run_dir=RUN
"""

import json
import os
import shutil

from absl import app
from absl import flags
import numpy as np

import emotion_musicvae
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import prior
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.pretraining import draws
from emotion_musicvae.steering import actors
from emotion_musicvae.support import configuration

FLAGS = flags.FLAGS

_DEFAULT = 'hierdec-mel_16bar_lite'

flags.DEFINE_string('config', _DEFAULT, 'Which model it is.')
flags.DEFINE_string('base_run_dir', None, 'A run of emotion_musicvae_pretrain.')
flags.DEFINE_string('actor_run_dir', None, 'A run of emotion_musicvae_train.')
flags.DEFINE_integer(
  'num_melodies', 1536, 'Real melodies to go with the default model.'
)
flags.DEFINE_integer(
  'num_held_out', 512, 'Held-out melodies to evaluate against.'
)

PACKAGE = os.path.dirname(os.path.abspath(emotion_musicvae.__file__))


def _keep_melodies():
  """Keeps real melodies of the run, which all models are measured beside."""
  with open(
    os.path.join(FLAGS.base_run_dir, 'config.json'), encoding='utf-8'
  ) as f:
    recipe = json.load(f)
  hparams, augmentation = (
    configuration.build(cls, recipe.get(group, {}), 'base_run_dir')
    for group, cls in (
      ('corpus', configuration.CorpusHparams),
      ('augmentation', configuration.AugmentationHparams),
    )
  )
  drawn = {}
  with np.load(os.path.join(FLAGS.base_run_dir, 'windows.npz')) as arrays:
    for name, side, number in (
      ('tokens', 'train', FLAGS.num_melodies),
      ('held_out', 'held_out', FLAGS.num_held_out),
    ):
      cut = corpus.Cut.read(arrays, side)
      windows = draws.Windows.balanced(cut.tokens, hparams.density_balance)
      if hparams.one_key:
        windows = draws.Windows.in_one_key(cut, hparams, augmentation)
      batch = windows.batch(
        number, hparams.mean_pitch, 0, 0, varied=side == 'train'
      )
      drawn[name] = batch.astype(np.uint8)
  np.savez_compressed(
    os.path.join(PACKAGE, 'emotions', 'melodies.npz'), **drawn
  )


def main(argv):
  del argv
  directory = os.path.join(PACKAGE, 'models', FLAGS.config)
  os.makedirs(directory, exist_ok=True)
  if FLAGS.base_run_dir:
    arrays = checkpoints.read(checkpoints.latest(FLAGS.base_run_dir))
    checkpoints.save(
      os.path.join(directory, 'model.ckpt'),
      {
        name: value
        for name, value in arrays.items()
        if checkpoints.is_weight(name) or name == 'global_step'
      },
    )
    fitted = os.path.join(FLAGS.base_run_dir, prior.FILE)
    if os.path.exists(fitted):
      shutil.copy(fitted, os.path.join(directory, prior.FILE))
    if FLAGS.config == _DEFAULT:
      _keep_melodies()
  if FLAGS.actor_run_dir:
    arrays = checkpoints.read(checkpoints.latest(FLAGS.actor_run_dir))
    kept = ('actor/', 'critic/')
    checkpoints.save(
      os.path.join(directory, 'actor.ckpt'),
      {
        name: value
        for name, value in arrays.items()
        if name in ('global_step', actors.FINGERPRINT)
        or (name.startswith(kept) and checkpoints.is_weight(name))
      },
    )


if __name__ == '__main__':
  app.run(main)
