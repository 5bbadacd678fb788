import music21
import note_seq
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import stock
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.support.errors import UserError

REEL = """X:7
T:A Reel
M:C|
L:1/8
K:G
AG|B2B2 B2AG|B4 A4|1 G8:|2 c8|]
"""


def _abc(tmp_path, music, metre='4/4', key='C'):
  path = tmp_path / 'tune.abc'
  path.write_text(f'X:1\nT:Tune\nM:{metre}\nL:1/8\nK:{key}\n{music}G8|G8|]\n')
  (tune,), refusals = readers.read(str(path))
  assert not refusals
  return tune


@pytest.fixture(scope='module')
def reel(tmp_path_factory):
  path = tmp_path_factory.mktemp('abc') / 'reel.abc'
  waltz = REEL.replace('X:7', 'X:8').replace('C|', '3/4')
  path.write_text(REEL + '\n' + waltz)
  found, refusals = readers.read(str(path))
  assert [refusal.reason for refusal in refusals] == [tunes.NOT_QUADRUPLE]
  (tune,) = found
  return tune


def test_repeats_are_written_out_and_the_pickup_precedes_the_bar(reel):
  # Pick-up A G, then B B B A G | B A | G, and again with the second ending.
  pitches = reel.notes[:, 2].tolist()
  first = [69, 67, 71, 71, 71, 69, 67, 71, 69]
  assert pitches == [*first, 67, *first, 72]
  assert reel.notes[:3, 0].tolist() == [-1.0, -0.5, 0.0]


# What each sign of the notation stands for: (onset, duration, pitch), onset and
# duration in quarter notes.
@pytest.mark.parametrize(
  ('music', 'notes'),
  [
    ('C4 z4|D8|', [(0, 2, 60), (4, 4, 62)]),  # rest
    ('C>D E<F G4|', [(0, 0.75, 60), (0.75, 0.25, 62), (1, 0.25, 64),
                     (1.25, 0.75, 65), (2, 2, 67)]),  # broken rhythm
    ('C4 D4-|D4 E4|', [(0, 2, 60), (2, 4, 62), (6, 2, 64)]),  # tie
    ('(3CDE F2 G4|', [(0, 1 / 3, 60), (1 / 3, 1 / 3, 62), (2 / 3, 1 / 3, 64),
                      (1, 1, 65), (2, 2, 67)]),  # triplet in one quarter
    ('{d}C4 [CEG]4|', [(0, 2, 60), (2, 2, 67)]),  # grace note, chord
    ('C,4 c4|c\'8|', [(0, 2, 48), (2, 2, 72), (4, 4, 84)]),  # octaves
  ],
)  # fmt: skip
def test_abc_notation_means_these_notes(tmp_path, music, notes):
  np.testing.assert_allclose(_abc(tmp_path, music).notes[:-2], notes, atol=1e-6)


def test_the_key_signature_raises_its_notes(tmp_path):
  assert _abc(tmp_path, 'F4 C4|', key='D').notes[:, 2].tolist()[:2] == [66, 61]


def test_musicxml_means_the_same_notes_as_abc(reel, tmp_path):
  score = music21.converter.parse(REEL, format='abc')
  for ending in ('musicxml', 'mxl'):
    path = score.write(ending, tmp_path / f'reel.{ending}')
    (tune,), refusals = readers.read(str(path))
    assert not refusals
    np.testing.assert_array_equal(tune.notes, reel.notes)
    assert tune.quarters == reel.quarters


def _sequence(bars, metre=(4, 4), seed=0, drums=False):
  """Eighths at 120 a minute: a walk on top, a chord below on each half bar."""
  rng = np.random.default_rng(seed)
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.time_signatures.add(numerator=metre[0], denominator=metre[1])
  sequence.tempos.add(qpm=120)
  pitches = 70 + np.cumsum(rng.integers(-1, 2, 8 * bars))
  for i, pitch in enumerate(pitches):
    for below in (0, 4, 7) if i % 4 == 0 else (0,):
      if rng.random() < 0.9:
        sequence.notes.add(
          pitch=int(pitch) - below,
          velocity=80,
          start_time=i / 4,
          end_time=(i + 1) / 4,
          is_drum=drums,
          instrument=9 if drums else 0,
        )
  sequence.total_time = 2 * bars
  return sequence


def _midi(sequence, path):
  note_seq.note_sequence_to_midi_file(sequence, str(path))
  return readers.read(str(path))


def test_midi_gives_the_windows_of_magentas_own_converter(tmp_path):
  sequence = _sequence(24)
  (tune,), refusals = _midi(sequence, tmp_path / 'song.mid')
  assert not refusals
  config = stock.magenta_config('hierdec-mel_16bar', {})
  config.data_converter.max_tensors_per_notesequence = None
  expected = np.argmax(config.data_converter.to_tensors(sequence).inputs, -1)
  windows = corpus.tune_windows(tune, hop_bars=1)
  assert len(windows) == len(expected) == 9
  assert set(map(bytes, windows)) == set(map(bytes, expected.astype(np.uint8)))


def test_a_tfrecord_gives_the_tunes_of_its_sequences(tmp_path):
  sequences = [_sequence(18, seed=seed) for seed in (0, 1)]
  path = str(tmp_path / 'notes.tfrecord')
  with tf.io.TFRecordWriter(path) as writer:
    for sequence in sequences:
      writer.write(sequence.SerializeToString())
  found, refusals = readers.read(path)
  assert not refusals
  assert len({tune.name for tune in found}) == 2
  for tune, sequence in zip(found, sequences):
    (expected,), _ = _midi(sequence, tmp_path / 'one.mid')
    np.testing.assert_array_equal(tune.notes, expected.notes)


def test_a_change_of_tempo_does_not_end_the_melody(tmp_path):
  even = _sequence(20)
  (expected,), _ = _midi(even, tmp_path / 'even.mid')
  slowing = note_seq.NoteSequence.FromString(even.SerializeToString())
  slowing.tempos.add(time=20, qpm=60)
  for note in slowing.notes:
    note.start_time += max(note.start_time - 20, 0)
    note.end_time += max(note.end_time - 20, 0)
  slowing.total_time += slowing.total_time - 20
  (tune,), _ = _midi(slowing, tmp_path / 'slowing.mid')
  np.testing.assert_array_equal(tune.notes, expected.notes)


def test_only_the_passage_in_four_four_is_taken(tmp_path):
  sequence = _sequence(20)
  sequence.time_signatures.add(time=24, numerator=3, denominator=4)
  (tune,), _ = _midi(sequence, tmp_path / 'change.mid')
  assert tune.quarters == 48  # 24 seconds at 120 a minute


@pytest.mark.parametrize(
  ('sequence', 'reason'),
  [
    (_sequence(8, metre=(3, 4)), tunes.NOT_QUADRUPLE),
    (_sequence(8, drums=True), tunes.DRUMS_ONLY),
    (_sequence(0), tunes.NO_NOTES),
  ],
)
def test_a_piece_without_a_tune_says_why(tmp_path, sequence, reason):
  found, (refusal,) = _midi(sequence, tmp_path / 'piece.mid')
  assert not found
  assert refusal.reason == reason


def _letters(tmp_path, body):
  """Pitch classes of what is played, as letters."""
  path = tmp_path / 'tune.abc'
  path.write_text(f'X:1\nT:a :: b\nN::c\nM:4/4\nL:1/4\nK:C\n{body}\n')
  (tune,), refusals = readers.read(str(path))
  assert not refusals
  names = dict(zip((0, 2, 4, 5, 6, 7, 9), 'CDEFfGA'))
  return ''.join(names[int(pitch) % 12] for pitch in tune.notes[:, 2])


@pytest.mark.parametrize(
  ('body', 'played'),
  [
    ('C4|D4:|E4|F4:|', 'CDCD EFEF'),
    ('|:C4|D4:|:E4|F4:|', 'CDCD EFEF'),
    ('C4|D4::E4|F4:|', 'CDCD EFEF'),
    ('C4|D4:||:E4|F4:|', 'CDCD EFEF'),
    ('C4|D4|:E4|F4:|', 'CD EFEF'),
    ('C4|D4:|E4|F4|]', 'CDCD EF'),
    ('C4|1 D4:|2 E4||F4|1 G4:|2 A4|]', 'CDCE FGFA'),
    ('C4|D4|1 E4:|2 F4:|G4|A4:|', 'CDECDF GAGA'),
    ('C4|D4|[1 E4|F4:|[2 G4|G4|:A4|A4:|', 'CDEFCDGG AAAA'),
    ('E|C4|D3:|F|E4|G3:|', 'ECDECD FEGFEG'),
  ],
)
def test_a_repeat_goes_back_to_the_section_it_ends(tmp_path, body, played):
  assert _letters(tmp_path, body) == played.replace(' ', '')


def test_an_accidental_lasts_to_the_bar_line(tmp_path):
  assert _letters(tmp_path, 'C^FFF|FFFF|') == 'CfffFFFF'


@pytest.mark.parametrize('ending', ['mid', 'musicxml', 'mxl', 'tfrecord'])
def test_a_damaged_file_is_named_and_not_fatal(tmp_path, ending):
  path = tmp_path / f'broken.{ending}'
  path.write_bytes(b'MThd\0\0\0\6 and no more')
  found, (refusal,) = readers.read(str(path))
  assert not found
  assert refusal.reason == tunes.UNREADABLE
  assert f'broken.{ending}' in refusal.name
  assert refusal.detail


def test_another_ending_is_refused():
  with pytest.raises(UserError, match="'song.wav'.*\\.mid"):
    readers.read('song.wav')


def test_a_melody_of_magentas_range_keeps_its_pitches(tmp_path):
  sequence = note_seq.NoteSequence(total_time=16)
  for i, pitch in enumerate((21, 60, 108, 20, 109)):
    sequence.notes.add(pitch=pitch, velocity=80, start_time=i, end_time=i + 0.5)
  (tune,), _ = _midi(sequence, tmp_path / 'range.mid')
  assert tune.notes[:, 2].tolist() == [
    melody.MIN_PITCH,
    60,
    melody.MAX_PITCH,
  ]
