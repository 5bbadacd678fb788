"""A worker's work: a shard, from its line of the plan to its part.

Whoever calls it: no engine knows more of a job than this function and where in
the plan a shard stands. A shard that is done twice, by whomever, gives the same
bytes.
"""

import json
import threading

from emotion_musicvae.batch import engines
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import storage
from emotion_musicvae.support import quiet

# An engine may call several threads of a process; the decoder's noise is one
# variable of its graph, and not all that draws and engraves is made for it.
_DECODING = threading.Lock()


def generate(job: jobs.Job, place: engines.Place) -> None:
  """Puts a shard's files in their places, and then its part of the manifest.

  Does nothing where the part is there.

  Args:
    job: from `jobs.begin`.
    place: one of `job.places`.

  Raises:
    OSError: a file could not be written; see `storage.is_full`.
    UserError: the model cannot be loaded where this runs.
  """
  shard = json.loads(storage.read(job.path(*jobs.PLAN), place))
  part = jobs.part_of(shard)
  if storage.exists(job.output_dir, *part):
    return
  with _DECODING:
    quiet.load_tensorflow()  # This may be all that its process ever does.
    from emotion_musicvae.batch import composition

    rows = composition.write(job, shard, job.load_model())
  with storage.write_whole(job.output_dir, *part) as f:
    f.writelines(map(storage.json_line, rows))
