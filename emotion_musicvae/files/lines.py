"""The melodies of a score: the notes that are heard as the tune."""

from collections.abc import Iterator

import numpy as np

from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.files.scores import DURATION
from emotion_musicvae.files.scores import ONSET
from emotion_musicvae.files.scores import PITCH
from emotion_musicvae.files.scores import STAFF
from emotion_musicvae.music import melody

# Quarter notes: what is shorter, with a longer note right after it, adorns that
# one; how long a note has to go on over another to hide it; and how long the
# melody may rest while what is an octave lower fills in.
_ORNAMENT, _HIDES, _FILLS = 0.125, 0.25, 2.0
# Semitones: by how much a note has to lie higher to hide another, where notes
# ring on and where they do not; and by how much what fills in lies lower than
# the melody before it, and after it.
_RINGING, _HELD, _BELOW, _BACK = 8, 1, 12, 7
# Notes of a part for each of its line from which on others play along.
_POLYPHONIC = 1.2


def refusal(score: scores.Score) -> tunes.Refusal | None:
  """Why a score has no tune in whatever metre, or None."""
  able = [part for part in score.parts if len(in_range(part.notes))]
  if not able:
    return tunes.Refusal(score.name, tunes.NO_NOTES)
  if all(part.is_drum for part in able):
    return tunes.Refusal(score.name, tunes.DRUMS_ONLY)
  return None


def piece(
  score: scores.Score, any_metre: bool = False, triple: bool = False
) -> tunes.Piece | tunes.Refusal:
  """A score with every melody in it, or the `Refusal` of none.

  As Magenta's converter takes them: of each part but the drums one line, in
  each section in four quarters, from the bar that it begins in until it is
  silent for a bar.

  Args:
    score: a `scores.Score`.
    any_metre: also take what is in another metre, bars of four quarters being
      counted all the same.
    triple: also take what is in three, stretched to four; see
      `metres.Metre.in_four`.
  """
  refused = refusal(score)
  if refused:
    return refused
  sections = scores.sections(score)
  found = tuple(
    tune
    for part in score.parts
    if not part.is_drum
    for section in sections
    if section.is_quadruple or any_metre or (triple and section.is_triple)
    for tune in _tunes(score, section, part, triple)
  )
  if found:
    return tunes.Piece(score.name, found, score)
  return other_metres(score, tunes.NOT_QUADRUPLE)


def other_metres(score: scores.Score, reason: str) -> tunes.Refusal:
  """The `Refusal` of a score for its metres."""
  metres = dict.fromkeys(bar.metre_text for bar in score.bars)
  return tunes.Refusal(score.name, reason, ', '.join(sorted(metres)))


def in_range(notes: scores.Notes) -> scores.Notes:
  """The notes that the model has tokens for."""
  pitches = notes[:, PITCH]
  return notes[(pitches >= melody.MIN_PITCH) & (pitches <= melody.MAX_PITCH)]


def _tunes(
  score: scores.Score,
  section: scores.Section,
  part: scores.Part,
  triple: bool,
) -> Iterator[tunes.Tune]:
  """The melodies of one part in one section."""
  placed = section.place(in_range(part.notes), score.performed)
  length, metre = section.length, section.metre
  stretched = triple and section.is_triple
  if metre and stretched:
    ends = metre.in_four(placed[:, ONSET] + placed[:, DURATION])
    placed[:, ONSET] = metre.in_four(placed[:, ONSET])
    placed[:, DURATION] = ends - placed[:, ONSET]
    length = float(metre.in_four(length))
  line = melody_line(placed, score.performed)
  ends = line[:, ONSET] + line[:, DURATION]
  silent = line[1:, ONSET] - ends[:-1] >= melody.BEATS_PER_BAR
  for run in np.split(line, np.flatnonzero(silent) + 1):
    if not len(run):
      continue
    first = float(run[0, ONSET] // melody.BEATS_PER_BAR)
    if run[-1, ONSET] >= 0:
      first = max(first, 0.0)  # A pick-up stands before it.
    start = first * melody.BEATS_PER_BAR
    last = float(run[-1, ONSET] // melody.BEATS_PER_BAR) + 1
    quarters = last * melody.BEATS_PER_BAR
    if not score.performed:
      # A written bar is there to its end, and a verse closes at the bar line of
      # four quarters (or two, in 2/4) after a last bar that is short.
      ended = float(run[-1, ONSET] + run[-1, DURATION])
      whole = length if run[-1, ONSET] == line[-1, ONSET] else ended
      quarters = float(np.ceil(round(max(whole, ended) / 2, 3)) * 2)
    notes = run[:, [ONSET, DURATION, PITCH]].astype(np.float32)
    notes[:, 0] -= np.float32(start)
    yield tunes.Tune(score.name, notes, quarters - start, stretched)


def _on_grid(line: scores.Notes) -> scores.Notes:
  """A line with its times at the nearest sixteenths."""
  starts = scores.steps(line[:, ONSET])
  ends = np.maximum(
    scores.steps(line[:, ONSET] + line[:, DURATION]), starts + 1
  )
  if len(line):
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
  result = line.copy()
  result[:, ONSET] = starts / melody.STEPS_PER_QUARTER
  result[:, DURATION] = (ends - starts) / melody.STEPS_PER_QUARTER
  return result


def melody_line(notes: scores.Notes, performed: bool) -> scores.Notes:
  """The melody among notes that sound together.

  Of notes that begin together the highest; none that begins under a higher one
  of the melody which goes on for most of its time; none that only fills in, an
  octave and more lower, until the melody goes on; and no grace note.

  Args:
    notes: [N, 4], as in `scores.Part`.
    performed: as in `scores.Score`; what begins on one sixteenth then begins
      together.

  Returns:
    [M, 4] in order of onset, each note ending where the next begins at the
    latest; of a performance with all times at the nearest sixteenths.
  """
  notes = upper_staff(notes)
  order = np.lexsort((-notes[:, PITCH], notes[:, ONSET]))
  notes = notes[order]
  notes = notes[~_ornaments(notes)] if performed else notes
  moments = (
    scores.steps(notes[:, ONSET])
    if performed
    else np.round(notes[:, ONSET] / 1e-3)
  )
  # Of each moment the first is the highest.
  tops = notes[np.flatnonzero(np.diff(moments, prepend=-1))]
  above = _RINGING if _rings(tops) else _HELD
  kept: list[int] = []
  for i, top in enumerate(tops):
    if not (kept and _hides(tops[kept[-1]], top, above)):
      kept.append(i)
  line = tops[kept].copy()
  if len(notes) >= _POLYPHONIC * len(line):
    line = line[~_filling_in(line)]
  line[:-1, DURATION] = np.minimum(line[:-1, DURATION], np.diff(line[:, ONSET]))
  return _on_grid(line) if performed else line


def _hides(before: np.ndarray, note: np.ndarray, above: int) -> bool:
  """Whether a note that still sounds has the melody to itself."""
  rest = before[ONSET] + before[DURATION] - note[ONSET]
  return bool(
    before[PITCH] - note[PITCH] >= above
    and rest >= max(_HIDES, note[DURATION] / 2)
  )


def _rings(tops: scores.Notes) -> bool:
  """Whether notes sound on under the next ones, as with a pedal.

  A voice lets a note go when it goes up to the next, whatever others do below.
  """
  steps = np.diff(tops[:, PITCH])
  up = (steps > 0) & (steps < _RINGING)
  if not up.any():
    return False
  overlaps = (tops[:-1, ONSET] + tops[:-1, DURATION] - tops[1:, ONSET])[up]
  return float(np.mean(overlaps >= _HIDES)) > 0.5


def _filling_in(line: scores.Notes) -> np.ndarray:
  """[N] whether a note is no melody but fills in where that rests."""
  onsets, pitches = line[:, ONSET].tolist(), line[:, PITCH].tolist()
  low = np.zeros(len(line), bool)
  i = 0
  while i < len(line) - 1:
    j = i + 1
    while (
      j < len(line)
      and pitches[i] - pitches[j] >= _BELOW
      and onsets[j] - onsets[i + 1] <= _FILLS
    ):
      j += 1
    if (
      j < len(line)
      and pitches[i] - pitches[j] < _BELOW
      and pitches[j] - pitches[j - 1] >= _BACK
    ):
      low[i + 1 : j] = True  # Of nothing where the melody goes on at once.
      i = j
    else:
      i += 1
  return low


def upper_staff(notes: scores.Notes) -> scores.Notes:
  """The notes of the first staff that is not mostly silent."""
  staves = np.unique(notes[:, STAFF])
  if len(staves) < 2:
    return notes
  bars = [
    len(np.unique(notes[notes[:, STAFF] == staff, ONSET] // 4))
    for staff in staves
  ]
  upper = next(s for s, n in zip(staves, bars) if n >= max(bars) / 2)
  return notes[notes[:, STAFF] == upper]


def _ornaments(notes: scores.Notes) -> np.ndarray:
  """[N] whether a short note runs into one that is much longer."""
  following = np.searchsorted(
    notes[:, ONSET], notes[:, ONSET] + 1e-6, side='right'
  )
  longer = np.zeros(len(notes), bool)
  for i in np.flatnonzero(notes[:, DURATION] < _ORNAMENT):
    until = notes[i, ONSET] + 2 * _ORNAMENT
    j = following[i]
    while j < len(notes) and notes[j, ONSET] <= until and not longer[i]:
      longer[i] = notes[j, DURATION] >= max(
        2 * _ORNAMENT, 3 * notes[i, DURATION]
      )
      j += 1
  return longer
