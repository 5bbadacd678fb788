"""The studio's page, in both languages, of a template."""

import functools

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import recognition
from emotion_musicvae.files import pages
from emotion_musicvae.files import playing
from emotion_musicvae.music import metres
from emotion_musicvae.studio import limits as limiting
from emotion_musicvae.studio import words
from emotion_musicvae.terms import registry


@functools.cache
def html(limits: limiting.Limits) -> str:
  """The page, which asks for everything else by its script.

  Args:
    limits: of what it may ask for.
  """
  said = pages.in_each({**pages.PLAYER, **words.STUDIO})
  for language, own in said.items():
    own.update(pages.of_terms(registry.known(), language))
  for language, own in said.items():
    own |= pages.of_terms(registry.known(), language)
  return pages.template('studio.html', 'emotion_musicvae.studio').render(
    words=said,
    styles=list(playing.styles()),
    metres=[str(metre) for metre in metres.PLAYABLE],
    data={
      'words': said,
      'emotions': [
        {
          'ko': e.name,
          'en': e.alias,
          'place': recognition.PLACES[e.alias],
          'qpm': e.qpm,
          'program': e.program,
          'chords': e.chords,
          'mode': e.mode,
        }
        for e in catalogue.load()
      ],
      'instruments': instruments(),
      'most_bars': limits.most_bars,
      'most_bytes': limits.most_bytes,
    },
  )


def instruments() -> list[str]:
  """Names of General MIDI's instruments, counted from 0."""
  import pretty_midi

  return [pretty_midi.program_to_instrument_name(i) for i in range(128)]
