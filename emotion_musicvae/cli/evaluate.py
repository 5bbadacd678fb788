"""Measures how well melodies follow the nine emotions, arm by arm.

emotion_musicvae_evaluate --arms=all --output_dir=report
"""

import os
import tempfile
from typing import Any

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.support import atomic
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own

FLAGS = flags.FLAGS

shared_flags.define(*shared_flags.MODEL)
flags.DEFINE_list(
  'arms',
  ['prior', 'ours'],
  'Arms to compare, separated by commas, or all; see configs/arms.yaml.',
)
flags.DEFINE_integer('num_outputs', 34, 'Melodies per emotion, arm and seed.')
flags.DEFINE_list(
  'temperatures', ['0.5'], 'Softmax temperatures of the decoder.'
)
flags.DEFINE_list(
  'seeds', ['0'], 'Seeds of latent vectors and noise; each is a run of its own.'
)
flags.DEFINE_integer(
  'num_steps',
  None,
  'Updates of the learners that are trained to be compared, if not those of '
  'configs/arms.yaml.',
)
flags.DEFINE_list(
  'terms',
  [],
  'In place of arms: how well further targets are met, swept over the range of '
  'real tunes and three at once; all, or names as range and syncopation.',
)
flags.DEFINE_integer('max_batch_size', 32, 'Melodies that are decoded at once.')
flags.DEFINE_string(
  'output_dir',
  None,
  'Folder for report.md, report.json and plots, besides the tables.',
)


def main() -> None:
  """Runs the command as its flags say."""
  ranges.MEASURED_OUTPUTS.check('num_outputs', FLAGS.num_outputs)
  ranges.BATCH_SIZE.check('max_batch_size', FLAGS.max_batch_size)
  if FLAGS.num_steps is not None:
    ranges.NUM_STEPS.check('num_steps', FLAGS.num_steps)
  temperatures = _numbers('temperatures', ranges.TEMPERATURE)
  seeds = _numbers('seeds', ranges.TRAINING_SEED)
  names = _arms()
  configuration.load_model_config(FLAGS.config)
  command.set_log(FLAGS.log)
  if FLAGS.output_dir:
    _check_new_folder(FLAGS.output_dir)
  if FLAGS.actor_dir:
    own.load_run(FLAGS.actor_dir)
  terms = own.load(FLAGS.terms)
  if terms and FLAGS.output_dir:
    raise UserError('output_dir', messages.say('goes without --terms'))

  quiet.load_tensorflow()

  import tqdm

  from emotion_musicvae import api
  from emotion_musicvae.evaluation import baselines
  from emotion_musicvae.evaluation import bench as benches
  from emotion_musicvae.evaluation import experiment
  from emotion_musicvae.evaluation import report
  from emotion_musicvae.evaluation import targets
  from emotion_musicvae.musicvae import checkpoints

  settings, num_steps, _ = baselines.load_settings()
  hparams, _ = configuration.load_learner(FLAGS.config)
  with checkpoints.located(
    FLAGS.config, FLAGS.checkpoint_file, FLAGS.run_dir, tqdm.tqdm
  ) as prefix:
    weights = checkpoints.load_model(prefix, FLAGS.config)
    model = api.EmotionMusicVAE.from_pretrained(
      FLAGS.config,
      prefix,
      max_batch_size=FLAGS.max_batch_size,
      actor_dir=FLAGS.actor_dir,
      progress=tqdm.tqdm,
      train_actor=True,
      prior=FLAGS.prior,
    )
  if terms:
    found = targets.evaluate(model, terms, FLAGS.num_outputs, seeds[0])
    print(targets.markdown(found))
    return
  bench = benches.Bench(
    model,
    weights,
    hparams,
    settings,
    FLAGS.num_steps or num_steps,
    tuple(catalogue.load()),
    progress=tqdm.tqdm,
  )
  result, samples = experiment.evaluate(
    bench, names, FLAGS.num_outputs, temperatures, seeds
  )
  print(report.markdown(result))
  if FLAGS.output_dir:
    try:
      _write(FLAGS.output_dir, result, bench, samples)
    except OSError as e:
      raise refusals.unwritten('output_dir', FLAGS.output_dir, e) from None


def _arms() -> list[str]:
  """Names of the arms that --arms asks for."""
  entry = configuration.load_yaml('arms')
  known = [*entry['arms'], *entry['ablations']]
  names = known if FLAGS.arms == ['all'] else FLAGS.arms
  for name in names:
    if name not in known:
      raise UserError(
        'arms',
        messages.say(
          'expected all or some of {known}, got {value!r}',
          known=', '.join(known),
          value=name,
        ),
      )
  return names


def _check_new_folder(path: str) -> None:
  """Refuses a folder that exists or that could not be made.

  Raises:
    UserError: names the flag and the folder.
  """
  parent, _ = _parent_and_name(path)
  try:
    with tempfile.TemporaryDirectory(dir=parent):
      pass
    atomic.recover(parent)
  except OSError as e:
    raise refusals.unwritable(
      'output_dir',
      parent,
      e,
      messages.say('name a folder in one that exists'),
    ) from None
  if os.path.lexists(path):
    raise UserError(
      'output_dir',
      messages.say('{path!r} exists', path=path),
      messages.say('name another folder'),
    )


def _parent_and_name(path: str) -> tuple[str, str]:
  parent, name = os.path.split(path.rstrip('/'))
  return parent or '.', name


def _write(path: str, result: Any, bench: Any, samples: Any) -> None:
  """Writes report and plots: the whole folder, or nothing."""
  from emotion_musicvae.evaluation import report

  parent, name = _parent_and_name(path)
  with atomic.write_atomically(parent, name) as parts:
    folder = os.path.join(parts, name)
    os.mkdir(folder)
    report.write(folder, result, bench, samples)


def _numbers(flag: str, able: ranges.Range) -> list[Any]:
  """The numbers of a flag that lists them."""
  numbers = []
  for text in FLAGS[flag].value or ():
    try:
      numbers.append(able.kind(text))
    except ValueError:
      raise UserError(
        flag,
        messages.say(
          'expected numbers separated by commas, got {value!r}', value=text
        ),
      ) from None
    able.check(flag, numbers[-1])
  if not numbers:
    raise UserError(flag, messages.say('expected at least one number'))
  return numbers


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
