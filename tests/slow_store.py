"""A file system as object stores are, in a folder: `slow:///folder/file`.

It locks nothing, a file is there once it is closed, to rename is to copy and to
delete, nothing is moved over what is there, and a listing shows what was
written `LAG` seconds ago and not what was since.
"""

import os
import shutil
import time
import uuid

from apache_beam.io import filesystem

LAG = 3.0
_SCHEME = 'slow://'


def _here(path):
  return path.removeprefix(_SCHEME)


class SlowStore(filesystem.FileSystem):
  """Registered with Beam by being defined."""

  @classmethod
  def scheme(cls):
    return 'slow'

  def join(self, basepath, *paths):
    return '/'.join([basepath.rstrip('/'), *paths])

  def split(self, path):
    head, _, tail = path.rpartition('/')
    return head, tail

  def mkdirs(self, path):
    os.makedirs(_here(path), exist_ok=True)

  def has_dirs(self):
    return True

  def _list(self, dir_or_prefix):
    for parent, _, names in os.walk(_here(dir_or_prefix)):
      for name in names:
        path = os.path.join(parent, name)
        seen = os.stat(path)
        if seen.st_mtime < time.time() - LAG:
          yield filesystem.FileMetadata(
            _SCHEME + path, seen.st_size, seen.st_mtime
          )

  def create(self, path, mime_type=None, compression_type=None):
    place = _here(path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    part = f'{os.path.dirname(place)}.{uuid.uuid4().hex}'
    file = open(part, 'wb')
    close = file.close

    def publish():
      if not file.closed:
        close()
        os.replace(part, place)

    file.close = publish
    return file

  def open(self, path, mime_type=None, compression_type=None):
    return open(_here(path), 'rb')

  def copy(self, sources, destinations):
    for source, destination in zip(sources, destinations):
      shutil.copyfile(_here(source), _here(destination))

  def rename(self, sources, destinations):
    failed = {}
    for pair in zip(sources, destinations):
      source, destination = map(_here, pair)
      if os.path.exists(destination):
        failed[pair] = FileExistsError(destination)
        continue
      part = f'{source}.{uuid.uuid4().hex}'
      shutil.copyfile(source, part)
      os.replace(part, destination)
      os.remove(source)
    if failed:
      raise filesystem.BeamIOError('rename', failed)

  def exists(self, path):
    return os.path.exists(_here(path))

  def size(self, path):
    return os.path.getsize(_here(path))

  def last_updated(self, path):
    return os.path.getmtime(_here(path))

  def checksum(self, path):
    return str(self.size(path))

  def metadata(self, path):
    return filesystem.FileMetadata(path, self.size(path))

  def delete(self, paths):
    for path in map(_here, paths):
      if os.path.isdir(path):
        shutil.rmtree(path)
      elif os.path.exists(path):
        os.remove(path)
