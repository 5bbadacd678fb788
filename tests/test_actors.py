import logging

from conftest import LEARNER
import numpy as np
import pytest

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import training
from emotion_musicvae.support import configuration

LITE = 'hierdec-mel_16bar_lite'


@pytest.fixture
def one_step(tmp_path, monkeypatch):
  """An empty cache folder, and actors that are trained in one step."""
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path))
  load = configuration.load_learner
  monkeypatch.setattr(
    configuration, 'load_learner', lambda *args: (load(*args)[0], 1)
  )


def test_the_bundled_model_has_its_actor(tmp_path, monkeypatch):
  monkeypatch.setenv('EMOTION_MUSICVAE_CACHE', str(tmp_path))
  prefix = checkpoints.bundled(LITE)
  fingerprint = checkpoints.fingerprint(checkpoints.load_weights(prefix))
  assert actors.find(LITE, fingerprint).trainable_variables
  with pytest.raises(actors.NoActorError, match='`train_actor=True`'):
    actors.find(LITE, 'of another model')


@pytest.mark.slow
def test_an_actor_is_trained_once_where_it_is_asked_for(
  one_step, small_weights, caplog
):
  fingerprint = checkpoints.fingerprint(small_weights)
  with caplog.at_level(logging.INFO, logger='emotion_musicvae'):
    trained = training.find_or_train(LITE, small_weights, fingerprint, LEARNER)
  assert 'training one for 1 steps' in caplog.text
  caplog.clear()
  again = training.find_or_train(LITE, small_weights, fingerprint, LEARNER)
  assert not caplog.text
  for one, other in zip(trained.trainable_variables, again.trainable_variables):
    np.testing.assert_array_equal(one, other)
