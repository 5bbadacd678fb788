"""Has TensorFlow run its functions as they are, not compiled by XLA.

Compiling takes 40 CPU seconds for each learner, most of the suite's time, and
what is computed is the same but for rounding. `make test-slow`, and `.ci/run`
with it, runs what is marked `compiled` as users run it, with TESTS_COMPILED=1.
"""

import os


def install():
  """Replaces `tf.function`; call it before modules that use it are imported."""
  if os.environ.get('TESTS_COMPILED'):
    return
  # It says which Keras TensorFlow takes.
  import tensorflow as tf

  import emotion_musicvae  # noqa: F401

  compiled = tf.function

  def function(*args, **settings):
    settings.pop('jit_compile', None)
    return compiled(*args, **settings)

  tf.function = function
