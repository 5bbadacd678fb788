"""A prior that knows which latent vectors are tunes.

Decoded from N(0, 1) a vector is seldom music, as real melodies fill that
density unevenly. Here a network gives the velocity at which a draw of N(0, 1)
moves to where encoded melodies are (flow matching, Lipman et al. 2023, arXiv
2210.02747); `flow` learns it. The way is a fixed number of steps, so that equal
noise gives equal vectors, and neighbouring noise neighbouring ones. Backwards
it tells which noise a melody of the user's own stands for.

A prior belongs to the base model whose vectors it learned from and is refused
for any other. This module needs numpy alone.
"""

import dataclasses
import json
import os
from typing import Any
import zipfile

import numpy as np
import numpy.typing as npt

from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

FILE = 'prior.npz'
FREQUENCIES = 2.0 * np.pi * 2.0 ** np.arange(6)  # of the time's features
_VERSION = 1
_ROWS = 64  # moved at once, so that a row does not depend on how many there are
_MAX_BYTES = 2**28

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Prior:
  """Moves draws of N(0, 1) to latent vectors of melodies, and back.

  Attributes:
    weights: arrays by name, as `initial_weights` lays them out.
    mean: [Z] mean of the vectors that it learned from.
    deviation: [Z] their standard deviation.
    fingerprint: `checkpoints.fingerprint` of the base model.
    num_steps: of Heun's method, from noise to vector.
  """

  weights: dict[str, Floats]
  mean: Floats
  deviation: Floats
  fingerprint: str
  num_steps: int = 24

  @property
  def z_size(self) -> int:
    """Size of the latent vector."""
    return len(self.mean)

  def sample(self, count: int, seed: int) -> Floats:
    """Draws latent vectors: [count, Z]; of more, the first are the same."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal([count, self.z_size], np.float32)
    return self.vectors(noise)

  def vectors(self, noise: Floats) -> Floats:
    """Latent vectors [B, Z] that draws of N(0, 1) [B, Z] stand for."""
    moved = self._moved(np.asarray(noise, np.float32), forward=True)
    return moved * self.deviation + self.mean

  def noise(self, vectors: Floats) -> Floats:
    """What `vectors` makes the given latent vectors [B, Z] of: [B, Z].

    Exact but for the steps' error, which is small where melodies are.
    """
    scaled = (np.asarray(vectors, np.float32) - self.mean) / self.deviation
    return self._moved(scaled, forward=False)

  def _moved(self, x: Floats, forward: bool) -> Floats:
    rows = len(x)
    x = np.pad(x, [(0, -rows % _ROWS), (0, 0)])
    times = np.linspace(0.0, 1.0, self.num_steps + 1, dtype=np.float32)
    times = times if forward else times[::-1]
    blocks = []
    for first in range(0, len(x), _ROWS):
      block = x[first : first + _ROWS]
      for start, stop in zip(times[:-1], times[1:]):
        slope = velocity(self.weights, block, start)
        ahead = velocity(self.weights, block + (stop - start) * slope, stop)
        block = block + (0.5 * (stop - start)) * (slope + ahead)
      blocks.append(block)
    return np.concatenate(blocks)[:rows] if blocks else x

  def save(self, path: str) -> None:
    """Writes the prior to a file, which appears whole or not at all."""
    facts = {
      'version': _VERSION,
      'fingerprint': self.fingerprint,
      'num_steps': self.num_steps,
    }
    with atomic.replace_file(path) as f:
      arrays: dict[str, Any] = {
        'facts': np.array(json.dumps(facts)),
        'mean': self.mean,
        'deviation': self.deviation,
        **{'weights/' + k: v for k, v in sorted(self.weights.items())},
      }
      np.savez(f, **arrays)


def velocity(weights: dict[str, Floats], x: Floats, time: np.float32) -> Floats:
  """How vectors move at a time between noise (0) and melodies (1).

  Args:
    weights: arrays by name, as `initial_weights` lays them out.
    x: [B, Z].
    time: scalar.

  Returns:
    [B, Z].
  """
  h = x @ weights['in/kernel'] + weights['in/bias']
  h = h + time_features(time) @ weights['time/kernel']
  for i in range(num_blocks(weights)):
    scope = f'block_{i}/'
    scale = np.sqrt(np.mean(np.square(h), axis=1, keepdims=True) + 1e-6)
    y = (h / scale) @ weights[scope + 'in/kernel'] + weights[scope + 'in/bias']
    y = y + time_features(time) @ weights[scope + 'time/kernel']
    y = y / (1.0 + np.exp(-np.clip(y, -30.0, 30.0)))
    h = h + y @ weights[scope + 'out/kernel']
  scale = np.sqrt(np.mean(np.square(h), axis=1, keepdims=True) + 1e-6)
  return (h / scale) @ weights['out/kernel'] + weights['out/bias']


def time_features(time: np.float32) -> Floats:
  """[13] float32 features of a time from 0 to 1, for numpy's scalars."""
  angles = np.float32(time) * FREQUENCIES / 4.0
  return np.concatenate([[time], np.cos(angles), np.sin(angles)]).astype(
    np.float32
  )


def num_blocks(weights: dict[str, Floats]) -> int:
  """Residual blocks of a network."""
  return sum(name.endswith('/out/kernel') for name in weights)


def initial_weights(
  z_size: int, units: int, blocks: int, seed: int
) -> dict[str, Floats]:
  """A network whose velocity is zero everywhere.

  Args:
    z_size: size of the latent vector.
    units: width of the residual stream, and of a block's layer.
    blocks: residual blocks.
    seed: integer seed.

  Returns:
    Dictionary of name to float32 array.
  """
  rng = np.random.default_rng(seed)
  times = 2 * len(FREQUENCIES) + 1
  shapes = {'in/kernel': (z_size, units), 'time/kernel': (times, units)}
  for i in range(blocks):
    shapes[f'block_{i}/in/kernel'] = (units, units)
    shapes[f'block_{i}/time/kernel'] = (times, units)
    shapes[f'block_{i}/out/kernel'] = (units, units)
  weights = {
    name: rng.normal(0.0, np.sqrt(1.0 / shape[0]), shape)
    for name, shape in shapes.items()
  }
  for i in range(blocks):
    weights[f'block_{i}/in/bias'] = np.zeros(units)
    weights[f'block_{i}/out/kernel'] *= 0.3
  weights['in/bias'] = np.zeros(units)
  weights['out/kernel'] = np.zeros([units, z_size])
  weights['out/bias'] = np.zeros(z_size)
  return {name: value.astype(np.float32) for name, value in weights.items()}


def load(path: str, fingerprint: str) -> Prior:
  """Reads a prior and sees that it belongs to a base model.

  Args:
    path: what `Prior.save` wrote.
    fingerprint: `checkpoints.fingerprint` of the base model.

  Raises:
    UserError: no such file, damaged, or the prior of another model.
  """
  try:
    if os.path.getsize(path) > _MAX_BYTES:
      raise UserError(path, messages.say('too large for a prior'))
    with np.load(path, allow_pickle=False) as arrays:
      facts = json.loads(str(arrays['facts']))
      prior = Prior(
        {
          name.removeprefix('weights/'): arrays[name]
          for name in arrays.files
          if name.startswith('weights/')
        },
        arrays['mean'],
        arrays['deviation'],
        str(facts['fingerprint']),
        int(facts['num_steps']),
      )
      sound = facts['version'] == _VERSION and _is_sound(prior)
  except OSError as e:
    raise UserError(
      path, messages.say('cannot be read ({reason})', reason=messages.reason(e))
    ) from None
  except UserError:
    raise
  except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
    sound = False
  if not sound:
    raise UserError(
      path, messages.say('damaged, or no prior'), messages.say('fit it again')
    )
  if prior.fingerprint != fingerprint:
    raise UserError(
      path,
      messages.say('the prior of another base model'),
      messages.say('fit one to this model'),
    )
  return prior


def _is_sound(prior: Prior) -> bool:
  """Whether all arrays are there, of shapes that go together, and finite."""
  units = prior.weights['in/bias'].shape[0]
  expected = initial_weights(prior.z_size, units, num_blocks(prior.weights), 0)
  arrays = {**prior.weights, 'mean': prior.mean, 'deviation': prior.deviation}
  return (
    {k: v.shape for k, v in expected.items()}
    == {k: v.shape for k, v in prior.weights.items()}
    and prior.mean.shape == prior.deviation.shape
    and 1 <= prior.num_steps <= 1000
    and all(v.dtype == np.float32 for v in arrays.values())
    and all(np.isfinite(v).all() for v in arrays.values())
    and bool((prior.deviation > 0.0).all())
  )
