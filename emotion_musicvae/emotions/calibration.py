"""References of labelled music: what the music of each label measures.

A piece counts once, however many melodies it holds and however long it is, so
that a label's mean is one over pieces. Pieces are measured one file at a time;
only their numbers are kept, and of a few the opening bars, for the chords.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import measuring
from emotion_musicvae.files import tunes
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.support import parallel
from emotion_musicvae.terms import registry

MEASURES = ('mean_pitch', 'onsets_per_bar', 'energy', 'qpm')
# Pieces of a label whose chords are inferred, and the sections of four bars
# that a suggestion needs at least.
CHORD_PIECES, _ENOUGH_SECTIONS = 24, 8
_TOLD = 5  # progressions of a label, at most
_TONICS = ('C', 'Db', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B')


@dataclasses.dataclass(frozen=True)
class Reference:
  """What the pieces of one label measure.

  Attributes:
    emotion: the `catalogue.Emotion` that asks for it.
    files: files that a melody came from.
    pieces: pieces in them.
    melodies: melodies in these.
    summary: dictionary of MEASURES to `(mean, deviation, lower quartile,
      median, upper quartile)` over pieces, NaN where nothing was measured.
    major: share of pieces in a major key.
    degrees: [12] mean share of each degree above the tonic.
    chords_from: where the progression comes from.
    progressions: its commonest four chords that move, with how many of the
      `sections` of four bars have them.
    sections: how many there are.
    terms: of each further term statistics over pieces as in `summary`, and of a
      form the share of pieces by its letters.
    values: dictionary of `mean_pitch` and `onsets_per_bar` to [pieces] arrays.
  """

  emotion: catalogue.Emotion
  files: int
  pieces: int
  melodies: int
  summary: dict[str, tuple[float, ...]]
  major: float
  degrees: npt.NDArray[np.float64]
  chords_from: str
  progressions: list[tuple[str, int]]
  sections: int
  terms: dict[str, tuple[float, ...] | dict[str, float]]
  values: dict[str, npt.NDArray[np.float64]]


def _sections(
  openings: Sequence[npt.NDArray[np.float32]],
) -> list[tuple[tuple[int, str], ...]]:
  """Chords of each section of four bars, roots counted from the tonic.

  note_seq infers one chord a bar. All openings go through it as one sequence,
  one after another, as most of its time goes into what no music changes.

  Args:
    openings: list of `measuring.Measured.opening`.

  Returns:
    List of four `(root, kind)` each; sections with a bar without chord are left
    out.
  """
  # pylint: disable=g-import-not-at-top
  import note_seq
  from note_seq import chord_inference
  from note_seq import chord_symbols_lib
  from note_seq import sequences_lib

  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.tempos.add(qpm=240)  # a bar a second
  sequence.time_signatures.add(numerator=4, denominator=4)
  for i, opening in enumerate(openings):
    for onset, end, pitch in opening.tolist():
      sequence.notes.add(
        pitch=int(pitch),
        velocity=80,
        start_time=i * measuring.OPENING_BARS + onset,
        end_time=i * measuring.OPENING_BARS
        + max(
          min(end, measuring.OPENING_BARS), onset + 1 / melody.STEPS_PER_BAR
        ),
      )
  sequence.total_time = len(openings) * measuring.OPENING_BARS
  sequence = sequences_lib.quantize_note_sequence(sequence, 4)
  try:
    chord_inference.infer_chords_for_sequence(sequence, chords_per_bar=1)
  except chord_inference.EmptySequenceError:
    return []
  bars: list[tuple[int, str] | None] = [None] * (
    len(openings) * measuring.OPENING_BARS
  )
  for annotation in sequence.text_annotations:
    # Written where the chord changes; it lasts until the next.
    first = annotation.quantized_step // melody.STEPS_PER_BAR
    chord = None
    if annotation.text != harmony.NO_CHORD:
      root = chord_symbols_lib.chord_symbol_root(annotation.text)
      kind = annotation.text.lstrip('ABCDEFG').lstrip('b#')
      triad = {'7': '', 'maj7': '', 'm7': 'm', 'm7b5': 'dim'}
      chord = root, triad.get(kind, kind)
    bars[first:] = [chord] * (len(bars) - first)
  # A bar in which nothing begins would go on with the chord before it.
  begun = np.zeros(len(bars), bool)
  for i, opening in enumerate(openings):
    begun[i * measuring.OPENING_BARS + opening[:, 0].astype(int)] = True
  bars = [chord if has_onset else None for chord, has_onset in zip(bars, begun)]
  four = zip(bars[::4], bars[1::4], bars[2::4], bars[3::4])
  return [
    tuple(chord for chord in section if chord)
    for section in four
    if None not in section
  ]


def calibrate(
  labelled: Mapping[str, str], progress: Callable[..., typing.Any]
) -> tuple[list[Reference], list[tunes.Refusal]]:
  """References of each label.

  Args:
    labelled: dictionary of path to label.
    progress: wraps the iterator over files, as `tqdm` does.

  Returns:
    `(references, refusals)`: list of `Reference`, the shipped emotions first
    and in their order, the others by name; and of `tunes.Refusal`.
  """
  seen: collections.Counter[str] = collections.Counter()
  jobs = []
  for path, label in labelled.items():
    jobs.append((path, seen[label] < CHORD_PIECES))
    seen[label] += 1
  found: dict[str, list[measuring.Measured]] = {label: [] for label in seen}
  files: collections.Counter[str] = collections.Counter()
  refusals: list[tunes.Refusal] = []
  results = parallel.in_parallel(measuring.measure_file, jobs, progress)
  for label, (measured, refused) in zip(labelled.values(), results):
    found[label] += measured
    files[label] += bool(measured)
    refusals += refused
  order = [emotion.name for emotion in catalogue.load()]
  names = [name for name in order if found.get(name)]
  names += sorted(name for name in found if name not in order and found[name])
  return [summarize(n, files[n], found[n]) for n in names], refusals


def summarize(
  label: str, files: int, measured: Sequence[measuring.Measured]
) -> Reference:
  """The reference of a label.

  Args:
    label: its name.
    files: how many files a melody came from.
    measured: what its pieces measure, at least one.
  """
  values = {
    name: np.array([getattr(m, name) for m in measured]) for name in MEASURES
  }
  major = float(np.mean([m.mode == 'major' for m in measured]))
  mode = 'major' if major >= 0.5 else 'minor'
  summary = {name: _statistics(rows) for name, rows in values.items()}
  shipped = {emotion.name: emotion for emotion in catalogue.load()}
  asked = catalogue.Emotion(
    name=label,
    alias=shipped[label].alias if label in shipped else '',
    mean_pitch=round(summary['mean_pitch'][0], 2),
    onsets_per_bar=round(summary['onsets_per_bar'][0], 2),
    mode=mode,
  )
  near = shipped.get(label) or nearest(asked, shipped.values())
  progressions, sections = _progressions(
    [m for m in measured if m.mode == mode]
  )
  chords, chords_from = '', ''
  if progressions:
    chords, found = progressions[0]
    chords_from = f'of its own music, {found} of {sections} sections'
  else:
    own = 'too few' if sections < _ENOUGH_SECTIONS else 'none that move'
    chords, chords_from = near.chords, f'of {near.name}, {own} of its own'
  qpm = summary['qpm'][0]
  tempo_from = ''
  if np.isnan(qpm):
    qpm, tempo_from = near.qpm, f'; tempo of {near.name}'
  # Music does not say how loud it is, nor on what it is played.
  emotion = dataclasses.replace(
    near,
    name=asked.name,
    alias=asked.alias,
    mean_pitch=asked.mean_pitch,
    onsets_per_bar=asked.onsets_per_bar,
    mode=asked.mode,
    chords=chords,
    references=registry.spelled(_typical(measured)),
    references_basis='median of the labelled pieces',
    qpm=round(float(np.clip(qpm, 10, 400)), 1),
    basis=f'mean of {len(measured)} labelled pieces; chords {chords_from}'
    + f'{tempo_from}; played as {near.name}',
  )
  return Reference(
    emotion,
    files,
    len(measured),
    sum(m.melodies for m in measured),
    summary,
    major,
    np.mean([m.degrees for m in measured], axis=0),
    chords_from,
    progressions,
    sections,
    _of_terms(measured),
    {name: values[name] for name in ('mean_pitch', 'onsets_per_bar')},
  )


def _statistics(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
  values = values[np.isfinite(values)]
  if not len(values):
    return (float('nan'),) * 5
  quartiles = np.percentile(values, [25, 50, 75])
  return tuple(map(float, (values.mean(), values.std(), *quartiles)))


def nearest(
  emotion: catalogue.Emotion, candidates: Iterable[catalogue.Emotion]
) -> catalogue.Emotion:
  """The candidate nearest in register, density and mode."""

  def distance(other: catalogue.Emotion) -> float:
    return (
      ((emotion.mean_pitch - other.mean_pitch) / 6.0) ** 2
      + (np.log(emotion.onsets_per_bar / other.onsets_per_bar) / 0.5) ** 2
      + (emotion.mode != other.mode)
    )

  return min(candidates, key=distance)


def _progressions(
  measured: Sequence[measuring.Measured],
) -> tuple[list[tuple[str, int]], int]:
  """The commonest four chords that move, in the commonest key.

  A section that stays on one chord, or leaves it but once, says what a label
  dwells on and not where it goes.

  Returns:
    `(progressions, sections)`: the `_TOLD` commonest with how many sections
    have each, the commonest first, none where there are too few sections or
    none moves; and how many sections there are.
  """
  openings = [m.opening for m in measured if m.opening is not None]
  sections = _sections(openings[:CHORD_PIECES])
  if len(sections) < _ENOUGH_SECTIONS:
    return [], len(sections)
  counts = collections.Counter(s for s in sections if _moves(s))
  # Of equals the first by name, so that the same music gives the same bytes.
  commonest = sorted(counts, key=lambda section: (-counts[section], section))
  tonics = collections.Counter(m.tonic for m in measured)
  tonic = min(tonics, key=lambda t: (-tonics[t], t))
  return [
    (
      ' '.join(_TONICS[(root + tonic) % 12] + kind for root, kind in section),
      counts[section],
    )
    for section in commonest[:_TOLD]
  ], len(sections)


def _moves(section: Sequence[tuple[int, str]]) -> bool:
  """Whether four chords change twice at least, from bar to bar."""
  return sum(a != b for a, b in zip(section, section[1:])) >= 2


def _typical(measured: Sequence[measuring.Measured]) -> dict[str, str]:
  """What pieces measure of each term in the median; a form's commonest."""
  result = {}
  for name, found in _of_terms(measured).items():
    if isinstance(found, dict):
      result[name] = next(iter(found))
    else:
      term = registry.known()[name]
      result[name] = f'{np.clip(found[3], term.low, term.high):.3g}'
  return result


def _of_terms(
  measured: Sequence[measuring.Measured],
) -> dict[str, tuple[float, ...] | dict[str, float]]:
  """See `Reference.terms`."""
  rows = [m.terms for m in measured if m.terms]
  result: dict[str, tuple[float, ...] | dict[str, float]] = {}
  for name in rows[0] if rows else ():
    term = registry.known()[name]
    if term.size == 1:
      result[name] = _statistics(np.array([row[name][0] for row in rows]))
    else:
      told = collections.Counter(str(term.told(row[name])) for row in rows)
      order = sorted(told, key=lambda letters: (-told[letters], letters))
      result[name] = {letters: told[letters] / len(rows) for letters in order}
  return result
