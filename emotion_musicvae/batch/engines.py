"""What a job runs on: each engine calls one function with each of many values.

An engine knows workers and nothing of melodies; `generation.generate` knows
melodies and nothing of workers. An engine may call it several times with a
value, anywhere and in any order; that it was called with each is seen by the
parts that are there in the end. So one more engine is one more function here.

Dask and Spark are called as they are, not by Beam's runners for them: of those
one keeps all shards in one graph and shares them out before it begins, and the
other runs them as one task. To map is all it takes, and hands a shard to who is
free.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import functools
import io
import itertools
import logging
import math
import os
import re
import socket
import sys
import time
from typing import Any
import urllib.parse

from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support.errors import UserError

with quiet.hidden_warnings():  # of what of Google's is not installed
  import apache_beam
  from apache_beam.metrics import Metrics
  from apache_beam.metrics import MetricsFilter
  from apache_beam.options import pipeline_options
  from apache_beam.runners.portability import fn_api_runner

  from emotion_musicvae.batch import storage

# Where in the plan a shard stands: offset and length of its line, in bytes.
Place = tuple[int, int]
# Calls a function with each of a number of values, and raises what it raised.
Engine = Callable[[Callable[[Place], None], Iterator[Place]], None]

# Seconds in which a cluster has to answer.
_TIMEOUT = 10
# How often a shard is tried whose worker dies.
_TRIES = 4
# Shards that Dask is given ahead, for each thread of its workers: its memory
# does not grow with the job, and no thread waits for the launcher.
_AHEAD = 4
# The last line of a worker's traceback, where it tells of a user's mistake.
_USER_ERROR = re.compile(r'^\S*\bUserError: (.*)$', re.MULTILINE)


@contextlib.contextmanager
def beam(options: Sequence[str]) -> Iterator[Engine]:
  """Any runner of Apache Beam's.

  Args:
    options: of its pipeline; one process where they name no runner.

  Raises:
    UserError: an option is wrong.
  """
  said = io.StringIO()
  try:
    with contextlib.redirect_stderr(said):
      parsed = pipeline_options.PipelineOptions(list(options))
      parsed.get_all_options()
      standard = parsed.view_as(pipeline_options.StandardOptions)
      # The one that Beam takes of itself would first try to download another.
      standard.runner = standard.runner or 'FnApiRunner'
      pipeline = apache_beam.Pipeline(options=parsed)
  except (ValueError, ImportError, AttributeError) as e:
    raise UserError('pipeline_options', str(e)) from None
  except SystemExit:
    # argparse has said it, below its usage.
    reason = said.getvalue().strip().splitlines()[-1]
    raise UserError('pipeline_options', reason) from None
  server = parsed.view_as(pipeline_options.PortableOptions).job_endpoint
  if server and server != 'embed':
    _knock(server, 'pipeline_options')
  mode = parsed.view_as(pipeline_options.DirectOptions).direct_running_mode
  # Beam has its processes tell of their every step, whatever they are told.
  told = not quiet.is_quiet() or mode != 'multi_processing'
  with contextlib.nullcontext() if told else quiet.hidden_children():
    yield functools.partial(_by_beam, pipeline)


def _by_beam(
  pipeline: apache_beam.Pipeline,
  function: Callable[[Place], None],
  places: Iterator[Place],
) -> None:
  _ = (
    pipeline
    | 'Places' >> apache_beam.Create([*places])
    | 'Spread' >> apache_beam.Reshuffle()
    | 'GenerateShards' >> apache_beam.ParDo(_Call(function))
  )
  here = isinstance(pipeline.runner, fn_api_runner.FnApiRunner)
  try:
    result = pipeline.run()
  except Exception as e:
    # Elsewhere this hands the job in, and no more.
    if here:
      raise
    raise UserError(
      'pipeline_options',
      messages.say(
        '{runner} cannot begin ({reason})',
        runner=type(pipeline.runner).__name__,
        reason=_first_line(e),
      ),
      messages.say('see docs/batch.md for what it needs'),
    ) from None
  result.wait_until_finish()
  # Not every runner counts.
  with contextlib.suppress(AttributeError, NotImplementedError):
    named = result.metrics().query(MetricsFilter().with_name('no_room'))
    if any(counter.result for counter in named['counters']):
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Call(apache_beam.DoFn):
  """Calls a function, but not again once a disk is full.

  Of that it tells by a counter: runners print more than a line of what is
  raised.
  """

  def __init__(self, function: Callable[[Place], None]) -> None:
    self._function = function
    self._no_room = Metrics.counter('emotion_musicvae', 'no_room')

  def start_bundle(self) -> None:
    """Tries the disk anew."""
    self._full = False

  def process(self, place: Place) -> None:
    """Calls the function."""
    if self._full:
      return
    try:
      self._function(place)
    except OSError as e:
      if not storage.is_full(e):
        raise
      self._no_room.inc()
      self._full = True


@contextlib.contextmanager
def dask(cluster: str | None, num_workers: int) -> Iterator[Engine]:
  """A Dask cluster.

  Args:
    cluster: its scheduler, as 'tcp://host:8786'; None for processes of this
      machine, which end with it.
    num_workers: how many of them.

  Raises:
    UserError: Dask is not installed, or the scheduler cannot be reached.
  """
  level = 'critical' if quiet.is_quiet() else 'info'
  # Its workers take it from their environment.
  os.environ.setdefault('DASK_LOGGING__DISTRIBUTED', level)
  try:
    import distributed
  except ModuleNotFoundError as e:
    raise _missing(e, 'distributed', 'distributed') from None
  logging.getLogger('distributed.client').setLevel(level.upper())
  with contextlib.ExitStack() as running:
    at: Any = cluster
    if cluster is None:
      at = running.enter_context(
        distributed.LocalCluster(
          n_workers=num_workers,
          threads_per_worker=1,
          dashboard_address=':0',
          silence_logs=getattr(logging, level.upper()),
          env=_environment(num_workers),
        )
      )
    try:
      client = running.enter_context(
        distributed.Client(at, timeout=_TIMEOUT, set_as_default=False)
      )
    except (OSError, ValueError) as e:
      raise _unreachable(cluster, _first_line(e)) from None
    yield functools.partial(_by_dask, client, cluster)


def _by_dask(
  client: Any,
  cluster: str | None,
  function: Callable[[Place], None],
  places: Iterator[Place],
) -> None:
  import distributed
  from distributed import comm

  done = distributed.as_completed(loop=client.loop)
  given, threads, asked = 0, 0, -math.inf
  try:
    while True:
      if time.monotonic() > asked + 1:  # Workers come and go.
        threads = sum(client.nthreads().values())
        asked = time.monotonic()
      room = _AHEAD * max(1, threads) - given
      for place in itertools.islice(places, max(0, room)):
        # Its key says nothing: another launcher's is its own.
        done.add(client.submit(function, place, pure=False))
        given += 1
      if not given:
        return
      future = next(done)
      given -= 1
      future.result()
  except (comm.CommClosedError, distributed.client.CancelledError):
    raise _lost(cluster) from None
  except distributed.KilledWorker:
    raise _died() from None


@contextlib.contextmanager
def spark(cluster: str | None, num_workers: int) -> Iterator[Engine]:
  """A Spark cluster.

  Args:
    cluster: its master, as 'spark://host:7077' or 'yarn'; None for processes of
      this machine, which end with it.
    num_workers: how many of them.

  Raises:
    UserError: Spark or Java is not installed, or the master is not reached.
  """
  try:
    import pyspark
    import pyspark.errors

    from py4j import protocol  # isort: skip (pyspark brings it)
  except ModuleNotFoundError as e:
    raise _missing(e, 'pyspark', 'pyspark') from None
  if cluster and cluster.startswith('spark://'):
    _knock(cluster.removeprefix('spark://'), 'cluster')
  settings = pyspark.SparkConf()
  settings.setAppName('emotion_musicvae_batch')
  if cluster is None:
    settings.setMaster(f'local[{num_workers},{_TRIES}]')
    settings.set('spark.ui.enabled', 'false')
    for name, value in _environment(num_workers).items():
      settings.setExecutorEnv(name, value)
    os.environ.setdefault('PYSPARK_PYTHON', sys.executable)
  else:
    settings.setMaster(cluster)
  # Java inherits what stands for standard error as it starts.
  hidden = quiet.hidden_stderr if quiet.is_quiet() else contextlib.nullcontext
  try:
    with hidden():
      context = pyspark.SparkContext(conf=settings)
  except (pyspark.errors.PySparkRuntimeError, protocol.Py4JError) as e:
    raise UserError(
      'runner' if cluster is None else 'cluster',
      messages.say('Spark did not start ({reason})', reason=_first_line(e)),
      messages.say(
        'it takes Java 17 or newer, and a master such as spark://host:7077'
      ),
    ) from None
  try:
    yield functools.partial(_by_spark, context, cluster)
  finally:
    # Where Java is gone there is nothing to stop.
    with contextlib.suppress(OSError, protocol.Py4JError):
      context.stop()


def _by_spark(
  context: Any,
  cluster: str | None,
  function: Callable[[Place], None],
  places: Iterator[Place],
) -> None:
  from py4j import protocol

  values = [*places]
  try:
    context.parallelize(values, len(values)).foreach(function)
  except protocol.Py4JJavaError as e:
    # It hands on no more than the text of what a worker raised.
    text = str(e)
    if storage.is_full(e):
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    if mistake := _USER_ERROR.search(text):
      raise UserError('', mistake[1]) from None
    if 'SparkContext was shut down' in text:
      raise _lost(cluster) from None
    if 'Python worker exited unexpectedly' in text or 'ExecutorLost' in text:
      raise _died() from None
    raise
  except (OSError, protocol.Py4JError):
    raise _lost(cluster) from None


def _environment(num_workers: int) -> dict[str, str]:
  """What workers of one machine share its cores by."""
  cores = max(1, (os.cpu_count() or 1) // num_workers)
  return {
    'TF_NUM_INTRAOP_THREADS': os.environ.get(
      'TF_NUM_INTRAOP_THREADS', str(cores)
    )
  }


def _knock(address: str, argument: str) -> None:
  """Refuses a server that does not answer, of which engines tell late."""
  # There may be several, of which one leads.
  for one in address.split(','):
    try:
      parts = urllib.parse.urlsplit(f'//{one}')
      with socket.create_connection(
        (parts.hostname, parts.port or 7077), _TIMEOUT
      ):
        return
    except (OSError, ValueError) as e:
      reason = str(e)
  raise _unreachable(address, reason, argument)


def _first_line(error: BaseException) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0]


def _missing(error: ModuleNotFoundError, module: str, wheel: str) -> Exception:
  if (error.name or '').partition('.')[0] != module:
    return error
  return UserError(
    'runner',
    messages.say('{module} is not installed', module=module),
    messages.say('type: pip install "{wheel}"', wheel=wheel),
  )


def _unreachable(
  cluster: str | None, reason: str, argument: str = 'cluster'
) -> UserError:
  return UserError(
    argument,
    messages.say(
      '{cluster!r} does not answer ({reason})', cluster=cluster, reason=reason
    ),
    messages.say(
      'see that it runs, or leave it out for processes of this machine'
    ),
  )


def _lost(cluster: str | None) -> UserError:
  return UserError(
    'cluster' if cluster else 'runner',
    messages.say('what hands out the work is gone'),
    messages.say('what is finished is kept, so repeat the command'),
  )


def _died() -> UserError:
  return UserError(
    'runner',
    messages.say(
      'a worker died {count} times at one shard, as where memory runs out',
      count=_TRIES,
    ),
    messages.say('what is finished is kept; take fewer workers or more memory'),
  )
