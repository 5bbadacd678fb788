"""Requests and the shards that they become."""

import dataclasses
import io
import json

from conftest import requested
import numpy as np
import pytest

from emotion_musicvae.batch import requests
from emotion_musicvae.batch import shards
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import songs
from emotion_musicvae.support.errors import UserError


def _jsonl(*lines):
  return requested(requests.jsonl_rows(io.BytesIO('\n'.join(lines).encode())))


def test_jsonl_csv_and_flags_ask_for_the_same():
  lines = _jsonl(
    '{"emotion": "평화로움", "num_outputs": 5}',
    '{"emotion": "gloomy", "count": 5}',  # as version 0.1 called it
  )
  table = io.BytesIO(
    '\ufeffcount,emotion,seed\n5,peaceful,\n5,암울함,\n'.encode()
  )
  flags = requested(requests.plain_rows(['peaceful', 'gloomy'], 5))
  assert lines == flags
  # The heading is a line of the CSV, and a seed follows from the line.
  for line, row in zip(lines, requested(requests.csv_rows(table))):
    assert row.line == line.line + 1
    assert row.seed != line.seed
    assert dataclasses.replace(row, line=line.line, seed=line.seed) == line


def test_requests_without_a_seed_have_each_their_own():
  rows = ['{"emotion": "clear"}'] * 500
  seeds = {request.seed for request in _jsonl(*rows)}
  assert len(seeds) == 500
  assert max(seeds) < 2**53
  assert [r.seed for r in _jsonl(*rows[:3])] == [
    r.seed for r in _jsonl(*rows)[:3]
  ]
  assert not seeds & {
    r.seed for r in requested(requests.plain_rows(['clear'] * 500, 1), seed=1)
  }


def test_targets_stand_alone_or_over_those_of_an_emotion():
  alone, over = _jsonl(
    '{"mean_pitch": 70, "onsets_per_bar": 6, "chords": "Dm A"}',
    '{"emotion": "lively", "mean_pitch": 70}',
  )
  assert (alone.emotion.mean_pitch, alone.emotion.chords) == (70, 'Dm A')
  lively = catalogue.find('lively')
  assert over.emotion == dataclasses.replace(lively, mean_pitch=70)


def test_formats_are_a_list_or_words():
  lines = _jsonl(
    '{"emotion": "clear", "formats": ["wav", "mid", "wav"]}',
    '{"emotion": "clear", "output_formats": "wav, mid"}',
    '{"emotion": "clear"}',
  )
  table = io.BytesIO(b'emotion,formats\nclear,wav mid\nclear,"mid,wav"\n')
  formats = [r.formats for r in [*lines, *requested(requests.csv_rows(table))]]
  both = ('mid', 'wav')
  assert formats == [both, both, ('mid',), both, both]


def test_a_tfrecord_holds_no_sound():
  rows = [
    '{"emotion": "clear", "formats": "mid"}',
    '{"emotion": "clear", "formats": "wav"}',
  ]
  stream = io.BytesIO('\n'.join(rows).encode())
  _, failure = requested(requests.jsonl_rows(stream), tfrecord=True)
  assert failure.reason.startswith('formats: `output_tfrecord` writes')


@pytest.mark.parametrize(
  ('line', 'reason'),
  [
    ('{"emotion": "clear"', 'not JSON'),
    ('[' * 100_000, 'not JSON'),
    ('["clear"]', 'not a JSON object'),
    ('{}', 'neither an emotion nor a text nor a target'),
    ('{"emotion": "clxxr"}', 'did you mean 맑음 (clear)?'),
    ('{"emotion": ["clear"]}', 'emotion: expected a number or text'),
    ('{"emotion": "clear", "speed": 3}', "no field is called 'speed'"),
    ('{"emotion": "clear", "num_outputs": 0}', 'num_outputs: expected an int'),
    ('{"emotion": "clear", "num_outputs": 1, "count": 1}', 'count: leave it'),
    (
      '{"emotion": "clear", "formats": "mid", "output_formats": "mid"}',
      'formats: leave it out, or `output_formats`',
    ),
    ('{"emotion": "clear", "count": 0}', 'count: expected an integer from 1'),
    ('{"emotion": "clear", "count": 2.5}', 'count: expected an integer'),
    ('{"emotion": "clear", "count": true}', 'count: expected a number'),
    ('{"emotion": "clear", "count": "many"}', 'count: expected an integer'),
    ('{"emotion": "clear", "seed": -1}', 'seed: expected an integer from 0'),
    ('{"emotion": "clear", "temperature": NaN}', 'temperature: expected'),
    ('{"emotion": "clear", "temperature": 0}', 'temperature: expected'),
    ('{"emotion": "clear", "intensity": 1.1}', 'intensity: expected'),
    (
      '{"emotion": "clear", "formats": ["aiff"]}',
      "formats: there is no 'aiff'",
    ),
    (
      '{"emotion": "clear", "formats": "mid,html"}',
      'formats: html is one page',
    ),
    (
      '{"emotion": "clear", "formats": []}',
      'formats: name at least one of mid',
    ),
    (
      '{"emotion": "clear", "formats": [["mid"]]}',
      'formats: expected a number',
    ),
    ('{"emotion": "clear", "formats": {"mid": 1}}', 'formats: expected'),
    ('{"mean_pitch": 200}', 'mean_pitch 200, expected 21 to 108'),
    ('{"mean_pitch": "high"}', 'mean_pitch takes a value like'),
    ('{"mode": "lydian"}', "mode 'lydian', expected major or minor"),
    ('{"chords": "C H"}', "'H' is not a chord symbol"),
  ],
)
def test_a_bad_line_is_told_and_the_rest_goes_on(line, reason):
  before, failure, after = _jsonl(
    '{"emotion": "clear"}', '', line, '{"emotion": "gloomy"}'
  )
  assert (before.line, failure.line, after.line) == (1, 3, 4)
  assert reason in failure.reason
  assert not failure.reason.startswith('--')
  assert failure.request == line


def test_a_line_that_is_not_utf8_fails_alone():
  stream = io.BytesIO(b'{"emotion": "\xff"}\n{"emotion": "clear"}\n')
  failure, good = requested(requests.jsonl_rows(stream))
  assert 'not JSON' in failure.reason
  assert '\\xff' in failure.request
  assert good.line == 2


def test_a_csv_row_longer_than_its_heading_fails_alone():
  failure, good = requested(
    requests.csv_rows(io.BytesIO(b'emotion\nclear,3\n"clear"\n'))
  )
  assert failure.line == 2
  assert 'more cells' in failure.reason
  assert good.emotion == catalogue.find('clear')


def test_a_csv_with_an_unknown_heading_cannot_begin():
  with pytest.raises(UserError, match="no field is called 'feeling'"):
    requested(requests.csv_rows(io.BytesIO(b'feeling\nclear\n')))


MIDI = b'MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0\14' + (
  b'\0\x90\x3c\x40\1\x80\x3c\x40\0\xff\x2f\0'
)


def test_ones_own_melody_is_read_once_for_many(tmp_path, monkeypatch):
  (tmp_path / 'a.mid').write_bytes(MIDI)
  monkeypatch.chdir(tmp_path)
  first, second, third = _jsonl(
    '{"emotion": "clear", "input_midi": "a.mid"}',
    '{"emotion": "gloomy", "input_midi": "a.mid", "num_outputs": 2}',
    '{"emotion": "gloomy"}',
  )
  assert first.song is second.song
  assert third.song is None
  assert first.song.tokens.max() == 60 - 19
  (shard,) = shards.cut([first, second, third])
  items = shards.items(json.loads(json.dumps(shard)))
  assert [bool(item.song) for item in items] == [True] * 3 + [False]
  for item in items[:3]:
    np.testing.assert_array_equal(item.song.tokens, first.song.tokens)
    assert item.song.tokens.dtype == np.uint8
    assert (item.song.qpm, item.song.report) == (120, first.song.report)


def test_a_waltz_and_a_metre_asked_for_come_through_the_plan(
  tmp_path, monkeypatch
):
  tune = 'X:1\nM:3/4\nL:1/4\nK:C\nCDE|FGA|Gc2|c3|]\n'
  (tmp_path / 'a.abc').write_text(tune)
  monkeypatch.chdir(tmp_path)
  asked = _jsonl(
    '{"emotion": "clear", "input_midi": "a.abc"}',
    '{"emotion": "clear", "time_signature": "9/8"}',
  )
  (shard,) = shards.cut(asked)
  waltz, slip_jig = shards.items(json.loads(json.dumps(shard)))
  assert (waltz.song.metre.bar_steps, len(waltz.song.tokens)) == (12, 48)
  assert slip_jig.emotion.time_signature == '9/8'
  (failure,) = _jsonl(
    '{"emotion": "clear", "input_midi": "a.abc", "time_signature": "4/4"}'
  )
  assert 'time_signature: leave it out' in failure.reason


@pytest.mark.parametrize(
  ('fields', 'reason'),
  [
    ({'input_midi': 'b.mid'}, "input_midi: 'b.mid' cannot be read (No such"),
    ({'input_midi': 'a.txt'}, "input_midi: 'a.txt': expected a file ending"),
    ({'input_midi': '.'}, "input_midi: '.' is a folder"),
    ({'input_midi': 'torn.mid'}, "input_midi: 'torn.mid': cannot be read"),
    ({'input_midi': 'nul\0.mid'}, 'null byte'),
    ({'input_midi': ['a.mid']}, 'input_midi: expected a number or text'),
    ({'start_bar': 2}, 'input_midi: name your melody'),
    ({'track': 1}, 'input_midi: name your melody'),
    (
      {'input_midi': 'a.mid', 'start_bar': 0},
      'start_bar: expected an integer from 1',
    ),
    ({'input_midi': 'a.mid', 'start_bar': 9}, "start_bar: 'a' has bars 1 to 1"),
    ({'input_midi': 'a.mid', 'track': 'flute'}, 'track: expected an integer'),
    (
      {'input_midi': 'a.mid', 'track': 2},
      "track: input_midi: 'a.mid' has tracks 1 to 1, got 2",
    ),
  ],
)
def test_a_melody_that_cannot_be_taken_is_told(
  tmp_path, monkeypatch, fields, reason
):
  (tmp_path / 'a.mid').write_bytes(MIDI)
  (tmp_path / 'torn.mid').write_bytes(MIDI[:20])
  monkeypatch.chdir(tmp_path)
  line = json.dumps({'emotion': 'clear', **fields})
  failure, good = _jsonl(line, '{"emotion": "clear", "input_midi": "a.mid"}')
  assert reason in failure.reason
  assert (failure.line, failure.request) == (1, line)
  assert good.song


def _song(bars):
  return songs.Song('song', np.full(16 * bars, 42, np.uint8))


def test_a_shard_has_room_for_so_many_windows():
  """Songs of 1, 3 and 200 windows; what does not fit begins the next shard."""
  asked = [
    requests.Request(
      line, catalogue.find('clear'), count, 1, 0.5, 1.0, song=song
    )
    for line, (count, song) in enumerate(
      [
        (100, None),
        (20, _song(33)),
        (2, _song(3200)),
        (3, _song(16)),
        (130, None),
      ],
      1,
    )
  ]
  parts = [shards.items(shard) for shard in shards.cut(asked)]
  assert [
    [(line, len([i for i in part if i.line == line])) for line in lines]
    for part in parts
    for lines in [sorted({item.line for item in part})]
  ] == [
    [(1, 100), (2, 9)],
    [(2, 11)],
    [(3, 1)],
    [(3, 1)],
    [(4, 3), (5, 125)],
    [(5, 5)],
  ]
  names = [item.name for part in parts for item in part]
  assert names == sorted({*names})
  assert len(names) == 255


def test_shards_hold_every_melody_once_and_are_full():
  counts = [1] * 200 + [300, 7, 1]
  asked = [
    requests.Request(
      line,
      catalogue.find('clear'),
      count,
      line,
      0.5,
      1.0,
      ('mid', 'wav') if line % 2 else ('mid',),
    )
    for line, count in enumerate(counts, 1)
  ]
  # As they come out of the plan.
  parts = [json.loads(json.dumps(shard)) for shard in shards.cut(asked)]
  items = [shards.items(part) for part in parts]
  sizes = [len(part) for part in items]
  assert sizes == [shards.SHARD_SIZE] * (len(sizes) - 1) + [
    508 % shards.SHARD_SIZE
  ]
  items = [item for part in items for item in part]
  expected = [(r.line, i) for r in asked for i in range(r.num_outputs)]
  assert [(item.line, item.number) for item in items] == expected
  assert len({item.name for item in items}) == 508
  assert all(item.seed == item.line for item in items)
  assert all(('wav' in item.formats) == item.line % 2 for item in items)
  assert {item.emotion for item in items} == {catalogue.find('clear')}
