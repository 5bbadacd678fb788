"""What a person waits for: nothing is loaded that is not needed."""

import os
import resource
import subprocess
import sys

import pytest

from emotion_musicvae.support.lazy import deferred

# Magenta, note_seq and tf_keras import these and generation uses none of them.
# If this fails after an update, what is deferred has come into use.
UNUSED = (
  'IPython',
  'bokeh',
  'pandas',
  'sklearn',
  'tensorflow_datasets',
  'tensorflow_probability',
  'tf_slim',
)

_COMMAND = """
import sys
from emotion_musicvae.cli import {module}
try:
  {module}.console_entry_point()
finally:
  print('loaded', *{{name.partition('.')[0] for name in sys.modules}})
"""


def _loaded(module, *flags):
  """What a command prints, the packages it loads and its CPU seconds."""
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  result = subprocess.run(
    [sys.executable, '-c', _COMMAND.format(module=module), *flags],
    capture_output=True,
    text=True,
    encoding='utf-8',
  )
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  out, _, loaded = result.stdout.rpartition('loaded ')
  seconds = (after.ru_utime - before.ru_utime) + (
    after.ru_stime - before.ru_stime
  )
  return result, out, set(loaded.split()), seconds


def test_a_melody_needs_nothing_that_is_deferred(tmp_path):
  result, out, loaded, _ = _loaded(
    'generate', '--emotion=clear', '--num_outputs=1', f'--output_dir={tmp_path}'
  )
  # Nor does TensorFlow say anything.
  assert (result.returncode, result.stderr) == (0, '')
  assert '.mid' in out
  assert {'magenta', 'note_seq', 'tensorflow'} <= loaded
  assert not loaded & set(UNUSED)


@pytest.mark.parametrize(
  ('module', 'flags'),
  [
    ('generate', ['--help']),
    ('generate', ['--list_emotions']),
    ('generate', ['--emotion=nothing']),
    ('generate', ['--target=chords=C H']),
    ('batch', ['--help']),
    ('batch', ['--requests=r.jsonl']),
    ('calibrate', ['--help']),
    ('evaluate', ['--arms=theirs']),
    ('generate', ['--emotion=clear', '--hparams=loudness=3']),
    ('train', ['--hparams=loudness=3']),
    ('evaluate', ['--help']),
    ('pretrain', ['--help']),
    ('train', ['--help']),
  ],
)
def test_what_needs_no_music_answers_without_tensorflow(module, flags):
  result, _, loaded, seconds = _loaded(module, *flags)
  assert result.returncode in (0, 2)
  assert loaded
  assert 'tensorflow' not in loaded
  # CPU seconds, as a busy machine makes any wall time.
  assert seconds < 1.0


def test_a_deferred_module_is_loaded_at_its_first_use():
  sys.modules.pop('colorsys', None)
  with deferred('colorsys', 'wsgiref:util'):
    import colorsys
    import wsgiref
    from wsgiref import util
  assert 'colorsys' not in sys.modules
  assert 'wsgiref.util' not in sys.modules
  assert colorsys.rgb_to_hsv(1, 0, 0) == (0, 1, 1)
  assert 'colorsys' in sys.modules
  with pytest.raises(AttributeError):
    _ = colorsys.nothing
  import wsgiref.util

  assert util.guess_scheme({}) == wsgiref.util.guess_scheme({}) == 'http'


def test_a_module_that_is_loaded_already_stays():
  with deferred('os'):
    import os as again
  assert again is os is sys.modules['os']
