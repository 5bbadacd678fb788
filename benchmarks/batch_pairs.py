"""CPU time of a batch job's melodies beside stock's, in pairs.

python benchmarks/batch_pairs.py --pairs=8

In one process, in turns: stock `TrainedModel.sample` of 128 melodies in batches
of 64 with their MIDI files, and a shard of 128 as a worker writes it, without
guidance and with it. Loading is not counted. Prints CPU milliseconds a melody
of each pair, and a JSON of medians and of ours beside stock's.
"""

import argparse
import json
import statistics
import tempfile
import time

from emotion_musicvae.support import quiet

quiet.load_tensorflow()

from magenta.models.music_vae import configs  # noqa: E402
from magenta.models.music_vae import TrainedModel  # noqa: E402
import note_seq  # noqa: E402

from emotion_musicvae import api  # noqa: E402
from emotion_musicvae.batch import composition  # noqa: E402
from emotion_musicvae.batch import jobs  # noqa: E402
from emotion_musicvae.batch import requests  # noqa: E402
from emotion_musicvae.batch import shards  # noqa: E402
from emotion_musicvae.emotions import catalogue  # noqa: E402
from emotion_musicvae.files import playing  # noqa: E402
from emotion_musicvae.musicvae import checkpoints  # noqa: E402
from emotion_musicvae.support import configuration  # noqa: E402

_CONFIG = 'hierdec-mel_16bar_lite'
_MELODIES = 128


def _stock():
  entry, _ = configuration.load_model_config(_CONFIG)
  config = configs.CONFIG_MAP['hierdec-mel_16bar']
  config.hparams.override_from_dict(entry['hparams'])
  return TrainedModel(config, 64, checkpoints.bundled(_CONFIG))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--pairs', type=int, default=8)
  pairs = parser.parse_args().pairs
  stock, known = _stock(), catalogue.load()
  model = api.EmotionMusicVAE.from_pretrained(_CONFIG, max_batch_size=64)

  def stocks(seed, folder):
    del seed  # It takes none.
    sampled = stock.sample(n=_MELODIES, length=256, temperature=0.5)
    for i, sequence in enumerate(sampled):
      note_seq.sequence_proto_to_midi_file(sequence, f'{folder}/{i}.mid')

  def ours(guidance):
    def write(seed, folder):
      fields = {'emotion': 'peaceful', 'num_outputs': _MELODIES}
      rows = iter([(seed, '', fields)])
      found = requests.parse(
        rows, known, 0, 0.5, 1.0, guidance, ('mid',), False
      )
      job = jobs.Job(folder, 1, _MELODIES, 0, False, False, playing.PLAIN, {})
      composition.write(job, next(shards.cut(found)), model)

    return write

  def milliseconds(function, seed):
    with tempfile.TemporaryDirectory() as folder:
      start = time.process_time()
      function(seed, folder)
      return 1000 * (time.process_time() - start) / _MELODIES

  result = {}
  for name, own in (('plain', ours(0.0)), ('guided', ours(1.0))):
    for function in (stocks, own):
      milliseconds(function, 1)  # The first builds graphs.
    taken = [
      (milliseconds(stocks, seed), milliseconds(own, seed))
      for seed in range(2, 2 + pairs)
    ]
    print(name, [(round(a, 1), round(b, 1)) for a, b in taken], flush=True)
    result[name] = {
      'stock': round(statistics.median(a for a, _ in taken), 1),
      'ours': round(statistics.median(b for _, b in taken), 1),
      'ours_to_stock': round(statistics.median(b / a for a, b in taken), 2),
    }
  print(json.dumps(result))


if __name__ == '__main__':
  main()
