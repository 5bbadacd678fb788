"""Recognizes feelings in Korean and English text, and in words for feelings.

Words of a lexicon tell of feelings, each a blend of the nine emotions with a
valence and an arousal. Rules weigh what stands around them: denial, degree,
contrast, whose feeling it is, whether it is over, irony. Where nothing tells of
a feeling, nothing is recognized. `docs/recognition.md` has the figures.
"""

import collections
import collections.abc
import dataclasses
import difflib
import functools
import math
import typing
import unicodedata

from emotion_musicvae.emotions.lexicon import clauses
from emotion_musicvae.emotions.lexicon import cues
from emotion_musicvae.emotions.lexicon import english
from emotion_musicvae.emotions.lexicon import korean
from emotion_musicvae.emotions.lexicon import vocabulary

MAX_CHARACTERS = clauses.MAX_CHARACTERS
# Evidence from which on a feeling counts as recognized; in text of more than
# `_FEW` words that speaks of no one; and of a word that is said to name one.
_KNOWN, _KNOWN_OF_THINGS, _HINTED = 0.3, 0.42, 0.15
_FEW = 3
_SCENE = 0.45  # what a place or the weather counts beside a word for a feeling
_PREVAILS = 1.5  # power of the evidence that places are averaged by
_ALONE = 0.25  # words below it tell of a feeling only by themselves
_MOST = 3  # emotions of a blend
_LEAST = 0.08  # share of one
_LEAST_INTENSITY = 0.9  # of a melody that follows what was recognized
# Of the letters of a name, and of a word, that counts as another, misspelled.
_ALIKE_NAMES, _ALIKE = 0.78, 0.83

# Where the nine lie in valence and arousal.
PLACES = {
  'intense': (-0.5, 0.8),
  'bright': (0.8, 0.4),
  'lively': (0.65, 0.8),
  'peaceful': (0.55, -0.6),
  'refreshing': (0.55, 0.1),
  'mysterious': (-0.1, -0.15),
  'melancholy': (-0.5, -0.4),
  'clear': (0.5, -0.25),
  'gloomy': (-0.85, -0.5),
}


class Evidence(typing.NamedTuple):
  """A word of a text and what it was taken for."""

  word: str
  why: str


@dataclasses.dataclass(frozen=True)
class Recognition:
  """What a text says of feelings.

  Attributes:
    weights: alias of an emotion to its share, the largest first, summing to 1;
      empty where none was recognized.
    valence: from -1 (unpleasant) to 1.
    arousal: from -1 (calm) to 1.
    strength: how strongly it is felt, from 0 to 1; 0 where none was recognized.
    evidence: words and why, in the language of the text, the weightiest first.
    language: 'ko', 'en', or '' where the text is in neither.
    nearest: aliases of up to three emotions that the text hints at, should it
      hint at any: help where none was recognized.
  """

  weights: dict[str, float]
  valence: float
  arousal: float
  strength: float
  evidence: tuple[Evidence, ...]
  language: str
  nearest: tuple[str, ...]

  @property
  def known(self) -> bool:
    """Whether a feeling was recognized."""
    return bool(self.weights)

  @property
  def intensity(self) -> float:
    """How far a melody goes to the emotion, from `_LEAST_INTENSITY` to 1.

    Not the strength itself: on the way to an emotion a melody meets neither its
    targets nor those it came from.
    """
    return _LEAST_INTENSITY + (1.0 - _LEAST_INTENSITY) * self.strength


@dataclasses.dataclass
class _Hit:
  """An entry of the lexicon in a clause."""

  word: str
  feeling: vocabulary.Feeling
  weight: float
  clause: int
  degree: float = 1.0
  denied: bool = False
  is_sign: bool = False
  note: str = ''


def recognize(text: str) -> Recognition:
  """What a text says of feelings.

  Args:
    text: a word, a sentence or a page, in Korean, English or both, with emoji
      and emoticons. Of longer text, the first `MAX_CHARACTERS` count.

  Returns:
    A `Recognition`; `known` is False for what tells of no feeling, or is in
    another language.
  """
  return _recognize(text, _KNOWN)


def interpret(word: str) -> tuple[dict[str, float], str] | None:
  """What a word for a feeling means in terms of the nine.

  Args:
    word: such as 쓸쓸함, 행복, sad or calm, of four words at most; one that is
      misspelled counts as the nearest in letters.

  Returns:
    `(weights, taken)`: alias to share, and the name of the feeling that it was
    taken for, in the word's language. None for a word that is none.
  """
  word = ' '.join(clauses.plain(word).split())
  if not word or len(word) > 60 or word.count(' ') > 3:
    return None
  found = _recognize(word, _HINTED)
  if found.known:
    kinds = dict.fromkeys(evidence.why for evidence in found.evidence)
    return found.weights, ', '.join(kinds)
  letters = unicodedata.normalize('NFD', word.lower())
  names = {
    unicodedata.normalize('NFD', n): a for a, n in vocabulary.NAMES.items()
  }
  for spellings, alike in (
    ({**names, **{a: a for a in vocabulary.NAMES}}, _ALIKE_NAMES),
    (_spellings(), _ALIKE),
  ):
    near = difflib.get_close_matches(
      letters, [s for s in spellings if s[0] == letters[0]], 1, alike
    )
    if not near:
      continue
    word = spellings[near[0]]
    if word in vocabulary.NAMES:
      return {word: 1.0}, word
    found = _recognize(word, _HINTED)
    if found.known:
      return found.weights, f'{word}, {found.evidence[0].why}'
  return None


def place(valence: float, arousal: float) -> dict[str, float]:
  """The blend of the nine at a place of valence and arousal.

  Args:
    valence: from -1 (unpleasant) to 1.
    arousal: from -1 (calm) to 1.

  Returns:
    Alias to share, of up to three, summing to 1. The place of one of the nine
    itself is that one nearly alone.
  """
  shares = {
    alias: 1 / (1e-3 + (valence - v) ** 2 + (arousal - a) ** 2)
    for alias, (v, a) in PLACES.items()
  }
  return _kept(shares)


def describe(found: Recognition) -> str:
  """One line on what was recognized and from which words.

  In Korean where the text is Korean, otherwise in English.
  """
  if found.language == 'ko':
    named = {a: vocabulary.NAMES[a] for a in found.weights}
    heading, from_, strength = '읽은 감정', '근거', '세기'
  else:
    named = {a: a for a in found.weights}
    heading, from_, strength = 'Recognized', 'from', 'strength'
  blend = ', '.join(f'{named[a]} {w:.2f}' for a, w in found.weights.items())
  words = ', '.join(f'{e.word} ({e.why})' for e in found.evidence[:5])
  return (
    f'{heading}: {blend} ({strength} {found.strength:.2f}); {from_}: {words}'
  )


def _recognize(text, threshold):
  text = clauses.plain(text)
  language = clauses.language(text)
  parts = clauses.split(text)
  hits = _hits(parts, in_words=bool(language))
  _weigh(hits, parts)
  _mock(hits, text)
  if sum(len(part.words) for part in parts) > _FEW and not (
    cues.is_of_someone(text.lower())
  ):
    threshold = max(threshold, _KNOWN_OF_THINGS)
  return _result(hits, language, threshold)


@functools.cache
def _signs():
  return dict(vocabulary.words('signs'))


def _hits(parts, in_words):
  """Entries of the lexicon in clauses; only signs unless `in_words`."""
  hits = []
  is_alone = sum(len(part.words) for part in parts) <= 2
  for number, clause in enumerate(parts):
    words, typed = clause.words, clause.typed

    def add(entry, first, last, number=number, typed=typed, **kwargs):
      if entry.feeling and (is_alone or entry.weight >= _ALONE):
        feeling = vocabulary.feelings()[entry.feeling]
        weight = entry.weight * (_SCENE if feeling.is_scene else 1)
        said = ' '.join(typed[first : last + 1])
        hits.append(_Hit(said, feeling, weight, number, **kwargs))

    for i, token in enumerate(typed):
      sign = _signs().get(token)
      if sign is None and token[0] in 'ㅋㅎㅠㅜ':
        sign = _signs().get(token[0])
      if sign and token != 'ㅡ':
        add(sign, i, i, is_sign=True)
    if not in_words:
      continue
    in_english = english.find(words)
    # Denials within expressions deny nothing else.
    others = list(words)
    for first, last, _ in in_english:
      if last > first:
        others[first : last + 1] = [''] * (last + 1 - first)
    for first, last, entry in in_english:
      if not _is_name(typed, first, last):
        add(
          entry,
          first,
          last,
          degree=_degree(words, first, last),
          denied=english.is_denied(others, first),
        )
    for first, last, start, end, entry in korean.find(words):
      glued = cues.DEGREES.get(words[last][:start], 1)
      add(
        entry,
        first,
        last,
        degree=glued
        * _degree(words, first, last)
        * (0.5 if korean.is_quoted(words, last) else 1),
        denied=korean.is_denied(words, first, last, start, end),
      )
  return hits


def _is_name(typed, first, last):
  """Whether an English word is part of a name, as in Happy Valley."""
  following = typed[last + 1 : last + 2]
  return (
    first == last
    and typed[first].istitle()
    and following != []
    and following[0].istitle()
    and len(following[0]) > 2
    and following[0] not in ('God', 'Christmas', 'Birthday', 'Mom', 'Dad')
    and sum(map(str.istitle, typed[:20])) < 0.6 * len(typed[:20])
  )


def _degree(words, first, last):
  degree = 1.0
  for word in words[max(first - 3, 0) : first]:
    degree *= cues.DEGREES.get(word, 1)
  after = ' '.join(words[last + 1 : last + 4])
  if cues.STRONG_AFTER.match(after):
    degree *= 1.3
  elif cues.WEAK_AFTER.match(after):
    degree *= 0.55
  return min(degree, 1.8)


def _weigh(hits, parts):
  """Weighs hits by what stands around them."""
  mates = collections.defaultdict(list)
  for number, clause in enumerate(parts):
    mates[clause.sentence].append(number)
  factors, over, otherwise = _factors(parts, {h.clause for h in hits}, mates)
  register = {
    sentence: cues.register(
      ' '.join(' '.join(parts[n].words) for n in mates[sentence])
    )
    for sentence in {parts[h.clause].sentence for h in hits}
  }
  feelings = vocabulary.feelings()
  is_told = any(not h.feeling.is_scene and h.weight >= 0.5 for h in hits)
  is_glad = any(
    h.feeling.valence > 0.3 and not h.is_sign and not h.denied for h in hits
  )
  for hit in hits:
    clause = parts[hit.clause]
    hit.weight *= factors[hit.clause]
    hit.degree *= 1 + 0.1 * min(clause.ends.count('!'), 3)
    if hit.is_sign:
      if hit.feeling.name == 'laughter' and len(hits) > 1:
        hit.weight *= 0.6
      elif hit.word[0] in 'ㅠㅜ' and is_glad:
        hit.weight *= 0.3  # tears of joy, or of begging
      continue
    hit.weight *= register[clause.sentence]
    if hit.feeling.is_scene and is_told:
      hit.weight *= 0.5  # a scene hints, where no word names a feeling
    if len(hit.word) > 2 and hit.word.isupper() and hit.word.isascii():
      hit.degree *= 1.15
    if hit.word.lower() == 'used to' and len(hits) > 1:
      hit.weight = 0.0  # what used to be says more
    hit.denied ^= otherwise and hit.clause in over
    if hit.denied:
      hit.note = 'denied'
      hit.weight *= 0.85 if hit.feeling.denied else 0
      hit.weight *= min(hit.weight + 0.5, 1)  # hints denied hint at little
      hit.feeling = feelings.get(hit.feeling.denied, hit.feeling)
    elif hit.clause in over:
      hit.note = 'over'
      if hit.feeling.valence > 0:
        hit.feeling = feelings['longing']
      else:
        hit.weight *= 0.5


def _factors(parts, with_hits, mates):
  """What each clause counts.

  Returns:
    `(factors, over, otherwise)`: a number for each clause; those that tell of
    feelings that are over, should there be no other; and whether it is said
    that it is otherwise now.
  """
  factors = [1.0] * len(parts)
  for number, clause in enumerate(parts):
    near = mates[clause.sentence]
    if clause.turn < 1 and any(n in with_hits for n in near if n >= number):
      before = [n for n in near if n < number]
      if not before and clause.sentence:
        before = mates[clause.sentence - 1]
      for n in before:
        factors[n] = min(factors[n], clause.turn)
    if clause.conceded and any(n in with_hits for n in near if n != number):
      factors[number] *= 0.3
  theirs: set[int] = set()
  past: set[int] = set()
  for number, clause in enumerate(parts):
    said = ' '.join(clause.words)
    if any(map(cues.OTHERS.fullmatch, clause.words)) and not any(
      map(cues.OWN.fullmatch, clause.words)
    ):
      theirs.add(number)
    if cues.NOW.search(said):
      if number in with_hits and cues.NOW.match(' '.join(clause.words[:2])):
        past.update(n for n in mates[clause.sentence] if n < number)
    elif cues.PAST.search(said):
      past.add(number)
  # Feelings of others count little beside those of the one who speaks.
  for number in theirs:
    others = 0.3 if with_hits - theirs else 0.8
    factors[number] = min(factors[number], others)
  if with_hits - past:
    for number in past:
      factors[number] = min(factors[number], 0.2)
    return factors, set(), False
  rest = [' '.join(c.words) for n, c in enumerate(parts) if n not in past]
  return factors, past & with_hits, any(map(cues.NO_MORE.search, rest))


def _mock(hits, text):
  """Takes words of praise for irony, where they sound like it."""
  text = text.lower().strip()
  if cues.MOCKING.search(text) and (
    cues.ANNOYING.search(text)
    or any(h.feeling.valence < -0.3 and not h.denied for h in hits)
  ):
    mocked = [
      hit
      for hit in hits
      if hit.feeling.name in cues.MOCKED and not (hit.denied or hit.is_sign)
    ]
    for hit in hits if mocked else ():
      hit.weight *= 0.6  # irony is louder than what gives rise to it
    for hit in mocked:
      hit.weight /= 0.6
      hit.feeling = vocabulary.feelings()['irony']
      hit.note = 'irony'


def _result(hits, language, threshold):
  by_feeling = collections.defaultdict(list)
  for hit in hits:
    by_feeling[hit.feeling.name].append(hit.weight * hit.degree)
  shares: dict[str, float] = collections.defaultdict(float)
  total = places = valence = arousal = strongest = 0.0
  for name in sorted(by_feeling):
    feeling = vocabulary.feelings()[name]
    amounts = sorted(by_feeling[name], reverse=True)
    # What is said again says less.
    amount = math.fsum(a * 0.6**i for i, a in enumerate(amounts[:20]))
    strongest = max(strongest, amounts[0])
    total += amount
    # What prevails says more of where it lies than the average.
    places += amount**_PREVAILS
    valence += amount**_PREVAILS * feeling.valence
    arousal += amount**_PREVAILS * feeling.arousal
    for alias, share in feeling.blend.items():
      shares[alias] += amount * share
  nearest = tuple(_kept(shares)) if total else ()
  if round(total, 6) < threshold:
    return Recognition({}, 0.0, 0.0, 0.0, (), language, nearest)
  evidence = sorted(
    (hit for hit in hits if hit.weight >= 0.05),
    key=lambda hit: round(-hit.weight * hit.degree, 6),
  )
  return Recognition(
    _kept(shares),
    round(valence / places, 6),
    round(arousal / places, 6),
    round(1 - math.exp(-1.4 * strongest), 6),
    tuple(Evidence(hit.word, _why(hit, language)) for hit in evidence[:12]),
    language,
    nearest,
  )


def _kept(shares):
  """The largest shares, in proportion."""
  total = sum(shares.values())
  ordered = sorted(shares, key=lambda a: (-round(shares[a], 9), a))[:_MOST]
  kept = [
    a for i, a in enumerate(ordered) if not i or shares[a] >= _LEAST * total
  ]
  rest = sum(shares[a] for a in kept)
  return {a: round(shares[a] / rest, 6) for a in kept}


_NOTES = {
  'denied': '부정',
  'over': '지난 일',
  'irony': '반어',
  'scene': '장면',
}


def _why(hit, language):
  note = hit.note or ('scene' if hit.feeling.is_scene else '')
  name = hit.feeling.name
  if language == 'ko':
    note, name = _NOTES.get(note, ''), hit.feeling.korean
  return f'{note}: {name}' if note else name


@functools.cache
def _spellings():
  """Letters of single words of the lexicon to the words."""
  found = {}
  for spelled, entry in vocabulary.words('korean'):
    word = spelled.strip('*=~')
    if entry.feeling and '+' not in word and len(word) > 1:
      found[unicodedata.normalize('NFD', word)] = word
      if word.endswith('다'):
        noun = korean.noun(word[:-1])
        found[unicodedata.normalize('NFD', noun)] = noun
  for spelled, entry in vocabulary.words('english'):
    if entry.feeling and '_' not in spelled and len(spelled) > 3:
      found[spelled.lstrip('=')] = spelled.lstrip('=')
  return found
