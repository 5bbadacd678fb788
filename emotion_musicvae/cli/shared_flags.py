"""Flags that several commands have, each defined here alone.

A command says which it takes; those that mean another thing there, as the seed
of a training, it defines itself.
"""

from collections.abc import Callable
from typing import Any

from absl import flags

from emotion_musicvae.support import messages

# What is defined here belongs to the command that asks for it.
flags.disclaim_key_flags()

# Of the commands that compose: which model does.
MODEL = ('actor_dir', 'checkpoint_file', 'config', 'prior', 'run_dir')

# Of every command.
_COMMON = ('cache_dir', 'lang', 'log', 'version')

_FLAGS: dict[str, tuple[Callable[..., Any], Any, str]] = {
  'actor_dir': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'Run folder of emotion_musicvae_train to take the actor from, not the '
      'one that belongs to the checkpoint.'
    ),
  ),
  'cache_dir': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'Folder for downloaded checkpoints and actors trained on demand; '
      '~/.cache/emotion_musicvae or $EMOTION_MUSICVAE_CACHE if not given.'
    ),
  ),
  'checkpoint_file': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'Checkpoint of the base model: a .tar, a .ckpt prefix or one of its '
      'files. The bundled one if none is named.'
    ),
  ),
  'config': (
    flags.DEFINE_string,
    'hierdec-mel_16bar_lite',
    messages.mark('Name of the model configuration.'),
  ),
  'distribution_strategy': (
    flags.DEFINE_string,
    'one_device',
    messages.mark(
      'Where to train: one_device, mirrored (all GPUs of this machine) or '
      'multi_worker_mirrored (all machines that TF_CONFIG names).'
    ),
  ),
  'emotions_file': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'YAML file of your own emotions, laid out as configs/emotions.yaml.'
    ),
  ),
  'lang': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'Language of what is said: en or ko. That of the locale if not given.'
    ),
  ),
  'log': (
    flags.DEFINE_string,
    'ERROR',
    messages.mark('What to log: DEBUG, INFO, WARN, ERROR or FATAL.'),
  ),
  'prior': (
    flags.DEFINE_string,
    None,
    messages.mark(
      'Where latent vectors are drawn from: a prior.npz that '
      'emotion_musicvae_pretrain fitted to the checkpoint, or normal for N(0, '
      '1). What lies beside the checkpoint if not given, and N(0, 1) where '
      'nothing does.'
    ),
  ),
  'run_dir': (
    flags.DEFINE_string,
    None,
    messages.mark('Folder of a training run to take the checkpoint from.'),
  ),
  'version': (
    flags.DEFINE_bool,
    False,
    messages.mark('Say the version and stop.'),
  ),
}


def define(*names: str) -> None:
  """Defines flags of a command, and those that every command has.

  Args:
    *names: of flags above.
  """
  for name in (*names, *_COMMON):
    kind, default, text = _FLAGS[name]
    kind(name, default, text)
