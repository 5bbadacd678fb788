"""How much of a melody stays, and how much of the emotion it takes on.

python benchmarks/transform.py

Tunes that the bundled model has not learned from, seven for each emotion, moved
with several intensities and varied at several distances.
"""

import argparse

import numpy as np

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody

_TUNES_PER_EMOTION = 7


def _stays(tune, played):
  """Share of a tune's notes that begin again, at all and at their pitch."""
  begun = tune >= melody.FIRST_ONSET
  total = begun.sum()
  return (
    (begun & (played >= melody.FIRST_ONSET)).sum() / total,
    (begun & (played == tune)).sum() / total,
  )


def _row(name, tunes, played):
  stays = [_stays(tune, one.tokens) for tune, one in zip(tunes, played)]
  both = [
    not one.missed.keys() & {'mean_pitch', 'onsets_per_bar'} for one in played
  ]
  chords = np.mean([one.measured['chord_tone_rate'] for one in played])
  hits = np.mean([not one.missed for one in played])
  onsets, pitches = np.mean(stays, axis=0)
  print(
    f'| {name} | {onsets:.2f} | {pitches:.2f} | {np.mean(both):.2f} '
    f'| {chords:.2f} | {hits:.2f} |'
  )


def main():
  argparse.ArgumentParser(description=__doc__).parse_args()
  model = EmotionMusicVAE.from_pretrained(max_batch_size=1)
  emotions = catalogue.load()
  tunes = references.load_held_out()[: _TUNES_PER_EMOTION * len(emotions)]
  own = [songs.Song('tune', tune, qpm=120.0) for tune in tunes]
  print('| | onsets kept | with their pitch | register and density met | ')
  for intensity in (0.0, 0.25, 0.5, 0.75, 1.0):
    played = [
      model.transform(song, emotions[i % 9], intensity=intensity, seed=i)[0]
      for i, song in enumerate(own)
    ]
    _row(f'intensity {intensity:g}', tunes, played)
  others = np.roll(tunes, 9, axis=0)
  _row('intensity 1, against another tune', others, played)
  for distance in (0.0, 0.15, 0.3, 1.0):
    played = [
      model.variations(song, distance=distance, seed=i)[0]
      for i, song in enumerate(own)
    ]
    _row(f'variation {distance:g}', tunes, played)


if __name__ == '__main__':
  main()
