"""The studio as an ASGI application: the page, and what it asks for.

The server keeps nothing of anybody: a take is what its link says. What takes
time runs in threads, which the model may be shared by; requests wait in the
order that they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from concurrent import futures
import contextlib
import contextvars
import functools
import importlib.resources
import json
import logging
import os
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeVar
import urllib.parse

from starlette import applications
from starlette import requests as http
from starlette import responses
from starlette import routing

from emotion_musicvae._version import __version__
from emotion_musicvae.studio import limits as limiting
from emotion_musicvae.studio import page
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from emotion_musicvae.studio import takes as taking

_T = TypeVar('_T')
_TYPES = {
  'mid': 'audio/midi',
  'wav': 'audio/wav',
  'mp3': 'audio/mpeg',
  'musicxml': 'application/vnd.recordare.musicxml+xml',
  'png': 'image/png',
  'abc': 'text/vnd.abc',
  'zip': 'application/zip',
}
_STATIC = {
  'studio.css': 'text/css',
  'studio.js': 'text/javascript',
  'player.css': 'text/css',
  'player.js': 'text/javascript',
}
log = logging.getLogger('emotion_musicvae.studio')


class Studio:
  """Answers the page's requests.

  Args:
    load: gives the model; called once, beside the first requests.
    limits: what is let through.
    workers: threads that compose; as many play.
  """

  def __init__(
    self,
    load: Callable[[], Any],
    limits: limiting.Limits,
    workers: int | None = None,
  ) -> None:
    self._load = load
    self._limits = limits
    count = self._workers = workers or min(os.cpu_count() or 1, 4)
    # These wait for who composes for all of them; see `together`.
    self._asking = futures.ThreadPoolExecutor(limits.most_waiting, 'ask')
    self._playing = futures.ThreadPoolExecutor(count, 'play')
    # Who writes takes turns; nobody who plays waits for that.
    self._writing = futures.ThreadPoolExecutor(1, 'write')
    self._waiting = 0
    self._takes: asyncio.Future[taking.Takes] | None = None

  def application(self) -> applications.Starlette:
    """The ASGI application."""
    post = functools.partial(routing.Route, methods=['POST'])
    app = applications.Starlette(
      routes=[
        routing.Route('/', self._page),
        routing.Route('/healthz', self._health),
        routing.Route('/static/{name}', self._static),
        post('/api/reading', self._answer(self._reading)),
        post('/api/chords', self._answer(self._chords)),
        post('/api/song', self._answer(self._song)),
        post('/api/notes', self._answer(self._notes)),
        post('/api/takes', self._answer(self._compose)),
        post('/api/sound', self._answer(self._sound)),
        post('/api/staff', self._answer(self._staff)),
        post('/api/file', self._answer(self._file)),
      ],
      lifespan=self._lifespan,
    )
    app.add_middleware(limiting.Gate, limits=self._limits)
    return app

  @contextlib.asynccontextmanager
  async def _lifespan(self, app: applications.Starlette) -> AsyncIterator[None]:
    del app
    loop = asyncio.get_running_loop()
    self._takes = loop.create_future()
    loading = asyncio.create_task(self._start())
    yield
    loading.cancel()
    if self._takes.done() and not self._takes.exception():
      self._takes.result().close()
    for pool in (self._asking, self._playing, self._writing):
      pool.shutdown(wait=False, cancel_futures=True)

  async def _start(self) -> None:
    """Loads the model and has it compose and play once, as that takes longer.

    Each thread that plays loads its own synthesizer.
    """
    assert self._takes is not None
    loop = asyncio.get_running_loop()
    try:
      takes = await loop.run_in_executor(self._asking, self._loaded)
      shown = await loop.run_in_executor(
        self._asking, takes.compose, {'emotion': 'peaceful', 'seed': 0}, 1
      )
      spec = takes.spec(shown['takes'][0]['spec'])
      await asyncio.gather(
        *(
          loop.run_in_executor(self._playing, takes.sound, spec)
          for _ in range(self._workers)
        )
      )
    except Exception as e:
      log.error(json.dumps({'error': str(e)}))
      self._takes.set_exception(e)
      # It is told to whoever asks.
      self._takes.exception()
      return
    self._takes.set_result(takes)
    # The first sheet takes longer as well, but nobody waits for it yet.
    await loop.run_in_executor(self._writing, takes.staff, spec)

  def _loaded(self) -> taking.Takes:
    model = self._load()
    # What loads TensorFlow, while the page is there already.
    from emotion_musicvae.studio import takes

    return takes.Takes(model, self._limits.most_bars, self._workers)

  async def _page(self, request: http.Request) -> responses.Response:
    if self._limits.token and 'token' in request.query_params:
      # It does not stay in the address, where others may read it.
      answer = responses.RedirectResponse('/', 303)
      answer.set_cookie(
        limiting.COOKIE,
        urllib.parse.quote(self._limits.token),
        httponly=True,
        samesite='strict',
      )
      return answer
    return responses.HTMLResponse(page.html(self._limits))

  async def _static(self, request: http.Request) -> responses.Response:
    name = request.path_params['name']
    if name not in _STATIC:
      return limiting.refused(404, messages.say('there is no such file'))
    return responses.Response(static(name), media_type=_STATIC[name])

  async def _health(self, request: http.Request) -> responses.Response:
    del request
    assert self._takes is not None
    state = 'loading'
    if self._takes.done():
      state = 'failed' if self._takes.exception() else 'ready'
    return responses.JSONResponse(
      {'status': state, 'waiting': self._waiting, 'version': __version__},
      200 if state == 'ready' else 503,
    )

  def _answer(
    self, handle: Callable[[http.Request], Awaitable[responses.Response]]
  ) -> Callable[[http.Request], Awaitable[responses.Response]]:
    """An endpoint that tells a user's mistake in one line."""

    async def endpoint(request: http.Request) -> responses.Response:
      if self._waiting >= self._limits.most_waiting:
        return limiting.refused(
          503,
          messages.say('too many wait already; try again soon'),
          {'Retry-After': '5'},
        )
      self._waiting += 1
      try:
        return await handle(request)
      except UserError as e:
        return limiting.refused(400, str(e))
      except limiting.TooLarge:
        return limiting.too_large(self._limits)
      finally:
        self._waiting -= 1

    return endpoint

  async def _run(
    self, pool: futures.Executor, call: Callable[..., _T], *args: Any
  ) -> _T:
    """Calls in a thread, in the language of who asks."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, context.run, call, *args)

  async def _ready(self) -> taking.Takes:
    assert self._takes is not None
    return await asyncio.shield(self._takes)

  async def _reading(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    return responses.JSONResponse(
      await self._run(self._playing, takes.reading, values)
    )

  async def _chords(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    return responses.JSONResponse(
      takes.chords(
        _field(values, 'chords'),
        _field(values, 'mode', 'major'),
        _field(values, 'time_signature', '4/4'),
      )
    )

  async def _song(self, request: http.Request) -> responses.Response:
    content = await request.body()
    name = request.query_params.get('name', '')
    takes = await self._ready()
    return responses.JSONResponse(
      await self._run(self._playing, takes.song_of_file, content, name)
    )

  async def _notes(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    return responses.JSONResponse(
      takes.song_of_keys(values.get('notes'), values.get('qpm'))
    )

  async def _compose(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    if values.get('beforehand') and self._waiting > 1:
      # Nobody waits for it, and others do.
      return responses.Response(status_code=204)
    takes = await self._ready()
    return responses.JSONResponse(
      await self._run(
        self._asking,
        takes.compose,
        values.get('request'),
        values.get('n', 4),
        values.get('first', 0),
      )
    )

  async def _sound(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    spec = takes.spec(values.get('take'))
    which = _field(values, 'which', 'take')
    part = _field(values, 'part', 'all')
    content = await self._run(self._playing, takes.sound, spec, which, part)
    return responses.Response(content, media_type='audio/flac')

  async def _staff(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    spec = takes.spec(values.get('take'))
    drawn = await self._run(
      self._writing,
      takes.staff,
      spec,
      values.get('width', 800),
      _field(values, 'which', 'take'),
    )
    return responses.Response(drawn, media_type='image/svg+xml')

  async def _file(self, request: http.Request) -> responses.Response:
    values = await _values(request)
    takes = await self._ready()
    spec, kind = takes.spec(values.get('take')), _field(values, 'format')
    content = await self._run(self._writing, takes.file, spec, kind)
    name = await self._run(self._writing, takes.name, spec, kind)
    return responses.Response(
      content,
      media_type=_TYPES[kind],
      headers={
        'Content-Disposition': (
          f"attachment; filename*=UTF-8''{urllib.parse.quote(name)}"
        )
      },
    )


@functools.cache
def static(name: str) -> bytes:
  """A file of the page, or of the part that it shares with `webpage`."""
  home = 'studio' if name.startswith('studio.') else 'files'
  folder = importlib.resources.files(f'emotion_musicvae.{home}')
  return folder.joinpath('templates', name).read_bytes()


async def _values(request: http.Request) -> dict[str, Any]:
  """The object that was sent as JSON."""
  kind = request.headers.get('content-type', '').partition(';')[0].strip()
  if kind != 'application/json':
    raise UserError('', messages.say('expected JSON'))
  try:
    values = json.loads(await request.body(), parse_constant=_no_constant)
  except (ValueError, RecursionError):
    raise UserError('', messages.say('expected JSON')) from None
  if not isinstance(values, dict):
    raise UserError('', messages.say('expected an object of fields'))
  return values


def _no_constant(name: str) -> float:
  raise ValueError(name)  # NaN and Infinity are no JSON


def _field(values: dict[str, Any], name: str, default: str = '') -> str:
  value = values.get(name, default)
  if not isinstance(value, str):
    raise UserError(name, messages.say('expected a text'))
  return value
