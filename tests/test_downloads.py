"""Downloads, from a server on this machine that misbehaves as asked."""

import http.server
import os
import re
import threading

import pytest

from emotion_musicvae.musicvae import downloads
from emotion_musicvae.support.errors import UserError

CONTENT = bytes(range(256)) * 12_000  # 3 MB


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    server = self.server
    server.requests.append(self.headers.get('Range'))
    behaviour = server.behaviour.pop(0) if server.behaviour else 'serve'
    start = 0
    match = re.match(r'bytes=(\d+)-', self.headers.get('Range') or '')
    if match and behaviour != 'ignore range':
      start = int(match.group(1))
    if start and behaviour == 'another range':
      start -= 1000
    body = CONTENT[start:]
    if behaviour == 'error page':
      body = b'<html>Not here</html>'
      self.send_response(404)
      self.send_header('Content-Type', 'text/html')
    elif behaviour == 'busy':
      body = b''
      self.send_response(503)
    elif start >= len(CONTENT):
      body = b''
      self.send_response(416)
    else:
      self.send_response(206 if start else 200)
      self.send_header('Content-Type', 'application/x-tar')
      if start:
        self.send_header(
          'Content-Range', f'bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}'
        )
    length = len(body)
    if behaviour == 'claim too much':
      length *= 10**9
    elif behaviour == 'claim a little more':
      length += 10
    self.send_header('Content-Length', str(length))
    self.end_headers()
    if behaviour == 'break off':
      body = body[: len(body) // 2]
    self.wfile.write(body)

  def log_message(self, *args):
    pass


@pytest.fixture
def server():
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
  server.requests, server.behaviour = [], []
  server.url = f'http://127.0.0.1:{server.server_port}/model.tar'
  threading.Thread(target=server.serve_forever, daemon=True).start()
  yield server
  server.shutdown()
  server.server_close()


def _fetch(server, tmp_path):
  path = tmp_path / 'cache' / 'model.tar'
  downloads.fetch(server.url, str(path), pause=0.0)
  return path


def _left(tmp_path):
  return set(os.listdir(tmp_path / 'cache'))


def test_a_file_is_fetched_whole(server, tmp_path):
  path = _fetch(server, tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.requests == [None]
  assert _left(tmp_path) == {'model.tar'}


def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path):
  server.behaviour = ['break off', 'busy', 'break off']
  assert _fetch(server, tmp_path).read_bytes() == CONTENT
  first, *rest = server.requests
  assert first is None
  starts = [int(r.removeprefix('bytes=').removesuffix('-')) for r in rest]
  assert starts == sorted(starts)
  # All that came, but for the end that did not fill a chunk.
  assert starts[0] > len(CONTENT) // 2 - downloads.CHUNK_BYTES
  assert starts[-1] > len(CONTENT) * 3 // 4 - 2 * downloads.CHUNK_BYTES


def test_a_server_that_knows_no_ranges_starts_again(server, tmp_path):
  server.behaviour = ['break off', 'ignore range']
  assert _fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_part_other_than_was_asked_for_is_not_joined(server, tmp_path):
  server.behaviour = ['break off', 'another range']
  assert _fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_server_that_lies_about_the_length_is_not_believed(server, tmp_path):
  server.behaviour = ['claim a little more'] * 2
  assert _fetch(server, tmp_path).read_bytes() == CONTENT


def test_proxies_are_honoured(server, tmp_path, monkeypatch):
  monkeypatch.setenv('http_proxy', server.url.removesuffix('/model.tar'))
  monkeypatch.delenv('no_proxy', raising=False)
  path = tmp_path / 'cache' / 'model.tar'
  downloads.fetch('http://nowhere.invalid/model.tar', str(path), pause=0.0)
  assert path.read_bytes() == CONTENT


def test_the_bar_counts_all_bytes_from_where_it_was(server, tmp_path):
  bars = []

  class Bar:
    def __init__(self, **settings):
      self.settings, self.n = settings, settings['initial']
      bars.append(self)

    def update(self, n):
      self.n += n

    def close(self):
      pass

  server.behaviour = ['break off']
  path = str(tmp_path / 'cache' / 'model.tar')
  downloads.fetch(server.url, path, Bar, pause=0.0)
  first, second = bars
  assert first.settings['total'] == second.settings['total'] == len(CONTENT)
  assert first.settings['desc'] == 'model.tar'
  assert (first.settings['initial'], second.n) == (0, len(CONTENT))
  assert second.settings['initial'] == first.n > 0


def test_a_part_longer_than_the_file_starts_again(server, tmp_path):
  (tmp_path / 'cache').mkdir()
  (tmp_path / 'cache' / 'model.tar.part').write_bytes(CONTENT + b'more')
  assert _fetch(server, tmp_path).read_bytes() == CONTENT


def test_what_has_arrived_is_kept_for_the_next_time(server, tmp_path):
  server.behaviour = ['break off'] + ['busy'] * 4
  with pytest.raises(UserError, match='cannot download http.*.checkpoint_fi'):
    _fetch(server, tmp_path)
  assert _left(tmp_path) == {'model.tar.part'}
  kept = (tmp_path / 'cache' / 'model.tar.part').read_bytes()
  assert kept == CONTENT[: len(kept)]
  assert len(kept) > len(CONTENT) // 2 - downloads.CHUNK_BYTES
  assert _fetch(server, tmp_path).read_bytes() == CONTENT
  assert server.requests[-1] == f'bytes={len(kept)}-'


def test_an_error_page_is_not_a_checkpoint(server, tmp_path):
  server.behaviour = ['error page']
  with pytest.raises(
    UserError, match='status 404 and text/html.*.checkpoint_file'
  ):
    _fetch(server, tmp_path)
  assert not _left(tmp_path)


def test_free_disk_is_looked_at_first(server, tmp_path):
  server.behaviour = ['claim too much']
  with pytest.raises(UserError, match='cache_dir: .* MB are free'):
    _fetch(server, tmp_path)
  assert not _left(tmp_path)


def test_offline_one_line_says_where_to_get_the_file(tmp_path):
  with pytest.raises(UserError, match='http://127.0.0.1:9/x.*other means'):
    downloads.fetch('http://127.0.0.1:9/x', str(tmp_path / 'c/x'), pause=0.0)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with pytest.raises(UserError, match='cache_dir: cannot write'):
    downloads.fetch('http://127.0.0.1:9/x', str(tmp_path / 'file/x'))
