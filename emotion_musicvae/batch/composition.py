"""The melodies of a shard, composed and written."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import os
import tempfile
from typing import Any

import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.api import arcs
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import manifest
from emotion_musicvae.batch import shards
from emotion_musicvae.batch import storage
from emotion_musicvae.files import writers


def write(
  job: jobs.Job, shard: shards.Shard, model: api.EmotionMusicVAE
) -> list[dict[str, Any]]:
  """Writes the melodies of a shard.

  Args:
    job: which it is of.
    shard: a line of the job's plan.
    model: the job's.

  Returns:
    A row of the manifest for each melody.
  """
  items = shards.items(shard)
  folder = f'melodies/{shard["shard"]:05d}-of-{job.num_shards:05d}'
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
  how = dataclasses.asdict(job.playing)
  composed = arcs.joined(parts, model.compose(parts))
  melodies = [m.played(**how) for m in composed]
  if job.tfrecord:
    files = [[f'{folder}.tfrecord']] * len(items)
    contents = iter([_tfrecord(items, melodies)])
    storage.write_all(job.output_dir, files[0], contents)
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
    storage.write_all(job.output_dir, itertools.chain(*files), contents)
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
