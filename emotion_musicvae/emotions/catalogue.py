"""The nine emotions: names, aliases and the targets they stand for."""

import dataclasses
import difflib
import math
import re
import sys
import unicodedata

from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError


@dataclasses.dataclass(frozen=True)
class Emotion:
  """What an emotion asks of a melody.

  Attributes:
    name: its name in Korean, or whatever the user's own file calls it.
    alias: its name in ASCII.
    mean_pitch: reference mean pitch of the notes, MIDI.
    onsets_per_bar: reference number of notes begun in a 4/4 bar.
    mode: 'major' or 'minor'.
    chords: progression, see `harmony.bars`.
    qpm: tempo of the written file, quarter notes a minute.
    program: instrument of the written file, General MIDI counted from 0.
    basis: where the references come from.
  """

  name: str = ''
  alias: str = ''
  mean_pitch: float = 66.0
  onsets_per_bar: float = 6.0
  mode: str = 'major'
  chords: str = 'C F G C'
  qpm: float = 120.0
  program: int = 0
  basis: str = ''


def load(path=None):
  """The emotions of a file, in its order.

  Args:
    path: a YAML file laid out as `configs/emotions.yaml`, which it is when
      None.

  Returns:
    List of `Emotion`.

  Raises:
    UserError: the file cannot be read, or says something else; names it.
  """
  if path is None:
    content, where = (
      configuration.load_yaml('emotions'),
      'configs/emotions.yaml',
    )
  else:
    where = f'--emotions_file: {path!r}'
    content = configuration.read_yaml(path, where)
  entries = content.get('emotions') if isinstance(content, dict) else None
  if (
    not isinstance(entries, list)
    or not entries
    or not all(isinstance(entry, dict) for entry in entries)
  ):
    raise UserError(
      f'{where}: expected a list under `emotions:`, as in configs/emotions.yaml'
    )
  found: list[Emotion] = []
  taken: set[str] = set()
  for entry in entries:
    emotion = configuration.build(Emotion, entry, where)
    if not emotion.name:
      raise UserError(f'{where}: an emotion without a name')
    check(emotion, f'{where}: {emotion.name}')
    names = {normalize(emotion.name), normalize(emotion.alias)} - {''}
    if names & taken:
      raise UserError(f'{where}: {emotion.name} stands there twice')
    taken |= names
    found.append(emotion)
  return found


def check(emotion, where):
  """Refuses an emotion that no melody of the model can meet.

  Args:
    emotion: `Emotion`.
    where: what to name in an error, a flag or a file.

  Raises:
    UserError: names the value and its range.
  """
  ranges = {
    'mean_pitch': (21, 108),
    'onsets_per_bar': (0.1, 16),
    'qpm': (10, 400),
    'program': (0, 127),
  }
  for name, (low, high) in ranges.items():
    value = getattr(emotion, name)
    if not low <= value <= high:
      raise UserError(f'{where}: {name} {value:g}, expected {low} to {high}')
  if emotion.mode not in ('major', 'minor'):
    raise UserError(f'{where}: mode {emotion.mode!r}, expected major or minor')


def parse(text, emotions=None):
  """The emotion that a user names, or the blend of several.

  A blend lies between its emotions in mean pitch, and in density and tempo on
  a logarithmic scale. A progression has one key: it is that of the heaviest.

  Args:
    text: a name or alias (see `find`), or several with their weights, as in
      `peaceful:0.7,mysterious:0.3`. Weights count in proportion.
    emotions: list to choose from; the nine when None.

  Returns:
    An `Emotion`.

  Raises:
    UserError: an unknown name, or a weight that is missing, negative or no
      number.
  """
  emotions = load() if emotions is None else emotions
  if ':' not in text and ',' not in text:
    return find(text, emotions)
  parts, weights = [], []
  for part in text.split(','):
    name, _, weight = part.rpartition(':')
    try:
      weights.append(float(weight))
    except ValueError:
      weights.append(-1.0)
    if not name or not 0 <= weights[-1] < float('inf'):
      raise UserError(
        f'--emotion: expected name:weight,… with weights from 0, as in '
        f'peaceful:0.7,mysterious:0.3, got {text!r}'
      )
    parts.append(find(name, emotions))
  if not sum(weights):
    raise UserError(f'--emotion: the weights in {text!r} are all 0')
  return blend(parts, weights)


def blend(parts, weights):
  """An emotion between others, see `parse`.

  Args:
    parts: sequence of `Emotion`.
    weights: one for each, from 0, not all 0.

  Returns:
    An `Emotion`.
  """
  total = sum(weights)

  def between(name, scale, back):
    values = [scale(getattr(part, name)) for part in parts]
    return round(back(sum(w * v for w, v in zip(weights, values)) / total), 6)

  heaviest = parts[weights.index(max(weights))]
  shares = [f'{w / total:.2g}' for w in weights]
  return dataclasses.replace(
    heaviest,
    name='+'.join(f'{p.name}{s}' for p, s in zip(parts, shares)),
    alias='+'.join(f'{p.alias}{s}' for p, s in zip(parts, shares)),
    mean_pitch=between('mean_pitch', float, float),
    onsets_per_bar=between('onsets_per_bar', math.log, math.exp),
    qpm=between('qpm', math.log, math.exp),
    basis=f'blend, chords of {heaviest.name}',
  )


def with_targets(emotion, text):
  """An emotion with some of its targets replaced.

  Args:
    emotion: `Emotion`.
    text: `mean_pitch=70,onsets_per_bar=6,chords=C Am F G`; also mode and qpm.

  Returns:
    An `Emotion`.

  Raises:
    UserError: another name, or a value that is none of its kind or range.
  """
  where = '--target'
  values = configuration.parse_settings(text, where)
  names = ('mean_pitch', 'onsets_per_bar', 'mode', 'chords', 'qpm')
  for name in values:
    if name not in names:
      raise UserError(
        f'{where}: no target is called {name!r}; there are {", ".join(names)}'
      )
  changed = configuration.build(
    Emotion, {**dataclasses.asdict(emotion), **values}, where
  )
  check(changed, where)
  return dataclasses.replace(changed, basis=f'{emotion.basis}; {text}')


def find(text, emotions=None):
  """The emotion that a user names.

  Args:
    text: a name or alias, in composed or decomposed Unicode and any case, also
      as an ASCII or Latin-1 shell hands over the bytes of UTF-8.
    emotions: list to choose from; the nine when None.

  Returns:
    An `Emotion`.

  Raises:
    UserError: no emotion is called so; names the nearest.
  """
  emotions = load() if emotions is None else emotions
  wanted = normalize(text)
  by_name = {}
  for emotion in emotions:
    by_name[normalize(emotion.name)] = emotion
    by_name[normalize(emotion.alias)] = emotion
  if wanted in by_name:
    return by_name[wanted]
  # Hangul syllables share few code points; their letters show who is near.
  letters = {unicodedata.normalize('NFD', name): name for name in by_name}
  nearest = difflib.get_close_matches(
    unicodedata.normalize('NFD', wanted), letters, n=1, cutoff=0.5
  )
  hint = ''
  if nearest:
    emotion = by_name[letters[nearest[0]]]
    hint = f'; did you mean {emotion.name} ({emotion.alias})?'
  raise UserError(
    f'--emotion: there is no emotion {wanted!r}{hint}; --list_emotions lists '
    'them'
  )


def spelled(emotion, text):
  """An emotion's name for files: as the user typed it, in its own spelling.

  The alias where the file system's encoding has no Korean.

  Args:
    emotion: `Emotion`.
    text: what the user typed.
  """
  name = emotion.name
  try:
    name.encode(sys.getfilesystemencoding())
  except UnicodeEncodeError:
    name = emotion.alias
  if normalize(text) == normalize(emotion.alias):
    name = emotion.alias
  # What a path, or a file system somewhere, would take for something else.
  return re.sub(r'[^\w.+-]', '-', name) or 'emotion'


def normalize(text):
  """Brings a name into the one form that names are compared in."""
  try:
    # A shell in another locale than UTF-8 hands over bytes decoded wrongly.
    raw = text.encode(sys.getfilesystemencoding(), 'surrogateescape')
    text = raw.decode('utf-8')
  except UnicodeError:
    pass
  return unicodedata.normalize('NFC', text).strip().casefold()
