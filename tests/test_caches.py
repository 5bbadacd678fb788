"""What is kept for the next process: found again, thrown away if damaged."""

import os

from emotion_musicvae.support import caches


def test_what_is_compiled_is_kept_in_the_users_folder(tmp_path, monkeypatch):
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path))
  monkeypatch.setenv('TF_XLA_FLAGS', '--other=1')
  caches.keep_compiled()
  other, ours = os.environ['TF_XLA_FLAGS'].split()
  assert other == '--other=1'
  folder = ours.partition('=')[2]
  assert os.path.isdir(folder)
  assert os.path.dirname(folder) == str(tmp_path / 'compiled')
  caches.keep_compiled()
  assert os.environ['TF_XLA_FLAGS'].split() == [other, ours]
  assert not caches.forget_compiled()
  with open(os.path.join(folder, 'a'), 'wb'):
    pass
  assert caches.forget_compiled()
  assert os.listdir(folder) == []


def test_where_no_folder_can_be_made_nothing_is_kept(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path / 'file'))
  monkeypatch.delenv('TF_XLA_FLAGS', raising=False)
  caches.keep_compiled()
  assert 'TF_XLA_FLAGS' not in os.environ
