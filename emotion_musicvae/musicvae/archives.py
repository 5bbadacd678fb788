"""Unpacks tars of checkpoints that nobody vouches for."""

from collections.abc import Iterator
import contextlib
import errno
import gzip
import os
import re
import shutil
import tarfile
from typing import Any
import zlib

from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

# 704 MB of weights, three times that with an optimizer, and some room.
_MAX_UNPACKED_BYTES = 4 * 2**30
_MAX_MEMBERS = 1000


class NoRoom(UserError):
  """The archive may well be good."""


def unpack(path: str, names: re.Pattern[str], folder: str) -> None:
  """Takes files out of a tar, and nothing else.

  They are written under their last name component. An archive that would reach
  outside the folder, or has what no checkpoint has, is refused as a whole.

  Args:
    path: the tar, packed by gzip or not.
    names: what the last component of a name has to match.
    folder: where to put them; it exists.

  Raises:
    NoRoom: the disk is full.
    UserError: it is no tar, is damaged, is not safe to unpack, or has two files
      of one name.
  """
  total = 0
  try:
    with _opened(path) as tar:
      for count, member in enumerate(tar):
        total += member.size
        problem = _unsafe(member)
        if total > _MAX_UNPACKED_BYTES:
          problem = messages.say('it unpacks to more than 4 GiB')
        elif count >= _MAX_MEMBERS:
          problem = messages.say(
            'it holds more than {count} members', count=_MAX_MEMBERS
          )
        if problem:
          raise _not_safe(path, problem)
        match = names.match(os.path.basename(member.name))
        if not match or member.isdir():
          continue
        target = os.path.join(folder, match.group(0))
        source = tar.extractfile(member)
        assert source  # It is a file.
        with source, open(target, 'xb') as sink:
          shutil.copyfileobj(source, sink)
  except FileExistsError:
    raise UserError(
      'checkpoint_file',
      messages.say('{path!r} holds more than one checkpoint', path=path),
    ) from None
  except (OSError, EOFError, tarfile.TarError, ValueError, zlib.error) as e:
    if isinstance(e, UserError):
      raise
    if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EFBIG):
      raise NoRoom(
        'checkpoint_file',
        f'no room in {folder!r} to unpack {path!r}',
        'set TMPDIR or `cache_dir` to a folder with room',
      ) from None
    raise UserError(
      'checkpoint_file',
      messages.say('{path!r} does not unpack ({error})', path=path, error=e),
    ) from None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
  """A `TarFile` of a tar, packed by gzip or not.

  Raises:
    UserError: it is none.
  """
  problem = UserError(
    'checkpoint_file',
    messages.say('{path!r} is neither a tar nor a checkpoint', path=path),
  )
  # A device would be read without end.
  if not os.path.isfile(path):
    raise problem
  try:
    file = open(path, 'rb')
  except OSError as e:
    raise refusals.unreadable('checkpoint_file', path, e) from None
  with file:
    stream: Any = file
    if file.read(2) == b'\x1f\x8b':
      stream = gzip.GzipFile(fileobj=file)
    file.seek(0)
    try:
      sips: Any = _Sips(stream, path)
      tar = tarfile.TarFile(fileobj=sips)
    except (tarfile.ReadError, EOFError, gzip.BadGzipFile, zlib.error):
      raise problem from None
    with tar:
      yield tar


class _Sips:
  """A tar that is read in small parts, or not at all.

  A member's name may be as long as the archive says, and tarfile would take it
  into memory.
  """

  _MAX_BYTES = 2**20

  def __init__(self, file: Any, path: str):
    self.tell, self.seek, self._read = file.tell, file.seek, file.read
    self._path = path

  def read(self, size: int) -> bytes:
    """Reads at most `size` bytes."""
    if not 0 <= size <= self._MAX_BYTES:
      raise _not_safe(
        self._path, messages.say('a name in it is megabytes long')
      )
    return self._read(size)


def _not_safe(path: str, problem: str) -> UserError:
  return UserError(
    'checkpoint_file',
    messages.say(
      '{path!r} is not safe to unpack: {problem}', path=path, problem=problem
    ),
  )


def _unsafe(member: tarfile.TarInfo) -> str | None:
  """What is wrong with a member of a tar, or None."""
  parts = member.name.replace('\\', '/').split('/')
  if '..' in parts or member.name.startswith('/'):
    return messages.say('{name!r} reaches outside', name=member.name)
  if not (member.isreg() or member.isdir()) or member.issparse():
    return messages.say(
      '{name!r} is neither a file nor a folder', name=member.name
    )
  return None
