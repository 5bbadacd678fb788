"""Feelings, and the words of two languages that tell of them."""

import collections.abc
import dataclasses
import functools
import importlib.resources
import types

# The nine emotions: alias to name. configs/emotions.yaml has what they ask of
# music.
NAMES = types.MappingProxyType(
  {
    'intense': '격렬함',
    'bright': '밝음',
    'lively': '발랄함',
    'peaceful': '평화로움',
    'refreshing': '청량함',
    'mysterious': '신비로움',
    'melancholy': '우울함',
    'clear': '맑음',
    'gloomy': '암울함',
  }
)


@dataclasses.dataclass(frozen=True)
class Feeling:
  """A feeling, finer than the nine emotions.

  Attributes:
    name: its name in English, as in `feelings.tsv`.
    korean: its name in Korean.
    blend: alias of an emotion to its share, summing to 1.
    valence: from -1 (unpleasant) to 1.
    arousal: from -1 (calm) to 1.
    denied: name of the feeling that is left where it is denied, '' for none.
    is_scene: whether it is none, but a place, a time or weather that hints at
      some.
  """

  name: str
  korean: str
  blend: collections.abc.Mapping[str, float]
  valence: float
  arousal: float
  denied: str
  is_scene: bool


@dataclasses.dataclass(frozen=True)
class Entry:
  """What a word tells of.

  Attributes:
    feeling: name of a `Feeling`; '' for a word that only looks like another.
    weight: how surely, from 0 to 1.
  """

  feeling: str
  weight: float


def _read(name: str) -> str:
  folder = importlib.resources.files(__package__)
  return (folder / name).read_text(encoding='utf-8')


def listed(text: str) -> list[str]:
  """Words with spaces between them, as a list."""
  return text.split()


@functools.cache
def feelings() -> collections.abc.Mapping[str, Feeling]:
  """All feelings by name."""
  found = {}
  scene = False
  for line in _read('feelings.tsv').splitlines():
    if line.startswith('#'):
      scene = scene or line.startswith('# Scenes')
      continue
    name, korean, blend, valence, arousal, denied = line.split('\t')
    shares = (part.split(':') for part in blend.split())
    found[name] = Feeling(
      name,
      korean,
      types.MappingProxyType({alias: float(s) for alias, s in shares}),
      float(valence),
      float(arousal),
      denied.strip('-'),
      scene,
    )
  return types.MappingProxyType(found)


def words(name: str) -> collections.abc.Iterator[tuple[str, Entry]]:
  """Words of a language as its file spells them, with what they tell of.

  Args:
    name: 'korean', 'english' or 'signs' (emoji and emoticons).
  """
  entry = None
  for line in _read(f'{name}.txt').splitlines():
    if line.startswith('['):
      feeling, _, weight = line.strip('[]').rpartition(' ')
      entry = Entry(feeling.replace('nothing', ''), float(weight))
    elif entry and not line.startswith('#'):
      for word in line.split():
        yield word, entry
