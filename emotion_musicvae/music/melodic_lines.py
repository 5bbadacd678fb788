"""The pitches of adapted tunes: lines that suit their chords.

Viterbi's algorithm finds for each tune the line that costs least by `Rules`;
what it measures corrects the costs, and it is found again.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody

_Ints = npt.NDArray[np.int64]

_LOWEST, _HIGHEST = 36, 96  # MIDI, where melodies lie
_FORBIDDEN = 50.0  # a cost that no tune pays
_ROUNDS = 3  # of finding the line and seeing what it measures,
_STEPS = 0.43  # share of steps among the intervals of most tunes
_MOST = 2.0  # times what wide intervals cost in most tunes
_BEYOND = 0.45  # of what a line is wider than the compass, what it keeps
_MORE_ROUNDS, _OFF = 4, 1.0  # and more where its mean is semitones off


@dataclasses.dataclass(frozen=True)
class Rules:
  """What a line pays for. Costs add up over the notes of a melody.

  Attributes:
    contour: a note's distance from the tune's own line of 3 semitones.
    motion: an interval 2 semitones other than the tune's.
    direction: going another way than the tune.
    repeat: standing still where the tune moves.
    see_saw: ending an A B A B where the tune has none, and standing still for a
      fourth note.
    may_stand: whether the tune may stand still for so long where it does.
    wide: each semitone of an interval beyond a step, in a tune that goes by
      step as often as most do.
    character: how much more where a tune goes by step more often, and less
      where it does less; 0 for no difference.
    too_wide: each semitone beyond a fifth, once more.
    leap: reaching or leaving a note foreign to its chord by more than a step.
    foreign_on_beat: such a note on the beat, lasting an eighth; it is adjusted
      until `on_beat` is reached.
    foreign: the same off the beat, adjusted for `of_onsets`.
    turning: how much more a note weighs where the tune's line turns, when notes
      are left out.
    compass: semitones from the lowest to the highest note of a line that is
      left as it is; a wider one is drawn together about its mean.
    outside: a note foreign to chord and scale.
    tonic: what a note that may end a melody earns, so that the key is heard.
    on_beat: share of chord tones among the notes on the beat.
    of_onsets: share of chord tones among all notes.
  """

  contour: float = 0.8
  motion: float = 0.5
  direction: float = 0.5
  repeat: float = 1.7
  see_saw: float = 4.0
  may_stand: bool = False
  wide: float = 0.4
  character: float = 25.0
  too_wide: float = 1.6
  leap: float = 0.9
  foreign_on_beat: float = 1.5
  foreign: float = 0.2
  turning: float = 0.0
  compass: float = 23.0
  outside: float = 6.0
  tonic: float = 0.3
  on_beat: float = 0.86
  of_onsets: float = 0.75


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


def pitches(
  lines: list[Line],
  mean_pitch: npt.NDArray[np.float64],
  chord_tone_weights: melody.Floats,
  chord_mask: melody.Floats,
  final_tones: melody.Floats,
  returning: _Ints,
  beats: npt.NDArray[np.bool_],
  anchored: npt.NDArray[np.bool_],
  rules: Rules,
) -> list[_Ints]:
  """The pitches of B lines: found, measured, corrected and found again.

  Args:
    lines: B lines, each with a note at least.
    mean_pitch: [B] MIDI.
    chord_tone_weights: [B, 16 n, 12] from `harmony.chord_tones`.
    chord_mask: [B, 16 n], 0 where notes are free.
    final_tones: [B, 12] above 0 for the pitch classes that may end a melody.
    returning: [B, n] see `adaptation.returning_bars`.
    beats: [B, 16 n] which steps are beats.
    anchored: [B, 16 n] at which steps notes keep their pitch classes.
    rules: what counts how much.

  Returns:
    For each line [N] MIDI pitches.
  """
  count = np.array([len(line.onset) for line in lines])
  width = int(count.max())

  def padded(rows: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.stack([np.pad(x, (0, width - len(x)), 'edge') for x in rows])

  onset = padded([line.onset for line in lines]).astype(int)
  length = padded([line.end - line.onset for line in lines])
  pitch = padded([line.pitch for line in lines])
  there = np.arange(width) < count[:, None]
  row = np.arange(len(lines))[:, None]
  beat = beats[row, onset] & there
  pitch_class = np.where(
    anchored[row, onset] & there, np.round(pitch).astype(int) % 12, -1
  )
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

  centre = mean(pitch, there)[:, None]
  share = _share_of_compass(pitch, there, rules.compass)[:, None]
  moved = mean_pitch[:, None] + share * (pitch - centre)
  on_beat = np.full(len(lines), rules.foreign_on_beat)
  off_beat = np.full(len(lines), rules.foreign)
  avoided = np.zeros(onset.shape, int)  # pitches, 0 for none
  own = _see_saws(pitch, there)
  stands = _standing(np.round(pitch), there) & rules.may_stand
  character = _character(pitch, there, rules.character)
  wide = rules.wide * character
  for _ in range(_ROUNDS):
    foreign = np.where(beat, on_beat[:, None], off_beat[:, None])
    foreign = foreign * (0.5 + np.minimum(length, 8) / 4.0)
    found = _best_lines(
      moved,
      count,
      tone,
      scale,
      foreign,
      final_tones,
      avoided,
      pitch_class,
      wide,
      rules,
    )
    dull = (_see_saws(found, there) & ~own) | (
      _standing(found, there) & ~stands
    )
    avoided = np.where(dull, found, avoided)
    fits = np.take_along_axis(tone, found[..., None] % 12, axis=2)[..., 0]
    too_many = mean(fits, there & covered) - rules.of_onsets
    too_many_on_beat = mean(fits, beat & covered) - rules.on_beat
    off_beat = np.maximum(off_beat - 4.0 * too_many, 0.0)
    on_beat = np.clip(on_beat - 6.0 * too_many_on_beat, 0.3, 8.0)
    moved = moved + (mean_pitch - mean(found, there))[:, None]

  def found_again(
    rows: _Ints,
    line: melody.Floats,
    fixed: npt.NDArray[np.bool_] | None = None,
  ) -> _Ints:
    return _best_lines(
      line,
      count[rows],
      tone[rows],
      scale[rows],
      foreign[rows],
      final_tones[rows],
      avoided[rows],
      pitch_class[rows],
      wide[rows],
      rules,
      fixed,
    )

  for _ in range(_MORE_ROUNDS):
    # A line over few chords is slow to leave them.
    off = np.abs(mean_pitch - mean(found, there))
    rows = np.flatnonzero(off > _OFF)
    if not len(rows):
      break
    again = found_again(rows, moved[rows])
    short = mean_pitch[rows] - mean(again, there[rows])
    nearer = np.abs(short) < off[rows]
    found[rows[nearer]] = again[nearer]
    moved[rows] += short[:, None]
  source, fixed = _sources(onset, there, returning)
  rows = np.flatnonzero(fixed.any(axis=1))
  if len(rows):
    # Bars that return take over what was found; what leads there follows.
    taken = np.take_along_axis(found[rows], source[rows], axis=1)
    wanted = np.where(fixed[rows], taken, moved[rows])
    found[rows] = found_again(rows, wanted, fixed[rows])
  return [own[:n] for own, n in zip(found, count)]


def _share_of_compass(
  pitch: melody.Floats, there: npt.NDArray[np.bool_], compass: float
) -> melody.Floats:
  """[B] what intervals shrink to: 1 for a line within the compass, or less."""
  highest = np.where(there, pitch, -np.inf).max(axis=1)
  lowest = np.where(there, pitch, np.inf).min(axis=1)
  width = np.maximum(highest - lowest, 1.0)
  return (width - (1.0 - _BEYOND) * np.maximum(width - compass, 0.0)) / width


def _character(
  pitch: melody.Floats, there: npt.NDArray[np.bool_], character: float
) -> melody.Floats:
  """[B] how much wide intervals cost in these lines, 1 in most tunes."""
  interval = np.abs(np.diff(pitch, axis=1))
  steps = (interval >= 0.5) & (interval < 2.5) & there[:, 1:]
  share = steps.sum(axis=1) / np.maximum(there[:, 1:].sum(axis=1), 1)
  return np.clip(1.0 + character * (share - _STEPS), 0.0, _MOST)


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


def _standing(
  pitch: npt.NDArray[Any], there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
  """[B, N] the fourth notes in a row of one pitch, and every fourth then."""
  number = np.broadcast_to(np.arange(pitch.shape[1]), pitch.shape)
  moved = np.diff(pitch, axis=1, prepend=-1.0) != 0
  run = number - np.maximum.accumulate(np.where(moved, number, 0), axis=1)
  return (run % 4 == 3) & there


def _sources(
  onset: _Ints, there: npt.NDArray[np.bool_], returning: _Ints
) -> tuple[_Ints, npt.NDArray[np.bool_]]:
  """Which note each note repeats.

  Args:
    onset: [B, N] steps, padded.
    there: [B, N] whether there is such a note.
    returning: [B, n].

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
  num_bars = returning.shape[1]
  beginning = np.zeros([len(onset), num_bars * melody.STEPS_PER_BAR], int)
  beginning[row, onset[:, ::-1]] = number[:, ::-1]
  source = beginning[row, at]
  target = np.zeros([len(onset), num_bars], bool)
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
  own_class: _Ints,
  wideness: melody.Floats,
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
    own_class: [B, N] pitch classes that notes keep, -1 where they may change.
    wideness: [B] what each semitone of an interval beyond a step costs.
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
  cost += np.where(
    (own_class >= 0)[..., None] & (pitch_class != own_class[..., None]),
    _FORBIDDEN,
    0.0,
  )
  if fixed is not None:
    cost += np.where(
      fixed[..., None] & (candidate != np.round(line[..., None])),
      _FORBIDDEN,
      0.0,
    )
  row = np.arange(batch)
  home = final_tones[row[:, None, None], pitch_class] > 0
  cost -= np.where(home, rules.tonic, 0.0)
  ends = np.take_along_axis(final_tones, pitch_class[row, count - 1], axis=1)
  free = ~final_tones.any(axis=1, keepdims=True)
  cost[row, count - 1] += np.where((ends > 0) | free, 0.0, _FORBIDDEN)
  there = np.arange(number) < count[:, None]
  cost = np.where(there[..., None], cost, 0.0)
  # Melodies come last, as numpy is fast along many.
  cost = np.ascontiguousarray(cost.transpose(1, 2, 0))
  foreign_tone = np.ascontiguousarray(~fits.transpose(1, 2, 0), float)
  moving, leaping = _intervals(line.T, wideness, reach, rules)
  totals = [cost[0]]
  for i in range(1, number):
    # [candidates of this note, of the one before, B]
    paths = leaping[i] * (foreign_tone[i][:, None] + foreign_tone[i - 1])
    paths += moving[i]
    paths += totals[-1]
    total = paths.min(axis=1) + cost[i]
    # What is behind the end changes nothing: the line stands still there.
    totals.append(np.where(there[:, i], total, totals[-1]))
  at = totals[-1].argmin(axis=0)
  path = [at]
  for i in range(number - 1, 0, -1):
    # [B, candidates of the note before]
    strangers = foreign_tone[i, at, row][:, None] + foreign_tone[i - 1].T
    back = leaping[i, at, :, row] * strangers
    back += moving[i, at, :, row]
    back += totals[i - 1].T
    at = np.where(there[:, i], back.argmin(axis=1), at)
    path.append(at)
  index = np.stack(path[::-1], axis=1)
  return np.take_along_axis(candidate, index[..., None], axis=2)[..., 0]


def _intervals(
  line: melody.Floats, wideness: melody.Floats, reach: int, rules: Rules
) -> tuple[melody.Floats, melody.Floats]:
  """What the way from one note to the next pays for its interval.

  Few intervals lie between many pairs of candidates, so each is judged once and
  seen in all of its places.

  Args:
    line: [N, B] MIDI pitches, see `_best_lines`.
    wideness: [B] as there.
    reach: as there.
    rules: as there.

  Returns:
    `(moving, leaping)`, [N, C, C, B] for C candidates of a note and those of
    the one before: what it pays, and what it pays once more for each of the two
    that is foreign to its chord. The first note's mean nothing.
  """
  asked = np.diff(line, axis=0, prepend=line[:1])[:, None]
  own = np.round(line).astype(int)
  candidates = np.arange(2 * reach, -2 * reach - 1, -1)[:, None]
  interval = np.diff(own, axis=0, prepend=own[:1])[:, None] + candidates
  wide = np.abs(interval)
  cost = rules.motion * np.square((interval - asked) / 2.0)
  cost += np.where(
    np.abs(asked) >= 0.5,
    rules.repeat * (interval == 0)
    + rules.direction * (np.sign(interval) != np.sign(asked)),
    0.25 * rules.repeat * (interval == 0),
  )
  cost += wideness * np.maximum(wide - 2, 0)
  cost += rules.too_wide * np.maximum(wide - 7, 0)

  def seen(values: melody.Floats) -> melody.Floats:
    width = 2 * reach + 1
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=1)
    return windows[:, ::-1].transpose(0, 1, 3, 2)

  return seen(cost), seen(rules.leap * (wide > 2))
