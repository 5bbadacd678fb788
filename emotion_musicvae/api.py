"""The Python API: load a model once, then ask it for emotions.

`generate` composes, `transform` moves the user's own melody, `interpolate` goes
from one emotion or melody to another, `variations` stays near a melody.
"""

import collections
import dataclasses
import functools

import numpy as np

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import conditions
from emotion_musicvae.emotions import hits
from emotion_musicvae.emotions import references
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import songs
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram
from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import stock
from emotion_musicvae.steering import actors
from emotion_musicvae.steering import refinement
from emotion_musicvae.steering import training
from emotion_musicvae.support import configuration
from emotion_musicvae.support import ranges
from emotion_musicvae.support.errors import UserError

DRAWS_PER_OUTPUT = 64  # at most, where melodies that miss are rejected
MAX_ENCODED = 4096  # windows of 16 bars whose latent vectors are kept
_QPM = 120.0  # of a melody in a file that does not say


@dataclasses.dataclass(frozen=True)
class Melody:
  """One generated melody.

  Attributes:
    emotion: `catalogue.Emotion` that it was to follow, with its own tempo.
      Where none was named, what the user's melody measures itself, without
      chords.
    note_sequence: `note_seq.NoteSequence` of n bars in 4/4, 16 unless the
      user's melody is longer, with the emotion's tempo, instrument, key and
      chord symbols; see `arrangement.arrange`.
    tokens: [16 n] uint8 tokens that the stock decoder drew, transposed, a
      sixteenth each.
    z: [Z] float32 latent vector it was sung from; [W, Z] where it is longer
      than 16 bars, one for each 16.
    shift: semitones by which it was transposed, see
      `conditions.Condition.in_canonical_key`.
    measured: what it measures, see `measure`.
    reference: what was asked for, under the same names.
    missed: what lies outside the tolerances of `hits`, by the same names, with
      how far outside, in tolerances. Empty for a hit.
    number: which draw of the seed it is, from 0.
  """

  emotion: catalogue.Emotion
  note_sequence: object
  tokens: np.ndarray
  z: np.ndarray
  shift: int
  measured: dict
  reference: dict
  missed: dict
  number: int = 0

  def record(self):
    """What it is and measures, as plain values for a JSON."""
    return {
      'number': self.number,
      'measured': {k: _plain(v) for k, v in self.measured.items()},
      'reference': {k: _plain(v) for k, v in self.reference.items()},
      'missed': list(self.missed),
    }


@dataclasses.dataclass(frozen=True)
class Order:
  """One melody to compose; what comes of it depends on nothing else.

  Attributes:
    emotion: `catalogue.Emotion`.
    seed: integer from 0.
    number: which melody of the seed, from 0.
    temperature: softmax temperature of the decoder.
    intensity: how far to follow the emotion, from 0 to 1.
    song: `songs.Song` to move to the emotion; a melody of the prior when None.
  """

  emotion: catalogue.Emotion
  seed: int
  number: int
  temperature: float
  intensity: float
  song: songs.Song | None = None


@dataclasses.dataclass(frozen=True)
class _Start:
  """Where melodies set out from: one window, or those of the user's melody.

  Attributes:
    z: [W, Z] latent vectors.
    steps: how many of the 256 W steps are to be kept.
    silent: [W] where the user's melody has no note, and is to have none.
    song: `songs.Song`, or None.
  """

  z: np.ndarray
  steps: int = melody.NUM_STEPS
  silent: np.ndarray = dataclasses.field(
    default_factory=lambda: np.zeros(1, bool)
  )
  song: songs.Song | None = None

  def cut(self, windows):
    """Its first windows."""
    return dataclasses.replace(
      self,
      z=self.z[:windows],
      steps=min(self.steps, windows * melody.NUM_STEPS),
      silent=self.silent[:windows],
    )

  def joined(self, tokens):
    """[W, 256] tokens of its windows as one melody of the steps to keep."""
    tokens = tokens.copy()
    tokens[self.silent] = melody.HOLD
    tokens[self.silent, 0] = melody.NOTE_OFF
    return tokens.ravel()[: self.steps]

  def emotion(self, wanted, intensity):
    """What melodies from here are to follow, and at which tempo.

    Tempo goes along with the latent vector, from the song's to the emotion's.
    """
    if self.song is None:
      return wanted
    qpm = self.song.qpm or (wanted.qpm if wanted else _QPM)
    if wanted:
      qpm = qpm ** (1.0 - intensity) * wanted.qpm**intensity
      return dataclasses.replace(wanted, qpm=round(qpm, 6))
    tokens = self.song.tokens[None]
    return catalogue.Emotion(
      self.song.name,
      'melody',
      round(float(melody.mean_pitch(tokens)[0]), 4),
      round(float(melody.onsets_per_bar(tokens)[0]), 4),
      chords=harmony.NO_CHORD,
      qpm=qpm,
      basis='what the melody itself measures',
    )


class EmotionMusicVAE:
  """A MusicVAE whose latent vectors are moved towards an emotion.

  Args:
    config: name of a configuration in `configs/`.
    prefix: prefix of the base model's checkpoint.
    weights: dictionary of Magenta's variables in it.
    fingerprint: of the weights, from `checkpoints.fingerprint`.
    actor: maps [B, Z] latent vectors and [B, F] features to moved vectors; see
      `networks.Actor`.
    max_batch_size: melodies that the decoder sings at once.
  """

  def __init__(
    self, config, prefix, weights, fingerprint, actor, max_batch_size
  ):
    self._config = config
    self._weights = weights
    self._fingerprint = fingerprint
    self._actor = actor
    entry, hparams = configuration.load_model_config(config)
    self.z_size = hparams.z_size
    self._stock = stock.StockModel(
      stock.magenta_config(entry['base'], entry['hparams']),
      prefix,
      weights,
      max_batch_size,
    )
    self._energy = references.energy_reference()
    self._encoded: dict[bytes, np.ndarray] = {}

  @classmethod
  def from_pretrained(
    cls,
    config='hierdec-mel_16bar_lite',
    checkpoint_file=None,
    run_dir=None,
    max_batch_size=8,
    actor_dir=None,
    hparams=None,
    progress=None,
    train_actor=False,
  ):
    """Loads a base model and the actor that was trained for it.

    Args:
      config: name of a configuration in `configs/`.
      checkpoint_file: the base model's checkpoint: a tar, a prefix or one of
        its files. When None the bundled one, or the published one, which is
        fetched once.
      run_dir: folder of a training run of Magenta's or of
        `emotion_musicvae_pretrain`, in place of `checkpoint_file`.
      max_batch_size: melodies that the decoder sings at once.
      actor_dir: run folder of `emotion_musicvae_train` to take the actor from,
        in place of the one that was trained for this checkpoint by default.
      hparams: dictionary of settings over `configs/actor_critic.yaml` for
        `train_actor`.
      progress: makes the progress bar of a training or a download, as `tqdm`
        does.
      train_actor: train an actor first where there is none for this checkpoint.
        That takes up to an hour; it is kept in the cache folder, and resumed
        where it was interrupted.

    Returns:
      An `EmotionMusicVAE`.

    Raises:
      UserError: a checkpoint that is missing, unreadable or of another
        configuration, or an actor of another checkpoint.
      actors.NoActorError: none was trained for this checkpoint.
    """
    with checkpoints.located(
      config, checkpoint_file, run_dir, progress
    ) as prefix:
      weights = checkpoints.load_model(prefix, config)
      fingerprint = checkpoints.fingerprint(weights)
      if actor_dir:
        actor = actors.of_run(actor_dir, fingerprint)
      elif train_actor:
        actor = training.find_or_train(
          config, weights, fingerprint, hparams, progress
        )
      else:
        actor = actors.find(config, fingerprint)
      return cls(config, prefix, weights, fingerprint, actor, max_batch_size)

  def description(self):
    """What the model is, as plain values for a JSON."""
    entry, _ = configuration.load_model_config(self._config)
    return {
      'config': self._config,
      'base': entry['base'],
      'hparams': entry['hparams'],
      'fingerprint': self._fingerprint,
    }

  def generate(
    self,
    emotion=None,
    n=1,
    temperature=0.5,
    seed=0,
    intensity=1.0,
    updates=0,
    reject_misses=False,
    progress=None,
    text=None,
  ):
    """Composes melodies that follow an emotion, or a text.

    Args:
      emotion: name or alias of one of the nine, a word for a feeling, a blend
        of them (see `catalogue.parse`), or an `catalogue.Emotion`.
      n: how many melodies.
      temperature: softmax temperature of the decoder, above 0; lower is
        plainer.
      seed: integer; melody i of a seed is the same whatever `n` is.
      intensity: how far the latent vectors go from where they were drawn, from
        0 (not at all: unconditioned samples) to 1 (all the way).
      updates: how often each latent vector is then retrained by itself, see
        `move`.
      reject_misses: go on drawing until n melodies meet their targets, to
        `DRAWS_PER_OUTPUT` for each; what is missing then is filled up with the
        nearest misses.
      progress: makes the progress bar of the retraining, as `tqdm` does.
      text: what to take the emotion from, in place of `emotion`, in Korean or
        English; its strength multiplies `intensity`.

    Returns:
      List of n `Melody`, in the order of their numbers.

    Raises:
      UserError: an argument out of range, or a text without a feeling.
    """
    _check(n, temperature, seed, intensity, updates=updates)
    if (emotion is None) == (text is None):
      raise UserError('emotion', 'give it or `text`, one of them')
    if text is not None:
      emotion, recognized = catalogue.from_text(text)
      intensity *= recognized.strength
    emotion = _emotion(emotion)

    def draw(numbers):
      orders = [
        Order(emotion, seed, number, temperature, intensity)
        for number in numbers
      ]
      return self.compose(orders, updates, progress)

    return self._drawn(draw, n, reject_misses)

  def compose(self, orders, updates=0, progress=None):
    """Composes a melody for each of N orders, which may differ in everything.

    Args:
      orders: sequence of N `Order`; to be retrained, without songs and of one
        seed, with numbers that count on.
      updates: see `move`.
      progress: makes the progress bar of the retraining, as `tqdm` does.

    Returns:
      List of N `Melody`: what `generate` or `transform` gives for each.
    """
    wanted = [order.emotion for order in orders]
    intensity = np.array([order.intensity for order in orders], np.float32)
    shifts = _shifts(wanted, intensity)
    starts = self._starts(orders, shifts)
    owner = np.repeat(np.arange(len(orders)), [len(s.z) for s in starts])
    z = self._towards(
      np.concatenate([start.z for start in starts]),
      [wanted[i] for i in owner],
      intensity[owner, None],
      updates,
      orders[0].seed,
      orders[0].number,
      progress,
    )
    return self._sung(
      np.split(z, np.flatnonzero(np.diff(owner)) + 1),
      [s.emotion(o.emotion, o.intensity) for s, o in zip(starts, orders)],
      shifts,
      [order.number for order in orders],
      [order.temperature for order in orders],
      [_seeds(o.seed, o.number, 1, len(s.z)) for s, o in zip(starts, orders)],
      starts,
    )

  def transform(
    self,
    song,
    emotion,
    n=1,
    temperature=0.5,
    seed=0,
    intensity=1.0,
    start_bar=None,
    updates=0,
    reject_misses=False,
    progress=None,
  ):
    """Moves the user's melody to an emotion.

    It sets out from the mean of the melody's posterior, 16 bars at a time; the
    pieces are joined again. A melody of fewer bars is repeated until 16 are
    full. 16 bars of silence stay silent.

    Args:
      song: path of a MIDI, MusicXML or ABC file, a `note_seq.NoteSequence`, or
        a `songs.Song`.
      emotion: as in `generate`.
      n: how many takes; they differ in what the decoder draws.
      temperature: as in `generate`.
      seed: integer; take i of a seed is the same whatever `n` is.
      intensity: how far to move it, from 0 (the melody as the model sings it
        back, in its own tempo) to 1 (all the way).
      start_bar: first bar to take, as the file counts them from 1; all of it
        when None.
      updates: as in `generate`.
      reject_misses: as in `generate`.
      progress: as in `generate`.

    Returns:
      List of n `Melody`, as long as the song or 16 bars.

    Raises:
      UserError: an argument out of range, or no melody in the song.
    """
    _check(n, temperature, seed, intensity, updates=updates)
    emotion = _emotion(emotion)
    (shift,) = _shifts([emotion], [intensity])
    start = self._start(song, start_bar, shift)
    moved_to = [emotion] * len(start.z)
    z = self._towards(
      start.z, moved_to, intensity, updates, seed, progress=progress
    )
    wanted = start.emotion(emotion, intensity)

    def draw(numbers):
      count = len(numbers)
      return self._sung(
        np.broadcast_to(z, [count, *z.shape]),
        [wanted] * count,
        [shift] * count,
        numbers,
        [temperature] * count,
        [_seeds(seed, number, 1, len(z)) for number in numbers],
        [start] * count,
      )

    return self._drawn(draw, n, reject_misses)

  def variations(
    self,
    song,
    n=1,
    distance=0.15,
    emotion=None,
    temperature=0.5,
    seed=0,
    intensity=1.0,
    start_bar=None,
  ):
    """Melodies near the user's own.

    Each sets out some way from the melody's latent vector towards a vector of
    its own from the prior.

    Args:
      song: as in `transform`.
      n: how many melodies.
      distance: that way, from 0 (the melody itself) to 1 (any melody).
      emotion: as in `generate`, to move them to; None leaves them as they are.
      temperature: as in `generate`.
      seed: integer; variation i of a seed is the same whatever `n` is.
      intensity: how far to move them to the emotion.
      start_bar: as in `transform`.

    Returns:
      List of n `Melody`.

    Raises:
      UserError: an argument out of range, or no melody in the song.
    """
    _check(n, temperature, seed, intensity, distance)
    emotion = _emotion(emotion)
    (shift,) = _shifts([emotion], [intensity])
    start = self._start(song, start_bar, shift)
    z = []
    for number in range(n):
      other = _draws(_seeds(seed, number, 0, len(start.z)), self.z_size)
      near = slerp(start.z, other, distance)
      z.append(self._towards(near, [emotion] * len(near), intensity))
    return self._sung(
      np.stack(z),
      [start.emotion(emotion, intensity)] * n,
      [shift] * n,
      range(n),
      [temperature] * n,
      [_seeds(seed, number, 1, len(start.z)) for number in range(n)],
      [start] * n,
    )

  def interpolate(
    self,
    emotion=None,
    to_emotion=None,
    song=None,
    to_song=None,
    n=5,
    temperature=0.5,
    seed=0,
    intensity=1.0,
    start_bar=None,
  ):
    """Goes in equal steps from one emotion, or melody, to another.

    Both ends are what `generate` or `transform` give for the same seed. Between
    them the latent vectors go along the great circle, as Magenta's do, and are
    sung with the same noise; the targets are blends of both ends'.

    Args:
      emotion: where to begin, as in `generate`; of a song None leaves it as it
        is.
      to_emotion: where to end; `emotion` when None.
      song: melody to begin with, as in `transform`; one of the prior when None.
      to_song: melody to end with; the one that it begins with when None.
      n: how many melodies, both ends included, at least 2.
      temperature: as in `generate`.
      seed: integer.
      intensity: how far to move both ends to their emotions.
      start_bar: first bar to take of the songs. Of two the shorter one decides
        how long the melodies are, in windows of 16 bars.

    Returns:
      List of n `Melody`.

    Raises:
      UserError: an argument out of range, an end that is not named, or no
        melody in a song.
    """
    _check(n, temperature, seed, intensity)
    ranges.INTERPOLATED_OUTPUTS.check('n', n)
    if to_emotion is None and to_song is None:
      raise UserError('to_emotion', 'name where to end, or `to_song`')
    if emotion is None and song is None:
      raise UserError('emotion', 'name where to begin, or `song`')
    first = emotion = _emotion(emotion)
    last = emotion if to_emotion is None else _emotion(to_emotion)
    shifts = _shifts([first, last], [intensity] * 2)
    if song is None:
      start = end = _Start(_draws(_seeds(seed, 0, 0, 1), self.z_size))
    else:
      start = self._start(song, start_bar, shifts[0])
    if to_song is not None or song is not None:
      end_song = song if to_song is None else to_song
      end = self._start(end_song, start_bar, shifts[1])
    windows = min(len(start.z), len(end.z))
    start, end = start.cut(windows), end.cut(windows)
    shares = np.linspace(0.0, 1.0, n)
    begun = self._towards(start.z, [first] * windows, intensity)
    ended = self._towards(end.z, [last] * windows, intensity)
    z = np.stack([slerp(begun, ended, share) for share in shares])
    first = start.emotion(first, intensity)
    last = end.emotion(last, intensity)
    between = [catalogue.blend([first, last], [1 - x, x]) for x in shares[1:-1]]
    return self._sung(
      z,
      [first, *between, last],
      # A melody has one key: as its chords, that of the nearer end.
      [shifts[int(share > 0.5)] for share in shares],
      [0] * n,
      [temperature] * n,
      [_seeds(seed, 0, 1, windows)] * n,
      [min(start, end, key=lambda x: x.steps)] * n,
    )

  def _start(self, song, start_bar, shift):
    """The `_Start` of the user's melody, `shift` semitones below it."""
    if not isinstance(song, songs.Song):
      song = songs.load_song(song)
    (start,) = self._of_songs([(song.starting(start_bar), shift)])
    return start

  def _starts(self, orders, shifts):
    """The `_Start` of each of N orders: its song's, or a draw of the prior."""
    wanted = [(o.song, shift) for o, shift in zip(orders, shifts)]
    distinct = list(dict.fromkeys(pair for pair in wanted if pair[0]))
    known = dict(zip(distinct, self._of_songs(distinct)))
    return [
      known.get(pair) or _Start(_draws([(o.seed, o.number, 0)], self.z_size))
      for pair, o in zip(wanted, orders)
    ]

  def _of_songs(self, pairs):
    """The `_Start` of each pair of a song and the semitones to go below it."""
    cut = [song.windows() for song, _ in pairs]
    at_home = [
      melody.transpose(windows, np.full(len(windows), -shift))
      for (windows, _), (_, shift) in zip(cut, pairs)
    ]
    means = self._means([window for part in at_home for window in part])
    return [
      _Start(
        np.stack([means[window.tobytes()] for window in part]),
        steps,
        ~(windows >= melody.FIRST_ONSET).any(axis=1),
        song,
      )
      for part, (windows, steps), (song, _) in zip(at_home, cut, pairs)
    ]

  def _means(self, windows):
    """[Z] means of the posterior of [256] windows, by the windows' bytes.

    Encoding costs nearly as much as singing; takes of one song, in however many
    calls, are encoded once.
    """
    wanted = {window.tobytes(): window for window in windows}
    means = {k: self._encoded[k] for k in wanted if k in self._encoded}
    new = [key for key in wanted if key not in means]
    if new:
      found, _ = self._stock.encode(np.stack([wanted[key] for key in new]))
      means.update(zip(new, found))
      self._encoded.update(zip(new, found))
      for key in list(self._encoded)[:-MAX_ENCODED]:
        del self._encoded[key]
    return means

  def _towards(
    self, z, wanted, intensity, updates=0, seed=0, number=0, progress=None
  ):
    """[N, Z] latent vectors moved to N emotions, or left if those are None.

    The intensity is one for all or [N, 1].
    """
    if wanted[0] is None:
      return z
    home, _ = conditions.Condition.of(wanted).in_canonical_key()
    moved = self.move(z, home, updates, seed, number, progress)
    return (1.0 - intensity) * z + intensity * moved

  def _sung(self, z, wanted, shifts, numbers, temperatures, seeds, starts):
    """Melodies of latent vectors, measured against what is wanted.

    Args:
      z: for each of N, [W, Z] float32; the numbers of windows may differ.
      wanted: N `catalogue.Emotion`.
      shifts: N integers, semitones to transpose by.
      numbers: N integers, which draws of their seeds the melodies are.
      temperatures: N softmax temperatures.
      seeds: for each of N, W seeds of the decoder's noise.
      starts: N `_Start`, which say how much is kept.

    Returns:
      List of N `Melody`.
    """
    windows = [len(own) for own in z]
    sung = melody.transpose(
      self._stock.decode(
        np.concatenate(z),
        np.repeat(temperatures, windows),
        [seed for own in seeds for seed in own],
      ),
      np.repeat(shifts, windows),
    )
    tokens = [
      start.joined(own)
      for start, own in zip(starts, np.split(sung, np.cumsum(windows)[:-1]))
    ]
    by_length = collections.defaultdict(list)
    for i, own in enumerate(tokens):
      by_length[len(own)].append(i)
    melodies = {}
    for rows in by_length.values():
      told = self._told([tokens[i] for i in rows], [wanted[i] for i in rows])
      for i, (sequence, measured, missed) in zip(rows, told):
        melodies[i] = Melody(
          wanted[i],
          sequence,
          tokens[i],
          z[i][0] if windows[i] == 1 else z[i],
          int(shifts[i]),
          measured,
          self._reference(wanted[i]),
          missed,
          numbers[i],
        )
    return [melodies[i] for i in range(len(tokens))]

  def _told(self, tokens, wanted):
    """What is told of N melodies of one length.

    Args:
      tokens: N arrays [16 n] of uint8.
      wanted: N `catalogue.Emotion`.

    Yields:
      `(note_sequence, measured, missed)` of each, as in `Melody`.
    """
    tokens, condition = np.stack(tokens), conditions.Condition.of(wanted)
    num_bars = tokens.shape[1] // melody.STEPS_PER_BAR
    measured = measure(tokens, condition)
    off = hits.excess(measured, condition)
    sequences = self._stock.note_sequences(tokens)
    for i, (emotion, sequence) in enumerate(zip(wanted, sequences)):
      yield (
        arrangement.arrange(sequence, emotion, num_bars),
        {name: values[i] for name, values in measured.items()},
        {name: values[i] for name, values in off.items() if values[i]},
      )

  def _reference(self, emotion):
    """What a melody of an emotion should measure."""
    pitch, onsets = emotion.mean_pitch, emotion.onsets_per_bar
    return {
      'mean_pitch': pitch,
      'onsets_per_bar': onsets,
      'chord_tone_rate': 1.0,
      'energy': float(self._energy(pitch, onsets)),
    }

  def _drawn(self, draw, n, reject_misses):
    """The first n melodies, or the first n that meet their targets.

    Args:
      draw: function of a range of numbers to their melodies.
      n: how many.
      reject_misses: see `generate`.
    """
    if not reject_misses:
      return draw(range(n))
    found: list[Melody] = []
    missed: list[Melody] = []
    most = n * DRAWS_PER_OUTPUT
    # Whole batches of the retraining, so that a draw is the same in any part.
    size = -(-self._stock.batch_size // refinement.Refinement.BATCH)
    size *= refinement.Refinement.BATCH
    for first in range(0, most, size):
      for one in draw(range(first, min(first + size, most))):
        (missed if one.missed else found).append(one)
      if len(found) >= n:
        break
      missed = sorted(missed, key=lambda one: sum(one.missed.values()))[:n]
    kept = (found + missed)[:n]
    return sorted(kept, key=lambda one: one.number)

  def move(self, z, condition, updates=0, seed=0, number=0, progress=None):
    """[N, Z] latent vectors moved towards a `conditions.Condition` of N rows.

    Args:
      z: [N, Z] latent vectors.
      condition: in the canonical key, where the actor has learned.
      updates: how often each vector, brought back to a part of the way that the
        actor moved it, is then retrained by itself through the decoder: nearer
        to the targets, and more of what it was. Some 0.015 CPU seconds each,
        and 10 seconds once.
      seed: integer seed of what is sung to learn from.
      number: of the first vector, see `refinement.Refinement`.
      progress: makes the progress bar of the retraining, as `tqdm` does.
    """
    moved = self._moved(z, condition.features())
    if not updates:
      return moved
    return self._refinement(
      z, moved, condition, updates, seed, number, progress
    )

  def _moved(self, z, features):
    """The actor's [N, Z], in batches of one size as the decoder's.

    The last bits of a product may follow from its size, and a melody's may not
    follow from how many others it is composed with.
    """
    size = self._stock.batch_size
    missing = [(0, -len(z) % size), (0, 0)]
    z_full, features = np.pad(z, missing), np.pad(features, missing)
    parts = [
      self._actor(z_full[i : i + size], features[i : i + size]).numpy()
      for i in range(0, len(z_full), size)
    ]
    return np.concatenate(parts)[: len(z)]

  @functools.cached_property
  def _refinement(self):
    hparams, _ = configuration.load_learner(self._config)
    return refinement.Refinement(
      self._weights, hparams, **refinement.load_settings()
    )

  def decode(self, z, temperature, seed):
    """[N, 256] tokens of [N, Z] latent vectors by the stock decoder.

    Row i is drawn with the noise of (seed, i), whatever the other rows are.
    """
    return self._stock.decode(
      z, temperature, [(seed, i, 1) for i in range(len(z))]
    )


def prior(seed, n, z_size):
  """[n, z_size] float32 draws of the prior; row i follows from seed and i."""
  return _draws([(seed, i, 0) for i in range(n)], z_size)


def _seeds(seed, number, kind, windows):
  """Seeds of latent vectors (kind 0) or tokens (1) of a melody's windows."""
  more = [(seed, number, kind, i) for i in range(1, windows)]
  return [(seed, number, kind), *more]


def _draws(seeds, z_size):
  """[N, z_size] float32 draws of the prior, one for each seed."""
  return np.stack(
    [np.random.default_rng(seed).standard_normal(z_size) for seed in seeds]
  ).astype(np.float32)


def slerp(start, end, share):
  """Points on the great circles from some vectors to others.

  Args:
    start: [N, Z].
    end: [N, Z].
    share: how far to go, from 0 to 1.

  Returns:
    [N, Z] of the type of `start`; those of `start` and `end` themselves at 0
    and 1. Vectors in one direction are joined by the straight line.
  """
  if share in (0.0, 1.0):
    return end if share else start
  cosine = np.sum(start * end, axis=1) / (
    np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
  )
  angle = np.arccos(np.clip(cosine, -1.0, 1.0))[:, None]
  straight = np.sin(angle) < 1e-6
  angle = np.where(straight, 1.0, angle)
  from_start, from_end = np.where(
    straight,
    [1.0 - share, share],
    np.sin(angle * [1.0 - share, share]) / np.sin(angle),
  ).T[..., None]
  return (from_start * start + from_end * end).astype(start.dtype)


def measure(tokens, condition):
  """What melodies measure, each as [N] array.

  Args:
    tokens: [N, 16 n] int tokens.
    condition: `conditions.Condition` of N rows, for the chords, which begin
      again every 16 bars.

  Returns:
    Dictionary of `mean_pitch` (MIDI), `onsets_per_bar`, `chord_tone_rate` and
    `energy` (of a spectrogram frame); NaN where there is no note to measure.
  """
  steps = tokens.shape[1]
  weights, mask = condition.chord_tone_weights, condition.chord_mask
  if steps != melody.NUM_STEPS:
    again = np.arange(steps) % melody.NUM_STEPS
    weights, mask = weights[:, again], mask[:, again]
  return {
    'mean_pitch': melody.mean_pitch(tokens),
    'onsets_per_bar': melody.onsets_per_bar(tokens),
    'chord_tone_rate': melody.chord_tone_rate(tokens, weights, mask),
    'energy': spectrogram.energy(tokens),
  }


def _emotion(emotion):
  """An `catalogue.Emotion` as it is, by its name, or None."""
  return catalogue.parse(emotion) if isinstance(emotion, str) else emotion


def _check(n, temperature, seed, intensity, distance=0.0, updates=0):
  """Refuses arguments out of range.

  Raises:
    UserError: names the argument and the range.
  """
  ranges.NUM_OUTPUTS.check('n', n)
  ranges.TEMPERATURE.check('temperature', temperature)
  ranges.SEED.check('seed', seed)
  ranges.INTENSITY.check('intensity', intensity)
  ranges.DISTANCE.check('distance', distance)
  ranges.UPDATES.check('updates', updates)


def _shifts(wanted, intensity):
  """Semitones from the canonical key to each emotion's; 0 where not sought.

  Args:
    wanted: N `catalogue.Emotion` or None.
    intensity: N numbers from 0 to 1.
  """
  emotions = list({*wanted} - {None})
  known = {}
  if emotions:
    condition = conditions.Condition.of(emotions)
    known = dict(zip(emotions, condition.in_canonical_key()[1]))
  return [int(known[e]) if e and x else 0 for e, x in zip(wanted, intensity)]


def _plain(value):
  """A rounded float, or None for NaN, which JSON does not know."""
  return None if np.isnan(value) else round(float(value), 4)
