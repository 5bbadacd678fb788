"""An update by `tools/pretrain_torch.py`, for tests/test_pretrain_torch.py.

python tests/pretrain_torch_step.py IN.npz OUT.npz

In a process of its own, as TensorFlow and PyTorch's compiler do not get on in
one. IN.npz has the arrays of a checkpoint, and a batch under `batch/`.
"""

import json
import os
import sys

import numpy as np
import torch

sys.path.insert(
  0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools')
)
import pretrain_torch

from emotion_musicvae.support import configuration


def main(path: str, result: str) -> None:
  with np.load(path) as file:
    arrays = dict(file)
  hparams = configuration.ModelHparams(**json.loads(str(arrays.pop('hparams'))))
  batch = [
    arrays.pop('batch/' + name) for name in ('tokens', 'heard', 'told', 'noise')
  ]
  masks = {
    name: arrays.pop(name) for name in list(arrays) if name.startswith('mask/')
  }
  masks = {name.removeprefix('mask/'): value for name, value in masks.items()}
  trainer = pretrain_torch.Trainer(hparams, arrays, masks, torch.float32)
  losses = {'r_loss': trainer.step(*batch)['r_loss']}
  halves = pretrain_torch.Trainer(hparams, arrays, masks)
  losses['r_loss/halves'] = halves.step(*batch)['r_loss']
  np.savez(result, **trainer.state(), **losses)


if __name__ == '__main__':
  main(*sys.argv[1:])
