"""emotion_musicvae_batch, again and again, with a stand-in for the model.

Reads commands, `{"folder": …, "flags": […], "kill_after": seconds or null,
"room": bytes or null, "launchers": how many at once}`, a JSON a line, runs each
in processes of their own that have all modules loaded already, and answers with
a line of `[exit statuses, seconds, stderr]`, -9 for what was killed. With room
for so many bytes the disk is full after as many.
"""

import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
import time
import types

from emotion_musicvae.support import quiet

# Processes that are spawned import this, too.
with quiet.hidden_stderr(), quiet.hidden_warnings():
  from apache_beam.io.filesystems import FileSystems
  from note_seq.protobuf import music_pb2
  import numpy as np
  import slow_store  # noqa: F401 (registers it)

  from emotion_musicvae import api
  from emotion_musicvae.batch import composition  # noqa: F401 (for all forks)
  from emotion_musicvae.batch import generation
  from emotion_musicvae.batch import launch
  from emotion_musicvae.batch import leases
  from emotion_musicvae.batch import shards
  from emotion_musicvae.cli import batch as command
  from emotion_musicvae.files import arrangement

# Where each shard's process is told, beside the job's folder.
SHARES = 'shares'


class StandIn:
  """Composes what follows from emotion, seed and number, as the model does."""

  def compose(self, orders):
    return [self._melody(order) for order in orders]

  def _melody(self, order):
    rng = np.random.default_rng((order.seed, order.number))
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=120.0)
    for start in range(16):
      pitch = int(rng.normal(order.emotion.mean_pitch, 3))
      sequence.notes.add(
        pitch=pitch, velocity=80, start_time=start, end_time=start + 1
      )
    measured = {'mean_pitch': np.mean([n.pitch for n in sequence.notes])}
    sequence.total_time = 16
    sequence = arrangement.arrange(sequence, order.emotion, num_bars=8)
    return api.Melody(
      order.emotion, sequence, None, None, 0, measured, {}, {}, order.number
    )

  def description(self):
    return {'config': 'stand-in'}


def generate(job, place):
  """A worker's work, with the stand-in wherever it is: it travels with this.

  A worker that finds a file `die` beside the job's folder removes it and does.
  """
  beside = os.path.dirname(job.output_dir.removeprefix('slow://'))
  with contextlib.suppress(FileNotFoundError):
    os.remove(os.path.join(beside, 'die'))
    os.kill(os.getpid(), signal.SIGKILL)
  api.EmotionMusicVAE.from_pretrained = lambda **arguments: StandIn()
  generation.generate(job, place)
  with open(os.path.join(beside, SHARES), 'a') as f:
    f.write(f'{os.getpid()}\n')


class SmallDisk:
  """Room for so many bytes, of which a file takes a block of 512 at least."""

  def __init__(self, room):
    self._room = room
    self._create = FileSystems.create

  def create(self, path, **settings):
    self._take(b'.' * 512)
    file = self._create(path, **settings)
    write = file.write

    def write_what_fits(data):
      write(data[: self._room])
      self._take(data)

    file.write = write_what_fits
    return file

  def _take(self, data):
    self._room -= len(data)
    if self._room < 0:
      self._room = 0
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _launch(folder, flags, room, errors):
  """The id of a process."""
  child = os.fork()
  if not child:
    os.chdir(folder)
    if room is not None:
      FileSystems.create = SmallDisk(room).create
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(errors.fileno(), 2)
    sys.argv[1:] = flags
    try:
      command.console_entry_point()
    except SystemExit as e:
      os._exit(e.code or 0)
    except BaseException:
      sys.excepthook(*sys.exc_info())
      os._exit(1)
  return child


def _run(folder, flags, kill_after, room, launchers, errors):
  """The exit statuses."""
  children = [_launch(folder, flags, room, errors) for _ in range(launchers)]
  if kill_after is not None:
    time.sleep(kill_after)
    for child in children:
      os.kill(child, signal.SIGKILL)
  return [
    os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children
  ]


def main():
  shards.SHARD_SIZE = 4
  leases.EXPIRES, leases.SETTLES = 6.0, 1.0
  api.EmotionMusicVAE.from_pretrained = lambda **arguments: StandIn()
  launch.generation = types.SimpleNamespace(generate=generate)
  for line in sys.stdin:
    with tempfile.TemporaryFile('w+') as errors:
      start = time.monotonic()
      statuses = _run(errors=errors, **json.loads(line))
      seconds = time.monotonic() - start
      errors.seek(0)
      print(json.dumps([statuses, seconds, errors.read()]), flush=True)


if __name__ == '__main__':
  main()
