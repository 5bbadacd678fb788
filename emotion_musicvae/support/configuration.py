"""Settings: frozen dataclasses, read from YAML, overridden by `a=1,b=2`."""

from collections.abc import Iterator
from collections.abc import Mapping
import copy
import dataclasses
import functools
import importlib.resources
import os
import pathlib
import reprlib
from typing import Any
from typing import TypeVar

import yaml

from emotion_musicvae.support import messages
from emotion_musicvae.support.errors import UserError

_MAX_YAML = 2**20
_Settings = TypeVar('_Settings')
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2


@dataclasses.dataclass(frozen=True)
class ModelHparams:
  """Settings of the model and its training.

  All up to `grad_clip` are Magenta's, under its names. `latched`: start with
  clocks and latches, and hold the clocks still (see `latches`). `sounding`:
  weight at the start of the loss that the bar embeddings alone answer for (see
  `pretraining`). `whiten_every`: updates from one time that the latent vectors
  are brought to the prior to the next (see `whitening`); 0 for never.
  `warmup_steps`: updates over which the learning rate rises to its start.
  """

  z_size: int = 512
  enc_rnn_size: tuple = (2048, 2048)
  dec_rnn_size: tuple = (1024, 1024)
  free_bits: float = 256.0
  max_beta: float = 0.2
  beta_rate: float = 0.0
  batch_size: int = 512
  learning_rate: float = 0.001
  decay_rate: float = 0.9999
  min_learning_rate: float = 0.00001
  grad_clip: float = 1.0
  latched: bool = False
  sounding: float = 0.0
  whiten_every: int = 0
  weight_decay: float = 0.0
  averaging: float = 0.0
  warmup_steps: int = 1

  def fading(self, step: int) -> float:
    """What helps at the start only is left by this share, as the rate is."""
    return self.decay_rate**step


# Of a setting: its name, whether it fits, and what would.
_Rule = tuple[str, Any, str]


def _check(argument: str, settings: Any, *rules: _Rule) -> None:
  """Refuses the first of settings that does not fit."""
  for name, fits, expected in rules:
    if not fits:
      raise UserError(
        argument,
        messages.say(
          '{name}: expected {expected}, got {value}',
          name=name,
          expected=expected,
          value=getattr(settings, name),
        ),
      )


def _above(number: int) -> str:
  return messages.say('above {number}', number=number)


def _shares(settings: Any, *names: str) -> Iterator[_Rule]:
  expected = messages.say('a share, 0 to 1')
  return ((n, 0 <= getattr(settings, n) <= 1, expected) for n in names)


@dataclasses.dataclass(frozen=True)
class CorpusHparams:
  """How tunes become training windows; see configs/ for the meaning."""

  slowdowns: tuple = (1.0,)
  hop_bars: int = 4
  min_bars: int = 6
  onsets_per_bar: tuple = (1.0, 16.0)
  density_balance: float = 0.0
  mean_pitch: tuple = ()
  held_out: int = 20
  one_key: bool = False
  aligned: float = 0.0
  triple: float = 0.0

  def __post_init__(self) -> None:
    """Refuses what no corpus can be cut by."""
    _check(
      'hparams',
      self,
      ('slowdowns', self.slowdowns and min(self.slowdowns) > 0, _above(0)),
      ('hop_bars', self.hop_bars > 0, _above(0)),
      (
        'onsets_per_bar',
        len(self.onsets_per_bar) == 2,
        messages.say('two numbers'),
      ),
      (
        'mean_pitch',
        len(self.mean_pitch) in (0, 2),
        messages.say('two numbers or none'),
      ),
      ('held_out', self.held_out > 1, _above(1)),
      *_shares(self, 'aligned', 'triple'),
    )


@dataclasses.dataclass(frozen=True)
class AugmentationHparams:
  """Shares of the draws that are changed, and how; see configs/."""

  recombined: float = 0.0
  exchanged: float = 0.0
  varied: float = 0.0
  moved: float = 0.0
  octave: float = 0.0
  encoder_noise: float = 0.0
  decoder_dropout: float = 0.0
  decoder_noise: float = 0.0


@dataclasses.dataclass(frozen=True)
class PriorHparams:
  """Settings of the prior; see configs/prior.yaml for what they do."""

  units: int = 384
  batch_size: int = 32
  num_steps: int = 4000
  varied: float = 0.8
  learning_rate: float = 0.003
  weight_decay: float = 0.1
  unheard: float = 0.1
  dropout: float = 0.3
  temperature: float = 0.65

  def __post_init__(self) -> None:
    """Refuses what no prior can be fitted by or drawn at."""
    positive = ('units', 'batch_size', 'learning_rate', 'temperature')
    _check(
      'prior_hparams',
      self,
      *((name, getattr(self, name) > 0, _above(0)) for name in positive),
      *_shares(self, 'varied', 'unheard'),
      ('dropout', 0 <= self.dropout < 1, messages.say('a share below 1')),
    )


@dataclasses.dataclass(frozen=True)
class LearnerHparams:
  """Settings of the actor-critic; see configs/ for what they do."""

  units: int = 512
  critic_units: int = 256
  batch_size: int = 16
  forecast_batch_size: int = 128
  learning_rate: float = 0.001
  decay_rate: float = 0.999
  critic_learning_rate: float = 0.001
  temperature: float = 0.5
  chord: float = 2.0
  close: float = 1.0
  register: float = 6.0
  motion: float = 3.0
  steps: float = 1.0
  density: float = 1.0
  evenness: float = 0.2
  rate: float = 6.0
  further: float = 1.0
  forecast: float = 1.0
  pathwise: float = 1.0
  realism: float = 0.3
  distance: float = 12.0
  real_melodies: int = 1536
  adapted_melodies: int = 3072
  gradient_penalty: float = 10.0
  critic_updates: int = 1
  replay_size: int = 1024
  replay_batch_size: int = 128
  emotion_share: float = 0.5
  mean_pitch: tuple = (60.0, 72.0)
  onsets_per_bar: tuple = (2.5, 11.5)


def config_names() -> list[str]:
  """Names of the model configurations in `configs/`."""
  return sorted(
    path.name[: -len('.yaml')]
    for path in _configs().iterdir()
    if path.name.startswith('hierdec') and path.name.endswith('.yaml')
  )


def load_yaml(name: str) -> dict[str, Any]:
  """Reads `configs/<name>.yaml` into a dictionary."""
  return copy.deepcopy(_parsed(name))


@functools.cache
def _parsed(name: str) -> dict[str, Any]:
  with _configs().joinpath(name + '.yaml').open(encoding='utf-8') as f:
    # libyaml's, where there is one, is many times as fast.
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    return yaml.load(f, Loader=loader)


def load_model_config(name: str) -> tuple[dict[str, Any], ModelHparams]:
  """Reads the configuration of a model.

  Args:
    name: a name from `config_names`.

  Returns:
    `(entry, hparams)`: the whole of `configs/<name>.yaml` as a dictionary, and
    its `ModelHparams`.

  Raises:
    UserError: there is no such configuration.
  """
  if name not in config_names():
    raise UserError(
      'config',
      messages.say('there is no {name!r}', name=name),
      messages.say('there are {known}', known=', '.join(config_names())),
    )
  entry = load_yaml(name)
  values = {**entry['hparams'], **entry.get('training', {})}
  return entry, build(ModelHparams, values, f'configs/{name}.yaml')


def load_learner(
  config: str | None = None, overrides: Mapping[str, Any] | tuple[()] = ()
) -> tuple[LearnerHparams, int]:
  """Settings of the learner, of `configs/actor_critic.yaml`.

  Args:
    config: name of a model configuration, whose own settings go before them.
    overrides: dictionary of settings that go before both.

  Returns:
    `(LearnerHparams, steps to train)`.

  Raises:
    UserError: a setting that there is not, or a value of another type.
  """
  entry = load_yaml('actor_critic')
  own = load_model_config(config)[0].get('actor_critic', {}) if config else {}
  hparams = build(
    LearnerHparams,
    {**entry['hparams'], **own.get('hparams', {}), **dict(overrides)},
    'hparams',
  )
  return hparams, int(own.get('num_steps', entry['num_steps']))


def build(
  cls: type[_Settings], values: Mapping[str, Any], where: str
) -> _Settings:
  """Makes the frozen dataclass `cls` from a dictionary.

  Args:
    cls: a dataclass whose fields all have defaults.
    values: dictionary of field to value; lists become tuples.
    where: what to name in an error, an argument or a file.

  Returns:
    An instance of `cls`.

  Raises:
    UserError: a name that is no field, or a value of another type.
  """
  fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
  result: dict[str, object] = {}
  for name, value in values.items():
    if name not in fields:
      raise UserError(
        where,
        messages.say('no setting is called {name!r}', name=name),
        messages.say('there are {known}', known=', '.join(sorted(fields))),
      )
    default: Any = fields[name].default
    try:
      if isinstance(value, dict):
        raise TypeError
      if isinstance(default, tuple):
        kind = type(default[0]) if default else float
        result[name] = tuple(kind(v) for v in value)
      elif isinstance(default, bool):
        if str(value).lower() not in ('true', 'false'):
          raise ValueError
        result[name] = str(value).lower() == 'true'
      elif isinstance(value, list):
        raise TypeError
      else:
        result[name] = type(default)(value)
    except (TypeError, ValueError, OverflowError):
      # Shortened: aliases let a few lines of YAML stand for terabytes.
      raise UserError(
        where,
        messages.say(
          '{name} takes a value like {default!r}, not {value}',
          name=name,
          default=default,
          value=_SHORT.repr(value),
        ),
      ) from None
  return cls(**result)


def read_yaml(path: str | os.PathLike[str], where: str) -> Any:
  """Reads a YAML file of the user's.

  Args:
    path: the file.
    where: what to name in an error.

  Raises:
    UserError: there is no such file, it is not YAML in UTF-8, or too large.
  """
  try:
    with open(path, encoding='utf-8') as f:
      text = f.read(_MAX_YAML + 1)
    if len(text) > _MAX_YAML:
      raise UserError(
        where,
        messages.say('larger than {max_yaml:,} characters', max_yaml=_MAX_YAML),
      )
    return yaml.safe_load(text)
  except OSError as e:
    raise UserError(
      where,
      messages.say('cannot be read ({reason})', reason=messages.reason(e)),
    ) from None
  except UnicodeDecodeError:
    raise UserError(
      where, messages.say('not UTF-8'), messages.say('save it as UTF-8')
    ) from None
  except RecursionError:
    raise UserError(where, messages.say('lists in lists without end')) from None
  except yaml.YAMLError as e:
    mark = getattr(e, 'problem_mark', None)
    line = ''
    if mark:
      line = messages.say(' (line {number})', number=mark.line + 1)
    raise UserError(where, messages.say('not YAML') + line) from None


def parse_settings(
  text: str, argument: str = 'hparams'
) -> dict[str, str | list[str]]:
  """Splits `a=1,b=[2,3],c=x` into a dictionary of strings and lists.

  Args:
    text: the settings.
    argument: what to name in an error.

  Raises:
    UserError: a part without `=`.
  """
  values: dict[str, str | list[str]] = {}
  rest = text.strip()
  while rest:
    name, equals, rest = rest.partition('=')
    if not equals or not name.strip():
      raise UserError(
        argument,
        messages.say('expected name=value,…, got {value!r}', value=text),
      )
    value: str | list[str]
    if rest.startswith('['):
      inside, bracket, rest = rest[1:].partition(']')
      if not bracket:
        raise UserError(
          argument, messages.say('a [ is not closed in {text!r}', text=text)
        )
      value = [v.strip() for v in inside.split(',') if v.strip()]
      rest = rest.lstrip().removeprefix(',')
    else:
      single, _, rest = rest.partition(',')
      value = single.strip()
    values[name.strip()] = value
    rest = rest.strip()
  return values


def _configs() -> pathlib.Path:
  package = pathlib.Path(str(importlib.resources.files('emotion_musicvae')))
  # In a checkout they stand at its top, where people look.
  installed = package / 'configs'
  return installed if installed.is_dir() else package.parent / 'configs'
