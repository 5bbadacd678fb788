import numpy as np
import tensorflow.compat.v1 as tf


def _z(n):
  return np.random.default_rng(1).standard_normal([n, 12]).astype(np.float32)


def test_a_melody_depends_on_its_own_vector_and_seed_only(stock_model):
  z = _z(11)
  together = stock_model.decode(z, 1.0, [(5, i) for i in range(11)])
  alone = np.concatenate(
    [stock_model.decode(z[i : i + 1], 1.0, [(5, i)]) for i in range(11)]
  )
  np.testing.assert_array_equal(together, alone)
  assert len(np.unique(together, axis=0)) == 11
  other = stock_model.decode(z, 1.0, [(6, i) for i in range(11)])
  assert (together != other).any(axis=1).all()


def test_each_melody_may_have_a_temperature_of_its_own(stock_model):
  z, seeds = _z(8), [(5, i) for i in range(8)]
  cool, warm = (stock_model.decode(z, t, seeds) for t in (0.2, 1.0))
  both = stock_model.decode(z, [0.2, 1.0] * 4, seeds)
  np.testing.assert_array_equal(both[::2], cool[::2])
  np.testing.assert_array_equal(both[1::2], warm[1::2])
  assert (cool != warm).any(axis=1).all()


def test_the_decoder_of_small_layers_has_one_thread_and_no_other_has(
  stock_model,
):
  session = stock_model._decoder._sess
  assert session._config.intra_op_parallelism_threads == 1
  with tf.Graph().as_default(), tf.Session() as other:
    assert other._config.intra_op_parallelism_threads != 1
