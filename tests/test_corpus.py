import dataclasses

import numpy as np
import pytest

from emotion_musicvae.files import readers
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.pretraining import corpus
from emotion_musicvae.pretraining import draws
from emotion_musicvae.pretraining import holdout
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError


def test_a_short_tune_is_looped_to_16_bars():
  notes = np.array([[t, 1.0, 60 + t] for t in range(8)], np.float32)
  (window,) = corpus.tune_windows(tunes.Tune('scale', notes, 8.0))
  assert window.shape == (256,)
  np.testing.assert_array_equal(window[:32], window[32:64])
  assert (window[:32:4] + 19).tolist() == list(range(60, 68))
  assert not window[1:4].any()


def test_half_speed_halves_the_onsets():
  notes = np.array([[t / 2, 0.5, 60 + t % 5] for t in range(64)], np.float32)
  tune = tunes.Tune('even', notes, 32.0)
  densities = [
    melody.onsets_per_bar(corpus.tune_windows(tune, s))[0] for s in (1, 2, 4)
  ]
  assert densities == [8.0, 4.0, 2.0]


def test_a_rest_ends_the_note_before_it():
  notes = np.array([[0, 1, 60], [4, 4, 62]], np.float32)
  (window,) = corpus.tune_windows(tunes.Tune('rest', notes, 8.0))
  assert window[0] == 60 - 19
  assert window[4] == melody.NOTE_OFF
  assert window[16] == 62 - 19
  assert not window[17:32].any()


def test_notes_too_short_for_the_grid_leave_the_tune_out():
  notes = np.array([[t / 8, 0.125, 60] for t in range(64)], np.float32)
  assert len(corpus.tune_windows(tunes.Tune('fast', notes, 8.0))) == 0


def _random_tunes(count):
  rng = np.random.default_rng(0)
  for i in range(count):
    notes = np.stack(
      [np.arange(40), np.ones(40), rng.integers(60, 80, 40)], axis=1
    )
    yield tunes.Tune(f'tune {i}', notes.astype(np.float32), 40.0)


def _with_notes(tune, notes):
  return dataclasses.replace(tune, name=tune.name + "'", notes=notes)


def test_a_tune_in_two_keys_is_one_family():
  tunes = list(_random_tunes(20))
  higher = [_with_notes(t, t.notes + np.float32([0, 0, 5])) for t in tunes]
  family = holdout.families(tunes + higher)
  assert len(set(family)) == 20
  np.testing.assert_array_equal(family[:20], family[20:])


def test_nothing_held_out_has_a_variant_on_the_training_side():
  tunes = list(_random_tunes(200))
  # Variants begin on another note, so each would fall on a side of its own.
  variants = []
  for tune in tunes:
    notes = tune.notes.copy()
    notes[0, 2] += 1
    variants.append(_with_notes(tune, notes))
  held_out = holdout.are_held_out(tunes + variants, 3)
  np.testing.assert_array_equal(held_out[:200], held_out[200:])
  alone = holdout.are_held_out(tunes, 3)
  assert 0 < held_out[:200].sum() < alone.sum() < 100


@pytest.mark.slow
def test_the_bundled_corpus_reads_one_collection_nearly_whole():
  path = next(p for p in corpus.folk_files() if 'book2' in p)
  found, refusals = readers.read(path)
  failed = [r for r in refusals if r.reason == tunes.UNREADABLE]
  assert len(found) > 100
  assert len(failed) <= 0.02 * len(found)


def test_rare_densities_are_drawn_more_often():
  sparse = np.zeros([90, 256], np.uint8)
  sparse[:, ::8] = 41
  dense = np.zeros([10, 256], np.uint8)
  dense[:, ::2] = 41
  windows = draws.Windows.balanced(np.concatenate([sparse, dense]), 1.0)
  batch = windows.batch(2000, (57, 79), seed=0, step=0)
  assert np.mean(melody.onsets_per_bar(batch) == 8) == pytest.approx(
    0.5, abs=0.05
  )


def test_batches_follow_from_seed_and_step():
  tokens = np.resize(np.arange(40, 60, dtype=np.uint8), [30, 256])
  windows = draws.Windows.balanced(tokens, 0.5)
  first, again, later, other = (
    windows.batch(4, (57, 79), *at) for at in ((1, 5), (1, 5), (1, 6), (2, 5))
  )
  np.testing.assert_array_equal(first, again)
  assert (first != later).any()
  assert (first != other).any()


def test_a_commonplace_makes_no_family():
  # One in five of each tune's successions is the same scale.
  def tunes(n):
    for i, tune in enumerate(_random_tunes(n)):
      notes = tune.notes[:13].copy()
      notes[:9, 2] = [60, 62, 64, 65, 67, 65, 64, 62, 60]
      notes[9, 2] = i
      yield _with_notes(tune, notes)

  assert len(set(holdout.families(list(tunes(50))))) == 1
  assert len(set(holdout.families(list(tunes(150))))) == 150


def test_the_melodies_of_one_piece_stay_on_one_side():
  tunes = [
    dataclasses.replace(tune, name=f'piece {i // 4}')
    for i, tune in enumerate(_random_tunes(400))
  ]
  held_out = holdout.are_held_out(tunes, 5).reshape(100, 4)
  assert (held_out == held_out[:, :1]).all()
  assert 5 < held_out[:, 0].sum() < 40


def test_a_jig_is_read_where_tunes_in_three_are_asked_for(tmp_path):
  path = tmp_path / 'jig.abc'
  path.write_text(
    'X:1\nT:Jig\nM:6/8\nL:1/8\nK:C\n'
    'G|CDE F2A|c3 G2G|CDE F2A|G3 c2G|CDE F2A|c3 G2G|CDE F2A|G3 c2|]\n',
    'utf-8',
  )
  found, refusals = readers.read(str(path))
  assert not found and refusals[0].reason == tunes.NOT_QUADRUPLE
  (tune,), refusals = readers.read(str(path), triple=True)
  assert not refusals and tune.stretched
  assert tune.quarters == 32  # eight bars of 4/4
  assert tune.notes[:8, 0].tolist() == [-0.5, 0, 1, 1.5, 2, 3.5, 4, 6]
  assert tune.notes[:8, 1].tolist() == [0.5, 1, 0.5, 0.5, 1.5, 0.5, 2, 1.5]


def test_tunes_in_three_are_never_held_out_nor_give_it_away():
  plain = list(_random_tunes(60))
  in_three = [
    dataclasses.replace(_with_notes(t, t.notes + [0, 0, 5]), stretched=True)
    for t in plain
  ]
  hparams = configuration.CorpusHparams(held_out=10, triple=0.5)
  _, alone = corpus.split_windows(plain, hparams)
  train, held_out = corpus.split_windows(plain + in_three, hparams)
  np.testing.assert_array_equal(held_out.tokens, alone.tokens)
  assert not held_out.stretched.any()
  # Their variants in three are left out, and only theirs.
  assert train.stretched.sum() == (~train.stretched).sum() > 0


def test_of_a_handful_of_pieces_one_is_held_out():
  assert holdout.are_held_out(list(_random_tunes(3)), 1000).sum() == 1


def _write(path, body, metre='4/4'):
  path.write_text(f'X:1\nT:x\nM:{metre}\nL:1/8\nK:C\n{body}|]\n')


def test_a_folder_without_melodies_says_why(tmp_path):
  eight = '|'.join(['CDEF GABc'] * 8)
  _write(tmp_path / 'a.abc', '|'.join(['CDEF GABc'] * 4))
  _write(tmp_path / 'b.abc', eight, metre='6/8')
  _write(tmp_path / 'c.abc', eight, metre='3/4')
  (tmp_path / 'd.mxl').write_bytes(b'no zip')
  (tmp_path / 'notes.txt').write_text('no music')
  files = corpus.input_files(str(tmp_path))
  assert len(files) == 4
  with pytest.raises(UserError) as e:
    corpus.load(files, configuration.CorpusHparams(), lambda x, total: x)
  assert str(e.value) == (
    'input_dir: no 16-bar melody among its pieces: 2 not in 4/4, 1 cannot '
    'be read, 1 shorter than 6 bars'
  )


def test_a_single_piece_leaves_nothing_to_hold_out(tmp_path):
  _write(tmp_path / 'a.abc', '|'.join(['CDEF GABc', 'cBAG FEDC'] * 8))
  files = corpus.input_files(str(tmp_path / 'a.abc'))
  with pytest.raises(UserError, match='one piece'):
    corpus.load(files, configuration.CorpusHparams(), lambda x, total: x)


def test_a_folder_without_music_names_the_endings(tmp_path):
  with pytest.raises(UserError, match='input_dir.*\\.mid'):
    corpus.input_files(str(tmp_path))
  with pytest.raises(UserError, match='does not exist'):
    corpus.input_files(str(tmp_path / 'nowhere'))


def test_settings_that_cut_nothing_are_refused():
  with pytest.raises(UserError, match='slowdowns.*above 0'):
    configuration.CorpusHparams(slowdowns=(0.0, 1.0))
  with pytest.raises(UserError, match='mean_pitch.*two numbers'):
    configuration.CorpusHparams(mean_pitch=(60.0,))
  for name in ('aligned', 'triple'):
    with pytest.raises(UserError, match=f'{name}: expected a share.*1.5'):
      configuration.CorpusHparams(**{name: 1.5})


def test_without_a_range_of_pitches_windows_stay_in_their_key():
  tokens = np.resize(np.arange(40, 60, dtype=np.uint8), [1, 256])
  windows = draws.Windows.balanced(tokens, 0.5)
  np.testing.assert_array_equal(windows.batch(1, (), seed=0, step=0), tokens)
