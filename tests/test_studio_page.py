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


def test_what_is_read_moves_nothing_from_under_the_hand(opened):
  page = opened()
  before = page.locator('#compose').bounding_box()
  page.fill('#text', 'so happy')
  page.wait_for_selector('#reading .share')
  assert page.locator('#compose').bounding_box() == before


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


# ---- Sheet music, and bars that are looped

LOOPED = '[Playing.loop, Playing.from, Playing.to]'


def _drag(page, begin, end):
  """By the mouse from place to place, as `(x, y)`."""
  page.mouse.move(*begin)
  page.mouse.down()
  page.mouse.move((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
  page.mouse.move(*end)
  page.mouse.up()


def _swipe(page, begin, end):
  """By a finger from place to place, as `(x, y)`."""
  devtools = page.context.new_cdp_session(page)

  def touch(kind, *places):
    points = [{'x': x, 'y': y} for x, y in places]
    devtools.send(
      'Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points}
    )

  touch('touchStart', begin)
  for share in (0.3, 0.7, 1.0):
    touch(
      'touchMove',
      tuple(a + share * (b - a) for a, b in zip(begin, end)),
    )
  touch('touchEnd')


def _middle(locator):
  box = locator.bounding_box()
  return box['x'] + box['width'] / 2, box['y'] + box['height'] / 2


def _strips(page, *bars):
  """Where numbers of bars are on the first sheet that is seen."""
  staff = page.locator('.staff').first
  staff.locator(':scope > svg').wait_for()
  staff.scroll_into_view_if_needed()
  return [_middle(staff.locator(f'[data-bar="{bar}"] .strip')) for bar in bars]


def _numbers_of_roll(page, *bars):
  page.locator('.take .roll').first.scroll_into_view_if_needed()
  box = page.locator('.take .roll .strip').first.bounding_box()
  width = box['width'] / 16
  return [
    (box['x'] + (bar - 0.5) * width, box['y'] + box['height'] / 2)
    for bar in bars
  ]


def test_sheet_music_follows_and_is_remembered(composed):
  page = composed
  assert not page.locator('.staff').first.is_visible()
  page.select_option('#show', 'staff')
  page.locator('.staff').first.locator(':scope > svg').wait_for()
  assert not page.locator('.roll').first.is_visible()
  staff = page.locator('.staff').first
  assert re.fullmatch(
    r'Sheet music: 16 bars, from [A-G]\S+ to [A-G]\S+',
    staff.get_attribute('aria-label'),
  )
  notes = set(
    page.evaluate(
      '[...document.querySelector(".staff").querySelectorAll(".note")]'
      '.map(note => Number(note.dataset.note))'
    )
  )
  assert notes == set(range(len(_notes(page, 0))))
  # What is played is told apart, a bar that is clicked is played.
  staff.locator('[data-bar="5"] .ground').click(position={'x': 3, 'y': 40})
  staff.locator('[data-bar="5"].playing').wait_for()
  staff.locator('.note.sounding').first.wait_for()
  # Only those that are looked at were asked for.
  asked = [url for url in page.seen if url.endswith('/api/staff')]
  assert 1 <= len(asked) <= 4
  page.reload()
  assert page.input_value('#show') == 'staff'


def test_changes_are_marked_on_the_sheet_and_the_original_is_written(composed):
  page = composed
  page.select_option('#show', 'both')
  page.locator('.take .more').first.click()
  _takes(page, 8)
  staff = page.locator('.staff').first
  staff.locator(':scope > svg').wait_for()
  told = page.locator('.take .changes').first.inner_text()
  _, moved, new, _ = map(int, re.findall(r'\d+', told))
  assert moved + new > 0
  marks = staff.locator('.change').all_text_contents()
  assert (marks.count('▲'), marks.count('✚')) == (moved, new)
  page.locator('.take .original').first.click()
  staff.locator(':scope > svg:not(:has(.change))').wait_for()


@pytest.mark.parametrize('where', ['roll', 'staff'])
@pytest.mark.parametrize('by', [_drag, _swipe])
def test_bars_that_are_dragged_over_are_looped(opened, where, by):
  page = opened(has_touch=True, viewport={'width': 1280, 'height': 900})
  page.select_option('#show', where)
  page.uncheck('#at_once')
  page.fill('#text', 'so happy')
  page.click('#compose')
  _takes(page, 4)
  places = {'roll': _numbers_of_roll, 'staff': _strips}[where]
  by(page, *places(page, 3, 6))
  _until(page, f'JSON.stringify({LOOPED}) === "[true,3,6]"')
  assert page.locator('.loop').get_attribute('aria-pressed') == 'true'
  assert page.input_value('.from_bar') == '3'
  assert page.input_value('.to_bar') == '6'
  if where == 'staff':
    looped = page.locator('.staff').first.locator('.looped')
    bars = looped.evaluate_all('bars => bars.map(bar => bar.dataset.bar)')
    assert bars == ['3', '4', '5', '6']
  # Backwards too; it is played from where the loop begins.
  by(page, *places(page, 12, 9))
  _until(page, f'JSON.stringify({LOOPED}) === "[true,9,12]"')
  page.locator('.take .play').first.click()
  player = 'document.querySelector("melody-player")'
  _until(page, f'{player}.stepAt({player}.audio.currentTime) >= 128')
  # One alone, and let go of again.
  (place,) = places(page, 2)
  by(page, place, place)
  _until(page, f'JSON.stringify({LOOPED}) === "[true,2,2]"')
  _until(page, f'{player}.stepAt({player}.audio.currentTime) < 33')
  by(page, place, place)
  _until(page, '!Playing.loop')
  # The same by keyboard.
  page.fill('.from_bar', '5')
  page.fill('.to_bar', '8')
  page.locator('.loop').press('Enter')
  _until(page, f'JSON.stringify({LOOPED}) === "[true,5,8]"')


def test_it_is_printed_as_sheets_alone(composed):
  page = composed
  page.select_option('#show', 'staff')
  page.locator('.staff').first.locator(':scope > svg').wait_for()
  page.emulate_media(media='print')
  assert page.locator('.staff > svg').first.is_visible()
  for name in ('form', 'footer', '.tools', '.controls', '#language'):
    assert not page.locator(name).first.is_visible(), name


# ---- How one feels, and how it is shaped


def _sent(page):
  """What was asked for at each click on the takes, as plain values."""
  page.asked = []

  def note(request):
    if request.url.endswith('/api/takes'):
      values = json.loads(request.post_data)
      if not values.get('beforehand'):
        page.asked.append(values['request'])

  page.on('request', note)
  return page.asked


def _slide(page, name, value):
  """By keys, as one who sees the slider's value does."""
  slider = page.locator(f'#{name}')
  slider.focus()
  steps = page.evaluate(
    f'(({value} - document.getElementById("{name}").value)'
    f' / document.getElementById("{name}").step)'
  )
  for _ in range(abs(round(steps))):
    slider.press('ArrowRight' if steps > 0 else 'ArrowLeft')


def test_sliders_are_what_is_asked_for(opened):
  page = opened()
  asked = _sent(page)
  page.locator('#shape summary').click()
  assert page.locator('#qpm').is_disabled()
  output = page.locator('output[for=qpm]')
  assert output.inner_text() == "the emotion's own"
  for name in ('qpm', 'mean_pitch', 'onsets_per_bar'):
    page.locator(f'[data-field={name}] [type=checkbox]').check()
  _slide(page, 'qpm', 92)
  _slide(page, 'mean_pitch', 69)
  _slide(page, 'onsets_per_bar', 5)
  _slide(page, 'intensity', 0.9)
  _slide(page, 'temperature', 0.4)
  assert output.inner_text() == '92'
  assert page.inner_text('output[for=intensity]') == '0.9'
  _compose(page)
  shape = {'qpm': 92, 'mean_pitch': 69, 'onsets_per_bar': 5}
  told = {**shape, 'intensity': 0.9, 'temperature': 0.4, 'text': 'so happy'}
  assert {k: asked[0][k] for k in told} == told
  assert '♩ = 92' in page.locator('.take .facts').first.inner_text()
  measures = page.locator('.take .measures').first.inner_text()
  assert '(asked for 69.0)' in measures
  assert '(asked for 5.0)' in measures
  # Let go of, it is the emotion's own again.
  page.locator('[data-field=qpm] [type=checkbox]').uncheck()
  assert output.inner_text() == "the emotion's own"
  page.click('#compose')
  _takes(page, 8)
  assert 'qpm' not in asked[1]


def test_a_place_on_the_plane_is_a_blend_of_what_lies_near(opened):
  page = opened()
  asked = _sent(page)
  page.fill('#text', 'so happy')
  page.locator('#plane').scroll_into_view_if_needed()
  box = page.locator('#plane').bounding_box()

  def at(across, down):
    return box['x'] + across * box['width'], box['y'] + down * box['height']

  _drag(page, at(0.8, 0.2), at(0.3, 0.7))
  assert page.input_value('#text') == ''
  valence, arousal = (
    float(page.input_value(f'#{name}')) for name in ('valence', 'arousal')
  )
  assert valence == pytest.approx(-0.53, abs=0.06)
  assert arousal == pytest.approx(-0.53, abs=0.06)
  page.wait_for_selector('#reading strong')
  blend = page.inner_text('#reading strong')
  shares = [int(n) for n in re.findall(r'(\d+) %', blend)]
  assert sum(shares) in range(98, 103)
  assert 'gloomy' in blend or 'melancholy' in blend
  assert 'lively' not in blend
  page.click('#compose')
  _takes(page, 4)
  assert asked[0]['valence'] == pytest.approx(valence, abs=0.03)
  assert page.locator('.take .head strong').first.inner_text() == blend
  # By keys it goes the same way.
  page.locator('#valence').press('ArrowRight')
  _until(page, f'Number(document.getElementById("valence").value) > {valence}')
  page.locator('#nine button[data-name=clear]').click()
  assert page.locator('#nine [aria-pressed=true]').inner_text() == 'clear'


def test_further_targets_are_checked_while_they_are_typed(opened):
  page = opened()
  page.locator('#shape summary').click()
  page.fill('#target', 'loveliness=1')
  page.wait_for_selector('#target-is.wrong')
  assert 'loveliness' in page.inner_text('#target-is')
  assert page.get_attribute('#target', 'aria-invalid') == 'true'
  page.fill('#target', 'syncopation = 0.3')
  page.wait_for_selector('#target-is:not(.wrong)')
  assert page.get_attribute('#target', 'aria-invalid') == 'false'
  page.wrong.clear()  # An answer that is a mistake is logged by the browser.


def test_sections_make_an_arc_that_is_found_again(composed, opened):
  page = composed
  first = _notes(page, 0)
  page.locator('#nine button[data-name=gloomy]').click()
  page.locator('.take .extend').first.click()
  _takes(page, 8)
  page.locator('#nine button[data-name=clear]').click()
  page.locator('.take .extend').first.click()
  _takes(page, 12)
  bars = 'document.querySelector("melody-player").melody.bars.length'
  assert page.evaluate(bars) == 48
  assert _notes(page, 0)[: len(first) - 1] == first[:-1]
  facts = page.locator('.take .facts').first.inner_text()
  assert facts.count('→') == 2
  page.locator('.take .link').first.click()
  _until(page, 'location.hash.startsWith("#take=")')
  other = opened('/' + page.evaluate('location.hash'))
  other.wait_for_selector('.take')
  assert _notes(other, 0) == _notes(page, 0)


# ---- A MIDI keyboard

# What a browser has of keyboards; messages are given to who listens.
FAKE_MIDI = """
  window.keyboard = {name: 'keys', onmidimessage: null};
  window.access = {inputs: new Map([['1', keyboard]]), onstatechange: null};
  navigator.requestMIDIAccess = async () => window.access;
"""


def _message(page, *data):
  page.evaluate(
    f'keyboard.onmidimessage({{data: new Uint8Array({list(data)})}})'
  )


def test_what_is_played_on_a_midi_keyboard_is_taken(opened):
  page = opened()
  page.add_init_script(FAKE_MIDI)
  page.reload()
  asked = _sent(page)
  page.locator('#yours summary').click()
  page.click('#midi')
  page.wait_for_selector('#song >> text=1 MIDI keyboards are connected')
  page.click('#record')
  sixteenth = 150  # milliseconds at the keyboard's tempo
  _message(page, 0xF8)  # A clock is no note.
  for pitch, off in ((60, (0x80, 60, 0)), (64, (0x90, 64, 0)), (67, None)):
    _message(page, 0x91 if pitch == 67 else 0x90, pitch, 96)
    key = page.locator(f'#keys [data-pitch="{pitch}"]')
    assert 'on' in key.get_attribute('class').split()
    page.wait_for_timeout(2 * sixteenth)
    if off:
      _message(page, *off)
      assert 'on' not in key.get_attribute('class').split()
  _message(page, 0xB0, 64, 127)  # Nor is a pedal.
  page.click('#record')  # The last one is still held.
  page.wait_for_selector('#song strong >> text=keyboard')
  page.uncheck('#at_once')
  page.fill('#text', 'gloomy')
  page.click('#compose')
  _takes(page, 4)
  original = page.evaluate(
    'document.querySelector("melody-player").melody.original'
  )
  assert [note[2] for note in original] == [60, 64, 67]
  assert original[0][0] == 0
  assert asked[0]['song']['name'] == 'keyboard'
  # Another one is plugged in.
  page.evaluate(
    'access.inputs.set("2", {onmidimessage: null}), access.onstatechange()'
  )
  page.wait_for_selector('#song >> text=2 MIDI keyboards are connected')


def test_a_browser_without_midi_says_so(opened):
  page = opened()
  page.add_init_script('navigator.requestMIDIAccess = undefined')
  page.reload()
  page.locator('#yours summary').click()
  page.click('#midi')
  page.wait_for_selector('#song >> text=This browser knows no MIDI keyboard')
