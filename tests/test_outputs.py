import errno
import os

import note_seq
import numpy as np
import pytest

from emotion_musicvae import generation
from emotion_musicvae import outputs
from emotion_musicvae.configuration import UserError


def _melody(seed=0, **measured):
  sequence = note_seq.NoteSequence()
  sequence.notes.add(pitch=60, velocity=80, start_time=0, end_time=1)
  sequence.total_time = 1
  values = {
    'mean_pitch': 66.0,
    'onsets_per_bar': 6.0,
    'chord_tone_rate': 1.0,
    'energy': 0.5,
  }
  tokens = np.random.default_rng(seed).integers(0, 90, 256)
  return generation.Melody(
    sequence, tokens, np.zeros(4), {**values, **measured}, values
  )


def test_two_runs_within_a_second_keep_both(tmp_path):
  for _ in range(3):
    outputs.write_run(tmp_path, 'config', 'gloomy', [_melody()] * 2, {})
  assert len(os.listdir(tmp_path)) == 9


@pytest.mark.parametrize('broken', ['sequence_proto_to_midi_file', 'rename'])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, broken):
  (tmp_path / 'mine.txt').write_text('mine')
  owner = note_seq.midi_io if broken.startswith('sequence') else os
  original = getattr(owner, broken)
  calls = []

  def fails_at_the_second(*args):
    calls.append(args)
    if len(calls) == 2:
      raise OSError(errno.ENOSPC, 'No space left on device')
    return original(*args)

  monkeypatch.setattr(owner, broken, fails_at_the_second)
  with pytest.raises(UserError, match=r'--output_dir: .*No space left'):
    outputs.write_run(tmp_path, 'config', 'gloomy', [_melody()] * 3, {})
  assert os.listdir(tmp_path) == ['mine.txt']


def test_what_cannot_be_measured_is_null_in_the_record():
  record = _melody(mean_pitch=np.nan).record()
  assert record['measured']['mean_pitch'] is None
  assert record['reference']['mean_pitch'] == 66.0
