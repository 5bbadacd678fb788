"""How well files are read: beside other readers, and where it is known.

python benchmarks/reading.py [--only=abc,musicxml,midi,melody,speed] [--spread]

Scores at equal distances through the corpus of music21 are read by this package
and by a second reader, and compared in all notes of all parts (onset and
pitch), bars, metres and tempo: ABC by abc2midi (Debian's package abcmidi),
MusicXML by music21 and, once music21 has written them as MIDI, without their
repeats, by music21's parser of MIDI and, for bars, pretty_midi. Then the melody
of scores in which it is known, and the seconds that 1,000 MIDI files take.

Two thirds of the corpus's MusicXML are chorales of Bach, in which little can go
wrong; with --spread, every folder of it gives as many scores as it has.

What abc2midi adds as it plays (chord symbols, graces, ornaments, fermatas, the
swing of a hornpipe) is taken out of the ABC first, for both readers. Prints
JSON; `differ` names what does not agree, and docs/benchmarks.md says why.
"""

import argparse
import collections
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile

import calibrate as composed
import mido
import music21
import numpy as np
import pretty_midi

from emotion_musicvae.emotions import measuring
from emotion_musicvae.files import encodings
from emotion_musicvae.files import lines
from emotion_musicvae.files import readers
from emotion_musicvae.files import scores
from emotion_musicvae.files import songs
from emotion_musicvae.files import tunes

CORPUS = os.path.join(os.path.dirname(music21.__file__), 'corpus')
COUNTS = {'abc': 300, 'musicxml': 100, 'midi': 100}
LARGEST = 20_000, 200_000  # bytes of .mxl and .xml: music21 takes its time
SIGNS_OF_ORDER = ('RepeatMark', 'Repeat')
REPEATS = ('RepeatExpression', 'RepeatBracket')
NEAR = 0.05  # quarter notes; chords of abc2midi are spread a little
# Signs before a note that abc2midi plays, or that keep `>` from it.
SIGNS = re.compile(
  r"""\"[^\"]*\"|\{[^}]*\}|![^!\n]*!|\+[a-z]+\+"""
  r"""|[~.H-Wuv](?=[~.H-Wuv(]*[\[^_=]*[A-Ga-gzx])"""
)


class Reading(dict):
  """`notes`, `bars`, `metre` and `tempo` as one reader has them.

  `notes` are `(quarter, pitch)` in order; `bars` how many are played, or where
  the last note begins; `metre` the metres in their order; None is not said.
  """


def ours(path):
  """How this package reads the first piece of a file."""
  score = next(readers.read_scores(path))
  if isinstance(score, tunes.Refusal):
    return Reading(notes=score.reason, bars=0, metre=[], tempo=None)
  return Reading(
    notes=sorted(
      (float(row[scores.ONSET]), int(row[scores.PITCH]))
      for part in score.parts
      for row in part.notes
    ),
    bars=len(score.bars),
    metre=_changes(bar.metre for bar in score.bars),
    tempo=score.tempos[0][1] if score.tempos else None,
  )


def _changes(values):
  return [value for value, _ in itertools.groupby(values)]


def _same_notes(a, b):
  """Whether two readers have the same pitches at about the same times."""
  if len(a) != len(b) or isinstance(a, str):
    return False
  times = [collections.defaultdict(list) for _ in range(2)]
  for found, notes in zip(times, (a, b)):
    for onset, pitch in notes:
      found[pitch].append(onset)
  return times[0].keys() == times[1].keys() and all(
    len(times[0][pitch]) == len(times[1][pitch])
    and np.abs(np.subtract(times[0][pitch], times[1][pitch])).max() < NEAR
    for pitch in times[0]
  )


def compare(pairs):
  """Shares of the scores that two readers agree on.

  Args:
    pairs: yields `(name, ours, theirs)`, two `Reading`s.
  """
  agree, differ = collections.Counter(), {}
  count = 0
  for name, a, b in pairs:
    count += 1
    same = {
      'notes': _same_notes(a['notes'], b['notes']),
      'bars': abs(a['bars'] - b['bars']) < NEAR,
      'metre': a['metre'] == b['metre'],
      'tempo': b['tempo'] is None
      or (a['tempo'] is not None and abs(a['tempo'] / b['tempo'] - 1) < 0.01),
    }
    agree.update({what: int(value) for what, value in same.items()})
    agree['all'] += all(same.values())
    if not all(same.values()):
      differ[name] = ' '.join(what for what in same if not same[what])
  shares = {what: round(agree[what] / count, 3) for what in agree}
  return {'scores': count, **shares, 'differ': differ}


# ABC, and abc2midi.


def abc_tunes():
  """`(name, text)` of every tune of the corpus."""
  for folder, _, names in sorted(os.walk(CORPUS)):
    for name in sorted(names):
      if name.endswith('.abc'):
        with open(os.path.join(folder, name), 'rb') as f:
          text = encodings.decoded(f.read()).replace('\r', '\n')
        for body in re.split(r'^X:', text, flags=re.MULTILINE)[1:]:
          number = re.match(r'\s*(\d*)', body)[1]
          yield f'{os.path.basename(folder)}/{name}#{number}', 'X:' + body


def _plain(text):
  """A tune without what abc2midi plays that is not written as notes."""
  return '\n'.join(
    line if re.match(r'[A-Za-z]:|%', line) else SIGNS.sub('', line)
    for line in text.split('\n')
    if not line.startswith('R:')
  )


def abc_pairs(count):
  """Tunes at equal distances through the collections."""
  found = list(abc_tunes())
  for name, text in _sample(found, count):
    text = _plain(text)
    with tempfile.TemporaryDirectory() as folder:
      source, target = (os.path.join(folder, n) for n in ('a.abc', 'a.mid'))
      with open(source, 'w', encoding='utf-8') as f:
        f.write(text)
      subprocess.run(
        ['abc2midi', source, '-o', target], capture_output=True, check=False
      )
      a = ours(source)
      b = _of_midi(target, bool(re.search(r'^Q:.*\d', text, re.MULTILINE)))
    # abc2midi says no bars, but where the last note begins.
    if not isinstance(a['notes'], str):
      a['bars'], b['bars'] = (r['notes'][-1][0] for r in (a, b))
    if a['metre'] == [None] and b['metre'] == [(4, 4)]:
      b['metre'] = [None]  # MIDI has to say one.
    yield name, a, b


def _of_midi(path, has_tempo):
  """A MIDI file event by event."""
  notes, metres, tempos = [], [], []
  midi = mido.MidiFile(path)
  for track in midi.tracks:
    now = 0
    for message in track:
      now += message.time
      if message.type == 'note_on' and message.velocity:
        notes.append((now / midi.ticks_per_beat, message.note))
      elif message.type == 'time_signature':
        metres.append((message.numerator, message.denominator))
      elif message.type == 'set_tempo':
        tempos.append(mido.tempo2bpm(message.tempo))
  return Reading(
    notes=sorted(notes),
    metre=_changes(metres),
    tempo=tempos[0] if has_tempo else None,
  )


# MusicXML and MIDI, and music21.


def xml_files():
  """Paths of the MusicXML of the corpus that is not too large."""
  for folder, _, names in sorted(os.walk(CORPUS)):
    for name in sorted(names):
      path = os.path.join(folder, name)
      size = LARGEST[not name.endswith('.mxl')]
      if name.endswith(('.mxl', '.xml')) and os.path.getsize(path) <= size:
        yield path


def _sample(items, count):
  """So many of a list, at equal distances."""
  return [items[i * len(items) // count] for i in range(count)]


def _spread(paths, count):
  """So many files, of every folder as many as of another if it has them."""
  folders = collections.defaultdict(list)
  for path in paths:
    folders[os.path.relpath(path, CORPUS).split(os.sep)[0]].append(path)
  turns = itertools.zip_longest(*folders.values())
  return [p for turn in turns for p in turn if p][:count]


def _of_music21(path):
  """A score as music21 reads it, and the score."""
  score = music21.converter.parse(path, forceSource=True)
  sounding = score.toSoundingPitch()
  rows = [list(p.getElementsByClass('Measure')) for p in sounding.parts]
  order = _order(sounding, rows)
  # music21 lets a part with a bar too long go on apart from the others.
  lengths = [
    float(np.median([row[i].duration.quarterLength for row in rows if row[i:]]))
    for i in range(max(map(len, rows)))
  ]
  starts = np.cumsum([0.0] + [lengths[i] for i in order])
  notes = []
  for row in rows:
    written = [list(_notes_of(measure)) for measure in row]
    played = [
      (start + onset, pitch, length, tied)
      for i, start in zip(order, starts)
      if i < len(row)
      for onset, pitch, length, tied in written[i]
    ]
    # A tie from nowhere ties nothing.
    ends = {(round(t + length, 2), pitch) for t, pitch, length, _ in played}
    notes += [
      (t, pitch)
      for t, pitch, _, tied in played
      if not tied or (round(t, 2), pitch) not in ends
    ]
  metre, metres = None, []
  for measure in rows[0]:
    metre = measure.timeSignature or metre
    metres.append(metre and (metre.numerator, metre.denominator))
  played = [i for i in order if lengths[i]]
  marks = [
    mark
    for mark in score.flatten().getElementsByClass('MetronomeMark')
    if not mark.numberImplicit or mark.numberSounding
  ]
  tempo = marks[0].getQuarterBPM(useNumberSounding=True) if marks else None
  return Reading(
    notes=sorted(notes),
    bars=len(order),
    metre=_changes(metres[i] for i in played),
    tempo=tempo,
  ), score


def _notes_of(measure):
  """`(onset, pitch, length, tied to the note before)` of a bar's notes."""
  for element in measure.recurse().notes:
    is_symbol = isinstance(element, music21.harmony.Harmony)
    if is_symbol or element.duration.isGrace:
      continue
    for note in getattr(element, 'notes', (element,)):
      tied = note.tie is not None and note.tie.type != 'start'
      is_cue = note.style.noteSize == 'cue'
      if isinstance(note, music21.note.Note) and not is_cue:
        onset = float(element.getOffsetInHierarchy(measure))
        yield onset, note.pitch.midi, float(note.quarterLength), tied


def _order(score, rows):
  """Numbers of bars as music21 plays the part that has most repeat signs.

  It goes back to the beginning where the sign that begins a repeat is left out,
  so that is added after the repeat before.
  """
  in_endings = {
    id(measure)
    for bracket in score.recurse().getElementsByClass('RepeatBracket')
    for measure in bracket.getSpannedElements()
  }
  signs = []
  for row in rows:
    for i, measure in enumerate(row):
      measure.editorial.place = i
    is_end = [isinstance(m.rightBarline, music21.bar.Repeat) for m in row]
    for i in np.flatnonzero(is_end)[:-1]:
      after = row[i + 1]
      begins = isinstance(after.leftBarline, music21.bar.Repeat)
      if not begins and id(after) not in in_endings:
        after.leftBarline = music21.bar.Repeat(direction='start')
    signs.append(sum(len(m.getElementsByClass(SIGNS_OF_ORDER)) for m in row))
  part = list(score.parts)[int(np.argmax(signs))]
  try:
    played = part.expandRepeats().getElementsByClass('Measure')
    return [measure.editorial.place for measure in played]
  except music21.repeat.ExpanderException:
    return list(range(max(map(len, rows))))


def xml_pairs(count, keep, choose=_sample):
  """Scores that `choose` takes; `keep` gets what music21 read."""
  for path in choose(list(xml_files()), count):
    b, score = _of_music21(path)
    keep.append((path, score))
    yield os.path.relpath(path, CORPUS), ours(path), b


def midi_pairs(count, found):
  """The same scores, written as MIDI by music21."""
  for path, score in found[:count]:
    with tempfile.TemporaryDirectory() as folder:
      target = os.path.join(folder, 'score.mid')
      for sign in list(score.recurse().getElementsByClass(REPEATS)):
        if sign.activeSite is not None:
          sign.activeSite.remove(sign)
      for measure in score.recurse().getElementsByClass('Measure'):
        measure.leftBarline = measure.rightBarline = None
      score.write('midi', target)
      yield (
        os.path.relpath(path, CORPUS),
        ours(target),
        _of_music21_midi(target),
      )


def _of_music21_midi(path):
  """A MIDI file event by event, as music21's own parser has them."""
  midi = music21.midi.MidiFile()
  midi.open(path)
  midi.read()
  midi.close()
  notes, metres, tempos = [], [], []
  for track in midi.tracks:
    now = 0
    for event in track.events:
      if event.isDeltaTime():
        now += event.time
      elif event.isNoteOn() and event.velocity:
        notes.append((now / midi.ticksPerQuarterNote, event.pitch))
      elif event.type == music21.midi.MetaEvents.TIME_SIGNATURE:
        metres.append((event.data[0], 2 ** event.data[1]))
      elif event.type == music21.midi.MetaEvents.SET_TEMPO:
        tempos.append(6e7 / int.from_bytes(event.data, 'big'))
  last = pretty_midi.PrettyMIDI(path)
  onsets = [note.start for i in last.instruments for note in i.notes]
  return Reading(
    notes=sorted(notes),
    bars=int(np.sum(last.get_downbeats() <= max(onsets) + 1e-3)),
    metre=_changes(metres),
    tempo=tempos[0] if tempos else None,
  )


# Melodies that are known.


def _hits(line, truth):
  """`(right, found and known)` notes, each by its sixteenth and pitch."""
  found, known = (
    {(int(scores.steps(n[scores.ONSET])), int(n[scores.PITCH])) for n in notes}
    for notes in (line, truth)
  )
  return len(found & known), len(found) + len(known)


def _f(hits):
  """F over all notes, mean over scores and the worst of them."""
  right, total = np.array(hits).T
  each = 2 * right / total
  return {
    'scores': len(hits),
    'f': round(float(2 * right.sum() / total.sum()), 3),
    'mean': round(float(each.mean()), 3),
    'worst': round(float(each.min()), 3),
  }


def melodies():
  """The line that is found in all notes of a score, and the part taken.

  The melody is known of chorales (the soprano) and of piano parts with two
  staves (the line of the upper one alone).
  """
  sopranos, staves, taken = [], [], []
  for path in xml_files():
    score = next(readers.read_scores(path))
    if isinstance(score, tunes.Refusal):
      continue
    is_chorale = f'{os.sep}bach{os.sep}' in path and len(score.parts) == 4
    if is_chorale and len(score.parts[0].notes):
      notes = np.concatenate([part.notes for part in score.parts])
      sopranos.append(_hits(_one_track(notes), score.parts[0].notes))
      taken.append(_is_first(path))
    for part in score.parts:
      staff = part.notes[:, scores.STAFF]
      numbers, counts = np.unique(staff, return_counts=True)
      if len(numbers) == 2 and counts.min() >= 32:
        upper = _one_track(part.notes[staff == numbers[0]])
        staves.append(_hits(_one_track(part.notes), upper))
  taken = [first for first in taken if first is not None]
  return {
    'soprano of a chorale': _f(sopranos),
    'upper staff of a piano part': _f(staves),
    'soprano taken of parts without names': {
      'scores': len(taken),
      'share': round(float(np.mean(taken)), 3),
    },
  }


def _one_track(notes):
  """The melody of notes that a MIDI track would have."""
  notes = notes[np.lexsort((notes[:, scores.PITCH], notes[:, scores.ONSET]))]
  together = notes.copy()
  together[:, scores.STAFF] = 1
  return lines.melody_line(lines.in_range(together), performed=True)


def _is_first(path):
  """Whether the first of unnamed parts is taken; None if it is not in 4/4."""
  with open(path, 'rb') as f:
    data = f.read()
  if zipfile.is_zipfile(path):
    with zipfile.ZipFile(path) as archive:
      name = next(n for n in archive.namelist() if not n.startswith('META'))
      data = archive.read(name)
  text = data.decode('utf-8')
  text = re.sub(r'<part-name[^/]*?>[^<]*<', '<part-name><', text)
  with tempfile.NamedTemporaryFile('w', suffix='.musicxml') as f:
    f.write(text)
    f.flush()
    try:
      return 'took part 1,' in songs.load_song(f.name).report
    except songs.UserError:
      return None


def speed(count=1000):
  """CPU seconds that calibration takes to measure MIDI files."""
  with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, f'{i}.mid') for i in range(count)]
    notes = sum(composed.compose(path, i) for i, path in enumerate(paths))
    start = time.process_time()
    for path in paths:
      measuring.measure_file((path, False))
    seconds = time.process_time() - start
  return {
    'files': count,
    'notes_per_file': round(notes / count),
    'cpu_seconds': round(seconds, 1),
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parts = [*COUNTS, 'melody', 'speed']
  parser.add_argument('--only', default=','.join(parts))
  parser.add_argument('--share', type=float, default=1.0)
  parser.add_argument('--spread', action='store_true')
  flags = parser.parse_args()
  asked = flags.only.split(',')
  counts = {name: round(n * flags.share) for name, n in COUNTS.items()}
  result, found = {}, []
  if 'abc' in asked and not shutil.which('abc2midi'):
    result['abc'] = 'skipped: abc2midi is not installed (Debian: abcmidi)'
  elif 'abc' in asked:
    result['abc'] = compare(abc_pairs(counts['abc']))
  if 'musicxml' in asked or 'midi' in asked:
    result['musicxml'] = compare(
      xml_pairs(counts['musicxml'], found, _spread if flags.spread else _sample)
    )
  if 'midi' in asked:
    result['midi'] = compare(midi_pairs(counts['midi'], found))
  if 'melody' in asked:
    result['melody'] = melodies()
  if 'speed' in asked:
    result['speed'] = speed()
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  main()
