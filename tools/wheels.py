"""Which pinned packages have no wheel, for each desk and version of Python.

python tools/wheels.py requirements.lock requirements-batch.lock

Asks the package index what pip would take, and downloads no more than what it
says of each package. A package that is named comes as source, which takes its
build tools there.
"""

from collections.abc import Iterator
import re
import subprocess
import sys
import tempfile

from packaging import requirements

VERSIONS = ('3.11', '3.12', '3.13')
# Their names for markers, and the tags of wheels that they take.
DESKS = {
  'Linux': (
    'linux',
    [f'manylinux_2_{n}_x86_64' for n in (28, 27, 24, 17, 12, 5)]
    + ['manylinux2014_x86_64', 'manylinux2010_x86_64', 'manylinux1_x86_64'],
  ),
  'macOS': ('darwin', ['macosx_14_0_arm64']),
  'Windows': ('win32', ['win_amd64']),
}
_MISSING = re.compile(r'No matching distribution found for ([\w.-]+)==')


def pinned(path: str, desk: str, version: str) -> Iterator[str]:
  """What a file of pinned packages asks for where its markers hold."""
  environment = {
    'sys_platform': desk,
    'python_version': version,
    'python_full_version': version + '.0',
    'implementation_name': 'cpython',
    'platform_python_implementation': 'CPython',
  }
  with open(path, encoding='utf-8') as f:
    for line in f:
      wanted = requirements.Requirement(line.strip())
      if wanted.marker is None or wanted.marker.evaluate(environment):
        yield f'{wanted.name}{wanted.specifier}'


def without_wheel(
  wanted: list[str], tags: list[str], version: str
) -> list[str]:
  """Names of those that have none for the tags and the version of Python."""
  found: list[str] = []
  while True:
    with tempfile.TemporaryDirectory() as folder:
      asked = subprocess.run(
        [
          *(sys.executable, '-m', 'pip', 'install', '--dry-run', '--quiet'),
          *('--no-deps', '--only-binary=:all:', '--ignore-requires-python'),
          f'--python-version={version}',
          *(f'--platform={tag}' for tag in tags),
          f'--target={folder}',
          *(one for one in wanted if one.split('==')[0] not in found),
        ],
        capture_output=True,
        text=True,
        check=False,
      )
    if not asked.returncode:
      return found
    missing = _MISSING.search(asked.stderr)
    if not missing:
      raise RuntimeError(asked.stderr)
    found.append(missing[1])


def main() -> None:
  for path in sys.argv[1:]:
    for desk, (platform, tags) in DESKS.items():
      for version in VERSIONS:
        wanted = list(pinned(path, platform, version))
        found = ', '.join(without_wheel(wanted, tags, version)) or 'none'
        print(
          f'{path}, {desk}, {version}: {len(wanted)} packages, '
          f'without a wheel: {found}',
          flush=True,
        )


if __name__ == '__main__':
  main()
