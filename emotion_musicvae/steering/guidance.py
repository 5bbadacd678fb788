"""Guided decoding: the stock decoder, listened to and corrected.

The stock decoder draws each token from its own distribution and from noise that
is given. What is added to that noise multiplies the distribution by another one
(a product of experts) and leaves Magenta's graph alone. Here it is a loop:
decode; adapt what was played to the condition by rule (`music.adaptation`),
which changes as little of it as it can and looks ahead to where the line goes;
decode again with the same noise, the adapted tune's tokens weighing more. A
melody that then meets its condition is not decoded again, for others the weight
triples; bars that return do so note by note.

The latent vector says what is played; guidance trims it. Of all rounds the
nearest is kept.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.music import melodic_lines
from emotion_musicvae.music import melody
from emotion_musicvae.steering import plans
from emotion_musicvae.steering import sampling
from emotion_musicvae.support import configuration

# After which round a tune that missed its chords is adapted anew, and by what:
# more strictly, and then without what makes it differ from others.
_STRICTER = {
  2: melodic_lines.Rules(on_beat=0.91, of_onsets=0.78),
  4: melodic_lines.Rules(
    repeat=1.5,
    see_saw=2.0,
    may_stand=True,
    wide=0.5,
    character=0.0,
    on_beat=0.91,
    of_onsets=0.78,
  ),
}

_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]
# Nats for what is held: more than any other product of experts outweighs.
_HELD = 1000.0
# What another ending counts beside one tolerance missed, and bars that do not
# return.
_FORM = 0.3
# What is planned for further targets may weigh so many times more.
_EXACTLY = 3.0


@dataclasses.dataclass(frozen=True)
class Settings:
  """How the loop corrects; see configs/actor_critic.yaml.

  Attributes:
    rounds: of decoding again after the first time; in the last nothing is
      weighed anew, and there bars return exactly.
    weight: nats for the tokens of the adapted tune at first.
    most: nats that it triples up to.
    form: nats for the tokens of a bar that returns.
  """

  rounds: int = 4
  weight: float = 4.0
  most: float = 36.0
  form: float = 30.0


class Guided(typing.NamedTuple):
  """What guided decoding gives.

  Attributes:
    tokens: [B, 256] uint8.
    changed: [B] share of the tokens that differ from what is decoded without
      guidance.
  """

  tokens: npt.NDArray[np.uint8]
  changed: melody.Floats


def decode(
  decoder: Callable[[_Ints, _Floats | None], npt.NDArray[np.uint8]],
  condition: conditions.Condition,
  amount: npt.ArrayLike,
  settings: Settings,
  closes: npt.NDArray[np.bool_] | None = None,
  reference: melody.Tokens | None = None,
  kept: npt.ArrayLike = 0.0,
  held: melody.Tokens | None = None,
  holds: npt.NDArray[np.bool_] | None = None,
) -> Guided:
  """Decodes melodies and corrects them towards a condition.

  Args:
    decoder: decodes the R of the B melodies that are named, [R, 256], always
      with the same noise, to which it adds [R, 256, 90] nats; nothing when
      None.
    condition: of B rows, in the key that is decoded in.
    amount: how strongly, from 0 (plain decoding) to 1; or [B].
    settings: of the loop.
    closes: [B] whether a melody ends with these 16 bars; all do when None.
    reference: [B, 256] tokens of tunes to hold to, in place of what is played,
      adapted; for rows where `kept` is above 0.
    kept: [B] share of the reference's notes that is to be played, or one.
    held: [B, 256] tokens that are played as they are, where `holds` says so.
    holds: [B, 256] steps at which they are; none when None.

  Returns:
    The nearest of all rounds.
  """
  batch = len(condition.mean_pitch)
  everything = np.arange(batch)
  if held is None or holds is None or not holds.any():
    holds = None
    held = np.zeros([batch, melody.NUM_STEPS], np.uint8)
    plain = decoder(everything, None)
  else:
    plain = decoder(everything, _holding(held, holds))
  amount = np.broadcast_to(np.asarray(amount, np.float32), [batch])
  if not amount.any():
    return Guided(plain, np.zeros(batch))
  if closes is None:
    closes = np.ones(batch, bool)
  condition = condition._replace(
    final_tones=condition.final_tones * closes[:, None]
  )
  # Counted in what is heard, as in the end.
  asked = condition._replace(
    onsets_per_bar=condition.onsets_per_bar / hits.share_heard(condition)
  )
  returning = np.asarray(condition.returning, int)
  if holds is not None:
    by_bar = holds.reshape(batch, melody.NUM_BARS, melody.STEPS_PER_BAR)
    returning = np.where(by_bar.any(axis=2), -1, returning)
  guided = np.flatnonzero(amount > 0)
  kept = np.broadcast_to(np.asarray(kept, np.float32), [batch])
  adapted = plain.copy() if reference is None else np.array(reference)
  free = np.flatnonzero((amount > 0) & (kept <= 0))
  if len(free):
    own = condition.take(free)
    adapted[free] = sampling.adapt(
      plans.revised(plain[free], own), own, closes[free]
    )
  if holds is not None:
    adapted = np.where(holds, held, adapted)
  planned = np.isfinite(condition.targets).any(axis=1) & (amount > 0)
  if planned.any():
    adapted[planned] = plans.refine(
      adapted[planned],
      asked._replace(returning=returning).take(np.flatnonzero(planned)),
      plans.load_settings(),
      None if holds is None else holds[planned],
    )
  # At part of the strength it takes more than that much less insisting.
  weight, most = settings.weight * amount, settings.most * np.square(amount)
  most = np.where(planned, _EXACTLY * most, most)
  tokens, best = plain.copy(), plain.copy()
  nearest = np.where(amount > 0, np.inf, 0.0)
  rows = guided
  for k in range(1, settings.rounds + 1):
    if holds is None:
      shape = len(rows), melody.NUM_STEPS, melody.NUM_TOKENS
      bias = np.zeros(shape, np.float32)
    else:
      bias = _holding(held[rows], holds[rows])
    _add(bias, adapted[rows], weight[rows])
    if k > 1:
      _add_returning(
        bias, tokens[rows], returning[rows], amount[rows] * settings.form
      )
    tokens[rows] = played = decoder(rows, bias)
    own = asked.take(rows)
    astray = _strayed(played, returning[rows])
    amiss = hits.total_excess(hits.measure(played, own), own) + _FORM * (
      ~hits.closed(played, own.final_tones)
    )
    amiss += sum(plans.excess(played, own).values())
    amiss += np.maximum(kept[rows] - share_played(adapted[rows], played), 0.0)
    nearer = amiss + _FORM * astray < nearest[rows]
    best[rows[nearer]] = played[nearer]
    nearest[rows[nearer]] = (amiss + _FORM * astray)[nearer]
    # In the last round the first phrase is what it was before: bars return to
    # it exactly.
    heavier = np.minimum(3.0 * weight[rows], most[rows])
    raised = (amiss > 0) & (planned[rows] | (k < settings.rounds - 1))
    weight[rows] = np.where(raised, heavier, weight[rows])
    rows = rows[nearest[rows] > 0]
    if not len(rows):
      break
    anew = rows[(kept[rows] <= 0) & ~planned[rows]]
    if k in _STRICTER and len(anew):
      # The line before the chords; where those were missed, the other way.
      adapted[anew] = sampling.adapt(
        plain[anew], condition.take(anew), closes[anew], _STRICTER[k]
      )
      if holds is not None:
        adapted = np.where(holds, held, adapted)
  return Guided(best, (best != plain).mean(axis=1))


def share_played(
  reference: melody.Tokens, tokens: melody.Tokens
) -> melody.Floats:
  """[B] share of notes that begin at the step and pitch of one of a tune.

  Of the tune's or of the melody's, whichever has more: neither is a note left
  out, nor is one added.

  Args:
    reference: [B, n] tokens; 1 where neither has a note.
    tokens: [B, n] tokens.
  """
  onset = np.asarray(reference) >= melody.FIRST_ONSET
  same = onset & (np.asarray(reference) == tokens)
  played = np.asarray(tokens) >= melody.FIRST_ONSET
  number = np.maximum(onset.sum(axis=1), played.sum(axis=1))
  return np.asarray(
    np.where(number > 0, same.sum(axis=1) / np.maximum(number, 1), 1.0)
  )


def load_settings() -> Settings:
  """`Settings` of `configs/actor_critic.yaml`."""
  return configuration.build(
    Settings, configuration.load_yaml('actor_critic')['guidance'], 'guidance'
  )


def _strayed(tokens: melody.Tokens, returning: _Ints) -> melody.Floats:
  """[B] share of the bars that return which are not what they return to."""
  by_bar = tokens.reshape(len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR)
  row = np.arange(len(tokens))[:, None]
  other = (by_bar != by_bar[row, returning]).any(axis=2) & (returning >= 0)
  number = (returning >= 0).sum(axis=1)
  return np.asarray(other.sum(axis=1) / np.maximum(number, 1))


def _holding(tokens: melody.Tokens, steps: npt.NDArray[np.bool_]) -> _Floats:
  """[R, 256, 90] nats for [R, 256] tokens at the steps that are held."""
  bias = np.zeros([*tokens.shape, melody.NUM_TOKENS], np.float32)
  row, step = np.nonzero(steps)
  bias[row, step, tokens[row, step]] = _HELD
  return bias


def _add(bias: _Floats, tokens: melody.Tokens, nats: melody.Floats) -> None:
  """Adds [R] nats to `bias` for [R, 256] tokens."""
  row, step = np.indices(tokens.shape)
  bias[row, step, tokens] += nats[:, None]


def _add_returning(
  bias: _Floats,
  tokens: melody.Tokens,
  returning: _Ints,
  nats: melody.Floats,
) -> None:
  """Adds to `bias` that bars return as they were played before."""
  row, bar = np.nonzero(returning >= 0)
  by_bar = tokens.reshape(len(tokens), melody.NUM_BARS, melody.STEPS_PER_BAR)
  played = by_bar[row, returning[row, bar]]  # [R, 16]
  steps = bar[:, None] * melody.STEPS_PER_BAR + np.arange(melody.STEPS_PER_BAR)
  bias[row[:, None], steps, played] += nats[row, None]
