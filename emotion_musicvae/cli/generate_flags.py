"""The flags of emotion_musicvae_generate, and which go together."""

from absl import flags

from emotion_musicvae.cli import playing_flags
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.files import readers
from emotion_musicvae.support import messages
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

FLAGS = flags.FLAGS

# What is defined here belongs to the command that asks for it.
flags.disclaim_key_flags()


def define() -> None:
  """Defines them, but for those of every command."""
  playing_flags.define()
  shared_flags.define(*shared_flags.MODEL, 'emotions_file')
  flags.DEFINE_string(
    'emotion',
    None,
    'Emotion, in Korean or English, or a word for a feeling, or a blend: '
    'peaceful:0.7,mysterious:0.3. --list_emotions lists them.',
  )
  flags.DEFINE_string(
    'text',
    None,
    'What you feel, in your own words, Korean or English, in place of '
    '--emotion. '
    'How strongly multiplies --intensity.',
  )
  flags.DEFINE_bool(
    'arc',
    False,
    'A melody of several sections, one for each part of --text or --text_file '
    'that feels otherwise.',
  )
  flags.DEFINE_string(
    'text_file',
    None,
    'A text file in UTF-8 to take the emotion from, as --text.',
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
    'onsets_per_bar=6,chords=C Am F G; also mode and qpm, and what can be '
    'measured: syncopation=0.3,form=AABA,range=12; =emotion takes what suits '
    'the emotion.',
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
    'to_text', None, 'Where --mode=interpolate ends, as --text.'
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
    'keep',
    0.7,
    'How much of --input_midi stays, from 0 (the targets above all) to 1.',
  )
  flags.DEFINE_string(
    'chords',
    'own',
    'Chords under --input_midi: own, found from it and turned to the mode of '
    'the emotion; emotion, those of the emotion in its key; or a progression '
    'as C Am F G, which goes without --input_midi, too.',
  )
  flags.DEFINE_string(
    'time_signature',
    None,
    'Metre to compose in, as 3/4 or 6/8; --input_midi keeps its own.',
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
    'Number of gradient steps by which each latent vector is retrained by '
    'itself '
    'through the decoder, once the actor has moved it; 40 take some ten '
    'seconds.',
  )
  flags.DEFINE_integer(
    'max_batch_size', 16, 'Melodies that are decoded at once.'
  )
  flags.DEFINE_integer(
    'seed',
    None,
    'Same seed, same melodies. Drawn and written down if not given.',
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


def check() -> None:
  """Refuses flags that do not go together, and files that are no music.

  Raises:
    UserError: names the flag and what would do.
  """
  modes = ('sample', 'interpolate', 'variations')
  if FLAGS.mode not in modes:
    raise refusals.unknown('mode', FLAGS.mode, modes)
  for flag, given, mode in (
    ('arc', FLAGS.arc, 'sample'),
    ('to_emotion', FLAGS.to_emotion, 'interpolate'),
    ('to_text', FLAGS.to_text, 'interpolate'),
    ('input_midi_2', FLAGS.input_midi_2, 'interpolate'),
    ('distance', FLAGS['distance'].present, 'variations'),
    ('reject_misses', FLAGS.reject_misses, 'sample'),
    ('updates', FLAGS.updates, 'sample'),
    ('keep', FLAGS['keep'].present, 'sample'),
    ('chords', FLAGS['chords'].present, 'sample'),
  ):
    if given and FLAGS.mode != mode:
      raise UserError(flag, messages.say('goes with --mode={mode}', mode=mode))
  for flag, given in (
    ('start_bar', FLAGS.start_bar is not None),
    ('track', FLAGS.track is not None),
    ('keep', FLAGS['keep'].present),
    ('chords=emotion', FLAGS.chords == 'emotion'),
    ('mode=variations', FLAGS.mode == 'variations'),
  ):
    if given and not FLAGS.input_midi:
      raise UserError(flag, messages.say('name your melody with --input_midi'))
  for flag, other in (
    ('arc', 'input_midi'),
    ('time_signature', 'input_midi'),
    ('to_text', 'to_emotion'),
  ):
    if FLAGS[flag].value and FLAGS[other].value:
      raise UserError(
        flag, messages.say('leave out --{other}, or it', other=other)
      )
  if FLAGS.mode == 'interpolate':
    if not (FLAGS.to_emotion or FLAGS.to_text or FLAGS.input_midi_2):
      raise UserError(
        'mode=interpolate',
        messages.say('name where to end, with --to_emotion or --input_midi_2'),
      )
    ranges.INTERPOLATED_OUTPUTS.check('num_outputs', FLAGS.num_outputs)
  for flag in ('input_midi', 'input_midi_2'):
    path = FLAGS[flag].value
    if path is not None:
      readers.check_file(path, flag)
