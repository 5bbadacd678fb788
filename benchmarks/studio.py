"""How fast the studio is heard, and whether it holds with many at once.

python benchmarks/studio.py    # 10 and 50 at once, for a minute each
python benchmarks/studio.py --seconds=300

Starts `emotion_musicvae_studio` as a process of its own and asks it as the page
does: four takes, then the sound of the first. A client asks, listens for a
second, and asks again, each time for another feeling and seed. At the end the
server is killed in the middle of it and started again. What else the machine
does counts: the load is printed.
"""

import argparse
from concurrent import futures
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import requests

from emotion_musicvae.emotions import catalogue

EMOTIONS = [emotion.alias for emotion in catalogue.load()]
LISTENS = 1.0  # seconds


class Studio:
  """A studio that was started; its address, and what it takes."""

  def __init__(self, port=0):
    self.folder = tempfile.mkdtemp()
    began = time.perf_counter()
    self._process = subprocess.Popen(
      [
        *(sys.executable, '-m', 'emotion_musicvae', 'studio', '--noopen'),
        f'--port={port}',
        '--requests_a_minute=1000000',
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      env={**os.environ, 'TMPDIR': self.folder},
      text=True,
    )
    line = self._process.stdout.readline()
    self.address = re.search(r'http://\S+?(?=/)', line)[0]
    self.port = int(self.address.rpartition(':')[2])
    self.first_sound = self.click(1, 'peaceful', began)
    while self.health() != 'ready':
      time.sleep(0.1)

  def health(self):
    return requests.get(f'{self.address}/healthz', timeout=60).json()['status']

  def takes(self, seed, emotion, n=4):
    answer = requests.post(
      f'{self.address}/api/takes',
      json={'request': {'emotion': emotion, 'seed': seed}, 'n': n},
      timeout=600,
    )
    answer.raise_for_status()
    return answer.json()['takes']

  def sound(self, take):
    answer = requests.post(
      f'{self.address}/api/sound', json={'take': take['spec']}, timeout=600
    )
    answer.raise_for_status()
    return answer.content

  def click(self, seed, emotion, began=None):
    """Seconds from a click to the sound of the first of four takes."""
    began = time.perf_counter() if began is None else began
    self.sound(self.takes(seed, emotion)[0])
    return time.perf_counter() - began

  def memory(self):
    """Resident memory in MiB."""
    status = pathlib.Path(f'/proc/{self._process.pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', status)[1]) / 1024

  def seconds(self):
    """Of the processor that it has taken."""
    fields = pathlib.Path(f'/proc/{self._process.pid}/stat').read_text()
    used = fields.rpartition(')')[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf('SC_CLK_TCK')

  def end(self, how=signal.SIGTERM):
    self._process.send_signal(how)
    status = self._process.wait(timeout=60)
    left = os.listdir(self.folder)
    shutil.rmtree(self.folder)
    return status, left


def crowd(studio, clients, seconds):
  """What many at once wait for: seconds of each click, errors, memory."""
  until = time.monotonic() + seconds
  waited, errors, memory = [], [], []

  def client(number):
    seed = 1000 * number
    while time.monotonic() < until:
      seed += 1
      try:
        waited.append(studio.click(seed, EMOTIONS[seed % len(EMOTIONS)]))
      except requests.RequestException as e:
        errors.append(e)
      time.sleep(LISTENS)

  def watch():
    while time.monotonic() < until:
      memory.append(studio.memory())
      time.sleep(1)

  watching = threading.Thread(target=watch)
  watching.start()
  with futures.ThreadPoolExecutor(clients) as pool:
    list(pool.map(client, range(clients)))
  watching.join()
  return waited, errors, memory


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--seconds', type=float, default=60.0)
  parser.add_argument('--clients', type=int, nargs='*', default=[10, 50])
  arguments = parser.parse_args()

  def tell(text):
    print(f'{text}  (load {os.getloadavg()[0]:.1f})', flush=True)

  tell(f'{os.cpu_count()} processors')
  studio = Studio()
  tell(f'started, to the first sound: {studio.first_sound:.1f} s')
  clicks, used = [], studio.seconds()
  for seed in range(9):
    clicks.append(studio.click(seed, EMOTIONS[seed]))
  used = (studio.seconds() - used) / len(clicks)
  tell(
    f'warm, click to sound of four takes: median {np.median(clicks):.2f} s, '
    f'longest {max(clicks):.2f} s; {used:.2f} s of a processor'
  )
  takes = studio.takes(3, 'clear')
  began = time.perf_counter()
  studio.sound(takes[1])
  tell(f'the next take: {time.perf_counter() - began:.2f} s')
  began = time.perf_counter()
  studio.click(3, 'clear')
  again = time.perf_counter() - began
  tell(f'four that were composed before, rendered anew: {again:.2f} s')
  for count in arguments.clients:
    before, used = studio.memory(), studio.seconds()
    waited, errors, memory = crowd(studio, count, arguments.seconds)
    used = (studio.seconds() - used) / len(waited)
    half = len(memory) // 2
    tell(
      f'{count} clients, {arguments.seconds:.0f} s: {len(waited)} clicks, '
      f'{len(errors)} errors, median {np.median(waited):.1f} s, 95th '
      f'percentile {np.percentile(waited, 95):.1f} s, {used:.2f} s of a '
      f'processor each; memory {before:.0f} MiB before, '
      f'{np.mean(memory[:half]):.0f} and {np.mean(memory[half:]):.0f} MiB in '
      'its halves'
    )
  wanted = studio.sound(studio.takes(5, 'gloomy')[2])
  with futures.ThreadPoolExecutor(4) as pool:
    calls = [pool.submit(studio.click, 50 + i, 'lively') for i in range(4)]
    time.sleep(0.5)
    status, left = studio.end(signal.SIGKILL)
    for call in calls:
      with contextlib.suppress(requests.RequestException):
        call.result()
  tell(f'killed: status {status}, left in its folder: {left}')
  second = Studio(studio.port)
  is_same = second.sound(second.takes(5, 'gloomy')[2]) == wanted
  status, left = second.end()
  tell(
    f'started again at the same port: the same bytes {is_same}; ended by '
    f'Ctrl+C or TERM: status {status}, left: {left}'
  )


if __name__ == '__main__':
  main()
