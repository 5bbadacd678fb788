"""Korean words in running text: forms of predicates, particles, denial.

No analyser of morphemes is needed to find words that are known beforehand: a
predicate has some fifteen beginnings (슬프-, 슬퍼-, 슬펐-, 슬픈, …), which
follow from its stem, and whatever comes behind one is an ending.
"""

from collections.abc import Sequence
import functools
import re
import unicodedata

from emotion_musicvae.emotions.lexicon import vocabulary

_FINAL = {
  c: chr(0x11A8 + i)
  for i, c in enumerate(
    'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'
  )
}
_A, _EO, _O, _U, _EU, _I = 'ᅡ', 'ᅥ', 'ᅩ', 'ᅮ', 'ᅳ', 'ᅵ'
# Contractions of a stem's last vowel with -아/어.
_CONTRACTED = {
  _O: 'ᅪ',
  _U: 'ᅯ',
  _I: 'ᅧ',
  'ᅬ': 'ᅫ',
  _A: _A,
  _EO: _EO,
  'ᅢ': 'ᅢ',
  'ᅦ': 'ᅦ',
  'ᅧ': 'ᅧ',
  'ᅨ': 'ᅨ',
}
_REGULAR_B = ('잡', '입', '뽑', '씹', '좁', '집', '업', '꼽', '접')
_IRREGULAR_S = ('짓', '낫', '붓', '잇', '긋', '젓')
_IRREGULAR_D = ('걷', '듣', '닫', '싣', '붇')
_REGULAR_REU = ('따르', '치르', '들르')
# What may follow a stem of one syllable, by its first syllable.
_AFTER_STEM = (
  '다고지네는은을음어아었았으자게기니던더'
  '도려면며거겠잖습군구길긴소재곤나냐듯질진'
)
_PARTICLE = re.compile(
  '(?:이|가|은|는|을|를|도|만|의|에|에서|에게|로|으로|과|와|랑|이랑|처럼|같은|같이|까지|'
  '부터|마다|마저|조차|뿐|들|들이|들을|들은|들의|하고|보다|라도|이라도|이나|나|이다|다|'
  '입니다|이야|야|이네|네|이었다|였다|이라|라|라고|이라고|라고는|이란|란|요|이에요|예요|'
  '인|일|인데|이지만|이고|한|하게|엔|에는|에도|에만|만의|만은|밖에|함|임)?'
)


def _split(syllable: str) -> tuple[str, str, str]:
  """Initial consonant, vowel and final consonant, '' for none."""
  parts = unicodedata.normalize('NFD', syllable)
  return parts[0], parts[1], parts[2:]


def _join(*parts: str) -> str:
  return unicodedata.normalize('NFC', ''.join(parts))


@functools.cache
def _final(syllable: str, consonant: str) -> str:
  """A syllable without final consonant, with one."""
  return _join(syllable, _FINAL[consonant])


def forms(stem: str, longer: bool = True) -> set[str]:
  """Beginnings that all forms of a predicate have.

  Args:
    stem: the form of the dictionary without 다, at least a syllable.
    longer: whether those of a stem of one syllable go a syllable further, as
      울- stands in many another word.

  Returns:
    Beginnings of one syllable or more.
  """
  before, last = stem[:-1], stem[-1]
  initial, vowel, final = _split(last)
  found = {stem}
  attributive = set()
  if last == '하':
    found |= {before + s for s in ('하', '해', '했', '한', '할', '함', '합')}
  elif not final:
    attributive = {before + _final(last, c) for c in 'ㄴㄹㅁㅂ'}
    past = None
    if last == '르' and before and stem not in _REGULAR_REU:
      a, v, f = _split(before[-1])
      open_ = before[:-1] + _join(a, v, f or _FINAL['ㄹ'])
      past = open_ + ('라' if v in (_A, _O) else '러')
    elif vowel == _EU:
      v = _split(before[-1])[1] if before else _EO
      past = before + _join(initial, _A if v in (_A, _O) else _EO)
    elif vowel in _CONTRACTED:
      past = before + _join(initial, _CONTRACTED[vowel])
    if past:
      found |= {past, past[:-1] + _final(past[-1], 'ㅆ')}
  elif final == _FINAL['ㅂ'] and last not in _REGULAR_B:
    open_ = before + _join(initial, vowel)
    found |= {open_ + s for s in ('우', '운', '울', '움', '워', '웠')}
    found |= {open_ + s for s in ('와', '왔')} if last in '곱돕' else set()
  elif final == _FINAL['ㄹ']:
    open_ = before + _join(initial, vowel)
    found |= {open_ + s for s in ('는', '니', '네', '시', '세', '십')}
    attributive = {before + _final(open_[-1], c) for c in 'ㄴㅂ'}
  elif final == _FINAL['ㅅ'] and last in _IRREGULAR_S:
    open_ = before + _join(initial, vowel)
    found |= {open_ + s for s in ('아', '어', '았', '었', '은', '을', '으')}
  elif final == _FINAL['ㄷ'] and last in _IRREGULAR_D:
    open_ = before + _join(initial, vowel, _FINAL['ㄹ'])
    found |= {open_ + s for s in ('어', '었', '아', '았', '으', '은', '을')}
  elif final == _FINAL['ㅎ'] and before:
    open_ = _join(initial, vowel)
    found |= {before + _final(open_, c) for c in 'ㄴㄹㅁㅂ'}
    ending = {_A: 'ᅢ', 'ᅣ': 'ᅤ', 'ᅧ': 'ᅨ'}.get(vowel, 'ᅦ')
    open_ = _join(initial, ending)
    found |= {before + open_, before + _final(open_, 'ㅆ')}
  if before or not longer:
    return found | attributive
  two = {f + s for f in found if len(f) == 1 for s in _AFTER_STEM}
  two |= {f for f in found if len(f) > 1}
  # Attributives of one syllable, as 운, are words of their own.
  return two | {f + '다' for f in attributive if _split(f)[2] != _FINAL['ㄹ']}


def noun(stem: str) -> str:
  """The noun of a predicate: 외로움 of 외롭-."""
  initial, vowel, final = _split(stem[-1])
  if final == _FINAL['ㅂ'] and stem[-1] not in _REGULAR_B:
    return stem[:-1] + _join(initial, vowel) + '움'
  if final == _FINAL['ㄹ']:
    return stem[:-1] + _join(initial, vowel, 'ᆱ')
  return stem + '음' if final else stem[:-1] + _final(stem[-1], 'ㅁ')


def has_only_particles(rest: str) -> bool:
  """Whether what stands behind a noun is a particle, or nothing."""
  return _PARTICLE.fullmatch(rest) is not None


# Adverbs that are often written together with what follows.
_GLUED = vocabulary.listed(
  '너무너무 너무 진짜 정말 완전 엄청 매우 아주 제일 가장 왕 개 핵 존나 '
  '졸라 넘 참 더 안 못 나 난 넌 맘'
)
_GAP = 3  # words between the parts of an expression, at most
_LONGEST = 40  # syllables of a word that are looked at


_Single = dict[str, tuple[vocabulary.Entry, bool, bool]]
_Expressions = dict[str, list[tuple[tuple[str, ...], vocabulary.Entry]]]


@functools.cache
def _tables() -> tuple[_Single, _Expressions, int]:
  """Beginnings of words and of the last words of expressions."""
  single: _Single = {}
  expressions: _Expressions = {}

  def add(
    beginning: str,
    entry: vocabulary.Entry,
    anywhere: bool = False,
    exact: bool = False,
  ) -> None:
    # The first to name a form has it, but for what names a feeling outright.
    old = single.get(beginning)
    if old is None or (old[0].feeling and not entry.feeling):
      single[beginning] = (entry, anywhere, exact)

  for spelled, entry in vocabulary.words('korean'):
    word = spelled.strip('*=~.')
    anywhere, exact = spelled.startswith('*'), spelled.startswith('=')
    *roots, last = word.split('+')
    is_predicate = last.endswith('다') and len(last) > 1 and spelled[-1] != '.'
    if is_predicate and not exact:
      stem = last[:-1]
      beginnings = forms(stem, longer=not roots)
      if stem.endswith('하') and len(stem) > 2 and '~' not in spelled:
        beginnings = beginnings | {stem[:-1]}
    else:
      beginnings = {last}
    for beginning in beginnings:
      if not roots:
        short = len(beginning) == 1
        add(beginning, entry, anywhere, exact or short)
        continue
      expressions.setdefault(beginning, []).append((tuple(roots), entry))
      if len(roots) == 1 and len(roots[0] + beginning) > 2:
        add(roots[0] + beginning, entry)
  return single, expressions, max(map(len, single))


@functools.lru_cache(maxsize=2**14)
def _in_word(word: str) -> tuple[tuple[int, int, vocabulary.Entry], ...]:
  """Entries in a word, as `(start, end, entry)`."""
  single, _, longest = _tables()
  word = word[:_LONGEST]
  starts = {0}
  for adverb in _GLUED:
    if word.startswith(adverb):
      starts.add(len(adverb))
  found = []
  i = 0
  while i < len(word):
    for n in range(min(longest, len(word) - i), 0, -1):
      entry, anywhere, exact = single.get(word[i : i + n], (None, 0, 0))
      if entry is None or not (anywhere or i in starts):
        continue
      if exact and (i or not has_only_particles(word[i + n :])):
        continue
      found.append((i, i + n, entry))
      i += n - 1
      break
    i += 1
  return tuple(found)


def find(words: list[str]) -> list[tuple[int, int, int, int, vocabulary.Entry]]:
  """Entries among words.

  Args:
    words: words of Hangul in their order; any other word where none is.

  Returns:
    `(first, last, start, end, entry)`: an entry takes words `first` to `last`,
    and of the last one the syllables from start to end.
  """
  _, expressions, _ = _tables()
  found = []
  taken: set[int] = set()
  for i, word in enumerate(words):
    best = None
    for n in range(min(8, len(word)), 0, -1):
      for roots, entry in expressions.get(word[:n], ()):
        first = _before(words, i, roots)
        if first is not None and (best is None or len(roots) > best[0]):
          best = (len(roots), (first, i, 0, n, entry))
      if best:
        break
    if best:
      found.append(best[1])
      taken |= set(range(best[1][0], i + 1))
  for i, word in enumerate(words):
    if i not in taken:
      found += [(i, i, *span) for span in _in_word(word)]
  return found


def _before(words: Sequence[str], i: int, roots: Sequence[str]) -> int | None:
  """Where the roots of an expression begin before word i; None if not there."""
  for root in reversed(roots):
    for j in range(i - 1, max(i - 2 - _GAP, -1), -1):
      if words[j].startswith(root) and has_only_particles(
        words[j][len(root) :]
      ):
        i = j
        break
    else:
      return None
  return i


# A word that denies what stands before it, and one after -지.
_DENIES = re.compile(
  '없|아니|아닌|아닙|아닐|아냐|사라[지져졌]|못[하했]|않|'
  '말[고아자라]|마라|마세요|마요|마$'
)
_DENIES_JI = re.compile('않|못|말[고아자라렴지길]|마|안')
# The same within a word: 슬프지않다, 만만찮다, 기쁘기는커녕.
_DENIED_WITHIN = re.compile(
  '.*(?:지[가는도를]?|진|질)(?:않|못|말)|.*(?:찮|잖은|없|커녕)|마라|마세요'
)
_JI = re.compile('.*(?:지|진|질|지는|지가|지도|지를|지만은|치|치가|치는|치도)$')
_HELPS_JI = re.compile('(?:주|보|받|하|되|들|오|느끼|버리)(?:지|질)[는도가]?$')
# What may stand between a word and what denies it: 웃을 일이 하나도 없다.
_LINK = re.compile(
  '(?:것|거|게|건|걸|적|일|리|수|이유|필요|기색|조금|조금도|전혀|하나|한|번|더|'
  '더는|이상|별로|그다지|절대|이제|지금|아무|기운|힘|엄두|찾아볼|찾을|느낄|볼|'
  '기대할|사람|곳|말|소리|한마디|듣지|받지|들은|받은|마음|생각|느낌|기분|감정|'
  '시간|틈|겨를|날|줄|만큼|정도|구석|데)'
  '(?:이|은|는|도|가|를|을|조차|라고는|조차도|만)?'
)
_NOUN_END = re.compile(
  '(?:이|가|은|는|도|을|를|라고는|이라고는|라곤|이라곤|따위|조차|같은|함이|함은|'
  '함도|함을)?$'
)
_SUBJECT_END = re.compile('.*[이가은는도게]$')
_ATTRIBUTIVE = re.compile('.*[\u11ab\u11af]$')  # ends in -ㄴ or -ㄹ


def is_denied(
  words: list[str], first: int, last: int, start: int, end: int
) -> bool:
  """Whether what a word says is denied: 안 슬프다, 슬프지 않다, 희망이 없다.

  Args:
    words: the words of a clause.
    first: the first word of what may be denied.
    last: the last one.
    start: where in it the word itself begins.
    end: where it ends.
  """
  whole, rest = words[last], words[last][end:]
  follows = words[last + 1 : last + 6]
  before = words[first - 1] if first else ''
  denied = before in ('안', '못', '않')
  denied ^= whole[:start].endswith(('안', '못'))
  denied ^= _DENIED_WITHIN.match(rest) is not None
  if _JI.match(rest or whole):
    for i, word in enumerate(follows[:3]):
      if _DENIES_JI.match(word):
        # 웃지 않을 수 없다.
        again = word.endswith('을') and follows[i + 1 : i + 2] == ['수']
        return denied ^ (not again)
      if not _JI.match(word):
        break
    return denied
  if _HELPS_JI.match(''.join(follows[:1])) and _DENIES_JI.match(
    ''.join(follows[1:2])
  ):
    return not denied  # 반겨 주지 않는다
  if follows[:1] in (['안'], ['못']) and rest in ('이', '가', '은', '는', '도'):
    return not denied
  if before == '더' and ''.join(follows[:1]).startswith('수'):
    return denied  # 이보다 더 행복할 수 없다
  is_linked = _NOUN_END.match(rest) or _ATTRIBUTIVE.match(
    unicodedata.normalize('NFD', whole)
  )
  for i, word in enumerate(follows):
    if _DENIES.match(word):
      near = i > 0 or _NOUN_END.match(rest) or _SUBJECT_END.match(rest)
      return denied ^ bool(near)
    if not (is_linked and _LINK.fullmatch(word)):
      break
  return denied


_QUOTED = re.compile('.+(?:다고|라고|냐고|자고)$')
_OWN_THOUGHT = re.compile('느|생각|믿|여기|인정')


def is_quoted(words: list[str], last: int) -> bool:
  """Whether a word of a clause is what somebody said: 축하한다고 말했다."""
  if not _QUOTED.match(words[last]) or last + 1 == len(words):
    return False
  return not _OWN_THOUGHT.match(words[last + 1])
