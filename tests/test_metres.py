"""Metres other than 4/4: on the model's bars, in songs and in what is heard."""

import music21
import note_seq
import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.files import songs
from emotion_musicvae.music import adaptation
from emotion_musicvae.music import harmonization
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support.errors import UserError

METRES = [str(metre) for metre in metres.PLAYABLE]


@pytest.fixture(scope='module')
def peaceful():
  return catalogue.parse('peaceful')


def _scale(metre, bars=16, tonic=60):
  """A tune in eighths, up and down the scale, that ends on its tonic."""
  line = [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2]
  tokens = np.zeros(bars * metre.bar_steps, np.uint8)
  onset = np.arange(0, len(tokens) - metre.bar_steps, 2)
  tokens[onset] = np.resize(line, len(onset)) + tonic - 19
  tokens[-metre.bar_steps] = tonic - 19
  return tokens


@pytest.mark.parametrize(
  'text, bar, there',
  [
    ('3/4', [0, 1, 2, 3], [0, 2, 3, 4]),
    ('3/8', [0, 0.5, 1, 1.5], [0, 1, 1.5, 2]),
    ('6/8', [0, 0.5, 1, 1.5, 2.5, 3], [0, 1, 1.5, 2, 3.5, 4]),
    ('12/8', [4.5, 5.5, 6, -0.5], [6, 7.5, 8, -0.5]),
    ('3/2', [0, 1, 2, 6], [0, 2, 4, 8]),
  ],
)
def test_what_is_in_three_is_stretched_to_four(text, bar, there):
  metre = metres.parse(text)
  assert metre.is_triple
  np.testing.assert_allclose(metre.in_four(bar), there)


@pytest.mark.parametrize('text', METRES)
def test_a_bar_of_the_metre_is_laid_on_the_models_whole(text):
  metre = metres.parse(text)
  heard, weights = metre.heard(), metre.weights()
  assert heard.sum() == metre.bars_per_window * metre.bar_steps
  bars = weights[heard].reshape(-1, metre.bar_steps)
  assert (bars == bars[0]).all()
  assert (bars[0] == 4).nonzero()[0].tolist() == [0]
  # A bar, or the second part of a long one, begins where one of the model's
  # does, or where the one before in it ends.
  assert (weights[:: melody.STEPS_PER_BAR] >= metres.BEAT).all()


def test_beats_of_each_metre():
  def beats(text):
    metre = metres.parse(text)
    bar = metre.weights()[metre.heard()][: metre.bar_steps]
    return (bar >= metres.BEAT).nonzero()[0].tolist()

  assert beats('4/4') == [0, 4, 8, 12]
  assert beats('3/4') == [0, 4, 8]
  assert beats('6/8') == [0, 6]
  assert beats('9/8') == [0, 6, 12]
  assert beats('12/8') == [0, 6, 12, 18]


@pytest.mark.parametrize('text', ['7/8', '5/4', 'waltz', '0/4', '3/0', '3'])
def test_what_is_no_metre_to_compose_in_is_told_with_what_is(peaceful, text):
  with pytest.raises(UserError) as e:
    catalogue.in_metre(peaceful, text)
  assert text in str(e.value) and '3/4' in str(e.value)


@pytest.mark.parametrize('text', METRES)
def test_a_song_comes_back_from_the_models_bars_as_it_was(text):
  metre = metres.parse(text)
  for bars in (5, 16, 23):
    tokens = _scale(metre, bars)
    windows, steps = songs.Song('a', tokens, metre=metre).windows()
    assert (windows[:, ~metre.heard()] == melody.HOLD).all()
    back = windows[:, metre.heard()].ravel()[:steps]
    np.testing.assert_array_equal(back, tokens)


@pytest.mark.parametrize('text', METRES)
def test_a_progression_is_as_long_in_every_metre(peaceful, text):
  moved = catalogue.in_metre(peaceful, text)
  metre = metres.parse(text)
  written = harmony.bars(moved.chords, metre)
  assert len(written) == metre.bars_per_window
  condition = conditions.Condition.of([peaceful, moved])
  own, other = condition.chord_tone_weights[:, :: melody.STEPS_PER_BAR // 2]
  # But the last chord has a bar of its own, however long that is.
  np.testing.assert_array_equal(own[:-6], other[:-6])
  np.testing.assert_array_equal(own[-1], other[-1])


def test_chords_of_a_waltz_change_on_its_bar_lines_and_third_beats():
  waltz = metres.parse('3/4')
  weights, mask = harmony.chord_tones('C G | F N.C.', metre=waltz)
  heard = waltz.heard()
  roots = [weights[heard][i].nonzero()[0].tolist() for i in (0, 7, 8, 11, 12)]
  assert roots == [[0, 4, 7]] * 2 + [[2, 7, 11]] * 2 + [[0, 5, 9]]
  assert mask[heard][12:24].tolist() == [1.0] * 8 + [0.0] * 4


@pytest.mark.parametrize('text', METRES)
def test_adapted_tunes_begin_no_note_where_nothing_is_heard(text):
  metre = metres.parse(text)
  emotion = catalogue.in_metre(catalogue.parse('lively'), text)
  condition, _ = conditions.Condition.of([emotion]).in_canonical_key()
  windows, _ = songs.Song('a', _scale(metre, 4), metre=metre).windows()
  adapted = adaptation.adapt(
    windows[:1],
    condition.mean_pitch,
    condition.onsets_per_bar,
    condition.chord_tone_weights,
    condition.chord_mask,
    condition.final_tones,
    metrical_weight=condition.metrical_weight,
  )
  onset = adapted[0] >= melody.FIRST_ONSET
  assert onset.sum() > 40
  assert not onset[~metre.heard()].any()
  # As many in the time that is heard as are asked for in four quarters.
  asked = emotion.onsets_per_bar * metre.heard().sum() / melody.STEPS_PER_BAR
  assert onset.sum() == pytest.approx(asked, abs=1.5)
  # It ends on the tonic, on a beat, with half a bar to last.
  heard = adapted[0][metre.heard()]
  last = np.flatnonzero(heard >= melody.FIRST_ONSET)[-1]
  assert (heard[last] + 19) % 12 == 0
  assert len(heard) - last >= metre.bar_steps / 2


def test_a_waltz_is_harmonized_by_its_bars():
  waltz = metres.parse('3/4')
  tokens = np.zeros(8 * 12, np.uint8)
  arpeggios = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 7, 4)] * 2
  for bar, tones in enumerate(arpeggios):
    tokens[12 * bar : 12 * bar + 12 : 4] = np.add(tones, 60 - 19)
  found = harmonization.progression(tokens, 0, 'major', metre=waltz)
  assert found.split(' | ') == ['C', 'F', 'G', 'C'] * 2


def _midi(tmp_path, *parts):
  """A file of tunes in successive metres: `(metre, tokens)` each."""
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  sequence.tempos.add(qpm=120)
  step, at = 0.125, 0.0
  for metre, tokens in parts:
    sequence.time_signatures.add(
      time=at, numerator=metre.numerator, denominator=metre.denominator
    )
    notes = melody.notes(tokens)
    for onset, end, pitch in zip(notes.onset, notes.end, notes.pitch):
      sequence.notes.add(
        pitch=int(pitch),
        velocity=80,
        start_time=at + onset * step,
        end_time=at + end * step,
      )
    at += len(tokens) * step
  sequence.total_time = at
  path = str(tmp_path / 'song.mid')
  note_seq.note_sequence_to_midi_file(sequence, path)
  return path


@pytest.mark.parametrize('text', ['2/4', '3/4', '6/8', '9/8', '12/8', '3/8'])
def test_a_song_is_read_in_its_metre(tmp_path, text):
  metre = metres.parse(text)
  tokens = _scale(metre)
  song = songs.load_song(_midi(tmp_path, (metre, tokens)))
  assert song.metre == metre
  np.testing.assert_array_equal(song.tokens, tokens)
  assert f'bars 1 to 16 in {text}' in song.report


def test_the_longest_of_several_metres_is_taken_and_the_others_named(tmp_path):
  waltz, march = metres.parse('3/4'), metres.parse('2/4')
  path = _midi(tmp_path, (march, _scale(march, 8)), (waltz, _scale(waltz, 12)))
  song = songs.load_song(path)
  assert (song.metre, len(song.tokens)) == (waltz, 12 * 12)
  assert 'left out: 8 bars in 2/4' in song.report


def test_a_pick_up_of_a_waltz_ends_a_bar_of_its_own(tmp_path):
  path = tmp_path / 'waltz.abc'
  path.write_text('X:1\nM:3/4\nL:1/4\nK:C\nG|CDE|FGA|Gc2|c2|]\n')
  song = songs.load_song(str(path))
  assert song.metre == (3, 4)
  assert len(song.tokens) == 5 * 12
  assert song.tokens[:12].nonzero()[0].tolist() == [8]
  assert [song.tokens[12 * bar] + 19 for bar in (1, 2, 3, 4)] == [
    60,
    65,
    67,
    72,
  ]


def test_seven_eight_is_refused_with_what_would_do(tmp_path):
  path = tmp_path / 'seven.abc'
  path.write_text('X:1\nM:7/8\nL:1/8\nK:C\nCDEFGAB|cBAGFED|CDEFGAB|c7|]\n')
  with pytest.raises(UserError) as e:
    songs.load_song(str(path))
  assert '7/8' in str(e.value) and '3/4' in str(e.value)


@pytest.mark.parametrize('text', ['3/4', '6/8', '9/8', '2/4'])
def test_melodies_are_composed_in_a_metre(model, tmp_path, text):
  metre = metres.parse(text)
  found = model.generate('peaceful', n=4, seed=3, time_signature=text)
  for one in found:
    assert len(one.tokens) == metre.bars_per_window * metre.bar_steps
    signature = one.note_sequence.time_signatures[0]
    assert (signature.numerator, signature.denominator) == metre
  assert sum(bool(one.missed) for one in found) <= 1
  path = found[0].save(tmp_path / 'one.musicxml')
  score = music21.converter.parse(path)
  assert score.recurse().getElementsByClass('TimeSignature')[0].ratioString == (
    text
  )


@pytest.mark.parametrize('text', ['3/4', '6/8', '9/8', '2/4'])
def test_a_song_is_transformed_in_its_metre(model, text):
  metre = metres.parse(text)
  song = songs.Song('tune', _scale(metre, 12), qpm=100, metre=metre)
  (same,) = model.transform(song, 'gloomy', seed=1, intensity=0)
  onset = song.tokens >= melody.FIRST_ONSET
  assert (same.tokens[onset] == song.tokens[onset]).mean() > 0.95
  (gloomy,) = model.transform(song, 'gloomy', seed=1)
  assert len(gloomy.tokens) == len(song.tokens)
  assert gloomy.emotion.time_signature == text
  assert gloomy.measured['onsets_per_bar'] < 4
  assert gloomy.measured['mean_pitch'] < melody.mean_pitch(song.tokens[None])


def test_bars_of_a_waltz_stay_while_the_rest_is_composed_anew(model):
  (first,) = model.generate('peaceful', seed=3, time_signature='3/4')
  found = model.recompose(first, keep_bars=[1, 2, 16], n=2, seed=4)
  bars = first.tokens.reshape(16, 12)
  for one in found:
    same = (one.tokens.reshape(16, 12) == bars).all(axis=1)
    assert same[[0, 1, 15]].all() and not same.all()


def test_melodies_of_two_metres_are_not_interpolated(model):
  ends = [
    songs.Song('a', _scale(metre), metre=metre)
    for metre in (metres.parse('3/4'), metres.QUADRUPLE)
  ]
  with pytest.raises(UserError, match='one metre'):
    model.interpolate(song=ends[0], to_song=ends[1], seed=1)
