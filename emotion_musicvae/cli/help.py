"""What `--help` says, and mistakes in flags, in the user's language."""

from collections.abc import Iterator
import inspect
import re
import sys
import unicodedata

from absl import flags

from emotion_musicvae.support import messages

_WIDTH = 80  # columns

# What absl-py says of flags, and what is said here in its place.
_MISTAKES = (
  (
    r"Unknown command line flag '(?P<flag>.*)'\. Did you mean: (?P<near>.*) \?",
    messages.mark('there is no flag --{flag}; did you mean --{near}?'),
  ),
  (
    "Unknown command line flag '(?P<flag>.*)'",
    messages.mark('there is no flag --{flag}; --help lists them'),
  ),
  (
    'Missing value for flag --?(?P<flag>.*)',
    messages.mark('--{flag}: give it a value, as in --{flag}=…'),
  ),
  (
    r'flag --(?P<flag>\w+)=(?P<value>.*): value should be one of '
    '<(?P<known>.*)>',
    messages.mark('--{flag}: expected one of {known}, got {value!r}'),
  ),
  (
    r'flag --(?P<flag>\w+)=(?P<value>.*): invalid literal for int.*',
    messages.mark('--{flag}: expected an integer, got {value!r}'),
  ),
  (
    r'flag --(?P<flag>\w+)=(?P<value>.*): could not convert string to float.*',
    messages.mark('--{flag}: expected a number, got {value!r}'),
  ),
  (
    r"flag --(?P<flag>\w+)=(?P<value>.*): \('Non-boolean argument.*",
    messages.mark('--{flag}: expected true or false, got {value!r}'),
  ),
)


def mistake(error: flags.Error) -> str:
  """What absl-py refused in a command line; as it says it, where it is new."""
  said = ' '.join(str(error).split())
  for pattern, message in _MISTAKES:
    match = re.fullmatch(pattern, said)
    if match:
      values = match.groupdict()
      if 'known' in values:
        values['known'] = values['known'].replace('|', ', ')
      return messages.say(message, **values)
  return said


def paragraphs(docstring: str) -> list[str]:
  """The parts of a command's docstring, the first of them one line."""
  return inspect.cleandoc(docstring).split('\n\n')


def text(module: str, in_short: bool = False) -> str:
  """What a command does, and its flags by name.

  Args:
    module: name of the module that defines the flags, or declares them its own.
    in_short: whether each flag has but the line that it begins with.
  """
  lines = [
    messages.say(part) + '\n'
    for part in paragraphs(sys.modules[module].__doc__ or '')
  ]
  own = flags.FLAGS.get_key_flags_for_module(module)
  for flag in sorted(own, key=lambda flag: flag.name):
    entry = list(_entry(flag))
    lines += entry[:1] if in_short else entry
  if in_short:
    lines += ['', messages.say('--help says all of each.')]
  return '\n'.join(lines)


def _entry(flag: flags.Flag) -> Iterator[str]:
  """The lines of one flag."""
  name = f'[no]{flag.name}' if flag.boolean else flag.name
  said = messages.say(flag.help)
  other = flag.help.removeprefix('Alias for --').removesuffix('.')
  if other in flags.FLAGS:  # as absl-py says it
    said = messages.say('Another name of --{flag}.', flag=other)
  yield from _wrapped(said, f'  --{name}: ')
  facts = []
  known = getattr(flag.parser, 'enum_values', None)
  if known:
    facts.append(messages.say('one of {known}', known=', '.join(known)))
  kind = {
    'int': messages.say('an integer'),
    'float': messages.say('a number'),
    'comma separated list of strings': messages.say('a list with commas'),
  }.get(flag.flag_type())
  if kind:
    facts.append(kind)
  if flag.default not in (None, '', [], False):
    shown = flag.default
    if isinstance(shown, list):
      shown = ','.join(shown)
    facts.append(messages.say('default: {value}', value=shown))
  if facts:
    yield from _wrapped(f'({"; ".join(facts)})', ' ' * 4)


def _wrapped(said: str, first: str) -> Iterator[str]:
  """Lines of words that fit on a terminal, where Hangul takes two columns."""
  line = first
  for word in said.split():
    if line.strip() and _columns(line) + _columns(word) > _WIDTH:
      yield line.rstrip()
      line = ' ' * 4
    line += f'{word} '
  yield line.rstrip()


def _columns(said: str) -> int:
  return sum(1 + (unicodedata.east_asian_width(c) in 'WF') for c in said)
