"""What the studio says, beside `pages.PLAYER`."""

from emotion_musicvae.support import messages

STUDIO = {
  'title': messages.mark('Emotion studio'),
  'lead': messages.mark('Say how you feel, and hear it.'),
  'feel': messages.mark('How do you feel?'),
  'feel_hint': messages.mark('a tired but happy evening after the rain'),
  'nine': messages.mark('Or name it'),
  'plane': messages.mark('Or point at it'),
  'plane_help': messages.mark(
    'Drag, or set the two sliders: from unpleasant to pleasant, from calm to '
    'stirred.'
  ),
  'valence': messages.mark('Pleasant'),
  'arousal': messages.mark('Stirred'),
  'read_as': messages.mark('Read as'),
  'because': messages.mark('from'),
  'compose': messages.mark('Compose four takes'),
  'another': messages.mark('Another four'),
  'composing': messages.mark('Composing…'),
  'ready': messages.mark('Ready'),
  'loading': messages.mark('The model is being loaded…'),
  'composed': messages.mark('{n} takes are there'),
  'shape': messages.mark('Shape it'),
  'by_itself': messages.mark("the emotion's own"),
  'set_intensity': messages.mark('How much of the emotion'),
  'set_temperature': messages.mark('How daring'),
  'set_keep': messages.mark('How much of your melody stays'),
  'set_qpm': messages.mark('Tempo (quarter notes a minute)'),
  'set_pitch': messages.mark('Mean pitch (MIDI)'),
  'set_onsets': messages.mark('Notes a bar'),
  'set_seed': messages.mark('Seed'),
  'chords': messages.mark('Chords'),
  'chords_hint': messages.mark('C Am F G, or C Am | F G'),
  'chords_are': messages.mark('{key}, {bars} bars'),
  'accompaniment': messages.mark('Accompaniment'),
  'none': messages.mark('none'),
  'only_chords': messages.mark('chords'),
  'full': messages.mark('chords, bass and drums'),
  'style': messages.mark('Style'),
  'target': messages.mark('Further targets'),
  'target_help': messages.mark('as syncopation=0.3, form=AABA'),
  'metre': messages.mark('Metre'),
  'instrument': messages.mark('Instrument'),
  'yours': messages.mark('Your melody'),
  'yours_help': messages.mark(
    'Drop a MIDI, MusicXML or ABC file, or play it. The takes then move it to '
    'the emotion.'
  ),
  'choose_file': messages.mark('Choose a file'),
  'keyboard': messages.mark('Keyboard'),
  'keyboard_help': messages.mark(
    'Keys A to K play from C; a MIDI keyboard does, too. Record, play, stop.'
  ),
  'record': messages.mark('Record'),
  'recording': messages.mark('Recording… stop'),
  'use_midi': messages.mark('MIDI keyboard'),
  'midi_ready': messages.mark('{n} MIDI keyboards are connected'),
  'midi_missing': messages.mark('This browser knows no MIDI keyboard'),
  'song_is': messages.mark('{name}, {bars} bars'),
  'drop_song': messages.mark('Without it'),
  'takes': messages.mark('Takes'),
  'kept_takes': messages.mark('Kept'),
  'nothing_yet': messages.mark(
    'Four takes will stand here, each with its roll, its sound and what it '
    'measures.'
  ),
  'take': messages.mark('Take {number}'),
  'keep': messages.mark('Keep'),
  'more_like': messages.mark('More like this'),
  'lock_bars': messages.mark('Lock bars'),
  'lock_help': messages.mark(
    'Choose the bars that stay; the rest is composed anew.'
  ),
  'recompose': messages.mark('Compose the rest anew'),
  'extend': messages.mark('Add a section'),
  'extend_help': messages.mark(
    'Four ways on, in the emotion that is set above.'
  ),
  'link': messages.mark('Copy its link'),
  'link_copied': messages.mark('The link is copied'),
  'take_along': messages.mark('Take it along'),
  'all_zip': messages.mark('all of it (zip)'),
  'again': messages.mark('The same from the command line and Python'),
  'hit': messages.mark('meets its targets'),
  'miss': messages.mark('near its targets'),
  'variation_of': messages.mark('like take {number}'),
  'around': messages.mark('bars {bars} stay'),
  'show': messages.mark('Show'),
  'show_roll': messages.mark('piano roll'),
  'show_staff': messages.mark('sheet music'),
  'show_both': messages.mark('both'),
  'hear': messages.mark('Hear'),
  'all_parts': messages.mark('everything'),
  'melody_alone': messages.mark('the melody'),
  'chords_alone': messages.mark('the accompaniment'),
  'at_once': messages.mark('play at once'),
  'offline': messages.mark(
    'The studio does not answer; is its command still running? Your takes are '
    'still here.'
  ),
  'skip': messages.mark('Skip to the takes'),
}
