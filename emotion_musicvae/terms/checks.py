"""What a term must be able to: said in one line that names file and class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms.term import columns
from emotion_musicvae.terms.term import Term


def _probes() -> npt.NDArray[np.uint8]:
  """[4, 256] melodies to try terms on: silence, one note, many, any."""
  rng = np.random.default_rng(0)
  tokens = np.zeros([4, melody.NUM_STEPS], np.uint8)
  tokens[1, 3] = 50
  tokens[2] = rng.integers(30, 60, melody.NUM_STEPS)
  tokens[3] = rng.choice([0, 0, 0, 1, 40, 42, 44, 47, 49], melody.NUM_STEPS)
  return tokens


def check_measure(term: Term, where: str) -> None:
  """Refuses a term whose `measure` raises, or gives other than it should.

  Args:
    term: to try.
    where: its file and class.

  Raises:
    UserError: names them, and what was expected.
  """
  tokens = _probes()
  try:
    values = np.asarray(term.measure(tokens), float)
  except Exception as e:
    raise refusal(
      where, messages.say('`measure` raised {error}', error=told(e))
    ) from e
  _check_shape(values.shape, len(tokens), term, 'measure', where)
  if not np.isfinite(values).all():
    raise refusal(
      where,
      messages.say(
        '`{method}` gave NaN or infinity, expected finite values, also of a '
        'melody without notes',
        method='measure',
      ),
    )


def check_differentiable(term: Term, where: str) -> None:
  """Refuses a term whose two sides differ, or that has no gradient.

  Loads TensorFlow; for those that are to be trained.

  Args:
    term: that measures.
    where: its file and class.

  Raises:
    UserError: names its file and class, and what was expected.
  """
  import tensorflow as tf

  tokens = _probes()
  certain = tf.one_hot(tokens, melody.NUM_TOKENS)
  drawn = tf.Variable(0.8 * certain + 0.2 / melody.NUM_TOKENS)
  try:
    values = term.expected(certain)
    with tf.GradientTape() as tape:
      total = tf.reduce_sum(term.expected(drawn))
    gradient = tape.gradient(total, drawn)
    bars = term.by_bar(certain)
  except Exception as e:
    raise refusal(
      where,
      messages.say('`expected` or `by_bar` raised {error}', error=told(e)),
    ) from e
  _check_shape(tuple(values.shape), len(tokens), term, 'expected', where)
  measured = columns(term.measure(tokens), term)
  if not np.allclose(columns(values, term), measured, 1e-3, 1e-3):
    raise refusal(
      where,
      messages.say(
        '`expected` of one-hot probabilities differs from `measure`; expected '
        'the same'
      ),
    )
  if gradient is None or not np.asarray(gradient).any():
    raise refusal(
      where,
      messages.say(
        '`expected` has no gradient; expected TensorFlow operations on the '
        'probabilities'
      ),
    )
  if not np.isfinite(np.asarray(gradient)).all():
    raise refusal(where, messages.say('the gradient of `expected` is NaN'))
  shape = (len(tokens), melody.NUM_BARS)
  if bars is not None and tuple(bars.shape) != shape:
    raise refusal(
      where,
      messages.say(
        '`by_bar` gave shape {shape}, expected {expected}',
        shape=tuple(bars.shape),
        expected=shape,
      ),
    )


def _check_shape(
  shape: tuple[int, ...], batch: int, term: Term, method: str, where: str
) -> None:
  able = [(batch, term.size)] + ([(batch,)] if term.size == 1 else [])
  if shape not in able:
    raise refusal(
      where,
      messages.say(
        '`{method}` gave shape {shape}, expected {expected}',
        method=method,
        shape=shape,
        expected=able[-1],
      ),
    )


def refusal(where: str, problem: str) -> UserError:
  """What is said of a term that will not do."""
  return UserError(
    'losses', f'{where}: {problem}', messages.say('see docs/losses.md')
  )


def told(error: Exception) -> str:
  """An error of a user's own code in one line."""
  first = str(error).strip().partition('\n')[0]
  return f'{type(error).__name__}: {first:.200}'
