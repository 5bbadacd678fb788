'use strict';
// What pages show and play a melody with: <melody-player>, and the settings of
// all of them, <player-settings>. Words come from `Words.all`, by language.

const Words = {
  all: {},
  get language() { return document.documentElement.lang; },
  text(name, values = {}) {
    const said = (this.all[this.language] || {})[name] ?? name;
    return said.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '');
  },
  // Says something in an element, or in an attribute of it, in each language.
  say(element, name, values, attribute = '') {
    element.said = {...element.said, [attribute]: [name, values]};
    element.dataset.said = '';
    this.resay(element);
    return element;
  },
  resay(element) {
    for (const [attribute, [name, values]] of Object.entries(element.said)) {
      const text = this.text(name, typeof values === 'function' ? values() : values);
      if (attribute) element.setAttribute(attribute, text);
      else element.textContent = text;
    }
  },
  // Switches the page; remembered where the browser lets it.
  use(language) {
    document.documentElement.lang = language;
    try { localStorage.setItem('language', language); } catch { /* forbidden */ }
    for (const element of document.querySelectorAll('[data-said]')) {
      if (element.said) this.resay(element);
    }
    const title = document.querySelector('title');
    if (title.dataset[language]) document.title = title.dataset[language];
    document.dispatchEvent(new Event('languagechange'));
  },
  start() {
    let language = null;
    try { language = localStorage.getItem('language'); } catch { /* forbidden */ }
    this.use(['ko', 'en'].includes(language) ? language
      : navigator.language.startsWith('ko') ? 'ko' : 'en');
  },
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return Math.floor(whole / 60) + ':' + String(whole % 60).padStart(2, '0');
}

const NAMES = ['C', 'C♯', 'D', 'E♭', 'E', 'F', 'F♯', 'G', 'A♭', 'A', 'B♭', 'B'];
const named = pitch => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);

// How all players of a page play.
const Playing = {
  volume: 1, rate: 1, loop: false, from: 1, to: null, current: null,
  players: new Set(), settings: new Set(),
  changed() {
    for (const player of this.players) player.configure();
    for (const settings of this.settings) settings.refresh();
  },
  loopBars(from, to) {
    Object.assign(this, {loop: true, from, to});
    this.changed();
  },
};

const GUTTER = 40, TOP = 26, FOOT = 24;  // pixels around the notes

class MelodyPlayer extends HTMLElement {
  // Set `melody`, what the program says of it, and `sound`, a function that
  // gives the address of its audio: ('take' or 'original') to a promise; where
  // there is sheet music also `engraved`, which gives its SVG: (likewise, width).
  set melody(data) { this._melody = data; if (this.isConnected) this.build(); }
  get melody() { return this._melody; }

  connectedCallback() { Playing.players.add(this); if (this._melody) this.build(); }
  disconnectedCallback() {
    Playing.players.delete(this);
    if (this.audio) this.audio.pause();
    if (this.watch) this.watch.disconnect();
    if (this.seeing) this.seeing.disconnect();
    document.removeEventListener('languagechange', this.spoken);
  }

  get barCount() { return this._melody.bars.length; }

  build() {
    const melody = this._melody;
    this.audio = new Audio();
    this.audio.preservesPitch = true;
    this.which = 'take';
    this.loaded = null;
    this.canvas = make('canvas', {role: 'img'});
    this.playhead = make('div', {class: 'playhead'});
    const strip = Words.say(
      make('div', {class: 'strip', 'aria-hidden': 'true'}), 'loop_by', {}, 'title');
    this.dragged(strip, event => this.barAt(event));
    this.sheet = make('div', {class: 'sheet'}, this.canvas, strip, this.playhead);
    this.roll = Words.say(
      make('div', {class: 'roll', tabindex: 0, role: 'region'}, this.sheet),
      'roll', () => this.described(), 'aria-label');
    const pitches = melody.notes.map(note => note[2]);
    Words.say(this.canvas, pitches.length ? 'roll' : 'empty_roll',
      () => this.described(), 'aria-label');
    this.button = Words.say(
      make('button', {class: 'play', type: 'button', onclick: () => this.toggle()}),
      'play');
    this.stopButton = Words.say(
      make('button', {class: 'stop', type: 'button', onclick: () => this.stop()}),
      'stop');
    this.seekBar = Words.say(make('input', {
      class: 'seek', type: 'range', min: 0, max: melody.seconds, step: 0.01,
      value: 0}), 'position', {}, 'aria-label');
    this.seekBar.oninput = () => this.seek(Number(this.seekBar.value));
    this.time = make('span', {class: 'time'});
    const controls = make('div', {class: 'controls'},
      this.button, this.stopButton, this.seekBar, this.time);
    this.replaceChildren(this.roll, ...(this.engraved ? [this.staffed()] : []),
      controls);
    if (melody.original) this.compare(controls);
    this.append(this.asText());
    this.audio.onplay = () => this.began();
    this.audio.onpause = this.audio.onseeked = () => this.show();
    this.audio.onended = () => { this.audio.currentTime = 0; this.show(); };
    this.canvas.onpointerdown = event => this.point(event);
    this.watch = new ResizeObserver(() => { this.draw(); this.engrave(); });
    this.watch.observe(this.canvas);
    if (this.staff) this.watch.observe(this.staff);
    this.spoken = () => this.show();
    document.addEventListener('languagechange', this.spoken);
    this.configure();
    this.show();
  }

  described() {
    const pitches = this._melody.notes.map(note => note[2]);
    return {bars: this.barCount, notes: pitches.length,
      low: named(Math.min(...pitches)), high: named(Math.max(...pitches))};
  }

  // The tune that the melody was made of, to be heard in its place.
  compare(controls) {
    const {changes} = this._melody;
    const button = Words.say(make('button', {
      class: 'original', type: 'button', 'aria-pressed': 'false'}), 'compare');
    button.onclick = async () => {
      const at = this.audio.currentTime, playing = !this.audio.paused;
      this.which = this.which === 'take' ? 'original' : 'take';
      button.setAttribute('aria-pressed', String(this.which === 'original'));
      this.draw();
      this.engrave();
      await this.load();
      this.audio.currentTime = at;
      if (playing || at === 0) this.play();
    };
    controls.append(button);
    const counts = ['kept', 'moved', 'new', 'left_out'].map(kind =>
      Words.say(make('span'), kind, {n: changes[kind]}));
    const line = make('p', {class: 'changes'}, '● ', counts[0], ' · ▲ ', counts[1],
      ' · ✚ ', counts[2], ' · ▯ ', counts[3]);
    controls.after(line);
  }

  asText() {
    const melody = this._melody;
    const details = make('details', {class: 'as-text'},
      Words.say(make('summary'), 'as_text'));
    details.ontoggle = () => {
      if (!details.open || details.querySelector('ol')) return;
      const list = make('ol', {});
      melody.bars.forEach((bar, i) => {
        const end = melody.bars[i + 1] ?? melody.steps;
        const within = ([step]) => step >= bar && step < end;
        const chords = melody.chords.filter(within).map(([, name]) => name);
        const notes = melody.notes.filter(within).map(note => named(note[2]));
        const item = make('li', {}, (chords.join(' ') + ': ').replace(/^: /, ''));
        item.append(notes.length ? notes.join(' ') : Words.say(make('span'), 'rest'));
        list.append(item);
      });
      details.append(list);
    };
    return details;
  }

  // ---- Sheet music

  staffed() {
    this.staff = Words.say(make('div', {class: 'staff', role: 'img'}), 'staff',
      () => this.described(), 'aria-label');
    const barOf = element => element?.closest?.('.staff') === this.staff
      ? element.closest('[data-bar]') : null;
    const number = bar => bar && Math.max(1, Number(bar.dataset.bar));
    this.dragged(this.staff,
      event => number(barOf(document.elementFromPoint(event.clientX, event.clientY))),
      event => event.target.closest('.strip, .mNum'));
    this.staff.onclick = event => {
      const bar = barOf(event.target);
      if (!bar || event.target.closest('.strip, .mNum')) return;
      const first = this._melody.bars[bar.dataset.bar - 1];
      this.seek(first ? this.secondsAt(first) : 0);
    };
    // Asked for once it is looked at.
    this.seeing = new IntersectionObserver(([{isIntersecting}]) => {
      this.isSeen = isIntersecting;
      this.engrave();
    }, {rootMargin: '200px'});
    this.seeing.observe(this.staff);
    return this.staff;
  }

  async engrave() {
    const width = this.staff ? Math.floor(this.staff.clientWidth / 20) * 20 : 0;
    const wanted = `${this.which} ${width}`;
    if (!this.isSeen || width < 200 || this.wanted === wanted) return;
    this.wanted = wanted;
    this.staff.setAttribute('aria-busy', 'true');
    try {
      const drawn = await this.engraved(this.which, width);
      if (this.wanted !== wanted) return;
      const {documentElement} = new DOMParser().parseFromString(drawn, 'image/svg+xml');
      this.staff.replaceChildren(document.importNode(documentElement, true));
      for (const strip of this.staff.querySelectorAll('.strip')) {
        const title = document.createElementNS(strip.namespaceURI, 'title');
        strip.append(Words.say(title, 'loop_by'));
      }
      this.showOnStaff();
      this.staff.removeAttribute('aria-busy');
    } catch {
      // Told by who was asked; another look asks again.
      if (this.wanted === wanted) this.wanted = null;
    }
  }

  showOnStaff() {
    if (!this.staff?.firstChild) return;
    const {bars} = this._melody, now = this.audio.currentTime;
    const step = now > 0 ? this.stepAt(Math.min(now, this._melody.seconds)) : -1;
    const notes = this.which === 'original' ? this._melody.original : this._melody.notes;
    const note = notes.findIndex(([start, end]) => start <= step && step < end);
    const bar = step < 0 ? -1 : bars.filter(begin => begin <= step).length;
    const last = Playing.to ?? bars.length;
    const marks = [
      ['.measure', 'playing', one => Number(one.dataset.bar) === bar],
      ['.measure', 'looped', ({dataset}) => Playing.loop
        && Math.max(1, dataset.bar) >= Playing.from && dataset.bar <= last],
      ['.note', 'sounding', one => Number(one.dataset.note) === note],
    ];
    for (const [which, name, is] of marks) {
      for (const one of this.staff.querySelectorAll(which)) {
        one.classList.toggle(name, is(one));
      }
    }
  }

  // ---- Bars that are dragged over are looped, a lone one that is let go again

  dragged(element, barAt, begins = () => true) {
    // A finger that drags here does not scroll.
    element.addEventListener('touchstart', event => {
      if (begins(event)) event.preventDefault();
    }, {passive: false});
    element.onpointerdown = event => {
      const first = begins(event) ? barAt(event) : null;
      if (first === null) return;
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      const isLetGo = Playing.loop && Playing.from === first && Playing.to === first;
      let last = first;
      const go = moved => {
        last = barAt(moved) ?? last;
        Playing.loopBars(Math.min(first, last), Math.max(first, last));
      };
      go(event);
      element.onpointermove = go;
      element.onpointerup = element.onpointercancel = () => {
        element.onpointermove = element.onpointerup = element.onpointercancel = null;
        if (isLetGo && last === first) {
          Playing.loop = false;
          Playing.changed();
          return;
        }
        const [begin, end] = this.range, at = this.audio.currentTime;
        if (this.loaded && (at < begin || at >= end)) this.seek(begin);
      };
    };
  }

  barAt(event) {
    const step = this.stepOf(event.clientX - this.canvas.getBoundingClientRect().left);
    return Math.max(1, this._melody.bars.filter(begin => begin <= step).length);
  }

  configure() {
    if (!this.audio) return;
    this.audio.volume = Playing.volume;
    this.audio.playbackRate = Playing.rate;
    this.draw();
    this.showOnStaff();
    this.engrave();
  }

  get range() {
    const bars = this._melody.bars;
    const from = Math.min(Playing.from, bars.length);
    const to = Math.min(Playing.to ?? bars.length, bars.length);
    return [from === 1 ? 0 : this.secondsAt(bars[from - 1]),
      to >= bars.length ? this._melody.seconds : this.secondsAt(bars[to])];
  }

  async load() {
    const which = this.which;
    if (this.loaded === which) return;
    this.button.setAttribute('aria-busy', 'true');
    try {
      const address = await this.sound(which);
      // Another call may have come first; a sound that is set anew begins anew.
      if (this.which !== which || this.loaded === which) return;
      this.audio.src = address;
      this.loaded = which;
      this.configure();
    } finally {
      this.button.removeAttribute('aria-busy');
    }
  }

  // Forgets the sound, which is then asked for anew.
  forget() {
    const playing = this.audio && !this.audio.paused;
    const at = this.audio ? this.audio.currentTime : 0;
    this.loaded = null;
    if (playing) this.play().then(() => { this.audio.currentTime = at; });
  }

  // Lets go of the sound while it is not heard.
  unload() {
    if (!this.audio.paused) return;
    this.audio.removeAttribute('src');
    this.loaded = null;
  }

  async play() {
    for (const other of Playing.players) if (other !== this) other.pause();
    Playing.current = this;
    await this.load();
    if (Playing.current !== this) return;
    if (Playing.loop) {
      const [begin, end] = this.range, at = this.audio.currentTime;
      if (at < begin || at >= end) this.audio.currentTime = begin;
    }
    await this.audio.play();
  }
  pause() { if (this.audio) this.audio.pause(); }
  toggle() { return this.audio.paused ? this.play() : this.pause(); }
  stop() { this.pause(); if (this.audio.src) this.audio.currentTime = 0; this.show(); }
  async seek(seconds) { await this.load(); this.audio.currentTime = seconds; this.show(); }

  began() {
    this.dispatchEvent(new CustomEvent('began', {bubbles: true}));
    const follow = () => {
      const [begin, end] = this.range;
      if (Playing.loop && this.audio.currentTime >= end - 0.02) {
        this.audio.currentTime = begin;
      }
      this.show();
      if (!this.audio.paused) requestAnimationFrame(follow);
    };
    follow();
  }

  // The sixteenth that is played at a time, and when a sixteenth is played.
  between(value, from, to, last) {
    const knots = this._melody.tempos;
    const after = knots.findIndex(knot => knot[from] > value);
    if (after < 1) return last;
    const [a, b] = knots.slice(after - 1, after + 1);
    return a[to] + (b[to] - a[to]) * (value - a[from]) / (b[from] - a[from]);
  }
  stepAt(seconds) { return this.between(seconds, 0, 1, this._melody.steps); }
  secondsAt(step) { return this.between(step, 1, 0, this._melody.seconds); }
  x(step) {
    return GUTTER + step / this._melody.steps * (this.canvas.clientWidth - GUTTER);
  }

  stepOf(x) {
    const width = this.canvas.clientWidth - GUTTER;
    return Math.max(0, (x - GUTTER) / width * this._melody.steps);
  }

  point(event) { this.seek(this.secondsAt(this.stepOf(event.offsetX))); }

  show() {
    const {seconds} = this._melody;
    const now = Math.min(this.audio.currentTime, seconds);
    const step = now > 0 ? this.stepAt(now) : 0;
    const whole = Math.floor(step);
    if (whole !== this.drawn) {
      this.draw(step);
      this.showOnStaff();
    }
    const bar = Math.max(1, this._melody.bars.filter(begin => begin <= step).length);
    this.playhead.style.transform = `translateX(${this.x(step) - 1}px)`;
    this.seekBar.value = now;
    this.time.textContent = `${clock(now)} / ${clock(seconds)}`;
    this.seekBar.setAttribute('aria-valuetext', Words.text(
      'at', {bar, time: clock(now), whole: clock(seconds)}));
    const playing = !this.audio.paused;
    if (this.playing !== playing) {
      this.playing = playing;
      Words.say(this.button, playing ? 'pause' : 'play');
      this.toggleAttribute('playing', playing);
    }
    // On a narrow screen the roll is wider than what is seen of it.
    const x = this.x(step) - this.roll.scrollLeft;
    if (playing && (x < 0 || x > this.roll.clientWidth * 0.9)) {
      this.roll.scrollLeft += x - this.roll.clientWidth * 0.1;
    }
  }

  draw(step = this.stepAt(Math.min(this.audio.currentTime, this._melody.seconds))) {
    const {canvas} = this, melody = this._melody;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    this.drawn = Math.floor(step);
    if (!width) return;
    const scale = window.devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(`--${name}`).trim();
    const original = melody.original || [];
    const pitches = [...melody.notes, ...original].map(note => note[2]);
    const low = Math.min(...pitches, 60) - 2, high = Math.max(...pitches, 72) + 2;
    const row = (height - TOP - FOOT) / (high - low + 1);
    const x = position => this.x(position);
    const y = pitch => TOP + (high - pitch) * row;
    const bottom = height - FOOT;
    for (let pitch = low; pitch <= high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) {
        pen.fillStyle = colour('keys');
        pen.fillRect(GUTTER, y(pitch), width - GUTTER, row);
      }
      if (pitch % 12 === 0 || (pitch % 12 === 7 && row > 7)) {
        pen.fillStyle = colour('muted');
        pen.font = '11px system-ui, sans-serif';
        pen.textBaseline = 'middle';
        pen.fillText(named(pitch), 6, y(pitch) + row / 2);
      }
    }
    if (Playing.loop) {
      const [begin, end] = this.range.map(seconds => this.x(this.stepAt(seconds)));
      pen.fillStyle = colour('hover');
      pen.fillRect(begin, TOP, end - begin, height - TOP);
      pen.fillStyle = colour('accent');
      pen.fillRect(begin, height - 3, end - begin, 3);
    }
    pen.textBaseline = 'alphabetic';
    let free = 0;  // from where on there is room to write
    pen.font = '11px system-ui, sans-serif';
    melody.bars.forEach((bar, i) => {
      pen.fillStyle = colour('bars');
      pen.fillRect(Math.round(x(bar)), TOP, i % 4 ? 1 : 2, bottom - TOP);
      if (x(bar) < free) return;
      pen.fillStyle = colour('muted');
      pen.fillText(String(i + 1), x(bar) + 3, height - 8);
      free = x(bar) + pen.measureText(String(i + 1)).width + 6;
    });
    pen.fillStyle = pen.strokeStyle = colour('ink');
    pen.font = '600 13px system-ui, sans-serif';
    let before = null;
    free = 0;
    for (const [position, symbol] of melody.chords) {
      if (symbol !== before && x(position) >= free) {
        pen.fillText(symbol, x(position) + 3, TOP - 9);
        free = x(position) + pen.measureText(symbol).width + 6;
      }
      before = symbol;
    }
    if (melody.mean_pitch !== null) {
      const at = TOP + (high - melody.mean_pitch) * row + row / 2;
      pen.strokeStyle = colour('muted');
      pen.setLineDash([2, 4]);
      pen.beginPath();
      pen.moveTo(GUTTER, at);
      pen.lineTo(width, at);
      pen.stroke();
      pen.setLineDash([]);
    }
    const inOriginal = this.which === 'original';
    const box = ([start, end, pitch]) => [x(start) + 1, y(pitch) + 0.5,
      Math.max(x(end) - x(start) - 2, 2), Math.max(row - 1, 2)];
    const outlined = inOriginal ? melody.notes : original;
    const filled = inOriginal ? original : melody.notes;
    pen.strokeStyle = colour('ghost');
    pen.lineWidth = 1;
    for (const note of outlined) pen.strokeRect(...box(note));
    filled.forEach((note, i) => {
      const [start, end, , fits] = note;
      const [left, top, wide, tall] = box(note);
      const sounding = this.audio.currentTime > 0 && start <= step && step < end;
      const foreign = fits === false;
      pen.fillStyle = colour(
        sounding ? 'sounding' : foreign ? 'other' : 'chord-tone');
      pen.beginPath();
      pen.roundRect(left, top, wide, tall, Math.min(3, tall / 2));
      pen.fill();
      if (foreign && !sounding) {  // told apart without colours, too
        pen.save();
        pen.clip();
        pen.strokeStyle = colour('stripe');
        pen.lineWidth = 1.5;
        pen.beginPath();
        for (let at = left - tall; at < left + wide; at += 6) {
          pen.moveTo(at, top + tall);
          pen.lineTo(at + tall, top);
        }
        pen.stroke();
        pen.restore();
      }
      const kind = inOriginal || !melody.changes ? '' : melody.changes.notes[i];
      if (kind === 'moved' || kind === 'new') {
        pen.fillStyle = colour('ink');
        pen.font = '9px system-ui, sans-serif';
        pen.fillText(kind === 'moved' ? '▲' : '✚', left, top - 1);
      }
    });
  }
}

class PlayerSettings extends HTMLElement {
  disconnectedCallback() { Playing.settings.delete(this); }
  connectedCallback() {
    Playing.settings.add(this);
    if (this.childElementCount) return;
    const slider = (name, min, max, step, value, set) => {
      const input = make('input', {type: 'range', min, max, step, value});
      input.oninput = () => { set(Number(input.value)); Playing.changed(); };
      return make('label', {}, Words.say(make('span'), name), input);
    };
    const loop = Words.say(make('button', {
      class: 'loop', type: 'button', 'aria-pressed': 'false'}), 'loop');
    loop.onclick = () => {
      Playing.loop = !Playing.loop;
      Playing.changed();
    };
    const bar = (name, field, none) => {
      const input = make('input', {type: 'number', min: 1, max: 999, class: name});
      input.onchange = () => {
        Playing[field] = input.value ? Math.max(1, Number(input.value)) : none;
        Playing.changed();
      };
      return make('label', {}, Words.say(make('span'), name), input);
    };
    this.append(
      slider('volume', 0, 1, 0.05, 1, value => { Playing.volume = value; }),
      slider('speed', 0.5, 1.5, 0.05, 1, value => { Playing.rate = value; }),
      loop,
      bar('from_bar', 'from', 1), bar('to_bar', 'to', null));
    this.refresh();
  }
  // As it was set, here or by dragging.
  refresh() {
    this.querySelector('.loop').setAttribute('aria-pressed', String(Playing.loop));
    this.querySelector('.from_bar').value = Playing.from;
    this.querySelector('.to_bar').value = Playing.to ?? '';
  }
}

customElements.define('melody-player', MelodyPlayer);
customElements.define('player-settings', PlayerSettings);

// Space plays and pauses what was played last, or the first.
document.addEventListener('keydown', event => {
  if (event.key !== ' ' || event.ctrlKey || event.metaKey || event.altKey) return;
  const {target} = event;
  if (target.closest('button, a, input, select, textarea, summary, [role=slider]')) return;
  const player = Playing.current?.isConnected ? Playing.current
    : document.querySelector('melody-player');
  if (!player) return;
  event.preventDefault();
  player.toggle();
});
document.addEventListener('DOMContentLoaded', () => {
  matchMedia('(prefers-color-scheme: dark)').addEventListener(
    'change', () => Playing.changed());
});
