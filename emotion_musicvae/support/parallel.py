"""Work shared out to processes of this machine."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import multiprocessing
import os
from typing import TypeVar

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')

# Files that make a process of its own worth starting.
_FILES_PER_WORKER = 32


def in_parallel(
  function: Callable[[_Item], _Result],
  items: Sequence[_Item],
  progress: Callable[..., Iterable[_Result]],
) -> Iterator[_Result]:
  """Maps over items, in as many processes as their number is worth.

  Args:
    function: a function of a module, of one argument.
    items: sequence of what it takes.
    progress: wraps the iterator over results, as `tqdm` does.

  Yields:
    The results, in the order of the items.
  """
  workers = min(os.cpu_count() or 1, len(items) // _FILES_PER_WORKER)
  if workers < 2:
    yield from progress(map(function, items), total=len(items))
    return
  # A fresh interpreter per worker: TensorFlow does not survive a fork.
  context = multiprocessing.get_context('spawn')
  with context.Pool(workers, _silence) as pool:
    yield from progress(pool.imap(function, items, 4), total=len(items))


def _silence() -> None:
  # Each worker would print TensorFlow's greeting; its results come back whole.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
