"""The folder of what is kept for the next process on this machine."""

import hashlib
import importlib.metadata
import os
import platform
import shutil

_FLAGS = 'TF_XLA_FLAGS'
_FOLDER = '--tf_xla_persistent_cache_directory='


def cache_dir() -> str:
  """Folder for what was trained on demand; $EMOTION_MUSICVAE_CACHE moves it."""
  default = os.path.join('~', '.cache', 'emotion_musicvae')
  return os.path.expanduser(os.environ.get('EMOTION_MUSICVAE_CACHE') or default)


def keep_compiled() -> None:
  """Has what XLA compiles kept, unless the environment says where.

  To be called before TensorFlow is loaded. What is compiled suits one processor
  and one TensorFlow, so each has a folder of its own; without the right to make
  it nothing is kept.
  """
  flags = os.environ.get(_FLAGS, '')
  if _FOLDER in flags:
    return
  version = importlib.metadata.version('tensorflow')
  suits = f'{version} {platform.machine()} {_processor()}'
  name = hashlib.sha256(suits.encode()).hexdigest()[:16]
  path = os.path.join(cache_dir(), 'compiled', name)
  try:
    os.makedirs(path, exist_ok=True)
  except OSError:
    return
  os.environ[_FLAGS] = f'{flags} {_FOLDER}{path}'.strip()


def forget_compiled() -> bool:
  """Throws away what was kept here, as where a file is damaged.

  Returns:
    Whether there was anything.
  """
  for flag in os.environ.get(_FLAGS, '').split():
    if flag.startswith(_FOLDER):
      path = flag.removeprefix(_FOLDER)
      if os.path.isdir(path) and os.listdir(path):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, exist_ok=True)
        return True
  return False


def _processor() -> str:
  """What the processor can do, as Linux tells; elsewhere its name."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as f:
      return next(line for line in f if line.startswith(('flags', 'Features')))
  except (OSError, StopIteration):
    return platform.processor()
