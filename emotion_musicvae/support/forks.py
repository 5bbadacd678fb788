"""Processes that were forked from one in which TensorFlow has run.

TensorFlow's threads do not come along, and what is asked of it then waits for
them for ever.
"""

import os

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

_used_in: set[int] = set()  # the process in which a model was loaded first


def check() -> None:
  """Notes that a model is used in this process, or refuses to.

  Raises:
    UserError: a model was used before this process was forked.
  """
  if not _used_in:
    _used_in.add(os.getpid())
  if os.getpid() not in _used_in:
    raise UserError(
      '',
      messages.say('this process was forked after a model was loaded'),
      messages.say(
        'load it after the fork, or start processes by '
        "`multiprocessing.get_context('spawn')`"
      ),
    )
