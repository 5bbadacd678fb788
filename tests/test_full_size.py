"""The stand-in for the published model sings what the bundled one sings."""

import importlib.util
import pathlib

import numpy as np
import pytest

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.support import configuration

LARGE = configuration.ModelHparams(
  z_size=20, enc_rnn_size=(32, 24), dec_rnn_size=(28, 36)
)


@pytest.fixture(scope='module')
def benchmark():
  path = pathlib.Path(__file__).parent.parent / 'benchmarks/full_size.py'
  spec = importlib.util.spec_from_file_location('full_size', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_an_enlarged_model_sings_and_hears_the_same(
  benchmark, small_weights, random_tokens
):
  small = configuration.ModelHparams(
    z_size=12, enc_rnn_size=(24, 16), dec_rnn_size=(20, 28)
  )
  weights = benchmark.enlarged(small_weights, small, LARGE)
  shapes = hierdec.variable_shapes(20, (32, 24), (28, 36))
  assert {k: list(v.shape) for k, v in weights.items()} == shapes
  z = np.random.default_rng(0).standard_normal([4, 20]).astype(np.float32)
  drawn = hierdec.uniform([1, 2], 4)
  np.testing.assert_array_equal(
    hierdec.sample(weights, z, 1.0, drawn),
    hierdec.sample(small_weights, z[:, :12], 1.0, drawn),
  )
  tokens = random_tokens[:4].astype(np.int32)
  heard = zip(
    hierdec.encode(weights, tokens), hierdec.encode(small_weights, tokens)
  )
  for (ours, theirs), new in zip(heard, (0.0, 1.0)):
    np.testing.assert_allclose(ours[:, :12], theirs, atol=1e-5)
    np.testing.assert_allclose(ours[:, 12:], new, atol=1e-6)
