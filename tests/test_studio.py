"""The studio's server: what it composes, hands out and does not let through."""

from concurrent import futures
import contextlib
import io
import json
import logging
import socket
import threading
import time
import zipfile

import numpy as np
import pytest
import requests as http
import soundfile
import uvicorn

from emotion_musicvae import EmotionMusicVAE
from emotion_musicvae.files import midi
from emotion_musicvae.studio import limits
from emotion_musicvae.studio import requests
from emotion_musicvae.studio import server
from emotion_musicvae.support.errors import UserError

OPEN = limits.Limits()
RIGHT = {'emotion': 'peaceful', 'seed': 1}


@contextlib.contextmanager
def serving(model, asked=OPEN):
  """A studio in a thread; gives its address."""
  listening = socket.create_server(('127.0.0.1', 0))
  studio = server.Studio(lambda: model, asked, workers=2)
  config = uvicorn.Config(studio.application(), log_config=None)
  running = uvicorn.Server(config)
  thread = threading.Thread(target=running.run, args=([listening],))
  thread.start()
  address = f'http://127.0.0.1:{listening.getsockname()[1]}'
  try:
    while http.get(address + '/healthz').json()['status'] != 'ready':
      time.sleep(0.05)
    yield address
  finally:
    running.should_exit = True
    thread.join()


@pytest.fixture(scope='module')
def address(model):
  with serving(model) as found:
    yield found


@pytest.fixture(scope='module')
def take(address):
  """A take with an accompaniment, and what was asked for."""
  request = {'emotion': 'peaceful', 'seed': 7, 'accompaniment': 'chords'}
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 2})
  return answer.json()['takes'][1]


def test_a_take_is_what_python_gives(model, take, monkeypatch):
  melody = model.generate('peaceful', n=2, seed=7)[1].played(
    accompaniment='chords'
  )
  tokens = requests.unpacked(take['song']['tokens'], 1000)
  np.testing.assert_array_equal(tokens, melody.tokens)
  assert take['korean'] == '평화로움'
  again = requests.compose(model, requests.Spec.of(take['spec'], 64))
  assert again.note_sequence == melody.note_sequence
  monkeypatch.setattr(EmotionMusicVAE, 'from_pretrained', lambda: model)
  told = {}
  exec(take['python'], told)
  assert told['melody'].note_sequence == melody.note_sequence


def test_ten_at_once_get_each_their_own(address):
  def ask(seed):
    request = {'emotion': 'lively', 'seed': seed, 'guidance': 0.0}
    answer = http.post(
      f'{address}/api/takes', json={'request': request, 'n': 1}
    )
    return answer.json()['takes'][0]['song']['tokens']

  with futures.ThreadPoolExecutor(10) as pool:
    found = list(pool.map(ask, [0, 1, 2, 3, 4] * 2))
  assert found[:5] == found[5:]
  assert len(set(found)) == 5


def test_it_is_played_whole_and_in_parts(address, take):
  sounds = {}
  for part in ('all', 'melody', 'chords'):
    answer = http.post(
      f'{address}/api/sound', json={'take': take['spec'], 'part': part}
    )
    assert answer.headers['content-type'] == 'audio/flac'
    sounds[part], rate = soundfile.read(io.BytesIO(answer.content))
    assert sounds[part].shape[1] == 2
    assert 0 < len(sounds[part]) / rate - take['data']['seconds'] < 12
    assert np.abs(sounds[part]).max() > 0.05
  assert not np.array_equal(
    sounds['melody'], sounds['chords'][: len(sounds['melody'])]
  )


def test_its_sheet_music_is_drawn(address, take):
  ask = {'take': take['spec'], 'width': 500}
  answer = http.post(f'{address}/api/staff', json=ask)
  assert answer.headers['content-type'] == 'image/svg+xml'
  assert answer.text.count('data-bar') == 16
  notes = {f'data-note="{i}"' for i, _ in enumerate(take['data']['notes'])}
  assert all(note in answer.text for note in notes)
  for wrong in ({'width': -1}, {'width': None}, {'which': 'original'}):
    answer = http.post(f'{address}/api/staff', json={**ask, **wrong})
    assert answer.status_code == 400
    assert '\n' not in answer.json()['error']


def test_all_of_it_is_taken_along(model, address, take):
  ask = {'take': take['spec'], 'format': 'zip'}
  answer = http.post(f'{address}/api/file', json=ask)
  assert answer.headers['content-disposition'].endswith("''peaceful-2.zip")
  assert http.post(f'{address}/api/file', json=ask).content == answer.content
  with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
  endings = ('mid', 'wav', 'mp3', 'musicxml', 'png')
  assert set(files) == {
    *(f'peaceful.{ending}' for ending in endings),
    'take.json',
    'again.txt',
  }
  melody = requests.compose(model, requests.Spec.of(take['spec'], 64))
  assert files['peaceful.mid'] == midi.midi(melody.note_sequence)
  assert json.loads(files['take.json'])['take'] == take['spec']
  told = files['again.txt'].decode()
  assert told.startswith(
    'emotion_musicvae_generate --emotion=peaceful --seed=7 '
    '--accompaniment=chords --num_outputs=2\n'
  )
  assert 'requests.compose(model, take)' in told


@pytest.mark.slow
def test_the_command_gives_the_same_take(run, tmp_path, address, take):
  status, _, err = run('generate', *take['command'].split()[1:], cwd=tmp_path)
  assert (status, err) == (0, '')
  ask = {'take': take['spec'], 'format': 'mid'}
  (second,) = tmp_path.glob('out/*-001-of-002.mid')
  taken = http.post(f'{address}/api/file', json=ask).content
  assert second.read_bytes() == taken


def test_further_targets_are_asked_for_and_measured(address):
  request = {**RIGHT, 'mean_pitch': 70, 'target': 'syncopation=0.3'}
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 1})
  (take,) = answer.json()['takes']
  measures = {name: asked for name, asked, _ in take['measures']}
  assert measures['mean_pitch'] == '70.0'
  assert measures['syncopation'] == '0.30'
  assert '--target=mean_pitch=70,syncopation=0.3' in take['command']


def test_bars_stay_and_sections_follow(address, take):
  song = take['song']
  request = {'emotion': 'peaceful', 'seed': 9, 'song': song, 'bars': [1, 2, 3]}
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 1})
  (anew,) = answer.json()['takes']
  before, after = (
    requests.unpacked(one['song']['tokens'], 1000) for one in (take, anew)
  )
  np.testing.assert_array_equal(before[:48], after[:48])
  assert (before != after).any()
  request = {'emotion': 'gloomy', 'seed': 1, 'after': [take['spec']]}
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 1})
  (longer,) = answer.json()['takes']
  assert len(longer['data']['bars']) == 32
  whole = requests.unpacked(longer['song']['tokens'], 1000)
  np.testing.assert_array_equal(whole[:256], before)


def test_more_like_it_are_near_it_and_each_another(address, take):
  request = {
    'emotion': 'peaceful',
    'seed': 3,
    'song': take['song'],
    'distance': 0.2,
  }
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 3})
  own = requests.unpacked(take['song']['tokens'], 1000)
  found = [
    requests.unpacked(one['song']['tokens'], 1000)
    for one in answer.json()['takes']
  ]
  assert len({tokens.tobytes() for tokens in found}) == 3
  # More of its onsets than a melody of another seed has.
  request = {'emotion': 'peaceful', 'seed': 99}
  answer = http.post(f'{address}/api/takes', json={'request': request, 'n': 3})
  others = [
    requests.unpacked(one['song']['tokens'], 1000)
    for one in answer.json()['takes']
  ]

  def shared(tokens):
    return np.mean([((own >= 2) & (own == one)).sum() for one in tokens])

  assert shared(found) > shared(others)


def test_a_reading_says_which_words_led_there(address):
  text = '힘들었지만 행복하다'
  found = http.post(f'{address}/api/reading', json={'text': text}).json()
  assert sum(found['weights'].values()) == pytest.approx(1.0)
  assert next(iter(found['weights'])) == 'bright'
  assert any('행복' in word for word, _ in found['evidence'])


def test_chords_are_checked(address):
  good = http.post(f'{address}/api/chords', json={'chords': 'C Am F G'})
  assert good.json() == {'key': 'C', 'mode': 'major', 'bars': 4}
  bad = http.post(f'{address}/api/chords', json={'chords': 'C Hm'})
  assert bad.status_code == 400
  assert 'Hm' in bad.json()['error']


def test_a_mistake_is_told_in_the_language_of_the_page(address):
  ask = {'request': {'emotion': 'peaceful', 'intensity': 3}}
  for language, word in (('ko-KR', '까지'), ('en', 'expected')):
    answer = http.post(
      f'{address}/api/takes', json=ask, headers={'Accept-Language': language}
    )
    assert answer.status_code == 400
    assert word in answer.json()['error']
    assert 'intensity' in answer.json()['error']


def test_what_is_played_on_keys_is_a_melody(address):
  notes = [[0, 4, 60], [4, 8, 64], [8, 20, 67]]
  found = http.post(f'{address}/api/notes', json={'notes': notes, 'qpm': 100})
  song = found.json()['song']
  tokens = requests.unpacked(song['tokens'], 1000)
  assert len(tokens) == 32
  np.testing.assert_array_equal(np.flatnonzero(tokens >= 2), [0, 4, 8])
  assert tokens[20] == 1


@pytest.mark.parametrize(
  'notes',
  [None, [], 'abc', [[0, 4]], [[0, 4, 200]], [[4, 4, 60]], [[0, 1e9, 60]]],
)
def test_keys_that_make_no_melody_are_told_in_one_line(address, notes):
  answer = http.post(f'{address}/api/notes', json={'notes': notes})
  assert answer.status_code == 400
  assert answer.json()['error'] == 'notes: expected notes within 64 bars'


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--port=70000', '--port: expected 0 to 65535'),
    ('--token=a b', '--token: expected letters and digits'),
    ('--max_bars=0', '--max_bars: expected 1 to 1024'),
    ('--host=203.0.113.7', '--port: cannot listen at 203.0.113.7:8765'),
    ('--run_dir', '--run_dir: give it a value'),
  ],
)
def test_a_flag_that_will_not_do_is_told_in_one_line(run, tmp_path, flag, told):
  status, out, err = run('studio', flag, cwd=tmp_path)
  assert (status, out) == (2, '')
  assert err.startswith(f'Error: {told}')
  assert err.count('\n') == 1


SONG = {'name': 'x', 'tokens': requests.packed(np.full(16, 40, np.uint8))}
DEEP = {
  **RIGHT,
  'after': [{'request': {**RIGHT, 'after': [{'request': RIGHT}]}}],
}


@pytest.mark.parametrize(
  'request_',
  [
    None,
    [],
    'peaceful',
    {},
    {'emotion': 'peaceful', 'text': 'sad'},
    {'emotion': '<script>alert(1)</script>'},
    {'emotion': 7},
    {'emotion': 'x' * 3000},
    {'text': '\ud800'},
    {**RIGHT, 'seed': -1},
    {**RIGHT, 'seed': 1e99},
    {**RIGHT, 'temperature': True},
    {**RIGHT, 'chords': 'C ' * 900},
    {**RIGHT, 'chords': '../../etc/passwd'},
    {**RIGHT, 'target': 'loveliness=1'},
    {**RIGHT, 'style': 'block'},
    {**RIGHT, 'soundfont': '/etc/passwd'},
    {**RIGHT, 'time_signature': '11/16'},
    {**RIGHT, 'bars': [1] * 999, 'song': SONG},
    {**RIGHT, 'bars': [1], 'song': SONG},
    {**RIGHT, 'song': {'name': 'x', 'tokens': 'AAAA'}},
    {**RIGHT, 'song': {'name': 'x'}},
    {**RIGHT, 'song': {'name': 'x', 'tokens': requests.packed(np.zeros(16))}},
    # 64 MiB of it in some KiB
    {**RIGHT, 'song': {**SONG, 'tokens': requests.packed(np.zeros(1 << 26))}},
    {**RIGHT, 'after': [{'request': RIGHT}] * 9},
    DEEP,
  ],
)
def test_what_will_not_do_is_told_in_one_line(address, request_):
  answer = http.post(
    f'{address}/api/takes',
    data=json.dumps({'request': request_}),
    headers={'Content-Type': 'application/json'},
  )
  assert answer.status_code == 400
  error = answer.json()['error']
  assert error
  assert '\n' not in error
  assert 'Traceback' not in error


@pytest.mark.parametrize(
  ('name', 'content'),
  [
    ('song.mid', b''),
    ('song.mid', b'MThd\0\0\0\6\0\1\xff\xff\x7f\xff' + b'\xff' * 100),
    ('song.mid', b'<script>'),
    ('../../../etc/passwd', b'root'),
    ('song.exe', b'MZ'),
    ('<img src=x onerror=alert(1)>.mid', b'MThd'),
    ('song.abc', b'X:1\nK:C\n%%abc-include /etc/passwd\n'),
    ('song.musicxml', b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'),
    ('song.mxl', b'PK\3\4' + b'\0' * 100),
  ],
)
def test_a_file_that_is_no_melody_is_told_in_one_line(address, name, content):
  answer = http.post(f'{address}/api/song', params={'name': name}, data=content)
  assert answer.status_code == 400
  assert '/tmp' not in answer.json()['error']
  assert 'root:' not in answer.json()['error']


@pytest.mark.parametrize(
  ('path', 'sent', 'status'),
  [
    ('/static/../server.py', None, 404),
    ('/static/%2e%2e%2fserver.py', None, 404),
    ('/nothing', None, 404),
    ('/api/takes', b'{', 400),
    ('/api/takes', b'[' * 100_000, 400),
    ('/api/takes', b'{"request": NaN}', 400),
    ('/api/takes', b'\xff\xfe', 400),
    ('/api/takes', b'x' * (2**20 + 1), 413),
    ('/api/song?name=a.mid', b'x' * (2**20 + 1), 413),
  ],
)
def test_what_is_no_request_is_refused(address, path, sent, status):
  if sent is None:
    answer = http.get(address + path)
  else:
    answer = http.post(
      address + path, data=sent, headers={'Content-Type': 'application/json'}
    )
  assert answer.status_code == status


def test_more_than_was_announced_is_not_taken(address):
  def pieces():
    for _ in range(40):
      yield b'x' * (1 << 16)

  answer = http.post(
    f'{address}/api/takes',
    data=pieces(),
    headers={'Content-Type': 'application/json'},
  )
  assert answer.status_code == 413


@pytest.mark.parametrize(
  'headers',
  [
    {'Origin': 'https://elsewhere.example'},
    {'Origin': 'null'},
    {'Sec-Fetch-Site': 'cross-site'},
    {'Host': 'elsewhere.example'},
    {'Host': '127.0.0.1.elsewhere.example'},
  ],
)
def test_other_pages_may_not_ask(address, headers):
  answer = http.post(
    f'{address}/api/takes', json={'request': RIGHT}, headers=headers
  )
  assert answer.status_code == 403


def test_nothing_written_into_the_page_would_run(address):
  answer = http.get(address)
  policy = answer.headers['Content-Security-Policy']
  assert "default-src 'none'" in policy
  assert 'unsafe' not in policy
  assert "frame-ancestors 'self'" in policy
  assert 'http' not in policy
  assert answer.text.count('<script') == 3
  assert ' onclick=' not in answer.text
  assert ' style=' not in answer.text


def test_a_public_one_may_stand_in_a_frame(model):
  with serving(model, limits.Limits(any_host=True)) as address:
    answer = http.get(address, headers={'Host': 'class.example'})
    assert answer.status_code == 200
    assert 'frame-ancestors *' in answer.headers['Content-Security-Policy']
    elsewhere = {'Host': 'class.example', 'Origin': 'https://other.example'}
    url = f'{address}/api/takes'
    refused = http.post(url, json={'request': RIGHT}, headers=elsewhere)
    assert refused.status_code == 403


def test_who_has_the_token_comes_in(model, caplog):
  asked = limits.Limits(token='secret1', requests_a_minute=3)
  ask = {'request': RIGHT, 'n': 1}
  with (
    caplog.at_level(logging.INFO, 'emotion_musicvae.studio'),
    serving(model, asked) as address,
  ):
    url = f'{address}/api/takes'
    assert http.get(f'{address}/healthz').status_code == 200
    assert http.get(address).status_code == 401
    assert http.post(url, json=ask).status_code == 401
    for wrong in ('', 'secret', 'secret11', 'sécret1'):
      bearer = {'Authorization': f'Bearer {wrong}'.encode()}
      assert http.post(url, json=ask, headers=bearer).status_code == 401
    session = http.Session()
    opened = session.get(address, params={'token': 'secret1'})
    assert opened.status_code == 200
    assert 'token' not in opened.url
    cookie = opened.history[0].headers['Set-Cookie'].lower()
    assert 'httponly' in cookie
    assert 'samesite=strict' in cookie
    assert session.post(url, json=ask).status_code == 200
    right = {'Authorization': 'Bearer secret1'}
    assert http.post(url, json=ask, headers=right).status_code == 200
    assert http.post(url, json=ask, headers=right).status_code == 200
    late = http.post(url, json=ask, headers=right)
    assert late.status_code == 429
    assert late.headers['Retry-After'] == '60'
  lines = [json.loads(record.message) for record in caplog.records]
  assert {'time', 'address', 'method', 'path', 'status', 'ms'} == set(lines[-1])
  assert 'secret1' not in caplog.text
  assert 'peaceful' not in caplog.text


def test_a_model_that_cannot_be_loaded_is_told():
  def load():
    raise UserError('run_dir', 'no checkpoint')

  with socket.create_server(('127.0.0.1', 0)) as listening:
    studio = server.Studio(load, limits.Limits())
    running = uvicorn.Server(
      uvicorn.Config(studio.application(), log_config=None)
    )
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    address = f'http://127.0.0.1:{listening.getsockname()[1]}'
    try:
      answer = http.post(f'{address}/api/takes', json={'request': RIGHT})
      assert answer.status_code == 400
      assert answer.json()['error'] == 'run_dir: no checkpoint'
      assert http.get(f'{address}/healthz').json()['status'] == 'failed'
    finally:
      running.should_exit = True
      thread.join()
