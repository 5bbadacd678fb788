"""A run as one HTML page that plays, shows and hands out its melodies."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TYPE_CHECKING

import jinja2
import numpy as np
import pretty_midi

from emotion_musicvae.files import arrangement
from emotion_musicvae.music import melody as melody_grid

if TYPE_CHECKING:
  import note_seq

  from emotion_musicvae.files import writers

_MODES = {'major': '장조', 'minor': '단조'}
# Of a measure: its name in Korean and English, and its digits.
_MEASURES = {
  'mean_pitch': ('평균 음높이 (MIDI)', 'mean pitch (MIDI)', '.1f'),
  'onsets_per_bar': ('마디당 음 수', 'onsets a bar', '.1f'),
  'chord_tone_rate': ('화성음 비율', 'chord-tone rate', '.0%'),
  'chord_tones_on_beat': (
    '박에 놓인 화성음',
    'chord tones on the beat',
    '.0%',
  ),
  'energy': ('스펙트로그램 에너지', 'spectrogram energy', '.3f'),
}
_REQUEST = {
  'seed': '시드',
  'temperature': '온도',
  'intensity': '강도',
}
_TYPES = {
  'mid': 'audio/midi',
  'mp3': 'audio/mpeg',
  'musicxml': 'application/vnd.recordare.musicxml+xml',
}


def page(
  melodies: Sequence['writers.Melody'],
  files: Sequence[Mapping[str, bytes]],
  record: Mapping[str, Any],
  stem: str,
) -> bytes:
  """One page for a whole run, which needs nothing beside it.

  Args:
    melodies: sequence of `api.Melody`.
    files: for each of them, mapping of extension (`mid`, `mp3`, `musicxml`)
      to content, bytes: what the page plays and offers to download. `mp3` is
      among them.
    record: mapping of the request, of which seed, temperature, intensity and
      what was recognized in a text are shown.
    stem: what the names of the downloads begin with.

  Returns:
    HTML in UTF-8.
  """
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('emotion_musicvae.files'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
  )
  # In their order, each once.
  names = {melody.emotion.name: melody.emotion for melody in melodies}
  text = environment.get_template('page.html').render(
    korean=', '.join(names),
    english=', '.join(e.alias or e.name for e in names.values()),
    request=[
      (korean, name, record[name])
      for name, korean in _REQUEST.items()
      if name in record
    ],
    described=record.get('described', ()),
    sections=[s['text'] for s in record.get('sections', ())],
    melodies=[
      _card(melody, contents, f'{stem}-{i:03d}')
      for i, (melody, contents) in enumerate(zip(melodies, files))
    ],
  )
  return text.encode('utf-8')


def _knots(sequence: 'note_seq.NoteSequence') -> list[tuple[float, float]]:
  """Where a sequence has come to at each change of its tempo and at its end."""
  knots, steps = [], 0.0
  times = [tempo.time for tempo in sequence.tempos[1:]] + [sequence.total_time]
  for tempo, end in zip(sequence.tempos, times):
    knots.append((tempo.time, steps))
    quarters = (end - tempo.time) * tempo.qpm / 60.0
    steps += quarters * melody_grid.STEPS_PER_QUARTER
  return [*knots, (sequence.total_time, steps)]


def _card(
  melody: 'writers.Melody', contents: Mapping[str, bytes], stem: str
) -> dict[str, Any]:
  """What the template shows of a melody, and `data`, what its script plays."""
  sequence = melody.note_sequence
  program = next((n.program for n in sequence.notes if not n.instrument), 0)
  instrument = pretty_midi.program_to_instrument_name(program)
  # Of an arc, that of each section.
  qpm = ' → '.join(f'{s.qpm:g}' for s in arrangement.sections(sequence))
  facts = [(f'♩ = {qpm}', f'♩ = {qpm}'), (instrument, instrument)]
  key = arrangement.key(sequence)
  if key:
    tonic, mode = key
    facts.insert(0, (f'{tonic} {_MODES[mode]}', f'{tonic} {mode}'))
  return {
    'korean': melody.emotion.name,
    'english': melody.emotion.alias or melody.emotion.name,
    'facts': facts,
    'measures': [
      (
        korean,
        english,
        *(
          '–' if np.isnan(values[name]) else format(values[name], digits)
          for values in (melody.reference, melody.measured)
        ),
      )
      for name, (korean, english, digits) in _MEASURES.items()
      if name in melody.reference
    ],
    'data': {
      'seconds': sequence.total_time,
      # Where the tempo changes, as (seconds, steps).
      'tempos': _knots(sequence),
      'steps': arrangement.num_steps(sequence),
      'bars': list(arrangement.bar_lines(sequence)),
      'notes': arrangement.notes(sequence),
      'chords': arrangement.chords(sequence),
      'mean_pitch': melody.reference.get('mean_pitch'),
      'files': [
        {
          'name': f'{stem}.{extension}',
          'type': _TYPES[extension],
          'base64': base64.b64encode(content).decode('ascii'),
        }
        for extension, content in contents.items()
      ],
    },
  }
