"""tools/pretrain_torch.py makes the updates that the package makes."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.pretraining import initialization
from emotion_musicvae.pretraining import measurement
from emotion_musicvae.pretraining import trainer
from emotion_musicvae.support import configuration

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    importlib.util.find_spec('torch') is None,
    reason='PyTorch, 0.6 GB, is no part of the package: pip install torch',
  ),
]


@pytest.mark.parametrize('latched', [True, False])
def test_an_update_is_the_package_s(tmp_path, latched):
  hparams = configuration.ModelHparams(
    z_size=16,
    enc_rnn_size=(40, 32),
    dec_rnn_size=(48, 36),
    free_bits=8.0,
    batch_size=4,
    latched=latched,
    sounding=0.5,
    weight_decay=0.1,
    averaging=0.9,
    warmup_steps=3,
  )
  shapes = hierdec.variable_shapes(
    hparams.z_size, hparams.enc_rnn_size, hparams.dec_rnn_size
  )
  weights = hierdec.initial_weights(shapes, 0)
  if latched:
    weights = initialization.latched(weights, 0)
  pretrainer = trainer.Pretrainer(hparams, weights, 0)
  rng = np.random.default_rng(0)
  tokens, heard, told = rng.integers(0, 90, [3, 4, 256], np.int32)
  told[rng.random(told.shape) < 0.2] = -1
  # A step of the package, whose noise then is that of both.
  start = {k: v.numpy() for k, v in pretrainer._state().items()}
  noise = measurement.normal([0, 0], weights, 4).numpy()
  np.savez(
    tmp_path / 'in.npz',
    **start,
    **{'mask/' + k: v for k, v in initialization.held_still(weights).items()},
    **{
      'batch/tokens': tokens,
      'batch/heard': heard,
      'batch/told': told,
      'batch/noise': noise,
    },
    global_step=np.int64(0),
    hparams=json.dumps(dataclasses.asdict(hparams)),
  )
  before = pretrainer.step(tokens, heard, told)['losses/r_loss']
  script = os.path.join(os.path.dirname(__file__), 'pretrain_torch_step.py')
  subprocess.run(
    [sys.executable, script, tmp_path / 'in.npz', tmp_path / 'out.npz'],
    check=True,
  )
  with np.load(tmp_path / 'out.npz') as file:
    out = dict(file)
  assert out.pop('r_loss') == pytest.approx(before, rel=1e-4)
  # Halves round what is multiplied to three digits.
  assert out.pop('r_loss/halves') == pytest.approx(before, rel=0.01)
  state = {k: v.numpy() for k, v in pretrainer._state().items()}
  assert set(out) == set(state)
  for name, value in state.items():
    if name.endswith(('/Adam', '/Adam_1')):  # a tenth of the gradient
      scale = np.abs(value).max()
      np.testing.assert_allclose(out[name], value, atol=1e-3 * scale)
      continue
    # Adam's first update is a sign, which the last bit of a gradient tells
    # where there is hardly any.
    moved = np.abs(value - start[name]).max()
    off = np.abs(out[name] - value) > 1e-3 * moved + 1e-6
    assert off.mean() < 0.05, name
