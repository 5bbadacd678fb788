"""The studio's page in a browser: what a composer sees, hears and does."""

import contextlib
import json
import re
import shutil
import urllib.parse

import numpy as np
import pretty_midi
import pytest
import test_studio

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not CHROMIUM,
    reason='needs Chromium on the PATH (on Debian: apt install chromium), '
    'which pip cannot bring; what the page asks for is tested without',
  ),
]
PATIENCE = 180_000  # milliseconds, for machines that do more at once
PLAYING = 'melody-player[playing]'


@pytest.fixture(scope='module')
def address(model):
  with test_studio.serving(model) as found:
    yield found


@pytest.fixture(scope='module')
def browser():
  playwright = pytest.importorskip('playwright.sync_api')
  with playwright.sync_playwright() as p:
    chromium = p.chromium.launch(
      executable_path=CHROMIUM,
      args=['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
    )
    yield chromium
    chromium.close()


@pytest.fixture
def opened(browser, address):
  """Opens the page in a window of its own; what it asks for stays here."""
  with contextlib.ExitStack() as stack:

    def open_(path='/', **options):
      options = {'locale': 'en-US', **options}
      context = browser.new_context(**options)
      stack.callback(context.close)
      context.set_default_timeout(PATIENCE)
      page = context.new_page()
      page.seen = []
      page.context.on('request', lambda request: page.seen.append(request.url))
      page.wrong = []
      page.on('pageerror', lambda error: page.wrong.append(str(error)))
      page.on(
        'console',
        lambda said: (
          page.wrong.append(said.text) if said.type == 'error' else None
        ),
      )
      stack.callback(_check, page, address)
      page.goto(address + path)
      return page

    yield open_


def _check(page, address):
  host = urllib.parse.urlsplit(address).netloc
  for url in page.seen:
    parts = urllib.parse.urlsplit(url)
    assert parts.scheme in ('blob', 'data') or parts.netloc == host, url
  assert page.seen
  assert page.wrong == []


def _until(page, true):
  """Waits for what is true in the page, which forbids to be given functions."""
  for _ in range(PATIENCE // 50):
    if page.evaluate(true):
      return
    page.wait_for_timeout(50)
  raise AssertionError(f'never true: {true}')


def _takes(page, count):
  _until(page, f'document.querySelectorAll(".take").length === {count}')


def _notes(page, take):
  """Onset, end and pitch of a take's notes, the newest takes being first."""
  return page.evaluate(
    'i => document.querySelectorAll("melody-player")[i].melody.notes', take
  )


def _compose(page, **shape):
  """Four takes of a feeling, quickly: unguided."""
  before = page.locator('.take').count()
  page.fill('#text', shape.get('text', 'so happy'))
  page.click('#compose')
  _takes(page, before + 4)
  page.wait_for_selector(PLAYING)


@pytest.fixture
def composed(opened):
  page = opened()
  _compose(page)
  return page


def test_a_click_is_heard_and_four_takes_are_seen(opened):
  page = opened()
  page.fill('#text', 'a tired but happy evening after the rain')
  page.wait_for_selector('#reading .share')
  assert 'bright' in page.inner_text('#reading')
  assert 'happy' in page.inner_text('#reading .why')
  _compose(page, text='a tired but happy evening after the rain')
  at = 'document.querySelector("melody-player").audio.currentTime'
  _until(page, f'{at} > 0.3')
  assert page.locator('.take').count() == 4
  assert len({json.dumps(_notes(page, i)) for i in range(4)}) == 4
  for take in page.locator('.take').all():
    told = take.locator('.measures').inner_text()
    assert re.search(r'mean pitch \(MIDI\) [\d.]+ \(asked for [\d.]+\)', told)
  # One at a time.
  page.locator('.take .play').nth(1).click()
  page.wait_for_selector(f'.take:nth-of-type(2) {PLAYING}')
  assert page.locator(PLAYING).count() == 1
  page.keyboard.press('Escape')
  page.evaluate('document.activeElement.blur()')
  page.keyboard.press(' ')
  _until(page, f'!document.querySelector("{PLAYING}")')


def test_takes_stay_and_are_found_again_by_their_link(composed, opened):
  page = composed
  third = _notes(page, 2)
  page.click('#another')
  _takes(page, 8)
  assert _notes(page, 6) == third
  page.locator('.take .link').nth(6).click()
  _until(page, 'location.hash.startsWith("#take=")')
  link = page.evaluate('location.hash')
  page.locator('.take .keep').nth(1).click()
  assert page.locator('#kept .take').count() == 1
  kept = _notes(page, 0)
  page.reload()
  _takes(page, 2)
  assert _notes(page, 0) == kept
  other = opened('/' + link)
  other.wait_for_selector('.take')
  assert _notes(other, 0) == third


def test_a_dropped_file_is_moved_and_compared(opened, tmp_path):
  page = opened()
  song = pretty_midi.PrettyMIDI(initial_tempo=120)
  piano = pretty_midi.Instrument(0)
  for i, pitch in enumerate([60, 64, 67, 72, 67, 64, 62, 60] * 8):
    piano.notes.append(pretty_midi.Note(90, pitch, i / 2, i / 2 + 0.45))
  song.instruments.append(piano)
  song.write(str(tmp_path / 'tune.mid'))
  content = list((tmp_path / 'tune.mid').read_bytes())
  dropped = page.evaluate_handle(
    """bytes => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)],
        '<img src=x onerror=document.title=1>.mid'));
      return transfer;
    }""",
    content,
  )
  page.dispatch_event('#yours', 'drop', {'dataTransfer': dropped})
  page.wait_for_selector('#song strong')
  assert '<img' in page.inner_text('#song')
  assert page.locator('#song img').count() == 0
  _compose(page, text='gloomy')
  take = page.locator('.take').first
  counts = [
    int(n) for n in re.findall(r'\d+', take.locator('.changes').inner_text())
  ]
  assert sum(counts[:3]) == len(_notes(page, 0))
  assert counts[0] + counts[1] + counts[3] == 64
  player = 'document.querySelector("melody-player")'
  sound = page.evaluate(f'{player}.audio.src')
  take.locator('.original').click()
  _until(page, f'{player}.audio.src !== "{sound}"')
  assert take.locator('.original').get_attribute('aria-pressed') == 'true'
  take.locator('.original').click()
  _until(page, f'{player}.audio.src === "{sound}"')


def test_locked_bars_stay_and_a_section_follows(composed):
  page = composed
  before = _notes(page, 0)
  page.locator('.take .locking').first.click()
  for bar in (1, 2, 3, 4):
    page.locator('.lock button').nth(bar - 1).click()
  page.click('.anew')
  _takes(page, 8)

  def begun(notes):
    return [n for n in notes if n[0] < 64 and n[1] <= 64]

  for i in range(4):
    assert begun(_notes(page, i)) == begun(before)
  assert any(_notes(page, i) != before for i in range(4))
  page.locator('#nine button[data-name=gloomy]').click()
  page.locator('.take .extend').last.click()
  _takes(page, 12)
  bars = 'document.querySelector("melody-player").melody.bars.length'
  assert page.evaluate(bars) == 32


def test_what_is_played_on_the_keys_is_taken(opened):
  page = opened()
  page.locator('#yours summary').click()
  page.click('#record')
  for letter in 'asdf':
    page.keyboard.down(letter)
    page.wait_for_timeout(120)
    page.keyboard.up(letter)
  page.click('#record')
  page.wait_for_selector('#song strong')
  assert 'keyboard' in page.inner_text('#song')
  assert page.locator('#keep').is_visible()


def test_chords_are_checked_while_they_are_typed(opened):
  page = opened()
  page.locator('#shape summary').click()
  page.fill('#chords', 'C Am F H')
  page.wait_for_selector('#chords-are.wrong')
  assert 'H' in page.inner_text('#chords-are')
  assert page.get_attribute('#chords', 'aria-invalid') == 'true'
  page.fill('#chords', 'C Am F G')
  page.wait_for_selector('#chords-are:not(.wrong) >> text=4')
  assert 'C major' in page.inner_text('#chords-are')
  page.wrong.clear()  # An answer that is a mistake is logged by the browser.


def test_its_language_follows_the_reader_and_is_remembered(opened):
  page = opened(locale='ko-KR')
  assert page.title() == '감정 멜로디 스튜디오'
  assert '네 테이크 작곡' in page.inner_text('#compose')
  page.click('#language')
  assert page.title() == 'Emotion studio'
  assert page.evaluate('document.documentElement.lang') == 'en'
  page.reload()
  assert page.title() == 'Emotion studio'
  assert page.inner_text('#compose') == 'Compose four takes'


def test_all_is_done_by_keyboard(opened):
  page = opened()
  page.keyboard.press('Tab')
  assert page.evaluate('document.activeElement.className') == 'skip'
  page.keyboard.press('Tab')
  page.keyboard.press('Tab')
  assert page.evaluate('document.activeElement.id') == 'text'
  page.keyboard.type('so happy')
  page.keyboard.press('Enter')
  page.wait_for_selector(PLAYING)
  reached = set()
  for _ in range(120):
    page.keyboard.press('Tab')
    reached |= set(
      page.evaluate(
        '[document.activeElement.id, document.activeElement.className]'
      )
    )
  for name in ('compose', 'valence', 'arousal', 'play', 'seek', 'roll', 'keep'):
    assert name in reached, name
  for name in ('locking', 'extend', 'along', 'loop', 'language', 'part'):
    assert name in reached, name


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [320, 390, 1280, 2560])
def test_everybody_can_read_and_reach_it(opened, width, scheme):
  axe = pytest.importorskip('axe_playwright_python.sync_playwright')
  page = opened(
    viewport={'width': width, 'height': 900},
    color_scheme=scheme,
    reduced_motion='reduce',
  )
  if width in (390, 1280):
    _compose(page)
    page.locator('.take .locking').first.click()
  for name in ('shape', 'yours'):
    page.locator(f'#{name} summary').click()
  found = axe.Axe().run(page).response['violations']
  grave = [v for v in found if v['impact'] in ('serious', 'critical')]
  assert [(v['id'], v['nodes'][0]['html']) for v in grave] == []
  inner = 'document.documentElement.scrollWidth'
  assert page.evaluate(inner) <= width
  small = page.evaluate("""() => [...document.querySelectorAll(
    'button, select, summary, input:not([type=checkbox]):not(.unseen)')].filter(
    element => element.checkVisibility() &&
      (element.getBoundingClientRect().height < 43.5
        || element.getBoundingClientRect().width < 43.5)
  ).map(element => element.outerHTML.slice(0, 90))""")
  assert small == []
  moving = 'document.getAnimations().length'
  assert page.evaluate(moving) == 0


def _luminance(colour):
  parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
  linear = np.where(
    parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
  )
  return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_chord_tones_are_told_apart_without_seeing_colours(opened, scheme):
  page = opened(color_scheme=scheme)
  style = 'getComputedStyle(document.documentElement).getPropertyValue'
  tone, other = (
    _luminance(page.evaluate(f'{style}("--{name}")').strip())
    for name in ('chord-tone', 'other')
  )
  high, low = max(tone, other), min(tone, other)
  assert (high + 0.05) / (low + 0.05) > 3


def test_takes_outlive_the_server(composed):
  page = composed
  page.context.set_offline(True)
  page.click('#compose')
  page.wait_for_selector('#status.wrong')
  assert 'does not answer' in page.inner_text('#status')
  assert page.locator('.take').count() == 4
  page.context.set_offline(False)
  page.wrong.clear()  # A request that fails is logged by the browser.
