"""The density loss's spectrogram against sound.

python benchmarks/density_against_sound.py --num_tunes=200

Real tunes, evenly over the bundled ones ordered by density, are played by the
harp of the General MIDI SoundFont that pretty_midi carries: plucked strings, as
the spectrogram means them. Compared is the energy of every bar: ours, and the
mean power of a mel spectrogram of the audio (librosa). Prints a JSON with their
correlation over all bars, and the rank correlation of a tune's energy with its
onsets a bar; draws both.
"""

import argparse
import json
import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import librosa
import numpy as np
import pretty_midi
from scipy import stats
import tinysoundfont

from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram
from emotion_musicvae.terms import expectation

# General MIDI program, counted from 0. Recorded evenly: its notes from MIDI 54
# to 90 are as loud as middle C within 0.3 dB, as the spectrogram takes them.
HARP = 46
SAMPLE_RATE = 22050
HOP = 256


def render(tokens, program):
  """Audio of one melody at 120 quarter notes a minute: [N] float32."""
  synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
  folder = os.path.dirname(pretty_midi.__file__)
  font = synth.sfload(os.path.join(folder, 'TimGM6mb.sf2'))
  synth.program_select(0, font, 0, program)
  edges = np.arange(melody.NUM_STEPS + 1) * spectrogram.FRAME_SECONDS
  audio, sounding = [], None
  for token, samples in zip(tokens, np.diff(np.rint(edges * SAMPLE_RATE))):
    if token != melody.HOLD and sounding is not None:
      synth.noteoff(0, sounding)
      sounding = None
    if token >= melody.FIRST_ONSET:
      sounding = int(token) - melody.FIRST_ONSET + melody.MIN_PITCH
      synth.noteon(0, sounding, 100)
    stereo = np.frombuffer(synth.generate(int(samples)), np.float32)
    audio.append(stereo.reshape(-1, 2).mean(axis=1))
  return np.concatenate(audio)


def energy_of_bars(audio):
  """[16] mean power of a mel spectrogram's frames, summed over its bands."""
  power = librosa.feature.melspectrogram(
    y=audio,
    sr=SAMPLE_RATE,
    n_fft=1024,
    hop_length=HOP,
    n_mels=spectrogram.NUM_BANDS,
    fmin=spectrogram.MIN_HZ,
    fmax=SAMPLE_RATE / 2,
    norm=None,  # bands add up to the energy of the frame
    power=2.0,
  ).sum(axis=0)
  seconds = np.arange(len(power)) * HOP / SAMPLE_RATE
  bar = seconds // (melody.STEPS_PER_BAR * spectrogram.FRAME_SECONDS)
  return np.array([power[bar == i].mean() for i in range(melody.NUM_BARS)])


def compare(num_tunes, program=HARP, progress=iter):
  """Energies of bars, `(ours, sound)` [N, 16] each, and onsets a bar [N]."""
  tokens = references.load_melodies()
  by_density = np.argsort(melody.onsets_per_bar(tokens), kind='stable')
  evenly = np.linspace(0, len(tokens) - 1, num_tunes).astype(int)
  tokens = tokens[by_density[evenly]]
  ours = expectation.span_energy(expectation.one_hot(tokens), 1).numpy()
  sound = np.stack(
    [energy_of_bars(render(row, program)) for row in progress(tokens)]
  )
  return ours, sound, melody.onsets_per_bar(tokens)


def scores(ours, sound, density):
  """Correlations as plain numbers."""
  return {
    'tunes': len(density),
    'energy of bars, Pearson r': round(
      float(np.corrcoef(ours.ravel(), sound.ravel())[0, 1]), 3
    ),
    'energy of tunes with onsets a bar, Spearman rho': {
      'ours': round(float(stats.spearmanr(ours.mean(1), density)[0]), 3),
      'sound': round(float(stats.spearmanr(sound.mean(1), density)[0]), 3),
    },
  }


def draw(ours, sound, density, path):
  """Two panels: bar against bar, and tune against its density."""
  import matplotlib  # pylint: disable=g-import-not-at-top

  matplotlib.use('Agg')
  from matplotlib import pyplot  # pylint: disable=g-import-not-at-top

  scale = ours.mean() / sound.mean()
  figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
  left.scatter(ours, sound * scale, s=3, alpha=0.3)
  left.set(
    xlabel='energy of a bar, this package',
    ylabel='energy of a bar, sound (scaled)',
  )
  right.scatter(density, ours.mean(axis=1), s=8, label='this package')
  right.scatter(
    density, sound.mean(axis=1) * scale, s=8, label='sound (scaled)'
  )
  right.set(xlabel='onsets a bar', ylabel='energy of a tune')
  right.legend()
  figure.tight_layout()
  figure.savefig(path, dpi=80)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--num_tunes', type=int, default=200)
  parser.add_argument(
    '--program', type=int, default=HARP, help='General MIDI, from 0.'
  )
  parser.add_argument('--plot', help='PNG to draw.')
  flags = parser.parse_args()

  import tqdm  # pylint: disable=g-import-not-at-top

  result = compare(flags.num_tunes, flags.program, tqdm.tqdm)
  print(json.dumps(scores(*result), indent=2))
  if flags.plot:
    draw(*result, flags.plot)


if __name__ == '__main__':
  main()
