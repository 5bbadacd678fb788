"""What a launcher does itself: the plan, handing it out, and the manifest.

python benchmarks/plan.py 10000 100000 1000000

For so many requests of one melody, CPU seconds to plan and to join the parts
of the manifest (rows as long as real ones, which this script makes up), the
bytes of the plan, and the memory of planning; milliseconds to hand out a shard
to two workers of Dask's that do nothing with it, and the memory of the
launcher, with the scheduler in it, and of the larger worker after the last.
Prints a JSON line for each number. No melody is composed.
"""

import itertools
import json
import os
import resource
import sys
import tempfile
import time

import batch

from emotion_musicvae.batch import engines
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import manifest
from emotion_musicvae.batch import requests
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import playing

_ROW = b'{' + b'.' * 400 + b'}\n'


def _nothing(place):
  """What each worker does with a shard."""


def _handed_out(job):
  """Milliseconds a shard, and MiB of launcher and worker."""
  with engines.dask(None, 2) as engine:
    # Workers load what they take from here once.
    engine(_nothing, itertools.islice(job.places(), 8))
    start = time.monotonic()
    engine(_nothing, job.places())
    seconds = time.monotonic() - start
    kib = batch.resident(os.getpid())
  return {
    'dask_ms_a_shard': round(1000 * seconds / job.num_shards, 2),
    'dask_launcher_mib': round(kib[0] / 2**10),
    'dask_worker_mib': round(max(kib[1:]) / 2**10),
  }


def measure(n):
  """What a launcher does for n requests."""
  known = catalogue.load()
  with tempfile.TemporaryDirectory() as folder:
    os.makedirs(os.path.join(folder, *jobs.PARTS))
    plan = os.path.join(folder, *jobs.PLAN)
    rows = ((line, '', {'emotion': 'peaceful'}) for line in range(1, n + 1))
    found = requests.parse(rows, known, 0, 0.5, 1.0, 1.0, ('mid',), False)
    start = time.process_time()
    sizes, *_ = jobs._plan(found, plan, os.path.join(folder, 'failed'), None)
    planned = time.process_time() - start
    job = jobs.Job(folder, *sizes, True, False, playing.PLAIN, {})
    for part in job.parts():
      count = int(part.rpartition('-')[2].partition('.')[0])
      with open(part, 'wb') as f:
        f.write(_ROW * count)
    start = time.process_time()
    assert manifest.write(job)
    joined = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
      'requests': n,
      'shards': sizes[0],
      'plan_seconds': round(planned, 2),
      'plan_us_a_request': round(1e6 * planned / n, 1),
      'plan_bytes_a_request': round(os.path.getsize(plan) / n, 1),
      'manifest_seconds': round(joined, 2),
      'manifest_us_a_melody': round(1e6 * joined / n, 2),
      'peak_mib': round(peak / 2**10),
      **_handed_out(job),
    }
    print(json.dumps(told), flush=True)


def main():
  for n in map(int, sys.argv[1:]):
    measure(n)


if __name__ == '__main__':
  main()
