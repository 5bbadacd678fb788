"""The manifest of a job: a row for each melody, as JSONL or Parquet.

A worker leaves the rows of its shard in a part; the launcher joins the parts by
the names that the plan gives them, as a listing may lag, and an engine may say
nothing of a shard that it left out.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from concurrent import futures
import contextlib
import itertools
import json
from typing import Any
from typing import TYPE_CHECKING

import pyarrow
from pyarrow import parquet

from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import shards
from emotion_musicvae.batch import storage
from emotion_musicvae.terms import registry

if TYPE_CHECKING:
  from emotion_musicvae import api

# Parts that are read at once.
_AHEAD = 16

_MEASURES = pyarrow.struct(
  [
    (name, pyarrow.float64())
    for name in (
      'mean_pitch',
      'onsets_per_bar',
      'chord_tone_rate',
      'chord_tones_on_beat',
      'energy',
    )
  ]
  # A form is told as its letters.
  + [
    (name, pyarrow.float64() if term.size == 1 else pyarrow.string())
    for name, term in registry.known().items()
  ]
)
SCHEMA = pyarrow.schema(
  [
    ('name', pyarrow.string()),
    ('files', pyarrow.list_(pyarrow.string())),
    ('line', pyarrow.int64()),
    ('number', pyarrow.int64()),
    ('emotion', pyarrow.string()),
    ('recognized', pyarrow.list_(pyarrow.string())),
    ('seed', pyarrow.int64()),
    ('temperature', pyarrow.float64()),
    ('intensity', pyarrow.float64()),
    ('guidance', pyarrow.float64()),
    ('keep', pyarrow.float64()),
    ('chords', pyarrow.string()),
    ('input', pyarrow.string()),
    ('start_bar', pyarrow.int64()),
    ('measured', _MEASURES),
    ('reference', _MEASURES),
    ('missed', pyarrow.list_(pyarrow.string())),
    ('guided', pyarrow.float64()),
  ]
)


def row(
  item: shards.Item, files: list[str], melody: api.Melody
) -> dict[str, Any]:
  """A melody's row, as plain values.

  Args:
    item: which melody it is.
    files: names of its files in the output folder.
    melody: what was generated.
  """
  return {
    'name': item.name,
    'files': files,
    'line': item.line,
    'number': item.number,
    'emotion': melody.emotion.name,
    'recognized': item.recognized,
    'seed': item.seed,
    'temperature': item.temperature,
    'intensity': item.intensity,
    'guidance': item.guidance,
    'keep': item.keep if item.song else None,
    'chords': item.chords if item.song else None,
    'input': item.song and item.song.report,
    'start_bar': item.song and item.song.first_bar,
    **melody.record(),
  }


def write(job: jobs.Job) -> bool:
  """Joins the parts, in the order of the requests, to the file that ends a job.

  Args:
    job: one all of whose shards were to be generated.

  Returns:
    Whether all parts were there; where one was not, nothing is written.
  """
  with (
    futures.ThreadPoolExecutor(_AHEAD) as readers,
    contextlib.suppress(FileNotFoundError),
    storage.write_whole(job.output_dir, job.manifest) as f,
  ):
    parts = _read_ahead(readers, job.parts())
    if job.parquet:
      with parquet.ParquetWriter(f, SCHEMA) as writer:
        for part in parts:  # Each a row group.
          rows = [json.loads(line) for line in part.splitlines()]
          writer.write_table(pyarrow.Table.from_pylist(rows, SCHEMA))
    else:
      f.writelines(parts)
  return job.is_finished()


def _read_ahead(
  readers: futures.Executor, paths: Iterator[str]
) -> Iterator[bytes]:
  """The contents of files, several of which are on their way at once."""
  # A store in another city answers late, and there may be a million parts.
  coming = collections.deque(
    readers.submit(storage.read_all, path)
    for path in itertools.islice(paths, _AHEAD)
  )
  while coming:
    yield coming.popleft().result()
    coming.extend(
      readers.submit(storage.read_all, path)
      for path in itertools.islice(paths, 1)
    )
