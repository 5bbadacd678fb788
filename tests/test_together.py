"""Composing for many at once: each gets what they would have got alone."""

from concurrent import futures
import threading

import numpy as np
import pytest

from emotion_musicvae.studio import requests
from emotion_musicvae.studio import together
from emotion_musicvae.support.errors import UserError


class Waited:
  """A model that composes nothing until all have asked; counts its calls."""

  def __init__(self, model):
    self.model, self.calls = model, []
    self.has_begun, self.all_asked = threading.Event(), threading.Event()

  def compose(self, orders):
    self.has_begun.set()
    self.all_asked.wait(60)
    self.calls.append(len(orders))
    return self.model.compose(orders)

  def variations(self, *args, **kwargs):
    return self.model.variations(*args, **kwargs)


def _waiting(composer, waited, pool, several):
  """Calls for takes of requests: one is begun with, the others wait."""
  calls = []
  for one in several:
    request = requests.Request.of(one, 64)
    calls.append(pool.submit(requests.compose_some, composer, request, [0, 1]))
    assert waited.has_begun.wait(60)
  while len(composer._waiting) < len(several) - 1:
    threading.Event().wait(0.01)
  return calls


def _asked(model, several):
  """The same, and in how large batches they are composed."""
  waited = Waited(model)
  composer = together.Together(waited, workers=1)
  with futures.ThreadPoolExecutor(len(several)) as pool:
    calls = _waiting(composer, waited, pool, several)
    waited.all_asked.set()
    futures.wait(calls)
  composer.close()
  return calls, waited.calls


def test_the_company_changes_nothing_to_the_byte(model):
  song = {
    'name': 'x',
    'tokens': requests.packed(
      np.tile([60, 0, 0, 0, 64, 0, 0, 1, 67, 0, 0, 0, 62, 0, 0, 0], 4)
    ),
    'qpm': 100,
  }
  several = [
    {'emotion': 'intense', 'seed': 1},
    {'text': 'so happy', 'seed': 1, 'temperature': 0.9, 'intensity': 0.7},
    {'emotion': 'gloomy', 'seed': 7, 'time_signature': '3/4'},
    {'emotion': 'clear', 'seed': 2, 'target': 'syncopation=0.3'},
    {'valence': -0.5, 'arousal': 0.5, 'seed': 3, 'guidance': 0.5},
    {'emotion': 'lively', 'seed': 4, 'song': song},
    {'emotion': 'peaceful', 'seed': 1, 'accompaniment': 'full'},
  ]
  calls, batches = _asked(model, several)
  assert batches == [2, 12]
  for one, call in zip(several, calls):
    request = requests.Request.of(one, 64)
    alone = requests.compose_some(model, request, [0, 1])
    for melody, own in zip(call.result(), alone, strict=True):
      np.testing.assert_array_equal(melody.tokens, own.tokens)
      np.testing.assert_array_equal(melody.z, own.z)
      assert melody.note_sequence == own.note_sequence
      assert melody.record() == own.record()


def test_a_mistake_is_told_to_whom_it_is_of(model):
  class Refusing:
    def compose(self, orders):
      if any(order.seed == 13 for order in orders):
        raise UserError('seed', 'unlucky')
      return model.compose(orders)

  wanted = {'emotion': 'clear', 'guidance': 0.0}
  several = [{**wanted, 'seed': seed} for seed in (1, 13, 2)]
  calls, _ = _asked(Refusing(), several)
  assert len(calls[0].result()) == len(calls[2].result()) == 2
  with pytest.raises(UserError, match='unlucky'):
    calls[1].result()


def test_who_waits_is_let_go_of_at_the_end(model):
  waited = Waited(model)
  composer = together.Together(waited)
  with futures.ThreadPoolExecutor(3) as pool:
    calls = _waiting(
      composer, waited, pool, [{'emotion': 'clear', 'guidance': 0.0}] * 3
    )
    composer.close()
    waited.all_asked.set()
    futures.wait(calls, timeout=60)
  assert len(calls[0].result()) == 2
  for call in calls[1:]:
    assert isinstance(call.exception(), futures.CancelledError)
  with pytest.raises(futures.CancelledError):  # Nor does a later one wait.
    composer.compose([])


def test_whoever_asks_while_it_is_closed_is_let_go_of(model):
  closed_within = together.Together(model)
  pool = closed_within._pool

  class Closing:
    def submit(self, *call):
      closer = threading.Thread(target=closed_within.close)
      closer.start()
      closer.join(0.2)  # It waits until what was asked for is with the pool.
      return pool.submit(*call)

    def shutdown(self, **kwargs):
      pool.shutdown(**kwargs)

  closed_within._pool = Closing()
  request = requests.Request.of({'emotion': 'clear', 'guidance': 0.0}, 64)
  try:
    assert len(requests.compose_some(closed_within, request, [0, 1])) == 2
  except futures.CancelledError:
    pass  # It was closed before the pool came to it.
