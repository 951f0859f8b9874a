// Plays one master playlist or manifest in a browser and prints what happened as JSON.
//
//   node play.mjs '{"browser": "firefox", "player": "hls", "url": ..., "cold": ..., "fps": 25, "frames": 325}'
//
// browser: chromium or firefox.  player: hls, shaka (HLS), dash (Shaka too), dashjs (dash.js)
// or native (the browser's own).  all: the master
// playlist that names what url plays, if that is another.  First it seeks ten times in cold, the
// same asset at a server that has made nothing of it but the beginning.  Then it plays twice, in a page each:
// eagerly, as people do, while the server makes what it is asked for, at double speed (which
// drops no frame) unless rate says otherwise; then everything is there, and where the player
// can be told so in its buffer beforehand, so that nothing but the media can make it wait.
// Ten seeks follow, and rungs forced in turn while it plays.  turn: degrees clockwise by
// which the picture has to be turned for its barcode to stand upright.
import { load, openPage, openPlayer, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);
const duration = order.frames / order.fps;
const native = order.player === 'native'; // gives us neither buffer nor rungs to command
const patience = { timeout: 120000 };

async function toTheEnd(page, rate) {
  await page.evaluate((r) => { video.playbackRate = r; return video.play(); }, rate);
  await page.waitForFunction(() => seen.ended || seen.errors.length > 0, null, patience);
  return page.evaluate(() => ({
    ...seen,
    version: window.version,
    ranges: ranges(),
    size: [video.videoWidth, video.videoHeight],
    duration: video.duration,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
  }));
}

const filled = (page) => page.waitForFunction((d) => ranges().length > 0 && ranges().at(-1)[1] > d - 0.3,
  duration, patience);

// Ten numbers of pictures, but the last one's; shy: of segments of so many pictures, none of the
// last five.
function numbers() {
  let state = 12345;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const shy = (n) => (order.shy && n % order.shy >= order.shy - 5 ? n - 5 : n);
  return Array.from({ length: 10 }, () => shy(Math.floor(random() * (order.frames - 1))));
}

async function seeks(page, wanted = numbers()) {
  const out = [];
  for (const n of wanted) out.push([n, await page.evaluate((t) => seek(t), (n + 0.5) / order.fps)]);
  return out;
}

// dash.js loads no more, once it has the end, of what an earlier seek has left out.
const oneWay = (wanted) => (order.player === 'dashjs' ? wanted.sort((a, b) => a - b) : wanted);

// Each rung from the smallest up, then back down: it must show while it plays on.
// Only once the last switch has filled the buffer: hls.js may lose a switch within a switch.
// And it does nothing when it has forgotten the segment on the screen, as it does at a switch
// if it has loaded that one last: so it loads all once more in their order.
async function switches(page) {
  const heights = await page.evaluate(() => heightsOfRungs());
  const out = [];
  const rungs = [...heights.keys()];
  for (const rung of [...rungs, ...rungs.slice(0, -1).reverse()]) {
    await filled(page);
    await page.evaluate(async () => { await seek(2.5); await window.reload?.(); });
    await filled(page);
    const from = await page.evaluate(async (k) => {
      video.loop = true; // a slow machine may need longer than the clip
      video.playbackRate = 1;
      force(k);
      await video.play();
      return video.currentTime;
    }, rung);
    await page.waitForFunction(([k, h, t]) => playing() === k && video.videoHeight === h &&
      video.currentTime > t + 0.2 && ranges().length === 1, [rung, heights[rung], from], patience).catch(() => {}); // what there is instead tells more
    out.push(await page.evaluate(() => ({
      rung: playing(), height: video.videoHeight, time: video.currentTime, paused: video.paused, ranges: ranges(),
    })));
    if (out.at(-1).rung !== rung) break;
  }
  return out;
}

// Lets the server make all that a playlist and the playlists in it name.
async function warm(url) {
  const text = await (await fetch(url)).text();
  for (const [, attribute, line] of text.matchAll(/URI="([^"]+)"|^([^#\s].*)$/gm)) {
    const next = new URL(attribute || line, url);
    if (next.pathname.endsWith('.m3u8')) await warm(next);
    else await (await fetch(next)).arrayBuffer();
  }
}

await withBrowser(async (browser, result) => {
  const cold = await openPlayer(browser, result, { ...order, url: order.cold });
  result.coldSeeks = await seeks(cold, oneWay(numbers()));
  result.coldErrors = await cold.evaluate(() => seen.errors);
  await cold.close();

  const eager = await openPage(browser, result);
  await load(eager, order);
  result.eager = await toTheEnd(eager, order.rate || 2);
  await eager.close();
  await warm(order.all || order.url);

  const page = await openPage(browser, result);
  await load(page, order);
  if (!native) {
    await page.evaluate(() => fillBuffer());
    await filled(page);
  }
  result.whole = await toTheEnd(page, 1);
  result.seeks = await seeks(page);
  if (!native) result.switches = await switches(page);
  if (order.screenshot) await page.screenshot({ path: order.screenshot });
  result.errors = await page.evaluate(() => seen.errors);
}, order.browser);
