"""What a terminal or a notebook shows of TensorFlow: nothing."""

import os
import subprocess
import sys

import pytest

_USE = """
import os
from emotion_musicvae import EmotionMusicVAE
model = EmotionMusicVAE.from_pretrained()
model.generate('peaceful', 1)
os.write(2, b'still open')
"""


# At a prompt, as in a notebook, TensorFlow tells more.
@pytest.mark.slow
@pytest.mark.parametrize('interactive', ['', 'import sys; sys.ps1 = ">"'])
def test_the_first_melody_in_python_comes_without_chatter(interactive):
  result = subprocess.run(
    [sys.executable, '-c', interactive + _USE], capture_output=True, text=True
  )
  assert result.returncode == 0, result.stderr
  assert (result.stdout, result.stderr) == ('', 'still open')


def test_who_asks_for_messages_gets_them():
  result = subprocess.run(
    [sys.executable, '-c', 'from emotion_musicvae import Melody'],
    capture_output=True,
    text=True,
    env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '0'},
  )
  assert result.returncode == 0
  assert result.stderr
