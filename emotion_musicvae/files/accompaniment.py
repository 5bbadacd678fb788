"""Accompaniments: chords led from voice to voice, a bass, drums.

Voices move as harmony is taught: each to the nearest tone of the next chord, in
close position below the melody, and no two in parallel fifths or octaves. Of
all ways through a progression the best is taken, found by dynamic programming.
What they play of the chords is a style's pattern, see `playing.Style`.
"""

from collections.abc import Sequence
import functools
import itertools
import re
from typing import NamedTuple

from note_seq import chord_symbols_lib
from note_seq import chords_lib
from note_seq.protobuf import music_pb2

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import playing
from emotion_musicvae.music import harmony
from emotion_musicvae.music import metres

_MOST_VOICES = 4  # beside the bass
# MIDI pitches. Below the first of them close chords are muddy, below the second
# there are none; the bass stays between the last two.
_MUDDY, _LOWEST = 43, 36
_BASS_LOW, _BASS_HIGH = 24, 47
# What a way through the progression costs, in semitones of one voice.
_PARALLEL = 40.0
_MUD = 0.3  # a semitone too low
_CENTRE, _AWAY = 55.0, 0.08  # where chords lie best, and a semitone from there
_BASS_CENTRE, _BASS_AWAY = 38.0, 0.05
_BASS_STEP = 0.15  # a semitone that the bass moves
_THIN = 3.0  # a voice that is silent under a low melody, a third as much again
_STATES = 16  # ways to set a chord that are looked at
_PERFECT = (0, 7)  # octaves and fifths
# What begins the bar that is held; drums have what their row begins with.
_HELD = {'chords': 'X', 'bass': 'R'}
_CHORD_PAN, _BASS_PAN = 40, 64


class _Chord(NamedTuple):
  """A chord of a progression.

  Attributes:
    start: step on which it begins.
    end: step on which it has ended.
    symbol: its name.
    limit: MIDI pitch of the melody that it stays below.
  """

  start: int
  end: int
  symbol: str
  limit: int


class _Setting(NamedTuple):
  """Pitches that a chord is played with.

  Attributes:
    bass: the lowest.
    next_bass: the one that the bass has come to when the chord ends.
    voices: the others, from below.
  """

  bass: int
  next_bass: int
  voices: tuple[int, ...]


def close(sequence: music_pb2.NoteSequence) -> None:
  """Adds a bar of the tonic chord, unless a sequence ends with it anyway.

  Args:
    sequence: arranged NoteSequence, is changed.
  """
  key, chords = arrangement.key(sequence), arrangement.chords(sequence)
  if not key:
    return
  tonic, mode = key
  symbol = tonic + ('m' if mode == 'minor' else '')
  if _triad(chords[-1][1]) == _triad(symbol):
    return
  end = arrangement.num_steps(sequence)
  sequence.text_annotations.add(
    quantized_step=end, text=symbol, annotation_type=chords_lib.CHORD_SYMBOL
  )
  bar = arrangement.metre(sequence).bar_steps
  sequence.total_quantized_steps = end + bar


def _triad(symbol: str) -> tuple[int, ...]:
  if symbol == harmony.NO_CHORD:
    return ()
  root = chord_symbols_lib.chord_symbol_root(symbol)
  intervals = {(p - root) % 12 for p in _pitch_classes(symbol)}
  return (root, *sorted(intervals & {3, 4, 6, 7, 8}))


def parts(
  sequence: music_pb2.NoteSequence, style: playing.Style, full: bool, loop: bool
) -> list[arrangement.Part]:
  """What accompanies a melody.

  Args:
    sequence: arranged NoteSequence, closed by `close` or to be looped.
    style: what is played.
    full: whether bass and drums play, too.
    loop: whether the last bar goes on into the first; if not, it is held.

  Returns:
    Parts of chords, bass and drums, of those that have notes.
  """
  lines = arrangement.bar_lines(sequence)
  rows = _Rows(lines, arrangement.metre(sequence), style, loop)
  chords = _chords(sequence)
  settings = _settings(chords, rows)
  found: dict[str, list[tuple[int, int, int]]] = {'chords': [], 'bass': []}
  for chord, setting in zip(chords, settings):
    for start, end in arrangement.by_bar(chord.start, chord.end, lines):
      for at, over, character in rows.events('chords', start, end):
        for pitch in _struck(setting.voices, character):
          found['chords'].append((at, over, pitch))
      for at, over, character in rows.events('bass', start, end):
        pitch = _bass(character, chord.symbol, setting.bass, setting.voices)
        found['bass'].append((at, over, pitch))
  drums = [
    (at, over, pitch)
    for start, end in arrangement.by_bar(
      lines.start, arrangement.num_steps(sequence), lines
    )
    for name, pitch in playing.DRUMS.items()
    for at, over, _ in rows.events(name, start, end)
  ]
  result = [
    arrangement.Part(
      'Chords',
      arrangement.CHORDS,
      style.chord_program,
      tuple(sorted(found['chords'])),
      style.level,
      _CHORD_PAN,
    )
  ]
  if full:
    result += [
      arrangement.Part(
        'Bass',
        arrangement.BASS,
        style.bass_program,
        tuple(sorted(found['bass'])),
        style.bass_level,
      ),
      arrangement.Part(
        'Drums', arrangement.DRUMS, 0, tuple(sorted(drums)), style.drum_level
      ),
    ]
  return [part for part in result if part.notes]


class _Rows:
  """The rows of a style's patterns, as long as the bars of a sequence.

  Args:
    lines: steps on which its bars begin.
    metre: of the bars.
    style: whose rows they are.
    loop: whether the last bar is as the others; if not, it is held.
  """

  def __init__(
    self, lines: range, metre: metres.Metre, style: playing.Style, loop: bool
  ):
    self._lines = lines
    self._held = None if loop else lines[-1]
    self._rows = {
      name: [(row * lines.step)[: lines.step] for row in rows]
      for name, rows in style.pattern(metre).items()
    }

  def events(
    self, name: str, start: int, end: int
  ) -> list[tuple[int, int, str]]:
    """Events `(start, end, character)` of a row in a span of one bar."""
    rows = self._rows.get(name)
    if not rows:
      return []
    row = rows[(start - self._lines.start) // self._lines.step % len(rows)]
    if start == self._held:
      row = _HELD.get(name, row[0]).ljust(self._lines.step, '-')
    return [
      (start + at, min(start + at + length, end), character)
      for at, length, character in _events(row)
      if start + at < end
    ]


@functools.cache
def _events(row: str) -> list[tuple[int, int, str]]:
  """Events `(position, length, character)` of a row."""
  return [
    (match.start(), len(match[0]), match[0][0])
    for match in re.finditer('[^.-]-*', row)
  ]


def _struck(voices: tuple[int, ...], character: str) -> tuple[int, ...]:
  """The voices that a character of a row of chords stands for."""
  if character == 'X':
    return voices
  if character == 'U':
    return voices[1:] or voices
  return voices[min(int(character), len(voices)) - 1 :][:1]


def _bass(
  character: str, symbol: str, bass: int, voices: tuple[int, ...]
) -> int:
  """The pitch that a character of a row of the bass stands for."""
  if character == 'R':
    return bass
  pitch = bass + 12
  if character == '5':
    root = chord_symbols_lib.chord_symbol_root(symbol)
    fifths = [p for p in _pitch_classes(symbol) if (p - root) % 12 in (6, 7, 8)]
    pitch = bass + (([*fifths, root][0] - bass) % 12 or 12)
  return pitch if pitch < min(voices, default=pitch + 1) else pitch - 12


@functools.cache
def _pitch_classes(symbol: str) -> tuple[int, ...]:
  """Pitch classes of a chord, its root first."""
  found = chord_symbols_lib.chord_symbol_pitches(symbol)
  return tuple(dict.fromkeys(p % 12 for p in found))


def _chords(sequence: music_pb2.NoteSequence) -> list[_Chord]:
  """The chords of a sequence, of those that sound."""
  melody = arrangement.notes(sequence)
  changes = arrangement.chords(sequence)
  ends = [step for step, _ in changes[1:]] + [arrangement.num_steps(sequence)]
  result = []
  limit = min((note.pitch for note in melody), default=int(_CENTRE) + 12)
  for (start, symbol), end in zip(changes, ends):
    above = [n.pitch for n in melody if n.start < end and n.end > start]
    limit = min(above, default=limit)
    if symbol != harmony.NO_CHORD:
      result.append(_Chord(start, end, symbol, limit))
  return result


def _settings(chords: Sequence[_Chord], rows: _Rows) -> list[_Setting]:
  """The best way through a progression, by dynamic programming."""
  if not chords:
    return []
  best: list[tuple[float, tuple[_Setting, ...]]] = [(0.0, ())]
  for chord in chords:
    *_, (_, _, last) = rows.events('bass', chord.start, chord.end)
    ways = []
    for cost, setting in _ways(chord.symbol, chord.limit, last):
      total, path = min(
        (
          (before + (_cost(path[-1], setting) if path else 0.0), path)
          for before, path in best
        ),
        key=lambda way: way[0],
      )
      ways.append((total + cost, (*path, setting)))
    best = ways
  return list(min(best, key=lambda way: way[0])[1])


@functools.lru_cache(4096)
def _ways(symbol: str, limit: int, last: str) -> list[tuple[float, _Setting]]:
  """Ways to set a chord and what each costs by itself.

  Args:
    symbol: its name.
    limit: pitch that all stays below.
    last: character of the bass's last note.
  """
  pitch_classes = _pitch_classes(symbol)
  root = pitch_classes[0]
  thirds = {p for p in pitch_classes if (p - root) % 12 in (3, 4)}
  if len(pitch_classes) > _MOST_VOICES:
    # What tells least of a chord is its fifth, and its root is in the bass.
    fifths = [p for p in pitch_classes if (p - root) % 12 == 7]
    pitch_classes = tuple(p for p in pitch_classes if p not in (*fifths, root))[
      :_MOST_VOICES
    ]
  low = chord_symbols_lib.chord_symbol_bass(symbol) % 12
  ways = []
  for top in range(limit + 10, max(limit - 25, _LOWEST - 1), -1):
    if top % 12 not in pitch_classes:
      continue
    stacked = sorted(top - (top - p) % 12 for p in pitch_classes)
    voices = tuple(p for p in stacked if _LOWEST <= p < limit)
    if not voices:
      continue
    mean = sum(voices) / len(voices)
    cost = _AWAY * abs(mean - _CENTRE) + _MUD * max(_MUDDY - voices[0], 0)
    cost += _PARALLEL * sum(p < _LOWEST for p in stacked)
    cost += _THIN * sum(p >= limit for p in stacked)
    cost += _THIN * len(thirds - {p % 12 for p in voices})
    for bass in range(_BASS_LOW, min(_BASS_HIGH, voices[0] - 1) + 1):
      if bass % 12 == low:
        own = cost + _BASS_AWAY * abs(bass - _BASS_CENTRE)
        last_bass = _bass(last, symbol, bass, voices)
        ways.append((own, _Setting(bass, last_bass, voices)))
  if not ways:  # The melody is as low as a bass: it is left alone.
    bass = _BASS_LOW + (low - _BASS_LOW) % 12
    return [(0.0, _Setting(bass, bass, ()))]
  return sorted(ways)[:_STATES]


@functools.lru_cache(65536)
def _cost(old: _Setting, new: _Setting) -> float:
  """What it costs to go from one setting to the next."""
  pairs = list(voice_pairs(old.voices, new.voices))
  moved = sum(abs(b - a) for a, b in pairs) / max(len(pairs), 1)
  crossed = parallels([(old.bass, new.bass), *pairs]) + (
    parallels([(old.next_bass, new.bass), *pairs])
    if old.next_bass != old.bass
    else 0
  )
  bass = _BASS_STEP * abs(new.bass - old.next_bass)
  return moved + bass + _PARALLEL * crossed


def voice_pairs(
  old: tuple[int, ...], new: tuple[int, ...]
) -> list[tuple[int, int]]:
  """From where to where each voice moves.

  Args:
    old: pitches from below.
    new: pitches from below; where they are more or fewer, each comes from the
      nearest.

  Returns:
    `(old, new)` for each of the new.
  """
  if len(old) == len(new):
    return list(zip(old, new))
  return [(min(old, key=lambda a: abs(a - b), default=b), b) for b in new]


def parallels(pairs: Sequence[tuple[int, int]]) -> int:
  """How many pairs of voices move in parallel fifths or octaves.

  Args:
    pairs: `(old, new)` pitch of each voice.
  """
  return sum(
    (b - a) % 12 in _PERFECT
    and (b - a) % 12 == (d - c) % 12
    and (c - a) * (d - b) > 0
    for (a, c), (b, d) in itertools.combinations(pairs, 2)
    if a != b
  )
