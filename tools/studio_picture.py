"""Draws the studio's page with takes on it, as docs/studio.png is.

python tools/studio_picture.py docs/studio.png
python tools/studio_picture.py phone.png --width=320 --language=ko --dark

Takes Chromium on the PATH.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys

from PIL import Image
from playwright import sync_api

SAID = {
  'en': 'a tired but happy evening after the rain',
  'ko': '비 온 뒤, 지쳤지만 행복한 저녁',
}
_SEED = 3
_PATIENCE = 120_000  # milliseconds


def main() -> None:
  """Starts a studio, asks it for takes and photographs them."""
  parser = argparse.ArgumentParser()
  parser.add_argument('path')
  parser.add_argument('--width', type=int, default=1440)
  parser.add_argument('--height', type=int, default=1120)
  parser.add_argument('--language', choices=sorted(SAID), default='en')
  parser.add_argument('--dark', action='store_true')
  arguments = parser.parse_args()
  command = [sys.executable, '-m', 'emotion_musicvae', 'studio', '--noopen']
  with subprocess.Popen(
    [*command, '--port=0'],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  ) as studio:
    try:
      assert studio.stdout is not None
      found = re.search(r'http://\S+', studio.stdout.readline())
      assert found
      with sync_api.sync_playwright() as playwright:
        _draw(playwright, found[0], arguments)
    finally:
      studio.terminate()


def _draw(
  playwright: sync_api.Playwright, address: str, wanted: argparse.Namespace
) -> None:
  browser = playwright.chromium.launch(
    executable_path=shutil.which('chromium') or shutil.which('google-chrome'),
    args=['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
  )
  page = browser.new_page(
    locale={'en': 'en-US', 'ko': 'ko-KR'}[wanted.language],
    viewport={'width': wanted.width, 'height': wanted.height},
    color_scheme='dark' if wanted.dark else 'light',
    reduced_motion='reduce',
  )
  page.set_default_timeout(_PATIENCE)
  page.goto(address)
  page.fill('#text', SAID[wanted.language])
  page.evaluate(f'document.getElementById("seed").value = {_SEED}')
  page.select_option('#show', 'both')
  page.click('#compose')
  page.wait_for_selector('melody-player[playing]')
  page.locator('.take .staff > svg').first.wait_for()
  # Within the fifth bar, where it stands still.
  page.evaluate(
    'Playing.current.pause(),'
    'Playing.current.seek(Playing.current.secondsAt(70))'
  )
  page.locator('.measure.playing').first.wait_for()
  page.wait_for_load_state('networkidle')
  picture = Image.open(io.BytesIO(page.screenshot()))
  browser.close()
  # A quarter of the bytes.
  picture.convert('RGB').quantize(128).save(wanted.path, optimize=True)


if __name__ == '__main__':
  main()
