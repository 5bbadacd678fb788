import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae import harmony
from emotion_musicvae import losses
from emotion_musicvae import melody
from emotion_musicvae import spectrogram


def _tokens(pitches, every=4):
  """A melody that begins a note of `pitches`, over and over, every n steps."""
  tokens = np.zeros([1, 256], np.int32)
  steps = np.arange(0, 256, every)
  tokens[0, steps] = np.resize(pitches, len(steps)) - 19
  return tokens


def _condition(chords='C', mean_pitch=64.0, energy=0.4, batch=1):
  fit, sounding = harmony.chord_tones(chords)
  return losses.Condition(
    tf.fill([batch], mean_pitch),
    tf.fill([batch], energy),
    tf.constant(np.stack([fit] * batch)),
    tf.constant(np.stack([sounding] * batch)),
  )


def _pitch(tokens, condition, **kwargs):
  terms = losses.PitchLoss(**kwargs)(melody.one_hot(tokens), condition)
  return {name: float(value[0]) for name, value in terms.items()}


def test_chord_tones_cost_nothing():
  assert _pitch(_tokens([60, 64, 67]), _condition())['chord'] == (
    pytest.approx(0.0, abs=1e-6)
  )


def test_one_note_off_the_chord_costs_more():
  inside = _tokens([60, 64, 67])
  outside = inside.copy()
  outside[0, 4] = 66 - 19
  condition = _condition()
  assert (
    _pitch(outside, condition)['chord']
    > _pitch(inside, condition)['chord'] + 0.01
  )


def test_chord_loss_is_the_count_over_the_notes(random_tokens):
  tokens = random_tokens[:50].astype(np.int32)
  fit, sounding = harmony.chord_tones('C Am F G')
  rate = melody.chord_tone_rate(tokens, fit, sounding)
  terms = losses.PitchLoss()(
    melody.one_hot(tokens), _condition('C Am F G', batch=50)
  )
  np.testing.assert_allclose(terms['chord'], 1.0 - rate, atol=1e-5)


def test_register_is_the_squared_distance_in_units_of_its_scale():
  terms = _pitch(_tokens([70]), _condition(mean_pitch=64.0), register_scale=3.0)
  assert terms['register'] == pytest.approx(4.0, rel=1e-4)


def test_a_drone_costs_and_a_tune_does_not():
  drone = _pitch(
    _tokens([60]), _condition(), free_repeats=0.1, repeats_scale=0.3
  )
  assert drone['motion'] == pytest.approx(9.0, rel=1e-4)
  assert _pitch(_tokens([60, 64, 67]), _condition())['motion'] == 0.0


def test_a_foreign_note_on_a_strong_beat_costs_more_when_asked_to():
  strong, weak = _tokens([60]), _tokens([60])
  strong[0, 0] = weak[0, 4] = 61 - 19
  condition = _condition()
  plain = [_pitch(t, condition)['chord'] for t in (strong, weak)]
  assert plain[0] == pytest.approx(plain[1])
  stressed = [
    _pitch(t, condition, strong_beat=1)['chord'] for t in (strong, weak)
  ]
  assert stressed[0] > stressed[1]


def test_a_denser_melody_has_more_energy():
  energies = [
    float(spectrogram.span_energy(melody.one_hot(_tokens([60], n)), 16)[0, 0])
    for n in (16, 8, 4, 2, 1)
  ]
  assert energies == sorted(energies)
  assert energies[-1] > 4 * energies[0]


def test_energy_follows_onsets_rather_than_held_length():
  held = _tokens([60], 8)
  cut = held.copy()
  cut[0, 4::8] = melody.NOTE_OFF
  long, short = (
    float(spectrogram.span_energy(melody.one_hot(t), 16)[0, 0])
    for t in (held, cut)
  )
  assert short == pytest.approx(long, rel=0.01)


def test_spectrogram_bands_sum_to_the_energy():
  probabilities = melody.one_hot(_tokens([60, 67, 72]))
  bands = tf.reduce_mean(
    tf.reduce_sum(spectrogram.spectrogram(probabilities), axis=-1)
  )
  whole = spectrogram.span_energy(probabilities, 16)
  assert float(bands) == pytest.approx(float(whole[0, 0]), rel=1e-4)


def test_a_note_shows_at_its_frequency():
  bands = spectrogram.spectrogram(melody.one_hot(_tokens([69], 256)))[0, 0]
  hz = librosa.mel_frequencies(
    spectrogram.NUM_BANDS, fmin=spectrogram.MIN_HZ, fmax=spectrogram.MAX_HZ
  )
  assert hz[int(np.argmax(bands))] == pytest.approx(440.0, rel=0.15)


def test_density_loss_is_zero_at_the_reference_and_grows_both_ways():
  tokens = _tokens([60], 4)
  energy = float(spectrogram.span_energy(melody.one_hot(tokens), 16)[0, 0])
  condition = _condition(energy=energy)
  at, fewer, more = (
    float(losses.DensityLoss()(melody.one_hot(t), condition)['density'][0])
    for t in (tokens, _tokens([60], 8), _tokens([60], 2))
  )
  assert at == pytest.approx(0.0, abs=1e-6)
  assert fewer > 0.5
  assert more > 0.5


def test_crowding_shows_in_evenness_where_the_whole_hides_it():
  even = _tokens([60], 4)
  crowded = np.zeros_like(even)
  crowded[0, :64] = 60 - 19
  condition = _condition(
    energy=float(spectrogram.span_energy(melody.one_hot(crowded), 16)[0, 0])
  )
  loss = losses.DensityLoss()
  terms = loss(melody.one_hot(crowded), condition)
  assert float(terms['density'][0]) < 1e-6
  assert float(terms['evenness'][0]) > 1.0


@pytest.mark.parametrize('loss', [losses.PitchLoss(), losses.DensityLoss()])
def test_a_melody_without_notes_has_finite_loss_and_gradient(loss):
  probabilities = melody.one_hot(np.zeros([1, 256], np.int32))
  with tf.GradientTape() as tape:
    tape.watch(probabilities)
    total = tf.add_n(list(loss(probabilities, _condition()).values()))
  assert np.isfinite(total.numpy()).all()
  assert np.isfinite(tape.gradient(total, probabilities).numpy()).all()


@pytest.mark.parametrize('loss', [losses.PitchLoss(), losses.DensityLoss()])
def test_bad_probabilities_are_refused(loss):
  good = melody.one_hot(_tokens([60]))
  with pytest.raises(ValueError, match=r'expected shape \[B, 256, 90\]'):
    loss(good[:, :255], _condition())
  with pytest.raises(ValueError, match='expected finite values'):
    loss(good * np.nan, _condition())


@pytest.mark.parametrize(
  ('make', 'name'),
  [
    (lambda: losses.PitchLoss(register_scale=0), 'register_scale'),
    (lambda: losses.PitchLoss(strong_beat=-1), 'strong_beat'),
    (lambda: losses.PitchLoss(free_repeats=2), 'free_repeats'),
    (lambda: losses.PitchLoss(repeats_scale=0), 'repeats_scale'),
    (lambda: losses.DensityLoss(span_bars=3), 'span_bars'),
    (lambda: losses.DensityLoss(scale=-1), 'scale'),
    (lambda: losses.DensityLoss(tolerance=-1), 'tolerance'),
  ],
)
def test_bad_settings_are_named(make, name):
  with pytest.raises(ValueError, match=f'^{name}: expected'):
    make()


def test_settings_cannot_be_changed_behind_the_losss_back():
  with pytest.raises(dataclasses.FrozenInstanceError):
    losses.PitchLoss().register_scale = 1.0
