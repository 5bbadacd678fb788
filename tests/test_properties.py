"""What holds for every target, blend, progression, melody and sequence."""

import dataclasses
import tempfile

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
import note_seq
import numpy as np
import pytest
import yaml

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import targets
from emotion_musicvae.files import repeats
from emotion_musicvae.files import songs
from emotion_musicvae.files import tunes
from emotion_musicvae.music import harmony
from emotion_musicvae.music import melody
from emotion_musicvae.music import spectrogram
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.support import configuration

# The same examples every time; a minute of others: --hypothesis-seed=…
settings.register_profile('suite', deadline=None, derandomize=True)
settings.load_profile('suite')
few = settings(max_examples=20)

ALIASES = [e.alias for e in catalogue.load()]
SYMBOLS = st.builds(
  '{}{}{}'.format,
  st.sampled_from('ABCDEFG'),
  st.sampled_from(['', '#', 'b']),
  st.sampled_from(['', 'm', '7', 'm7', 'maj7', 'dim', 'aug', 'sus4', 'm7b5']),
)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def progressions(draw):
  bars = draw(st.sampled_from([1, 2, 4, 8, 16]))
  bar = st.lists(SYMBOLS, min_size=1, max_size=2)
  return ' | '.join(
    ' '.join(draw(bar)) for _ in range(bars)
  ) + ' |' * (bars == 1)  # fmt: skip


@st.composite
def references(draw):
  """Emotions that some melody of the model could meet."""
  return catalogue.Emotion(
    name=draw(st.text('가나다라마바사abcxyz -', min_size=1).filter(str.strip)),
    mean_pitch=draw(st.floats(21, 108)),
    onsets_per_bar=draw(st.floats(0.1, 16)),
    mode=draw(st.sampled_from(['major', 'minor'])),
    chords=draw(progressions()),
    qpm=draw(st.floats(10, 400)),
  )


@st.composite
def tokens(draw, every_bar=False):
  """[256] tokens; `every_bar`: each bar begins with a note."""
  row = draw(
    arrays.arrays(
      np.uint8,
      256,
      elements=st.integers(0, 89),
      fill=st.sampled_from([0, 0, 0, 1]),
    )
  )
  if every_bar:
    row[::16] = np.maximum(row[::16], 2)
  return row


def _without_idle_offs(row):
  """Ends of notes where none sounds say nothing: they become holds."""
  row, sounding = row.copy(), False
  for i, token in enumerate(row):
    if token == melody.NOTE_OFF and not sounding:
      row[i] = melody.HOLD
    sounding = token >= melody.FIRST_ONSET or (sounding and token == 0)
  return row


weights = st.integers(0, 1000)
blends = st.lists(
  st.tuples(st.sampled_from(ALIASES), weights), min_size=1, max_size=5
).filter(lambda parts: sum(weight for _, weight in parts))


def _blend(parts, factor=1):
  return catalogue.parse(
    ','.join(f'{name}:{factor * weight}' for name, weight in parts)
  )


@given(blends)
def test_a_blend_lies_between_its_emotions(parts):
  blend = _blend(parts)
  for name in ('mean_pitch', 'onsets_per_bar', 'qpm'):
    values = [getattr(catalogue.find(a), name) for a, w in parts if w]
    assert min(values) - 1e-5 <= getattr(blend, name) <= max(values) + 1e-5
  catalogue.check(blend, 'blend')


@given(blends, st.sampled_from([2, 10, 0.5]))
def test_only_proportions_of_a_blend_count(parts, factor):
  one, other = _blend(parts), _blend(parts, factor)
  for name in ('mean_pitch', 'onsets_per_bar', 'qpm'):
    assert getattr(one, name) == pytest.approx(getattr(other, name), abs=2e-6)
  assert one.chords == other.chords


@given(blends, st.randoms(use_true_random=False))
def test_the_order_of_a_blend_does_not_matter(parts, random):
  shuffled = random.sample(parts, len(parts))
  one, other = _blend(parts), _blend(shuffled)
  for name in ('mean_pitch', 'onsets_per_bar', 'qpm'):
    assert getattr(one, name) == pytest.approx(getattr(other, name), abs=2e-6)


@given(references())
def test_targets_are_taken_as_they_are_typed(emotion):
  text = ','.join(
    f'{name}={getattr(emotion, name)!r}'
    for name in ('mean_pitch', 'onsets_per_bar', 'qpm')
  )
  text += f',mode={emotion.mode},chords={emotion.chords}'
  found = targets.replaced(catalogue.find('gloomy'), text)
  for name in ('mean_pitch', 'onsets_per_bar', 'qpm', 'mode', 'chords'):
    assert getattr(found, name) == getattr(emotion, name)


@given(references())
def test_an_emotion_written_down_is_read_back(emotion):
  with tempfile.NamedTemporaryFile('w', encoding='utf-8') as f:
    yaml.safe_dump({'emotions': [dataclasses.asdict(emotion)]}, f)
    f.flush()
    assert catalogue.load(f.name) == [emotion]


@given(st.dictionaries(st.text('abc_', min_size=1), finite, min_size=1))
def test_settings_written_down_are_read_back(values):
  text = ','.join(f'{name}={value!r}' for name, value in values.items())
  assert {
    name: float(value)
    for name, value in configuration.parse_settings(text).items()
  } == values


@given(progressions())
def test_a_progression_fills_sixteen_bars(text):
  assert len(harmony.bars(text)) == 16
  weights, mask = harmony.chord_tones(text)
  assert weights.shape == (256, 12)
  assert ((weights >= 0) & (weights <= 1)).all()
  # Root, third and fifth at most, and never no note at all.
  assert set((weights > 0).sum(axis=1)) <= {2, 3}
  assert (mask == 1).all()
  half = weights.reshape([32, 8, 12])
  assert (half == half[:, :1]).all()


@given(SYMBOLS, st.integers(1, 11))
def test_transposing_a_chord_turns_its_pitch_classes(symbol, semitones):
  moved = note_seq.transpose_chord_symbol(symbol, semitones)
  one, other = (harmony.chord_tones(s)[0][0] for s in (symbol, moved))
  np.testing.assert_array_equal(np.roll(one, semitones), other)


@given(tokens())
def test_measures_agree_with_each_other(row):
  batch = row[None]
  onsets = row[row >= melody.FIRST_ONSET].astype(float) + 19
  assert melody.onsets_per_bar(batch)[0] * 16 == len(onsets)
  everything = np.ones([256, 12]), np.ones(256)
  energy = spectrogram.energy(batch)[0] * 256
  if not len(onsets):
    assert energy == 0
    assert np.isnan(melody.mean_pitch(batch)[0])
    return
  assert melody.mean_pitch(batch)[0] == pytest.approx(onsets.mean())
  assert melody.chord_tone_rate(batch, *everything)[0] == 1
  # A note adds its first frame and what is left of it in the next ones.
  assert len(onsets) - 1e-9 <= energy < 2 * len(onsets)


@given(tokens(), st.floats(21, 108))
def test_transposing_keeps_rhythm_and_intervals(row, pitch):
  moved = melody.transpose_to(row[None], np.array([pitch]))[0]
  onset = row >= melody.FIRST_ONSET
  np.testing.assert_array_equal(moved[~onset], row[~onset])
  assert len({int(m) - int(r) for m, r in zip(moved[onset], row[onset])}) <= 1
  assert ((moved >= 0) & (moved < melody.NUM_TOKENS)).all()
  assert (moved[onset] >= melody.FIRST_ONSET).all()


@given(tokens(every_bar=True))
def test_a_tune_cut_into_a_window_is_the_tune(row):
  row = _without_idle_offs(row)
  row[-1] = melody.NOTE_OFF  # A verse closes before it is repeated.
  row = _without_idle_offs(row)
  tune = tunes.from_tokens('x', row)
  (window,) = corpus.tune_windows(tune)
  np.testing.assert_array_equal(window, row)


@few
@given(tokens(every_bar=True))
def test_a_melody_written_as_midi_is_read_back(stock_model, row):
  row = _without_idle_offs(row)
  (sequence,) = stock_model.note_sequences(row[None])
  starts = [note.start_time for note in sequence.notes]
  ends = [note.end_time for note in sequence.notes]
  assert len(starts) == (row >= melody.FIRST_ONSET).sum()
  assert all(a <= b for a, b in zip(ends, starts[1:]))  # one voice
  assert max(ends) <= 32
  with tempfile.NamedTemporaryFile(suffix='.mid') as f:
    note_seq.note_sequence_to_midi_file(sequence, f.name)
    found = songs.load_song(f.name).tokens
  # The end of the last note is that of the melody.
  expected = row[: len(found)]
  last = np.flatnonzero(row >= melody.FIRST_ONSET)[-1]
  np.testing.assert_array_equal(found[: last + 1], expected[: last + 1])


MARKS = [
  repeats.DA_CAPO,
  repeats.DAL_SEGNO,
  repeats.SEGNO,
  repeats.TO_CODA,
  repeats.CODA,
  repeats.FINE,
  repeats.AL_FINE,
]
SIGNS = st.builds(
  repeats.Signs,
  forward=st.booleans(),
  times=st.sampled_from([0, 0, 0, 2, 3]),
  endings=st.frozensets(st.integers(1, 3), max_size=2),
  closes=st.booleans(),
  marks=st.sets(st.sampled_from(MARKS), max_size=2),
)


@given(st.lists(SIGNS, max_size=12))
def test_bars_are_played_in_an_order_that_ends(bars):
  order, left = repeats.as_played(bars)
  assert set(order) <= set(range(len(bars)))
  assert len(order) <= len(bars) * (3 + len(MARKS) * 3)
  jumps = sum(len(bar.marks & set(MARKS[:2])) for bar in bars)
  assert len(left) <= jumps
  if bars and not jumps:
    played = dict.fromkeys(order)
    assert list(played) == sorted(played)  # Each for the first time in order.


def test_many_jumps_are_told_at_once():
  bars = [repeats.Signs(marks={repeats.DAL_SEGNO}) for _ in range(100_000)]
  order, left = repeats.as_played(bars)
  assert order == list(range(100_000))
  assert len(left) == 100_000


@few
@given(st.integers(0, 2**63 - 1), st.integers(1, 5))
def test_a_latent_vector_follows_from_seed_and_place(seed, n):
  from emotion_musicvae.api import starts

  def draw(number):
    return starts.normal(starts.latent_seeds(seed, number, 1), 8)[0]

  z = np.stack([draw(number) for number in range(n)])
  np.testing.assert_array_equal(z[0], draw(0))
  assert len(np.unique(z, axis=0)) == n
