"""TensorFlow, loaded without its chatter."""

from collections.abc import Iterator
import contextlib
import logging
import os
import sys
import tempfile

from emotion_musicvae.support.lazy import deferred

# The package sets it to be quiet, unless the user's environment has it.
_ENVIRONMENT = 'TF_CPP_MIN_LOG_LEVEL'
_QUIET = 3  # TensorFlow's C++ messages count from 0 (all) to 3 (fatal only).


def set_log(level: str) -> None:
  """Sets what Magenta, TensorFlow and matplotlib log, before they are loaded.

  Args:
    level: DEBUG, INFO, WARN, ERROR or FATAL.
  """
  levels = ('DEBUG', 'INFO', 'WARN')
  number = levels.index(level) if level in levels else _QUIET
  os.environ[_ENVIRONMENT] = str(number)
  for name in ('tensorflow', 'matplotlib'):
    logging.getLogger(name).setLevel(getattr(logging, level))


def is_quiet() -> bool:
  """Whether nothing but errors is to be told."""
  return os.environ.get(_ENVIRONMENT, '') == str(_QUIET)


def load_tensorflow() -> None:
  """Imports TensorFlow, quietly unless asked for more.

  It prints lines on loading and on looking for a GPU that no setting of its own
  holds back.
  """
  quiet = is_quiet()
  with hidden_stderr() if quiet else contextlib.nullcontext():
    # pylint: disable=g-import-not-at-top
    with deferred('pandas'):  # Keras can be fed from it.
      import tensorflow as tf

    tf.config.list_physical_devices()
  # At a prompt and in a notebook it sets itself to tell everything.
  logger = logging.getLogger('tensorflow')
  if quiet and logger.level < logging.ERROR:
    logger.setLevel(logging.ERROR)


@contextlib.contextmanager
def hidden_warnings() -> Iterator[None]:
  """Keeps what a package logs while it is imported, short of errors."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    yield
  finally:
    logging.disable(before)


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
  """Keeps what code that is not Python's prints from standard error.

  A process that is started meanwhile prints there for good.
  """
  if sys.stderr:
    sys.stderr.flush()
  try:
    stderr = os.dup(2)
  except OSError:  # It is closed.
    yield
    return
  with tempfile.TemporaryFile() as hidden:
    os.dup2(hidden.fileno(), 2)
    try:
      yield
    finally:
      os.dup2(stderr, 2)
      os.close(stderr)


@contextlib.contextmanager
def hidden_children() -> Iterator[None]:
  """Keeps what processes started meanwhile print from standard error.

  What this one prints to `sys.stderr` is seen.
  """
  try:
    stderr = os.dup(2)
  except OSError:  # It is closed.
    yield
    return
  with (
    open(stderr, 'w', 1, encoding='utf-8', errors='backslashreplace') as seen,
    hidden_stderr(),
    contextlib.redirect_stderr(seen),
  ):
    yield
