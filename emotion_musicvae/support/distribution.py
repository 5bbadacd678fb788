"""Updates on several devices or workers, as on one, by `tf.distribute`.

A learner draws a whole batch on the host, the same in every worker. Each
replica takes an equal run of its rows and gives the gradient of a mean over
them; the mean over replicas is then that of the whole batch.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError


def strategy(name: str) -> tf.distribute.Strategy:
  """Makes a strategy; the first thing that a process does with TensorFlow.

  Args:
    name: `one_device`; `mirrored`, on all GPUs of this machine, or its logical
      CPU devices where it has none; or `multi_worker_mirrored`, on the workers
      that the environment variable TF_CONFIG names.

  Returns:
    A `tf.distribute.Strategy`.
  """
  if name == 'one_device':
    return tf.distribute.get_strategy()
  if name == 'mirrored':
    devices = tf.config.list_logical_devices('GPU')
    devices = devices or tf.config.list_logical_devices('CPU')
    return tf.distribute.MirroredStrategy([d.name for d in devices])
  return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process is the one that writes the run's files."""
  resolver = strategy.cluster_resolver
  if resolver is None or not resolver.task_type:
    return True
  return resolver.task_type == 'chief' or (
    resolver.task_id == 0 and 'chief' not in resolver.cluster_spec().jobs
  )


def check_rows(strategy: tf.distribute.Strategy, **rows: int) -> None:
  """Refuses numbers of rows that cannot be shared out equally.

  Args:
    strategy: a `tf.distribute.Strategy`.
    **rows: numbers, by the name of their setting.

  Raises:
    UserError: names the setting and the number of replicas.
  """
  replicas = strategy.num_replicas_in_sync
  for name, number in rows.items():
    if number % replicas:
      raise UserError(
        'hparams',
        messages.say(
          '{name} {number} cannot be shared out to {replicas} devices',
          name=name,
          number=number,
          replicas=replicas,
        ),
        messages.say('take a multiple'),
      )


def share(strategy: tf.distribute.Strategy, arrays: Any, first: int = 0) -> Any:
  """Gives each replica its rows.

  Args:
    strategy: a `tf.distribute.Strategy`.
    arrays: structure of arrays of N rows each.
    first: a number of rows that are shared out by themselves, and stand first
      in every replica, before its share of the others.

  Returns:
    The structure, of values to run a replica's function on.
  """

  def rows(array: Any, replica: int, replicas: int) -> tf.Tensor:
    shares = []
    for part in (array[:first], array[first:]):
      size = len(part) // replicas
      shares.append(part[replica * size : (replica + 1) * size])
    return tf.concat(shares, axis=0)

  return tf.nest.map_structure(
    lambda array: strategy.experimental_distribute_values_from_function(
      lambda context: rows(
        array,
        context.replica_id_in_sync_group,
        context.num_replicas_in_sync,
      )
    ),
    arrays,
  )


def joined(strategy: tf.distribute.Strategy, values: Any) -> Any:
  """The rows of all replicas, in the order in which they were shared out."""
  return tf.nest.map_structure(
    lambda value: strategy.gather(value, axis=0), values
  )


def mean(
  strategy: tf.distribute.Strategy, values: Mapping[str, Any]
) -> dict[str, float]:
  """A dictionary of scalars, each the mean over replicas as a float."""
  return {
    name: float(strategy.reduce('MEAN', value, axis=None))
    for name, value in values.items()
  }


def averaged(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
  """Within a replica's function: gradients averaged over all replicas."""
  return tf.distribute.get_replica_context().all_reduce('MEAN', gradients)
