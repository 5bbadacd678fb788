"""Packages that others import and hardly use, loaded at their first use.

Magenta, note_seq and tf_keras import plotting, notebooks, scikit-learn and more
for parts of theirs that nothing here calls: half of the time until the first
note.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import importlib
import sys
import types
from typing import Any


@contextlib.contextmanager
def deferred(*names: str) -> Iterator[None]:
  """Lets imports in its body pass over modules until these are used.

  What is loaded already stays as it is. Outside the body `import` finds the
  modules themselves.

  Args:
    *names: modules, as `import` names them; `package:part` also defers a module
      that is taken from the package while it is imported.
  """
  stands: dict[str, types.ModuleType] = {}
  for name in names:
    name, _, part = name.partition(':')
    if name not in sys.modules:
      load = functools.partial(_load, name)
      stands[name] = sys.modules[name] = _Later(name, load, part)
  try:
    yield
  finally:
    for name, stand in stands.items():
      if sys.modules.get(name) is stand:
        del sys.modules[name]


class _Later(types.ModuleType):
  """Stands for a module, which is loaded when something in it is asked for."""

  def __init__(
    self, name: str, load: Callable[[], Any], part: str = ''
  ) -> None:
    super().__init__(name)
    self.__path__ = []  # `from package import part` asks for it.
    self._load = load
    if part:
      setattr(self, part, _Later(part, lambda: getattr(load(), part)))

  def __getattr__(self, attribute: str) -> Any:
    return getattr(self._load(), attribute)


def _load(name: str) -> types.ModuleType:
  if isinstance(sys.modules.get(name), _Later):
    del sys.modules[name]
  return importlib.import_module(name)
