"""Takes, as the page shows, plays and hands them out."""

from __future__ import annotations

import collections
import dataclasses
import io
import json
import shlex
import threading
from typing import Any
from typing import TYPE_CHECKING
import zipfile

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import audio
from emotion_musicvae.files import audio_formats
from emotion_musicvae.files import originals
from emotion_musicvae.files import songs
from emotion_musicvae.files import webpage
from emotion_musicvae.files import writers
from emotion_musicvae.music import metres
from emotion_musicvae.studio import inputs
from emotion_musicvae.studio import requests
from emotion_musicvae.studio import together
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  import note_seq

# What a take can be taken along as, beside all of it.
FORMATS = ('mid', 'wav', 'mp3', 'musicxml', 'png', 'abc')
_IN_ZIP = ('mid', 'wav', 'mp3', 'musicxml', 'png')
_KEPT = 512  # melodies, some 20 KiB each
PARTS = ('all', 'melody', 'chords')


class Takes:
  """Composes takes, and knows those of late.

  Args:
    model: that composes them; threads may share it.
    most_bars: how long a user's melody may be.
    workers: threads that compose, each for all who wait.
  """

  def __init__(
    self,
    model: api.EmotionMusicVAE,
    most_bars: int = 64,
    workers: int = 1,
  ) -> None:
    self.model = model
    self.most_bars = most_bars
    self._together = together.Together(model, workers)
    self._kept: collections.OrderedDict[str, api.Melody] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()
    # Engraving and drawing are done by libraries that know one thread.
    self._writing = threading.Lock()

  def close(self) -> None:
    """Lets go of all that waits."""
    self._together.close()

  def compose(self, values: Any, n: Any = 4, first: Any = 0) -> dict[str, Any]:
    """Some takes of a request, as plain values for a JSON.

    Args:
      values: what a browser sent, see `requests.Request.of`.
      n: how many.
      first: number of the first.

    Raises:
      UserError: names what will not do.
    """
    ranges.Range(int, 1, requests.MOST_TAKES).check('n', n)
    ranges.Range(int, 0, 999 - requests.MOST_TAKES).check('first', first)
    request = requests.Request.of(values, self.most_bars)
    specs = [requests.Spec(request, first + i) for i in range(n)]
    missing = [s for s in specs if self._found(s) is None]
    if missing:
      composed = requests.compose_some(
        self._together, request, [spec.number for spec in missing]
      )
      for spec, melody in zip(missing, composed):
        self._keep(spec, melody)
    return {
      'request': request.record(),
      'takes': [self._shown(spec) for spec in specs],
    }

  def melody(self, spec: requests.Spec) -> api.Melody:
    """The melody of a take."""
    found = self._found(spec)
    if found is None:
      found = requests.compose(self._together, spec)
      self._keep(spec, found)
    return found

  def spec(self, values: Any) -> requests.Spec:
    """The take that a browser names."""
    return requests.Spec.of(values, self.most_bars)

  def reading(self, values: Any) -> dict[str, Any]:
    """See `inputs.reading`."""
    return inputs.reading(values, self.most_bars)

  def chords(self, text: str, mode: str, time_signature: str) -> dict[str, Any]:
    """What a progression is: its key, and how many bars it has.

    Raises:
      UserError: it is none.
    """
    mode = 'minor' if mode == 'minor' else 'major'
    key, bars = requests.check_chords(
      text[: requests.MOST_CHARACTERS], mode, time_signature[:8]
    )
    return {'key': key, 'mode': mode, 'bars': bars}

  def song_of_file(self, content: bytes, name: str) -> dict[str, Any]:
    """The melody of a file as the page holds it; see `inputs`."""
    return self._held(inputs.song_of_file(content, name))

  def song_of_keys(self, notes: Any, qpm: Any) -> dict[str, Any]:
    """The melody of a keyboard as the page holds it; see `inputs`."""
    return self._held(inputs.song_of_keys(notes, qpm, self.most_bars))

  def _held(self, song: songs.Song) -> dict[str, Any]:
    """A melody as the page holds it, cut to what may be."""
    steps = song.metre.bar_steps
    most = self.most_bars * steps
    return {
      'song': {
        'name': song.name,
        'tokens': requests.packed(song.tokens[:most]),
        'qpm': song.qpm,
        'time_signature': str(song.metre),
      },
      'bars': min(len(song.tokens), most) // steps,
      'left_out': max(len(song.tokens) - most, 0) // steps,
      'report': song.report,
    }

  def _found(self, spec: requests.Spec) -> api.Melody | None:
    with self._lock:
      found = self._kept.get(spec.key())
      if found is not None:
        self._kept.move_to_end(spec.key())
      return found

  def _keep(self, spec: requests.Spec, melody: api.Melody) -> None:
    with self._lock:
      self._kept[spec.key()] = melody
      while len(self._kept) > _KEPT:
        self._kept.popitem(last=False)

  def _shown(self, spec: requests.Spec) -> dict[str, Any]:
    melody = self.melody(spec)
    shown = webpage.shown_of(melody)
    shown['spec'] = spec.record()
    shown['song'] = {
      'name': melody.emotion.alias or melody.emotion.name,
      'tokens': requests.packed(melody.tokens),
      'qpm': melody.emotion.qpm,
      'time_signature': melody.emotion.time_signature,
    }
    metre = metres.parse(melody.emotion.time_signature)
    window = metre.bars_per_window * metre.bar_steps
    shown['can_lock'] = len(melody.tokens) == window and not melody.sections
    shown['is_hit'] = not melody.missed
    shown['has_chords'] = spec.request.accompaniment != 'none'
    shown['command'] = command(spec)
    shown['python'] = python(spec)
    return shown

  def sound(
    self, spec: requests.Spec, which: str = 'take', part: str = 'all'
  ) -> bytes:
    """A take as FLAC.

    Args:
      spec: of the take.
      which: 'take', or 'original': the melody that it was made of.
      part: one of `PARTS`.

    Raises:
      UserError: another name, or no original.
    """
    melody = self.melody(spec)
    if part not in PARTS:
      raise UserError('part', messages.say('there is no such part'))
    sequence = _sequence(melody, which)
    if which == 'take' and part != 'all':
      whole, sequence = sequence, type(sequence)()
      sequence.CopyFrom(whole)
      del sequence.notes[:]
      sequence.notes.extend(
        note
        for note in whole.notes
        if (note.instrument == arrangement.MELODY) == (part == 'melody')
      )
    samples = audio.render(sequence, melody.emotion.loudness, melody.playing)
    return audio_formats.flac(samples)

  def staff(
    self, spec: requests.Spec, width: Any = 800, which: str = 'take'
  ) -> str:
    """A take as sheet music, see `engraving.svg`.

    Args:
      spec: of the take.
      width: of the drawing, in pixels.
      which: as in `sound`.

    Raises:
      UserError: another width or name, or no original.
    """
    ranges.STAFF_WIDTH.check('width', width)
    melody = self.melody(spec)
    sequence = _sequence(melody, which)
    kinds: list[str] = []
    if which == 'take' and melody.original is not None:
      played = arrangement.notes(sequence)
      kinds = originals.changes(melody.original, played)['notes']
    with self._writing:
      # What loads music21, which takes a second.
      from emotion_musicvae.files import engraving

      return engraving.svg(sequence, width, kinds)

  def file(self, spec: requests.Spec, kind: str) -> bytes:
    """A take as a file, or as a zip of all of them.

    Args:
      spec: of the take.
      kind: one of `FORMATS`, or 'zip'.

    Raises:
      UserError: another kind, or a writer that is not installed.
    """
    kinds = _IN_ZIP if kind == 'zip' else (kind,)
    writers.check_formats(kinds, 'format', FORMATS)
    melody = self.melody(spec)
    with self._writing:
      files = writers.contents(melody, kinds)
    if kind != 'zip':
      return files[kind]
    names = {f'{_stem(melody)}.{name}': files[name] for name in files}
    record = {'take': spec.record(), **melody.record()}
    names['take.json'] = json.dumps(
      record, ensure_ascii=False, indent=2
    ).encode()
    names['again.txt'] = f'{command(spec)}\n\n{python(spec)}\n'.encode()
    if spec.request.song:
      names['song.mid'] = self._song(spec.request.song)
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:
      for name, data in names.items():
        # The same take gives the same bytes.
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return content.getvalue()

  def name(self, spec: requests.Spec, kind: str) -> str:
    """What a file of a take is called."""
    return f'{_stem(self.melody(spec))}-{spec.number + 1}.{kind}'

  def _song(self, packed: requests.Packed) -> bytes:
    """The user's melody as MIDI, for the command that moves it."""
    song = packed.song()
    (sequence,) = self.model.note_sequences(song.tokens[None])
    plain = catalogue.Emotion(song.name, chords='N.C.', qpm=song.qpm or 120.0)
    bars = len(song.tokens) // song.metre.bar_steps
    arranged = arrangement.arrange(sequence, plain, bars, song.metre)
    from emotion_musicvae.files import midi

    return midi.midi(arranged)


def _sequence(melody: api.Melody, which: str) -> note_seq.NoteSequence:
  """What is played of a take: itself, or what it was made of."""
  if which == 'take':
    return melody.note_sequence
  if which != 'original' or melody.original is None:
    raise UserError('which', messages.say('it was made of no melody'))
  return originals.performed(melody)


def _stem(melody: api.Melody) -> str:
  return melody.emotion.alias.partition('+')[0] or 'melody'


def command(spec: requests.Spec) -> str:
  """The command that gives the same take; '' where none does."""
  request = spec.request
  if request.after or request.bars:
    return ''
  named = _arguments(request)
  flags = {
    'qpm': request.qpm,
    'program': request.program,
    'chords': request.chords,
    'time_signature': request.time_signature,
    'accompaniment': _unless(request.accompaniment, 'none'),
    'style': request.style or None,
    'humanize': request.humanize or None,
    'room': request.room or None,
    'num_outputs': spec.number + 1,
  }
  targets = [
    f'{name}={getattr(request, name):g}'
    for name in ('mean_pitch', 'onsets_per_bar')
    if getattr(request, name) is not None
  ]
  if request.target:
    targets.append(request.target)
  if targets:
    flags['target'] = ','.join(targets)
  if request.song:
    flags['input_midi'] = 'song.mid'
    if request.distance is not None:
      flags |= {'mode': 'variations', 'distance': request.distance}
    else:
      flags['keep'] = request.keep
  told = {**named, **{k: v for k, v in flags.items() if v is not None}}
  return 'emotion_musicvae_generate ' + ' '.join(
    f'--{name}={shlex.quote(str(value))}' for name, value in told.items()
  )


def python(spec: requests.Spec) -> str:
  """Python that gives the same take."""
  values = json.dumps(spec.record(), ensure_ascii=False)
  return (
    'import json\n'
    'from emotion_musicvae import EmotionMusicVAE\n'
    'from emotion_musicvae.studio import requests\n\n'
    'model = EmotionMusicVAE.from_pretrained()\n'
    f'take = requests.Spec.of(json.loads({values!r}), most_bars=64)\n'
    'melody = requests.compose(model, take)\n'
  )


def _unless(value: str, default: str) -> str | None:
  return None if value == default else value


def _arguments(request: requests.Request) -> dict[str, Any]:
  """What a command and Python call alike."""
  fields = ('emotion', 'text', 'valence', 'arousal')
  named = {
    name: getattr(request, name)
    for name in fields
    if getattr(request, name) is not None
  }
  defaults = {f.name: f.default for f in dataclasses.fields(requests.Request)}
  for name in ('intensity', 'temperature', 'guidance'):
    if getattr(request, name) != defaults[name]:
      named[name] = getattr(request, name)
  return {**named, 'seed': request.seed}
