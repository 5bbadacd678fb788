"""The manifest of a job: a row for each melody, as JSONL or Parquet.

A worker leaves the rows of its shard in a part; a sink joins the parts, in the
order of the requests, to the file that ends the job.
"""

from collections.abc import Iterable
import json
import shutil
from typing import Any
from typing import BinaryIO

from apache_beam.io import fileio
from apache_beam.io.filesystems import FileSystems
import pyarrow
from pyarrow import parquet

from emotion_musicvae import api
from emotion_musicvae.batch import shards

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


class JsonlSink(fileio.FileSink):
  """Writes one element, the paths of all parts in order, to one file."""

  def open(self, fh: BinaryIO) -> None:
    """Begins the file."""
    self._file = fh

  def write(self, parts: Iterable[str]) -> None:
    """Appends the parts, as they are."""
    for part in parts:
      with FileSystems.open(part) as f:
        shutil.copyfileobj(f, self._file)

  def flush(self) -> None:
    """Ends the file."""
    self._file.flush()


class ParquetSink(fileio.FileSink):
  """Writes the same as Parquet, each part a row group."""

  def open(self, fh: BinaryIO) -> None:
    """Begins the file."""
    self._writer = parquet.ParquetWriter(fh, SCHEMA)

  def write(self, parts: Iterable[str]) -> None:
    """Appends the rows of the parts."""
    for part in parts:
      with FileSystems.open(part) as f:
        rows = [json.loads(line) for line in f.read().splitlines()]
      self._writer.write_table(pyarrow.Table.from_pylist(rows, SCHEMA))

  def flush(self) -> None:
    """Ends the file. Beam calls it once, after all has been written."""
    self._writer.close()
