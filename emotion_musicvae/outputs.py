"""Writes what was generated: whole or not at all, over nothing."""

import contextlib
import datetime
import json
import os
import tempfile

from emotion_musicvae.configuration import UserError


def check_directory(path):
  """Makes an output folder and sees that it can be written to.

  Raises:
    UserError: it cannot.
  """
  try:
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as e:
    raise UserError(
      f'--output_dir: cannot write to {path!r} ({e.strerror}); name a folder '
      'you may write to'
    ) from None


def write_run(output_dir, config, emotion, melodies, record):
  """Writes one MIDI file per melody and one JSON beside them.

  Names follow Magenta's: `<config>_<emotion>_<time>-000-of-003.mid`. The time
  is moved on where files of that name exist.

  Args:
    output_dir: folder, see `check_directory`.
    config: name of the model configuration.
    emotion: name for the files.
    melodies: sequence of `generation.Melody`.
    record: dictionary for the JSON; `melodies` is added to it.

  Returns:
    Paths of the MIDI files, and that of the JSON.

  Raises:
    UserError: the disk is full or the folder went away; nothing is left.
  """
  from note_seq import midi_io  # pylint: disable=g-import-not-at-top

  stem = _free_stem(output_dir, f'{config}_{emotion}')
  names = [
    f'{stem}-{i:03d}-of-{len(melodies):03d}.mid' for i in range(len(melodies))
  ]
  entries = [
    {'file': name, **melody.record()} for name, melody in zip(names, melodies)
  ]
  text = json.dumps(
    {**record, 'melodies': entries}, ensure_ascii=False, indent=2
  )
  final = [os.path.join(output_dir, name) for name in names + [stem + '.json']]
  written = []
  try:
    with tempfile.TemporaryDirectory(dir=output_dir, prefix='.') as folder:
      parts = [os.path.join(folder, str(i)) for i in range(len(final))]
      for part, melody in zip(parts, melodies):
        midi_io.sequence_proto_to_midi_file(melody.note_sequence, part)
      with open(parts[-1], 'w', encoding='utf-8') as f:
        f.write(text + '\n')
      for part, path in zip(parts, final):
        os.rename(part, path)
        written.append(path)
  except BaseException as e:
    for path in written:
      with contextlib.suppress(OSError):
        os.remove(path)
    if isinstance(e, OSError):
      raise UserError(
        f'--output_dir: could not write to {output_dir!r} ({e.strerror}); '
        'nothing was kept'
      ) from None
    raise
  return final[:-1], final[-1]


def _free_stem(output_dir, prefix):
  taken = os.listdir(output_dir)
  time = datetime.datetime.now()
  while True:
    stem = f'{prefix}_{time:%Y-%m-%d_%H%M%S}'
    if not any(name.startswith(stem) for name in taken):
      return stem
    time += datetime.timedelta(seconds=1)
