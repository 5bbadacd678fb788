"""Measures how well generated melodies follow the nine emotions.

emotion_musicvae_evaluate --num_outputs=32
"""

import json
import os

from absl import flags

from emotion_musicvae import configuration
from emotion_musicvae import emotions
from emotion_musicvae import scripts

FLAGS = flags.FLAGS

flags.declare_key_flag('cache_dir')
flags.DEFINE_string(
  'config', 'hierdec-mel_16bar_lite', 'Name of the model configuration.'
)
flags.DEFINE_string(
  'checkpoint_file', None, 'Checkpoint of the base model, if not the bundled.'
)
flags.DEFINE_string(
  'run_dir', None, 'Folder of a training run to take the checkpoint from.'
)
flags.DEFINE_string(
  'actor_dir',
  None,
  'Run folder of emotion_musicvae_train to take the actor from, not the '
  'one that belongs to the checkpoint.',
)
flags.DEFINE_integer('num_outputs', 32, 'Melodies per emotion and arm.')
flags.DEFINE_float('temperature', 0.5, 'Softmax temperature of the decoder.')
flags.DEFINE_integer('max_batch_size', 32, 'Melodies that are sung at once.')
flags.DEFINE_integer('seed', 0, 'Seed of latent vectors and melodies.')
flags.DEFINE_string(
  'output_file', None, 'JSON file for the scores, besides the table.'
)
flags.DEFINE_string(
  'log', 'ERROR', 'What to log: DEBUG, INFO, WARN, ERROR or FATAL.'
)


def main():
  scripts.check_range('num_outputs', FLAGS.num_outputs, 2, 100_000)
  scripts.check_range('max_batch_size', FLAGS.max_batch_size, 1, 1024)
  scripts.check_range('temperature', FLAGS.temperature, 0.01, 10.0)
  scripts.check_range('seed', FLAGS.seed, 0, 2**63 - 1)
  scripts.set_log(FLAGS.log)
  configuration.load_model_config(FLAGS.config)
  if FLAGS.output_file and os.path.exists(FLAGS.output_file):
    raise configuration.UserError(
      f'--output_file: {FLAGS.output_file!r} exists; name another'
    )

  scripts.load_tensorflow()

  import tqdm

  from emotion_musicvae import evaluation
  from emotion_musicvae import generation

  model = generation.EmotionMusicVAE.from_pretrained(
    FLAGS.config,
    FLAGS.checkpoint_file,
    FLAGS.run_dir,
    FLAGS.max_batch_size,
    FLAGS.actor_dir,
    progress=tqdm.tqdm,
  )
  result = evaluation.evaluate(
    model,
    emotions.load(),
    FLAGS.num_outputs,
    FLAGS.temperature,
    FLAGS.seed,
    tqdm.tqdm,
  )
  print(evaluation.markdown(result))
  if FLAGS.output_file:
    with open(FLAGS.output_file, 'x', encoding='utf-8') as f:
      json.dump(result, f, indent=2)
      f.write('\n')


def console_entry_point():
  scripts.run(__name__, main)


if __name__ == '__main__':
  console_entry_point()
