"""Plans that meet further targets: adapted tunes, changed until they do.

What a tune adapted by rule still lacks of the terms that are asked for is found
by trying. Small changes are drawn (`edits`), measured exactly, by the terms
themselves and by what makes a hit, and the best is kept where it makes a
melody cost less. So a term of a user's own is met as a shipped one is, with no
rule written for it, and needs no gradient: a gradient at a finished melody
knows what one token does by itself, while most changes that are music, as to
move a note or to lift a bar, are of many.

A melody's changes follow from its notes and its targets alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import random
import zlib

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.steering import edits
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import columns
from emotion_musicvae.terms.term import Term

_Ints = npt.NDArray[np.int64]
# Below this there is nothing left to gain.
_NOTHING = 1e-3
_PROBED = 400  # changes, to see what pulls against what
_ROOM = 0.06  # share of chord tones beyond a hit's floor
# What intervals of so many semitones count: none, steps, thirds, leaps.
_ROUGH = np.array([0.5, 0, 0, 0.2, 0.2, 0.4, 0.4, 0.4, 1.0])
_LAST_BAR = melody.NUM_STEPS - melody.STEPS_PER_BAR


@dataclasses.dataclass(frozen=True)
class Settings:
  """How plans are looked for; see configs/actor_critic.yaml.

  Attributes:
    rounds: of drawing changes, at most.
    tried: changes that are drawn in a round, of which one may be kept.
    patience: rounds without a better one after which a melody that meets its
      targets is left; three times as many for one that does not.
    hits: what a tolerance of a hit that is missed costs; a term's costs 1.
    kept: what changing every token would cost.
    line: what it would cost if all intervals leaped, or all notes lay outside
      the scale.
  """

  rounds: int = 150
  tried: int = 12
  patience: int = 12
  hits: float = 10.0
  kept: float = 1.0
  line: float = 4.0


def load_settings() -> Settings:
  """`Settings` of `configs/actor_critic.yaml`."""
  return configuration.build(
    Settings, configuration.load_yaml('actor_critic')['plans'], 'plans'
  )


def revised(
  tokens: melody.Tokens, condition: conditions.Condition
) -> melody.Tokens:
  """Melodies brought nearer to further targets by the terms' own rules.

  Args:
    tokens: [B, 256] tokens that are yet to be adapted.
    condition: of B rows.
  """
  result = np.array(tokens)
  where = registry.places() if condition.targets.shape[1] else {}
  for term in registry.asked(condition.targets):
    target = condition.targets[:, where[term.name]]
    rows = np.flatnonzero(np.isfinite(target).all(axis=1))
    result[rows] = term.revise(result[rows], target[rows])
  return result


def refine(
  tokens: npt.NDArray[np.uint8],
  condition: conditions.Condition,
  settings: Settings,
  held: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
  """Melodies changed until they meet their further targets.

  Args:
    tokens: [B, 256] tokens adapted to the condition.
    condition: of B rows. Those of which no further target is asked stay.
    settings: how to look.
    held: [B, 256] steps that stay as they are; none when None.

  Returns:
    [B, 256] tokens.
  """
  result = np.array(tokens)
  onset = result >= melody.FIRST_ONSET
  rows = np.flatnonzero(
    np.isfinite(condition.targets).any(axis=1) & onset.any(axis=1)
  )
  if not len(rows):
    return result
  own = condition.take(rows)
  search = _Search(result[rows], own, settings)
  editors = []
  for k, i in enumerate(rows.tolist()):
    seed = zlib.crc32(result[i].tobytes() + condition.targets[i].tobytes())
    last = max(int(np.flatnonzero(onset[i])[-1]), _LAST_BAR)
    editors.append(
      edits.Editor(
        random.Random(seed), search.scale[k], own.chord_tone_weights[k], last
      )
    )
  best = result[rows]
  everything = np.arange(len(rows))
  cost, near = search.cost(best, everything)
  stale = np.zeros(len(rows), int)
  tried = settings.tried
  for _ in range(settings.rounds):
    patience = np.where(near, settings.patience, 3 * settings.patience)
    going = np.flatnonzero((cost > _NOTHING) & (stale < patience))
    if not len(going):
      break
    owner = np.repeat(going, tried)
    drawn = np.stack([editors[i](best[i]) for i in owner.tolist()])
    drawn = _returned(drawn, own.returning[owner].astype(int))
    if held is not None:
      drawn = np.where(held[rows[owner]], tokens[rows[owner]], drawn)
    costs, enough = search.cost(drawn, owner)
    chosen = costs.reshape(-1, tried).argmin(axis=1)
    chosen += tried * np.arange(len(going))
    better = costs[chosen] < cost[going] - 1e-9
    stale[going] = np.where(better, 0, stale[going] + 1)
    to, of = going[better], chosen[better]
    best[to], cost[to], near[to] = drawn[of], costs[of], enough[of]
  result[rows] = best
  return result


class _Search:
  """What melodies cost that are looked for.

  Args:
    tokens: [B, 256] tokens that they set out from.
    condition: of B rows.
    settings: weights.
  """

  def __init__(
    self,
    tokens: melody.Tokens,
    condition: conditions.Condition,
    settings: Settings,
  ) -> None:
    self._before = tokens
    self._condition = condition
    self._settings = settings
    self.scale = np.stack(
      [harmony.scale(weights) for weights in condition.chord_tone_weights]
    )

  def cost(
    self, tokens: melody.Tokens, owner: _Ints
  ) -> tuple[melody.Floats, npt.NDArray[np.bool_]]:
    """`(cost, met)`: what melodies cost, and whether they meet everything.

    Args:
      tokens: [N, 256] tokens.
      owner: [N] which of the B rows each is tried for.
    """
    s, condition = self._settings, self._condition.take(owner)
    measured = hits.measure(tokens, condition)
    missed = np.minimum(hits.total_excess(measured, condition), 100.0)
    open_end = ~hits.closed(tokens, condition.final_tones)
    total = s.hits * (missed + open_end) + _strained(measured, condition)
    total += s.kept * (tokens != self._before[owner]).mean(axis=1)
    total += s.line * _roughness(tokens, self.scale[owner])
    met = (missed == 0) & ~open_end
    for term, rows, values, target in _asked(tokens, condition):
      cost = np.mean(term.cost(values, target), axis=1)
      # 1 a tolerance far off, a square near by.
      total[rows] += 4.0 * (np.sqrt(0.25 + cost) - 0.5)
      met[rows] &= term.excess(values, target) == 0
    return total, met


def pulls(
  tokens: melody.Tokens,
  condition: conditions.Condition,
  missed: Sequence[str],
) -> dict[str, list[str]]:
  """Which targets keep a melody from those that it misses.

  Changes are drawn of the melody as it is. Of those that bring it nearer to
  what it misses, it is told what they take it away from.

  Args:
    tokens: [256] tokens.
    condition: of one row.
    missed: names of targets.

  Returns:
    Dictionary of those that something pulls against to its names, the strongest
    first.
  """
  scale = harmony.scale(condition.chord_tone_weights[0])
  onsets = np.flatnonzero(tokens >= melody.FIRST_ONSET)
  if not len(onsets):
    return {}
  editor = edits.Editor(
    random.Random(zlib.crc32(tokens.tobytes())),
    scale,
    condition.chord_tone_weights[0],
    max(int(onsets[-1]), _LAST_BAR),
  )
  row = np.asarray(tokens, np.uint8)
  drawn = np.stack([row, *(editor(row) for _ in range(_PROBED))])
  away = _away(drawn, condition.take(np.zeros(len(drawn), int)))
  result = {}
  for name in missed:
    if name not in away:
      continue
    nearer = away[name] < away[name][0] - 0.02
    if not nearer.any():
      continue
    further = {
      other: float((values[nearer] - values[0]).mean())
      for other, values in away.items()
      if other != name and (values[nearer] > values[0] + 1e-6).mean() > 0.3
    }
    strongest = sorted(further, key=lambda other: -further[other])
    strongest = [other for other in strongest if further[other] > 0.02]
    if strongest:
      result[name] = strongest[:2]
  return result


def _away(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """How far melodies lie from each target, in tolerances, [N] by name."""
  measured = hits.measure(tokens, condition)
  pitch = measured['mean_pitch'] - condition.mean_pitch
  onsets = measured['onsets_per_bar'] - condition.onsets_per_bar
  result: dict[str, melody.Floats] = {
    'mean_pitch': np.abs(pitch) / hits.PITCH_TOLERANCE,
    'onsets_per_bar': np.abs(onsets)
    / hits.density_tolerance(condition.onsets_per_bar),
    **{
      name: np.maximum(floor + _ROOM - measured[name], 0.0) / _ROOM
      for name, floor in (
        ('chord_tone_rate', hits.CHORD_TONE_FLOOR),
        ('chord_tones_on_beat', hits.ON_BEAT_FLOOR),
      )
    },
  }
  for name, away in result.items():
    result[name] = np.nan_to_num(away)
  for term, _, values, target in _asked(tokens, condition):
    result[term.name] = 2.0 * np.sqrt(
      np.mean(term.cost(values, target), axis=1)
    )
  return result


def excess(
  tokens: melody.Tokens, condition: conditions.Condition
) -> dict[str, melody.Floats]:
  """How far melodies lie outside of the tolerances of further targets.

  Args:
    tokens: [B, 256] tokens.
    condition: of B rows.

  Returns:
    Dictionary of the terms asked for to [B], in tolerances; 0 where one is met
    or not asked for.
  """
  result: dict[str, melody.Floats] = {}
  for term, rows, values, target in _asked(tokens, condition):
    away = np.zeros(len(tokens))
    away[rows] = term.excess(values, target)
    result[term.name] = away
  return result


def _asked(
  tokens: melody.Tokens, condition: conditions.Condition
) -> Iterator[tuple[Term, _Ints, melody.Floats, melody.Floats]]:
  """`(term, rows, values, target)` of each term asked for.

  Args:
    tokens: [B, 256] tokens.
    condition: of B rows.
  """
  if not np.isfinite(condition.targets).any():
    return
  where = registry.places()
  for term in registry.asked(condition.targets):
    target = condition.targets[:, where[term.name]].astype(float)
    rows = np.flatnonzero(np.isfinite(target).all(axis=1))
    yield term, rows, columns(term.measure(tokens[rows]), term), target[rows]


def _strained(
  measured: Mapping[str, melody.Floats], condition: conditions.Condition
) -> melody.Floats:
  """[N] how near the edge of a hit melodies lie.

  What is decoded is not to the last note what was planned.

  Args:
    measured: see `hits.measure`.
    condition: of N rows.
  """
  away = (
    (measured['mean_pitch'] - condition.mean_pitch) / hits.PITCH_TOLERANCE,
    (measured['onsets_per_bar'] - condition.onsets_per_bar)
    / hits.density_tolerance(condition.onsets_per_bar),
  )
  lacking = (
    hits.CHORD_TONE_FLOOR + _ROOM - measured['chord_tone_rate'],
    hits.ON_BEAT_FLOOR + _ROOM - measured['chord_tones_on_beat'],
  )
  asked = condition.chord_mask.any(axis=1)
  total = sum(0.5 * np.square(x) for x in away)
  total += sum(asked * np.square(np.maximum(x, 0.0) / _ROOM) for x in lacking)
  return np.nan_to_num(np.asarray(total), nan=0.0)


def _roughness(
  tokens: melody.Tokens, scale: npt.NDArray[np.bool_]
) -> melody.Floats:
  """[N] how far lines go otherwise than by step, and outside the scale.

  Args:
    tokens: [N, 256] tokens.
    scale: [N, 12] the pitch classes of it.

  Returns:
    [N] mean over the notes: 1 for one outside the scale, and up to 1 for the
    interval before it, see `_ROUGH`.
  """
  notes = melody.notes(tokens)
  outside = ~scale[notes.row, notes.pitch % 12]
  interval = np.minimum(np.abs(np.diff(notes.pitch)), len(_ROUGH) - 1)
  rough = np.where(notes.row[1:] == notes.row[:-1], _ROUGH[interval], 0.0)
  number = np.bincount(notes.row, minlength=len(tokens))
  total = np.bincount(notes.row, outside, len(tokens))
  total += np.bincount(notes.row[1:], rough, len(tokens))
  return np.asarray(total / np.maximum(number, 1))


def _returned(
  tokens: npt.NDArray[np.uint8], returning: _Ints
) -> npt.NDArray[np.uint8]:
  """[N, 256] the same with bars as those that they return to, [N, 16]."""
  bars = tokens.reshape(len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR)
  source = np.where(returning >= 0, returning, np.arange(melody.NUM_BARS))
  row = np.arange(len(tokens))[:, None]
  return bars[row, source].reshape(tokens.shape)
