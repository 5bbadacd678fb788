"""The package as it is installed: from a wheel, outside the checkout."""

import email
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import emotion_musicvae

ROOT = pathlib.Path(__file__).parent.parent
NO_PART = {'__pycache__', 'build', '*.egg-info'}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """A copy of the checkout, which is to stay as it is."""
  source = tmp_path_factory.mktemp('source')
  for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
    shutil.copy(ROOT / name, source)
  for name in ('emotion_musicvae', 'configs'):
    shutil.copytree(
      ROOT / name, source / name, ignore=shutil.ignore_patterns(*NO_PART)
    )
  return source


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
  """Path of a wheel."""
  folder = tmp_path_factory.mktemp('wheel')
  # What pip calls to build one; the environment may have no pip.
  code = 'from setuptools import build_meta as b; import sys; '
  subprocess.run(
    [sys.executable, '-c', code + 'b.build_wheel(sys.argv[1])', str(folder)],
    cwd=source,
    check=True,
    stdout=subprocess.DEVNULL,
  )
  (path,) = folder.iterdir()
  return path


def _files(folder):
  return {
    str(path.relative_to(folder))
    for path in folder.rglob('*')
    if path.is_file() and '__pycache__' not in path.parts
  }


def test_the_wheel_holds_every_file_of_the_package(wheel):
  with zipfile.ZipFile(wheel) as archive:
    packed = set(archive.namelist())
  expected = {
    f'emotion_musicvae/{n}' for n in _files(ROOT / 'emotion_musicvae')
  }
  expected |= {
    f'emotion_musicvae/configs/{n}' for n in _files(ROOT / 'configs')
  }
  assert expected <= packed
  others = {name for name in packed - expected if '.dist-info/' not in name}
  assert not others


def test_every_command_is_installed(wheel):
  scripts = [
    path.stem
    for path in (ROOT / 'emotion_musicvae' / 'cli').glob('*.py')
    if 'def console_entry_point' in path.read_text() and path.stem != 'main'
  ]
  assert len(scripts) >= 6
  with zipfile.ZipFile(wheel) as archive:
    (name,) = (n for n in archive.namelist() if n.endswith('entry_points.txt'))
    text = archive.read(name).decode()
  for script in scripts:
    assert (
      f'emotion_musicvae_{script} = '
      f'emotion_musicvae.cli.{script}:console_entry_point'
    ) in text


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
  """A folder with the wheel: installed, but for its commands."""
  site = tmp_path_factory.mktemp('site')
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(site)
  return site


def test_what_is_installed_says_what_it_is(wheel):
  with zipfile.ZipFile(wheel) as archive:
    (name,) = (n for n in archive.namelist() if n.endswith('/METADATA'))
    said = email.message_from_bytes(archive.read(name))
  assert said['Version'] == emotion_musicvae.__version__
  assert said['License-Expression'] == 'Apache-2.0'
  assert said.get_payload(decode=True).decode() == (
    ROOT / 'README.md'
  ).read_text('utf-8')
  assert {'audio', 'beam', 'docs', 'notation', 'test'} <= {
    *said.get_all('Provides-Extra')
  }


def test_the_top_of_a_checkout_works_with_the_package_installed(source, site):
  """Python finds the checkout's folder first there, which has no configs."""
  code = (
    'import emotion_musicvae; print(emotion_musicvae.__file__); '
    'from emotion_musicvae.emotions import catalogue; '
    'print(len(catalogue.load()))'
  )
  result = subprocess.run(
    [sys.executable, '-c', code],
    cwd=source,
    env={**os.environ, 'PYTHONPATH': str(site)},
    capture_output=True,
    encoding='utf-8',
  )
  assert result.returncode == 0, result.stderr
  file, number = result.stdout.splitlines()
  assert pathlib.Path(file).parent.parent == source
  assert number == '9'


@pytest.mark.slow
def test_an_installed_wheel_composes_in_another_folder(site, tmp_path):
  home = tmp_path / 'elsewhere'
  home.mkdir()
  code = (
    'import emotion_musicvae, runpy, sys; print(emotion_musicvae.__file__); '
    'sys.argv[0] = "generate"; '
    'runpy.run_module("emotion_musicvae.cli.generate", None, "__main__")'
  )
  result = subprocess.run(
    [sys.executable, '-c', code, '--emotion=clear', '--num_outputs=1'],
    cwd=home,
    env={**os.environ, 'PYTHONPATH': str(site)},
    capture_output=True,
    encoding='utf-8',
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.startswith(str(site))
  assert len(list((home / 'out').glob('*clear*.mid'))) == 1
