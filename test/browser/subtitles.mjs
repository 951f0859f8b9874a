// Shows subtitles in Chromium and prints which, when, as JSON.
//
//   node subtitles.mjs '{"player": "hls", "url": ..., "language": "de", "times": [1.5, 4]}'
//
// player: as for play.mjs.  Chooses the track of that language and goes to each time; what
// is shown there is the text of the active cues, each with its times.
import { openPlayer, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);

await withBrowser(async (browser, result) => {
  const page = await openPlayer(browser, result, order);
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
