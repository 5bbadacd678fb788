"""The nine emotions: names, aliases and the targets they stand for."""

import dataclasses
import difflib
import sys
import unicodedata

from emotion_musicvae import configuration
from emotion_musicvae.configuration import UserError


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
    basis: where the references come from.
  """

  name: str = ''
  alias: str = ''
  mean_pitch: float = 66.0
  onsets_per_bar: float = 6.0
  mode: str = 'major'
  chords: str = 'C F G C'
  qpm: float = 120.0
  basis: str = ''


def load():
  """The emotions of `configs/emotions.yaml`, in its order."""
  entries = configuration.load_yaml('emotions')['emotions']
  return [
    configuration.build(Emotion, entry, 'configs/emotions.yaml')
    for entry in entries
  ]


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


def spelled(text):
  """The name for files: the one that the user typed, in its own spelling.

  The alias where the file system's encoding has no Korean.
  """
  emotion = find(text)
  try:
    emotion.name.encode(sys.getfilesystemencoding())
  except UnicodeEncodeError:
    return emotion.alias
  typed = normalize(text)
  return emotion.alias if typed == normalize(emotion.alias) else emotion.name


def normalize(text):
  """Brings a name into the one form that names are compared in."""
  try:
    # A shell in another locale than UTF-8 hands over bytes decoded wrongly.
    raw = text.encode(sys.getfilesystemencoding(), 'surrogateescape')
    text = raw.decode('utf-8')
  except UnicodeError:
    pass
  return unicodedata.normalize('NFC', text).strip().casefold()
