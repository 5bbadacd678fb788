"""How loud audio is, and audio at the loudness that is asked for.

Loudness is that of ITU-R BS.1770-5 (annex 1), in LUFS, and true peak that of
its annex 2. Instead of filtering sample by sample, spectra of a tenth of a
second are weighed by the filters: within 0.1 LU of `pyloudnorm`, which the
tests hold this against, in a fraction of its time.
"""

import functools
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy import ndimage
from scipy import signal

Audio: TypeAlias = npt.NDArray[np.float32]  # [N, 2]

SAMPLE_RATE = 44100  # Hz
# Full scale is 1. A tenth of a decibel is left to who measures otherwise.
_CEILING = 10 ** (-1.1 / 20)
# The filters of BS.1770 at its 48,000 Hz: a head, and the ear's lack of bass.
_FILTERS = (
  (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
  ),
  ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
# Loudness is that of blocks of four segments, of which three quarters overlap.
_SEGMENT, _BLOCK = SAMPLE_RATE // 10, 4
_SEGMENTS = 32  # that are transformed at once
_OFFSET = -0.691  # LUFS of a mean square of 1
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0
_OVERSAMPLING = 4
# Between samples sound may be louder than at them, but hardly by more than
# this: only what is as near to the ceiling is looked at more closely.
_BETWEEN = 10 ** (-4.0 / 20)
_STRETCH, _CONTEXT = SAMPLE_RATE // 100, 32  # samples
_REACH = 3  # stretches to each side of a peak
_PASSES, _TOLERANCE = 3, 0.1  # LU


def mastered(audio: Audio, target: float) -> Audio:
  """Audio at a loudness, and its peaks below -1 dB true peak.

  Peaks that would be above it are held back within 10 ms around them, for which
  the rest becomes louder, three times at most.

  Args:
    audio: [N, 2] float32; silence stays silent.
    target: integrated loudness, LUFS.

  Returns:
    [N, 2] float32.
  """
  now = integrated(audio)
  if now == -np.inf:
    return audio
  audio = audio * np.float32(10 ** ((target - now) / 20))
  near, finer = _near_ceiling(audio)
  if finer.max(initial=0.0) <= _CEILING:
    return audio
  peaks = _peaks(audio, near, finer)
  gain = np.float32(1.0)
  for _ in range(_PASSES):
    limited = audio * _held_back(gain * peaks, gain)[:, None]
    lost = target - integrated(limited)
    if lost < _TOLERANCE:
      break
    gain *= np.float32(10 ** (lost / 20))
  return limited


def integrated(audio: Audio) -> float:
  """Integrated loudness, gated, of [N, 2] audio: LUFS, -inf of silence."""
  missing = max(-len(audio) % _SEGMENT, _BLOCK * _SEGMENT - len(audio))
  energies = []
  # Some seconds at a time stay in the processor's cache.
  for begin in range(0, len(audio), _SEGMENTS * _SEGMENT):
    part = audio[begin : begin + _SEGMENTS * _SEGMENT]
    if begin + len(part) == len(audio):
      part = np.pad(part, [(0, missing), (0, 0)])
    # Both channels are transformed as one of complex samples: a frequency and
    # its negative together have twice the power of both.
    pairs = np.ascontiguousarray(part).view(np.complex64)
    spectra = fft.fft(pairs.reshape(-1, _SEGMENT), axis=1)
    power = np.square(spectra.view(np.float32))
    energies.append(np.einsum('sf,f->s', power, _weights()))
  energy = np.concatenate(energies).astype(np.float64)
  blocks = np.convolve(energy, np.full(_BLOCK, 1 / _BLOCK), 'valid')
  gate = 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)
  blocks = blocks[blocks > gate]
  if not len(blocks):
    return -np.inf
  gate = blocks.mean() * 10 ** (_RELATIVE_GATE / 10)
  return float(_OFFSET + 10 * np.log10(blocks[blocks > gate].mean()))


@functools.cache
def _weights() -> npt.NDArray[np.float32]:
  """[2F] that make the power of a spectrum a mean square as the ear has it.

  Each stands twice, for the real and the imaginary part.
  """
  hertz = np.abs(fft.fftfreq(_SEGMENT, 1 / SAMPLE_RATE))
  radians = 2 * np.pi * hertz / 48000
  gain = np.ones(len(hertz))
  for b, a in _FILTERS:
    gain *= np.abs(signal.freqz(b, a, radians)[1]) ** 2
  return np.repeat((gain / _SEGMENT**2).astype(np.float32), 2)


def true_peaks(audio: Audio) -> npt.NDArray[np.float32]:
  """How far [N, 2] audio swings at each sample and just after it.

  Returns:
    [N] float32; where it is 4 dB and more below the ceiling, at samples alone.
  """
  return _peaks(audio, *_near_ceiling(audio))


def _near_ceiling(
  audio: Audio,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
  """Stretches of audio that come near to the ceiling.

  Returns:
    Their numbers [M], and how far [M, _STRETCH] the audio swings there at each
    sample and just after it.
  """
  whole = len(audio) // _STRETCH
  swings = audio[: whole * _STRETCH].reshape(whole, 2 * _STRETCH)
  rest = audio[whole * _STRETCH :]
  loudest = np.maximum(swings.max(axis=1), -swings.min(axis=1))
  loudest = np.append(loudest, np.abs(rest).max(initial=0.0))
  near = np.flatnonzero(loudest > _CEILING * _BETWEEN)
  if not len(near):
    return near, np.zeros([0, _STRETCH], np.float32)
  around = np.arange(-_CONTEXT, _STRETCH + _CONTEXT) + near[:, None] * _STRETCH
  inside = (around >= 0) & (around < len(audio))
  taken = audio[np.clip(around, 0, len(audio) - 1)] * inside[..., None]
  finer = _louder(signal.resample_poly(taken, _OVERSAMPLING, 1, axis=1))
  found = _louder(taken)
  for i in range(_OVERSAMPLING):
    np.maximum(found, finer[:, i::_OVERSAMPLING], out=found)
  return near, found[:, _CONTEXT:-_CONTEXT]


def _louder(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
  """How far the channel swings that swings more: [..., 2] to [...]."""
  # A maximum along the short axis would take ten times as long.
  return np.maximum(np.abs(audio[..., 0]), np.abs(audio[..., 1]))


def _peaks(
  audio: Audio, near: npt.NDArray[np.int64], finer: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
  """[N] of how far audio swings, looked at closely near the ceiling."""
  peaks = np.zeros(-(-len(audio) // _STRETCH) * _STRETCH, np.float32)
  peaks[: len(audio)] = _louder(audio)
  peaks.reshape(-1, _STRETCH)[near] = finer
  return peaks[: len(audio)]


def _held_back(
  peaks: npt.NDArray[np.float32], gain: np.float32
) -> npt.NDArray[np.float32]:
  """[N] of a gain, less around peaks, so that none is above the ceiling."""
  result = np.full(len(peaks), gain)
  padded = np.pad(peaks, (0, -len(peaks) % _STRETCH))
  above = padded.reshape(-1, _STRETCH).max(axis=1) > _CEILING
  # Farther from a peak than the filters reach, nothing is held back.
  reached = ndimage.binary_dilation(above, iterations=_REACH)
  edges = np.flatnonzero(np.diff(reached, prepend=False, append=False))
  for begin, end in edges.reshape(-1, 2) * _STRETCH:
    here = np.minimum(1.0, _CEILING / np.maximum(peaks[begin:end], 1e-9))
    # The least gain of all around, and then its mean: it is smooth, and as low
    # as any peak asks for by the time that the peak is there.
    here = ndimage.minimum_filter1d(here, 2 * _STRETCH + 1)
    for _ in range(2):
      here = ndimage.uniform_filter1d(here, _STRETCH)
    result[begin:end] *= here
  return result
