"""A melody that was generated: to look at, to play, to keep."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.files import playing
from emotion_musicvae.files import writers
from emotion_musicvae.music import melody as music
from emotion_musicvae.music import metres
from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from IPython import display
  from matplotlib import figure
  import note_seq

Playing = playing.Playing  # whose module is a field's name, too

_RECORD = 'json'
_PIXELS = 760  # height of a page in a notebook


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Melody:
  """One generated melody.

  Attributes:
    emotion: `catalogue.Emotion` that it was to follow, with its own tempo.
      Where none was named, what the user's melody measures itself, without
      chords.
    note_sequence: `note_seq.NoteSequence` of n bars, 16 unless the user's
      melody is longer or the metre another, with the emotion's tempo,
      instrument, key and chord symbols; see `arrangement.arrange`.
    tokens: [T] uint8 tokens that the stock decoder drew, transposed, a
      sixteenth each.
    z: [Z] float32 latent vector it was decoded from; [W, Z] where it is longer
      than 16 bars, one for each 16.
    transposition: semitones by which it was transposed from the canonical key,
      see `conditions.Condition.in_canonical_key`.
    measured: what it measures by name, see `api.measure`.
    reference: what was asked for, under the same names.
    missed: what lies outside the tolerances of `hits` and of further terms, by
      the same names, with how far outside, in tolerances. Empty for a hit.
    number: which draw of the seed it is, from 0.
    playing: how `note_sequence` plays it beside what the emotion says, see
      `played`.
    guided: share of its tokens that guided decoding changed, from 0 to 1.
    original: [T] uint8 tokens of the user's melody that it was made of, as
      they were, a sixteenth each; None where there was none.
    sections: of an arc the melodies that it is joined of, see `arcs.join`; the
      tempo and the transposition are those of the first.
    against: where further terms are asked for, of what is missed which targets
      pull against it.
  """

  emotion: catalogue.Emotion
  note_sequence: note_seq.NoteSequence
  tokens: music.Tokens
  z: npt.NDArray[np.float32]
  transposition: int
  measured: dict[str, float | str]
  reference: dict[str, float | str]
  missed: dict[str, float]
  number: int = 0
  seed: int = 0
  playing: playing.Playing = playing.PLAIN
  guided: float = 0.0
  original: music.Tokens | None = None
  sections: tuple[Melody, ...] = ()
  against: dict[str, list[str]] = dataclasses.field(default_factory=dict)

  def __repr__(self) -> str:
    notes = np.count_nonzero(self.tokens >= music.FIRST_ONSET)
    bar_steps = metres.parse(self.emotion.time_signature).bar_steps
    missed = ', '.join(name.replace('_', ' ') for name in self.missed)
    return (
      f'<Melody {self.number} {self._title()!r}: '
      f'{len(self.tokens) // bar_steps} bars, {notes} notes, '
      f'{self._told("mean_pitch", "mean pitch")}, '
      f'{self._told("onsets_per_bar", "onsets a bar")}; '
      f'{f"misses {missed}" if missed else "a hit"}>'
    )

  def _title(self) -> str:
    return self.emotion.alias or self.emotion.name

  def _told(self, name: str, words: str) -> str:
    measured, asked = self.measured[name], self.reference[name]
    return f'{words} {measured:.1f} (asked for {asked:.1f})'

  def _repr_html_(self) -> str:
    """Piano roll and player for a notebook; nothing is fetched for it."""
    try:
      page = self._content('html', self._title()).decode('utf-8')
    except UserError as e:  # Without a synthesizer there is a picture.
      picture = base64.b64encode(self._content('png', '')).decode('ascii')
      return (
        f'<img alt="{html.escape(repr(self))}" style="max-width: 100%" '
        f'src="data:image/png;base64,{picture}"><p>{html.escape(str(e))}</p>'
      )
    return (
      f'<iframe title="{html.escape(repr(self))}" width="100%" '
      f'height="{_PIXELS}" style="border: 0" '
      f'srcdoc="{html.escape(page)}"></iframe>'
    )

  def played(self, **changes: Any) -> Melody:
    """The same melody, played in another way.

    Args:
      **changes: fields of `playing.Playing`, as `accompaniment='full'`,
        `style='waltz'`, `humanize=0.3`, `ritardando=True`, `loop=True`,
        `room=0.3` or `soundfont='mine.sf2'`.

    Raises:
      UserError: a value that will not do.

    Example:
      melody.played(accompaniment='full').save('peaceful.wav')
    """
    asked = dataclasses.replace(self.playing, **changes)
    if asked == self.playing:
      return self
    if self.sections:
      return self.played_in_sections(asked)
    written = arrangement.first_steps(self.note_sequence, len(self.tokens))
    return dataclasses.replace(
      self,
      note_sequence=expression.perform(written, self.emotion, asked),
      playing=asked,
    )

  def played_in_sections(self, asked: Playing) -> Melody:
    """An arc whose sections are played anew, each going on into the next."""
    between = dataclasses.replace(asked, loop=True, ritardando=False, lyrics='')
    *others, last = self.sections
    sections = [one.played(**dataclasses.asdict(between)) for one in others]
    sections.append(last.played(**dataclasses.asdict(asked)))
    return dataclasses.replace(
      self,
      note_sequence=arrangement.join([one.note_sequence for one in sections]),
      playing=asked,
    )

  def changes(self) -> list[dict[str, float | None]]:
    """The notes of the user's melody that it does not have.

    Returns:
      For each the `bar` from 1, the `beat` from 1 in quarter notes, its MIDI
      `pitch`, and what is `played` in its place: a pitch, or None where no note
      begins. An empty list where there is no melody of the user's.
    """
    if self.original is None:
      return []
    bar_steps = metres.parse(self.emotion.time_signature).bar_steps
    lost = (self.original >= music.FIRST_ONSET) & (self.original != self.tokens)
    found: list[dict[str, float | None]] = []
    for step in np.flatnonzero(lost):
      bar, within = divmod(int(step), bar_steps)
      asked, played = (
        int(tokens[step]) - music.FIRST_ONSET + music.MIN_PITCH
        for tokens in (self.original, self.tokens)
      )
      found.append(
        {
          'bar': bar + 1,
          'beat': 1 + within / music.STEPS_PER_QUARTER,
          'pitch': asked,
          'played': played if played >= music.MIN_PITCH else None,
        }
      )
    return found

  def record(self) -> dict[str, Any]:
    """What it is and measures, as plain values for a JSON."""
    sections = [
      {'emotion': one.emotion.name, 'qpm': one.emotion.qpm, **one.record()}
      for one in self.sections
    ]
    return {
      'number': self.number,
      'seed': self.seed,
      'measured': {k: _plain(v) for k, v in self.measured.items()},
      'reference': {k: _plain(v) for k, v in self.reference.items()},
      'missed': list(self.missed),
      'guided': round(self.guided, 4),
      **self._of_original(),
      **({'sections': sections} if sections else {}),
      **({'against': self.against} if self.against else {}),
    }

  def _of_original(self) -> dict[str, Any]:
    """What has become of the user's melody, as plain values."""
    if self.original is None:
      return {}
    notes = int((self.original >= music.FIRST_ONSET).sum())
    changed = self.changes()
    return {
      'original_notes': notes,
      'kept_notes': notes - len(changed),
      'changed': changed,
    }

  def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Writes it to a file: whole, or not at all.

    Args:
      path: of the file. Its ending says what is written: `.mid`; `.wav`,
        `.flac`, `.mp3` or `.ogg`, audio; `.png`, a piano roll, `.dark.png`
        and `.print.png` for dark pages and printers; `.musicxml`, `.mxl` or
        `.abc`, sheet music; `.html`, a page that plays it; `.json`, what it
        measures.
      overwrite: whether to replace a file of that name.

    Returns:
      The path.

    Raises:
      UserError: another ending, a writer that is not installed, a file of that
        name, or a folder that cannot be written to.

    Example:
      melody.save('peaceful.mid')
    """
    if not isinstance(path, (str, os.PathLike)):
      raise UserError(
        'path',
        messages.say('expected the name of a file, got {value!r}', value=path),
      )
    path = os.fspath(path)
    folder, name = os.path.split(path)
    stem, ending = _split(name)
    if os.path.lexists(path) and not overwrite:
      raise UserError(
        'path',
        messages.say('{path!r} exists', path=path),
        messages.say('name another, or pass `overwrite=True`'),
      )
    content = self._content(ending, stem)
    try:
      _write(folder or '.', name, content, overwrite)
    except OSError as e:
      raise refusals.unwritten('path', path, e) from None
    return path

  def _content(self, ending: str, stem: str) -> bytes:
    """What a file of that ending holds, whose name begins with a stem."""
    if ending == _RECORD:
      text = json.dumps(self.record(), ensure_ascii=False, indent=2)
      return (text + '\n').encode('utf-8')
    if ending not in writers.FORMATS:
      known = ', '.join(f'.{name}' for name in (*writers.FORMATS, _RECORD))
      raise UserError(
        'path',
        messages.say(
          'cannot write files that end in {ending!r}', ending=ending
        ),
        messages.say('known: {known}', known=known),
      )
    writers.check_formats([ending], 'path')
    files = writers.contents(self, [ending])
    if ending != 'html':
      return files[ending]
    from emotion_musicvae.files import webpage

    return webpage.page([self], [files], {}, stem)

  def play(self) -> display.Audio:
    """A player for a notebook.

    Raises:
      UserError: there is no notebook, or no synthesizer installed.
    """
    if not _in_notebook():
      raise UserError(
        '',
        messages.say('there is no notebook to play in'),
        messages.say(
          "`melody.save('melody.wav')` writes a file that any player opens"
        ),
      )
    from IPython import display

    return display.Audio(data=self._content('flac', ''))

  def plot(self, look: str = 'light') -> figure.Figure:
    """A matplotlib figure of its notes, chords, and how it meets its targets.

    A notebook shows it; `.savefig` of the figure writes it in any format.

    Args:
      look: 'light'; 'dark', for dark pages; or 'print', without colours.

    Raises:
      UserError: another look.
    """
    return writers.figure(self, look)


def _split(name: str) -> tuple[str, str]:
  """The stem of a file's name, and its ending in lower case, without a dot."""
  for ending in sorted(writers.FORMATS, key=len, reverse=True):
    if name.lower().endswith(f'.{ending}'):
      return name[: -len(ending) - 1], ending
  stem, dot_ending = os.path.splitext(name)
  return stem, dot_ending.removeprefix('.').lower()


def _in_notebook() -> bool:
  try:
    import IPython
  except ImportError:
    return False
  return hasattr(IPython.get_ipython(), 'kernel')


def _write(folder: str, name: str, content: bytes, overwrite: bool) -> None:
  """Writes a file; one of that name is there until the new one is whole."""
  if overwrite:
    with atomic.replace_file(os.path.join(folder, name)) as f:
      f.write(content)
    return
  with (
    atomic.write_atomically(folder, name) as staged,
    open(os.path.join(staged, name), 'wb') as f,
  ):
    f.write(content)


def _plain(value: float | str) -> float | str | None:
  """A rounded float, or None for NaN, which JSON does not know; text as is."""
  if isinstance(value, str):
    return value
  return None if np.isnan(value) else round(float(value), 4)
