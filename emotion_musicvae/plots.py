"""Pictures, drawn by matplotlib without a screen."""

from matplotlib import figure
from matplotlib import font_manager
from matplotlib import ft2font

_DPI = 100
# Comes with matplotlib and has a box for every letter.
_BOXES = 'Last Resort'


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
  image.savefig(path, dpi=_DPI, metadata={'Software': None})
