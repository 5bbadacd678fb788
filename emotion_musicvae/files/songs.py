"""The user's own melody: found in a file, with an account of what was found.

One track is taken, with its rests and from the first bar on, so that bar 5 here
is bar 5 in the user's sequencer.
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import os
from typing import TYPE_CHECKING
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emotion_musicvae.files import lines
from emotion_musicvae.files import performances
from emotion_musicvae.files import readers
from emotion_musicvae.files import scores
from emotion_musicvae.files import tracks
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  import note_seq

_Tokens: TypeAlias = npt.NDArray[np.uint8]
# Music that stops before its last phrase is over still has that phrase.
_PHRASE_BARS = 4
_TRACKS_NAMED = 16
_REMEDIES = {
  tunes.UNREADABLE: messages.mark('export it anew as a standard MIDI file'),
  tunes.NO_NOTES: messages.mark('name a file with a melody in that range'),
  tunes.DRUMS_ONLY: messages.mark('name a file with a melody'),
  tunes.NOT_PLAYABLE: messages.mark(
    'name a melody in 2/4, 3/4, 4/4, 6/8, 9/8 or 12/8'
  ),
  tunes.TOO_LARGE: messages.mark('cut out the part with the melody'),
  tunes.TOO_LONG: messages.mark('cut out the part with the melody'),
}

# What is written and not played, by its name in `scores.Part`.
_UNPLAYED = {
  'grace note': (
    messages.mark('{n} grace note'),
    messages.mark('{n} grace notes'),
  ),
  'cue note': (messages.mark('{n} cue note'), messages.mark('{n} cue notes')),
  'D.C. jump': (
    messages.mark('{n} D.C. jump'),
    messages.mark('{n} D.C. jumps'),
  ),
  'D.S. jump': (
    messages.mark('{n} D.S. jump'),
    messages.mark('{n} D.S. jumps'),
  ),
  'track that breaks off': (
    messages.mark('{n} track that breaks off'),
    messages.mark('{n} tracks that break off'),
  ),
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Song:
  """A melody of the user's.

  Attributes:
    name: of the file, without folder and ending.
    tokens: [T] uint8 tokens of whole bars, with at least one note.
    first_bar: number of its first bar in the file, from 1.
    qpm: its tempo in quarter notes a minute; None where the file says none.
    report: one line on what was taken and what was left out.
    bars: `(number, step)` of each bar of the file and where it begins, as it is
      played; empty where one follows another from `first_bar` on.
    metre: of its bars.
  """

  name: str
  tokens: _Tokens
  first_bar: int = 1
  qpm: float | None = None
  report: str = ''
  bars: Sequence[Sequence[int]] = ()
  metre: metres.Metre = metres.QUADRUPLE

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
    if bar is None:
      return self
    bar_steps = self.metre.bar_steps
    bars = self.bars or [
      (self.first_bar + i, bar_steps * i)
      for i in range(len(self.tokens) // bar_steps)
    ]
    # One that is repeated begins where it is first played.
    step = next((step for number, step in bars if number == bar), None)
    if step is None:
      raise UserError(
        'start_bar',
        messages.say(
          '{name!r} has bars {first_bar} to {last_bar}, got {value}',
          name=self.name,
          first_bar=self.first_bar,
          last_bar=self.last_bar,
          value=bar,
        ),
      )
    tokens = self.tokens[step:]
    if not (tokens >= melody.FIRST_ONSET).any():
      raise UserError(
        'start_bar',
        messages.say(
          '{name!r} has no note from bar {bar} on', name=self.name, bar=bar
        ),
        messages.say('name an earlier bar'),
      )
    missing = -len(tokens) % bar_steps  # where it begins amid two bars of 2/4
    if missing:
      rest = [melody.NOTE_OFF] + [melody.HOLD] * (missing - 1)
      tokens = np.append(tokens, np.array(rest, np.uint8))
    return dataclasses.replace(
      self,
      tokens=tokens,
      first_bar=bar,
      bars=tuple((n, s - step) for n, s in self.bars if s >= step),
    )

  @property
  def num_windows(self) -> int:
    """Number of windows of the model's 16 bars that it is cut into."""
    return -(-len(self.tokens) // int(self.metre.heard().sum()))

  def windows(self, start_bar: int | None = None) -> tuple[_Tokens, int]:
    """Lays the melody on the model's bars and cuts it into windows of 16.

    What is missing to the last 16 bars is filled from the beginning.

    Args:
      start_bar: first bar to take, see `starting`.

    Returns:
      `(windows, steps)`: [W, 256] uint8 tokens, and how many of the steps that
      are heard are the melody's own.

    Raises:
      UserError: as `starting`.
    """
    song = self.starting(start_bar)
    tokens, count = song.tokens, song.num_windows
    heard = song.metre.heard()
    windows = np.full([count, melody.NUM_STEPS], melody.HOLD, np.uint8)
    index = np.arange(count * int(heard.sum())) % len(tokens)
    windows[:, heard] = tokens[index].reshape(count, -1)
    for window in windows:
      begun = np.cumsum(window >= melody.FIRST_ONSET) > 0
      window[~begun] = melody.HOLD  # Nothing sounds yet that could end.
    return windows, len(tokens)

  @property
  def last_bar(self) -> int:
    """Number of its last bar in the file."""
    if self.bars:
      return max(number for number, _ in self.bars)
    return self.first_bar + len(self.tokens) // self.metre.bar_steps - 1


def load_song(
  source: 'str | os.PathLike[str] | note_seq.NoteSequence',
  start_bar: int | None = None,
  track: int | None = None,
  argument: str = 'song',
) -> Song:
  """Finds the melody of a file or of a NoteSequence.

  Of several tracks it is the one that is named as melodies are. Else it is of
  those that have a note in at least half as many bars as the fullest the
  highest, but rather one voice than chords; the report then says which others
  are as likely. Of sections in different metres, it is the one with the
  most notes in one of `metres.PLAYABLE`.

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
  found: list[scores.Score | tunes.Refusal]
  if isinstance(source, (str, os.PathLike)):
    path = os.fspath(source)
    readers.check_file(path, argument)
    # Of whatever locale, as `spelling.normalize` takes it.
    name = os.fsencode(os.path.basename(path)).decode('utf-8', 'replace')
    subject = repr(path)
    found = list(readers.read_scores(path))
  else:
    name, subject = source.id or 'melody', messages.say('the NoteSequence')
    found = [performances.sequence_score(name, source)]
  refusals: list[tunes.Refusal] = []
  for score in found:
    if isinstance(score, tunes.Refusal):
      refusals.append(score)
      continue
    refusal = lines.refusal(score)
    sections = scores.sections(score)
    if sections and refusal is None:
      section = max(sections, key=lambda s: _num_notes(score, s))
      if _num_notes(score, section):
        break
    refusals.append(refusal or lines.other_metres(score, tunes.NOT_PLAYABLE))
  else:
    raise _refused(refusals, argument, subject)
  every = [tracks.track_of(part, section, score) for part in score.parts]
  chosen, as_likely = tracks.chosen(every, track, argument, subject)
  song = _song(os.path.splitext(name)[0], score, section, chosen)
  played = len(song.tokens) // song.metre.bar_steps
  silent = played - chosen.num_bars
  others = [t.title for t in every if t is not chosen and t.num_notes]
  apart = chosen.outside + chosen.elsewhere
  hidden = chosen.num_notes - apart - len(chosen.line)
  left_out = [
    *others[:_TRACKS_NAMED],
    *_counted(
      len(others) - _TRACKS_NAMED,
      messages.mark('{n} further track'),
      messages.mark('{n} further tracks'),
    ),
    *_counted(
      hidden,
      messages.mark('{n} note starting with or under another'),
      messages.mark('{n} notes starting with or under another'),
    ),
    *_counted(
      chosen.elsewhere,
      messages.mark('{n} note in another staff'),
      messages.mark('{n} notes in another staff'),
    ),
    *_counted(
      chosen.outside,
      messages.mark('{n} note outside MIDI 21 to 108'),
      messages.mark('{n} notes outside MIDI 21 to 108'),
    ),
    *(
      f for k, n in chosen.unplayed.items() for f in _counted(n, *_UNPLAYED[k])
    ),
    *_other_bars(sections, section),
    *_counted(
      len(found) - 1,
      messages.mark('{n} further piece'),
      messages.mark('{n} further pieces'),
    ),
  ]
  report = messages.say(
    '{name}: took {title}, bars {first} to {last}',
    name=name,
    title=chosen.title,
    first=song.first_bar,
    last=song.last_bar,
  )
  if song.metre != metres.QUADRUPLE:
    report += messages.say(' in {metre}', metre=song.metre)
  if score.is_repeated:
    report += messages.say(', with their repeats')
  if silent:
    report += messages.say(' ({n} of them without a note)', n=silent)
  if song.qpm:
    report += messages.say(', {qpm:g} quarter notes a minute', qpm=song.qpm)
  if as_likely:
    report += messages.say('; as likely: {names}', names=', '.join(as_likely))
  report += messages.say(
    '; left out: {names}.', names=', '.join(left_out) or messages.say('nothing')
  )
  return dataclasses.replace(song, report=report).starting(start_bar)


def _num_notes(score: scores.Score, section: scores.Section) -> int:
  """How many notes that can be played begin in a section."""
  if section.metre is None:
    return 0
  return sum(
    len(lines.in_range(section.place(part.notes, score.performed)))
    for part in score.parts
    if not part.is_drum
  )


def _other_bars(
  sections: Sequence[scores.Section], taken: scores.Section
) -> Iterator[str]:
  """What the other sections are, as `4 bars in 3/4`."""
  metres = collections.Counter(
    bar.metre_text for s in sections if s is not taken for bar in s.bars
  )
  for metre, bars in metres.items():
    if metre[0].isdigit():
      one = messages.mark('{n} bar in {metre}')
      more = messages.mark('{n} bars in {metre}')
    else:
      one = messages.mark('{n} bar of {metre}')
      more = messages.mark('{n} bars of {metre}')
    yield messages.say(one if bars == 1 else more, n=bars, metre=metre)


def _song(
  name: str, score: scores.Score, section: scores.Section, track: tracks.Track
) -> Song:
  """The melody of a track in a section, in whole bars and with its pick-up."""
  # A pick-up ends a bar of its own.
  metre = tracks.metre_of(section)
  quarters = track.bar
  before = quarters if section.places[0] < 0 else 0.0
  line = track.line + [before, 0.0, 0.0, 0.0]
  end = section.length + before
  bars = [
    (bar.number, int(scores.steps(max(place + before, 0.0))))
    for bar, place in zip(section.bars, section.places)
  ]
  if before:
    bars[0] = bars[0][0], 0
  num_bars = int(np.ceil(round(end / quarters, 3)))
  if score.performed:
    # Its end follows its last note: what is held longer, or not at all, says
    # nothing, and music that stops before its last phrase is over has that too.
    num_bars = int((line[-1, scores.ONSET] + 1e-3) // quarters) + 1
    if num_bars > 2:
      num_bars = -(-num_bars // _PHRASE_BARS) * _PHRASE_BARS
  steps = num_bars * metre.bar_steps
  length = int(section.bars[-1].quarters * melody.STEPS_PER_QUARTER)
  length = length or metre.bar_steps
  while bars[-1][1] + length < steps:
    bars.append((bars[-1][0] + 1, bars[-1][1] + length))
  bars = [(number, step) for number, step in bars if step < steps]
  tune = tunes.Tune(
    name,
    line[:, :3].astype(np.float32),
    float(num_bars * quarters),
  )
  first = bars[0][0]
  plain = bars == [(first + i, metre.bar_steps * i) for i in range(num_bars)]
  starts = [bar.start for bar in section.bars]
  tempo = scores.qpm(score, starts[0], section.end)
  return Song(
    name,
    tunes.verse_tokens(tune),
    first,
    # MIDI counts whole microseconds a quarter note.
    None if tempo is None else round(tempo, 2),
    bars=() if plain else tuple(bars),
    metre=metre,
  )


def _counted(number: int, one: str, more: str) -> list[str]:
  """A list of one of two phrases, or of none where there is nothing."""
  said = messages.say(one if number == 1 else more, n=number)
  return [said] * (number > 0)


def _refused(
  refusals: list[tunes.Refusal], argument: str, subject: str
) -> UserError:
  """Why none of the pieces of a file has a melody, and what would do."""
  refusal = refusals[0] if refusals else tunes.Refusal('', tunes.NO_NOTES)
  detail = f' ({refusal.detail[:80]})' if refusal.detail else ''
  problem = f'{subject}: {messages.say(refusal.reason)}{detail}'
  return UserError(argument, problem, messages.say(_REMEDIES[refusal.reason]))
