"""Trains the base model and writes checkpoints that stock Magenta restores.

emotion_musicvae_pretrain --run_dir=run --num_steps=12000
emotion_musicvae_pretrain --run_dir=run --input_dir=midi
emotion_musicvae_pretrain --run_dir=run --mode=eval
emotion_musicvae_pretrain --run_dir=run --mode=prior --init_checkpoint=X.tar
emotion_musicvae_pretrain --run_dir=run --mode=eval --init_checkpoint=X.tar
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import operator
import os
from typing import Any
from typing import TYPE_CHECKING

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import pretrain_run
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from emotion_musicvae.music import melody
  from emotion_musicvae.pretraining import draws

FLAGS = flags.FLAGS

_PRIOR_EPOCHS = 30  # at most

shared_flags.define('config', 'distribution_strategy')
flags.DEFINE_string(
  'run_dir', None, 'Folder of the run; checkpoints go to its train/.'
)
flags.DEFINE_enum(
  'mode',
  'train',
  ['train', 'eval', 'prior'],
  'Train and fit the prior, measure held-out tunes, or fit the prior alone.',
)
flags.DEFINE_string(
  'input_dir',
  None,
  'Music to train on: a folder of MIDI, ABC, MusicXML and TFRecords of '
  'NoteSequences (.tfrecord), with its subfolders, or one such file.',
)
flags.DEFINE_enum(
  'dataset', 'folk', ['folk'], 'Corpus to train on if --input_dir is not given.'
)
flags.DEFINE_string(
  'init_checkpoint',
  None,
  'Checkpoint to start from: a .tar, a .ckpt prefix or one of its files; '
  'fresh weights if not given.',
)
flags.DEFINE_integer(
  'num_steps', 20000, 'Updates in all, resumed ones included.'
)
flags.DEFINE_integer('eval_every', 1000, 'Updates between checkpoints.')
flags.DEFINE_integer('seed', 0, 'Seed of weights, batches and noise.')
flags.DEFINE_string(
  'hparams', '', 'Settings of model and corpus over the config: a=1,b=[2,3].'
)
flags.DEFINE_string(
  'prior_hparams', '', 'Settings of the prior over configs/prior.yaml: a=1,b=2.'
)


def main() -> None:
  """Runs the command as its flags say."""
  if not FLAGS.run_dir:
    raise UserError(
      'run_dir',
      messages.say('name a folder for the checkpoints, as in --run_dir=run'),
    )
  ranges.NUM_STEPS.check('num_steps', FLAGS.num_steps)
  ranges.NUM_STEPS.check('eval_every', FLAGS.eval_every)
  ranges.TRAINING_SEED.check('seed', FLAGS.seed)
  command.check_folder('run_dir', FLAGS.run_dir)
  command.check_strategy(FLAGS.distribution_strategy)
  command.set_log(FLAGS.log)
  recipe = pretrain_run.recipe()
  hparams = configuration.build(
    configuration.ModelHparams, recipe['hparams'], 'hparams'
  )
  corpus_hparams = configuration.build(
    configuration.CorpusHparams, recipe['corpus'], 'hparams'
  )
  augmentation_hparams = configuration.build(
    configuration.AugmentationHparams, recipe['augmentation'], 'hparams'
  )
  prior_hparams = configuration.build(
    configuration.PriorHparams,
    {
      **configuration.load_yaml('prior'),
      **configuration.parse_settings(FLAGS.prior_hparams, 'prior_hparams'),
    },
    'prior_hparams',
  )
  files = pretrain_run.files(recipe)

  quiet.load_tensorflow()

  import tqdm

  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.musicvae import prior
  from emotion_musicvae.pretraining import draws
  from emotion_musicvae.pretraining import measurement
  from emotion_musicvae.pretraining import trainer
  from emotion_musicvae.support import distribution

  strategy = distribution.strategy(FLAGS.distribution_strategy)
  begun = checkpoints.latest(FLAGS.run_dir)
  initial = recipe['init_checkpoint']
  if FLAGS.mode != 'train' and not begun and not initial:
    raise UserError(
      'run_dir',
      messages.say('no checkpoint in {path}/train', path=FLAGS.run_dir),
      messages.say('name another one in `init_checkpoint`'),
    )
  if begun:
    weights = checkpoints.load_weights(begun)
  elif initial:
    weights = _initial_weights(recipe['config'], initial, hparams)
  else:
    weights = _fresh_weights(hparams)
  cuts = pretrain_run.windows(
    files if distribution.is_chief(strategy) else [],
    recipe,
    corpus_hparams,
    tqdm.tqdm,
  )
  windows, real = (
    draws.Windows.in_one_key(cut, corpus_hparams, augmentation_hparams)
    if corpus_hparams.one_key
    else draws.Windows.balanced(cut.tokens, corpus_hparams.density_balance)
    for cut in cuts
  )
  mean_pitch = corpus_hparams.mean_pitch
  held_out = real.batch(512, mean_pitch, 0, 0, varied=False)

  if FLAGS.mode == 'eval':
    path = _prior_path()
    own = checkpoints.fingerprint(weights)
    scores = measurement.report(
      weights,
      held_out,
      windows,
      mean_pitch,
      FLAGS.seed,
      prior.load(path, own) if os.path.exists(path) else None,
    )
    print(json.dumps(scores, indent=2))
    return
  if FLAGS.mode == 'prior':
    _fit_prior(weights, windows, mean_pitch, prior_hparams)
    return

  trainer.train(
    trainer.Pretrainer(hparams, weights, FLAGS.seed, strategy),
    windows,
    held_out[:128],
    mean_pitch,
    FLAGS.run_dir,
    FLAGS.num_steps,
    FLAGS.eval_every,
    functools.partial(tqdm.tqdm, unit='step', mininterval=2.0),
  )
  if distribution.is_chief(strategy):
    prefix = checkpoints.latest(FLAGS.run_dir)
    print(messages.say('{prefix} is trained.', prefix=prefix))
    if prefix and prior_hparams.num_steps:
      weights = checkpoints.load_weights(prefix)
      _fit_prior(weights, windows, mean_pitch, prior_hparams)


def _prior_path() -> str:
  from emotion_musicvae.musicvae import prior

  return os.path.join(FLAGS.run_dir, prior.FILE)


def _fit_prior(
  weights: dict[str, Any],
  windows: 'draws.Windows',
  mean_pitch: tuple[float, ...],
  hparams: configuration.PriorHparams,
) -> None:
  """Fits a prior to the tunes, and writes it to the run."""
  import tqdm

  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.musicvae import prior
  from emotion_musicvae.pretraining import lookback_training

  # With bars of other tunes in it, a melody is less of one than it could be.
  if windows.hparams:
    windows = dataclasses.replace(
      windows, hparams=dataclasses.replace(windows.hparams, exchanged=0.0)
    )
  # A few tunes are soon known by heart.
  batches = -(-len(windows.tokens) // hparams.batch_size)
  hparams = dataclasses.replace(
    hparams, num_steps=min(hparams.num_steps, _PRIOR_EPOCHS * batches)
  )

  def draw(step: int) -> 'melody.Tokens':
    # Varied, so that none is learned by heart; in the end as tunes are.
    varied = step < hparams.varied * hparams.num_steps
    size = hparams.batch_size
    return windows.batch(size, mean_pitch, FLAGS.seed, step, varied)

  learned = lookback_training.fit(
    draw,
    hparams,
    FLAGS.seed,
    lambda steps: tqdm.tqdm(
      steps, messages.say('fitting the prior'), mininterval=2.0
    ),
    _prior_path() + '.unfinished',
  )
  fitted = prior.Prior(
    learned, hparams.temperature, checkpoints.fingerprint(weights)
  )
  fitted.save(_prior_path())
  print(messages.say('{value} is fitted.', value=_prior_path()))


def _fresh_weights(hparams: configuration.ModelHparams) -> dict[str, Any]:
  from emotion_musicvae.musicvae import hierdec
  from emotion_musicvae.pretraining import initialization

  shapes = hierdec.variable_shapes(
    hparams.z_size, hparams.enc_rnn_size, hparams.dec_rnn_size
  )
  weights = hierdec.initial_weights(shapes, FLAGS.seed)
  if not hparams.latched:
    return weights
  try:
    return initialization.latched(weights, FLAGS.seed)
  except ValueError as e:
    raise UserError(
      'hparams', str(e), messages.say('set latched=false for smaller layers')
    ) from None


def _initial_weights(
  config: str, checkpoint: str, hparams: configuration.ModelHparams
) -> dict[str, Any]:
  """Weights of `checkpoint`, widened where the settings ask for it."""
  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.pretraining import initialization

  try:
    with checkpoints.located(config, checkpoint) as prefix:
      narrower = _narrower(hparams, checkpoints.shapes(prefix))
      weights = checkpoints.load_model(prefix, config, narrower)
  except UserError as e:
    if e.argument == 'checkpoint_file':  # as it is called elsewhere
      raise e.of('init_checkpoint') from None
    raise
  if narrower == hparams:
    return weights
  return initialization.widened(weights, _fresh_weights(hparams))


def _narrower(
  hparams: configuration.ModelHparams, shapes: Mapping[str, Sequence[int]]
) -> configuration.ModelHparams:
  """The settings with a checkpoint's sizes, where these can be widened."""
  from emotion_musicvae.musicvae import hierdec

  z_size, enc_rnn_size, dec_rnn_size = hierdec.layer_sizes(shapes)
  if (
    0 < z_size <= hparams.z_size
    and len(enc_rnn_size) == len(hparams.enc_rnn_size) == 2
    and len(dec_rnn_size) == len(hparams.dec_rnn_size) == 2
    and all(map(operator.le, enc_rnn_size, hparams.enc_rnn_size))
    and all(map(operator.le, dec_rnn_size, hparams.dec_rnn_size))
  ):
    return dataclasses.replace(
      hparams,
      z_size=z_size,
      enc_rnn_size=enc_rnn_size,
      dec_rnn_size=dec_rnn_size,
    )
  return hparams


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
