"""Composes melodies that follow an emotion, or moves your own.

MIDI, audio, sheet music, pictures and a page that plays them:

emotion_musicvae_generate --emotion=peaceful
"""

import collections
import dataclasses
import secrets
import sys
from typing import TYPE_CHECKING

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import playing_flags
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import recognition
from emotion_musicvae.files import readers
from emotion_musicvae.files import writers
from emotion_musicvae.support import configuration
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from emotion_musicvae import api
  from emotion_musicvae.files import songs

FLAGS = flags.FLAGS

playing_flags.define()
shared_flags.define(
  'actor_dir', 'checkpoint_file', 'config', 'emotions_file', 'run_dir'
)
flags.DEFINE_string(
  'emotion',
  None,
  'Emotion, in Korean or English, or a word for a feeling, or a blend: '
  'peaceful:0.7,mysterious:0.3. --list_emotions lists them.',
)
flags.DEFINE_string(
  'text',
  None,
  'What you feel, in your own words, Korean or English, in place of --emotion. '
  'How strongly multiplies --intensity.',
)
flags.DEFINE_string(
  'text_file', None, 'A text file in UTF-8 to take the emotion from, as --text.'
)
flags.DEFINE_float(
  'valence',
  None,
  'How pleasant, from -1 to 1, in place of --emotion; goes with --arousal.',
)
flags.DEFINE_float(
  'arousal', None, 'How stirred, from -1 to 1; goes with --valence.'
)
flags.DEFINE_string(
  'target',
  None,
  'Targets over those of the emotion, or alone: mean_pitch=70,'
  'onsets_per_bar=6,chords=C Am F G; also mode, qpm and cadence=false.',
)
flags.DEFINE_string(
  'mode',
  'sample',
  'sample: melodies of the emotion, or yours moved to it; interpolate: steps '
  'from --emotion to --to_emotion, or from --input_midi to --input_midi_2; '
  'variations: melodies near --input_midi.',
)
flags.DEFINE_string(
  'to_emotion', None, 'Where --mode=interpolate ends, as --emotion.'
)
flags.DEFINE_string(
  'input_midi',
  None,
  'Your own melody to begin with: a MIDI, MusicXML or ABC file.',
)
flags.DEFINE_alias('input_midi_1', 'input_midi')
flags.DEFINE_string(
  'input_midi_2', None, 'Your own melody that --mode=interpolate ends with.'
)
flags.DEFINE_integer(
  'start_bar', None, 'First bar of --input_midi to take; all if not given.'
)
flags.DEFINE_integer(
  'track',
  None,
  'Which track of --input_midi has the melody, should another be found.',
)
flags.DEFINE_float(
  'distance',
  0.15,
  'How far --mode=variations goes, from 0 (the melody) to 1 (any melody).',
)
flags.DEFINE_bool(
  'reject_misses',
  False,
  'Draw until every melody meets its targets, 64 times as many at most.',
)
flags.DEFINE_bool('list_emotions', False, 'List the emotions and stop.')
flags.DEFINE_integer('num_outputs', 3, 'How many melodies.')
flags.DEFINE_float(
  'temperature', 0.5, 'Softmax temperature; lower is plainer, higher wilder.'
)
flags.DEFINE_float(
  'intensity', 1.0, 'How far to follow the emotion, 0 (not at all) to 1.'
)
flags.DEFINE_float(
  'guidance',
  1.0,
  'How strongly the decoder is guided to the targets, 0 (not at all) to 1.',
)
flags.DEFINE_integer(
  'updates',
  0,
  'Number of gradient steps by which each latent vector is retrained by itself '
  'through the decoder, once the actor has moved it; 40 take some ten seconds.',
)
flags.DEFINE_integer('max_batch_size', 8, 'Melodies that are decoded at once.')
flags.DEFINE_integer(
  'seed', None, 'Same seed, same melodies. Drawn and written down if not given.'
)
flags.DEFINE_string('output_dir', 'out', 'Folder for the files.')
flags.DEFINE_list(
  'output_formats',
  ['mid'],
  'What to write: mid; wav, flac, mp3, ogg (audio); png, dark.png, print.png '
  '(piano roll, on white, on black and without colours); musicxml, mxl, abc '
  '(sheet music); html (one page that plays them all).',
)
flags.DEFINE_float(
  'qpm', None, "Quarter notes a minute, in place of the emotion's."
)
flags.DEFINE_integer(
  'program',
  None,
  "Instrument, General MIDI counted from 0, in place of the emotion's.",
)
flags.DEFINE_string(
  'hparams', '', 'Settings of the actor-critic, should it have to be trained.'
)


def main() -> None:
  """Runs the command as its flags say."""
  if FLAGS.list_emotions:
    if FLAGS.emotion:
      raise UserError('emotion', 'give one of them, this or --list_emotions')
    print_emotions()
    return
  check_mode()
  text, recognized, intensity = wanted_text(), None, FLAGS.intensity
  emotion: catalogue.Emotion | None
  if text is not None:
    known = catalogue.load(FLAGS.emotions_file)
    flag = 'text' if FLAGS.text is not None else 'text_file'
    named, recognized = catalogue.from_text(text, known, flag)
    emotion = adjusted(named)
    intensity *= recognized.intensity
  else:
    emotion = wanted_emotion()
  to_emotion = None
  if FLAGS.to_emotion:
    known = catalogue.load(FLAGS.emotions_file)
    to_emotion = catalogue.parse(FLAGS.to_emotion, known)
    for line in catalogue.readings(FLAGS.to_emotion, known):
      print(line)
  ranges.NUM_OUTPUTS.check('num_outputs', FLAGS.num_outputs)
  ranges.INTENSITY.check('intensity', FLAGS.intensity)
  ranges.GUIDANCE.check('guidance', FLAGS.guidance)
  ranges.UPDATES.check('updates', FLAGS.updates)
  ranges.BATCH_SIZE.check('max_batch_size', FLAGS.max_batch_size)
  ranges.TEMPERATURE.check('temperature', FLAGS.temperature)
  ranges.DISTANCE.check('distance', FLAGS.distance)
  seed = secrets.randbelow(2**31) if FLAGS.seed is None else FLAGS.seed
  ranges.SEED.check('seed', seed)
  writers.check_formats(FLAGS.output_formats)
  asked_playing = playing_flags.asked(text or '')
  command.set_log(FLAGS.log)
  overrides = configuration.parse_settings(FLAGS.hparams)
  # Refuses what it does not know.
  configuration.load_learner(FLAGS.config, overrides)

  from emotion_musicvae.music import harmony

  asked = [e for e in (emotion, to_emotion) if e]
  for e in asked:
    try:
      harmony.chord_tones(e.chords)
    except ValueError as error:
      argument = 'target' if FLAGS.target else 'emotions_file'
      raise UserError(argument, f'{e.name}: {error}') from None
  writers.check_directory(FLAGS.output_dir)
  if recognized:
    print(recognition.describe(recognized))

  quiet.load_tensorflow()

  import tqdm

  from emotion_musicvae import api
  from emotion_musicvae.files import songs
  from emotion_musicvae.musicvae import stock
  from emotion_musicvae.steering import actors

  song, to_song = (
    path and songs.load_song(path, track=track, argument=flag)
    for path, track, flag in (
      (FLAGS.input_midi, FLAGS.track, 'input_midi'),
      (FLAGS.input_midi_2, None, 'input_midi_2'),
    )
  )
  inputs = [s for s in (song, to_song) if s]
  rows = FLAGS.num_outputs
  if FLAGS.reject_misses:
    rows *= api.DRAWS_PER_OUTPUT
  for s in inputs:
    rows *= len(s.windows(FLAGS.start_bar)[0])
    print(s.report)
  model = api.EmotionMusicVAE.from_pretrained(
    FLAGS.config,
    FLAGS.checkpoint_file,
    FLAGS.run_dir,
    min(FLAGS.max_batch_size, rows),
    FLAGS.actor_dir,
    overrides,
    tqdm.tqdm,
    train_actor=True,
  )
  for e in asked:
    beyond = actors.beyond_training(e)
    if beyond:
      print(f'Warning: {beyond}.', file=sys.stderr)
  melodies = compose(model, emotion, to_emotion, song, to_song, seed, intensity)
  how = dataclasses.asdict(asked_playing)
  melodies = [m.played(**how) for m in melodies]
  names = [
    catalogue.spelled(m.emotion, typed or '')
    for m, typed in (
      (melodies[0], FLAGS.emotion),
      (melodies[-1], FLAGS.to_emotion),
    )
  ]
  paths, others = writers.write_run(
    FLAGS.output_dir,
    FLAGS.config,
    '-'.join(names if FLAGS.mode == 'interpolate' else names[:1]),
    melodies,
    {
      'mode': FLAGS.mode,
      'emotion': emotion and dataclasses.asdict(emotion),
      'to_emotion': to_emotion and dataclasses.asdict(to_emotion),
      'inputs': [s.report for s in inputs],
      'start_bar': FLAGS.start_bar,
      'seed': seed,
      'temperature': FLAGS.temperature,
      'intensity': intensity,
      'guidance': FLAGS.guidance,
      'text': text,
      'recognized': recognized and dataclasses.asdict(recognized),
      'updates': FLAGS.updates,
      'playing': how,
      'distance': FLAGS.distance,
      'reject_misses': FLAGS.reject_misses,
      'model': model.description(),
      'versions': stock.versions(),
    },
    FLAGS.output_formats,
  )
  for i, (files, melody) in enumerate(zip(paths, melodies)):
    first, *rest = files or [f'melody {i + 1}']
    m, asked_for = melody.measured, melody.reference
    print(
      f'{first}  mean pitch {m["mean_pitch"]:.1f} '
      f'({asked_for["mean_pitch"]:.1f}), onsets a bar '
      f'{m["onsets_per_bar"]:.1f} ({asked_for["onsets_per_bar"]:.1f})'
      + (f', chord tones {m["chord_tone_rate"]:.0%}' if asked else '')
    )
    for path in rest:
      print(path)
  *pages, record = others
  for page in pages:
    print(f'{page}  opens in a browser, plays and shows them all')
  print(f'{record}  what was asked for and what each melody measures')


def wanted_text() -> str | None:
  """What --text or --text_file says; None where neither is given."""
  given = [
    flag
    for flag in ('emotion', 'text', 'text_file', 'valence')
    if FLAGS[flag].value is not None
  ]
  if len(given) > 1:
    raise UserError(f'{given[1]}', f'leave out --{given[0]}, or it')
  if (FLAGS.valence is None) != (FLAGS.arousal is None):
    missing = 'arousal' if FLAGS.arousal is None else 'valence'
    raise UserError(missing, 'give both, as in --valence=-0.4 --arousal=0.7')
  if FLAGS.text_file is None:
    return FLAGS.text
  try:
    with open(FLAGS.text_file, encoding='utf-8-sig') as f:
      return f.read(recognition.MAX_CHARACTERS)
  except OSError as e:
    raise UserError(
      'text_file', f'{FLAGS.text_file!r} cannot be read ({e.strerror})'
    ) from None
  except UnicodeDecodeError:
    raise UserError(
      'text_file', f'{FLAGS.text_file!r} is not UTF-8', 'save it as UTF-8'
    ) from None


def wanted_emotion() -> catalogue.Emotion | None:
  """The emotion that --emotion, --valence and --target ask for.

  None where melodies can do without, as they are near or between yours.
  """
  if not FLAGS.emotion and not FLAGS.target and FLAGS.valence is None:
    if FLAGS.input_midi and FLAGS.mode != 'sample':
      return None
    raise UserError(
      'emotion',
      'name one, as in --emotion=peaceful',
      '--list_emotions lists them',
    )
  known = catalogue.load(FLAGS.emotions_file)
  emotion = catalogue.Emotion(name='target', alias='target')
  if FLAGS.emotion:
    emotion = catalogue.parse(FLAGS.emotion, known)
    for line in catalogue.readings(FLAGS.emotion, known):
      print(line)
  if FLAGS.valence is not None:
    emotion = catalogue.from_place(FLAGS.valence, FLAGS.arousal, known)
  return adjusted(emotion)


def adjusted(emotion: catalogue.Emotion) -> catalogue.Emotion:
  """An emotion with the targets, tempo and instrument that flags ask for."""
  if FLAGS.target:
    emotion = catalogue.with_targets(emotion, FLAGS.target)
  if FLAGS.qpm is not None:
    ranges.QPM.check('qpm', FLAGS.qpm)
    emotion = dataclasses.replace(emotion, qpm=FLAGS.qpm)
  if FLAGS.program is not None:
    ranges.PROGRAM.check('program', FLAGS.program)
    emotion = dataclasses.replace(emotion, program=FLAGS.program)
  return emotion


def check_mode() -> None:
  """Refuses flags that do not go together, and files that are no music.

  Raises:
    UserError: names the flag and what would do.
  """
  modes = ('sample', 'interpolate', 'variations')
  if FLAGS.mode not in modes:
    raise UserError(
      'mode', f'expected one of {", ".join(modes)}, got {FLAGS.mode!r}'
    )
  for flag, given, mode in (
    ('to_emotion', FLAGS.to_emotion, 'interpolate'),
    ('input_midi_2', FLAGS.input_midi_2, 'interpolate'),
    ('distance', FLAGS['distance'].present, 'variations'),
    ('reject_misses', FLAGS.reject_misses, 'sample'),
    ('updates', FLAGS.updates, 'sample'),
  ):
    if given and FLAGS.mode != mode:
      raise UserError(flag, f'goes with --mode={mode}')
  for flag, given in (
    ('start_bar', FLAGS.start_bar is not None),
    ('track', FLAGS.track is not None),
    ('mode=variations', FLAGS.mode == 'variations'),
  ):
    if given and not FLAGS.input_midi:
      raise UserError(flag, 'name your melody with --input_midi')
  if FLAGS.mode == 'interpolate':
    if not (FLAGS.to_emotion or FLAGS.input_midi_2):
      raise UserError(
        'mode=interpolate',
        'name where to end, with --to_emotion or --input_midi_2',
      )
    ranges.INTERPOLATED_OUTPUTS.check('num_outputs', FLAGS.num_outputs)
  for flag in ('input_midi', 'input_midi_2'):
    path = FLAGS[flag].value
    if path is not None:
      readers.check_file(path, flag)


def compose(
  model: 'api.EmotionMusicVAE',
  emotion: catalogue.Emotion | None,
  to_emotion: catalogue.Emotion | None,
  song: 'songs.Song | None',
  to_song: 'songs.Song | None',
  seed: int,
  intensity: float,
) -> 'list[api.Melody]':
  """The melodies that are asked for, as `api.Melody`."""
  n = FLAGS.num_outputs
  common = {
    'n': n,
    'temperature': FLAGS.temperature,
    'seed': seed,
    'intensity': intensity,
    'guidance': FLAGS.guidance,
  }
  bar = FLAGS.start_bar
  if FLAGS.mode == 'interpolate':
    return model.interpolate(
      emotion, to_emotion, song, to_song, start_bar=bar, **common
    )
  if FLAGS.mode == 'variations':
    return model.variations(
      song, distance=FLAGS.distance, emotion=emotion, start_bar=bar, **common
    )
  from tqdm import tqdm

  common |= {
    'updates': FLAGS.updates,
    'reject_misses': FLAGS.reject_misses,
    'progress': tqdm,
  }
  assert emotion is not None  # Only the other modes do without.
  if song:
    assert emotion is not None  # `wanted_emotion` lets none go by here.
    melodies = model.transform(song, emotion, start_bar=bar, **common)
  else:
    melodies = model.generate(emotion, **common)
  if FLAGS.reject_misses:
    print(summarize_misses(melodies))
  return melodies


def summarize_misses(melodies: 'list[api.Melody]') -> str:
  """One line on how many melodies were drawn, and what was not met."""
  from emotion_musicvae import api

  count = len(melodies)
  met = sum(not m.missed for m in melodies)
  if met == count:
    return (
      f'All {count} meet their targets, of {melodies[-1].number + 1} drawn.'
    )
  missed = collections.Counter(name for m in melodies for name in m.missed)
  told = [f'{name.replace("_", " ")} ({n})' for name, n in missed.items()]
  return (
    f'{met} of {count} meet their targets, of '
    f'{count * api.DRAWS_PER_OUTPUT} drawn; the others are the nearest. '
    f'Not met: {", ".join(told)}.'
  )


def print_emotions() -> None:
  """A table of the emotions and what each stands for."""
  print('name  alias        mean pitch  onsets a bar  mode   qpm  chords')
  for e in catalogue.load(FLAGS.emotions_file):
    print(
      f'{e.name}\t{e.alias:12} {e.mean_pitch:10} {e.onsets_per_bar:13}  '
      f'{e.mode:5} {e.qpm:5g}  {e.chords}'
    )


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
