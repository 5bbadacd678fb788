"""Words of a text that tell of feelings, weighed by what stands around them."""

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from emotion_musicvae.emotions.lexicon import clauses
from emotion_musicvae.emotions.lexicon import cues
from emotion_musicvae.emotions.lexicon import english
from emotion_musicvae.emotions.lexicon import korean
from emotion_musicvae.emotions.lexicon import vocabulary

_SCENE = 0.45  # what a place or the weather counts beside a word for a feeling
_ALONE = 0.25  # words below it tell of a feeling only by themselves


@dataclasses.dataclass
class Hit:
  """An entry of the lexicon in a clause."""

  word: str
  feeling: vocabulary.Feeling
  weight: float
  clause: int
  degree: float = 1.0
  denied: bool = False
  is_sign: bool = False
  note: str = ''


def find(
  parts: Sequence[clauses.Clause], text: str, in_words: bool
) -> list[Hit]:
  """What tells of feelings in a text, weighed.

  Args:
    parts: its clauses, from `clauses.split`.
    text: itself, in one form.
    in_words: whether it is in a language of the lexicon; only emoji and
      emoticons count otherwise.
  """
  hits = _hits(parts, in_words)
  _weigh(hits, parts)
  _mock(hits, text)
  return hits


@functools.cache
def _signs() -> dict[str, vocabulary.Entry]:
  return dict(vocabulary.words('signs'))


def _hits(parts: Sequence[clauses.Clause], in_words: bool) -> list[Hit]:
  """Entries of the lexicon in clauses; only signs unless `in_words`."""
  hits: list[Hit] = []
  is_alone = sum(len(part.words) for part in parts) <= 2
  for number, clause in enumerate(parts):
    words, typed = clause.words, clause.typed

    def add(
      entry: vocabulary.Entry,
      first: int,
      last: int,
      number: int = number,
      typed: list[str] = typed,
      **kwargs: Any,
    ) -> None:
      if entry.feeling and (is_alone or entry.weight >= _ALONE):
        feeling = vocabulary.feelings()[entry.feeling]
        weight = entry.weight * (_SCENE if feeling.is_scene else 1)
        said = ' '.join(typed[first : last + 1])
        hits.append(Hit(said, feeling, weight, number, **kwargs))

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


def _is_name(typed: Sequence[str], first: int, last: int) -> bool:
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


def _degree(words: Sequence[str], first: int, last: int) -> float:
  degree = 1.0
  for word in words[max(first - 3, 0) : first]:
    degree *= cues.DEGREES.get(word, 1)
  after = ' '.join(words[last + 1 : last + 4])
  if cues.STRONG_AFTER.match(after):
    degree *= 1.3
  elif cues.WEAK_AFTER.match(after):
    degree *= 0.55
  return min(degree, 1.8)


def _weigh(hits: Sequence[Hit], parts: Sequence[clauses.Clause]) -> None:
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


def _factors(
  parts: Sequence[clauses.Clause],
  with_hits: set[int],
  mates: Mapping[int, list[int]],
) -> tuple[list[float], set[int], bool]:
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


def _mock(hits: Sequence[Hit], text: str) -> None:
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
