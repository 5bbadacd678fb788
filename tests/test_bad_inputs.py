"""Mistakes and misfortunes, each a row: status 2, one line, nothing left.

What a row gives is named in braces: `{in}` is a folder of bad files, which no
command may change; the command runs in an empty folder of its own.
"""

import io
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import unicodedata
import zipfile

from conftest import pack
import numpy as np
import pytest

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import prior
from emotion_musicvae.support import configuration

LITE = 'hierdec-mel_16bar_lite'
FORM_PRIOR = os.path.join(
  os.path.dirname(checkpoints.bundled('hierdec-mel_16bar_form')), prior.FILE
)
G = '--emotion=gloomy'
OUT = '--output_file=a.yaml'
JOB = '--output_dir=o'
# Python runs out of room for a file of this many bytes, and so does TensorFlow.
FULL = 'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))'

LAUGHS = 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
  f'{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n'
  for a, b in zip('abcdefghij', 'bcdefghijk')
)
YAML = {
  'empty': b'',
  'number': b'emotions: 3',
  'no_list': b'- a',
  'open': b'a: [',
  'cp949': '그리움'.encode('cp949'),
  'no_name': b'emotions: [{alias: x}]',
  'twice': b'emotions: [{name: a}, {name: A}]',
  'unknown': b'emotions: [{name: a, pitch: 3}]',
  'range': b'emotions: [{name: a, onsets_per_bar: 0}]',
  'word': b'emotions: [{name: a, mean_pitch: low}]',
  'nan': b'emotions: [{name: a, qpm: .nan}]',
  'inf': b'emotions: [{name: a, qpm: .inf}]',
  'mode': b'emotions: [{name: a, mode: lydian}]',
  'chord': b'emotions: [{name: a, chords: C H}]',
  'bars': b'emotions: [{name: a, chords: C F G}]',
  'list': b'emotions: [{name: [a, b]}]',
  'code': b'emotions: [!!python/object/apply:os.mkdir [hacked]]',
  'laughs': (LAUGHS + 'emotions: [{name: *k}]').encode(),
  'deep': b'[' * 50_000,
  'large': b'#' * 2_000_000,
}
CSV = {
  'bytes': b'path,label\n\xff\xff,\xff\n',
  'odd': b'a,b\n1,2\n',
  'empty': b'',
  'header': b'path,label\n',
  'gone': b'path,label\nno.mid,bright\n',
  'nul': b'path,label\n\0,x\n',
}


def _variable_length(value):
  digits = [value & 127]
  while value := value >> 7:
    digits.append(value & 127 | 128)
  return bytes(reversed(digits))


def _midi(events, ticks=1):
  """A MIDI file of one track of raw `(delta, message)` events."""
  track = b''.join(_variable_length(t) + message for t, message in events)
  track += b'\0\xff\x2f\0'
  return (
    b'MThd\0\0\0\6\0\0\0\1'
    + ticks.to_bytes(2, 'big')
    + b'MTrk'
    + len(track).to_bytes(4, 'big')
    + track
  )


def _mxl(name, content):
  with io.BytesIO() as f:
    with zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as members:
      members.writestr(name, content)
    return f.getvalue()


NOTE = [(0, b'\x90\x3c\x40'), (1, b'\x80\x3c\x40')]
MUSIC = {
  'broken.mid': b'MThd\0\0\0\6',
  'no_notes.mid': _midi([]),
  'million.mid': _midi(NOTE * 1_000_000, 4),
  'many.mid': _midi([(0, b'\x90\x3c\x40'), (1, b'\x3c\0')] * 51_000, 4),
  'day.mid': _midi(NOTE + [(172_800, b'\x90\x3c\x40'), (1, b'\x3c\0')]),
  'years.mid': _midi(NOTE + [(9_000_000, b'\x90\x3c\x40'), (1, b'\x3c\0')]),
  'drums.mid': _midi([(0, b'\x99\x3c\x40'), (1, b'\x89\x3c\x40')]),
  'waltz.abc': b'X:1\nT:w\nM:3/4\nL:1/8\nK:C\n' + b'CDE FGA|' * 16 + b'\n',
  'long.abc': b'X:1\nT:w\nM:4/4\nL:1/8\nK:C\nC2 D2000000000|E8|\n',
  'metre.abc': b'X:1\nM:4/4\nL:1/8\nK:C\nC2\nM:99999/8\nC2|]\n',
  'metre.musicxml': b"""<?xml version="1.0"?><score-partwise><part-list>
    <score-part id="P"/></part-list><part id="P"><measure number="1">
    <attributes><divisions>1</divisions><time><beats>99999</beats>
    <beat-type>4</beat-type></time></attributes><note><pitch><step>C</step>
    <octave>4</octave></pitch><duration>1</duration></note></measure></part>
    </score-partwise>""",
  'laughs.musicxml': b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">
    """
  + b''.join(
    b'<!ENTITY %c "%b">' % (b, b'&%c;' % a * 20)
    for a, b in zip(b'abcdefghi', b'bcdefghij')
  )
  + b']><score-partwise>&j;</score-partwise>',
  'file.musicxml': b"""<?xml version="1.0"?>
    <!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
    <score-partwise><work><work-title>&a;</work-title></work></score-partwise>
    """,
  'torn.musicxml': b'<?xml version="1.0"?><score-partwise><part-list>',
  'no_zip.mxl': b'no zip',
  'no_score.mxl': _mxl('readme.txt', b'x'),
  'bomb.mxl': _mxl('a.musicxml', bytes(2**26 + 1)),
  'broken.tfrecord': b'no record',
}


def _checkpoints(folder):
  """Damaged and hostile checkpoints, and archives of them."""
  _, h = configuration.load_model_config(LITE)
  shapes = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
  weights = hierdec.initial_weights(shapes, 0)
  good = checkpoints.write(str(folder / 'good'), 1, weights)
  index, data = (
    pathlib.Path(good + suffix).read_bytes()
    for suffix in ('.index', '.data-00000-of-00001')
  )

  def files(name, index, data):
    (folder / f'{name}.index').write_bytes(index)
    (folder / f'{name}.data-00000-of-00001').write_bytes(data)

  files('cut', index, data[: len(data) // 2])
  files('bad_index', index[: len(index) // 2], data)
  files('no_index', b'', data)
  (folder / 'no_data.index').write_bytes(index)
  weights['encoder/mu/bias'] = np.full_like(weights['encoder/mu/bias'], np.nan)
  checkpoints.write(str(folder / 'nan'), 1, weights)
  checkpoints.write(str(folder / 'other'), 1, {'x': np.ones(2)})
  whole = [('m.index', index), ('m.data-00000-of-00001', data)]
  pack(folder / 'good.tar', whole)
  pack(folder / 'two.tar', whole + [('b/' + n, c) for n, c in whole])
  pack(folder / 'none.tar', [('readme', b'x')])
  pack(folder / 'many.tar', [(f'{i}.txt', b'') for i in range(3000)])
  cut = (folder / 'good.tar').read_bytes()[:-2_000_000]
  (folder / 'cut.tar').write_bytes(cut)
  (folder / 'no.tar').write_bytes(b'not a tar at all')
  (folder / 'nil.tar').write_bytes(b'')
  hostile = {
    'escape': {'name': '../hacked.index'},
    'absolute': {'name': '/tmp/hacked.index'},
    'link': {'name': 'm.index', 'type': tarfile.SYMTYPE, 'linkname': '/etc'},
    'pipe': {'name': 'm.index', 'type': tarfile.FIFOTYPE},
    'huge': {'name': 'm.index', 'size': 5 * 2**30},
  }
  for name, fields in hostile.items():
    info = tarfile.TarInfo()
    for key, value in fields.items():
      setattr(info, key, value)
    with tarfile.open(folder / f'{name}.tar.gz', 'w:gz') as tar:
      tar.fileobj.write(info.tobuf())


@pytest.fixture(scope='module')
def bad(tmp_path_factory):
  """The folder of bad files; none may be changed."""
  folder = tmp_path_factory.mktemp('in')
  (folder / 'file').write_text('in the way')
  (folder / 'none').mkdir()
  for name, content in YAML.items():
    (folder / f'{name}.yaml').write_bytes(content)
  for name, content in CSV.items():
    (folder / f'{name}.csv').write_bytes(content)
  for name, content in MUSIC.items():
    path = folder / name.replace('.', '_') / name
    path.parent.mkdir()
    path.write_bytes(content)
  (folder / 'pipe').mkdir()
  os.mkfifo(folder / 'pipe' / 'a.mid')
  _checkpoints(folder)
  with io.BytesIO() as arrays:
    np.savez(arrays, train=np.zeros(3), held_out=np.zeros(3))
    other = arrays.getvalue()
  for name, content in {
    'other_arrays/windows.npz': other,
    'begun/config.json': b'{',
    'listed/config.json': b'[]',
    'other_run/config.json': b'{"config": "x", "hparams": {}, "corpus": {}}',
    'part/config.json': b'{"hparams": {}, "corpus": {}}',
    'deep/config.json': b'[' * 50_000,
    'pickled/windows.npz': b'\x80\x04]\x94.',
    'zipped/windows.npz': b'PK\3\4 and no more',
    'taken/a.yaml': b'mine',
  }.items():
    (folder / name).parent.mkdir()
    (folder / name).write_bytes(content)
  before = _contents(folder)
  yield folder
  assert _contents(folder) == before


def _contents(folder):
  return {
    str(path): path.read_bytes() if path.is_file() else None
    for path in folder.rglob('*')
  }


def _files(folder):
  """Names of the files in a folder, but for those that TensorFlow removes."""
  return {
    path.name
    for path in folder.rglob('*')
    if not path.is_dir() and not path.name.startswith('__autograph')
  }


def _yaml(name, message):
  return 'generate', [G, f'--emotions_file={{in}}/{name}.yaml'], message


def _weights(name, message):
  return 'generate', [G, f'--checkpoint_file={{in}}/{name}'], message


def _csv(name, message):
  return 'calibrate', [OUT, f'--labels_file={{in}}/{name}.csv'], message


def _music(name, message):
  # In a folder of its own, which is its label.
  folder = name.replace('.', '_')
  csv = f"import pathlib; pathlib.Path('a.csv').write_text('{folder}/{name},x')"
  flags = [OUT, '--labels_file=a.csv', '--input_dir={in}']
  return 'calibrate', flags, message, csv


def _train(name, message):
  flags = ['--run_dir=r', f'--input_dir={{in}}/{name}']
  return 'pretrain', flags, message


ROWS = [
  # Flags.
  ('generate', [], '--emotion: name one'),
  ('generate', ['--emotion='], '--list_emotions'),
  ('generate', ['--emotion=암룰홤'], 'did you mean 암울함 (gloomy)?'),
  ('generate', ['--text=기차는 아홉 시에 떠난다'], '감정을 읽지 못했습니다'),
  ('generate', ['--text=a train'], '--text: no feeling was recognized'),
  ('generate', ['--text='], '--text: no feeling was recognized'),
  ('generate', ['--text=sad', G], '--text: leave out --emotion'),
  ('generate', ['--text_file={in}/none.txt'], '--text_file: '),
  ('generate', ['--text_file={in}/cp949.yaml'], 'not UTF-8'),
  ('generate', ['--text_file={in}'], 'cannot be read'),
  ('generate', ['--valence=0.3'], '--arousal: give both'),
  ('generate', ['--valence=3', '--arousal=0'], 'expected -1 to 1'),
  ('generate', ['--emotion=gloomy:x'], 'name:weight'),
  ('generate', ['--emotion=gloomy:nan,clear:1'], 'name:weight'),
  ('generate', ['--emotion=gloomy:0'], 'all 0'),
  ('generate', ['--emotion=\udcff\udcfe'], 'there is no emotion'),
  ('generate', [G, '--num_outputs=0'], '--num_outputs'),
  ('generate', [G, '--num_outputs=-3'], '--num_outputs'),
  ('generate', [G, '--num_outputs=many'], 'num_outputs'),
  ('generate', [G, '--num_outputs=1000000000000'], '--num_outputs'),
  ('generate', [G, '--temperature=0'], '--temperature'),
  ('generate', [G, '--temperature=nan'], '--temperature'),
  ('generate', [G, '--intensity=1.5'], '--intensity'),
  ('generate', [G, '--max_batch_size=0'], '--max_batch'),
  ('generate', [G, '--seed=-1'], '--seed'),
  ('generate', [G, f'--seed={2**63}'], '--seed'),
  ('generate', [G, '--log=LOUD'], '--log'),
  ('generate', [G, '--config=x'], LITE),
  ('generate', [G, '--config=../emotions'], LITE),
  ('generate', [G, '--hparams=chord'], 'name=value'),
  ('generate', [G, '--hparams=chord=[1'], 'not closed'),
  ('generate', [G, '--tempo=3'], 'tempo'),
  ('generate', [G, '--output_formats=mid,aiff'], "'aiff'"),
  ('generate', [G, '--output_formats='], 'mid, wav, flac'),
  ('generate', [G, '--accompaniment=bass'], 'none, chords, full'),
  ('generate', [G, '--accompaniment=full', '--style=walz'], 'waltz?'),
  ('generate', [G, '--style=waltz'], 'goes with an accompaniment'),
  ('generate', [G, '--humanize=2'], '0 to 1'),
  ('generate', [G, '--soundfont=none.sf2'], 'cannot be read'),
  ('generate', [G, '--loop', '--ritardando'], 'no loop'),
  ('generate', [G, '--qpm=0'], '--qpm: expected 10'),
  ('generate', [G, '--program=128'], '--program'),
  ('generate', [G, '--updates=-1'], '--updates'),
  ('generate', [G, '--mode=x'], '--mode: expected one of'),
  ('generate', ['--mode=interpolate', G], '--to_emotion or'),
  (
    'generate',
    ['--mode=interpolate', G, '--to_emotion=clear', '--num_outputs=1'],
    '--num_outputs: expected 2',
  ),
  (
    'generate',
    ['--mode=interpolate', '--input_midi_1=a.mid', '--input_midi_2=b.mid'],
    "--input_midi: 'a.mid' cannot be read",
  ),
  ('generate', ['--mode=variations'], 'name your melody with --input_midi'),
  ('generate', [G, '--to_emotion=clear'], '--to_emotion'),
  ('generate', [G, '--to_text=슬프다'], '--to_text: goes with'),
  (
    'generate',
    ['--mode=interpolate', G, '--to_emotion=clear', '--to_text=슬프다'],
    'leave out --to_emotion',
  ),
  (
    'generate',
    ['--mode=interpolate', G, '--to_text=The train leaves at nine'],
    '--to_text: no feeling',
  ),
  ('generate', [G, '--arc'], '--arc: goes with --text'),
  ('generate', ['--text=슬프다', '--arc', '--mode=variations'], '--arc'),
  ('generate', [G, '--distance=0.2'], '--mode=variations'),
  ('generate', [G, '--start_bar=2'], '--start_bar: name'),
  ('generate', [G, '--input_midi=a.mid'], "'a.mid' cannot"),
  ('generate', [G, '--input_midi={in}/file'], 'file ending in'),
  ('generate', [G, '--input_midi=.'], "'.' is a folder"),
  ('generate', [G, '--input_midi={in}/pipe/a.mid'], 'is no file'),
  ('generate', ['gloomy'], "unexpected 'gloomy'"),
  ('generate', ['--list_emotions', G], 'give one of them'),
  ('generate', ['--target=onsets_per_bar=40'], 'expected 0.1 to 16'),
  ('generate', ['--target=mean_pitch=1e999'], 'mean_pitch inf'),
  ('generate', ['--target=chords=C H'], "--target: target: chords: 'H' is"),
  ('generate', ['--target=chords='], '--target: '),
  ('generate', ['--target=volume=11'], "no target is called 'volume'"),
  ('train', ['--num_steps=0'], '--num_steps'),
  ('train', ['--seed=-1'], '--seed'),
  ('train', ['--hparams=loudness=3'], "no setting is called 'loudness'"),
  ('train', ['--hparams=chord=high'], 'chord takes a value like'),
  ('pretrain', [], '--run_dir'),
  ('pretrain', ['--run_dir=r', '--mode=sing'], 'mode'),
  ('pretrain', ['--run_dir=r', '--eval_every=0'], '--eval_every'),
  ('pretrain', ['--run_dir=r', '--hparams=z_size=big'], 'z_size takes'),
  ('pretrain', ['--run_dir=r', '--hparams=onsets_per_bar=[1]'], 'two numbers'),
  ('evaluate', ['--num_outputs=1'], '--num_outputs'),
  ('evaluate', ['--arms=ours,theirs'], '--arms'),
  ('evaluate', ['--temperatures=cold'], '--temperatures'),
  ('evaluate', ['--temperatures=0'], '--temperatures'),
  ('evaluate', ['--seeds='], '--seeds'),
  ('batch', [], '--requests: name a file'),
  ('batch', ['--requests=r.jsonl', '--emotions=all'], '--requests: name a'),
  ('batch', ['--requests=r.jsonl'], '--output_dir: name a folder'),
  ('batch', ['--emotions=all', '--num_outputs=0', JOB], '--num_outputs'),
  ('batch', ['--emotions=all', JOB], '--num_outputs: say how many'),
  ('batch', ['--requests=r.txt', JOB], 'ending in .jsonl, .csv'),
  ('batch', ['--requests=r.jsonl', JOB], "'r.jsonl' cannot be read"),
  ('batch', ['--requests=r.jsonl', '--manifest=xml', JOB], '--manifest'),
  ('batch', ['--requests=r.jsonl', '--seed=-1', JOB], '--seed'),
  ('batch', ['--requests=r.jsonl', '--runner=ray', JOB], '--runner: expected'),
  ('batch', ['--requests=r.jsonl', '--cluster=a:1', JOB], '--cluster: goes'),
  (
    'batch',
    ['--requests=r.jsonl', '--runner=dask', '--num_workers=0', JOB],
    '--num_workers',
  ),
  (
    'batch',
    ['--requests=r.jsonl', '--output_formats=aiff', JOB],
    "--output_formats: there is no 'aiff'; there are mid, wav, flac, mp3, ogg",
  ),
  (
    'batch',
    ['--requests=r.jsonl', '--output_formats=html', JOB],
    '--output_formats: html is one page',
  ),
  (
    'batch',
    ['--requests=r.jsonl', '--output_tfrecord', '--output_formats=wav', JOB],
    '--output_formats: --output_tfrecord writes',
  ),
  ('calibrate', [OUT], '--input_dir'),
  ('calibrate', ['--input_dir={in}', '--output_file=a.txt'], 'ends in .yaml'),
  (
    'calibrate',
    [OUT, '--labels_file={in}/header.csv', '--valence_arousal_scale=9,1'],
    'two numbers',
  ),
  # YAML.
  _yaml('nowhere', "nowhere.yaml': cannot be read"),
  ('generate', [G, '--emotions_file={in}'], 'cannot be read'),
  ('generate', [G, '--emotions_file=/dev/zero'], 'larger than'),
  _yaml('empty', 'a list under'),
  _yaml('number', 'a list under'),
  _yaml('no_list', 'a list under'),
  _yaml('open', 'not YAML (line'),
  _yaml('cp949', 'not UTF-8'),
  _yaml('no_name', 'without a name'),
  _yaml('twice', 'twice'),
  _yaml('unknown', "no setting is called 'pitch'"),
  _yaml('range', 'a: onsets_per_bar 0'),
  _yaml('word', 'mean_pitch takes'),
  _yaml('nan', 'qpm nan'),
  _yaml('inf', 'qpm inf'),
  _yaml('mode', 'major or minor'),
  (
    'generate',
    ['--emotion=a', '--emotions_file={in}/chord.yaml'],
    "'H' is not",
  ),
  ('generate', ['--emotion=a', '--emotions_file={in}/bars.yaml'], 'got 3'),
  _yaml('list', "name takes a value like '', not ['a', 'b']"),
  _yaml('code', 'not YAML'),
  _yaml('laughs', 'name takes a value like'),
  _yaml('deep', 'lists in lists'),
  _yaml('large', 'larger than'),
  # Checkpoints and archives.
  _weights('nowhere.tar', "nowhere.tar' does not exist"),
  _weights('file', 'neither a tar nor a checkpoint'),
  _weights('no.tar', 'neither a tar nor a checkpoint'),
  _weights('nil.tar', 'neither a tar nor a checkpoint'),
  ('generate', [G, '--checkpoint_file=/dev/zero'], 'neither a tar'),
  _weights('none', 'no checkpoint in folder'),
  _weights('cut', 'cannot read the checkpoint'),
  _weights('bad_index', 'cannot read the checkpoint'),
  _weights('no_index', 'cannot read the checkpoint'),
  _weights('no_data.index', 'cannot read the checkpoint'),
  _weights('nan', 'encoder/mu/bias in'),
  _weights('other', 'is not a checkpoint of ' + LITE),
  _weights('cut.tar', '--checkpoint_file: '),
  _weights('two.tar', 'more than one checkpoint'),
  _weights('none.tar', 'no checkpoint inside'),
  _weights('many.tar', 'more than 1000 members'),
  _weights('escape.tar.gz', 'reaches outside'),
  _weights('absolute.tar.gz', 'reaches outside'),
  _weights('link.tar.gz', 'neither a file nor a folder'),
  _weights('pipe.tar.gz', 'neither a file nor a folder'),
  _weights('huge.tar.gz', 'more than 4 GiB'),
  (
    'generate',
    [G, '--checkpoint_file={in}/good.tar', '--config=hierdec-mel_16bar'],
    f'--config={LITE} fits it',
  ),
  ('generate', [G, '--checkpoint_file=x', '--run_dir=y'], 'give one of them'),
  ('generate', [G, '--run_dir={in}/none'], '--run_dir: no checkpoint'),
  ('generate', [G, '--actor_dir=nowhere'], "no checkpoint in 'nowhere'"),
  ('generate', [G, '--actor_dir={in}/cut'], '--actor_dir: no checkpoint'),
  ('generate', [G, '--prior=nowhere.npz'], 'nowhere.npz: cannot be read'),
  ('generate', [G, '--prior={in}/cut.tar'], 'damaged, or no prior'),
  ('generate', [G, f'--prior={FORM_PRIOR}'], 'the prior of another base'),
  ('train', ['--base_run_dir={in}/none'], '--base_run_dir: no checkpoint'),
  ('train', ['--checkpoint_file={in}/nan'], 'is not finite'),
  ('train', ['--distribution_strategy=many'], 'expected one of one_device,'),
  (
    'pretrain',
    ['--run_dir=r', '--init_checkpoint={in}/no.tar'],
    '--init_checkpoint: ',
  ),
  (
    'pretrain',
    ['--run_dir=r', '--init_checkpoint={in}/bad_index'],
    '--init_checkpoint: cannot read',
  ),
  (
    'pretrain',
    ['--run_dir=r', '--init_checkpoint={in}/good', '--hparams=z_size=8'],
    'expected [8',
  ),
  # Music.
  _music('broken.mid', 'no label has a melody: 1 cannot be read'),
  _music('no_notes.mid', '1 without notes'),
  _music('million.mid', '1 too large'),
  _music('many.mid', '1 too long'),
  _music('day.mid', '1 too long'),
  _music('years.mid', '1 too long'),
  _music('drums.mid', '1 drums only'),
  _music('long.abc', '1 too long'),
  _music('laughs.musicxml', '1 cannot be read'),
  _music('file.musicxml', '1 '),
  _music('torn.musicxml', '1 cannot be read'),
  _music('no_zip.mxl', '1 cannot be read'),
  _music('no_score.mxl', '1 cannot be read'),
  _music('bomb.mxl', '1 too large'),
  _music('broken.tfrecord', '1 without notes'),
  ('calibrate', [OUT, '--input_dir={in}/pipe'], '1 without a label'),
  _train('nowhere', 'does not exist'),
  _train('none', 'ends in .abc'),
  _train('pipe', 'no 16-bar melody among its pieces: 1 cannot be read'),
  _train('day_mid', '1 too long'),
  # Labels.
  _csv('no', 'No such file'),
  _csv('bytes', 'CP949'),
  _csv('odd', 'columns path'),
  _csv('empty', 'is empty'),
  _csv('header', 'no rows'),
  _csv('gone', 'no label has a melody: 1 does not exist'),
  _csv('nul', '--'),
  ('calibrate', [OUT, '--labels_file=/dev/zero'], 'larger than'),
  ('calibrate', [OUT, '--labels_file={in}'], 'cannot be read'),
  ('calibrate', [OUT, '--input_dir={in}/nowhere'], 'is no folder'),
  ('calibrate', [OUT, '--input_dir={in}/none'], 'ends in .abc'),
  # Folders.
  ('generate', [G, '--output_dir={in}/file'], '--output_dir'),
  ('generate', [G, '--output_dir={in}/file/x'], '--output_dir'),
  ('generate', [G, '--output_dir=/proc/x'], '--output_dir: cannot write'),
  ('train', ['--run_dir={in}/file'], '--run_dir: cannot write'),
  ('train', ['--run_dir=/proc/x/y'], '--run_dir: cannot write'),
  ('pretrain', ['--run_dir={in}/file/x'], '--run_dir: cannot write'),
  ('pretrain', ['--run_dir={in}/none', '--mode=eval'], 'no run in'),
  ('pretrain', ['--run_dir={in}/begun'], "begun/config.json' is not what"),
  ('pretrain', ['--run_dir={in}/listed'], "listed/config.json' is not what"),
  (
    'pretrain',
    ['--run_dir={in}/other_run', '--config=hierdec-mel_16bar_lite'],
    'was begun with config x',
  ),
  ('pretrain', ['--run_dir={in}/part'], "part/config.json' is not what"),
  ('pretrain', ['--run_dir={in}/deep'], "deep/config.json' is not what"),
  (
    'pretrain',
    ['--run_dir={in}/other_arrays'],
    "other_arrays/windows.npz' is not what",
  ),
  ('pretrain', ['--run_dir={in}/pickled'], "windows.npz' is not what"),
  ('pretrain', ['--run_dir={in}/zipped'], "windows.npz' is not what"),
  ('evaluate', ['--output_dir={in}/none'], 'exists; name another folder'),
  ('evaluate', ['--output_dir=no/where'], '--output_dir: cannot write'),
  (
    'calibrate',
    ['--input_dir={in}', '--output_file={in}/taken/a.yaml'],
    'exists',
  ),
  (
    'calibrate',
    ['--input_dir={in}', '--output_file=no/a.yaml'],
    'cannot write',
  ),
  # A full disk.
  ('generate', [G], 'nothing was kept', FULL),
  (
    'pretrain',
    ['--run_dir=.', '--input_dir={scales}'],
    "could not write './config.json' (File too large)",
    FULL,
  ),
  ('calibrate', ['--input_dir={scales}', OUT], 'nothing was kept', FULL),
]


@pytest.fixture(scope='module')
def scales(tmp_path_factory):
  """Two pieces of one label, that a base model can be trained on."""
  folder = tmp_path_factory.mktemp('scales')
  (folder / 'label').mkdir()
  for name, bar in (('a', 'CDEF GABc|'), ('b', 'GABc dBGE|')):
    (folder / 'label' / f'{name}.abc').write_text(
      f'X:1\nT:{name}\nM:4/4\nL:1/8\nK:C\n{bar * 16}\n'
    )
  return folder


@pytest.mark.parametrize('row', ROWS, ids=lambda row: ' '.join(row[1])[:60])
def test_a_mistake_ends_in_one_line(run, bad, scales, tmp_path, row):
  module, flags, message, *before = row
  places = {'{in}': str(bad), '{scales}': str(scales)}
  for name, path in places.items():
    flags = [flag.replace(name, path) for flag in flags]
  status, _, err = run(
    module,
    *flags,
    cwd=tmp_path,
    before=''.join(before),
    env={
      'EMOTION_MUSICVAE_CACHE': str(tmp_path / 'cache'),
      'TMPDIR': str(tmp_path),
    },
  )
  assert status == 2, err
  said = err.replace('\r', '\n').split('\n')
  # But for a bar of progress.
  (line,) = [x for x in said if x and not re.search(r'\d+%\|.*\]$', x)]
  assert line.startswith('Error: ')
  assert unicodedata.normalize('NFC', message) in line
  assert len(line) < 1000
  assert _files(tmp_path) <= {'a.csv'}


_STOP = """
def stop(*arguments, **settings):
  raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
  'where',
  [
    'from emotion_musicvae.files import writers as o; o.check_directory = stop',
    'from emotion_musicvae.musicvae import checkpoints as c; c.read = stop',
    'from emotion_musicvae.api import stages as g; g.measure = stop',
    'import json; json.dumps = stop',
    'from emotion_musicvae.files import midi as o; o.midi = stop',
    # One file has its name already, the next has not.
    'import os\ndone, real = [], os.rename\n'
         'def rename(*a):\n  done.append(a)\n'
         '  real(*a) if len(done) != 2 else stop()\nos.rename = rename',
  ],
)  # fmt: skip
def test_ctrl_c_leaves_nothing_at_any_stage(run, tmp_path, where):
  (tmp_path / 'tmp').mkdir()
  status, _, err = run(
    'generate',
    G,
    '--num_outputs=2',
    '--guidance=0',
    cwd=tmp_path,
    before=_STOP + where,
    env={'TMPDIR': str(tmp_path / 'tmp')},
  )
  assert (status, err) == (130, 'Interrupted.\n')
  assert not _files(tmp_path)


@pytest.mark.parametrize(
  ('module', 'flags', 'where'),
  [
    ('calibrate', [OUT, '--input_dir={scales}'], 'files.readers.pieces'),
    (
      'calibrate',
      [OUT, '--input_dir={scales}'],
      'emotions.calibration_report.report',
    ),
    (
      'calibrate',
      [OUT, '--input_dir={scales}'],
      'evaluation.figures.pitch_against_density',
    ),
    ('train', ['--run_dir=r'], 'musicvae.checkpoints.load_model'),
    ('train', ['--run_dir=r'], 'steering.training.make_learner'),
    (
      'pretrain',
      ['--run_dir=r', '--input_dir={scales}'],
      'pretraining.corpus.load',
    ),
    ('evaluate', ['--output_dir=r'], 'evaluation.experiment.evaluate'),
    ('evaluate', ['--output_dir=r'], 'musicvae.checkpoints.load_model'),
  ],
)
def test_ctrl_c_leaves_nothing_of_the_other_commands(
  run, scales, tmp_path, module, flags, where
):
  owner, name = where.rsplit('.', 1)
  status, _, err = run(
    module,
    *(flag.replace('{scales}', str(scales)) for flag in flags),
    cwd=tmp_path,
    before=f'{_STOP}import emotion_musicvae.{owner} as o\no.{name} = stop',
    env={'TMPDIR': str(tmp_path)},
  )
  assert status == 130
  assert err.endswith('Interrupted.\n')
  assert not _files(tmp_path)


def _shell(command, **env):
  """A fresh process in a shell of its own: `(status, stderr)`."""
  python = f'"{sys.executable}" -m emotion_musicvae.cli'
  result = subprocess.run(
    [
      'bash',
      '-o',
      'pipefail',
      '-c',
      command.replace('emotion_musicvae', python),
    ],
    stderr=subprocess.PIPE,
    stdout=subprocess.DEVNULL,
    encoding='utf-8',
    env={**os.environ, **env},
  )
  return result.returncode, result.stderr


@pytest.mark.parametrize(
  ('command', 'status', 'said'),
  [
    ('emotion_musicvae.generate --list_emotions >&-', 0, ''),
    ('emotion_musicvae.generate --list_emotions 2>&-', 0, ''),
    ('emotion_musicvae.generate --help >&-', 0, ''),
    ('emotion_musicvae.generate --emotion=x 2>&-', 2, ''),
    (
      'emotion_musicvae.generate --list_emotions > /dev/full',
      2,
      'Error: standard output: No space left on device\n',
    ),
    (
      'emotion_musicvae.train --help > /dev/full',
      2,
      'Error: standard output: No space left on device\n',
    ),
    (
      'emotion_musicvae.generate --list_emotions | (exec <&-; sleep 1)',
      141,
      '',
    ),
  ],
)
def test_closed_and_full_streams(command, status, said):
  assert _shell(command) == (status, said)


def test_no_locale_shows_escapes_in_place_of_korean():
  status, said = _shell(
    'emotion_musicvae.generate --emotion=암룰홤',
    LC_ALL='C',
    PYTHONUTF8='0',
    PYTHONCOERCECLOCALE='0',
  )
  assert status == 2
  assert 'did you mean \\uc554' in said


def test_without_a_home_melodies_are_composed(run, tmp_path):
  status, out, err = run(
    'generate',
    G,
    '--num_outputs=1',
    cwd=tmp_path,
    before="import os; os.environ.pop('HOME', None)",
  )
  assert (status, err) == (0, '')
  assert '.mid' in out


def test_a_home_that_cannot_be_written_is_named(run, tmp_path):
  status, _, err = run(
    'generate',
    G,
    '--config=hierdec-mel_16bar',
    cwd=tmp_path,
    env={'HOME': '/proc/nowhere', 'EMOTION_MUSICVAE_CACHE': ''},
  )
  assert status == 2
  assert err.startswith("Error: --cache_dir: cannot write to '/proc/nowhere/")
  assert err.count('\n') == 1
