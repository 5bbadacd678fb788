"""Magenta: its configurations, its TrainedModel, NoteSequences and tokens.

The only module that imports Magenta.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import copy
import functools
import tempfile
import threading
import types
from typing import Any
from typing import TypeAlias
import warnings

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError
from emotion_musicvae.support.lazy import deferred

try:
  # What Magenta needs for other models, data sets and the metrics of training.
  with deferred(
    'tensorflow_datasets', 'tensorflow_probability:distributions', 'tf_slim'
  ):
    from magenta.models.music_vae import base_model
    from magenta.models.music_vae import configs
    from magenta.models.music_vae import lstm_models
    from magenta.models.music_vae import trained_model
except ModuleNotFoundError as e:
  if (e.name or '').partition('.')[0] != 'magenta':
    raise
  raise UserError(
    '',
    messages.say('magenta is not installed'),
    messages.say('type: pip install --no-deps magenta==2.1.4'),
  ) from None

import numpy as np
import numpy.typing as npt
import tensorflow.compat.v1 as tf

from emotion_musicvae.music import melody
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.support import forks

# Of a melody: what `numpy.random.default_rng` takes.
Seed: TypeAlias = int | Sequence[int]

# Melodies whose noise is kept, as they are decoded several times: 45 MiB.
_NOISE_KEPT = 256
# Up to so many units a cell's step is done before a second thread has come.
_UNITS_OF_ONE_THREAD = 512
_building = threading.Lock()


def magenta_config(base: str, hparams: Mapping[str, Any]) -> configs.Config:
  """Magenta's Config of an entry of its CONFIG_MAP, with other sizes.

  Args:
    base: name in CONFIG_MAP, `hierdec-mel_16bar`.
    hparams: mapping of hyperparameters over Magenta's own.

  Returns:
    A fresh `configs.Config`.
  """
  config = copy.deepcopy(configs.CONFIG_MAP[base])
  config.hparams.override_from_dict(hparams)
  return config


class _SeededDecoder(lstm_models.CategoricalLstmDecoder):
  """Magenta's core decoder, drawing its tokens from noise that is given.

  Magenta draws from a random operation inside the graph, which cannot be
  seeded from outside and lets one melody depend on its neighbours in the
  batch. Here the noise is an input: the arg max of logits plus Gumbel noise is
  a draw from their softmax, so that only where randomness comes from differs.
  """

  def build(
    self, hparams: Any, output_depth: int, is_training: bool = True
  ) -> None:
    super().build(hparams, output_depth, is_training)
    # Fed with each run: threads that share a graph each have their own.
    self.noise = tf.placeholder(
      tf.float32, [hparams.batch_size, melody.NUM_STEPS, output_depth]
    )
    self._bar = -1

  def _decode(
    self, z: Any, helper: Any, input_shape: Any, max_length: Any = None
  ) -> Any:
    # The bars are built one after the other, and each runs its own loop.
    self._bar += 1
    draw = helper._sample_fn

    def draw_at(time: Any, outputs: Any, state: Any) -> Any:
      self._step = self._bar * melody.STEPS_PER_BAR + time
      return draw(time, outputs, state)

    helper._sample_fn = draw_at
    return super()._decode(z, helper, input_shape, max_length)

  def _sample(self, rnn_output: Any, temperature: float = 1.0) -> Any:
    noisy = rnn_output / temperature + self.noise[:, self._step]
    return tf.one_hot(tf.argmax(noisy, axis=-1), noisy.shape[-1])


class _Untrained(base_model.MusicVAE):
  """Magenta's MusicVAE, which asks a checkpoint for weights and no step."""

  def build(self, *args: Any, **kwargs: Any) -> None:
    super().build(*args, **kwargs)
    # Only training reads it; restoring would fail where it is not there.
    step = tf.train.get_or_create_global_step()
    tf.get_collection_ref(tf.GraphKeys.GLOBAL_VARIABLES).remove(step)


class _Decoding(_Untrained):
  """Without the half of its graph that encodes."""

  def encode(self, *args: Any) -> types.SimpleNamespace:
    del args
    return types.SimpleNamespace(
      loc=None, scale=types.SimpleNamespace(diag=None), sample=lambda: None
    )


class _Encoding(_Untrained):
  """Without the half of its graph that decodes."""

  def sample(self, *args: Any, **kwargs: Any) -> tuple[None, None]:
    del args, kwargs
    return None, None


class StockModel:
  """Magenta's `TrainedModel` of one checkpoint, with a seed for each melody.

  Args:
    config: from `magenta_config`.
    checkpoint: prefix of a Magenta-format checkpoint.
    weights: mapping of Magenta's variables in it.
    batch_size: melodies that are decoded at once.
  """

  def __init__(
    self,
    config: configs.Config,
    checkpoint: str,
    weights: Mapping[str, npt.NDArray[np.float32]],
    batch_size: int,
  ):
    self.batch_size = batch_size
    self._config = config
    self._converter = config.data_converter
    self._decoder = self._build(_Decoding, checkpoint)
    # The checkpoint may be gone, unpacked as it was, by the time they are used.
    self._encoder_weights = {
      name: value
      for name, value in weights.items()
      if name.startswith('encoder/')
    }
    # TrainedModel builds a copy of the model that it is given.
    self._core = self._decoder._config.model.decoder._core_decoder
    self._building = threading.Lock()

  @property
  def _encoder(self) -> trained_model.TrainedModel:
    with self._building:
      return self._built_encoder

  @functools.cached_property
  def _built_encoder(self) -> trained_model.TrainedModel:
    with tempfile.TemporaryDirectory() as folder:
      prefix = checkpoints.write(folder, 0, self._encoder_weights)
      return self._build(_Encoding, prefix)

  def _build(
    self, half: type[_Untrained], checkpoint: str
  ) -> trained_model.TrainedModel:
    model = half(
      lstm_models.BidirectionalLstmEncoder(),
      lstm_models.HierarchicalLstmDecoder(
        _SeededDecoder(),
        level_lengths=[melody.NUM_BARS, melody.STEPS_PER_BAR],
        disable_autoregression=True,
      ),
    )
    with warnings.catch_warnings():
      # Building warns about the age of Magenta's layers.
      warnings.simplefilter('ignore')
      # Converting the code of layers that need none takes a third of the time.
      build = tf.autograph.experimental.do_not_convert(
        trained_model.TrainedModel
      )
      units = max(self._config.hparams.dec_rnn_size)
      with (
        _one_thread()
        if units <= _UNITS_OF_ONE_THREAD
        else contextlib.nullcontext()
      ):
        return build(
          self._config._replace(model=model),
          batch_size=self.batch_size,
          checkpoint_dir_or_path=checkpoint,
        )

  def decode(
    self,
    z: npt.NDArray[np.floating[Any]],
    temperature: npt.ArrayLike,
    seeds: Sequence[Seed],
    bias: npt.NDArray[np.float32] | None = None,
  ) -> npt.NDArray[np.uint8]:
    """Decodes latent vectors to melodies.

    Args:
      z: [N, Z] latent vectors.
      temperature: softmax temperature above 0, or N of them.
      seeds: N seeds, one per melody, each an integer or a sequence of integers;
        a melody depends on its own latent vector, seed and bias only.
      bias: [N, 256, 90] nats that are added to the logits, over temperature, of
        each token; none when None.

    Returns:
      [N, 256] uint8 tokens.
    """
    forks.check()
    temperature = np.broadcast_to(temperature, [len(z)])
    tokens = []
    for i in range(0, len(z), self.batch_size):
      batch = slice(i, i + self.batch_size)
      noise = np.zeros(self._core.noise.shape, np.float32)
      for k, seed in enumerate(seeds[batch]):
        drawn = _noise(seed if isinstance(seed, int) else tuple(seed))
        if bias is not None:
          drawn = drawn + bias[i + k]
        # The arg max of logits / t + noise, with a t for each melody.
        noise[k] = temperature[i + k] * drawn
      tokens.append(self._decode_batch(z[batch], noise))
    return np.concatenate(tokens).astype(np.uint8)

  def _decode_batch(
    self, z: npt.NDArray[np.floating[Any]], noise: npt.NDArray[np.float32]
  ) -> npt.NDArray[np.intp]:
    """[N, 256] tokens of N vectors, at most a batch of them.

    As `TrainedModel.decode_to_tensors` does, which cannot be given the noise.
    """
    decoder = self._decoder
    one_hot = decoder._sess.run(
      decoder._outputs,
      {
        decoder._temperature: 1.0,
        decoder._z_input: np.pad(z, [(0, len(noise) - len(z)), (0, 0)]),
        decoder._max_length: melody.NUM_STEPS,
        self._core.noise: noise,
      },
    )
    return np.argmax(one_hot[: len(z)], axis=-1)

  def encode(
    self, tokens: melody.Tokens
  ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The posterior of melodies.

    Args:
      tokens: [N, 256] tokens.

    Returns:
      `(mean, deviation)` of the diagonal normal posterior, each [N, Z].
    """
    forks.check()
    one_hot = np.eye(melody.NUM_TOKENS, dtype=np.float32)[tokens]
    _, mean, deviation = self._encoder.encode_tensors(
      list(one_hot), [melody.NUM_STEPS] * len(tokens)
    )
    return mean, deviation

  def note_sequences(self, tokens: melody.Tokens) -> list[Any]:
    """Melodies as NoteSequences.

    Args:
      tokens: [N, T] tokens.

    Returns:
      List of N `note_seq.NoteSequence` at 120 quarter notes a minute.
    """
    one_hot = np.eye(melody.NUM_TOKENS, dtype=bool)[tokens]
    return self._converter.from_tensors(one_hot)


@functools.lru_cache(_NOISE_KEPT)
def _noise(seed: int | tuple[int, ...]) -> npt.NDArray[np.float64]:
  """[256, 90] Gumbel noise of a seed."""
  size = melody.NUM_STEPS, melody.NUM_TOKENS
  noise = np.random.default_rng(seed).gumbel(size=size)
  noise.flags.writeable = False
  return noise


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
  """Has sessions begin that do each operation in one thread.

  Threads that wait for others' parts of small products took two thirds of the
  CPU time of a batch of 8 and a third of one of 64, and saved no time.
  `TrainedModel` takes no settings of its session.
  """
  with _building:
    session = tf.Session
    config = tf.ConfigProto(intra_op_parallelism_threads=1)
    tf.Session = functools.partial(session, config=config)
    try:
      yield
    finally:
      tf.Session = session


def versions() -> dict[str, str]:
  """Versions of the packages that decide the result, by their names."""
  import importlib.metadata  # pylint: disable=g-import-not-at-top

  names = ('magenta', 'note-seq', 'numpy', 'tensorflow')
  return {name: importlib.metadata.version(name) for name in names}
