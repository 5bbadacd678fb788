"""A run as one HTML page that plays, shows and hands out its melodies."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
import pretty_midi

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import originals
from emotion_musicvae.files import pages
from emotion_musicvae.music import melody as melody_grid
from emotion_musicvae.support import messages

if TYPE_CHECKING:
  import note_seq

  from emotion_musicvae.files import writers

# How the numbers of a measure are written.
_DIGITS = {
  'mean_pitch': '.1f',
  'onsets_per_bar': '.1f',
  'chord_tone_rate': '.0%',
  'chord_tones_on_beat': '.0%',
  'energy': '.3f',
}
_REQUEST = ('seed', 'temperature', 'intensity')
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
    files: for each of them, mapping of extension (`mid`, `mp3`, `musicxml`,
      and `original.mp3` where there is an original) to content, bytes: what the
      page plays and offers to download. `mp3` is among them.
    record: mapping of the request, of which seed, temperature, intensity and
      what was recognized in a text are shown.
    stem: what the names of the downloads begin with.

  Returns:
    HTML in UTF-8.
  """
  # In their order, each once.
  names = {melody.emotion.name: melody.emotion for melody in melodies}
  words = pages.in_each(pages.PLAYER)
  asked = dict.fromkeys(name for m in melodies for name in m.reference)
  for language, own in words.items():
    own |= pages.of_terms(asked, language)
  shown = [shown_of(melody) for melody in melodies]
  embedded = [
    _files(contents, f'{stem}-{i:03d}') for i, contents in enumerate(files, 1)
  ]
  text = pages.template('page.html').render(
    words=words,
    korean=', '.join(names),
    english=', '.join(e.alias or e.name for e in names.values()),
    request=[(name, record[name]) for name in _REQUEST if name in record],
    described=record.get('described', ()),
    sections=[s['text'] for s in record.get('sections', ())],
    melodies=[{**one, 'files': own} for one, own in zip(shown, embedded)],
    data={
      'words': words,
      'melodies': [
        {**one['data'], 'files': own} for one, own in zip(shown, embedded)
      ],
    },
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


def _files(contents: Mapping[str, bytes], stem: str) -> list[dict[str, Any]]:
  """Files that travel inside a page."""
  return [
    {
      'name': f'{stem}.{extension}',
      'type': _TYPES[extension.rpartition('.')[2]],
      'is_original': extension.startswith('original.'),
      'base64': base64.b64encode(content).decode('ascii'),
    }
    for extension, content in contents.items()
  ]


def shown_of(melody: 'writers.Melody') -> dict[str, Any]:
  """What a page shows of a melody.

  Args:
    melody: `api.Melody`.

  Returns:
    Its names in `korean` and `english`; `facts`, each by language; `measures`,
    each as its name, what was asked for and what it measures; and `data`, what
    the script draws.
  """
  sequence = melody.note_sequence
  program = next((n.program for n in sequence.notes if not n.instrument), 0)
  instrument = pretty_midi.program_to_instrument_name(program)
  # Of an arc, that of each section.
  qpm = ' → '.join(f'{s.qpm:.0f}' for s in arrangement.sections(sequence))
  facts = [dict.fromkeys(messages.LANGUAGES, f'♩ = {qpm}')]
  facts.append(dict.fromkeys(messages.LANGUAGES, instrument))
  key = arrangement.key(sequence)
  if key:
    tonic, mode = key
    facts.insert(
      0,
      {
        language: messages.say_in(language, pages.PLAYER[mode], tonic=tonic)
        for language in messages.LANGUAGES
      },
    )
  played = arrangement.notes(sequence)
  original = melody.original
  return {
    'korean': melody.emotion.name,
    'english': melody.emotion.alias or melody.emotion.name,
    'facts': facts,
    'measures': [
      (
        name,
        pages.asked_for(name, format(melody.reference[name], digits)),
        '–'
        if np.isnan(melody.measured[name])
        else format(melody.measured[name], digits),
      )
      for name, digits in _DIGITS.items()
      if name in melody.reference
    ]
    + [
      (
        name,
        *(
          value if isinstance(value, str) else format(value, '.2f')
          for value in (melody.reference[name], melody.measured[name])
        ),
      )
      for name in pages.of_terms(melody.reference, 'en')
    ],
    'data': {
      'seconds': sequence.total_time,
      # Where the tempo changes, as (seconds, steps).
      'tempos': _knots(sequence),
      'steps': arrangement.num_steps(sequence),
      'bars': list(arrangement.bar_lines(sequence)),
      'notes': played,
      'chords': arrangement.chords(sequence),
      'mean_pitch': melody.reference.get('mean_pitch'),
      'original': None if original is None else originals.notes(original),
      'changes': (
        None if original is None else originals.changes(original, played)
      ),
    },
  }
