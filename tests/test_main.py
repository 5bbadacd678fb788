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


def test_a_language_may_be_said_before_the_command(asked):
  assert '작곡합니다' in asked('--lang=ko')[1]
  assert asked('--lang=ko', 'generate')[2].startswith('오류: --emotion: ')


def test_an_unknown_command_ends_in_one_line(asked):
  status, out, err = asked('compose')
  assert (status, out) == (2, '')
  assert err.startswith("Error: there is no command 'compose'; there are gen")
  assert err.count('\n') == 1


@pytest.mark.parametrize('name', COMMANDS)
def test_help_has_the_flags_that_all_share(asked, name):
  status, out, _ = asked(name, '--help')
  assert status == 0
  flags = re.findall(r'^  --(\S+):', out, re.M)
  assert {'cache_dir', 'log', '[no]version'} <= set(flags)
  status, short, _ = asked(name, '--helpshort')
  assert status == 0
  assert re.findall(r'^  --(\S+):', short, re.M) == flags
  assert short.count('\n') < out.count('\n')
