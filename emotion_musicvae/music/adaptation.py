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

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melodic_lines
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

_Ints = npt.NDArray[np.int64]

_PHRASE = 4  # bars
_BAR_LINE = 4  # what `metres.Metre.weights` gives there
_STAYS = 100  # on top of that, for a note that is not left out nor split
_RULES = melodic_lines.Rules()


def adapt(
  tokens: melody.Tokens,
  mean_pitch: npt.ArrayLike,
  onsets_per_bar: npt.ArrayLike,
  chord_tone_weights: melody.Floats,
  chord_mask: melody.Floats,
  final_tones: melody.Floats,
  returning: _Ints | None = None,
  closes: npt.NDArray[np.bool_] | None = None,
  rules: melodic_lines.Rules = _RULES,
  metrical_weight: npt.NDArray[Any] | None = None,
  anchored: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
  """Melodies of n bars, 16 or more, adapted to targets.

  Args:
    tokens: [B, 16 n] tokens of tunes. One without a note is left as it is.
    mean_pitch: [B] MIDI.
    onsets_per_bar: [B] notes that begin in a bar.
    chord_tone_weights: [B, 16 n, 12] from `harmony.chord_tones`.
    chord_mask: [B, 16 n], 0 where notes are free.
    final_tones: [B, 12] above 0 for the pitch classes that may end a melody;
      any may where all are 0.
    returning: [B, n] see `returning_bars`; no bar returns when None.
    closes: [B] whether a melody ends with these bars; all do when None.
    rules: what counts how much.
    metrical_weight: [B, 16 n] see `metres.Metre.weights`; of 4/4 when None.
      Where nothing is heard no note begins.
    anchored: [B, 16 n] steps whose notes stay, in their pitch classes; none
      when None.

  Returns:
    [B, 16 n] tokens: of each tune as many notes as are asked for, within one or
    where bars return two, and the last of them long.
  """
  batch, num_bars = len(tokens), tokens.shape[1] // melody.STEPS_PER_BAR
  result = np.array(tokens, np.uint8)
  onsets = np.broadcast_to(onsets_per_bar, [batch])
  if returning is None:
    returning = np.full([batch, num_bars], -1)
  if closes is None:
    closes = np.ones(batch, bool)
  if metrical_weight is None:
    weights = np.resize(metres.QUADRUPLE.weights(), tokens.shape[1])
    metrical_weight = np.tile(weights, [batch, 1])
  if anchored is None:
    anchored = np.zeros(result.shape, bool)
  rows, lines = [], []
  for i, row in enumerate(result):
    if (row >= melody.FIRST_ONSET).any():
      number = max(1, round(float(onsets[i]) * num_bars))
      rows.append(i)
      lines.append(
        _rhythm(
          row,
          number,
          returning[i],
          bool(closes[i]),
          metrical_weight[i] + _STAYS * anchored[i],
          rules.turning,
        )
      )
  if not rows:
    return result
  pitches = melodic_lines.pitches(
    lines,
    np.broadcast_to(mean_pitch, [len(tokens)])[rows].astype(float),
    chord_tone_weights[rows],
    chord_mask[rows],
    final_tones[rows],
    returning[rows],
    metrical_weight[rows] >= metres.BEAT,
    anchored[rows],
    rules,
  )
  for i, line, pitch in zip(rows, lines, pitches):
    result[i] = _again(_tokens(line, pitch, tokens.shape[1]), returning[i])
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


def _tokens(
  line: melodic_lines.Line, pitch: _Ints, steps: int
) -> npt.NDArray[np.uint8]:
  """[steps] tokens of a line's notes with [N] MIDI pitches."""
  result = np.full(steps, melody.HOLD, np.uint8)
  result[line.end[line.end < steps]] = melody.NOTE_OFF
  result[line.onset] = pitch - melody.MIN_PITCH + melody.FIRST_ONSET
  return result


def _again(
  tokens: npt.NDArray[np.uint8], returning: _Ints
) -> npt.NDArray[np.uint8]:
  """[16 n] the same tokens with bars as those that they return to."""
  by_bar = tokens.reshape(-1, melody.STEPS_PER_BAR)
  own = np.arange(len(by_bar))
  return by_bar[np.where(returning >= 0, returning, own)].reshape(-1)


def _rhythm(
  tokens: npt.NDArray[np.uint8],
  number: int,
  returning: _Ints,
  closes: bool,
  weights: _Ints,
  turning: float,
) -> melodic_lines.Line:
  """The line of a tune's notes, as many as asked for."""
  line = _line(tokens)
  if closes:
    line = _ending_long(line, weights)
  # How often each bar is played: what returns is written when all else is.
  targets = returning[returning >= 0]
  plays = np.bincount(targets, minlength=len(returning)) + 1
  plays[returning >= 0] = 0
  own = plays[line.onset // melody.STEPS_PER_BAR] > 0
  if not own.any():
    own[0] = True
  line = melodic_lines.Line(line.onset[own], line.end[own], line.pitch[own])
  line = _with_number_of_notes(line, number, plays, weights, turning)
  if not len(targets):
    return line
  pitch = np.round(line.pitch).astype(int)
  return _line(_again(_tokens(line, pitch, len(tokens)), returning))


def _line(tokens: npt.NDArray[np.uint8]) -> melodic_lines.Line:
  notes = melody.notes(tokens)
  return melodic_lines.Line(notes.onset, notes.end, notes.pitch.astype(float))


def _ending_long(
  line: melodic_lines.Line, weights: _Ints
) -> melodic_lines.Line:
  """The same with its last note on a beat of the last bar, to the end.

  It begins when half of the bar is left at the latest, so that it can last.
  """
  last = int(np.flatnonzero(weights % _STAYS == _BAR_LINE)[-1])
  steps = np.flatnonzero(weights[last:] > metres.UNHEARD) + last
  half = steps[len(steps) // 2]
  onset, end, pitch = (x[line.onset <= half] for x in line)
  if len(onset):
    beats = np.flatnonzero(weights[: onset[-1] + 1] >= metres.BEAT)
    last = max(int(beats[-1]), last)
  before = onset < last
  if not before.any():  # Too little to be a tune: one note, and the last.
    return melodic_lines.Line(
      np.array([0, last]),
      np.array([last, len(weights)]),
      np.repeat(line.pitch[:1], 2),
    )
  return melodic_lines.Line(
    np.append(onset[before], last),
    np.append(np.minimum(end[before], last), len(weights)),
    np.append(pitch[before], pitch[-1]),
  )


def _with_number_of_notes(
  line: melodic_lines.Line,
  number: int,
  plays: _Ints,
  weights: _Ints,
  turning: float,
) -> melodic_lines.Line:
  """The same with notes left out or split until so many are left.

  Args:
    line: of the bars that are written.
    number: of notes that are played.
    plays: [n] how often each bar is.
    weights: [16 n] of the steps.
    turning: see `melodic_lines.Rules`.
  """
  more = number - int(plays[line.onset // melody.STEPS_PER_BAR].sum())
  if more > 0:
    return _split(line, more, plays, weights)
  return _thinned(line, -more, plays, weights, turning) if more else line


def _thinned(
  line: melodic_lines.Line,
  fewer: int,
  plays: _Ints,
  weights: _Ints,
  turning: float,
) -> melodic_lines.Line:
  """Leaves out the notes that weigh least; those before them last longer."""
  onset, end, pitch = line
  bar = onset // melody.STEPS_PER_BAR
  weight = weights[onset] + 0.6 * np.log2(end - onset)
  way = np.sign(np.diff(pitch))
  weight[1:-1] += turning * (way[:-1] * way[1:] < 0)
  # A bar's first note goes last, the first and the last of all never.
  weight += 3.0 * np.append(True, bar[1:] != bar[:-1])
  kept = np.ones(len(onset), bool)
  for i in np.argsort(weight, kind='stable'):
    if weight[i] >= _STAYS:
      break
    if 0 < i < len(onset) - 1 and plays[bar[i]] <= fewer:
      kept[i] = False
      fewer -= int(plays[bar[i]])
  last_left_out = np.append(np.flatnonzero(kept)[1:], len(onset)) - 1
  return melodic_lines.Line(onset[kept], end[last_left_out], pitch[kept])


def _split(
  line: melodic_lines.Line, more: int, plays: _Ints, weights: _Ints
) -> melodic_lines.Line:
  """Splits the longest notes, near their middle, where the bar is strong.

  The new note lies between its neighbours in pitch. The last note stays long.
  """
  following = np.append(line.pitch[1:], line.pitch[-1:])
  # The longest first, of equal ones the earliest.
  heap = [
    (int(start - stop), int(start), int(stop), float(a), float(b))
    for start, stop, a, b in zip(line.onset, line.end, line.pitch, following)
  ]
  first = line.onset[0]
  last, heap = heap[-1], heap[:-1]
  heapq.heapify(heap)
  whole = []
  while more and heap:
    length, start, stop, pitch, after = heapq.heappop(heap)
    inside = np.arange(start + 1, stop)
    count = plays[inside // melody.STEPS_PER_BAR]
    able = (count > 0) & (count <= more) & (weights[inside] > metres.UNHEARD)
    inside = inside[able & ((weights[start] < _STAYS) | (start == first))]
    if not len(inside):
      whole.append((length, start, stop, pitch, after))
      continue
    strength = weights[inside]
    off_middle = np.abs((inside - start) / -length - 0.5)
    at = int(inside[np.argmax(2.0 * strength - 4.0 * off_middle)])
    between = (pitch + after) / 2.0
    heapq.heappush(heap, (start - at, start, at, pitch, between))
    heapq.heappush(heap, (at - stop, at, stop, between, after))
    more -= int(plays[at // melody.STEPS_PER_BAR])
  notes = sorted([*heap, *whole, last], key=lambda note: note[1])
  _, onset, end, pitches, _ = (np.array(x) for x in zip(*notes))
  return melodic_lines.Line(onset, end, pitches.astype(float))
