"""Arcs: a melody of several sections, each with the feeling of its text."""

import html
import io
import json

from conftest import requested
import mido
from music21 import converter
import numpy as np
import pyarrow
import pytest

from emotion_musicvae.batch import manifest
from emotion_musicvae.batch import requests
from emotion_musicvae.batch import shards
from emotion_musicvae.emotions import arcs
from emotion_musicvae.files import arrangement
from emotion_musicvae.files import webpage
from emotion_musicvae.support.errors import UserError

DIARY = """오늘 아침엔 비가 와서 왠지 쓸쓸했다. 그리고 버스를 탔다.
승진 소식을 들었다! 너무 기쁘고 신나서 소리를 질렀다. 정말 행복하다!
Now I am calm and at peace."""


def test_a_section_for_each_feeling_in_the_order_of_the_text():
  sections = arcs.from_text(DIARY)
  first = [next(iter(s.recognized.weights)) for s in sections]
  assert first == ['melancholy', 'bright', 'peaceful']
  # What says nothing belongs to what was said before.
  assert '버스를 탔다' in sections[0].text
  assert sections[-1].bars == 16
  assert all(s.bars in (4, 8, 16) for s in sections)
  assert len({(s.emotion.program, s.emotion.style) for s in sections}) == 1
  assert '마디' in sections[0].described()
  assert 'bars' in sections[2].described()


def test_one_feeling_is_one_section_and_many_are_eight_at_most():
  assert len(arcs.from_text('기쁘다. 정말 기쁘다! 너무 행복해.')) == 1
  many = '\n'.join(['너무 화가 난다.', '정말 편안하고 고요하다.'] * 20)
  assert 1 < len(arcs.from_text(many)) <= arcs.MAX_SECTIONS


@pytest.mark.parametrize('text', ['', 'The train leaves at nine. It is red.'])
def test_a_text_without_a_feeling_has_no_arc(text):
  with pytest.raises(UserError, match='no feeling'):
    arcs.from_text(text)


@pytest.fixture(scope='module')
def arc(model):
  (melody,) = model.generate(text=DIARY, arc=True, seed=2)
  return melody


def test_sections_follow_one_another_in_one_file(arc, tmp_path):
  sections = arcs.from_text(DIARY)
  bars = [s.bars for s in sections]
  assert [len(m.tokens) // 16 for m in arc.sections] == bars
  assert len(arc.tokens) == 16 * sum(bars)
  assert arc.emotion.alias == 'melancholy-bright-peaceful'
  found = arrangement.sections(arc.note_sequence)
  assert [s.start for s in found] == [0, *np.cumsum(bars)[:-1] * 16]
  assert [s.qpm for s in found] == [s.emotion.qpm for s in sections]
  seconds = sum(n * 240 / s.qpm for n, s in zip(bars, found))
  assert arc.note_sequence.total_time == pytest.approx(seconds)
  tempos = [
    message.tempo
    for message in mido.MidiFile(arc.save(tmp_path / 'arc.mid'))
    if message.type == 'set_tempo'
  ]
  assert tempos == [round(6e7 / s.qpm) for s in found]
  score = converter.parse(arc.save(tmp_path / 'arc.musicxml'))
  assert len(score.parts[0].getElementsByClass('Measure')) == sum(bars)
  assert len(list(score.recurse().getElementsByClass('MetronomeMark'))) == 3


def test_it_measures_what_its_sections_measure(arc):
  notes = np.array([(m.tokens > 1).sum() for m in arc.sections])
  pitches = [m.measured['mean_pitch'] for m in arc.sections]
  assert arc.measured['mean_pitch'] == pytest.approx(
    np.average(pitches, weights=notes)
  )
  bars = len(arc.tokens) / 16
  assert arc.measured['onsets_per_bar'] == pytest.approx(notes.sum() / bars)
  assert set(arc.missed) == {n for m in arc.sections for n in m.missed}
  assert [s['emotion'] for s in arc.record()['sections']] == [
    m.emotion.name for m in arc.sections
  ]


def test_the_page_tells_what_was_recognized_in_each_section(arc):
  sections = arcs.from_text(DIARY)
  record = {
    'described': [s.described() for s in sections],
    'sections': [s.record() for s in sections],
  }
  files = [{'mp3': b'', 'mid': b''}]
  page = webpage.page([arc], files, record, 'arc').decode()
  for section in sections:
    # As a browser shows it: without markup.
    assert html.escape(section.described()) in page
    assert html.escape(section.text) in page
  assert ' → '.join(f'{s.emotion.qpm:.0f}' for s in sections) in page
  page = webpage.page([arc], files, {'described': ['<b>']}, 'arc').decode()
  assert '<b>' not in page


def test_only_its_end_slows_down_and_closes(arc):
  played = arc.played(accompaniment='chords', ritardando=True)
  extra = played.note_sequence.total_quantized_steps - len(arc.tokens)
  assert extra in (0, 16)
  starts = [a.time for a in played.note_sequence.section_annotations]
  tempos = [t.time for t in played.note_sequence.tempos]
  assert tempos[:3] == starts
  assert min(tempos[3:]) > starts[-1]


def test_one_section_is_what_generate_gives(model):
  (one,) = model.generate(text='너무 기쁘다!', seed=2)
  (arc,) = model.generate(text='너무 기쁘다!', seed=2, arc=True)
  np.testing.assert_array_equal(one.tokens, arc.tokens)


def test_an_arc_needs_a_text(model):
  with pytest.raises(UserError, match='arc: goes with `text`'):
    model.generate('clear', arc=True)


def test_a_request_may_ask_for_an_arc(model):
  lines = [
    {'text': DIARY, 'arc': True, 'seed': 2, 'guidance': 0.5},
    {'emotion': '행복'},
    {'emotion': 'clear', 'arc': True},
    {'text': DIARY, 'arc': 'perhaps'},
  ]
  stream = io.BytesIO('\n'.join(map(json.dumps, lines)).encode())
  arc, word, without, neither = requested(requests.jsonl_rows(stream))
  assert arc.num_windows == len(arc.sections) == len(arc.recognized) == 3
  assert word.recognized == (
    '행복: 기쁨 → 밝음 (bright) 0.80, 발랄함 (lively) 0.20',
  )
  assert 'goes with' in without.reason
  assert 'expected true or false' in neither.reason
  # As a worker reads it from the plan.
  (shard,) = shards.cut([arc, word])
  first, second = shards.items(json.loads(json.dumps(shard)))
  assert [(s.emotion, s.bars) for s in first.sections] == [
    (s.emotion, s.bars) for s in arc.sections
  ]
  assert first.recognized == list(arc.recognized)
  assert (second.sections, second.emotion) == ([], word.emotion)


def test_the_manifest_tells_what_was_recognized(arc):
  item = shards.Item(
    1,
    arc.emotion,
    ['mid'],
    None,
    0,
    2,
    0.5,
    1.0,
    1.0,
    0.65,
    'own',
    [],
    ['밝음 1.00'],
  )
  row = manifest.row(item, ['arc.mid'], arc)
  assert row['recognized'] == ['밝음 1.00']
  assert row['emotion'] == '우울함-밝음-평화로움'
  table = pyarrow.Table.from_pylist([row], manifest.SCHEMA)
  assert table.column('recognized').to_pylist() == [['밝음 1.00']]
