"""MIDI as programs write it: what a reader has to know, and to forgive."""

import struct

import numpy as np
import pytest

from emotion_musicvae.files import encodings
from emotion_musicvae.files import readers
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError

TICKS = 480  # a quarter note
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
FOUR_FOUR = (0, b'\xff\x58\x04\x04\x02\x18\x08')


def _varlen(number):
  digits = [number & 127]
  while number := number >> 7:
    digits.append(number & 127 | 128)
  return bytes(reversed(digits))


def _track(*events, end=0):
  """A track of `(quarter, bytes)`, ending `end` quarters after the last."""
  data, now = b'', 0
  for time, event in sorted(events, key=lambda e: e[0]):
    ticks = round(time * TICKS)
    data += _varlen(ticks - now) + event
    now = ticks
  data += _varlen(round(end * TICKS)) + b'\xff\x2f\x00'
  return b'MTrk' + struct.pack('>I', len(data)) + data


def _notes(*notes, channel=0, velocity=80):
  """Events of `(onset, duration, pitch)` in quarters; offs come first."""
  for onset, duration, pitch in notes:
    yield onset + duration, bytes([0x80 | channel, pitch, 0])
    yield onset, bytes([0x90 | channel, pitch, velocity])


def _scale(quarters, first=0, low=0):
  return [(first + i, 1, SCALE[i % 8] + low) for i in range(quarters)]


def _name(text, encoding='utf-8'):
  raw = text.encode(encoding)
  return 0, b'\xff\x03' + bytes([len(raw)]) + raw


def _program(number, time=0, channel=0):
  return time, bytes([0xC0 | channel, number])


def _tempo(qpm, time=0):
  return time, b'\xff\x51\x03' + round(6e7 / qpm).to_bytes(3, 'big')


def _metre(numerator, denominator, time=0):
  power = denominator.bit_length() - 1
  return time, bytes([0xFF, 0x58, 4, numerator, power, 24, 8])


def _file(tmp_path, *tracks, kind=1, head=b''):
  path = tmp_path / 'song.mid'
  header = struct.pack('>4sIHHH', b'MThd', 6, kind, len(tracks), TICKS)
  path.write_bytes(head + header + b''.join(tracks))
  return str(path)


def _played(song):
  """`(quarter, pitch)` of each note."""
  notes = melody.notes(song.tokens)
  return list(zip((notes.onset / 4).tolist(), notes.pitch.tolist()))


def _expected(notes):
  return [(onset, pitch) for onset, _, pitch in notes]


# A track is a track, whatever channels and programs it uses.


@pytest.mark.parametrize('changes', [[16], [4, 8, 12], [17.5]])
def test_a_program_change_starts_no_track(tmp_path, changes):
  programs = [_program(73 + i, time) for i, time in enumerate([0, *changes])]
  path = _file(
    tmp_path,
    _track(FOUR_FOUR),
    _track(_name('Melody'), *programs, *_notes(*_scale(32))),
    _track(_name('Bass'), *_notes(*_scale(32, low=-24), channel=1)),
  )
  song = songs.load_song(path)
  assert _played(song) == _expected(_scale(32))
  assert "took track 1 'Melody' (Flute), bars 1 to 8" in song.report
  assert song.report.endswith(
    "left out: track 2 'Bass' (Acoustic Grand Piano)."
  )


@pytest.mark.parametrize('kind', [0, 1])
@pytest.mark.parametrize('channels', [range(1, 9), range(6), [0, 15]])
def test_notes_that_go_round_the_channels_are_one_track(
  tmp_path, kind, channels
):
  # A controller for expressive playing has a channel a finger, a guitar one a
  # string; strings ring on.
  events = []
  for i, (onset, _, pitch) in enumerate(_scale(32)):
    channel = channels[i % len(channels)]
    events += _notes((onset, 1.2, pitch), channel=channel)
  tracks = [_track(*events)] if kind == 0 else [_track(), _track(*events)]
  song = songs.load_song(_file(tmp_path, *tracks, kind=kind))
  assert _played(song) == _expected(_scale(32))
  assert 'left out: nothing' in song.report


def test_instruments_that_share_the_only_track_are_told_apart(tmp_path):
  path = _file(
    tmp_path,
    _track(
      *(_program(p, channel=c) for c, p in ((0, 33), (1, 73), (2, 49))),
      *_notes(*_scale(32, low=-24), channel=0),
      *_notes(*_scale(32, low=12), channel=1),
      *_notes(*((4 * b, 4, 55) for b in range(8)), channel=2),
      *_notes(*((q, 0.5, 38) for q in range(32)), channel=9),
    ),
    kind=0,
  )
  song = songs.load_song(path)
  assert _played(song) == _expected(_scale(32, low=12))
  assert 'track 4 (drums)' in song.report
  assert _played(songs.load_song(path, track=1))[0] == (0, 36)


def test_instruments_that_take_turns_in_the_only_track_are_one(tmp_path):
  path = _file(
    tmp_path,
    _track(
      _program(73),
      _program(68, channel=1),
      *_notes(*_scale(16)),
      *_notes(*_scale(16, first=16), channel=1),
    ),
  )
  assert _played(songs.load_song(path)) == _expected(_scale(32))


def test_an_empty_track_keeps_its_number(tmp_path):
  path = _file(
    tmp_path,
    _track(FOUR_FOUR),
    _track(_name('Tacet')),
    _track(_name('Flute'), *_notes(*_scale(32))),
  )
  assert "took track 2 'Flute'" in songs.load_song(path, track=2).report
  with pytest.raises(UserError, match="track: track 1 'Tacet'.* has no note"):
    songs.load_song(path, track=1)


# Tempo and metre, wherever they stand.


@pytest.mark.parametrize(
  ('first', 'second'),
  [
    ([_tempo(72)], []),
    ([], [_tempo(72)]),
    ([_tempo(72, 1 / TICKS)], []),
    # A count-in, a ritardando, a pulse that never was.
    ([_tempo(120), _tempo(72, 4)], []),
    ([_tempo(72), _tempo(60, 30), _tempo(40, 31)], []),
    ([(0, b'\xff\x51\x03\0\0\0'), _tempo(72)], []),
  ],
)
def test_the_tempo_is_that_of_most_of_the_melody(tmp_path, first, second):
  path = _file(
    tmp_path, _track(*first), _track(*second, *_notes(*_scale(28, first=4)))
  )
  song = songs.load_song(path)
  assert song.qpm == 72
  assert '72 quarter notes a minute' in song.report


def test_a_tempo_that_keeps_changing_gives_its_mean(tmp_path):
  pulse = [_tempo(60 if i % 3 else 90 + i, i) for i in range(0, 30, 2)]
  pulse += [_tempo(75 + i, i) for i in range(1, 30, 2)]
  path = _file(tmp_path, _track(*pulse), _track(*_notes(*_scale(32))))
  values = [time_qpm for time_qpm in sorted(pulse, key=lambda e: e[0])]
  minutes = (
    sum(int.from_bytes(event[3:], 'big') / 6e7 for _, event in values[:-1])
    + 3 * int.from_bytes(values[-1][1][3:], 'big') / 6e7
  )
  assert songs.load_song(path).qpm == pytest.approx(32 / minutes, abs=0.01)


@pytest.mark.parametrize('time', [0, 1 / TICKS, 2 / TICKS])
@pytest.mark.parametrize('where', [0, 1])
def test_three_four_is_seen_wherever_it_is_said(tmp_path, where, time):
  head = [[], []]
  head[where] = [_metre(3, 4, time)]
  notes = _notes(*_scale(48))
  path = _file(tmp_path, _track(*head[0]), _track(*head[1], *notes))
  assert songs.load_song(path).metre == (3, 4)
  tunes, (refusal,) = readers.read(path)
  assert not tunes
  assert refusal.detail == '3/4'


@pytest.mark.parametrize('time', [6.5, 8, 13.25])
def test_a_metre_that_is_said_again_changes_nothing(tmp_path, time):
  head = _track(_metre(4, 4), _metre(4, 4, time))
  song = songs.load_song(_file(tmp_path, head, _track(*_notes(*_scale(32)))))
  assert _played(song) == _expected(_scale(32))


def test_a_note_just_before_its_metre_belongs_to_it(tmp_path):
  early = 15 / TICKS
  notes = [(6 - early, 1, 72), *_scale(31, first=7)]
  path = _file(
    tmp_path,
    _track(_metre(3, 4), _metre(4, 4, 6)),
    _track(*_notes(*((q, 1, 48) for q in range(6)), *notes)),
  )
  song = songs.load_song(path)
  assert _played(song)[0] == (0, 72)
  assert len(_played(song)) == 32
  assert (song.first_bar, song.last_bar) == (3, 10)
  assert 'left out: 2 bars in 3/4' in song.report


# Bars as the file counts them.


def test_bars_of_two_four_keep_their_numbers(tmp_path):
  notes = [(q, 1, 40 + q // 2) for q in range(64)]  # bar n is all 39 + n
  path = _file(tmp_path, _track(_metre(2, 4)), _track(*_notes(*notes)))
  song = songs.load_song(path)
  assert (song.first_bar, song.last_bar) == (1, 32)
  for bar in (2, 17, 32):
    later = song.starting(bar)
    assert [p for _, p in _played(later)][:2] == [39 + bar] * 2
    assert len(later.tokens) == 8 * (33 - bar)
    assert (later.first_bar, later.last_bar) == (bar, 32)
    assert (
      later.starting(32).tokens.tolist() == song.starting(32).tokens.tolist()
    )
  with pytest.raises(UserError, match='bars 1 to 32, got 33'):
    song.starting(33)


def test_after_a_bar_of_two_four_bars_begin_with_bars(tmp_path):
  path = _file(
    tmp_path,
    _track(_metre(4, 4), _metre(2, 4, 8), _metre(4, 4, 10)),
    _track(*_notes(*((q, 1, 60) for q in range(10)), *_scale(16, first=10))),
  )
  song = songs.load_song(path)
  assert _played(song)[8:10] == [(8, 60), (9, 60)]
  assert _played(song)[10:] == [(12 + i, SCALE[i % 8]) for i in range(16)]
  assert _played(song.starting(4))[0] == (0, SCALE[0])


@pytest.mark.parametrize('metre', [(1, 4), (2, 8), (3, 8), (3, 4)])
def test_a_bar_of_a_pick_up_leads_to_four_four(tmp_path, metre):
  length = 4 * metre[0] / metre[1]
  path = _file(
    tmp_path,
    _track(_metre(*metre), _metre(4, 4, length)),
    _track(*_notes((length - 0.5, 0.5, 55), *_scale(16, first=length))),
  )
  song = songs.load_song(path)
  assert _played(song) == [(3.5, 55)] + [
    (4 + i, SCALE[i % 8]) for i in range(16)
  ]
  (tune,), _ = readers.read(path)
  assert tune.notes[:2, 0].tolist() == [-0.5, 0.0]
  assert tune.quarters == 16


# Where a piece ends.


@pytest.mark.parametrize('longer', [1 / TICKS, 110 / TICKS, 1, 6])
@pytest.mark.parametrize('bars', [2, 4, 16])
def test_the_last_onset_ends_the_piece(tmp_path, bars, longer):
  notes = _scale(4 * bars)
  notes[-1] = (notes[-1][0], 1 + longer, 60)
  path = _file(tmp_path, _track(), _track(*_notes(*notes)))
  song = songs.load_song(path)
  assert len(song.tokens) == 16 * bars
  (tune,), _ = readers.read(path)
  assert tune.quarters == 4 * bars


def test_an_end_of_track_days_later_ends_nothing(tmp_path):
  path = _file(tmp_path, _track(), _track(*_notes(*_scale(64)), end=20_000))
  assert len(songs.load_song(path).tokens) == 256


# Which notes are the melody.


@pytest.mark.parametrize('length', [20, 28, 50])
@pytest.mark.parametrize('steps', [-1, 2, 4])
def test_a_grace_note_is_not_the_melody(tmp_path, length, steps):
  length /= TICKS
  notes = _scale(32)
  graces = [(t - length, length, p + steps) for t, _, p in notes[1:]]
  shorter = [(t, 1 - length, p) for t, _, p in notes]
  path = _file(tmp_path, _track(), _track(*_notes(*shorter, *graces)))
  song = songs.load_song(path)
  assert _played(song) == _expected(notes)
  assert '31 notes starting with or under another' in song.report


def test_short_notes_alone_are_a_melody(tmp_path):
  notes = [(q / 4, 0.05, SCALE[q % 8]) for q in range(64)]
  path = _file(tmp_path, _track(), _track(*_notes(*notes)))
  assert _played(songs.load_song(path)) == _expected(notes)


@pytest.mark.parametrize('below', [12, 7, 24])
@pytest.mark.parametrize('beats', [1, 0.5])
def test_notes_under_a_held_melody_are_left_out(tmp_path, below, beats):
  held = [(4 * bar, 4, 72 + bar % 3) for bar in range(8)]
  under = [(i * beats, beats, 72 - below) for i in range(round(32 / beats))]
  path = _file(tmp_path, _track(), _track(*_notes(*held, *under)))
  assert _played(songs.load_song(path)) == _expected(held)


def test_a_legato_melody_goes_down_as_it_goes_up(tmp_path):
  notes = [
    (q, 1.2, pitch) for q, pitch in enumerate((*SCALE, *SCALE[::-1]) * 2)
  ]
  path = _file(tmp_path, _track(), _track(*_notes(*notes)))
  song = songs.load_song(path)
  assert _played(song) == _expected(notes)
  assert not (song.tokens == melody.NOTE_OFF).any()


def test_repeats_of_a_pitch_that_overlap_are_held_to_the_next(tmp_path):
  notes = [(q, 1.4, 60) for q in range(32)]
  path = _file(tmp_path, _track(), _track(*_notes(*notes)))
  song = songs.load_song(path)
  assert _played(song) == _expected(notes)
  assert not (song.tokens == melody.NOTE_OFF).any()


def test_a_name_is_what_the_file_says_not_the_sound_of_its_program(tmp_path):
  path = _file(
    tmp_path,
    _track(),
    _track(_name('Flute'), _program(73), *_notes(*_scale(32, low=12))),
    _track(_name('Pad'), _program(53), *_notes(*_scale(32))),
  )
  song = songs.load_song(path)
  assert "took track 1 'Flute'" in song.report
  assert "left out: track 2 'Pad' (Voice Oohs)" in song.report


@pytest.mark.parametrize(
  ('melodic', 'other'),
  [('Vocal', 'Backing Vocals'), ('Melody', 'Harmony'), ('보컬', '코러스')],
)
def test_who_sings_along_is_not_the_melody(tmp_path, melodic, other):
  path = _file(
    tmp_path,
    _track(_name(other), *_notes(*_scale(32, low=12))),
    _track(_name(melodic), *_notes(*_scale(32))),
  )
  assert f'took track 2 {melodic!r}' in songs.load_song(path).report


def test_a_voice_is_rather_the_melody_than_chords_above_it(tmp_path):
  chords = [(q, 1, p) for q in range(32) for p in (72, 76, 79)]
  bass = [(q, 1, 40) for q in range(32)]
  song = songs.load_song(
    _file(
      tmp_path,
      _track(_name('Keys'), *_notes(*chords)),
      _track(_name('1'), *_notes(*_scale(32, low=7))),
      _track(_name('2'), *_notes(*bass)),
    )
  )
  assert "took track 2 '1'" in song.report
  assert 'as likely' not in song.report
  # But a bass is not, where the chords have the tune on top.
  path = _file(
    tmp_path, _track(*_notes(*chords)), _track(*_notes(*bass, channel=1))
  )
  assert 'took track 1' in songs.load_song(path).report


def test_who_may_have_the_melody_as_well_is_said(tmp_path):
  parts = [('a', 12), ('b', 9), ('c', 0), ('Melody', -12)]
  tracks = [_track(_name(n), *_notes(*_scale(32, low=p))) for n, p in parts]
  report = songs.load_song(_file(tmp_path, *tracks[:3])).report
  assert "took track 1 'a' (Acoustic Grand Piano), bars 1 to 8" in report
  assert "; as likely: track 2 'b' (Acoustic Grand Piano); left out:" in report
  assert 'as likely' not in songs.load_song(_file(tmp_path, *tracks)).report


@pytest.mark.parametrize('beats', [1, 0.5])
def test_what_fills_in_while_the_melody_rests_is_left_out(tmp_path, beats):
  # A bass on every beat, a melody on two of four.
  melodic = [(q, 1, 72 + q % 5) for q in range(32) if q % 4 < 2]
  bass = [(i * beats, beats, 48) for i in range(round(32 / beats))]
  bass = [note for note in bass if not (note[0] >= 30)]
  song = songs.load_song(_file(tmp_path, _track(*_notes(*melodic, *bass))))
  assert _played(song) == _expected(melodic)
  # Alone it leaps as it likes.
  leaps = [(q, 1, (72, 52, 55, 76)[q % 4]) for q in range(32)]
  assert _played(songs.load_song(_file(tmp_path, _track(*_notes(*leaps))))) == (
    _expected(leaps)
  )


def test_a_melody_may_leap_an_octave_over_chords(tmp_path):
  # From the top of the scale to its bottom, and on by step.
  parts = [_scale(32, low=low) for low in (12, 5, 0, -12)]
  notes = [note for part in parts for note in part]
  song = songs.load_song(_file(tmp_path, _track(*_notes(*notes))))
  assert _played(song) == _expected(parts[0])


def test_with_a_pedal_the_melody_still_goes_down(tmp_path):
  pitches = (72, 76, 79, 77, 76, 74, 72, 71) * 4
  notes = [(q, 4 - q % 4, p) for q, p in enumerate(pitches)]
  bass = [(q, 4 - q % 4, 48) for q in range(32)]
  song = songs.load_song(_file(tmp_path, _track(*_notes(*notes, *bass))))
  assert _played(song) == _expected(notes)


# What no melody needs.

_NEEDLESS = {
  'a key of 18 flats': b'\xff\x59\x02\xee\x00',
  'a key mode of 255': b'\xff\x59\x02\x00\xff',
  'an empty key': b'\xff\x59\x00',
  'an empty port': b'\xff\x21\x00',
  'a port of two bytes': b'\xff\x21\x02\x01\x02',
  'a channel out of range': b'\xff\x20\x01\x7f',
  'an SMPTE offset out of range': b'\xff\x54\x05\x7f\x63\x63\x63\x63',
  'a short SMPTE offset': b'\xff\x54\x01\x00',
  'a metre of two bytes': b'\xff\x58\x02\x03\x02',
  'a metre in no unit that sounds': b'\xff\x58\x04\x01\xc8\x18\x08',
  'a metre of nothing': b'\xff\x58\x04\x00\x02\x18\x08',
  'a tempo of two bytes': b'\xff\x51\x02\x07\xa1',
  'no tempo': b'\xff\x51\x03\x00\x00\x00',
  'an unknown event': b'\xff\x6e\x01\x00',
  'text in no encoding': b'\xff\x01\x04\xff\xfe\xfd\x80',
}


@pytest.mark.parametrize('event', _NEEDLESS.values(), ids=_NEEDLESS)
def test_what_a_message_says_wrongly_is_passed_over(tmp_path, event):
  path = _file(tmp_path, _track((0, event), *_notes(*_scale(64))), kind=0)
  song = songs.load_song(path)
  assert _played(song) == _expected(_scale(64))
  assert 'left out: nothing' in song.report


def test_a_velocity_out_of_range_is_a_note(tmp_path):
  notes = _notes(*_scale(32), velocity=0xF0)
  assert len(_played(songs.load_song(_file(tmp_path, _track(*notes))))) == 32


def test_a_wrapper_and_foreign_chunks_are_passed_over(tmp_path):
  track = _track(*_notes(*_scale(64)))
  foreign = b'XFIH' + struct.pack('>I', 5) + b'extra'
  path = _file(tmp_path, foreign + track + foreign)
  plain = open(path, 'rb').read()
  assert _played(songs.load_song(path)) == _expected(_scale(64))
  riff = b'RIFF' + struct.pack('<I', len(plain) + 12) + b'RMIDdata'
  path = _file(tmp_path, track, head=riff + struct.pack('<I', len(plain)))
  assert _played(songs.load_song(path)) == _expected(_scale(64))


def test_a_header_that_counts_the_tracks_wrongly_loses_none(tmp_path):
  path = _file(tmp_path, _track(), _track(*_notes(*_scale(64))))
  data = open(path, 'rb').read()
  for count in (1, 9):
    with open(path, 'wb') as f:
      f.write(data[:10] + struct.pack('>H', count) + data[12:])
    assert _played(songs.load_song(path)) == _expected(_scale(64))


@pytest.mark.parametrize('pitches', [SCALE, SCALE[::-1]])
def test_notes_without_length_or_end_are_there(tmp_path, pitches):
  ons = [(q, bytes([0x90, pitches[q % 8], 80])) for q in range(32)]
  expected = [(q, pitches[q % 8]) for q in range(32)]
  assert _played(songs.load_song(_file(tmp_path, _track(*ons)))) == expected
  offs = [(q, bytes([0x80, pitches[q % 8], 0])) for q in range(32)]
  both = [event for pair in zip(ons, offs) for event in pair]
  song = songs.load_song(_file(tmp_path, _track(*both)))
  assert _played(song) == expected


@pytest.mark.parametrize(
  ('encoding', 'names'),
  [
    ('cp949', ['보컬', '멜로디', '피아노 오른손', '트랙 1', '드럼', '노래']),
    ('shift-jis', ['メロディ', 'ボーカル', 'ピアノ', 'ギター', 'ドラム']),
    ('euc_jp', ['メロディ', 'ピアノ']),
    ('iso2022_jp', ['メロディ', 'ピアノ']),
    ('koi8_r', ['Мелодия']),
    ('gbk', ['主旋律', '旋律', '钢琴', '吉他', '贝斯', '鼓', '人声']),
    ('latin-1', ['Änglar', 'Ärger', 'Flöte', 'Mélodie', 'Größe', 'ÄÖÜ']),
    ('cp1251', ['Мелодия', 'Гитара', 'Вокал']),
    ('utf-8', ['보컬', 'メロディ', 'Änglar', 'plain']),
    ('utf-8-sig', ['Melody']),
    ('utf-16', ['멜로디']),
  ],
)
def test_a_name_is_read_in_the_encoding_of_its_country(encoding, names):
  for name in names:
    assert encodings.decoded(name.encode(encoding)) == name


def test_what_could_be_hangul_by_chance_is_not_told_as_that():
  for name in ('主唱', '弦乐', '旋律 1', '小提琴'):
    decoded = encodings.decoded(name.encode('gbk'))
    assert not any('가' <= letter <= '힣' for letter in decoded)


def test_a_japanese_melody_is_found_by_its_name(tmp_path):
  path = _file(
    tmp_path,
    _track(),
    _track(_name('Strings'), *_notes(*_scale(32, low=12))),
    _track(_name('メロディ', 'shift-jis'), *_notes(*_scale(32))),
  )
  assert "took track 2 'メロディ'" in songs.load_song(path).report


def test_tokens_are_whole_bars_of_the_range(tmp_path):
  notes = [*_scale(30), (30, 1, 20), (31, 1, 109)]
  song = songs.load_song(_file(tmp_path, _track(*_notes(*notes))))
  assert song.tokens.dtype == np.uint8
  assert len(song.tokens) == 128
  assert '2 notes outside MIDI 21 to 108' in song.report


@pytest.mark.parametrize('ending', ['kar', 'rmi', 'KAR'])
def test_midi_has_other_endings_too(tmp_path, ending):
  words = [(q, b'\xff\x01\x03/la') for q in range(32)]
  head = [(0, b'\xff\x01\x14@KMIDI KARAOKE FILE '), *words]
  path = _file(
    tmp_path,
    _track(FOUR_FOUR),
    _track(_name('Words'), *head),
    _track(_name('Melody'), *_notes(*_scale(32))),
  )
  with open(path, 'rb') as f:
    data = f.read()
  if ending == 'rmi':
    size = struct.pack('<I', len(data))
    data = (
      b'RIFF' + struct.pack('<I', len(data) + 12) + b'RMIDdata' + size + data
    )
  renamed = tmp_path / f'song.{ending}'
  renamed.write_bytes(data)
  song = songs.load_song(str(renamed))
  assert _played(song) == _expected(_scale(32))
  assert "took track 2 'Melody'" in song.report
  assert readers.read(str(renamed))[0]


@pytest.mark.parametrize('bytes_less', [1, 4, 6, 50, 51, 52, 53])
def test_a_file_that_breaks_off_is_read_to_there_and_said_to(
  tmp_path, bytes_less
):
  path = _file(tmp_path, _track(FOUR_FOUR), _track(*_notes(*_scale(32))))
  with open(path, 'rb') as f:
    data = f.read()
  with open(path, 'wb') as f:
    f.write(data[:-bytes_less])
  song = songs.load_song(path)
  assert _played(song) == _expected(_scale(32))[: len(_played(song))]
  assert len(_played(song)) >= 24
  assert song.report.endswith('left out: 1 track that breaks off.')


def test_a_file_that_breaks_off_before_its_music_is_refused(tmp_path):
  path = _file(tmp_path, _track(FOUR_FOUR), _track(*_notes(*_scale(32))))
  with open(path, 'rb') as f:
    data = f.read()
  with open(path, 'wb') as f:
    f.write(data[: data.rindex(b'MTrk') + 9])
  with pytest.raises(UserError, match='it breaks off before the first note'):
    songs.load_song(path)


def test_bytes_before_the_header_are_no_music(tmp_path):
  path = _file(tmp_path, _track(*_notes(*_scale(32))), head=bytes(3))
  assert _played(songs.load_song(path)) == _expected(_scale(32))


def test_a_tempo_that_nothing_can_play_is_none(tmp_path):
  head = _track((0, b'\xff\x51\x03\x00\x00\x01'), _tempo(72))
  path = _file(tmp_path, head, _track(*_notes(*_scale(32))))
  assert songs.load_song(path).qpm == 72
