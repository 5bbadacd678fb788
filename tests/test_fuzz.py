"""A short run of tools/fuzz.py: damage to good files, and earlier findings."""

import pathlib
import sys

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / 'tools'))
import fuzz  # noqa: E402

FINDINGS = ROOT / 'tests' / 'findings'


@st.composite
def damaged(draw, seeds):
  """A good file with pieces cut out, put in or changed."""
  data = bytearray(draw(st.sampled_from(seeds)))
  for _ in range(draw(st.integers(0, 5))):
    start = draw(st.integers(0, len(data)))
    end = min(start + draw(st.integers(0, 8)), len(data))
    data[start:end] = draw(st.binary(max_size=8))
  return bytes(data)


@pytest.mark.parametrize('target', fuzz.TARGETS)
def test_damaged_files_are_told_in_one_line(target):
  @settings(deadline=None, derandomize=True, max_examples=60)
  @given(damaged(fuzz.TARGETS[target][1]))
  def check(data):
    fuzz.check(target, data)

  check()


@pytest.mark.parametrize(
  'path', sorted(FINDINGS.glob('*')), ids=lambda path: path.name
)
def test_what_was_found_once_stays_mended(path):
  fuzz.check(path.name.partition('-')[0], path.read_bytes())
