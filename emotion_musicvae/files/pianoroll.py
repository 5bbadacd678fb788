"""Piano rolls, drawn by matplotlib without a screen.

What other pictures of melodies are drawn with is public: `draw_notes`,
`draw_bar_lines`, `readable` and `save`.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from typing import BinaryIO
from typing import NamedTuple
from typing import TYPE_CHECKING

from matplotlib import axes
from matplotlib import figure
from matplotlib import font_manager
from matplotlib import ft2font
from matplotlib import text as texts
import numpy as np
import numpy.typing as npt

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import pages
from emotion_musicvae.music import melody
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import registry

if TYPE_CHECKING:
  import note_seq

_DPI = 100
# Comes with matplotlib and has a box for every letter.
_BOXES = 'Last Resort'
_OTHER_HATCH = '/////'  # of notes that are no chord tones
_BLACK_KEYS = (1, 3, 6, 8, 10)
_NAMES = {0: 'C', 4: 'E', 7: 'G'}


class Look(NamedTuple):
  """Colours of a picture, as matplotlib names them.

  Attributes:
    paper: what it is drawn on.
    ink: what is written and what was asked for.
    keys: rows of the black keys.
    lines: of bars.
    chord_tone: notes that are.
    other: notes that are not, which are hatched.
    edge: of notes, and their hatching.
    names: of both kinds of notes, for the legend.
  """

  paper: str = 'white'
  ink: str = 'black'
  keys: str = '0.95'
  lines: str = 'grey'
  chord_tone: str = 'C0'
  other: str = 'C3'
  edge: str = 'white'
  names: tuple[str, str] = ('blue', 'red and hatched')


LOOKS = {
  'light': Look(),
  'dark': Look(
    paper='#16181b',
    ink='#e6e6e6',
    keys='#22262b',
    lines='#6c7178',
    chord_tone='#5aa9e6',
    other='#ff7d6b',
    edge='#16181b',
  ),
  # As legible from a printer without colours, and with little toner.
  'print': Look(
    keys='0.96',
    lines='0.6',
    chord_tone='0.35',
    other='white',
    edge='black',
    names=('grey', 'white and hatched'),
  ),
}
# Of a measure: its name, and where its scale begins and ends.
_GAUGES: dict[str, tuple[str, float, float]] = {
  'mean_pitch': ('mean pitch (MIDI)', 48, 84),
  'onsets_per_bar': ('onsets a bar', 0, melody.STEPS_PER_BAR),
  'chord_tone_rate': ('chord-tone rate', 0, 1),
  'chord_tones_on_beat': ('chord tones on the beat', 0, 1),
}


def readable(name: str, instead: str) -> tuple[str, str | None]:
  """The font that has every letter of a name, and what to write with it.

  Args:
    name: text in any script.
    instead: text to fall back to where no installed font has its letters.

  Returns:
    `(text, family)`: the name or what stands for it, and a font's name; None
    for the default font.
  """
  default = font_manager.findfont(font_manager.FontProperties())
  if _has_letters(default, name):
    return name, None
  known = font_manager.fontManager
  for family in _families(known.ttflist, name):
    return name, family
  # matplotlib keeps a list of fonts, which does not know what was installed
  # since it was made.
  paths = {font.fname for font in known.ttflist}
  for path in sorted(set(font_manager.findSystemFonts()) - paths):
    if _has_letters(path, name):
      with contextlib.suppress(OSError, RuntimeError):
        known.addfont(path)
  for family in _families(known.ttflist, name):
    return name, family
  return instead, None


def _families(
  fonts: Sequence[font_manager.FontEntry], name: str
) -> Iterator[str]:
  """Fonts that have every letter of a name, in the order of their paths."""
  for path, family in sorted(
    (font.fname, font.name) for font in fonts if _BOXES not in font.name
  ):
    if _has_letters(path, name):
      yield family


def _has_letters(path: str, name: str) -> bool:
  try:
    letters = ft2font.FT2Font(path)
  except (OSError, RuntimeError):
    return False
  return all(letters.get_char_index(ord(c)) for c in name if not c.isspace())


def melody_figure(
  title: tuple[str, str],
  sequence: 'note_seq.NoteSequence',
  measured: Mapping[str, float | str],
  reference: Mapping[str, float | str],
  look: str = 'light',
) -> figure.Figure:
  """Draws one melody: its notes, its chords, and how it meets its targets.

  Args:
    title: `(name, instead)`, see `readable`.
    sequence: NoteSequence from `arrangement.arrange`.
    measured: what it measures, by name; see `api.measure`.
    reference: what was asked for, under the same names.
    look: one of `LOOKS`.

  Raises:
    UserError: another look.
  """
  if look not in LOOKS:
    known = ', '.join(LOOKS)
    raise UserError(
      'look',
      messages.say('there is no {look!r}', look=look),
      messages.say('there are {known}', known=known),
    )
  colours = LOOKS[look]
  width = 14 * max(arrangement.num_steps(sequence) / melody.NUM_STEPS, 1)
  image = figure.Figure(figsize=(width, 6), layout='constrained')
  roll, gauges = image.subfigures(
    2, 1, squeeze=False, height_ratios=(4.2, 1)
  ).ravel()
  text, family = readable(*title)
  heading = [f'{sequence.tempos[0].qpm:g} quarter notes a minute']
  key = arrangement.key(sequence)
  if key:
    heading.insert(0, ' '.join(key))
  roll.suptitle(f'{text}: {", ".join(heading)}', family=family)
  pitch = reference.get('mean_pitch')
  height = None if pitch is None else float(pitch)
  _draw_roll(roll.subplots(), sequence, height, colours)
  panels = gauges.subplots(1, len(reference), squeeze=False)[0]
  for panel, (name, target) in zip(panels, reference.items()):
    _draw_gauge(panel, name, target, measured[name], colours)
  _recolour(image, colours)
  return image


def _recolour(image: figure.Figure, look: Look) -> None:
  """Gives paper and ink to what has matplotlib's own.

  matplotlib's settings would do it as well, but all threads have the same.
  """
  image.set_facecolor(look.paper)
  for part in image.findobj(figure.SubFigure):
    part.set_facecolor(look.paper)
  for text in image.findobj(texts.Text):
    text.set_color(look.ink)
  for panel in image.findobj(axes.Axes):
    panel.set_facecolor(look.paper)
    panel.tick_params(colors=look.ink)
    for spine in panel.spines.values():
      spine.set_edgecolor(look.ink)


def _draw_roll(
  panel: axes.Axes,
  sequence: 'note_seq.NoteSequence',
  target_pitch: float | None,
  look: Look,
) -> None:
  notes = arrangement.notes(sequence)
  spans = np.array([note[:3] for note in notes], int).reshape(-1, 3)
  starts, ends, pitches = spans.T
  # Where there is no chord, no note is foreign to it.
  in_chord = [note.is_chord_tone is not False for note in notes]
  draw_notes(panel, starts, ends, pitches, np.array(in_chord, bool), look)
  draw_bar_lines(
    panel,
    arrangement.num_steps(sequence),
    arrangement.bar_lines(sequence),
    look,
  )
  # At least two octaves, so that a calm melody looks calm.
  middle = (pitches.min() + pitches.max()) / 2 if notes else 60
  reach = max(12, np.abs(pitches - middle).max(initial=0) + 2)
  low, high = int(middle - reach), int(middle + reach)
  panel.set_ylim(low - 0.5, high + 0.5)
  for pitch in range(low, high + 1):
    if pitch % 12 in _BLACK_KEYS:
      panel.axhspan(pitch - 0.5, pitch + 0.5, color=look.keys, zorder=-1)
  shown = [p for p in range(low, high + 1) if p % 12 in (0, 4, 7)]
  panel.set_yticks(shown, [f'{_NAMES[p % 12]}{p // 12 - 1}' for p in shown])
  if target_pitch is not None:
    panel.axhline(target_pitch, color=look.ink, linestyle='--', linewidth=1)
  for step, symbol in arrangement.chords(sequence):
    panel.text(
      step, 1.01, f' {symbol}', transform=panel.get_xaxis_transform(), size=13
    )
  chord_tone, other = look.names
  panel.set_xlabel(
    f'bar; {chord_tone}: chord tones, {other}: other notes; '
    'dashed: mean pitch asked for'
  )


def _draw_gauge(
  panel: axes.Axes,
  name: str,
  target: float | str,
  measured: float | str,
  look: Look,
) -> None:
  """Draws what was measured as a bar and what was asked for as a mark."""
  label = name.replace('_', ' ')
  if isinstance(target, str) or isinstance(measured, str):
    panel.set_axis_off()
    panel.set_title(
      f'{label}:\n{measured} (asked for {target})',
      fontsize='medium',
    )
    return
  if name in _GAUGES:
    label, low, high = _GAUGES[name]
  elif name == 'energy':
    low, high = 0.0, 2 * target
  else:
    term = registry.known()[name]
    low, high = term.low, term.high
  panel.barh(0, np.nan_to_num(measured - low), 0.5, low, color=look.chord_tone)
  panel.plot([target, target], [-0.45, 0.45], color=look.ink, linewidth=3)
  panel.set_xlim(low, high)
  panel.set_ylim(-0.6, 0.6)
  panel.set_yticks([])
  panel.spines[['top', 'left', 'right']].set_visible(False)
  shown = 'none' if np.isnan(measured) else f'{measured:.3g}'
  panel.set_title(
    f'{label}:\n{shown} (asked for {pages.asked_for(name, f"{target:.3g}")})',
    fontsize='medium',
  )


def draw_notes(
  panel: axes.Axes,
  starts: npt.NDArray[np.int64],
  ends: npt.NDArray[np.int64],
  pitches: npt.NDArray[np.int64],
  in_chord: npt.NDArray[np.bool_],
  look: Look = LOOKS['light'],
) -> None:
  """Draws the notes of a piano roll, chord tones blue and others red.

  Args:
    panel: the axes to draw on, steps by MIDI pitches.
    starts: [N] steps on which notes begin.
    ends: [N] steps on which they have ended.
    pitches: [N] MIDI pitches.
    in_chord: [N] whether they are chord tones.
    look: colours in place of blue and red.
  """
  # Told apart without colours, too.
  for group, colour, hatch in (
    (in_chord, look.chord_tone, ''),
    (~in_chord, look.other, _OTHER_HATCH),
  ):
    panel.barh(
      pitches[group],
      (ends - starts)[group],
      0.9,
      starts[group],
      color=colour,
      hatch=hatch,
      edgecolor=look.edge,
      linewidth=0.5,
    )


def draw_bar_lines(
  panel: axes.Axes,
  num_steps: int,
  bars: Sequence[int],
  look: Look = LOOKS['light'],
) -> None:
  """Draws and numbers the bar lines of a piano roll.

  Args:
    panel: the axes to draw on, of steps.
    num_steps: how many there are.
    bars: steps on which bars begin.
    look: its colours.
  """
  for step in bars:
    panel.axvline(step, color=look.lines, linewidth=0.5, zorder=0)
  panel.set_xlim(0, num_steps)
  numbers = [str(bar) for bar in range(1, len(bars) + 1)]
  panel.set_xticks(bars, numbers, ha='left')


def save(image: figure.Figure, path: str | BinaryIO) -> None:
  """Writes a picture as a PNG, the same bytes whenever it is the same.

  Args:
    image: the picture.
    path: PNG file to write, or a file that is open for writing.
  """
  image.savefig(path, dpi=_DPI, metadata={'Software': None})
