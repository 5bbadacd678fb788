"""`python -m emotion_musicvae` and what every command answers."""

import re
import subprocess
import sys

import pytest

from emotion_musicvae import __version__

COMMANDS = (
  'generate',
  'studio',
  'batch',
  'calibrate',
  'evaluate',
  'train',
  'pretrain',
)


def _main(*arguments):
  result = subprocess.run(
    [sys.executable, '-m', 'emotion_musicvae', *arguments],
    capture_output=True,
    text=True,
    encoding='utf-8',
  )
  return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize('arguments', [[], ['--help']])
def test_alone_it_lists_the_commands(arguments):
  status, out, err = _main(*arguments)
  assert (status, err) == (0, '')
  assert tuple(re.findall(r'^  (\w+)  +[A-Z].+\.$', out, re.M)) == COMMANDS


@pytest.mark.parametrize('arguments', [[], *([name] for name in COMMANDS)])
def test_version(arguments):
  assert _main(*arguments, '--version') == (
    0,
    f'emotion_musicvae {__version__}\n',
    '',
  )


def test_a_command_is_given_the_rest():
  status, out, _ = _main('generate', '--list_emotions')
  assert status == 0
  assert 'peaceful' in out
  status, _, err = _main('generate', '--emotion=peaceful', '--num_outputs=0')
  assert status == 2
  assert err.startswith('Error: --num_outputs: expected 1 to ')


def test_an_unknown_command_ends_in_one_line():
  status, out, err = _main('compose')
  assert (status, out) == (2, '')
  assert err.startswith("Error: there is no command 'compose'; there are gen")
  assert err.count('\n') == 1


@pytest.mark.parametrize('name', COMMANDS)
def test_help_has_the_flags_that_all_share(name):
  status, out, _ = _main(name, '--help')
  assert status == 0
  for flag in ('cache_dir', 'log', '\\[no\\]version'):
    assert re.search(f'^  --{flag}:', out, re.M), flag
