"""Files of music as scores and as monophonic tunes, whatever their format.

What reads a format is imported when a file of it is met.
"""

from collections.abc import Callable
from collections.abc import Iterator
import os
from typing import TypeAlias
import warnings
import zipfile

from emotion_musicvae.files import lines
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

MAX_FILE_BYTES = 2**20  # of one song, some 100,000 notes of MIDI
# Of a file of many, of notation unpacked, and of other notation.
_MAX_RECORDS, _MAX_UNPACKED, _MAX_NOTATION = 2**34, 2**26, 2**24


def read(
  path: str, triple: bool = False
) -> tuple[list[tunes.Tune], list[tunes.Refusal]]:
  """Reads the tunes in quadruple metre of one file.

  Args:
    path: a file whose name ends in one of `FORMATS`.
    triple: as in `pieces`.

  Returns:
    `(tunes, refusals)`: a `Tune` for each melody, and a `Refusal` for each
    piece without any. A file may hold many pieces, a piece many melodies.

  Raises:
    UserError: as `pieces`.
  """
  read: list[tunes.Tune] = []
  refusals = []
  for found in pieces(path, triple=triple):
    if isinstance(found, tunes.Refusal):
      refusals.append(found)
    else:
      read.extend(found.tunes)
  return read, refusals


def pieces(
  path: str, any_metre: bool = False, triple: bool = False
) -> Iterator[tunes.Piece | tunes.Refusal]:
  """Reads one file piece by piece.

  What is not in 4/4, or in 2/2, 2/4 or 4/2, is left out. Changes of tempo do
  not matter, as times are counted in quarter notes.

  Args:
    path: a file whose name ends in one of `FORMATS`.
    any_metre: whether to take what is in other metres, too.
    triple: whether to take what is in three, stretched to four.

  Yields:
    A `Piece`, or the `Refusal` of one without a tune.

  Raises:
    UserError: as `read_scores`.
  """
  for score in read_scores(path):
    if isinstance(score, tunes.Refusal):
      yield score
    else:
      yield lines.piece(score, any_metre, triple)


def read_scores(path: str) -> Iterator[scores.Score | tunes.Refusal]:
  """Reads one file piece by piece, with everything that is played in it.

  Args:
    path: a file whose name ends in one of `FORMATS`.

  Yields:
    A `Score`, or the `Refusal` of one that cannot be read.

  Raises:
    UserError: another ending, or the package that reads it is missing.
  """
  name = os.path.join(*path.split(os.sep)[-2:])
  try:
    found_in = FORMATS[_ending(path)]
  except KeyError:
    raise UserError(
      repr(path),
      messages.say(
        'expected a file ending in {known}', known=', '.join(FORMATS)
      ),
    ) from None
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    try:
      too_large = _too_large(path, name)
      found = iter([too_large] if too_large else found_in(path, name))
      yield next(found, tunes.Refusal(name, tunes.NO_NOTES))
      yield from found
    except ModuleNotFoundError as e:
      raise UserError(
        repr(path),
        messages.say('reading it takes {name}', name=e.name),
        messages.say('type: pip install {name}', name=e.name),
      ) from None
    except UserError:
      raise
    except Exception as e:  # pylint: disable=broad-except
      # Parsers meet malformed files with whatever error comes first.
      yield tunes.unreadable(name, e)


def is_readable(path: str) -> bool:
  """Whether the file's name ends as `read` expects."""
  return _ending(path) in FORMATS


def check_file(path: str, argument: str = 'song') -> None:
  """Refuses what cannot be a melody's file, before anything is loaded.

  Args:
    path: the file.
    argument: what to name in an error.

  Raises:
    UserError: no such file, a folder, empty, too large, or of another kind.
  """
  if os.path.isdir(path):
    raise UserError(
      argument,
      messages.say('{path!r} is a folder', path=path),
      messages.say('name one file'),
    )
  if os.path.exists(path) and not os.path.isfile(path):
    # A pipe would be waited for.
    raise UserError(argument, messages.say('{path!r} is no file', path=path))
  if not is_readable(path):
    raise UserError(
      argument,
      messages.say(
        '{path!r}: expected a file ending in {known}',
        path=path,
        known=', '.join(FORMATS),
      ),
    )
  try:
    with open(path, 'rb') as f:
      size = f.seek(0, os.SEEK_END)
  except OSError as e:
    raise refusals.unreadable(argument, path, e) from None
  if not size:
    raise UserError(
      argument,
      messages.say('{path!r} is empty', path=path),
      messages.say('name a file with a melody'),
    )
  if size > MAX_FILE_BYTES:
    raise UserError(
      argument,
      messages.say(
        '{path!r} has {value:.1f} MiB, where a melody takes kilobytes',
        path=path,
        value=size / 2**20,
      ),
      messages.say(
        'cut out the part with the melody, {value} MiB at most',
        value=MAX_FILE_BYTES // 2**20,
      ),
    )


def _too_large(path: str, name: str) -> tunes.Refusal | None:
  """The `Refusal` of a file that would take minutes and gigabytes, or None."""
  if not os.path.isfile(path):
    raise FileNotFoundError('no file')
  ending = _ending(path)
  size, limit = os.path.getsize(path), _MAX_NOTATION
  if FORMATS[ending] is _midi:
    limit = MAX_FILE_BYTES
  elif ending == '.tfrecord':
    limit = _MAX_RECORDS
  if size <= limit and FORMATS[ending] is _musicxml and _is_packed(path):
    with zipfile.ZipFile(path) as members:
      size = sum(member.file_size for member in members.infolist())
    limit = _MAX_UNPACKED
  if size <= limit:
    return None
  detail = messages.say('more than {count:g} MiB', count=limit / 2**20)
  return tunes.Refusal(name, tunes.TOO_LARGE, detail)


def _is_packed(path: str) -> bool:
  """Whether a file is an archive, whatever its name ends in."""
  with open(path, 'rb') as f:
    return f.read(2) == b'PK'


def _ending(path: str) -> str:
  return os.path.splitext(path)[1].lower()


_Scores: TypeAlias = Iterator[scores.Score | tunes.Refusal]


def _abc(path: str, name: str) -> _Scores:
  from emotion_musicvae.files import abc_tunes

  return abc_tunes.abc_scores(path, name)


def _musicxml(path: str, name: str) -> _Scores:
  from emotion_musicvae.files import notation

  return notation.musicxml_scores(path, name)


def _midi(path: str, name: str) -> _Scores:
  from emotion_musicvae.files import performances

  return performances.midi_scores(path, name)


def _tfrecord(path: str, name: str) -> _Scores:
  from emotion_musicvae.files import performances

  return performances.tfrecord_scores(path, name)


FORMATS: dict[str, Callable[[str, str], _Scores]] = {
  '.abc': _abc,
  '.kar': _midi,
  '.mid': _midi,
  '.midi': _midi,
  '.mxl': _musicxml,
  '.musicxml': _musicxml,
  '.rmi': _midi,
  '.xml': _musicxml,
  '.tfrecord': _tfrecord,
}
