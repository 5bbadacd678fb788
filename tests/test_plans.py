"""Further targets are met by trying, whatever they measure."""

import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.emotions import targets
from emotion_musicvae.music import melody
from emotion_musicvae.steering import plans
from emotion_musicvae.steering import sampling
from emotion_musicvae.terms import registry

SETTINGS = plans.load_settings()


def _planned(asked, n=9):
  """Tunes adapted to the nine emotions with targets, before and after."""
  emotions = catalogue.load()[:n]
  condition, _ = conditions.Condition.of(
    [targets.replaced(e, asked) for e in emotions]
  ).in_canonical_key()
  tunes = references.load_held_out()[:n]
  before = sampling.adapt(plans.revised(tunes, condition), condition)
  return before, plans.refine(before, condition, SETTINGS), condition


@pytest.mark.parametrize(
  'asked',
  [
    'syncopation=0.4',
    'range=16,direction=-2',
    'articulation=0.7,stepwise=0.6,cadence=0.9',
    'form=ABAC,chromaticism=0.1',
    'tonal_clarity=0.9,arch=3',
  ],
)
def test_targets_are_met_and_hits_stay(asked):
  before, after, condition = _planned(asked)
  for name, away in plans.excess(after, condition).items():
    assert (away == 0).mean() >= 0.8, name
  for tokens, least in ((before, 0.5), (after, 0.9)):
    measured = hits.measure(tokens, condition)
    assert (hits.total_excess(measured, condition) == 0).mean() >= least
  assert hits.closed(after, condition.final_tones).all()
  # Most of the tune is still there.
  assert (before == after).mean() > 0.6


def test_what_no_target_is_asked_of_stays():
  before, _, condition = _planned('range=20', 3)
  none = condition._replace(targets=np.full_like(condition.targets, np.nan))
  np.testing.assert_array_equal(plans.refine(before, none, SETTINGS), before)
  none = condition._replace(targets=condition.targets[:, :0])
  np.testing.assert_array_equal(plans.refine(before, none, SETTINGS), before)


def test_a_plan_is_the_same_in_any_company():
  before, after, condition = _planned('syncopation=0.3,direction=1')
  alone = plans.refine(before[4:5], condition.take([4]), SETTINGS)
  np.testing.assert_array_equal(alone[0], after[4])


def test_bars_that_are_held_stay():
  before, _, condition = _planned('syncopation=0.5,range=20', 3)
  held = np.zeros([3, melody.NUM_STEPS], bool)
  held[:, :64] = True
  free = condition._replace(returning=np.full([3, 16], -1))
  after = plans.refine(before, free, SETTINGS, held)
  np.testing.assert_array_equal(after[:, :64], before[:, :64])
  assert (after[:, 64:] != before[:, 64:]).any()


def test_a_form_decides_which_bars_return():
  _, after, condition = _planned('form=ABAB')
  assert (condition.returning[:, 4:8] == -1).all()
  term = registry.known()['form']
  found = [term.told(values) for values in term.measure(after)]
  assert found.count('ABAB') >= 8


def test_what_pulls_against_a_target_is_named():
  """So many notes leave no room for silence between them."""
  emotion = catalogue.find('peaceful')
  asked = targets.replaced(emotion, 'onsets_per_bar=12,articulation=0.4')
  condition, _ = conditions.Condition.of([asked]).in_canonical_key()
  tunes = references.load_held_out()[:1]
  before = sampling.adapt(tunes, condition)
  (after,) = plans.refine(before, condition, SETTINGS)
  assert plans.excess(after[None], condition)['articulation'] > 0
  found = plans.pulls(after, condition, ['articulation'])
  assert found['articulation'][0] == 'onsets_per_bar'
