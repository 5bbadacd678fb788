import shutil

import numpy as np
import pytest
from scipy import stats
import tensorflow as tf

from emotion_musicvae.emotions import conditions
from emotion_musicvae.music import melody
from emotion_musicvae.music import metres
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import lstm
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.musicvae import stock
from emotion_musicvae.steering import losses
from emotion_musicvae.support import configuration
from emotion_musicvae.terms import expectation


@pytest.fixture
def z():
  return np.random.default_rng(1).standard_normal([8, 12]).astype(np.float32)


def _stock_logits_and_tokens(stock_model, z, temperature=1.0):
  model = stock_model._decoder
  noise = np.random.default_rng(2).gumbel(size=stock_model._core.noise.shape)
  results = model._sess.run(
    model._decoder_results,
    {
      model._z_input: z,
      model._temperature: temperature,
      model._max_length: 256,
      stock_model._core.noise: noise,
    },
  )
  return results.rnn_output, np.argmax(results.samples, axis=-1)


def test_variables_are_those_of_magentas_graph(stock_model, small_weights):
  names = {
    v.name.removesuffix(':0'): v.shape.as_list()
    for half in (stock_model._decoder, stock_model._encoder)
    for v in half._sess.graph.get_collection('variables')
  }
  assert names == {k: list(v.shape) for k, v in small_weights.items()}


def test_logits_equal_the_stock_decoders(stock_model, small_weights, z):
  logits, tokens = _stock_logits_and_tokens(stock_model, z)
  assert len(np.unique(tokens)) > 20
  ours = hierdec.teacher_forced_logits(small_weights, z, tokens)
  np.testing.assert_allclose(ours, logits, atol=1e-4)


def test_posterior_equals_the_stock_encoders(
  stock_model, small_weights, random_tokens
):
  tokens = random_tokens[:8]
  for ours, theirs in zip(
    hierdec.encode(small_weights, tokens.astype(np.int32)),
    stock_model.encode(tokens),
  ):
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.fixture(
  params=[
    'hierdec-mel_16bar_lite',
    pytest.param('hierdec-mel_16bar', marks=pytest.mark.slow),
  ]
)
def whole(request, tmp_path):
  """The bundled model, and one of random weights at the published size.

  Its weights, and Magenta's own model of them.
  """
  entry, h = configuration.load_model_config(request.param)
  prefix = checkpoints.bundled(request.param)
  if not prefix:
    shapes = hierdec.variable_shapes(h.z_size, h.enc_rnn_size, h.dec_rnn_size)
    prefix = checkpoints.write(
      str(tmp_path), 0, hierdec.initial_weights(shapes, seed=5)
    )
  config = stock.magenta_config(entry['base'], entry['hparams'])
  weights = checkpoints.load_weights(prefix)
  yield weights, stock.StockModel(config, prefix, weights, batch_size=2)
  shutil.rmtree(tmp_path)


def test_at_any_size_logits_posterior_and_samples_are_the_stock_models(
  whole, random_tokens
):
  weights, stock_model = whole
  z_size = hierdec.z_size(weights)
  z = np.random.default_rng(1).standard_normal([2, z_size]).astype(np.float32)
  stock_model.decode(
    z, 1.0, range(2)
  )  # leaves noise behind, so that tokens vary
  logits, tokens = _stock_logits_and_tokens(stock_model, z)
  assert len(np.unique(tokens)) > 5
  ours = hierdec.teacher_forced_logits(weights, z, tokens)
  np.testing.assert_allclose(ours, logits, atol=1e-4)
  posterior = hierdec.encode(weights, random_tokens[:2].astype(np.int32))
  for ours, theirs in zip(posterior, stock_model.encode(random_tokens[:2])):
    # The bundled encoder's projections, whitened, have weights up to 18 and
    # carry rounding with them: computed in float64, the mean is 0.0004 from the
    # stock encoder's and 0.0006 from ours, of values up to 5.
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
  np.testing.assert_array_equal(
    hierdec.sample(weights, z, 1e-6, hierdec.uniform([1, 2], 2)),
    stock_model.decode(z, 1e-6, range(2)),
  )


def test_encoding_in_batches_is_encoding(small_weights, random_tokens):
  tokens = random_tokens[:10]
  batched = posterior.encode(small_weights, tokens, batch_size=4)
  whole = hierdec.encode(small_weights, tokens.astype(np.int32))
  for ours, theirs in zip(batched, whole):
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_near_temperature_zero_samples_agree_token_for_token(
  stock_model, small_weights, z
):
  theirs = stock_model.decode(z + 0.5, 1e-6, range(8))
  ours = hierdec.sample(
    small_weights, z + 0.5, 1e-6, hierdec.uniform([1, 2], 8)
  )
  np.testing.assert_array_equal(ours, theirs)


def test_few_passes_sample_nearly_the_melody(small_weights, z):
  """A bar begun from a guess of the last token differs in few tokens."""
  noise = hierdec.uniform([1, 2], 8)
  melodies = [
    hierdec.sample(small_weights, z, 1.0, noise, max_passes=k).numpy()
    for k in (1, 2, 16)
  ]
  np.testing.assert_array_equal(melodies[0][:, :16], melodies[2][:, :16])
  np.testing.assert_array_equal(melodies[1][:, :32], melodies[2][:, :32])
  off = [(m != melodies[2]).mean() for m in melodies]
  assert off[0] >= off[1]
  assert off[0] < 0.2


def test_token_frequencies_agree_at_temperature_one(stock_model, small_weights):
  """Chi-squared test of homogeneity over the tokens of 1,000 samples.

  Tokens of one melody depend on one another, so each melody gives one token: a
  different step of it, which makes the draws independent.
  """
  z = np.random.default_rng(2).standard_normal([1000, 12]).astype(np.float32)
  theirs = stock_model.decode(z, 1.0, [(0, i) for i in range(1000)])
  ours = tf.function(
    lambda x: hierdec.sample(
      small_weights, x, 1.0, hierdec.uniform([3, 4], 1000)
    )
  )(tf.constant(z)).numpy()
  step = np.arange(1000) % 256
  counts = np.stack(
    [
      np.bincount(t[np.arange(1000), step], minlength=90)
      for t in (theirs, ours)
    ]
  )
  frequent = counts.sum(axis=0) >= 20
  assert frequent.sum() > 10
  assert stats.chi2_contingency(counts[:, frequent]).pvalue > 0.001


def test_a_melody_depends_on_its_own_row_of_numbers_only(small_weights, z):
  noise = hierdec.uniform([1, 2], 8)
  whole = hierdec.sample(small_weights, z, 1.0, noise)
  part = hierdec.sample(small_weights, z[3:6], 1.0, noise[3:6])
  np.testing.assert_array_equal(whole[3:6], part)


def test_equal_seeds_give_equal_melodies(small_weights, z):
  first, again, other = (
    hierdec.sample(small_weights, z, 1.0, hierdec.uniform(seed, 8)).numpy()
    for seed in ([1, 2], [1, 2], [1, 3])
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def _loss(weights, z, tokens):
  logits = hierdec.teacher_forced_logits(weights, z, tokens)
  onsets = expectation.expected_onsets(tf.nn.softmax(logits))
  return tf.reduce_sum(onsets * tf.cast(melody.PITCHES, onsets.dtype) / 100.0)


def test_gradient_of_z_is_that_of_central_differences(
  small_weights, random_tokens
):
  rng = np.random.default_rng(5)
  weights = {k: tf.constant(v, tf.float64) for k, v in small_weights.items()}
  tokens = random_tokens[:3].astype(np.int32)
  z = tf.constant(rng.standard_normal([3, 12]))
  with tf.GradientTape() as tape:
    tape.watch(z)
    loss = _loss(weights, z, tokens)
  gradient = tape.gradient(loss, z)
  for _ in range(5):
    direction = rng.standard_normal([3, 12])
    numeric = (
      _loss(weights, z + 1e-5 * direction, tokens)
      - _loss(weights, z - 1e-5 * direction, tokens)
    ) / 2e-5
    exact = tf.reduce_sum(gradient * direction)
    assert float(exact) == pytest.approx(float(numeric), rel=1e-6)


def test_gradients_of_weights_are_those_of_plain_differentiation(small_weights):
  """The layer's own gradient against TensorFlow's, step by step."""
  rng = np.random.default_rng(6)
  shapes = ([7, 3, 20], [5, 20], [3, 5], [3, 5])
  arguments = [tf.constant(rng.standard_normal(s)) for s in shapes]
  scale = rng.standard_normal([7, 3, 5])

  def unrolled(gates, kernel, c, h):
    outputs = []
    for t in range(7):
      *_, c, _, h = lstm.cell(gates[t] + h @ kernel, c)
      outputs.append(h)
    return tf.stack(outputs)

  results = []
  for layer in (unrolled, lstm.layer):
    with tf.GradientTape() as tape:
      tape.watch(arguments)
      total = tf.reduce_sum(layer(*arguments) * scale)
    results.append(tape.gradient(total, arguments))
  for plain, own in zip(*results):
    np.testing.assert_allclose(own, plain, atol=1e-12)


def test_gradient_of_the_token_kernel_is_that_of_a_one_hot_product():
  rng = np.random.default_rng(7)
  kernel = tf.constant(rng.standard_normal([90, 5]))
  tokens = tf.constant(rng.integers(-1, 90, [40, 3]), tf.int32)
  scale = rng.standard_normal([40, 3, 5])
  results = []
  for rows in (
    lstm.token_rows,
    lambda kernel, tokens: tf.one_hot(tokens, 90, dtype=tf.float64) @ kernel,
  ):
    with tf.GradientTape() as tape:
      tape.watch(kernel)
      values = rows(kernel, tokens)
    results.append((values, tape.gradient(values, kernel, scale)))
  for own, plain in zip(*results):
    np.testing.assert_allclose(own, plain, atol=1e-12)


def test_gradients_of_both_losses_reach_z(small_weights, random_tokens):
  tokens = random_tokens[:4].astype(np.int32)
  condition = conditions.Condition(
    tf.fill([4], 66.0),
    tf.fill([4], 6.0),
    tf.fill([4], 0.5),
    tf.ones([4, 256, 12]) * np.resize([1, 0, 0, 1, 0], 12).astype(np.float32),
    tf.ones([4, 256]),
    tf.one_hot([0] * 4, 12),
    tf.fill([4, 16], -1),
    tf.constant(np.tile(metres.QUADRUPLE.weights(), [4, 1])),
    tf.zeros([4, 0]),
  )
  z = tf.random.stateless_normal([4, 12], [1, 2])
  # Every share of repeated notes costs, so that `motion` has a gradient here.
  for loss in (losses.PitchLoss(free_repeats=0.0), losses.DensityLoss()):
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(z)
      logits = hierdec.teacher_forced_logits(small_weights, z, tokens)
      terms = loss(tf.nn.softmax(logits), condition)
    for name, value in terms.items():
      gradient = tape.gradient(value, z).numpy()
      assert np.isfinite(gradient).all(), name
      assert (np.abs(gradient).sum(axis=1) > 0).all(), name


def test_a_layer_without_a_gradient_gives_the_same_bits():
  rng = np.random.default_rng(0)
  gates, kernel, c, h = (
    tf.constant(rng.standard_normal(shape), tf.float32)
    for shape in ([9, 12, 64], [16, 64], [12, 16], [12, 16])
  )
  np.testing.assert_array_equal(
    lstm.outputs(gates, kernel, c, h), lstm.layer(gates, kernel, c, h)
  )
