"""Text in clauses: one form, its language, pauses and turns."""

import dataclasses
import functools
import re
import unicodedata

from emotion_musicvae.emotions.lexicon import cues

MAX_CHARACTERS = 20_000


@dataclasses.dataclass
class Clause:
  """Words up to a pause or a turn.

  Attributes:
    sentence: number of its sentence, from 0.
    words: in small letters.
    typed: as they stand there.
    turn: what the clauses before it count, as it goes against them; 1 if not.
    conceded: whether it says what another goes against.
    ends: what ends its sentence, if it is the last.
  """

  sentence: int
  words: list[str] = dataclasses.field(default_factory=list)
  typed: list[str] = dataclasses.field(default_factory=list)
  turn: float = 1.0
  conceded: bool = False
  ends: str = ''


# Quotation marks of one kind; no variation selectors, joiners or skin tones.
_ONE_FORM = {
  **str.maketrans('’‘“”。！？', '\'\'"".!?'),
  **dict.fromkeys((0xFE0F, 0xFE0E, 0x200D, 0x200B, 0xFEFF)),
  **dict.fromkeys(range(0x1F3FB, 0x1F400)),
}
_ADDRESS = re.compile(
  r'https?://\S+|www\.\S+|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.]{1,64}'
)


def plain(text: str) -> str:
  """Text in one form, without addresses and what no reader sees."""
  # Decomposed, a syllable is three characters.
  text = unicodedata.normalize('NFC', text[: 4 * MAX_CHARACTERS])
  return _ADDRESS.sub(' ', text[:MAX_CHARACTERS].translate(_ONE_FORM))


def language(text: str) -> str:
  """'ko', 'en', or '' for another or none, of a text in one form."""
  hangul = len(re.findall('[가-힣ㄱ-ㅣ]', text))
  latin = len(re.findall('[A-Za-zÀ-ɏ]', text))
  letters = sum(map(str.isalpha, text))
  if not letters or hangul + latin < 0.5 * letters:
    return ''
  if hangul >= 0.25 * (hangul + latin):
    return 'ko'
  words = re.findall("[a-zà-ɏ]+(?:'[a-z]+)?", text.lower())
  ours = sum(word in cues.ENGLISH for word in words)
  other = sum(word in cues.NOT_ENGLISH or not word.isascii() for word in words)
  return '' if other > ours else 'en'


_EMOTICON = (
  r"[>}]?[:;=]['’]?[-^o]?[)(\]\[DPp/|]|<\/?3|[xX]D+\b|\^[_\-oO0.]?\^|"
  r'[ㅠㅜ][_.]?[ㅠㅜ]+|[ㅠㅜ]+|ㅡ[_.]?ㅡ+|[ㅋㅎ]+|T[_.]T|-_+-|;_;|Q_Q|\bTT\b|'
  r'\b[oO]_[oO]\b|\borz\b|\bOTL\b'
)
_TOKEN = re.compile(
  rf"{_EMOTICON}|[가-힣]+|[A-Za-zÀ-ÿ]+(?:'[A-Za-z]+)*|\d+|[.!?…\n]+|\S"
)
_STOP = re.compile(r'[.!?…\n]+')
# Anything but.
_NO_TURN = (['anything'], ['nothing'], ['all'], ['none'])
# Korean verbs that others follow.
_LINKED = re.compile('.+(?:고|며|서|니까?)$')
_PAUSES = frozenset(',;:—–()·、')


def split(text: str) -> list[Clause]:
  """Cuts a text in one form into clauses, at least one."""
  clauses = [Clause(0)]

  def begin(turn: float = 1.0, conceded: bool = False) -> None:
    if clauses[-1].words:
      clauses.append(Clause(clauses[-1].sentence))
    clauses[-1].turn, clauses[-1].conceded = turn, conceded

  for token in _TOKEN.findall(text):
    clause, word = clauses[-1], token.lower()
    if _STOP.fullmatch(token):
      if clause.words:
        clause.ends = token
        begin()
        clauses[-1].sentence += 1
      continue
    if token in _PAUSES:
      begin()
      continue
    before = clause.words[-1:]
    joins = before in (['and'], ['while']) or _LINKED.match(''.join(before))
    if word in ('yet', 'still') and clause.words and before != ['and']:
      pass  # in the middle of a clause they speak of time
    elif word in cues.TURNS and not (word == 'but' and before in _NO_TURN):
      begin(turn=cues.TURNS[word])
    elif word in cues.CONCEDES and before != ['even']:
      begin(conceded=True)
    elif (
      word == 'while'
      or (joins and _begins(word))
      or (cues.NOW.match(word) and cues.PAST.search(' '.join(clause.words)))
    ):
      begin()
    clauses[-1].words.append(word)
    clauses[-1].typed.append(token)
    turn = _turning(token)
    if turn < 1:
      begin(turn=turn)
  return clauses


def _begins(word: str) -> bool:
  """Whether a word that joins on speaks of another, or of another time."""
  return (
    word in cues.SUBJECTS
    or cues.OWN.fullmatch(word) is not None
    or cues.NOW.fullmatch(word) is not None
  )


@functools.lru_cache(maxsize=2**14)
def _turning(word: str) -> float:
  """What is before counts so much, if a Korean word ends in a turn; or 1."""
  if len(word) < 2 or not '가' <= word[-1] <= '힣' or word in cues.NO_TURN:
    return 1.0
  turning = cues.TURNING.match(word) if len(word) > 2 else None
  if turning:
    return 0.3 if turning['strong'] else 0.6
  # -ㄴ데, -는데.
  before = unicodedata.normalize('NFD', word[-2])
  is_turn = word[-1] == '데' and before.endswith('\u11ab')
  return 0.45 if is_turn else 1.0
