import errno
import gzip
import os
import resource
import shutil
import signal
import tarfile
import threading
import time
import types

from conftest import pack
import numpy as np
import pytest

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.support import caches
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError

LITE = 'hierdec-mel_16bar_lite'


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
  """Prefix of a checkpoint of the bundled model's sizes, random weights."""
  _, h = configuration.load_model_config(LITE)
  shapes = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
  folder = tmp_path_factory.mktemp('run') / 'train'
  return checkpoints.write(str(folder), 5, hierdec.initial_weights(shapes, 0))


def _located(**kwargs):
  with checkpoints.located(LITE, **kwargs) as prefix:
    return checkpoints.load_model(prefix, LITE)


def _packed(lite, path, folder=''):
  files = [lite + '.index', lite + '.data-00000-of-00001']
  return pack(
    path, [(folder + os.path.basename(f), open(f, 'rb').read()) for f in files]
  )


def test_full_size_variables_have_the_published_shapes():
  """As users dumped them from Magenta's checkpoint, 176,061,530 floats."""
  shapes = hierdec.variable_shapes(512, [2048, 2048], [1024, 1024])
  assert sum(np.prod(s) for s in shapes.values()) == 176_061_530
  core = 'core_decoder/decoder/multi_rnn_cell/cell_0/lstm_cell/kernel'
  assert shapes[core] == [2138, 4096]
  encoder = (
    'encoder/cell_1/bidirectional_rnn/bw/multi_rnn_cell/cell_0/lstm_cell/kernel'
  )
  assert shapes[encoder] == [6144, 8192]


def test_every_way_to_name_a_checkpoint_gives_the_same_weights(lite, tmp_path):
  run_dir = os.path.dirname(os.path.dirname(lite))
  expected = checkpoints.fingerprint(checkpoints.load_weights(lite))
  ways = [
    {'checkpoint_file': lite},
    {'checkpoint_file': lite + '.index'},
    {'checkpoint_file': lite + '.data-00000-of-00001'},
    {'checkpoint_file': os.path.dirname(lite)},
    {'checkpoint_file': _packed(lite, tmp_path / 'flat.tar')},
    {'checkpoint_file': _packed(lite, tmp_path / 'deep.tar', 'a/b/')},
    {'run_dir': run_dir},
  ]
  for way in ways:
    assert checkpoints.fingerprint(_located(**way)) == expected, way


def test_what_was_unpacked_is_gone_afterwards(lite, tmp_path):
  with checkpoints.located(LITE, _packed(lite, tmp_path / 'a.tar')) as prefix:
    assert os.path.exists(prefix + '.index')
  assert not os.path.exists(os.path.dirname(prefix))


def test_only_the_newest_checkpoints_stay_and_the_folder_can_move(tmp_path):
  for step in range(1, 6):
    checkpoints.write(str(tmp_path / 'a' / 'train'), step, {'x': np.ones(2)})
  os.rename(tmp_path / 'a', tmp_path / 'b')
  prefix = checkpoints.latest(str(tmp_path / 'b'))
  assert checkpoints.read(prefix)['global_step'] == 5
  kept = {
    n.split('.')[1] for n in os.listdir(tmp_path / 'b' / 'train') if '.' in n
  }
  assert kept == {'ckpt-3', 'ckpt-4', 'ckpt-5'}


def test_training_state_is_no_weight(lite, tmp_path):
  weights = checkpoints.load_weights(lite)
  state = {name + '/Adam': value for name, value in weights.items()}
  prefix = checkpoints.write(str(tmp_path), 1, {**weights, **state})
  assert set(checkpoints.load_weights(prefix)) == set(weights)


@pytest.fixture
def published(lite, tmp_path, monkeypatch):
  """A configuration whose address gives what is in `content`, or asked for.

  The bundled weights' sizes under a name of their own; `asked` counts fetches.
  """
  entry, hparams = configuration.load_model_config(LITE)
  entry = {**entry, 'url': 'http://x/hierdec-mel_16bar.tar'}
  packed = open(_packed(lite, tmp_path / 'a.tar', 'folder/'), 'rb').read()
  state = types.SimpleNamespace(content=packed, asked=0)

  def fetch(url, path, progress):
    if os.path.exists(path):
      return
    state.asked += 1
    time.sleep(0.2)
    with open(path, 'wb') as f:
      f.write(state.content)

  monkeypatch.setattr(checkpoints.downloads, 'fetch', fetch)
  monkeypatch.setattr(
    configuration, 'load_model_config', lambda name: (entry, hparams)
  )
  monkeypatch.setattr(checkpoints, 'bundled', lambda config: None)
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path / 'cache'))
  state.kept = lambda: sorted(os.listdir(tmp_path / 'cache' / 'checkpoints'))
  return state


def test_what_is_published_is_fetched_once_and_kept_unpacked(lite, published):
  expected = checkpoints.fingerprint(checkpoints.load_weights(lite))
  for _ in range(2):
    assert checkpoints.fingerprint(_located()) == expected
  assert published.asked == 1
  assert published.kept() == [LITE]


def test_callers_at_once_fetch_once(published):
  found = []
  threads = [
    threading.Thread(target=lambda: found.append(_located())) for _ in range(4)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(found) == 4
  assert published.asked == 1


def _cut(lite, content):
  return content[:-2_000_000]


def _flipped(lite, content):
  # Amid the weights, where only their checksum tells.
  at = len(content) // 2
  return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _page(lite, content):
  return b'<html>Please log in</html>'


@pytest.mark.parametrize('damage', [_cut, _flipped, _page])
def test_what_is_not_whole_is_not_kept(lite, published, damage):
  good = published.content
  published.content = damage(lite, good)
  with pytest.raises(UserError, match='what http.* was removed, as .*; try ag'):
    _located()
  assert not published.kept()
  published.content = good
  assert _located()


def test_no_room_to_unpack_keeps_what_was_fetched(published, monkeypatch):
  def full(*args):
    raise OSError(errno.ENOSPC, 'No space left on device')

  with monkeypatch.context() as context:
    context.setattr(shutil, 'copyfileobj', full)
    with pytest.raises(UserError, match='no room in .* set TMPDIR'):
      _located()
  assert published.kept() == [LITE + '.tar']
  assert _located()
  assert published.asked == 1


def test_an_unpacked_remainder_of_a_killed_process_is_in_nobodys_way(
  published,
):
  home = os.path.join(caches.cache_dir(), 'checkpoints', LITE)
  os.makedirs(home + '.unpacked')
  with open(os.path.join(home + '.unpacked', 'x.index'), 'wb') as f:
    f.write(b'half')
  assert _located()
  assert published.kept() == [LITE]


def test_both_known_prefixes_and_no_global_step_will_do(lite, tmp_path):
  weights = checkpoints.load_weights(lite)
  for name in ('hierdec-mel_16bar.ckpt', 'mel_16bar_hierdec.ckpt'):
    prefix = str(tmp_path / name)
    checkpoints.save(prefix, weights)
    packed = _packed(prefix, tmp_path / 'a.tar', 'a/')
    loaded = _located(checkpoint_file=packed)
    assert checkpoints.fingerprint(loaded) == checkpoints.fingerprint(weights)


def test_a_name_of_megabytes_is_not_read_into_memory(tmp_path):
  """A quarter of a gigabyte of zeros is a quarter of a megabyte of gzip."""
  path = tmp_path / 'bomb.tar.gz'
  info = tarfile.TarInfo('././@LongLink')
  info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**28
  with gzip.open(path, 'wb', 1) as f:
    f.write(info.tobuf())
    for _ in range(2**8):
      f.write(bytes(2**20))
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  with pytest.raises(UserError, match='not safe .* megabytes long'):
    _located(checkpoint_file=str(path))
  grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  assert grown < 100 * 2**10


def test_a_folder_is_waited_for_until_its_process_ends(tmp_path, caplog):
  folder = str(tmp_path / 'actor')
  read, write = os.pipe()
  pid = os.fork()
  if not pid:
    with checkpoints.hold_dir(folder, 'run_dir'):
      os.write(write, b'x')
      time.sleep(0.5)
      os.kill(os.getpid(), signal.SIGKILL)
  os.read(read, 1)
  start = time.monotonic()
  with checkpoints.hold_dir(folder, 'run_dir'):
    assert time.monotonic() - start > 0.4
  assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
  assert 'Another process is at work in' in caplog.text


def test_a_folder_that_cannot_be_held_is_named(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with (
    pytest.raises(UserError, match='cache_dir: cannot write to .*/file'),
    checkpoints.hold_dir(str(tmp_path / 'file'), 'cache_dir'),
  ):
    pass
