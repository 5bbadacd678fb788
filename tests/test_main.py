"""`python -m emotion_musicvae` and what every command answers."""

import re
import subprocess
import sys

import pytest

from emotion_musicvae import __version__
from emotion_musicvae.cli.main import COMMANDS


@pytest.fixture
def asked(run, tmp_path):
  """What `python -m emotion_musicvae` answers to arguments."""
  return lambda *arguments: run('main', *arguments, cwd=tmp_path)


@pytest.mark.parametrize('arguments', [[], ['--help']])
def test_alone_it_lists_the_commands(asked, arguments):
  status, out, err = asked(*arguments)
  assert (status, err) == (0, '')
  assert tuple(re.findall(r'^  (\w+)  +[A-Z].+\.$', out, re.M)) == COMMANDS


@pytest.mark.parametrize('arguments', [[], *([name] for name in COMMANDS)])
def test_version(asked, arguments):
  assert asked(*arguments, '--version') == [
    0,
    f'emotion_musicvae {__version__}\n',
    '',
  ]


def test_a_command_is_given_the_rest(asked):
  result = subprocess.run(
    [sys.executable, '-m', 'emotion_musicvae', 'generate', '--list_emotions'],
    capture_output=True,
    encoding='utf-8',
  )
  assert (result.returncode, result.stderr) == (0, '')
  assert 'peaceful' in result.stdout
  status, _, err = asked('generate', '--emotion=peaceful', '--num_outputs=0')
  assert status == 2
  assert err.startswith('Error: --num_outputs: expected 1 to ')


def test_an_unknown_command_ends_in_one_line(asked):
  status, out, err = asked('compose')
  assert (status, out) == (2, '')
  assert err.startswith("Error: there is no command 'compose'; there are gen")
  assert err.count('\n') == 1


@pytest.mark.parametrize('name', COMMANDS)
def test_help_has_the_flags_that_all_share(asked, name):
  status, out, _ = asked(name, '--help')
  assert status == 0
  for flag in ('cache_dir', 'log', '\\[no\\]version'):
    assert re.search(f'^  --{flag}:', out, re.M), flag
