"""The nine emotions: names, aliases and the targets they stand for."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import math
from typing import Any
import unicodedata

from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import spelling
from emotion_musicvae.files import playing
from emotion_musicvae.music import harmony
from emotion_musicvae.music import metres
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import registry


@dataclasses.dataclass(frozen=True)
class Emotion:
  """What an emotion asks of a melody.

  Attributes:
    name: its name in Korean, or whatever the user's own file calls it.
    alias: its name in ASCII.
    mean_pitch: reference mean pitch of the notes, MIDI.
    onsets_per_bar: reference number of notes begun in a bar of 4/4, or in four
      quarters of another metre.
    mode: 'major' or 'minor'.
    chords: progression, see `harmony.bars`.
    cadence: whether a progression that is repeated closes on the tonic in bar
      16, see `harmony.written_out`.
    time_signature: the metre, see `metres.PLAYABLE`; the progression is by bar
      of it.
    qpm: tempo of the written file, quarter notes a minute.
    program: instrument of the written file, General MIDI counted from 0.
    loudness: integrated loudness of the audio, LUFS.
    velocity: mean MIDI velocity of the melody.
    articulation: share of its written length that a note sounds.
    accents: how much of the metrical accents, see `files.expression`.
    phrase_arch: how much of the arch of each phrase, see `files.expression`.
    style: of the accompaniment, see `playing.styles`.
    targets: of further terms that it asks for, `syncopation=0.3,form=AABA`; see
      `registry.parse`. What it does not name is left as the melody has it.
    references: of further terms what would suit it, in the same way; asked for
      where a target's value is `emotion`.
    references_basis: where those come from.
    basis: where the references come from.
  """

  name: str = ''
  alias: str = ''
  mean_pitch: float = 66.0
  onsets_per_bar: float = 6.0
  mode: str = 'major'
  chords: str = 'C F G C'
  cadence: bool = True
  time_signature: str = '4/4'
  qpm: float = 120.0
  program: int = 0
  loudness: float = -18.0
  velocity: float = 80.0
  articulation: float = 0.9
  accents: float = 1.0
  phrase_arch: float = 1.0
  style: str = 'block'
  targets: str = ''
  references: str = ''
  references_basis: str = ''
  basis: str = ''


# What says how a melody is played; a blend is in between.
_EXPRESSION = (
  'loudness',
  'velocity',
  'articulation',
  'accents',
  'phrase_arch',
)


def load(path: str | None = None) -> list[Emotion]:
  """The emotions of a file, in its order.

  Args:
    path: a YAML file laid out as `configs/emotions.yaml`, which it is when
      None.

  Returns:
    List of `Emotion`.

  Raises:
    UserError: the file cannot be read, or says something else; names it.
  """
  if path is None:
    content, where = (
      configuration.load_yaml('emotions'),
      'configs/emotions.yaml',
    )
  else:
    where = f'emotions_file: {path!r}'
    content = configuration.read_yaml(path, where)
  entries = content.get('emotions') if isinstance(content, dict) else None
  if (
    not isinstance(entries, list)
    or not entries
    or not all(isinstance(entry, dict) for entry in entries)
  ):
    raise UserError(
      where,
      messages.say(
        'expected a list under `emotions:`, as in configs/emotions.yaml'
      ),
    )
  found: list[Emotion] = []
  taken: set[str] = set()
  for entry in entries:
    emotion = configuration.build(Emotion, entry, where)
    if not emotion.name:
      raise UserError(where, messages.say('an emotion without a name'))
    check(emotion, f'{where}: {emotion.name}')
    names = {
      spelling.normalize(emotion.name),
      spelling.normalize(emotion.alias),
    } - {''}
    if names & taken:
      raise UserError(
        where, messages.say('{name} stands there twice', name=emotion.name)
      )
    taken |= names
    found.append(emotion)
  return found


def check(emotion: Emotion, where: str) -> None:
  """Refuses an emotion that no melody of the model can meet.

  Args:
    emotion: `Emotion`.
    where: what to name in an error, an argument or a file.

  Raises:
    UserError: names the value and its range.
  """
  for name, able in (
    ('mean_pitch', ranges.MEAN_PITCH),
    ('onsets_per_bar', ranges.ONSETS_PER_BAR),
    ('qpm', ranges.QPM),
    ('program', ranges.PROGRAM),
    ('loudness', ranges.LOUDNESS),
    ('velocity', ranges.VELOCITY),
    ('articulation', ranges.ARTICULATION),
    ('accents', ranges.RULE),
    ('phrase_arch', ranges.RULE),
  ):
    value = getattr(emotion, name)
    if not able.low <= value <= able.high:
      raise UserError(
        where,
        messages.say(
          '{name} {value:g}, expected {low} to {high}',
          name=name,
          value=value,
          low=able.low,
          high=able.high,
        ),
      )
  playing.check_style(emotion.style, where)
  _metre(emotion.time_signature, where)
  if emotion.mode not in ('major', 'minor'):
    raise UserError(
      where,
      messages.say('mode {mode!r}, expected major or minor', mode=emotion.mode),
    )
  for targets in (emotion.targets, emotion.references):
    if targets:
      try:
        registry.parse(targets)
      except UserError as e:
        raise e.of(where) from None


def parse(text: str, emotions: Sequence[Emotion] | None = None) -> Emotion:
  """The emotion that a user names, or the blend of several.

  A blend lies between its emotions in mean pitch and in how it is played, and
  in density and tempo on a logarithmic scale. A progression has one key, and an
  accompaniment one style: they are those of the heaviest.

  Args:
    text: a name, an alias or a word for a feeling (see `find`), or several with
      their weights, as in `peaceful:0.7,mysterious:0.3`. Weights count in
      proportion.
    emotions: list to choose from; the nine when None.

  Returns:
    An `Emotion`.

  Raises:
    UserError: an unknown name, or a weight that is missing, negative or no
      number.
  """
  emotions = load() if emotions is None else emotions
  parts, weights = _parts(text)
  if weights is None:
    return find(text, emotions)
  shares: dict[Emotion, float] = collections.defaultdict(float)
  for part, weight in zip(parts, weights):
    mixture, _ = _meant(part, emotions)
    for emotion, share in mixture.items():
      shares[emotion] += weight * share
  return blend(list(shares), list(shares.values()))


def readings(text: str, emotions: Sequence[Emotion] | None = None) -> list[str]:
  """What words for feelings in a `parse`d text were taken for, a line each.

  Args:
    text: as `parse` understands it.
    emotions: list to choose from; the nine when None.

  Returns:
    List of lines, none for a name or alias.
  """
  emotions = load() if emotions is None else emotions
  lines = []
  for part in _parts(text)[0]:
    mixture, taken = _meant(part, emotions)
    if taken:
      lines.append(
        f'{spelling.decoded(part).strip()}: {_mapping(mixture, taken)}'
      )
  return lines


def _parts(text: str) -> tuple[list[str], list[float] | None]:
  """Names in a text, and their weights; None for a single name without."""
  if ':' not in text and ',' not in text:
    return [text], None
  parts, weights = [], []
  for part in text.split(','):
    name, _, weight = part.rpartition(':')
    try:
      weights.append(float(weight))
    except ValueError:
      weights.append(-1.0)
    if not name or not 0 <= weights[-1] < float('inf'):
      raise UserError(
        'emotion',
        messages.say(
          'expected name:weight,… with weights from 0, as in '
          'peaceful:0.7,mysterious:0.3, got {value!r}',
          value=text,
        ),
      )
    parts.append(name)
  if not sum(weights):
    raise UserError(
      'emotion', messages.say('the weights in {text!r} are all 0', text=text)
    )
  return parts, weights


def weighted(
  weights: Mapping[str, float], emotions: Sequence[Emotion]
) -> dict[Emotion, float]:
  """Emotions by alias to what they weigh; those that there are not left out."""
  known = {spelling.normalize(e.alias): e for e in emotions}
  return {known[a]: w for a, w in weights.items() if a in known}


def mixed(mixture: Mapping[Emotion, float]) -> Emotion:
  """The emotion of one or several with their weights."""
  if len(mixture) == 1:
    return next(iter(mixture))
  return blend(list(mixture), list(mixture.values()))


def _mapping(mixture: Mapping[Emotion, float], taken: str) -> str:
  shares = (f'{e.name} ({e.alias}) {w:.2f}' for e, w in mixture.items())
  return f'{taken} → {", ".join(shares)}'


def blend(parts: Sequence[Emotion], weights: Sequence[float]) -> Emotion:
  """An emotion between others, see `parse`.

  Args:
    parts: sequence of `Emotion`.
    weights: one for each, from 0, not all 0.

  Returns:
    An `Emotion`.
  """
  total = sum(weights)

  def between(
    name: str,
    scale: Callable[[float], float],
    back: Callable[[float], float],
  ) -> float:
    values = [scale(getattr(part, name)) for part in parts]
    return round(back(sum(w * v for w, v in zip(weights, values)) / total), 6)

  expression: dict[str, Any] = {
    name: between(name, float, float) for name in _EXPRESSION
  }
  heaviest = parts[weights.index(max(weights))]
  shares = [f'{w / total:.2g}' for w in weights]
  return dataclasses.replace(
    heaviest,
    name='+'.join(f'{p.name}{s}' for p, s in zip(parts, shares)),
    alias='+'.join(f'{p.alias}{s}' for p, s in zip(parts, shares)),
    mean_pitch=between('mean_pitch', float, float),
    onsets_per_bar=between('onsets_per_bar', math.log, math.exp),
    qpm=between('qpm', math.log, math.exp),
    **expression,
    targets=registry.blended([part.targets for part in parts], weights),
    references=registry.blended([part.references for part in parts], weights),
    basis=f'blend, chords of {heaviest.name}',
  )


def softened(emotion: Emotion, intensity: float) -> Emotion:
  """An emotion that is played part of the way from one of no expression.

  Args:
    emotion: `Emotion`.
    intensity: how far, from 0 (as an `Emotion` is played that says nothing of
      it) to 1 (as it says).
  """
  if intensity == 1.0:
    return emotion
  plain = Emotion()
  played: dict[str, Any] = {}
  for name in _EXPRESSION:
    before, own = getattr(plain, name), getattr(emotion, name)
    played[name] = round(before + intensity * (own - before), 6)
  return dataclasses.replace(emotion, **played)


def in_metre(emotion: Emotion, time_signature: str) -> Emotion:
  """An emotion in another metre, its progression with it.

  Args:
    emotion: `Emotion`.
    time_signature: as `3/4`.

  Raises:
    UserError: no metre that melodies can be composed in.
  """
  metre = _metre(time_signature, 'time_signature')
  own = metres.parse(emotion.time_signature)
  if metre == own:
    return emotion
  written = harmony.written_out(
    emotion.chords, emotion.mode, emotion.cadence, own
  )
  return dataclasses.replace(
    emotion,
    time_signature=str(metre),
    chords=harmony.rebarred(written, own, metre),
  )


def _metre(text: str, where: str) -> metres.Metre:
  try:
    return metres.parse(text)
  except ValueError as e:
    raise UserError(where, str(e)) from None


def find(text: str, emotions: Sequence[Emotion] | None = None) -> Emotion:
  """The emotion that a user names.

  Args:
    text: a name or alias, in composed or decomposed Unicode and any case, also
      as an ASCII or Latin-1 shell hands over the bytes of UTF-8; or a word for
      a feeling, as 쓸쓸함 or happy, which is mapped to the nine by its meaning
      (`basis` says how).
    emotions: list to choose from; the nine when None.

  Returns:
    An `Emotion`.

  Raises:
    UserError: no emotion is called so; names the nearest.
  """
  emotions = load() if emotions is None else emotions
  mixture, taken = _meant(text, emotions)
  emotion = mixed(mixture)
  if not taken:
    return emotion
  return dataclasses.replace(emotion, basis=_mapping(mixture, taken))


def _meant(
  text: str, emotions: Sequence[Emotion]
) -> tuple[dict[Emotion, float], str]:
  """Emotions that a name or word means, and what a word was taken for.

  Returns:
    `(mixture, taken)`: `Emotion` to weight; '' for a name or alias.

  Raises:
    UserError: as `find`.
  """
  name = spelling.normalize(text)
  for emotion in emotions:
    if name in (
      spelling.normalize(emotion.name),
      spelling.normalize(emotion.alias),
    ):
      return {emotion: 1.0}, ''
  weights, taken = recognition.interpret(name) or ({}, '')
  mixture = weighted(weights, emotions)
  if mixture:
    return mixture, taken
  # Hangul syllables share few code points; their letters show who is near.
  letters = {
    unicodedata.normalize('NFD', spelling.normalize(own)): emotion
    for emotion in emotions
    for own in (emotion.name, emotion.alias)
  }
  nearest = difflib.get_close_matches(
    unicodedata.normalize('NFD', name), letters, n=1, cutoff=0.5
  )
  hint = ''
  if nearest:
    emotion = letters[nearest[0]]
    hint = messages.say(
      '; did you mean {name} ({alias})?', name=emotion.name, alias=emotion.alias
    )
  raise UserError(
    'emotion',
    messages.say('there is no emotion {name!r}{hint}', name=name, hint=hint),
    messages.say('`list_emotions` lists them'),
  )
