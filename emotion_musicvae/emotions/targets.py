"""Targets over those of an emotion, as a user writes them."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import registry

# What stands for a mode, a progression and the like in a list of targets.
_OWN_TARGETS = ('mean_pitch', 'onsets_per_bar', 'mode', 'chords', 'qpm')
registry.reserve(_OWN_TARGETS)
# An emotion's own `cadence` is no number, as that of the term is.
_CLOSES = {('cadence', 'true'), ('cadence', 'false')}


def replaced(
  emotion: catalogue.Emotion,
  targets: str | Mapping[str, Any],
  where: str = 'target',
) -> catalogue.Emotion:
  """An emotion with some of its targets replaced.

  Args:
    emotion: `Emotion`.
    targets: `mean_pitch=70,onsets_per_bar=6,chords=C Am F G`, or a mapping;
      also mode, qpm and `cadence=false`, and any term of `registry.known`, as
      `syncopation=0.3,form=AABA`. A term's value may be `emotion`, for what the
      emotion has as reference.
    where: what to name in an error.

  Returns:
    An `Emotion`.

  Raises:
    UserError: another name, or a value that is none of its kind or range.
  """
  values = (
    configuration.parse_settings(targets, where)
    if isinstance(targets, str)
    else dict(targets)
  )
  own = {
    k: v
    for k, v in values.items()
    if k in _OWN_TARGETS or (k, str(v).lower()) in _CLOSES
  }
  changed = configuration.build(
    catalogue.Emotion, {**dataclasses.asdict(emotion), **own}, where
  )
  further = {k: v for k, v in values.items() if k not in own}
  if further:
    changed = _with_terms(changed, further, where)
  catalogue.check(changed, where)
  said = targets if isinstance(targets, str) else registry.spelled(targets)
  return dataclasses.replace(changed, basis=f'{emotion.basis}; {said}')


def further(emotion: catalogue.Emotion) -> list[str]:
  """Names of the further terms that an emotion asks for."""
  return list(registry.parse(emotion.targets)) if emotion.targets else []


def _with_terms(
  emotion: catalogue.Emotion, values: Mapping[str, Any], where: str
) -> catalogue.Emotion:
  """The same emotion, asking for further terms."""
  known = registry.known()
  references = registry.parse(emotion.references) if emotion.references else {}
  asked = registry.parse(emotion.targets) if emotion.targets else {}
  for name, value in values.items():
    if name not in known:
      raise UserError(
        where,
        messages.say('no target is called {name!r}', name=name),
        messages.say(
          'there are {known}', known=', '.join([*_OWN_TARGETS, *known])
        ),
      )
    if str(value) == 'emotion':
      if name not in references:
        raise UserError(
          where,
          messages.say(
            '{emotion} has no reference of {name}',
            emotion=emotion.alias or emotion.name,
            name=name,
          ),
          messages.say('give a number'),
        )
      value = references[name]
    asked[name] = str(value)
  return dataclasses.replace(emotion, targets=registry.spelled(asked))
