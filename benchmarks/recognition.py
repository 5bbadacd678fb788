"""How often recognition is right, on sentences it was not made on.

python benchmarks/recognition.py
python benchmarks/recognition.py --part first --kinds
python benchmarks/recognition.py --part development --wrong

Prints, in Korean and in English, for a part of `benchmarks/data` (the sixth,
which nothing was made on, or another; docs/recognition.md tells of them):
coverage (of the sentences with a feeling, the share that is answered); of the
answered, how often the main emotion comes first, how often one of the right
ones does, and how often the quadrant of valence and arousal is right; and how
often an answer is given where none was due. Beside it three baselines: the name
nearest in letters to any word, the commonest emotion always, and the bare word
list without the rules. Then seconds to load, and milliseconds a sentence.
"""

import argparse
import collections
import csv
import difflib
import os
import subprocess
import sys
import time
import unicodedata

from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions.lexicon import clauses
from emotion_musicvae.emotions.lexicon import english
from emotion_musicvae.emotions.lexicon import korean
from emotion_musicvae.emotions.lexicon import vocabulary

_DATA = os.path.join(os.path.dirname(__file__), 'data')
_PARTS = ('development', 'first', 'second', 'third', 'fourth', 'fifth', 'sixth')
_LOAD = """
import time
start = time.perf_counter()
from emotion_musicvae.emotions import recognition
recognition.recognize('오늘 happy')
print(time.perf_counter() - start)
"""


def read(part):
  """Rows of a part as dictionaries: language, kind, main, also, …, text."""
  path = os.path.join(_DATA, f'recognition_{part}.tsv')
  with open(path, encoding='utf-8', newline='') as f:
    return list(csv.DictReader(f, delimiter='\t', quoting=csv.QUOTE_NONE))


def quadrant(valence, arousal):
  """Q1 to Q4, as in the circumplex."""
  if valence >= 0:
    return 'Q1' if arousal >= 0 else 'Q4'
  return 'Q2' if arousal >= 0 else 'Q3'


def ours(text):
  """The first emotion and the quadrant of `recognize`, or None."""
  found = recognition.recognize(text)
  if not found.known:
    return None
  return next(iter(found.weights)), quadrant(found.valence, found.arousal)


def placed(alias):
  """An emotion with its own quadrant."""
  return alias, quadrant(*recognition.PLACES[alias])


def by_letters(text):
  """The nearest in letters of the nine's names, for any word."""
  names = {alias: alias for alias in vocabulary.NAMES}
  for alias, name in vocabulary.NAMES.items():
    names[unicodedata.normalize('NFD', name)] = alias
  best = (0.5, None)
  for word in text.lower().split():
    word = unicodedata.normalize('NFD', word)
    for name, alias in names.items():
      ratio = difflib.SequenceMatcher(None, word, name).ratio()
      best = max(best, (ratio, alias), key=lambda b: b[0])
  return best[1] and placed(best[1])


def by_words(text):
  """The sum over the lexicon's words, without any rule."""
  shares = collections.Counter()
  place = [0.0, 0.0]
  for clause in clauses.split(clauses.plain(text)):
    entries = [e for *_, e in english.find(clause.words)]
    entries += [e for *_, e in korean.find(clause.words)]
    for entry in entries:
      if not entry.feeling:
        continue
      feeling = vocabulary.feelings()[entry.feeling]
      place[0] += entry.weight * feeling.valence
      place[1] += entry.weight * feeling.arousal
      for alias, share in feeling.blend.items():
        shares[alias] += entry.weight * share
  if not shares:
    return None
  return shares.most_common(1)[0][0], quadrant(*place)


def score(rows, answer):
  """Counts what an answerer gets right.

  Args:
    rows: from `read`.
    answer: function of a text to `(alias, quadrant)` or None.

  Returns:
    `(counts, wrong)`: a Counter, and `(row, answer)` of each mistake.
  """
  counts, wrong = collections.Counter(), []
  for row in rows:
    given = answer(row['text'])
    if row['main'] == 'none':
      counts['none'] += 1
      counts['false'] += given is not None
      fine = given is None
    else:
      counts['felt'] += 1
      counts['answered'] += given is not None
      fine = False
      if given:
        alias, q = given
        right = alias in {row['main'], *row['also'].split(',')}
        counts['first'] += alias == row['main']
        counts['any'] += right
        counts['quadrant'] += q in row['quadrant'].split(',')
        fine = right and q in row['quadrant'].split(',')
    if not fine:
      wrong.append((row, given))
  return counts, wrong


def told(counts):
  """A line of figures."""
  answered = max(counts['answered'], 1)
  return ''.join(
    f'{value:10.3f}'
    for value in (
      counts['answered'] / max(counts['felt'], 1),
      counts['first'] / answered,
      counts['any'] / answered,
      counts['quadrant'] / answered,
      counts['false'] / max(counts['none'], 1),
    )
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--part', default='sixth', choices=_PARTS)
  parser.add_argument('--wrong', action='store_true', help='list mistakes')
  parser.add_argument('--kinds', action='store_true', help='by kind, too')
  flags = parser.parse_args()
  rows = read(flags.part)
  commonest = collections.Counter(
    row['main'] for row in read('development') if row['main'] != 'none'
  ).most_common(1)[0][0]
  groups = {
    'all': rows,
    'Korean': [r for r in rows if r['language'] == 'ko'],
    'English': [r for r in rows if r['language'] == 'en'],
    'other': [r for r in rows if r['language'] == 'other'],
  }
  answerers = {
    'recognize': ours,
    'letters': by_letters,
    'commonest': lambda text: placed(commonest),
    'word list': by_words,
  }
  print(
    f'{flags.part}: {len(rows)} sentences\n{"":20}{"coverage":>10}'
    f'{"first":>10}{"any right":>10}{"quadrant":>10}{"false":>10}'
  )
  for group, some in groups.items():
    for name, answer in answerers.items():
      counts, wrong = score(some, answer)
      print(f'{group:8}{name:12}{told(counts)}')
      if flags.wrong and group == 'all' and name == 'recognize':
        for row, given in wrong:
          print('  ', row['kind'], row['main'], row['text'], given, sep=' | ')
  if flags.kinds:
    for kind in dict.fromkeys(row['kind'] for row in rows):
      some = [row for row in rows if row['kind'] == kind]
      counts, _ = score(some, ours)
      print(f'{kind:14}{len(some):6}{told(counts)}')
  start = time.perf_counter()
  for row in rows:
    recognition.recognize(row['text'])
  each = (time.perf_counter() - start) / len(rows)
  load = subprocess.run(
    [sys.executable, '-c', _LOAD], check=True, capture_output=True, text=True
  )
  print(f'{float(load.stdout):.2f} s to load, {1000 * each:.2f} ms a sentence')


if __name__ == '__main__':
  main()
