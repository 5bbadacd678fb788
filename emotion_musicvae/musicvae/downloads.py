"""Fetches a published checkpoint once."""

from collections.abc import Callable
import os
import shutil
import time
from typing import Any

import requests

from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

# Seconds to wait for a connection, and for more of the file.
_TIMEOUT = (10, 60)
_ATTEMPTS = 5
CHUNK_BYTES = 1 << 16


def fetch(
  url: str,
  path: str,
  progress: Callable[..., Any] | None = None,
  pause: float = 2.0,
) -> None:
  """Downloads a file, unless it is there.

  What has arrived is kept beside `path` as `.part` until the file is whole, and
  a download that breaks off is resumed there, now or next time. Proxies are
  taken from the environment (`https_proxy`). Two processes must not fetch to
  one path at once. There has to be room for what the file unpacks to, too.

  Args:
    url: address of the file.
    path: where to put it.
    progress: makes a progress bar as `tqdm` does, or None.
    pause: seconds to wait before the first new attempt, longer each time.

  Raises:
    UserError: the file cannot be had; names its address, and the flag that
      takes it once it is fetched by other means.
  """
  if os.path.exists(path):
    return
  try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for attempt in range(_ATTEMPTS):
      time.sleep(pause * attempt)
      try:
        _resume(url, path, progress)
        return
      except _BrokenOff as e:
        problem = e
    raise _unavailable(url, problem)
  except OSError as e:
    raise refusals.unwritable('cache_dir', path, e) from None


class _BrokenOff(Exception):
  """The download may be resumed when tried again."""


def _unavailable(url: str, problem: Exception | str) -> UserError:
  return UserError(
    'checkpoint_file',
    messages.say('cannot download {url} ({problem})', url=url, problem=problem),
    messages.say('fetch it by other means and name it with `checkpoint_file`'),
  )


def _resume(url: str, path: str, progress: Callable[..., Any] | None) -> None:
  """Fetches what is missing of a file, and moves it to its name when whole.

  Raises:
    UserError: trying again at once would not help.
  """
  part = path + '.part'
  have = os.path.getsize(part) if os.path.exists(part) else 0
  headers = {'Range': f'bytes={have}-'} if have else {}
  # A compressed transfer could not be continued, nor its length be known.
  headers['Accept-Encoding'] = 'identity'
  try:
    response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
  except requests.RequestException as e:
    raise _unavailable(url, type(e).__name__) from None
  with response:
    status = response.status_code
    kind = response.headers.get('Content-Type', 'nothing')
    if status == 416:  # There is no such range: start afresh.
      os.remove(part)
      raise _BrokenOff(messages.say('the file has changed'))
    if status >= 500:
      raise _BrokenOff(messages.say('status {status}', status=status))
    if status not in (200, 206) or kind.startswith('text/'):
      raise _unavailable(
        url,
        messages.say('status {status} and {kind}', status=status, kind=kind),
      )
    begin = response.headers.get('Content-Range', '').partition('-')[0]
    if status == 206 and begin != f'bytes {have}':
      os.remove(part)
      raise _BrokenOff(messages.say('another part than was asked for'))
    if status == 200:
      have = 0
    missing = int(response.headers.get('Content-Length', 0))
    needed = missing + have + missing
    free = shutil.disk_usage(os.path.dirname(path)).free
    if needed > free:
      raise UserError(
        'cache_dir',
        messages.say(
          '{path!r} takes {needed:.0f} MB more, unpacked, and {free:.0f} MB '
          'are free',
          path=path,
          needed=needed / 1e6,
          free=free / 1e6,
        ),
        messages.say('name a folder with room'),
      )
    try:
      _receive(response, part, have, missing, progress)
    except requests.RequestException as e:
      raise _BrokenOff(type(e).__name__) from None
  os.replace(part, path)


def _receive(
  response: requests.Response,
  part: str,
  have: int,
  missing: int,
  progress: Callable[..., Any] | None,
) -> None:
  """Appends what arrives to the part of the file that is there."""
  bar = None
  if progress:
    bar = progress(
      total=have + missing or None,
      initial=have,
      unit='B',
      unit_scale=True,
      desc=os.path.basename(part).removesuffix('.part'),
    )
  try:
    with open(part, 'ab' if have else 'wb') as f:
      for chunk in response.iter_content(CHUNK_BYTES):
        f.write(chunk)
        if bar:
          bar.update(len(chunk))
  finally:
    if bar:
      bar.close()
