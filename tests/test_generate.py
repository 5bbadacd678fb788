"""The command as a user runs it."""

import dataclasses
import json
import os
import subprocess
import sys
import unicodedata

import mido
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.steering import actors

SEED = '--seed=11'


@pytest.fixture(scope='module')
def out(run, tmp_path_factory):
  """Folder of three peaceful melodies, asked for in Korean; what is said."""
  folder = tmp_path_factory.mktemp('out')
  status, said, err = run(
    'generate', '--emotion=평화로움', SEED, '--output_dir=.', cwd=folder
  )
  assert (status, err) == (0, '')
  return folder, said


def _record(folder):
  path = min(n for n in os.listdir(folder) if n.endswith('.json'))
  with open(os.path.join(folder, path), encoding='utf-8') as f:
    return json.load(f)


def test_files_are_named_as_magenta_names_them(out):
  folder, said = out
  names = sorted(unicodedata.normalize('NFC', n) for n in os.listdir(folder))
  stem = names[-1].removesuffix('.json')
  assert stem.startswith('hierdec-mel_16bar_lite_평화로움_20')
  assert names == [f'{stem}-{i:03d}-of-003.mid' for i in range(3)] + [
    stem + '.json'
  ]
  for name in names:
    assert name in unicodedata.normalize('NFC', said)


def test_the_record_tells_request_reference_and_measures(out):
  record = _record(out[0])
  assert record['emotion']['alias'] == 'peaceful'
  assert record['seed'] == 11
  assert record['model']['config'] == 'hierdec-mel_16bar_lite'
  assert record['versions']['magenta'] == '2.1.4'
  assert len(record['melodies']) == 3
  for entry in record['melodies']:
    assert set(entry['measured']) == set(entry['reference'])
    assert entry['reference']['mean_pitch'] == 67.2
    for name in ('chord_tone_rate', 'chord_tones_on_beat'):
      measured, reference = (entry[k][name] for k in ('measured', 'reference'))
      assert 0 < reference < 1
      assert (name in entry['missed']) == (measured < reference)


def test_the_midi_has_the_notes_that_were_measured(out):
  folder, _ = out
  for entry in _record(folder)['melodies']:
    midi = mido.MidiFile(os.path.join(folder, entry['files'][0]))
    pitches, end = [], 0.0
    for message in midi:
      end += message.time
      if message.type == 'note_on' and message.velocity:
        pitches.append(message.note)
    measured = entry['measured']
    assert len(pitches) / 16 == measured['onsets_per_bar']
    assert sum(pitches) / len(pitches) == pytest.approx(
      measured['mean_pitch'], abs=1e-3
    )
    # 64 quarter notes at the emotion's 84 a minute, at most.
    assert end <= 64 * 60 / 84 + 0.01
    tempi = [m.tempo for t in midi.tracks for m in t if m.type == 'set_tempo']
    assert mido.tempo2bpm(tempi[0]) == pytest.approx(84, abs=0.01)


def test_intensity_leaves_the_latent_vectors_where_they_were_drawn(
  run, out, tmp_path
):
  status, _, err = run(
    'generate',
    '--emotion=peaceful:1',
    SEED,
    '--intensity=0',
    '--output_dir=.',
    cwd=tmp_path,
  )
  assert status == 0, err
  moved, still = _record(out[0]), _record(tmp_path)
  assert still['emotion']['mean_pitch'] == 67.2
  assert still['intensity'] == 0
  # From the same latent vectors, sung with the same noise.
  for a, b in zip(moved['melodies'], still['melodies']):
    assert a['reference'] == b['reference']
    assert a['measured'] != b['measured']


def test_the_same_seed_gives_the_same_bytes_and_overwrites_nothing(out):
  folder, _ = out
  before = {n: (folder / n).read_bytes() for n in os.listdir(folder)}
  # A process of its own, decomposed Korean in another locale, another batch
  # size: nothing of that changes the music.
  decomposed = unicodedata.normalize('NFD', '평화로움')
  locale = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
  result = subprocess.run(
    [
      *(sys.executable, '-m', 'emotion_musicvae.cli.generate'),
      *(f'--emotion={decomposed}', SEED, '--max_batch_size=3'),
      f'--output_dir={folder}',
    ],
    capture_output=True,
    text=True,
    encoding='utf-8',
    env={**os.environ, **locale},
  )
  assert (result.returncode, result.stderr) == (0, '')
  after = {n: (folder / n).read_bytes() for n in os.listdir(folder)}
  assert {n: after[n] for n in before} == before
  new = {n: c for n, c in after.items() if n not in before and '.mid' in n}
  assert len(new) == 3
  old = [c for n, c in sorted(before.items()) if n.endswith('.mid')]
  assert [c for _, c in sorted(new.items())] == old


def test_a_melody_of_ones_own_is_accounted_for_and_moved(run, out, tmp_path):
  folder, _ = out
  mine = _record(folder)['melodies'][0]['files'][0]
  status, said, err = run(
    'generate',
    f'--input_midi={os.path.join(folder, mine)}',
    '--emotion=gloomy',
    '--reject_misses',
    '--num_outputs=2',
    SEED,
    '--output_dir=.',
    cwd=tmp_path,
  )
  assert status == 0, err
  account, drawn, *_ = said.splitlines()
  mine = unicodedata.normalize('NFC', mine)
  assert account.startswith(f"{mine}: took track 1 'Melody' (")
  assert 'bars 1 to 16, 84 quarter notes a minute; left out: ' in account
  assert drawn.startswith('All 2 meet their targets, of ')
  record = _record(tmp_path)
  assert record['inputs'] == [account]
  assert record['reject_misses']
  for entry in record['melodies']:
    assert entry['missed'] == []
    assert abs(entry['measured']['mean_pitch'] - 60) <= 1.5


def test_targets_beyond_the_trained_range_are_warned_about():
  emotion = dataclasses.replace(catalogue.find('gloomy'), onsets_per_bar=1.5)
  said = actors.beyond_training(emotion)
  assert 'onsets_per_bar 1.5 lies outside' in said
  for emotion in catalogue.load():
    assert not actors.beyond_training(emotion)


def test_emotions_are_listed_with_their_aliases(run, tmp_path):
  status, said, _ = run('generate', '--list_emotions', cwd=tmp_path)
  assert status == 0
  for emotion in catalogue.load():
    assert emotion.name in said
    assert emotion.alias in said


def test_without_magenta_one_line_says_what_to_type(tmp_path):
  code = (
    'import sys; sys.modules["magenta"] = None; '
    'from emotion_musicvae.cli import generate; '
    'generate.console_entry_point()'
  )
  result = subprocess.run(
    [sys.executable, '-c', code, '--emotion=gloomy'],
    capture_output=True,
    text=True,
    cwd=tmp_path,
    check=False,
  )
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert 'pip install --no-deps magenta==2.1.4' in line


def test_offline_one_line_says_where_the_published_model_is(run, tmp_path):
  status, _, err = run(
    'generate',
    '--emotion=gloomy',
    '--config=hierdec-mel_16bar',
    f'--cache_dir={tmp_path}',
    env={'https_proxy': 'http://127.0.0.1:9'},
    cwd=tmp_path,
  )
  assert status == 2, err
  (line,) = err.splitlines()
  assert 'cannot download https://storage.googleapis.com/' in line
  assert '(ProxyError)' in line
  assert 'name it with --checkpoint_file' in line
