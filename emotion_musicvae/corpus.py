"""Tunes to train a base model on, as 16-bar windows of melody tokens.

The bundled corpus is read from the music21 package, which carries the ABC
transcriptions; nothing is downloaded. Of its collections only those are used
whose terms let trained weights be passed on (see BUILD_NOTES.md).
"""

import collections
import multiprocessing
import os
import zlib

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from emotion_musicvae import readers
from emotion_musicvae.configuration import UserError

STEPS_PER_BAR = 16
WINDOW_STEPS = 256

FOLK_COLLECTIONS = ('airdsAirs', 'oneills1850', 'ryansMammoth')
# Variants of a tune share successions of this many intervals, this share of
# them at least; a succession that more tunes than these share is a commonplace
# and tells nothing.
_RUN, _SHARED_RUNS, _COMMONPLACE = 8, 0.2, 100
_HOLD, _NOTE_OFF, _FIRST_ONSET, _MIN_PITCH = 0, 1, 2, 21
# Files that make a process of its own worth starting.
_FILES_PER_WORKER = 32
_NOT_ON_GRID = 'off the grid of sixteenths or outside onsets_per_bar'


def folk_files():
  """Paths of the ABC files of the bundled corpus, in a fixed order.

  Raises:
    UserError: music21 is not installed.
  """
  try:
    import music21  # pylint: disable=g-import-not-at-top
  except ModuleNotFoundError:
    raise UserError(
      '--dataset: the folk tunes come with music21; type: pip install music21'
    ) from None

  root = os.path.join(os.path.dirname(music21.__file__), 'corpus')
  return [
    os.path.join(root, collection, name)
    for collection in FOLK_COLLECTIONS
    for name in sorted(os.listdir(os.path.join(root, collection)))
    if name.endswith('.abc')
  ]


def input_files(path):
  """Paths of the music under a folder, or of one file, in a fixed order.

  Raises:
    UserError: nothing is there that `readers.read` reads.
  """
  if not os.path.exists(path):
    raise UserError(f'--input_dir: {path!r} does not exist')
  found = [path] if os.path.isfile(path) else []
  for folder, _, names in os.walk(path):
    found += [os.path.join(folder, name) for name in names]
  files = sorted(filter(readers.is_readable, found))
  if not files:
    raise UserError(
      f'--input_dir: no file in {path!r} ends in {", ".join(readers.FORMATS)}'
    )
  return files


def read_files(files, progress):
  """Reads many files, in as many processes as their number is worth.

  Args:
    files: paths, as `readers.read` takes them.
    progress: wraps the iterator over files, as `tqdm` does.

  Returns:
    `(tunes, refusals)` of all files, in their order.
  """
  results = list(in_parallel(readers.read, files, progress))
  return tuple([x for part in parts for x in part] for parts in zip(*results))


def in_parallel(function, items, progress):
  """Maps over items, in as many processes as their number is worth.

  Args:
    function: a function of a module, of one argument.
    items: sequence of what it takes.
    progress: wraps the iterator over results, as `tqdm` does.

  Yields:
    The results, in the order of the items.
  """
  workers = min(os.cpu_count(), len(items) // _FILES_PER_WORKER)
  if workers < 2:
    yield from progress(map(function, items), total=len(items))
    return
  # A fresh interpreter per worker: TensorFlow does not survive a fork.
  context = multiprocessing.get_context('spawn')
  with context.Pool(workers, _silence) as pool:
    yield from progress(pool.imap(function, items, 4), total=len(items))


def _silence():
  # Each worker would print TensorFlow's greeting; its results come back whole.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def tune_windows(tune, slowdown=1, hop_bars=8):
  """Cuts a tune into 16-bar windows of melody tokens.

  A tune shorter than the window is sung again as further verses, its pick-up
  closing the verse before.

  Args:
    tune: a `readers.Tune`.
    slowdown: factor on all times; 2 halves the onsets per bar.
    hop_bars: bars from one window to the next.

  Returns:
    [N, 256] uint8 tokens as Magenta's 16-bar melody models read them: 0 hold,
    1 note off, i >= 2 onset at MIDI pitch i + 19. N is 0 where the tune has
    notes shorter than a sixteenth at this speed.
  """
  starts, _ = _steps(tune, slowdown)
  if len(np.unique(starts)) < 0.98 * len(starts):
    return np.zeros([0, WINDOW_STEPS], np.uint8)
  pitches = tune.notes[:, 2].astype(int)
  if pitches.min() < 21 or pitches.max() > 108:
    return np.zeros([0, WINDOW_STEPS], np.uint8)
  grid = verse_tokens(tune, slowdown)
  verse = len(grid)
  windows = []
  last = max(verse - WINDOW_STEPS, 0)
  for start in range(0, last + 1, hop_bars * STEPS_PER_BAR):
    index = (start + np.arange(WINDOW_STEPS)) % verse
    window = grid[index]
    if not (window >= _FIRST_ONSET).any():
      continue
    first = int(np.argmax(window >= _FIRST_ONSET))
    window[:first] = _HOLD  # Nothing sounds yet, so there is nothing to end.
    windows.append(window)
  if not windows:
    return np.zeros([0, WINDOW_STEPS], np.uint8)
  return np.stack(windows)


def verse_tokens(tune, slowdown=1):
  """One verse of a tune as melody tokens, its pick-up wrapped to the end.

  Args:
    tune: a `readers.Tune` with pitches from 21 to 108.
    slowdown: factor on all times.

  Returns:
    [S] uint8 tokens, a sixteenth each; of notes on the same one the last.
  """
  verse = round(tune.quarters * slowdown * readers.STEPS_PER_QUARTER)
  starts, stops = _steps(tune, slowdown)
  grid = np.zeros(verse, np.uint8)
  for stop in stops:
    grid[stop % verse] = _NOTE_OFF
  for start, stop in zip(starts, stops):
    inner = np.arange(start + 1, stop) % verse
    grid[inner] = np.where(grid[inner] == _NOTE_OFF, _HOLD, grid[inner])
  grid[starts % verse] = (
    tune.notes[:, 2].astype(int) - _MIN_PITCH + _FIRST_ONSET
  )
  return grid


def _steps(tune, slowdown):
  """[N] sixteenths that the notes of a tune begin on, and that they end on."""
  onsets = tune.notes[:, 0] * slowdown * readers.STEPS_PER_QUARTER
  ends = onsets + tune.notes[:, 1] * slowdown * readers.STEPS_PER_QUARTER
  starts = np.floor(onsets + 0.5).astype(int)
  stops = np.maximum(np.floor(ends + 0.5).astype(int), starts + 1)
  return starts, stops


def families(tunes):
  """Groups variants of one tune, whatever name or key they go under.

  Two tunes are variants where they share a fifth of the shorter one's
  successions of eight intervals. The melodies of one piece are a family too.

  Args:
    tunes: sequence of `readers.Tune`.

  Returns:
    [N] int array, equal for tunes of one family.
  """
  columns, rows, cols = {}, [], []
  for row, tune in enumerate(tunes):
    intervals = np.diff(tune.notes[:, 2]).astype(np.int8)
    starts = range(len(intervals) - _RUN + 1)
    runs = {intervals[i : i + _RUN].tobytes() for i in starts}
    rows += [row] * len(runs)
    cols += [columns.setdefault(run, len(columns)) for run in sorted(runs)]
  shape = [len(tunes), max(len(columns), 1)]
  has = sparse.csc_array((np.ones(len(rows)), (rows, cols)), shape=shape)
  has = has[:, has.sum(axis=0) <= _COMMONPLACE].tocsr()
  shared = (has @ has.T).tocoo()
  runs = has.sum(axis=1)
  shorter = np.minimum(runs[shared.row], runs[shared.col])
  near = shared.data >= _SHARED_RUNS * shorter
  first = _first_of_piece(tunes)
  links = (
    np.append(shared.row[near], np.arange(len(tunes))),
    np.append(shared.col[near], first),
  )
  graph = sparse.coo_array(
    (np.ones(len(links[0])), links), shape=[len(tunes)] * 2
  )
  return csgraph.connected_components(graph, directed=False)[1]


def are_held_out(tunes, one_in):
  """Which tunes belong to the held-out set, the same on every machine.

  Decided by how a piece begins. A tune with a variant on the training side is
  on that side too, so that nothing held out has been heard under another name.
  Where that holds out nothing, as among a handful of pieces, one family is.

  Args:
    tunes: sequence of `readers.Tune`.
    one_in: about one tune in this many is held out.

  Returns:
    [N] bool array.
  """
  beginnings = np.array(
    [
      zlib.crc32(np.diff(tune.notes[:12, 2]).astype(np.int8).tobytes())
      for tune in tunes
    ],
    np.uint32,
  )[_first_of_piece(tunes)]
  family = families(tunes)
  held_out = ~np.isin(family, family[beginnings % one_in != 0])
  if len(tunes) and not held_out.any():
    held_out = family == family[np.argmin(beginnings)]
  return held_out


def _first_of_piece(tunes):
  """[N] indices of the first tune of each tune's piece."""
  first = {}
  return np.array(
    [first.setdefault(tune.name, i) for i, tune in enumerate(tunes)], int
  )


def load(files, hparams, progress):
  """Reads tunes and cuts them into windows.

  Args:
    files: paths, from `folk_files` or `input_files`.
    hparams: `configuration.CorpusHparams`.
    progress: wraps the iterator over files, as `tqdm` does.

  Returns:
    `(train, held_out, tunes, refusals)`: [N, 256] uint8 arrays of tokens, and
    what `readers.read` gave for all files.

  Raises:
    UserError: there are no windows, or none but those to hold out.
  """
  tunes, refusals = read_files(files, progress)
  train, held_out = split_windows(tunes, hparams)
  if not len(held_out):
    raise UserError(
      '--input_dir: no 16-bar melody among its pieces: '
      + _why_none(tunes, refusals, hparams)
    )
  if not len(train):
    raise UserError(
      '--input_dir: all melodies are of one piece, or variants of one; add '
      'another, as evaluation holds one out'
    )
  return train, held_out, tunes, refusals


def split_windows(tunes, hparams):
  """Cuts tunes into windows, split by tune.

  Args:
    tunes: sequence of `readers.Tune`.
    hparams: `configuration.CorpusHparams`.

  Returns:
    `(train, held_out)`: [N, 256] uint8 arrays.
  """
  low, high = hparams.onsets_per_bar
  kept, cut = [], []
  for tune in tunes:
    if tune.quarters < 4 * hparams.min_bars:
      continue
    windows = np.concatenate(
      [
        tune_windows(tune, slowdown, hparams.hop_bars)
        for slowdown in hparams.slowdowns
      ]
    )
    density = (windows >= _FIRST_ONSET).sum(axis=1) / (
      WINDOW_STEPS / STEPS_PER_BAR
    )
    windows = windows[(density >= low) & (density <= high)]
    if len(windows):
      kept.append(tune)
      cut.append(windows)
  sides = are_held_out(kept, hparams.held_out)
  none = [np.zeros([0, WINDOW_STEPS], np.uint8)]
  return tuple(
    np.concatenate(none + [w for w, side in zip(cut, sides) if side == held])
    for held in (False, True)
  )


def summary(tunes, refusals):
  """One line on what was read: how many pieces, and why others were not."""
  left_out = counted([refusal.reason for refusal in refusals])
  read = f'{len({tune.name for tune in tunes})} pieces read'
  return f'{read}; left out: {left_out}.' if left_out else f'{read}.'


def _why_none(tunes, refusals, hparams):
  """Why pieces give no window."""
  short = f'shorter than {hparams.min_bars} bars'
  reasons = {refusal.name: refusal.reason for refusal in refusals}
  for tune in tunes:
    if tune.quarters >= 4 * hparams.min_bars:
      reasons[tune.name] = _NOT_ON_GRID
    else:
      reasons.setdefault(tune.name, short)
  return counted(reasons.values())


def counted(reasons):
  """The reasons with how often each occurs, the commonest first."""
  counts = collections.Counter(reasons).most_common()
  return ', '.join(f'{n} {reason}' for reason, n in counts)
