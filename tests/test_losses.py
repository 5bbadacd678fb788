import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.music import spectrogram
from emotion_musicvae.steering import losses
from emotion_musicvae.terms import expectation


def _tokens(pitches, every=4):
  """A melody that begins a note of `pitches`, over and over, every n steps."""
  tokens = np.zeros([1, 256], np.int32)
  steps = np.arange(0, 256, every)
  tokens[0, steps] = np.resize(pitches, len(steps)) - 19
  return tokens


def _condition(
  chords='C',
  mean_pitch=64.0,
  onsets_per_bar=4.0,
  energy=0.4,
  batch=1,
  final=None,
):
  fit, sounding = harmony.chord_tones(chords)
  return conditions.Condition(
    tf.fill([batch], mean_pitch),
    tf.fill([batch], onsets_per_bar),
    tf.fill([batch], energy),
    tf.constant(np.stack([fit] * batch)),
    tf.constant(np.stack([sounding] * batch)),
    tf.one_hot([-1 if final is None else final] * batch, 12),
    tf.fill([batch, 16], -1),
    tf.constant(np.tile(metres.QUADRUPLE.weights(), [batch, 1])),
    tf.zeros([batch, 0]),
  )


def _pitch(tokens, condition, **kwargs):
  kwargs = {'free_on_beat': 0.0, 'free_foreign': 0.0, **kwargs}
  terms = losses.PitchLoss(**kwargs)(expectation.one_hot(tokens), condition)
  return {name: float(value[0]) for name, value in terms.items()}


def test_energy_of_finished_melodies_is_that_of_their_spectrogram(
  random_tokens,
):
  expected = expectation.span_energy(expectation.one_hot(random_tokens), 16)[
    :, 0
  ]
  np.testing.assert_allclose(
    spectrogram.energy(random_tokens), expected, rtol=1e-5
  )
  assert spectrogram.energy(np.array([[0] * 256, [1] * 256])).tolist() == [0, 0]


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


def test_chord_loss_is_the_count_over_the_notes_beyond_what_is_free(
  random_tokens,
):
  tokens = random_tokens[:50].astype(np.int32)
  fit, sounding = harmony.chord_tones('C Am F G')
  of_all, on_beat = (
    melody.chord_tone_rate(tokens, fit, sounding, np.arange(256) % n == 0)
    for n in (1, 4)
  )
  terms = losses.PitchLoss(
    free_on_beat=0.6, free_foreign=0.7, foreign_scale=0.2
  )(expectation.one_hot(tokens), _condition('C Am F G', batch=50))
  beyond = np.maximum(1.0 - of_all - 0.7, 0.0)
  beyond_on_beat = np.maximum(1.0 - np.nan_to_num(on_beat, nan=1.0) - 0.6, 0.0)
  np.testing.assert_allclose(
    terms['chord'], (beyond / 0.2) ** 2 + (beyond_on_beat / 0.2) ** 2, atol=1e-4
  )
  for part in (beyond, beyond_on_beat):
    assert (part == 0.0).any() and (part > 0.0).any()


def _count(notes, tones, mean_pitch):
  """The chord and register terms of a list of notes, by plain counting.

  Args:
    notes: notes of a NoteSequence at 120 quarter notes a minute.
    tones: pitch class to weight, for each half bar; None where no chord is.
    mean_pitch: reference mean pitch.
  """
  costs, on_beat = [], []
  for note in notes:
    half_bars = note.start_time  # two quarter notes, a second
    chord = tones[int(half_bars) % len(tones)]
    if chord is not None:
      costs.append(1.0 - chord.get(note.pitch % 12, 0.0))
      on_beat.append((2.0 * half_bars).is_integer())
  away = np.mean([note.pitch for note in notes]) - mean_pitch
  strong = [cost for cost, beat in zip(costs, on_beat) if beat]
  share = np.mean(strong) if strong else 0.0
  return np.mean(costs) ** 2 + share**2, (away / 3.0) ** 2


def test_pitch_loss_is_a_plain_count_over_the_decoded_notes(
  stock_model, random_tokens
):
  tokens = random_tokens[::10]
  weights = harmony.ToneWeights(root=1.0, third=0.75, fifth=0.5, other=0.25)
  fit, sounding = harmony.chord_tones('C Dm7b5 | N.C. G7', weights)
  c = {0: 1.0, 4: 0.75, 7: 0.5}
  d = {2: 1.0, 5: 0.75, 8: 0.5, 0: 0.25}
  g = {7: 1.0, 11: 0.75, 2: 0.5, 5: 0.25}
  expected = [
    _count(sequence.notes, [c, d, None, g], 64.0)
    for sequence in stock_model.note_sequences(tokens)
  ]
  condition = _condition(batch=len(tokens))._replace(
    chord_tone_weights=tf.tile(fit[None], [len(tokens), 1, 1]),
    chord_mask=tf.tile(sounding[None], [len(tokens), 1]),
  )
  loss = losses.PitchLoss(
    free_on_beat=0.0, free_foreign=0.0, foreign_scale=1.0, register_scale=3.0
  )
  terms = loss(expectation.one_hot(tokens), condition)
  np.testing.assert_allclose(
    np.stack([terms['chord'], terms['register']], axis=1), expected, rtol=1e-4
  )


def test_without_any_chord_no_note_is_foreign():
  assert _pitch(_tokens([61]), _condition('N.C.'))['chord'] == 0.0


def test_register_is_the_squared_distance_in_units_of_its_scale():
  terms = _pitch(_tokens([70]), _condition(mean_pitch=64.0), register_scale=3.0)
  assert terms['register'] == pytest.approx(4.0, rel=1e-4)


def test_a_drone_costs_and_a_tune_does_not():
  drone = _pitch(
    _tokens([60]), _condition(), free_repeats=0.1, repeats_scale=0.3
  )
  assert drone['motion'] == pytest.approx(9.0, rel=1e-4)
  assert _pitch(_tokens([60, 64, 67]), _condition())['motion'] == 0.0


def test_a_foreign_note_on_the_beat_costs_more_than_one_that_passes():
  strong, weak = _tokens([60], 2), _tokens([60], 2)
  strong[0, 4] = weak[0, 6] = 62 - 19
  condition = _condition()
  assert _pitch(strong, condition)['chord'] > _pitch(weak, condition)['chord']


def test_a_scale_with_chord_tones_on_the_beat_is_free():
  tokens = _tokens([60, 62, 64, 65, 67, 65, 64, 62], 2)
  terms = {
    name: float(value[0])
    for name, value in losses.PitchLoss(free_foreign=0.5)(
      expectation.one_hot(tokens), _condition()
    ).items()
  }
  assert terms['chord'] == terms['steps'] == terms['motion'] == 0.0


def test_close_asks_for_a_long_note_of_the_final_tone():
  tokens = _tokens([60, 64, 67, 64])  # ends on E, a quarter
  asked = {final: _pitch(tokens, _condition(final=final)) for final in (0, 4)}
  assert asked[4]['close'] == pytest.approx(0.0, abs=1e-5)
  assert asked[0]['close'] == pytest.approx(4.0, rel=1e-4)
  short = tokens.copy()
  short[0, 254] = 64 - 19
  assert _pitch(short, _condition(final=4))['close'] > 3.9
  assert _pitch(short, _condition())['close'] == 0.0


def test_a_denser_melody_has_more_energy():
  energies = [
    float(
      expectation.span_energy(expectation.one_hot(_tokens([60], n)), 16)[0, 0]
    )
    for n in (16, 8, 4, 2, 1)
  ]
  assert energies == sorted(energies)
  assert energies[-1] > 4 * energies[0]


def test_energy_follows_onsets_rather_than_held_length():
  held = _tokens([60], 8)
  cut = held.copy()
  cut[0, 4::8] = melody.NOTE_OFF
  long, short = (
    float(expectation.span_energy(expectation.one_hot(t), 16)[0, 0])
    for t in (held, cut)
  )
  assert short == pytest.approx(long, rel=0.01)


def test_spectrogram_bands_sum_to_the_energy():
  probabilities = expectation.one_hot(_tokens([60, 67, 72]))
  bands = tf.reduce_mean(
    tf.reduce_sum(expectation.spectrogram(probabilities), axis=-1)
  )
  whole = expectation.span_energy(probabilities, 16)
  assert float(bands) == pytest.approx(float(whole[0, 0]), rel=1e-4)


def test_a_note_shows_at_its_frequency():
  bands = expectation.spectrogram(expectation.one_hot(_tokens([69], 256)))[0, 0]
  hz = librosa.mel_frequencies(
    spectrogram.NUM_BANDS, fmin=spectrogram.MIN_HZ, fmax=spectrogram.MAX_HZ
  )
  assert hz[int(np.argmax(bands))] == pytest.approx(440.0, rel=0.15)


def test_density_loss_is_zero_at_the_reference_and_grows_both_ways():
  tokens = _tokens([60], 4)
  energy = float(expectation.span_energy(expectation.one_hot(tokens), 16)[0, 0])
  condition = _condition(energy=energy)
  at, fewer, more = (
    float(losses.DensityLoss()(expectation.one_hot(t), condition)['density'][0])
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
    energy=float(
      expectation.span_energy(expectation.one_hot(crowded), 16)[0, 0]
    )
  )
  loss = losses.DensityLoss()
  terms = loss(expectation.one_hot(crowded), condition)
  assert float(terms['density'][0]) < 1e-6
  assert float(terms['evenness'][0]) > 1.0


def test_rate_counts_notes_where_equal_energy_hides_them():
  """Short notes that break off sound as much as fewer that go on."""
  short = np.zeros([1, 256], np.int32)
  short[0, ::2] = 60 - 19
  short[0, 1::2] = melody.NOTE_OFF
  energy = float(expectation.span_energy(expectation.one_hot(short), 16)[0, 0])
  loss = losses.DensityLoss()
  condition = _condition(onsets_per_bar=8.0, energy=energy)
  assert float(loss(expectation.one_hot(short), condition)['rate'][0]) < 1e-6
  fewer = loss(expectation.one_hot(_tokens([60], 4)), condition)
  assert float(fewer['rate'][0]) > 5.0
  more = loss(expectation.one_hot(_tokens([60], 1)), condition)
  assert float(more['rate'][0]) > 5.0


@pytest.mark.parametrize('loss', [losses.PitchLoss(), losses.DensityLoss()])
def test_a_melody_without_notes_has_finite_loss_and_gradient(loss):
  probabilities = expectation.one_hot(np.zeros([1, 256], np.int32))
  with tf.GradientTape() as tape:
    tape.watch(probabilities)
    total = tf.add_n(list(loss(probabilities, _condition()).values()))
  assert np.isfinite(total.numpy()).all()
  assert np.isfinite(tape.gradient(total, probabilities).numpy()).all()


@pytest.mark.parametrize('loss', [losses.PitchLoss(), losses.DensityLoss()])
def test_bad_probabilities_are_refused(loss):
  good = expectation.one_hot(_tokens([60]))
  shape = r'^probabilities: expected shape \(1, 256, 90\), got '
  for bad in (good[:, :255], good[..., :89], good[0], tf.tile(good, [2, 1, 1])):
    with pytest.raises(ValueError, match=shape):
      loss(bad, _condition())
  for bad in (np.nan, np.inf):
    with pytest.raises(ValueError, match='^probabilities: expected finite'):
      loss(good * bad, _condition())


@pytest.mark.parametrize(
  ('name', 'bad'),
  [
    ('energy', tf.zeros([2])),
    ('chord_tone_weights', tf.zeros([1, 255, 12])),
    ('chord_tone_weights', tf.zeros([1, 256, 88])),
    ('chord_mask', tf.zeros([256])),
    ('final_tones', tf.zeros([12])),
  ],
)
def test_bad_conditions_are_refused(name, bad):
  condition = _condition()._replace(**{name: bad})
  for loss in (losses.PitchLoss(), losses.DensityLoss()):
    with pytest.raises(ValueError, match=f'^{name}: expected shape'):
      loss(expectation.one_hot(_tokens([60])), condition)


@pytest.mark.parametrize(
  ('make', 'name'),
  [
    (lambda: losses.PitchLoss(register_scale=0), 'register_scale'),
    (lambda: losses.PitchLoss(register_scale=np.nan), 'register_scale'),
    (lambda: losses.PitchLoss(free_on_beat=-1), 'free_on_beat'),
    (lambda: losses.PitchLoss(open_scale=np.nan), 'open_scale'),
    (lambda: losses.PitchLoss(steps_scale=0), 'steps_scale'),
    (lambda: losses.PitchLoss(free_repeats=2), 'free_repeats'),
    (lambda: losses.PitchLoss(repeats_scale=0), 'repeats_scale'),
    (lambda: losses.PitchLoss(free_foreign=1.5), 'free_foreign'),
    (lambda: losses.PitchLoss(foreign_scale=0), 'foreign_scale'),
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


def test_steps_are_free_and_arpeggios_are_not():
  assert _pitch(_tokens([60, 62]), _condition())['steps'] == 0.0
  tenths = _pitch(_tokens([60, 76]), _condition())
  assert tenths['steps'] == pytest.approx((0.5 / 0.15) ** 2, rel=1e-4)
