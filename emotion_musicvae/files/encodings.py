"""Text of files that do not say its encoding: names of tracks and tunes."""

import re

import chardet

# What chardet is asked for; it takes more and better guesses the more it reads.
_SAMPLE = 4096
_GUESSED = {
  'big5': 'big5',
  'cp932': 'cp932',
  'cp949': 'cp949',
  'euc-jp': 'euc_jp',
  'gb18030': 'gb18030',
  'koi8-r': 'koi8_r',
  'shift_jis': 'cp932',
  'windows-1251': 'cp1251',
  'windows-1253': 'cp1253',
}
_NOT_HANGUL = re.compile(r'[^\x00-\x7f가-힣]')
# Syllables of the names that Koreans give to tracks. Two bytes are a Chinese
# character as well, and a name is too short to tell by anything else.
_SYLLABLES = frozenset(
  '멜로디보컬노래주선율가사피아노오른왼손건반오르간기타통베이스드럼킥스네어'
  '하이햇심벌퍼커션타악기현바올린비라첼콘트플루클리넷보에바순호트럼펫롬본튜바'
  '색소폰관목금하프실로마림종신스디패드코러합창리드스링랙파트반주화음소프라알토'
  '테너남여성독제일렉어쿠틱브래새효과박자템포메론'
)


def decoded(raw: bytes) -> str:
  """Text that may be in UTF-8, or in what its writer's country used before.

  Korean has to be told from Chinese by which syllables it would be. What is in
  neither, nor Japanese, Cyrillic or Greek, is taken as western European, which
  every byte is.

  Args:
    raw: the text, of whatever length.

  Returns:
    Its characters, without a byte-order mark.
  """
  if raw[:2] in (b'\xff\xfe', b'\xfe\xff'):
    return raw.decode('utf-16', 'replace')
  try:
    return raw.decode('iso2022_jp' if b'\x1b$' in raw else 'utf-8-sig')
  except UnicodeError:
    pass
  sample = raw[:_SAMPLE]
  guess = _GUESSED.get((chardet.detect(sample)['encoding'] or '').lower())
  korean = _hangul(sample)
  if korean and (guess == 'cp949' or _is_likely(korean)):
    return raw.decode('cp949', 'replace')
  if guess and guess != 'cp949':
    try:
      sample.decode(guess)
      return raw.decode(guess, 'replace')
    except UnicodeError:
      pass
  return raw.decode('cp1252', 'replace')


def _hangul(sample: bytes) -> str:
  """The text as Korean; empty where it has other letters than Hangul."""
  try:
    text = sample.decode('euc_kr')
  except UnicodeError:
    return ''
  return '' if _NOT_HANGUL.search(text) else text


def _is_likely(korean: str) -> bool:
  """Whether at least half of its syllables are those of tracks' names."""
  syllables = [letter for letter in korean if letter >= '가']
  known = sum(letter in _SYLLABLES for letter in syllables)
  return known >= len(syllables) / 2
