"""Trains the actor and the critic for a base model.

emotion_musicvae_train --config=hierdec-mel_16bar --checkpoint_file=my.ckpt
"""

import contextlib

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own

FLAGS = flags.FLAGS

shared_flags.define('checkpoint_file', 'config', 'distribution_strategy')
flags.DEFINE_string(
  'base_run_dir', None, 'Folder of a base training run, in place of it.'
)
flags.DEFINE_string(
  'run_dir',
  None,
  'Folder for the checkpoints and TensorBoard scalars of the actor. Where '
  'emotion_musicvae_generate looks for it if not given.',
)
flags.DEFINE_integer(
  'num_steps', None, 'Updates in all, resumed ones included.'
)
flags.DEFINE_list(
  'losses',
  [],
  'Further terms to train for, any of which may then be asked for: all, names '
  'as range and syncopation, or yours as path.py:Class.',
)
flags.DEFINE_integer('seed', 0, 'Seed of networks, conditions and noise.')
flags.DEFINE_string(
  'hparams', '', 'Settings over configs/actor_critic.yaml: a=1,b=2.'
)


def main() -> None:
  """Runs the command as its flags say."""
  hparams, num_steps = configuration.load_learner(
    FLAGS.config, configuration.parse_settings(FLAGS.hparams)
  )
  num_steps = FLAGS.num_steps or num_steps
  if FLAGS.num_steps is not None:
    ranges.NUM_STEPS.check('num_steps', FLAGS.num_steps)
  ranges.TRAINING_SEED.check('seed', FLAGS.seed)
  command.check_strategy(FLAGS.distribution_strategy)
  command.set_log(FLAGS.log)
  if FLAGS.run_dir:
    command.check_folder('run_dir', FLAGS.run_dir)
  terms = own.load(FLAGS.losses)
  if terms and not FLAGS.run_dir:
    raise UserError('losses', messages.say('name a folder with --run_dir'))

  quiet.load_tensorflow()

  import tqdm

  from emotion_musicvae.musicvae import checkpoints
  from emotion_musicvae.steering import training
  from emotion_musicvae.support import distribution

  strategy = distribution.strategy(FLAGS.distribution_strategy)
  chief = distribution.is_chief(strategy)

  try:
    with checkpoints.located(
      FLAGS.config, FLAGS.checkpoint_file, FLAGS.base_run_dir, tqdm.tqdm
    ) as prefix:
      weights = checkpoints.load_model(prefix, FLAGS.config)
  except UserError as e:
    if e.argument == 'run_dir':  # as it is called elsewhere
      raise e.of('base_run_dir') from None
    raise
  run_dir = FLAGS.run_dir or checkpoints.actor_dir(
    checkpoints.fingerprint(weights)
  )
  # Workers of one run share its folder, and only their chief writes there.
  with contextlib.ExitStack() as stack:
    if chief:
      stack.enter_context(checkpoints.hold_dir(run_dir, 'run_dir'))
    learner = training.make_learner(
      weights, hparams, FLAGS.seed, run_dir, strategy, tqdm.tqdm, terms
    )
    training.train(learner, run_dir, num_steps, tqdm.tqdm)
  if chief:
    print(
      messages.say(
        '{value} is trained for {num_steps} steps.',
        value=checkpoints.latest(run_dir),
        num_steps=num_steps,
      )
    )


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
