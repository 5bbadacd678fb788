"""The package as it is installed: from a wheel, outside the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
NO_PART = {'__pycache__', 'build', '*.egg-info'}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """Path of a wheel, built of a copy so that the checkout stays as it is."""
  source = tmp_path_factory.mktemp('source')
  for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
    shutil.copy(ROOT / name, source)
  for name in ('emotion_musicvae', 'configs'):
    shutil.copytree(
      ROOT / name, source / name, ignore=shutil.ignore_patterns(*NO_PART)
    )
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
  scripts = {
    path.stem for path in (ROOT / 'emotion_musicvae' / 'cli').glob('*.py')
  } - {'__init__', 'command'}
  with zipfile.ZipFile(wheel) as archive:
    (name,) = (n for n in archive.namelist() if n.endswith('entry_points.txt'))
    text = archive.read(name).decode()
  for script in scripts:
    assert (
      f'emotion_musicvae_{script} = '
      f'emotion_musicvae.cli.{script}:console_entry_point'
    ) in text


def test_an_installed_wheel_composes_in_another_folder(wheel, tmp_path):
  site, home = tmp_path / 'site', tmp_path / 'elsewhere'
  home.mkdir()
  # All that installing a wheel of pure Python is, but for its commands.
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(site)
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
