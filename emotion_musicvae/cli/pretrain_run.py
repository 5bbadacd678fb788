"""What the folder of a run of emotion_musicvae_pretrain keeps for the next one.

Its recipe, in config.json, and its windows of tunes; the flags are those of
`cli.pretrain`.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import time
from typing import Any
from typing import BinaryIO

from absl import flags

from emotion_musicvae.support import atomic
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

FLAGS = flags.FLAGS

# The groups of settings and their classes; --hparams sets them all.
GROUPS = {
  'hparams': configuration.ModelHparams,
  'corpus': configuration.CorpusHparams,
  'augmentation': configuration.AugmentationHparams,
}


def recipe() -> dict[str, Any]:
  """What decides the result of the run: as its folder says, or the flags.

  Raises:
    UserError: the folder holds a run of another recipe.
  """
  entry, hparams = configuration.load_model_config(FLAGS.config)
  defaults = {
    'hparams': dataclasses.asdict(hparams),
    'corpus': entry['corpus'],
    'augmentation': entry.get('augmentation', {}),
  }
  overrides = configuration.parse_settings(FLAGS.hparams)
  asked = {
    'config': FLAGS.config,
    'input_dir': FLAGS.input_dir and os.path.abspath(FLAGS.input_dir),
    'init_checkpoint': (
      FLAGS.init_checkpoint and os.path.abspath(FLAGS.init_checkpoint)
    ),
    'seed': FLAGS.seed,
  }
  for group, cls in GROUPS.items():
    names = {field.name for field in dataclasses.fields(cls)}
    own = {name: overrides.pop(name) for name in names & set(overrides)}
    asked[group] = dataclasses.asdict(
      configuration.build(cls, {**defaults[group], **own}, 'hparams')
    )
  if overrides:
    known = sorted(name for group in GROUPS for name in asked[group])
    raise UserError(
      'hparams',
      messages.say('no setting is called {value!r}', value=min(overrides)),
      messages.say('there are {known}', known=', '.join(known)),
    )
  path = _recipe_path()
  if not os.path.exists(path):
    return asked
  try:
    with open(path, encoding='utf-8') as f:
      before = json.load(f)
    # What a run of an earlier version did not know, it did not do.
    before = {'augmentation': {}, **before}
    old = _flat(before)
  except (ValueError, TypeError, KeyError, RecursionError):
    raise _damaged(path) from None
  new = _flat(json.loads(json.dumps(asked)))  # JSON knows no tuples.
  given = {name for name in asked if name in FLAGS and FLAGS[name].present}
  given |= set(configuration.parse_settings(FLAGS.hparams))
  if FLAGS.mode != 'train':
    given &= {'init_checkpoint'}
  elif 'config' in given:
    given = set(old)
  for name in given & set(old):
    if old[name] != new.get(name):
      raise UserError(
        'run_dir',
        messages.say(
          '{path!r} was begun with {name} {before}, not {now}',
          path=FLAGS.run_dir,
          name=name,
          before=old[name],
          now=new.get(name),
        ),
        messages.say(
          'name another folder (--init_checkpoint may start from this one)'
        ),
      )
  if not set(asked) <= set(before):
    raise _damaged(path)
  return before


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
  flat = dict(recipe)
  for group in GROUPS:
    flat |= recipe[group]
  return {name: flat[name] for name in flat if name not in GROUPS}


def _damaged(path: str) -> UserError:
  return UserError(
    'run_dir',
    messages.say('{path!r} is not what a run leaves there', path=path),
    messages.say('name another folder'),
  )


def _recipe_path() -> str:
  return os.path.join(FLAGS.run_dir, 'config.json')


def _windows_path() -> str:
  return os.path.join(FLAGS.run_dir, 'windows.npz')


def files(recipe: dict[str, Any]) -> list[str]:
  """The files to read; none where the run has its windows."""
  from emotion_musicvae.pretraining import corpus

  if os.path.exists(_windows_path()):
    return []
  if FLAGS.mode == 'eval' and not recipe['init_checkpoint']:
    raise UserError(
      'run_dir', messages.say('no run in {path!r}', path=FLAGS.run_dir)
    )
  if recipe['input_dir']:
    return corpus.input_files(recipe['input_dir'])
  return corpus.folk_files()


def windows(
  paths: list[str],
  recipe: dict[str, Any],
  hparams: configuration.CorpusHparams,
  progress: Callable[..., Any],
) -> tuple[Any, Any]:
  """The run's `(train, held_out)` tokens; reads `paths` if there are any.

  A worker that is not the chief has none, and waits until they are read.
  """
  import numpy as np

  from emotion_musicvae.music import melody
  from emotion_musicvae.pretraining import corpus

  if paths:
    os.makedirs(FLAGS.run_dir, exist_ok=True)
    print(messages.say('Reading the tunes (once):'))
    train, held_out, tunes, refusals = corpus.load(paths, hparams, progress)
    for refusal in refusals:
      if refusal.detail:
        reason = messages.say(refusal.reason)
        print(f'{refusal.name} {reason} ({refusal.detail})')
    print(corpus.summary(tunes, refusals))
    with _whole(_recipe_path()) as f:
      f.write(json.dumps(recipe, indent=2).encode())
    with _whole(_windows_path()) as f:
      arrays: dict[str, Any] = {
        **train.arrays('train'),
        **held_out.arrays('held_out'),
      }
      np.savez_compressed(f, **arrays)
  while not os.path.exists(_windows_path()):
    time.sleep(1.0)
  try:
    with np.load(_windows_path(), allow_pickle=False) as arrays:
      found = (
        corpus.Cut.read(arrays, 'train'),
        corpus.Cut.read(arrays, 'held_out'),
      )
    whole = all(
      cut.tokens.dtype == np.uint8
      and cut.tokens.shape[1:] == (melody.NUM_STEPS,)
      and cut.tokens.max() < melody.NUM_TOKENS
      and len(cut.tokens) == len(cut.closes) == len(cut.finals)
      for cut in found
    )
  except Exception:  # pylint: disable=broad-except
    # A damaged file is met with whatever error comes first.
    whole = False
  if not whole:
    raise _damaged(_windows_path())
  return found


@contextlib.contextmanager
def _whole(path: str) -> Iterator[BinaryIO]:
  """Opens a file of the run, which appears when it is written, or not at all.

  Raises:
    UserError: there is no room for it.
  """
  try:
    with atomic.replace_file(path) as f:
      yield f
  except OSError as e:
    raise UserError(
      'run_dir',
      messages.say(
        'could not write {path!r} ({reason})',
        path=path,
        reason=messages.reason(e),
      ),
    ) from None
