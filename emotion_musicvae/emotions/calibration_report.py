"""What a calibration found, as YAML to generate with and Markdown to read."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import yaml

from emotion_musicvae.emotions import calibration
from emotion_musicvae.files import tunes


def separation(references: Sequence[calibration.Reference], name: str) -> float:
  """Share of a measure's variance between pieces that the labels account for.

  Eta squared, of `mean_pitch` or `onsets_per_bar`: 0 where all labels are
  alike, 1 where all pieces of a label are.
  """
  groups = [r.values[name] for r in references]
  values = np.concatenate(groups)
  total = np.sum(np.square(values - values.mean()))
  within = sum(np.sum(np.square(g - g.mean())) for g in groups)
  return float(1.0 - within / total) if total else 0.0


def yaml_text(
  references: Sequence[calibration.Reference], min_melodies: int
) -> str:
  """The references as a file that `catalogue.load` reads, with their origin.

  Args:
    references: of the labels, in their order in the file.
    min_melodies: labels of fewer are marked.
  """
  lines = [
    '# Reference values of emotions, which emotion_musicvae_calibrate measured',
    '# on labelled music. Means over pieces; after +- their deviation, in',
    '# brackets their quartiles. The energy is not read back: it is measured',
    '# anew on real melodies of this pitch and density.',
    'emotions:',
  ]
  for r in references:
    lines.append(
      f'  # {r.pieces} pieces, {r.melodies} melodies, {r.files} files; '
      f'{r.major:.0%} in major.'
    )
    if r.melodies < min_melodies:
      lines.append(f'  # Fewer than {min_melodies} melodies: little to go by.')
    for name in calibration.MEASURES:
      if not np.isnan(r.summary[name][0]):
        lines.append(f'  # {name} {_spread(r.summary[name])}')
    entry = dataclasses.asdict(r.emotion)
    entry = {key: value for key, value in entry.items() if value != ''}
    text = yaml.safe_dump(
      [entry], allow_unicode=True, sort_keys=False, width=80
    )
    lines += ['  ' + line for line in text.splitlines()]
  return '\n'.join(lines) + '\n'


def _spread(statistics: Sequence[float]) -> str:
  if np.isnan(statistics[0]):
    return ''
  mean, deviation, *quartiles = (f'{value:.2f}' for value in statistics)
  return f'{mean} +- {deviation} [{" ".join(quartiles)}]'


def report(
  references: Sequence[calibration.Reference],
  refusals: Sequence[tunes.Refusal],
  notes: Sequence[str],
  min_melodies: int,
) -> str:
  """The whole of it in Markdown: table, separation, key profiles, left out.

  Args:
    references: of the labels, in the order of the table.
    refusals: what was left out.
    notes: sentences on what a user might not expect.
    min_melodies: labels of fewer are marked.
  """
  lines = [
    '# References of labelled music',
    '',
    'Means over pieces +- standard deviation [quartiles].',
    '',
    '| label | files | pieces | melodies | mean pitch | onsets a bar | energy '
    '| tempo | major | chords |',
    '| --- |' + ' ---: |' * 8 + ' --- |',
  ]
  for r in references:
    spreads = ' | '.join(
      _spread(r.summary[name]) for name in calibration.MEASURES
    )
    few = ' (few)' if r.melodies < min_melodies else ''
    lines.append(
      f'| {_cell(r.emotion.name)} | {r.files} | {r.pieces} | '
      f'{r.melodies}{few} | {spreads} | {r.major:.0%} | {r.emotion.chords}, '
      f'{r.chords_from} |'
    )
  if len(references) > 1:
    pitch, density = (
      separation(references, name) for name in ('mean_pitch', 'onsets_per_bar')
    )
    lines += [
      '',
      f'The labels account for {pitch:.0%} of the variance of mean pitch '
      f'between pieces and for {density:.0%} of that of onsets a bar.',
    ]
  lines += [
    '',
    'Share of sounding time of each degree above the tonic, in semitones:',
    '',
    '| label | ' + ' | '.join(map(str, range(12))) + ' |',
    '| --- |' + ' ---: |' * 12,
  ]
  for r in references:
    shares = ' | '.join(f'{share:.2f}' for share in r.degrees)
    lines.append(f'| {_cell(r.emotion.name)} | {shares} |')
  lines += [*_terms(references), *_progressions(references)]
  for title, rows in (
    ('Noticed', notes),
    (
      'Left out',
      [f'{r.name}: {r.reason} {r.detail}'.strip() for r in refusals],
    ),
  ):
    if rows:
      lines += ['', f'## {title}', ''] + [f'- {_cell(row)}' for row in rows]
  return '\n'.join(lines) + '\n'


def _terms(references: Sequence[calibration.Reference]) -> list[str]:
  """A table of what each label measures of each further term."""
  names = list(dict.fromkeys(name for r in references for name in r.terms))
  if not names:
    return []
  lines = [
    '',
    'Further terms:',
    '',
    '| label | ' + ' | '.join(name.replace('_', ' ') for name in names) + ' |',
    '| --- |' + ' ---: |' * len(names),
  ]
  for r in references:
    cells = []
    for name in names:
      found = r.terms.get(name, (np.nan,) * 5)
      if isinstance(found, dict):
        shares = [*found.items()][:3]
        cells.append(', '.join(f'{k} {share:.0%}' for k, share in shares))
      else:
        cells.append(_spread(found))
    lines.append(f'| {_cell(r.emotion.name)} | ' + ' | '.join(cells) + ' |')
  return lines


def _progressions(references: Sequence[calibration.Reference]) -> list[str]:
  """A table of the chords that each label's music moves through."""
  lines = [
    '',
    'Four-chord successions that change twice at least, with how many of the '
    'sections of four bars have them:',
    '',
    '| label | sections | progressions |',
    '| --- | ---: | --- |',
  ]
  for r in references:
    told = '; '.join(f'{chords} ({n})' for chords, n in r.progressions)
    lines.append(
      f'| {_cell(r.emotion.name)} | {r.sections} | {told or "too few"} |'
    )
  return lines


def _cell(text: str) -> str:
  return ' '.join(text.replace('|', '\\|').split())
