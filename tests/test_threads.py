"""One model is used by many threads; a fork of its process is refused."""

from concurrent import futures
import os

import numpy as np
import pytest

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.emotions import references
from emotion_musicvae.files import songs

THREADS, ROUNDS = 8, 12


def test_threads_decode_what_each_would_alone(stock_model):
  rng = np.random.default_rng(0)
  z = rng.standard_normal([ROUNDS, 3, 12]).astype(np.float32)

  def decode(k):
    return stock_model.decode(z[k], 0.8, [(k, i) for i in range(3)])

  alone = [decode(k) for k in range(ROUNDS)]
  assert len(np.unique(np.concatenate(alone), axis=0)) == 3 * ROUNDS
  rounds = list(range(ROUNDS)) * THREADS
  with futures.ThreadPoolExecutor(THREADS) as pool:
    for k, tokens in zip(rounds, pool.map(decode, rounds)):
      np.testing.assert_array_equal(tokens, alone[k])


@pytest.mark.slow
def test_threads_get_the_bytes_that_each_would_get_alone(model):
  song = songs.Song('tune', references.load_melodies()[5], qpm=90.0)
  ways = (
    lambda seed: model.generate('peaceful', seed=seed),
    lambda seed: model.transform(song, 'gloomy', seed=seed),
    lambda seed: model.interpolate('lively', 'gloomy', n=2, seed=seed),
    lambda seed: model.variations(song, seed=seed),
  )

  def called(k):
    melodies = ways[k % 4](k // 4 % 3)
    return [
      m.note_sequence.SerializeToString(deterministic=True) for m in melodies
    ]

  alone = [called(k) for k in range(12)]
  with futures.ThreadPoolExecutor(THREADS) as pool:
    together = list(pool.map(called, list(range(12)) * THREADS))
  assert len(together) == THREADS * ROUNDS
  assert together == alone * THREADS


def test_a_fork_of_a_process_that_used_a_model_ends_in_one_line(stock_model):
  z = np.zeros([1, 12], np.float32)
  stock_model.decode(z, 1.0, [0])
  begin, end = os.pipe()
  pid = os.fork()
  if not pid:
    for use in (
      lambda: stock_model.decode(z, 1.0, [0]),
      lambda: stock_model.encode(np.zeros([1, 256], np.uint8)),
      EmotionMusicVAE.from_pretrained,
    ):
      try:
        use()
      except Exception as e:
        os.write(end, f'{type(e).__name__}: {e}\n'.encode())
    os._exit(0)
  os.close(end)
  with open(begin, encoding='utf-8') as f:
    told = f.read().splitlines()
  os.waitpid(pid, 0)
  assert len(told) == 3
  for line in told:
    assert line.startswith('UserError: this process was forked after a model')
    assert "get_context('spawn')" in line
