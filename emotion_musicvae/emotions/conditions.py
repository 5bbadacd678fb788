"""What is asked of each melody of a batch, as arrays."""

import dataclasses

import numpy as np

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody

# Chord tones by half bar, mean pitch and density.
CONDITION_SIZE = 2 * melody.NUM_BARS * 12 + 2
# Middle of the mean pitches that actors are trained for.
HOME_PITCH = 66.0


@dataclasses.dataclass(frozen=True)
class Targets:
  """Conditions as plain arrays, one row per melody.

  Attributes:
    mean_pitch: [B] MIDI.
    onsets_per_bar: [B].
    fit: [B, 256, 12], see `harmony.chord_tones`.
    sounding: [B, 256].
  """

  mean_pitch: np.ndarray
  onsets_per_bar: np.ndarray
  fit: np.ndarray
  sounding: np.ndarray

  @classmethod
  def of(cls, wanted):
    """Targets of a sequence of `catalogue.Emotion`, a row each."""
    tones = [harmony.chord_tones(e.chords) for e in wanted]
    return cls(
      np.array([e.mean_pitch for e in wanted], np.float32),
      np.array([e.onsets_per_bar for e in wanted], np.float32),
      np.stack([fit for fit, _ in tones]),
      np.stack([sounding for _, sounding in tones]),
    )

  def at_home(self):
    """The same conditions in the one key signature that is learned, no sharps.

    A melody in another key is one at home, transposed: whatever a model can
    sing in one key it can in all. The octave is that in which the mean pitch
    lies nearest to `HOME_PITCH`.

    Returns:
      `(Targets, shift)`: the targets at home, and the [B] whole semitones by
      which melodies sung there are to be transposed to meet the ones here.
    """
    tonic = np.array([harmony.signature(fit) for fit in self.fit], int)
    away = self.mean_pitch - HOME_PITCH - tonic
    shift = tonic + 12 * np.round(away / 12.0).astype(int)
    classes = (np.arange(12)[None] + tonic[:, None]) % 12
    fit = np.take_along_axis(self.fit, classes[:, None], axis=2)
    home = dataclasses.replace(
      self, mean_pitch=self.mean_pitch - shift.astype(np.float32), fit=fit
    )
    return home, shift

  def take(self, index):
    """The rows `index`, as an array indexes."""
    return Targets(
      *(getattr(self, f.name)[index] for f in dataclasses.fields(self))
    )

  def features(self):
    """[B, 386] float32, what the actor and the critic see of a condition."""
    half_bar = melody.STEPS_PER_BAR // 2
    return np.concatenate(
      [
        (self.mean_pitch[:, None] - HOME_PITCH) / 6.0,
        np.log2(self.onsets_per_bar[:, None] / 6.0),
        self.fit[:, ::half_bar].reshape([len(self.fit), -1]),
      ],
      axis=1,
    ).astype(np.float32)
