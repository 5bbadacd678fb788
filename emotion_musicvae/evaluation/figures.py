"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from matplotlib import figure
import numpy as np

from emotion_musicvae.emotions import calibration
from emotion_musicvae.files import pianoroll
from emotion_musicvae.music import melody


def pitch_against_density(
  path: str, references: Sequence[calibration.Reference]
) -> None:
  """Draws labels as clouds of their pieces, with their references.

  Args:
    path: PNG file to write.
    references: of the labels.
  """
  image = figure.Figure(figsize=(9, 6), layout='constrained')
  axes = image.subplots()
  for i, r in enumerate(references):
    colour = f'C{i % 10}'
    marker = 'osD^v'[i // 10 % 5]
    axes.scatter(
      r.values['mean_pitch'],
      r.values['onsets_per_bar'],
      s=12,
      c=colour,
      marker=marker,
      alpha=0.35,
      linewidths=0,
    )
    text, family = pianoroll.readable(
      r.emotion.name, r.emotion.alias or f'label {i + 1}'
    )
    point = r.emotion.mean_pitch, r.emotion.onsets_per_bar
    axes.scatter(
      *point, s=160, c=colour, marker=marker, edgecolors='black', zorder=3
    )
    axes.annotate(
      f'{text} ({r.pieces})',
      point,
      xytext=(9, 7),
      textcoords='offset points',
      family=family,
      zorder=4,
      bbox={'facecolor': 'white', 'alpha': 0.7, 'linewidth': 0, 'pad': 1},
    )
  axes.set_xlabel('mean pitch (MIDI)')
  axes.set_ylabel('onsets a bar')
  axes.set_title(
    'Pieces by label; large: the reference, in brackets the number of pieces'
  )
  axes.grid(alpha=0.3)
  pianoroll.save(image, path)


def target_against_measured(
  path: str,
  points: Mapping[str, tuple[Mapping[str, float], Mapping[str, melody.Floats]]],
  tolerances: Mapping[str, Any],
) -> None:
  """Draws what melodies measure against what each emotion asks for.

  Args:
    path: PNG file to write.
    points: dictionary of an emotion's label to `(reference, measured)`, each a
      dictionary of `mean_pitch` (MIDI), `onsets_per_bar` and
      `chord_tones_on_beat`:
      a number, and an [N] array. Of the last the reference is not drawn.
    tolerances: dictionary of the first two names to functions of a reference
      that say how far off still counts as met, and of the last to the least
      rate that does.
  """
  image = figure.Figure(figsize=(15, 5), layout='constrained')
  axes = image.subplots(1, 3)
  for panel, name, title in (
    (axes[0], 'mean_pitch', 'mean pitch (MIDI)'),
    (axes[1], 'onsets_per_bar', 'onsets a bar'),
  ):
    line = np.sort([reference[name] for reference, _ in points.values()])
    room = np.array([tolerances[name](value) for value in line])
    panel.plot(line, line, color='grey', linewidth=1)
    panel.fill_between(line, line - room, line + room, color='grey', alpha=0.2)
    for i, (label, (reference, measured)) in enumerate(points.items()):
      low, middle, high = np.nanquantile(measured[name], [0.1, 0.5, 0.9])
      panel.errorbar(
        reference[name],
        middle,
        [[middle - low], [high - middle]],
        color=f'C{i % 10}',
        marker='o',
        capsize=3,
        label=label,
      )
    panel.set_xlabel(f'asked for: {title}')
    panel.set_ylabel('measured: median, 10 to 90 %')
    panel.grid(alpha=0.3)
  axes[1].legend(fontsize='small')
  rates = [measured['chord_tones_on_beat'] for _, measured in points.values()]
  axes[2].boxplot([r[np.isfinite(r)] for r in rates])
  axes[2].set_xticks(range(1, len(points) + 1), points, rotation=40)
  axes[2].axhline(
    tolerances['chord_tones_on_beat'], color='grey', linestyle='--'
  )
  axes[2].set_ylim(0, 1)
  axes[2].set_ylabel('chord tones on the beat')
  axes[2].grid(alpha=0.3)
  pianoroll.save(image, path)


def learning_curves(
  path: str,
  curves: Mapping[str, Mapping[str, Sequence[float]]],
  window: int = 25,
) -> None:
  """Draws the scalars of several trainings, a panel for each.

  Args:
    path: PNG file to write.
    curves: dictionary of a name to dictionary of scalar to values, one a step.
    window: steps of the running mean that is drawn.
  """
  terms = list(next(iter(curves.values())))
  columns = 4
  rows = -(-len(terms) // columns)
  image = figure.Figure(figsize=(15, 3.2 * rows), layout='constrained')
  panels = image.subplots(rows, columns, squeeze=False).ravel()
  for panel, term in zip(panels, terms):
    for name, scalars in curves.items():
      width = min(window, len(scalars[term]))
      smooth = np.convolve(scalars[term], np.full(width, 1 / width), 'valid')
      panel.plot(np.arange(len(smooth)) + width, smooth, label=name)
    panel.set_title(term)
    panel.grid(alpha=0.3)
  for panel in panels[len(terms) :]:
    panel.axis('off')
  panels[0].legend(fontsize='small')
  pianoroll.save(image, path)


def latent_space(
  path: str, clouds: Mapping[str, melody.Floats], anchor: melody.Floats
) -> None:
  """Draws latent vectors along the two directions in which real ones vary most.

  Args:
    path: PNG file to write.
    clouds: dictionary of label to [N, Z] latent vectors.
    anchor: [M, Z] of real melodies.
  """
  middle = anchor.mean(axis=0)
  _, _, directions = np.linalg.svd(anchor - middle, full_matrices=False)
  columns = 4
  rows = -(-len(clouds) // columns)
  image = figure.Figure(figsize=(15, 3.8 * rows), layout='constrained')
  panels = image.subplots(
    rows, columns, squeeze=False, sharex=True, sharey=True
  ).ravel()
  for i, (panel, (label, z)) in enumerate(zip(panels, clouds.items())):
    for vectors, colour in ((anchor, 'lightgrey'), (z, f'C{i % 10}')):
      x, y = ((vectors - middle) @ directions[:2].T).T
      panel.scatter(x, y, 5, colour, linewidths=0)
    panel.set_title(label)
  for panel in panels[len(clouds) :]:
    panel.axis('off')
  image.supxlabel('first principal component of real melodies (grey)')
  image.supylabel('second')
  pianoroll.save(image, path)


def piano_rolls(
  path: str, rolls: Sequence[tuple[str, melody.Tokens, melody.Floats]]
) -> None:
  """Draws melodies under one another, chord tones apart from other notes.

  Args:
    path: PNG file to write.
    rolls: `(title, tokens, chord_tone_weights)` of each: text, [256] tokens,
      and [256, 12] from `harmony.chord_tones`.
  """
  image = figure.Figure(figsize=(14, 1.6 * len(rolls)), layout='constrained')
  panels = image.subplots(len(rolls), 1, sharex=True, squeeze=False)[:, 0]
  for panel, (title, tokens, weights) in zip(panels, rolls):
    notes = melody.notes(tokens)
    belongs = weights[notes.onset, notes.pitch % 12] > 0
    pianoroll.draw_notes(panel, notes.onset, notes.end, notes.pitch, belongs)
    bars = range(0, len(tokens), melody.STEPS_PER_BAR)
    pianoroll.draw_bar_lines(panel, len(tokens), bars)
    panel.set_ylabel(title, rotation=0, ha='right', va='center')
  panels[-1].set_xlabel('bar; blue: chord tones, red: other notes')
  pianoroll.save(image, path)
