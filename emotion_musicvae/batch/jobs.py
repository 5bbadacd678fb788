"""A batch job: planned before it runs, kept in its folder, taken up again.

Every melody has its place in a shard before a pipeline starts, and a shard is
generated in full batches whatever requests its melodies come from. So neither
the runner nor the number of workers decides which melodies are decoded
together, and a shard that is generated twice gives the same bytes.

In the output folder:

  melodies/00002-of-00040/0000007-000003.mid   melody 3 of the request in line 7
                                               and .wav .png .musicxml if asked
  melodies/00002-of-00040.tfrecord             or its shard's NoteSequences
  failed.jsonl                                 requests that cannot be met
  manifest.jsonl, or .parquet                  every melody; comes last
  job.json                                     what the job is
  .job/                                        plan and parts, while it runs

A shard is finished when its part of the manifest is there.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import tempfile
from typing import Any
from typing import BinaryIO
from typing import NoReturn
from typing import TYPE_CHECKING

from apache_beam.io.filesystems import FileSystems
from apache_beam.utils import shared

from emotion_musicvae.batch import engines
from emotion_musicvae.batch import leases
from emotion_musicvae.batch import requests
from emotion_musicvae.batch import shards
from emotion_musicvae.batch import storage
from emotion_musicvae.files import playing
from emotion_musicvae.musicvae import prior
from emotion_musicvae.support import atomic
from emotion_musicvae.support import messages
from emotion_musicvae.support import refusals
from emotion_musicvae.support.errors import UserError

if TYPE_CHECKING:
  from emotion_musicvae import api

PLAN = ('.job', 'plan.jsonl')
PARTS = ('.job', 'parts')

# More melodies than this are written as TFRecords where nothing else is asked
# for: file systems and those who list them do badly with a million files.
MANY = 100_000

_log = logging.getLogger(__name__)

# One model in a process, whoever asks for it first.
_MODEL = shared.Shared()


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
    playing: how all its melodies are played.
    model: arguments of `EmotionMusicVAE.from_pretrained`; of `max_batch_size`,
      which is among them, a smaller job takes less.
  """

  output_dir: str
  num_shards: int
  num_melodies: int
  num_failures: int
  tfrecord: bool
  parquet: bool
  playing: playing.Playing
  model: dict[str, Any]

  def path(self, *names: str) -> str:
    """A path in the output folder."""
    return FileSystems.join(self.output_dir, *names)

  @property
  def manifest(self) -> str:
    """Name of the manifest."""
    return 'manifest.parquet' if self.parquet else 'manifest.jsonl'

  def for_workers(self) -> Job:
    """The same with paths that do not depend on where a process stands."""

    def whole(path: str) -> str:
      return os.path.abspath(path) if storage.is_local(path) else path

    model = {
      name: whole(value)
      if isinstance(value, str)
      and (
        name.endswith(('_dir', '_file'))
        or (name == 'prior' and value != prior.NORMAL)
      )
      else value
      for name, value in self.model.items()
    }
    soundfont = self.playing.soundfont
    return dataclasses.replace(
      self,
      output_dir=whole(self.output_dir),
      model=model,
      playing=dataclasses.replace(
        self.playing, soundfont=soundfont and whole(soundfont)
      ),
    )

  def is_finished(self) -> bool:
    """Whether the manifest is there, and with it all else."""
    return storage.exists(self.output_dir, self.manifest)

  def melodies_done(self) -> int:
    """How many melodies are in finished shards."""
    if self.is_finished():
      return self.num_melodies
    names = storage.names(self.output_dir, *PARTS, '*.jsonl')
    return sum(int(name.partition('.')[0].split('-')[1]) for name in names)

  def plan(self) -> Iterator[tuple[engines.Place, bytes]]:
    """Every shard's place in the plan, and its line."""
    offset = 0
    with FileSystems.open(self.path(*PLAN)) as f:
      for line in f:
        yield (offset, len(line)), line
        offset += len(line)

  def places(self) -> Iterator[engines.Place]:
    """The places of all shards, in order."""
    return (place for place, _ in self.plan())

  def parts(self) -> Iterator[str]:
    """The paths of all parts of the manifest, in order."""
    return (self.path(*part_of(json.loads(line))) for _, line in self.plan())

  def load_model(self) -> api.EmotionMusicVAE:
    """The model, which is loaded once in a process."""
    from emotion_musicvae import api

    # The rest of a larger batch would be decoded for nobody.
    size = min(self.model['max_batch_size'], self.num_melodies)
    model = {**self.model, 'max_batch_size': size}
    return _MODEL.acquire(
      lambda: api.EmotionMusicVAE.from_pretrained(**model), tag=repr(model)
    )


def part_of(shard: shards.Shard) -> tuple[str, ...]:
  """Where the rows of a shard are, once it is finished.

  With the number of its melodies, so that they can be counted by names.
  """
  count = shards.num_melodies(shard)
  return (*PARTS, f'{shard["shard"]:07d}-{count}.jsonl')


@contextlib.contextmanager
def lock(output_dir: str) -> Iterator[Callable[[], None]]:
  """Makes a job's folder, and keeps it from other launchers.

  A folder on a disk is locked, here or on the server that shares it; one in a
  store that locks nothing is leased.

  Yields:
    What raises where the folder was lost to another launcher, which may happen
    to one that was held up. To be called before what only one may do.

  Raises:
    UserError: the folder cannot be written to, holds what no job left, or is
      being worked on.
  """

  def taken() -> NoReturn:
    raise UserError(
      'output_dir',
      messages.say(
        '{path!r} is being worked on by another emotion_musicvae_batch',
        path=output_dir,
      ),
      messages.say('wait for it, or name another folder'),
    )

  with contextlib.ExitStack() as held:
    try:
      if storage.is_local(output_dir):
        os.makedirs(output_dir, exist_ok=True)
        is_ours = held.enter_context(atomic.lock_dir(output_dir, taken))
      else:
        is_ours = held.enter_context(
          leases.lease(output_dir, atomic.DIR_LOCK, taken)
        )
      _check(output_dir)
    except OSError as e:
      raise refusals.unwritable('output_dir', output_dir, e) from None

    def check() -> None:
      if not is_ours():
        taken()

    yield check


def _check(output_dir: str) -> None:
  """Refuses a folder that cannot be written to or holds what no job left."""
  if storage.exists(output_dir, 'job.json'):
    return
  for name in ('melodies', 'manifest.jsonl', 'manifest.parquet'):
    if storage.exists(output_dir, name):
      raise UserError(
        'output_dir',
        messages.say(
          '{path!r} holds {name}, and no job to resume',
          path=output_dir,
          name=name,
        ),
        messages.say('name another folder'),
      )
  with storage.write_whole(output_dir, *storage.WORK, 'check'):
    pass


def begin(
  found: Iterable[requests.Request | requests.Failure],
  output_dir: str,
  max_errors: int | None,
  tfrecord: bool | None,
  parquet: bool,
  asked: playing.Playing,
  model: dict[str, Any],
) -> Job:
  """Plans a job, and begins it in its folder or resumes it.

  Args:
    found: requests, met or not.
    output_dir: the job's folder, of which the caller holds the `lock`.
    max_errors: how many failures to put up with; any number when None.
    tfrecord: as in `Job`; None for it where there are more than `MANY` melodies
      and no request asks for another format than `mid`.
    parquet: as in `Job`.
    asked: how melodies are played.
    model: as in `Job`.

  Raises:
    UserError: too many requests that cannot be met, or none that can, or the
      folder holds another job.
  """
  known = storage.exists(output_dir, 'job.json')
  with tempfile.TemporaryDirectory() as folder:
    plan = os.path.join(folder, 'plan')
    failed = os.path.join(folder, 'failed')
    with storage.room_in(tempfile.gettempdir(), '$TMPDIR'):
      sizes, plain, digest, refusal = _plan(found, plan, failed, max_errors)
    num_shards, num_melodies, num_failures = sizes
    if tfrecord is None:
      tfrecord = plain and num_melodies > MANY
      if tfrecord:
        _log.info(
          messages.say(
            'More than {many} melodies: written as TFRecords of NoteSequences, '
            '128 in a file.',
            many=MANY,
          )
        )
    job = Job(
      output_dir,
      num_shards,
      num_melodies,
      num_failures,
      tfrecord,
      parquet,
      asked,
      model,
    )
    with storage.room_in(output_dir):
      if not known and job.num_failures:
        storage.copy(failed, output_dir, 'failed.jsonl')
    if refusal:
      raise refusal
    record = _record(job, digest)
    if known:
      _refuse_another(job, record)
    else:
      with storage.room_in(output_dir):
        storage.copy(plan, output_dir, *PLAN)
        with storage.write_whole(output_dir, 'job.json') as f:
          f.write(storage.json_line(record))
  return job


def _plan(
  found: Iterable[requests.Request | requests.Failure],
  plan: str,
  failed: str,
  max_errors: int | None,
) -> tuple[tuple[int, int, int], bool, str, UserError | None]:
  """Writes shards and failures to two local files.

  Returns:
    `((shards, melodies, failures), plain, digest, refusal)`; plain is whether
    nothing but `mid` is asked for, and the refusal says why the job cannot
    begin, or is None.
  """
  failures = 0
  first: requests.Failure | None = None

  def good(f: BinaryIO) -> Iterator[requests.Request]:
    nonlocal failures, first
    for request in found:
      if isinstance(request, requests.Request):
        yield request
        continue
      failures += 1
      first = first or request
      f.write(storage.json_line(dataclasses.asdict(request)))
      if max_errors is not None and failures > max_errors:
        return

  digest, num_shards, num_melodies, plain = hashlib.sha256(), 0, 0, True
  with open(plan, 'wb') as f, open(failed, 'wb') as g:
    for shard in shards.cut(good(g)):
      line = storage.json_line(shard)
      digest.update(storage.json_line(shards.deciding(shard)))
      f.write(line)
      num_shards += 1
      num_melodies += shards.num_melodies(shard)
      plain = plain and {*map(tuple, shard['formats'])} == {('mid',)}
  said = messages.say('there is none')
  if first:
    said = messages.say(
      'line {line}: {reason}', line=first.line, reason=first.reason
    )
  refusal: UserError | None = None
  if max_errors is not None and failures > max_errors:
    refusal = UserError(
      'max_errors',
      messages.say(
        'more than {max_errors} bad requests', max_errors=max_errors
      ),
      messages.say('first {said}', said=said),
    )
  elif not num_shards:
    refusal = UserError('requests', messages.say('no request can be met'), said)
  sizes = num_shards, num_melodies, failures
  return sizes, plain, digest.hexdigest(), refusal


def _record(job: Job, digest: str) -> dict[str, Any]:
  """What decides a job's result, as plain values.

  Loads the model, so that an actor that is missing is trained once and here.
  """
  from emotion_musicvae.musicvae import stock

  return {
    'plan': digest,
    'melodies': job.num_melodies,
    'output': 'tfrecord' if job.tfrecord else 'files',
    'manifest': job.manifest,
    'playing': dataclasses.asdict(job.playing),
    'model': job.load_model().description(),
    'versions': stock.versions(),
  }


def _refuse_another(job: Job, record: dict[str, Any]) -> None:
  with FileSystems.open(job.path('job.json')) as f:
    begun = json.loads(f.read())
  differing = [name for name in record if begun.get(name) != record[name]]
  if differing:
    raise UserError(
      'output_dir',
      messages.say(
        '{path!r} holds another job (another {known})',
        path=job.output_dir,
        known=', '.join(differing),
      ),
      messages.say('name another folder, or repeat its command'),
    )
