"""Kills workers, launchers and schedulers of batch jobs, and counts melodies.

python benchmarks/engine_kills.py --kills=20 --engines dask spark

A job of 603 melodies in 151 shards, composed by the stand-in of the tests
(tests/stand_in_batch.py), at a twentieth of a second a shard. Dask runs as a
cluster: a scheduler and two workers with nannies, each a process of its own;
Spark as two processes of this machine. Each run begins in an empty folder; at
a random moment one of its processes is killed (SIGKILL), and where that ended
the launcher the same command is given again. Prints a JSON: for each engine,
and for each who was killed, how many kills met a job at work, how many
launchers ended by them, how many melodies of the manifest or of the folder
were lost, doubled or had other bytes than those of an unbroken run, and what
was left over.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'tests'))
import cloudpickle
import pyspark.cloudpickle
import stand_in_batch

from emotion_musicvae.batch import launch
from emotion_musicvae.batch import shards

_JOB = ('--emotions=all', '--num_outputs=67', '--output_dir=o')
_SECONDS = 0.05
# By itself, as workers do not have the module.
_generate = stand_in_batch.generate


def generate(job, place):
  """A worker's work, slow enough to be met at it."""
  time.sleep(_SECONDS)
  _generate(job, place)


class Run:
  """A launcher in a folder, and who works for it."""

  def __init__(self, folder, flags):
    self._folder = pathlib.Path(folder)
    self._errors = open(self._folder / 'errors', 'a+')
    self._pid = stand_in_batch._launch(
      folder, [*_JOB, *flags], None, self._errors
    )
    self.status = None

  def is_over(self):
    """Whether the launcher has ended."""
    if self.status is None:
      pid, status = os.waitpid(self._pid, os.WNOHANG)
      if pid:
        self.status = os.waitstatus_to_exitcode(status)
    return self.status is not None

  def wait(self):
    """Its exit status."""
    while not self.is_over():
      time.sleep(0.01)
    self._errors.close()
    return self.status

  def workers(self):
    """Processes that have done a shard of it."""
    with contextlib.suppress(OSError):
      return (self._folder / stand_in_batch.SHARES).read_text().split()
    return []

  def kill(self, who, cluster):
    """Kills one of its processes; whether it was at work then."""
    if who == 'launcher':
      os.kill(self._pid, signal.SIGKILL)
    elif who == 'scheduler':
      cluster.restart()
    else:
      os.kill(int(self.workers()[-1]), signal.SIGKILL)


class DaskCluster:
  """A scheduler and two workers, each a process of its own."""

  def __init__(self, folder):
    with socket.socket() as free:
      free.bind(('127.0.0.1', 0))
      self._address = f'127.0.0.1:{free.getsockname()[1]}'
    self._folder = folder
    os.environ['DASK_LOGGING__DISTRIBUTED'] = 'critical'
    self._scheduler = self._start_scheduler()
    self._workers = self._start(
      'worker', f'tcp://{self._address}', '--nworkers=2', '--nthreads=1',
      f'--local-directory={folder}', '--no-dashboard', '--death-timeout=600',
    )  # fmt: skip
    self.flags = ('--runner=dask', f'--cluster=tcp://{self._address}')

  def _start(self, *command):
    return subprocess.Popen(
      [sys.executable, '-m', 'dask', *command],
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )

  def _start_scheduler(self):
    host, port = self._address.split(':')
    return self._start(
      'scheduler', f'--host={host}', f'--port={port}', '--no-dashboard'
    )

  def restart(self):
    """Kills the scheduler, and starts another of its address and workers."""
    self._scheduler.kill()
    self._workers.terminate()
    self._scheduler.wait()
    self._workers.wait()
    self.__init__(self._folder)

  def close(self):
    """Ends all of it."""
    for process in (self._workers, self._scheduler):
      process.terminate()
      process.wait()


class Here:
  """Two processes of this machine, which every launcher starts for itself."""

  def __init__(self, folder):
    self.flags = ('--runner=spark', '--num_workers=2')

  def close(self):
    """Nothing of it is left."""


def made(folder):
  """Names and bytes of a finished job, and what is there besides."""
  folder = pathlib.Path(folder) / 'o'
  files = {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }
  lines = files.get('manifest.jsonl', b'').decode().splitlines()
  named = [name for line in lines for name in json.loads(line)['files']]
  kept = {*named, 'manifest.jsonl', 'job.json'}
  return files, named, sorted({*files} - kept)


def measure(cluster, who, kills, whole):
  """Counts of kills of one kind."""
  rng = random.Random(0)
  result = {
    'killed': 0, 'too_late': 0, 'launchers_ended': 0, 'lost': 0, 'doubled': 0,
    'other_bytes': 0, 'left_over': [], 'lines_of_error': [],
  }  # fmt: skip
  files, named, _ = whole
  while result['killed'] < kills:
    with tempfile.TemporaryDirectory() as folder:
      run = Run(folder, cluster.flags)
      while not run.is_over() and not run.workers():
        time.sleep(0.01)
      time.sleep(rng.uniform(0, 0.8) * len(named) / 4 * _SECONDS / 2)
      if run.is_over():
        result['too_late'] += 1
        continue
      run.kill(who, cluster)
      result['killed'] += 1
      if run.wait():
        result['launchers_ended'] += 1
        with open(os.path.join(folder, 'errors')) as f:
          said = [line for line in f if ' melodies, ' not in line]
        result['lines_of_error'].append(len(said))
        Run(folder, cluster.flags).wait()
      again, named_again, left = made(folder)
      result['lost'] += len({*named} - ({*named_again} & {*again}))
      result['doubled'] += len(named_again) - len({*named_again})
      result['other_bytes'] += sum(
        again.get(name) != content for name, content in files.items()
      )
      result['left_over'] += left
    # The whole takes long; what is counted should not be lost.
    print(who, result, file=sys.stderr, flush=True)
  return result


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--engines', nargs='+', default=['dask', 'spark'])
  parser.add_argument(
    '--who', nargs='+', default=['worker', 'launcher', 'scheduler']
  )
  arguments = parser.parse_args()
  shards.SHARD_SIZE = 4
  for pickling in (cloudpickle, pyspark.cloudpickle):
    pickling.register_pickle_by_value(stand_in_batch)
  launch.generation = argparse.Namespace(generate=generate)
  result = {}
  for engine in arguments.engines:
    with tempfile.TemporaryDirectory() as place:
      cluster = {'dask': DaskCluster, 'spark': Here}[engine](place)
      with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        status = Run(folder, cluster.flags).wait()
        whole = made(folder)
        told = {'status': status, 'melodies': len(whole[1])}
        told['seconds'] = round(time.monotonic() - start, 1)
      print(engine, told, file=sys.stderr, flush=True)
      for who in arguments.who:
        if who != 'scheduler' or engine == 'dask':
          told[who] = measure(cluster, who, arguments.kills, whole)
      cluster.close()
      result[engine] = told
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
