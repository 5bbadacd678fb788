import dataclasses

import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import learner as learners
from emotion_musicvae.steering import sampling
from emotion_musicvae.steering import training
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import expectation

pytestmark = pytest.mark.compiled

HPARAMS = configuration.LearnerHparams(
  units=32,
  batch_size=8,
  replay_size=32,
  replay_batch_size=16,
  adapted_melodies=64,
)


@pytest.fixture(scope='module')
def learner_of(small_weights):
  tokens = references.load_melodies()[:64]
  emotions = catalogue.load()
  tunes = sampling.Tunes.encode(
    small_weights, tokens, sampling.ConditionSampler(emotions, HPARAMS), 64, 0
  )

  def make(seed=0, hparams=HPARAMS):
    return learners.make(small_weights, tunes, emotions, hparams, seed)

  return make


def _weights(learner):
  return {
    v.name: v.numpy()
    for m in (learner.actor, learner.critic)
    for v in m.trainable_variables
  }


@pytest.fixture(scope='module')
def run(learner_of, tmp_path_factory):
  """Five steps: the learner, its weights before and after, its scalars."""
  learner = learner_of()
  before = _weights(learner)
  scalars = [learner.step() for _ in range(3)]
  prefix = learner.save(str(tmp_path_factory.mktemp('run')))
  at_three = _weights(learner)
  scalars += [learner.step() for _ in range(2)]
  return {
    'before': before,
    'at_three': at_three,
    'after': _weights(learner),
    'scalars': scalars,
    'prefix': prefix,
    'learner': learner,
  }


def test_both_networks_learn_and_every_term_is_logged(run):
  assert not [
    k for k in run['before'] if (run['before'][k] == run['after'][k]).all()
  ]
  for scalars in run['scalars']:
    assert all(np.isfinite(v) for v in scalars.values())
    for term in run['learner']._objective.names:
      for kind in ('measured', 'expected'):
        assert f'{kind}/{term}' in scalars
      # How a melody ends lies within a bar, of which the critic knows no more.
      assert (f'predicted/{term}' in scalars) == (term != 'close')


def test_a_resumed_run_is_the_unbroken_run(run):
  # It has gone on since, so that whatever is not restored differs.
  learner = run['learner']
  learner.restore(run['prefix'])
  assert learner.step_number == 3
  assert [learner.step() for _ in range(2)] == run['scalars'][3:]
  for name, value in _weights(learner).items():
    np.testing.assert_array_equal(value, run['after'][name])


def test_the_saved_actor_is_the_trained_actor(run):
  actor, steps = actors.load(run['prefix'])
  assert steps == 3
  assert actors.fingerprint_of(run['prefix']) == run['learner'].fingerprint
  for variable in actor.trainable_variables:
    np.testing.assert_array_equal(
      variable.numpy(), run['at_three'][variable.name]
    )


@pytest.mark.slow
def test_the_critic_learns_to_predict_what_melodies_measure(learner_of):
  """Not pitches and steps, of which random weights play all alike."""
  hparams = dataclasses.replace(
    HPARAMS, critic_updates=8, critic_learning_rate=0.003, learning_rate=0.0
  )
  learner = learner_of(hparams=hparams)
  scalars = [learner.step() for _ in range(40)]
  first, last = (
    {name: np.mean([s[name] for s in part]) for name in scalars[0]}
    for part in (scalars[:1], scalars[-5:])
  )
  for name in ('onsets', 'repeats', 'energy'):
    assert last[f'critic/{name}'] < 0.2 * first[f'critic/{name}'], name


def test_the_actor_stays_within_the_priors_sphere_or_its_start(learner_of):
  learner = learner_of()
  rng = np.random.default_rng(0)
  for scale in (0.5, 5.0):
    start = scale * rng.standard_normal([8, 12]).astype(np.float32)
    moved = learner.actor(start, np.zeros([8, conditions.NUM_FEATURES], 'f'))
    most = np.maximum(np.square(start).mean(axis=1), 1.0)
    np.testing.assert_array_less(np.square(moved).mean(axis=1), most + 1e-4)


def test_an_actor_of_another_model_is_refused(learner_of, tmp_path):
  learner = learner_of()
  learner.save(str(tmp_path))
  learner.fingerprint = 'another'
  with pytest.raises(UserError, match='actor of another base model'):
    training.train(learner, str(tmp_path), 2, None)


def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(
  learner_of, tmp_path, monkeypatch
):
  learner = learner_of()
  good = learner.save(str(tmp_path))
  monkeypatch.setattr(learner, 'step', lambda: {'actor/loss': float('nan')})
  with pytest.raises(
    FloatingPointError, match='actor/loss not finite .* last good state'
  ):
    training.train(learner, str(tmp_path), 1, None)
  assert checkpoints.latest(str(tmp_path)) == good


def test_energy_reference_is_what_real_melodies_measure():
  tokens = references.load_melodies()
  energy = references.EnergyReference(tokens[::2])
  other = tokens[1::2]
  measured = expectation.span_energy(expectation.one_hot(other), 16)[:, 0]
  predicted = energy(melody.mean_pitch(other), melody.onsets_per_bar(other))
  error = np.abs(np.log(measured / predicted))
  assert np.median(error) < 0.05
  # More notes, more energy; higher notes fade faster.
  assert np.all(np.diff(energy(66.0, np.linspace(2.5, 11.5, 20))) > 0)
  assert energy(72.0, 6.0) < energy(60.0, 6.0)


def test_free_conditions_mix_the_bars_of_the_emotions():
  emotions = catalogue.load()
  hparams = dataclasses.replace(HPARAMS, emotion_share=0.0)
  condition = sampling.ConditionSampler(emotions, hparams)(
    np.random.default_rng(0), 400
  )
  canonical, _ = conditions.Condition.of(emotions).in_canonical_key()
  bars = {
    bar.tobytes() for bar in canonical.chord_tone_weights.reshape(-1, 16, 12)
  }
  # [B, phrases, bars, 16, 12]
  drawn = condition.chord_tone_weights.reshape(-1, 4, 4, 16, 12)
  assert {bar.tobytes() for bar in drawn.reshape(-1, 16, 12)} <= bars
  # Two phrases make four; the last bar closes on the tonic of an emotion.
  phrases = drawn[:, :, :3].reshape(400, 4, -1)
  assert {len(np.unique(row, axis=0)) for row in phrases} == {1, 2}
  final = (drawn[:, 3, 3, 0] * condition.final_tones).sum(axis=1)
  np.testing.assert_array_equal(final, 1.0)
  assert len({row.tobytes() for row in condition.chord_tone_weights}) > 50
  low, high = hparams.onsets_per_bar
  assert low <= condition.onsets_per_bar.min() < low + 0.5
  assert high - 0.5 < condition.onsets_per_bar.max() <= high
