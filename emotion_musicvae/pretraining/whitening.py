"""Brings the latent vectors of real melodies to the prior.

A base model trained with free bits leaves them in a shape of its own: stretched
along some directions, flat along others, where the prior is round. What is
drawn from the prior then is seldom music. A change of coordinates gives them
the prior's mean and covariance; the encoder makes it and the decoder undoes it,
both in layers that are linear, so that no melody is encoded to another one or
decoded otherwise. (A normal density fitted to the latent vectors afterwards
does the same for sampling, Ghosh et al. 2020, arXiv 1903.12436; here stock
Magenta samples well without knowing of it.)
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import linalg

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import posterior

_Array = npt.NDArray[np.float32]
_MU, _SIGMA = 'encoder/mu/', 'encoder/sigma/'
_STATE = 'decoder/hierarchical_level_0/initial_state/'


def summaries(weights: Mapping[str, _Array], tokens: melody.Tokens) -> _Array:
  """[N, 2H] last states of the encoder after [N, 256] tokens."""
  size = weights[_MU + 'kernel'].shape[0]
  # An encoder whose mean is what its last layer says, unprojected.
  identity = {
    _MU + 'kernel': np.eye(size),
    _MU + 'bias': np.zeros(size),
    _SIGMA + 'kernel': np.zeros([size, size]),
    _SIGMA + 'bias': np.zeros(size),
  }
  identity = {k: v.astype(np.float32) for k, v in identity.items()}
  return posterior.encode({**weights, **identity}, tokens)[0]


def whitened(
  weights: Mapping[str, _Array], summary: _Array
) -> tuple[dict[str, _Array], _Array, _Array]:
  """Weights whose latent vectors of given melodies match the prior.

  Args:
    weights: dictionary of Magenta's variables.
    summary: [N, 2H] `summaries` of the melodies, N well above the size of the
      latent vector.

  Returns:
    `(weights, centre, change)`: a dictionary of float32 arrays; and what makes
    new latent vectors of old ones, `(z - centre) @ change`, [Z] and [Z, Z].
  """
  mean = summary @ weights[_MU + 'kernel'] + weights[_MU + 'bias']
  centre = mean.mean(axis=0)
  # Of posterior samples: each around its mean, and all of them.
  within = np.diag(np.mean(np.square(_deviation(weights, summary)), axis=0))
  covariance = np.cov(mean.T) + within
  # The coordinates in which the one is diagonal and the other the identity, so
  # that diagonal posteriors stay nearly so.
  _, change = linalg.eigh(within, covariance)
  return in_coordinates(weights, summary, centre, change), centre, change


def in_coordinates(
  weights: Mapping[str, _Array],
  summary: _Array,
  centre: _Array,
  change: _Array,
) -> dict[str, _Array]:
  """Weights whose latent vectors are given ones of those before.

  Args:
    weights: dictionary of Magenta's variables.
    summary: [N, 2H] `summaries` of melodies, N well above the size of the
      latent vector.
    centre: [Z], from `whitened`.
    change: [Z, Z], from `whitened`.

  Returns:
    Dictionary of float32 arrays.
  """
  back = np.linalg.inv(change)
  kernel, bias = weights[_STATE + 'kernel'], weights[_STATE + 'bias']
  # A diagonal normal is not diagonal there any more; its diagonal is kept, by
  # the layer that fits it best.
  deviation = _deviation(weights, summary)
  wanted = np.sqrt(np.square(deviation) @ np.square(change))
  features = np.append(summary, np.ones([len(summary), 1]), axis=1)
  # The layer's softplus, inverted.
  solution = np.linalg.lstsq(features, np.log(np.expm1(wanted)), rcond=None)[0]
  changed = {
    _MU + 'kernel': weights[_MU + 'kernel'] @ change,
    _MU + 'bias': (weights[_MU + 'bias'] - centre) @ change,
    _SIGMA + 'kernel': solution[:-1],
    _SIGMA + 'bias': solution[-1],
    _STATE + 'kernel': back @ kernel,
    _STATE + 'bias': bias + centre @ kernel,
  }
  weights = {**weights, **changed}
  return {k: np.asarray(v, np.float32) for k, v in weights.items()}


def _deviation(weights: Mapping[str, _Array], summary: _Array) -> _Array:
  """[N, Z] deviations of the posteriors."""
  return np.logaddexp(
    0.0, summary @ weights[_SIGMA + 'kernel'] + weights[_SIGMA + 'bias']
  )


def moments(
  slots: Mapping[str, _Array],
  centre: _Array,
  change: _Array,
) -> dict[str, _Array]:
  """An optimizer's averages of the gradients, in the new coordinates.

  Args:
    slots: dictionary of name to array, `/Adam` the mean and `/Adam_1` the mean
      square of each variable's gradient.
    centre: [Z], from `whitened`.
    change: [Z, Z], from `whitened`.

  Returns:
    Dictionary of those that change; the mean squares as if the gradients of a
    column or a row were uncorrelated.
  """
  back = np.linalg.inv(change).T
  kernel, bias = _STATE + 'kernel', _STATE + 'bias'
  return {
    **{
      name + suffix: slots[name + suffix] @ back**power
      for name in (_MU + 'kernel', _MU + 'bias')
      for suffix, power in (('/Adam', 1), ('/Adam_1', 2))
    },
    kernel + '/Adam': change.T
    @ (slots[kernel + '/Adam'] - np.outer(centre, slots[bias + '/Adam'])),
    kernel + '/Adam_1': np.square(change.T)
    @ (
      slots[kernel + '/Adam_1']
      + np.outer(np.square(centre), slots[bias + '/Adam_1'])
    ),
  }
