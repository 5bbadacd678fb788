"""Terms of a user's own: of a file, or named beside those there are."""

from __future__ import annotations

from collections.abc import Iterable
import importlib.util
import os
import re
import typing

from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import checks
from emotion_musicvae.terms import registry

# Where copies of them lie beside a run, and what says which they are.
_FOLDER, _LIST = 'losses', 'classes.txt'
FILE = re.compile(r'(?P<path>.+\.py):(?P<name>\w+)')


def load(specs: Iterable[str]) -> list[str]:
  """Names of terms that are asked for by name, by file, or all.

  Args:
    specs: names of `known` terms; `path.py:Class`, which is made known; `all`.

  Raises:
    UserError: none of that name, no such file or class, or one that will not
      do.
  """
  terms = registry.known()
  names: list[str] = []
  for spec in specs:
    match = FILE.fullmatch(spec)
    if match:
      where = os.path.abspath(match['path']) + ':' + match['name']
      kind = _class_of(match['path'], match['name'], spec)
      names.append(registry.add(kind, where).name)
    elif spec == 'all':
      names += terms
    elif spec in terms:
      names.append(spec)
    else:
      raise UserError(
        'losses',
        messages.say('there is no term {name!r}', name=spec),
        messages.say(
          'there are all, {known}, and yours as path.py:Class',
          known=', '.join(terms),
        ),
      )
  return list(dict.fromkeys(names))


def keep(names: Iterable[str], run_dir: str) -> None:
  """Puts copies of the files of a user's own terms beside a run.

  Args:
    names: of terms.
    run_dir: folder of the run.
  """
  folder = os.path.join(run_dir, _FOLDER)
  lines = []
  for name in names:
    match = FILE.fullmatch(registry.where_from(name))
    if not match:
      continue
    os.makedirs(folder, exist_ok=True)
    copy = os.path.join(folder, f'{match["name"]}.py')
    if os.path.abspath(match['path']) != os.path.abspath(copy):
      with open(match['path'], 'rb') as f, atomic.replace_file(copy) as kept:
        kept.write(f.read())
    lines.append(f'{name} {match["name"]}\n')
  if lines:
    with atomic.replace_file(os.path.join(folder, _LIST)) as f:
      f.write(''.join(lines).encode())


def load_run(run_dir: str) -> list[str]:
  """Makes the terms known whose files lie beside a run; their names.

  Their Python is run, as that of any program; not that of one that is known by
  its name and class already.

  Args:
    run_dir: folder of the run.

  Raises:
    UserError: one that will not do.
  """
  folder = os.path.join(run_dir, _FOLDER)
  try:
    with open(os.path.join(folder, _LIST), encoding='utf-8') as f:
      kept = [line.split() for line in f if line.strip()]
  except OSError:
    return []

  def spec(name: str, kind: str) -> str:
    known = name in registry.known()
    if known and registry.where_from(name).endswith(f':{kind}'):
      return name
    return f'{os.path.join(folder, kind)}.py:{kind}'

  return load(spec(name, kind) for name, kind in kept)


def _class_of(path: str, name: str, spec: str) -> typing.Any:
  """The class of a user's file."""
  if not os.path.isfile(path):
    raise UserError(
      'losses', messages.say('there is no file {path!r}', path=path)
    )
  source = importlib.util.spec_from_file_location(
    f'_emotion_musicvae_losses_{abs(hash(os.path.abspath(path)))}', path
  )
  assert source is not None and source.loader is not None
  module = importlib.util.module_from_spec(source)
  try:
    source.loader.exec_module(module)
  except Exception as e:
    raise checks.refusal(
      spec, messages.say('cannot be loaded: {error}', error=checks.told(e))
    ) from e
  if not hasattr(module, name):
    raise checks.refusal(
      spec, messages.say('there is no class {name}', name=name)
    )
  return getattr(module, name)
