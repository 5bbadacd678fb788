import unicodedata

import pytest

from emotion_musicvae import emotions
from emotion_musicvae import harmony
from emotion_musicvae.configuration import UserError

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
  assert [e.name for e in emotions.load()] == NAMES
  assert [e.alias for e in emotions.load()] == ALIASES


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_composed_and_decomposed_korean_name_the_same(form):
  for name, alias in zip(NAMES, ALIASES):
    assert emotions.find(unicodedata.normalize(form, name)).alias == alias


def test_aliases_in_any_case():
  assert emotions.find(' Peaceful').name == '평화로움'


def test_bytes_of_a_shell_without_utf8():
  # What sys.argv holds when Python decodes UTF-8 bytes as ASCII.
  mangled = '평화로움'.encode().decode('ascii', 'surrogateescape')
  assert emotions.find(mangled).alias == 'peaceful'


@pytest.mark.parametrize(
  ('typed', 'nearest'), [('평화로음', '평화로움'), ('gloomi', 'gloomy')]
)
def test_unknown_emotion_names_the_nearest(typed, nearest):
  with pytest.raises(UserError, match=f'did you mean .*{nearest}'):
    emotions.find(typed)


def test_unknown_emotion_says_how_to_list_them():
  with pytest.raises(UserError, match='--list_emotions'):
    emotions.find('xyz')


def test_files_are_named_as_the_user_typed():
  assert emotions.spelled('PEACEFUL') == 'peaceful'
  assert (
    emotions.spelled(unicodedata.normalize('NFD', '평화로움')) == '평화로움'
  )


def test_every_progression_fills_sixteen_bars_in_its_mode():
  for emotion in emotions.load():
    bars = harmony.bars(emotion.chords)
    assert len(bars) == 16
    tonic_is_minor = bars[0][0].endswith('m')
    assert tonic_is_minor == (emotion.mode == 'minor'), emotion.alias
