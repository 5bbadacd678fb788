"""Who works on a folder whose file system locks nothing, as object stores.

Such a store gives back, by its name, what was written last; a listing may lag.
So the launcher's name stands in one file. Who wants the folder sees whether the
file stays as it is, writes its own name, waits for what others may be writing,
and has the folder if its name still stands there (Fischer's algorithm: Lamport,
A Fast Mutual Exclusion Algorithm, 1987). Who has it writes the file anew, time
and again; who has stopped doing so is taken for dead. No clock is compared with
another machine's.

A launcher that was held up for longer than `EXPIRES` may lose the folder
without knowing; it asks before it ends the job.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading
import time
import uuid

from apache_beam.io.filesystems import FileSystems

from emotion_musicvae.batch import storage

# Seconds without a new beat after which a launcher is taken for dead.
EXPIRES = 30.0
# Seconds in which what a launcher writes is there for all.
SETTLES = 2.0


@contextlib.contextmanager
def lease(
  output_dir: str, name: str, taken: Callable[[], object]
) -> Iterator[Callable[[], bool]]:
  """Keeps a folder from launchers on any machine.

  Args:
    output_dir: the folder.
    name: of the file in it that says who has it.
    taken: called where another has it, and expected to raise.

  Yields:
    What tells whether the folder is still the caller's.

  Raises:
    OSError: the folder cannot be written to.
  """
  ours = uuid.uuid4().hex
  _wait_for_silence(output_dir, name, taken)
  _write(output_dir, name, ours, 0)
  time.sleep(SETTLES)
  if not _is_ours(output_dir, name, ours):
    taken()
  ended = threading.Event()
  beaten = time.monotonic()

  def beat() -> None:
    nonlocal beaten
    count = 0
    while not ended.wait(EXPIRES / 6):
      # What fails once may not the next time; what was lost is not taken back.
      with contextlib.suppress(OSError):
        start = time.monotonic()
        if not _is_ours(output_dir, name, ours):
          return
        count += 1
        _write(output_dir, name, ours, count)
        beaten = start

  def is_ours() -> bool:
    return (time.monotonic() - beaten < EXPIRES - SETTLES) and _is_ours(
      output_dir, name, ours
    )

  thread = threading.Thread(target=beat, daemon=True)
  thread.start()
  try:
    yield is_ours
  finally:
    ended.set()
    thread.join()
    if _is_ours(output_dir, name, ours):
      storage.delete(output_dir, name)


def _wait_for_silence(
  output_dir: str, name: str, taken: Callable[[], object]
) -> None:
  """Returns once no other launcher shows itself."""
  seen = _read(output_dir, name)
  # Where a file is replaced in two steps there is none in between.
  patience = EXPIRES if seen else SETTLES / 2
  end = time.monotonic() + patience
  while time.monotonic() < end:
    time.sleep(SETTLES / 4)
    now = _read(output_dir, name)
    if now and now != seen:
      taken()
    if seen and not now:
      # It was given back, or is between two steps.
      seen, end = None, time.monotonic() + SETTLES / 2


def _read(output_dir: str, name: str) -> str | None:
  """What the file says; None where there is none."""
  if not storage.exists(output_dir, name):
    return None
  try:
    with FileSystems.open(FileSystems.join(output_dir, name)) as f:
      return f.read().decode()
  except OSError:
    return None  # Gone meanwhile.


def _is_ours(output_dir: str, name: str, ours: str) -> bool:
  return (_read(output_dir, name) or '').startswith(ours)


def _write(output_dir: str, name: str, ours: str, count: int) -> None:
  path = FileSystems.join(output_dir, name)
  with FileSystems.create(f'{path}.{ours}') as f:
    f.write(f'{ours} {count}\n'.encode())
  storage.replace([f'{path}.{ours}'], [path])
