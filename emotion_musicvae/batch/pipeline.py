"""The Beam pipeline of a job: shards in, files and a manifest out."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools
import json
import os
import tempfile
import threading
import time
from typing import Any

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.metrics import Metrics
from apache_beam.metrics import MetricsFilter
from apache_beam.options import value_provider
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.api import arcs
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import manifest
from emotion_musicvae.batch import shards
from emotion_musicvae.batch import storage
from emotion_musicvae.files import writers

# Beam may call several threads of a process; the decoder's noise is one
# variable of its graph, and not all that draws and engraves is made for it.
_DECODING = threading.Lock()


def run(job: jobs.Job, pipeline: beam.Pipeline) -> None:
  """Generates what is missing, and writes the manifest.

  Args:
    job: from `jobs.begin`.
    pipeline: an empty one, which knows its runner.

  Raises:
    UserError: there is no room left. What is finished stays so.
    RuntimeError: a worker failed otherwise, or the manifest could not be moved
      to its place.
  """
  if not job.is_finished():
    _ = (
      pipeline
      # ReadFromText would take brackets in the folder's name for a pattern.
      | 'Plan' >> beam.Create([job.path(*jobs.PLAN)])
      | 'ReadPlan' >> beam.FlatMap(storage.lines)
      | 'Spread' >> beam.Reshuffle()
      | 'GenerateShards' >> beam.ParDo(GenerateShard(job))
      | 'AllParts' >> beam.combiners.ToList()
      # Of shards that found no room there is none.
      | 'Complete' >> beam.Filter(lambda parts: len(parts) == job.num_shards)
      | 'InOrder' >> beam.Map(sorted)
      | 'WriteManifest'
      >> fileio.WriteToFiles(
        job.output_dir,
        file_naming=fileio.single_file_naming(job.manifest),
        temp_directory=value_provider.StaticValueProvider(
          str, job.path(*storage.WORK)
        ),
        sink=manifest.ParquetSink if job.parquet else manifest.JsonlSink,
      )
    )
    with storage.room_in(job.output_dir):
      result = pipeline.run()
      result.wait_until_finish()
    if not job.is_finished():
      named = result.metrics().query(MetricsFilter().with_name('no_room'))
      if any(counter.result for counter in named['counters']):
        raise storage.no_room(job.output_dir)
      # Beam only logs it where its sink could not move the file.
      raise RuntimeError(f'{job.path(job.manifest)!r} could not be written')
  if storage.exists(job.output_dir, '.job'):
    storage.delete(job.output_dir, '.job')


class GenerateShard(beam.DoFn):
  """Generates shards: a line of the plan to the path of its part.

  Args:
    job: the job.
  """

  def __init__(self, job: jobs.Job) -> None:
    self._job = job
    self._melodies = Metrics.counter('emotion_musicvae', 'melodies')
    self._kept = Metrics.counter('emotion_musicvae', 'shards_kept')
    self._no_room = Metrics.counter('emotion_musicvae', 'no_room')
    self._time = Metrics.distribution('emotion_musicvae', 'shard_milliseconds')

  def setup(self) -> None:
    """Loads the model, once in a process."""
    self._model = self._job.load_model()

  def start_bundle(self) -> None:
    """Tries the disk anew."""
    self._full = False

  def process(self, line: str) -> Iterator[str]:
    """Yields the path of the part, once the shard's files are in place.

    Nothing where the disk is full: runners print more than a line of what is
    raised.
    """
    if self._full:
      return
    shard = json.loads(line)
    part = jobs.part_of(shard)
    if storage.exists(self._job.output_dir, *part):
      self._kept.inc()
    else:
      start = time.monotonic()
      try:
        rows = self._generate(shard)
        with storage.write_whole(self._job.output_dir, *part) as f:
          f.writelines(map(storage.json_line, rows))
      except OSError as e:
        if not storage.is_full(e):
          raise
        self._no_room.inc()
        self._full = True
        return
      self._melodies.inc(len(rows))
      self._time.update(int(1000 * (time.monotonic() - start)))
    yield self._job.path(*part)

  def _generate(self, shard: shards.Shard) -> list[dict[str, Any]]:
    """Writes the melodies of a shard; returns their rows of the manifest."""
    items = shards.items(shard)
    folder = f'melodies/{shard["shard"]:05d}-of-{self._job.num_shards:05d}'
    orders = [
      api.Order(
        i.emotion,
        i.seed,
        i.number,
        i.temperature,
        i.intensity,
        i.song,
        i.guidance,
        i.chords,
        i.keep,
      )
      for i in items
    ]
    parts = [
      part
      for order, item in zip(orders, items)
      for part in (arcs.orders(order, item.sections) or [order])
    ]
    with _DECODING:
      how = dataclasses.asdict(self._job.playing)
      composed = arcs.joined(parts, self._model.compose(parts))
      melodies = [m.played(**how) for m in composed]
      if self._job.tfrecord:
        files = [[f'{folder}.tfrecord']] * len(items)
        contents = iter([_tfrecord(items, melodies)])
        storage.write_all(self._job.output_dir, files[0], contents)
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
        storage.write_all(
          self._job.output_dir, itertools.chain(*files), contents
        )
    return [*map(manifest.row, items, files, melodies)]


def _tfrecord(
  items: list[shards.Item], melodies: Sequence[api.Melody]
) -> bytes:
  """The bytes of a TFRecord of NoteSequences that know their names."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'melodies')
    with tf.io.TFRecordWriter(path) as writer:
      for item, melody in zip(items, melodies):
        sequence: Any = melody.note_sequence
        sequence.id = item.name
        writer.write(sequence.SerializeToString(deterministic=True))
    with open(path, 'rb') as f:
      return f.read()
