"""Emotions that texts, and places of valence and arousal, speak of."""

from collections.abc import Sequence
import functools

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import spelling
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError


def from_text(
  text: str,
  emotions: Sequence[catalogue.Emotion] | None = None,
  where: str = 'text',
) -> tuple[catalogue.Emotion, recognition.Recognition]:
  """The emotion that a text speaks of.

  Args:
    text: Korean or English, see `recognition.recognize`.
    emotions: list to choose from; the nine when None. Those of the nine that
      are not among them, by alias, do not count.
    where: what to name in an error, an argument or a field.

  Returns:
    `(emotion, recognized)`: a `catalogue.Emotion` and the
    `recognition.Recognition` that it follows, whose intensity says how far.

  Raises:
    UserError: no feeling was recognized; names the nearest.
  """
  emotions = catalogue.load() if emotions is None else emotions
  text = spelling.decoded(text)
  found = recognition.recognize(text)
  return of_recognition(found, emotions, text, where), found


def of_recognition(
  found: recognition.Recognition,
  emotions: Sequence[catalogue.Emotion],
  text: str,
  where: str = 'text',
) -> catalogue.Emotion:
  """The emotion of what was recognized in a text; see `from_text`."""
  mixture = catalogue.weighted(found.weights, emotions)
  if mixture:
    return catalogue.mixed(mixture)
  say = functools.partial(messages.say_in, found.language)
  short = ' '.join(text.split())
  short = short if len(short) <= 40 else f'{short[:39]}…'
  near = ', '.join(recognition.named(found, found.nearest))
  hint = ''
  if not found.language and text.strip():
    say = functools.partial(messages.say_in, messages.language())
    hint = say('; it reads Korean and English')
  elif near:
    hint = say('; nearest are {names}', names=near)
  raise UserError(
    where,
    say('no feeling was recognized in {text!r}{hint}', text=short, hint=hint),
    say('name one with `emotion`, as `list_emotions` lists them'),
  )


def from_place(
  valence: float,
  arousal: float,
  emotions: Sequence[catalogue.Emotion] | None = None,
) -> catalogue.Emotion:
  """The emotion at a place of valence and arousal.

  Args:
    valence: from -1 (unpleasant) to 1.
    arousal: from -1 (calm) to 1.
    emotions: as in `from_text`.

  Returns:
    A `catalogue.Emotion`.

  Raises:
    UserError: a number out of range, or emotions that are none of the nine.
  """
  emotions = catalogue.load() if emotions is None else emotions
  ranges.VALENCE.check('valence', valence)
  ranges.AROUSAL.check('arousal', arousal)
  mixture = catalogue.weighted(recognition.place(valence, arousal), emotions)
  if not mixture:
    raise UserError(
      'valence',
      messages.say(
        'goes with the nine emotions, and `emotions_file` has none of them'
      ),
      messages.say('name one of yours with `emotion`'),
    )
  return catalogue.mixed(mixture)
