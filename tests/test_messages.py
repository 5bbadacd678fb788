"""Commands speak the user's language; every message has its Korean."""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

ROOT = pathlib.Path(__file__).parent.parent
HANGUL = re.compile('[가-힣]')


@pytest.fixture(scope='module')
def tool():
  spec = importlib.util.spec_from_file_location(
    'messages_tool', ROOT / 'tools' / 'messages.py'
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def korean():
  messages.use('ko')
  yield
  messages.use('en')


def test_every_message_has_its_korean_and_it_is_compiled(tool):
  assert tool.faults('ko') == []
  assert len(tool.extracted()) > 400


def test_a_message_without_korean_is_found(tool, monkeypatch):
  there = tool.extracted()
  monkeypatch.setattr(
    tool, 'extracted', lambda: {**there, 'a new {name}': [('x.py', 1)]}
  )
  assert tool.faults('ko') == ['no ko: a new {name}']


def _bare(node):
  """Strings with words in them that no call of `messages` is given."""
  if isinstance(node, ast.Call):
    name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
    if name in ('say', 'say_in', 'mark'):
      return
  if isinstance(node, ast.JoinedStr):
    for value in node.values:
      yield from _bare(value)
  elif isinstance(node, ast.FormattedValue):
    yield from _bare(node.value)
  elif isinstance(node, ast.Constant) and isinstance(node.value, str):
    if re.search(r'[A-Za-z]{2,} [A-Za-z]{2,}', node.value):
      yield node.value
  else:
    for child in ast.iter_child_nodes(node):
      yield from _bare(child)


def test_nothing_is_told_past_the_catalogue():
  found = []
  for path in sorted((ROOT / 'emotion_musicvae').rglob('*.py')):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
      if not isinstance(node, ast.Call):
        continue
      name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
      told = {
        'UserError': node.args[1:],
        'NoActorError': node.args[1:],
        'FloatingPointError': node.args,
        'print': node.args,
        'info': node.args,
        'warning': node.args,
      }.get(name, [])
      found += [(path.name, t) for part in told for t in _bare(part)]
  assert found == []


@pytest.mark.parametrize(
  ('environment', 'language'),
  [
    ({}, 'en'),
    ({'LANG': 'C.UTF-8'}, 'en'),
    ({'LANG': 'ko_KR.UTF-8'}, 'ko'),
    ({'LANG': 'de_DE.UTF-8'}, 'en'),
    ({'LANG': 'ko_KR.UTF-8', 'LC_ALL': 'en_US.UTF-8'}, 'en'),
    ({'LANG': 'en_US.UTF-8', 'LC_MESSAGES': 'ko_KR.UTF-8'}, 'ko'),
    ({'LANG': 'en_US.UTF-8', 'LANGUAGE': 'ko:en'}, 'ko'),
  ],
)
def test_the_language_is_that_of_the_locale(environment, language):
  assert messages.of_locale(environment) == language


def test_python_is_told_in_english_unless_it_asks(korean):
  with pytest.raises(UserError) as error:
    ranges.SEED.check('seed', 'x')
  assert HANGUL.search(str(error.value))
  messages.use('en')
  with pytest.raises(UserError, match='expected an integer from 0 to'):
    ranges.SEED.check('seed', 'x')


@pytest.mark.parametrize(
  'name', ['generate', 'batch', 'calibrate', 'evaluate', 'train', 'pretrain']
)
def test_help_is_korean_and_flags_keep_their_names(run, tmp_path, name):
  status, out, _ = run(name, '--lang=ko', '--help', cwd=tmp_path)
  assert status == 0
  _, english, _ = run(name, '--help', env={'LANG': 'C.UTF-8'}, cwd=tmp_path)
  flag = re.compile(r'^  --(\S+):', re.MULTILINE)
  assert flag.findall(out) == flag.findall(english)
  assert not HANGUL.search(english)
  entries = re.split(r'^  --\S+:', out, flags=re.MULTILINE)
  assert all(HANGUL.search(entry) for entry in entries)
  assert all(
    sum(1 + bool(HANGUL.match(c)) for c in line) <= 90
    for line in out.splitlines()
  )


@pytest.mark.parametrize(
  'arguments',
  [
    ['generate', '--emotion=peaceful', '--num_outputs=0'],
    ['generate', '--emotion=peaceful', '--num_outputs=many'],
    ['generate', '--emotion=peaceful', '--num_output=1'],
    ['generate', '--emotion=책상'],
    ['generate', '--text=The train leaves at nine'],
    ['generate', '--emotion=clear', '--input_midi=/nowhere.mid'],
    ['generate', '--emotion=clear', '--target=chords=C H'],
    ['generate', 'peaceful'],
    ['batch', '--requests=/nowhere.jsonl', '--output_dir=/tmp'],
    ['calibrate', '--output_file=x.yaml'],
    ['evaluate', '--arms=theirs'],
    ['train', '--hparams=loudness=3'],
    ['pretrain'],
  ],
)
def test_mistakes_are_told_in_one_line_of_korean(run, tmp_path, arguments):
  status, _, err = run(*arguments, env={'LANG': 'ko_KR.UTF-8'}, cwd=tmp_path)
  assert status == 2
  assert err.startswith('오류: ')
  assert err.count('\n') == 1
  if 'leaves' not in arguments[-1]:  # what is read in a text is in its language
    assert len(HANGUL.findall(err)) > 5


def test_the_flag_goes_before_the_locale(run, tmp_path):
  korean = {'LANG': 'ko_KR.UTF-8'}
  _, _, err = run('generate', '--lang=en', env=korean, cwd=tmp_path)
  assert err.startswith('Error: --emotion: name one')
  status, out, _ = run(
    'generate', '--lang', 'ko', '--list_emotions', cwd=tmp_path
  )
  assert status == 0
  assert out.startswith('이름')
  listed = subprocess.run(
    [sys.executable, '-m', 'emotion_musicvae'],
    capture_output=True,
    encoding='utf-8',
    env={**os.environ, **korean, 'PYTHONIOENCODING': 'utf-8'},
  )
  out = listed.stdout
  assert len(re.findall(r'^  \w+ .*니다\.$', out, re.MULTILINE)) == 7
