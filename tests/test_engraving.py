"""Sheet music for a page: what is on it, and what never is."""

from concurrent import futures
from xml.etree import ElementTree

import pytest

from emotion_musicvae.files import arrangement
from emotion_musicvae.files import engraving
from emotion_musicvae.files import originals
from emotion_musicvae.studio import takes as taking
from emotion_musicvae.support.errors import UserError

SVG = '{http://www.w3.org/2000/svg}'
# An upbeat over the bar line, a rest, and black keys.
NOTES = [[0, 4, 60], [4, 8, 61], [12, 24, 66], [24, 28, 70], [32, 64, 72]]


@pytest.fixture(scope='module')
def takes(model):
  return taking.Takes(model)


@pytest.fixture(scope='module')
def moved(takes):
  """A take of a melody that was played on keys."""
  song = takes.song_of_keys(NOTES, 100)['song']
  request = {'emotion': 'gloomy', 'seed': 1, 'song': song, 'guidance': 0.5}
  return takes.spec({'request': request})


def _classed(sheet, name):
  return [g for g in sheet.iter() if g.get('class') == name]


def _described(sheet, name):
  found = [g.get(f'data-{name}') for g in sheet.iter(f'{SVG}g')]
  return [int(number) for number in found if number is not None]


def test_bars_and_notes_are_found_on_it(takes):
  spec = takes.spec({'request': {'emotion': 'mysterious', 'seed': 2}})
  melody = takes.melody(spec)
  sheet = ElementTree.fromstring(takes.staff(spec, 600))
  assert _described(sheet, 'bar') == list(range(1, 17))
  notes = arrangement.notes(melody.note_sequence)
  assert sorted(set(_described(sheet, 'note'))) == list(range(len(notes)))
  said = ' '.join(sheet.itertext())
  for symbol in ('Dm', 'B', '♭', 'Gm', '♩', *map(str, range(1, 17))):
    assert symbol in said
  assert not any('\ue000' <= letter <= '\uf8ff' for letter in said)
  assert takes.staff(spec, 600) == takes.staff(spec, 600)


def test_parts_of_a_tied_note_are_one_note(takes, moved):
  sheet = ElementTree.fromstring(takes.staff(moved, 600, 'original'))
  assert _described(sheet, 'note') == [0, 1, 2, 2, 3, 4, 4]
  assert len(_classed(sheet, 'change')) == 0


def test_what_became_of_notes_is_marked_as_in_the_roll(takes, moved):
  melody = takes.melody(moved)
  played = arrangement.notes(melody.note_sequence)
  kinds = originals.changes(melody.original, played)['notes']
  sheet = ElementTree.fromstring(takes.staff(moved, 600))
  found = dict.fromkeys(range(len(kinds)), 'kept')
  for group in _classed(sheet, 'note'):
    for mark in _classed(group, 'change'):
      kind = {'▲': 'moved', '✚': 'new'}[mark.text]
      found[int(group.get('data-note'))] = kind
  assert list(found.values()) == kinds
  assert 'moved' in kinds


@pytest.mark.parametrize('metre', ['2/2', '3/4', '6/8'])
def test_other_metres_are_written(takes, metre):
  request = {'emotion': 'clear', 'seed': 3, 'time_signature': metre}
  spec = takes.spec({'request': {**request, 'guidance': 0.0}})
  sheet = ElementTree.fromstring(takes.staff(spec))
  bars = len(arrangement.bar_lines(takes.melody(spec).note_sequence))
  assert _described(sheet, 'bar') == list(range(1, bars + 1))


def test_another_thread_draws_the_same(takes, moved):
  with futures.ThreadPoolExecutor(4) as pool:
    drawn = set(pool.map(lambda _: takes.staff(moved, 600), range(8)))
  assert drawn == {takes.staff(moved, 600)}


def test_a_narrow_one_is_longer(takes, moved):
  narrow, wide = (
    ElementTree.fromstring(takes.staff(moved, width)) for width in (240, 1200)
  )
  assert (narrow.get('width'), wide.get('width')) == ('240', '1200')
  assert float(narrow.get('height')) > float(wide.get('height'))


def test_nothing_but_drawing_goes_into_a_page():
  hostile = ElementTree.fromstring(
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)" width="1">'
    '<script>alert(2)</script><style>*{}</style><foreignObject/>'
    '<a href="javascript:alert(3)"><text>x</text></a>'
    '<use href="https://elsewhere.example/#a"/><image href="#a"/>'
    '<g id="takes" class="note other" style="color:red"><text>&lt;b&gt;</text>'
    '</g></svg>'
  )
  kept = engraving._kept(hostile)
  assert ElementTree.tostring(kept, encoding='unicode') == (
    '<svg width="1"><use /><g class="note"><text>&lt;b&gt;</text></g></svg>'
  )


@pytest.mark.parametrize(
  ('width', 'which'),
  [(0, 'take'), ('x', 'take'), (1e9, 'take'), (600, 'original'), (600, 'x')],
)
def test_what_cannot_be_drawn_is_told(takes, width, which):
  spec = takes.spec({'request': {'emotion': 'clear', 'guidance': 0.0}})
  with pytest.raises(UserError):
    takes.staff(spec, width, which)


def test_any_chord_that_may_be_asked_for_is_written_as_text(takes):
  chords = 'C#m7b5/G Bbmaj7 N.C. Gsus4 Ebdim7 Aaug D6 G'
  request = {'emotion': 'clear', 'guidance': 0.0, 'chords': chords}
  sheet = ElementTree.fromstring(takes.staff(takes.spec({'request': request})))
  said = [''.join(g.itertext()) for g in _classed(sheet, 'harm')]
  assert 'Gsus4' in ''.join(said).replace(' ', '')
  assert len(set(said)) == 8
