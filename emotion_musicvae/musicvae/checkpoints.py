"""Magenta-format checkpoints: found, checked, read and written."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import hashlib
import importlib.resources
import logging
import os
import re
import shutil
import tempfile
from typing import Any
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from emotion_musicvae.musicvae import archives
from emotion_musicvae.musicvae import downloads
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.support import atomic
from emotion_musicvae.support import caches
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

_OPTIMIZER_SUFFIXES = ('/Adam', '/Adam_1', '/Trained')
HEAD = 'auxiliary/'  # variables that training needs and the model does not
_NOT_WEIGHTS = ('global_step', 'beta1_power', 'beta2_power')

# What a damaged checkpoint is met with.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, RuntimeError)

_log = logging.getLogger(__name__)

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_CHECKPOINT_FILE = re.compile(r'(.+)\.(index|data-\d{5}-of-\d{5})$')


def bundled(config: str, name: str = 'model.ckpt') -> str | None:
  """Prefix of a checkpoint that the package carries.

  Args:
    config: name of the model configuration.
    name: `model.ckpt` for the base model, `actor.ckpt` for its actor.

  Returns:
    The prefix, or None where it carries none.
  """
  root = importlib.resources.files('emotion_musicvae')
  prefix = os.path.join(str(root), 'models', config, name)
  return prefix if os.path.exists(prefix + '.index') else None


def actor_dir(fingerprint: str) -> str:
  """Run folder, in the cache, of the actor of a base model.

  Args:
    fingerprint: of the base model, see `fingerprint`.
  """
  return os.path.join(caches.cache_dir(), 'actors', fingerprint[:16])


@contextlib.contextmanager
def hold_dir(folder: str, argument: str) -> Iterator[None]:
  """Keeps other processes from work in a folder while the body runs.

  Args:
    folder: made if missing. A process that dies holds nothing.
    argument: what to name the folder in an error.

  Raises:
    UserError: the folder cannot be written to.
  """

  def taken() -> None:
    _log.warning(
      messages.say(
        'Another process is at work in {path}; waiting for it.', path=folder
      )
    )

  atomic.make_dir(folder, argument)
  with atomic.lock_dir(folder, taken):
    yield


@contextlib.contextmanager
def located(
  config: str,
  checkpoint_file: str | None = None,
  run_dir: str | None = None,
  progress: Callable[..., Any] | None = None,
) -> Iterator[str]:
  """Finds the base model's checkpoint; fetches and unpacks it where need be.

  Args:
    config: name of the model configuration, for the bundled checkpoint.
    checkpoint_file: a tar, the prefix of a checkpoint, one of its files, or a
      folder with one.
    run_dir: folder of a training run, with its checkpoints in `train`.
    progress: makes a progress bar of a download as `tqdm` does, or None.

  Yields:
    The prefix; what was unpacked of the user's tar is removed afterwards.

  Raises:
    UserError: both are given, none is needed, or nothing readable is there.
  """
  if checkpoint_file and run_dir:
    raise UserError(
      'checkpoint_file', messages.say('give one of them, this or `run_dir`')
    )
  with tempfile.TemporaryDirectory() as folder:
    if run_dir:
      prefix = latest(run_dir) or _in_folder(run_dir)
      if not prefix:
        raise UserError(
          'run_dir',
          messages.say('no checkpoint in {path!r} or its train', path=run_dir),
        )
    elif checkpoint_file:
      prefix = _locate_file(os.path.expanduser(checkpoint_file), folder)
    else:
      prefix = bundled(config) or _published(config, progress)
    yield prefix


def _published(config: str, progress: Callable[..., Any] | None) -> str:
  """Prefix of what a configuration is published as, fetched if need be.

  It is kept unpacked, once it has been read from end to end and found whole.
  """
  url = configuration.load_model_config(config)[0]['url']
  kept = os.path.join(caches.cache_dir(), 'checkpoints', config)
  prefix = _in_folder(kept)
  if prefix:
    return prefix
  with hold_dir(os.path.dirname(kept), 'cache_dir'):
    prefix = _in_folder(kept)
    if prefix:
      return prefix
    path, content = kept + '.tar', kept + '.unpacked'
    downloads.fetch(url, path, progress)
    shutil.rmtree(content, ignore_errors=True)  # of a process that was killed
    os.mkdir(content)
    try:
      unpacked = _unpack(path, content)
      load_model(unpacked, config)
      os.rename(content, kept)
    except archives.NoRoom:
      raise
    except UserError as e:
      os.remove(path)
      raise UserError(
        'checkpoint_file',
        messages.say(
          'what {url} sent was removed, as {problem}',
          url=url,
          problem=e.problem,
        ),
        messages.say(
          'try again, or fetch it by other means and name it with '
          '`checkpoint_file`'
        ),
      ) from None
    finally:
      shutil.rmtree(content, ignore_errors=True)
    os.remove(path)
  return os.path.join(kept, os.path.basename(unpacked))


def _locate_file(path: str, folder: str) -> str:
  """Prefix of what the user names; a tar is unpacked to `folder`."""
  if os.path.isdir(path):
    prefix = tf.train.latest_checkpoint(path) or _in_folder(path)
    if not prefix:
      raise UserError(
        'checkpoint_file',
        messages.say('no checkpoint in folder {path!r}', path=path),
      )
    return prefix
  if os.path.exists(path + '.index'):
    return path
  if not os.path.exists(path):
    raise UserError(
      'checkpoint_file',
      messages.say('{path!r} does not exist', path=path),
      messages.say('name a .tar, a .ckpt prefix or one of its files'),
    )
  match = _CHECKPOINT_FILE.match(path)
  if match:
    return match.group(1)
  return _unpack(path, folder)


def _in_folder(path: str) -> str | None:
  """Prefix of the first checkpoint in a folder, or None."""
  names = sorted(os.listdir(path)) if os.path.isdir(path) else []
  for name in names:
    if name.endswith('.index'):
      return os.path.join(path, name.removesuffix('.index'))
  return None


def _unpack(path: str, folder: str) -> str:
  """Unpacks the one checkpoint of a tar; returns its prefix."""
  archives.unpack(path, _CHECKPOINT_FILE, folder)
  prefix = _in_folder(folder)
  if not prefix:
    raise UserError(
      'checkpoint_file',
      messages.say('no checkpoint inside {path!r}', path=path),
    )
  return prefix


def load_model(
  prefix: str,
  config: str,
  hparams: configuration.ModelHparams | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
  """Reads a base model and checks it against its configuration.

  Args:
    prefix: prefix of a Magenta-format checkpoint.
    config: name of the model configuration.
    hparams: `configuration.ModelHparams`, if not as the configuration has them.

  Returns:
    Dictionary of Magenta's variable names to float32 arrays.

  Raises:
    UserError: unreadable, incomplete, of another configuration (which is named
      where one fits) or not finite.
  """
  found = shapes(prefix)
  problem = _mismatch(found, hparams or _hparams(config))
  if problem:
    fits = [
      name
      for name in configuration.config_names()
      if not _mismatch(found, _hparams(name))
    ]
    hint = messages.say('`config={name}` fits it', name=fits[0]) if fits else ''
    raise UserError(
      'checkpoint_file',
      messages.say(
        '{prefix!r} is not a checkpoint of {config}: {problem}',
        prefix=prefix,
        config=config,
        problem=problem,
      ),
      hint,
    )
  try:
    weights = load_weights(prefix)
  except _UNREADABLE as e:
    raise _unreadable(prefix, e) from None
  for name in sorted(weights):
    if not np.isfinite(weights[name]).all():
      raise UserError(
        'checkpoint_file',
        messages.say(
          '{name} in {prefix!r} is not finite', name=name, prefix=prefix
        ),
      )
  return weights


def _unreadable(prefix: str, error: Exception) -> UserError:
  return UserError(
    'checkpoint_file',
    messages.say(
      'cannot read the checkpoint {prefix!r} ({value})',
      prefix=prefix,
      value=_first_line(error),
    ),
  )


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]


def _hparams(config: str) -> configuration.ModelHparams:
  return configuration.load_model_config(config)[1]


def _mismatch(
  shapes: hierdec.Shapes, h: configuration.ModelHparams
) -> str | None:
  """What first differs from the variables of these settings, or None."""
  expected = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
  for name, shape in sorted(expected.items()):
    if name not in shapes:
      return messages.say('{name} is missing', name=name)
    if shapes[name] != shape:
      return messages.say(
        '{name} has shape {found}, expected {shape}',
        name=name,
        found=shapes[name],
        shape=shape,
      )
  return None


def fingerprint(weights: Mapping[str, npt.NDArray[Any]]) -> str:
  """Hexadecimal SHA-256 of a base model, the same for equal weights.

  Args:
    weights: Magenta's variables by name.
  """
  digest = hashlib.sha256()
  for name in sorted(weights):
    digest.update(name.encode())
    digest.update(np.ascontiguousarray(weights[name]).data)
  return digest.hexdigest()


def latest(run_dir: str) -> str | None:
  """Prefix of the newest checkpoint in `run_dir/train`, or None."""
  return tf.train.latest_checkpoint(os.path.join(run_dir, 'train'))


def shapes(prefix: str) -> hierdec.Shapes:
  """Shapes of a checkpoint's arrays by name.

  Raises:
    UserError: it cannot be read.
  """
  try:
    entries = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
  except _UNREADABLE as e:
    raise _unreadable(prefix, e) from None
  return {name: list(shape) for name, shape in entries.items()}


def read(
  prefix: str, is_read: Callable[[str], bool] = lambda name: True
) -> Arrays:
  """Arrays of a checkpoint by name.

  Args:
    prefix: its prefix.
    is_read: function of a name, whether to read it; all, optimizer and step
      included, if not given.

  Raises:
    tf.errors.OpError: it cannot be read.
  """
  reader = tf.train.load_checkpoint(prefix)
  names = filter(is_read, reader.get_variable_to_shape_map())
  return {name: reader.get_tensor(name) for name in names}


def load_weights(prefix: str) -> dict[str, npt.NDArray[np.float32]]:
  """The model's own variables by name, and no training state.

  Args:
    prefix: of a Magenta-format checkpoint.

  Raises:
    tf.errors.OpError: it cannot be read.
  """
  return read(prefix, is_weight)


def is_weight(name: str) -> bool:
  """Whether a checkpoint's entry is a model variable, not training state."""
  return not (
    name in _NOT_WEIGHTS
    or name.startswith(HEAD)
    or name.endswith(_OPTIMIZER_SUFFIXES)
  )


def save(prefix: str, arrays: Mapping[str, npt.ArrayLike]) -> None:
  """Writes arrays by name to the files of one checkpoint.

  Args:
    prefix: of the files.
    arrays: by name, as Magenta names them.

  Raises:
    tf.errors.OpError: they cannot be written.
  """
  names = sorted(arrays)
  tf.raw_ops.SaveV2(
    prefix=prefix,
    tensor_names=names,
    shape_and_slices=[''] * len(names),
    tensors=[tf.convert_to_tensor(arrays[name]) for name in names],
  )


def write(
  directory: str,
  step: int,
  arrays: Mapping[str, npt.ArrayLike],
  keep: int = 3,
) -> str:
  """Writes `model.ckpt-<step>` as Magenta's trainer does, whole or not at all.

  The data files appear under their names once complete, and the `checkpoint`
  index points to them last.

  Args:
    directory: the folder, made if missing.
    step: integer in the file's name, stored as `global_step` too.
    arrays: mapping of name to array.
    keep: how many checkpoints to leave in the folder.

  Returns:
    The prefix written.

  Raises:
    UserError: the disk is full, or the folder went away; what was there stays.
  """
  os.makedirs(directory, exist_ok=True)
  prefix = os.path.join(directory, f'model.ckpt-{step}')
  try:
    save(prefix, {**arrays, 'global_step': np.int64(step)})
  except tf.errors.OpError as e:
    for name in tf.io.gfile.glob(prefix + '.*'):
      tf.io.gfile.remove(name)
    raise UserError(
      repr(directory),
      messages.say(
        'could not write a checkpoint ({value})', value=_first_line(e)
      ),
    ) from None
  state = tf.train.get_checkpoint_state(directory)
  paths = [
    p
    for p in (state.all_model_checkpoint_paths if state else [])
    if p != prefix and os.path.exists(p + '.index')
  ]
  stale, paths = paths[: 1 - keep], paths[1 - keep :] + [prefix]
  # Names relative to the folder, so that a run can be moved.
  lines = [f'model_checkpoint_path: "{os.path.basename(prefix)}"'] + [
    f'all_model_checkpoint_paths: "{os.path.basename(p)}"' for p in paths
  ]
  index = os.path.join(directory, 'checkpoint')
  with atomic.replace_file(index) as f:
    f.write('\n'.join([*lines, '']).encode())
  for old in stale:
    for name in tf.io.gfile.glob(old + '.*'):
      tf.io.gfile.remove(name)
  return prefix
