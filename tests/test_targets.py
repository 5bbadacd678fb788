"""Targets as they are asked for, and a term of one's own from page to use."""

import json
import pathlib
import re

from conftest import LEARNER
from conftest import requested
import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import references
from emotion_musicvae.emotions import targets
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import plans
from emotion_musicvae.steering import sampling
from emotion_musicvae.steering import training
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import own
from emotion_musicvae.terms import registry

PAGE = pathlib.Path(__file__).parent.parent / 'docs' / 'losses.md'
HPARAMS = configuration.LearnerHparams(**LEARNER)


@pytest.fixture
def fresh(monkeypatch):
  """What is made known here is forgotten afterwards."""
  registry.known()
  monkeypatch.setattr(registry, '_terms', dict(registry._terms))
  monkeypatch.setattr(registry, '_from', dict(registry._from))


def _page_file(folder):
  """The page's Python, saved as the page says."""
  (code,) = re.findall(
    r'^```python\n(.*?)^```', PAGE.read_text(encoding='utf-8'), re.M | re.S
  )
  assert len(code.splitlines()) <= 30
  path = folder / 'my_losses.py'
  path.write_text(code, encoding='utf-8')
  return path


def test_what_suits_an_emotion_is_asked_for_by_name():
  gloomy = catalogue.find('gloomy')
  assert gloomy.targets == ''
  asked = targets.replaced(gloomy, {'range': 'emotion', 'form': 'abac'})
  assert asked.targets == 'range=9,form=abac'
  again = targets.replaced(asked, 'range=20,mean_pitch=70')
  assert again.targets == 'range=20,form=abac'
  assert again.mean_pitch == 70.0
  assert targets.replaced(gloomy, 'cadence=false').cadence is False
  assert targets.replaced(gloomy, 'cadence=0.5').targets == 'cadence=0.5'


def test_each_of_the_nine_has_a_reference_of_every_term_with_a_reason():
  tunes = registry.measure(references.load_melodies())
  for emotion in catalogue.load():
    found = registry.parse(emotion.references)
    assert set(found) == set(registry.known()), emotion.alias
    assert emotion.references_basis
    for name, text in found.items():
      if registry.known()[name].size == 1:
        low, high = np.percentile(tunes[name], [1, 99])
        assert low - 3 <= float(text) <= high + 0.1, (emotion.alias, name)


@pytest.mark.parametrize(
  ('asked', 'says'),
  [
    ('groove=1', "no target is called 'groove'"),
    ('range=99', 'range: expected 2 to 30'),
    ('range=emotion', 'no reference of range'),
  ],
)
def test_what_cannot_be_asked_for_is_told(asked, says):
  with pytest.raises(UserError, match=says):
    targets.replaced(catalogue.Emotion(name='own'), asked)


def test_another_metre_has_no_further_targets():
  emotion = targets.replaced(catalogue.find('peaceful'), 'range=12')
  waltz = catalogue.in_metre(emotion, '3/4')
  with pytest.raises(UserError, match='goes with 4/4'):
    conditions.Condition.of([waltz])


def test_an_emotions_file_asks_for_targets(tmp_path):
  path = tmp_path / 'mine.yaml'
  path.write_text(
    'emotions:\n- {name: a, targets: "form=AABA,range=12"}\n- {name: b}\n'
  )
  a, b = catalogue.load(str(path))
  condition = conditions.Condition.of([a, b])
  asked = [term.name for term in registry.asked(condition.targets)]
  assert asked == ['range', 'form']
  assert np.isnan(condition.targets[1]).all()
  both = conditions.concatenated(
    [conditions.Condition.of([b]), conditions.Condition.of([a])]
  )
  np.testing.assert_array_equal(both.targets[::-1], condition.targets)
  path.write_text('emotions:\n- {name: a, targets: "form=AB"}\n')
  with pytest.raises(UserError, match=r'mine.yaml.*: a: form: expected'):
    catalogue.load(str(path))


def test_a_request_of_a_batch_job_asks_for_targets():
  rows = [
    (1, '', {'emotion': 'gloomy', 'target': 'range=12,form=AABA'}),
    (2, '', {'target': 'range=12'}),
    (3, '', {'emotion': 'gloomy', 'target': 'range=99'}),
  ]
  one, two, three = requested(rows)
  assert one.emotion.targets == 'range=12,form=AABA'
  assert two.emotion.targets == 'range=12'
  assert 'range: expected 2 to 30' in three.reason


@pytest.mark.slow
def test_the_page_builds_a_term_trains_it_and_asks_for_it(
  fresh, monkeypatch, tmp_path, small_weights
):
  """As its commands do, on a model that a test can afford."""
  path = _page_file(tmp_path)
  names = own.load([f'{path}:OffBeat', 'syncopation', 'form'])
  assert names == ['off_beat', 'syncopation', 'form']
  run_dir = str(tmp_path / 'my_actor')

  def learner():
    return training.make_learner(
      small_weights, HPARAMS, 0, run_dir, terms=names
    )

  training.train(learner(), run_dir, 1)
  # A run that was interrupted goes on, and its actor is of use meanwhile.
  training.train(learner(), run_dir, 2)
  prefix = checkpoints.latest(run_dir)
  assert actors.terms_of(prefix) == tuple(names)
  with pytest.raises(UserError, match='trained for the terms off_beat'):
    other = training.make_learner(small_weights, HPARAMS, 0, str(tmp_path))
    training.train(other, run_dir, 3)
  # Another process knows nothing of it but what lies beside the run.
  path.unlink()
  monkeypatch.setattr(registry, '_terms', dict(registry._terms))
  registry._terms.pop('off_beat')
  monkeypatch.setattr(registry, '_from', dict(registry._from))
  registry._from.pop('off_beat')
  with pytest.raises(UserError, match='not known'):
    actors.load(prefix)
  assert own.load_run(run_dir) == ['off_beat']
  actor = actors.of_run(run_dir, checkpoints.fingerprint(small_weights))
  assert actor.terms == tuple(names)
  bright = targets.replaced(catalogue.find('bright'), 'off_beat=0.7')
  condition, _ = conditions.Condition.of([bright] * 4).in_canonical_key()
  features = condition.features(actor.terms)
  assert features.shape == (4, conditions.NUM_FEATURES + 2 * (1 + 1 + 6))
  np.testing.assert_allclose(features[0, -16:-12], [0.4, 1, 0, 0], atol=1e-6)
  assert actor(np.zeros([4, 12], np.float32), features).shape == (4, 12)
  tunes = references.load_held_out()[:4]
  found = plans.refine(
    sampling.adapt(tunes, condition), condition, plans.load_settings()
  )
  np.testing.assert_allclose(
    registry.known()['off_beat'].measure(found), 0.7, atol=0.05
  )


@pytest.mark.slow
def test_a_term_that_turns_out_bad_leaves_the_run_as_it_was(
  fresh, tmp_path, small_weights
):
  path = _page_file(tmp_path)
  run_dir = str(tmp_path / 'run')
  text = path.read_text(encoding='utf-8')
  path.write_text(text.replace('return off / tf', 'return off / 0.0 / tf'))
  names = own.load([f'{path}:OffBeat'])
  with pytest.raises(UserError, match=r'my_losses.py:OffBeat.*differs'):
    training.make_learner(small_weights, HPARAMS, 0, run_dir, terms=names)
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_targets_are_told_from_the_flag_to_the_files(run, tmp_path):
  status, out, err = run(
    'generate',
    '--emotion=peaceful',
    '--target=range=14,form=ABAB,syncopation=emotion',
    '--num_outputs=2',
    '--seed=1',
    '--output_formats=mid,png,html',
    f'--output_dir={tmp_path}',
    cwd=tmp_path,
  )
  assert status == 0, err
  lines = [line for line in out.splitlines() if 'mean pitch' in line]
  assert len(lines) == 2
  assert all(', form ABAB (ABAB)' in line for line in lines)
  assert all('syncopation 0.0' in line for line in lines)
  (record,) = tmp_path.glob('*.json')
  for melody in json.loads(record.read_text())['melodies']:
    assert melody['reference']['form'] == melody['measured']['form'] == 'ABAB'
    assert abs(melody['measured']['range'] - 14) <= 1.5
    assert melody['missed'] == []
  (page,) = tmp_path.glob('*.html')
  assert '형식' in page.read_text(encoding='utf-8')
