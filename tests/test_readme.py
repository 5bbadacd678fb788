"""README.md and README.ko.md say the same."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='module')
def both():
  return [
    (ROOT / name).read_text(encoding='utf-8')
    for name in ('README.md', 'README.ko.md')
  ]


def _blocks(text):
  """Fenced blocks without their comments."""
  blocks = re.findall(r'^```.*?^```', text, re.MULTILINE | re.DOTALL)
  return [re.sub(r' +# .*', '', block) for block in blocks]


def _prose(text):
  """What stands outside of fenced blocks, section by section."""
  text = re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL)
  return re.split(r'^(?=#+ )', text, flags=re.MULTILINE)


def test_they_have_the_same_headings_one_by_one(both):
  levels = [re.findall(r'^#+(?= )', text, re.MULTILINE) for text in both]
  assert levels[0] == levels[1]
  assert len(levels[0]) > 10


def test_they_have_the_same_commands(both):
  assert _blocks(both[0]) == _blocks(both[1])
  for english, korean in zip(*map(_prose, both)):
    spans = [
      sorted(set(re.findall(r'`([^`]+)`', t))) for t in (english, korean)
    ]
    assert spans[0] == spans[1]


# As Korean counts millions and names fractions and note values.
_COUNTED = {
  '380만': '3.8',
  '1억 7,600만': '176',
  '5분의 3': '',
  '16분음표': '',
  '4분음표': '',
}


def _numbers(text):
  for korean, english in _COUNTED.items():
    text = text.replace(korean, english)
  return re.findall(r'\d+(?:[.,/]\d+)*%?', text)


def test_their_tables_have_the_same_numbers(both):
  rows = [
    [
      sorted(_numbers(line))
      for line in text.splitlines()
      if line.startswith('|')
    ]
    for text in both
  ]
  assert len(rows[0]) > 50
  assert rows[0] == rows[1]


def test_their_text_has_the_same_numbers(both):
  for english, korean in zip(*map(_prose, both)):
    assert set(_numbers(english)) == set(_numbers(korean)), english[:40]
