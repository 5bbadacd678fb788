"""Installs emotion_musicvae; see README.md.

Magenta itself is not among the requirements: its pins cannot be met on a
current Python, so it is installed beside them with `--no-deps`.
"""

import setuptools

setuptools.setup(
  name='emotion_musicvae',
  version='0.1.0',
  description="Melodies that follow a named emotion, from Magenta's MusicVAE",
  license='Apache-2.0',
  packages=[
    'emotion_musicvae.configs',
    *setuptools.find_packages(include=['emotion_musicvae*']),
  ],
  # The configurations stand at the top of the repository, where people look.
  package_dir={'emotion_musicvae.configs': 'configs'},
  package_data={
    'emotion_musicvae': ['models/*/*'],
    'emotion_musicvae.emotions': ['melodies.npz'],
    'emotion_musicvae.files': ['templates/*'],
    'emotion_musicvae.configs': ['*.yaml'],
  },
  install_requires=[
    'absl-py',
    'filelock',
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
  extras_require={
    'beam': ['apache-beam>=2.77'],
    'pretrain': ['music21'],
    'test': [
      'apache-beam>=2.77',
      'hypothesis',
      'import-linter',
      'music21',
      'mypy',
      'pytest',
      'ruff',
      'tinysoundfont',
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
        'train',
      )
    ],
  },
)
