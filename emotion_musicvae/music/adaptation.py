"""Adapts tunes by rule to a density, a register, chords and an ending.

What an arranger does at a desk: notes are left out where they weigh least in
the bar, or split where the bar is strong; then each takes the pitch that suits
its chord and keeps as much of the tune's line as it can. Chord tones stand on
the beat and passing notes go by step between them, as in people's tunes.

It knows nothing of any model. Its tunes, encoded, show an actor where to go.
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
_ROUNDS = 3  # of finding the line and seeing what it measures


@dataclasses.dataclass(frozen=True)
class Rules:
  """What a line pays for. Costs add up over the notes of a melody.

  Attributes:
    contour: a note's distance from the tune's own line of 3 semitones.
    motion: an interval 2 semitones other than the tune's.
    direction: going another way than the tune.
    repeat: standing still where the tune moves.
    wide: each semitone of an interval beyond a step.
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
  wide: float = 0.4
  leap: float = 0.9
  foreign_on_beat: float = 1.5
  foreign: float = 0.2
  outside: float = 6.0
  on_beat: float = 0.95
  of_onsets: float = 0.8


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
    rules: what counts how much.

  Returns:
    [B, 256] tokens: of each tune as many notes as are asked for, within one,
    the last of them long.
  """
  result = np.array(tokens, np.uint8)
  onsets = np.broadcast_to(onsets_per_bar, [len(tokens)])
  rows, lines = [], []
  for i, row in enumerate(tokens):
    notes = melody.notes(row)
    if len(notes.onset):
      number = max(1, round(float(onsets[i]) * melody.NUM_BARS))
      line = Line(notes.onset, notes.end, notes.pitch.astype(float))
      rows.append(i)
      lines.append(_with_number_of_notes(_ending_long(line), number))
  if not rows:
    return result
  pitches = _pitches(
    lines,
    np.broadcast_to(mean_pitch, [len(tokens)])[rows].astype(float),
    chord_tone_weights[rows],
    chord_mask[rows],
    final_tones[rows],
    rules,
  )
  for i, line, pitch in zip(rows, lines, pitches):
    result[i] = melody.HOLD
    result[i, line.end[line.end < melody.NUM_STEPS]] = melody.NOTE_OFF
    result[i, line.onset] = pitch - melody.MIN_PITCH + melody.FIRST_ONSET
  return result


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


def _with_number_of_notes(line: Line, number: int) -> Line:
  """The same with notes left out or split until so many are left."""
  more = number - len(line.onset)
  return _split(line, more) if more > 0 else _thinned(line, -more)


def _thinned(line: Line, fewer: int) -> Line:
  """Leaves out the notes that weigh least; those before them last longer."""
  if fewer <= 0:
    return line
  onset, end, pitch = line
  bar = onset // melody.STEPS_PER_BAR
  weight = METRICAL_WEIGHT[onset % melody.STEPS_PER_BAR] + 0.6 * np.log2(
    end - onset
  )
  # A bar's first note goes last, the first and the last of all never.
  weight += 3.0 * np.append(True, bar[1:] != bar[:-1])
  weight[[0, -1]] = np.inf
  fewer = min(fewer, max(len(onset) - 2, 0))
  kept = np.sort(np.argsort(weight, kind='stable')[fewer:])
  last_left_out = np.append(kept[1:], len(onset)) - 1
  return Line(onset[kept], end[last_left_out], pitch[kept])


def _split(line: Line, more: int) -> Line:
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
  short = []
  while more and heap:
    length, start, stop, pitch, after = heapq.heappop(heap)
    if length > -2:
      short.append((length, start, stop, pitch, after))
      continue
    inside = np.arange(start + 1, stop)
    strength = METRICAL_WEIGHT[inside % melody.STEPS_PER_BAR]
    off_middle = np.abs((inside - start) / -length - 0.5)
    at = int(inside[np.argmax(2.0 * strength - 4.0 * off_middle)])
    between = (pitch + after) / 2.0
    heapq.heappush(heap, (start - at, start, at, pitch, between))
    heapq.heappush(heap, (at - stop, at, stop, between, after))
    more -= 1
  notes = sorted([*heap, *short, last], key=lambda note: note[1])
  _, onset, end, pitches, _ = (np.array(x) for x in zip(*notes))
  return Line(onset, end, pitches.astype(float))


def _pitches(
  lines: list[Line],
  mean_pitch: npt.NDArray[np.float64],
  chord_tone_weights: melody.Floats,
  chord_mask: melody.Floats,
  final_tones: melody.Floats,
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
  for _ in range(_ROUNDS):
    foreign = np.where(beat, on_beat[:, None], off_beat[:, None])
    foreign = foreign * (0.5 + np.minimum(length, 8) / 4.0)
    found = _best_lines(moved, count, tone, scale, foreign, final_tones, rules)
    fits = np.take_along_axis(tone, found[..., None] % 12, axis=2)[..., 0]
    too_many = mean(fits, there & covered) - rules.of_onsets
    too_many_on_beat = mean(fits, beat & covered) - rules.on_beat
    off_beat = np.maximum(off_beat - 4.0 * too_many, 0.0)
    on_beat = np.clip(on_beat - 6.0 * too_many_on_beat, 0.3, 8.0)
    moved = moved + (mean_pitch - mean(found, there))[:, None]
  return [own[:n] for own, n in zip(found, count)]


def _best_lines(
  line: melody.Floats,
  count: _Ints,
  tone: npt.NDArray[np.bool_],
  scale: npt.NDArray[np.bool_],
  foreign: melody.Floats,
  final_tones: melody.Floats,
  rules: Rules,
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
    rules: the other costs.
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
  cost += np.where(
    np.take_along_axis(scale, pitch_class, axis=2), 0.0, rules.outside
  )
  cost += np.where(
    (candidate < _LOWEST) | (candidate > _HIGHEST), _FORBIDDEN, 0.0
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
