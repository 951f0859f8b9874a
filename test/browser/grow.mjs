// Plays what has no end yet in Chromium, has the rest come, and goes there; the result as JSON.
//
//   node grow.mjs '{"player": "hls", "url": ..., "release": URL, "seconds": 60, "fps": 25}'
//
// release: is fetched when it plays, and has the server learn the end.  started: where it was
// then, and known: how much of it there was (null: it did not say); pictures: [wanted, seen] of seeks to the rest.
import { openPlayer, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);

await withBrowser(async (browser, result) => {
  const page = await openPlayer(browser, result, order);
  await page.evaluate(() => video.play());
  await page.waitForFunction(() => video.currentTime > 1, null, { timeout: 60000 });
  [result.started, result.known] = await page.evaluate(() => [video.currentTime, video.seekable.length ? video.seekable.end(0) : null]);
  await fetch(order.release);
  await page.waitForFunction((s) => Math.abs(video.duration - s) < 0.1, order.seconds, { timeout: 60000 });
  result.pictures = [];
  for (const n of [order.fps * order.seconds - 30, 40, order.fps * order.seconds / 2])
    result.pictures.push([n, await page.evaluate((t) => seek(t), (n + 0.5) / order.fps)]);
  await page.evaluate(async (s) => { await seek(s - 1.5); await video.play(); }, order.seconds);
  await page.waitForFunction(() => seen.ended, null, { timeout: 60000 });
  result.errors = await page.evaluate(() => seen.errors);
});
