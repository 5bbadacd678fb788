import dataclasses
import unicodedata

import pytest

from emotion_musicvae.emotions import catalogue
from emotion_musicvae.emotions import spelling
from emotion_musicvae.emotions import targets
from emotion_musicvae.music import harmony
from emotion_musicvae.support.errors import UserError

NAMES = [
  '격렬함',
  '밝음',
  '발랄함',
  '평화로움',
  '청량함',
  '신비로움',
  '우울함',
  '맑음',
  '암울함',
]
ALIASES = [
  'intense',
  'bright',
  'lively',
  'peaceful',
  'refreshing',
  'mysterious',
  'melancholy',
  'clear',
  'gloomy',
]


def test_there_are_nine_with_their_aliases():
  assert [e.name for e in catalogue.load()] == NAMES
  assert [e.alias for e in catalogue.load()] == ALIASES


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_composed_and_decomposed_korean_name_the_same(form):
  for name, alias in zip(NAMES, ALIASES):
    assert catalogue.find(unicodedata.normalize(form, name)).alias == alias


def test_aliases_in_any_case():
  assert catalogue.find(' Peaceful').name == '평화로움'


def test_bytes_of_a_shell_without_utf8():
  # What sys.argv holds when Python decodes UTF-8 bytes as ASCII.
  mangled = '평화로움'.encode().decode('ascii', 'surrogateescape')
  assert catalogue.find(mangled).alias == 'peaceful'


@pytest.mark.parametrize(
  ('typed', 'nearest'), [('암룰홤', '암울함'), ('clxxr', 'clear')]
)
def test_unknown_emotion_names_the_nearest(typed, nearest):
  with pytest.raises(UserError, match=f'did you mean .*{nearest}'):
    catalogue.find(typed)


def test_unknown_emotion_says_how_to_list_them():
  with pytest.raises(UserError, match='list_emotions'):
    catalogue.find('xyz')


def test_files_are_named_as_the_user_typed():
  peaceful = catalogue.find('peaceful')
  assert (
    spelling.for_files(peaceful.name, peaceful.alias, 'PEACEFUL') == 'peaceful'
  )
  decomposed = unicodedata.normalize('NFD', '평화로움')
  assert (
    spelling.for_files(peaceful.name, peaceful.alias, decomposed) == '평화로움'
  )
  mine = dataclasses.replace(peaceful, name='../a b', alias='')
  assert spelling.for_files(mine.name, mine.alias, '../a b') == '..-a-b'


def test_a_blend_lies_between_its_emotions():
  intense, gloomy = catalogue.find('intense'), catalogue.find('gloomy')
  last = None
  for share in (0.2, 0.5, 0.8):
    blend = catalogue.parse(f'격렬함:{share},gloomy:{1 - share}')
    assert gloomy.mean_pitch < blend.mean_pitch < intense.mean_pitch
    assert gloomy.onsets_per_bar < blend.onsets_per_bar < intense.onsets_per_bar
    if last:
      assert blend.onsets_per_bar > last.onsets_per_bar
    last = blend
  assert last.chords == intense.chords


def test_weights_of_a_blend_count_in_proportion():
  one = catalogue.parse('bright:3,clear:1')
  other = catalogue.parse('bright:0.75,clear:0.25')
  assert one == dataclasses.replace(other, basis=one.basis)
  # Equal shares of two densities meet at their geometric mean.
  middle = catalogue.parse('bright:1,clear:1')
  assert middle.onsets_per_bar == pytest.approx((8.8 * 5.3) ** 0.5)


@pytest.mark.parametrize(
  'text',
  ['bright:0.5,clear', 'bright:a', 'bright:-1,clear:2', ':1', 'bright:inf'],
)
def test_a_blend_takes_weights_from_zero(text):
  with pytest.raises(UserError, match='name:weight'):
    catalogue.parse(text)


def test_a_blend_of_nothing_is_refused():
  with pytest.raises(UserError, match='all 0'):
    catalogue.parse('bright:0,clear:0')


def test_targets_replace_those_of_the_emotion():
  emotion = targets.replaced(
    catalogue.find('gloomy'), 'mean_pitch=70,chords=C Am F G'
  )
  assert emotion.mean_pitch == 70
  assert emotion.chords == 'C Am F G'
  assert emotion.onsets_per_bar == catalogue.find('gloomy').onsets_per_bar


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('onsets_per_bar=40', 'onsets_per_bar 40, expected 0.1 to 16'),
    ('mean_pitch=20', 'mean_pitch 20, expected 21 to 108'),
    ('mean_pitch=nan', 'mean_pitch nan'),
    ('mode=lydian', 'major or minor'),
    ('name=x', "no target is called 'name'"),
    ('mean_pitch=high', 'mean_pitch takes a value like'),
    ('mean_pitch', 'name=value'),
  ],
)
def test_bad_targets_are_named(text, message):
  with pytest.raises(UserError, match='target: .*' + message):
    targets.replaced(catalogue.find('gloomy'), text)


OWN = """
emotions:
  - name: 그리움
    alias: longing
    mean_pitch: 65
    onsets_per_bar: 4
    mode: minor
    chords: Am | Dm G | C
"""


def test_a_file_of_the_users_own(tmp_path):
  path = tmp_path / 'mine.yaml'
  path.write_text(OWN, encoding='utf-8')
  (emotion,) = catalogue.load(str(path))
  assert catalogue.parse('그리움', [emotion]).mean_pitch == 65
  with pytest.raises(UserError, match="no emotion 'gloomy'"):
    catalogue.parse('gloomy', [emotion])


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'a list under'),
    (b'emotions: 3', 'a list under'),
    (b'a: [', r'not YAML \(line'),
    (b'\xb1\xd7', 'not UTF-8'),
    (b'emotions: [{alias: x}]', 'without a name'),
    (b'emotions: [{name: a}, {name: A}]', 'twice'),
    (b'emotions: [{name: a, pitch: 3}]', "no setting is called 'pitch'"),
    (b'emotions: [{name: a, onsets_per_bar: 0}]', 'a: onsets_per_bar 0'),
    (b'emotions: [{name: a, mean_pitch: low}]', 'mean_pitch takes'),
  ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, content, message):
  path = tmp_path / 'mine.yaml'
  path.write_bytes(content)
  with pytest.raises(UserError, match='mine.yaml.*' + message):
    catalogue.load(str(path))


def test_a_missing_file_is_named():
  with pytest.raises(UserError, match="'nowhere.yaml'.*cannot be read"):
    catalogue.load('nowhere.yaml')


def test_every_progression_fills_sixteen_bars_in_its_mode():
  for emotion in catalogue.load():
    bars = harmony.bars(emotion.chords)
    assert len(bars) == 16
    tonic_is_minor = bars[0][0].endswith('m')
    assert tonic_is_minor == (emotion.mode == 'minor'), emotion.alias
