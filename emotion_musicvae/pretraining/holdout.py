"""Which tunes are held out, so that none that is learned gives them away."""

from collections.abc import Sequence
import zlib

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from emotion_musicvae.files import tunes

# Variants of a tune share successions of this many intervals, this share of
# them at least; a succession that more tunes than these share is a commonplace
# and tells nothing.
_RUN, _SHARED_RUNS, _COMMONPLACE = 8, 0.2, 100


def split(
  found: Sequence[tunes.Tune], one_in: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
  """Which tunes are learned from and which are held out; see `are_held_out`.

  Tunes that are in three as they are written are learned from only, so that
  models with and without them are measured by the same ones, unless there are
  no others. Their variants of what is held out are on neither side.

  Args:
    found: the tunes.
    one_in: about one tune in this many is held out.

  Returns:
    `(learned, held_out)`, [N] bool each.
  """
  stretched = np.array([tune.stretched for tune in found], bool)
  if stretched.all():
    stretched[:] = False
  held_out = np.zeros(len(found), bool)
  held_out[~stretched] = are_held_out(
    [tune for tune, three in zip(found, stretched) if not three], one_in
  )
  beside = np.flatnonzero(stretched | held_out).tolist()
  family = families([found[i] for i in beside])
  near = np.zeros(len(found), bool)
  near[beside] = np.isin(family, family[held_out[beside]])
  return ~near & ~held_out, held_out


def are_held_out(
  found: Sequence[tunes.Tune], one_in: int
) -> npt.NDArray[np.bool_]:
  """Which tunes belong to the held-out set, the same on every machine.

  Decided by how a piece begins. A tune with a variant on the training side is
  on that side too, so that nothing held out has been heard under another name.
  Where that holds out nothing, as among a handful of pieces, one family is.

  Args:
    found: the tunes.
    one_in: about one tune in this many is held out.

  Returns:
    [N] bool array.
  """
  beginnings = np.array(
    [
      zlib.crc32(np.diff(tune.notes[:12, 2]).astype(np.int8).tobytes())
      for tune in found
    ],
    np.uint32,
  )[_first_of_piece(found)]
  family = families(found)
  held_out = ~np.isin(family, family[beginnings % one_in != 0])
  if len(found) and not held_out.any():
    held_out = family == family[np.argmin(beginnings)]
  return held_out


def families(found: Sequence[tunes.Tune]) -> npt.NDArray[np.int64]:
  """Groups variants of one tune, whatever name or key they go under.

  Two tunes are variants where they share a fifth of the shorter one's
  successions of eight intervals. The melodies of one piece are a family too.

  Args:
    found: the tunes.

  Returns:
    [N] int array, equal for tunes of one family.
  """
  columns: dict[bytes, int] = {}
  rows: list[int] = []
  cols: list[int] = []
  for row, tune in enumerate(found):
    intervals = np.diff(tune.notes[:, 2]).astype(np.int8)
    starts = range(len(intervals) - _RUN + 1)
    runs = {intervals[i : i + _RUN].tobytes() for i in starts}
    rows += [row] * len(runs)
    cols += [columns.setdefault(run, len(columns)) for run in sorted(runs)]
  shape = [len(found), max(len(columns), 1)]
  has = sparse.csc_array((np.ones(len(rows)), (rows, cols)), shape=shape)
  has = has[:, has.sum(axis=0) <= _COMMONPLACE].tocsr()
  shared = (has @ has.T).tocoo()
  runs = has.sum(axis=1)
  shorter = np.minimum(runs[shared.row], runs[shared.col])
  near = shared.data >= _SHARED_RUNS * shorter
  first = _first_of_piece(found)
  links = (
    np.append(shared.row[near], np.arange(len(found))),
    np.append(shared.col[near], first),
  )
  graph = sparse.coo_array(
    (np.ones(len(links[0])), links), shape=[len(found)] * 2
  )
  return csgraph.connected_components(graph, directed=False)[1]


def _first_of_piece(found: Sequence[tunes.Tune]) -> npt.NDArray[np.int64]:
  """[N] indices of the first tune of each tune's piece."""
  first: dict[str, int] = {}
  return np.array(
    [first.setdefault(tune.name, i) for i, tune in enumerate(found)], int
  )
