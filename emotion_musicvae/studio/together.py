"""Composing for many at once: what waits is composed in one batch.

A melody is what it is whatever it is composed with, so that nobody hears of the
others but by waiting less: most of what a batch takes, it takes once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
import contextvars
import dataclasses
import threading
from typing import Any

from emotion_musicvae import api

# Eight requests of four, by when a melody costs no less in a larger one.
_MOST = 32


@dataclasses.dataclass(frozen=True)
class _Job:
  """What one request waits for."""

  orders: Sequence[api.Order]
  melodies: futures.Future[list[api.Melody]] = dataclasses.field(
    default_factory=futures.Future
  )


class Together:
  """A model that many threads ask, and a few compose for.

  Args:
    model: that composes; threads may share it.
    workers: threads that do.
  """

  def __init__(self, model: api.EmotionMusicVAE, workers: int = 1) -> None:
    self._model = model
    self._pool = futures.ThreadPoolExecutor(workers, 'compose')
    self._lock = threading.Lock()
    self._waiting: list[_Job] = []
    self._closed = False

  def compose(self, orders: Sequence[api.Order]) -> list[api.Melody]:
    """As the model does, beside what others wait for.

    Raises:
      UserError: one of the orders will not do.
      CancelledError: closed meanwhile, or before.
    """
    job = _Job(orders)
    with self._lock:  # Else it could be closed between the two.
      self._submit(self._compose_waiting)
      self._waiting.append(job)
    return job.melodies.result()

  def variations(self, *args: Any, **kwargs: Any) -> list[api.Melody]:
    """As the model does, in turn with what others wait for.

    Raises:
      CancelledError: closed meanwhile, or before.
    """
    context = contextvars.copy_context()
    with self._lock:
      call = self._submit(context.run, self._model.variations, *args, **kwargs)
    return call.result()

  def close(self) -> None:
    """Lets go of all that waits."""
    with self._lock:
      self._closed = True
    self._pool.shutdown(wait=False, cancel_futures=True)
    for job in self._take():
      job.melodies.cancel()

  def _submit(self, *call: Any, **named: Any) -> futures.Future[Any]:
    if self._closed:
      raise futures.CancelledError()
    return self._pool.submit(*call, **named)

  def _compose_waiting(self) -> None:
    jobs = self._take(_MOST)
    if not jobs:  # Composed with another's.
      return
    try:
      found = iter(self._model.compose([o for job in jobs for o in job.orders]))
      for job in jobs:
        job.melodies.set_result([next(found) for _ in job.orders])
    except Exception as e:
      if len(jobs) == 1:
        jobs[0].melodies.set_exception(e)
        return
      # Of somebody's; each is told their own.
      for job in jobs:
        self._compose_alone(job)

  def _compose_alone(self, job: _Job) -> None:
    try:
      job.melodies.set_result(self._model.compose(job.orders))
    except Exception as e:
      job.melodies.set_exception(e)

  def _take(self, most: int | None = None) -> list[_Job]:
    """What has waited longest, of so many orders where there are more."""
    with self._lock:
      count, orders = 0, 0
      for job in self._waiting:
        orders += len(job.orders)
        if most is not None and count and orders > most:
          break
        count += 1
      taken, self._waiting = self._waiting[:count], self._waiting[count:]
    return taken
