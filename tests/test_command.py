"""What every command does with its flags."""

import os

from absl import flags

from emotion_musicvae.cli import command


def test_paths_that_begin_with_the_home_folder_lie_in_it(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  own = flags.FlagValues()
  for name in ('output_dir', 'input_midi', 'labels_file', 'text', 'emotion'):
    flags.DEFINE_string(name, None, '', flag_values=own)
  values = ['--output_dir=~/out', '--input_midi=~/a.mid', '--text=~/ is home']
  own(['', *values, '--labels_file=a/~/b.csv'])
  monkeypatch.setattr(flags, 'FLAGS', own)
  command._expand_home()
  assert own.output_dir == os.path.join(tmp_path, 'out')
  assert own.input_midi == os.path.join(tmp_path, 'a.mid')
  assert own.labels_file == 'a/~/b.csv'
  assert own.text == '~/ is home'
  assert own.emotion is None
