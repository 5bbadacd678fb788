"""Loudness and true peak, against an independent meter and known signals."""

import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from emotion_musicvae.files import loudness

RATE = loudness.SAMPLE_RATE


def _sine(hertz, level, seconds=5.0, phase=0.0):
  """A sine in both channels, its peak at a level in dBFS."""
  time = np.arange(int(seconds * RATE)) / RATE
  wave = 10 ** (level / 20) * np.sin(2 * np.pi * hertz * time + phase)
  return np.stack([wave, wave], axis=1).astype(np.float32)


def test_the_standards_own_reference():
  """EBU Tech 3341, test 1: 1 kHz at -23 dBFS in both channels is -23 LUFS."""
  assert loudness.integrated(_sine(1000, -23)) == pytest.approx(-23, abs=0.1)
  assert loudness.integrated(_sine(1000, -33)) == pytest.approx(-33, abs=0.1)


def test_silence_between_does_not_count():
  tone, silence = _sine(1000, -23), np.zeros([20 * RATE, 2], np.float32)
  both = np.concatenate([tone, silence])
  assert loudness.integrated(both) == pytest.approx(-23, abs=0.4)
  assert loudness.integrated(silence) == -np.inf


@pytest.mark.parametrize('seed', range(4))
def test_it_agrees_with_pyloudnorm(seed):
  rng = np.random.default_rng(seed)
  bass = signal.lfilter(*signal.butter(2, 200, fs=RATE), rng.standard_normal(
    [7 * RATE + 1234 * seed, 2]
  ), axis=0)  # fmt: skip
  hiss = 0.05 * rng.standard_normal(bass.shape)
  swell = np.exp(2 * np.sin(np.arange(len(bass)) / RATE))[:, None]
  audio = (0.02 * swell * (bass + (seed % 2) * hiss)).astype(np.float32)
  judge = pyloudnorm.Meter(RATE).integrated_loudness(audio.astype(float))
  assert loudness.integrated(audio) == pytest.approx(judge, abs=0.1)


def test_a_peak_between_samples_is_found():
  # A quarter of the sample rate, met 45 degrees off its crests.
  audio = _sine(RATE / 4, 0, 0.5, np.pi / 4)
  assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(-3.01, abs=0.01)
  inner = loudness.true_peaks(audio)[1000:-1000]
  assert 20 * np.log10(inner.max()) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize('target', [-24.0, -18.0, -14.0])
def test_audio_is_brought_to_its_loudness_below_the_ceiling(target):
  rng = np.random.default_rng(1)
  # Struck twice a second and fading: far louder at its peaks than in the mean.
  time = np.arange(12 * RATE) / RATE
  audio = np.exp(-15 * (time % 0.5))[:, None] * rng.standard_normal(
    [len(time), 2]
  )
  mastered = loudness.mastered(audio.astype(np.float32), target)
  judge = pyloudnorm.Meter(RATE).integrated_loudness(mastered.astype(float))
  assert judge == pytest.approx(target, abs=1.0)
  finer = signal.resample_poly(mastered, 4, 1, axis=0)
  assert 20 * np.log10(np.abs(finer).max()) <= -1.0


def test_silence_stays_silent():
  silence = np.zeros([RATE, 2], np.float32)
  assert not loudness.mastered(silence, -14.0).any()
