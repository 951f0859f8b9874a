// Plays one master playlist in Chromium and prints what happened as JSON.
//
//   node play.mjs PLAYER URL FPS FRAMES [SCREENSHOT]
//
// PLAYER: hls or shaka.  Loads all of it, plays from 0 to the end at rate 2,
// makes ten seeks, then switches rungs while playing.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const files = {
  '/': [join(here, 'page.html'), 'text/html'],
  '/hls.js': [join(here, 'node_modules/hls.js/dist/hls.min.js'), 'text/javascript'],
  '/shaka.js': [join(here, 'node_modules/shaka-player/dist/shaka-player.compiled.js'), 'text/javascript'],
};
const [player, url, fpsText, framesText, screenshot] = process.argv.slice(2);
const fps = eval(fpsText), frames = Number(framesText), duration = frames / fps;

const server = createServer(async (q, a) => {
  const file = files[q.url];
  if (!file) return a.writeHead(404).end();
  a.writeHead(200, { 'Content-Type': file[1] }).end(await readFile(file[0]));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});
const result = { player };
try {
  const page = await browser.newPage();
  page.on('pageerror', (e) => { (result.pageErrors ??= []).push(String(e)); });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(async ([p, u]) => { await players[p](u); }, [player, url]);

  // All of it in the buffer, as one range.
  await page.waitForFunction((d) => ranges().length > 0 && ranges().at(-1)[1] > d - 0.3, duration, { timeout: 120000 });
  result.buffered = await page.evaluate(() => ranges());

  // From the start to the end; every frame is decoded.
  await page.evaluate(() => { video.playbackRate = 2; return video.play(); });
  await page.waitForFunction(() => seen.ended, null, { timeout: 120000 });
  result.quality = await page.evaluate(() => {
    const q = video.getVideoPlaybackQuality();
    return { total: q.totalVideoFrames, dropped: q.droppedVideoFrames };
  });
  result.waiting = await page.evaluate(() => seen.waiting.slice());
  result.mediaDuration = await page.evaluate(() => video.duration);

  // Seeks show the frame of their time.
  let state = 12345;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  result.seeks = [];
  for (let i = 0; i < 10; i++) {
    const n = Math.floor(random() * (frames - 1));
    result.seeks.push([n, await page.evaluate((t) => seek(t), (n + 0.5) / fps)]);
  }

  // Rungs forced in turn while it plays.
  result.rungs = await page.evaluate(() => rungs());
  await page.evaluate(() => { seen.ended = false; video.currentTime = 0; video.playbackRate = 1; return video.play(); });
  result.heights = [];
  for (let i = 0; i < result.rungs; i++) {
    await page.evaluate((k) => force(k), i);
    await page.waitForTimeout(1200);
    result.heights.push(await page.evaluate(() => video.videoHeight));
  }
  result.afterSwitch = await page.evaluate(() => ({ ranges: ranges(), time: video.currentTime }));
  if (screenshot) await page.screenshot({ path: screenshot });
  result.errors = await page.evaluate(() => seen.errors);
} catch (e) {
  result.failed = String(e);
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(result));
