'use strict';
// The studio: asks for takes and shows them. Needs player.js. What a take is
// stands in its `spec`; the server keeps nothing.

const DATA = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
const KEY = 'emotion_musicvae';
Words.all = DATA.words;

const state = {
  feeling: {text: ''},  // one of {text}, {emotion}, {valence, arousal}
  song: null, last: null, ahead: null, count: 0, busy: 0,
};

// ---- Asking

class Refusal extends Error {}

async function ask(path, values, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method: 'POST',
      headers: {'Content-Type': 'application/json', 'Accept-Language': Words.language},
      body: JSON.stringify(values), ...options,
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(Words.text('offline'));
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refusal(told.error || String(answer.status));
}
const asked = async (path, values, options) =>
  (await ask(path, values, options)).json();

function tell(name, values = {}, isWrong = false) {
  const status = byId('status');
  status.classList.toggle('wrong', isWrong);
  if (name instanceof Error) status.textContent = name.message;
  else Words.say(status, name, values);
}
const wrong = error => {
  if (error.name === 'AbortError') return;
  if (!(error instanceof Refusal)) console.error(error);
  tell(error, {}, true);
};

// ---- What is asked for

const OWN = ['qpm', 'mean_pitch', 'onsets_per_bar'];

function request() {
  const values = {...state.feeling};
  const number = id => Number(byId(id).value);
  if (number('intensity') !== 1) values.intensity = number('intensity');
  if (number('temperature') !== 0.5) values.temperature = number('temperature');
  for (const name of OWN) if (!byId(name).disabled) values[name] = number(name);
  const chords = byId('chords').value.trim();
  if (chords) values.chords = chords;
  const target = byId('target').value.replace(/\s+/g, '');
  if (target) values.target = target;
  const accompaniment = byId('accompaniment').value;
  if (accompaniment !== 'none') {
    values.accompaniment = accompaniment;
    if (byId('style').value) values.style = byId('style').value;
  }
  if (byId('metre').value && !state.song) values.time_signature = byId('metre').value;
  if (byId('program').value) values.program = number('program');
  if (state.song) {
    values.song = state.song;
    values.keep = number('keep');
  }
  return values;
}

const drawn = () => crypto.getRandomValues(new Uint32Array(1))[0] % 2 ** 31;

// The next four of what was asked for last are composed while these are heard,
// where nobody else waits for the server.
async function lookAhead(values) {
  const wanted = {...values, seed: drawn()};
  state.ahead = wanted.seed;
  try {
    const answer = await ask('/api/takes', {request: wanted, n: 4, beforehand: true});
    if (answer.status === 200) soundOf((await answer.json()).takes[0].spec, 'take');
  } catch { /* Nobody asked for it. */ }
}

// ---- How one feels

let reading = null;
async function read() {
  if (reading) reading.abort();
  reading = new AbortController();
  const line = byId('reading'), {feeling} = state;
  if (!feeling.emotion && feeling.valence === undefined && !feeling.text.trim()) {
    line.replaceChildren();
    return;
  }
  try {
    const found = await asked('/api/reading', feeling, {signal: reading.signal});
    line.classList.remove('wrong');
    const name = Words.language === 'ko' ? found.korean : found.english;
    line.replaceChildren(Words.say(make('span'), 'read_as'), ' ');
    const shares = Object.entries(found.weights);
    if (shares.length) {
      for (const [alias, share] of shares) {
        const bar = make('span', {class: 'bar'});
        bar.style.width = `${share * 8}em`;
        const known = DATA.emotions.find(e => e.en === alias);
        line.append(make('span', {class: 'share'}, bar,
          `${known[Words.language]} ${Math.round(share * 100)} %`));
      }
      if (found.evidence.length) {
        line.append(make('span', {class: 'why'}, Words.text('because') + ': '
          + found.evidence.map(([word, why]) => `${word} (${why})`).join(', ')));
      }
      if (found.place) place(...found.place);
    } else {
      line.append(make('strong', {}, blended(name)));
    }
    for (const [id, value] of Object.entries(found.targets)) {
      if (OWN.includes(id) && byId(id).disabled) byId(id).value = value;
    }
    if (!byId('chords').value) {
      byId('chords').placeholder = found.targets.chords.split(/\s+/).slice(0, 8).join(' ');
    }
    outputs();
  } catch (error) {
    if (error.name === 'AbortError') return;
    line.classList.add('wrong');
    line.textContent = error.message;
  }
}

// A blend's name, as bright0.58+lively0.42, as one reads it.
function blended(name) {
  return name.split('+').map(part => part.replace(/([0-9.]+)$/,
    share => ` ${Math.round(Number(share) * 100)} %`)).join(' + ');
}

function later(run, milliseconds) {
  let waiting;
  return () => { clearTimeout(waiting); waiting = setTimeout(run, milliseconds); };
}
const readSoon = later(read, 180);

function feel(feeling) {
  state.feeling = feeling;
  if (!('text' in feeling)) byId('text').value = '';
  for (const button of byId('nine').children) {
    button.setAttribute('aria-pressed', String(button.dataset.name === feeling.emotion));
  }
  readSoon();
}

// The plane's edge is left free for names.
const EDGE = 12, SPAN = 100 - 2 * EDGE;  // percent

function put(element, valence, arousal) {
  element.style.left = `${EDGE + (valence + 1) / 2 * SPAN}%`;
  element.style.top = `${EDGE + (1 - arousal) / 2 * SPAN}%`;
}

function place(valence, arousal) {
  put(byId('knob'), valence, arousal);
  byId('valence').value = valence;
  byId('arousal').value = arousal;
}

function point(event) {
  const box = byId('plane').getBoundingClientRect();
  const from = (part, whole) => {
    const value = (part / whole * 100 - EDGE) / SPAN * 2 - 1;
    return Math.max(-1, Math.min(1, Math.round(value * 100) / 100));
  };
  const valence = from(event.clientX - box.left, box.width);
  const arousal = -from(event.clientY - box.top, box.height);
  place(valence, arousal);
  feel({valence, arousal});
}

function setUpFeelings() {
  for (const emotion of DATA.emotions) {
    const name = () => emotion[Words.language];
    const button = make('button', {type: 'button', 'aria-pressed': 'false',
      'data-name': emotion.en}, name());
    button.onclick = () => { place(...emotion.place); feel({emotion: emotion.en}); };
    const label = make('span', {}, name());
    put(label, ...emotion.place);
    if (emotion.en === 'gloomy') label.classList.add('below');
    document.addEventListener('languagechange', () => {
      button.textContent = label.textContent = name();
    });
    byId('nine').append(button);
    byId('plane').append(label);
  }
  byId('text').oninput = () => feel({text: byId('text').value});
  byId('plane').onpointerdown = event => {
    byId('plane').setPointerCapture(event.pointerId);
    point(event);
    byId('plane').onpointermove = point;
  };
  byId('plane').onpointerup = byId('plane').onpointercancel = () => {
    byId('plane').onpointermove = null;
  };
  for (const id of ['valence', 'arousal']) {
    byId(id).oninput = () => {
      const at = [Number(byId('valence').value), Number(byId('arousal').value)];
      place(...at);
      feel({valence: at[0], arousal: at[1]});
    };
  }
  place(0, 0);
  document.addEventListener('languagechange', () => {
    byId('text').placeholder = Words.text('feel_hint');
    read();
  });
}

// ---- How it is shaped

function outputs() {
  for (const output of document.querySelectorAll('output')) {
    const input = byId(output.htmlFor.value);
    output.textContent = input.disabled ? Words.text('by_itself') : input.value;
  }
}

const checkChords = later(async () => {
  const line = byId('chords-are'), input = byId('chords');
  const chords = input.value.trim();
  input.setAttribute('aria-invalid', 'false');
  line.classList.remove('wrong');
  if (!chords) { line.textContent = ''; return; }
  try {
    const found = await asked('/api/chords',
      {chords, time_signature: byId('metre').value || '4/4'});
    Words.say(line, 'chords_are', () => ({bars: found.bars,
      key: found.key ? Words.text(found.mode, {tonic: found.key}) : '–'}));
  } catch (error) {
    input.setAttribute('aria-invalid', 'true');
    line.classList.add('wrong');
    line.textContent = error.message;
  }
}, 200);

const checkTarget = later(async () => {
  const line = byId('target-is'), input = byId('target');
  const target = input.value.replace(/\s+/g, '');
  let told = '';
  try {
    if (target) await asked('/api/reading', {emotion: 'peaceful', target});
  } catch (error) { told = error.message; }
  input.setAttribute('aria-invalid', String(Boolean(told)));
  line.classList.toggle('wrong', Boolean(told));
  if (told) line.textContent = told;
  else Words.say(line, 'target_help');
}, 200);

function setUpShape() {
  for (const row of document.querySelectorAll('.own')) {
    const input = byId(row.dataset.field);
    const box = row.querySelector('[type=checkbox]');
    box.onchange = () => { input.disabled = !box.checked; outputs(); };
    Words.say(input, {qpm: 'set_qpm', mean_pitch: 'set_pitch',
      onsets_per_bar: 'set_onsets'}[row.dataset.field], {}, 'aria-label');
  }
  for (const input of document.querySelectorAll('input[type=range]')) {
    input.addEventListener('input', outputs);
  }
  byId('chords').oninput = checkChords;
  byId('target').oninput = checkTarget;
  const say = (select, value, name) => {
    Words.say(select.querySelector(`option[value="${value}"]`), name);
  };
  say(byId('accompaniment'), 'none', 'none');
  say(byId('accompaniment'), 'chords', 'only_chords');
  say(byId('accompaniment'), 'full', 'full');
  say(byId('style'), '', 'by_itself');
  say(byId('program'), '', 'by_itself');
  say(byId('metre'), '', 'by_itself');
  byId('metre').onchange = checkChords;
  say(byId('part'), 'all', 'all_parts');
  say(byId('part'), 'melody', 'melody_alone');
  say(byId('part'), 'chords', 'chords_alone');
  DATA.instruments.forEach((name, i) => {
    byId('program').append(make('option', {value: i}, name));
  });
  say(byId('show'), 'roll', 'show_roll');
  say(byId('show'), 'staff', 'show_staff');
  say(byId('show'), 'both', 'show_both');
  let shown = null;
  try { shown = localStorage.getItem('shown'); } catch { /* forbidden */ }
  byId('show').onchange = () => {
    document.body.dataset.shown = byId('show').value;
    try { localStorage.setItem('shown', byId('show').value); } catch { /* forbidden */ }
    Playing.changed();
  };
  byId('show').value = ['staff', 'both'].includes(shown) ? shown : 'roll';
  document.body.dataset.shown = byId('show').value;
  byId('part').onchange = () => {
    for (const player of Playing.players) player.forget();
  };
  document.addEventListener('languagechange', () => {
    byId('chords').setAttribute('title', Words.text('chords_hint'));
    outputs();
  });
}

// ---- One's own melody

function use(found) {
  state.song = found.song;
  byId('yours').open = true;
  byId('without').hidden = byId('keep-row').hidden = false;
  byId('song').classList.remove('wrong');
  const line = Words.say(make('strong'), 'song_is',
    {name: found.song.name, bars: found.bars});
  byId('song').replaceChildren(line, ' ', make('span', {class: 'small'}, found.report));
}

function notUsed(error) {
  byId('yours').open = true;
  byId('song').classList.add('wrong');
  byId('song').textContent = error.message;
}

async function upload(file) {
  try {
    if (file.size > DATA.most_bytes) {
      throw new Refusal(`${file.name}: ${Math.round(file.size / 1024)} KiB > `
        + `${DATA.most_bytes / 1024} KiB`);
    }
    const answer = await ask('/api/song?name=' + encodeURIComponent(file.name), null, {
      body: await file.arrayBuffer(),
      headers: {'Content-Type': 'application/octet-stream',
        'Accept-Language': Words.language},
    });
    use(await answer.json());
  } catch (error) { notUsed(error); }
}

const Keyboard = {
  QPM: 100, from: null, notes: [], held: new Map(), context: null,
  LETTERS: 'awsedftgyhujkolp',
  press(pitch) {
    if (this.held.has(pitch)) return;
    const now = performance.now();
    this.held.set(pitch, now);
    byId('keys').querySelector(`[data-pitch="${pitch}"]`)?.classList.add('on');
    this.sing(pitch);
  },
  release(pitch) {
    const began = this.held.get(pitch);
    if (began === undefined) return;
    this.held.delete(pitch);
    byId('keys').querySelector(`[data-pitch="${pitch}"]`)?.classList.remove('on');
    this.tone?.gain.gain.setTargetAtTime(0, this.context.currentTime, 0.05);
    if (this.from === null) return;
    if (this.notes.length === 0) this.from = began;
    const sixteenth = 15000 / this.QPM;
    const start = Math.max(0, Math.round((began - this.from) / sixteenth));
    const end = Math.max(start + 1,
      Math.round((performance.now() - this.from) / sixteenth));
    this.notes.push([start, end, pitch]);
  },
  // A plain tone while one plays; takes are played by the server.
  sing(pitch) {
    this.context ??= new AudioContext();
    this.tone?.oscillator.stop(this.context.currentTime + 0.02);
    const oscillator = this.context.createOscillator();
    const gain = this.context.createGain();
    oscillator.type = 'triangle';
    oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.value = 0.25 * Playing.volume;
    oscillator.connect(gain).connect(this.context.destination);
    oscillator.start();
    this.tone = {oscillator, gain};
  },
  async record() {
    const button = byId('record');
    const isOn = this.from === null;
    button.setAttribute('aria-pressed', String(isOn));
    Words.say(button, isOn ? 'recording' : 'record');
    if (isOn) {
      this.from = performance.now();
      this.notes = [];
      return;
    }
    for (const pitch of [...this.held.keys()]) this.release(pitch);
    this.from = null;
    if (!this.notes.length) return;
    try {
      use(await asked('/api/notes', {notes: this.notes, qpm: this.QPM}));
    } catch (error) { notUsed(error); }
  },
  async midi() {
    try {
      const access = await navigator.requestMIDIAccess();
      const listen = () => {
        for (const input of access.inputs.values()) {
          input.onmidimessage = ({data: [status, pitch, velocity]}) => {
            const kind = status & 0xf0;
            if (kind === 0x90 && velocity) this.press(pitch);
            else if (kind === 0x80 || kind === 0x90) this.release(pitch);
          };
        }
        Words.say(byId('song'), 'midi_ready', {n: access.inputs.size});
      };
      access.onstatechange = listen;
      listen();
    } catch { Words.say(byId('song'), 'midi_missing'); }
  },
  setUp() {
    Words.say(byId('keys'), 'keyboard', {}, 'aria-label');
    for (let pitch = 60; pitch <= 76; pitch++) {
      const letter = this.LETTERS[pitch - 60] || '';
      const key = make('button', {type: 'button', 'data-pitch': pitch,
        class: [1, 3, 6, 8, 10].includes(pitch % 12) ? 'black' : 'white',
        'aria-label': named(pitch)}, letter.toUpperCase());
      key.onpointerdown = event => {
        key.setPointerCapture(event.pointerId);
        this.press(pitch);
      };
      key.onpointerup = key.onpointercancel = () => this.release(pitch);
      key.onkeydown = event => {
        if (event.key === 'Enter' && !event.repeat) this.press(pitch);
      };
      key.onkeyup = event => { if (event.key === 'Enter') this.release(pitch); };
      byId('keys').append(key);
    }
    const pitchOf = event => {
      const typing = event.target.closest('input:not([type=range]), textarea, select');
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return null;
      if (!byId('yours').open) return null;
      const i = this.LETTERS.indexOf(event.key.toLowerCase());
      return i < 0 || event.key.length > 1 ? null : 60 + i;
    };
    document.addEventListener('keydown', event => {
      const pitch = pitchOf(event);
      if (pitch !== null && !event.repeat) this.press(pitch);
    });
    document.addEventListener('keyup', event => {
      const pitch = pitchOf(event);
      if (pitch !== null) this.release(pitch);
    });
    byId('record').onclick = () => this.record();
    byId('midi').onclick = () => this.midi();
  },
};

function setUpSong() {
  Keyboard.setUp();
  byId('file').onchange = () => {
    if (byId('file').files[0]) upload(byId('file').files[0]);
    byId('file').value = '';
  };
  byId('without').onclick = () => {
    state.song = null;
    byId('song').textContent = '';
    byId('without').hidden = byId('keep-row').hidden = true;
  };
  document.ondragover = event => {
    event.preventDefault();
    document.body.classList.add('dropping');
  };
  document.ondragleave = event => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  };
  document.ondrop = event => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    if (event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  };
}

// ---- Takes

function encoded(values) {
  const bytes = new TextEncoder().encode(JSON.stringify(values));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
function decoded(text) {
  const bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return JSON.parse(new TextDecoder().decode(
    Uint8Array.from(bytes, letter => letter.charCodeAt(0))));
}
const linkOf = spec => `${location.origin}/#take=${encoded(spec)}`;

// Sounds by what they are of; the last ones.
const sounds = new Map();
function soundOf(spec, which) {
  const part = which === 'take' ? byId('part').value : 'all';
  const key = JSON.stringify([spec, which, part]);
  if (!sounds.has(key)) {
    const address = ask('/api/sound', {take: spec, which, part})
      .then(answer => answer.blob()).then(blob => URL.createObjectURL(blob));
    address.catch(error => { sounds.delete(key); wrong(error); });
    sounds.set(key, address);
    if (sounds.size > 60) {
      const [oldest, gone] = sounds.entries().next().value;
      sounds.delete(oldest);
      gone.then(address => {
        for (const player of Playing.players) {
          if (player.audio?.src === address) player.unload();
        }
        URL.revokeObjectURL(address);
      }, () => {});
    }
  }
  return sounds.get(key);
}

async function save(spec, format) {
  try {
    const answer = await ask('/api/file', {take: spec, format});
    const name = decodeURIComponent(
      answer.headers.get('Content-Disposition').split("''")[1]);
    const link = make('a', {
      href: URL.createObjectURL(await answer.blob()), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) { wrong(error); }
}

function cardOf(take) {
  const {spec} = take, number = ++state.count;
  const title = Words.say(make('h3', {id: `take-${number}`, tabindex: -1}), 'take',
    {number});
  const facts = make('span', {class: 'facts'});
  const name = make('strong');
  const measures = make('ul', {class: 'measures'});
  const speak = () => {
    name.textContent = blended(
      Words.language === 'ko' ? take.korean : take.english);
    facts.textContent = take.facts.map(fact => fact[Words.language]).join(' · ');
    measures.replaceChildren(...take.measures.filter(
      ([what], i) => i < 3 || !['energy', 'chord_tones_on_beat'].includes(what)).map(([what, want, got]) =>
      make('li', {}, `${Words.text(what)} `, make('b', {}, got),
        ` (${Words.text('asked')} ${want})`)));
    measures.append(make('li', {}, take.is_hit ? '✓ ' : '≈ ',
      Words.text(take.is_hit ? 'hit' : 'miss')));
  };
  document.addEventListener('languagechange', speak);
  speak();
  const player = make('melody-player');
  player.sound = which => soundOf(spec, which);
  player.engraved = async (which, width) => {
    try {
      return await (await ask('/api/staff', {take: spec, which, width})).text();
    } catch (error) { wrong(error); throw error; }
  };
  player.melody = take.data;
  const tool = (words, run, attributes = {}) => Words.say(
    make('button', {type: 'button', onclick: run, ...attributes}), words);
  const extra = make('div');
  const keep = tool('keep', () => {
    const isKept = keep.getAttribute('aria-pressed') === 'true';
    keep.setAttribute('aria-pressed', String(!isKept));
    keepTake(card, take, !isKept);
  }, {'aria-pressed': 'false', class: 'keep'});
  const locking = tool('lock_bars', () => toggle(extra, lockOf(take, number), locking),
    {class: 'locking', 'aria-expanded': 'false'});
  const along = tool('take_along', () => toggle(extra, filesOf(take), along),
    {class: 'along', 'aria-expanded': 'false'});
  const tools = make('div', {class: 'tools'},
    keep,
    tool('more_like', () => compose({
      ...plain(spec.request), ...feelingOf(spec.request), song: take.song,
      distance: 0.3}, 'variation_of', {number}), {class: 'more'}),
    ...(take.can_lock ? [locking] : []),
    tool('extend', () => compose({...request(), song: undefined, keep: undefined,
      time_signature: take.song.time_signature, after: sectionsOf(spec)}, 'extend'),
    {class: 'extend', title: Words.text('extend_help')}),
    tool('link', async () => {
      const link = linkOf(spec);
      history.replaceState(null, '', link);
      try { await navigator.clipboard.writeText(link); } catch { /* in the address */ }
      tell('link_copied');
    }, {class: 'link'}),
    along);
  const card = make('article', {class: 'take', 'aria-labelledby': `take-${number}`},
    make('div', {class: 'head'}, title, name, facts), player, measures, tools, extra);
  card.take = take;
  return card;
}

// What a request says of feelings, and of playing.
function feelingOf(values) {
  const found = {};
  for (const name of ['text', 'emotion', 'valence', 'arousal']) {
    if (values[name] !== undefined) found[name] = values[name];
  }
  return Object.keys(found).length ? found : null;
}
function plain(values) {
  const kept = {};
  for (const name of ['intensity', 'temperature', 'guidance', 'target', 'qpm', 'program',
    'mean_pitch', 'onsets_per_bar', 'accompaniment', 'style', 'time_signature']) {
    if (values[name] !== undefined) kept[name] = values[name];
  }
  return kept;
}
function sectionsOf(spec) {
  const {after, ...own} = spec.request;
  return [...(after || []), {request: own, number: spec.number}];
}

function toggle(home, panel, button) {
  const isOpen = button.getAttribute('aria-expanded') === 'true';
  for (const other of home.parentElement.querySelectorAll('[aria-expanded]')) {
    other.setAttribute('aria-expanded', 'false');
  }
  home.replaceChildren();
  if (isOpen) return;
  button.setAttribute('aria-expanded', 'true');
  home.append(panel);
}

function lockOf(take, number) {
  const stay = new Set();
  const bars = make('div', {class: 'lock', role: 'group'});
  Words.say(bars, 'lock_help', {}, 'aria-label');
  for (let bar = 1; bar <= take.data.bars.length; bar++) {
    const button = Words.say(make('button', {type: 'button', 'aria-pressed': 'false'},
      String(bar)), 'bar', {bar}, 'aria-label');
    button.onclick = () => {
      if (stay.has(bar)) stay.delete(bar);
      else stay.add(bar);
      button.setAttribute('aria-pressed', String(stay.has(bar)));
    };
    bars.append(button);
  }
  const go = Words.say(make('button', {type: 'button', class: 'primary anew',
    onclick: () => {
      const kept = [...stay].sort((a, b) => a - b);
      const {request: from} = take.spec;
      compose({...plain(from), ...feelingOf(from),
        ...(from.chords && !from.song ? {chords: from.chords} : {}),
        song: take.song, bars: kept}, 'around', {bars: kept.join(', ') || '–'});
    }}), 'recompose');
  return make('div', {},
    Words.say(make('p', {class: 'small'}), 'lock_help'), bars, go);
}

function filesOf(take) {
  const files = make('div', {class: 'files'});
  for (const format of ['zip', 'mid', 'wav', 'mp3', 'musicxml', 'png']) {
    const button = make('button', {type: 'button', class: `save-${format}`},
      format.toUpperCase());
    if (format === 'zip') Words.say(button, 'all_zip');
    button.onclick = () => save(take.spec, format);
    files.append(button);
  }
  return make('div', {}, files, make('details', {},
    Words.say(make('summary'), 'again'),
    ...(take.command ? [make('pre', {}, take.command)] : []),
    make('pre', {}, take.python)));
}

function keepTake(card, take, isKept) {
  const home = byId('kept').querySelector('.set');
  if (isKept) {
    card.home = card.parentElement;
    home.append(card);
  } else {
    (card.home || byId('sets')).append(card);
  }
  byId('kept').hidden = !home.children.length;
  remember();
}

function remember() {
  const kept = [...byId('kept').querySelectorAll('.take')].map(c => c.take.spec);
  try { localStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* forbidden */ }
}

function show(takes, words, values) {
  const set = make('section', {class: 'set'});
  if (words) set.append(Words.say(make('p', {class: 'set-title'}), words, values));
  const cards = takes.map(cardOf);
  set.append(...cards);
  byId('sets').querySelector('.empty')?.remove();
  byId('sets').prepend(set);
  return cards;
}

async function compose(values, words = '', told = {}) {
  const seed = byId('seed').value && !words ? Number(byId('seed').value) : null;
  const wanted = {...values, seed: values.seed ?? seed ?? drawn()};
  if (!feelingOf(wanted)) { byId('text').focus(); }
  state.busy++;
  byId('takes').setAttribute('aria-busy', 'true');
  tell('composing');
  try {
    const found = await asked('/api/takes', {request: wanted, n: 4});
    const cards = show(found.takes, words, told);
    state.last = {values: {...values, seed: undefined}, words, told};
    byId('another').disabled = false;
    tell('composed', {n: found.takes.length});
    const [first, ...others] = cards.map(c => c.querySelector('melody-player'));
    const sounding = soundOf(found.takes[0].spec, 'take');
    if (byId('at_once').checked) await first.play();
    else await sounding;
    if (matchMedia('(max-width: 900px)').matches) {
      cards[0].scrollIntoView({block: 'start'});
    }
    // The others are rendered while the first one is heard.
    for (const [i] of others.entries()) await soundOf(found.takes[i + 1].spec, 'take');
    if (state.busy === 1) lookAhead(values);
  } catch (error) {
    if (error.name !== 'NotAllowedError') wrong(error);
  } finally {
    state.busy--;
    if (!state.busy) byId('takes').removeAttribute('aria-busy');
  }
}

// The page is there before the model.
async function untilReady() {
  for (;;) {
    const state = await fetch('/healthz').then(answer => answer.json())
      .then(told => told.status, () => 'gone');
    if (state !== 'loading') {
      if (byId('status').said?.['']?.[0] === 'loading') tell('ready');
      return;
    }
    tell('loading');
    await new Promise(done => setTimeout(done, 500));
  }
}

async function restore() {
  await untilReady();
  let kept = [];
  try { kept = JSON.parse(localStorage.getItem(KEY)) || []; } catch { /* none */ }
  for (const spec of kept) await again(spec, true);
  const named = new URLSearchParams(location.hash.slice(1)).get('take');
  if (named) await again(decoded(named), false);
}

async function again(spec, isKept) {
  try {
    const found = await asked('/api/takes',
      {request: spec.request, n: 1, first: spec.number});
    const [card] = show(found.takes);
    if (isKept) card.querySelector('.keep').click();
    else card.scrollIntoView({block: 'nearest'});
  } catch (error) { wrong(error); }
}

function start() {
  setUpFeelings();
  setUpShape();
  setUpSong();
  Words.say(document.querySelector('player-settings'), 'settings', {}, 'aria-label');
  Words.say(byId('ask'), 'lead', {}, 'aria-label');
  Words.start();
  byId('language').onclick = () => Words.use(Words.language === 'ko' ? 'en' : 'ko');
  byId('ask').onsubmit = event => {
    event.preventDefault();
    compose(request());
  };
  byId('text').onkeydown = event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      byId('ask').requestSubmit();
    }
  };
  byId('another').onclick = () => {
    const {values, words, told} = state.last;
    compose({...values, seed: state.ahead ?? drawn()}, words, told);
    state.ahead = null;
  };
  addEventListener('hashchange', () => {
    const named = new URLSearchParams(location.hash.slice(1)).get('take');
    if (named) again(decoded(named), false);
  });
  restore();
}
start();
