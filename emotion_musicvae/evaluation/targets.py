"""How well further targets are met: swept, a few at once, and forms.

Whatever a user asks for goes through the same requests as a user's does, of the
nine emotions in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import time
from typing import Any

import numpy as np

from emotion_musicvae import api
from emotion_musicvae.api import pipeline
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.emotions import targets
from emotion_musicvae.music import similarity
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import Term

# Percentiles of real tunes between which a term is swept, and its least width
# in tolerances, where tunes hardly differ.
_SWEPT, _LEAST_WIDTH = (2.5, 97.5), 6.0
_AT_ONCE = 3
_SHOWN = ('steps', 'leaps', 'repeats', 'bars_again')


def of_tunes() -> dict[str, dict[str, Any]]:
  """What real tunes measure of every term.

  Returns:
    By term `percentiles` (5, 25, 50, 75, 95) of a number, or of a form the
    `shares` of tunes by their letters, the commonest first.
  """
  tunes = _tunes()
  result: dict[str, dict[str, Any]] = {}
  for name, values in registry.measure(tunes).items():
    term = registry.known()[name]
    if term.size == 1:
      found = np.percentile(values[:, 0], (5, 25, 50, 75, 95))
      result[name] = {'unit': term.unit, 'percentiles': found.tolist()}
    else:
      told, count = np.unique(
        [str(term.told(row)) for row in values], return_counts=True
      )
      order = np.argsort(-count, kind='stable')
      shares = {str(told[i]): float(count[i] / len(tunes)) for i in order}
      result[name] = {'unit': term.unit, 'shares': shares}
  return result


def evaluate(
  model: api.EmotionMusicVAE,
  names: Sequence[str],
  n: int,
  seed: int,
  guidance: float = 1.0,
) -> dict[str, Any]:
  """Sweeps terms, one by one and a few at once.

  Args:
    model: that composes.
    names: of terms.
    n: melodies for each, a multiple of 9 for all emotions to count alike.
    seed: of the melodies and of the targets.
    guidance: of the requests.

  Returns:
    Plain values, for a JSON: `plain`, facts of melodies without further
    targets; by term under `terms` its `low` and `high`, the `correlation` of
    target and measured, the share `met`, and the same facts; under `together`
    of three terms at once, and `missed`, by term how often it was among those
    not met.
  """
  plain = [''] * n
  result: dict[str, Any] = {
    'plain': _facts(_compose(model, plain, seed, guidance)),
    'terms': {},
  }
  for name in names:
    rng = np.random.default_rng([seed, 11])
    term = registry.known()[name]
    asked = _sweep(term, n)[rng.permutation(n)]
    result['terms'][name] = _one(model, term, asked, seed, guidance)
  if len(names) >= _AT_ONCE:
    result['together'] = _together(model, names, n, seed, guidance)
  return result


def _tunes() -> Any:
  return np.concatenate(
    [references.load_melodies(), references.load_held_out()]
  )


def _sweep(term: Term, n: int) -> Any:
  """[n] targets over the range of real tunes, as a user writes them."""
  values = registry.measure(_tunes(), [term.name])[term.name]
  if term.size > 1:
    # Those forms that tunes have, each as often.
    told, count = np.unique(
      [str(term.told(row)) for row in values], return_counts=True
    )
    common = told[count >= 0.01 * len(values)]
    return np.resize(common, n)
  low, high = np.percentile(values, _SWEPT)
  wide = max(high, low + _LEAST_WIDTH * term.tolerance)
  if wide > term.high:
    low = max(min(low, term.high - _LEAST_WIDTH * term.tolerance), term.low)
  return np.round(
    np.linspace(max(low, term.low), min(wide, term.high), n), 4
  ).astype(str)


def _compose(
  model: api.EmotionMusicVAE,
  asked: Sequence[str],
  seed: int,
  guidance: float,
) -> tuple[list[api.Melody], float]:
  """`(melodies, cpu)`: of the emotions in turn, and seconds of CPU a melody."""
  emotions = catalogue.load()
  orders = []
  for i, text in enumerate(asked):
    emotion = emotions[i % len(emotions)]
    if text:
      emotion = targets.replaced(emotion, text)
    orders.append(pipeline.Order(emotion, seed, i, 0.5, 1.0, guidance=guidance))
  began = time.process_time()
  melodies = model.compose(orders)
  return melodies, (time.process_time() - began) / len(melodies)


def _facts(composed: tuple[list[api.Melody], float]) -> dict[str, float]:
  """Hits of the emotions themselves, and what a listener would notice."""
  melodies, cpu = composed
  own = ('mean_pitch', 'onsets_per_bar', 'chord_tone_rate')
  missed = [
    any(name in (*own, 'chord_tones_on_beat') for name in m.missed)
    for m in melodies
  ]
  form = similarity.form(np.stack([m.tokens for m in melodies]))
  return {
    'hits': 1.0 - float(np.mean(missed)),
    **{name: form[name] for name in _SHOWN},
    'changed': float(np.mean([m.guided for m in melodies])),
    'cpu': cpu,
  }


def _one(
  model: api.EmotionMusicVAE,
  term: Term,
  asked: Sequence[str],
  seed: int,
  guidance: float,
) -> dict[str, Any]:
  composed = _compose(
    model, [f'{term.name}={x}' for x in asked], seed, guidance
  )
  measured = [m.measured[term.name] for m in composed[0]]
  result: dict[str, Any] = {}
  if term.size == 1:
    wanted = np.array([float(x) for x in asked])
    found = np.array([float(x) for x in measured])
    result = {
      'low': float(wanted.min()),
      'high': float(wanted.max()),
      'tolerance': term.tolerance,
      'correlation': float(np.corrcoef(wanted, found)[0, 1]),
    }
  met = [term.name not in m.missed for m in composed[0]]
  return {**result, 'met': float(np.mean(met)), **_facts(composed)}


def _together(
  model: api.EmotionMusicVAE,
  names: Sequence[str],
  n: int,
  seed: int,
  guidance: float,
) -> dict[str, Any]:
  """Three terms at once, each anywhere in its range."""
  rng = np.random.default_rng([seed, 12])
  swept = {name: _sweep(registry.known()[name], n) for name in names}
  drawn = []
  for _ in range(n):
    chosen = rng.choice(list(names), _AT_ONCE, replace=False)
    drawn.append({str(x): str(rng.choice(swept[x])) for x in chosen})
  composed = _compose(
    model, [registry.spelled(one) for one in drawn], seed, guidance
  )
  missed = [
    [name for name in one if name in m.missed]
    for one, m in zip(drawn, composed[0])
  ]
  asked = {name: sum(name in one for one in drawn) for name in names}
  return {
    'met': float(np.mean([not one for one in missed])),
    'missed': {
      name: sum(name in one for one in missed) / max(asked[name], 1)
      for name in names
    },
    **_facts(composed),
  }


def markdown(result: Mapping[str, Any]) -> str:
  """The tables of what `evaluate` gives."""
  return '\n'.join(_lines(result))


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
  facts = ('hits', *_SHOWN, 'changed', 'cpu')
  yield (
    '| target | from | to | tolerance | correlation | met | '
    + ' | '.join(name.replace('_', ' ') for name in facts)
    + ' |'
  )
  yield '| --- |' + ' ---: |' * (5 + len(facts))
  rows = {'none': result['plain'], **result['terms']}
  if 'together' in result:
    rows['any three at once'] = result['together']
  for name, row in rows.items():
    cells = [
      f'{row[key]:.3g}' if key in row else ''
      for key in ('low', 'high', 'tolerance')
    ]
    cells += [
      f'{row[key]:.3f}' if key in row else '' for key in ('correlation', 'met')
    ]
    cells += [f'{row[key]:.2f}' for key in facts]
    yield f'| {name.replace("_", " ")} | ' + ' | '.join(cells) + ' |'
