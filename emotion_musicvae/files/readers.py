"""Files of music as monophonic tunes.

Notation (ABC, MusicXML) is read by music21: repeats are written out, and a
pick-up stands before the first bar line. Performances (MIDI, NoteSequences in a
TFRecord) go through Magenta's own converter, which takes the top line of every
instrument but the drums and ends a melody where a bar is silent.
"""

import contextlib
import dataclasses
import os
import re
import warnings
import zipfile

import numpy as np

from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError

_DUPLE_METRES = ('C', 'C|', '2/2', '2/4', '4/4', '4/2')
MAX_BARS = 4096  # over two hours; a damaged file may claim weeks
_MAX_TICKS = 10_000_000  # seconds of reading and 80 MB
MAX_NOTES = 50_000  # ten seconds of reading
MAX_FILE_BYTES = 2**20  # of one song, some 100,000 notes of MIDI
# Of a file of many, of notation unpacked, and of other notation.
_MAX_RECORDS, _MAX_UNPACKED, _MAX_NOTATION = 2**34, 2**26, 2**24

_MUSIC_LINE = re.compile(r'^(?![A-Za-z]:).+$', re.MULTILINE)
_TURN = re.compile(r'(?<=[^:])(::|:\|:)(?=.)')

# Why a piece gives no tune.
UNREADABLE = 'cannot be read'
TOO_LARGE = 'too large'
TOO_LONG = 'too long'
NO_NOTES = 'without notes from MIDI 21 to 108'
DRUMS_ONLY = 'drums only'
NOT_DUPLE = 'not in 4/4'


@dataclasses.dataclass(frozen=True)
class Refusal:
  """A piece that gives no tune.

  Attributes:
    name: the piece, as in `tunes.Tune`.
    reason: `UNREADABLE`, `TOO_LARGE`, `TOO_LONG`, `NO_NOTES`, `DRUMS_ONLY` or
      `NOT_DUPLE`.
    detail: what was met where it cannot be read, how much is too much, or the
      metres.
  """

  name: str
  reason: str
  detail: str = ''


@dataclasses.dataclass(frozen=True)
class Piece:
  """A piece of music and the tunes in it.

  Attributes:
    name: as in `tunes.Tune`.
    tunes: tuple of at least one `tunes.Tune`.
    sequence: the `note_seq.NoteSequence` with all its voices where it comes
      from MIDI or a TFRecord; None where it comes from notation.
  """

  name: str
  tunes: tuple
  sequence: object = None


def read(path):
  """Reads the tunes in duple metre of one file.

  Args:
    path: a file whose name ends in one of `FORMATS`.

  Returns:
    `(tunes, refusals)`: a list of `tunes.Tune`, and a `Refusal` for each piece
    without any. A file may hold many pieces, a piece many melodies.

  Raises:
    UserError: as `pieces`.
  """
  tunes, refusals = [], []
  for found in pieces(path):
    if isinstance(found, Refusal):
      refusals.append(found)
    else:
      tunes.extend(found.tunes)
  return tunes, refusals


def pieces(path):
  """Reads one file piece by piece.

  What is not in 4/4, 2/2, 2/4 or 4/2 is left out: a whole part of a score whose
  metre changes to another, or the passage of a MIDI file.
  Changes of tempo do not matter, as times are counted in quarter notes.

  Args:
    path: a file whose name ends in one of `FORMATS`.

  Yields:
    A `Piece`, or the `Refusal` of one without a tune.

  Raises:
    UserError: another ending, or the package that reads it is missing.
  """
  name = os.path.join(*path.split(os.sep)[-2:])
  try:
    found_in = FORMATS[_ending(path)]
  except KeyError:
    raise UserError(
      path, f'expected a file ending in {", ".join(FORMATS)}'
    ) from None
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    try:
      too_large = _too_large(path, name)
      found = iter([too_large] if too_large else found_in(path, name))
      yield next(found, Refusal(name, NO_NOTES))
      yield from found
    except ModuleNotFoundError as e:
      raise UserError(
        path, f'reading it takes {e.name}', f'type: pip install {e.name}'
      ) from None
    except UserError:
      raise
    except Exception as e:  # pylint: disable=broad-except
      # Parsers meet malformed files with whatever error comes first.
      yield _unreadable(name, e)


def is_readable(path):
  """Whether the file's name ends as `read` expects."""
  return _ending(path) in FORMATS


def check_file(path, argument='song'):
  """Refuses what cannot be a melody's file, before anything is loaded.

  Args:
    path: the file.
    argument: what to name in an error.

  Raises:
    UserError: no such file, a folder, empty, too large, or of another kind.
  """
  if os.path.isdir(path):
    raise UserError(argument, f'{path!r} is a folder', 'name one file')
  if os.path.exists(path) and not os.path.isfile(path):
    # A pipe would be waited for.
    raise UserError(argument, f'{path!r} is no file')
  if not is_readable(path):
    raise UserError(
      argument, f'{path!r}: expected a file ending in {", ".join(FORMATS)}'
    )
  try:
    with open(path, 'rb') as f:
      size = f.seek(0, os.SEEK_END)
  except OSError as e:
    raise UserError(
      argument, f'{path!r} cannot be read ({e.strerror})'
    ) from None
  if not size:
    raise UserError(argument, f'{path!r} is empty', 'name a file with a melody')
  if size > MAX_FILE_BYTES:
    raise UserError(
      argument,
      f'{path!r} has {size / 2**20:.1f} MiB, where a melody takes kilobytes',
      'cut out the part with the melody, '
      f'{MAX_FILE_BYTES // 2**20} MiB at most',
    )


def _too_large(path, name):
  """The `Refusal` of a file that would take minutes and gigabytes, or None."""
  if not os.path.isfile(path):
    raise FileNotFoundError('no file')
  ending = _ending(path)
  size, limit = os.path.getsize(path), _MAX_NOTATION
  if ending in ('.mid', '.midi'):
    limit = MAX_FILE_BYTES
  elif ending == '.tfrecord':
    limit = _MAX_RECORDS
  if size <= limit and ending == '.mxl':
    with zipfile.ZipFile(path) as members:
      size = sum(member.file_size for member in members.infolist())
    limit = _MAX_UNPACKED
  if size <= limit:
    return None
  return Refusal(name, TOO_LARGE, f'more than {limit / 2**20:g} MiB')


def _too_long(name, notes, quarters):
  """The `Refusal` of more music than a piece has, or None."""
  if notes > MAX_NOTES:
    return Refusal(name, TOO_LONG, f'more than {MAX_NOTES:,} notes')
  if not quarters <= 4 * MAX_BARS:
    return Refusal(name, TOO_LONG, f'more than {MAX_BARS:,} bars')
  return None


def _ending(path):
  return os.path.splitext(path)[1].lower()


def _unreadable(name, error):
  detail = f'{type(error).__name__}: {error}'.removesuffix(': ')
  return Refusal(name, UNREADABLE, detail)


def _abc(path, name):
  """Each tune of an ABC file."""
  from music21 import abcFormat  # pylint: disable=g-import-not-at-top

  with open(path, encoding='utf-8', errors='replace') as f:
    parts = re.split(r'^X:\s*(\d+).*$', f.read(), flags=re.MULTILINE)
  for number, body in zip(parts[1::2], parts[2::2]):
    body = f'X:{number}\n{body.strip()}\n'
    # music21 knows the end and the start of a repeat in one as `:||:` only.
    body = _MUSIC_LINE.sub(lambda line: _TURN.sub(':||:', line[0]), body)
    # music21 would write a note of a thousand lengths out bar by bar.
    lengths = re.findall(r'\d{4,}', ' '.join(_MUSIC_LINE.findall(body)))
    title = re.search(r'^T:\s*(.*?)\s*$', body, re.MULTILINE)
    tune_name = f'{name}#{int(number)} {title.group(1) if title else ""}'
    metre = re.search(r'^M:\s*(\S+)', body, re.MULTILINE)
    if not metre or metre.group(1) not in _DUPLE_METRES:
      yield Refusal(tune_name, NOT_DUPLE)
      continue
    if lengths:
      yield Refusal(tune_name, TOO_LONG, f'a note of {lengths[0][:9]} lengths')
      continue
    try:
      # By the standard since 2.0 an accidental lasts to the bar line.
      with _bounded_metres():
        handler = abcFormat.ABCFile(abcVersion=(2, 1, 0)).readstr(body)
        score = abcFormat.translate.abcToStreamScore(handler)
        tune = _tune_from_part(tune_name, score.parts[0])
      yield _piece(tune_name, [tune])
    except Exception as e:  # pylint: disable=broad-except
      yield _unreadable(tune_name, e)


def _musicxml(path, name):
  """A tune of each part of a MusicXML score."""
  from music21 import converter  # pylint: disable=g-import-not-at-top

  found = []
  with _bounded_metres():
    score = converter.parse(path, forceSource=True, storePickle=False)
    for part in score.parts:
      metres = part.flatten().getElementsByClass('TimeSignature')
      if any(metre.ratioString not in _DUPLE_METRES for metre in metres):
        found.append(Refusal(name, NOT_DUPLE))
      else:
        found.append(_tune_from_part(name, part.toSoundingPitch()))
  yield _piece(name, found or [Refusal(name, NO_NOTES)])


@contextlib.contextmanager
def _bounded_metres():
  """Keeps music21 from taking minutes and more over a metre of many beats.

  Most of it goes into weights of the beats, which nothing here asks for.
  """
  from music21 import meter  # pylint: disable=g-import-not-at-top

  metre = meter.TimeSignature
  load, weigh = metre.load, metre._setDefaultAccentWeights

  def bounded(self, value, divisions=None):
    if re.search(r'\d{5}', value):
      raise ValueError(f'a metre of {value[:20]}')
    load(self, value, divisions)

  metre.load, metre._setDefaultAccentWeights = bounded, lambda *_: None
  try:
    yield
  finally:
    metre.load, metre._setDefaultAccentWeights = load, weigh


def _piece(name, found):
  """Its tunes as a `Piece`; the first `Refusal` where there is none."""
  read = tuple(one for one in found if isinstance(one, tunes.Tune))
  return Piece(name, read) if read else found[0]


def _tune_from_part(name, part):
  """A music21 part as a `tunes.Tune`, or the `Refusal` of one without notes.

  Grace notes are left out, and of notes that sound together the top one stays,
  until the next begins.
  """
  from music21 import stream  # pylint: disable=g-import-not-at-top

  measures = list(part.getElementsByClass(stream.Measure)) or [part]
  notes, end = {}, 0.0
  if len(measures) > 1:
    first = measures[0].duration.quarterLength
    if first < measures[0].barDuration.quarterLength:
      end = -float(first)  # The pick-up comes before time zero.
  for measure in _as_played(part, measures):
    for note in measure.flatten().notes:
      duration = float(note.duration.quarterLength)
      if not duration or not note.pitches:
        continue
      tied = note.tie is not None and note.tie.type in ('continue', 'stop')
      onset = end + float(note.offset)
      pitch = max(p.midi for p in note.pitches)
      if tied and notes:
        last = max(notes)
        notes[last] = (onset + duration - last, notes[last][1])
      elif onset not in notes or pitch > notes[onset][1]:
        notes[onset] = (duration, pitch)
    end += float(measure.duration.quarterLength)
  if not notes:
    return Refusal(name, NO_NOTES)
  rows = np.array([(t, *notes[t]) for t in sorted(notes)], np.float32)
  rows[:-1, 1] = np.minimum(rows[:-1, 1], np.diff(rows[:, 0]))
  if end <= 0.0:  # What no bar follows is no pick-up.
    rows[:, 0] -= rows[0, 0]
    end = float(rows[-1, :2].sum())
  # The last bar of a tune with a pick-up is short by it: the verse closes at
  # the next bar line of four quarters (or two, in 2/4).
  quarters = float(np.ceil(round(end / 2, 3)) * 2)
  last = float(rows[-1, :2].sum())
  return _too_long(name, len(rows), max(quarters, last)) or tunes.Tune(
    name, rows, quarters
  )


def _as_played(part, measures):
  """Measures with their repeats written out.

  A repeat goes back to its start mark or, where there is none, to the end of
  the repeat or second ending before it. (music21's own expansion goes back to
  the beginning of the piece, and so plays A B written `A :| B :|` as A A B A A
  B.) Jumps by words, as D.C., are not followed.

  Args:
    part: music21 part.
    measures: its measures.

  Yields:
    Measures, some of them twice.
  """
  from music21 import bar  # pylint: disable=g-import-not-at-top
  from music21 import spanner  # pylint: disable=g-import-not-at-top

  ending = {
    id(measure): min(bracket.numberRange, default=1)
    for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket)
    for measure in bracket.getSpannedElements()
  }
  endings = [ending.get(id(measure), 0) for measure in measures] + [0]

  def repeats(barline, direction):
    return isinstance(barline, bar.Repeat) and barline.direction == direction

  start = 0
  for i, measure in enumerate(measures):
    if repeats(getattr(measure, 'leftBarline', None), 'start'):
      start = i
    yield measure
    if endings[i] > 1:
      if endings[i + 1] != endings[i]:
        start = i + 1
    elif repeats(getattr(measure, 'rightBarline', None), 'end'):
      for j in range(start, i + 1):
        if endings[j] != 1:
          yield measures[j]
      start = i + 1


def _midi(path, name):
  # pylint: disable=g-import-not-at-top
  import mido
  import note_seq
  import pretty_midi

  midi = mido.MidiFile(path, charset='latin1')
  notes = sum(
    message.type == 'note_on' and message.velocity > 0
    for track in midi.tracks
    for message in track
  )
  ticks = max(sum(message.time for message in track) for track in midi.tracks)
  if midi.ticks_per_beat <= 0:
    raise ValueError('times in frames, not in beats')
  quarters = ticks / midi.ticks_per_beat
  if ticks > _MAX_TICKS:
    quarters = float('inf')
  # Before pretty_midi makes a table of all ticks.
  yield _too_long(name, notes, quarters) or from_sequence(
    name,
    note_seq.midi_to_note_sequence(pretty_midi.PrettyMIDI(mido_object=midi)),
  )


def _tfrecord(path, name):
  import note_seq  # pylint: disable=g-import-not-at-top
  import tensorflow as tf  # pylint: disable=g-import-not-at-top

  for i, record in enumerate(tf.data.TFRecordDataset(path)):
    sequence = note_seq.NoteSequence.FromString(record.numpy())
    yield from_sequence(f'{name}#{i}', sequence)


def from_sequence(name, sequence):
  """A NoteSequence with every melody in it, or the `Refusal` of none."""
  from emotion_musicvae.musicvae import stock  # pylint: disable=g-import-not-at-top

  notes = [
    n
    for n in sequence.notes
    if n.velocity and melody.MIN_PITCH <= n.pitch <= melody.MAX_PITCH
  ]
  if not notes:
    return Refusal(name, NO_NOTES)
  if all(n.is_drum for n in notes):
    return Refusal(name, DRUMS_ONLY)
  even = in_quarters(sequence)
  # Not its total time, which a file may claim as it likes.
  end = max(max(n.start_time, n.end_time) for n in even.notes)
  too_long = _too_long(name, len(even.notes), end * first_qpm(even) / 60.0)
  if too_long:
    return too_long
  tunes = tuple(
    tune_from_tokens(name, tokens) for tokens in stock.melodies(even)
  )
  if tunes:
    return Piece(name, tunes, sequence)
  metres = sorted(
    f'{m.numerator}/{m.denominator}' for m in even.time_signatures
  )
  return Refusal(name, NOT_DUPLE, ', '.join(dict.fromkeys(metres)))


def in_quarters(sequence):
  """A sequence in one tempo, its bars of two or four quarters told as 4/4.

  Args:
    sequence: a `note_seq.NoteSequence`.

  Returns:
    A copy, as Magenta's converter takes the most of it.
  """
  result = type(sequence).FromString(at_one_tempo(sequence).SerializeToString())
  for metre in result.time_signatures:
    if f'{metre.numerator}/{metre.denominator}' in _DUPLE_METRES:
      metre.numerator = metre.denominator = 4
  return result


def first_qpm(sequence):
  """Quarter notes a minute at the start; 120 where nothing is said."""
  tempos = sorted(sequence.tempos, key=lambda tempo: tempo.time)
  return tempos[0].qpm if tempos else 120.0


def at_one_tempo(sequence):
  """The same notes in the same bars at 120 quarter notes a minute.

  Magenta's converter ends a melody wherever the tempo changes, which would cut
  a performance to pieces that means nothing to a model that knows no tempo.
  """
  from note_seq import sequences_lib  # pylint: disable=g-import-not-at-top

  tempos = sorted(sequence.tempos, key=lambda tempo: tempo.time)
  if len({tempo.qpm for tempo in tempos}) < 2:
    return sequence
  times = np.array([0.0] + [tempo.time for tempo in tempos])
  qpm = np.array([120.0] + [tempo.qpm for tempo in tempos])
  beats = np.cumsum(np.append(0.0, np.diff(times) * qpm[:-1] / 60.0))

  def at_120(time):
    i = np.searchsorted(times, time, side='right') - 1
    return 0.5 * float(beats[i] + (time - times[i]) * qpm[i] / 60.0)

  return sequences_lib.adjust_notesequence_times(sequence, at_120)[0]


def tune_from_tokens(name, tokens):
  """[n] tokens as a `tunes.Tune` as long as they are."""
  events = np.flatnonzero(tokens)
  lengths = np.diff(np.append(events, len(tokens)))
  rows = np.stack(
    [
      events / melody.STEPS_PER_QUARTER,
      lengths / melody.STEPS_PER_QUARTER,
      tokens[events] + (melody.MIN_PITCH - 2.0),
    ],
    axis=1,
  )
  rows = rows[tokens[events] >= 2].astype(np.float32)
  return tunes.Tune(name, rows, len(tokens) / melody.STEPS_PER_QUARTER)


FORMATS = {
  '.abc': _abc,
  '.mid': _midi,
  '.midi': _midi,
  '.mxl': _musicxml,
  '.musicxml': _musicxml,
  '.xml': _musicxml,
  '.tfrecord': _tfrecord,
}
