"""Magenta and Beam are named in one place each.

That imports run downward is held by import-linter, see pyproject.toml.
"""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parent.parent / 'emotion_musicvae'


def _imports(path):
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _naming(package):
  return {
    str(path.relative_to(PACKAGE))
    for path in PACKAGE.rglob('*.py')
    if any(name.split('.')[0] == package for name in _imports(path))
  }


def test_only_one_module_names_magenta():
  assert _naming('magenta') == {'musicvae/stock.py'}


def test_only_batch_jobs_name_beam():
  folders = {name.split('/')[0] for name in _naming('apache_beam')}
  assert folders == {'batch'}
  assert 'batch/requests.py' not in _naming('apache_beam')
