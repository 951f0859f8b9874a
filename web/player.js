// The player page: plays master.m3u8 with hls.js where we serve it (else with
// the browser's own HLS), lets one choose a rendition, and shows for each
// object what the cache said (Cache-Status, RFC 9211).
'use strict';

const video = document.getElementById('video');
const rungs = document.getElementById('rungs');
const log = document.getElementById('log');
const problem = document.getElementById('problem');
const LOG_ROWS = 200;

function complain(text) {
  problem.textContent = text;
  problem.hidden = false;
}

function cell(row, text, kind) {
  const td = row.insertCell();
  td.textContent = text;
  if (kind) td.className = kind;
}

// "tidemill; hit; detail=memory" -> "hit, memory"
function cacheWords(header) {
  if (!header) return ['', ''];
  const parts = header.split(';').map((s) => s.trim());
  const detail = (parts.find((s) => s.startsWith('detail=')) || '').slice(7);
  if (parts.includes('hit')) return [detail || 'hit', 'hit'];
  return [parts.includes('collapsed') ? 'joined' : 'made now', 'miss'];
}

function shortName(url) {
  const path = new URL(url, location.href).pathname.split('/');
  return path.slice(-2).join('/');
}

function logLoad(url, header, stats) {
  const row = log.insertRow(0);
  const [words, kind] = cacheWords(header);
  const ms = (t) => (t > 0 ? Math.round(t) + ' ms' : '');
  cell(row, shortName(url));
  cell(row, words, kind);
  cell(row, stats.total ? Math.round(stats.total / 1024) + ' KiB' : '');
  cell(row, ms(stats.loading.first - stats.loading.start));
  cell(row, ms(stats.loading.end - stats.loading.start));
  while (log.rows.length > LOG_ROWS) log.deleteRow(-1);
}

function rungButton(label, rate, choose) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = label;
  if (rate) {
    const small = document.createElement('small');
    small.textContent = (rate / 1e6).toFixed(2) + ' Mb/s';
    button.append(small);
  }
  button.onclick = choose;
  rungs.append(button);
  return button;
}

function showRungs(hls) {
  rungs.textContent = '';
  const auto = rungButton('Auto', 0, () => { hls.currentLevel = -1; mark(); });
  const buttons = hls.levels.map((level, i) =>
    rungButton(level.height ? Math.min(level.width, level.height) + 'p' : 'audio', level.bitrate,
      () => { hls.currentLevel = i; mark(); }));
  function mark() {
    auto.classList.toggle('chosen', hls.autoLevelEnabled);
    buttons.forEach((b, i) => {
      b.classList.toggle('chosen', !hls.autoLevelEnabled && hls.loadLevel === i);
      b.classList.toggle('playing', hls.currentLevel === i);
    });
  }
  hls.on(Hls.Events.LEVEL_SWITCHED, mark);
  mark();
}

async function explain(url) {
  try {
    const answer = await fetch(url);
    if (answer.ok) return;
    const p = await answer.json();
    complain(p.title + (p.detail ? ': ' + p.detail : ''));
  } catch (e) {
    complain('The server did not answer.');
  }
}

function playWithHls(src) {
  const hls = new Hls({ enableWorker: false });
  window.hls = hls;
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    showRungs(hls);
    video.play().catch(() => {});
  });
  hls.on(Hls.Events.FRAG_LOADED, (_, data) => {
    const xhr = data.networkDetails;
    logLoad(data.frag.url, xhr && xhr.getResponseHeader('Cache-Status'), data.frag.stats);
  });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    if (data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR) explain(src);
    else complain('Playback stopped: ' + data.details);
  });
  hls.loadSource(src);
  hls.attachMedia(video);
}

function playNative(src) {
  rungs.textContent = 'Chosen by the browser: hls.js is not installed on this server.';
  video.onerror = () => explain(src);
  video.src = src;
  video.play().catch(() => {});
}

const src = video.dataset.src;
if (window.Hls && Hls.isSupported()) playWithHls(src);
else if (video.canPlayType('application/vnd.apple.mpegurl')) playNative(src);
else complain('This browser plays no HLS, and hls.js is not installed on this server.');
