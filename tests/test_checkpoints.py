import io
import os
import tarfile

import numpy as np
import pytest

from emotion_musicvae import checkpoints
from emotion_musicvae import configuration
from emotion_musicvae import hierdec
from emotion_musicvae.configuration import UserError

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


def _tar(path, members):
  with tarfile.open(path, 'w') as tar:
    for name, content in members:
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return str(path)


def _packed(lite, path, folder=''):
  files = [lite + '.index', lite + '.data-00000-of-00001']
  return _tar(
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


def test_the_published_tar_is_fetched_into_the_cache(
  lite, tmp_path, monkeypatch
):
  packed = _packed(lite, tmp_path / 'a.tar', 'folder/')
  asked = []

  def fetch(url, path, progress):
    asked.append(url)
    os.makedirs(os.path.dirname(path))
    os.rename(packed, path)

  monkeypatch.setattr(checkpoints.downloads, 'fetch', fetch)
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path / 'cache'))
  with checkpoints.located('hierdec-mel_16bar') as prefix:
    assert checkpoints.load_model(prefix, LITE)
  assert asked[0].endswith('/hierdec-mel_16bar.tar')
  assert os.listdir(tmp_path / 'cache' / 'checkpoints') == [
    'hierdec-mel_16bar.tar'
  ]


def test_a_published_tar_that_does_not_unpack_is_not_kept(
  lite, tmp_path, monkeypatch
):
  folder = tmp_path / 'checkpoints'
  folder.mkdir()
  whole = open(_packed(lite, tmp_path / 'a.tar'), 'rb').read()
  (folder / 'hierdec-mel_16bar.tar').write_bytes(whole[:-2_000_000])
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path))
  with pytest.raises(UserError, match='no checkpoint, and was removed'):
    _located_published()
  assert not os.listdir(folder)


def _located_published():
  with checkpoints.located('hierdec-mel_16bar'):
    pass
