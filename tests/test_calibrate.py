"""Labelled music whose references are known, because it is composed here."""

import os
import unicodedata

import matplotlib.image
import note_seq
import numpy as np
import pytest

from emotion_musicvae.emotions import calibration
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import labels
from emotion_musicvae.emotions import measuring
from emotion_musicvae.files import performances
from emotion_musicvae.files import pianoroll
from emotion_musicvae.music import harmonization
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import registry

MAJOR = ((0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2))  # C Am F G
MINOR = ((9, 0, 4), (2, 5, 9), (4, 8, 11), (9, 0, 4))  # Am Dm E Am
PIECES = 8


def _compose(chords, middle, onsets, qpm, seed, bars=16):
  """A melody over held chords: the NoteSequence, and its pitches."""
  rng = np.random.default_rng(seed)
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.time_signatures.add(numerator=4, denominator=4)
  sequence.tempos.add(qpm=qpm)
  bar = 240 / qpm
  pitches = []
  for i in range(bars):
    chord = chords[i % 4]
    for tone in chord:
      sequence.notes.add(
        pitch=36 + tone,
        velocity=60,
        start_time=i * bar,
        end_time=(i + 1) * bar,
      )
    tones = [p for p in range(middle - 7, middle + 8) if p % 12 in chord]
    # The first beat always sounds, so that no chord is taken for melody.
    steps = [0, *sorted(1 + rng.choice(15, onsets - 1, replace=False))]
    for step, end in zip(steps, [*steps[1:], 16]):
      # As a melody moves: not far at once.
      last = pitches[-1] if pitches else middle
      pitches.append(int(rng.choice([p for p in tones if abs(p - last) <= 5])))
      sequence.notes.add(
        pitch=pitches[-1],
        velocity=90,
        start_time=(i + step / 16) * bar,
        end_time=(i + end / 16) * bar,
      )
  sequence.notes.add(
    pitch=36, velocity=90, end_time=0.1, is_drum=True, instrument=9
  )
  sequence.total_time = bars * bar
  return sequence, pitches


LABELS = {
  '격렬함': (MINOR, 62, 11, 150),
  '평화로움': (MAJOR, 70, 4, 80),
  'my own': (MAJOR, 66, 7, 100),
}


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
  """A folder per label, and the mean pitch that each was composed with."""
  root = tmp_path_factory.mktemp('labelled')
  means = {}
  for label, (chords, middle, onsets, qpm) in LABELS.items():
    by_piece = []
    for i in range(PIECES):
      # Half of the second label's folder comes as macOS writes it.
      form = 'NFD' if label == '평화로움' and i % 2 else 'NFC'
      folder = root / unicodedata.normalize(form, label)
      folder.mkdir(exist_ok=True)
      sequence, pitches = _compose(chords, middle, onsets, qpm, seed=i)
      note_seq.note_sequence_to_midi_file(sequence, str(folder / f'{i}.mid'))
      by_piece.append(np.mean(pitches))
    means[label] = np.mean(by_piece)
  (root / 'my own' / 'broken.mid').write_bytes(b'MThd\0\0\0\6')
  (root / 'my own' / 'empty.mid').write_bytes(b'')
  (root / 'stray.mid').write_bytes(b'MThd\0\0\0\6')
  return root, means


@pytest.fixture(scope='module')
def calibrated(run, labelled, tmp_path_factory):
  """The file that is written, and what is said of it."""
  path = tmp_path_factory.mktemp('calibrated') / 'mine.yaml'
  status, said, err = run(
    'calibrate',
    f'--input_dir={labelled[0]}',
    f'--output_file={path}',
    cwd=path.parent,
  )
  assert status == 0, err
  return path, said


@pytest.fixture(scope='module')
def loaded(calibrated):
  return {e.name: e for e in catalogue.load(str(calibrated[0]))}


@pytest.mark.parametrize('label', LABELS)
def test_references_are_those_that_were_composed(labelled, loaded, label):
  chords, _, onsets, qpm = LABELS[label]
  emotion = loaded[label]
  assert emotion.mean_pitch == pytest.approx(labelled[1][label], abs=0.1)
  assert emotion.onsets_per_bar == pytest.approx(onsets, rel=0.02)
  assert emotion.qpm == pytest.approx(qpm, rel=0.001)
  assert (emotion.mode, emotion.chords) == (
    ('major', 'C Am F G') if chords is MAJOR else ('minor', 'Am Dm E Am')
  )


def test_the_shipped_emotions_come_first_and_keep_their_alias(loaded):
  assert list(loaded) == list(LABELS)
  assert loaded['평화로움'].alias == 'peaceful'


def test_what_is_left_out_is_named_and_counted(calibrated):
  path, said = calibrated
  report = path.with_suffix('.md').read_text(encoding='utf-8')
  for name in ('broken.mid', 'empty.mid', 'stray.mid'):
    assert name in said
    assert name in report
  assert '2 cannot be read' in said
  assert f'1 {labels.NO_LABEL}' in said
  assert 'composed and decomposed' in said
  assert f'Fewer than 10 melodies, little to go by: {", ".join(LABELS)}' in said


def test_the_report_tells_labels_apart(calibrated):
  report = calibrated[0].with_suffix('.md').read_text(encoding='utf-8')
  # Every piece of a label has one density.
  assert '100% of that of onsets a bar' in report


def test_the_picture_shows_a_cloud_for_each_label(calibrated):
  image = matplotlib.image.imread(calibrated[0].with_suffix('.png'))
  colours = {tuple(c) for c in np.round(image[..., :3] * 255).reshape(-1, 3)}
  assert {(31, 119, 180), (255, 127, 14), (44, 160, 44)} <= colours


def test_the_same_music_gives_the_same_bytes(
  run, labelled, calibrated, tmp_path
):
  again = tmp_path / 'again.yaml'
  flags = [f'--input_dir={labelled[0]}', f'--output_file={again}']
  assert run('calibrate', *flags, cwd=tmp_path)[0] == 0
  for suffix in ('.yaml', '.md', '.png'):
    first = calibrated[0].with_suffix(suffix).read_bytes()
    assert again.with_suffix(suffix).read_bytes() == first


def test_a_melody_is_generated_by_a_label_of_ones_own(
  run, calibrated, tmp_path
):
  status, _, err = run(
    'generate',
    '--emotion=my own',
    f'--emotions_file={calibrated[0]}',
    '--num_outputs=1',
    f'--output_dir={tmp_path}',
    cwd=tmp_path,
  )
  assert status == 0, err
  assert len(list(tmp_path.glob('*my-own*.mid'))) == 1


def test_notation_and_records_are_measured_as_midi_is(tmp_path):
  music = 'CEGc GECE|' * 16
  path = tmp_path / 'tune.abc'
  path.write_text(f'X:1\nT:Tune\nM:4/4\nL:1/8\nK:C\n{music}\n')
  (measured,), refusals = measuring.measure_file((str(path), True))
  assert not refusals
  assert measured.mean_pitch == pytest.approx(
    (60 * 2 + 64 * 3 + 67 * 2 + 72) / 8
  )
  assert measured.onsets_per_bar == 8
  assert (measured.tonic, measured.mode) == (0, 'major')
  assert np.isnan(measured.qpm)
  found = calibration.summarize('own', 1, [measured] * 2)
  # On one chord all along, which is no progression to compose over.
  assert (found.sections, found.progressions) == (8, [])
  assert found.emotion.chords in [e.chords for e in catalogue.load()]
  assert 'none that move of its own' in found.emotion.basis
  # Every bar is like the one before.
  assert found.terms['form'] == {'AAAA': 1.0}
  assert found.terms['syncopation'][0] == 0.0
  asked = registry.parse(found.emotion.references)
  assert set(asked) == set(registry.known()) and asked['range'] == '12'


@pytest.mark.parametrize('metre', ['3/4', '6/8'])
def test_music_in_every_metre_is_measured(tmp_path, metre):
  path = tmp_path / 'tune.abc'
  path.write_text(
    f'X:1\nT:t\nM:{metre}\nL:1/8\nQ:1/4=90\nK:G\n' + 'GABcde|' * 32 + '\n'
  )
  (measured,), refusals = measuring.measure_file((str(path), True))
  assert not refusals
  assert measured.mean_pitch == pytest.approx((67 + 69 + 71 + 72 + 74 + 76) / 6)
  assert measured.onsets_per_bar == pytest.approx(8)  # in four quarters
  assert measured.qpm == 90


def test_tempo_is_quarter_notes_by_minutes():
  sequence, _ = _compose(MAJOR, 66, 7, 120, seed=0)
  sequence.tempos.add(time=24, qpm=60)  # the last 8 of 32 seconds
  score = performances.sequence_score('', sequence)
  assert measuring._mean_qpm(score) == pytest.approx(105)


def test_a_key_is_found_in_every_transposition():
  scale = np.zeros(12)
  for chord in MINOR:
    scale[list(chord)] += 1
  for shift in range(12):
    assert harmonization.key_of(np.roll(scale, shift)) == (
      (9 + shift) % 12,
      'minor',
    )


def test_too_little_music_takes_the_chords_of_the_nearest_emotion(tmp_path):
  path = tmp_path / 'one.mid'
  sequence, _ = _compose(MAJOR, 70, 5, 100, seed=0, bars=8)
  note_seq.note_sequence_to_midi_file(sequence, str(path))
  measured, _ = measuring.measure_file((str(path), True))
  emotion = calibration.summarize('own', 1, measured).emotion
  assert emotion.chords == catalogue.find('clear').chords
  assert '맑음' in emotion.basis


def _csv(tmp_path, text, encoding='utf-8', scale=(-1, 1)):
  path = tmp_path / 'labels.csv'
  path.write_bytes(text.encode(encoding))
  for name in ('a.mid', 'b.mid', 'c.mid', '노래.mid'):
    (tmp_path / name).touch()
  found = labels.from_csv(str(path), None, scale)
  return {os.path.basename(k): v for k, v in found.files.items()}, found


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'cp949'])
@pytest.mark.parametrize('delimiter', ',;\t')
@pytest.mark.parametrize('header', ['path,label\n', '파일,감정\n', ''])
def test_a_csv_of_labels(tmp_path, encoding, delimiter, header):
  text = f'{header}노래.mid,우울함\na.mid,Peaceful\n'.replace(',', delimiter)
  files, _ = _csv(tmp_path, text, encoding)
  assert files == {'노래.mid': '우울함', 'a.mid': '평화로움'}


def test_a_csv_of_valence_and_arousal_as_vgmidi_has_it(tmp_path):
  files, _ = _csv(
    tmp_path,
    'id,series,console,game,piece,midi,valence,arousal\n'
    '1,S,C,G,P,a.mid,-1,1\n2,S,C,G,P,b.mid,1,-1\n3,S,C,G,P,c.mid,1,-1\n',
  )
  assert files == {'a.mid': '격렬함', 'b.mid': '맑음', 'c.mid': '맑음'}


def test_valence_and_arousal_coded_as_low_and_high(tmp_path):
  # So is VGMIDI's source table.
  text = 'path,valence,arousal\na.mid,0,0\nb.mid,0,1\nc.mid,1,0\n노래.mid,1,1\n'
  files, found = _csv(tmp_path, text)
  signs = text.replace('0', '-1')
  assert files == _csv(tmp_path, signs)[0]
  assert len(set(files.values())) == 4
  (note,) = found.notes
  assert 'all 0 or 1: taken as low and high' in note
  assert not _csv(tmp_path, signs)[1].notes
  assert not _csv(tmp_path, text, scale=(0, 1))[1].notes


def test_ratings_in_one_quadrant_are_told(tmp_path):
  text = 'path,valence,arousal\na.mid,0.2,0.9\nb.mid,0.6,0.3\nc.mid,0.1,0.4\n'
  assert 'All 3 files lie in one quadrant' in _csv(tmp_path, text)[1].notes[0]
  assert not _csv(tmp_path, text, scale=(0, 1))[1].notes


def test_arousal_ranks_the_pieces_of_a_quadrant(tmp_path):
  files, found = _csv(
    tmp_path,
    'path,valence,arousal\na.mid,2,1.5\nb.mid,3,4\nc.mid,9,8\n노래.mid,9,11\n',
    scale=(1, 9),
  )
  assert files == {'a.mid': '우울함', 'b.mid': '신비로움', 'c.mid': '발랄함'}
  assert [r.reason for r in found.refusals] == [labels.NO_NUMBERS]


def test_a_csv_names_what_it_cannot_use(tmp_path):
  files, found = _csv(
    tmp_path,
    'path,label\na.mid,밝음\na.mid,bright\nb.mid,밝음\nb.mid,우울함\n'
    'no.mid,밝음\nlabels.csv,밝음\nc.mid,\n',
  )
  assert files == {'a.mid': '밝음'}
  assert [(r.name, r.reason) for r in found.refusals] == [
    ('labels.csv line 5: b.mid', labels.TWO_LABELS),
    ('labels.csv line 6: no.mid', labels.MISSING),
    ('labels.csv line 7: labels.csv', labels.OTHER_FORMAT),
    ('labels.csv line 8: c.mid', labels.NO_LABEL),
  ]


def test_names_as_emopia_has_them_give_quadrants(tmp_path):
  folder = tmp_path / 'midis'
  folder.mkdir()
  for name in ('Q1_0vLPYiPN7qY_0.mid', 'Q4_uDfzRxXYwGc_1.mid'):
    (folder / name).touch()
  found = labels.from_folders(str(tmp_path))
  assert list(found.files.values()) == ['Q1', 'Q4']


def test_a_folder_named_in_cp949_is_the_emotion_that_it_names(tmp_path):
  folder = os.path.join(os.fsencode(tmp_path), '우울함'.encode('cp949'))
  os.mkdir(folder)
  with open(os.path.join(folder, b'a.mid'), 'wb'):
    pass
  found = labels.from_folders(str(tmp_path))
  assert list(found.files.values()) == ['우울함']


def test_every_quadrant_is_shared_out_whole():
  places = configuration.load_yaml('calibration')['places']
  assert {p['name'] for p in places} == {e.name for e in catalogue.load()}
  for quadrant in (1, 2, 3, 4):
    shares = sorted(p['arousal'] for p in places if p['quadrant'] == quadrant)
    assert shares[0][0] == 0 and shares[-1][1] == 1
    assert all(a[1] == b[0] for a, b in zip(shares, shares[1:]))


def test_letters_that_no_font_has_give_way_to_another_name():
  assert pianoroll.readable('peaceful', 'x') == ('peaceful', None)
  private = '\U000f1234'
  assert pianoroll.readable(private, 'peaceful') == ('peaceful', None)
