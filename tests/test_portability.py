"""What would fail on Windows or macOS, found without either."""

import ast
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / 'emotion_musicvae'
# Modules and functions that are not on every system. None is needed: filelock
# locks, and multiprocessing spawns.
POSIX = {
  'fcntl', 'grp', 'pty', 'pwd', 'resource', 'syslog', 'termios', 'os.chown',
  'os.fork', 'os.forkpty', 'os.getpgid', 'os.getuid', 'os.geteuid',
  'os.killpg', 'os.mkfifo', 'os.nice', 'os.posix_spawn',
  'os.sched_getaffinity', 'os.setsid', 'os.statvfs', 'os.sync', 'os.uname',
  'os.wait', 'os.waitpid', 'signal.SIGALRM', 'signal.SIGHUP',
  'signal.SIGKILL', 'signal.SIGPIPE', 'signal.alarm', 'signal.setitimer',
  'time.tzset',
}  # fmt: skip
# What opens text, and which argument says how.
OPENERS = {'open': 1, 'fdopen': 1, 'NamedTemporaryFile': 0, 'TemporaryFile': 0}


def _name(node):
  """A dotted name, or ''."""
  if isinstance(node, ast.Attribute):
    return f'{_name(node.value)}.{node.attr}'
  return node.id if isinstance(node, ast.Name) else ''


def posix_only(tree):
  """Lines that name what is on POSIX systems alone."""
  for node in ast.walk(tree):
    names = [_name(node)]
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [node.module, *(f'{node.module}.{a.name}' for a in node.names)]
    elif isinstance(node, ast.Constant) and node.value in ('fork', '/dev/null'):
      yield node.lineno, node.value
    for name in names:
      if name in POSIX:
        yield node.lineno, name


def without_encoding(tree):
  """Lines that read or write text in whatever the system's encoding is."""
  for node in ast.walk(tree):
    if not isinstance(node, ast.Call):
      continue
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    name = _name(node.func).rpartition('.')[2]
    if name in ('read_text', 'write_text'):
      is_text = len(node.args) <= (name == 'write_text')
    elif name in OPENERS and _name(node.func) in (
      'open', 'os.fdopen', f'tempfile.{name}'
    ):  # fmt: skip
      place = OPENERS[name]
      mode = given.get('mode') or (
        node.args[place] if len(node.args) > place else None
      )
      modes = [
        part.value
        for part in ast.walk(mode or ast.Constant('r' if place else 'w+b'))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
      ]
      is_text = not all('b' in mode for mode in modes)
    else:
      continue
    if is_text and not {'encoding', None} & {*given}:
      yield node.lineno, name


def _found(check):
  return [
    f'{path.relative_to(PACKAGE)}:{line}: {name}'
    for path in sorted(PACKAGE.rglob('*.py'))
    for line, name in check(ast.parse(path.read_text(encoding='utf-8')))
  ]


def test_nothing_is_asked_of_the_system_that_windows_has_not():
  assert _found(posix_only) == []
  seen = 'import fcntl\nfrom os import fork\nos.waitpid(1)\nf("fork")'
  assert len([*posix_only(ast.parse(seen))]) == 4


def test_text_is_utf_8_whatever_the_system_would_take():
  assert _found(without_encoding) == []
  seen = 'open(p)\nopen(p, "w")\np.read_text()\nNamedTemporaryFile("w")'
  assert len([*without_encoding(ast.parse(seen))]) == 3
  good = 'open(p, "rb")\nopen(p, encoding="utf-8")\nzipped.open(p)'
  assert not [*without_encoding(ast.parse(good))]


@pytest.mark.parametrize('page', ['cp949', 'cp65001', 'cp437'])
def test_a_console_of_windows_shows_what_it_can(page):
  """Korean where its code page has it, escapes where it has not."""
  listed = subprocess.run(
    [sys.executable, '-m', 'emotion_musicvae'],
    capture_output=True,
    env={**os.environ, 'PYTHONIOENCODING': page, 'LANG': 'ko_KR.UTF-8'},
  )
  assert listed.returncode == 0
  assert not listed.stderr
  said = listed.stdout.decode(page)
  if page == 'cp437':
    assert r'\uac10\uc815' in said
  else:
    assert len(re.findall('[가-힣]+', said)) > 20


def test_files_are_moved_over_others_as_windows_would_not(
  tmp_path, monkeypatch
):
  """`os.rename` refuses there; a shard that is done twice moves twice."""
  from emotion_musicvae.batch import storage

  def rename(source, destination):
    raise FileExistsError(destination)

  monkeypatch.setattr(os, 'rename', rename)
  for content in (b'one', b'two'):
    storage.write_all(str(tmp_path), ['a'], [content])
  assert (tmp_path / 'a').read_bytes() == b'two'


def test_the_tests_run_commands_where_there_are_no_forks(tmp_path):
  """As on Windows, where each of them loads TensorFlow for itself."""
  server = 'import os; del os.fork; import forked; forked.main()'
  request = {'module': 'generate', 'flags': ['--emotion=nope'], 'before': ''}
  request |= {'cwd': str(tmp_path), 'env': {}}
  ready, answer = subprocess.run(
    [sys.executable, '-c', server],
    cwd=os.path.dirname(__file__),
    input=json.dumps(request),
    stdout=subprocess.PIPE,
    encoding='utf-8',
    check=True,
  ).stdout.splitlines()
  status, out, err = json.loads(answer)
  assert (ready, status, out) == ('ready', 2, '')
  assert err.startswith('Error: --emotion: ') and err.count('\n') == 1
