"""The loop of guided decoding, on a decoder that can be seen through."""

import dataclasses

import numpy as np
import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.music import melody
from emotion_musicvae.steering import guidance

# Dice know no melody: there is more to correct than in a decoder's.
SETTINGS = dataclasses.replace(guidance.load_settings(), rounds=6)


class Dice:
  """Draws every token from one distribution, by noise that never changes."""

  def __init__(self, logits, batch, seed=0):
    rng = np.random.default_rng(seed)
    self._logits = logits
    self._noise = rng.gumbel(size=[batch, 256, melody.NUM_TOKENS])
    self.asked = []

  def __call__(self, rows, bias):
    self.asked.append(len(rows))
    scores = self._logits + self._noise[rows]
    if bias is not None:
      scores = scores + bias
    return scores.argmax(axis=2).astype(np.uint8)


def _logits(condition):
  """Notes of the diatonic scale around the middle, and many holds."""
  pitch = np.arange(melody.MIN_PITCH, melody.MAX_PITCH + 1)
  scale = np.isin(pitch % 12, [0, 2, 4, 5, 7, 9, 11])
  logits = np.full(melody.NUM_TOKENS, -20.0)
  logits[melody.HOLD] = 2.5
  logits[melody.FIRST_ONSET :] = np.where(
    scale, -np.square((pitch - 66.0) / 6.0), -20.0
  )
  return logits


@pytest.fixture(scope='module')
def condition():
  emotions = [e for e in catalogue.load() if e.alias in ('peaceful', 'clear')]
  return conditions.Condition.of(emotions * 8).in_canonical_key()[0]


def _hits(tokens, condition):
  measured = hits.measure(tokens, condition)
  return (hits.total_excess(measured, condition) == 0).mean()


def test_it_comes_to_the_targets_and_to_the_close(condition):
  decoder = Dice(_logits(condition), 16)
  plain = decoder(np.arange(16), None)
  guided = guidance.decode(decoder, condition, 1.0, SETTINGS)
  assert _hits(plain, condition) < 0.2
  assert _hits(guided.tokens, condition) > 0.8
  assert hits.closed(guided.tokens, condition.final_tones).all()
  assert (guided.changed > 0).all()
  np.testing.assert_allclose(
    guided.changed, (guided.tokens != plain).mean(axis=1)
  )


def test_nothing_is_guided_at_none(condition):
  decoder = Dice(_logits(condition), 16)
  guided = guidance.decode(decoder, condition, 0.0, SETTINGS)
  assert decoder.asked == [16]
  np.testing.assert_array_equal(
    guided.tokens, Dice(_logits(condition), 16)(np.arange(16), None)
  )
  assert not guided.changed.any()


def test_a_little_changes_little(condition):
  changed = [
    guidance.decode(
      Dice(_logits(condition), 16), condition, x, SETTINGS
    ).changed.mean()
    for x in (0.25, 1.0)
  ]
  assert 0 < changed[0] < changed[1]


def test_a_melody_is_guided_alike_in_any_company(condition):
  whole = guidance.decode(
    Dice(_logits(condition), 16), condition, 1.0, SETTINGS
  )
  decoder = Dice(_logits(condition), 16)
  alone = guidance.decode(
    lambda rows, bias: decoder(rows + 5, bias),
    condition.take([5, 6]),
    1.0,
    SETTINGS,
  )
  np.testing.assert_array_equal(alone.tokens, whole.tokens[5:7])


def test_what_is_as_it_should_be_is_not_decoded_again(condition):
  decoder = Dice(_logits(condition), 16)
  guidance.decode(decoder, condition, 1.0, SETTINGS)
  assert decoder.asked[:2] == [16, 16]
  assert decoder.asked[-1] < 16


def test_a_bar_that_returns_is_played_again(condition):
  loop = conditions.Condition.of([catalogue.Emotion(chords='C Am F G')] * 4)
  tokens = guidance.decode(
    Dice(_logits(loop), 4), loop, 1.0, SETTINGS
  ).tokens.reshape(4, 16, 16)
  same = (tokens[:, [4, 5, 6, 12, 13, 14]] == tokens[:, [0, 1, 2] * 2]).all(2)
  # But where another round met the chords better.
  assert same.mean() >= 0.9
