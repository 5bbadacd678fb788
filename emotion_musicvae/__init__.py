"""Melodies that follow a named emotion, from Magenta's MusicVAE."""

import importlib
import os
from typing import Any
from typing import TYPE_CHECKING
import warnings

from emotion_musicvae._version import __version__ as __version__

# Magenta's cells need the Keras of TensorFlow 1 and 2, and it is chosen when
# TensorFlow is first imported.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# Sessions have threads of their own rather than those of the first to come:
# Magenta's decoder takes fewer than what trains.
os.environ.setdefault('TF_OVERRIDE_GLOBAL_THREADPOOL', '1')

# note_seq imports pydub, which looks for ffmpeg; nothing here uses it.
warnings.filterwarnings('ignore', "Couldn't find ffmpeg", RuntimeWarning)

if TYPE_CHECKING:
  from emotion_musicvae.api import EmotionMusicVAE
  from emotion_musicvae.api import Melody
  from emotion_musicvae.emotions.catalogue import Emotion
  from emotion_musicvae.files.songs import load_song
  from emotion_musicvae.support.errors import UserError

__all__ = ['Emotion', 'EmotionMusicVAE', 'Melody', 'UserError', 'load_song']

_LIGHT = {'Emotion': 'emotions.catalogue', 'UserError': 'support.errors'}
_HEAVY = {
  'EmotionMusicVAE': 'api',
  'Melody': 'api',
  'load_song': 'files.songs',
}


def __getattr__(name: str) -> Any:
  # Loading TensorFlow takes seconds; what needs it waits until it is asked for.
  if name in _HEAVY:
    from emotion_musicvae.support import quiet

    quiet.load_tensorflow()
  home = {**_LIGHT, **_HEAVY}.get(name)
  if home is None:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(f'emotion_musicvae.{home}'), name)


def __dir__() -> list[str]:
  return [*globals(), *__all__]
