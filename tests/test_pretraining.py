import functools
import json
import os
import re
import subprocess
import sys
import time

from magenta.models.music_vae import trained_model
import note_seq
import numpy as np
import pytest
import tensorflow as tf

from emotion_musicvae.musicvae import checkpoints
from emotion_musicvae.musicvae import hierdec
from emotion_musicvae.musicvae import posterior
from emotion_musicvae.musicvae import prior
from emotion_musicvae.musicvae import stock
from emotion_musicvae.pretraining import draws
from emotion_musicvae.pretraining import measurement
from emotion_musicvae.pretraining import objective
from emotion_musicvae.pretraining import trainer
from emotion_musicvae.support import configuration
from emotion_musicvae.support.errors import UserError

pytestmark = pytest.mark.compiled

SIZES = {'z_size': 8, 'enc_rnn_size': [16, 16], 'dec_rnn_size': [24, 24]}
HPARAMS = {
  **SIZES,
  'batch_size': 8,
  'learning_rate': 0.005,
  'decay_rate': 0.999,
  'free_bits': 8.0,
  'latched': False,
  'sounding': 0.1,
}

# The command, its functions not compiled; see uncompiled.py.
COMMAND = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import uncompiled
uncompiled.install()
from emotion_musicvae.cli import pretrain
pretrain.console_entry_point()
"""


@pytest.fixture(scope='module')
def initial_weights():
  return hierdec.initial_weights(hierdec.variable_shapes(**SIZES), 0)


@pytest.fixture(scope='module')
def _compiled(initial_weights, tmp_path_factory):
  """A pretrainer, whose step is slow to compile, and its first checkpoint."""
  hparams = configuration.build(configuration.ModelHparams, HPARAMS, 'test')
  pretrainer = trainer.Pretrainer(hparams, initial_weights, 0)
  return pretrainer, pretrainer.save(str(tmp_path_factory.mktemp('first')))


@pytest.fixture
def pretrainer(_compiled):
  """A pretrainer that has not learned yet."""
  _compiled[0].restore(_compiled[1])
  return _compiled[0]


@pytest.fixture(scope='module')
def windows():
  """Scales up and down from different notes in quarters and eighths."""
  rng = np.random.default_rng(0)
  tokens = np.zeros([64, 256], np.uint8)
  for row in tokens:
    every = int(rng.choice([2, 4]))
    scale = rng.integers(36, 46) + np.array([0, 2, 4, 5, 7, 5, 4, 2])
    row[::every] = np.resize(scale, 256 // every)
  return draws.Windows.balanced(tokens, 0.0)


def _run(pretrainer, windows, steps):
  losses = []
  for _ in range(steps):
    batch = windows.batch(8, (60, 70), 0, pretrainer.step_number)
    losses.append(pretrainer.step(batch)['loss'])
  return losses


def test_the_loss_falls_and_what_is_learned_is_measured(pretrainer, windows):
  tokens = windows.tokens[:32]
  before = measurement.evaluate(pretrainer.weights, tokens, 0)
  losses = _run(pretrainer, windows, 25)
  assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
  after = measurement.evaluate(pretrainer.weights, tokens, 0)
  assert after['r_loss'] < before['r_loss']
  assert after['teacher_forced_tokens'] > before['teacher_forced_tokens']


def test_the_first_loss_is_that_of_the_weights_given(
  pretrainer, initial_weights, windows
):
  batch = windows.batch(8, (60, 70), 0, 0)

  noise = tf.random.stateless_normal([len(batch), 8], [0, 0])
  z, _ = objective.posterior_sample(initial_weights, batch, noise)
  loss = objective.reconstruction_loss(initial_weights, z, batch)[0]
  assert pretrainer.step(batch)['losses/r_loss'] == pytest.approx(
    np.mean(loss), rel=1e-5
  )


def test_a_step_belongs_to_the_note_before():
  tokens = np.zeros([1, 256], np.int32)
  tokens[0, [2, 5, 8]] = [41, 1, 50]  # MIDI 60, a rest, MIDI 69
  sounds = objective.sounds(tokens).numpy()[0]
  assert list(sounds[:10]) == [0, 0, 40, 40, 40, 40, 40, 40, 49, 49]
  assert sounds[-1] == 49


def test_a_resumed_run_is_the_unbroken_run(pretrainer, windows, tmp_path):
  _run(pretrainer, windows, 5)
  prefix = pretrainer.save(str(tmp_path))
  expected = _run(pretrainer, windows, 3)
  weights = {k: v.numpy() for k, v in pretrainer.weights.items()}
  _run(pretrainer, windows, 4)  # Somewhere else altogether.

  pretrainer.restore(prefix)
  assert pretrainer.step_number == 5
  assert _run(pretrainer, windows, 3) == pytest.approx(expected, rel=1e-6)
  for name, variable in pretrainer.weights.items():
    np.testing.assert_array_equal(variable.numpy(), weights[name])


def test_the_report_sets_samples_beside_real_melodies(pretrainer, windows):
  held_out = windows.batch(64, (), seed=1, step=0)
  found = measurement.report(pretrainer.weights, held_out, windows, (), 0)
  assert {'r_loss', 'kl', 'teacher_forced_onsets'} <= set(found)
  real = found['training tunes']
  assert real['overlap'] > 0.9
  assert real['shared_bars_max'] == 16
  assert found['held-out tunes']['onsets_per_bar'] == pytest.approx(
    np.mean(held_out > 1) * 16
  )
  # Weights that have learned nothing sing noise, which is nobody's tune.
  noise = found['prior at temperature 1']
  assert noise['overlap'] < 0.5
  assert noise['shared_bars_max'] == 0


def _midi(path, seed):
  """Twenty bars of eighths that walk about."""
  sequence = note_seq.NoteSequence(ticks_per_quarter=220)
  rng = np.random.default_rng(seed)
  for i, pitch in enumerate(66 + np.cumsum(rng.integers(-2, 3, 160)) % 12):
    sequence.notes.add(
      pitch=int(pitch), velocity=80, start_time=i / 4, end_time=(i + 1) / 4
    )
  sequence.total_time = 40
  note_seq.note_sequence_to_midi_file(sequence, str(path))


def _flags(run_dir, *flags):
  hparams = ','.join(f'{k}={v}' for k, v in HPARAMS.items())
  return [
    f'--run_dir={run_dir}',
    f'--hparams={hparams}',
    '--prior_hparams=batch_size=8,num_steps=3,units=8',
    *flags,
  ]


@pytest.fixture(scope='module')
def pieces(tmp_path_factory):
  """A folder of MIDI files, one of which is broken."""
  folder = tmp_path_factory.mktemp('midi')
  for seed in range(4):
    _midi(folder / f'{seed}.mid', seed)
  (folder / 'broken.mid').write_bytes(b'MThd and no more')
  return folder


@pytest.fixture(scope='module')
def trained(run, pieces, tmp_path_factory):
  """Run folder of a command, its flags, and what it said."""
  run_dir = tmp_path_factory.mktemp('trained') / 'run'
  flags = _flags(run_dir, f'--input_dir={pieces}', '--num_steps=3')
  status, said, err = run('pretrain', *flags, cwd=run_dir.parent)
  assert status == 0, err
  return run_dir, flags, said


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(
  run, pieces, pretrainer, tmp_path
):
  run_dir, log_path = tmp_path / 'run', tmp_path / 'log'
  flags = _flags(run_dir, f'--input_dir={pieces}', '--eval_every=3')
  with open(log_path, 'w') as log:
    process = subprocess.Popen(
      [sys.executable, '-c', COMMAND, *flags], stdout=log, stderr=log
    )
    try:
      while not (run_dir / 'train' / 'checkpoint').exists():
        assert process.poll() is None, log_path.read_text()
        time.sleep(0.05)
    finally:
      process.kill()
      process.wait()
  status, _, err = run('pretrain', *flags, '--num_steps=8', cwd=tmp_path)
  assert status == 0, err
  prefix = checkpoints.latest(str(run_dir))
  assert prefix.endswith('model.ckpt-8')

  with np.load(run_dir / 'windows.npz') as arrays:
    windows = draws.Windows.balanced(arrays['train'], 0.9)
  for step in range(8):
    pretrainer.step(windows.batch(8, (57, 79), 0, step))
  found = checkpoints.load_weights(prefix)
  for name, variable in pretrainer.weights.items():
    np.testing.assert_allclose(found[name], variable.numpy(), atol=1e-6)


def test_the_prior_is_fitted_to_the_model_that_was_trained(trained):
  run_dir, _, _ = trained
  prefix = checkpoints.latest(str(run_dir))
  own = checkpoints.fingerprint(checkpoints.load_weights(prefix))
  fitted = prior.load(str(run_dir / prior.FILE), own)
  weights = checkpoints.load_weights(prefix)
  encode = functools.partial(posterior.encode, weights)
  assert fitted.vectors([(0, 0), (0, 1)], encode).shape == (2, 8)


@pytest.mark.slow
def test_a_checkpoint_gets_a_prior_and_is_measured_without_training(
  run, pieces, trained, tmp_path
):
  prefix = checkpoints.latest(str(trained[0]))
  run_dir = tmp_path / 'run'
  flags = _flags(
    run_dir, f'--input_dir={pieces}', f'--init_checkpoint={prefix}'
  )
  status, _, err = run('pretrain', *flags, '--mode=prior', cwd=tmp_path)
  assert status == 0, err
  measure = f'--run_dir={run_dir}', '--mode=eval'
  status, said, err = run('pretrain', *measure, cwd=tmp_path)
  assert status == 0, err
  scores = json.loads(said)
  assert 0.0 < scores['fitted prior at temperature 0.5']['overlap'] < 1.0
  assert not (run_dir / 'train').exists()

  # Where no update was kept yet, a run begins where it was to begin.
  one = '--num_steps=1', '--prior_hparams=num_steps=0'
  status, _, err = run('pretrain', f'--run_dir={run_dir}', *one, cwd=tmp_path)
  assert status == 0, err
  before = checkpoints.load_weights(prefix)
  after = checkpoints.load_weights(checkpoints.latest(str(run_dir)))
  for name, value in before.items():
    np.testing.assert_allclose(after[name], value, atol=0.03)

  status, _, err = run(
    'pretrain', *measure, '--init_checkpoint=other', cwd=tmp_path
  )
  assert status == 2
  assert 'was begun with init_checkpoint' in err


def test_a_file_that_cannot_be_read_is_named_and_counted(trained):
  said = trained[2]
  assert 'broken.mid cannot be read (' in said
  assert '4 pieces read; left out: 1 cannot be read.' in said


def test_what_midi_taught_is_sung_by_magentas_own_model(trained):
  config = stock.magenta_config('hierdec-mel_16bar', SIZES)
  prefix = checkpoints.latest(str(trained[0]))
  stock_model = trained_model.TrainedModel(config, 2, prefix)
  z = np.random.default_rng(0).standard_normal([2, 8]).astype(np.float32)
  sung = stock_model.decode_to_tensors(z, length=256, temperature=1e-6)
  weights = checkpoints.load_weights(prefix)
  np.testing.assert_array_equal(
    np.argmax(sung, axis=-1),
    hierdec.sample(weights, z, 1e-6, hierdec.uniform([0, 1], 2)),
  )


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--seed=1'], 'begun with seed 0, not 1; name another folder'),
    (['--hparams=learning_rate=0.1'], 'begun with learning_rate .*, not 0.1'),
    (['--hparams=slow=1'], "no setting is called 'slow'; there are aligned"),
    (['--run_dir=new', '--input_dir=nowhere'], "--input_dir: '.*nowhere' does"),
    (['--run_dir=new', '--mode=eval'], "--run_dir: no run in 'new'"),
  ],
)
def test_mistakes_end_in_one_line(run, trained, flags, message, tmp_path):
  status, _, err = run('pretrain', *trained[1], *flags, cwd=tmp_path)
  assert status == 2
  assert len(err.splitlines()) == 1
  assert re.search(message, err), err
  assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_other_sizes_is_refused(trained):
  prefix = checkpoints.latest(str(trained[0]))
  same, other = (
    configuration.build(configuration.ModelHparams, {**SIZES, **sizes}, 'test')
    for sizes in ({}, {'z_size': 16})
  )
  checkpoints.load_model(prefix, 'hierdec-mel_16bar_lite', same)
  with pytest.raises(UserError, match='shape.*expected'):
    checkpoints.load_model(prefix, 'hierdec-mel_16bar_lite', other)
