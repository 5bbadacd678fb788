"""Opens a studio in the browser: say how you feel, hear it, shape it.

It runs on this machine and asks nothing of any other:

emotion_musicvae_studio
"""

import importlib.util
import ipaddress
import logging
import secrets
import socket
import sys
import threading
import webbrowser

from absl import flags

from emotion_musicvae.cli import command
from emotion_musicvae.cli import shared_flags
from emotion_musicvae.files import writers
from emotion_musicvae.support import messages
from emotion_musicvae.support import quiet
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

FLAGS = flags.FLAGS

shared_flags.define(*shared_flags.MODEL)
flags.DEFINE_string(
  'host',
  '127.0.0.1',
  'Address to listen at; 0.0.0.0 for other machines, which then need --token.',
)
flags.DEFINE_integer('port', 8765, 'Port to listen at; 0 for any that is free.')
flags.DEFINE_string(
  'token',
  None,
  'Word that everybody has to name. Drawn and printed where --host is not this '
  'machine alone; none for anybody.',
)
flags.DEFINE_bool('open', True, 'Whether to open the page in a browser.')
flags.DEFINE_integer(
  'requests_a_minute', 600, 'How much one address may ask for.'
)
flags.DEFINE_integer('max_bars', 64, "Longest melody of one's own, in bars.")
flags.DEFINE_integer('max_upload_kib', 1024, 'Largest file, in KiB.')
flags.DEFINE_integer('max_batch_size', 8, 'Melodies that are decoded at once.')


def main() -> None:
  """Runs the command as its flags say."""
  ranges.PORT.check('port', FLAGS.port)
  ranges.REQUESTS_A_MINUTE.check('requests_a_minute', FLAGS.requests_a_minute)
  ranges.BARS.check('max_bars', FLAGS.max_bars)
  ranges.UPLOAD_KIB.check('max_upload_kib', FLAGS.max_upload_kib)
  ranges.BATCH_SIZE.check('max_batch_size', FLAGS.max_batch_size)
  command.set_log(FLAGS.log)
  for package in ('starlette', 'uvicorn', 'verovio'):
    if importlib.util.find_spec(package) is None:
      raise UserError(
        '',
        messages.say('the studio takes {package}', package=package),
        messages.say("type: pip install 'emotion_musicvae[studio]'"),
      )
  writers.check_formats(['flac', 'musicxml'], '')
  token = _token()
  listening = _listening()
  host, port = listening.getsockname()[:2]
  address = f'http://{f"[{host}]" if ":" in host else host}:{port}/'
  if host in ('0.0.0.0', '::'):
    address = f'http://{socket.gethostname()}:{port}/'
  if token:
    address += f'?token={token}'
  print(messages.say('The studio is at {address}', address=address))
  print(messages.say('Ctrl+C ends it.'))
  sys.stdout.flush()

  import uvicorn

  from emotion_musicvae.studio import limits
  from emotion_musicvae.studio import server

  logging.getLogger('emotion_musicvae.studio').propagate = False
  logging.getLogger('uvicorn').setLevel(logging.WARNING)
  _log_to_stderr()
  studio = server.Studio(
    _load,
    limits.Limits(
      token=token,
      any_host=not _is_this_machine(FLAGS.host),
      requests_a_minute=FLAGS.requests_a_minute,
      most_bytes=FLAGS.max_upload_kib * 1024,
      most_bars=FLAGS.max_bars,
    ),
  )
  if FLAGS.open and sys.stdout.isatty():
    threading.Timer(0.5, webbrowser.open, [address]).start()
  uvicorn.Server(
    uvicorn.Config(
      studio.application(),
      log_config=None,
      access_log=False,
      server_header=False,
      timeout_graceful_shutdown=2,
    )
  ).run([listening])


def _load() -> object:
  quiet.load_tensorflow()

  from emotion_musicvae import api

  return api.EmotionMusicVAE.from_pretrained(
    FLAGS.config,
    FLAGS.checkpoint_file,
    FLAGS.run_dir,
    FLAGS.max_batch_size,
    FLAGS.actor_dir,
    prior=FLAGS.prior,
  )


def _token() -> str:
  """The token that is asked for, or needed."""
  if FLAGS.token == 'none':
    return ''
  if FLAGS.token is not None:
    if not FLAGS.token.isascii() or not FLAGS.token.isalnum():
      raise UserError('token', messages.say('expected letters and digits'))
    return str(FLAGS.token)
  return '' if _is_this_machine(FLAGS.host) else secrets.token_hex(16)


def _is_this_machine(host: str) -> bool:
  """Whether nothing but this machine reaches an address."""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == 'localhost'


def _listening() -> socket.socket:
  """A socket at the address that is asked for."""
  try:
    family = socket.getaddrinfo(FLAGS.host, FLAGS.port)[0][0]
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((FLAGS.host, FLAGS.port))
    # A browser that comes before the model is there waits.
    listening.listen(128)
  except OSError as e:
    raise UserError(
      'port',
      messages.say(
        'cannot listen at {host}:{port} ({reason})',
        host=FLAGS.host,
        port=FLAGS.port,
        reason=messages.reason(e),
      ),
      messages.say('name another'),
    ) from None
  return listening


def _log_to_stderr() -> None:
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter('%(message)s'))
  log = logging.getLogger('emotion_musicvae.studio')
  log.addHandler(handler)
  log.setLevel(logging.INFO)


def console_entry_point() -> None:
  """What the installed command calls."""
  command.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
