"""Composes melodies by the thousand, from a file of requests.

emotion_musicvae_batch --requests=requests.jsonl --output_dir=catalogue
emotion_musicvae_batch --emotions=all --num_outputs=1000 --output_dir=data

A request is a JSON object on a line of its own, or a row of a CSV:
  {"emotion": "peaceful", "num_outputs": 20, "seed": 7, "temperature": 0.5}
  {"mean_pitch": 70, "onsets_per_bar": 6, "chords": "C Am F G"}
  {"emotion": "lively", "output_formats": ["mid", "wav", "png", "musicxml"]}
  {"emotion": "gloomy", "input_midi": "song.mid", "start_bar": 9}

Exit status: 0 all requests were met, 3 some were not (see failed.jsonl), 2 none
could begin. Killed, it goes on where it was when the command is given again.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import logging
import os
import shlex
import sys
import threading
import time
from typing import Any
from typing import TYPE_CHECKING

from absl import flags

from emotion_musicvae.batch import requests
from emotion_musicvae.cli import command
from emotion_musicvae.cli import playing_flags
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.support import configuration
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own

if TYPE_CHECKING:
  from emotion_musicvae.batch import engines
  from emotion_musicvae.batch import jobs

FLAGS = flags.FLAGS

playing_flags.define()
shared_flags.define(*shared_flags.MODEL, 'emotions_file')
flags.DEFINE_string('requests', None, 'File of requests, .jsonl or .csv.')
flags.DEFINE_list(
  'emotions', None, 'Names of emotions, or all, in place of a file of requests.'
)
flags.DEFINE_integer(
  'num_outputs', None, 'With --emotions: how many melodies of each.'
)
flags.DEFINE_float('temperature', 0.5, 'Temperature of requests without one.')
flags.DEFINE_float('intensity', 1.0, 'Intensity of requests without one.')
flags.DEFINE_float('guidance', 1.0, 'Guidance of requests without one.')
flags.DEFINE_integer(
  'seed', 0, 'Where requests without a seed take theirs from, each another.'
)
flags.DEFINE_string(
  'output_dir', None, 'Folder of the job; one that was begun is gone on with.'
)
flags.DEFINE_list(
  'output_formats',
  ['mid'],
  'Formats of requests without any: mid; wav, flac, mp3, ogg (audio); png, '
  'dark.png, print.png (piano roll); musicxml, mxl, abc (sheet music).',
)
flags.DEFINE_bool(
  'output_tfrecord',
  None,
  'Write TFRecords of NoteSequences, not such files; if not given, above '
  '100,000 melodies in no other format than mid.',
)
flags.DEFINE_string(
  'manifest', 'jsonl', 'Format of the list of melodies: jsonl or parquet.'
)
flags.DEFINE_integer(
  'max_errors', None, 'Do not begin if more requests than this cannot be met.'
)
flags.DEFINE_string(
  'runner',
  'beam',
  "beam: one process of this machine, or any runner of Apache Beam's; dask, "
  'spark: a cluster, or processes of this machine.',
)
flags.DEFINE_string(
  'cluster',
  None,
  'With --runner=dask its scheduler, tcp://host:8786; with --runner=spark its '
  'master, spark://host:7077 or yarn. This machine if not given.',
)
flags.DEFINE_integer(
  'num_workers',
  None,
  'How many processes of this machine --runner=dask or spark takes; one for '
  'each core if not given.',
)
flags.DEFINE_string(
  'pipeline_options',
  '',
  "With --runner=beam: options of Apache Beam's, as in '--runner=FlinkRunner "
  "--flink_master=host:8081'.",
)

_BATCH_SIZE = 64
_SOME_FAILED = 3


def main() -> None:
  """Runs the command as its flags say."""
  formats = _check_flags()
  asked = playing_flags.asked()
  command.set_log(FLAGS.log)
  # Beam warns through the root logger of what it does without.
  logging.getLogger().setLevel(getattr(logging, FLAGS.log))
  if FLAGS.log == 'ERROR':
    # It logs a worker's failure once on every level, and then raises it.
    logging.getLogger('apache_beam').setLevel(logging.FATAL)
  configuration.load_model_config(FLAGS.config)
  if FLAGS.actor_dir:
    own.load_run(FLAGS.actor_dir)
  known = catalogue.load(FLAGS.emotions_file)

  with _rows(known) as rows, _engine() as engine:
    quiet.load_tensorflow()

    from emotion_musicvae.batch import jobs
    from emotion_musicvae.batch import launch

    with jobs.lock(FLAGS.output_dir) as check:
      job = jobs.begin(
        requests.parse(
          rows,
          known,
          FLAGS.seed,
          FLAGS.temperature,
          FLAGS.intensity,
          FLAGS.guidance,
          formats,
          bool(FLAGS.output_tfrecord),
        ),
        FLAGS.output_dir,
        FLAGS.max_errors,
        FLAGS.output_tfrecord,
        FLAGS.manifest == 'parquet',
        asked,
        {
          'config': FLAGS.config,
          'checkpoint_file': FLAGS.checkpoint_file,
          'run_dir': FLAGS.run_dir,
          'actor_dir': FLAGS.actor_dir,
          'train_actor': True,
          'prior': FLAGS.prior,
          'max_batch_size': _BATCH_SIZE,
        },
      )
      with _progress(job):
        launch.run(job, engine, check)
  print(
    messages.say(
      '{path}  {num_melodies} melodies, what was asked for and what each '
      'measures',
      path=job.path(job.manifest),
      num_melodies=job.num_melodies,
    )
  )
  if job.num_failures:
    print(
      messages.say(
        '{path}  {num_failures} requests that could not be met, and why',
        path=job.path('failed.jsonl'),
        num_failures=job.num_failures,
      )
    )
    sys.exit(_SOME_FAILED)


def _check_flags() -> tuple[str, ...]:
  """Refuses flags out of range; gives the formats of requests without any."""
  if bool(FLAGS.requests) == bool(FLAGS.emotions):
    raise UserError(
      'requests', messages.say('name a file, or emotions with --emotions=all')
    )
  if FLAGS.requests and FLAGS.num_outputs is not None:
    raise UserError(
      'num_outputs',
      messages.say('goes with --emotions'),
      messages.say('requests have "num_outputs"'),
    )
  if FLAGS.emotions:
    if FLAGS.num_outputs is None:
      raise UserError(
        'num_outputs', messages.say('say how many melodies of each emotion')
      )
    ranges.COUNT.check('num_outputs', FLAGS.num_outputs)
  if not FLAGS.output_dir:
    raise UserError('output_dir', messages.say('name a folder'))
  if FLAGS.manifest not in ('jsonl', 'parquet'):
    raise UserError(
      'manifest',
      messages.say(
        'expected jsonl or parquet, got {value!r}', value=FLAGS.manifest
      ),
    )
  ranges.TEMPERATURE.check('temperature', FLAGS.temperature)
  ranges.INTENSITY.check('intensity', FLAGS.intensity)
  ranges.GUIDANCE.check('guidance', FLAGS.guidance)
  ranges.SEED.check('seed', FLAGS.seed)
  _check_runner()
  if FLAGS.max_errors is not None:
    ranges.MAX_ERRORS.check('max_errors', FLAGS.max_errors)
  return requests.parse_formats(
    FLAGS.output_formats, '--output_formats', FLAGS.output_tfrecord
  )


def _check_runner() -> None:
  """Refuses a runner that is none, and what does not go with it."""
  known = ('beam', 'dask', 'spark')
  if FLAGS.runner not in known:
    raise refusals.unknown(
      'runner',
      FLAGS.runner,
      known,
      messages.say("Beam's own are named in `pipeline_options`"),
    )
  if FLAGS.runner == 'beam':
    for name in ('cluster', 'num_workers'):
      if FLAGS[name].value is not None:
        raise UserError(
          name, messages.say('goes with --runner=dask or --runner=spark')
        )
    return
  if FLAGS.pipeline_options:
    raise UserError('pipeline_options', messages.say('goes with --runner=beam'))
  if FLAGS.num_workers is not None:
    ranges.COUNT.check('num_workers', FLAGS.num_workers)
    if FLAGS.cluster:
      raise UserError(
        'num_workers', messages.say('a cluster has its own; leave it out')
      )


@contextlib.contextmanager
def _rows(known: list[catalogue.Emotion]) -> Iterator[Iterable[Any]]:
  """Rows for `requests.parse`, of the file or of the flags."""
  if FLAGS.emotions:
    names = FLAGS.emotions
    if names == ['all']:
      names = [emotion.name for emotion in known]
    for name in names:
      catalogue.find(name, known)
    yield requests.plain_rows(names, FLAGS.num_outputs)
    return
  if not FLAGS.requests.endswith(('.jsonl', '.csv')):
    raise UserError(
      'requests',
      messages.say(
        '{path!r}: expected a file ending in .jsonl, .csv', path=FLAGS.requests
      ),
    )
  read = (
    requests.csv_rows
    if FLAGS.requests.endswith('.csv')
    else requests.jsonl_rows
  )
  try:
    stream = open(FLAGS.requests, 'rb')
  except OSError as e:
    raise refusals.unreadable('requests', FLAGS.requests, e) from None
  with stream:
    yield read(stream)


@contextlib.contextmanager
def _engine() -> 'Iterator[engines.Engine]':
  """What --runner, --cluster, --num_workers and --pipeline_options ask for."""
  try:
    from emotion_musicvae.batch import engines
  except ModuleNotFoundError as e:
    if (e.name or '').partition('.')[0] != 'apache_beam':
      raise
    raise UserError(
      '',
      messages.say('apache-beam is not installed'),
      messages.say('type: pip install "apache-beam>=2.77"'),
    ) from None

  if FLAGS.runner == 'beam':
    try:
      options = shlex.split(FLAGS.pipeline_options)
    except ValueError as e:  # a quotation mark too few
      raise UserError('pipeline_options', str(e)) from None
    running = engines.beam(
      [
        f'--default_sdk_harness_log_level={FLAGS.log}',
        f'--sdk_harness_log_level_overrides={{"tensorflow": "{FLAGS.log}"}}',
        *options,
      ]
    )
  else:
    engine = engines.dask if FLAGS.runner == 'dask' else engines.spark
    running = engine(FLAGS.cluster, FLAGS.num_workers or os.cpu_count() or 1)
  with running as each:
    yield each


@contextlib.contextmanager
def _progress(job: 'jobs.Job') -> Iterator[None]:
  """Shows what is done: a bar on a terminal, lines elsewhere."""
  import tqdm

  done = threading.Event()
  before = job.melodies_done()
  failed = messages.say('{count} requests failed', count=job.num_failures)

  def show_bar() -> None:
    with tqdm.tqdm(
      total=job.num_melodies,
      initial=before,
      unit=messages.say('melody'),
      postfix=failed,
    ) as bar:
      while not done.wait(1):
        bar.update(job.melodies_done() - bar.n)
      bar.update(job.melodies_done() - bar.n)

  def print_lines() -> None:
    start = time.monotonic()
    while not done.wait(10):
      n = job.melodies_done()
      rate = (n - before) / (time.monotonic() - start)
      left = '…'
      if rate:
        left = messages.say(
          '{seconds:.0f} s left', seconds=(job.num_melodies - n) / rate
        )
      print(
        messages.say(
          '{n} of {num_melodies} melodies, {rate:.1f} a second, {left}, '
          '{failed}',
          n=n,
          num_melodies=job.num_melodies,
          rate=rate,
          left=left,
          failed=failed,
        ),
        file=sys.stderr,
        flush=True,
      )

  thread = threading.Thread(
    target=show_bar if sys.stderr.isatty() else print_lines, daemon=True
  )
  thread.start()
  try:
    yield
  finally:
    done.set()
    thread.join()


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
