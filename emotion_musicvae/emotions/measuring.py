"""What a labelled piece of music measures, for the references of its label."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from emotion_musicvae.files import readers
from emotion_musicvae.files import scores
from emotion_musicvae.files import tunes
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.terms import registry

OPENING_BARS = melody.NUM_BARS  # of which chords are inferred
_ENERGY_WINDOWS = 8  # of a piece, at most


@dataclasses.dataclass(frozen=True)
class Measured:
  """What one piece measures.

  Attributes:
    melodies: number of its melodies.
    mean_pitch: of their notes, MIDI.
    onsets_per_bar: notes begun in a 4/4 bar.
    energy: of a spectrogram frame, the density loss's own; NaN where no melody
      fits the grid of sixteenths.
    qpm: mean tempo, quarter notes a minute; NaN where the file says none.
    mode: 'major' or 'minor', whichever key profile fits better.
    tonic: pitch class, 0 is C.
    degrees: [12] share of sounding time of each degree above the tonic.
    opening: [N, 3] notes of all voices in the first 16 bars: onset and end in
      bars, and pitch above the tonic; None where the metre is not 4/4, or
      no chords are inferred of this piece.
    terms: of each further term what its melodies measure, [size] by name; none
      where no melody fits the grid of sixteenths.
  """

  melodies: int
  mean_pitch: float
  onsets_per_bar: float
  energy: float
  qpm: float
  mode: str
  tonic: int
  degrees: tuple[float, ...]
  opening: npt.NDArray[np.float32] | None
  terms: dict[str, npt.NDArray[np.float64]] = dataclasses.field(
    default_factory=dict
  )


def measure_file(
  job: tuple[str, bool],
) -> tuple[list[Measured], list[tunes.Refusal]]:
  """Measures every piece of a file.

  Args:
    job: `(path, with_opening)`, whether chords are inferred of it.

  Returns:
    `(measured, refusals)`: lists of `Measured` and of `tunes.Refusal`.
  """
  path, with_opening = job
  measured, refusals = [], []
  for piece in readers.pieces(path, any_metre=True):
    if isinstance(piece, tunes.Refusal):
      refusals.append(piece)
    else:
      measured.append(measure(piece, with_opening))
  return measured, refusals


def measure(piece: tunes.Piece, with_opening: bool = True) -> Measured:
  """Measures one piece; its opening only where chords are inferred of it.

  A bar is four quarter notes, whatever the metre.
  """
  notes = np.concatenate([tune.notes for tune in piece.tunes])
  bars = sum(tune.quarters for tune in piece.tunes) / melody.BEATS_PER_BAR
  windows = np.concatenate(
    [
      corpus.tune_windows(tune, hop_bars=melody.NUM_BARS)
      for tune in piece.tunes
    ]
  )[:_ENERGY_WINDOWS]
  energy = float('nan')
  terms = {}
  if len(windows):
    energy = float(np.mean(spectrogram.energy(windows)))
    measured = registry.measure(windows)
    terms = {name: values.mean(axis=0) for name, values in measured.items()}
  profile = _profile(piece.score)
  tonic, mode = harmonization.key_of(profile)
  return Measured(
    len(piece.tunes),
    float(notes[:, 2].mean()),
    min(len(notes) / bars, float(melody.STEPS_PER_BAR)),
    energy,
    _mean_qpm(piece.score),
    mode,
    tonic,
    tuple(np.roll(profile, -tonic) / profile.sum()),
    _opening(piece, tonic) if with_opening else None,
    terms,
  )


def _profile(score: scores.Score) -> npt.NDArray[np.float64]:
  """[12] sounding time of each pitch class, in all voices but the drums."""
  notes = np.concatenate([p.notes for p in score.parts if not p.is_drum])
  pitch_classes = notes[:, scores.PITCH].astype(int) % 12
  # What has no length sounds all the same.
  lengths = np.maximum(notes[:, scores.DURATION], 1e-3)
  return np.bincount(pitch_classes, lengths, minlength=12).astype(np.float64)


def _mean_qpm(score: scores.Score) -> float:
  """Quarter notes of a score by its minutes; NaN where no tempo is given."""
  if not score.tempos:
    return float('nan')
  times, values = np.array(score.tempos).T
  ends = np.append(times[1:], score.end)
  times[0] = 0.0  # What is said late holds before as well.
  quarters = np.maximum(ends - times, 0.0)
  if not quarters.sum():
    return float(values[0])
  return float(quarters.sum() / (quarters / values).sum())


def _opening(piece: tunes.Piece, tonic: int) -> npt.NDArray[np.float32] | None:
  """See `Measured.opening`."""
  score = piece.score
  if any(bar.metre not in (None, (4, 4)) for bar in score.bars):
    return None
  starts = [bar.start for bar in score.bars]
  # Without a pick-up.
  first = starts[1] if len(starts) > 1 and starts[1] < 4.0 else 0.0
  notes = np.concatenate([p.notes for p in score.parts if not p.is_drum])
  onsets = (notes[:, scores.ONSET] - first) / melody.BEATS_PER_BAR
  ends = onsets + notes[:, scores.DURATION] / melody.BEATS_PER_BAR
  pitches = notes[:, scores.PITCH]
  rows = np.stack([onsets, ends, pitches - tonic], axis=1).astype(np.float32)
  return rows[(onsets >= 0) & (onsets < OPENING_BARS)]
