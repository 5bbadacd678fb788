"""A job from its plan to its manifest, on whatever engine."""

from collections.abc import Callable
import functools

from emotion_musicvae.batch import engines
from emotion_musicvae.batch import generation
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import manifest
from emotion_musicvae.batch import storage


def run(
  job: jobs.Job, engine: engines.Engine, check: Callable[[], None]
) -> None:
  """Generates what is missing, and writes the manifest.

  Args:
    job: from `jobs.begin`.
    engine: calls a function with each of a number of values.
    check: raises where the job's folder was lost; from `jobs.lock`.

  Raises:
    UserError: there is no room left, the engine could not be reached any more,
      or another launcher has the folder. What is finished stays so.
    RuntimeError: a worker failed otherwise, or the engine left shards out.
  """
  if not job.is_finished():
    with storage.room_in(job.output_dir):
      call = functools.partial(generation.generate, job.for_workers())
      engine(call, job.places())
      check()
      if not manifest.write(job):
        raise RuntimeError('the engine ended with shards that it left out')
  check()
  if storage.exists(job.output_dir, '.job'):
    storage.delete(job.output_dir, '.job')
