"""Terms: what they measure, and that both their sides are one."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.emotions import references
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.terms import checks
from emotion_musicvae.terms import own
from emotion_musicvae.terms import registry
from emotion_musicvae.terms.term import columns

# A user's own term, as it stands in a file.
OFFBEAT = """
import numpy as np
from emotion_musicvae.terms.term import Term


class Offbeat(Term):
  name = 'offbeat'
  tolerance = 0.05

  def measure(self, tokens):
    onset = tokens >= 2
    off = onset.reshape(len(onset), -1, 4)[:, :, 1:].sum(axis=(1, 2))
    return off / np.maximum(onset.sum(axis=1), 1)

  def expected(self, probabilities):
    import tensorflow as tf

    onset = tf.reduce_sum(probabilities[:, :, 2:], axis=2)
    off = tf.reduce_sum(tf.reshape(onset, [-1, 64, 4])[:, :, 1:], axis=[1, 2])
    return off / tf.maximum(tf.reduce_sum(onset, axis=1), 1.0)
"""


@pytest.fixture
def fresh(monkeypatch):
  """What is made known here is forgotten afterwards."""
  registry.known()
  monkeypatch.setattr(registry, '_terms', dict(registry._terms))
  monkeypatch.setattr(registry, '_from', dict(registry._from))


@pytest.fixture
def offbeat(fresh, tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(OFFBEAT, encoding='utf-8')
  return own.load([f'{path}:Offbeat'])


def _melody(*notes):
  """[1, 256] tokens of (step, pitch) notes; a pitch of None is silence."""
  tokens = np.zeros([1, 256], np.uint8)
  for step, pitch in notes:
    tokens[0, step] = 1 if pitch is None else pitch - 19
  return tokens


def _measured(name, *notes):
  term = registry.known()[name]
  return columns(term.measure(_melody(*notes)), term)[0]


def test_syncopation_is_what_longuet_higgins_and_lee_count():
  every_beat = [(4 * i, 60) for i in range(64)]
  assert _measured('syncopation', *every_beat) == [0.0]
  # The last eighth of each bar, held over the bar line: from the level of
  # eighths to that of bars are 3 levels.
  held = [(16 * i + 14, 60) for i in range(16)]
  assert _measured('syncopation', *held[:-1]) == [3.0]
  # A note on the beat that follows leaves nothing to hold over.
  assert _measured('syncopation', (14, 60), (16, 62)) == [0.0]
  # The last sixteenth of the second beat, over the half bar: 3 levels, too.
  assert _measured('syncopation', (7, 60), (16, 62)) == [1.5]


def test_articulation_is_the_share_of_the_time_that_sounds():
  staccato = [
    (s, p) for i in range(64) for s, p in ((4 * i, 60), (4 * i + 1, None))
  ]
  assert _measured('articulation', *staccato) == [0.25]
  # Silence before the first note is not between notes.
  assert _measured('articulation', (128, 60)) == [1.0]


def test_a_cadence_is_a_long_note_at_the_end_of_a_phrase():
  ends = [(16 * bar + 8, 60) for bar in (3, 7, 11)]
  assert _measured('cadence', *ends) == [1.0]
  assert _measured('cadence', *((s + 7, 60) for s, _ in ends)) == [0.125]
  assert _measured('cadence', *((s + 4, 60) for s, _ in ends)) == [0.5]


def test_the_line():
  assert _measured('range', (0, 60), (4, 72), (8, 65)) == [12.0]
  rising = [(16 * bar, 60 + 2 * (bar % 4 >= 2)) for bar in range(16)]
  assert _measured('direction', *rising) == [2.0]
  assert _measured('arch', *rising) == [0.0]
  arched = [(16 * bar, 60 + 3 * (bar % 4 in (1, 2))) for bar in range(16)]
  assert _measured('arch', *arched) == [3.0]
  assert _measured('stepwise', (0, 60), (4, 62), (8, 61), (12, 65)) == [2 / 3]


def test_keys():
  scale = [60, 62, 64, 65, 67, 69, 71, 72]
  in_c = [(4 * i, p) for i, p in enumerate(scale * 2)]
  assert _measured('chromaticism', *in_c) == [0.0]
  assert _measured('chromaticism', *in_c[:-1], (60, 66)) == [1 / 16]
  triad = [(4 * i, p) for i, p in enumerate([60, 64, 67, 60] * 16)]
  twelve = [(4 * i, 60 + i % 12) for i in range(60)] + [(240, None)]
  assert _measured('tonal_clarity', *triad) > 0.8
  assert abs(_measured('tonal_clarity', *twelve)) < 0.1


@pytest.mark.parametrize('letters', ['AABA', 'ABAC', 'ABAB', 'ABCD', 'AAAA'])
def test_a_form_is_found_in_what_repeats(letters):
  rng = np.random.default_rng(0)
  phrases = {
    letter: np.where(rng.random(64) < 0.4, rng.integers(38, 60, 64), 0)
    for letter in set(letters)
  }
  tokens = np.concatenate([phrases[x] for x in letters])[None]
  term = registry.known()['form']
  assert term.told(term.measure(tokens)[0]) == letters
  asked = np.array([term.parse(letters)])
  assert term.excess(term.measure(tokens), asked) == [0.0]
  assert term.told(asked[0]) == letters


def test_real_tunes_lie_in_the_range_of_each_term():
  tunes = references.load_melodies()
  for name, values in registry.measure(tunes).items():
    term = registry.known()[name]
    if term.size == 1:
      share = (values >= term.low) & (values <= term.high)
      assert share.mean() > 0.99, name
      # There is something to ask for.
      assert np.ptp(np.percentile(values, [1, 99])) > 2 * term.tolerance, name


MELODIES = strategies.integers(0, 2**32 - 1).map(
  lambda seed: np.random.default_rng(seed)
)


@pytest.mark.slow
@hypothesis.settings(max_examples=4, deadline=None, derandomize=True)
@hypothesis.given(rng=MELODIES, notes=strategies.floats(0.0, 1.0))
def test_both_sides_agree_and_the_key_does_not_matter(rng, notes):
  """250 melodies an example, 1,000 in all, of any density and any register."""
  tokens = rng.integers(2, 90, [250, 256])
  kind = rng.random([250, 256])
  tokens = np.where(kind < notes, tokens, np.where(kind > 0.97, 1, 0))
  tokens = tokens.astype(np.uint8)
  certain = tf.one_hot(tokens, melody.NUM_TOKENS)
  for name, term in registry.known().items():
    measured = columns(term.measure(tokens), term)
    np.testing.assert_allclose(
      columns(term.expected(certain), term),
      measured,
      rtol=1e-4,
      atol=1e-4,
      err_msg=name,
    )
    assert np.isfinite(measured).all()
  inside = np.where(tokens >= 2, 20 + tokens % 30, tokens).astype(np.uint8)
  moved = melody.transpose(inside, np.full(250, 5))
  for name in registry.known():
    np.testing.assert_allclose(
      *(registry.measure(x, [name])[name] for x in (inside, moved)),
      atol=1e-6,
      err_msg=name,
    )


def test_a_users_own_is_checked_as_a_shipped_one_is(offbeat):
  assert offbeat == ['offbeat']
  for name in registry.known():
    checks.check_differentiable(
      registry.known()[name], registry.where_from(name)
    )
  term = registry.known()['offbeat']
  tokens = references.load_melodies()[:100]
  np.testing.assert_allclose(
    term.expected(tf.one_hot(tokens, 90)), term.measure(tokens), atol=1e-5
  )
  assert registry.vector('offbeat=0.4')[-1] == np.float32(0.4)


def test_a_probability_in_between_has_a_gradient():
  tokens = references.load_melodies()[:4]
  soft = tf.Variable(0.9 * tf.one_hot(tokens, 90) + 0.1 / 90)
  for name, term in registry.known().items():
    with tf.GradientTape() as tape:
      target = columns(term.measure(tokens), term) + 0.5
      cost = tf.reduce_sum(
        term.cost(
          tf.reshape(term.expected(soft), [-1, term.size]),
          tf.constant(target, tf.float32),
        )
      )
    gradient = tape.gradient(cost, soft).numpy()
    assert np.isfinite(gradient).all() and gradient.any(), name


@pytest.mark.parametrize(
  ('change', 'says'),
  [
    (("'offbeat'", "'range'"), 'taken'),
    (("'offbeat'", "'mean_pitch'"), 'taken'),
    (("'offbeat'", "'Off beat'"), 'small letters'),
    (
      ('return off / np.maximum(onset.sum(axis=1), 1)', 'return off / 0 * 0'),
      'NaN',
    ),
    (('return off / np.max', 'return onset / np.max'), 'raised'),
    (('.sum(axis=(1, 2))', '.sum(axis=1)[:, :3].reshape(-1)'), 'raised'),
    (('  def measure', '  def measured'), 'NotImplementedError'),
    (('(Term)', ''), 'no subclass'),
    (('import numpy as np', 'import nothing_of_that_name'), 'cannot be loaded'),
    (('class Offbeat', 'class Other'), 'no class Offbeat'),
    (('tolerance = 0.05', 'tolerance = 0'), 'tolerance above 0'),
  ],
)
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_what_will_not_do_is_told_with_its_file_and_class(
  fresh, tmp_path, change, says
):
  from emotion_musicvae.emotions import targets  # noqa: F401  reserves names

  path = tmp_path / 'mine.py'
  path.write_text(OFFBEAT.replace(*change), encoding='utf-8')
  with pytest.raises(UserError, match=says) as e:
    own.load([f'{path}:Offbeat'])
  assert 'mine.py:Offbeat' in str(e.value)
  assert '\n' not in str(e.value)
  assert 'offbeat' not in registry.known()


@pytest.mark.parametrize(
  ('change', 'says'),
  [
    (('return off / tf.', 'return 2.0 * off / tf.'), 'differs'),
    (('tf.reduce_sum(probabilities[:, :, 2:], axis=2)',
      'tf.reduce_sum(tf.round(probabilities[:, :, 2:]), axis=2)'),
     'no gradient'),
    (('return off / tf.maximum(tf.reduce_sum(onset, axis=1), 1.0)',
      'return tf.stack([off, off], axis=1)'), 'shape'),
    (('    import tensorflow as tf\n', ''), 'raised'),
    (('def expected(', 'def by_bar(self, probabilities):\n'
      '    return probabilities[:, :3, 0]\n\n  def expected('), 'by_bar'),
  ],
)  # fmt: skip
def test_a_side_that_cannot_be_trained_is_told(fresh, tmp_path, change, says):
  path = tmp_path / 'mine.py'
  path.write_text(OFFBEAT.replace(*change), encoding='utf-8')
  (name,) = own.load([f'{path}:Offbeat'])
  with pytest.raises(UserError, match=says) as e:
    checks.check_differentiable(
      registry.known()[name], registry.where_from(name)
    )
  assert 'mine.py:Offbeat' in str(e.value)
  assert '\n' not in str(e.value)


@pytest.mark.parametrize(
  ('text', 'says'),
  [
    ('syncopation=9', 'syncopation: expected 0 to 1.5'),
    ('range=wide', 'range: expected 2 to 30'),
    ('form=AAB', 'form: expected a letter for each of four phrases'),
    ('groove=1', "no target is called 'groove'"),
    ('range', 'expected name=value'),
    ('range=nan', 'range: expected 2 to 30'),
  ],
)
def test_a_target_out_of_its_range_is_told(text, says):
  with pytest.raises(UserError, match=says):
    registry.parse(text)


def test_targets_between_others_are_means_where_they_are_asked_for():
  texts = ['range=10,form=AABA', 'range=20,syncopation=0.2', '']
  assert registry.blended(texts, [3.0, 1.0, 6.0]) == (
    'range=12.5,form=AABA,syncopation=0.2'
  )
  assert registry.blended(['', ''], [1.0, 1.0]) == ''


def test_melodies_of_any_length_are_measured():
  tunes = references.load_melodies()[:2]
  long = np.concatenate([tunes[:1], tunes[1:]], axis=1)
  each = registry.measure(tunes)
  for name, values in registry.measure(long).items():
    np.testing.assert_allclose(values[0], each[name].mean(axis=0))
  for values in registry.measure(tunes[:, :64]).values():
    assert np.isfinite(values).all()
