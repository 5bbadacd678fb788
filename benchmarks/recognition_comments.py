"""Recognition on comments of others: GoEmotions (English) and KOTE (Korean).

python benchmarks/recognition_comments.py --goemotions test.tsv --kote test.tsv

The files are those of github.com/monologg/GoEmotions-pytorch (data/original)
and github.com/searle-j/KOTE, which are not part of this repository. Counted are
comments whose labels agree on pleasant, angry or afraid, or sad; and those
labelled neutral alone. Prints how many are answered, and how many of those have
the sign of valence right.
"""

import argparse

from emotion_musicvae.emotions import recognition

# Numbers of labels: pleasant; angry or afraid; sad; neutral.
_GOEMOTIONS = (
  {0, 1, 5, 13, 15, 17, 18, 20, 21, 23},
  {2, 3, 11, 14, 19},
  {9, 16, 24, 25},
  {27},
)
_KOTE = (
  {1, 2, 4, 7, 8, 13, 14, 16, 28, 32, 40, 42, 43},
  {0, 3, 9, 20, 21, 22, 23, 31, 18},
  {5, 10, 19, 25, 27, 36, 38, 30, 37},
  {24},
)


def _signs(labels, kinds, single):
  """1 for pleasant, -1 for unpleasant, 0 for neutral, None for the rest."""
  pleasant, angry, sad, neutral = (len(labels & kind) for kind in kinds)
  if single and len(labels) > 1:
    return None
  if neutral and len(labels) == 1:
    return 0
  if pleasant:
    return None if angry or sad else 1
  return -1 if max(angry, sad) >= max(1, 2 * min(angry, sad)) else None


def measure(comments):
  """Prints the figures of `(text, sign)` pairs."""
  felt = answered = right = neutral = false = 0
  for text, sign in comments:
    if sign is None:
      continue
    found = recognition.recognize(text)
    if sign == 0:
      neutral += 1
      false += found.known
      continue
    felt += 1
    answered += found.known
    right += found.known and found.valence * sign > 0
  print(
    f'{felt} with a feeling: {answered / felt:.3f} answered, '
    f'{right / answered:.3f} of those with the right sign; {neutral} neutral: '
    f'{false / max(neutral, 1):.3f} answered'
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--goemotions', help='text, labels, id; tabs between')
  parser.add_argument('--kote', help='id, text, labels; tabs between')
  flags = parser.parse_args()
  for path, kinds, text, labels in (
    (flags.goemotions, _GOEMOTIONS, 0, 1),
    (flags.kote, _KOTE, 1, 2),
  ):
    if not path:
      continue
    with open(path, encoding='utf-8') as f:
      rows = [line.rstrip('\n').split('\t') for line in f]
    measure(
      (
        row[text].replace('[NAME]', 'Kim').replace('[RELIGION]', ''),
        _signs(
          set(map(int, row[labels].split(','))), kinds, kinds is _GOEMOTIONS
        ),
      )
      for row in rows
    )


if __name__ == '__main__':
  main()
