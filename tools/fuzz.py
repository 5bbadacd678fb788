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
import json
import os
import sys
import tempfile

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
  b'MThd\0\0\0\6\0\0\0\1\0\4MTrk\0\0\0\x29\0\xff\x51\3\7\xa1\x20'
  b'\0\xff\x58\4\4\2\x18\x08\0\x90\x3c\x40\4\x3e\x40\4\x3c\0\4\x3e\0'
  b'\0\xff\x2f\0\0\0\0\0\0\0\0\0'
)
_EMOTIONS = b'emotions: [{name: a, mean_pitch: 60, chords: C | F G}]'
_CSV = b'path,valence,arousal\na.mid,0.5,-1\n'


def _named(ending):
  """A function that reads bytes as a file of that ending."""

  def read(data):
    from emotion_musicvae import configuration
    from emotion_musicvae import corpus
    from emotion_musicvae import readers

    with tempfile.NamedTemporaryFile(suffix=ending) as f:
      f.write(data)
      f.flush()
      tunes, refusals = readers.read(f.name)
      assert tunes or refusals
      corpus.split_windows(tunes, configuration.CorpusHparams())

  return read


def _emotions(data):
  from emotion_musicvae import emotions
  from emotion_musicvae import harmony

  with tempfile.NamedTemporaryFile(suffix='.yaml') as f:
    f.write(data)
    f.flush()
    for emotion in emotions.load(f.name):
      try:
        harmony.chord_tones(emotion.chords)
      except ValueError as e:
        assert str(e).startswith('chords: ')


def _settings(data):
  from emotion_musicvae import configuration

  text = data.decode('utf-8', 'surrogateescape')
  values = configuration.parse_settings(text)
  configuration.build(configuration.CorpusHparams, values, '--hparams')


def _blend(data):
  from emotion_musicvae import emotions

  emotions.parse(data.decode('utf-8', 'surrogateescape'))


def _labels(data):
  from emotion_musicvae import labels

  with tempfile.TemporaryDirectory() as folder:
    for name, content in (('a.mid', b''), ('labels.csv', data)):
      with open(os.path.join(folder, name), 'wb') as f:
        f.write(content)
    labels.from_csv(os.path.join(folder, 'labels.csv'), None, (-1.0, 1.0))


def _located(name, data):
  from emotion_musicvae import checkpoints

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

  from emotion_musicvae import downloads

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
WATCHED = ['emotion_musicvae', 'mido', 'music21.abcFormat', 'music21.musicxml',
           'pretty_midi', 'yaml']  # fmt: skip
IMPORTED = (
  'emotion_musicvae.checkpoints',
  'emotion_musicvae.corpus',
  'emotion_musicvae.labels',
  'music21.abcFormat',
  'music21.musicxml.xmlToM21',
  'note_seq',
)
TARGETS = {
  'abc': (_named('.abc'), [_ABC]),
  'archive': (_archive, [b'']),
  'blend': (_blend, ['밝음:0.5,clear:1'.encode()]),
  'checkpoint': (_checkpoint, [b'']),
  'download': (
    _download,
    [b'[200, {"Content-Type": "a/b", "Content-Length": "1"}, "x"]'],
  ),
  'emotions': (_emotions, [_EMOTIONS]),
  'labels': (_labels, [_CSV]),
  'midi': (_named('.mid'), [_MIDI]),
  'musicxml': (_named('.musicxml'), [_XML]),
  'mxl': (_named('.mxl'), [b'PK\3\4']),
  'settings': (_settings, [b'slowdowns=[1,2],hop_bars=4']),
  'tfrecord': (_named('.tfrecord'), [b'']),
}


def check(target, data):
  """Reads `data`; what is no `UserError` gets out."""
  from emotion_musicvae.configuration import UserError

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
  # Only what is first imported here is watched.
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
