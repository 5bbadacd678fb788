"""A melody's own key and chords, and the same in the other mode.

A tune that is to change its feeling keeps its tonic; its mode turns, and its
chords with it. Chords are found as in a songbook, one or two a bar, by
Viterbi's algorithm over the triads of the key: what sounds long and on strong
beats is to be a chord tone, and chords are to follow as they mostly do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres

# How well each degree fits a key, from the tonic on, as listeners rated it
# (Krumhansl and Kessler 1982, Psychological Review 89).
KEY_PROFILES = {
  'major': (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29,
            2.88),
  'minor': (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34,
            3.17),
}  # fmt: skip
# What the last note counts of all that sounds: most tunes end on the tonic.
_FINAL = 0.15
# The triads of a key: semitones of the root above the tonic, quality, how much
# likelier than others before a note is heard, and the same degree in the other
# mode. The second degree of minor is diminished, so the fourth stands for it.
_TRIADS = {
  'major': (
    (0, '', 0.15, (0, 'm')),
    (5, '', 0.06, (5, 'm')),
    (7, '', 0.08, (7, '')),
    (9, 'm', 0.0, (8, '')),
    (2, 'm', 0.0, (5, 'm')),
    (4, 'm', -0.1, (3, '')),
  ),
  'minor': (
    (0, 'm', 0.15, (0, '')),
    (5, 'm', 0.05, (5, '')),
    (7, '', 0.06, (7, '')),
    (8, '', 0.03, (9, 'm')),
    (10, '', 0.03, (7, '')),
    (3, '', 0.0, (4, 'm')),
    (7, 'm', -0.05, (7, '')),
  ),
}
# Going down a fifth is commonest; back from the dominant to the subdominant is
# rare (Temperley 2001, The Cognition of Basic Musical Structures).
_FALLING_FIFTH, _RETROGRADE = 0.04, -0.1
_AT_HOME = 0.15  # for the tonic at first, and at last
_WITHIN = 0.12  # against another chord amid a bar
# What the degrees of one mode are in the other; others stay.
_TURNED = {
  ('major', 'minor'): {4: 3, 9: 8, 11: 10},
  ('minor', 'major'): {3: 4, 8: 9, 10: 11},
}


def key_of(profile: npt.ArrayLike) -> tuple[int, str]:
  """The key whose profile correlates best with a piece's.

  Args:
    profile: [12] sounding time of each pitch class.

  Returns:
    `(tonic, mode)`: pitch class, and 'major' or 'minor'.
  """
  fits = {
    (tonic, mode): np.corrcoef(np.roll(profile, -tonic), ideal)[0, 1]
    for mode, ideal in KEY_PROFILES.items()
    for tonic in range(12)
  }
  return max(fits, key=lambda key: fits[key])


def mode_of(profile: npt.ArrayLike, tonic: int) -> str:
  """The mode whose profile correlates better with a piece's on a tonic.

  Args:
    profile: [12] sounding time of each pitch class.
    tonic: pitch class.
  """
  own = np.roll(profile, -tonic)
  return max(
    KEY_PROFILES, key=lambda mode: np.corrcoef(own, KEY_PROFILES[mode])[0, 1]
  )


def melody_key(tokens: melody.Tokens) -> tuple[int, str]:
  """The key of a melody: of all that sounds, and of its last note most.

  Args:
    tokens: [16 n] tokens with at least one note.

  Returns:
    As `key_of`.
  """
  notes = melody.notes(tokens)
  profile = np.bincount(notes.pitch % 12, notes.length, 12).astype(float)
  profile[notes.pitch[-1] % 12] += _FINAL * profile.sum()
  return key_of(profile)


def turned(
  tokens: melody.Tokens, tonic: int, mode: str, other: str
) -> npt.NDArray[np.uint8]:
  """A melody in another mode of its tonic.

  The third, the sixth and the seventh degree are the other mode's; a leading
  note that leads to the tonic stays one.

  Args:
    tokens: [16 n] tokens.
    tonic: pitch class.
    mode: 'major' or 'minor', the melody's.
    other: the one to turn to.
  """
  result = np.array(tokens, np.uint8)
  degrees = _TURNED.get((mode, other))
  if degrees is None:
    return result
  onset = np.flatnonzero(result >= melody.FIRST_ONSET)
  pitch = result[onset].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
  degree = (pitch - tonic) % 12
  leads = (degree == 11) & (np.append(degree[1:], -1) == 0)
  table = np.arange(12)
  table[list(degrees)] = list(degrees.values())
  change = np.where(leads, 0, table[degree] - degree)
  result[onset] = (result[onset] + change).astype(np.uint8)
  return result


def progression(
  tokens: melody.Tokens,
  tonic: int,
  mode: str,
  other: str | None = None,
  metre: metres.Metre = metres.QUADRUPLE,
) -> str:
  """Chords that go with a melody, one or two a bar.

  Args:
    tokens: [T] tokens of n bars.
    tonic: pitch class.
    mode: 'major' or 'minor', the melody's.
    other: the mode whose chords of the same degrees are to stand there, as
      `turned` gives the notes; the melody's own when None.
    metre: of its bars.

  Returns:
    n bars between `|`.
  """
  triads = _TRIADS[mode]
  roots = np.array([root for root, *_ in triads])
  member = np.stack(
    [
      harmony.symbol_tones(harmony.TONICS['major'][r] + q)
      for r, q, *_ in triads
    ]
  )
  heard = _heard(tokens, tonic, metre)  # [2 n, 12], by half bar
  total = np.repeat(heard.sum(axis=1).reshape(-1, 2).sum(axis=1), 2)[:, None]
  fits = heard @ member.T + 0.05 * heard[:, roots]
  fits /= np.maximum(total, 1e-9)
  fits += np.array([likely for _, _, likely, _ in triads]) / 2
  fits[[0, -1], 0] += _AT_HOME
  over_bar_line = np.zeros([len(triads)] * 2)
  falls = (roots[:, None] - roots) % 12 == 7
  over_bar_line[falls] = _FALLING_FIFTH
  over_bar_line[np.ix_(roots == 7, roots == 5)] = _RETROGRADE
  # The shorter the bar, the rarer are two chords in it.
  change = _WITHIN * melody.STEPS_PER_BAR / metre.bar_steps
  within = over_bar_line - change * (1.0 - np.eye(len(triads)))
  best = fits[0]
  came: list[npt.NDArray[np.int64]] = []
  for half, own in enumerate(fits[1:], 1):
    paths = best[:, None] + (within if half % 2 else over_bar_line)
    came.append(paths.argmax(axis=0))
    best = paths.max(axis=0) + own
  path = [int(best.argmax())]
  for back in reversed(came):
    path.append(int(back[path[-1]]))
  found = []
  for i in reversed(path):
    root, quality, _, turned_to = triads[i]
    if other is not None and other != mode:
      root, quality = turned_to
    name = harmony.spelled((tonic + root) % 12, tonic, other or mode)
    found.append(name + quality)
  return ' | '.join(
    first if first == second else f'{first} {second}'
    for first, second in zip(found[::2], found[1::2])
  )


def _heard(
  tokens: melody.Tokens, tonic: int, metre: metres.Metre
) -> npt.NDArray[np.float64]:
  """[2 n, 12] how much each degree sounds in half a bar, most on beats."""
  notes = melody.notes(tokens)
  number = 2 * (len(tokens) // metre.bar_steps)
  result = np.zeros([number, 12])
  strong = np.where(metre.strength(notes.onset) >= 0.0, 2.0, 1.0)
  for onset, end, pitch, weight in zip(
    notes.onset, notes.end, notes.pitch, strong
  ):
    steps = np.arange(onset, end)
    bar, within = np.divmod(steps, metre.bar_steps)
    halves = np.bincount(2 * bar + (within >= metre.middle), minlength=number)
    result[:, (pitch - tonic) % 12] += weight * halves
  return result
