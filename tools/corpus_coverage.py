"""What the bundled corpus gives: tunes of each collection, and their range.

python tools/corpus_coverage.py

Prints how many tunes in 4/4 each collection has, how many of them are
read and give windows, and which share of the windows that training draws lies
in each field of mean pitch and onsets a bar.
"""

from absl import app
import numpy as np
import tqdm

from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.pretraining import draws
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_lite'
PITCHES = np.arange(58, 79, 4)
ONSETS = np.arange(2, 13, 2)


def main(argv):
  del argv
  entry, _ = configuration.load_model_config(CONFIG)
  hparams = configuration.build(
    configuration.CorpusHparams, entry['corpus'], CONFIG
  )
  found, refusals = corpus.read_files(corpus.folk_files(), tqdm.tqdm)
  print('\n| collection | in 4/4 | read | with windows | |')
  print('| --- | ---: | ---: | ---: | ---: |')
  for collection in corpus.FOLK_COLLECTIONS:
    ours = [t for t in found if t.name.startswith(collection + '/')]
    failed = sum(
      r.reason == tunes.UNREADABLE and r.name.startswith(collection + '/')
      for r in refusals
    )
    cut = sum(any(map(len, corpus.split_windows([t], hparams))) for t in ours)
    total = len(ours) + failed
    print(
      f'| {collection} | {total} | {len(ours)} | {cut} | {cut / total:.1%} |'
    )

  train, _ = corpus.split_windows(found, hparams)
  drawn = draws.Windows.balanced(train.tokens, hparams.density_balance).batch(
    20000, hparams.mean_pitch, seed=0, step=0
  )
  share, *_ = np.histogram2d(
    melody.mean_pitch(drawn), melody.onsets_per_bar(drawn), [PITCHES, ONSETS]
  )
  print('\n| mean pitch \\ onsets a bar | ', end='')
  print(' | '.join(f'{a}–{b}' for a, b in zip(ONSETS, ONSETS[1:])) + ' |')
  print('| --- |' + ' ---: |' * (len(ONSETS) - 1))
  for low, high, row in zip(PITCHES, PITCHES[1:], share / len(drawn)):
    print(f'| {low}–{high} | ' + ' | '.join(f'{x:.1%}' for x in row) + ' |')


if __name__ == '__main__':
  app.run(main)
