"""Recognizes feelings in Korean and English text, and in words for feelings.

Words of a lexicon tell of feelings, each a blend of the nine emotions with a
valence and an arousal. Rules weigh what stands around them: denial, degree,
contrast, whose feeling it is, whether it is over, irony. Where nothing tells of
a feeling, nothing is recognized. `docs/recognition.md` has the figures.
"""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import functools
import math
import typing
import unicodedata

from emotion_musicvae.emotions.lexicon import clauses
from emotion_musicvae.emotions.lexicon import cues
from emotion_musicvae.emotions.lexicon import evidence
from emotion_musicvae.emotions.lexicon import korean
from emotion_musicvae.emotions.lexicon import vocabulary
from emotion_musicvae.support import messages

MAX_CHARACTERS = clauses.MAX_CHARACTERS
# Evidence from which on a feeling counts as recognized; in text of more than
# `_FEW` words that speaks of no one; and of a word that is said to name one.
_KNOWN, _KNOWN_OF_THINGS, _HINTED = 0.3, 0.42, 0.15
_FEW = 3
_PREVAILS = 1.5  # power of the evidence that places are averaged by
_MOST = 3  # emotions of a blend
_LEAST = 0.08  # share of one
_LEAST_INTENSITY = 0.9  # of a melody that follows what was recognized
# Of the letters of a name, and of a word, that counts as another, misspelled;
# two syllables of Korean have six, with any other of which they are no typo.
_ALIKE_NAMES, _ALIKE, _ALIKE_KOREAN = 0.78, 0.83, 0.84

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
    kinds = dict.fromkeys(one.why for one in found.evidence)
    return found.weights, ', '.join(kinds)
  letters = unicodedata.normalize('NFD', word.lower())
  names = {
    unicodedata.normalize('NFD', n): a for a, n in vocabulary.NAMES.items()
  }
  for spellings, alike in (
    ({**names, **{a: a for a in vocabulary.NAMES}}, _ALIKE_NAMES),
    (_spellings(), _ALIKE if word.isascii() else _ALIKE_KOREAN),
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


def named(found: Recognition, aliases: Iterable[str]) -> list[str]:
  """Names of emotions in the language of a text, Korean or English."""
  is_korean = found.language == 'ko'
  return [vocabulary.NAMES[a] if is_korean else a for a in aliases]


def describe(found: Recognition) -> str:
  """One line on what was recognized and from which words.

  In Korean where the text is Korean, otherwise in English.
  """
  names = named(found, found.weights)
  blend = (f'{n} {w:.2f}' for n, w in zip(names, found.weights.values()))
  words = (f'{e.word} ({e.why})' for e in found.evidence[:5])
  return messages.say_in(
    found.language,
    'Recognized: {blend} (strength {strength:.2f}); from: {words}',
    blend=', '.join(blend),
    strength=found.strength,
    words=', '.join(words),
  )


def _recognize(text: str, threshold: float) -> Recognition:
  text = clauses.plain(text)
  language = clauses.language(text)
  parts = clauses.split(text)
  hits = evidence.find(parts, text, in_words=bool(language))
  if sum(len(part.words) for part in parts) > _FEW and not (
    cues.is_of_someone(text.lower())
  ):
    threshold = max(threshold, _KNOWN_OF_THINGS)
  return _result(hits, language, threshold)


def _result(
  hits: Sequence[evidence.Hit], language: str, threshold: float
) -> Recognition:
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
  told = sorted(
    (hit for hit in hits if hit.weight >= 0.05),
    key=lambda hit: round(-hit.weight * hit.degree, 6),
  )
  return Recognition(
    _kept(shares),
    round(valence / places, 6),
    round(arousal / places, 6),
    round(1 - math.exp(-1.4 * strongest), 6),
    tuple(Evidence(hit.word, _why(hit, language)) for hit in told[:12]),
    language,
    nearest,
  )


def _kept(shares: Mapping[str, float]) -> dict[str, float]:
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


def _why(hit: evidence.Hit, language: str) -> str:
  note = hit.note or ('scene' if hit.feeling.is_scene else '')
  name = hit.feeling.name
  if language == 'ko':
    note, name = _NOTES.get(note, ''), hit.feeling.korean
  return f'{note}: {name}' if note else name


@functools.cache
def _spellings() -> dict[str, str]:
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
