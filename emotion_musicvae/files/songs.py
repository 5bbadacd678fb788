"""The user's own melody: found in a file, with an account of what was found.

One track is taken, with its rests and from the first bar on, so that bar 5 here
is bar 5 in the user's sequencer.
"""

import collections
import dataclasses
import os
import re
from typing import TYPE_CHECKING
from typing import TypeAlias

from note_seq import sequences_lib
import numpy as np
import numpy.typing as npt
import pretty_midi

from emotion_musicvae.files import performances
from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import stock
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  import note_seq

_Tokens: TypeAlias = npt.NDArray[np.uint8]
# Music that stops before its last phrase is over still has that phrase.
_PHRASE_BARS = 4
_TRACKS_NAMED = 16
_STEPS = melody.STEPS_PER_BAR
_NO_TOKENS = np.zeros(0, np.uint8)
_MELODIC = re.compile(r'melod|vocal|voice|lead|멜로디|보컬|노래', re.IGNORECASE)
_REMEDIES = {
  tunes.UNREADABLE: 'export it anew as a standard MIDI file',
  tunes.NO_NOTES: 'name a file with a melody in that range',
  tunes.DRUMS_ONLY: 'name a file with a melody',
  tunes.NOT_QUADRUPLE: 'the model plays 4/4 only, so name a melody in 4/4',
  tunes.TOO_LARGE: 'cut out the part with the melody',
  tunes.TOO_LONG: 'cut out the part with the melody',
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Song:
  """A melody of the user's.

  Attributes:
    name: of the file, without folder and ending.
    tokens: [16 n] uint8 tokens, whole bars, with at least one note.
    first_bar: number of its first bar in the file, from 1.
    qpm: its tempo in quarter notes a minute; None where the file says none.
    report: one line on what was taken and what was left out.
  """

  name: str
  tokens: _Tokens
  first_bar: int = 1
  qpm: float | None = None
  report: str = ''

  def __repr__(self) -> str:
    tempo = f', {self.qpm:g} quarter notes a minute' if self.qpm else ''
    num_notes = len(melody.notes(self.tokens).pitch)
    return (
      f'<Song {self.name!r}: bars {self.first_bar} to {self.last_bar}, '
      f'{num_notes} notes{tempo}>'
    )

  def starting(self, bar: int | None = None) -> 'Song':
    """The melody from a bar on.

    Args:
      bar: its number, as the file counts them; the first when None.

    Returns:
      A `Song`.

    Raises:
      UserError: there is no such bar, or no note from there on.
    """
    first, last = self.first_bar, self.last_bar
    start = first if bar is None else bar
    if not first <= start <= last:
      raise UserError(
        'start_bar', f'{self.name!r} has bars {first} to {last}, got {start}'
      )
    tokens = self.tokens[(start - first) * _STEPS :]
    if not (tokens >= melody.FIRST_ONSET).any():
      raise UserError(
        'start_bar',
        f'{self.name!r} has no note from bar {start} on',
        'name an earlier bar',
      )
    return dataclasses.replace(self, tokens=tokens, first_bar=start)

  @property
  def num_windows(self) -> int:
    """Number of windows of 16 bars that `windows` cuts it into."""
    return -(-len(self.tokens) // melody.NUM_STEPS)

  def windows(self, start_bar: int | None = None) -> tuple[_Tokens, int]:
    """Cuts the melody into windows of 16 bars, as the model takes them.

    What is missing to the last 16 bars is filled from the beginning: a shorter
    melody is looped to 16 bars.

    Args:
      start_bar: first bar to take, see `starting`.

    Returns:
      `(windows, steps)`: [W, 256] uint8 tokens, and how many of their steps are
      the melody's own: as many as it has, and 256 where it has fewer.

    Raises:
      UserError: as `starting`.
    """
    song = self.starting(start_bar)
    tokens, count = song.tokens, song.num_windows
    index = np.arange(count * melody.NUM_STEPS) % len(tokens)
    windows = tokens[index].reshape(count, melody.NUM_STEPS)
    for window in windows:
      begun = np.cumsum(window >= melody.FIRST_ONSET) > 0
      window[~begun] = melody.HOLD  # Nothing sounds yet that could end.
    return windows, max(len(tokens), melody.NUM_STEPS)

  @property
  def last_bar(self) -> int:
    """Number of its last bar in the file."""
    return self.first_bar + len(self.tokens) // _STEPS - 1


@dataclasses.dataclass(frozen=True)
class _Track:
  """One track of a file.

  Attributes:
    title: what to call it.
    tokens: [16 n] uint8 tokens of its top line; empty where it has no note that
      could be taken.
    num_notes: how many notes it has.
    outside: how many of them the model has no token for.
  """

  title: str
  tokens: _Tokens
  num_notes: int
  outside: int = 0

  @property
  def pitches(self) -> npt.NDArray[np.int64]:
    """[N] MIDI pitches of the notes of its top line."""
    return melody.notes(self.tokens).pitch

  @property
  def has_onset(self) -> npt.NDArray[np.bool_]:
    """[n] whether a note begins in a bar."""
    bars = self.tokens.reshape(-1, _STEPS)
    return np.asarray((bars >= melody.FIRST_ONSET).any(axis=1))


def load_song(
  source: 'str | os.PathLike[str] | note_seq.NoteSequence',
  start_bar: int | None = None,
  track: int | None = None,
  argument: str = 'song',
) -> Song:
  """Finds the melody of a file or of a NoteSequence.

  Of several tracks it is the one that is named as melodies are, else the
  highest of those that have a note in at least half as many bars as the
  fullest. Of parts in different metres, it is the one in 4/4 with the most
  notes.

  Args:
    source: path of a MIDI, MusicXML, ABC or TFRecord file, or a NoteSequence.
    start_bar: number of the first bar to take, as the file counts them from 1;
      all of it when None.
    track: number of the track to take, from 1; None to find it.
    argument: what to name the source in an error.

  Returns:
    The `Song`; its `report` says what was taken and what was left out.

  Raises:
    UserError: there is no melody; says why and what would do.
  """
  if isinstance(source, (str, os.PathLike)):
    path = os.fspath(source)
    readers.check_file(path, argument)
    # Of whatever locale, as `catalogue.normalize` takes it.
    name = os.fsencode(os.path.basename(path)).decode('utf-8', 'replace')
    subject = repr(path)
    found = list(readers.pieces(path))
  else:
    name, subject = source.id or 'melody', 'the NoteSequence'
    found = [performances.from_sequence(name, source)]
  piece = next((p for p in found if isinstance(p, tunes.Piece)), None)
  if piece is None:
    refusals = [p for p in found if isinstance(p, tunes.Refusal)]
    raise _refused(refusals, argument, subject)
  qpm, first_bar = None, 1
  rest: list[str] = []
  if piece.sequence is None:
    tracks = [_part(i, tune) for i, tune in enumerate(piece.tunes, 1)]
  else:
    # MIDI counts whole microseconds a quarter note.
    qpm = round(performances.first_qpm(piece.sequence), 2)
    tracks, first_bar, rest = _tracks(piece.sequence)
  chosen = _chosen(tracks, track, argument, subject)
  others = [t.title for t in tracks if t is not chosen]
  hidden = chosen.num_notes - chosen.outside - len(chosen.pitches)
  left_out = [
    *others[:_TRACKS_NAMED],
    *_counted(len(others) - _TRACKS_NAMED, 'further track'),
    *_counted(hidden, 'note', ' starting with or under another'),
    *_counted(chosen.outside, 'note', ' outside MIDI 21 to 108'),
    *rest,
    *_counted(len(found) - 1, 'further piece'),
  ]
  song = Song(os.path.splitext(name)[0], chosen.tokens, first_bar, qpm)
  silent = int((~chosen.has_onset).sum())
  report = (
    f'{name}: took {chosen.title}, bars {first_bar} to {song.last_bar}'
    + (f' ({silent} of them without a note)' if silent else '')
    + (f', {qpm:g} quarter notes a minute' if qpm else '')
    + f'; left out: {", ".join(left_out) or "nothing"}.'
  )
  return dataclasses.replace(song, report=report).starting(start_bar)


def _counted(number: int, noun: str, more: str = '') -> list[str]:
  """A list of one phrase, as `2 notes`, or of none where there are none."""
  return [f'{number} {noun}{"s" * (number > 1)}{more}'] * (number > 0)


def _refused(
  refusals: list[tunes.Refusal], argument: str, subject: str
) -> UserError:
  """Why none of the pieces of a file has a melody, and what would do."""
  refusal = refusals[0] if refusals else tunes.Refusal('', tunes.NO_NOTES)
  detail = f' ({refusal.detail[:80]})' if refusal.detail else ''
  problem = f'{subject}: {refusal.reason}{detail}'
  return UserError(argument, problem, _REMEDIES[refusal.reason])


def _chosen(
  tracks: list[_Track], number: int | None, argument: str, subject: str
) -> _Track:
  """The track that has the melody."""
  if number is not None:
    if not 1 <= number <= len(tracks):
      raise UserError(
        'track',
        f'{argument}: {subject} has tracks 1 to {len(tracks)}, got {number}',
      )
    if not len(tracks[number - 1].tokens):
      raise UserError(
        'track',
        f'{tracks[number - 1].title} has no note in 4/4 to take',
        'name another',
      )
    return tracks[number - 1]
  able = [t for t in tracks if len(t.tokens)]
  if not able:
    raise UserError(
      argument,
      f'{subject}: no note from MIDI 21 to 108',
      'transpose it by octaves',
    )
  fullest = max(t.has_onset.sum() for t in able)
  named = [t for t in able if _MELODIC.search(t.title)]
  full = [t for t in able if t.has_onset.sum() >= fullest / 2]
  return max(named or full, key=lambda t: t.pitches.mean())


def _part(number: int, tune: tunes.Tune) -> _Track:
  """A `tunes.Tune` of notation as a `_Track`."""
  pitches = tune.notes[:, 2]
  able = (pitches >= melody.MIN_PITCH) & (pitches <= melody.MAX_PITCH)
  bars = np.ceil(tune.quarters / melody.BEATS_PER_BAR)
  whole_bars = float(bars * melody.BEATS_PER_BAR)
  kept = dataclasses.replace(tune, notes=tune.notes[able], quarters=whole_bars)
  return _Track(
    f'part {number}',
    tunes.verse_tokens(kept) if able.any() else _NO_TOKENS,
    len(pitches),
    int((~able).sum()),
  )


def _tracks(
  sequence: 'note_seq.NoteSequence',
) -> tuple[list[_Track], int, list[str]]:
  """The tracks of a NoteSequence in its longest part in 4/4.

  Returns:
    `(tracks, first_bar, rest)`: list of `_Track`, where the part begins, and
    what the other parts are.
  """
  sections = sequences_lib.split_note_sequence_on_time_changes(
    performances.in_quarters(sequence)
  )
  lengths = [round(_quarters(s) / _quarters_per_bar(s)) for s in sections]
  best = max(
    range(len(sections)),
    key=lambda i: (
      len(sections[i].notes)
      if _quarters_per_bar(sections[i]) == melody.BEATS_PER_BAR
      else 0
    ),
  )
  rest: collections.Counter[str] = collections.Counter()
  for i, section in enumerate(sections):
    if i != best:
      rest[_metre(section)] += lengths[i]
  numbers = sorted({note.instrument for note in sequence.notes})
  tracks = [
    _track(_title(i, sequence, number), sections[best], number)
    for i, number in enumerate(numbers, 1)
  ]
  return (
    tracks,
    1 + sum(lengths[:best]),
    [f'{bars} bars in {metre}' for metre, bars in rest.items()],
  )


def _track(title: str, section: 'note_seq.NoteSequence', number: int) -> _Track:
  """The notes of one instrument as a `_Track`."""
  notes = [n for n in section.notes if n.instrument == number and n.velocity]
  able = [n for n in notes if melody.MIN_PITCH <= n.pitch <= melody.MAX_PITCH]
  tokens = _NO_TOKENS
  if any(not n.is_drum for n in able):
    alone = type(section).FromString(section.SerializeToString())
    del alone.notes[:]
    alone.notes.extend(able)
    (line,) = stock.melodies(alone, whole=True)
    tune = tunes.from_tokens(title, line)
    bars = int(np.ceil(tune.quarters / melody.BEATS_PER_BAR))
    if bars > 2:
      bars = -(-bars // _PHRASE_BARS) * _PHRASE_BARS
    quarters = melody.BEATS_PER_BAR * bars
    tokens = tunes.verse_tokens(dataclasses.replace(tune, quarters=quarters))
  return _Track(title, tokens, len(notes), len(notes) - len(able))


def _title(
  position: int, sequence: 'note_seq.NoteSequence', number: int
) -> str:
  """What a track is called: its number, its name, its instrument."""
  note = next(n for n in sequence.notes if n.instrument == number)
  names = [
    info.name for info in sequence.instrument_infos if info.instrument == number
  ]
  name = f' {_decoded(names[0])[:40]!r}' if names else ''
  kind = 'drums'
  if not note.is_drum:
    kind = pretty_midi.program_to_instrument_name(note.program)
  return f'track {position}{name} ({kind})'


def _decoded(name: str) -> str:
  """A track's name, which MIDI leaves without a statement of its encoding."""
  for encoding in ('utf-8', 'cp949'):
    try:
      return name.encode('latin-1').decode(encoding)
    except UnicodeError:
      pass
  return name


def _metre(section: 'note_seq.NoteSequence') -> str:
  metres = [(m.numerator, m.denominator) for m in section.time_signatures]
  numerator, denominator = metres[0] if metres else (4, 4)
  return f'{numerator}/{denominator}'


def _quarters_per_bar(section: 'note_seq.NoteSequence') -> float:
  numerator, denominator = map(int, _metre(section).split('/'))
  return 4.0 * numerator / denominator


def _quarters(section: 'note_seq.NoteSequence') -> float:
  return section.total_time * performances.first_qpm(section) / 60.0
