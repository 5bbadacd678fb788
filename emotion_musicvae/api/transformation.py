"""What is asked of the user's own melody.

Its tonic stays. Its mode turns to the emotion's, and its chords with it;
register, density and tempo go towards the emotion's as far as they are asked
to. Contour, rhythm and form stay, and how much so can be said.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.files import songs
from emotion_musicvae.music import adaptation
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melodic_lines
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support.errors import UserError

OWN, OF_EMOTION = 'own', 'emotion'
KEEP = 0.7  # where nothing else is asked for
# The share of a tune's notes that is played whatever is kept, and of one that
# is to come back as it is.
_LEAST_PLAYED, _AS_IT_IS = 0.6, 0.98
# A little fewer notes than asked for will do, and more of them are the tune's.
_FEW = 0.91
# Share of the notes that lie a step away in another take, of what is not kept
# and in any case.
_VARIED, _VARIED_AT_LEAST = 0.3, 0.08


class Plan(NamedTuple):
  """A song and what is asked of it.

  Attributes:
    song: in the mode that is asked for.
    emotion: what its takes follow, with chords for each of its bars.
    transposition: semitones from the key that is decoded in.
    original: [T] tokens of the song as it was.
  """

  song: songs.Song
  emotion: catalogue.Emotion
  transposition: int
  original: npt.NDArray[np.uint8]


def plan(
  song: songs.Song,
  emotion: catalogue.Emotion | None,
  intensity: float = 1.0,
  chords: str = OWN,
) -> Plan:
  """Plans how a song is to follow an emotion.

  Args:
    song: the user's melody.
    emotion: to follow; None, or an intensity of 0, leaves the song as it is.
    intensity: how far, from 0 to 1.
    chords: 'own', those that go with the melody, in the emotion's mode;
      'emotion', the emotion's in the song's key; or a progression.
  """
  tonic, mode = harmonization.melody_key(song.tokens)
  moved = emotion if intensity > 0 else None
  other = moved.mode if moved else mode
  turned = harmonization.turned(song.tokens, tonic, mode, other)
  if emotion and chords == OF_EMOTION:
    home = harmony.key(emotion.chords, emotion.mode)
    away = tonic - home if home is not None else 0
    theirs = catalogue.in_metre(emotion, str(song.metre))
    progression = harmony.transposed(
      harmony.written_out(
        theirs.chords, theirs.mode, theirs.cadence, song.metre
      ),
      away,
    )
  elif chords in (OWN, OF_EMOTION):
    bars = harmonization.progression(
      song.tokens, tonic, mode, other, song.metre
    ).split(' | ')
    count = song.num_windows * song.metre.bars_per_window
    progression = ' | '.join((bars * count)[:count])
  else:
    progression = chords
    try:
      harmony.chord_tones(progression, metre=song.metre)
    except ValueError as e:
      raise UserError('chords', str(e)) from None
  base = emotion or catalogue.Emotion(song.name, 'melody')
  asked = dataclasses.replace(
    base,
    mode=other,
    chords=progression,
    time_signature=str(song.metre),
  )
  signature = tonic if other == 'major' else (tonic + 3) % 12
  height = melody.mean_pitch(song.tokens[None])[0]
  if moved:
    height = moved.mean_pitch
  octave = round((height - conditions.CANONICAL_PITCH - signature) / 12.0)
  return Plan(
    dataclasses.replace(song, tokens=turned),
    asked,
    signature + 12 * int(octave),
    np.asarray(song.tokens, np.uint8),
  )


def by_window(
  emotion: catalogue.Emotion, windows: int
) -> list[catalogue.Emotion]:
  """What each 16 bars of a melody follow.

  Args:
    emotion: with chords for the bars of one window, or for all of them.
    windows: how many times 16 bars.
  """
  metre = metres.parse(emotion.time_signature)
  bars, count = harmony.bars(emotion.chords, metre), metre.bars_per_window
  if len(bars) == count:
    return [emotion] * windows
  rows = [bars[i : i + count] for i in range(0, len(bars), count)]
  return [
    dataclasses.replace(
      emotion, chords=' | '.join(' '.join(bar) for bar in rows[i % len(rows)])
    )
    for i in range(windows)
  ]


def as_one(condition: conditions.Condition, steps: int) -> conditions.Condition:
  """The condition of W windows of a song as that of one row of its steps."""
  first = condition.take([0])
  by_step = {
    name: np.concatenate(getattr(condition, name))[None, :steps]
    for name in ('chord_tone_weights', 'chord_mask', 'metrical_weight')
  }
  return first._replace(**by_step)


def by_reference(
  condition: conditions.Condition,
  targets: conditions.Condition,
  reference: melody.Tokens,
  steps: int,
) -> conditions.Condition:
  """Targets of each window of a song, as its adapted tune has them.

  What lies higher or is busier in the song stays so; the whole of it meets the
  targets.

  Args:
    condition: of W rows, the windows'.
    targets: of one row, the song's.
    reference: [W, 256] tokens of the adapted tune.
    steps: how many of their steps are the song's.
  """
  heard = (reference >= melody.FIRST_ONSET).any(axis=1)
  whole = reference.reshape(1, -1)[:, :steps]
  pitch = melody.mean_pitch(reference) - melody.mean_pitch(whole)
  onsets = melody.onsets_per_bar(reference) / melody.onsets_per_bar(whole)
  return condition._replace(
    mean_pitch=targets.mean_pitch + np.where(heard, pitch, 0.0),
    onsets_per_bar=targets.onsets_per_bar * np.where(heard, onsets, 1.0),
  )


def softened(
  condition: conditions.Condition,
  tunes: melody.Tokens,
  intensity: float,
  keep: float,
) -> conditions.Condition:
  """Targets on the way from a tune's own to an emotion's.

  Args:
    condition: of W rows, in the key of the tunes, all the way.
    tunes: [W, 16 n] tokens.
    intensity: how far to go, from 0 to 1.
    keep: how much of the tune stays; above 0.75 the way gets shorter.
  """
  share = intensity * min(1.0, 4.0 * (1.0 - keep))
  silent = (tunes < melody.FIRST_ONSET).all(axis=1)
  pitch = np.where(silent, condition.mean_pitch, melody.mean_pitch(tunes))
  onsets = np.where(
    silent, condition.onsets_per_bar, melody.onsets_per_bar(tunes)
  )
  return condition._replace(
    mean_pitch=(1.0 - share) * pitch + share * condition.mean_pitch,
    onsets_per_bar=onsets ** (1.0 - share) * condition.onsets_per_bar**share,
  )


def varied(
  tunes: melody.Tokens,
  seed: int,
  number: int,
  keep: float,
  anchored: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint8]:
  """[W, 256] tunes of which some notes are another way, for one more take.

  As when a tune is played again: some notes lie a step higher or lower, some
  are left out. Equal bars change alike, so that what returns still returns. The
  first take is the tune itself.

  Args:
    tunes: [W, 256] tokens.
    seed: integer.
    number: of the take.
    keep: how much of the tune stays, from 0 to 1.
    anchored: [W, 256] steps whose notes stay.
  """
  if not number:
    return np.asarray(tunes, np.uint8)
  share = _VARIED * (1.0 - keep) + _VARIED_AT_LEAST
  result = np.array(tunes, np.uint8).reshape(-1, melody.STEPS_PER_BAR)
  stays = anchored.reshape(result.shape)
  for bar, own in zip(result, stays):
    rng = np.random.default_rng([seed, number, *bar.astype(int)])
    onset = bar >= melody.FIRST_ONSET
    drawn = rng.random(bar.shape)
    step = rng.choice([-2, 2], size=bar.shape)
    moved = onset & ~own & (drawn < share)
    bar[moved] = np.clip(
      bar[moved].astype(int) + step[moved],
      melody.FIRST_ONSET,
      melody.NUM_TOKENS - 1,
    )
    left_out = onset & ~own & (drawn > 1.0 - share / 2)
    left_out[0] = False
    bar[left_out] = melody.HOLD
  return result.reshape(tunes.shape)


def adapted(
  tunes: melody.Tokens,
  condition: conditions.Condition,
  keep: float,
  anchored: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint8]:
  """[W, 16 n] tunes adapted by rule, as much of them kept as is asked for.

  Args:
    tunes: [W, 16 n] tokens.
    condition: of W rows.
    keep: from 0, the targets above all, to 1, the tune above all.
    anchored: [W, 16 n] steps whose notes stay, in their pitch classes.
  """
  rules = melodic_lines.Rules(
    contour=1.6 * keep,
    motion=keep,
    direction=keep,
    repeat=1.5,
    see_saw=2.0,
    may_stand=True,
    wide=0.5 * (1.0 - keep),
    too_wide=1.6 * (1.0 - keep),
    character=0.0,
    turning=0.5,
    compass=np.inf,
    on_beat=0.88,
    of_onsets=0.75,
  )
  onsets = melody.onsets_per_bar(tunes)
  asked = condition.onsets_per_bar
  return adaptation.adapt(
    tunes,
    condition.mean_pitch,
    np.where(asked > onsets, np.maximum(_FEW * asked, onsets), asked),
    condition.chord_tone_weights,
    condition.chord_mask,
    np.zeros([len(tunes), 12]),
    closes=np.zeros(len(tunes), bool),
    rules=rules,
    metrical_weight=condition.metrical_weight,
    anchored=anchored,
  )


def least_played(intensity: float, keep: float) -> float:
  """Share of the notes of an adapted tune that its takes are to have."""
  if not intensity:
    return _AS_IT_IS
  return _LEAST_PLAYED + (_AS_IT_IS - _LEAST_PLAYED) * keep if keep else 0.0
