"""Melodies of several sections, each of which follows a part of a text."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from emotion_musicvae.api import pipeline
from emotion_musicvae.api import starts
from emotion_musicvae.api.melody import Melody
from emotion_musicvae.emotions import arcs
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.music import melody


def orders(
  order: pipeline.Order, sections: Sequence[arcs.Section]
) -> list[pipeline.Order]:
  """An order of a melody as one for each of its sections.

  Args:
    order: what they have in common; its intensity is multiplied by theirs.
    sections: from `arcs.from_text`.
  """
  last = len(sections) - 1
  return [
    dataclasses.replace(
      order,
      emotion=section.emotion,
      intensity=order.intensity * section.intensity,
      section=starts.Section(i, section.bars, i == last),
    )
    for i, section in enumerate(sections)
  ]


def joined(
  parts: Sequence[pipeline.Order], melodies: Sequence[Melody]
) -> list[Melody]:
  """Melodies of orders, those of sections as the arcs that they belong to.

  Args:
    parts: the orders, the sections of an arc in their order.
    melodies: what was composed for each.
  """
  result, sections = [], []
  for part, one in zip(parts, melodies):
    if part.section == starts.WHOLE:
      result.append(one)
      continue
    sections.append(one)
    if part.section.closes:
      result.append(join(sections))
      sections = []
  return result


def join(sections: Sequence[Melody]) -> Melody:
  """Melodies one after the other, as one.

  Args:
    sections: of one draw of a seed, in their order, at least one.

  Returns:
    A `Melody` whose `sections` they are. It measures what they measure in the
    mean, and misses what any of them misses.
  """
  bars = [len(m.tokens) / melody.STEPS_PER_BAR for m in sections]
  notes = [(m.tokens >= melody.FIRST_ONSET).sum() for m in sections]
  by_bar = ('onsets_per_bar', 'energy')

  def mean(field: str) -> dict[str, float | str]:
    values = [getattr(m, field) for m in sections]
    return {
      name: '-'.join(str(v[name]) for v in values)
      if isinstance(values[0][name], str)
      else _mean([v[name] for v in values], bars if name in by_bar else notes)
      for name in values[0]
      if all(name in v for v in values)
    }

  missed: dict[str, float] = {}
  for one in sections:
    for name, excess in one.missed.items():
      missed[name] = max(excess, missed.get(name, 0.0))
  emotions = [m.emotion for m in sections]
  names = [e.name.split('+')[0].rstrip('0.123456789') for e in emotions]
  aliases = [e.alias.split('+')[0].rstrip('0.123456789') for e in emotions]
  first = sections[0]
  whole = dataclasses.replace(
    first,
    emotion=dataclasses.replace(
      catalogue.blend(emotions, bars),
      name='-'.join(names),
      alias='-'.join(aliases),
      qpm=first.emotion.qpm,
    ),
    tokens=np.concatenate([m.tokens for m in sections]),
    z=np.concatenate([np.atleast_2d(m.z) for m in sections]),
    measured=mean('measured'),
    reference=mean('reference'),
    missed=missed,
    guided=_mean([m.guided for m in sections], bars),
    sections=tuple(sections),
  )
  return whole.played_in_sections(first.playing)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
  """The weighted mean of the values that are numbers; NaN where none is."""
  pairs = [(v, w) for v, w in zip(values, weights) if not np.isnan(v)]
  total = sum(w for _, w in pairs)
  if not total:
    return float('nan')
  return float(sum(v * w for v, w in pairs) / total)
