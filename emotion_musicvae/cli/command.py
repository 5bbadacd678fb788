"""The commands. What they share: flags and errors told in one line."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import os
import re
import sys
import tempfile
from typing import NoReturn

from absl import app
from absl import flags

from emotion_musicvae._version import __version__
from emotion_musicvae.cli import help
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

# Flags that name a file or a folder.
_PATH = re.compile(r'_(dir|file)$|^(input_midi|requests)')


def run(module: str, main: Callable[[], None]) -> None:
  """Runs a command: exit status 2 and one line for a mistake of the user's.

  Args:
    module: name of the module whose flags `--help` shows.
    main: what to run once the flags are parsed, without arguments.
  """
  messages.use(language(sys.argv[1:]))
  messages.show_all()

  def parse(argv: list[str]) -> list[str]:
    asked = set(argv[1:])
    if asked & {'--help', '-help', '-h', '--helpshort', '-helpshort'}:
      with told():
        print(help.text(module, not asked & {'--help', '-help', '-h'}))
      sys.exit(0)
    try:
      rest = flags.FLAGS(argv)
    except flags.Error as e:
      _fail(help.mistake(e))
    if flags.FLAGS.version:
      with told():
        print(f'emotion_musicvae {__version__}')
      sys.exit(0)
    if len(rest) > 1:
      _fail(
        messages.say(
          'unexpected {value!r}; every option is a flag, see --help',
          value=rest[1],
        )
      )
    return rest

  def guarded(argv: list[str]) -> None:
    del argv
    show_messages()
    _expand_home()
    if flags.FLAGS.cache_dir:
      os.environ['EMOTION_MUSICVAE_CACHE'] = flags.FLAGS.cache_dir
    with told():
      main()

  app.run(guarded, flags_parser=parse)


def language(arguments: list[str]) -> str:
  """The language that --lang asks for, or that of the locale.

  Args:
    arguments: of the command; what is wrong with them is to be said in it.
  """
  asked = ''
  for argument, following in zip(arguments, [*arguments[1:], '']):
    name, is_given, value = argument.partition('=')
    if name in ('--lang', '-lang'):
      asked = value if is_given else following
  return asked if asked in messages.LANGUAGES else messages.of_locale()


def _expand_home() -> None:
  """Puts the home folder where a path begins with ~.

  A shell does so only where a word begins with it, not after `--output_dir=`.
  """
  for name, flag in flags.FLAGS.flag_values_dict().items():
    if _PATH.search(name) and isinstance(flag, str):
      flags.FLAGS[name].value = os.path.expanduser(flag)


def show_messages() -> None:
  """Prints what the library logs, as it says it, on standard output."""
  logger = logging.getLogger('emotion_musicvae')
  handler = logging.StreamHandler(sys.stdout)
  handler.setFormatter(logging.Formatter('%(message)s'))
  logger.addHandler(handler)
  logger.setLevel(logging.INFO)
  logger.propagate = False


@contextlib.contextmanager
def told() -> Iterator[None]:
  """Ends the command in one line for what is no bug."""
  try:
    yield
    if sys.stdout:
      sys.stdout.flush()  # What cannot be written shows here at the latest.
  except UserError as e:
    _fail(in_flags(e))
  except FloatingPointError as e:
    print(messages.say('Error: {error}', error=e), file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print(messages.say('Interrupted.'), file=sys.stderr)
    sys.exit(130)
  except BrokenPipeError:
    _hush()
    sys.exit(141)
  except OSError as e:
    # Whoever writes files names them; what is left was printed.
    _hush()
    named = e.filename or messages.say('standard output')
    _fail(f'{named}: {messages.reason(e)}')


def _hush() -> None:
  """Keeps Python from failing once more on what waits for standard output."""
  if sys.stdout:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_strategy(name: str) -> None:
  """Refuses what is no strategy of `distribution`.

  Raises:
    UserError: names the flag and those there are.
  """
  known = ('one_device', 'mirrored', 'multi_worker_mirrored')
  if name not in known:
    raise refusals.unknown('distribution_strategy', name, known)


def check_folder(flag: str, path: str) -> None:
  """Refuses a folder that could not be made or written to; makes nothing.

  Raises:
    UserError: names the flag and the folder.
  """
  there = os.path.abspath(path)
  while not os.path.lexists(there):
    there = os.path.dirname(there)
  try:
    with tempfile.TemporaryFile(dir=there):
      pass
  except OSError as e:
    raise refusals.unwritable(flag, path, e) from None


def set_log(level: str) -> None:
  """Sets what Magenta, TensorFlow and matplotlib log, before they are loaded.

  Raises:
    UserError: no such level.
  """
  levels = ('DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL')
  if level not in levels:
    raise refusals.unknown('log', level, levels)
  quiet.set_log(level)


# Arguments of the Python API that a command calls otherwise.
_FLAGS_OF = {
  'formats': 'output_formats',
  'n': 'num_outputs',
  'song': 'input_midi',
  'to_song': 'input_midi_2',
}


def in_flags(error: UserError) -> str:
  """A mistake as a command tells it: arguments by the names of its flags."""

  def flag(name: str) -> str | None:
    name = _FLAGS_OF.get(name, name)
    return f'--{name}' if name in flags.FLAGS else None

  def named(match: re.Match[str]) -> str:
    name = flag(match[1])
    return name + ''.join(match.groups()[1:]) if name else match[0]

  # A setting of an argument, or a file of it, may follow its name.
  argument = re.sub(r'^(\w+)(?=$|[:=])', named, error.argument)
  problem, remedy = (
    re.sub(r'`(\w+)((?:=[^`]*)?)`', named, text)
    for text in (error.problem, error.remedy)
  )
  return str(UserError(argument, problem, remedy))


def _fail(message: object) -> NoReturn:
  print(
    messages.say('Error: {error}', error=' '.join(str(message).split())),
    file=sys.stderr,
  )
  sys.exit(2)
