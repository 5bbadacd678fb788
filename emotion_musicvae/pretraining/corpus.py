"""Tunes to train a base model on, as 16-bar windows of melody tokens.

The bundled corpus is read from the music21 package, which carries the ABC
transcriptions; nothing is downloaded. Of its collections only those are used
whose terms let trained weights be passed on (see BUILD_NOTES.md).
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.pretraining import augmentation
from emotion_musicvae.pretraining import holdout
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import parallel
from emotion_musicvae.support.errors import UserError

FOLK_COLLECTIONS = ('airdsAirs', 'oneills1850', 'ryansMammoth', 'miscFolk')
_NOT_ON_GRID = messages.mark(
  'off the grid of sixteenths or outside onsets_per_bar'
)


@dataclasses.dataclass(frozen=True)
class Cut:
  """Windows and what is known of the tunes that they were cut from.

  Attributes:
    tokens: [N, 256] uint8.
    closes: [N] bool, whether a window ends as its tune does.
    finals: [N] uint8, pitch class of the tune's last note.
    stretched: [N] bool, whether it is in three as it is written.
  """

  tokens: melody.Tokens
  closes: npt.NDArray[np.bool_]
  finals: npt.NDArray[np.uint8]
  stretched: npt.NDArray[np.bool_]

  @classmethod
  def joined(cls, cuts: Sequence['Cut']) -> 'Cut':
    """One `Cut` of many, or of none."""
    return cls(
      np.concatenate(
        [np.zeros([0, melody.NUM_STEPS], np.uint8)] + [c.tokens for c in cuts]
      ),
      np.concatenate([np.zeros(0, bool)] + [c.closes for c in cuts]),
      np.concatenate([np.zeros(0, np.uint8)] + [c.finals for c in cuts]),
      np.concatenate([np.zeros(0, bool)] + [c.stretched for c in cuts]),
    )

  @classmethod
  def read(cls, arrays: Mapping[str, npt.NDArray[Any]], name: str) -> 'Cut':
    """What `arrays` gave under a name; of tokens alone, nothing is known."""
    tokens = arrays[name]
    closes, finals, stretched = (
      arrays[name + suffix]
      if name + suffix in arrays
      else np.zeros(len(tokens), kind)
      for suffix, kind in (
        ('_closes', bool),
        ('_finals', np.uint8),
        ('_stretched', bool),
      )
    )
    return cls(tokens, closes, finals, stretched)

  def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
    """Dictionary of arrays to keep it by, see `read`."""
    return {
      name: self.tokens,
      name + '_closes': self.closes,
      name + '_finals': self.finals,
      name + '_stretched': self.stretched,
    }

  def __len__(self) -> int:
    return len(self.tokens)


def folk_files() -> list[str]:
  """Paths of the ABC files of the bundled corpus, in a fixed order.

  Raises:
    UserError: music21 is not installed.
  """
  try:
    import music21  # pylint: disable=g-import-not-at-top
  except ModuleNotFoundError:
    raise UserError(
      'dataset',
      messages.say('the folk tunes come with music21'),
      messages.say('type: pip install music21'),
    ) from None

  root = os.path.join(os.path.dirname(music21.__file__), 'corpus')
  return [
    os.path.join(root, collection, name)
    for collection in FOLK_COLLECTIONS
    for name in sorted(os.listdir(os.path.join(root, collection)))
    if name.endswith('.abc')
  ]


def input_files(path: str) -> list[str]:
  """Paths of the music under a folder, or of one file, in a fixed order.

  Raises:
    UserError: nothing is there that `readers.read` reads.
  """
  if not os.path.exists(path):
    raise UserError(
      'input_dir', messages.say('{path!r} does not exist', path=path)
    )
  found = [path] if os.path.isfile(path) else []
  for folder, _, names in os.walk(path):
    found += [os.path.join(folder, name) for name in names]
  files = sorted(filter(readers.is_readable, found))
  if not files:
    raise UserError(
      'input_dir',
      messages.say(
        'no file in {path!r} ends in {known}',
        path=path,
        known=', '.join(readers.FORMATS),
      ),
    )
  return files


def read_files(
  files: Sequence[str], progress: Callable[..., Any], triple: bool = False
) -> tuple[list[tunes.Tune], list[tunes.Refusal]]:
  """Reads many files, in as many processes as their number is worth.

  Args:
    files: paths, as `readers.read` takes them.
    progress: wraps the iterator over files, as `tqdm` does.
    triple: as `readers.read` takes it.

  Returns:
    `(tunes, refusals)` of all files, in their order.
  """
  read = functools.partial(readers.read, triple=triple)
  results = list(parallel.in_parallel(read, files, progress))
  return (
    [tune for found, _ in results for tune in found],
    [refusal for _, refused in results for refusal in refused],
  )


def tune_windows(
  tune: tunes.Tune, slowdown: float = 1, hop_bars: int = 8
) -> melody.Tokens:
  """Cuts a tune into 16-bar windows of melody tokens.

  A tune shorter than the window is sung again as further verses, its pick-up
  closing the verse before.

  Args:
    tune: a `tunes.Tune`.
    slowdown: factor on all times; 2 halves the onsets per bar.
    hop_bars: bars from one window to the next.

  Returns:
    [N, 256] uint8 tokens as Magenta's 16-bar melody models read them: 0 hold,
    1 note off, i >= 2 onset at MIDI pitch i + 19. N is 0 where the tune has
    notes shorter than a sixteenth at this speed.
  """
  starts, _ = tunes.note_steps(tune, slowdown)
  if len(np.unique(starts)) < 0.98 * len(starts):
    return np.zeros([0, melody.NUM_STEPS], np.uint8)
  pitches = tune.notes[:, 2].astype(int)
  if pitches.min() < melody.MIN_PITCH or pitches.max() > melody.MAX_PITCH:
    return np.zeros([0, melody.NUM_STEPS], np.uint8)
  grid = tunes.verse_tokens(tune, slowdown)
  verse = len(grid)
  windows = []
  last = max(verse - melody.NUM_STEPS, 0)
  for start in range(0, last + 1, hop_bars * melody.STEPS_PER_BAR):
    index = (start + np.arange(melody.NUM_STEPS)) % verse
    window = grid[index]
    if not (window >= melody.FIRST_ONSET).any():
      continue
    first = int(np.argmax(window >= melody.FIRST_ONSET))
    window[:first] = (
      melody.HOLD
    )  # Nothing sounds yet, so there is nothing to end.
    windows.append(window)
  if not windows:
    return np.zeros([0, melody.NUM_STEPS], np.uint8)
  return np.stack(windows)


def load(
  files: Sequence[str],
  hparams: configuration.CorpusHparams,
  progress: Callable[..., Any],
) -> tuple[Cut, Cut, list[tunes.Tune], list[tunes.Refusal]]:
  """Reads tunes and cuts them into windows.

  Args:
    files: paths, from `folk_files` or `input_files`.
    hparams: `configuration.CorpusHparams`.
    progress: wraps the iterator over files, as `tqdm` does.

  Returns:
    `(train, held_out, tunes, refusals)`: [N, 256] uint8 arrays of tokens, and
    what `readers.read` gave for all files.

  Raises:
    UserError: there are no windows, or none but those to hold out.
  """
  found, refusals = read_files(files, progress, hparams.triple > 0)
  train, held_out = split_windows(found, hparams)
  if not len(held_out):
    raise UserError(
      'input_dir',
      messages.say(
        'no 16-bar melody among its pieces: {reasons}',
        reasons=_why_none(found, refusals, hparams),
      ),
    )
  if not len(train):
    raise UserError(
      'input_dir',
      messages.say('all melodies are of one piece, or variants of one'),
      messages.say('add another, as evaluation holds one out'),
    )
  return train, held_out, found, refusals


def in_one_key(tune: tunes.Tune) -> tunes.Tune:
  """The tune in the signature without sharps and flats, near the middle."""
  shift = augmentation.canonical_shift(tune.notes[:, 2], tune.notes[:, 1])
  notes = tune.notes + np.array([0.0, 0.0, shift], np.float32)
  return dataclasses.replace(tune, notes=notes)


def form_windows(
  tune: tunes.Tune, slowdown: float, hop_bars: int
) -> tuple[np.ndarray, np.ndarray]:
  """Cuts a tune into 16-bar windows, and finds those that end as it does.

  A window ends as its tune where the last note before its last bar line, a
  pick-up to what follows left out, is the tune's own last note in some octave.

  Args:
    tune: a `tunes.Tune`.
    slowdown: factor on all times.
    hop_bars: bars from one window to the next.

  Returns:
    `(windows, closes)`: [N, 256] uint8 tokens, and [N] bool.
  """
  windows = tune_windows(tune, slowdown, hop_bars)
  final = int(tune.notes[-1, 2]) % 12
  pick_up = max(-float(tune.notes[0, 0]), 0.0)
  pick_up = round(pick_up * slowdown * melody.STEPS_PER_QUARTER)
  closes = np.zeros(len(windows), bool)
  for i, window in enumerate(windows):
    ended = window.copy()
    if 0 < pick_up <= melody.STEPS_PER_BAR:
      ended[-pick_up:] = melody.HOLD
    onsets = np.flatnonzero(ended >= melody.FIRST_ONSET)
    if not len(onsets):
      continue
    last = int(ended[onsets[-1]]) - melody.FIRST_ONSET + melody.MIN_PITCH
    if (
      last % 12 == final
      and onsets[-1] >= melody.NUM_STEPS - melody.STEPS_PER_BAR
    ):
      closes[i] = True
      windows[i] = ended
  return windows, closes


def split_windows(
  found: Sequence[tunes.Tune], hparams: configuration.CorpusHparams
) -> tuple[Cut, Cut]:
  """Cuts tunes into windows, split by tune.

  Args:
    found: the tunes.
    hparams: `configuration.CorpusHparams`.

  Returns:
    `(train, held_out)`: `Cut`s.
  """
  low, high = hparams.onsets_per_bar
  kept, cut = [], []
  for tune in found:
    if tune.quarters < 4 * hparams.min_bars:
      continue
    if hparams.one_key:
      tune = in_one_key(tune)
    both = [
      form_windows(tune, slowdown, hparams.hop_bars)
      if hparams.aligned
      else (tune_windows(tune, slowdown, hparams.hop_bars), None)
      for slowdown in hparams.slowdowns
    ]
    both = [
      (windows, np.zeros(len(windows), bool) if closes is None else closes)
      for windows, closes in both
    ]
    windows, closes = (np.concatenate(parts) for parts in zip(*both))
    density = (windows >= melody.FIRST_ONSET).sum(axis=1) / (
      melody.NUM_STEPS / melody.STEPS_PER_BAR
    )
    fits = (density >= low) & (density <= high)
    if fits.any():
      final = int(tune.notes[-1, 2]) % 12
      kept.append(tune)
      cut.append(
        Cut(
          windows[fits],
          closes[fits],
          np.full(fits.sum(), final, np.uint8),
          np.full(fits.sum(), tune.stretched),
        )
      )
  train, held_out = (
    Cut.joined([c for c, is_there in zip(cut, side) if is_there])
    for side in holdout.split(kept, hparams.held_out)
  )
  return train, held_out


def summary(
  found: Sequence[tunes.Tune], refusals: Sequence[tunes.Refusal]
) -> str:
  """One line on what was read: how many pieces, and why others were not."""
  left_out = counted([refusal.reason for refusal in refusals])
  count = len({tune.name for tune in found})
  if not left_out:
    return messages.say('{count} pieces read.', count=count)
  return messages.say(
    '{count} pieces read; left out: {left_out}.', count=count, left_out=left_out
  )


def _why_none(
  found: Sequence[tunes.Tune],
  refusals: Sequence[tunes.Refusal],
  hparams: configuration.CorpusHparams,
) -> str:
  """Why pieces give no window."""
  short = messages.say('shorter than {count} bars', count=hparams.min_bars)
  reasons = {refusal.name: refusal.reason for refusal in refusals}
  for tune in found:
    if tune.quarters >= 4 * hparams.min_bars:
      reasons[tune.name] = _NOT_ON_GRID
    else:
      reasons.setdefault(tune.name, short)
  return counted(reasons.values())


def counted(reasons: Iterable[str]) -> str:
  """The reasons with how often each occurs, the commonest first."""
  counts = collections.Counter(reasons).most_common()
  return ', '.join(f'{n} {messages.say(reason)}' for reason, n in counts)
