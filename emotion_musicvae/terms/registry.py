"""Every term there is, by name: shipped, installed, and of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import importlib.metadata
import re
import typing

import numpy as np
import numpy.typing as npt

from emotion_musicvae.music import melody
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import checks
from emotion_musicvae.terms import form
from emotion_musicvae.terms import line
from emotion_musicvae.terms import rhythm
from emotion_musicvae.terms import tonality
from emotion_musicvae.terms.term import columns
from emotion_musicvae.terms.term import Term

# Where installed packages name theirs.
ENTRY_POINTS = 'emotion_musicvae.losses'
_SHIPPED: tuple[type[Term], ...] = (
  rhythm.Syncopation,
  rhythm.Articulation,
  rhythm.Cadence,
  line.Range,
  line.Direction,
  line.Arch,
  line.Stepwise,
  form.Form,
  tonality.TonalClarity,
  tonality.Chromaticism,
)
_NAME = re.compile(r'[a-z][a-z0-9_]*')
_terms: dict[str, Term] = {}
_from: dict[str, str] = {}  # where each is from
_reserved: set[str] = set()


def reserve(names: Iterable[str]) -> None:
  """Names that mean something else and that no term may have."""
  _reserved.update(names)


def known() -> Mapping[str, Term]:
  """Every term by name, in a fixed order.

  Raises:
    UserError: an installed package names one that will not do.
  """
  _load_installed()
  return _terms


@functools.cache
def _load_installed() -> None:
  for kind in _SHIPPED:
    _terms[kind.name] = kind()
    _from[kind.name] = kind.__name__
  found = importlib.metadata.entry_points(group=ENTRY_POINTS)
  for entry in sorted(found, key=lambda entry: (entry.name, entry.value)):
    where = f'{ENTRY_POINTS}: {entry.value}'
    try:
      kind = entry.load()
    except Exception as e:
      raise checks.refusal(
        where, messages.say('cannot be loaded: {error}', error=checks.told(e))
      ) from e
    add(kind, where)


def add(kind: type[Term], where: str) -> Term:
  """Makes a class known.

  Args:
    kind: a subclass of `Term` that is made without arguments.
    where: what to name in an error: its file and name.

  Returns:
    The term.

  Raises:
    UserError: it is none, its name is taken, or it does not measure.
  """
  if not (isinstance(kind, type) and issubclass(kind, Term)):
    raise checks.refusal(where, messages.say('is no subclass of `Term`'))
  try:
    term = kind()
  except Exception as e:
    raise checks.refusal(
      where,
      messages.say(
        'cannot be made without arguments: {error}', error=checks.told(e)
      ),
    ) from e
  if not (isinstance(term.name, str) and _NAME.fullmatch(term.name)):
    raise checks.refusal(
      where,
      messages.say(
        'expected a name of small letters, digits and _, got {value!r}',
        value=term.name,
      ),
    )
  if term.name in _reserved or _from.get(term.name, where) != where:
    raise checks.refusal(
      where,
      messages.say(
        'the name {name!r} is taken by {other}',
        name=term.name,
        other=_from.get(term.name, 'emotion_musicvae'),
      ),
    )
  numbers = (term.low, term.high, term.tolerance, term.share)
  if not (
    all(isinstance(x, (int, float)) for x in numbers)
    and term.low < term.high
    and term.tolerance > 0
    and term.share >= 0
  ):
    raise checks.refusal(
      where,
      messages.say(
        'expected low below high, a tolerance above 0 and a share from 0'
      ),
    )
  checks.check_measure(term, where)
  _terms[term.name], _from[term.name] = term, where
  return term


def where_from(name: str) -> str:
  """Where a term is from: `path.py:Class` of one of a user's own file."""
  return _from[name]


def parse(targets: str | Mapping[str, typing.Any]) -> dict[str, str]:
  """Targets of terms as they are asked for, by name.

  Args:
    targets: `syncopation=0.3,form=AABA`, or a mapping.

  Returns:
    Their text, each of its term's range.

  Raises:
    UserError: no such term, or a value out of its range.
  """
  if isinstance(targets, str):
    targets = configuration.parse_settings(targets, 'target')
  for name, value in targets.items():
    term = known().get(name)
    if term is None:
      raise UserError(
        'target',
        messages.say('no target is called {name!r}', name=name),
        messages.say('there are {known}', known=', '.join(known())),
      )
    term.parse(str(value))
  return {name: str(value) for name, value in targets.items()}


def spelled(targets: Mapping[str, str]) -> str:
  """The text that `parse` reads, of what it gives."""
  return ','.join(f'{name}={value}' for name, value in targets.items())


def told(targets: str) -> dict[str, float | str]:
  """What a text asks for, as it is told: numbers, and a form as its letters."""
  if not targets:
    return {}
  return {
    name: known()[name].told(known()[name].parse(value))
    for name, value in parse(targets).items()
  }


def width() -> int:
  """Columns of a vector of targets: the values of all terms."""
  return sum(term.size for term in known().values())


def places() -> dict[str, slice]:
  """Which columns are whose."""
  result, first = {}, 0
  for name, term in known().items():
    result[name] = slice(first, first + term.size)
    first += term.size
  return result


def vector(targets: str) -> npt.NDArray[np.float32]:
  """[width] targets of a text; NaN where nothing is asked for."""
  result = np.full(width(), np.nan, np.float32)
  where = places()
  for name, value in parse(targets).items():
    result[where[name]] = known()[name].parse(value)
  return result


def blended(texts: Sequence[str], weights: Sequence[float]) -> str:
  """Targets between several: the mean of a number, else that of the heaviest.

  A term counts where it is asked for.

  Args:
    texts: as `parse` reads them.
    weights: one for each, from 0.
  """
  parsed = [parse(text) if text else {} for text in texts]
  result: dict[str, str] = {}
  for name in dict.fromkeys(name for one in parsed for name in one):
    own = [(w, one[name]) for w, one in zip(weights, parsed) if name in one]
    total = sum(weight for weight, _ in own)
    if known()[name].size == 1 and total:
      mean = sum(weight * float(value) for weight, value in own) / total
      result[name] = f'{mean:.6g}'
    else:
      result[name] = max(own, key=lambda pair: pair[0])[1]
  return spelled(result)


def returning(
  targets: npt.NDArray[np.floating],
  bars: npt.NDArray[np.int64],
  chord_tone_weights: npt.NDArray[np.floating],
) -> npt.NDArray[np.int64]:
  """[B, 16] which bars return, where targets say so; elsewhere as they do.

  Args:
    targets: [B, width], or [B, 0].
    bars: [B, 16], see `adaptation.returning_bars`.
    chord_tone_weights: [B, 256, 12].
  """
  result = np.array(bars)
  if chord_tone_weights.shape[1] != melody.NUM_STEPS:
    return result
  where = places() if targets.shape[1] else {}
  for term in asked(targets):
    for row, target in enumerate(targets[:, where[term.name]]):
      if np.isfinite(target).all():
        result[row] = term.returning(
          target, result[row], chord_tone_weights[row]
        )
  return result


def features(
  targets: npt.NDArray[np.floating], name: str
) -> npt.NDArray[np.float32]:
  """[B, 2 size] of a term: targets from -1 to 1, and whether they are asked.

  Args:
    targets: [B, width], or [B, 0].
    name: of the term.
  """
  term, place = known()[name], places()[name]
  own = np.full([len(targets), term.size], np.nan)
  if place.stop <= targets.shape[1]:
    own = targets[:, place]
  asked = np.isfinite(own)
  scaled = (2.0 * own - term.high - term.low) / (term.high - term.low)
  values = np.concatenate([np.where(asked, scaled, 0.0), asked], axis=1)
  return np.asarray(values, np.float32)


def asked(targets: npt.NDArray[np.floating]) -> list[Term]:
  """The terms that any of [B, width] targets ask for."""
  if not targets.shape[1]:
    return []
  where = places()
  return [
    term
    for name, term in known().items()
    if where[name].stop <= targets.shape[1]
    and np.isfinite(targets[:, where[name]]).any()
  ]


def measure(
  tokens: melody.Tokens, names: Iterable[str] | None = None
) -> dict[str, npt.NDArray[np.float64]]:
  """What terms measure of melodies, [B, size] each.

  Args:
    tokens: [B, T] tokens; of longer melodies the mean of each 16 bars, as far
      as they are whole. Shorter ones last on in silence.
    names: of terms; all when None.
  """
  steps = tokens.shape[1]
  whole = steps // melody.NUM_STEPS * melody.NUM_STEPS
  if not whole:
    rest = np.zeros([len(tokens), melody.NUM_STEPS - steps], tokens.dtype)
    rest[:, :1] = melody.NOTE_OFF
    tokens, whole = np.concatenate([tokens, rest], axis=1), melody.NUM_STEPS
  windows = tokens[:, :whole].reshape(-1, melody.NUM_STEPS)
  result = {}
  for name in known() if names is None else names:
    term = known()[name]
    values = columns(term.measure(windows), term)
    result[name] = values.reshape(len(tokens), -1, term.size).mean(axis=1)
  return result
