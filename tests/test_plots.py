from matplotlib import image
import numpy as np
import pytest

from emotion_musicvae.evaluation import figures
from emotion_musicvae.music import harmony


def _targets(path, rng):
  measured = {
    'mean_pitch': rng.normal(66.0, 1.0, 20),
    'onsets_per_bar': rng.normal(6.0, 1.0, 20),
    'chord_tones_on_beat': rng.uniform(0.5, 1.0, 20),
  }
  figures.target_against_measured(
    path,
    {
      'calm': ({'mean_pitch': 66.0, 'onsets_per_bar': 6.0}, measured),
      'wild': ({'mean_pitch': 70.0, 'onsets_per_bar': 9.0}, measured),
    },
    {
      'mean_pitch': lambda value: 1.5,
      'onsets_per_bar': lambda value: 0.5,
      'chord_tones_on_beat': 0.75,
    },
  )


def _rolls(path, rng, pitch_class=0):
  tokens = np.zeros(256, np.uint8)
  tokens[::4] = 60 + pitch_class - 19
  fit, _ = harmony.chord_tones('C')
  figures.piano_rolls(path, [('one', tokens, fit), ('two', tokens, fit)])


def _curves(path, rng):
  figures.learning_curves(
    path, {'ours': {'chord': list(rng.random(40)), 'density': [1.0] * 40}}
  )


def _latent(path, rng):
  anchor = rng.standard_normal([50, 8])
  figures.latent_space(path, {'prior': anchor + 1.0, 'ours': anchor}, anchor)


@pytest.mark.parametrize('draw', [_targets, _rolls, _curves, _latent])
def test_pictures_show_something_and_the_same_each_time(draw, tmp_path):
  paths = [str(tmp_path / f'{i}.png') for i in range(2)]
  for path in paths:
    draw(path, np.random.default_rng(0))
  first, again = (image.imread(path) for path in paths)
  np.testing.assert_array_equal(first, again)
  assert (first[..., :3] < 0.9).any()


def test_chord_tones_are_blue_and_other_notes_red(tmp_path):
  path = str(tmp_path / 'roll.png')
  shares = []
  for pitch_class in (0, 1):  # C and C sharp over C
    _rolls(path, None, pitch_class)
    pixels = image.imread(path)
    red, blue = pixels[..., 0], pixels[..., 2]
    shares.append(((blue > red + 0.3).sum(), (red > blue + 0.3).sum()))
  (blue, no_red), (no_blue, red) = shares
  assert blue > 1000 and red > 1000
  assert no_red == no_blue == 0
