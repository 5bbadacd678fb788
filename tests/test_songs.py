"""The user's melody: what is found in a file, and what is said of it."""

import mido
import note_seq
import numpy as np
import pytest

import emotion_musicvae
from emotion_musicvae.emotions import references
from emotion_musicvae.files import readers
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError


@pytest.fixture(scope='module')
def tune():
  return references.load_melodies()[3]


def _score(*tracks, qpm=90.0, metre=(4, 4)):
  """A NoteSequence of tracks: (name, program, [(bar, beat, beats, pitch)])."""
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.tempos.add(qpm=qpm)
  sequence.time_signatures.add(numerator=metre[0], denominator=metre[1])
  for i, (name, program, notes) in enumerate(tracks):
    sequence.instrument_infos.add(instrument=i, name=name)
    for bar, beat, beats, pitch in notes:
      start = (bar - 1) * metre[0] * 4 / metre[1] + beat
      sequence.notes.add(
        pitch=pitch,
        velocity=80,
        start_time=start * 60 / qpm,
        end_time=(start + beats) * 60 / qpm,
        instrument=i,
        program=max(program, 0),
        is_drum=program < 0,
      )
  sequence.total_time = max([n.end_time for n in sequence.notes] or [0.0])
  return sequence


def _line(bars, pitch=72):
  """Four quarters a bar, the first of each bar as high as the bar's number."""
  return [
    (bar, beat, 1.0, pitch + (bar % 12 if beat == 0 else 0))
    for bar in bars
    for beat in range(4)
  ]


def _file(tmp_path, sequence, name='song.mid'):
  path = str(tmp_path / name)
  note_seq.note_sequence_to_midi_file(sequence, path)
  return path


def _first_pitches(tokens):
  return tokens.reshape(-1, 16)[:, 0].astype(int) + 19


def test_a_tune_comes_back_from_midi_as_it_was(tune, stock_model, tmp_path):
  (sequence,) = stock_model.note_sequences(tune[None])
  for note in sequence.notes:
    note.start_time *= 120 / 90
    note.end_time *= 120 / 90
  sequence.total_time *= 120 / 90
  sequence.tempos[0].qpm = 90
  song = songs.load_song(_file(tmp_path, sequence))
  windows, steps = song.windows()
  np.testing.assert_array_equal(windows, [tune])
  assert steps == 256
  assert song.qpm == 90
  assert song.report == (
    'song.mid: took track 1 (Acoustic Grand Piano), bars 1 to 16, 90 quarter '
    'notes a minute; left out: nothing.'
  )


def test_whatever_magenta_writes_is_read(stock_model, random_tokens, tmp_path):
  # Long silences, droning, single notes: Magenta's own reader finds no 16 bars
  # in most of these.
  rng = np.random.default_rng(0)
  rows = random_tokens[:40].copy()
  for row in rows[20:]:
    row[rng.random(256) < 0.95] = melody.NOTE_OFF
  rows = rows[(rows >= melody.FIRST_ONSET).any(axis=1)]
  for row, sequence in zip(rows, stock_model.note_sequences(rows)):
    song = songs.load_song(_file(tmp_path, sequence))
    (window,), _ = song.windows()
    sounds = np.cumsum(row >= melody.FIRST_ONSET) > 0
    last = int(np.flatnonzero(row >= melody.FIRST_ONSET)[-1])
    onsets = np.where((row >= melody.FIRST_ONSET) & sounds, row, 0)
    np.testing.assert_array_equal(
      np.where(window >= melody.FIRST_ONSET, window, 0)[: last + 1],
      onsets[: last + 1],
    )


def test_the_melody_is_the_track_named_so_or_the_highest(tmp_path):
  bass = ('Bass', 33, _line(range(1, 9), 40))
  flute = ('Flute', 73, _line(range(1, 9), 76))
  bell = ('Bell', 9, _line([8], 100))  # High, but hardly there.
  drums = ('Kit', -1, _line(range(1, 9), 38))
  path = _file(tmp_path, _score(bass, flute, bell, drums))
  song = songs.load_song(path)
  assert "took track 2 'Flute' (Flute), bars 1 to 8, 90" in song.report
  assert "left out: track 1 'Bass' (Electric Bass (finger))" in song.report
  assert "track 4 'Kit' (drums)" in song.report
  named = _score(('Lead vocal', 52, _line(range(1, 9), 60)), flute)
  assert "took track 1 'Lead vocal'" in songs.load_song(named).report
  assert "took track 1 'Bass'" in songs.load_song(path, track=1).report
  for track, message in ((9, 'tracks 1 to 4, got 9'), (4, 'no note to take')):
    with pytest.raises(UserError, match=f'track: .*{message}'):
      songs.load_song(path, track=track)


def test_a_korean_name_is_read_in_either_encoding(tmp_path):
  for encoding in ('utf-8', 'cp949'):
    low, high = _line(range(1, 5), 50), _line(range(1, 5), 80)
    path = _file(tmp_path, _score(('Piano', 0, high), ('x', 0, low)))
    midi = mido.MidiFile(path)
    for message in midi.tracks[-1]:
      if message.type == 'track_name':
        message.name = '보컬'.encode(encoding).decode('latin-1')
    midi.save(path)
    assert "took track 2 '보컬'" in songs.load_song(path).report


def test_bars_keep_their_numbers_and_rests(tmp_path):
  # An empty bar at the start, a silence of three bars, and a chord.
  notes = [*_line([2, 3]), *_line([7, 8]), (8, 0.0, 1.0, 60), (8, 3.5, 0.5, 20)]
  song = songs.load_song(_file(tmp_path, _score(('', 0, notes))))
  assert _first_pitches(song.tokens)[[1, 2, 6, 7]].tolist() == [74, 75, 79, 80]
  assert not (song.tokens.reshape(8, 16)[[0, 3, 4, 5]] >= 2).any()
  assert '(4 of them without a note)' in song.report
  assert '1 note starting with or under another' in song.report
  assert '1 note outside MIDI 21 to 108' in song.report
  (window,), _ = song.windows(start_bar=7)
  assert _first_pitches(window).tolist() == [79, 80] * 8


def test_a_short_melody_is_looped_and_a_long_one_cut_in_windows():
  four = songs.load_song(_score(('', 0, _line(range(1, 5)))))
  (window,), steps = four.windows()
  assert steps == 64
  assert _first_pitches(window).tolist() == [73, 74, 75, 76] * 4
  forty = songs.load_song(_score(('', 0, _line(range(1, 41)))))
  windows, steps = forty.windows()
  assert steps == 640
  played = [72 + bar % 12 for bar in [*range(1, 41), *range(1, 9)]]
  assert _first_pitches(windows.reshape(-1)).tolist() == played
  later, steps = forty.windows(start_bar=38)
  assert len(later) == 1
  assert steps == 48
  assert _first_pitches(later[0])[:4].tolist() == [74, 75, 76, 74]
  for bar, said in ((41, 'bars 1 to 40, got 41'), (0, 'got 0')):
    with pytest.raises(UserError, match=f'start_bar: .*{said}'):
      forty.windows(bar)


def test_a_phrase_that_ends_early_keeps_its_last_bar():
  # 15 bars and a rest are 16 bars; 2 are 2.
  assert songs.load_song(_score(('', 0, _line(range(1, 16))))).last_bar == 16
  assert songs.load_song(_score(('', 0, _line([1, 2])))).last_bar == 2


def test_a_march_stays_in_two_four_and_a_waltz_in_three():
  march = [
    (bar, beat, 1.0, 60 + bar) for bar in range(1, 17) for beat in (0, 1)
  ]
  song = songs.load_song(_score(('', 0, march), metre=(2, 4)))
  assert (song.metre, len(song.tokens)) == ((2, 4), 16 * 8)
  windows, _ = song.windows()
  np.testing.assert_array_equal(windows[0, :128], song.tokens)
  waltz = [(bar, beat, 1.0, 60) for bar in range(1, 17) for beat in (0, 1, 2)]
  song = songs.load_song(_score(('', 0, waltz), metre=(3, 4)))
  assert (song.metre, len(song.tokens)) == ((3, 4), 16 * 12)
  five = [(bar, beat, 1.0, 60) for bar in range(1, 17) for beat in range(5)]
  with pytest.raises(
    UserError,
    match=r'^song: the NoteSequence: in a metre that the model cannot play '
    r'\(5/4\); name a melody in 2/4, 3/4, 4/4, 6/8, 9/8 or 12/8$',
  ):
    songs.load_song(_score(('', 0, five), metre=(5, 4)))


def test_of_several_metres_the_part_in_four_four_is_taken():
  sequence = _score(('', 0, _line(range(1, 13))))
  bar = 240 / 90
  sequence.time_signatures.add(time=4 * bar, numerator=3, denominator=4)
  sequence.time_signatures.add(time=7 * bar, numerator=4, denominator=4)
  song = songs.load_song(sequence)
  # Four bars in 4/4, four in 3/4 that take as long as three, five in 4/4.
  assert (song.first_bar, song.last_bar) == (9, 16)
  assert 'left out: 4 bars in 4/4, 4 bars in 3/4' in song.report
  assert _first_pitches(song.tokens)[0] == 72 + 8


def test_notation_is_read_as_well(tmp_path):
  path = tmp_path / 'tune.abc'
  path.write_text('X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n')
  song = songs.load_song(str(path))
  assert _first_pitches(song.tokens).tolist() == [60, 67, 72, 65]
  assert song.report == (
    'tune.abc: took part 1, bars 1 to 4; left out: nothing.'
  )


def test_the_package_reads_a_song_and_says_what_it_took(tmp_path):
  path = _file(tmp_path, _score(('Flute', 73, _line(range(1, 9)))))
  song = emotion_musicvae.load_song(path, start_bar=3)
  assert song.tokens.dtype == np.uint8
  assert song.tokens.shape == (6 * 16,)
  assert _first_pitches(song.tokens).tolist() == list(range(75, 81))
  assert song.report.startswith(
    "song.mid: took track 1 'Flute' (Flute), bars 1"
  )
  assert repr(song) == (
    "<Song 'song': bars 3 to 8, 24 notes, 90 quarter notes a minute>"
  )
  with pytest.raises(UserError, match='^start_bar: .*bars 1 to 8, got 9'):
    emotion_musicvae.load_song(path, start_bar=9)


def _day_long(path):
  midi = mido.MidiFile(ticks_per_beat=24)
  track = midi.add_track()
  for wait in (0, 24 * 2 * 86_400):
    track.append(mido.Message('note_on', note=60, velocity=80, time=wait))
    track.append(mido.Message('note_off', note=60, time=24))
  midi.save(path)


def _million_notes(path):
  midi = mido.MidiFile()
  midi.add_track().append(mido.Message('note_on', note=60, time=0))
  midi.save(path)
  with open(path, 'ab') as f:
    f.write(b'\x10\x90\x3c\x40\x10\x3c\x00' * 1_000_000)


_BAD = {
  'absent': (lambda path: None, 'cannot be read (No such file'),
  'empty': (lambda path: open(path, 'w').close(), 'is empty; name a file'),
  'text': (lambda path: open(path, 'w').write('la la'), 'export it anew'),
  'cut short': (
    lambda path: open(path, 'wb').write(b'MThd\0\0\0\6'),
    'cannot be read (EOFError)',
  ),
  'a day': (_day_long, 'too long (more than 4,096 bars); cut out the'),
  'a million notes': (_million_notes, 'has 6.7 MiB, where a melody'),
  'silence': (
    lambda path: note_seq.note_sequence_to_midi_file(_score(), path),
    'without notes from MIDI 21 to 108; name a file',
  ),
  'too low': (
    lambda path: note_seq.note_sequence_to_midi_file(
      _score(('', 0, _line([1], 2))), path
    ),
    'without notes from MIDI 21 to 108; name a file',
  ),
  'drums': (
    lambda path: note_seq.note_sequence_to_midi_file(
      _score(('', -1, _line([1], 40))), path
    ),
    'drums only; name a file with a melody',
  ),
}


@pytest.mark.parametrize('kind', _BAD)
def test_a_file_without_a_melody_ends_in_one_line(tmp_path, kind):
  write, message = _BAD[kind]
  path = str(tmp_path / 'song.mid')
  write(path)
  with pytest.raises(UserError) as error:
    songs.load_song(path, argument='to_song')
  said = str(error.value)
  assert said.startswith(f'to_song: {path!r}')
  assert message in said
  assert '\n' not in said


def test_a_folder_or_another_ending_is_refused(tmp_path):
  with pytest.raises(UserError, match='is a folder; name one'):
    readers.check_file(str(tmp_path))
  with pytest.raises(UserError, match='ending in .abc, .kar, .mid'):
    readers.check_file('song.wav')
