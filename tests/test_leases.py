"""Folders of stores that lock nothing: one launcher has one, and knows it."""

import threading
import time

import pytest
import slow_store  # noqa: F401 (registers it)

from emotion_musicvae.batch import leases
from emotion_musicvae.batch import storage


class Taken(Exception):
  pass


def _refuse():
  raise Taken


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
  monkeypatch.setattr(leases, 'EXPIRES', 3.0)
  monkeypatch.setattr(leases, 'SETTLES', 0.4)


@pytest.fixture
def folder(tmp_path):
  (tmp_path / 'o').mkdir()
  return f'slow://{tmp_path}/o'


def test_of_many_at_once_one_has_it(folder, tmp_path):
  together = threading.Barrier(6)
  had = []

  def ask(i):
    together.wait()
    try:
      with leases.lease(folder, 'lock', _refuse) as is_ours:
        time.sleep(1.5)
        had.append((i, is_ours()))
    except Taken:
      pass

  asking = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
  for thread in asking:
    thread.start()
  for thread in asking:
    thread.join()
  assert [ours for _, ours in had] == [True]
  assert not any((tmp_path / 'o').iterdir())  # It is given back.


def test_who_beats_is_left_alone(folder):
  with leases.lease(folder, 'lock', _refuse) as is_ours:
    for _ in range(2):
      with pytest.raises(Taken), leases.lease(folder, 'lock', _refuse):
        pass
    assert is_ours()


def test_who_was_held_up_loses_it_to_the_next_and_knows(
  folder, tmp_path, monkeypatch
):
  write = leases._write
  with leases.lease(folder, 'lock', _refuse) as is_ours:
    assert is_ours()
    first = (tmp_path / 'o' / 'lock').read_text().split()[0]

    def write_of_others(output_dir, name, ours, count):
      if ours == first:
        raise OSError
      write(output_dir, name, ours, count)

    monkeypatch.setattr(leases, '_write', write_of_others)
    with leases.lease(folder, 'lock', _refuse) as is_the_nexts:
      assert is_the_nexts()
      assert not is_ours()
    assert not is_ours()


@pytest.mark.parametrize('size', [0, 10])
def test_a_file_is_moved_over_what_is_there(folder, size):
  """Though neither this store nor Windows does so of itself."""
  for content in (b'one', b'.' * size):
    storage.write_all(folder, ['a', 'b/c'], [content] * 2)
  for name in ('a', 'b/c'):
    assert storage.read_all(f'{folder}/{name}') == b'.' * size
  with pytest.raises(FileNotFoundError):
    storage.read_all(f'{folder}/d')
