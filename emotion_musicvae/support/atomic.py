"""Files that appear together or not at all, however their process ends.

They are written in a hidden folder, which its process holds locked, and which
is marked once all of them are there; then they are moved to their places. What
a killed process leaves is a folder that nobody holds: marked, the next one
moves the rest; not marked, it removes it.
"""

import contextlib
import errno
import os
import shutil
import tempfile

from emotion_musicvae.support.errors import UserError

_SUFFIX = '.emotion_musicvae'
_LOCK, _WHOLE, _FILES = 'lock', 'whole', 'files'
_DIR_LOCK = '.emotion_musicvae.lock'
# What file systems that know no locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)
_LAST = ('.json', '.yaml', '.yml')  # They tell of the other files.


def make_dir(path, argument):
  """Makes a folder and sees that it can be written to.

  Args:
    path: the folder.
    argument: that names it.

  Raises:
    UserError: it cannot.
  """
  try:
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as e:
    raise UserError(
      argument,
      f'cannot write to {path!r} ({e.strerror})',
      'name a folder you may write to',
    ) from None


@contextlib.contextmanager
def lock_dir(folder, taken):
  """Keeps a folder from other processes of this machine.

  The lock goes with the process, however it ends; the file that is locked goes
  at the end of the body. Where files cannot be locked, there is none.

  Args:
    folder: one that exists.
    taken: called where another process has it; the folder is waited for when it
      returns.

  Raises:
    OSError: the folder cannot be written to.
  """
  path = os.path.join(folder, _DIR_LOCK)
  with contextlib.ExitStack() as held:
    try:
      if not held.enter_context(_locked(path)):
        taken()
        if not held.enter_context(_locked(path, wait=True)):
          raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    except OSError as e:
      if e.errno not in _NO_LOCKS:
        raise
    else:
      # While it is held: who waits for it then sees that it is gone, and locks
      # a new one. Windows removes it with the lock.
      held.callback(_remove, path)
    yield


@contextlib.contextmanager
def write_atomically(folder, stem):
  """Gives a folder to write in; what is there at the end moves to `folder`.

  Where anything fails, nothing appears.

  Args:
    folder: where the files belong.
    stem: what names the files; only one process at a time has it.

  Raises:
    FileExistsError: another process has the stem, or one of the names exists.
  """
  staged = os.path.join(folder, f'.{stem}{_SUFFIX}')
  os.mkdir(staged)
  with _locked(os.path.join(staged, _LOCK)) as ours:
    if not ours:
      raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), staged)
    try:
      files = os.path.join(staged, _FILES)
      os.mkdir(files)
      yield files
      _finish(staged)
    finally:
      _settle(staged)


def recover(folder):
  """Ends what killed processes began in a folder."""
  for name in os.listdir(folder):
    if name.startswith('.') and name.endswith(_SUFFIX):
      staged = os.path.join(folder, name)
      lock = os.path.join(staged, _LOCK)
      # It may be another user's.
      with contextlib.suppress(OSError), _locked(lock) as ours:
        if ours:
          _settle(staged)


@contextlib.contextmanager
def _locked(path, wait=False):
  """Locks a file, made if missing; gives whether it could.

  The system takes the lock from a process that ends, however it does.
  """
  import filelock  # Not what every command needs.

  lock = filelock.FileLock(path)
  try:
    lock.acquire(blocking=wait)
  except (filelock.Timeout, FileNotFoundError):
    # Taken, or its folder removed by who took a new one for one that was left.
    yield False
    return
  try:
    yield True
  finally:
    lock.release()


def _remove(path):
  with contextlib.suppress(OSError):
    os.remove(path)


def _finish(staged):
  """Marks the files as whole and moves them; all of them back on failure."""
  files = os.path.join(staged, _FILES)
  names = os.listdir(files)
  whole = os.path.join(staged, _WHOLE)
  with open(whole, 'xb'):
    pass
  try:
    _place(staged)
  except BaseException:
    for name in set(names) - set(os.listdir(files)):
      os.rename(_place_of(staged, name), os.path.join(files, name))
    os.remove(whole)
    raise


def _settle(staged):
  """Removes a hidden folder; if its files are whole, after moving them."""
  whole = os.path.join(staged, _WHOLE)
  if os.path.exists(whole):
    _place(staged)
    os.remove(whole)
  shutil.rmtree(staged, ignore_errors=True)


def _place(staged):
  files = os.path.join(staged, _FILES)
  for name in sorted(os.listdir(files), key=lambda x: (x.endswith(_LAST), x)):
    place = _place_of(staged, name)
    if os.path.lexists(place):
      raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
    os.rename(os.path.join(files, name), place)


def _place_of(staged, name):
  return os.path.join(os.path.dirname(staged), name)
