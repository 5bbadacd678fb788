"""Pictures, drawn by matplotlib without a screen."""

from matplotlib import figure
from matplotlib import font_manager
from matplotlib import ft2font
import numpy as np

from emotion_musicvae import arrangement
from emotion_musicvae import melody

_DPI = 100
# Comes with matplotlib and has a box for every letter.
_BOXES = 'Last Resort'
_BLACK_KEYS = (1, 3, 6, 8, 10)
_NAMES = {0: 'C', 4: 'E', 7: 'G'}
# Of a measure: its name, and where its scale begins and ends.
_GAUGES = {
  'mean_pitch': ('mean pitch (MIDI)', 48, 84),
  'onsets_per_bar': ('onsets a bar', 0, 16),
  'chord_tone_rate': ('chord-tone rate', 0, 1),
}


def readable(name, instead):
  """The font that has every letter of a name, and what to write with it.

  Args:
    name: text in any script.
    instead: text to fall back to where no installed font has its letters.

  Returns:
    `(text, family)`: the name or what stands for it, and a font's name.
  """
  fonts = font_manager.fontManager.ttflist
  default = font_manager.findfont(font_manager.FontProperties())
  for path, family in [
    (default, None),
    *sorted(
      (font.fname, font.name) for font in fonts if _BOXES not in font.name
    ),
  ]:
    try:
      letters = ft2font.FT2Font(path)
    except (OSError, RuntimeError):
      continue
    if all(letters.get_char_index(ord(c)) for c in name if not c.isspace()):
      return name, family
  return instead, None


def pitch_against_density(path, references):
  """Draws labels as clouds of their pieces, with their references.

  Args:
    path: PNG file to write.
    references: list of `calibration.Reference`.
  """
  image = figure.Figure(figsize=(9, 6), layout='constrained')
  axes = image.subplots()
  for i, r in enumerate(references):
    colour = f'C{i % 10}'
    marker = 'osD^v'[i // 10 % 5]
    axes.scatter(
      r.values['mean_pitch'],
      r.values['onsets_per_bar'],
      12,
      colour,
      marker,
      alpha=0.35,
      linewidths=0,
    )
    text, family = readable(r.emotion.name, r.emotion.alias or f'label {i + 1}')
    point = r.emotion.mean_pitch, r.emotion.onsets_per_bar
    axes.scatter(*point, 160, colour, marker, edgecolors='black', zorder=3)
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
  _save(image, path)


def target_against_measured(path, points, tolerances):
  """Draws what melodies measure against what each emotion asks for.

  Args:
    path: PNG file to write.
    points: dictionary of an emotion's label to `(reference, measured)`, each a
      dictionary of `mean_pitch` (MIDI), `onsets_per_bar` and `chord_tone_rate`:
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
    wanted = np.sort([reference[name] for reference, _ in points.values()])
    room = np.array([tolerances[name](value) for value in wanted])
    panel.plot(wanted, wanted, color='grey', linewidth=1)
    panel.fill_between(
      wanted, wanted - room, wanted + room, color='grey', alpha=0.2
    )
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
  rates = [measured['chord_tone_rate'] for _, measured in points.values()]
  axes[2].boxplot([r[np.isfinite(r)] for r in rates])
  axes[2].set_xticks(range(1, len(points) + 1), points, rotation=40)
  axes[2].axhline(tolerances['chord_tone_rate'], color='grey', linestyle='--')
  axes[2].set_ylim(0, 1)
  axes[2].set_ylabel('chord-tone rate')
  axes[2].grid(alpha=0.3)
  _save(image, path)


def piano_rolls(path, rolls):
  """Draws melodies under one another, chord tones apart from other notes.

  Args:
    path: PNG file to write.
    rolls: list of `(title, tokens, fit)`: text, [256] int tokens, and [256, 12]
      from `harmony.chord_tones`.
  """
  image = figure.Figure(figsize=(14, 1.6 * len(rolls)), layout='constrained')
  panels = image.subplots(len(rolls), 1, sharex=True, squeeze=False)[:, 0]
  for panel, (title, tokens, fit) in zip(panels, rolls):
    onsets = np.flatnonzero(tokens >= melody.FIRST_ONSET)
    events = np.append(np.flatnonzero(tokens != melody.HOLD), len(tokens))
    ends = events[np.searchsorted(events, onsets) + 1]
    pitches = tokens[onsets].astype(int) - melody.FIRST_ONSET + melody.MIN_PITCH
    belongs = fit[onsets, pitches % 12] > 0
    _draw_notes(panel, onsets, ends, pitches, belongs)
    _draw_bar_lines(panel, len(tokens))
    panel.set_ylabel(title, rotation=0, ha='right', va='center')
  panels[-1].set_xlabel('bar; blue: chord tones, red: other notes')
  _save(image, path)


def melody_picture(path, title, sequence, measured, reference):
  """Draws one melody: its notes, its chords, and how it meets its targets.

  Args:
    path: PNG file to write, or an object to write it to.
    title: `(name, instead)`, see `readable`.
    sequence: NoteSequence from `arrangement.arrange`.
    measured: dictionary of what it measures, see `generation.measure`.
    reference: dictionary of what was asked for, under the same names.
  """
  num_bars = arrangement.num_bars(sequence)
  width = 14 * max(num_bars / melody.NUM_BARS, 1)
  image = figure.Figure(figsize=(width, 6), layout='constrained')
  roll, gauges = image.subfigures(2, 1, height_ratios=(4.2, 1))
  name, family = readable(*title)
  heading = [f'{sequence.tempos[0].qpm:g} quarter notes a minute']
  if arrangement.key(sequence):
    heading.insert(0, ' '.join(arrangement.key(sequence)))
  roll.suptitle(f'{name}: {", ".join(heading)}', family=family)
  _draw_roll(roll.subplots(), sequence, num_bars, reference.get('mean_pitch'))
  panels = gauges.subplots(1, len(reference), squeeze=False)[0]
  for panel, (term, wanted) in zip(panels, reference.items()):
    _draw_gauge(panel, term, wanted, measured[term])
  _save(image, path)


def _draw_roll(panel, sequence, num_bars, wanted_pitch):
  notes = arrangement.notes(sequence)
  spans = np.array([note[:3] for note in notes], int).reshape(-1, 3)
  starts, ends, pitches = spans.T
  # Where there is no chord, no note is foreign to it.
  belongs = np.array([note.fits is not False for note in notes], bool)
  _draw_notes(panel, starts, ends, pitches, belongs)
  _draw_bar_lines(panel, num_bars * melody.STEPS_PER_BAR)
  # At least two octaves, so that a calm melody looks calm.
  middle = (pitches.min() + pitches.max()) / 2 if notes else 60
  reach = max(12, np.abs(pitches - middle).max(initial=0) + 2)
  low, high = int(middle - reach), int(middle + reach)
  panel.set_ylim(low - 0.5, high + 0.5)
  for pitch in range(low, high + 1):
    if pitch % 12 in _BLACK_KEYS:
      panel.axhspan(pitch - 0.5, pitch + 0.5, color='0.95', zorder=-1)
  shown = [p for p in range(low, high + 1) if p % 12 in (0, 4, 7)]
  panel.set_yticks(shown, [f'{_NAMES[p % 12]}{p // 12 - 1}' for p in shown])
  if wanted_pitch is not None:
    panel.axhline(wanted_pitch, color='black', linestyle='--', linewidth=1)
  for step, symbol in arrangement.chords(sequence):
    panel.text(
      step, 1.01, f' {symbol}', transform=panel.get_xaxis_transform(), size=13
    )
  panel.set_xlabel(
    'bar; blue: chord tones, red: other notes; dashed: mean pitch asked for'
  )


def _draw_gauge(panel, term, wanted, measured):
  """Draws what was measured as a bar and what was asked for as a mark."""
  label, low, high = _GAUGES.get(term, (term.replace('_', ' '), 0, 2 * wanted))
  panel.barh(0, np.nan_to_num(measured - low), 0.5, low, color='C0')
  panel.plot([wanted, wanted], [-0.45, 0.45], color='black', linewidth=3)
  panel.set_xlim(low, high)
  panel.set_ylim(-0.6, 0.6)
  panel.set_yticks([])
  panel.spines[['top', 'left', 'right']].set_visible(False)
  shown = 'none' if np.isnan(measured) else f'{measured:.3g}'
  panel.set_title(
    f'{label}: {shown} (asked for {wanted:.3g})',
    fontsize='medium',
  )


def _draw_notes(panel, starts, ends, pitches, belongs):
  """Draws notes: [N] steps, MIDI pitches, whether they are chord tones."""
  for group, colour in ((belongs, 'C0'), (~belongs, 'C3')):
    panel.barh(
      pitches[group],
      (ends - starts)[group],
      0.9,
      starts[group],
      color=colour,
      edgecolor='white',
      linewidth=0.5,
    )


def _draw_bar_lines(panel, num_steps):
  bars = range(0, num_steps, melody.STEPS_PER_BAR)
  for step in bars:
    panel.axvline(step, color='grey', linewidth=0.5, zorder=0)
  panel.set_xlim(0, num_steps)
  panel.set_xticks(bars, range(1, len(bars) + 1), ha='left')


def learning_curves(path, curves, window=25):
  """Draws the scalars of several trainings, a panel for each.

  Args:
    path: PNG file to write.
    curves: dictionary of arm to dictionary of scalar to list of values, one a
      step.
    window: steps of the running mean that is drawn.
  """
  terms = list(next(iter(curves.values())))
  columns = 4
  rows = -(-len(terms) // columns)
  image = figure.Figure(figsize=(15, 3.2 * rows), layout='constrained')
  panels = image.subplots(rows, columns, squeeze=False).ravel()
  for panel, term in zip(panels, terms):
    for arm, scalars in curves.items():
      width = min(window, len(scalars[term]))
      smooth = np.convolve(scalars[term], np.full(width, 1 / width), 'valid')
      panel.plot(np.arange(len(smooth)) + width, smooth, label=arm)
    panel.set_title(term)
    panel.grid(alpha=0.3)
  for panel in panels[len(terms) :]:
    panel.axis('off')
  panels[0].legend(fontsize='small')
  _save(image, path)


def latent_space(path, clouds, anchor):
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
  _save(image, path)


def _save(image, path):
  image.savefig(path, dpi=_DPI, metadata={'Software': None})
