"""Who may ask, how often and how much: before anything is read of a request."""

from __future__ import annotations

import collections
import dataclasses
import hmac
import ipaddress
import json
import logging
import time
import urllib.parse

from starlette import datastructures
from starlette import responses
from starlette import types

from emotion_musicvae.support import messages

COOKIE = 'emotion_musicvae_token'
_MINUTE = 60.0
_MOST_ADDRESSES = 10_000
# Nothing from elsewhere, nothing that is written into the page.
_POLICY = 'Content-Security-Policy'
_HEADERS = {
  _POLICY: (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; media-src blob:; "
    "base-uri 'none'; form-action 'none'; "
  ),
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
log = logging.getLogger('emotion_musicvae.studio')


@dataclasses.dataclass(frozen=True)
class Limits:
  """What is let through.

  Attributes:
    token: that everybody has to name; '' where nobody has to.
    any_host: whether it may be asked for by any name, not this machine's alone.
    requests_a_minute: of one address.
    most_bytes: of what is sent with a request.
    most_bars: of a melody of the user's.
    most_waiting: requests that wait at once.
  """

  token: str = ''
  any_host: bool = False
  requests_a_minute: int = 600
  most_bytes: int = 2**20
  most_bars: int = 64
  most_waiting: int = 100


class Gate:
  """ASGI middleware that holds requests to `Limits`, and logs them.

  A page elsewhere can make a browser send requests to this machine. Its script
  cannot read the answers, but what it sends is refused as well: by the name of
  the host that it asks for, where only this machine is served, and by its
  origin.
  """

  def __init__(self, app: types.ASGIApp, limits: Limits) -> None:
    self._app = app
    self._limits = limits
    # Where everybody may come in, others may show it: Spaces stand in a frame.
    is_public = limits.any_host and not limits.token
    frames = 'frame-ancestors *' if is_public else "frame-ancestors 'self'"
    self._headers = {**_HEADERS, _POLICY: _HEADERS[_POLICY] + frames}
    self._asked: dict[str, collections.deque[float]] = {}

  async def __call__(
    self, scope: types.Scope, receive: types.Receive, send: types.Send
  ) -> None:
    if scope['type'] != 'http':
      await self._app(scope, receive, send)
      return
    began, status = time.perf_counter(), 500
    headers = datastructures.Headers(scope=scope)

    async def answered(message: types.Message) -> None:
      nonlocal status
      if message['type'] == 'http.response.start':
        status = message['status']
        own = datastructures.MutableHeaders(scope=message)
        for name, value in self._headers.items():
          own.setdefault(name, value)
        own.setdefault('Cache-Control', 'no-cache')
      await send(message)

    try:
      with messages.speaking(_language(headers)):
        refusal = self._refusal(scope, headers)
        if refusal:
          await refusal(scope, receive, answered)
        else:
          bounded = self._bounded(receive)
          await self._app(scope, bounded, answered)
    finally:
      # Neither what is felt nor what is sung stands in the log.
      log.info(
        json.dumps(
          {
            'time': round(time.time(), 3),
            'address': _address(scope),
            'method': scope['method'],
            'path': scope['path'][:80],
            'status': status,
            'ms': round(1000 * (time.perf_counter() - began)),
          }
        )
      )

  def _refusal(
    self, scope: types.Scope, headers: datastructures.Headers
  ) -> responses.Response | None:
    host = headers.get('host', '')
    name = urllib.parse.urlsplit(f'//{host}').hostname or ''
    is_open = self._limits.token or self._limits.any_host
    if not is_open and not _is_loopback(name):
      return refused(403, messages.say('this host is not served here'))
    origin = headers.get('origin')
    if origin is not None:
      if urllib.parse.urlsplit(origin).netloc != host:
        return refused(403, messages.say('other pages may not ask here'))
    elif headers.get('sec-fetch-site') == 'cross-site' and (
      scope['method'] != 'GET' or scope['path'] != '/'
    ):
      return refused(403, messages.say('other pages may not ask here'))
    if scope['path'] == '/healthz':
      return None
    if not self._has_token(scope, headers):
      return refused(
        401,
        messages.say('open the address with the token that was printed'),
      )
    if scope['path'].startswith('/api/') and self._is_too_often(scope):
      return refused(
        429,
        messages.say('too many requests; wait a minute'),
        {'Retry-After': '60'},
      )
    length = headers.get('content-length', '0')
    if not length.isdecimal() or int(length) > self._limits.most_bytes:
      return self._too_large()
    return None

  def _has_token(
    self, scope: types.Scope, headers: datastructures.Headers
  ) -> bool:
    if not self._limits.token:
      return True
    query = urllib.parse.parse_qs(scope['query_string'].decode('latin-1'))
    scheme, _, bearer = headers.get('authorization', '').partition(' ')
    cookies = urllib.parse.unquote(headers.get('cookie', ''))
    given = [
      *query.get('token', []),
      bearer if scheme.lower() == 'bearer' else '',
      *(
        part.strip().removeprefix(f'{COOKIE}=')
        for part in cookies.split(';')
        if part.strip().startswith(f'{COOKIE}=')
      ),
    ]
    wanted = self._limits.token.encode()
    return any(
      [
        hmac.compare_digest(one.encode('utf-8', 'replace'), wanted)
        for one in given
      ]
    )

  def _is_too_often(self, scope: types.Scope) -> bool:
    now = time.monotonic()
    if len(self._asked) > _MOST_ADDRESSES:
      self._asked = {
        k: v for k, v in self._asked.items() if v and v[-1] > now - _MINUTE
      }
    times = self._asked.setdefault(_address(scope), collections.deque())
    while times and times[0] <= now - _MINUTE:
      times.popleft()
    if len(times) >= self._limits.requests_a_minute:
      return True
    times.append(now)
    return False

  def _bounded(self, receive: types.Receive) -> types.Receive:
    taken = 0

    async def bounded() -> types.Message:
      nonlocal taken
      message = await receive()
      taken += len(message.get('body', b''))
      if taken > self._limits.most_bytes:
        raise TooLarge
      return message

    return bounded

  def _too_large(self) -> responses.Response:
    return too_large(self._limits)


class TooLarge(Exception):
  """More was sent than may be, by one who did not say so before."""


def too_large(limits: Limits) -> responses.Response:
  """The answer to one who sends more than may be."""
  return refused(
    413,
    messages.say(
      'at most {most} KiB may be sent', most=limits.most_bytes // 1024
    ),
  )


def refused(
  status: int, error: str, headers: dict[str, str] | None = None
) -> responses.Response:
  """An answer that says in one line why there is none."""
  return responses.JSONResponse({'error': error}, status, headers)


def _address(scope: types.Scope) -> str:
  client = scope.get('client')
  return client[0] if client else ''


def _language(headers: datastructures.Headers) -> str:
  asked = headers.get('accept-language', '')
  return 'ko' if asked.lower().startswith('ko') else 'en'


def _is_loopback(name: str) -> bool:
  if name == 'localhost':
    return True
  try:
    return ipaddress.ip_address(name).is_loopback
  except ValueError:
    return False
