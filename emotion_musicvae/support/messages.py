"""What is said to the user, in English or Korean, through gettext.

A message stands in the code in English, and in Korean in
`locale/ko/LC_MESSAGES/emotion_musicvae.po`, which `tools/messages.py` keeps and
compiles. Python callers are told in English unless they `use` another language;
a command uses that of the locale, or of its flag.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import contextvars
import functools
import gettext
import importlib.resources
import io
import locale
import os
import sys

LANGUAGES = ('en', 'ko')
DOMAIN = 'emotion_musicvae'

_language = 'en'
# Of whoever is answered just now, where many are.
_asked: contextvars.ContextVar[str | None] = contextvars.ContextVar(
  'language', default=None
)


def use(language: str) -> None:
  """Says all that follows in a language, one of `LANGUAGES`."""
  global _language
  _language = language


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
  """Says what follows in this context, a thread or task, in a language."""
  token = _asked.set(language)
  try:
    yield
  finally:
    _asked.reset(token)


def language() -> str:
  """The language in use."""
  return _asked.get() or _language


def of_locale(environment: Mapping[str, str] = os.environ) -> str:
  """The language of the user's locale: 'ko', or 'en' for any other.

  Args:
    environment: variables, which gettext's own come from, in their order.
  """
  for name in ('LANGUAGE', 'LC_ALL', 'LC_MESSAGES', 'LANG'):
    named = environment.get(name, '')
    if named:
      break
  else:
    named = locale.getlocale()[0] or ''  # Windows has no such variables.
  return 'ko' if named.lower().startswith('ko') else 'en'


def show_all() -> None:
  """Has a terminal show the escapes of what it cannot show."""
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):  # None: it is closed.
      stream.reconfigure(errors='backslashreplace')


def say(message: str, **values: object) -> str:
  """A message in the language in use.

  Args:
    message: in English, with fields as `str.format` has them; a literal, which
      the catalogue is made from.
    **values: of its fields.
  """
  return say_in(language(), message, **values)


def say_in(language: str, message: str, **values: object) -> str:
  """A message in the given language, English for one that there is not."""
  # The empty message is gettext's name for the catalogue's own head.
  said = _catalogue(language).gettext(message) if message else ''
  return said.format(**values) if values else said


def mark(message: str) -> str:
  """A message that is said later, for `tools/messages.py` to find."""
  return message


_REASONS = tuple(
  map(
    str,
    (
      mark('No such file or directory'),
      mark('Permission denied'),
      mark('Is a directory'),
      mark('Not a directory'),
      mark('No space left on device'),
      mark('File exists'),
      mark('File name too long'),
      mark('Read-only file system'),
      mark('Input/output error'),
      mark('Disk quota exceeded'),
    ),
  )
)


def reason(error: OSError) -> str:
  """Why the system refused something, in the language in use."""
  return say(error.strerror) if error.strerror else str(error)


@functools.cache
def _catalogue(language: str) -> gettext.NullTranslations:
  if language not in LANGUAGES[1:]:
    return gettext.NullTranslations()
  folder = importlib.resources.files('emotion_musicvae') / 'locale'
  path = folder / language / 'LC_MESSAGES' / f'{DOMAIN}.mo'
  with path.open('rb') as f:
    return gettext.GNUTranslations(f)
