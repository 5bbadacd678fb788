"""Keeps and compiles the Korean of what is said to the user.

python tools/messages.py          # after a message was added or changed
python tools/messages.py --check  # ends with 1 if one has no Korean

Takes the messages out of the code: what is given to `messages.say`, `say_in`
and `mark`, the help of flags, and the docstrings of the commands. Those that
are new stand in the catalogue with an empty `msgstr`, to be filled in by hand;
run it again then, as the program reads the compiled `.mo`.
"""

import argparse
import ast
from collections.abc import Iterator
import datetime
import gettext
import io
import pathlib
import string
import sys

from babel.messages import catalog
from babel.messages import mofile
from babel.messages import pofile

from emotion_musicvae.cli import help
from emotion_musicvae.cli import main as commands
from emotion_musicvae.support import messages

_HEAD = """\
msgid ""
msgstr ""
"Language: %s\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
PACKAGE = pathlib.Path(__file__).parent.parent / 'emotion_musicvae'


def path(language: str, ending: str) -> pathlib.Path:
  """The catalogue of a language: 'po' to edit, 'mo' for the program."""
  folder = PACKAGE / 'locale' / language / 'LC_MESSAGES'
  return folder / f'{messages.DOMAIN}.{ending}'


def extracted() -> dict[str, list[tuple[str, int]]]:
  """Every message of the code, with the files and lines that it stands in."""
  found: dict[str, list[tuple[str, int]]] = {}
  for file in sorted(PACKAGE.rglob('*.py')):
    tree = ast.parse(file.read_text(encoding='utf-8'))
    name = file.relative_to(PACKAGE.parent).as_posix()
    said = list(_said(tree))
    if file.parent.name == 'cli' and file.stem in commands.COMMANDS:
      parts = help.paragraphs(ast.get_docstring(tree) or '')
      # Examples of commands are the same in any language.
      said += [(p, 1) for p in parts if not p.startswith(messages.DOMAIN)]
    for message, line in said:
      found.setdefault(message, []).append((name, line))
  return found


def _said(tree: ast.Module) -> Iterator[tuple[str, int]]:
  for node in ast.walk(tree):
    if not isinstance(node, ast.Call):
      continue
    name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
    if name in ('say', 'mark'):
      place = 0
    elif name == 'say_in':
      place = 1
    elif name in ('DEFINE', 'DEFINE_enum'):
      place = 3
    elif name.startswith('DEFINE_') and name != 'DEFINE_alias':
      place = 2
    else:
      continue
    argument = node.args[place]
    if isinstance(argument, ast.Constant):
      yield argument.value, node.lineno


def fields(message: str) -> set[str]:
  """Names of the fields of a message, with how they are to be shown."""
  return {
    f'{name}!{conversion}:{spec}'
    for _, name, spec, conversion in string.Formatter().parse(message)
    if name
  }


def faults(language: str) -> list[str]:
  """What is wrong with the catalogue of a language, a line each."""
  with open(path(language, 'po'), 'rb') as f:
    said = {m.id: m.string for m in pofile.read_po(f, language) if m.id}
  there = extracted()
  found = [f'no {language}: {m}' for m in there if not said.get(m)]
  found += [f'not in the code: {m}' for m in said if m not in there]
  for message, translated in said.items():
    try:
      alike = fields(message) == fields(translated)
    except ValueError:  # Braces that are none of a field.
      alike = True
    if not alike:
      found.append(f'other fields: {message}')
  with open(path(language, 'mo'), 'rb') as f:
    compiled = gettext.GNUTranslations(f)
  if any(compiled.gettext(message) != said[message] for message in said):
    found.append('not compiled: run tools/messages.py')
  return found


def update(language: str) -> None:
  """Brings the catalogue of a language up to date with the code."""
  said = {}
  if path(language, 'po').exists():
    with open(path(language, 'po'), 'rb') as f:
      said = {m.id: m.string for m in pofile.read_po(f, language)}
  new = catalog.Catalog(language, messages.DOMAIN, fuzzy=False)
  for message, places in extracted().items():
    files = dict.fromkeys(name for name, _ in places)
    new.add(message, said.get(message, ''), [(name, None) for name in files])
  # Without a head of dates and versions, which change by themselves.
  with io.BytesIO() as body:
    pofile.write_po(body, new, width=80, omit_header=True, include_lineno=False)
    text = body.getvalue().decode('utf-8')
  path(language, 'po').write_text(_HEAD % language + text, encoding='utf-8')
  new.creation_date = new.revision_date = datetime.datetime(2020, 1, 1)
  with open(path(language, 'mo'), 'wb') as f:
    mofile.write_mo(f, new)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--check', action='store_true')
  check = parser.parse_args().check
  for language in messages.LANGUAGES[1:]:
    if not check:
      update(language)
    found = faults(language)
    print(*found, f'{len(extracted())} messages', sep='\n')
    if check and found:
      sys.exit(1)


if __name__ == '__main__':
  main()
