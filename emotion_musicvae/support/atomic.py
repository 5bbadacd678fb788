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

try:
  import fcntl
except ModuleNotFoundError:  # as on Windows
  fcntl = None

_SUFFIX = '.emotion_musicvae'
_LOCK, _WHOLE, _FILES = 'lock', 'whole', 'files'
_LAST = ('.json', '.yaml', '.yml')  # They tell of the other files.


def make_dir(path, flag):
  """Makes a folder and sees that it can be written to.

  Args:
    path: the folder.
    flag: that names it.

  Raises:
    UserError: it cannot.
  """
  try:
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as e:
    raise UserError(
      f'--{flag}: cannot write to {path!r} ({e.strerror}); name a folder you '
      'may write to'
    ) from None


@contextlib.contextmanager
def lock_dir(folder, taken):
  """Keeps a folder from other processes of this machine.

  What is locked is the folder itself: the lock goes with the process, however
  it ends, and leaves no file. Where folders cannot be locked, there is none.

  Args:
    folder: one that exists.
    taken: called where another process has it; the folder is waited for when it
      returns.
  """
  if fcntl is None:
    yield
    return
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      taken()
      fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
      pass  # Not every network file system can.
    yield
  finally:
    os.close(descriptor)


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
  with _locked(staged) as ours:
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
      # It may be another user's.
      with contextlib.suppress(OSError), _locked(staged) as ours:
        if ours:
          _settle(staged)


@contextlib.contextmanager
def _locked(staged):
  """Tries to lock a hidden folder; gives whether it could.

  The system takes the lock from a process that ends, however it does. By a
  file, which goes with the folder, and so on every system: where `lock_dir`
  keeps nobody away, what others are still writing would be taken for left
  behind.
  """
  import filelock

  lock = filelock.FileLock(os.path.join(staged, _LOCK), blocking=False)
  try:
    lock.acquire()
  except (filelock.Timeout, FileNotFoundError):
    # Taken, or removed by who took a new folder for one that was left.
    yield False
    return
  try:
    yield True
  finally:
    lock.release()


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
