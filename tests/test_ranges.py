"""Ranges: what is in, what is out, and how it is told."""

import numpy as np
import pytest

from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError


@pytest.mark.parametrize(
  ('able', 'value'),
  [
    (ranges.NUM_OUTPUTS, 1),
    (ranges.NUM_OUTPUTS, np.int64(7)),
    (ranges.SEED, 2**63 - 1),
    (ranges.TEMPERATURE, np.float32(0.5)),
    (ranges.TEMPERATURE, 1),
  ],
)
def test_what_is_in_range_passes(able, value):
  able.check('x', value)
  assert able.parse('x', value) == value
  assert able.parse('x', str(value)) == value


@pytest.mark.parametrize(
  ('able', 'value', 'told'),
  [
    (ranges.NUM_OUTPUTS, 0, 'n: expected 1 to 100000, got 0'),
    (
      ranges.NUM_OUTPUTS,
      '3',
      "n: expected an integer from 1 to 100000, got '3'",
    ),
    (ranges.NUM_OUTPUTS, 2.5, 'n: expected an integer from 1 .*, got 2.5'),
    (ranges.NUM_OUTPUTS, True, 'n: expected an integer from 1 .*, got True'),
    (ranges.NUM_OUTPUTS, None, 'n: expected an integer from 1 .*, got None'),
    (ranges.SEED, 2**63, 'n: expected 0 to 9223372036854775807, got'),
    (ranges.TEMPERATURE, float('nan'), 'n: expected 0.01 to 10, got nan'),
    (ranges.TEMPERATURE, '1', "n: expected a number from 0.01 to 10, got '1'"),
  ],
)
def test_what_is_not_is_told_by_its_argument(able, value, told):
  with pytest.raises(UserError, match='^' + told) as error:
    able.check('n', value)
  assert error.value.argument == 'n'


@pytest.mark.parametrize('text', ['2.5', 'many', '', 'nan', '1e999'])
def test_text_that_is_no_integer_in_range_is_refused(text):
  with pytest.raises(UserError, match='^count: expected an integer from 1 to'):
    ranges.COUNT.parse('count', text)
