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
from emotion_musicvae.cli import generate_flags
from emotion_musicvae.cli import playing_flags
from emotion_musicvae.cli import wanted as asking
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import spelling
from emotion_musicvae.emotions import targets
from emotion_musicvae.files import writers
from emotion_musicvae.support import caches
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own

if TYPE_CHECKING:
  from emotion_musicvae import api
  from emotion_musicvae.files import songs

FLAGS = flags.FLAGS

generate_flags.define()


def main() -> None:
  """Runs the command as its flags say."""
  if FLAGS.list_emotions:
    if FLAGS.emotion:
      raise UserError(
        'emotion', messages.say('give one of them, this or --list_emotions')
      )
    print_emotions()
    return
  generate_flags.check()
  if FLAGS.actor_dir:
    own.load_run(FLAGS.actor_dir)
  wanted = asking.wanted()
  ranges.NUM_OUTPUTS.check('num_outputs', FLAGS.num_outputs)
  ranges.INTENSITY.check('intensity', FLAGS.intensity)
  ranges.GUIDANCE.check('guidance', FLAGS.guidance)
  ranges.KEEP.check('keep', FLAGS.keep)
  ranges.UPDATES.check('updates', FLAGS.updates)
  ranges.BATCH_SIZE.check('max_batch_size', FLAGS.max_batch_size)
  ranges.TEMPERATURE.check('temperature', FLAGS.temperature)
  ranges.DISTANCE.check('distance', FLAGS.distance)
  seed = secrets.randbelow(2**31) if FLAGS.seed is None else FLAGS.seed
  ranges.SEED.check('seed', seed)
  writers.check_formats(FLAGS.output_formats)
  asked_playing = playing_flags.asked(wanted.text or '')
  command.set_log(FLAGS.log)
  overrides = configuration.parse_settings(FLAGS.hparams)
  # Refuses what it does not know.
  configuration.load_learner(FLAGS.config, overrides)

  from emotion_musicvae.music import harmony
  from emotion_musicvae.music import metres

  for e in wanted.emotions:
    try:
      harmony.chord_tones(e.chords, metre=metres.parse(e.time_signature))
    except ValueError as error:
      argument = 'target' if FLAGS.target else 'emotions_file'
      if FLAGS['chords'].present:
        argument = 'chords'
      raise UserError(argument, f'{e.name}: {error}') from None
  if FLAGS.chords not in ('own', 'emotion'):
    try:
      harmony.chord_tones(FLAGS.chords)
    except ValueError as error:
      raise UserError('chords', str(error)) from None
  writers.check_directory(FLAGS.output_dir)
  for line in wanted.lines:
    print(line)

  if FLAGS.updates:
    caches.keep_compiled()
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
  rows *= max(len(wanted.sections), 1)
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
    prior=FLAGS.prior,
  )
  for e in wanted.emotions:
    beyond = actors.beyond_training(e)
    if beyond:
      print(messages.say('Warning: {beyond}.', beyond=beyond), file=sys.stderr)
  melodies = compose(model, wanted, song, to_song, seed)
  how = dataclasses.asdict(asked_playing)
  melodies = [m.played(**how) for m in melodies]
  names = [
    spelling.for_files(m.emotion.name, m.emotion.alias, typed or '')
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
      **wanted.record(),
      'inputs': [s.report for s in inputs],
      'start_bar': FLAGS.start_bar,
      'seed': seed,
      'temperature': FLAGS.temperature,
      'guidance': FLAGS.guidance,
      'updates': FLAGS.updates,
      'playing': how,
      'distance': FLAGS.distance,
      'keep': FLAGS.keep,
      'chords': FLAGS.chords,
      'time_signature': melodies[0].emotion.time_signature,
      'reject_misses': FLAGS.reject_misses,
      'model': model.description(),
      'versions': stock.versions(),
    },
    FLAGS.output_formats,
  )
  for i, (files, melody) in enumerate(zip(paths, melodies)):
    first, *rest = files or [messages.say('melody {number}', number=i + 1)]
    print(f'{first}  {described(melody, bool(wanted.emotions))}')
    for line in conflicts(melody):
      print(line)
    for path in rest:
      print(path)
  *pages, record = others
  for page in pages:
    print(
      messages.say(
        '{page}  opens in a browser, plays and shows them all', page=page
      )
    )
  print(
    messages.say(
      '{record}  what was asked for and what each melody measures',
      record=record,
    )
  )


def described(melody: 'api.Melody', has_chords: bool) -> str:
  """What a melody measures beside what was asked for, on one line."""
  m, asked = melody.measured, melody.reference
  said = messages.say(
    'mean pitch {pitch:.1f} ({asked_pitch:.1f}), onsets a bar {onsets:.1f} '
    '({asked_onsets:.1f})',
    pitch=m['mean_pitch'],
    asked_pitch=asked['mean_pitch'],
    onsets=m['onsets_per_bar'],
    asked_onsets=asked['onsets_per_bar'],
  )
  if has_chords:
    said += messages.say(', chord tones {rate:.0%}', rate=m['chord_tone_rate'])
  for name in targets.further(melody.emotion):
    told = (
      value if isinstance(value, str) else f'{value:.2f}'
      for value in (m[name], asked[name])
    )
    said += ', {} {} ({})'.format(name.replace('_', ' '), *told)
  return said


def conflicts(melody: 'api.Melody') -> list[str]:
  """A line for each target that is not met, and what pulls against it."""
  return [
    messages.say(
      '  {name} is not met: {others} pull against it.',
      name=name.replace('_', ' '),
      others=', '.join(other.replace('_', ' ') for other in others),
    )
    for name, others in melody.against.items()
  ]


def compose(
  model: 'api.EmotionMusicVAE',
  wanted: asking.Wanted,
  song: 'songs.Song | None',
  to_song: 'songs.Song | None',
  seed: int,
) -> 'list[api.Melody]':
  """The melodies that are asked for, as `api.Melody`."""
  n, emotion, bar = FLAGS.num_outputs, wanted.emotion, FLAGS.start_bar
  common = {
    'n': n,
    'temperature': FLAGS.temperature,
    'seed': seed,
    'intensity': wanted.intensity,
    'guidance': FLAGS.guidance,
  }
  if FLAGS.mode == 'interpolate':
    return model.interpolate(
      emotion, wanted.to_emotion, song, to_song, start_bar=bar, **common
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
  if wanted.sections:
    melodies = model.generate(arc=wanted.sections, **common)
  elif song:
    assert emotion is not None  # Only the other modes do without.
    melodies = model.transform(
      song,
      emotion,
      start_bar=bar,
      keep=FLAGS.keep,
      chords=FLAGS.chords,
      **common,
    )
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
    return messages.say(
      'All {count} meet their targets, of {drawn} drawn.',
      count=count,
      drawn=melodies[-1].number + 1,
    )
  missed = collections.Counter(name for m in melodies for name in m.missed)
  told = [f'{name.replace("_", " ")} ({n})' for name, n in missed.items()]
  return messages.say(
    '{met} of {count} meet their targets, of {drawn} drawn; the others are the '
    'nearest. Not met: {names}.',
    met=met,
    count=count,
    drawn=count * api.DRAWS_PER_OUTPUT,
    names=', '.join(told),
  )


def print_emotions() -> None:
  """A table of the emotions and what each stands for."""
  print(
    messages.say(
      'name  alias        mean pitch  onsets a bar  mode   qpm  chords'
    )
  )
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
