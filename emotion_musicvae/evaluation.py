"""What sets of melodies measure against what was asked for."""

import numpy as np

from emotion_musicvae import melody

PITCH_TOLERANCE = 1.5  # semitones
DENSITY_TOLERANCE = 0.1  # of the reference,
DENSITY_TOLERANCE_ONSETS = 0.5  # or onsets a bar, whichever is wider
CHORD_TONE_FLOOR = 0.75

# The arms that are compared: how far each follows the emotion.
ARMS = {'prior': 0.0, 'ours': 1.0}


def scores(melodies):
  """How well melodies of one emotion meet its references.

  Args:
    melodies: sequence of `generation.Melody` with one reference.

  Returns:
    Dictionary of floats: `chord_tone_rate`; `pitch_error`, the mean distance of
    the mean pitch from the reference in semitones; `density_error`, that of the
    onsets a bar as a share of the reference; `energy_error`, that of the
    spectrogram energy likewise; `hit_rate`, the share of melodies that meet
    pitch, density and chords at once; `repeated_notes`, the share of notes that
    repeat the one before; `diversity`, the mean share of steps in which two of
    them differ. Melodies without notes meet nothing and are left
    out of the means.
  """
  measured = {
    name: np.array([m.measured[name] for m in melodies])
    for name in melodies[0].measured
  }
  reference = melodies[0].reference
  off = {
    name: np.abs(values - reference[name]) for name, values in measured.items()
  }
  allowed = max(
    DENSITY_TOLERANCE * reference['onsets_per_bar'], DENSITY_TOLERANCE_ONSETS
  )
  hit = (
    (off['mean_pitch'] <= PITCH_TOLERANCE)
    & (off['onsets_per_bar'] <= allowed)
    & (measured['chord_tone_rate'] >= CHORD_TONE_FLOOR)
  )
  tokens = np.stack([m.tokens for m in melodies])
  differ = (tokens[:, None] != tokens[None]).mean(axis=-1)
  pairs = np.triu_indices(len(melodies), 1)
  return {
    'chord_tone_rate': float(np.nanmean(measured['chord_tone_rate'])),
    'pitch_error': float(np.nanmean(off['mean_pitch'])),
    'density_error': float(
      off['onsets_per_bar'].mean() / reference['onsets_per_bar']
    ),
    'energy_error': float(off['energy'].mean() / reference['energy']),
    'hit_rate': float(hit.mean()),
    'repeated_notes': float(np.nanmean(melody.repeated_notes(tokens))),
    'diversity': float(differ[pairs].mean()),
  }


def evaluate(model, emotions, n, temperature, seed, progress=None):
  """Scores of every arm and emotion, sung by the stock decoder.

  Every arm sets out from the same latent vectors and draws with the same noise.

  Args:
    model: a `generation.EmotionMusicVAE`.
    emotions: sequence of `emotions.Emotion`.
    n: melodies per emotion and arm, at least 2.
    temperature: softmax temperature of the decoder.
    seed: integer seed.
    progress: wraps the iterable of emotions as `tqdm` does, or None.

  Returns:
    Dictionary of arm to dictionary of emotion alias to `scores`.
  """
  result = {arm: {} for arm in ARMS}
  for emotion in progress(emotions) if progress else emotions:
    for arm, intensity in ARMS.items():
      melodies = model.generate(emotion, n, temperature, seed, intensity)
      result[arm][emotion.alias] = scores(melodies)
  return result


def mean(by_emotion):
  """Mean of each score over emotions."""
  names = next(iter(by_emotion.values()))
  return {
    name: float(np.mean([s[name] for s in by_emotion.values()]))
    for name in names
  }


def markdown(result):
  """A table of `evaluate`'s result, one row per emotion and arm."""
  names = list(mean(next(iter(result.values()))))
  lines = [
    '| emotion | arm | '
    + ' | '.join(n.replace('_', ' ') for n in names)
    + ' |',
    '| --- | --- |' + ' ---: |' * len(names),
  ]
  rows = [
    (emotion, arm, by_emotion[emotion])
    for emotion in next(iter(result.values()))
    for arm, by_emotion in result.items()
  ] + [('all', arm, mean(by_emotion)) for arm, by_emotion in result.items()]
  for emotion, arm, values in rows:
    cells = ' | '.join(f'{values[name]:.3f}' for name in names)
    lines.append(f'| {emotion} | {arm} | {cells} |')
  return '\n'.join(lines)
