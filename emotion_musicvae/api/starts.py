"""Where melodies set out from: draws of the prior, or the user's own melody."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import songs
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.musicvae import stock

MAX_ENCODED = 4096  # windows of 16 bars whose latent vectors are kept
_QPM = 120.0  # of a melody in a file that does not say
# What a seed is for.
_LATENT, _NOISE = 0, 1


class Section(NamedTuple):
  """Which section of an arc a melody is; see `arcs`.

  Attributes:
    number: from 0.
    bars: how many of the model's 16 bars are kept.
    closes: whether it ends on the tonic, as the last one does.
  """

  number: int = 0
  bars: int = melody.NUM_BARS
  closes: bool = True


WHOLE = Section()


class Held(NamedTuple):
  """Bars of a melody that are to stay while others are composed anew.

  Attributes:
    tokens: 256 on the model's bars, in the melody's own key.
    steps: whether each of them stays, 256.
  """

  tokens: tuple[int, ...]
  steps: tuple[bool, ...]

  def below(self, semitones: int) -> melody.Tokens:
    """[256] tokens, as many semitones lower."""
    tokens = np.array([self.tokens], np.uint8)
    return melody.transpose(tokens, np.array([-semitones]))[0]

  def within(self, tunes: melody.Tokens, semitones: int) -> melody.Tokens:
    """[256] tokens of a tune, but those of these bars as many semitones lower.

    Args:
      tunes: [256] tokens.
      semitones: from the key that they are in.
    """
    return np.where(self.steps, self.below(semitones), tunes)


@dataclasses.dataclass(frozen=True)
class Start:
  """Where a melody sets out from.

  Attributes:
    z: [W, Z] float32 latent vectors, one for each 16 bars; a draw of the prior
      has one.
    tunes: [W, 256] uint8 tokens that they stand for, in the key that is decoded
      in; None of a draw, as it is decoded to see.
    section: which section of an arc it is.
    metre: that it is heard in.
  """

  z: npt.NDArray[np.float32]
  tunes: npt.NDArray[np.uint8] | None = None
  section: Section = WHOLE
  metre: metres.Metre = metres.QUADRUPLE

  @property
  def steps(self) -> int:
    """How many of the steps that are heard are kept."""
    heard = np.tile(self.metre.heard(), len(self.z))
    without = melody.NUM_BARS - self.section.bars
    kept = len(heard) - without * melody.STEPS_PER_BAR
    return int(heard[:kept].sum())

  @property
  def model_steps(self) -> int:
    """How many of the 256 W steps are kept, in whole bars of the model's."""
    heard = np.flatnonzero(np.tile(self.metre.heard(), len(self.z)))
    bars = heard[self.steps - 1] // melody.STEPS_PER_BAR + 1
    return int(bars) * melody.STEPS_PER_BAR

  @property
  def outer_notes(self) -> npt.NDArray[np.bool_]:
    """[W, 256] the first and the last note of the tunes."""
    assert self.tunes is not None
    heard = np.tile(self.metre.heard(), len(self.tunes))
    own = np.cumsum(heard) <= self.steps
    steps = np.flatnonzero((self.tunes.ravel() >= melody.FIRST_ONSET) & own)
    result = np.zeros(self.tunes.size, bool)
    result[steps[[0, -1]]] = True
    return result.reshape(self.tunes.shape)

  def first(self, windows: int) -> Start:
    """Its first windows of 16 bars."""
    tunes = None if self.tunes is None else self.tunes[:windows]
    return dataclasses.replace(self, z=self.z[:windows], tunes=tunes)

  def join(self, tokens: melody.Tokens) -> melody.Tokens:
    """[W, 256] tokens of its windows as one melody of n bars, as heard."""
    return tokens[:, self.metre.heard()].ravel()[: self.steps]

  def emotion(
    self, emotion: catalogue.Emotion | None, intensity: float
  ) -> catalogue.Emotion:
    """What melodies from here follow, and at which tempo.

    Args:
      emotion: the one asked for; None where the user's melody is to stay as it
        is.
      intensity: how far it is followed, from 0 to 1.
    """
    assert emotion is not None  # Only a melody can stay as it is.
    return catalogue.softened(emotion, intensity)


@dataclasses.dataclass(frozen=True)
class SongStart(Start):
  """The user's melody, where the encoder sees it.

  Attributes:
    song: the melody.
    silent: [W] where it has no note, and is to have none.
    kept: how many of the steps that are heard are kept.
  """

  song: songs.Song = dataclasses.field(kw_only=True)
  silent: npt.NDArray[np.bool_] = dataclasses.field(kw_only=True)
  kept: int = dataclasses.field(kw_only=True)

  @property
  def steps(self) -> int:
    return self.kept

  def first(self, windows: int) -> SongStart:
    assert self.tunes is not None
    return dataclasses.replace(
      self,
      z=self.z[:windows],
      tunes=self.tunes[:windows],
      silent=self.silent[:windows],
      kept=min(self.kept, windows * int(self.metre.heard().sum())),
    )

  def join(self, tokens: melody.Tokens) -> melody.Tokens:
    tokens = tokens.copy()
    tokens[self.silent] = melody.HOLD
    tokens[self.silent, 0] = melody.NOTE_OFF
    return super().join(tokens)

  def emotion(
    self, emotion: catalogue.Emotion | None, intensity: float
  ) -> catalogue.Emotion:
    """As in `Start`; tempo goes along, from the song's to the emotion's."""
    if emotion is None:
      return self._itself()
    qpm = self.song.qpm or emotion.qpm
    if intensity:
      qpm = round(qpm ** (1.0 - intensity) * emotion.qpm**intensity)
    return dataclasses.replace(catalogue.softened(emotion, intensity), qpm=qpm)

  def _itself(self) -> catalogue.Emotion:
    """What the melody measures, as if it were an emotion without chords."""
    tokens = self.song.tokens[None]
    return catalogue.Emotion(
      self.song.name,
      'melody',
      round(float(melody.mean_pitch(tokens)[0]), 4),
      round(float(melody.onsets_per_bar(tokens)[0]), 4),
      chords=harmony.NO_CHORD,
      time_signature=str(self.metre),
      qpm=self.song.qpm or _QPM,
      basis='what the melody itself measures',
    )


class SongEncoder:
  """Takes songs to where they lie in the latent space.

  Encoding costs nearly as much as decoding; what was encoded before, in however
  many calls, is not encoded again.

  Args:
    model: the stock model.
  """

  def __init__(self, model: stock.StockModel) -> None:
    self._model = model
    self._means: dict[bytes, npt.NDArray[np.float32]] = {}
    self._lock = threading.Lock()

  def __call__(
    self, songs_and_semitones: Sequence[tuple[songs.Song, int]]
  ) -> list[SongStart]:
    """The start of each pair of a song and the semitones to go below it."""
    cut = [song.windows() for song, _ in songs_and_semitones]
    transposed = [
      melody.transpose(windows, np.full(len(windows), -semitones))
      for (windows, _), (_, semitones) in zip(cut, songs_and_semitones)
    ]
    means = self._encode([window for part in transposed for window in part])
    return [
      SongStart(
        np.stack([means[window.tobytes()] for window in part]),
        np.asarray(part, np.uint8),
        metre=song.metre,
        song=song,
        silent=np.asarray((windows < melody.FIRST_ONSET).all(axis=1)),
        kept=steps,
      )
      for part, (windows, steps), (song, _) in zip(
        transposed, cut, songs_and_semitones
      )
    ]

  def _encode(
    self, windows: Sequence[melody.Tokens]
  ) -> dict[bytes, npt.NDArray[np.float32]]:
    """[Z] means of the posterior of [256] windows, by the windows' bytes."""
    distinct = {window.tobytes(): window for window in windows}
    with self._lock:
      means = {k: self._means[k] for k in distinct if k in self._means}
    new = [key for key in distinct if key not in means]
    if new:
      found, _ = self._model.encode(np.stack([distinct[key] for key in new]))
      means.update(zip(new, found))
      with self._lock:
        self._means.update(zip(new, found))
        for key in list(self._means)[:-MAX_ENCODED]:
          del self._means[key]
    return means


def latent_seeds(
  seed: int, number: int, windows: int, first: int = 0
) -> list[tuple[int, ...]]:
  """Seeds of the latent vector of each 16 bars of a melody.

  Args:
    seed: integer from 0.
    number: of the melody.
    windows: how many 16 bars of it.
    first: which 16 bars they begin with.
  """
  return _seeds(seed, number, _LATENT, windows, first)


def noise_seeds(
  seed: int, number: int, windows: int, first: int = 0
) -> list[tuple[int, ...]]:
  """Seeds of the decoder's noise for each 16 bars, as in `latent_seeds`."""
  return _seeds(seed, number, _NOISE, windows, first)


def _seeds(
  seed: int, number: int, kind: int, windows: int, first: int
) -> list[tuple[int, ...]]:
  return [
    (seed, number, kind, i) if i else (seed, number, kind)
    for i in range(first, first + windows)
  ]


def normal(
  seeds: Sequence[tuple[int, ...]], z_size: int
) -> npt.NDArray[np.float32]:
  """[N, z_size] draws of N(0, 1), each following from its seed alone."""
  return np.stack(
    [np.random.default_rng(seed).standard_normal(z_size) for seed in seeds]
  ).astype(np.float32)


def slerp(
  start: melody.Floats, end: melody.Floats, share: float
) -> melody.Floats:
  """Points on the great circles from some vectors to others.

  Args:
    start: [N, Z].
    end: [N, Z].
    share: how far to go, from 0 to 1.

  Returns:
    [N, Z] of the type of `start`; those of `start` and `end` themselves at 0
    and 1. Vectors in one direction are joined by the straight line.
  """
  if share in (0.0, 1.0):
    return end if share else start
  cosine = np.sum(start * end, axis=1) / (
    np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
  )
  angle = np.arccos(np.clip(cosine, -1.0, 1.0))[:, None]
  straight = np.sin(angle) < 1e-6
  angle = np.where(straight, 1.0, angle)
  from_start, from_end = np.where(
    straight,
    [1.0 - share, share],
    np.sin(angle * [1.0 - share, share]) / np.sin(angle),
  ).T[..., None]
  points: melody.Floats = from_start * start + from_end * end
  return points.astype(start.dtype)
