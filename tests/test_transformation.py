"""A tune that everyone knows, moved to an emotion: still the tune?"""

import numpy as np
import pytest
from test_harmonization import TWINKLE

from emotion_musicvae.api import transformation
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.files import songs
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.steering import guidance


@pytest.fixture(scope='module')
def song():
  return songs.Song('twinkle', TWINKLE, qpm=100.0)


def _line(tokens):
  onset = tokens >= melody.FIRST_ONSET
  last = np.maximum.accumulate(np.where(onset, np.arange(len(tokens)), 0))
  return tokens[last].astype(float)


def _contour(tokens):
  return np.corrcoef(_line(tokens), _line(TWINKLE))[0, 1]


def test_at_no_intensity_it_comes_back_note_by_note(model, song):
  (itself,) = model.transform(song, 'gloomy', intensity=0.0, seed=1)
  assert itself.tokens.shape == (192,)  # 12 bars stay 12.
  assert guidance.share_played(TWINKLE[None], itself.tokens[None])[0] >= 0.95
  assert itself.measured['chord_tone_rate'] >= 0.75
  assert itself.note_sequence.tempos[0].qpm == 100
  assert itself.emotion.mode == 'major'


@pytest.mark.parametrize('alias', ['gloomy', 'lively', 'peaceful'])
def test_it_is_the_tune_in_the_emotions_mode(model, song, alias):
  emotion = catalogue.find(alias)
  (moved,) = model.transform(song, alias, seed=1)
  assert _contour(moved.tokens) >= 0.6
  notes = melody.notes(moved.tokens)
  profile = np.bincount(notes.pitch % 12, notes.length, 12)
  assert harmonization.mode_of(profile, 0) == emotion.mode
  assert moved.emotion.mode == emotion.mode
  assert harmony.key(moved.emotion.chords, emotion.mode) == 0
  assert moved.note_sequence.tempos[0].qpm == emotion.qpm
  assert not {'mean_pitch', 'onsets_per_bar'} & set(moved.missed)


def test_more_kept_is_nearer_and_further_on_the_way_is_not(model, song):
  kept = [
    _contour(model.transform(song, 'gloomy', seed=1, keep=k)[0].tokens)
    for k in (0.0, 1.0)
  ]
  assert kept[1] > 0.9 > kept[0] + 0.1
  gone = [
    abs(one.measured['onsets_per_bar'] - one.reference['onsets_per_bar'])
    for share in (0.25, 0.5, 1.0)
    for one in model.transform(song, 'lively', seed=1, intensity=share)
  ]
  assert gone == sorted(gone, reverse=True)


@pytest.mark.parametrize('alias', ['gloomy', 'lively', 'peaceful'])
def test_takes_differ_and_none_is_another_song(model, song, alias):
  takes = model.transform(song, alias, n=3, seed=1)
  for i, one in enumerate(takes):
    assert _contour(one.tokens) >= 0.55
    onset = one.tokens >= melody.FIRST_ONSET
    for other in takes[:i]:
      same = one.tokens[onset] == other.tokens[onset]
      assert same.mean() < 0.95


@pytest.mark.parametrize('alias', ['gloomy', 'lively', 'peaceful'])
def test_it_begins_and_ends_where_the_tune_does(model, song, alias):
  for one in model.transform(song, alias, n=2, seed=1):
    pitches = melody.notes(one.tokens).pitch
    assert (pitches[[0, -1]] % 12 == 0).all()  # on C


def test_the_record_names_the_notes_that_could_not_be_had(model, song):
  (itself,) = model.transform(song, 'gloomy', intensity=0.0, seed=1)
  record = itself.record()
  assert record['original_notes'] == (TWINKLE >= melody.FIRST_ONSET).sum()
  assert len(record['changed']) == (
    record['original_notes'] - record['kept_notes']
  )
  tokens = TWINKLE.copy()
  for note in record['changed']:
    step = (note['bar'] - 1) * 16 + round(4 * (note['beat'] - 1))
    assert tokens[step] == note['pitch'] - 19
    tokens[step] = note['played'] - 19 if note['played'] else melody.HOLD
  onset = TWINKLE >= melody.FIRST_ONSET
  played = np.where(tokens >= melody.FIRST_ONSET, tokens, 0)
  found = np.where(itself.tokens >= melody.FIRST_ONSET, itself.tokens, 0)
  np.testing.assert_array_equal(played[onset], found[onset])


def test_chords_are_its_own_those_of_the_emotion_or_the_users(song):
  gloomy = catalogue.find('gloomy')
  own = transformation.plan(song, gloomy).emotion.chords
  assert len(harmony.bars(own)) == 16
  assert own.startswith('Cm')
  theirs = transformation.plan(song, gloomy, chords='emotion').emotion.chords
  assert harmony.bars(theirs) == harmony.bars(gloomy.chords)  # both on C
  high = songs.Song(
    'in D', melody.transpose(TWINKLE[None], np.array([2]))[0], qpm=100.0
  )
  theirs = transformation.plan(high, gloomy, chords='emotion').emotion.chords
  assert theirs.startswith('Dm')
  asked = transformation.plan(song, gloomy, chords='Cm Ab').emotion.chords
  assert asked == 'Cm Ab'


def test_a_song_of_forty_bars_has_chords_for_all_of_them(song):
  long = songs.Song('long', np.tile(TWINKLE, 4)[:640], qpm=100.0)
  plan = transformation.plan(long, catalogue.find('peaceful'))
  assert len(harmony.bars(plan.emotion.chords)) == 48
  windows = transformation.by_window(plan.emotion, 3)
  assert len({w.chords for w in windows}) > 1
  assert all(len(harmony.bars(w.chords)) == 16 for w in windows)


def test_what_lies_higher_in_a_long_song_stays_higher(model):
  high = np.where(TWINKLE >= melody.FIRST_ONSET, TWINKLE + 12, TWINKLE)
  tokens = np.concatenate([TWINKLE, TWINKLE[:64], high, high[:64]])
  song = songs.Song('twice', tokens.astype(np.uint8), qpm=100.0)
  (moved,) = model.transform(song, 'peaceful', seed=1)
  low_mean, high_mean = melody.mean_pitch(moved.tokens.reshape(2, 256))
  assert high_mean - low_mean > 6
  assert 'mean_pitch' not in moved.missed
