"""Batch jobs on Apache Beam: shards in, files and a manifest out.

The job is planned before the pipeline starts: every melody has its place in a
shard, and a shard is sung in full batches whatever requests its melodies come
from. So neither the runner nor the number of workers decides which melodies are
sung together, and a shard that is sung twice gives the same bytes.

In the output folder:

  melodies/00002-of-00040/0000007-000003.mid   melody 3 of the request in line 7
                                               and .wav .png .musicxml if asked
  melodies/00002-of-00040.tfrecord             or its shard's NoteSequences
  failed.jsonl                                 requests that cannot be met
  manifest.jsonl, or .parquet                  every melody; comes last
  job.json                                     what the job is
  .job/                                        plan and parts, while it runs

A shard is finished when its part of the manifest is there. Started again, a job
goes on with the shards that are not.
"""

import contextlib
import dataclasses
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
import threading
import time
import uuid

import pyarrow
from pyarrow import parquet
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.batch import requests
from emotion_musicvae.files import writers
from emotion_musicvae.musicvae import stock
from emotion_musicvae.support import atomic
from emotion_musicvae.support.errors import UserError

try:
  import apache_beam as beam
  from apache_beam.io import fileio
  from apache_beam.io.filesystems import FileSystems
  from apache_beam.metrics import Metrics
  from apache_beam.metrics import MetricsFilter
  from apache_beam.options import value_provider
  from apache_beam.utils import shared
except ModuleNotFoundError as e:
  if e.name.partition('.')[0] != 'apache_beam':
    raise
  raise UserError(
    '', 'apache-beam is not installed', 'type: pip install "apache-beam>=2.77"'
  ) from None

BATCH_SIZE = 64
_PLAN = ('.job', 'plan.jsonl')
_PARTS = ('.job', 'parts')
_WORK = ('.job', 'work')

# As Beam's file systems and runners tell it, who hand on no more than the text.
_NO_ROOM = re.compile(
  rf'(\[Errno |Error\()({errno.ENOSPC}|{errno.EDQUOT}|{errno.EFBIG})\b'
)

# One model in a process, whoever asks for it first.
_MODEL = shared.Shared()
# Beam may call several threads of a process; the decoder's noise is one
# variable of its graph, and not all that draws and engraves is made for it.
_SINGING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Job:
  """A job as every worker knows it.

  Attributes:
    output_dir: folder of any file system that Beam knows.
    num_shards: how many shards it has.
    num_melodies: how many melodies.
    num_failures: how many requests cannot be met.
    tfrecord: write NoteSequences in TFRecords, not files of melodies.
    parquet: write the manifest as Parquet, not JSONL.
    model: arguments of `EmotionMusicVAE.from_pretrained`.
  """

  output_dir: str
  num_shards: int
  num_melodies: int
  num_failures: int
  tfrecord: bool
  parquet: bool
  model: dict

  def path(self, *names):
    """A path in the output folder."""
    return FileSystems.join(self.output_dir, *names)

  @property
  def manifest(self):
    """Name of the manifest."""
    return 'manifest.parquet' if self.parquet else 'manifest.jsonl'

  def is_finished(self):
    """Whether the manifest is there, and with it all else."""
    return FileSystems.exists(self.path(self.manifest))

  def melodies_done(self):
    """How many melodies are in finished shards."""
    if self.is_finished():
      return self.num_melodies
    (found,) = FileSystems.match([self.path(*_PARTS, '*.jsonl')])
    names = [FileSystems.split(m.path)[1] for m in found.metadata_list]
    return sum(int(name.partition('.')[0].split('-')[1]) for name in names)


@contextlib.contextmanager
def claimed(output_dir):
  """Makes a job's folder, and keeps it from other launchers on this machine.

  On file systems that are not this machine's nothing is locked.

  Raises:
    UserError: the folder cannot be written to, holds what no job left, or is
      being worked on.
  """

  def taken():
    raise UserError(
      'output_dir',
      f'{output_dir!r} is being worked on by another emotion_musicvae_batch',
      'wait for it, or name another folder',
    )

  with contextlib.ExitStack() as held:
    try:
      if FileSystems.get_scheme(output_dir) is None:
        os.makedirs(output_dir, exist_ok=True)
        held.enter_context(atomic.lock_dir(output_dir, taken))
      _check(output_dir)
    except OSError as e:
      raise UserError(
        'output_dir',
        f'cannot write to {output_dir!r} ({e.strerror or e})',
        'name a folder you may write to',
      ) from None
    yield


def _check(output_dir):
  """Refuses a folder that cannot be written to or holds what no job left."""
  if _exists(output_dir, 'job.json'):
    return
  for name in ('melodies', 'manifest.jsonl', 'manifest.parquet'):
    if _exists(output_dir, name):
      raise UserError(
        'output_dir',
        f'{output_dir!r} holds {name}, and no job to go on with',
        'name another folder',
      )
  with _whole(output_dir, *_WORK, 'check'):
    pass


def begin(found, output_dir, max_errors, tfrecord, parquet, model):
  """Plans a job, and claims its folder or takes it up where it was left.

  Args:
    found: iterable of `requests.Request` and `requests.Failure`.
    output_dir: the job's folder, which is `claimed`.
    max_errors: how many failures to put up with; any number when None.
    tfrecord: as in `Job`.
    parquet: as in `Job`.
    model: as in `Job`.

  Returns:
    The `Job`.

  Raises:
    UserError: too many requests that cannot be met, or none that can, or the
      folder holds another job.
  """
  known = _exists(output_dir, 'job.json')
  with tempfile.TemporaryDirectory() as folder:
    plan = os.path.join(folder, 'plan')
    failed = os.path.join(folder, 'failed')
    with _room_in(tempfile.gettempdir(), '$TMPDIR'):
      sizes, digest, refusal = _plan(found, plan, failed, max_errors)
    job = Job(output_dir, *sizes, tfrecord, parquet, model)
    with _room_in(output_dir):
      if not known and job.num_failures:
        _copy(failed, output_dir, 'failed.jsonl')
    if refusal:
      raise refusal
    record = _record(job, digest)
    if known:
      _refuse_another(job, record)
    else:
      with _room_in(output_dir):
        _copy(plan, output_dir, *_PLAN)
        with _whole(output_dir, 'job.json') as f:
          f.write(_json(record))
  return job


def _plan(found, plan, failed, max_errors):
  """Writes shards and failures to two local files.

  Returns:
    `((shards, melodies, failures), digest, refusal)`; the refusal says why the
    job cannot begin, or is None.
  """
  failures, first = 0, None

  def good(f):
    nonlocal failures, first
    for request in found:
      if isinstance(request, requests.Request):
        yield request
        continue
      failures += 1
      first = first or request
      f.write(_json(dataclasses.asdict(request)))
      if max_errors is not None and failures > max_errors:
        return

  digest, num_shards, num_melodies = hashlib.sha256(), 0, 0
  with open(plan, 'wb') as f, open(failed, 'wb') as g:
    for shard in requests.shards(good(g)):
      line = _json(shard)
      digest.update(line)
      f.write(line)
      num_shards += 1
      num_melodies += requests.num_melodies(shard)
  said = f'line {first.line}: {first.reason}' if first else 'there is none'
  refusal = None
  if max_errors is not None and failures > max_errors:
    refusal = UserError(
      'max_errors', f'more than {max_errors} bad requests', f'first {said}'
    )
  elif not num_shards:
    refusal = UserError('requests', 'no request can be met', said)
  return (num_shards, num_melodies, failures), digest.hexdigest(), refusal


def _record(job, digest):
  """What decides a job's result, as plain values.

  Loads the model, so that an actor that is missing is trained once and here.
  """
  model = _model(job)
  return {
    'plan': digest,
    'melodies': job.num_melodies,
    'output': 'tfrecord' if job.tfrecord else 'files',
    'manifest': job.manifest,
    'model': model.description(),
    'versions': stock.versions(),
  }


def _model(job):
  return _MODEL.acquire(
    lambda: api.EmotionMusicVAE.from_pretrained(**job.model),
    tag=repr(job.model),
  )


def _refuse_another(job, record):
  with FileSystems.open(job.path('job.json')) as f:
    begun = json.loads(f.read())
  differing = [name for name in record if begun.get(name) != record[name]]
  if differing:
    raise UserError(
      'output_dir',
      f'{job.output_dir!r} holds another job (another {", ".join(differing)})',
      'name another folder, or repeat its command',
    )


def run(job, pipeline):
  """Sings what is not yet sung, and writes the manifest.

  Args:
    job: `Job`, from `begin`.
    pipeline: an empty `beam.Pipeline`.

  Raises:
    UserError: there is no room left. What is finished stays so.
    RuntimeError: a worker failed otherwise, or the manifest could not be moved
      to its place.
  """
  if not job.is_finished():
    _ = (
      pipeline
      | 'ReadPlan' >> beam.io.ReadFromText(job.path(*_PLAN))
      | 'Spread' >> beam.Reshuffle()
      | 'Sing' >> beam.ParDo(Sing(job))
      | 'AllParts' >> beam.combiners.ToList()
      # Of shards that found no room there is none.
      | 'Complete' >> beam.Filter(lambda parts: len(parts) == job.num_shards)
      | 'InOrder' >> beam.Map(sorted)
      | 'WriteManifest'
      >> fileio.WriteToFiles(
        job.output_dir,
        file_naming=fileio.single_file_naming(job.manifest),
        temp_directory=value_provider.StaticValueProvider(
          str, job.path(*_WORK)
        ),
        sink=_ParquetSink if job.parquet else _JsonlSink,
      )
    )
    with _room_in(job.output_dir):
      result = pipeline.run()
      result.wait_until_finish()
    if not job.is_finished():
      named = result.metrics().query(MetricsFilter().with_name('no_room'))
      if any(counter.result for counter in named['counters']):
        raise _no_room(job.output_dir)
      # Beam only logs it where its sink could not move the file.
      raise RuntimeError(f'{job.path(job.manifest)!r} could not be written')
  if _exists(job.output_dir, '.job'):
    FileSystems.delete([job.path('.job')])


class Sing(beam.DoFn):
  """Sings shards: a line of the plan to the path of its part of the manifest.

  Args:
    job: `Job`.
  """

  def __init__(self, job):
    self._job = job
    self._melodies = Metrics.counter('emotion_musicvae', 'melodies')
    self._kept = Metrics.counter('emotion_musicvae', 'shards_kept')
    self._no_room = Metrics.counter('emotion_musicvae', 'no_room')
    self._time = Metrics.distribution('emotion_musicvae', 'shard_milliseconds')

  def setup(self):
    """Loads the model, once in a process."""
    self._model = _model(self._job)

  def start_bundle(self):
    self._full = False

  def process(self, line):
    """Yields the path of the part, once the shard's files are in place.

    Nothing where the disk is full: runners print more than a line of what is
    raised.
    """
    if self._full:
      return
    shard = json.loads(line)
    # With the number of its melodies, so that they can be counted by names.
    count = requests.num_melodies(shard)
    part = (*_PARTS, f'{shard["shard"]:07d}-{count}.jsonl')
    if _exists(self._job.output_dir, *part):
      self._kept.inc()
    else:
      start = time.monotonic()
      try:
        rows = self._sing(shard)
        with _whole(self._job.output_dir, *part) as f:
          f.writelines(map(_json, rows))
      except OSError as e:
        if not _NO_ROOM.search(str(e)):
          raise
        self._no_room.inc()
        self._full = True
        return
      self._melodies.inc(count)
      self._time.update(int(1000 * (time.monotonic() - start)))
    yield self._job.path(*part)

  def _sing(self, shard):
    """Writes the melodies of a shard; returns their rows of the manifest."""
    items = requests.items(shard)
    folder = f'melodies/{shard["shard"]:05d}-of-{self._job.num_shards:05d}'
    orders = [
      api.Order(i.emotion, i.seed, i.number, i.temperature, i.intensity, i.song)
      for i in items
    ]
    with _SINGING:
      melodies = self._model.compose(orders)
      if self._job.tfrecord:
        files = [[f'{folder}.tfrecord']] * len(items)
        _write_all(self._job.output_dir, files[0], [_tfrecord(items, melodies)])
      else:
        files = [
          [f'{folder}/{item.name}.{extension}' for extension in item.formats]
          for item in items
        ]
        # One by one, as sound takes megabytes each.
        contents = (
          content
          for item, melody in zip(items, melodies)
          for content in writers.contents(melody, item.formats).values()
        )
        _write_all(self._job.output_dir, itertools.chain(*files), contents)
    return [
      {
        'name': item.name,
        'files': names,
        'line': item.line,
        'number': item.number,
        'emotion': item.emotion.name,
        'seed': item.seed,
        'temperature': item.temperature,
        'intensity': item.intensity,
        'input': item.song and item.song.report,
        'start_bar': item.song and item.song.first_bar,
        **melody.record(),
      }
      for item, names, melody in zip(items, files, melodies)
    ]


class _JsonlSink(fileio.FileSink):
  """One element, the paths of all parts in order, to one file."""

  def open(self, fh):
    self._file = fh

  def write(self, parts):
    for part in parts:
      with FileSystems.open(part) as f:
        shutil.copyfileobj(f, self._file)

  def flush(self):
    self._file.flush()


class _ParquetSink(fileio.FileSink):
  """The same as Parquet, a part in each row group."""

  def open(self, fh):
    self._writer = parquet.ParquetWriter(fh, _SCHEMA)

  def write(self, parts):
    for part in parts:
      with FileSystems.open(part) as f:
        rows = [json.loads(line) for line in f.read().splitlines()]
      self._writer.write_table(pyarrow.Table.from_pylist(rows, _SCHEMA))

  def flush(self):
    # Beam calls it once, at the end.
    self._writer.close()


_MEASURES = pyarrow.struct(
  [
    (name, pyarrow.float64())
    for name in ('mean_pitch', 'onsets_per_bar', 'chord_tone_rate', 'energy')
  ]
)
_SCHEMA = pyarrow.schema(
  [
    ('name', pyarrow.string()),
    ('files', pyarrow.list_(pyarrow.string())),
    ('line', pyarrow.int64()),
    ('number', pyarrow.int64()),
    ('emotion', pyarrow.string()),
    ('seed', pyarrow.int64()),
    ('temperature', pyarrow.float64()),
    ('intensity', pyarrow.float64()),
    ('input', pyarrow.string()),
    ('start_bar', pyarrow.int64()),
    ('measured', _MEASURES),
    ('reference', _MEASURES),
    ('missed', pyarrow.list_(pyarrow.string())),
  ]
)


def _tfrecord(items, melodies):
  """The bytes of a TFRecord of NoteSequences that know their names."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'melodies')
    with tf.io.TFRecordWriter(path) as writer:
      for item, melody in zip(items, melodies):
        melody.note_sequence.id = item.name
        writer.write(melody.note_sequence.SerializeToString(deterministic=True))
    with open(path, 'rb') as f:
      return f.read()


@contextlib.contextmanager
def _room_in(folder, argument='output_dir'):
  """Tells of a disk that is full, here or where a worker met it.

  Raises:
    UserError: it is.
  """
  try:
    yield
  except (OSError, RuntimeError) as e:
    if _NO_ROOM.search(str(e)):
      raise _no_room(folder, argument) from None
    raise


def _no_room(folder, argument='output_dir'):
  return UserError(
    argument,
    f'no room left in {folder!r}',
    'what is finished is kept, so make room and repeat the command',
  )


def _json(value):
  """A line of JSON in UTF-8."""
  return (json.dumps(value, ensure_ascii=False) + '\n').encode('utf-8')


def _exists(output_dir, *names):
  return FileSystems.exists(FileSystems.join(output_dir, *names))


def _copy(local, output_dir, *names):
  with open(local, 'rb') as f, _whole(output_dir, *names) as g:
    shutil.copyfileobj(f, g)


@contextlib.contextmanager
def _whole(output_dir, *names):
  """A file to write bytes to, in its place only when it is whole."""
  with (
    _in_place_at_the_end(output_dir, ['/'.join(names)]) as (source,),
    FileSystems.create(source) as f,
  ):
    yield f


def _write_all(output_dir, names, contents):
  """Writes files whole, given their names and, one after the other, bytes."""
  with _in_place_at_the_end(output_dir, names) as sources:
    for source, content in zip(sources, contents):
      with FileSystems.create(source) as f:
        f.write(content)


@contextlib.contextmanager
def _in_place_at_the_end(output_dir, names):
  """Paths to write files at, which are moved to their names at the end."""
  work = FileSystems.join(output_dir, *_WORK)
  destinations = [FileSystems.join(output_dir, name) for name in names]
  sources = [FileSystems.join(work, uuid.uuid4().hex) for _ in destinations]
  _make_folders(sources + destinations)
  try:
    yield sources
  except BaseException:
    # A disk that is full is not to be kept so.
    for source in filter(FileSystems.exists, sources):
      FileSystems.delete([source])
    raise
  FileSystems.rename(sources, destinations)


def _make_folders(paths):
  for folder in {FileSystems.split(path)[0] for path in paths}:
    if not FileSystems.exists(folder):
      try:
        FileSystems.mkdirs(folder)
      except OSError:
        # Another worker may have been faster.
        if not FileSystems.exists(folder):
          raise
