"""Composes melodies that follow an emotion: MIDI, audio, score, page.

emotion_musicvae_generate --emotion=peaceful
"""

import dataclasses
import secrets
import sys

from absl import flags

from emotion_musicvae import configuration
from emotion_musicvae import emotions
from emotion_musicvae import outputs
from emotion_musicvae import scripts
from emotion_musicvae.configuration import UserError

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'emotion',
  None,
  'Emotion, in Korean or English, or a blend: peaceful:0.7,mysterious:0.3. '
  '--list_emotions lists them.',
)
flags.DEFINE_string(
  'emotions_file',
  None,
  'YAML file of your own emotions, laid out as configs/emotions.yaml.',
)
flags.DEFINE_string(
  'target',
  None,
  'Targets over those of the emotion, or alone: mean_pitch=70,'
  'onsets_per_bar=6,chords=C Am F G; also mode and qpm.',
)
flags.DEFINE_bool('list_emotions', False, 'List the emotions and stop.')
flags.declare_key_flag('cache_dir')
flags.DEFINE_string(
  'config', 'hierdec-mel_16bar_lite', 'Name of the model configuration.'
)
flags.DEFINE_string(
  'checkpoint_file',
  None,
  'Checkpoint of the base model: a .tar, a .ckpt prefix or one of its files. '
  'The bundled one if neither this nor --run_dir is given.',
)
flags.DEFINE_string(
  'run_dir', None, 'Folder of a training run to take the checkpoint from.'
)
flags.DEFINE_string(
  'actor_dir',
  None,
  'Run folder of emotion_musicvae_train to take the actor from, not the '
  'one that belongs to the checkpoint.',
)
flags.DEFINE_integer('num_outputs', 3, 'How many melodies.')
flags.DEFINE_float(
  'temperature', 0.5, 'Softmax temperature; lower is plainer, higher wilder.'
)
flags.DEFINE_float(
  'intensity', 1.0, 'How far to follow the emotion, 0 (not at all) to 1.'
)
flags.DEFINE_integer(
  'updates',
  0,
  'How often each latent vector is retrained by itself through the decoder, '
  'once the actor has moved it: 40 come nearer to the targets and vary more, '
  'and take some ten seconds.',
)
flags.DEFINE_integer('max_batch_size', 8, 'Melodies that are sung at once.')
flags.DEFINE_integer(
  'seed', None, 'Same seed, same melodies. Drawn and written down if not given.'
)
flags.DEFINE_string('output_dir', 'out', 'Folder for the files.')
flags.DEFINE_list(
  'output_formats',
  ['mid'],
  'What to write: mid, wav (audio), png (piano roll), musicxml (sheet music), '
  'html (one page that plays them all).',
)
flags.DEFINE_string(
  'accompaniment',
  'none',
  'chords: a second track holds the chords that the melody follows; none: the '
  'melody alone.',
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
flags.DEFINE_string(
  'log', 'ERROR', 'What to log: DEBUG, INFO, WARN, ERROR or FATAL.'
)


def main():
  if FLAGS.list_emotions:
    if FLAGS.emotion:
      raise UserError('--emotion and --list_emotions: give one of them')
    print_emotions()
    return
  emotion = wanted_emotion()
  scripts.check_range('num_outputs', FLAGS.num_outputs, 1, 100_000)
  scripts.check_range('intensity', FLAGS.intensity, 0.0, 1.0)
  scripts.check_range('updates', FLAGS.updates, 0, 1000)
  scripts.check_range('max_batch_size', FLAGS.max_batch_size, 1, 1024)
  scripts.check_range('temperature', FLAGS.temperature, 0.01, 10.0)
  seed = secrets.randbelow(2**31) if FLAGS.seed is None else FLAGS.seed
  scripts.check_range('seed', seed, 0, 2**63 - 1)
  outputs.check_formats(FLAGS.output_formats)
  if FLAGS.accompaniment not in ('chords', 'none'):
    raise UserError(
      f'--accompaniment: expected chords or none, got {FLAGS.accompaniment!r}'
    )
  scripts.set_log(FLAGS.log)
  configuration.load_model_config(FLAGS.config)
  overrides = configuration.parse_settings(FLAGS.hparams)

  from emotion_musicvae import harmony

  try:
    harmony.chord_tones(emotion.chords)
  except ValueError as e:
    where = '--target' if FLAGS.target else '--emotions_file'
    raise UserError(f'{where}: {emotion.name}: {e}') from None
  outputs.check_directory(FLAGS.output_dir)

  scripts.load_tensorflow()

  import tqdm

  from emotion_musicvae import actor_critic
  from emotion_musicvae import arrangement
  from emotion_musicvae import generation
  from emotion_musicvae import musicvae

  model = generation.EmotionMusicVAE.from_pretrained(
    FLAGS.config,
    FLAGS.checkpoint_file,
    FLAGS.run_dir,
    min(FLAGS.max_batch_size, FLAGS.num_outputs),
    FLAGS.actor_dir,
    overrides,
    tqdm.tqdm,
  )
  beyond = actor_critic.beyond_training(emotion)
  if beyond:
    print(f'Warning: {beyond}.', file=sys.stderr)
  melodies = model.generate(
    emotion,
    FLAGS.num_outputs,
    FLAGS.temperature,
    seed,
    FLAGS.intensity,
    FLAGS.updates,
    tqdm.tqdm,
  )
  if FLAGS.accompaniment == 'chords':
    melodies = [
      dataclasses.replace(
        m, note_sequence=arrangement.accompanied(m.note_sequence)
      )
      for m in melodies
    ]
  paths, others = outputs.write_run(
    FLAGS.output_dir,
    FLAGS.config,
    emotions.spelled(emotion, FLAGS.emotion or ''),
    melodies,
    {
      'emotion': dataclasses.asdict(emotion),
      'seed': seed,
      'temperature': FLAGS.temperature,
      'intensity': FLAGS.intensity,
      'updates': FLAGS.updates,
      'accompaniment': FLAGS.accompaniment,
      'model': model.description(),
      'versions': musicvae.versions(),
    },
    FLAGS.output_formats,
  )
  for i, (files, melody) in enumerate(zip(paths, melodies)):
    m = melody.measured
    first, *rest = files or [f'melody {i + 1}']
    print(
      f'{first}  mean pitch {m["mean_pitch"]:.1f} ({emotion.mean_pitch}), '
      f'onsets a bar {m["onsets_per_bar"]:.1f} ({emotion.onsets_per_bar}), '
      f'chord tones {m["chord_tone_rate"]:.0%}'
    )
    for path in rest:
      print(path)
  *pages, record = others
  for page in pages:
    print(f'{page}  opens in a browser, plays and shows them all')
  print(f'{record}  what was asked for and what each melody measures')


def wanted_emotion():
  """The emotion that --emotion, --emotions_file and --target ask for."""
  if not FLAGS.emotion and not FLAGS.target:
    raise UserError(
      '--emotion: name one, as in --emotion=peaceful; --list_emotions lists '
      'them'
    )
  known = emotions.load(FLAGS.emotions_file)
  emotion = emotions.Emotion(name='target', alias='target')
  if FLAGS.emotion:
    emotion = emotions.parse(FLAGS.emotion, known)
  if FLAGS.target:
    emotion = emotions.with_targets(emotion, FLAGS.target)
  if FLAGS.qpm is not None:
    scripts.check_range('qpm', FLAGS.qpm, 10.0, 400.0)
    emotion = dataclasses.replace(emotion, qpm=FLAGS.qpm)
  if FLAGS.program is not None:
    scripts.check_range('program', FLAGS.program, 0, 127)
    emotion = dataclasses.replace(emotion, program=FLAGS.program)
  return emotion


def print_emotions():
  """A table of the emotions and what each stands for."""
  print('name  alias        mean pitch  onsets a bar  mode   qpm  chords')
  for e in emotions.load(FLAGS.emotions_file):
    print(
      f'{e.name}\t{e.alias:12} {e.mean_pitch:10} {e.onsets_per_bar:13}  '
      f'{e.mode:5} {e.qpm:5g}  {e.chords}'
    )


def console_entry_point():
  scripts.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
