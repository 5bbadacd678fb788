"""Measures labelled music and writes references for emotion_musicvae_generate.

emotion_musicvae_calibrate --input_dir=labelled/ --output_file=mine.yaml
emotion_musicvae_generate --emotions_file=mine.yaml --emotion=…
"""

from collections.abc import Callable
from collections.abc import Sequence
import os
import tempfile

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.emotions import labels
from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

FLAGS = flags.FLAGS

shared_flags.define()
flags.DEFINE_string(
  'input_dir',
  None,
  'Folder of music: one folder per label, or names as EMOPIA has them '
  '(Q1_….mid). With --labels_file, where its paths start.',
)
flags.DEFINE_string(
  'labels_file',
  None,
  'CSV of path and label, or of path, valence and arousal.',
)
flags.DEFINE_list(
  'valence_arousal_scale', '-1,1', 'Ends of the scale of valence and arousal.'
)
flags.DEFINE_string(
  'output_file',
  None,
  'YAML file for the references. A report (.md) and a picture (.png) of the '
  'same name go beside it.',
)
flags.DEFINE_integer(
  'min_melodies', 10, 'Labels with fewer melodies are marked as weak.'
)

_SHOWN = 10  # pieces that are left out are named on the screen up to so many


def main() -> None:
  """Runs the command as its flags say."""
  ranges.MIN_MELODIES.check('min_melodies', FLAGS.min_melodies)
  command.set_log(FLAGS.log)
  outputs = _outputs(FLAGS.output_file)
  if FLAGS.labels_file:
    found = labels.from_csv(FLAGS.labels_file, FLAGS.input_dir, _scale())
  elif FLAGS.input_dir:
    found = labels.from_folders(FLAGS.input_dir)
  else:
    raise UserError(
      'input_dir', messages.say('name a folder of labelled music')
    )

  quiet.load_tensorflow()

  import tqdm

  from emotion_musicvae.emotions import calibration
  from emotion_musicvae.emotions import calibration_report
  from emotion_musicvae.evaluation import figures
  from emotion_musicvae.pretraining import corpus

  references, refusals = calibration.calibrate(found.files, tqdm.tqdm)
  refusals = found.refusals + refusals
  for refusal in refusals[:_SHOWN]:
    reason = messages.say(refusal.reason)
    print(f'{refusal.name}: {reason} {refusal.detail}'.strip())
  if len(refusals) > _SHOWN:
    print(
      messages.say(
        '… and {value} more, named in the report', value=len(refusals) - _SHOWN
      )
    )
  for note in found.notes:
    print(note)
  counted = corpus.counted([refusal.reason for refusal in refusals])
  if not references:
    raise UserError(
      'input_dir',
      messages.say('no label has a melody: {counted}', counted=counted),
    )
  few = [r.emotion.name for r in references if r.melodies < FLAGS.min_melodies]
  if few:
    print(
      messages.say(
        'Fewer than {min_melodies} melodies, little to go by: {names}',
        min_melodies=FLAGS.min_melodies,
        names=', '.join(few),
      )
    )
  report = calibration_report.report(
    references, refusals, found.notes, FLAGS.min_melodies
  )
  text = calibration_report.yaml_text(references, FLAGS.min_melodies)

  def draw(path: str) -> None:
    figures.pitch_against_density(path, references)

  _write(outputs, (draw, report, text))
  print(
    messages.say(
      '{pieces} pieces of {labels} labels measured; left out: {reasons}.',
      pieces=sum(r.pieces for r in references),
      labels=len(references),
      reasons=counted or messages.say('none'),
    )
  )
  for path in outputs:
    print(path)


def _scale() -> tuple[float, float]:
  try:
    low, high = map(float, FLAGS.valence_arousal_scale)
  except ValueError:
    low = high = 0.0
  if not low < high:
    raise UserError(
      'valence_arousal_scale',
      messages.say('expected two numbers, as in -1,1 or 1,9'),
    )
  return low, high


def _outputs(output_file: str | None) -> tuple[str, str, str]:
  """Paths of picture, report and references; refuses what exists."""
  if not output_file or not output_file.endswith(('.yaml', '.yml')):
    raise UserError(
      'output_file', messages.say('name a file that ends in .yaml')
    )
  stem = os.path.splitext(output_file)[0]
  paths = (stem + '.png', stem + '.md', output_file)
  folder = _folder(output_file)
  try:
    with tempfile.TemporaryFile(dir=folder):
      pass
    atomic.recover(folder)
  except OSError as e:
    raise refusals.unwritable('output_file', folder, e) from None
  for path in paths:
    if os.path.lexists(path):
      raise UserError(
        'output_file',
        messages.say('{path!r} exists', path=path),
        messages.say('name another'),
      )
  return paths


def _folder(path: str) -> str:
  return os.path.dirname(path) or '.'


def _write(
  paths: Sequence[str], contents: Sequence[str | Callable[[str], None]]
) -> None:
  """Writes all files or none; the references come last."""
  folder = _folder(paths[-1])
  stem = os.path.splitext(os.path.basename(paths[-1]))[0]
  try:
    with atomic.write_atomically(folder, stem) as parts:
      for path, content in zip(paths, contents):
        part = os.path.join(parts, os.path.basename(path))
        if callable(content):
          content(part)
        else:
          # A file's name may be in no encoding at all.
          with open(
            part, 'w', encoding='utf-8', errors='backslashreplace'
          ) as f:
            f.write(content)
  except OSError as e:
    raise refusals.unwritten('output_file', paths[-1], e) from None


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
