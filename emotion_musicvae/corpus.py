"""Tunes to train a base model on, as bar-aligned notes and 16-bar windows.

The bundled corpus is read from the music21 package, which carries the ABC
transcriptions; nothing is downloaded. Of its collections only those are used
whose terms let trained weights be passed on (see BUILD_NOTES.md).
"""

import dataclasses
import multiprocessing
import os
import re
import warnings
import zlib

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

STEPS_PER_QUARTER = 4
STEPS_PER_BAR = 16
WINDOW_STEPS = 256

FOLK_COLLECTIONS = ('airdsAirs', 'oneills1850', 'ryansMammoth')
_DUPLE_METRES = ('C', 'C|', '2/2', '2/4', '4/4', '4/2')
# Variants of a tune share successions of this many intervals, this share of
# them at least.
_RUN, _SHARED_RUNS = 8, 0.2
_HOLD, _NOTE_OFF, _FIRST_ONSET, _MIN_PITCH = 0, 1, 2, 21


@dataclasses.dataclass(frozen=True)
class Tune:
  """A monophonic tune whose first full bar starts at time zero.

  Attributes:
    name: where it comes from, `collection/file#number title`.
    notes: [N, 3] float32 of onset and duration in quarter notes and MIDI
      pitch, in order of onset. The notes of a pick-up have negative onsets.
    quarters: length of one verse in quarter notes, without the pick-up.
  """

  name: str
  notes: np.ndarray
  quarters: float


def folk_files():
  """Paths of the ABC files of the bundled corpus, in a fixed order."""
  import music21  # pylint: disable=g-import-not-at-top

  root = os.path.join(os.path.dirname(music21.__file__), 'corpus')
  return [
    os.path.join(root, collection, name)
    for collection in FOLK_COLLECTIONS
    for name in sorted(os.listdir(os.path.join(root, collection)))
    if name.endswith('.abc')
  ]


def read_abc(path):
  """Reads every tune in duple metre of one ABC file.

  Repeats are written out, grace notes left out, chords reduced to their top
  note.

  Args:
    path: an ABC file, with one or many tunes.

  Returns:
    `(tunes, refused)`: a list of `Tune` and a list of `(name, reason)` of the
    tunes in duple metre that could not be read.
  """
  from music21 import abcFormat  # pylint: disable=g-import-not-at-top

  collection = os.path.join(*path.split(os.sep)[-2:])
  with open(path, encoding='utf-8', errors='replace') as f:
    text = f.read()
  tunes, refused = [], []
  for number, body in _split_tunes(text):
    metre = re.search(r'^M:\s*(\S+)', body, re.MULTILINE)
    if not metre or metre.group(1) not in _DUPLE_METRES:
      continue
    title = re.search(r'^T:\s*(.*?)\s*$', body, re.MULTILINE)
    name = f'{collection}#{number} {title.group(1) if title else ""}'
    try:
      with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        handler = abcFormat.ABCFile().readstr(body)
        tunes.append(_tune_from_handler(name, handler))
    except Exception as e:  # pylint: disable=broad-except
      # The parser meets malformed text with whatever error comes first.
      refused.append((name, f'{type(e).__name__}: {e}'))
  return tunes, refused


def _split_tunes(text):
  parts = re.split(r'^X:\s*(\d+).*$', text, flags=re.MULTILINE)
  for number, body in zip(parts[1::2], parts[2::2]):
    yield int(number), f'X:{number}\n{body.strip()}\n'


def _tune_from_handler(name, handler):
  """Turns a parsed ABC tune into a `Tune`; raises what music21 raises."""
  from music21 import abcFormat  # pylint: disable=g-import-not-at-top
  from music21 import repeat  # pylint: disable=g-import-not-at-top
  from music21 import stream  # pylint: disable=g-import-not-at-top

  part = abcFormat.translate.abcToStreamScore(handler).parts[0]
  try:
    part = part.expandRepeats()
  except repeat.ExpanderException:
    pass  # Repeat marks that do not pair up: the tune as it is written.
  measures = list(part.getElementsByClass(stream.Measure))
  pickup = 0.0
  if len(measures) > 1:
    first = float(measures[0].duration.quarterLength)
    if first < float(measures[0].barDuration.quarterLength):
      pickup = first
  notes = {}
  for note in part.flatten().notes:
    duration = float(note.duration.quarterLength)
    if not duration:
      continue
    tied = note.tie is not None and note.tie.type in ('continue', 'stop')
    onset = float(note.offset) - pickup
    pitch = max(p.midi for p in note.pitches)
    if tied and notes:
      last = max(notes)
      notes[last] = (onset + duration - last, notes[last][1])
    else:
      notes[onset] = (duration, pitch)
  if len(notes) < 8:
    raise ValueError(f'only {len(notes)} notes')
  rows = np.array([(t, *notes[t]) for t in sorted(notes)], np.float32)
  # The last bar of a tune with a pick-up is short by it: the verse closes at
  # the next bar line of four quarters (or two, in 2/4).
  end = float(part.duration.quarterLength) - pickup
  quarters = float(np.ceil(round(end / 2, 3)) * 2)
  return Tune(name, rows, quarters)


def tune_windows(tune, slowdown=1, hop_bars=8):
  """Cuts a tune into 16-bar windows of melody tokens.

  A tune shorter than the window is sung again as further verses, its pick-up
  closing the verse before.

  Args:
    tune: a `Tune`.
    slowdown: factor on all times; 2 halves the onsets per bar.
    hop_bars: bars from one window to the next.

  Returns:
    [N, 256] uint8 tokens as Magenta's 16-bar melody models read them: 0 hold,
    1 note off, i >= 2 onset at MIDI pitch i + 19. N is 0 where the tune has
    notes shorter than a sixteenth at this speed.
  """
  verse = round(tune.quarters * slowdown * STEPS_PER_QUARTER)
  onsets = tune.notes[:, 0] * slowdown * STEPS_PER_QUARTER
  ends = onsets + tune.notes[:, 1] * slowdown * STEPS_PER_QUARTER
  starts = np.floor(onsets + 0.5).astype(int)
  stops = np.maximum(np.floor(ends + 0.5).astype(int), starts + 1)
  if len(np.unique(starts)) < 0.98 * len(starts):
    return np.zeros([0, WINDOW_STEPS], np.uint8)
  pitches = tune.notes[:, 2].astype(int)
  if pitches.min() < 21 or pitches.max() > 108:
    return np.zeros([0, WINDOW_STEPS], np.uint8)

  # A verse of tokens, with the pick-up wrapped to its end.
  grid = np.zeros(verse, np.uint8)
  for stop in stops:
    grid[stop % verse] = _NOTE_OFF
  for start, stop in zip(starts, stops):
    inner = np.arange(start + 1, stop) % verse
    grid[inner] = np.where(grid[inner] == _NOTE_OFF, _HOLD, grid[inner])
  grid[starts % verse] = pitches - _MIN_PITCH + _FIRST_ONSET

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


def families(tunes):
  """Groups variants of one tune, whatever name or key they go under.

  Two tunes are variants where they share a fifth of the shorter one's
  successions of eight intervals.

  Args:
    tunes: sequence of `Tune`.

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
  has = sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=shape)
  shared = (has @ has.T).tocoo()
  runs = has.sum(axis=1)
  shorter = np.minimum(runs[shared.row], runs[shared.col])
  near = shared.data >= _SHARED_RUNS * shorter
  graph = sparse.coo_array(
    (near[near], (shared.row[near], shared.col[near])), shape=[len(tunes)] * 2
  )
  return csgraph.connected_components(graph, directed=False)[1]


def are_held_out(tunes, one_in):
  """Which tunes belong to the held-out set, the same on every machine.

  Decided by how a tune begins. A tune with a variant on the training side is
  on that side too, so that nothing held out has been heard under another name.

  Args:
    tunes: sequence of `Tune`.
    one_in: about one tune in this many is held out.

  Returns:
    [N] bool array.
  """
  drawn = np.array(
    [
      zlib.crc32(np.diff(tune.notes[:12, 2]).astype(np.int8).tobytes()) % one_in
      == 0
      for tune in tunes
    ],
    bool,
  )
  family = families(tunes)
  return ~np.isin(family, family[~drawn])


def folk_windows(hparams, progress):
  """Windows of the bundled corpus.

  Args:
    hparams: `pretraining.CorpusHparams`.
    progress: wraps the iterator over files, as `tqdm` does.

  Returns:
    `(train, held_out, counts)`: [N, 256] uint8 arrays, and a dictionary of how
    many tunes were read and refused.
  """
  files = folk_files()
  # A fresh interpreter per worker: TensorFlow does not survive a fork.
  with multiprocessing.get_context('spawn').Pool() as pool:
    results = list(progress(pool.imap(read_abc, files, 4), total=len(files)))
  tunes = [tune for read, _ in results for tune in read]
  refused = [entry for _, entries in results for entry in entries]
  train, held_out = split_windows(tunes, hparams)
  return train, held_out, {'tunes': len(tunes), 'refused': len(refused)}


def split_windows(tunes, hparams):
  """Cuts tunes into windows, split by tune; see `folk_windows`."""
  parts = {False: [], True: []}
  for tune, held_out in zip(tunes, are_held_out(tunes, hparams.held_out)):
    windows = [
      tune_windows(tune, slowdown, hparams.hop_bars)
      for slowdown in hparams.slowdowns
    ]
    windows = np.concatenate(windows)
    density = (windows >= _FIRST_ONSET).sum(axis=1) / (
      WINDOW_STEPS / STEPS_PER_BAR
    )
    low, high = hparams.onsets_per_bar
    windows = windows[(density >= low) & (density <= high)]
    parts[held_out].append(windows)
  return np.concatenate(parts[False]), np.concatenate(parts[True])
