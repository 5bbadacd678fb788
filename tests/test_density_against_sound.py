"""What the density loss measures is the power of a plucked string."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='module')
def benchmark():
  path = ROOT / 'benchmarks' / 'density_against_sound.py'
  spec = importlib.util.spec_from_file_location('density_against_sound', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.mark.slow
def test_energy_of_bars_follows_that_of_their_sound(benchmark):
  scores = benchmark.scores(*benchmark.compare(24))
  assert scores['energy of bars, Pearson r'] > 0.93
  rank = scores['energy of tunes with onsets a bar, Spearman rho']
  assert min(rank.values()) > 0.9
