"""Files appear together, whatever happens to who writes them."""

import errno
import os
import signal
import subprocess
import sys

import filelock
import pytest

from emotion_musicvae.support import atomic

# Writes two files, and is killed as it calls a function for the nth time.
_WRITER = """
import os, signal, sys
from emotion_musicvae.support import atomic
module, function, number = sys.argv[1:]
owner, calls = __import__(module), []
original = getattr(owner, function)
def dies(*args, **settings):
  calls.append(args)
  if len(calls) == int(number):
    os.kill(os.getpid(), signal.SIGKILL)
  return original(*args, **settings)
setattr(owner, function, dies)
with atomic.write_atomically('.', 'run') as files:
  for name in ('a.json', 'b.mid'):
    with open(os.path.join(files, name), 'w') as f:
      f.write(name)
"""


def _write(folder, stem='run'):
  with atomic.write_atomically(folder, stem) as files:
    for name in ('a.json', 'b.mid'):
      with open(os.path.join(files, name), 'w') as f:
        f.write(name)


@pytest.mark.parametrize(
  ('module', 'function', 'number', 'seen', 'left'),
  [
    ('filelock', 'FileLock', 1, [], []),  # before it is locked
    ('os', 'mkdir', 2, [], []),  # before anything is written
    ('builtins', 'open', 2, [], []),  # one of two is written
    ('builtins', 'open', 3, [], []),  # both are, and not marked
    ('os', 'rename', 1, [], ['a.json', 'b.mid']),
    ('os', 'rename', 2, ['b.mid'], ['a.json', 'b.mid']),
    ('os', 'remove', 1, ['a.json', 'b.mid'], ['a.json', 'b.mid']),
    ('shutil', 'rmtree', 1, ['a.json', 'b.mid'], ['a.json', 'b.mid']),
  ],
)
def test_what_a_kill_left_is_completed_or_removed(
  tmp_path, module, function, number, seen, left
):
  writer = subprocess.run(
    [sys.executable, '-c', _WRITER, module, function, str(number)],
    cwd=tmp_path,
  )
  assert writer.returncode == -signal.SIGKILL
  (hidden,) = tmp_path.glob('.*')
  assert sorted({path.name for path in tmp_path.iterdir()}) == sorted(
    [hidden.name, *seen]
  )
  atomic.recover(tmp_path)
  assert sorted(os.listdir(tmp_path)) == left
  for name in left:
    assert (tmp_path / name).read_text() == name


def test_what_is_being_written_is_left_alone(tmp_path):
  with atomic.write_atomically(tmp_path, 'run') as files:
    (tmp_path / 'mine').mkdir()
    atomic.recover(tmp_path)
    assert os.path.isdir(files)
    with pytest.raises(FileExistsError):
      _write(tmp_path)
    assert os.path.isdir(files)
  assert os.listdir(tmp_path) == ['mine']


def test_nothing_is_overwritten_and_nothing_appears_beside_it(tmp_path):
  (tmp_path / 'a.json').write_text('mine')
  with pytest.raises(FileExistsError):
    _write(tmp_path)
  assert os.listdir(tmp_path) == ['a.json']
  assert (tmp_path / 'a.json').read_text() == 'mine'


def test_other_hidden_folders_are_nobodys_business(tmp_path):
  (tmp_path / '.config').mkdir()
  atomic.recover(tmp_path)
  assert os.listdir(tmp_path) == ['.config']


def test_a_locked_folder_is_waited_for_and_left_as_it_was(tmp_path):
  """Three processes add to a number, which none may do at once."""
  counter = tmp_path / 'n'
  counter.write_text('0')
  script = (
    'import sys, time\n'
    'from emotion_musicvae.support import atomic\n'
    'for _ in range(20):\n'
    '  with atomic.lock_dir(".", lambda: None):\n'
    '    n = int(open("n").read())\n'
    '    time.sleep(0.001)\n'
    '    open("n", "w").write(str(n + 1))\n'
  )
  adding = [
    subprocess.Popen([sys.executable, '-c', script], cwd=tmp_path)
    for _ in range(3)
  ]
  assert [process.wait(60) for process in adding] == [0] * 3
  assert counter.read_text() == '60'
  assert os.listdir(tmp_path) == ['n']


def test_a_folder_whose_holder_was_killed_is_free(tmp_path):
  script = (
    'import os\n'
    'from emotion_musicvae.support import atomic\n'
    'with atomic.lock_dir(".", lambda: None):\n'
    '  os.kill(os.getpid(), 9)\n'
  )
  subprocess.run([sys.executable, '-c', script], cwd=tmp_path)
  taken = []
  with atomic.lock_dir(tmp_path, lambda: taken.append(1)):
    pass
  assert not taken
  assert not os.listdir(tmp_path)


def test_where_nothing_can_be_locked_a_folder_is_leased(tmp_path, monkeypatch):
  """By who lives: what one that was killed left is free at once."""

  def no_locks(*_):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

  monkeypatch.setattr(filelock.FileLock, '_acquire', no_locks)
  refused = []
  with atomic.lock_dir(tmp_path, lambda: None) as is_ours:
    assert is_ours()
    script = (
      'import errno, filelock, os, sys\n'
      'from emotion_musicvae.support import atomic\n'
      'def no_locks(*_): raise OSError(errno.ENOTSUP, "")\n'
      'filelock.FileLock._acquire = no_locks\n'
      'with atomic.lock_dir(".", lambda: sys.exit(5)): os._exit(6)\n'
    )
    command = [sys.executable, '-c', script]
    assert subprocess.run(command, cwd=tmp_path).returncode == 5
  assert not os.listdir(tmp_path)
  assert subprocess.run(command, cwd=tmp_path).returncode == 6
  assert os.listdir(tmp_path)
  with atomic.lock_dir(tmp_path, lambda: refused.append(1)):
    assert not refused
  assert not os.listdir(tmp_path)
