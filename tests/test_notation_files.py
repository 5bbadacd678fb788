"""ABC and MusicXML as people and programs write them."""

import itertools
import zipfile

import pytest

from emotion_musicvae.files import readers
from emotion_musicvae.files import songs
from emotion_musicvae.files import tunes
from emotion_musicvae.music import melody
from emotion_musicvae.support.errors import UserError

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
NAMES = dict(zip('CDEFGABcdefgab', (*SCALE[:7], *(p + 12 for p in SCALE[:7]))))


def _played(song):
  """`(quarter, pitch)` of each note."""
  notes = melody.notes(song.tokens)
  return list(zip((notes.onset / 4).tolist(), notes.pitch.tolist()))


def _pitches(song):
  return [pitch for _, pitch in _played(song)]


# ABC


def _abc(tmp_path, music, head='M:4/4\nL:1/4\n', key='C', before='X:1\nT:t\n'):
  path = tmp_path / 'tune.abc'
  path.write_text(f'{before}{head}K:{key}\n{music}\n', encoding='utf-8')
  return songs.load_song(str(path))


_SIGNS = {
  'a fermata between pluses': ('CD+fermata+EF|GABc|', 'CDEFGABc'),
  'a fermata': ('CD!fermata!EF|GABc|', 'CDEFGABc'),
  'a trill': ('CD+trill+E~F|TGHA.Bc|', 'CDEFGABc'),
  'a chord symbol': ('"Am"CD"G7"EF|"^text ABC"GABc|', 'CDEFGABc'),
  'a remark': ('CDEF|[r: remark ABC]GABc|', 'CDEFGABc'),
  'a remark on a line': ('CDEF|\nr: remark ABC\nGABc|', 'CDEFGABc'),
  'a comment': ('CDEF| % bar one: A B C\nGABc|', 'CDEFGABc'),
  'words': ('CDEF|\nw: A B C D\nGABc|', 'CDEFGABc'),
  'a field of a voice': ('[V:1]CDEF|[V:1]GABc|', 'CDEFGABc'),
  'grace notes': ('{d}CD{ef}EF|{/g}GABc|', 'CDEFGABc'),
  'slurs': ('(CD)(E(F|G)AB)c|', 'CDEFGABc'),
  'spaces and back quotes': ('C`D E```F | G A`B c |', 'CDEFGABc'),
  'what a sign stands for': ('m: ~G2 = {A}G{F}G\nCDEF|~GABc|', 'CDEFGABc'),
  'a text of lines': (
    '%%begintext\nABC of 1850 |\n%%endtext\nCDEF|GABc|',
    'CDEFGABc',
  ),
  'a line that goes on': ('CDEF|\\\nGABc|', 'CDEFGABc'),
  'a part': ('P:A\nCDEF|GABc|', 'CDEFGABc'),
}


@pytest.mark.parametrize(('music', 'letters'), _SIGNS.values(), ids=_SIGNS)
def test_signs_add_no_notes(tmp_path, music, letters):
  song = _abc(tmp_path, music)
  assert _played(song) == [(i, NAMES[x]) for i, x in enumerate(letters)]


@pytest.mark.parametrize(
  ('music', 'onsets', 'bars'),
  [
    ('CDEF|Z|GABc|', [0, 1, 2, 3, 8, 9, 10, 11], 3),
    ('CDEF|Z2|GABc|', [0, 1, 2, 3, 12, 13, 14, 15], 4),
    ('CDEF|Z4|GABc|', [0, 1, 2, 3, 20, 21, 22, 23], 6),
    ('CDEF|X2|GABc|', [0, 1, 2, 3, 12, 13, 14, 15], 4),
    ('CxEF|x4|GzBc|', [0, 2, 3, 8, 10, 11], 3),
  ],
)
def test_rests_last_as_long_as_they_say(tmp_path, music, onsets, bars):
  song = _abc(tmp_path, music)
  assert [onset for onset, _ in _played(song)] == onsets
  assert len(song.tokens) == 16 * bars


@pytest.mark.parametrize(
  ('music', 'pitches'),
  [
    ('FFFF|[K:G]FFFF|', [65] * 4 + [66] * 4),
    ('FFFF|\nK:G\nFFFF|', [65] * 4 + [66] * 4),
    ('FFFF|K:G\nFFFF|', [65] * 4 + [66] * 4),
    ('FFFF|[K:Dmin]BFBF|', [65] * 4 + [70, 65] * 2),
    ('CDEF|[L:1/8]G2A2B2c2|', list(SCALE)),
    ('CDEF|\nL:1/8\nG2A2B2c2|', list(SCALE)),
    ('[M:4/4]CDEF|[Q:1/4=100]GABc|', list(SCALE)),
    # An accidental holds to the bar line, in all octaves.
    ('^FFff|FFff|', [66, 66, 78, 78, 65, 65, 77, 77]),
    ('^F4-|F2F2|', [66, 65]),
    # What is tied is one pitch.
    ('^F2-^F2|F4|', [66, 65]),
    ('^F2-=F2|=d4-|^d4|', [66, 65, 74, 75]),
    ("^F2-^F,2|_b2-_b'2|", [66, 54, 82, 94]),
  ],
)
def test_fields_and_accidentals_hold_from_where_they_stand(
  tmp_path, music, pitches
):
  assert _pitches(_abc(tmp_path, music)) == pitches


@pytest.mark.parametrize(
  ('key', 'semitones'),
  [
    ('C octave=-1', -12),
    ('C octave=1', 12),
    ('C transpose=-2', -2),
    ('C clef=treble-8', -12),
    ('C treble', 0),
    ('Cmaj', 0),
    ('none', 0),
  ],
)
def test_a_key_says_how_notes_sound(tmp_path, key, semitones):
  song = _abc(tmp_path, 'CDEF|GABc|', key=key)
  assert _pitches(song) == [pitch + semitones for pitch in SCALE]


_HEADS = {
  'a byte-order mark': '\ufeffX:1\nT:t\n',
  'no number': 'T:t\n',
  'a year in a comment': 'X:1\nT:t\n% written down in 1998 by a friend\n',
  'a directive with a number': 'X:1\nT:t\n%%MIDI program 73\n',
  'text with a year': 'X:1\nT:t\n%%text From a book of 1850\n',
  'a header of the file': '%abc-2.1\nI:abc-charset utf-8\n\nX:1\nT:t\n',
  'text before the tune': 'From a book of 1850: ABC\n\nX:1\nT:t\n',
  'a remark without a field': 'X:1\nT:t\n1850: bars 3 and 4 are |ABc|\n',
  'a declared voice': 'X:1\nT:t\nV:1 clef=treble name="Fiddle 2000"\n',
  'a number of years': 'X:1998\nT:t\n',
  'no file of another': 'X:1\nT:t\n%%abc-include /etc/hostname\n',
}


@pytest.mark.parametrize('head', _HEADS.values(), ids=_HEADS)
def test_what_stands_before_the_music_is_no_music(tmp_path, head):
  song = _abc(tmp_path, 'CDEF|GABc|', before=head)
  assert _pitches(song) == list(SCALE)
  assert 'left out: nothing' in song.report


@pytest.mark.parametrize(
  ('metre', 'quarters'),
  [('4/4', 0.5), ('C', 0.5), ('C|', 0.5), ('2/4', 0.25), ('4/2', 0.5)],
)
def test_a_unit_that_is_not_said_follows_from_the_metre(
  tmp_path, metre, quarters
):
  song = _abc(tmp_path, 'C4D4|E4F4|', head=f'M:{metre}\n')
  assert _played(song)[1] == (4 * quarters, NAMES['D'])


def test_a_bagpipe_has_two_sharps(tmp_path):
  assert _pitches(_abc(tmp_path, 'cdef|', key='HP')) == [73, 74, 76, 78]


def test_a_metre_of_several_is_their_sum(tmp_path):
  song = _abc(tmp_path, 'CDEF|GABc|', head='M:(2+2)/4\nL:1/4\n')
  assert _pitches(song) == list(SCALE)
  assert 'bars 1 to 2' in song.report


def test_metre_and_length_of_a_file_hold_for_its_tunes(tmp_path):
  path = tmp_path / 'book.abc'
  path.write_text(
    'M:4/4\nL:1/4\n\nX:1\nT:a\nK:C\nCDEF|GABc|\n\nX:2\nT:b\nM:3/4\nK:C\nCDE|\n'
    '\nSome text: ABC.\n\nX:3\nT:c\nL:1/8\nK:C\nC2D2E2F2|\n\nGABc\n'
  )
  found, (refusal,) = readers.read(str(path))
  assert [tune.notes[:, 2].tolist() for tune in found] == [
    list(SCALE),
    list(SCALE[:4]),
  ]
  assert (refusal.reason, refusal.detail) == (tunes.NOT_QUADRUPLE, '3/4')
  assert refusal.name.endswith('book.abc#2 b')


def test_voices_are_parts_with_their_names(tmp_path):
  music = 'V:1\nC,C,G,G,|C,C,G,G,|\nV:2\nCDEF|GABc|'
  voices = 'V:1 name="Bass" clef=bass\nV:2 name="Melody"\n'
  song = _abc(tmp_path, music, head='M:4/4\nL:1/4\n' + voices)
  assert _pitches(song) == list(SCALE)
  assert "took part 2 'Melody', bars 1 to 2" in song.report
  assert "left out: part 1 'Bass'." in song.report
  voices = 'V:1 clef=treble\n'
  one = _abc(tmp_path, 'V:1\nCDEF|GABc|', head='M:4/4\nL:1/4\n' + voices)
  assert _pitches(one) == list(SCALE)


@pytest.mark.parametrize(
  ('tempo', 'qpm'),
  [
    ('1/4=72', 72),
    ('1/8=144', 72),
    ('3/8=48', 72),
    ('1/2=36', 72),
    ('"slowly" 1/4=72', 72),
    ('1/4=72 "slowly"', 72),
    ('1/4 1/8=48', 72),
  ],
)
def test_a_tempo_counts_quarter_notes(tmp_path, tempo, qpm):
  song = _abc(tmp_path, 'CDEF|GABc|', head=f'M:4/4\nL:1/4\nQ:{tempo}\n')
  assert song.qpm == qpm


@pytest.mark.parametrize(
  'music',
  ['CDEF|GABc|\nM:3/4\nCDE|FGA|\nM:4/4\nCDEF|', 'CDEF|GABc|[M:3/4]CDE|FGA|'],
)
def test_the_bars_in_four_four_are_taken_and_the_others_named(tmp_path, music):
  song = _abc(tmp_path, music)
  assert _pitches(song) == list(SCALE)
  assert 'bars 1 to 2' in song.report
  assert '2 bars in 3/4' in song.report


def test_a_tune_that_would_take_minutes_is_refused_at_once(tmp_path):
  for music in ('CDEF|' * 10_000, 'P:A\n' + 'CDEF|' * 200):
    with pytest.raises(UserError, match='too long .more than 32 KiB of ABC'):
      _abc(tmp_path, music, head='M:4/4\nL:1/4\nP:A99\n')


def test_no_metre_is_the_reason_that_is_told(tmp_path):
  with pytest.raises(UserError, match=r'cannot play \(no metre\)'):
    _abc(tmp_path, 'CDEF|GABc|', head='M:none\nL:1/4\n')


@pytest.mark.parametrize(
  ('body', 'played'),
  [
    ('|:C4|[1 D4:|[2 E4:|[3 F4|]', 'CDCECF'),
    ('|:C4|1,2 D4:|3 E4|]', 'CDCDCE'),
    ('|:C4|[1-3 D4:|[4 E4|]', 'CDCDCDCE'),
    ('|:C4|1 D4:|2 E4|F4|G4|', 'CDCE FG'),
    ('|:C4|\\\n1 D4:|2 E4|]', 'CDCE'),
    ('|:C4|\\\n|1 D4:|2 E4|]', 'CDCE'),
    ('C4|D4::E4|F4:|', 'CDCD EFEF'),
    ('|:C4|D4:||:E4|F4:|', 'CDCD EFEF'),
    ('C4:|D4||E4:|', 'CC D EE'),
    ('C4|D4||E4:|', 'CDE CDE'),
    ('|:C4|D4||E4:|', 'CDE CDE'),
    ('|:C4|D4[|] :|', 'CD CD'),
    ('|:C4|D4\\\n[|][|]:|E4|]', 'CD CD E'),
  ],
)
def test_a_repeat_has_as_many_passes_as_it_says(tmp_path, body, played):
  letters = [NAMES[x] for x in played.replace(' ', '')]
  assert _pitches(_abc(tmp_path, body)) == letters


@pytest.mark.parametrize(
  ('order', 'played'),
  [('ABA', 'CDC'), ('A2B', 'CCD'), ('(AB)2', 'CDCD'), ('A.B.B', 'CDD')],
)
def test_parts_are_played_in_their_order(tmp_path, order, played):
  song = _abc(tmp_path, 'P:A\nC4|\nP:B\nD4|', head=f'M:4/4\nL:1/4\nP:{order}\n')
  assert _pitches(song) == [NAMES[x] for x in played]


def test_a_repeat_does_not_go_back_beyond_its_part(tmp_path):
  music = 'P:A\nC4|D4::\nP:B\nE4::\nP:C\nF4||\n'
  song = _abc(tmp_path, music, head='M:4/4\nL:1/4\nP:ABCA\n')
  assert _pitches(song) == [NAMES[x] for x in 'CDCDEEFCDCD']


def test_a_pick_up_sounds_first_and_again_in_its_repeat(tmp_path):
  song = _abc(tmp_path, '|:CD|EFGA|Bc:|')
  assert _played(song) == [(2 + i, SCALE[i % 8]) for i in range(16)]
  later = song.starting(2)
  assert _played(later)[0] == (0, NAMES['E'])


def test_a_repeat_after_a_pick_up_begins_with_a_bar(tmp_path):
  song = _abc(tmp_path, 'CD|:EFGA|Bc:|')
  assert _pitches(song) == [NAMES[x] for x in 'CDEFGABcEFGABc']
  onsets = [onset for onset, _ in _played(song)]
  assert onsets[:8] == [2, 3, 4, 5, 6, 7, 8, 9]
  assert onsets[8] == 12


# MusicXML


_STEPS = ('C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'A#', 'B')


def _note(pitch, duration=1, more='', tie=(), after=''):
  """A note; divisions are quarters. `more` comes first, as <chord/> has to."""
  what = '<rest/>'
  if pitch:
    name = _STEPS[pitch % 12]
    what = (
      f'<pitch><step>{name[0]}</step><alter>{len(name) - 1}</alter>'
      f'<octave>{pitch // 12 - 1}</octave></pitch>'
    )
  ties = ''.join(f'<tie type="{kind}"/>' for kind in tie)
  length = '' if duration is None else f'<duration>{duration}</duration>'
  return f'<note>{more}{what}{length}{ties}{after}</note>'


def _bar(*pitches):
  return ''.join(_note(pitch) for pitch in pitches)


def _xml(tmp_path, *parts, names=None, metre=(4, 4), name='s.musicxml'):
  """A score of parts, each a list of measures: contents, or with a number."""
  listed, written = '', ''
  for i, part in enumerate(parts):
    title = names[i] if names else f'Part {i}'
    listed += (
      f'<score-part id="P{i}"><part-name>{title}</part-name></score-part>'
    )
    written += f'<part id="P{i}">'
    for j, measure in enumerate(part):
      contents, number = (
        measure if isinstance(measure, tuple) else (measure, j + 1)
      )
      head = ''
      if not j:
        head = (
          '<attributes><divisions>1</divisions><time><beats>'
          f'{metre[0]}</beats><beat-type>{metre[1]}</beat-type></time>'
          '</attributes>'
        )
      written += f'<measure number="{number}">{head}{contents}</measure>'
    written += '</part>'
  path = tmp_path / name
  path.write_text(
    '<?xml version="1.0"?><score-partwise version="3.1"><part-list>'
    f'{listed}</part-list>{written}</score-partwise>'
  )
  return str(path)


_EIGHT = [_bar(*SCALE[:4]), _bar(*SCALE[4:])] * 4


def _repeat(direction, more=''):
  return f'<barline><repeat direction="{direction}" {more}/></barline>'


def _ending(number, kind):
  return f'<barline><ending number="{number}" type="{kind}"/></barline>'


def test_a_melody_over_a_tied_note_keeps_its_notes(tmp_path):
  # Written as chords, and in two voices.
  chords = []
  for bar in range(8):
    for beat in range(4):
      tie = [
        *(['stop'] if bar or beat else []),
        *(['start'] if bar < 7 or beat < 3 else []),
      ]
      chords.append(
        _note(60, tie=tie) + _note(72 + SCALE[beat] - 60, more='<chord/>')
      )
  measures = [''.join(chords[4 * bar : 4 * bar + 4]) for bar in range(8)]
  song = songs.load_song(_xml(tmp_path, measures))
  expected = [(q, 12 + SCALE[q % 4]) for q in range(32)]
  assert _played(song) == expected
  voices = [
    _bar(*(12 + pitch for pitch in SCALE[:4]))
    + '<backup><duration>4</duration></backup>'
    + _note(60, 4, tie=['stop', 'start'][not bar : 2 - (bar == 7)])
    for bar in range(8)
  ]
  song = songs.load_song(_xml(tmp_path, voices))
  assert _played(song) == expected
  assert '1 note starting with or under another' in song.report


def test_a_tie_lengthens_its_own_note(tmp_path):
  measures = [
    _note(72, 4, tie=['start']) + _note(64, 4, more='<chord/>', tie=['start']),
    _note(72, 2, tie=['stop'])
    + _note(64, 2, more='<chord/>', tie=['stop'])
    + _bar(74, 76),
  ]
  song = songs.load_song(_xml(tmp_path, measures))
  assert _played(song) == [(0, 72), (6, 74), (7, 76)]
  assert not (song.tokens == melody.NOTE_OFF).any()


def test_two_voices_tie_the_same_pitch_each_its_own(tmp_path):
  def voice(number, *notes):
    return ''.join(
      _note(pitch, length, tie=tie, after=f'<voice>{number}</voice>')
      for pitch, length, tie in notes
    )

  back = '<backup><duration>4</duration></backup>'
  measures = [
    voice(1, (72, 4, ['start'])) + back + voice(2, (72, 4, ['start'])),
    voice(1, (72, 1, ['stop']), (74, 3, []))
    + back
    + voice(2, (72, 3, ['stop']), (60, 1, [])),
  ]
  score = next(readers.read_scores(_xml(tmp_path, measures)))
  assert score.parts[0].notes[:, :3].tolist() == [
    [0, 5, 72],
    [0, 7, 72],
    [5, 3, 74],
    [7, 1, 60],
  ]


@pytest.mark.parametrize(
  ('first', 'last', 'passes'),
  [('1, 2', '3', 3), ('1,2,3', '4', 4), ('1', '2', 2)],
)
def test_endings_are_played_in_the_passes_they_name(
  tmp_path, first, last, passes
):
  measures = [
    _repeat('forward') + _bar(60, 60, 60, 60),
    _ending(first, 'start')
    + _bar(62, 62, 62, 62)
    + _ending(first, 'stop')
    + _repeat('backward'),
    _ending(last, 'start') + _bar(64, 64, 64, 64) + _ending(last, 'stop'),
  ]
  song = songs.load_song(_xml(tmp_path, measures))
  bars = [60, 62] * (passes - 1) + [60, 64]
  assert _pitches(song) == [pitch for pitch in bars for _ in range(4)]
  assert 'bars 1 to 3, with their repeats' in song.report


def _sound(**attributes):
  says = ' '.join(f'{name}="{value}"' for name, value in attributes.items())
  return f'<direction><sound {says}/></direction>'


def _words(words):
  words = f'<direction-type><words>{words}</words></direction-type>'
  return f'<direction>{words}</direction>'


def _sign(sign):
  return f'<direction><direction-type><{sign}/></direction-type></direction>'


_JUMPS = {
  # Bars a to e, what stands in each, and what is played.
  'da capo': ({'b': _sound(dacapo='yes')}, 'ababcde'),
  'da capo at the end': ({'e': _sound(dacapo='yes')}, 'abcdeabcde'),
  'al fine': ({'b': _sound(fine='yes'), 'e': _sound(dacapo='yes')}, 'abcdeab'),
  'al fine in words': ({'c': _words('Fine'), 'e': _words('D.C. al Fine')},
                       'abcdeabc'),
  'dal segno': ({'c': _sound(segno='s'), 'd': _sound(dalsegno='s')}, 'abcdcde'),
  'dal segno al fine in words': (
    {'b': _sign('segno'), 'c': _words('FINE'),
     'd': _words('Dal Segno al Fine')},
    'abcdbc'),
  'al coda': (
    {'b': _sound(tocoda='c'), 'd': _sound(dacapo='yes'),
     'e': _sound(coda='c')}, 'abcdabe'),
  'al coda in words': (
    {'a': _sign('segno'), 'b': _words('To Coda'), 'd': _words('D.S. al Coda'),
     'e': _sign('coda')}, 'abcdabe'),
  'two signs of a coda': (
    {'b': _sign('coda'), 'd': _words('D.C.'), 'e': _sign('coda')}, 'abcdabe'),
  'a fine that this jump passes': (
    {'a': _words('Fine'), 'b': _words('To Coda'), 'd': _words('D.C. al Coda'),
     'e': _sign('coda')}, 'abcdabe'),
  'a repeat is played once after the jump': (
    {'b': _repeat('backward'), 'e': _sound(dacapo='yes')}, 'ababcdeabcde'),
  'and with its last ending': (
    {'b': _ending('1', 'start') + _ending('1', 'stop') + _repeat('backward'),
     'c': _ending('2', 'start') + _ending('2', 'stop'),
     'd': _sound(dacapo='yes')}, 'abacdacde'),
  'two jumps': (
    {'b': _sound(dacapo='yes'), 'd': _sound(dacapo='yes')}, 'ababcdabcde'),
}  # fmt: skip


@pytest.mark.parametrize(('marks', 'played'), _JUMPS.values(), ids=_JUMPS)
@pytest.mark.parametrize('part', [0, 1])
def test_jumps_are_played_as_they_are_written(tmp_path, marks, played, part):
  plain = [_bar(*[60 + i] * 4) for i in range(5)]
  marked = [bar + marks.get(letter, '') for bar, letter in zip(plain, 'abcde')]
  parts = [plain, plain]
  parts[part] = marked
  # Those that stand before the first note of a bar lead there.
  for goal in ('segno', 'coda'):
    for i, letter in enumerate('abcde'):
      sign = marks.get(letter, '')
      if f'<{goal}' in sign or f' {goal}=' in sign:
        parts[part][i] = sign + plain[i]
  path = _xml(tmp_path, *parts, names=['Melody', 'Drone'])
  song = songs.load_song(path)
  assert ''.join('abcde'[p - 60] for p in _pitches(song)[::4]) == played
  assert "left out: part 2 'Drone'." in song.report


def test_a_sign_after_the_last_note_leads_to_the_next_bar(tmp_path):
  bars = [_bar(*[60 + i] * 4) for i in range(4)]
  bars[1] += '<barline location="right" segno="s"><segno/></barline>'
  bars[3] += _sound(dalsegno='s')
  song = songs.load_song(_xml(tmp_path, bars))
  assert [p - 60 for p in _pitches(song)[::4]] == [0, 1, 2, 3, 2, 3]


def test_a_bar_with_too_much_in_one_part_is_as_long_as_its_metre(tmp_path):
  full = [_bar(*SCALE[:4]), _bar(*SCALE[4:])]
  parts = [full, [_bar(48, 48, 48, 48, 48), _bar(50, 50, 50, 50)]]
  song = songs.load_song(_xml(tmp_path, *parts, names=['Melody', 'Bass']))
  assert _played(song) == list(enumerate(SCALE))


def test_a_bar_is_as_long_as_in_most_parts(tmp_path):
  long = [_bar(*SCALE), _bar(*SCALE[:4])]
  short = [_bar(48, 48, 48, 48), _bar(50, 50, 50, 50)]
  path = _xml(tmp_path, long, long, short, names=['Melody', 'b', 'c'])
  assert _played(songs.load_song(path))[:9] == list(enumerate((*SCALE, 60)))
  # And where a part stops early, as long as in the others.
  path = _xml(tmp_path, [_bar(48), _bar(50)], _EIGHT[:2], names=['a', 'Melody'])
  assert _played(songs.load_song(path)) == list(enumerate(SCALE))


def test_a_repeat_goes_back_to_a_fine_before_it(tmp_path):
  bars = [_bar(*[60 + i] * 4) for i in range(4)]
  bars[0] += _repeat('backward')
  bars[1] += _sound(fine='yes')
  bars[2] += _repeat('backward')
  bars[3] += _sound(dacapo='yes')
  song = songs.load_song(_xml(tmp_path, bars))
  played = [p - 60 for p in _pitches(song)[::4]]
  assert played == [0, 0, 1, 2, 2, 3, 0, 1]


def test_a_jump_that_leads_nowhere_is_told(tmp_path):
  bars = [*_EIGHT[:-1], _EIGHT[-1] + _sound(dalsegno='yes')]
  song = songs.load_song(_xml(tmp_path, bars))
  assert _pitches(song) == list(SCALE) * 4
  assert 'left out: 1 D.S. jump.' in song.report


@pytest.mark.parametrize(
  ('music', 'played'),
  [
    ('C4|D4!fine!|E4|F4!D.C.!|', 'CDEFCD'),
    ('C4|D4!fine!|E4|F4!D.C.alfine!|', 'CDEFCD'),
    ('C4|!segno!D4|E4!fine!|F4!D.S.!|', 'CDEFDE'),
    ('C4|D4!dacoda!|E4!D.C.alcoda!|!coda!F4|', 'CDECDF'),
    ('C4|D4"^Fine"|E4|F4"^D.C. al Fine"|', 'CDEFCD'),
    ('C4|D4|E4|F4!D.C.!|', 'CDEFCDEF'),
  ],
)
def test_jumps_of_abc_are_played(tmp_path, music, played):
  assert _pitches(_abc(tmp_path, music)) == [NAMES[x] for x in played]


def _changed(tmp_path, old, new):
  path = _xml(tmp_path, _EIGHT)
  with open(path, encoding='utf-8') as f:
    text = f.read()
  assert old in text
  with open(path, 'w', encoding='utf-8') as f:
    f.write(text.replace(old, new, 1))
  return songs.load_song(path)


@pytest.mark.parametrize(
  ('old', 'new'),
  [
    ('<?xml', '\n<?xml'),
    ('<score-partwise', '<score-partwise xmlns="http://www.musicxml.org/ns"'),
    ('<?xml version="1.0"?>', ''),
    ('<octave>4<', '<octave> 4 <'),
    ('<duration>1<', '<duration>1.0<'),
  ],
)
def test_xml_is_read_as_programs_write_it(tmp_path, old, new):
  song = _changed(tmp_path, old, new)
  assert _pitches(song) == list(SCALE) * 4
  assert 'bars 1 to 8; left out: nothing.' in song.report


@pytest.mark.parametrize('tempo', ['72.5', '72,5', ' 72.5 '])
def test_a_tempo_is_a_number_however_it_is_written(tmp_path, tempo):
  sound = f'</attributes><sound tempo="{tempo}"/>'
  assert _changed(tmp_path, '</attributes>', sound).qpm == 72.5


def test_bars_without_numbers_are_counted(tmp_path):
  path = _xml(tmp_path, [(contents, '') for contents in _EIGHT])
  song = songs.load_song(path)
  assert 'bars 1 to 8; left out' in song.report
  assert _pitches(song.starting(2))[0] == SCALE[4]


def test_a_bar_without_a_number_among_others_is_no_repeat(tmp_path):
  bars = [(contents, i + 1) for i, contents in enumerate(_EIGHT)]
  bars[2] = bars[2][0], 'X1'
  report = songs.load_song(_xml(tmp_path, bars)).report
  assert 'bars 1 to 8; left out' in report


@pytest.mark.parametrize('ending', ['mxl', 'xml', 'musicxml'])
def test_an_archive_is_told_by_its_contents(tmp_path, ending):
  path = _xml(tmp_path, _EIGHT, name='plain.xml')
  with open(path, 'rb') as f:
    data = f.read()
  plain = tmp_path / f'plain.{ending}'
  plain.write_bytes(data)
  packed = tmp_path / f'packed.{ending}'
  with zipfile.ZipFile(packed, 'w') as archive:
    archive.writestr('score.xml', data)
  for one in (plain, packed):
    assert _pitches(songs.load_song(str(one))) == list(SCALE) * 4


@pytest.mark.parametrize('times', [2, 3, 4])
def test_a_repeat_says_how_often(tmp_path, times):
  repeat = _repeat('backward', f'times="{times}"')
  measures = [_bar(*SCALE[:4]), _bar(*SCALE[4:]) + repeat]
  song = songs.load_song(_xml(tmp_path, measures))
  assert _pitches(song) == list(SCALE) * times


def test_a_bar_is_found_by_its_number_after_repeats(tmp_path):
  measures = [_bar(*[59 + n] * 4) for n in range(1, 13)]
  measures[4] = _repeat('forward') + measures[4]
  measures[7] += _repeat('backward')
  song = songs.load_song(_xml(tmp_path, measures))
  assert len(song.tokens) == 16 * 16
  for bar in (1, 5, 9, 12):
    assert _pitches(song.starting(bar))[0] == 59 + bar
  assert len(song.starting(9).tokens) == 4 * 16
  with pytest.raises(UserError, match='bars 1 to 12, got 13'):
    song.starting(13)


def test_numbers_are_those_of_the_file(tmp_path):
  measures = [(contents, 5 + i) for i, contents in enumerate(_EIGHT)]
  song = songs.load_song(_xml(tmp_path, measures))
  assert 'bars 5 to 12' in song.report
  assert _pitches(song.starting(6))[:4] == list(SCALE[4:])
  with pytest.raises(UserError, match='bars 5 to 12, got 4'):
    song.starting(4)


@pytest.mark.parametrize('number', ['0', '1', 'X1'])
def test_a_pick_up_sounds_first(tmp_path, number):
  measures = [(_bar(55), number)]
  first = 1 if number != '1' else 2
  measures += [(contents, first + i) for i, contents in enumerate(_EIGHT)]
  song = songs.load_song(_xml(tmp_path, measures))
  assert _played(song)[0] == (3, 55)
  assert _played(song)[1:] == [(4 + q, SCALE[q % 8]) for q in range(32)]
  assert _pitches(song.starting(first)) == list(SCALE) * 4
  (tune,), _ = readers.read(_xml(tmp_path, measures))
  assert tune.notes[0].tolist() == [-1, 1, 55]


def test_what_no_note_follows_is_no_pick_up(tmp_path):
  measures = [_bar(60, 62), _note(None, 4), _note(None, 4)]
  path = _xml(tmp_path, measures)
  (tune,), _ = readers.read(path)
  assert tune.notes[:, 0].tolist() == [2, 3]
  assert tune.quarters >= 4
  assert _played(songs.load_song(path)) == [(2, 60), (3, 62)]


def test_a_part_is_found_by_its_name_and_its_number(tmp_path):
  high = [_bar(*(12 + p for p in SCALE[i : i + 4])) for i in (0, 4)] * 4
  path = _xml(tmp_path, high, _EIGHT, names=['Flute', 'Voice'])
  assert "took part 2 'Voice'" in songs.load_song(path).report
  silent = [_note(None, 4)] * 8
  path = _xml(tmp_path, silent, high, _EIGHT, names=['Tacet', 'Flute', 'Cello'])
  song = songs.load_song(path, track=2)
  assert _pitches(song)[0] == 72
  assert song.report.endswith("left out: part 3 'Cello'.")
  with pytest.raises(UserError, match="part 1 'Tacet' has no note"):
    songs.load_song(path, track=1)


def test_cue_and_grace_notes_are_not_played_and_counted(tmp_path):
  cue = ''.join(_note(84, more='<cue/>') for _ in range(4))
  measures = [_bar(*SCALE[:4]), cue] * 4
  measures[0] = _note(71, None, more='<grace/>') + measures[0]
  song = songs.load_song(_xml(tmp_path, measures))
  bars = [[(8 * i + q, SCALE[q]) for q in range(4)] for i in range(4)]
  assert _played(song) == list(itertools.chain(*bars))
  assert 'left out: 1 grace note, 16 cue notes.' in song.report


@pytest.mark.parametrize(
  'mark',
  [
    '<sound tempo="72"/>',
    '<direction><direction-type><metronome><beat-unit>quarter</beat-unit>'
    '<per-minute>72</per-minute></metronome></direction-type></direction>',
    '<direction><direction-type><metronome><beat-unit>quarter</beat-unit>'
    '<beat-unit-dot/><per-minute>c. 48</per-minute></metronome>'
    '</direction-type><sound tempo="72"/></direction>',
    '<direction><direction-type><metronome><beat-unit>quarter</beat-unit>'
    '<beat-unit-dot/><per-minute>48</per-minute></metronome>'
    '</direction-type></direction>',
  ],
)
def test_notation_has_a_tempo(tmp_path, mark):
  song = songs.load_song(_xml(tmp_path, [mark + _EIGHT[0], *_EIGHT[1:]]))
  assert song.qpm == 72
  assert songs.load_song(_xml(tmp_path, _EIGHT)).qpm is None


def test_a_part_in_another_metre_is_named(tmp_path):
  change = (
    '<attributes><time><beats>3</beats><beat-type>4</beat-type></time>'
    '</attributes>'
  )
  back = change.replace('3<', '4<')
  voice = [*_EIGHT, change + _bar(60, 62, 64), back + _EIGHT[0]]
  drone = [*[_note(48, 4)] * 8, change + _note(48, 3), back + _note(48, 4)]
  path = _xml(tmp_path, voice, drone, names=['Voice', 'Drone'])
  song = songs.load_song(path)
  assert _pitches(song) == list(SCALE) * 4
  assert "left out: part 2 'Drone', 1 bar in 3/4, 1 bar in 4/4" in song.report


def test_transposing_instruments_sound_as_they_sound(tmp_path):
  change = (
    '<attributes><transpose><chromatic>-2</chromatic>'
    '<octave-change>-1</octave-change></transpose></attributes>'
  )
  song = songs.load_song(_xml(tmp_path, [change + _EIGHT[0], *_EIGHT[1:]]))
  assert _pitches(song)[:8] == [pitch - 14 for pitch in SCALE]


def test_the_upper_staff_of_a_piano_has_the_melody(tmp_path):
  lower = ''.join(_note(84, after='<staff>2</staff>') for _ in range(4))
  back = '<backup><duration>4</duration></backup>'
  song = songs.load_song(_xml(tmp_path, [bar + back + lower for bar in _EIGHT]))
  assert _pitches(song) == list(SCALE) * 4
  assert 'left out: 32 notes in another staff.' in song.report


def test_a_bar_with_nothing_in_it_is_a_bar(tmp_path):
  song = songs.load_song(_xml(tmp_path, [_EIGHT[0], '', _EIGHT[1], '']))
  assert [onset for onset, _ in _played(song)] == [0, 1, 2, 3, 8, 9, 10, 11]
  assert len(song.tokens) == 64


def test_a_score_ordered_by_bars_is_read_too(tmp_path):
  measures = [
    f'<measure number="{i + 1}"><part id="P0">{contents}</part></measure>'
    for i, contents in enumerate(
      ['<attributes><divisions>1</divisions></attributes>' + _EIGHT[0]]
      + _EIGHT[1:]
    )
  ]
  path = tmp_path / 'score.xml'
  path.write_text(f'<score-timewise>{"".join(measures)}</score-timewise>')
  assert _pitches(songs.load_song(str(path))) == list(SCALE) * 4


def test_a_compressed_score_is_the_file_that_its_container_names(tmp_path):
  plain = _xml(tmp_path, _EIGHT)
  path = tmp_path / 'score.mxl'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a.xml', '<other/>')
    archive.write(plain, 'music/score.xml')
    archive.writestr(
      'META-INF/container.xml',
      '<container><rootfiles><rootfile full-path="music/score.xml"/>'
      '</rootfiles></container>',
    )
  assert _pitches(songs.load_song(str(path))) == list(SCALE) * 4
