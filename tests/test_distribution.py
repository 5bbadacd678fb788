"""Training on several devices and workers is training on one."""

import json
import os
import subprocess
import sys
import types

import pytest
import tensorflow as tf

from emotion_musicvae.support import distribution
from emotion_musicvae.support.errors import UserError


@pytest.mark.slow
def test_two_devices_learn_what_one_does():
  script = os.path.join(os.path.dirname(__file__), 'two_devices.py')
  done = subprocess.run(
    [sys.executable, script], capture_output=True, text=True, check=True
  )
  told = json.loads(done.stdout.splitlines()[-1])
  assert set(told) == {'actor_and_critic', 'base_model'}
  for learner in told.values():
    assert learner['names'] > 40
    assert learner['scalars'] < 1e-5
    assert learner['variables'] < 1e-4


def test_a_batch_that_cannot_be_shared_out_is_refused():
  three = types.SimpleNamespace(num_replicas_in_sync=3)
  distribution.check_rows(three, batch_size=6)
  with pytest.raises(UserError, match='batch_size 16 cannot .* to 3 devices'):
    distribution.check_rows(three, batch_size=16)


def test_rows_come_together_in_their_order():
  strategy = distribution.strategy('one_device')
  rows = {'a': tf.range(6), 'b': tf.zeros([6, 2])}
  shared = distribution.share(strategy, rows, first=2)
  joined = distribution.joined(strategy, shared)
  assert joined['a'].numpy().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
  ('jobs', 'task', 'chief'),
  [
    (['chief', 'worker'], ('chief', 0), True),
    (['chief', 'worker'], ('worker', 0), False),
    (['worker'], ('worker', 0), True),
    (['worker'], ('worker', 1), False),
  ],
)
def test_one_process_writes_the_files(jobs, task, chief):
  resolver = types.SimpleNamespace(
    task_type=task[0],
    task_id=task[1],
    cluster_spec=lambda: types.SimpleNamespace(jobs=jobs),
  )
  strategy = types.SimpleNamespace(cluster_resolver=resolver)
  assert distribution.is_chief(strategy) is chief
