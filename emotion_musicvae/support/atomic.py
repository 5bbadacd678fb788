"""Files that appear together or not at all, however their process ends.

They are written in a hidden folder, which its process holds locked, and which
is marked once all of them are there; then they are moved to their places. What
a killed process leaves is a folder that nobody holds: marked, the next one
moves the rest; not marked, it removes it.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import os
import shutil
import tempfile
from typing import BinaryIO
from typing import TYPE_CHECKING

from emotion_musicvae.support import refusals

if TYPE_CHECKING:
  import filelock

_SUFFIX = '.emotion_musicvae'
_LOCK, _WHOLE, _FILES = 'lock', 'whole', 'files'
DIR_LOCK = '.emotion_musicvae.lock'
# What file systems that know no locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
_LEASE = '.lease'  # What stands for a lock there.
_LAST = ('.json', '.yaml', '.yml')  # They tell of the other files.


def make_dir(path: str | os.PathLike[str], argument: str) -> None:
  """Makes a folder and sees that it can be written to.

  Args:
    path: the folder.
    argument: what to call it in an error.

  Raises:
    UserError: it cannot.
  """
  try:
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as e:
    raise refusals.unwritable(argument, path, e) from None


@contextlib.contextmanager
def lock_dir(
  folder: str | os.PathLike[str], taken: Callable[[], object]
) -> Iterator[Callable[[], bool]]:
  """Keeps a folder from other processes.

  The lock goes with the process, however it ends; the file that is locked goes
  at the end of the body. Where files cannot be locked, it is leased: half a
  minute after its holder ended without giving it back another may have it.

  Args:
    folder: one that exists.
    taken: called where another process has it; the folder is waited for when it
      returns.

  Yields:
    What tells whether the folder is still the caller's: one that was held up
    for long may lose a lease.

  Raises:
    OSError: the folder cannot be written to.
  """
  path = os.path.join(folder, DIR_LOCK)
  with contextlib.ExitStack() as held:
    lock = held.enter_context(_locked(path))
    if not lock:
      taken()
      lock = held.enter_context(_locked(path, wait=True))
      if not lock:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    # While it is held: who waits for it then sees that it is gone, and locks a
    # new one. Windows removes it with the lock.
    held.callback(_remove, path)
    yield lambda: not getattr(lock, 'compromise', None)


@contextlib.contextmanager
def write_atomically(
  folder: str | os.PathLike[str], stem: str
) -> Iterator[str]:
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
      _clean_up(staged)


@contextlib.contextmanager
def replace_file(path: str) -> Iterator[BinaryIO]:
  """Opens one file to write, which takes its name when all of it is there.

  A file of the name is there whole at any time, the old or the new one; where
  anything fails it is the old one. Only one process at a time may write it.

  Args:
    path: the file, in a folder that exists.

  Raises:
    OSError: it cannot be written.
  """
  part = path + '.tmp'
  try:
    with open(part, 'wb') as f:
      yield f
    os.replace(part, path)
  except BaseException:
    _remove(part)
    raise


def recover(folder: str | os.PathLike[str]) -> None:
  """Ends what killed processes began in a folder."""
  for name in os.listdir(folder):
    if name.startswith('.') and name.endswith(_SUFFIX):
      staged = os.path.join(folder, name)
      lock = os.path.join(staged, _LOCK)
      # It may be another user's.
      with contextlib.suppress(OSError), _locked(lock) as ours:
        if ours:
          _clean_up(staged)


@contextlib.contextmanager
def _locked(
  path: str, wait: bool = False
) -> 'Iterator[filelock.BaseFileLock | None]':
  """Locks a file, made if missing; gives the lock, or None.

  The system takes the lock from a process that ends, however it does; where the
  file system knows no locks, a lease runs out.
  """
  import filelock  # Not what every command needs.

  lock: filelock.BaseFileLock = filelock.FileLock(path, fallback_to_soft=False)
  try:
    try:
      lock.acquire(blocking=wait)
    except OSError as e:
      if e.errno not in _NO_LOCKS:
        raise
      # Of another name: no lock, and whoever reads it takes it for one.
      lock = filelock.SoftFileLease(path + _LEASE)
      lock.acquire(blocking=wait)
  except (filelock.Timeout, FileNotFoundError):
    # Taken, or its folder removed by who took a new one for one that was left.
    yield None
    return
  try:
    yield lock
  finally:
    lock.release()


def _remove(path: str) -> None:
  with contextlib.suppress(OSError):
    os.remove(path)


def _finish(staged: str) -> None:
  """Marks the files as whole and moves them; all of them back on failure."""
  files = os.path.join(staged, _FILES)
  names = os.listdir(files)
  whole = os.path.join(staged, _WHOLE)
  with open(whole, 'xb'):
    pass
  try:
    _move(staged)
  except BaseException:
    for name in set(names) - set(os.listdir(files)):
      os.rename(_place_of(staged, name), os.path.join(files, name))
    os.remove(whole)
    raise


def _clean_up(staged: str) -> None:
  """Removes a hidden folder; if its files are whole, after moving them."""
  whole = os.path.join(staged, _WHOLE)
  if os.path.exists(whole):
    _move(staged)
    os.remove(whole)
  shutil.rmtree(staged, ignore_errors=True)


def _move(staged: str) -> None:
  files = os.path.join(staged, _FILES)
  for name in sorted(os.listdir(files), key=lambda x: (x.endswith(_LAST), x)):
    place = _place_of(staged, name)
    if os.path.lexists(place):
      raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
    os.rename(os.path.join(files, name), place)


def _place_of(staged: str, name: str) -> str:
  return os.path.join(os.path.dirname(staged), name)
