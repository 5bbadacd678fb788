"""Adapts tunes by rule to a density, a register, chords and an ending.

What an arranger does at a desk: notes are left out where they weigh least in
the bar, or split where the bar is strong; then each takes the pitch that suits
its chord and keeps as much of the tune's line as it can. Chord tones stand on
the beat and passing notes go by step between them, as in people's tunes. Bars
of the first phrase return where its chords do.

It knows nothing of any model. Its tunes, encoded, show an actor where to go;
and they show a decoder what lies nearest to what it plays.
"""

from __future__ import annotations

import dataclasses
import heapq
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody

_Ints = npt.NDArray[np.int64]

# How much a sixteenth of the bar weighs: the bar line most, then the half bar,
# the beats, the eighths.
METRICAL_WEIGHT = np.array([4, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0])
# The last note begins in the last bar, at its third beat at the latest, so that
# it can last.
_LAST_BAR = melody.NUM_STEPS - melody.STEPS_PER_BAR
_LAST_ONSET = melody.NUM_STEPS - melody.STEPS_PER_BAR // 2
_LOWEST, _HIGHEST = 36, 96  # MIDI, where melodies lie
_FORBIDDEN = 50.0  # a cost that no tune pays
_ROUNDS = 3  # of finding the line and seeing what it measures,
_MORE_ROUNDS, _OFF = 4, 1.0  # and more where its mean is semitones off
_PHRASE = 4  # bars


@dataclasses.dataclass(frozen=True)
class Rules:
  """What a line pays for. Costs add up over the notes of a melody.

  Attributes:
    contour: a note's distance from the tune's own line of 3 semitones.
    motion: an interval 2 semitones other than the tune's.
    direction: going another way than the tune.
    repeat: standing still where the tune moves.
    see_saw: ending an A B A B where the tune has none.
    wide: each semitone of an interval beyond a step.
    too_wide: each semitone beyond a fifth, once more.
    leap: reaching or leaving a note foreign to its chord by more than a step.
    foreign_on_beat: such a note on the beat, lasting an eighth; it is adjusted
      until `on_beat` is reached.
    foreign: the same off the beat, adjusted for `of_onsets`.
    outside: a note foreign to chord and scale.
    on_beat: share of chord tones among the notes on the beat.
    of_onsets: share of chord tones among all notes.
  """

  contour: float = 0.8
  motion: float = 0.5
  direction: float = 0.5
  repeat: float = 1.5
  see_saw: float = 2.0
  wide: float = 0.5
  too_wide: float = 1.6
  leap: float = 0.9
  foreign_on_beat: float = 1.5
  foreign: float = 0.2
  outside: float = 6.0
  on_beat: float = 0.9
  of_onsets: float = 0.77


class Line(NamedTuple):
  """The notes of one melody.

  Attributes:
    onset: [N] int64 steps, rising.
    end: [N] int64 steps where each has ended.
    pitch: [N] float64 MIDI, between two pitches where none is written yet.
  """

  onset: _Ints
  end: _Ints
  pitch: npt.NDArray[np.float64]


def adapt(
  tokens: melody.Tokens,
  mean_pitch: npt.ArrayLike,
  onsets_per_bar: npt.ArrayLike,
  chord_tone_weights: melody.Floats,
  chord_mask: melody.Floats,
  final_tones: melody.Floats,
  returning: _Ints | None = None,
  closes: npt.NDArray[np.bool_] | None = None,
  rules: Rules = Rules(),
) -> npt.NDArray[np.uint8]:
  """Melodies adapted to targets.

  Args:
    tokens: [B, 256] tokens of tunes. One without a note is left as it is.
    mean_pitch: [B] MIDI.
    onsets_per_bar: [B] notes that begin in a bar.
    chord_tone_weights: [B, 256, 12] from `harmony.chord_tones`.
    chord_mask: [B, 256], 0 where notes are free.
    final_tones: [B, 12] above 0 for the pitch classes that may end a melody;
      any may where all are 0.
    returning: [B, 16] see `returning_bars`; no bar returns when None.
    closes: [B] whether a melody ends with these 16 bars; all do when None.
    rules: what counts how much.

  Returns:
    [B, 256] tokens: of each tune as many notes as are asked for, within one or
    where bars return two, and the last of them long.
  """
  batch = len(tokens)
  result = np.array(tokens, np.uint8)
  onsets = np.broadcast_to(onsets_per_bar, [batch])
  if returning is None:
    returning = np.full([batch, melody.NUM_BARS], -1)
  if closes is None:
    closes = np.ones(batch, bool)
  rows, lines = [], []
  for i, row in enumerate(result):
    if (row >= melody.FIRST_ONSET).any():
      number = max(1, round(float(onsets[i]) * melody.NUM_BARS))
      rows.append(i)
      lines.append(_rhythm(row, number, returning[i], bool(closes[i])))
  if not rows:
    return result
  pitches = _pitches(
    lines,
    np.broadcast_to(mean_pitch, [len(tokens)])[rows].astype(float),
    chord_tone_weights[rows],
    chord_mask[rows],
    final_tones[rows],
    returning[rows],
    rules,
  )
  for i, line, pitch in zip(rows, lines, pitches):
    result[i] = _again(_tokens(line, pitch), returning[i])
  return result


def returning_bars(chord_tone_weights: melody.Floats) -> _Ints:
  """Which bar of the first phrase each bar returns to.

  The second and the fourth phrase of four bars begin as the first did, A A B A,
  as long as their chords are the same. The last bar closes and is its own.

  Args:
    chord_tone_weights: [B, 256, 12].

  Returns:
    [B, 16] numbers of bars from 0; -1 where a bar is its own, as all are of
    melodies of more than 16 bars.
  """
  batch, steps, _ = chord_tone_weights.shape
  result = np.full([batch, melody.NUM_BARS], -1)
  if steps != melody.NUM_STEPS:
    return result
  bars = chord_tone_weights.reshape(batch, melody.NUM_BARS, -1)
  for phrase in (1, 3):
    same = np.ones(batch, bool)
    for bar in range(_PHRASE):
      at = phrase * _PHRASE + bar
      same &= (bars[:, at] == bars[:, bar]).all(axis=1)
      result[same, at] = bar
  result[:, -1] = -1
  return result


def _tokens(line: Line, pitch: _Ints) -> npt.NDArray[np.uint8]:
  """[256] tokens of a line's notes with [N] MIDI pitches."""
  result = np.full(melody.NUM_STEPS, melody.HOLD, np.uint8)
  result[line.end[line.end < melody.NUM_STEPS]] = melody.NOTE_OFF
  result[line.onset] = pitch - melody.MIN_PITCH + melody.FIRST_ONSET
  return result


def _again(
  tokens: npt.NDArray[np.uint8], returning: _Ints
) -> npt.NDArray[np.uint8]:
  """[256] the same tokens with bars as those that they return to."""
  by_bar = tokens.reshape(melody.NUM_BARS, melody.STEPS_PER_BAR)
  own = np.arange(melody.NUM_BARS)
  return by_bar[np.where(returning >= 0, returning, own)].reshape(-1)


def _rhythm(
  tokens: npt.NDArray[np.uint8], number: int, returning: _Ints, closes: bool
) -> Line:
  """The line of a tune's notes, as many as asked for."""
  line = _line(tokens)
  if closes:
    line = _ending_long(line)
  # How often each bar is played: what returns is written when all else is.
  targets = returning[returning >= 0]
  plays = np.bincount(targets, minlength=melody.NUM_BARS) + 1
  plays[returning >= 0] = 0
  own = plays[line.onset // melody.STEPS_PER_BAR] > 0
  if not own.any():
    own[0] = True
  line = Line(line.onset[own], line.end[own], line.pitch[own])
  line = _with_number_of_notes(line, number, plays)
  if not len(targets):
    return line
  pitch = np.round(line.pitch).astype(int)
  return _line(_again(_tokens(line, pitch), returning))


def _line(tokens: npt.NDArray[np.uint8]) -> Line:
  notes = melody.notes(tokens)
  return Line(notes.onset, notes.end, notes.pitch.astype(float))


def _ending_long(line: Line) -> Line:
  """The same with its last note on a beat of the last bar, to the end."""
  onset, end, pitch = (x[line.onset <= _LAST_ONSET] for x in line)
  last = _LAST_BAR
  if len(onset):
    beat = onset[-1] // melody.STEPS_PER_QUARTER * melody.STEPS_PER_QUARTER
    last = max(int(beat), last)
  before = onset < last
  if not before.any():  # Too little to be a tune: one note, and the last.
    return Line(
      np.array([0, last]),
      np.array([last, melody.NUM_STEPS]),
      np.repeat(line.pitch[:1], 2),
    )
  return Line(
    np.append(onset[before], last),
    np.append(np.minimum(end[before], last), melody.NUM_STEPS),
    np.append(pitch[before], pitch[-1]),
  )


def _with_number_of_notes(line: Line, number: int, plays: _Ints) -> Line:
  """The same with notes left out or split until so many are left.

  Args:
    line: of the bars that are written.
    number: of notes that are played.
    plays: [16] how often each bar is.
  """
  more = number - int(plays[line.onset // melody.STEPS_PER_BAR].sum())
  if more > 0:
    return _split(line, more, plays)
  return _thinned(line, -more, plays) if more else line


def _thinned(line: Line, fewer: int, plays: _Ints) -> Line:
  """Leaves out the notes that weigh least; those before them last longer."""
  onset, end, pitch = line
  bar = onset // melody.STEPS_PER_BAR
  weight = METRICAL_WEIGHT[onset % melody.STEPS_PER_BAR] + 0.6 * np.log2(
    end - onset
  )
  # A bar's first note goes last, the first and the last of all never.
  weight += 3.0 * np.append(True, bar[1:] != bar[:-1])
  kept = np.ones(len(onset), bool)
  for i in np.argsort(weight, kind='stable'):
    if 0 < i < len(onset) - 1 and plays[bar[i]] <= fewer:
      kept[i] = False
      fewer -= int(plays[bar[i]])
  last_left_out = np.append(np.flatnonzero(kept)[1:], len(onset)) - 1
  return Line(onset[kept], end[last_left_out], pitch[kept])


def _split(line: Line, more: int, plays: _Ints) -> Line:
  """Splits the longest notes, near their middle, where the bar is strong.

  The new note lies between its neighbours in pitch. The last note stays long.
  """
  following = np.append(line.pitch[1:], line.pitch[-1:])
  # The longest first, of equal ones the earliest.
  heap = [
    (int(start - stop), int(start), int(stop), float(a), float(b))
    for start, stop, a, b in zip(line.onset, line.end, line.pitch, following)
  ]
  last, heap = heap[-1], heap[:-1]
  heapq.heapify(heap)
  whole = []
  while more and heap:
    length, start, stop, pitch, after = heapq.heappop(heap)
    inside = np.arange(start + 1, stop)
    count = plays[inside // melody.STEPS_PER_BAR]
    inside = inside[(count > 0) & (count <= more)]
    if not len(inside):
      whole.append((length, start, stop, pitch, after))
      continue
    strength = METRICAL_WEIGHT[inside % melody.STEPS_PER_BAR]
    off_middle = np.abs((inside - start) / -length - 0.5)
    at = int(inside[np.argmax(2.0 * strength - 4.0 * off_middle)])
    between = (pitch + after) / 2.0
    heapq.heappush(heap, (start - at, start, at, pitch, between))
    heapq.heappush(heap, (at - stop, at, stop, between, after))
    more -= int(plays[at // melody.STEPS_PER_BAR])
  notes = sorted([*heap, *whole, last], key=lambda note: note[1])
  _, onset, end, pitches, _ = (np.array(x) for x in zip(*notes))
  return Line(onset, end, pitches.astype(float))


def _pitches(
  lines: list[Line],
  mean_pitch: npt.NDArray[np.float64],
  chord_tone_weights: melody.Floats,
  chord_mask: melody.Floats,
  final_tones: melody.Floats,
  returning: _Ints,
  rules: Rules,
) -> list[_Ints]:
  """The pitches of B lines: found, measured, corrected and found again."""
  count = np.array([len(line.onset) for line in lines])
  width = int(count.max())

  def padded(rows: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.stack([np.pad(x, (0, width - len(x)), 'edge') for x in rows])

  onset = padded([line.onset for line in lines]).astype(int)
  length = padded([line.end - line.onset for line in lines])
  pitch = padded([line.pitch for line in lines])
  there = np.arange(width) < count[:, None]
  beat = (onset % melody.STEPS_PER_QUARTER == 0) & there
  row = np.arange(len(lines))[:, None]
  covered = chord_mask[row, onset] > 0
  # [B, N, 12]
  tone = np.where(covered[..., None], chord_tone_weights[row, onset] > 0, True)
  scale = np.stack([harmony.scale(weights) for weights in chord_tone_weights])
  scale = scale[:, None] | (tone & covered[..., None])

  def mean(
    values: npt.ArrayLike, among: npt.NDArray[np.bool_]
  ) -> melody.Floats:
    total = np.where(among, values, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(among.sum(axis=1), 1))

  moved = pitch + (mean_pitch - mean(pitch, there))[:, None]
  on_beat = np.full(len(lines), rules.foreign_on_beat)
  off_beat = np.full(len(lines), rules.foreign)
  avoided = np.zeros(onset.shape, int)  # pitches, 0 for none
  own = _see_saws(pitch, there)
  for _ in range(_ROUNDS):
    foreign = np.where(beat, on_beat[:, None], off_beat[:, None])
    foreign = foreign * (0.5 + np.minimum(length, 8) / 4.0)
    found = _best_lines(
      moved, count, tone, scale, foreign, final_tones, avoided, rules
    )
    avoided = np.where(_see_saws(found, there) & ~own, found, avoided)
    fits = np.take_along_axis(tone, found[..., None] % 12, axis=2)[..., 0]
    too_many = mean(fits, there & covered) - rules.of_onsets
    too_many_on_beat = mean(fits, beat & covered) - rules.on_beat
    off_beat = np.maximum(off_beat - 4.0 * too_many, 0.0)
    on_beat = np.clip(on_beat - 6.0 * too_many_on_beat, 0.3, 8.0)
    moved = moved + (mean_pitch - mean(found, there))[:, None]
  for _ in range(_MORE_ROUNDS):
    # A line over few chords is slow to leave them.
    off = np.abs(mean_pitch - mean(found, there))
    rows = np.flatnonzero(off > _OFF)
    if not len(rows):
      break
    again = _best_lines(
      moved[rows],
      count[rows],
      tone[rows],
      scale[rows],
      foreign[rows],
      final_tones[rows],
      avoided[rows],
      rules,
    )
    short = mean_pitch[rows] - mean(again, there[rows])
    nearer = np.abs(short) < off[rows]
    found[rows[nearer]] = again[nearer]
    moved[rows] += short[:, None]
  source, fixed = _sources(onset, there, returning)
  rows = np.flatnonzero(fixed.any(axis=1))
  if len(rows):
    # Bars that return take over what was found; what leads there follows.
    taken = np.take_along_axis(found[rows], source[rows], axis=1)
    moved = np.where(fixed[rows], taken, moved[rows])
    found[rows] = _best_lines(
      moved,
      count[rows],
      tone[rows],
      scale[rows],
      foreign[rows],
      final_tones[rows],
      avoided[rows],
      rules,
      fixed[rows],
    )
  return [own[:n] for own, n in zip(found, count)]


def _see_saws(
  pitch: npt.NDArray[Any], there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
  """[B, N] the last notes of A B A B."""
  result = np.zeros(pitch.shape, bool)
  result[:, 3:] = (
    (pitch[:, 3:] == pitch[:, 1:-2])
    & (pitch[:, 2:-1] == pitch[:, :-3])
    & (pitch[:, 3:] != pitch[:, 2:-1])
    & there[:, 3:]
  )
  return result


def _sources(
  onset: _Ints, there: npt.NDArray[np.bool_], returning: _Ints
) -> tuple[_Ints, npt.NDArray[np.bool_]]:
  """Which note each note repeats.

  Args:
    onset: [B, N] steps, padded.
    there: [B, N] whether there is such a note.
    returning: [B, 16].

  Returns:
    `(source, fixed)`: [B, N] numbers of notes, a note's own where it repeats
    none; and whether it repeats one or is repeated.
  """
  row = np.arange(len(onset))[:, None]
  bar, offset = np.divmod(onset, melody.STEPS_PER_BAR)
  repeated = returning[row, bar]
  at = np.where(repeated >= 0, repeated, bar) * melody.STEPS_PER_BAR + offset
  number = np.broadcast_to(np.arange(onset.shape[1]), onset.shape)
  # Where padded, the last note stands again: the first of equal steps counts.
  beginning = np.zeros([len(onset), melody.NUM_STEPS], int)
  beginning[row, onset[:, ::-1]] = number[:, ::-1]
  source = beginning[row, at]
  target = np.zeros([len(onset), melody.NUM_BARS], bool)
  b, to = np.nonzero(returning >= 0)
  target[b, returning[b, to]] = True
  return source, ((repeated >= 0) | target[row, bar]) & there


def _best_lines(
  line: melody.Floats,
  count: _Ints,
  tone: npt.NDArray[np.bool_],
  scale: npt.NDArray[np.bool_],
  foreign: melody.Floats,
  final_tones: melody.Floats,
  avoided: _Ints,
  rules: Rules,
  fixed: npt.NDArray[np.bool_] | None = None,
  reach: int = 9,
) -> _Ints:
  """The lines that cost least, by Viterbi's algorithm.

  Args:
    line: [B, N] MIDI pitches that the tunes would like, padded.
    count: [B] how many of them are there.
    tone: [B, N, 12] pitch classes of each note's chord.
    scale: [B, N, 12] pitch classes of the key, and of the chord.
    foreign: [B, N] what a note foreign to its chord pays.
    final_tones: [B, 12].
    avoided: [B, N] MIDI pitches that cost `rules.see_saw`.
    rules: the other costs.
    fixed: [B, N] notes that stay where the tune has them; none when None.
    reach: semitones that a note may go from its line.

  Returns:
    [B, N] MIDI pitches.
  """
  batch, number = line.shape
  candidate = np.round(line).astype(int)[..., None] + np.arange(
    -reach, reach + 1
  )
  pitch_class = candidate % 12
  fits = np.take_along_axis(tone, pitch_class, axis=2)
  cost = rules.contour * np.square((candidate - line[..., None]) / 3.0)
  cost += np.where(fits, 0.0, foreign[..., None])
  cost += np.where(candidate == avoided[..., None], rules.see_saw, 0.0)
  cost += np.where(
    np.take_along_axis(scale, pitch_class, axis=2), 0.0, rules.outside
  )
  cost += np.where(
    (candidate < _LOWEST) | (candidate > _HIGHEST), _FORBIDDEN, 0.0
  )
  if fixed is not None:
    cost += np.where(
      fixed[..., None] & (candidate != np.round(line[..., None])),
      _FORBIDDEN,
      0.0,
    )
  row = np.arange(batch)
  ends = np.take_along_axis(final_tones, pitch_class[row, count - 1], axis=1)
  free = ~final_tones.any(axis=1, keepdims=True)
  cost[row, count - 1] += np.where((ends > 0) | free, 0.0, _FORBIDDEN)
  there = np.arange(number) < count[:, None]
  cost = np.where(there[..., None], cost, 0.0)
  # What is behind the end changes nothing: the line stands still there.
  still = np.where(np.eye(2 * reach + 1, dtype=bool), 0.0, np.inf)

  total = cost[:, 0]
  chosen = []
  for i in range(1, number):
    interval = candidate[:, i, None, :] - candidate[:, i - 1, :, None]
    wide = np.abs(interval)
    asked = (line[:, i] - line[:, i - 1])[:, None, None]
    step = rules.motion * np.square((interval - asked) / 2.0)
    moves = np.abs(asked) >= 0.5
    step += np.where(
      moves,
      rules.repeat * (interval == 0)
      + rules.direction * (np.sign(interval) != np.sign(asked)),
      0.25 * rules.repeat * (interval == 0),
    )
    step += rules.wide * np.maximum(wide - 2, 0)
    step += rules.too_wide * np.maximum(wide - 7, 0)
    strangers = ~fits[:, i, None, :] * 1.0 + ~fits[:, i - 1, :, None]
    step += rules.leap * (wide > 2) * strangers
    step = np.where(there[:, i, None, None], step, still)
    paths = total[:, :, None] + step
    best = paths.argmin(axis=1)
    chosen.append(best)
    total = np.take_along_axis(paths, best[:, None], axis=1)[:, 0] + cost[:, i]
  at = total.argmin(axis=1)
  path = [at]
  for best in reversed(chosen):
    at = best[row, at]
    path.append(at)
  index = np.stack(path[::-1], axis=1)
  return np.take_along_axis(candidate, index[..., None], axis=2)[..., 0]
