"""Batch jobs: what they write, whoever generates what beside whom."""

import collections
import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import sys

from conftest import requested
import mido
import note_seq
import numpy as np
from pyarrow import parquet
import pytest
import tensorflow as tf

from emotion_musicvae.batch import engines
from emotion_musicvae.batch import jobs
from emotion_musicvae.batch import launch
from emotion_musicvae.batch import requests
from emotion_musicvae.batch import shards
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import references
from emotion_musicvae.files import midi
from emotion_musicvae.files import playing
from emotion_musicvae.files import tunes
from emotion_musicvae.files import writers
from emotion_musicvae.support.errors import UserError

MODEL = {'max_batch_size': 4}
KILLS = 20
WHOLE = ('--emotions=all', '--num_outputs=4')
FOUR = (
  '--pipeline_options='
  '--direct_num_workers=4 --direct_running_mode=multi_threading'
)


def _request(line, name, count, seed, temperature=0.5, intensity=1.0):
  # Guided decoding takes several times as long, and is tested elsewhere.
  return requests.Request(
    line,
    catalogue.find(name),
    count,
    seed,
    temperature,
    intensity,
    guidance=0.0,
  )


REQUESTS = [
  _request(1, 'peaceful', 9, 5),
  _request(2, 'lively', 1, 5, temperature=1.0),
  _request(3, 'gloomy', 5, 6, intensity=0.5),
]


def _run(
  folder,
  requests,
  tfrecord=False,
  parquet=False,
  asked=playing.PLAIN,
  options=(),
):
  folder = str(folder)
  with jobs.lock(folder) as check, engines.beam(options) as engine:
    job = jobs.begin(requests, folder, None, tfrecord, parquet, asked, MODEL)
    launch.run(job, engine, check)


def _files(folder):
  return {
    os.path.relpath(os.path.join(parent, name), folder): open(
      os.path.join(parent, name), 'rb'
    ).read()
    for parent, _, names in os.walk(folder)
    for name in names
  }


def _rows(folder):
  with open(os.path.join(folder, 'manifest.jsonl'), encoding='utf-8') as f:
    return [json.loads(line) for line in f]


@pytest.fixture(scope='module', autouse=True)
def small_shards():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(shards, 'SHARD_SIZE', 8)
    yield


@pytest.fixture(scope='module')
def out(tmp_path_factory):
  """15 melodies of three requests, in two shards."""
  folder = tmp_path_factory.mktemp('batch') / 'out'
  _run(folder, REQUESTS)
  return folder


def test_every_melody_is_in_its_place_and_in_the_manifest(out):
  rows = _rows(out)
  assert [row['line'] for row in rows] == [1] * 9 + [2] + [3] * 5
  assert [row['number'] for row in rows] == [*range(9), 0, *range(5)]
  named = {name for row in rows for name in row['files']}
  assert len(named) == 15
  assert set(_files(out)) == named | {'manifest.jsonl', 'job.json'}


def test_the_manifest_tells_what_the_midi_holds(out):
  for row in _rows(out)[::4]:
    pitches = [
      message.note
      for message in mido.MidiFile(out / row['files'][0])
      if message.type == 'note_on' and message.velocity
    ]
    measured = row['measured']
    assert len(pitches) / 16 == measured['onsets_per_bar']
    assert sum(pitches) / len(pitches) == pytest.approx(
      measured['mean_pitch'], abs=1e-3
    )
    assert (
      row['reference']['mean_pitch']
      == catalogue.find(row['emotion']).mean_pitch
    )


def test_a_melody_is_what_generate_makes_of_its_seed(out, model):
  for row, melody in zip(_rows(out)[10:], model.generate(
    'gloomy', 4, seed=6, intensity=0.5, guidance=0.0
  )):  # fmt: skip
    assert _given(row['measured']) == _given(melody.record()['measured'])
    written = note_seq.midi_file_to_note_sequence(str(out / row['files'][0]))
    assert [n.pitch for n in written.notes] == [
      n.pitch for n in melody.note_sequence.notes
    ]


def test_a_melody_has_the_files_it_is_asked_for(model, tmp_path):
  """Each what the command writes of the melody, whoever draws it when."""
  formats = [
    ('mid', 'wav', 'png', 'dark.png', 'musicxml', 'abc'),
    ('png',),
    ('mid', 'wav'),
  ]
  requests = [
    dataclasses.replace(_request(i, 'gloomy', 1, 6, intensity=0.5), formats=f)
    for i, f in enumerate(formats, 1)
  ]
  _run(tmp_path, requests)
  rows = _rows(tmp_path)
  names = [name for row in rows for name in row['files']]
  assert set(_files(tmp_path)) == {*names, 'manifest.jsonl', 'job.json'}
  expected = [
    writers.contents(melody, formats[0])
    for melody in model.generate(
      'gloomy', 1, seed=6, intensity=0.5, guidance=0.0
    )
  ]
  for row in rows:
    assert [name.partition('.')[2] for name in row['files']] == [
      *formats[row['line'] - 1]
    ]
    for name in row['files']:
      extension = name.partition('.')[2]
      content = expected[row['number']][extension]
      assert (tmp_path / name).read_bytes() == content


def test_a_job_plays_its_melodies_as_generate_does(model, tmp_path):
  """Bytes of MIDI and sound, accompanied and uneven, are those of one run."""
  how = {'accompaniment': 'full', 'humanize': 0.4, 'loop': True}
  formats = ('mid', 'wav')
  request = dataclasses.replace(
    _request(1, 'lively', 2, 6), formats=formats, guidance=1.0
  )
  _run(tmp_path, [request], asked=playing.Playing(**how))
  for row, melody in zip(_rows(tmp_path), model.generate('lively', 2, seed=6)):
    expected = writers.contents(melody.played(**how), formats)
    for name, extension in zip(row['files'], formats):
      assert (tmp_path / name).read_bytes() == expected[extension]
    tracks = note_seq.midi_file_to_note_sequence(
      str(tmp_path / row['files'][0])
    ).instrument_infos
    names = ['Melody', 'Chords', 'Bass', 'Drums']
    assert [track.name for track in tracks] == names


@pytest.fixture(scope='module')
def songs_of_ones_own(tmp_path_factory):
  """Folder of a MIDI file of 16 bars, and one of 40 at another tempo."""
  folder = tmp_path_factory.mktemp('songs')
  windows = references.load_melodies()
  for name, tokens, qpm in (
    ('short', windows[0], 90),
    ('long', np.concatenate([*windows[1:3], windows[3][:128]]), 70),
  ):
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=qpm)
    for start, length, pitch in tunes.from_tokens(name, tokens).notes:
      sequence.notes.add(
        pitch=int(pitch),
        velocity=80,
        start_time=start * 60 / qpm,
        end_time=(start + length) * 60 / qpm,
      )
    sequence.total_time = sequence.notes[-1].end_time
    note_seq.note_sequence_to_midi_file(sequence, str(folder / f'{name}.mid'))
  return folder


@pytest.mark.slow
def test_ones_own_melody_is_moved_as_the_command_does(
  model, songs_of_ones_own, tmp_path, monkeypatch
):
  """Among others, and with its file gone by the time it is decoded."""
  monkeypatch.chdir(songs_of_ones_own)
  fields = [
    {
      'emotion': 'gloomy',
      'input_midi': 'long.mid',
      'num_outputs': 2,
      'seed': 4,
    },
    {'emotion': 'lively', 'input_midi': 'short.mid', 'intensity': 0.5},
    {'emotion': 'gloomy', 'num_outputs': 2, 'seed': 4},
    {'emotion': 'clear', 'input_midi': 'long.mid', 'start_bar': 9, 'seed': 4},
  ]
  rows = [(i, '', request) for i, request in enumerate(fields, 1)]
  asked = requested(rows, seed=7)
  expected = [
    *model.transform('long.mid', 'gloomy', 2, seed=4),
    *model.transform('short.mid', 'lively', seed=asked[1].seed, intensity=0.5),
    *model.generate('gloomy', 2, seed=4),
    *model.transform('long.mid', 'clear', seed=4, start_bar=9),
  ]
  monkeypatch.chdir(tmp_path)
  _run(tmp_path / 'o', asked, parquet=True)
  rows = parquet.read_table(tmp_path / 'o' / 'manifest.parquet').to_pylist()
  for row, melody in zip(rows, expected, strict=True):
    written = (tmp_path / 'o' / row['files'][0]).read_bytes()
    assert written == midi.midi(melody.note_sequence)
    assert _given(row['measured']) == _given(melody.record()['measured'])
  assert 'long.mid: took track 1' in rows[0]['input']
  assert [row['start_bar'] for row in rows] == [1] * 3 + [None] * 2 + [9]


def test_neighbours_order_and_workers_change_no_byte(out, tmp_path):
  """The same melodies as requests of one, backwards, among others, by 4."""
  before = {
    (row['emotion'], row['seed'], row['number']): (
      out / row['files'][0]
    ).read_bytes()
    for row in _rows(out)
  }
  asked = [
    _request(1, 'gloomy', 5, 6, intensity=0.5),
    _request(2, 'intense', 4, 1, temperature=0.7),
    _request(3, 'lively', 1, 5, temperature=1.0),
    *(_request(4 + i, 'clear', 1, i) for i in range(3)),
    _request(7, 'peaceful', 9, 5),
  ]
  _run(
    tmp_path / 'o',
    asked,
    options=FOUR.partition('=')[2].split(),
  )
  found = {
    (row['emotion'], row['seed'], row['number']): (
      tmp_path / 'o' / row['files'][0]
    ).read_bytes()
    for row in _rows(tmp_path / 'o')
  }
  assert len(found) == 22
  assert {key: found[key] for key in before} == before


def _given(fields):
  """The same without what a column of a Parquet file has no value for."""
  if not isinstance(fields, dict):
    return fields
  return {k: _given(v) for k, v in fields.items() if v is not None}


def test_tfrecord_and_parquet_hold_the_same(out, tmp_path):
  _run(tmp_path, REQUESTS, tfrecord=True, parquet=True)
  table = parquet.read_table(tmp_path / 'manifest.parquet').to_pylist()
  rows = _rows(out)
  assert [_given({**a, 'files': 0}) for a in table] == [
    _given({**a, 'files': 0}) for a in rows
  ]
  sequences = [
    note_seq.NoteSequence.FromString(record.numpy())
    for path in dict.fromkeys(row['files'][0] for row in table)
    for record in tf.data.TFRecordDataset(str(tmp_path / path))
  ]
  assert [sequence.id for sequence in sequences] == [r['name'] for r in rows]
  for row, sequence in list(zip(rows, sequences))[::4]:
    written = note_seq.midi_file_to_note_sequence(str(out / row['files'][0]))
    assert [(n.pitch, n.velocity) for n in written.notes] == [
      (n.pitch, n.velocity) for n in sequence.notes
    ]


def test_many_melodies_go_to_tfrecords_where_nothing_else_is_asked_for(
  tmp_path, monkeypatch
):
  drawn = dataclasses.replace(REQUESTS[1], formats=('mid', 'png'))
  for i, (many, asked, expected) in enumerate(
    (
      (14, REQUESTS, True),
      (15, REQUESTS, False),
      (14, [*REQUESTS, drawn], False),
    )
  ):
    monkeypatch.setattr(jobs, 'MANY', many)
    folder = str(tmp_path / str(i))
    with jobs.lock(folder):
      job = jobs.begin(asked, folder, None, None, False, playing.PLAIN, MODEL)
    assert job.tfrecord == expected


def test_a_folder_keeps_its_job(out):
  before = _files(out)
  _run(out, REQUESTS)
  with pytest.raises(UserError, match='another job .another plan'):
    _run(out, REQUESTS[:2])
  with pytest.raises(UserError, match='another job .another output'):
    _run(out, REQUESTS, tfrecord=True)
  assert _files(out) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path):
  (tmp_path / 'melodies').mkdir()
  with pytest.raises(UserError, match='holds melodies, and no job'):
    _run(tmp_path, REQUESTS)
  assert os.listdir(tmp_path) == ['melodies']


@pytest.fixture(scope='module')
def command():
  """Runs the command as `stand_in_batch` does; its status, seconds, stderr.

  Of several launchers at once their statuses. Of stderr not the lines of
  progress, which come after ten seconds on a machine that is busy.
  """
  script = os.path.join(os.path.dirname(__file__), 'stand_in_batch.py')
  with subprocess.Popen(
    [sys.executable, script],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:

    def run(folder, *flags, kill_after=None, room=None, launchers=1):
      entry = {
        'folder': str(folder),
        'flags': flags,
        'kill_after': kill_after,
        'room': room,
        'launchers': launchers,
      }
      print(json.dumps(entry), file=process.stdin, flush=True)
      statuses, seconds, said = json.loads(process.stdout.readline())
      said = re.sub(r'^\d+ of \d+ melodies, .*\n', '', said, flags=re.MULTILINE)
      return statuses if launchers > 1 else statuses[0], seconds, said

    yield run
    process.stdin.close()


@pytest.fixture(scope='module')
def whole(command, tmp_path_factory):
  """Files of an unbroken run of 36 melodies in nine shards, and its seconds."""
  folder = tmp_path_factory.mktemp('whole')
  status, seconds, _ = command(folder, *WHOLE, '--output_dir=o')
  assert status == 0
  files = _files(folder / 'o')
  assert sum(name.endswith('.mid') for name in files) == 36
  return files, seconds


@pytest.mark.slow
def test_killed_anywhere_and_started_again_it_ends_the_same(
  command, whole, tmp_path
):
  files, seconds = whole
  rng = random.Random(0)
  killed = []
  for i in range(KILLS):
    flags = [*WHOLE, f'--output_dir={i}']
    kill_after = rng.uniform(0.05, seconds)
    status, took, _ = command(tmp_path, *flags, kill_after=kill_after)
    killed.append(status)
    # Where the kill came too late, the next comes sooner.
    seconds = seconds if status else took
    assert command(tmp_path, *flags)[0] == 0
    assert _files(tmp_path / str(i)) == files
  assert killed.count(-9) > KILLS / 2


def test_four_workers_write_what_one_does(command, whole, tmp_path):
  assert command(tmp_path, *WHOLE, FOUR, '--output_dir=o')[0] == 0
  assert _files(tmp_path / 'o') == whole[0]


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['dask', 'spark'])
def test_processes_of_an_engine_write_what_one_does(
  command, whole, tmp_path, engine
):
  """Each has its share, and a shard whose worker dies goes to another."""
  if engine == 'spark':
    pytest.importorskip(
      'pyspark',
      reason='pyspark is not installed: 434 MB, of the extra [spark] alone',
    )
    if not shutil.which('java'):
      pytest.skip('Spark runs in a Java machine, and there is none')
  flags = [*WHOLE, f'--runner={engine}', '--num_workers=2', '--output_dir=o']
  assert command(tmp_path, *flags)[::2] == (0, '')
  assert _files(tmp_path / 'o') == whole[0]
  shares = collections.Counter((tmp_path / 'shares').read_text().split())
  assert len(shares) == 2
  assert sum(shares.values()) == 9
  again = tmp_path / 'again'
  again.mkdir()
  (again / 'die').touch()
  assert command(again, *flags)[::2] == (0, '')
  assert not (again / 'die').exists()
  assert _files(again / 'o') == whole[0]


@pytest.mark.parametrize('folder', ['cat[1]', 'what?', 'a*b', '[', '~'])
def test_a_folder_may_be_called_like_a_pattern(command, tmp_path, folder):
  (tmp_path / 'one.jsonl').write_text('{"emotion": "clear", "seed": 1}')
  flags = ['--requests=one.jsonl', f'--output_dir=./{folder}/out']
  for _ in range(2):  # The second time it is finished.
    assert command(tmp_path, *flags)[::2] == (0, '')
  files = _files(tmp_path / folder / 'out')
  assert sum(name.endswith('.mid') for name in files) == 1
  assert not any('.job' in name for name in files)


def test_of_launchers_at_once_one_works(command, whole, tmp_path):
  flags = [*WHOLE, '--output_dir=o']
  with jobs.lock(str(tmp_path / 'o')):
    status, _, said = command(tmp_path, *flags)
  assert status == 2
  assert said.startswith("Error: --output_dir: 'o' is being worked on by")
  assert said.count('\n') == 1
  # Killed, it holds the folder no longer.
  assert command(tmp_path, *flags, kill_after=0.3)[0] in (-9, 0)
  statuses, _, said = command(tmp_path, *flags, launchers=3)
  # One that is late may find all done.
  assert 0 in statuses
  assert set(statuses) <= {0, 2}
  assert said.count('\n') == statuses.count(2)
  assert _files(tmp_path / 'o') == whole[0]


@pytest.mark.slow
def test_a_store_that_locks_nothing_and_lists_late_holds_one_job(
  command, whole, tmp_path
):
  flags = [*WHOLE, f'--output_dir=slow://{tmp_path}/o']
  assert command(tmp_path, *flags, kill_after=3)[0] in (-9, 0)
  # The first thing they see is a launcher that may be alive.
  statuses, _, said = command(tmp_path, *flags, launchers=3)
  assert sorted(statuses) == [0, 2, 2]
  assert said.count('is being worked on by another') == 2
  assert said.count('\n') == 2
  assert _files(tmp_path / 'o') == whole[0]
  assert command(tmp_path, *flags)[0] == 0
  assert _files(tmp_path / 'o') == whole[0]


def test_a_disk_that_fills_up_is_told_and_gone_on_with(
  command, whole, tmp_path
):
  files, _ = whole
  # All but the parts of the manifest, and the plan.
  size = sum(len(content) + 512 for content in files.values())
  for i, share in enumerate((0, 0.02, 0.3, 0.6, 0.9, 1.26)):
    flags = [*WHOLE, f'--output_dir={i}']
    status, _, said = command(
      tmp_path, *flags, *[FOUR] * (share == 0.6), room=int(share * size)
    )
    assert status == 2, said
    assert said.startswith('Error: --output_dir: ')
    assert said.count('\n') == 1
    left = _files(tmp_path / str(i))
    for name in left:
      assert name.startswith('.job') or left[name] == files[name]
    assert 'manifest.jsonl' not in left
    assert command(tmp_path, *flags)[0] == 0
    assert _files(tmp_path / str(i)) == files


def test_the_exit_status_tells_how_many_could_be_met(command, tmp_path):
  good, bad = '{"emotion": "clear", "seed": 1}', '{"emotion": "xyzzy"}'
  for name, lines in {
    'good': [good],
    'some': [good, bad, good, 'nothing', good],
    'bad': [bad, bad],
  }.items():
    (tmp_path / f'{name}.jsonl').write_text('\n'.join(lines))

  def run(name, folder, *more):
    flags = [f'--requests={name}.jsonl', f'--output_dir={folder}', *more]
    status, _, said = command(tmp_path, *flags)
    return status, said

  assert run('good', 'good') == (0, '')
  assert run('some', 'some') == (3, '')
  assert run('some', 'some') == (3, '')
  status, said = run('some', 'one', '--max_errors=1')
  assert (status, said.count('\n')) == (2, 1)
  assert '--max_errors: more than 1 bad requests; first line 2' in said
  status, said = run('bad', 'bad')
  assert (status, said.count('\n')) == (2, 1)
  assert '--requests: no request can be met; line 1: emotion' in said
  assert run('good', 'bad') == (0, '')
  failed = (tmp_path / 'some' / 'failed.jsonl').read_text('utf-8').splitlines()
  assert [json.loads(line)['line'] for line in failed] == [2, 4]
  assert json.loads(failed[1])['request'] == 'nothing'
  assert [row['line'] for row in _rows(tmp_path / 'some')] == [1, 3, 5]
  assert not (tmp_path / 'good' / 'failed.jsonl').exists()
  for options in ('--runner=Nobody', '--direct_num_workers=two'):
    status, said = run('good', 'new', f'--pipeline_options={options}')
    assert (status, said.count('\n')) == (2, 1)
    assert '--pipeline_options: ' in said
    assert options.partition('=')[2] in said
