"""Melodies that follow a named emotion, from Magenta's MusicVAE."""

import importlib
import os
import warnings

from emotion_musicvae._version import __version__ as __version__

# Magenta's cells need the Keras of TensorFlow 1 and 2, and it is chosen when
# TensorFlow is first imported.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# note_seq imports pydub, which looks for ffmpeg; nothing here uses it.
warnings.filterwarnings('ignore', "Couldn't find ffmpeg", RuntimeWarning)

_HOMES = {
  'Emotion': 'emotions.catalogue',
  'EmotionMusicVAE': 'api',
  'Melody': 'api',
  'UserError': 'support.errors',
  'load_song': 'files.songs',
}
__all__ = ['Emotion', 'EmotionMusicVAE', 'Melody', 'UserError', 'load_song']


def __getattr__(name):
  # Loading TensorFlow takes seconds; what needs it waits until it is asked for.
  if name in _HOMES:
    home = importlib.import_module(f'emotion_musicvae.{_HOMES[name]}')
    return getattr(home, name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
  return [*globals(), *__all__]
