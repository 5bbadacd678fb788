"""What melodies of an emotion measure, and the arms side by side.

Every arm sets out from the same latent vectors, its vectors are sung by the
stock decoder with the same noise, and the same functions measure the melodies.
"""

import dataclasses
import itertools
import time

import numpy as np
from scipy import spatial
import tensorflow as tf

from emotion_musicvae import api
from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.evaluation import baselines
from emotion_musicvae.music import melody
from emotion_musicvae.music import similarity
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.steering import actor_critic

# Of each melody, so that its mean over melodies is the arm's.
_CONTROL = (
  'chord_tone_rate',
  'pitch_error',
  'density_error',
  'energy_error',
  'register_and_density',
  'hit_rate',
  'recognition',
  'repeated_notes',
)
_SWEPT = {'mean_pitch': (58.0, 74.0), 'onsets_per_bar': (2.5, 11.5)}
# Shares of the way that vectors go.
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
# How many melodies a cost is spread over, training included.
SPREADS = (1, 100, 10_000)
# Batch of the likelihood and of the encoder.
_BATCH = 32


def control(measured, targets, wanted):
  """How well each melody meets its references.

  Args:
    measured: dictionary of [N] arrays from `describe`.
    targets: `conditions.Condition` of N rows.
    wanted: sequence of `catalogue.Emotion` that a melody may be taken for.

  Returns:
    Dictionary of [N] float64 arrays: `chord_tone_rate`; `pitch_error`, the
    distance of the mean pitch from the reference in semitones; `density_error`
    and `energy_error`, that of the onsets a bar and of the spectrogram energy
    as a share of the reference; `register_and_density` and `hit_rate`, 1 where
    pitch and density are met, and the chord tones too; `recognition`, 1 where
    it is taken for the emotion asked for; `repeated_notes`, the share of notes
    that repeat the one before. NaN where a melody has no note to
    measure; it meets nothing.
  """
  pitch = np.abs(measured['mean_pitch'] - targets.mean_pitch)
  onsets = np.abs(measured['onsets_per_bar'] - targets.onsets_per_bar)
  off = hits.excess(measured, targets)
  both = off['mean_pitch'] + off['onsets_per_bar'] == 0
  chords = off['chord_tone_rate'] == 0
  return {
    'chord_tone_rate': measured['chord_tone_rate'],
    'pitch_error': pitch,
    'density_error': onsets / targets.onsets_per_bar,
    'energy_error': np.abs(
      measured['energy'] / measured['wanted_energy'] - 1.0
    ),
    'register_and_density': both.astype(float),
    'hit_rate': (both & chords).astype(float),
    'recognition': (
      taken_for(measured, wanted) == _index_of(targets, wanted)
    ).astype(float),
    'repeated_notes': measured['repeated_notes'],
  }


def taken_for(measured, wanted):
  """[N] the emotion whose register, density and mode lie nearest to a melody's.

  Distances are in units of the references' standard deviation; the mode counts
  as 1 or 0. -1 where there is no note.

  Args:
    measured: dictionary of [N] arrays from `describe`.
    wanted: sequence of `catalogue.Emotion`.
  """
  known = np.array(
    [(e.mean_pitch, e.onsets_per_bar, e.mode == 'major') for e in wanted], float
  )
  scale = np.maximum(known.std(axis=0), 1e-6)
  found = np.stack(
    [measured[k] for k in ('mean_pitch', 'onsets_per_bar', 'major')], axis=1
  )
  away = np.square((found[:, None] - known) / scale).sum(axis=2)
  nearest = np.nan_to_num(away, nan=np.inf).argmin(axis=1)
  return np.where(np.isnan(away).any(axis=1), -1, nearest)


def _index_of(targets, wanted):
  known = conditions.Condition.of(wanted).features()
  away = np.abs(targets.features()[:, None] - known).max(axis=2)
  return np.where(away.min(axis=1) < 1e-6, away.argmin(axis=1), -2)


def describe(tokens, targets):
  """What melodies measure: `api.measure` and more, each as [N] array.

  Args:
    tokens: [N, 256] int tokens.
    targets: `conditions.Condition` of N rows, for the chords and the energy.

  Returns:
    Dictionary of arrays; `major` is 1 where the notes fit a major key better
    than a minor one, 0 elsewhere, NaN where there is none.
  """
  return {
    **api.measure(tokens, targets),
    'wanted_energy': targets.energy,
    'repeated_notes': melody.repeated_notes(tokens),
    'major': np.array([baselines.is_major(row) for row in tokens], float),
  }


class Judge:
  """Measures sets of melodies against real ones.

  Args:
    weights: dictionary of Magenta's variables of the base model.
    held_out: [M, 256] int tokens of real tunes that it has not learned from.
    known: [K, 256] int tokens of tunes that it has learned from.
    seed: integer seed.
  """

  def __init__(self, weights, held_out, known, seed=0):
    self._weights = {k: tf.constant(v) for k, v in weights.items()}
    self.held_out = held_out
    self._known = known
    mean, deviation = posterior.encode(weights, held_out)
    noise = np.random.default_rng((seed, 4)).standard_normal(mean.shape)
    self.posterior = (mean + deviation * noise).astype(np.float32)

  def __call__(self, tokens, z):
    """Dictionary of floats that say how a set of melodies fares as music.

    `overlap`, the mean overlap area with held-out tunes over
    `similarity.MUSICALITY`; `mmd`, the squared maximum mean discrepancy of the
    latent vectors from the posterior of held-out tunes (Gretton et al. 2012),
    Gaussian kernel as wide as the median distance; `norm`, their mean length
    over that of the latter; `surprise`, nats a note under the base model, each
    melody from its own encoding; `exact_repeats`, how many melodies equal an
    earlier one; `longest_shared`, the most bars in a row that one has in common
    with a tune of the package.
    """
    areas = similarity.overlap(tokens, self.held_out, similarity.MUSICALITY)
    real = self.posterior
    length = np.linalg.norm(real, axis=1).mean()
    return {
      'overlap': float(np.mean(list(areas.values()))),
      'mmd': discrepancy(z[:: max(1, len(z) // len(real))], real),
      'norm': float(np.linalg.norm(z, axis=1).mean() / length),
      'surprise': self._surprise(tokens),
      'exact_repeats': len(tokens) - len(np.unique(tokens, axis=0)),
      'longest_shared': int(similarity.shared_bars(tokens, self._known).max()),
    }

  def _surprise(self, tokens):
    padded = np.pad(tokens, [(0, -len(tokens) % _BATCH), (0, 0)])
    nats = np.concatenate(
      [
        self._nats(tf.constant(padded[i : i + _BATCH], tf.int32)).numpy()
        for i in range(0, len(padded), _BATCH)
      ]
    )[: len(tokens)]
    return float(nats.sum() / max(1, (tokens >= melody.FIRST_ONSET).sum()))

  @tf.function(jit_compile=True)
  def _nats(self, tokens):
    mean, _ = hierdec.encode(self._weights, tokens)
    logits = hierdec.teacher_forced_logits(self._weights, mean, tokens)
    return tf.reduce_sum(
      tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits), axis=1
    )


def discrepancy(a, b):
  """Squared maximum mean discrepancy of two sets of vectors, unbiased.

  Args:
    a: [N, D] vectors.
    b: [M, D] vectors; the kernel is as wide as their median distance.
  """
  width = np.median(spatial.distance.pdist(b))

  def kernel(distances):
    return np.exp(-np.square(distances) / (2.0 * width**2)).mean()

  return float(
    kernel(spatial.distance.pdist(a))
    + kernel(spatial.distance.pdist(b))
    - 2.0 * kernel(spatial.distance.cdist(a, b))
  )


def diversity(tokens):
  """Mean share of steps in which two of [N, 256] melodies differ."""
  return float(spatial.distance.pdist(tokens, 'hamming').mean())


def diversity_of_tunes(wanted, n):
  """Diversity of the real tunes nearest to each emotion in density.

  Sparse melodies share the steps at which nothing begins, so that the fewer
  notes are asked for, the less any two melodies can differ.

  Args:
    wanted: sequence of `catalogue.Emotion`.
    n: tunes per emotion, each moved to the emotion's mean pitch.

  Returns:
    Dictionary of alias to `diversity`.
  """
  tunes = references.load_melodies()
  onsets = melody.onsets_per_bar(tunes)
  result = {}
  for e in wanted:
    nearest = np.argsort(np.abs(onsets - e.onsets_per_bar), kind='stable')[:n]
    result[e.alias] = diversity(
      melody.transpose_to(tunes[nearest], np.full(n, e.mean_pitch))
    )
  return result


def evaluate(bench, names, n, temperatures, seeds):
  """Every arm, side by side.

  Args:
    bench: `baselines.Bench`.
    names: names of `baselines.builders` to compare.
    n: melodies per emotion, arm and seed, at least 2.
    temperatures: softmax temperatures of the decoder.
    seeds: integer seeds of the latent vectors and of the noise.

  Returns:
    `(result, samples)`. The result is plain, for a JSON: under `arms` for each
    arm its `training_cpu` in seconds, `cpu_per_melody`, `sweeps`, `identity`,
    `beyond` and under `temperatures` by temperature `emotions` (alias to
    measure to a list with one value a seed), `all` and `cpu_per_hit`. The
    samples are the `Run` of each arm at the first temperature and seed.
  """
  tunes = np.mean(list(diversity_of_tunes(bench.wanted, n).values()))
  builders = baselines.builders()
  judge = Judge(
    bench.weights, references.load_held_out(), references.load_melodies()
  )
  result, samples = {}, {}
  for name in names:
    began = time.process_time()
    arm = builders[name](bench)
    entry = {'training_cpu': time.process_time() - began, 'temperatures': {}}
    for temperature in temperatures:
      runs = []
      for k in bench.steps(len(seeds), f'{name}, temperature {temperature:g}'):
        runs.append(_run(bench, judge, arm, n, temperature, seeds[k]))
      entry['temperatures'][f'{temperature:g}'] = _summary(bench, runs, entry)
      if temperature == temperatures[0]:
        curves = getattr(arm, 'curves', None)
        samples[name] = dataclasses.replace(runs[0], curves=curves)
        entry['cpu_per_melody'] = float(np.mean([r.cpu for r in runs]))
    entry['sweeps'] = _sweeps(bench, arm, temperatures[0])
    entry['identity'] = _identity(bench, judge, arm, temperatures[0])
    entry['beyond'] = _beyond(bench, arm, temperatures[0])
    result[name] = entry
  for entry in result.values():
    _relate(entry, result.get('prior'), tunes)
  return {'melodies': n, 'seeds': list(seeds), 'arms': result}, samples


@dataclasses.dataclass(frozen=True)
class Run:
  """Melodies of one arm, temperature and seed, emotion by emotion.

  Attributes:
    z: [9 n, Z] latent vectors.
    tokens: [9 n, 256].
    measured: dictionary of [9 n] arrays from `describe`.
    scores: dictionary of [9 n] arrays from `control`.
    music: dictionary of floats from `Judge`.
    diversity: [9] of each emotion.
    cpu: seconds of processor time a melody.
    curves: scalars of its training by name, or None.
  """

  z: np.ndarray
  tokens: np.ndarray
  measured: dict
  scores: dict
  music: dict
  diversity: np.ndarray
  cpu: float
  curves: dict = None


def _run(bench, judge, arm, n, temperature, seed):
  wanted = [e for e in bench.wanted for _ in range(n)]
  targets = conditions.Condition.of(wanted)
  start = api.prior(seed, len(wanted), bench.real[0].shape[1])
  began = time.process_time()
  z, tokens = _sung(bench, arm, start, targets, temperature, seed)
  cpu = (time.process_time() - began) / len(wanted)
  measured = describe(tokens, targets)
  by_emotion = tokens.reshape(len(bench.wanted), n, -1)
  return Run(
    z,
    tokens,
    measured,
    control(measured, targets, bench.wanted),
    judge(tokens, z),
    np.array([diversity(group) for group in by_emotion]),
    cpu,
  )


def _sung(bench, arm, start, targets, temperature, seed):
  """Latent vectors of an arm and their melodies, in the key of the targets."""
  home, shift = targets.in_canonical_key()
  z = arm(start, home, temperature, seed)
  return z, melody.transpose(bench.model.sing(z, temperature, seed), shift)


def _summary(bench, runs, entry):
  count = len(bench.wanted)

  def by_emotion(run):
    rows = {
      name: np.nanmean(values.reshape(count, -1), axis=1)
      for name, values in run.scores.items()
    }
    return {**rows, 'diversity': run.diversity}

  tables = [by_emotion(run) for run in runs]
  rate = np.mean([run.scores['hit_rate'].mean() for run in runs])
  cpu = np.mean([run.cpu for run in runs])
  return {
    'emotions': {
      e.alias: {name: [float(t[name][i]) for t in tables] for name in tables[0]}
      for i, e in enumerate(bench.wanted)
    },
    'all': {
      **{name: [float(t[name].mean()) for t in tables] for name in tables[0]},
      **{
        f'worst_{name}': [float(t[name].min()) for t in tables]
        for name in ('register_and_density', 'hit_rate')
      },
      **{
        name: [float(run.music[name]) for run in runs] for name in runs[0].music
      },
    },
    'cpu_per_hit': {
      'training excluded': _per(cpu, rate),
      **{
        f'over {spread}': _per(cpu + entry['training_cpu'] / spread, rate)
        for spread in SPREADS
      },
    },
  }


def _per(cpu, rate):
  return float(cpu / rate) if rate else None


def _relate(entry, prior, tunes):
  """Adds what is read as a share of the prior's own, and of real tunes'."""
  for temperature, values in entry['temperatures'].items():
    shown = values['all']
    shown['diversity_beside_tunes'] = [x / tunes for x in shown['diversity']]
    if prior:
      own = prior['temperatures'][temperature]['all']
      for name in ('overlap', 'diversity'):
        shown[f'{name}_share'] = [a / b for a, b in zip(shown[name], own[name])]


def _sweeps(bench, arm, temperature, n=64):
  """Correlation of each target with what is measured, over its range."""
  result = {}
  for name, (low, high) in _SWEPT.items():
    wanted = [
      dataclasses.replace(bench.wanted[i % len(bench.wanted)], **{name: value})
      for i, value in enumerate(np.linspace(low, high, n))
    ]
    targets = conditions.Condition.of(wanted)
    start = api.prior(0, n, bench.real[0].shape[1])
    _, tokens = _sung(bench, arm, start, targets, temperature, 0)
    measured = api.measure(tokens, targets)[name]
    sung = np.isfinite(measured)
    result[name] = float(
      np.corrcoef(getattr(targets, name)[sung], measured[sung])[0, 1]
    )
  return result


def _identity(bench, judge, arm, temperature, n=63):
  """How much of real melodies is left when they are moved.

  Returns:
    Dictionary of `distance`, the root mean square of z' - z0, and
    `shared_onsets`, the share of steps at which either melody begins a note and
    both do.
  """
  wanted = [bench.wanted[i % len(bench.wanted)] for i in range(n)]
  start = judge.posterior[:n]
  wanted = wanted[: len(start)]
  home, _ = conditions.Condition.of(wanted).in_canonical_key()
  z = arm(start, home, temperature, 0)
  before, after = (
    bench.model.sing(x, temperature, 0) >= melody.FIRST_ONSET
    for x in (start, z)
  )
  return {
    'distance': float(np.sqrt(np.square(z - start).mean())),
    'shared_onsets': float(
      (before & after).sum() / max(1, (before | after).sum())
    ),
  }


def _beyond(bench, arm, temperature, n=90):
  """Control where no emotion stands: targets not trained on, blends, strength.

  Returns:
    Dictionary of `unseen_hits`, the share of hits among n targets drawn from
    the trained range; `blends_between`, the share of even blends whose mean
    pitch, or density, lies between those measured of both emotions, where these
    are further apart than the tolerances of a hit; and `missed`, how far
    melodies are from a hit on average (see `hits.total_excess`), by strength.
  """
  hparams = dataclasses.replace(
    bench.hparams, emotion_share=0.0, forecast_batch_size=n
  )
  # Drawn at home, as the trained ones are, then taken to any key.
  rng = np.random.default_rng(5)
  drawn = actor_critic.ConditionSampler(bench.wanted, hparams)(rng)
  keys = rng.integers(12, size=n)
  unseen = drawn.with_chords_transposed(keys)
  start = api.prior(5, n, bench.real[0].shape[1])
  _, tokens = _sung(bench, arm, start, unseen, temperature, 0)
  met = hits.total_excess(api.measure(tokens, unseen), unseen) == 0

  each = n // len(bench.wanted)
  nine = conditions.Condition.of([e for e in bench.wanted for _ in range(each)])
  start = api.prior(6, len(nine.mean_pitch), bench.real[0].shape[1])
  by_strength = []
  for s in _STRENGTHS:

    def part_of_the_way(z, *rest, s=s):
      return (1.0 - s) * z + s * arm(z, *rest)

    _, tokens = _sung(bench, part_of_the_way, start, nine, temperature, 0)
    by_strength.append(api.measure(tokens, nine))
  missed = [
    float(np.minimum(hits.total_excess(measured, nine), 10.0).mean())
    for measured in by_strength
  ]
  return {
    'unseen_hits': float(met.mean()),
    'blends_between': _between(bench, arm, temperature, by_strength[-1]),
    'missed': dict(zip(map(str, _STRENGTHS), missed)),
  }


def _between(bench, arm, temperature, nine, each=3):
  pairs = list(itertools.combinations(range(len(bench.wanted)), 2))
  blends = [
    catalogue.parse(
      ','.join(f'{bench.wanted[i].alias}:1' for i in pair), bench.wanted
    )
    for pair in pairs
  ]
  targets = conditions.Condition.of([e for e in blends for _ in range(each)])
  start = api.prior(7, len(targets.mean_pitch), bench.real[0].shape[1])
  _, tokens = _sung(bench, arm, start, targets, temperature, 0)
  measured = api.measure(tokens, targets)
  found = []
  for name, apart in (
    ('mean_pitch', lambda pair: 2.0 * hits.PITCH_TOLERANCE),
    (
      'onsets_per_bar',
      lambda pair: sum(
        hits.density_tolerance(bench.wanted[i].onsets_per_bar) for i in pair
      ),
    ),
  ):
    ends = np.nanmean(nine[name].reshape(len(bench.wanted), -1), axis=1)
    blended = np.nanmean(measured[name].reshape(len(pairs), each), axis=1)
    for pair, value in zip(pairs, blended):
      low, high = sorted(ends[list(pair)])
      if high - low > apart(pair):
        found.append(low < value < high)
  return float(np.mean(found)) if found else None


def markdown(result):
  """The tables of `evaluate`'s result."""
  entries = result['arms']
  lines = [
    f'{result["melodies"]} melodies per emotion, arm and seed, seeds '
    + ', '.join(map(str, result['seeds']))
    + '; mean over seeds ± standard deviation.',
  ]
  for temperature in next(iter(entries.values()))['temperatures']:
    rows = {
      arm: entry['temperatures'][temperature] for arm, entry in entries.items()
    }
    names = list(dict.fromkeys(k for row in rows.values() for k in row['all']))
    lines += ['', f'Temperature {temperature}', '']
    lines += _table(
      'measure',
      list(rows),
      [
        (_words(name), [_spread(r['all'].get(name)) for r in rows.values()])
        for name in names
      ],
    )
    lines += ['', 'CPU seconds per hit', '']
    lines += _table(
      'training',
      list(rows),
      [
        (spread, [_number(r['cpu_per_hit'][spread]) for r in rows.values()])
        for spread in next(iter(rows.values()))['cpu_per_hit']
      ],
    )
    shown = 'ours' if 'ours' in rows else next(iter(rows))
    lines += ['', f'{shown}, by emotion, temperature {temperature}', '']
    by_emotion = rows[shown]['emotions']
    names = list(next(iter(by_emotion.values())))
    lines += _table(
      'emotion',
      [_words(name) for name in names],
      [
        (alias, [_spread(values[name]) for name in names])
        for alias, values in by_emotion.items()
      ],
    )
  lines += [
    '',
    'Cost, sweeps (correlation of target and measured), identity',
    '',
  ]
  lines += _table(
    'arm',
    [
      'training, CPU s',
      'CPU s a melody',
      'pitch swept',
      'density swept',
      "distance of z' from z0",
      'shared onsets',
    ],
    [
      (
        arm,
        [
          _number(x)
          for x in (
            entry['training_cpu'],
            entry['cpu_per_melody'],
            *entry['sweeps'].values(),
            *entry['identity'].values(),
          )
        ],
      )
      for arm, entry in entries.items()
    ],
  )
  lines += ['', 'Where no emotion stands; how far from a hit by strength', '']
  lines += _table(
    'arm',
    ['hits, unseen targets', 'blends between']
    + [f'missed by at {s:g}' for s in _STRENGTHS],
    [
      (
        arm,
        [
          _number(x)
          for x in (
            entry['beyond']['unseen_hits'],
            entry['beyond']['blends_between'],
            *entry['beyond']['missed'].values(),
          )
        ],
      )
      for arm, entry in entries.items()
    ],
  )
  return '\n'.join(lines)


def _table(corner, columns, rows):
  return [
    f'| {corner} | ' + ' | '.join(columns) + ' |',
    '| --- |' + ' ---: |' * len(columns),
    *(f'| {name} | ' + ' | '.join(cells) + ' |' for name, cells in rows),
  ]


def _words(name):
  return name.replace('_', ' ')


def _number(value):
  return 'none' if value is None else f'{value:.3g}'


def _spread(values):
  if values is None:
    return ''
  if len(values) == 1:
    return f'{values[0]:.3g}'
  return f'{np.mean(values):.3g} ± {np.std(values):.2g}'
