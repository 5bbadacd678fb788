import dataclasses
import functools

from conftest import LEARNER
import numpy as np
import pytest

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.evaluation import baselines
from emotion_musicvae.evaluation import bench as benches
from emotion_musicvae.evaluation import experiment
from emotion_musicvae.evaluation import latent_constraints
from emotion_musicvae.evaluation import report
from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import refinement
from emotion_musicvae.support import configuration

CONFIG = 'hierdec-mel_16bar_lite'
SETTINGS = benches.Settings(
  tries=3, steps=(0.5, 1.0), ascent_updates=6, constraint_updates=4
)


@pytest.fixture(scope='module')
def bench(model):
  weights = checkpoints.load_model(checkpoints.bundled(CONFIG), CONFIG)
  # Attributes are told apart by more real melodies.
  hparams = configuration.LearnerHparams(**{**LEARNER, 'real_melodies': 64})
  return benches.Bench(
    model, weights, hparams, SETTINGS, 9, tuple(catalogue.load()[::3])
  )


@pytest.fixture(scope='module')
def built(bench):
  """A baseline by its name, which takes seconds to build or to trace."""
  return functools.cache(lambda name: baselines.builders()[name](bench))


@pytest.fixture(scope='module')
def asked(bench):
  """First vectors and targets of as many melodies as are refined at once."""
  wanted = (bench.emotions * 3)[: refinement.Refinement.BATCH]
  targets, _ = conditions.Condition.of(wanted).in_canonical_key()
  return bench.model.sample_prior(5, len(wanted)), targets


def _missed(bench, z, targets):
  measured = api.measure(bench.model.decode(z, 0.5, 5), targets)
  return hits.total_excess(measured, targets)


# The ablations differ from `ours briefly` in settings alone, which
# test_baselines_are_compared_side_by_side trains.
@pytest.mark.parametrize(
  'name',
  [
    'prior',
    'rejection',
    pytest.param('attribute vectors', marks=pytest.mark.slow),
    pytest.param('latent ascent', marks=pytest.mark.slow),
    'latent constraints',
    'adapted',
    'ours',
    pytest.param('ours retrained', marks=pytest.mark.slow),
  ],
)
def test_every_baseline_moves_each_vector_by_itself(built, asked, name):
  start, targets = asked
  baseline = built(name)
  z = baseline(start, targets, 0.5, 5)
  assert z.shape == start.shape
  assert np.isfinite(z).all()
  again = baseline(start, targets, 0.5, 5)
  np.testing.assert_array_equal(z, again)
  if name == 'prior':
    np.testing.assert_array_equal(z, start)
  else:
    assert (z != start).any()


def test_rejection_keeps_the_nearest_of_its_tries(bench, built, asked):
  start, targets = asked
  z = built('rejection')(start, targets, 0.5, 5)
  before, after = (_missed(bench, x, targets) for x in (start, z))
  assert (after <= before).all()
  assert (after < before).any()


@pytest.mark.slow
def test_latent_ascent_comes_nearer(bench, built, asked):
  start, targets = asked
  z = built('latent ascent')(start, targets, 0.5, 5)
  before, after = (_missed(bench, x, targets) for x in (start, z))
  assert np.median(after) < np.median(before)


@pytest.mark.slow
def test_refinement_comes_nearer_whoever_is_beside(bench, asked):
  start, targets = asked
  tunes = bench.model.decode(start, 0.5, 5)
  before = bench.model.move(tunes, targets)
  after = bench.model.move(tunes, targets, updates=12, seed=5)
  missed = [_missed(bench, z, targets) for z in (before, after)]
  assert np.mean(missed[1]) < np.mean(missed[0])
  few = bench.model.move(tunes[:3], targets.take(slice(3)), updates=12, seed=5)
  np.testing.assert_array_equal(few, after[:3])


@pytest.mark.slow
def test_attribute_vectors_raise_what_they_are_named_after(bench, built, asked):
  start, targets = asked
  baseline = built('attribute vectors')
  for name, low, high, measure in (
    ('mean_pitch', 60.0, 74.0, melody.mean_pitch),
    ('onsets_per_bar', 3.0, 11.0, melody.onsets_per_bar),
  ):
    sung = []
    for value in (low, high):
      asked_for = targets._replace(
        **{name: np.full(len(start), value, np.float32)}
      )
      z = baseline(start, asked_for, 0.5, 5)
      sung.append(np.nanmean(measure(bench.model.decode(z, 0.5, 5))))
    assert sung[1] > sung[0] + 0.2 * (high - low), name


def test_a_real_melody_meets_its_own_condition(bench):
  """Its progression holds more of its notes than those of other emotions do."""
  tokens = bench.tokens[:8]
  moved, own = latent_constraints.own_conditions(tokens, bench.emotions)
  rates = melody.chord_tone_rate(moved, own.chord_tone_weights, own.chord_mask)
  for fit in conditions.Condition.of(bench.emotions).chord_tone_weights:
    for key in range(12):
      other = melody.chord_tone_rate(
        tokens, np.roll(fit, key, 1), own.chord_mask
      )
      assert (other <= rates + 1e-9).all()
  np.testing.assert_array_equal(
    melody.onsets_per_bar(moved), melody.onsets_per_bar(tokens)
  )


def test_a_hit_misses_by_nothing():
  wanted = catalogue.load()[:1]
  targets = conditions.Condition.of(wanted * 4)
  measured = {
    'mean_pitch': wanted[0].mean_pitch + np.array([0.0, 1.5, 3.0, np.nan]),
    'onsets_per_bar': np.full(4, wanted[0].onsets_per_bar),
    'chord_tone_rate': np.full(4, 0.62),
    'chord_tones_on_beat': np.array([0.72, np.nan, 0.72, 0.72]),
  }
  off = hits.total_excess(measured, targets)
  np.testing.assert_allclose(off, [0.0, 0.0, 1.0, np.inf], atol=1e-5)


@pytest.mark.slow
def test_baselines_are_compared_side_by_side(bench, tmp_path):
  bench = dataclasses.replace(bench, emotions=tuple(catalogue.load()))
  # Unguided: guided decoding takes several times as long.
  names = ['prior', 'ours unguided', 'ours briefly']
  result, samples = experiment.evaluate(bench, names, 4, [0.5], [0, 1])
  values = result['arms']['ours unguided']['temperatures']['0.5']
  assert len(values['all']['hit_rate']) == 2
  assert set(values['emotions']) == {e.alias for e in bench.emotions}
  # Ours leads the prior by far, and its melodies are as many tunes.
  theirs = result['arms']['prior']['temperatures']['0.5']['all']
  for name in ('chord_tone_rate', 'register_and_density', 'tonic_end'):
    assert np.mean(values['all'][name]) > np.mean(theirs[name]) + 0.2, name
  assert np.mean(values['all']['alike']) < 0.2
  shares = result['arms']['prior']['temperatures']['0.5']['all']
  assert shares['overlap_share'] == shares['diversity_share'] == [1.0, 1.0]
  assert result['arms']['prior']['identity'] == {
    'distance': 0.0,
    'shared_onsets': 1.0,
  }
  assert (
    result['arms']['prior']['temperatures']['0.5']['cpu_per_hit']['over 1']
    is None
    or values['cpu_per_hit']['training excluded'] > 0
  )
  generalization = result['arms']['ours unguided']['generalization']
  assert generalization['excess']['1.0'] < 0.5 * generalization['excess']['0.0']
  assert generalization['interpolation'] > 0.8
  assert samples['ours briefly'].curves['actor/loss']
  text = report.markdown(result)
  for words in ('hit rate', 'recognition', 'CPU seconds per hit', 'gloomy'):
    assert words in text
  report.write(str(tmp_path), result, bench, samples)
  written = {path.name for path in tmp_path.iterdir()}
  assert {'report.md', 'report.json', 'targets_prior.png'} <= written


def test_every_baseline_that_is_listed_can_be_built():
  entry = configuration.load_yaml('arms')
  assert {*entry['arms'], *entry['ablations']} == set(baselines.builders())
