"""How one set of melodies compares with another.

Two questions about samples of a model: are they distributed as real melodies
are (`overlap`), and are they copies of what it learned from (`shared_bars`)?
"""

from collections.abc import Callable
from collections.abc import Sequence
import itertools

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy import spatial

from emotion_musicvae.music import melody

FEATURES = (
  'pitch_count',
  'pitch_range',
  'pitch_class_histogram',
  'pitch_class_transitions',
  'note_length_histogram',
  'inter_onset_interval',
  'pitch_interval',
)
# What is left of a melody where its register, key and density are prescribed.
MUSICALITY = (
  'interval_histogram',
  'note_length_histogram',
  'interval_transitions',
  'bar_pitch_range',
  'bar_similarity',
)
# The note lengths of Yang and Lerch's histogram that lie on the grid, in steps.
_LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
_WIDEST = 12  # semitones; wider intervals count as this
# From where on an interval in semitones is a leap down, a step down, the same
# pitch, a step up or a leap up.
_MOVES = np.array([-2, 0, 1, 3])
_NUM_MOVES = len(_MOVES) + 1
_BARS_LATER = (1, 2, 4, 8)
_BINS = 4096
# Odd 64-bit numbers, drawn once, that turn a bar's steps into a hash.
_FACTORS = np.random.default_rng(0).integers(
  1, 2**63, melody.STEPS_PER_BAR, np.uint64
) * np.uint64(2) + np.uint64(1)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def features(
  tokens: melody.Tokens, names: Sequence[str] = FEATURES
) -> dict[str, npt.NDArray[np.float64]]:
  """What Yang and Lerch measure of a melody, and what they do not.

  Args:
    tokens: [B, 256] tokens with at least two onsets each.
    names: which of `FEATURES` and `MUSICALITY`.

  Returns:
    Dictionary of the names to [B, D] float64. Of `FEATURES`: how many different
    pitches there are; their range in semitones; the histogram of pitch classes
    [B, 12], weighted by duration; the counts of transitions between them
    [B, 144]; the histogram of note lengths [B, 8]; the mean time between onsets
    in steps; the mean interval in semitones. Of `MUSICALITY`, which no
    transposition changes: the histogram of intervals [B, 25] from an octave
    down to an octave up; that of pairs of successive moves [B, 25], each a leap
    down, a step down (of up to 2 semitones), none, a step up or a leap up; the
    mean range of a bar's notes in semitones; the share of steps that are the
    same 1, 2, 4 and 8 bars later [B, 4]. Histograms sum to 1, or to 0 where
    there is nothing to count.
  """
  rows = [_features(row) for row in tokens]
  return {
    name: _OF_BARS[name](tokens)
    if name in _OF_BARS
    else np.array([row[name] for row in rows])
    for name in names
  }


def _features(row: melody.Tokens) -> dict[str, npt.ArrayLike]:
  """Those features of a melody that are measured note by note."""
  notes = melody.notes(row)
  pitches, lengths = notes.pitch, notes.length
  length_class = np.searchsorted(_LENGTHS, lengths, side='right') - 1
  classes = pitches % 12
  transitions = np.bincount(12 * classes[:-1] + classes[1:], minlength=144)
  intervals = np.diff(pitches)
  clipped = np.clip(intervals, -_WIDEST, _WIDEST) + _WIDEST
  moves = np.searchsorted(_MOVES, intervals, side='right')
  pairs = np.bincount(
    _NUM_MOVES * moves[:-1] + moves[1:], minlength=_NUM_MOVES**2
  )
  return {
    'pitch_count': [len(set(pitches))],
    'pitch_range': [np.ptp(pitches)],
    'pitch_class_histogram': np.bincount(classes, lengths, 12) / lengths.sum(),
    'pitch_class_transitions': transitions,
    'note_length_histogram': np.bincount(length_class, minlength=len(_LENGTHS))
    / len(lengths),
    'inter_onset_interval': [np.diff(notes.onset).mean()],
    'pitch_interval': [np.abs(intervals).mean()],
    'interval_histogram': np.bincount(clipped, minlength=2 * _WIDEST + 1)
    / len(intervals),
    # Two notes make one move, of which there is no pair.
    'interval_transitions': pairs / max(pairs.sum(), 1),
  }


def _bar_pitch_range(tokens: melody.Tokens) -> npt.NDArray[np.float64]:
  """Mean range of the bars in which notes begin: [B, 256] to [B, 1]."""
  bars = tokens.reshape(len(tokens), melody.NUM_BARS, -1).astype(int)
  onset = bars >= melody.FIRST_ONSET
  begun = onset.any(axis=2)
  highest = np.where(onset, bars, 0).max(axis=2)
  lowest = np.where(onset, bars, melody.NUM_TOKENS).min(axis=2)
  total = np.where(begun, highest - lowest, 0).sum(axis=1, keepdims=True)
  return total / np.maximum(begun.sum(axis=1, keepdims=True), 1)


def _bar_similarity(tokens: melody.Tokens) -> npt.NDArray[np.float64]:
  """Mean share of a bar's steps that a later bar has too.

  Steps are the same where both hold, end a note or begin one by the same
  interval. A bar's first note need only begin at the same time, so that a
  phrase that comes again a step higher is the same.

  Args:
    tokens: [B, 256] tokens.

  Returns:
    [B, 4] float64, for the bars 1, 2, 4 and 8 later.
  """
  steps, _ = _steps(tokens)
  return np.stack(
    [
      (steps[:, later:] == steps[:, :-later]).mean(axis=(1, 2))
      for later in _BARS_LATER
    ],
    axis=1,
  )


_OF_BARS: dict[str, Callable[[melody.Tokens], npt.NDArray[np.float64]]] = {
  'bar_pitch_range': _bar_pitch_range,
  'bar_similarity': _bar_similarity,
}


def form(
  tokens: melody.Tokens, tonics: Sequence[int] = (0, 9)
) -> dict[str, float]:
  """What a listener would notice of the form and the line of melodies.

  Args:
    tokens: [B, 256] int tokens; melodies of fewer than five notes do not count.
    tonics: pitch classes that end a melody in its key.

  Returns:
    Dictionary of floats, each a mean over melodies: `bars_again`, the share of
    bars with onsets that equal an earlier one in onsets and pitches; `steps`,
    `thirds` and `leaps`, the share of intervals of 1 or 2, of 3 or 4, and of 8
    or more semitones; `turns`, the share of pairs of successive moves that
    change direction; `see_saw`, of four notes in a row that go A B A B;
    `repeats`, of notes that repeat the pitch before; `rests`,
    silences of an eighth or more; `tonic_end`, the share whose last note is a
    tonic; `long_end`, whose last note lasts a quarter or more; `compass`,
    semitones from the lowest to the highest note.
  """
  rows = [_form_of(row, tonics) for row in np.asarray(tokens)]
  rows = [row for row in rows if row]
  if not rows:
    return {}
  return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _form_of(row: melody.Tokens, tonics: Sequence[int]) -> dict[str, float]:
  onsets = np.flatnonzero(row >= melody.FIRST_ONSET)
  if len(onsets) < 5:
    return {}
  pitches = row[onsets].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
  events = np.append(np.flatnonzero(row != melody.HOLD), len(row))
  ends = events[np.searchsorted(events, onsets) + 1]
  intervals = np.diff(pitches)
  moves = np.sign(intervals[intervals != 0])
  seen, again, sung = set(), 0, 0
  for bar in row.reshape(melody.NUM_BARS, -1):
    key = np.where(bar >= melody.FIRST_ONSET, bar, 0).tobytes()
    if bar.max() >= melody.FIRST_ONSET:
      again += key in seen
      sung += 1
      seen.add(key)
  size = np.abs(intervals)
  return {
    'bars_again': again / sung,
    'steps': np.mean((size >= 1) & (size <= 2)),
    'thirds': np.mean((size >= 3) & (size <= 4)),
    'leaps': np.mean(size >= 8),
    'turns': np.mean(moves[1:] != moves[:-1]) if len(moves) > 1 else 0.0,
    'see_saw': np.mean(
      (pitches[:-3] == pitches[2:-1])
      & (pitches[1:-2] == pitches[3:])
      & (pitches[:-3] != pitches[1:-2])
    ),
    'repeats': np.mean(size == 0),
    'rests': float((onsets[1:] - ends[:-1] >= 2).sum()),
    'tonic_end': float(pitches[-1] % 12 in tonics),
    'long_end': float(ends[-1] - onsets[-1] >= 4),
    'compass': float(np.ptp(pitches)),
  }


def variety(tokens: melody.Tokens) -> dict[str, float]:
  """How far melodies are one and the same tune.

  Args:
    tokens: [B, 256] int tokens, B at least 2.

  Returns:
    Dictionary of floats: `alike`, mean correlation of the pitch lines of two
    melodies, the pitch that sounds or sounded last at each step;
    `shared_onsets`, the mean share of (step, pitch) onsets that two
    have in common; `first_pitch`, the share of melodies that begin on the
    commonest first pitch. NaN where no two melodies have enough notes.
  """
  tokens = np.asarray(tokens)
  onset = tokens >= melody.FIRST_ONSET
  lines = _pitch_lines(tokens)
  begun = np.maximum.accumulate(onset, axis=1)
  alike, shared = [], []
  for i, j in itertools.combinations(range(len(tokens)), 2):
    both = begun[i] & begun[j]
    a, b = lines[i, both], lines[j, both]
    if len(a) > melody.STEPS_PER_BAR and a.std() and b.std():
      alike.append(np.corrcoef(a, b)[0, 1])
    either = (onset[i] | onset[j]).sum()
    # Where both begin a note of different pitch, there are two onsets.
    same = (onset[i] & (tokens[i] == tokens[j])).sum()
    either += (onset[i] & onset[j]).sum() - same
    shared.append(same / either if either else np.nan)
  first = tokens[np.arange(len(tokens)), onset.argmax(axis=1)]
  first = first[onset.any(axis=1)]
  return {
    'alike': float(np.mean(alike)) if alike else np.nan,
    'shared_onsets': float(np.mean(shared)),
    'first_pitch': float(np.unique(first, return_counts=True)[1].max())
    / len(first)
    if len(first)
    else np.nan,
  }


def _pitch_lines(tokens: melody.Tokens) -> npt.NDArray[np.int64]:
  """[B, 256] tokens of the note that sounds, or sounded last."""
  onset = tokens >= melody.FIRST_ONSET
  last = np.maximum.accumulate(
    np.where(onset, np.arange(tokens.shape[1]), 0), axis=1
  )
  return np.take_along_axis(tokens.astype(np.int64), last, axis=1)


def overlap(
  tokens: melody.Tokens,
  reference: melody.Tokens,
  names: Sequence[str] = FEATURES,
) -> dict[str, float]:
  """Overlap area of two sets of melodies, by feature.

  The Euclidean distances between melodies of the reference have a density, and
  so have those from its melodies to the set's; the overlap is the area under
  the lower of the two (Yang and Lerch 2018, On the evaluation of generative
  models in music, doi 10.1007/s00521-018-3849-7). Both are Gaussian kernel
  estimates with one bandwidth, Scott's for the reference's distances. Melodies
  of fewer than two notes are left out.

  Args:
    tokens: [N, 256] tokens.
    reference: [M, 256] tokens, of which at least two have two notes.
    names: what to compare, of `FEATURES` and `MUSICALITY`.

  Returns:
    Dictionary of the names to floats from 0 to 1; 1 where both sets are
    distributed alike, 0 where no melody has two notes.
  """
  tokens, reference = (
    x[(x >= melody.FIRST_ONSET).sum(axis=1) > 1] for x in (tokens, reference)
  )
  if not len(tokens):
    return dict.fromkeys(names, 0.0)
  ours, theirs = (features(x, names) for x in (tokens, reference))
  return {
    name: _overlap_area(
      spatial.distance.pdist(theirs[name]),
      spatial.distance.cdist(ours[name], theirs[name]).ravel(),
    )
    for name in names
  }


def _overlap_area(
  a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]
) -> float:
  """Area under the lower of the densities of two sets of distances."""
  bandwidth = a.std() * len(a) ** -0.2
  # With room for the tails of the kernels, and for distances that are all one.
  margin = 4.0 * bandwidth + 1e-6
  span = min(a.min(), b.min()) - margin, max(a.max(), b.max()) + margin
  step = (span[1] - span[0]) / _BINS
  densities = [
    ndimage.gaussian_filter1d(
      np.histogram(x, _BINS, span)[0] / len(x),
      max(bandwidth / step, 1.0),
      mode='constant',
    )
    for x in (a, b)
  ]
  return float(np.minimum(*densities).sum())


def shared_bars(
  tokens: melody.Tokens, corpus: melody.Tokens
) -> npt.NDArray[np.int64]:
  """How many bars in a row each melody shares with any of a corpus.

  Bars are shared where rhythm and intervals are equal, in whatever key, from
  one bar line to another. A run begins with a bar in which a note begins.

  Args:
    tokens: [B, 256] tokens.
    corpus: [N, 256] tokens.

  Returns:
    [B] int64, 0 to 16.
  """
  longest = np.zeros(len(tokens), int)
  ours, theirs = _bar_hashes(tokens), _bar_hashes(corpus)
  run, runs = ours[0], theirs[0]
  for length in range(1, melody.NUM_BARS + 1):
    shared = np.isin(run, runs) & (run != 0)
    longest[shared.any(axis=1)] = length
    # The hash of a run and of the bar that follows it give that of both.
    run, runs = (
      np.where(
        run[:, :-1] == 0,
        np.uint64(0),
        run[:, :-1] * _MULTIPLIER + following[:, length:],
      )
      for run, (_, following) in ((run, ours), (runs, theirs))
    )
  return longest


def _bar_hashes(
  tokens: melody.Tokens,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
  """Hashes of bars where a run begins, and of bars that follow another.

  Args:
    tokens: [B, 256] tokens.

  Returns:
    Two [B, 16] uint64 arrays. Of the first note of a bar that begins a run only
    the time counts, elsewhere its interval too; 0 where no run can begin.
  """
  beginning, following = _steps(tokens)
  shape = [len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR]
  begun = (tokens >= melody.FIRST_ONSET).reshape(shape).any(axis=2)
  hashes = [
    (x.astype(np.uint64) * _FACTORS).sum(axis=2, dtype=np.uint64)
    for x in (beginning, following)
  ]
  return np.where(begun, hashes[0], np.uint64(0)), hashes[1]


def _steps(tokens: melody.Tokens) -> tuple[melody.Tokens, melody.Tokens]:
  """What happens at each step, in whatever key.

  Args:
    tokens: [B, 256] tokens.

  Returns:
    Two [B, 16, 16] int arrays, by bar and step: 0 for a hold, 1 for a note-off,
    else a number for the interval from the note before. In the first array the
    first note of each bar has no interval but one number for all.
  """
  onset = tokens >= melody.FIRST_ONSET
  # Of each step with an onset, the interval from the note before.
  position = np.where(onset, np.arange(tokens.shape[1]), -1)
  last = np.maximum.accumulate(position, axis=1)
  before = np.pad(last[:, :-1], [(0, 0), (1, 0)], constant_values=-1)
  pitch_before = np.take_along_axis(tokens, np.maximum(before, 0), axis=1)
  interval = np.where(before >= 0, tokens.astype(int) - pitch_before, 0)
  first = onset & (
    before < position // melody.STEPS_PER_BAR * melody.STEPS_PER_BAR
  )
  # Holds and note-offs are 0 and 1; intervals lie far from them.
  following = np.where(onset, interval + 1000, tokens)
  beginning = np.where(first, 500, following)
  shape = [len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR]
  return beginning.reshape(shape), following.reshape(shape)
