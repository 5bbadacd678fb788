#!/usr/bin/env python3
"""Are melodies of one emotion melodies, and each another? With default flags.

python benchmarks/variety.py [--n=16] [--seed=0] [--config=NAME] [--prior=FILE]
    [--plot=FILE]

Prints musical facts of n melodies of each emotion, means over the nine, beside
unconditioned samples and real tunes that the model has not learned from; then
how well each emotion is followed. The picture has the first four of each, notes
on chord tones dark, and four real tunes.
"""

import argparse
import time

import numpy as np

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.api import pipeline
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.evaluation import metrics
from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--n', type=int, default=16)
parser.add_argument('--seed', type=int, default=0)
parser.add_argument('--config', default='hierdec-mel_16bar_lite')
parser.add_argument('--prior')
parser.add_argument('--plot')
flags = parser.parse_args()

emotions = catalogue.load()
own = conditions.Condition.of(emotions)
condition = conditions.Condition.of(
  [e for e in emotions for _ in range(flags.n)]
)
model = EmotionMusicVAE.from_pretrained(
  config=flags.config, max_batch_size=64, prior=flags.prior
)
model.generate('peaceful')  # What is built once is not counted.


def generate(intensity=1.0, guidance=1.0):
  """`(tokens, CPU seconds a melody)`, n of each emotion in full batches."""
  orders = [
    pipeline.Order(
      emotion, flags.seed, number, 0.5, intensity, guidance=guidance
    )
    for emotion in emotions
    for number in range(flags.n)
  ]
  start = time.process_time()
  melodies = model.compose(orders)
  cpu = (time.process_time() - start) / len(melodies)
  return np.stack([one.tokens for one in melodies]), cpu


held_out = references.load_held_out()
rng = np.random.default_rng(flags.seed)
tunes = held_out[rng.permutation(len(held_out))[: len(emotions) * flags.n]]
arms = {
  'real tunes': (tunes, 0.0),
  'prior': generate(intensity=0.0),
  'unguided': generate(guidance=0.0),
  'ours': generate(),
}
table, measured = {}, {}
for name, (tokens, cpu) in arms.items():
  described = metrics.describe(tokens, condition)
  measured[name] = scores = metrics.scores(described, condition, emotions)
  facts = metrics.musical_facts(tokens.reshape(len(emotions), flags.n, -1), own)
  areas = similarity.overlap(tokens, held_out, similarity.MUSICALITY)
  by_emotion = scores['hit_rate'].reshape(len(emotions), -1).mean(axis=1)
  asked = name != 'real tunes'
  table[name] = {
    **facts,
    'musicality': float(np.mean(list(areas.values()))),
    'CPU s a melody': cpu,
    **(
      {
        'hits': by_emotion.mean(),
        'worst hits': by_emotion.min(),
        **{
          key: np.nanmean(scores[key])
          for key in (
            'strict_hit_rate',
            'chord_tones_on_beat',
            'chord_tone_rate',
            'recognition',
          )
        },
      }
      if asked
      else {}
    ),
  }
names = list(dict.fromkeys(key for row in table.values() for key in row))
print('| | ' + ' | '.join(table) + ' |')
print('| --- |' + ' ---: |' * len(table))
for key in names:
  cells = [f'{row[key]:.2f}' if key in row else '' for row in table.values()]
  print(f'| {key.replace("_", " ")} | ' + ' | '.join(cells) + ' |')

print('\n| | chord tones on the beat | mean pitch off by | onsets off by '
      '| repeated | hits |')  # fmt: skip
print('| --- |' + ' ---: |' * 5)
shown = ('chord_tones_on_beat', 'pitch_error', 'density_error')
shown += ('repeated_notes', 'hit_rate')
for i, emotion in enumerate(emotions):
  rows = slice(i * flags.n, (i + 1) * flags.n)
  cells = [np.nanmean(measured['ours'][key][rows]) for key in shown]
  print(f'| {emotion.name} {emotion.alias} | '
        + ' | '.join(f'{x:.2f}' for x in cells) + ' |')  # fmt: skip
print(f'\nA hit: within {hits.PITCH_TOLERANCE} semitones and '
      f'{hits.DENSITY_TOLERANCE:.0%} of the onsets; chord tones on the beat '
      f'{hits.ON_BEAT_FLOOR}, of all notes {hits.CHORD_TONE_FLOOR}. '
      f'{melody.NUM_BARS} bars, seed {flags.seed}.')  # fmt: skip


def plot(path):
  """Piano rolls of the first four of each emotion, and of real tunes."""
  from matplotlib import pyplot as plt

  rows = [
    (e.alias, arms['ours'][0][i * flags.n :][:4], condition.take([i * flags.n]))
    for i, e in enumerate(emotions)
  ]
  rows.append(('real tunes', tunes[:4], None))
  figure, axes = plt.subplots(
    len(rows), 4, figsize=(16, 1.5 * len(rows)), sharex=True
  )
  for (name, tokens, asked), row in zip(rows, axes):
    for own, axis in zip(tokens, row):
      notes = melody.notes(own)
      fits = np.ones(len(notes.pitch), bool)
      if asked is not None:
        weights = asked.chord_tone_weights[0]
        fits = weights[notes.onset, notes.pitch % 12] > 0
      for colour, among in (('#1f3b5c', fits), ('#e08a3c', ~fits)):
        axis.barh(
          notes.pitch[among],
          (notes.end - notes.onset)[among],
          left=notes.onset[among],
          height=1.0,
          color=colour,
        )
      axis.set_xticks(np.arange(0, 257, 64), [])
      axis.grid(axis='x', alpha=0.4)
      axis.tick_params(labelsize=7)
    row[0].set_ylabel(name)
  figure.tight_layout()
  figure.savefig(path, dpi=60)


if flags.plot:
  plot(flags.plot)
