"""What the flags of emotion_musicvae_generate ask melodies to follow."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Any

from absl import flags

from emotion_musicvae.emotions import arcs
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import readings
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import targets
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Wanted:
  """What melodies are to follow.

  Attributes:
    emotion: None where melodies can do without, as they are near or between
      the user's.
    to_emotion: where they are to end, of an interpolation.
    intensity: how far to follow them, from 0 to 1.
    text: that the emotion was read in.
    recognized: what was read in it; None of an arc.
    to_recognized: what was read in the text of where to end.
    sections: of an arc.
    lines: what was recognized, or what words were taken for, to be printed.
  """

  emotion: catalogue.Emotion | None
  to_emotion: catalogue.Emotion | None
  intensity: float
  text: str | None = None
  recognized: recognition.Recognition | None = None
  to_recognized: recognition.Recognition | None = None
  sections: Sequence[arcs.Section] = ()
  lines: Sequence[str] = ()

  @property
  def emotions(self) -> list[catalogue.Emotion]:
    """All that melodies are to follow."""
    if self.sections:
      return [section.emotion for section in self.sections]
    return [e for e in (self.emotion, self.to_emotion) if e]

  def record(self) -> dict[str, Any]:
    """What is wanted as plain values for a JSON."""
    found = self.recognized
    return {
      'emotion': self.emotion and dataclasses.asdict(self.emotion),
      'to_emotion': self.to_emotion and dataclasses.asdict(self.to_emotion),
      'intensity': self.intensity,
      'text': self.text,
      'recognized': found and dataclasses.asdict(found),
      'to_recognized': (
        self.to_recognized and dataclasses.asdict(self.to_recognized)
      ),
      'described': list(self.lines),
      'sections': [section.record() for section in self.sections],
    }


def wanted() -> Wanted:
  """What the flags ask for.

  Raises:
    UserError: a text without a feeling, an unknown name, or nothing that is
      named; names the flag.
  """
  known = catalogue.load(FLAGS.emotions_file)
  text, flag = _text()
  if FLAGS.arc and text is None:
    raise UserError('arc', messages.say('goes with --text or --text_file'))
  to_emotion, to_recognized, lines = None, None, []
  if FLAGS.to_emotion:
    to_emotion = catalogue.parse(FLAGS.to_emotion, known)
    lines = catalogue.readings(FLAGS.to_emotion, known)
  elif FLAGS.to_text is not None:
    to_emotion, to_recognized = readings.from_text(
      FLAGS.to_text, known, 'to_text'
    )
    lines = [recognition.describe(to_recognized)]
  intensity = FLAGS.intensity
  if to_recognized:
    intensity *= to_recognized.intensity
  if text is None:
    emotion, own = _emotion(known)
    return Wanted(
      emotion,
      to_emotion,
      intensity,
      to_recognized=to_recognized,
      lines=own + lines,
    )
  if FLAGS.arc:
    sections = [
      section._replace(emotion=_adjusted(section.emotion))
      for section in arcs.from_text(text, known, flag)
    ]
    return Wanted(
      None,
      None,
      intensity,
      text,
      sections=sections,
      lines=[section.described() for section in sections],
    )
  emotion, recognized = readings.from_text(text, known, flag)
  return Wanted(
    _adjusted(emotion),
    to_emotion,
    # Of two texts, an interpolation goes as far as the fainter one.
    min(FLAGS.intensity * recognized.intensity, intensity),
    text,
    recognized,
    to_recognized,
    lines=[recognition.describe(recognized), *lines],
  )


def _text() -> tuple[str | None, str]:
  """What --text or --text_file says, or None; and which of them it is."""
  given = [
    flag
    for flag in ('emotion', 'text', 'text_file', 'valence')
    if FLAGS[flag].value is not None
  ]
  if len(given) > 1:
    raise UserError(
      given[1], messages.say('leave out --{other}, or it', other=given[0])
    )
  if (FLAGS.valence is None) != (FLAGS.arousal is None):
    missing = 'arousal' if FLAGS.arousal is None else 'valence'
    raise UserError(
      missing, messages.say('give both, as in --valence=-0.4 --arousal=0.7')
    )
  if FLAGS.text_file is None:
    return FLAGS.text, 'text'
  try:
    with open(FLAGS.text_file, encoding='utf-8-sig') as f:
      return f.read(recognition.MAX_CHARACTERS), 'text_file'
  except OSError as e:
    raise refusals.unreadable('text_file', FLAGS.text_file, e) from None
  except UnicodeDecodeError:
    raise UserError(
      'text_file',
      messages.say('{path!r} is not UTF-8', path=FLAGS.text_file),
      messages.say('save it as UTF-8'),
    ) from None


def _emotion(
  known: Sequence[catalogue.Emotion],
) -> tuple[catalogue.Emotion | None, list[str]]:
  """What --emotion, --valence and --target ask for, and what words mean."""
  if not FLAGS.emotion and not FLAGS.target and FLAGS.valence is None:
    if FLAGS.input_midi and FLAGS.mode != 'sample':
      return None, []
    raise UserError(
      'emotion',
      messages.say('name one, as in --emotion=peaceful'),
      messages.say('--list_emotions lists them'),
    )
  emotion = catalogue.Emotion(name='target', alias='target')
  lines = []
  if FLAGS.emotion:
    emotion = catalogue.parse(FLAGS.emotion, known)
    lines = catalogue.readings(FLAGS.emotion, known)
  if FLAGS.valence is not None:
    emotion = readings.from_place(FLAGS.valence, FLAGS.arousal, known)
  return _adjusted(emotion), lines


def _adjusted(emotion: catalogue.Emotion) -> catalogue.Emotion:
  """An emotion with the targets, tempo and instrument that flags ask for."""
  if FLAGS.time_signature is not None:
    emotion = catalogue.in_metre(emotion, FLAGS.time_signature)
  if FLAGS.target:
    emotion = targets.replaced(emotion, FLAGS.target)
  if FLAGS.chords not in ('own', 'emotion') and not FLAGS.input_midi:
    emotion = dataclasses.replace(emotion, chords=FLAGS.chords)
  if FLAGS.qpm is not None:
    ranges.QPM.check('qpm', FLAGS.qpm)
    emotion = dataclasses.replace(emotion, qpm=FLAGS.qpm)
  if FLAGS.program is not None:
    ranges.PROGRAM.check('program', FLAGS.program)
    emotion = dataclasses.replace(emotion, program=FLAGS.program)
  return emotion
