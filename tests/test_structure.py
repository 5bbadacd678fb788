"""The house keeps its shape: imports run downward, Magenta in one room."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parent.parent / 'emotion_musicvae'

# From the top of the house to its ground; a module imports only from below.
ROOMS = (
  'batch',
  'jobs',
  'evaluation',
  'arms',
  'generation',
  'songs',
  'hits',
  'outputs',
  'pages',
  'engraving',
  'sound',
  'plots',
  'calibration',
  'actor_critic',
  'networks',
  'losses',
  'pretraining',
  'whitening',
  'corpus',
  'labels',
  'readers',
  'comparison',
  'references',
  'spectrogram',
  'musicvae',
  'checkpoints',
  'distribution',
  'downloads',
  'latches',
  'melody',
  'hierdec',
  'arrangement',
  'harmony',
  'emotions',
  'staging',
  'configuration',
  'deferred',
)


def _imports(path):
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def test_every_module_has_its_room():
  modules = {path.stem for path in PACKAGE.glob('*.py')} - {'__init__'}
  assert modules == set(ROOMS)


def test_imports_run_down_the_house():
  for position, room in enumerate(ROOMS):
    for name in _imports(PACKAGE / f'{room}.py'):
      other = name.removeprefix('emotion_musicvae.')
      if other in ROOMS:
        assert ROOMS.index(other) > position, f'{room} imports {other}'


def _naming(package):
  return {
    str(path.relative_to(PACKAGE))
    for path in PACKAGE.rglob('*.py')
    if any(name.split('.')[0] == package for name in _imports(path))
  }


def test_only_one_module_names_magenta():
  assert _naming('magenta') == {'musicvae.py'}


def test_only_the_batch_command_names_beam():
  assert _naming('apache_beam') == {'batch.py', 'scripts/batch.py'}
