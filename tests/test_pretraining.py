import numpy as np
import pytest

from emotion_musicvae import checkpoints
from emotion_musicvae import configuration
from emotion_musicvae import hierdec
from emotion_musicvae import musicvae
from emotion_musicvae import pretraining

SIZES = {'z_size': 8, 'enc_rnn_size': (16, 16), 'dec_rnn_size': (24, 24)}


def _pretrainer(seed=0):
  hparams = configuration.ModelHparams(
    **SIZES, batch_size=8, learning_rate=0.005, free_bits=8.0, sounding=0.1
  )
  weights = hierdec.initial_weights(hierdec.variable_shapes(**SIZES), seed)
  return pretraining.Pretrainer(hparams, weights, seed)


@pytest.fixture(scope='module')
def windows():
  """Scales up and down from different notes in quarters and eighths."""
  rng = np.random.default_rng(0)
  tokens = np.zeros([64, 256], np.uint8)
  for row in tokens:
    every = int(rng.choice([2, 4]))
    scale = rng.integers(36, 46) + np.array([0, 2, 4, 5, 7, 5, 4, 2])
    row[::every] = np.resize(scale, 256 // every)
  return pretraining.Windows.balanced(tokens, 0.0)


def _run(pretrainer, windows, steps):
  losses = []
  for _ in range(steps):
    batch = windows.batch(8, (60, 70), 0, pretrainer.step_number)
    losses.append(pretrainer.step(batch)['loss'])
  return losses


def test_the_loss_falls(windows):
  losses = _run(_pretrainer(), windows, 40)
  assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_resumed_run_is_the_unbroken_run(windows, tmp_path):
  whole = _pretrainer()
  expected = _run(whole, windows, 8)

  first = _pretrainer()
  _run(first, windows, 5)
  prefix = first.save(str(tmp_path))
  second = _pretrainer(seed=9)
  second._seed = 0
  second.restore(prefix)
  assert second.step_number == 5
  assert _run(second, windows, 3) == pytest.approx(expected[5:], rel=1e-6)
  for name, variable in second.weights.items():
    np.testing.assert_array_equal(variable.numpy(), whole.weights[name].numpy())


def test_a_step_belongs_to_the_note_before():
  tokens = np.zeros([1, 256], np.int32)
  tokens[0, [2, 5, 8]] = [41, 1, 50]  # MIDI 60, a rest, MIDI 69
  sounds = pretraining.sounds(tokens).numpy()[0]
  assert list(sounds[:10]) == [0, 0, 40, 40, 40, 40, 40, 40, 49, 49]
  assert sounds[-1] == 49


def test_magentas_own_model_sings_what_was_trained(windows, tmp_path):
  pretrainer = _pretrainer()
  _run(pretrainer, windows, 5)
  pretrainer.save(str(tmp_path))
  config = musicvae.magenta_config(
    'hierdec-mel_16bar',
    {k: list(v) if isinstance(v, tuple) else v for k, v in SIZES.items()},
  )
  prefix = checkpoints.latest(str(tmp_path))
  stock = musicvae.StockModel(config, prefix, batch_size=2)
  z = np.random.default_rng(0).standard_normal([2, 8]).astype(np.float32)
  weights = checkpoints.load_weights(prefix)
  np.testing.assert_array_equal(
    stock.decode(z, 1e-6, [0, 1]), hierdec.sample(weights, z, 1e-6, [0, 1])
  )


def test_evaluation_tells_a_copy_from_a_guess(windows):
  pretrainer = _pretrainer()
  before = pretraining.evaluate(pretrainer.weights, windows.tokens[:32], 0)
  _run(pretrainer, windows, 60)
  after = pretraining.evaluate(pretrainer.weights, windows.tokens[:32], 0)
  assert after['r_loss'] < before['r_loss']
  assert after['teacher_forced_tokens'] > before['teacher_forced_tokens']
  density = (windows.tokens[:32] > 1).sum() / 32 / 16
  assert after['target_onsets_per_bar'] == pytest.approx(density)
