"""Files of a job, on any file system that Apache Beam knows.

They are written beside and then renamed, so that one is there whole or not at
all, whoever is killed. (`support.atomic` does the same for several files of one
run, on this machine alone.)
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import fnmatch
import json
import os
import re
import shutil
from typing import Any
from typing import BinaryIO
import uuid

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

# Where files are written before they are moved, in the output folder.
WORK = ('.job', 'work')

# As Beam's file systems and runners tell it, who hand on no more than the text.
_NO_ROOM = re.compile(
  rf'(\[Errno |Error\()({errno.ENOSPC}|{errno.EDQUOT}|{errno.EFBIG})\b'
)


def is_local(folder: str) -> bool:
  """Whether a folder is on this machine's own file system."""
  return FileSystems.get_scheme(folder) is None


def exists(output_dir: str, *names: str) -> bool:
  """Whether a file or folder is there."""
  return FileSystems.exists(FileSystems.join(output_dir, *names))


def names(output_dir: str, *pattern: str) -> list[str]:
  """Names, without their folder, of the files that match a pattern."""
  *folders, last = pattern
  if is_local(output_dir):
    # Beam would take brackets in the folder's own name for a pattern.
    folder = os.path.join(output_dir, *folders)
    found_here = os.listdir(folder) if os.path.isdir(folder) else []
    return fnmatch.filter(found_here, last)
  (found,) = FileSystems.match([FileSystems.join(output_dir, *pattern)])
  return [FileSystems.split(m.path)[1] for m in found.metadata_list]


def delete(output_dir: str, *names: str) -> None:
  """Deletes a file or folder with all that is in it."""
  path = FileSystems.join(output_dir, *names)
  if not is_local(path):
    FileSystems.delete([path])
  elif os.path.isdir(path):
    shutil.rmtree(path)
  else:
    os.remove(path)


def read_all(path: str) -> bytes:
  """What is in a file.

  Raises:
    FileNotFoundError: there is none, on whatever file system.
  """
  try:
    with FileSystems.open(path) as f:
      return f.read()
  except OSError:
    if FileSystems.exists(path):
      raise
    missing = errno.ENOENT
    raise FileNotFoundError(missing, os.strerror(missing), path) from None


def read(path: str, place: tuple[int, int]) -> bytes:
  """Some bytes of a file: an offset and how many."""
  offset, length = place
  with FileSystems.open(path) as f:
    f.seek(offset)
    return f.read(length)


def json_line(value: Any) -> bytes:
  """A line of JSON in UTF-8."""
  return (json.dumps(value, ensure_ascii=False) + '\n').encode('utf-8')


def copy(local: str, output_dir: str, *names: str) -> None:
  """Copies a file of this machine, whole."""
  with open(local, 'rb') as f, write_whole(output_dir, *names) as g:
    shutil.copyfileobj(f, g)


@contextlib.contextmanager
def write_whole(output_dir: str, *names: str) -> Iterator[BinaryIO]:
  """Gives a file to write bytes to, in its place only when it is whole."""
  with (
    _moved_at_the_end(output_dir, ['/'.join(names)]) as (source,),
    FileSystems.create(source) as f,
  ):
    yield f


def write_all(
  output_dir: str, names: Iterable[str], contents: Iterable[bytes]
) -> None:
  """Writes files, in their places only when all of them are whole.

  Args:
    output_dir: the folder.
    names: of the files in it, with `/` between folders.
    contents: of each, one after the other.
  """
  with _moved_at_the_end(output_dir, names) as sources:
    for source, content in zip(sources, contents):
      with FileSystems.create(source) as f:
        f.write(content)


def is_full(error: BaseException) -> bool:
  """Whether an error says that a disk has no room left."""
  return bool(_NO_ROOM.search(str(error)))


def no_room(folder: str, argument: str = 'output_dir') -> UserError:
  """The error of a folder without room.

  Args:
    folder: the folder.
    argument: that names it.
  """
  return UserError(
    argument,
    messages.say('no room left in {path!r}', path=folder),
    messages.say(
      'what is finished is kept, so make room and repeat the command'
    ),
  )


@contextlib.contextmanager
def room_in(folder: str, argument: str = 'output_dir') -> Iterator[None]:
  """Tells of a disk that is full, here or where a worker met it.

  Args:
    folder: what is written to.
    argument: that names it.

  Raises:
    UserError: there is no room left.
  """
  try:
    yield
  except (OSError, RuntimeError) as e:
    if is_full(e):
      raise no_room(folder, argument) from None
    raise


@contextlib.contextmanager
def _moved_at_the_end(
  output_dir: str, names: Iterable[str]
) -> Iterator[list[str]]:
  """Paths to write files at, which are moved to their names at the end."""
  work = FileSystems.join(output_dir, *WORK)
  destinations = [FileSystems.join(output_dir, name) for name in names]
  sources = [FileSystems.join(work, uuid.uuid4().hex) for _ in destinations]
  _make_folders(sources + destinations)
  try:
    yield sources
  except BaseException:
    # A disk that is full is not to be kept so.
    for source in filter(FileSystems.exists, sources):
      delete(source)
    raise
  replace(sources, destinations)


def replace(sources: Sequence[str], destinations: Sequence[str]) -> None:
  """Moves files, over any that are there.

  Raises:
    OSError: a file could not be moved.
  """
  if is_local(destinations[0]):
    # Beam's own does not move over a file on Windows.
    for source, destination in zip(sources, destinations):
      os.replace(source, destination)
    return
  try:
    FileSystems.rename(sources, destinations)
  except BeamIOError:
    # As HDFS, which moves over nothing. What was moved is not there again.
    left = [
      pair for pair in zip(sources, destinations) if FileSystems.exists(pair[0])
    ]
    FileSystems.delete([new for _, new in left if FileSystems.exists(new)])
    FileSystems.rename(*map(list, zip(*left)))


def _make_folders(paths: Iterable[str]) -> None:
  for folder in {FileSystems.split(path)[0] for path in paths}:
    if not FileSystems.exists(folder):
      try:
        FileSystems.mkdirs(folder)
      except OSError:
        # Another worker may have been faster.
        if not FileSystems.exists(folder):
          raise
