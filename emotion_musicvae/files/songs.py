"""The user's own melody: found in a file, with an account of what was found.

One track is taken, with its rests and from the first bar on, so that bar 5 here
is bar 5 in the user's sequencer.
"""

import collections
import dataclasses
import os
import re

from note_seq import sequences_lib
import numpy as np
import pretty_midi

from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import stock
from emotion_musicvae.support.errors import UserError

# Music that stops before its last phrase is over still has that phrase.
_PHRASE_BARS = 4
_TRACKS_TOLD = 16
_STEPS = melody.STEPS_PER_BAR
_MELODIC = re.compile(r'melod|vocal|voice|lead|멜로디|보컬|노래', re.IGNORECASE)
_REMEDIES = {
  readers.UNREADABLE: 'export it anew as a standard MIDI file',
  readers.NO_NOTES: 'name a file with a melody in that range',
  readers.DRUMS_ONLY: 'name a file with a melody',
  readers.NOT_DUPLE: 'the model sings 4/4 only, so name a melody in 4/4',
  readers.TOO_LARGE: 'cut out the part with the melody',
  readers.TOO_LONG: 'cut out the part with the melody',
}


@dataclasses.dataclass(frozen=True, eq=False)
class Song:
  """A melody of the user's.

  Attributes:
    name: of the file, without folder and ending.
    tokens: [16 n] uint8 tokens, whole bars, with at least one note.
    first_bar: number of its first bar in the file, from 1.
    qpm: its tempo in quarter notes a minute; None where the file says none.
    account: one line on what was taken and what was left out.
  """

  name: str
  tokens: np.ndarray
  first_bar: int = 1
  qpm: float | None = None
  account: str = ''

  def starting(self, bar=None):
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
  def num_windows(self):
    """How many pieces of 16 bars `windows` cuts it into."""
    return -(-len(self.tokens) // melody.NUM_STEPS)

  def windows(self, start_bar=None):
    """Cuts the melody into pieces of 16 bars, as the model takes them.

    What is missing to the last 16 bars is filled from the beginning: a melody
    of fewer bars is sung again until 16 are full.

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
  def last_bar(self):
    """Number of its last bar in the file."""
    return self.first_bar + len(self.tokens) // _STEPS - 1


@dataclasses.dataclass(frozen=True)
class _Track:
  """One track of a file.

  Attributes:
    title: what to call it.
    tokens: [16 n] uint8 tokens of its top line; None where it has no note that
      could be taken.
    notes: how many notes it has.
    outside: how many of them the model has no token for.
  """

  title: str
  tokens: np.ndarray | None
  notes: int
  outside: int = 0

  @property
  def pitches(self):
    """Of the notes of its top line, as tokens."""
    return self.tokens[self.tokens >= melody.FIRST_ONSET].astype(int)

  @property
  def sounding(self):
    """[n] which bars a note begins in."""
    onsets = self.tokens >= melody.FIRST_ONSET
    return onsets.reshape(-1, _STEPS).any(axis=1)


def load(source, track=None, argument='song'):
  """Finds the melody of a file or of a NoteSequence.

  Of several tracks it is the one that is named as melodies are, else the
  highest of those that sound in at least half as many bars as the fullest. Of
  parts in different metres, it is the one in 4/4 with the most notes.

  Args:
    source: path of a file that `readers` reads, or a `note_seq.NoteSequence`.
    track: number of the track to take, from 1; None to find it.
    argument: what to name in an error.

  Returns:
    A `Song`.

  Raises:
    UserError: there is no melody; says why and what would do.
  """
  if isinstance(source, (str, os.PathLike)):
    path = os.fspath(source)
    readers.check_file(path, argument)
    # Of whatever locale, as `catalogue.normalize` takes it.
    name = os.fsencode(os.path.basename(path)).decode('utf-8', 'replace')
    where = f'{argument}: {path!r}'
    found = list(readers.pieces(path))
  else:
    name, where = source.id or 'melody', f'{argument}: the NoteSequence'
    found = [readers.from_sequence(name, source)]
  piece = next((p for p in found if isinstance(p, readers.Piece)), None)
  if piece is None:
    raise UserError(where, f'{_refused(found)}')
  qpm, first_bar, rest = None, 1, []
  if piece.sequence is None:
    tracks = [_part(i, tune) for i, tune in enumerate(piece.tunes, 1)]
  else:
    # MIDI counts whole microseconds a quarter note.
    qpm = round(readers.first_qpm(piece.sequence), 2)
    tracks, first_bar, rest = _tracks(piece.sequence)
  chosen = _chosen(tracks, track, where)
  others = [t.title for t in tracks if t is not chosen]
  hidden = chosen.notes - chosen.outside - len(chosen.pitches)
  left_out = [
    *others[:_TRACKS_TOLD],
    *_counted(len(others) - _TRACKS_TOLD, 'further track'),
    *_counted(hidden, 'note', ' starting with or under another'),
    *_counted(chosen.outside, 'note', ' outside MIDI 21 to 108'),
    *rest,
    *_counted(len(found) - 1, 'further piece'),
  ]
  song = Song(os.path.splitext(name)[0], chosen.tokens, first_bar, qpm)
  silent = int((~chosen.sounding).sum())
  account = (
    f'{name}: took {chosen.title}, bars {first_bar} to {song.last_bar}'
    + (f' ({silent} of them without a note)' if silent else '')
    + (f', {qpm:g} quarter notes a minute' if qpm else '')
    + f'; left out: {", ".join(left_out) or "nothing"}.'
  )
  return dataclasses.replace(song, account=account)


def _counted(number, noun, more=''):
  """A list of one phrase, as `2 notes`, or of none where there are none."""
  return [f'{number} {noun}{"s" * (number > 1)}{more}'] * (number > 0)


def _refused(found):
  """Why none of the pieces of a file has a melody, and what would do."""
  refusal = found[0] if found else readers.Refusal('', readers.NO_NOTES)
  detail = f' ({refusal.detail[:80]})' if refusal.detail else ''
  return f'{refusal.reason}{detail}; {_REMEDIES[refusal.reason]}'


def _chosen(tracks, number, where):
  """The `_Track` that has the melody."""
  if number is not None:
    if not 1 <= number <= len(tracks):
      raise UserError(
        'track', f'{where} has tracks 1 to {len(tracks)}, got {number}'
      )
    if tracks[number - 1].tokens is None:
      raise UserError(
        'track',
        f'{tracks[number - 1].title} has no note in 4/4 to take',
        'name another',
      )
    return tracks[number - 1]
  able = [t for t in tracks if t.tokens is not None]
  if not able:
    raise UserError(
      where, 'no note from MIDI 21 to 108', 'transpose it by octaves'
    )
  fullest = max(t.sounding.sum() for t in able)
  named = [t for t in able if _MELODIC.search(t.title)]
  full = [t for t in able if t.sounding.sum() >= fullest / 2]
  return max(named or full, key=lambda t: t.pitches.mean())


def _part(number, tune):
  """A `tunes.Tune` of notation as a `_Track`."""
  pitches = tune.notes[:, 2]
  able = (pitches >= melody.MIN_PITCH) & (pitches <= melody.MAX_PITCH)
  whole_bars = np.ceil(tune.quarters / 4) * 4
  kept = dataclasses.replace(tune, notes=tune.notes[able], quarters=whole_bars)
  return _Track(
    f'part {number}',
    tunes.verse_tokens(kept) if able.any() else None,
    len(pitches),
    int((~able).sum()),
  )


def _tracks(sequence):
  """The tracks of a NoteSequence in its longest part in 4/4.

  Returns:
    `(tracks, first_bar, rest)`: list of `_Track`, where the part begins, and
    what the other parts are.
  """
  sections = sequences_lib.split_note_sequence_on_time_changes(
    readers.in_quarters(sequence)
  )
  lengths = [round(_quarters(s) / _quarters_per_bar(s)) for s in sections]
  best = max(
    range(len(sections)),
    key=lambda i: (
      (_quarters_per_bar(sections[i]) == 4) * len(sections[i].notes)
    ),
  )
  rest = collections.Counter()
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


def _track(title, section, number):
  """The notes of one instrument as a `_Track`."""
  notes = [n for n in section.notes if n.instrument == number and n.velocity]
  able = [n for n in notes if melody.MIN_PITCH <= n.pitch <= melody.MAX_PITCH]
  tokens = None
  if any(not n.is_drum for n in able):
    alone = type(section).FromString(section.SerializeToString())
    del alone.notes[:]
    alone.notes.extend(able)
    (line,) = stock.melodies(alone, whole=True)
    tune = readers.tune_from_tokens(title, line)
    bars = int(np.ceil(tune.quarters / 4))
    if bars > 2:
      bars = -(-bars // _PHRASE_BARS) * _PHRASE_BARS
    tokens = tunes.verse_tokens(dataclasses.replace(tune, quarters=4 * bars))
  return _Track(title, tokens, len(notes), len(notes) - len(able))


def _title(position, sequence, number):
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


def _decoded(name):
  """A track's name, which MIDI leaves without a statement of its encoding."""
  for encoding in ('utf-8', 'cp949'):
    try:
      return name.encode('latin-1').decode(encoding)
    except UnicodeError:
      pass
  return name


def _metre(section):
  metres = [(m.numerator, m.denominator) for m in section.time_signatures]
  numerator, denominator = metres[0] if metres else (4, 4)
  return f'{numerator}/{denominator}'


def _quarters_per_bar(section):
  numerator, denominator = map(int, _metre(section).split('/'))
  return 4.0 * numerator / denominator


def _quarters(section):
  return section.total_time * readers.first_qpm(section) / 60.0
