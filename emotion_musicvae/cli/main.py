"""Which command `python -m emotion_musicvae` is to run."""

import ast
import importlib
import importlib.resources
import sys

from emotion_musicvae import __version__
from emotion_musicvae.cli import command
from emotion_musicvae.support import messages

COMMANDS = (
  'generate',
  'studio',
  'batch',
  'calibrate',
  'evaluate',
  'train',
  'pretrain',
)


def console_entry_point() -> None:
  """Gives the rest of the command line to the command that it names first."""
  messages.use(command.language(sys.argv[1:]))
  messages.show_all()
  # A language may be said before the command, as after it.
  spoken = [a for a in sys.argv[1:2] if a.startswith(('--lang=', '-lang='))]
  name, *rest = sys.argv[1 + len(spoken) :] or ['--help']
  if name in COMMANDS:
    sys.argv = [f'emotion_musicvae_{name}', *spoken, *rest]
    importlib.import_module(
      f'emotion_musicvae.cli.{name}'
    ).console_entry_point()
  elif name in ('--help', '-help', '-h', '--helpshort', '-helpshort'):
    with command.told():
      _list()
  elif name in ('--version', '-version'):
    with command.told():
      print(f'emotion_musicvae {__version__}')
  else:
    known = ', '.join(COMMANDS)
    print(
      messages.say(
        'Error: there is no command {name!r}; there are {known}',
        name=name,
        known=known,
      ),
      file=sys.stderr,
    )
    sys.exit(2)


def _list() -> None:
  """Prints the commands, and what each does."""
  print(
    messages.say('python -m emotion_musicvae COMMAND --help says more of each:')
  )
  for known in COMMANDS:
    print(f'  {known:10} {_summary(known)}')


def _summary(name: str) -> str:
  """What a command does, read from its source as it would define its flags."""
  package = importlib.resources.files('emotion_musicvae.cli')
  source = package.joinpath(f'{name}.py').read_text(encoding='utf-8')
  docstring = ast.get_docstring(ast.parse(source)) or ''
  return messages.say(docstring.partition('\n')[0])
