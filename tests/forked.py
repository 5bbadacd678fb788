"""Runs commands in forks of one process that has loaded TensorFlow already.

Loading it takes seconds, which a table of a hundred commands cannot afford. A
fork made before TensorFlow has run anything is as good as a fresh process: its
own flags, environment, folder and exit status. Where a system has no forks, as
Windows, a fresh process it is.

    python tests/forked.py    # a JSON request a line, a JSON answer a line
"""

import importlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import traceback

import uncompiled


def main():
  from emotion_musicvae.support import quiet

  if len(sys.argv) > 1:
    quiet.load_tensorflow()
    uncompiled.install()
    _become(json.loads(sys.argv[1]))
  answer = _run if hasattr(os, 'fork') else _run_fresh
  if answer is _run:
    _load()
  print('ready', flush=True)
  for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)


def _load():
  """What the commands load one by one."""
  from emotion_musicvae.support import quiet

  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  sys.argv = ['forked']
  quiet.load_tensorflow = lambda: None
  uncompiled.install()
  importlib.import_module('music21')
  for name in (
    'emotions.calibration',
    'api',
    'evaluation.figures',
    'pretraining.trainer',
  ):
    importlib.import_module('emotion_musicvae.' + name)


def _run_fresh(request):
  run = subprocess.run(
    [sys.executable, __file__, json.dumps(request)],
    stdin=subprocess.DEVNULL,
    capture_output=True,
    encoding='utf-8',
    check=False,
  )
  return [run.returncode, run.stdout, run.stderr]


def _run(request):
  # Pipes, as a row may limit the size of files.
  pipes = [os.pipe(), os.pipe()]
  pid = os.fork()
  if not pid:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, (_, end) in zip((1, 2), pipes):
      os.dup2(end, stream)
    # Python took what stood there before for files.
    sys.stdout, sys.stderr = (
      open(stream, 'w', encoding='utf-8', closefd=False) for stream in (1, 2)
    )
    _become(request)
  said = {}
  with selectors.DefaultSelector() as waiting:
    for begin, end in pipes:
      os.close(end)
      said[begin] = b''
      waiting.register(begin, selectors.EVENT_READ)
    while waiting.get_map():
      for key, _ in waiting.select():
        heard = os.read(key.fd, 1 << 16)
        said[key.fd] += heard
        if not heard:
          waiting.unregister(key.fd)
          os.close(key.fd)
  status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
  return [status, *(text.decode() for text in said.values())]


def _become(request):
  """The child: never returns."""
  status = 0
  try:
    os.chdir(request['cwd'])
    os.environ.update(request['env'])
    tempfile.tempdir = None  # It may be another one now.
    module = importlib.import_module(
      'emotion_musicvae.cli.' + request['module']
    )
    sys.argv = [request['module'], *request['flags']]
    exec(request['before'], {})
    module.console_entry_point()
  except SystemExit as e:
    status = e.code or 0
  except BaseException:
    traceback.print_exc()
    status = 1
  finally:
    for stream in (sys.stdout, sys.stderr):
      try:
        stream.flush()
      except OSError:
        status = 120  # as Python's own end would have it
    os._exit(status)


if __name__ == '__main__':
  main()
