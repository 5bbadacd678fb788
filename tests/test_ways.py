"""Ways to melodies: one's own moved, interpolation, variations, rejection."""

import dataclasses

import note_seq
import numpy as np
import pytest

from emotion_musicvae import api
from emotion_musicvae.api import pipeline
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError


@pytest.fixture(scope='module')
def tunes():
  return references.load_melodies()[:8]


def _song(*tunes, qpm=90.0):
  return songs.Song('tune', np.concatenate(tunes), qpm=qpm)


def _shared(a, b, what=None):
  """Share of the notes of `a` that `b` begins too; with their pitch if told."""
  begun = a >= melody.FIRST_ONSET
  same = a == b if what == 'pitch' else b >= melody.FIRST_ONSET
  return (begun & same).sum() / begun.sum()


@pytest.fixture(scope='module')
def moved(model, tunes):
  """Eight tunes in one song, by the intensity it is moved to gloomy with."""
  return {
    intensity: model.transform(_song(*tunes), 'gloomy', intensity=intensity)[0]
    for intensity in (0.0, 0.5, 1.0)
  }


def test_intensity_zero_plays_the_melody_back(moved, tunes):
  back = moved[0.0].tokens
  others = np.roll(tunes, 1, axis=0)
  assert _shared(tunes.ravel(), back) > 0.8
  kept = _shared(tunes.ravel(), back, 'pitch')
  assert kept > 0.5
  assert kept > 3 * _shared(others.ravel(), back, 'pitch')
  assert moved[0.0].note_sequence.tempos[0].qpm == 90


def test_intensity_one_has_the_register_and_the_tempo(moved, tunes):
  gloomy = catalogue.find('gloomy')
  assert melody.mean_pitch(tunes).mean() > gloomy.mean_pitch + 5
  sung = moved[1.0].tokens.reshape(tunes.shape)
  # As a whole; which of the tunes are high and which are low stays.
  off = np.abs(melody.mean_pitch(sung.reshape(1, -1)) - gloomy.mean_pitch)
  assert off.max() <= hits.PITCH_TOLERANCE
  heights = melody.mean_pitch(tunes), melody.mean_pitch(sung)
  assert np.corrcoef(*heights)[0, 1] > 0.9
  assert not moved[1.0].missed
  assert moved[1.0].note_sequence.tempos[0].qpm == gloomy.qpm


def test_half_way_keeps_more_of_the_melody_than_all_the_way(moved, tunes):
  kept = [_shared(tunes.ravel(), one.tokens, 'pitch') for one in moved.values()]
  assert kept[0] > 2 * kept[1] > 4 * kept[2]
  qpm = moved[0.5].note_sequence.tempos[0].qpm
  assert qpm == round((90 * 60) ** 0.5)  # whole, as people set it


def test_forty_bars_stay_forty_bars(model, tunes):
  long = _song(tunes[0], tunes[1], tunes[2][:128])
  (moved,) = model.transform(long, 'lively', seed=3)
  assert moved.tokens.shape == (640,)
  assert moved.z.shape == (3, model.z_size)
  bar = 240 / 132
  assert 39 * bar < moved.note_sequence.total_time <= 40 * bar + 1e-6
  assert not moved.missed.keys() & {'mean_pitch', 'onsets_per_bar'}
  # Each window has noise of its own.
  twice = _song(tunes[0], tunes[0])
  (moved,) = model.transform(twice, 'lively', seed=3, guidance=0.0)
  assert (moved.tokens[:256] != moved.tokens[256:]).any()


def test_sixteen_silent_bars_stay_silent(model, tunes):
  rest = np.zeros(256, np.uint8)
  (moved,) = model.transform(_song(tunes[0], rest, tunes[1]), 'clear')
  middle = moved.tokens[256:512]
  assert not (middle >= melody.FIRST_ONSET).any()
  for note in moved.note_sequence.notes:
    bar = 240 / moved.emotion.qpm
    assert not 16 * bar + 1e-6 < note.end_time < 32 * bar - 1e-6


def _heard(tokens):
  """Tokens without the note-offs that end nothing."""
  events = np.flatnonzero(tokens)
  before = np.append(melody.NOTE_OFF, tokens[events][:-1])
  idle = (tokens[events] == melody.NOTE_OFF) & (before == melody.NOTE_OFF)
  result = tokens.copy()
  result[events[idle]] = melody.HOLD
  return result


def test_what_is_written_is_read_again_with_the_same_tokens(model, tmp_path):
  """From a file as it is played: detached notes end before the next."""
  path = str(tmp_path / 'song.mid')
  for emotion in ('intense', 'mysterious', 'gloomy'):
    for one in model.generate(emotion, 8, 1.0, seed=2, guidance=0.0):
      (window,), steps = songs.load_song(one.note_sequence).windows()
      np.testing.assert_array_equal(window, _heard(one.tokens))
      assert steps == 256
      note_seq.note_sequence_to_midi_file(one.note_sequence, path)
      (played,), _ = songs.load_song(path).windows()
      begun = one.tokens >= melody.FIRST_ONSET
      np.testing.assert_array_equal(begun, played >= melody.FIRST_ONSET)
      np.testing.assert_array_equal(one.tokens[begun], played[begun])


def test_the_ends_of_an_interpolation_are_the_two_ends(model, tunes):
  steps = model.interpolate('peaceful', 'intense', n=4, seed=3)
  assert len(steps) == 4
  for end, emotion in ((steps[0], 'peaceful'), (steps[-1], 'intense')):
    (alone,) = model.generate(emotion, seed=3)
    np.testing.assert_array_equal(end.tokens, alone.tokens)
    assert end.emotion == alone.emotion
  density = [one.measured['onsets_per_bar'] for one in steps]
  assert density == sorted(density)
  a, b = _song(tunes[0]), _song(tunes[1], qpm=120.0)
  steps = model.interpolate(song=a, to_song=b, n=3, seed=0)
  for end, song in ((steps[0], a), (steps[-1], b)):
    (alone,) = model.transform(song, 'clear', intensity=0.0, seed=0)
    np.testing.assert_array_equal(end.tokens, alone.tokens)
    assert end.emotion.qpm == song.qpm
  assert 90 < steps[1].emotion.qpm < 120
  (moved,) = model.transform(a, 'gloomy', seed=0)
  steps = model.interpolate(song=a, to_emotion='gloomy', n=2, seed=0)
  np.testing.assert_array_equal(steps[-1].tokens, moved.tokens)


def test_of_two_songs_the_shorter_decides(model, tunes):
  long = _song(tunes[0], tunes[1])
  for a, b in ((long, _song(tunes[2])), (_song(tunes[2]), long)):
    for one in model.interpolate(song=a, to_song=b, n=2):
      assert len(one.tokens) == 256


def test_the_great_circle_keeps_the_length():
  start, end = np.random.default_rng(0).standard_normal([2, 1, 128])
  end *= np.linalg.norm(start) / np.linalg.norm(end)
  middle = api.slerp(start, end, 0.5)
  np.testing.assert_allclose(
    np.linalg.norm(middle), np.linalg.norm(start), rtol=1e-5
  )
  np.testing.assert_allclose(middle @ start.T, middle @ end.T, rtol=1e-4)
  same = api.slerp(start, start, 0.5)
  np.testing.assert_allclose(same, start, rtol=1e-5)
  assert api.slerp(start, end, 1.0) is end


def test_variations_lie_nearer_than_the_prior(model, tunes):
  song = _song(tunes[4])
  (back,) = model.variations(song, distance=0.0, seed=4)
  (same,) = model.transform(song, 'clear', intensity=0.0, seed=4)
  np.testing.assert_array_equal(back.tokens, same.tokens)

  def shared(distance):
    return np.mean(
      [
        _shared(tunes[4], one.tokens, 'pitch')
        for one in model.variations(song, 8, distance, seed=4)
      ]
    )

  near, further, prior = shared(0.15), shared(0.4), shared(1.0)
  assert near > 0.3 > further > prior
  one, two = model.variations(song, 2, seed=4)
  assert (one.tokens != two.tokens).mean() > 0.02
  assert one.reference['mean_pitch'] == pytest.approx(
    melody.mean_pitch(tunes[4][None])[0], abs=1e-4
  )
  assert np.isnan(one.measured['chord_tone_rate'])


def test_rejection_draws_until_all_meet_their_targets(model):
  plain = model.generate('intense', 8, seed=5, guidance=0.5)
  hits_alone = [one.number for one in plain if not one.missed]
  assert 1 < len(hits_alone) < 8
  kept = model.generate('intense', 2, seed=5, reject_misses=True, guidance=0.5)
  assert [one.number for one in kept] == hits_alone[:2]
  for one in kept:
    assert abs(one.measured['mean_pitch'] - 64.6) <= hits.PITCH_TOLERANCE
    assert one.measured['chord_tone_rate'] >= hits.CHORD_TONE_FLOOR
    np.testing.assert_array_equal(one.tokens, plain[one.number].tokens)


def test_a_retrained_draw_is_the_same_however_it_is_drawn(model, monkeypatch):
  monkeypatch.setattr(pipeline, 'DRAWS_PER_OUTPUT', 2)
  asked = {'seed': 5, 'updates': 2, 'guidance': 0.0}
  plain = model.generate('intense', 14, **asked)
  kept = model.generate('intense', 7, reject_misses=True, **asked)
  assert any(one.number >= 8 for one in kept)  # In the second part.
  for one in kept:
    np.testing.assert_array_equal(one.tokens, plain[one.number].tokens)


def test_rejection_ends_with_the_nearest(model, monkeypatch):
  monkeypatch.setattr(pipeline, 'DRAWS_PER_OUTPUT', 5)
  unheard_of = dataclasses.replace(
    catalogue.find('gloomy'), onsets_per_bar=16.0
  )
  drawn = model.generate(unheard_of, 10, seed=6, guidance=0.0)
  kept = model.generate(unheard_of, 2, seed=6, reject_misses=True, guidance=0.0)
  off = [sum(one.missed.values()) for one in drawn]
  assert min(off) > 0
  assert [one.number for one in kept] == sorted(np.argsort(off)[:2].tolist())


def test_arguments_are_checked(model, tunes):
  song = _song(tunes[0])
  for call, message in (
    (lambda: model.generate('gloomy', 0), '^n: expected 1 to 100000, got 0'),
    (lambda: model.generate('gloomy', '3'), "^n: expected an integer.*'3'"),
    (lambda: model.transform(song, 'gloomy', intensity=2.0), '^intensity: '),
    (lambda: model.transform(song, 'gloomy', start_bar=17), '^start_bar: '),
    (lambda: model.transform('absent.mid', 'gloomy'), '^song: '),
    (lambda: model.variations(song, distance=-0.1), '^distance: '),
    (lambda: model.interpolate('gloomy'), 'name where to end'),
    (lambda: model.interpolate(to_emotion='gloomy'), 'where to begin'),
    (lambda: model.interpolate('gloomy', 'clear', n=1), '^n: expected 2 to '),
  ):
    with pytest.raises(UserError, match=message):
      call()


def test_composed_among_others_a_melody_is_the_same(model, tunes):
  """Songs of one and two windows among melodies of the prior."""
  short, long = _song(tunes[0]), _song(tunes[0], tunes[1][:128])
  gloomy, lively = catalogue.find('gloomy'), catalogue.find('lively')
  orders = [
    api.Order(gloomy, 5, 0, 0.5, 1.0),
    api.Order(lively, 3, 0, 0.5, 1.0, long),
    api.Order(gloomy, 5, 1, 0.5, 1.0),
    api.Order(gloomy, 3, 1, 0.7, 0.5, short),
    api.Order(lively, 3, 1, 0.5, 1.0, long),
    api.Order(lively, 3, 0, 0.5, 1.0, short),
  ]
  alone = [
    *model.generate('gloomy', 2, seed=5),
    *model.transform(long, 'lively', 2, seed=3),
    model.transform(short, 'gloomy', 2, 0.7, seed=3, intensity=0.5)[1],
    *model.transform(short, 'lively', seed=3),
  ]
  together = model.compose(orders)
  for i, expected in zip([0, 2, 1, 4, 3, 5], alone):
    found = together[i]
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    # Processors whose matrix products go by blocks of six rows take the last
    # two of eight by another kernel, which rounds otherwise.
    np.testing.assert_allclose(found.z, expected.z, atol=1e-3)
    assert found.record() == expected.record()
    assert found.note_sequence == expected.note_sequence


def test_bars_stay_to_the_note_while_others_are_composed_anew(model):
  (first,) = model.generate('peaceful', seed=1)
  stay = [1, 2, 3, 4, 9, 10]
  takes = model.recompose(first, stay, n=3, seed=3)
  by_bar = [m.tokens.reshape(16, 16) for m in (first, *takes)]
  kept = np.array(stay) - 1
  for own in by_bar[1:]:
    np.testing.assert_array_equal(own[kept], by_bar[0][kept])
    # The second phrase returns to the first, but for its close.
    assert (own[[10, 11, 13, 14, 15]] != by_bar[0][[10, 11, 13, 14, 15]]).any()
  assert len({m.tokens.tobytes() for m in takes}) == 3
  again = model.recompose(first, stay, n=1, seed=3)
  np.testing.assert_array_equal(again[0].tokens, takes[0].tokens)


def test_where_no_bar_stays_it_is_composed_as_ever(model):
  (first,) = model.generate('peaceful', seed=1)
  (anew,) = model.recompose(first, [], seed=7)
  (ever,) = model.generate('peaceful', seed=7)
  np.testing.assert_array_equal(anew.tokens, ever.tokens)


@pytest.mark.parametrize('bar', [0, 17, 1.5])
def test_a_bar_that_there_is_not_cannot_stay(model, bar):
  (first,) = model.generate('peaceful', seed=1)
  with pytest.raises(UserError, match='keep_bars: expected .*1 to 16'):
    model.recompose(first, [bar])


def test_a_moved_melody_knows_what_it_was(model, tunes):
  song = _song(tunes[0])
  (take,) = model.transform(song, 'gloomy', seed=1)
  np.testing.assert_array_equal(take.original, tunes[0])
  assert model.generate('gloomy', seed=1)[0].original is None
