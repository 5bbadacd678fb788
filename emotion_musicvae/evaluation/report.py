"""The result of a comparison as tables, a JSON and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
from typing import Any

import numpy as np

from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.evaluation import bench as benches
from emotion_musicvae.evaluation import experiment
from emotion_musicvae.evaluation import figures

_OURS = 'ours'  # Whose emotions are shown one by one.


def write(
  folder: str,
  result: Mapping[str, Any],
  bench: benches.Bench,
  samples: Mapping[str, experiment.Run],
) -> None:
  """Writes report.md, report.json and the pictures.

  Args:
    folder: one that exists.
    result: from `experiment.evaluate`.
    bench: on which it was evaluated.
    samples: from `experiment.evaluate`.

  Raises:
    OSError: the folder cannot be written to.
  """
  with open(os.path.join(folder, 'report.md'), 'w', encoding='utf-8') as f:
    f.write(markdown(result) + '\n')
  with open(os.path.join(folder, 'report.json'), 'w', encoding='utf-8') as f:
    json.dump(result, f, indent=2)
    f.write('\n')
  for name, run in samples.items():
    _draw_targets(_path(folder, f'targets_{name}'), bench, run)
    _draw_rolls(_path(folder, f'rolls_{name}'), bench, run)
  curves = {name: run.curves for name, run in samples.items() if run.curves}
  if curves:
    _draw_curves(_path(folder, 'learning_curves'), curves)
  figures.latent_space(
    _path(folder, 'latent_space'),
    {name: run.z for name, run in samples.items()},
    bench.tunes.mean,
  )


def _path(folder: str, name: str) -> str:
  stem = ''.join(c if c.isalnum() else '_' for c in name)
  return os.path.join(folder, f'{stem}.png')


def _draw_targets(path: str, bench: benches.Bench, run: experiment.Run) -> None:
  measured = {
    name: run.described[name].reshape(len(bench.emotions), -1)
    for name in ('mean_pitch', 'onsets_per_bar', 'chord_tones_on_beat')
  }
  figures.target_against_measured(
    path,
    {
      e.alias: (
        {'mean_pitch': e.mean_pitch, 'onsets_per_bar': e.onsets_per_bar},
        {name: values[i] for name, values in measured.items()},
      )
      for i, e in enumerate(bench.emotions)
    },
    {
      'mean_pitch': lambda reference: hits.PITCH_TOLERANCE,
      'onsets_per_bar': hits.density_tolerance,
      'chord_tones_on_beat': hits.ON_BEAT_FLOOR,
    },
  )


def _draw_rolls(path: str, bench: benches.Bench, run: experiment.Run) -> None:
  """Draws the first melody of each emotion."""
  condition = conditions.Condition.of(bench.emotions)
  by_emotion = run.tokens.reshape(len(bench.emotions), -1, run.tokens.shape[1])
  figures.piano_rolls(
    path,
    [
      (e.alias, tokens, weights)
      for e, tokens, weights in zip(
        bench.emotions, by_emotion[:, 0], condition.chord_tone_weights
      )
    ],
  )


def _draw_curves(
  path: str, curves: Mapping[str, Mapping[str, Sequence[float]]]
) -> None:
  figures.learning_curves(
    path,
    {
      name: {
        term: values
        for term, values in scalars.items()
        if term.startswith('measured/') or term == 'actor/realism'
      }
      for name, scalars in curves.items()
    },
  )


def markdown(result: Mapping[str, Any]) -> str:
  """The tables of a result of `experiment.evaluate`."""
  entries = result['arms']
  lines = [
    f'{result["melodies"]} melodies per emotion, arm and seed, seeds '
    + ', '.join(map(str, result['seeds']))
    + '; mean over seeds ± standard deviation.',
  ]
  for temperature in next(iter(entries.values()))['temperatures']:
    rows = {
      name: entry['temperatures'][temperature]
      for name, entry in entries.items()
    }
    lines += _section(f'Temperature {temperature}', _measures(rows))
    lines += _section('CPU seconds per hit', _costs(rows))
    shown = _OURS if _OURS in rows else next(iter(rows))
    lines += _section(
      f'{shown}, by emotion, temperature {temperature}',
      _emotions(rows[shown]['emotions']),
    )
  lines += _section(
    'Cost, sweeps (correlation of target and measured), identity',
    _table(
      'arm',
      [
        'training, CPU s',
        'CPU s a melody',
        'pitch swept',
        'density swept',
        "distance of z' from z0",
        'shared onsets',
      ],
      {
        name: [
          entry['training_cpu'],
          entry['cpu_per_melody'],
          *entry['sweeps'].values(),
          *entry['identity'].values(),
        ]
        for name, entry in entries.items()
      },
    ),
  )
  lines += _section(
    'Generalization: where no emotion stands; how far from a hit by strength',
    _table(
      'arm',
      ['hits, unseen targets', 'interpolation']
      + [f'excess at {strength:g}' for strength in experiment.STRENGTHS],
      {
        name: [
          entry['generalization']['unseen_hits'],
          entry['generalization']['interpolation'],
          *entry['generalization']['excess'].values(),
        ]
        for name, entry in entries.items()
      },
    ),
  )
  return '\n'.join(lines)


def _section(title: str, table: Iterable[str]) -> list[str]:
  return ['', title, '', *table]


def _measures(rows: Mapping[str, Any]) -> list[str]:
  """A line a measure, a column a baseline."""
  names = dict.fromkeys(name for row in rows.values() for name in row['all'])
  return _table(
    'measure',
    list(rows),
    {
      _words(name): [_spread(row['all'].get(name)) for row in rows.values()]
      for name in names
    },
  )


def _costs(rows: Mapping[str, Any]) -> list[str]:
  """A line a way to share the training, a column a baseline."""
  return _table(
    'training',
    list(rows),
    {
      spread: [row['cpu_per_hit'][spread] for row in rows.values()]
      for spread in next(iter(rows.values()))['cpu_per_hit']
    },
  )


def _emotions(by_emotion: Mapping[str, Any]) -> list[str]:
  """A line an emotion, a column a measure."""
  names = list(next(iter(by_emotion.values())))
  return _table(
    'emotion',
    [_words(name) for name in names],
    {
      alias: [_spread(values[name]) for name in names]
      for alias, values in by_emotion.items()
    },
  )


def _table(
  corner: str, columns: Sequence[str], rows: Mapping[str, Sequence[Any]]
) -> list[str]:
  """Lines of a table of numbers, or of text as it is."""
  return [
    f'| {corner} | ' + ' | '.join(columns) + ' |',
    '| --- |' + ' ---: |' * len(columns),
    *(
      f'| {name} | ' + ' | '.join(map(_cell, cells)) + ' |'
      for name, cells in rows.items()
    ),
  ]


def _words(name: str) -> str:
  return name.replace('_', ' ')


def _cell(value: float | str | None) -> str:
  if isinstance(value, str):
    return value
  return 'none' if value is None else f'{value:.3g}'


def _spread(values: Sequence[float] | None) -> str:
  """Mean and standard deviation of a value a seed."""
  if values is None:
    return ''
  if len(values) == 1:
    return f'{values[0]:.3g}'
  return f'{np.mean(values):.3g} ± {np.std(values):.2g}'
