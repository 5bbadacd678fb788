"""Which emotion people gave to which file.

From folders named after emotions, from names that begin with a quadrant as
EMOPIA's do (`Q1_….mid`), or from a CSV of paths with a label, or with valence
and arousal as VGMIDI's has them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from collections.abc import Sequence
import csv
import os
import re
import unicodedata

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import spelling
from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

_MAX_CSV = 16 * 2**20
_QUADRANT = re.compile(r'(Q[1-4])_')
_COLUMNS = {
  'path': ('path', 'file', 'filename', 'file_name', 'midi', '경로', '파일'),
  'label': ('label', 'emotion', '감정', '라벨'),
  'valence': ('valence',),
  'arousal': ('arousal',),
}

# Why a file is left out.
NO_LABEL = messages.mark('without a label')
MISSING = messages.mark('does not exist')
OTHER_FORMAT = messages.mark('of a kind that is not read')
TWO_LABELS = messages.mark('given two different labels')
NO_NUMBERS = messages.mark('valence or arousal is no number on the scale')


class Labels:
  """Labels of files.

  Attributes:
    files: dictionary of path to label, in a fixed order.
    refusals: list of `tunes.Refusal` of what was left out.
    notes: list of sentences on what a user might not expect.
  """

  def __init__(self) -> None:
    self.files: dict[str, str] = {}
    self.refusals: list[tunes.Refusal] = []
    self.notes: list[str] = []
    self._spellings: dict[str, str] = {}
    self._shipped = {
      spelling.normalize(name): emotion.name
      for emotion in catalogue.load()
      for name in (emotion.name, emotion.alias)
    }
    self._conflicting: set[str] = set()

  def add(self, path: str, name: str, label: str) -> None:
    """Gives a file its label.

    Args:
      path: the file.
      name: what to call it in a refusal.
      label: as people wrote it.
    """
    label = ' '.join(_decoded(label).split())
    if not label:
      self.refuse(name, NO_LABEL)
      return
    label = self._one_spelling(label)
    if path in self._conflicting or self.files.get(path, label) != label:
      self._conflicting.add(path)
      self.files.pop(path, None)
      self.refuse(name, TWO_LABELS)
      return
    self.files[path] = label

  def refuse(self, name: str, reason: str) -> None:
    """Leaves a file out, for one of the reasons above."""
    self.refusals.append(tunes.Refusal(name, reason))

  def _one_spelling(self, label: str) -> str:
    """One name for what is written in several ways; the shipped one if any."""
    key = spelling.normalize(label)
    first = self._spellings.setdefault(key, label)
    if first != label:
      composed = unicodedata.normalize('NFC', label)
      if composed == unicodedata.normalize('NFC', first):
        note = messages.say(
          '{label!r} is written in composed and decomposed Unicode; both are '
          'one label.',
          label=composed,
        )
      else:
        note = messages.say(
          '{label!r} is written as {other!r} too; both are one label.',
          label=composed,
          other=label,
        )
      if note not in self.notes:
        self.notes.append(note)
    return self._shipped.get(key, unicodedata.normalize('NFC', first))


def _decoded(name: str) -> str:
  """A folder's name that is not UTF-8, as CP949 where it is that."""
  try:
    return name.encode('utf-8', 'surrogateescape').decode('utf-8')
  except UnicodeDecodeError:
    raw = name.encode('utf-8', 'surrogateescape')
    return raw.decode('cp949', 'backslashreplace')


def from_folders(root: str) -> Labels:
  """Labels of the files under a folder.

  A file's label is the name of the folder in `root` that it lies in; where the
  names of all files begin with a quadrant, that.

  Args:
    root: the folder.

  Returns:
    `Labels`.

  Raises:
    UserError: there is no such folder, or nothing in it that can be read.
  """
  if not os.path.isdir(root):
    raise UserError(
      'input_dir', messages.say('{path!r} is no folder', path=root)
    )
  files = sorted(
    os.path.join(folder, name)
    for folder, _, names in os.walk(root)
    for name in names
    if readers.is_readable(name)
  )
  if not files:
    raise UserError(
      'input_dir',
      messages.say(
        'no file in {path!r} ends in {known}',
        path=root,
        known=', '.join(readers.FORMATS),
      ),
    )
  quadrants = [_QUADRANT.match(os.path.basename(path)) for path in files]
  labels = Labels()
  for path, quadrant in zip(files, quadrants):
    name = os.path.relpath(path, root)
    folder, separator, _ = name.partition(os.sep)
    label = folder if separator else ''
    if quadrant and all(quadrants):
      label = quadrant[1]
    labels.add(path, name, label)
  return labels


def from_csv(
  csv_file: str, root: str | None, scale: tuple[float, float]
) -> Labels:
  """Labels of a CSV.

  With a header that names a path (also `file`, `midi`) and a label (also
  `emotion`), or valence and arousal; or without one, columns in that order.
  Comma, semicolon or tab; UTF-8 or CP949.

  Args:
    csv_file: path of the CSV.
    root: folder that its paths start from; its own when None.
    scale: `(low, high)` ends of the scale of valence and arousal.

  Returns:
    `Labels`.

  Raises:
    UserError: the CSV cannot be read or names no paths and labels.
  """
  rows = _rows(csv_file)
  columns, numbered = _columns(csv_file, rows)
  root = os.path.dirname(csv_file) if root is None else root
  labels, rated = Labels(), []
  for line, row in numbered:
    values = {
      name: row[i].strip() if i < len(row) else ''
      for name, i in columns.items()
    }
    name = f'{os.path.basename(csv_file)} line {line}: {values["path"]}'
    path = _existing(os.path.join(root, values['path']))
    if not path:
      labels.refuse(name, MISSING)
    elif not readers.is_readable(path):
      labels.refuse(name, OTHER_FORMAT)
    elif 'label' in values:
      labels.add(path, name, values['label'])
    else:
      try:
        rating = float(values['valence']), float(values['arousal'])
      except ValueError:
        rating = (float('nan'),) * 2
      if all(scale[0] <= value <= scale[1] for value in rating):
        rated.append((path, name, rating))
      else:
        labels.refuse(name, NO_NUMBERS)
  middle = _middle(rated, scale, labels.notes)
  for (path, name, _), label in zip(
    rated, _places([rating for _, _, rating in rated], middle)
  ):
    labels.add(path, name, label)
  if not labels.files and not labels.refusals:
    raise UserError(
      'labels_file', messages.say('{path!r} has no rows', path=csv_file)
    )
  return labels


def _middle(
  rated: Sequence[tuple[str, str, tuple[float, float]]],
  scale: tuple[float, float],
  notes: list[str],
) -> float:
  """What parts low ratings from high ones; adds to `notes` what is unexpected.

  Some tables, as VGMIDI's own, code low and high as 0 and 1, whatever scale
  people were asked on.
  """
  middle = sum(scale) / 2
  ratings = [rating for _, _, rating in rated]
  codes = {value for rating in ratings for value in rating}
  if codes == {0.0, 1.0} and scale != (0.0, 1.0):
    notes.append(
      messages.say(
        'Valence and arousal are all 0 or 1: taken as low and high, not as '
        'numbers from {low:g} to {high:g}.',
        low=scale[0],
        high=scale[1],
      )
    )
    middle = 0.5
  quadrants = {(v >= middle, a >= middle) for v, a in ratings}
  if len(ratings) > 1 and len(quadrants) == 1:
    notes.append(
      messages.say(
        'All {count} files lie in one quadrant of valence and arousal, whose '
        'scale was taken to go from {low:g} to {high:g}.',
        count=len(ratings),
        low=scale[0],
        high=scale[1],
      )
    )
  return middle


def _rows(csv_file: str) -> list[tuple[int, list[str]]]:
  """`(line number, row)` of each row that is not empty."""
  try:
    with open(csv_file, 'rb') as f:
      raw = f.read(_MAX_CSV + 1)
  except OSError as e:
    raise refusals.unreadable('labels_file', csv_file, e) from None
  if len(raw) > _MAX_CSV:
    raise UserError(
      'labels_file',
      messages.say(
        '{path!r} is larger than {value} MiB',
        path=csv_file,
        value=_MAX_CSV >> 20,
      ),
    )
  for encoding in ('utf-8-sig', 'cp949'):
    try:
      text = raw.decode(encoding)
      break
    except UnicodeDecodeError:
      continue
  else:
    raise UserError(
      'labels_file',
      messages.say('{path!r} is neither UTF-8 nor CP949', path=csv_file),
      messages.say('save it as UTF-8'),
    )
  lines = text.splitlines()
  first = lines[0] if lines else ''
  delimiter = max(',;\t', key=first.count)
  try:
    reader = csv.reader(lines, delimiter=delimiter)
    return [(reader.line_num, row) for row in reader if any(row)]
  except csv.Error as e:
    raise UserError('labels_file', f'{csv_file!r}: {e}') from None


def _columns(
  csv_file: str, rows: list[tuple[int, list[str]]]
) -> tuple[dict[str, int], list[tuple[int, list[str]]]]:
  """Which column holds what, and the rows below the header."""
  if not rows:
    raise UserError(
      'labels_file', messages.say('{path!r} is empty', path=csv_file)
    )
  header = [spelling.normalize(cell) for cell in rows[0][1]]
  found = {
    name: next(i for i, cell in enumerate(header) if cell in known)
    for name, known in _COLUMNS.items()
    if set(known) & set(header)
  }
  if 'path' in found and ('label' in found or len(found) == 3):
    return found, rows[1:]
  if not found and readers.is_readable(rows[0][1][0].strip()):
    if len(header) == 2:
      return {'path': 0, 'label': 1}, rows
    if len(header) == 3:
      return {'path': 0, 'valence': 1, 'arousal': 2}, rows
  raise UserError(
    'labels_file',
    messages.say(
      '{path!r}: expected columns path and label, or path, valence and arousal',
      path=csv_file,
    ),
  )


def _existing(path: str) -> str | None:
  """The path in whichever Unicode form the file system has it; or None."""
  for form in (None, 'NFC', 'NFD'):
    variant = unicodedata.normalize(form, path) if form else path
    if os.path.isfile(variant):
      return os.path.normpath(variant)
  return None


def _places(
  ratings: Sequence[tuple[float, float]], middle: float
) -> Iterator[str]:
  """Names of the emotions whose place pairs of valence and arousal take."""
  places = configuration.load_yaml('calibration')['places']
  quadrants = [
    {(1, 1): 1, (0, 1): 2, (0, 0): 3, (1, 0): 4}[v >= middle, a >= middle]
    for v, a in ratings
  ]
  there = {
    quadrant: sorted(
      a for q, (_, a) in zip(quadrants, ratings) if q == quadrant
    )
    for quadrant in set(quadrants)
  }
  for quadrant, (_, arousal) in zip(quadrants, ratings):
    others = there[quadrant]
    below = bisect.bisect_left(others, arousal)
    # Equal ratings share the middle of the ranks that they take.
    rank = (below + bisect.bisect_right(others, arousal)) / 2 / len(others)
    yield next(
      place['name']
      for place in places
      if place['quadrant'] == quadrant
      and place['arousal'][0] <= rank < place['arousal'][1]
    )
