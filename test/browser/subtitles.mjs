// Shows subtitles in Chromium and prints which, when, as JSON.
//
//   node subtitles.mjs '{"player": "hls", "url": ..., "language": "de", "times": [1.5, 4]}'
//
// player: as for play.mjs.  Chooses the track of that language and goes to each time; what
// is shown there is the text of the active cues, each with its times.
import { withBrowser } from './browser.mjs';
import { serve } from './serve.mjs';

const order = JSON.parse(process.argv[2]);
const port = await serve();

await withBrowser(async (browser, result) => {
  const page = await browser.newPage();
  page.on('pageerror', (e) => { (result.pageErrors ??= []).push(String(e)); });
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.evaluate(([p, u]) => players[p](u), [order.player, order.url]);
  await page.evaluate(() => settled);
  result.tracks = await page.evaluate(() => textTracks());
  await page.evaluate((l) => showText(l), order.language);
  result.shown = [];
  for (const t of order.times) {
    await page.evaluate((at) => { video.currentTime = at; }, t);
    // The cues may come after the pictures.
    await page.waitForFunction((at) => !video.seeking && video.currentTime === at && activeCues().length > 0, t,
      { timeout: 20000 }).catch(() => {});
    result.shown.push(await page.evaluate(() => activeCues()));
  }
  result.errors = await page.evaluate(() => seen.errors);
});
