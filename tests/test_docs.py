"""The READMEs and every page of the documentation say the same in Korean."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# Pages whose Korean differs on purpose: it points to the English reference.
ENGLISH_ONLY = {'reference.ko.md'}
KOREAN = sorted(
  path
  for folder in (ROOT, ROOT / 'docs')
  for path in folder.glob('*.ko.md')
  if path.name not in ENGLISH_ONLY
)


def test_every_page_has_its_korean_and_links_to_it():
  pages = [p for p in (ROOT / 'docs').glob('*.md') if '.ko.' not in p.name]
  for page in [*pages, ROOT / 'README.md']:
    korean = page.with_name(page.stem + '.ko.md')
    assert korean.exists(), page.name
    for target in re.findall(
      r'\]\((?!http)([^)#]+\.md)', korean.read_text('utf-8')
    ):
      linked = korean.parent / target
      there = linked.with_name(linked.stem + '.ko.md').exists()
      assert not there or page.name == 'README.md' == target, (korean, target)


@pytest.fixture(params=KOREAN, ids=lambda path: path.name)
def both(request):
  """`(English, Korean)` text of a page."""
  korean = request.param
  english = korean.with_name(korean.name.replace('.ko.md', '.md'))
  return [path.read_text(encoding='utf-8') for path in (english, korean)]


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
  assert levels[0]


def test_they_have_the_same_commands(both):
  assert _blocks(both[0]) == _blocks(both[1])
  for english, korean in zip(*map(_prose, both)):
    spans = [
      sorted({' '.join(s.split()) for s in re.findall(r'`([^`]+)`', t)})
      for t in (english, korean)
    ]
    assert spans[0] == spans[1]


def test_they_link_to_the_same_pages(both):
  links = [
    [
      target.replace('.ko.md', '.md').partition('#')[0]
      for target in re.findall(r'\]\(([^)]+)\)', text)
    ]
    for text in both
  ]
  # The README's first link is the one to the other language.
  if 'README.md' in links[1]:
    links = [sorted(set(found) - {'README.md'}) for found in links]
  assert sorted(links[0]) == sorted(links[1])


# As Korean counts millions and names fractions and note values.
_COUNTED = {
  '1,030만': '10.3',
  '380만': '3.8',
  '1억 7,600만': '176',
  '5분의 3': '',
  '16분음표': '',
  '4분음표': '',
}


def _numbers(text):
  text = re.sub(r'\]\([^)]*\)', ']', text)
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
  assert rows[0] == rows[1]


def test_their_text_has_the_same_numbers(both):
  for english, korean in zip(*map(_prose, both)):
    assert set(_numbers(english)) == set(_numbers(korean)), english[:40]


def test_the_readme_can_be_read_at_once():
  lines = (ROOT / 'README.md').read_text(encoding='utf-8').splitlines()
  assert len(lines) <= 150
