"""Templates of pages, and what these say in the languages of their readers."""

from collections.abc import Iterable
from collections.abc import Mapping

import jinja2

from emotion_musicvae.support import messages
from emotion_musicvae.terms import registry

# Of these the reference is the least that is asked for.
_AT_LEAST = ('chord_tone_rate', 'chord_tones_on_beat')

# Of the roll and the player, by the name that their script asks for.
PLAYER = {
  'play': messages.mark('Play'),
  'pause': messages.mark('Pause'),
  'stop': messages.mark('Stop'),
  'loop': messages.mark('Loop'),
  'from_bar': messages.mark('from bar'),
  'to_bar': messages.mark('to bar'),
  'volume': messages.mark('Volume'),
  'speed': messages.mark('Tempo'),
  'position': messages.mark('Position'),
  'at': messages.mark('bar {bar}, {time} of {whole}'),
  'roll': messages.mark(
    'Piano roll: {bars} bars, {notes} notes from {low} to {high}'
  ),
  'staff': messages.mark('Sheet music: {bars} bars, from {low} to {high}'),
  'loop_by': messages.mark('Drag over bars to loop them'),
  'empty_roll': messages.mark('Piano roll without notes'),
  'as_text': messages.mark('Notes as text'),
  'bar': messages.mark('Bar {bar}'),
  'rest': messages.mark('rest'),
  'chord_tones': messages.mark('chord tones'),
  'other_notes': messages.mark('other notes'),
  'mean_pitch_asked': messages.mark('mean pitch asked for'),
  'asked': messages.mark('asked for'),
  'measured': messages.mark('measured'),
  'download': messages.mark('Download'),
  'compare': messages.mark('Hear the original'),
  'kept': messages.mark('{n} notes kept'),
  'moved': messages.mark('{n} moved'),
  'new': messages.mark('{n} new'),
  'left_out': messages.mark('{n} left out'),
  'no_script': messages.mark(
    'The melodies on this page are shown and played by a script. Allow '
    'JavaScript for it, or take the files that were written beside it.'
  ),
  'settings': messages.mark('How it is played'),
  'mean_pitch': messages.mark('mean pitch (MIDI)'),
  'onsets_per_bar': messages.mark('onsets a bar'),
  'chord_tone_rate': messages.mark('chord-tone rate'),
  'chord_tones_on_beat': messages.mark('chord tones on the beat'),
  'energy': messages.mark('spectrogram energy'),
  'seed': messages.mark('seed'),
  'temperature': messages.mark('temperature'),
  'intensity': messages.mark('intensity'),
  'major': messages.mark('{tonic} major'),
  'minor': messages.mark('{tonic} minor'),
}


def of_terms(names: Iterable[str], language: str) -> dict[str, str]:
  """What further terms are called, by their names.

  Args:
    names: of them, and others, which are left out.
    language: code of it.
  """
  known = registry.known()
  return {
    name: known[name].korean
    if language == 'ko' and known[name].korean
    else name.replace('_', ' ')
    for name in names
    if name in known
  }


def asked_for(name: str, value: str) -> str:
  """A reference as it is shown beside what was measured.

  Args:
    name: of the measure.
    value: of the reference.
  """
  return ('≥ ' if name in _AT_LEAST else '') + value


def in_each(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
  """Words by their names, for each language by its code."""
  return {
    language: {
      name: messages.say_in(language, word) for name, word in words.items()
    }
    for language in messages.LANGUAGES
  }


def template(
  name: str, package: str = 'emotion_musicvae.files'
) -> jinja2.Template:
  """A template of a package, which may include those of this one.

  Args:
    name: of its file.
    package: whose folder `templates` has it.
  """
  homes = dict.fromkeys([package, 'emotion_musicvae.files'])
  environment = jinja2.Environment(
    loader=jinja2.ChoiceLoader([jinja2.PackageLoader(home) for home in homes]),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
  )
  return environment.get_template(name)
