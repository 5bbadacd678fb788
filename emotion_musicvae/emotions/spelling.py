"""How names of emotions are typed, compared, and written in names of files."""

import re
import sys
import unicodedata


def normalize(text: str) -> str:
  """Brings a name into the one form that names are compared in."""
  return unicodedata.normalize('NFC', decoded(text)).strip().casefold()


def decoded(text: str) -> str:
  """Text of a shell in another locale than UTF-8, which decodes it wrongly."""
  try:
    raw = text.encode(sys.getfilesystemencoding(), 'surrogateescape')
    return raw.decode('utf-8')
  except UnicodeError:
    return text


def for_files(name: str, alias: str, text: str) -> str:
  """An emotion's name for files: as the user typed it, in its own spelling.

  The alias where the file system's encoding has no Korean.

  Args:
    name: of the emotion.
    alias: its other name.
    text: what the user typed.
  """
  try:
    name.encode(sys.getfilesystemencoding())
  except UnicodeEncodeError:
    name = alias
  if normalize(text) == normalize(alias):
    name = alias
  # What a path, or a file system somewhere, would take for something else.
  return re.sub(r'[^\w.+-]', '-', name) or 'emotion'
