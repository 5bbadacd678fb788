"""How much of a melody stays, and how much of the emotion it takes on.

python benchmarks/transform.py

Tunes that the bundled model has not learned from, seven for each emotion, moved
with several intensities and varied at several distances.
"""

import numpy as np

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody

_TUNES_PER_EMOTION = 7


def _stays(tune, sung):
  """Share of a tune's notes that begin again, at all and at their pitch."""
  begun = tune >= melody.FIRST_ONSET
  total = begun.sum()
  return (
    (begun & (sung >= melody.FIRST_ONSET)).sum() / total,
    (begun & (sung == tune)).sum() / total,
  )


def _row(name, tunes, sung):
  stays = [_stays(tune, one.tokens) for tune, one in zip(tunes, sung)]
  both = [
    not one.missed.keys() & {'mean_pitch', 'onsets_per_bar'} for one in sung
  ]
  chords = np.mean([one.measured['chord_tone_rate'] for one in sung])
  hits = np.mean([not one.missed for one in sung])
  onsets, pitches = np.mean(stays, axis=0)
  print(
    f'| {name} | {onsets:.2f} | {pitches:.2f} | {np.mean(both):.2f} '
    f'| {chords:.2f} | {hits:.2f} |'
  )


def main():
  model = EmotionMusicVAE.from_pretrained(max_batch_size=1)
  wanted = catalogue.load()
  tunes = references.load_held_out()[: _TUNES_PER_EMOTION * len(wanted)]
  own = [songs.Song('tune', tune, qpm=120.0) for tune in tunes]
  print('| | onsets kept | with their pitch | register and density met | ')
  for intensity in (0.0, 0.25, 0.5, 0.75, 1.0):
    sung = [
      model.transform(song, wanted[i % 9], intensity=intensity, seed=i)[0]
      for i, song in enumerate(own)
    ]
    _row(f'intensity {intensity:g}', tunes, sung)
  others = np.roll(tunes, 9, axis=0)
  _row('intensity 1, against another tune', others, sung)
  for distance in (0.0, 0.15, 0.3, 1.0):
    sung = [
      model.variations(song, distance=distance, seed=i)[0]
      for i, song in enumerate(own)
    ]
    _row(f'variation {distance:g}', tunes, sung)


if __name__ == '__main__':
  main()
