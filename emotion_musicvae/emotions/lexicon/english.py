"""English words in running text: inflection, expressions, denial."""

from collections.abc import Sequence
import functools
import re
from typing import Any

from emotion_musicvae.emotions.lexicon import vocabulary

_IRREGULAR = {
  'felt': 'feel', 'lost': 'lose', 'broke': 'break', 'broken': 'break',
  'left': 'leave', 'won': 'win', 'wept': 'weep', 'went': 'go', 'gone': 'go',
  'fell': 'fall', 'fallen': 'fall', 'fought': 'fight', 'hid': 'hide',
  'swam': 'swim', 'sang': 'sing', 'slept': 'sleep', 'made': 'make',
  'shook': 'shake', 'shone': 'shine', 'stole': 'steal', 'stolen': 'steal',
  'stuck': 'stick', 'swept': 'sweep', 'threw': 'throw', 'woke': 'wake',
  'forgave': 'forgive', 'forgiven': 'forgive', 'gave': 'give',
  'given': 'give', 'got': 'get', 'gotten': 'get', 'kept': 'keep',
  'began': 'begin', 'begun': 'begin', 'bore': 'bear', 'came': 'come',
  'did': 'do', 'done': 'do', 'does': 'do', 'found': 'find', 'had': 'have',
  'has': 'have', 'heard': 'hear', 'held': 'hold', 'met': 'meet',
  'paid': 'pay', 'ran': 'run', 'said': 'say', 'saw': 'see', 'seen': 'see',
  'thought': 'think', 'told': 'tell', 'took': 'take', 'taken': 'take',
  'was': 'be', 'were': 'be', 'is': 'be', 'am': 'be', 'are': 'be',
  'been': 'be', 'dying': 'die', 'lying': 'lie', 'worse': 'bad',
  'betrayed': 'betray', 'fled': 'flee', 'drove': 'drive',
}  # fmt: skip
_CONTRACTED = {
  'dont': "don't", 'cant': "can't", 'wont': "won't", 'isnt': "isn't",
  'didnt': "didn't", 'doesnt': "doesn't", 'im': "i'm", 'ive': "i've",
  'couldnt': "couldn't", 'wasnt': "wasn't", 'arent': "aren't",
  'havent': "haven't", 'wouldnt': "wouldn't", 'shouldnt': "shouldn't",
}  # fmt: skip


@functools.lru_cache(maxsize=2**14)
def lemmas(word: str) -> tuple[str, ...]:
  """Forms of the dictionary that a word may be of, itself the first.

  Args:
    word: in small letters.
  """
  word = _CONTRACTED.get(word, word)
  found = [word]
  if word in _IRREGULAR:
    found.append(_IRREGULAR[word])
  if "'" in word:
    found.append(word.removesuffix("'s"))
  for ending, others in (
    ('iness', ('y',)),
    ('ness', ('',)),
    ('ily', ('y',)),
    ('ly', ('', 'le')),
    ('iest', ('y',)),
    ('ier', ('y',)),
    ('est', ('', 'e')),
    ('er', ('', 'e')),
    ('ies', ('y', 'ie')),
    ('ied', ('y',)),
    ('es', ('', 'e')),
    ('s', ('',)),
    ('ed', ('', 'e')),
    ('ing', ('', 'e')),
    ('in', ('',)),
  ):
    stem = word.removesuffix(ending)
    if len(stem) >= 3 and stem != word:
      found += [stem + other for other in others]
      if stem[-1] == stem[-2] and ending[0] in 'ei':
        found.append(stem[:-1])
  # Looooove, sooo.
  squeezed = re.sub(r'(.)\1{2,}', r'\1', word)
  if squeezed != word:
    found += [squeezed, re.sub(r'(.)\1{2,}', r'\1\1', word)]
  return tuple(dict.fromkeys(found))


@functools.cache
def _tree() -> dict[str | None, Any]:
  """Expressions as a tree of their words; None leads to the entry."""
  root: dict[str | None, Any] = {}
  for spelled, entry in vocabulary.words('english'):
    node = root
    for word in spelled.lstrip('=').split('_'):
      node = node.setdefault(word, {})
    node.setdefault(None, (entry, spelled.startswith('=')))
    if not entry.feeling:
      node[None] = (entry, False)
  return root


def find(words: list[str]) -> list[tuple[int, int, vocabulary.Entry]]:
  """Entries among words, the longest from the left.

  Args:
    words: in small letters, in their order; any other where none is.

  Returns:
    `(first, last, entry)`.
  """
  found = []
  i = 0
  while i < len(words):
    best = _longest(words, i)
    if best is None:
      i += 1
      continue
    found.append((i, best[0], best[1]))
    i = best[0] + 1
  return found


def _longest(
  words: Sequence[str], i: int
) -> tuple[int, vocabulary.Entry] | None:
  best = None
  nodes = [_tree()]
  for j in range(i, min(i + 8, len(words))):
    following = []
    for lemma in lemmas(words[j]):
      for node in nodes:
        if lemma in node:
          following.append(node[lemma])
          end = node[lemma].get(None)
          fits = end and (not end[1] or lemma == words[j])
          if fits and (best is None or best[0] < j):
            best = (j, end[0])
    if not following:
      break
    nodes = following
  return best


_DENIES = frozenset(
  vocabulary.listed(
    'not never no none nobody nothing hardly barely scarcely neither nor '
    'cannot seldom rarely instead unable nowhere '
    "ain't aint"
  )
)
# They deny no more than what follows at once.
_DENIES_NEXT = frozenset(vocabulary.listed('without lack lacks lacking'))
_CANNOT = frozenset(["can't", 'cannot', "couldn't", 'never', 'not'])
_ENDS = frozenset(
  vocabulary.listed('stop stops stopped quit cease ceased')
)  # crying
_DENYING_PAIRS = frozenset(
  {('far', 'from'), ('free', 'of'), ('free', 'from'), ('anything', 'but')}
)
# What looks like a denial and is none.
_NO_DENIAL = re.compile(
  r'(?:not (?:only|just|to mention)|no (?:doubt|wonder|matter)|nothing but|'
  r"(?:can't|cannot|couldn't|can not|could not|never) (?:help|stop|get enough|"
  r'be (?:more|happier|better|prouder|any happier)|believe|wait|describe|tell '
  r'you)|never (?:been|felt|was|were) (?:so|more|this|better|happier|as)|'
  r'(?:why|what|how) not)\b'
)
_SUBJECTS = frozenset(
  vocabulary.listed(
    "i i'm i've i'll he she we they it's he's she's we're they're you're"
  )
)
_LITTLE = frozenset(['a', 'the', 'very', 'so', 'to', 'be', 'been', 'at', ''])
# Words that a denial reaches across, little ones not counted and counted.
_REACH, _FAR = 5, 12


def is_denied(words: list[str], first: int) -> bool:
  """Whether what a word says is denied: not sad, never happy, no joy.

  Args:
    words: the words of a clause, in small letters; those of longer expressions
      that deny nothing by themselves stand there as ''.
    first: the first word of what may be denied.
  """
  denied = tuple(words[max(first - 2, 0) : first]) in _DENYING_PAIRS
  reach = _REACH
  for i in range(first - 1, max(first - 1 - _FAR, -1), -1):
    word = words[i]
    if reach <= 0 or word in _SUBJECTS:
      break
    if word in _ENDS and i and words[i - 1] in _CANNOT:
      return False  # can't stop laughing
    if word in _DENIES or word.endswith("n't"):
      near = (words[i : i + 4], words[max(i - 1, 0) : i + 3])
      if any(_NO_DENIAL.match(' '.join(some)) for some in near):
        return False
      denied = not denied
    elif reach > _REACH - 2 and (
      word in _DENIES_NEXT or (word in _ENDS and words[first].endswith('ing'))
    ):
      denied = not denied
    reach -= word not in _LITTLE
  return denied
