"""A prior that knows which latent vectors are tunes.

Decoded from N(0, 1) a vector is seldom music, as real melodies fill that
density unevenly. The prior that suits an encoder and a decoder best is the mean
of the posteriors of all melodies (Hoffman and Johnson 2016, "ELBO surgery";
Tomczak and Welling 2018, arXiv 1705.07120, approach it by a few made-up
inputs). So a vector is drawn in two steps: a melody from `lookback`, a model
that learned what melodies are like, then a vector of that melody's posterior.

A prior is fitted to one base model and refused for any other.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import os
from typing import Any
from typing import TypeAlias
import zipfile

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import lookback
from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

FILE = 'prior.npz'
NORMAL = 'normal'  # what is asked for where no prior is to be taken
_VERSION = 3
# Drawn at once, so that a melody does not depend on how many there are.
_ROWS = 12
_MAX_BYTES = 2**28

Floats: TypeAlias = npt.NDArray[np.float32]
# [N, 256] tokens to the mean and the deviation of their posterior, [N, Z] each.
Encode: TypeAlias = Callable[[melody.Tokens], tuple[Floats, Floats]]


@dataclasses.dataclass(frozen=True)
class Prior:
  """Draws latent vectors of melodies.

  Attributes:
    weights: of `lookback`, in as many digits as half precision has.
    temperature: softmax temperature of the pitches of melodies.
    fingerprint: `checkpoints.fingerprint` of the base model.
  """

  weights: lookback.Weights
  temperature: float
  fingerprint: str

  def melodies(self, seeds: Sequence[Sequence[int]]) -> melody.Tokens:
    """Draws the melodies of `vectors`: [N, 256] int32 tokens."""
    return self._melodies([np.random.default_rng(seed) for seed in seeds])

  def _melodies(
    self, generators: Sequence[np.random.Generator]
  ) -> melody.Tokens:
    """Draws a melody by each."""
    drawn = [rng.random(melody.NUM_STEPS, np.float32) for rng in generators]
    noise = np.pad(np.stack(drawn), [(0, -len(drawn) % _ROWS), (0, 0)])
    blocks = [
      lookback.sample(self.weights, noise[i : i + _ROWS], self.temperature)
      for i in range(0, len(noise), _ROWS)
    ]
    return np.concatenate(blocks)[: len(generators)]

  def vectors(self, seeds: Sequence[Sequence[int]], encode: Encode) -> Floats:
    """Draws latent vectors.

    Args:
      seeds: N, at least one; a vector follows from its own alone.
      encode: gives the posterior of melodies by the base model.

    Returns:
      [N, Z].
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    mean, deviation = encode(self._melodies(generators))
    size = mean.shape[1]
    noise = [rng.standard_normal(size, np.float32) for rng in generators]
    return mean + deviation * np.stack(noise)

  def digest(self) -> str:
    """Hexadecimal SHA-256 of all that a draw depends on but the seed."""
    whole = hashlib.sha256(repr(self.temperature).encode())
    for name in sorted(self.weights):
      whole.update(np.ascontiguousarray(self.weights[name]).data)
    return whole.hexdigest()

  def save(self, path: str) -> None:
    """Writes the prior to a file, which appears whole or not at all."""
    facts = {
      'version': _VERSION,
      'fingerprint': self.fingerprint,
      'temperature': self.temperature,
    }
    with atomic.replace_file(path) as f:
      arrays: dict[str, Any] = {
        'facts': np.array(json.dumps(facts)),
        **{
          'weights/' + k: v.astype(np.float16)
          for k, v in sorted(self.weights.items())
        },
      }
      np.savez(f, **arrays)


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
          name.removeprefix('weights/'): arrays[name].astype(np.float32)
          for name in arrays.files
          if name.startswith('weights/')
        },
        float(facts['temperature']),
        str(facts['fingerprint']),
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


def find(asked: str | None, prefix: str, fingerprint: str) -> Prior | None:
  """The prior of a base model.

  Args:
    asked: path of a prior; `NORMAL`; None for the one beside the checkpoint.
    prefix: of the base model's checkpoint, in the folder of the prior or in its
      folder `train`.
    fingerprint: `checkpoints.fingerprint` of the base model.

  Returns:
    The prior; None where that is N(0, 1).

  Raises:
    UserError: as `load` does.
  """
  if asked == NORMAL:
    return None
  if asked is not None:
    return load(asked, fingerprint)
  folder = os.path.dirname(os.path.abspath(prefix))
  if os.path.basename(folder) == 'train':
    folder = os.path.dirname(folder)
  path = os.path.join(folder, FILE)
  return load(path, fingerprint) if os.path.exists(path) else None


def _is_sound(prior: Prior) -> bool:
  """Whether all arrays are there, of shapes that go together, and finite."""
  units = len(prior.weights['lstm/recurrent'])
  return (
    lookback.shapes(units) == {k: v.shape for k, v in prior.weights.items()}
    and 0.0 < prior.temperature < np.inf
    and all(np.isfinite(v).all() for v in prior.weights.values())
  )
