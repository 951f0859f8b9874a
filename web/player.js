// The player page: plays master.m3u8 with hls.js where we serve it (else with the browser's
// own HLS), lets one choose a rendition, and shows for each segment where it came from, by
// what the cache said (Cache-Status, RFC 9211).
'use strict';

const LOG_ROWS = 200;
const byId = (id) => document.getElementById(id);
const video = byId('video'), problem = byId('problem'), rungs = byId('rungs'), log = byId('log');
const src = new URL('master.m3u8', location.href).href;

// ---- what is wrong

// A sentence, and a button where trying again can help.
function complain(text, again) {
  problem.textContent = text[0].toUpperCase() + text.slice(1) + '.';
  problem.className = '';
  byId('stage').hidden = !again && video.readyState === 0; // nothing to see, nor will be
  if (again) {
    const button = document.createElement('button');
    button.textContent = 'Try again';
    button.onclick = () => { calm(); again(); };
    problem.append(' ', button);
  }
  problem.hidden = false;
}

// For what mends itself; calm() takes it back.
function mention(text) {
  if (!problem.hidden && problem.className !== 'passing') return;
  problem.textContent = text + '; trying again.';
  problem.className = 'passing';
  problem.hidden = false;
}

function calm() {
  problem.hidden = true;
}

// Asks for url once more, to learn in the server's words why it could not be had.
async function explain(url, again) {
  let answer;
  try {
    answer = await fetch(url);
  } catch (e) {
    complain('the server does not answer', again);
    return;
  }
  const p = answer.ok ? {} : await answer.json().catch(() => ({}));
  if (answer.body && !answer.bodyUsed) answer.body.cancel();
  if (answer.status === 404) complain('there is no video at this address');
  else complain((p.title || 'playback stopped') + (p.detail ? ': ' + p.detail : ''),
    answer.ok || answer.status >= 500 ? again : null);
}

// ---- where segments came from

// "360p/3.m4s"
function shortName(url) {
  return new URL(url, location.href).pathname.split('/').slice(-2).join('/');
}

// What the browser measured on the wire; by its own clock hls.js would count in the time
// that the page was busy.
function measured(url, loading) {
  const timing = performance.getEntriesByName(url).pop();
  performance.clearResourceTimings(); // there is little room for them
  const [start, first, end] = timing ? [timing.requestStart, timing.responseStart, timing.responseEnd]
    : [loading.start, loading.first, loading.end];
  const ms = (t) => Math.max(0, Math.round(t - start)) + ' ms';
  // Segments never change, so browsers keep them, and the server is not even asked.
  const kept = timing && timing.transferSize === 0 && timing.decodedBodySize > 0;
  return { kept, first: ms(first), whole: ms(end) };
}

function whence(kept, header) {
  if (kept) return ['browser', 'hit'];
  const parts = (header || '').split(';').map((s) => s.trim());
  const detail = parts.find((s) => s.startsWith('detail='));
  if (parts.includes('hit')) return [detail ? detail.slice(7) : 'kept', 'hit'];
  if (parts.includes('collapsed')) return ['joined', 'miss'];
  return parts.includes('fwd=miss') ? ['made now', 'miss'] : ['', ''];
}

function cell(row, text, kind) {
  const td = row.insertCell();
  td.textContent = text;
  if (kind) td.className = kind;
}

function logLoad(url, header, stats) {
  const row = log.insertRow(0);
  const { kept, first, whole } = measured(url, stats.loading);
  cell(row, shortName(url));
  cell(row, ...whence(kept, header));
  cell(row, Math.ceil(stats.total / 1024) + ' KiB');
  cell(row, first);
  cell(row, whole);
  while (log.rows.length > LOG_ROWS) log.deleteRow(-1);
  byId('loads').hidden = false;
}

// ---- renditions

function rungButton(label, detail, choose) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = label;
  if (detail) {
    const small = document.createElement('small');
    small.textContent = detail;
    button.append(small);
  }
  button.onclick = choose;
  rungs.append(button);
  return button;
}

// As the list of renditions has it: the source's own video may be as high as a rung.
function labelOf(level) {
  if (!level.height) return 'Sound';
  return level.uri.endsWith('/source/index.m3u8') ? 'source' : Math.min(level.width, level.height) + 'p';
}

// The next segment has it; what is buffered plays on until then.  hls.js 1.7.4 stands still
// when it is told so while an init segment is on its way: it aborts that when it loads the
// next, and then, late, takes that for an error of the next.  So nothing is on its way.
function chooseLevel(hls, i) {
  hls.stopLoad();
  hls.startLevel = i;
  hls.nextLevel = i;
  setTimeout(() => hls.startLoad());
}

function levelButton(hls, i, mark) {
  const level = hls.levels[i];
  const label = labelOf(level);
  return rungButton(label, `about ${(level.averageBitrate / 1e6).toFixed(1)} Mb/s`,
    () => { chooseLevel(hls, i); mark(); });
}

function showRungs(hls) {
  const choose = (button, chosen) => {
    button.classList.toggle('chosen', chosen);
    button.setAttribute('aria-pressed', chosen);
  };
  const mark = () => {
    choose(auto, hls.autoLevelEnabled);
    buttons.forEach((b, i) => {
      choose(b, hls.manualLevel === i);
      b.classList.toggle('playing', hls.currentLevel === i);
    });
  };
  rungs.textContent = '';
  const auto = rungButton('Auto', '', () => { hls.loadLevel = -1; mark(); });
  const buttons = hls.levels.map((_, i) => levelButton(hls, i, mark));
  hls.on(Hls.Events.LEVEL_SWITCHED, mark);
  mark();
  byId('about').hidden = false;
}

// ---- the strip: a bar to search in, with the storyboard's picture of the time under the pointer

const strip = byId('strip'), bar = byId('bar'), tile = byId('tile');
let board = null; // promised when it is first wanted

const seconds = (text) => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

async function loadBoard() {
  const answer = await fetch('storyboard.vtt');
  const text = answer.ok ? await answer.text() : '';
  return [...text.matchAll(/^(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gm)].map((m) =>
    ({ begin: seconds(m[1]), end: seconds(m[2]), sheet: m[3], area: m.slice(4).map(Number) }));
}

async function showTile(time) {
  tile.dataset.time = time;
  const cues = await (board ??= loadBoard().catch(() => []));
  const cue = cues.find((c) => time < c.end) || cues.at(-1);
  if (!cue || tile.dataset.time !== String(time)) return; // none, or the pointer went on or away
  const [x, y, w, h] = cue.area;
  tile.style.width = w + 'px';
  tile.style.height = h + 'px';
  tile.style.backgroundImage = `url("${cue.sheet}")`;
  tile.style.backgroundPosition = `-${x}px -${y}px`;
  const middle = bar.clientWidth * time / video.duration;
  tile.style.left = Math.max(0, Math.min(middle - w / 2, bar.clientWidth - w)) + 'px';
  tile.hidden = false;
}

function hideTile() {
  delete tile.dataset.time;
  tile.hidden = true;
}

// Only what has pictures gets one.
video.addEventListener('durationchange', () => { bar.max = video.duration; }); // it may grow
video.addEventListener('loadedmetadata', () => {
  strip.hidden = video.videoWidth === 0;
});
video.addEventListener('timeupdate', () => { if (tile.hidden) bar.value = video.currentTime; });
bar.onpointermove = (e) => showTile(Math.max(0, Math.min(1, e.offsetX / bar.clientWidth)) * video.duration);
bar.oninput = () => showTile(Number(bar.value));
bar.onchange = () => { video.currentTime = Number(bar.value); };
bar.onpointerleave = bar.onblur = hideTile;

// ---- playing

// Where the page may not start by itself there are controls, and a poster behind them.
function begin() {
  video.play().catch((e) => { if (e.name === 'NotAllowedError') video.poster = 'poster.jpg'; });
}

function onError(hls, data) {
  const network = data.type === Hls.ErrorTypes.NETWORK_ERROR;
  const url = data.frag ? data.frag.url : data.url || src;
  if (!data.fatal && network)
    mention(data.response && data.response.code ? `The server said ${data.response.code} to ${shortName(url)}`
      : 'The server does not answer');
  else if (data.fatal && data.details.startsWith('manifest'))
    explain(src, () => hls.loadSource(src));
  else if (data.fatal && network)
    explain(url, () => hls.startLoad());
  else if (data.fatal)
    complain(`playback stopped: the browser refused a segment (${data.details})`, () => hls.recoverMediaError());
}

function playWithHls() {
  const hls = new Hls({ enableWorker: false });
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    showRungs(hls);
    begin();
  });
  hls.on(Hls.Events.FRAG_LOADED, (_, data) => {
    const xhr = data.networkDetails;
    if (problem.className === 'passing') calm();
    logLoad(data.frag.url, xhr && xhr.getResponseHeader('Cache-Status'), data.frag.stats);
  });
  hls.on(Hls.Events.ERROR, (_, data) => onError(hls, data));
  hls.loadSource(src);
  hls.attachMedia(video);
}

function playNative() {
  video.onloadedmetadata = () => {
    rungs.textContent = 'The browser chooses, because hls.js is not installed on this server.';
    byId('about').hidden = false;
  };
  const start = () => { video.src = src; begin(); };
  video.onerror = () => explain(src, start);
  start();
}

byId('entry').textContent = src;
byId('manifest').textContent = byId('manifest').href;
if (window.Hls && Hls.isSupported()) playWithHls();
else if (video.canPlayType('application/vnd.apple.mpegurl')) playNative();
else complain(window.Hls ? 'this browser cannot play HLS'
  : 'this browser cannot play HLS by itself, and hls.js is not installed on this server');
