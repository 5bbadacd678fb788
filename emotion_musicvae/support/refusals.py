"""The mistakes that are made in many places, told alike in all of them."""

from collections.abc import Iterable
import os

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError


def unknown(
  argument: str, value: object, known: Iterable[str], remedy: str = ''
) -> UserError:
  """A name that there is not."""
  return UserError(
    argument,
    messages.say(
      'expected one of {known}, got {value!r}',
      known=', '.join(known),
      value=value,
    ),
    remedy,
  )


def unreadable(
  argument: str, path: str | os.PathLike[str], error: OSError
) -> UserError:
  """A file that the system does not give."""
  return UserError(
    argument,
    messages.say(
      '{path!r} cannot be read ({reason})',
      path=os.fspath(path),
      reason=messages.reason(error),
    ),
  )


def unwritable(
  argument: str,
  path: str | os.PathLike[str],
  error: OSError,
  remedy: str = '',
) -> UserError:
  """A folder in which nothing can be written, seen before anything is."""
  return UserError(
    argument,
    messages.say(
      'cannot write to {path!r} ({reason})',
      path=os.fspath(path),
      reason=messages.reason(error),
    ),
    remedy or messages.say('name a folder you may write to'),
  )


def unwritten(
  argument: str, path: str | os.PathLike[str], error: OSError
) -> UserError:
  """A file, or several that belong together, for which there was no room."""
  return UserError(
    argument,
    messages.say(
      'could not write {path!r} ({reason})',
      path=os.fspath(path),
      reason=messages.reason(error),
    ),
    messages.say('nothing was kept'),
  )
