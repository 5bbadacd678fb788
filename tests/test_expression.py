"""How melodies are played: what an ear would notice, as numbers."""

import dataclasses

import note_seq
import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import recognition
from emotion_musicvae.emotions import references
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import expression
from emotion_musicvae.files import playing
from emotion_musicvae.files import songs
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.support.errors import UserError

NINE = catalogue.load()


def arranged(notes, emotion, num_bars=16, **asked):
  """An arranged melody of `(start, end, pitch)` in sixteenths."""
  if isinstance(emotion, str):
    emotion = catalogue.find(emotion)
  sequence = note_seq.NoteSequence()
  sequence.tempos.add(qpm=120.0)
  for start, end, pitch in notes:
    sequence.notes.add(pitch=int(pitch), start_time=start / 8, end_time=end / 8)
  return arrangement.arrange(sequence, emotion, num_bars, **asked)


def tune(number):
  """A real tune of 16 bars, as `(start, end, pitch)`."""
  notes = melody.notes(references.load_melodies()[number])
  return list(zip(notes.onset, notes.end, notes.pitch))


def played(notes, emotion, num_bars=16, **asked):
  if isinstance(emotion, str):
    emotion = catalogue.find(emotion)
  return expression.perform(
    arranged(notes, emotion, num_bars), emotion, playing.Playing(**asked)
  )


def velocities(sequence):
  return np.array([n.velocity for n in sequence.notes])


EIGHTHS = [(2 * i, 2 * i + 2, 60 + i % 3) for i in range(128)]


@pytest.mark.parametrize('emotion', NINE, ids=lambda e: e.alias)
def test_velocities_vary_about_the_emotions_own(emotion):
  for number in range(0, 40, 8):
    found = velocities(played(tune(number), emotion))
    assert found.std() >= 8
    assert found.mean() == pytest.approx(emotion.velocity, abs=4)
    assert found.min() >= 1 and found.max() <= 127


def test_what_stirs_is_played_louder():
  arousal = [recognition.PLACES[e.alias][1] for e in NINE]
  order = np.argsort(arousal, kind='stable')
  for name in ('loudness', 'velocity'):
    values = [getattr(NINE[i], name) for i in order]
    # Ties in arousal may fall either way.
    ranks = np.corrcoef(np.argsort(np.argsort(values)), np.arange(9))[0, 1]
    assert ranks > 0.9


def test_phrases_swell_and_fade():
  """A regression on the place in a phrase of four bars finds the arch."""
  for emotion in NINE:
    sequence = played(EIGHTHS, emotion)
    steps = np.array([n.quantized_start_step for n in sequence.notes])
    place = steps % 64 / 64 - 0.5
    features = np.stack(
      [place**2, place, steps % 16 == 0, steps % 4 == 0, np.ones(128)], axis=1
    )
    slope = np.linalg.lstsq(features, velocities(sequence), rcond=None)[0][0]
    assert slope < -40  # velocities from the middle to an end, times four


def test_strong_beats_are_played_louder():
  flat = dataclasses.replace(catalogue.find('bright'), phrase_arch=0.0)
  same = [(i, i + 1, 64) for i in range(256)]
  found = velocities(played(same, flat)).reshape(16, 16)
  assert (found == found[0]).all()
  bar = found[0]
  assert bar[0] > bar[8] > bar[4] == bar[12] > bar[2] == bar[6] > bar[1]


@pytest.mark.parametrize(
  ('numerator', 'denominator', 'strengths'),
  [
    (4, 4, '2 -1 0 -1 1 -1 0 -1'),
    (3, 4, '2 -1 0 -1 0 -1'),
    (2, 4, '2 -1 0 -1'),
    (6, 8, '2 -1 -1 0 -1 -1'),
    (9, 8, '2 -1 -1 0 -1 -1 0 -1 -1'),
    (12, 8, '2 -1 -1 0 -1 -1 1 -1 -1 0 -1 -1'),
  ],
)
def test_eighths_are_as_strong_as_their_metre_has_it(
  numerator, denominator, strengths
):
  metre = metres.Metre(numerator, denominator)
  strengths = [float(s) for s in strengths.split()]
  assert len(strengths) * 2 == metre.bar_steps
  steps = np.arange(0, 2 * metre.bar_steps, 2)
  assert metre.strength(steps).tolist() == strengths * 2
  assert (metre.strength(steps + 1) == -2).all()
  # The second of two chords comes on a beat.
  assert metre.strength(metre.middle) >= 0


def test_a_pick_up_is_weaker_than_the_bar_that_it_leads_to():
  metre = metres.Metre(3, 4)
  notes = [(i, i + 4, 70) for i in range(0, 196, 4)]
  sequence = arranged(notes, 'lively', metre=metre, pick_up=4)
  velocity = velocities(expression.perform(sequence, catalogue.find('lively')))
  assert velocity[0] < velocity[1] > velocity[2]
  # The louder middle of the phrase lies between its bars, not before them.
  bars = velocity[1:].reshape(-1, 3).mean(axis=1)[:4]
  assert bars[1:3].min() > bars[[0, 3]].max()


def test_a_higher_note_is_played_louder():
  flat = dataclasses.replace(
    catalogue.find('bright'), phrase_arch=0.0, accents=0.0
  )
  found = velocities(played([(0, 4, 60), (4, 8, 72), (8, 12, 66)], flat))
  assert found[1] > found[2] > found[0]


def _shares(sequence):
  step = 15 / sequence.tempos[0].qpm
  return np.array(
    [
      (n.end_time - n.start_time)
      / step
      / (n.quantized_end_step - n.quantized_start_step)
      for n in sequence.notes
    ]
  )


def test_notes_sound_as_long_as_their_emotion_has_it():
  for alias, share in (('lively', 0.6), ('peaceful', 1.0), ('intense', 0.75)):
    sequence = played([(0, 2, 60), (2, 4, 62), (4, 8, 64), (8, 12, 60)], alias)
    np.testing.assert_allclose(_shares(sequence), [share] * 3 + [1.0])


def test_a_repeated_note_and_a_phrases_last_are_let_go():
  legato = played(
    [(0, 4, 60), (4, 8, 60), (60, 64, 62), (64, 68, 64)], 'gloomy'
  )
  np.testing.assert_allclose(_shares(legato), [0.85, 1.0, 0.8, 1.0])


def test_a_long_note_is_not_cut_in_half():
  sequence = played([(0, 16, 60), (16, 32, 62)], 'lively')
  assert _shares(sequence)[0] == pytest.approx(14 / 16)


def test_what_is_written_stays():
  for asked in (
    {},
    {'humanize': 1.0},
    {'ritardando': True, 'accompaniment': 'full'},
  ):
    sequence = played(tune(3), 'mysterious', **asked)
    assert [note[:3] for note in arrangement.notes(sequence)] == tune(3)
    before = arrangement.chords(arranged(tune(3), 'mysterious'))
    assert arrangement.chords(sequence)[: len(before)] == before


def test_without_asking_time_is_exact():
  sequence = played(EIGHTHS, 'bright')
  step = 15 / 126
  assert [n.start_time for n in sequence.notes] == pytest.approx(
    [2 * i * step for i in range(128)]
  )
  assert sequence.total_time == pytest.approx(256 * step)
  assert len(sequence.tempos) == 1


def test_humanized_notes_stray_a_little_and_never_overlap():
  plain = played(EIGHTHS, 'peaceful')
  for amount, most in ((0.3, 0.02), (1.0, 0.06)):
    uneven = played(EIGHTHS, 'peaceful', humanize=amount)
    late = np.array(
      [a.start_time - b.start_time for a, b in zip(uneven.notes, plain.notes)]
    )
    assert 0.006 * amount < late.std() < 0.02 * amount
    assert np.abs(late).max() < most
    # Drifting, not scattered: the next is late where this one is.
    assert np.corrcoef(late[1:], late[:-1])[0, 1] > 0.2
    for note, following in zip(uneven.notes, uneven.notes[1:]):
      assert note.start_time < note.end_time <= following.start_time


def test_a_humanized_melody_is_the_same_each_time():
  first, again = (played(tune(5), 'clear', humanize=0.5) for _ in range(2))
  assert first == again
  assert first != played(tune(6), 'clear', humanize=0.5)


def test_a_ritardando_slows_the_last_two_bars():
  sequence = played(EIGHTHS, 'bright', ritardando=True)
  qpm = [tempo.qpm for tempo in sequence.tempos]
  assert qpm[0] == 126
  assert (np.diff(qpm) <= 0).all()
  assert 0.55 * 126 < qpm[-1] < 0.65 * 126
  steady = played(EIGHTHS, 'bright')
  for a, b in zip(sequence.notes[:113], steady.notes):
    assert a.start_time == pytest.approx(b.start_time)
  assert sequence.total_time > steady.total_time + 0.5


def test_a_melody_of_no_notes_is_played():
  sequence = played([], 'gloomy', humanize=1.0, accompaniment='full')
  assert {n.instrument for n in sequence.notes} == {1, 2}


def test_a_blend_is_played_in_between():
  blend = catalogue.parse('lively:0.5,gloomy:0.5')
  lively, gloomy = map(catalogue.find, ('lively', 'gloomy'))
  for name in ('loudness', 'velocity', 'articulation', 'accents'):
    assert getattr(blend, name) == pytest.approx(
      (getattr(lively, name) + getattr(gloomy, name)) / 2
    )


def test_what_was_played_is_read_as_it_was_written():
  """A NoteSequence of this package: staccato, uneven, slowing, accompanied."""
  tokens = references.load_melodies()[7]
  sequence = played(
    tune(7), 'lively', humanize=1.0, ritardando=True, accompaniment='full'
  )
  read = songs.load_song(sequence)
  assert (read.tokens[:256] == tokens).all()


def test_a_lesser_intensity_is_played_less():
  gloomy, plain = catalogue.find('gloomy'), catalogue.Emotion()
  assert catalogue.softened(gloomy, 1.0) == gloomy
  none, half = (catalogue.softened(gloomy, i) for i in (0.0, 0.5))
  assert (none.loudness, none.velocity) == (plain.loudness, plain.velocity)
  assert half.loudness == (plain.loudness + gloomy.loudness) / 2
  # The rest is the emotion's.
  assert none.chords == gloomy.chords
  assert none.mean_pitch == gloomy.mean_pitch


@pytest.mark.parametrize('accompaniment', ['chords', 'full'])
def test_a_lesser_intensity_accompanies_less(accompaniment):
  intense = catalogue.find('intense')
  softer = [catalogue.softened(intense, i) for i in (1.0, 0.5, 0.0)]
  means, accents = [], []
  for emotion in softer:
    sequence = played(tune(3), emotion, accompaniment=accompaniment)
    chords = [n for n in sequence.notes if n.instrument == 1]
    strong = [n.velocity for n in chords if n.quantized_start_step % 16 == 0]
    means.append(np.mean([n.velocity for n in chords]))
    accents.append(np.mean(strong) / means[-1])
  assert means[0] > means[1] + 5 > means[2] + 10
  assert accents[0] > accents[1] > accents[2]


@pytest.mark.parametrize(
  ('asked', 'words'),
  [
    ({'accompaniment': 'bass'}, 'accompaniment: expected one of none, chords'),
    ({'accompaniment': 'full', 'style': 'walz'}, 'did you mean waltz'),
    ({'style': 'waltz'}, 'style: goes with an accompaniment'),
    ({'humanize': 2.0}, 'humanize: expected 0 to 1'),
    ({'room': -0.1}, 'room: expected 0 to 1'),
    ({'ritardando': True, 'loop': True}, 'ritardando: what slows down'),
    ({'soundfont': '/no/where.sf2'}, 'soundfont: .* cannot be read'),
    ({'soundfont': __file__}, 'is no SoundFont; name an .sf2 or .sf3'),
  ],
)
def test_what_cannot_be_played_is_told_in_one_line(asked, words):
  with pytest.raises(UserError, match=words):
    playing.Playing(**asked)
