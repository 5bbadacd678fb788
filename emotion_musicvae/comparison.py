"""How one set of melodies compares with another.

Two questions about samples of a model: are they distributed as real melodies
are (`overlap`), and are they copies of what it learned from (`shared_bars`)?
"""

import numpy as np
from scipy import ndimage
from scipy import spatial

from emotion_musicvae import melody

FEATURES = (
  'pitch_count',
  'pitch_range',
  'pitch_class_histogram',
  'pitch_class_transitions',
  'note_length_histogram',
  'inter_onset_interval',
  'pitch_interval',
)
# The note lengths of Yang and Lerch's histogram that lie on the grid, in steps.
_LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
_BINS = 4096
# Odd 64-bit numbers, drawn once, that turn a bar's steps into a hash.
_FACTORS = np.random.default_rng(0).integers(
  1, 2**63, melody.STEPS_PER_BAR, np.uint64
) * np.uint64(2) + np.uint64(1)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def features(tokens):
  """What Yang and Lerch measure of a melody.

  Args:
    tokens: [B, 256] int tokens with at least two onsets each.

  Returns:
    Dictionary of the names in `FEATURES` to [B, D] float64: how many different
    pitches there are; their range in semitones; the histogram of pitch classes
    [B, 12], weighted by duration; the counts of transitions between them
    [B, 144]; the histogram of note lengths [B, 8]; the mean time between onsets
    in steps; the mean interval in semitones. Histograms sum to 1.
  """
  rows = [_features(row) for row in tokens]
  return {name: np.array([row[name] for row in rows]) for name in FEATURES}


def _features(row):
  onsets = np.flatnonzero(row >= melody.FIRST_ONSET)
  pitches = row[onsets].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
  # A note lasts until the next event that is no hold.
  events = np.append(np.flatnonzero(row != melody.HOLD), len(row))
  lengths = events[np.searchsorted(events, onsets) + 1] - onsets
  length_class = np.searchsorted(_LENGTHS, lengths, side='right') - 1
  classes = pitches % 12
  transitions = np.bincount(12 * classes[:-1] + classes[1:], minlength=144)
  return {
    'pitch_count': [len(set(pitches))],
    'pitch_range': [np.ptp(pitches)],
    'pitch_class_histogram': np.bincount(classes, lengths, 12) / lengths.sum(),
    'pitch_class_transitions': transitions,
    'note_length_histogram': np.bincount(length_class, minlength=len(_LENGTHS))
    / len(lengths),
    'inter_onset_interval': [np.diff(onsets).mean()],
    'pitch_interval': [np.abs(np.diff(pitches)).mean()],
  }


def overlap(tokens, reference):
  """Overlap area of two sets of melodies, by feature.

  The Euclidean distances between melodies of the reference have a density, and
  so have those from its melodies to the set's; the overlap is the area under
  the lower of the two (Yang and Lerch 2018, On the evaluation of generative
  models in music, doi 10.1007/s00521-018-3849-7). Both are Gaussian kernel
  estimates with one bandwidth, Scott's for the reference's distances. Melodies
  of fewer than two notes are left out.

  Args:
    tokens: [N, 256] int tokens.
    reference: [M, 256] int tokens, of which at least two have two notes.

  Returns:
    Dictionary of the names in `FEATURES` to floats from 0 to 1; 1 where both
    sets are distributed alike, 0 where no melody has two notes.
  """
  sung, reference = (
    x[(x >= melody.FIRST_ONSET).sum(axis=1) > 1] for x in (tokens, reference)
  )
  if not len(sung):
    return dict.fromkeys(FEATURES, 0.0)
  ours, theirs = features(sung), features(reference)
  return {
    name: _overlap_area(
      spatial.distance.pdist(theirs[name]),
      spatial.distance.cdist(ours[name], theirs[name]).ravel(),
    )
    for name in FEATURES
  }


def _overlap_area(a, b):
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


def shared_bars(tokens, corpus):
  """How many bars in a row each melody shares with any of a corpus.

  Bars are shared where rhythm and intervals are equal, in whatever key, from
  one bar line to another. A run begins with a bar in which a note begins.

  Args:
    tokens: [B, 256] int tokens.
    corpus: [N, 256] int tokens.

  Returns:
    [B] int, 0 to 16.
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


def _bar_hashes(tokens):
  """Hashes of bars where a run begins, and of bars that follow another.

  Args:
    tokens: [B, 256] int tokens.

  Returns:
    Two [B, 16] uint64 arrays. Of the first note of a bar that begins a run only
    the time counts, elsewhere its interval too; 0 where no run can begin.
  """
  onset = tokens >= melody.FIRST_ONSET
  # Of each step with an onset, the interval from the note before.
  position = np.where(onset, np.arange(tokens.shape[1]), -1)
  last = np.maximum.accumulate(position, axis=1)
  before = np.pad(last[:, :-1], [(0, 0), (1, 0)], constant_values=-1)
  pitch_before = np.take_along_axis(tokens, np.maximum(before, 0), axis=1)
  interval = np.where(before >= 0, tokens.astype(int) - pitch_before, 0)
  first = onset & (before < position // 16 * 16)
  shape = [len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR]
  # Holds and note-offs are 0 and 1; intervals lie far from them.
  following = np.where(onset, interval + 1000, tokens).reshape(shape)
  beginning = np.where(first, 500, following.reshape(tokens.shape))
  beginning = beginning.reshape(shape)
  sung = onset.reshape(shape).any(axis=2)
  hashes = [
    (x.astype(np.uint64) * _FACTORS).sum(axis=2, dtype=np.uint64)
    for x in (beginning, following)
  ]
  return np.where(sung, hashes[0], np.uint64(0)), hashes[1]
