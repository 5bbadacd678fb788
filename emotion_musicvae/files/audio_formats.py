"""Audio as files: WAV, FLAC, MP3 and Ogg Vorbis, by libsndfile."""

from collections.abc import Iterator
import io
from typing import Any
import zlib

import numpy as np
import numpy.typing as npt
import soundfile

from emotion_musicvae.files import loudness

# libsndfile's Vorbis encoder needs a stack as large as what it is given.
_CHUNK = loudness.SAMPLE_RATE
_PIECE = 1 << 14  # samples
_MIRRORED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))


def wav(audio: loudness.Audio) -> bytes:
  """A WAV file of 16 bits of [N, 2] audio."""
  return _encoded(_in_16_bits(audio), format='WAV', subtype='PCM_16')


def flac(audio: loudness.Audio) -> bytes:
  """A FLAC file of [N, 2] audio: the samples of the WAV."""
  return _encoded(_in_16_bits(audio), format='FLAC', subtype='PCM_16')


def mp3(audio: loudness.Audio) -> bytes:
  """An MP3 file of [N, 2] audio, 160 kbit/s.

  At a constant rate players seek exactly.
  """
  return _encoded(
    audio, format='MP3', bitrate_mode='CONSTANT', compression_level=0.6
  )


def small_mp3(audio: loudness.Audio) -> bytes:
  """An MP3 file of [N, 2] audio, 96 kbit/s, for a page that carries it."""
  return _encoded(
    audio, format='MP3', bitrate_mode='CONSTANT', compression_level=0.8
  )


def ogg(audio: loudness.Audio) -> bytes:
  """An Ogg Vorbis file of [N, 2] audio, the same bytes each time.

  libsndfile draws a number for the stream, which is made 0 here.
  """
  content = bytearray(_encoded(audio, format='OGG', subtype='VORBIS'))
  for begin, end in _ogg_pages(content):
    content[begin + 14 : begin + 18] = bytes(4)
    content[begin + 22 : begin + 26] = bytes(4)
    checksum = _ogg_checksum(content[begin:end])
    content[begin + 22 : begin + 26] = checksum.to_bytes(4, 'little')
  return bytes(content)


def _ogg_pages(content: bytearray) -> Iterator[tuple[int, int]]:
  """Where the pages of an Ogg file begin and end (RFC 3533)."""
  begin = 0
  while begin < len(content):
    segments = content[begin + 26]
    lengths = content[begin + 27 : begin + 27 + segments]
    end = begin + 27 + segments + sum(lengths)
    yield begin, end
    begin = end


def _ogg_checksum(page: bytearray) -> int:
  """Ogg's CRC of a page: that of zlib, with all bits in the other order."""
  crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
  return int(f'{crc:032b}'[::-1], 2)


def _in_16_bits(audio: loudness.Audio) -> npt.NDArray[np.int16]:
  # Faster than libsndfile's own conversion, which rounds as well, and faster by
  # pieces that stay in the processor's cache.
  result = np.empty(audio.shape, np.int16)
  for begin in range(0, len(audio), _PIECE):
    scaled = audio[begin : begin + _PIECE] * np.float32(32767)
    result[begin : begin + _PIECE] = np.rint(scaled, out=scaled)
  return result


def _encoded(audio: npt.NDArray[Any], **options: Any) -> bytes:
  content = io.BytesIO()
  channels = 1 if audio.ndim == 1 else audio.shape[1]
  with soundfile.SoundFile(
    content, 'w', loudness.SAMPLE_RATE, channels, **options
  ) as file:
    for begin in range(0, len(audio), _CHUNK):
      file.write(audio[begin : begin + _CHUNK])
  return content.getvalue()
