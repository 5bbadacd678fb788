#!/usr/bin/env python3
"""Are other metres followed as well as 4/4, which alone the model has learned?

python benchmarks/metres.py [--n=8] [--seed=0]

Prints, for each metre, how well n melodies of each emotion meet their targets,
and musical facts of them, means over the nine.
"""

import argparse

import numpy as np

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.api import pipeline
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.evaluation import metrics
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--n', type=int, default=8)
parser.add_argument('--seed', type=int, default=0)
flags = parser.parse_args()

model = EmotionMusicVAE.from_pretrained(max_batch_size=64)
table = {}
for text in ('4/4', '2/4', '3/4', '6/8', '9/8', '12/8'):
  metre = metres.parse(text)
  emotions = [catalogue.in_metre(e, text) for e in catalogue.load()]
  made = model.compose(
    [
      pipeline.Order(emotion, flags.seed, number, 0.5, 1.0)
      for emotion in emotions
      for number in range(flags.n)
    ]
  )
  tokens = np.stack([one.tokens for one in made])
  hit = np.array([not one.missed for one in made]).reshape(-1, flags.n)
  beats = metre.weights()[metre.heard()] >= metres.BEAT
  facts = metrics.musical_facts(
    tokens.reshape(len(emotions), flags.n, -1),
    conditions.Condition.of(emotions),
  )
  table[text] = {
    'hits': hit.mean(),
    'worst hits': hit.mean(axis=1).min(),
    **{
      name: np.nanmean([one.measured[key] for one in made])
      for name, key in (
        ('chord tones on the beat', 'chord_tones_on_beat'),
        ('chord tones of onsets', 'chord_tone_rate'),
      )
    },
    'onsets on a beat': (tokens[:, beats] >= melody.FIRST_ONSET).sum()
    / (tokens >= melody.FIRST_ONSET).sum(),
    **{
      name: facts[name]
      for name in (
        'alike',
        'bars_again',
        'steps',
        'thirds',
        'leaps',
        'turns',
        'rests',
        'tonic_end',
        'long_end',
      )
    },
  }
print(f'{flags.n} melodies of each of the nine, seed {flags.seed}\n')
print('| | ' + ' | '.join(table) + ' |')
print('| --- |' + ' ---: |' * len(table))
for key in table['4/4']:
  cells = [f'{row[key]:.2f}' for row in table.values()]
  print(f'| {key.replace("_", " ")} | ' + ' | '.join(cells) + ' |')
