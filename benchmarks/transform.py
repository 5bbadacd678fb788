#!/usr/bin/env python3
"""Is a tune of the user's still the tune, and does it feel otherwise?

python benchmarks/transform.py [--each=7] [--seed=0] [--tunes=FOLDER]

Moves held-out tunes, of which no two are alike, to the nine emotions and prints
what stays of them and what is met; at several strengths; then the files of a
folder, each to gloomy, lively and peaceful.

contour: correlation of pitch lines, about their means, with the source's.
found: by contour and rhythm, of all tunes the right one is the nearest.
own onsets: share of the notes that begin where one of the tune does.
mode: of major and minor on its tonic, the key profile fits the emotion's.
"""

import argparse
import glob
import os
import time

import numpy as np

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae import load_song
from emotion_musicvae.api import pipeline
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.files import songs
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--each', type=int, default=7)
parser.add_argument('--seed', type=int, default=0)
parser.add_argument('--tunes')
flags = parser.parse_args()


def line(tokens):
  """[n] the pitch that sounds last at each step, about its mean."""
  onset = tokens >= melody.FIRST_ONSET
  last = np.maximum.accumulate(np.where(onset, np.arange(len(tokens)), 0))
  pitch = tokens[last].astype(float)
  return pitch - pitch.mean()


def contour(tokens, other):
  """Correlation of two pitch lines."""
  a, b = line(tokens), line(other)
  return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-9))


def rhythm(tokens, other):
  """Share of notes that begin together."""
  a, b = tokens >= melody.FIRST_ONSET, other >= melody.FIRST_ONSET
  return (a & b).sum() / max((a | b).sum(), 1)


def mode_at(tokens, tonic):
  """Whose key profile fits better on a tonic."""
  notes = melody.notes(tokens)
  profile = np.bincount(notes.pitch % 12, notes.length, 12).astype(float)
  return harmonization.mode_of(profile, tonic)


def unlike(tunes, count, rng):
  """Some tunes of which no two are alike."""
  found = []
  for i in rng.permutation(len(tunes)):
    if all(contour(tunes[i], other) < 0.7 for other in found):
      found.append(tunes[i])
    if len(found) == count:
      break
  return found


def facts(source, made, emotions):
  """Means over melodies, by name."""
  likeness = np.array(
    [[contour(m.tokens, s) + rhythm(m.tokens, s) for s in source] for m in made]
  )
  tonics = [harmonization.melody_key(s)[0] for s in source]
  return {
    'contour': np.mean([contour(m.tokens, s) for m, s in zip(made, source)]),
    'found': np.mean(likeness.argmax(axis=1) == np.arange(len(made))),
    'own onsets': np.mean([
      ((m.tokens > 1) & (s > 1)).sum() / (m.tokens > 1).sum()
      for m, s in zip(made, source)
    ]),
    'hits': np.mean([not m.missed for m in made]),
    'miss': np.mean([
      abs(m.measured['mean_pitch'] - e.mean_pitch) / 1.5
      + abs(np.log2(m.measured['onsets_per_bar'] / e.onsets_per_bar)) / 0.14
      for m, e in zip(made, emotions)
    ]),
    'mode': np.mean([
      mode_at(m.tokens, t) == e.mode
      for m, t, e in zip(made, tonics, emotions)
    ]),
    'chord tones': np.mean([m.measured['chord_tone_rate'] for m in made]),
    'pitches kept': np.mean([
      (m.tokens[s > 1] == s[s > 1]).mean() for m, s in zip(made, source)
    ]),
    'guided': np.mean([m.guided for m in made]),
  }  # fmt: skip


emotions = catalogue.load()
model = EmotionMusicVAE.from_pretrained(max_batch_size=64)
rng = np.random.default_rng(flags.seed)
count = len(emotions) * flags.each
source = unlike(references.load_held_out(), count, rng)
tunes = [songs.Song('tune', tokens, qpm=100.0) for tokens in source]
follow = [emotions[i % len(emotions)] for i in range(count)]
table = {}
for name, asked in {
  'intensity 0': {'intensity': 0.0},
  '0.25': {'intensity': 0.25},
  '0.5': {'intensity': 0.5},
  '0.75': {'intensity': 0.75},
  '1': {},
  'second take': {'number': 1},
  'keep 0': {'keep': 0.0},
  'keep 1': {'keep': 1.0},
  'guidance 0': {'guidance': 0.0},
}.items():
  start = time.process_time()
  made = model.compose(
    [
      pipeline.Order(
        e,
        i,
        temperature=0.5,
        **{'number': 0, 'intensity': 1.0, 'song': s, **asked},
      )
      for i, (s, e) in enumerate(zip(tunes, follow))
    ]
  )
  cpu = (time.process_time() - start) / count
  table[name] = {**facts(source, made, follow), 'CPU s': cpu}
  if name == '1':
    first = made
  if name == 'second take':
    differ = [
      1.0 - (a.tokens == b.tokens)[(a.tokens > 1) | (b.tokens > 1)].mean()
      for a, b in zip(first, made)
    ]
print(f'{count} held-out tunes, {flags.each} an emotion, seed {flags.seed}\n')
print('| | ' + ' | '.join(table) + ' |')
print('| --- |' + ' ---: |' * len(table))
for key in table['1']:
  print(
    f'| {key} | ' + ' | '.join(f'{c[key]:.2f}' for c in table.values()) + ' |'
  )
print(
  f'\nOf the notes of two takes {np.mean(differ):.2f} differ '
  f'({np.min(differ):.2f} to {np.max(differ):.2f}).'
)

# Three tunes make one of 48 bars.
long = [np.concatenate(source[i : i + 3]) for i in range(0, count - 2, 3)]
seams = np.array([256, 512])


def over_seams(tokens):
  """Semitones from the last note before each seam to the first after it."""
  notes = melody.notes(tokens)
  after = np.searchsorted(notes.onset, seams)
  return np.abs(notes.pitch[after] - notes.pitch[after - 1])


made = model.compose(
  [
    pipeline.Order(e, 0, 0, 0.5, 1.0, songs.Song('long', tokens, qpm=100.0))
    for tokens, e in zip(long, follow)
  ]
)
print(
  f'{len(long)} of 48 bars: contour '
  f'{np.mean([contour(m.tokens, t) for m, t in zip(made, long)]):.2f}, hits '
  f'{np.mean([not m.missed for m in made]):.2f}, semitones over a seam '
  f'{np.mean([over_seams(m.tokens) for m in made]):.1f} '
  f'({np.mean([over_seams(t) for t in long]):.1f} in the tunes)'
)

if flags.tunes:
  print('\n| contour | gloomy | lively | peaceful | chord tones at 0 |')
  print('| --- |' + ' ---: |' * 4)
  for path in sorted(glob.glob(os.path.join(flags.tunes, '*'))):
    try:
      song = load_song(path)
    except UserError as e:
      print(f'| {os.path.basename(path)} | {e} |')
      continue
    cells = [
      contour(model.transform(song, e, seed=0)[0].tokens, song.tokens)
      for e in ('gloomy', 'lively', 'peaceful')
    ]
    (itself,) = model.transform(song, 'peaceful', seed=0, intensity=0.0)
    cells.append(itself.measured['chord_tone_rate'])
    print(f'| {song.name} | ' + ' | '.join(f'{x:.2f}' for x in cells) + ' |')
