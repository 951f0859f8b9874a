// Plays what is encrypted in Chromium and prints what happened as JSON.
//
//   node keys.mjs '{"player": "shaka", "url": ..., "keys": {"KEY ID": "KEY"}, "times": [1.5, 4]}'
//
// player: as for play.mjs.  keys: in hexadecimal, what the player is told for ClearKey; null
// where the playlist says where they are.  It goes to each time and reads the number in the
// picture there, then plays from the start to the end at double speed.
import { withBrowser } from './browser.mjs';
import { serve } from './serve.mjs';

const order = JSON.parse(process.argv[2]);
const port = await serve();

await withBrowser(async (browser, result) => {
  const page = await browser.newPage();
  const patience = { timeout: 60000 };
  page.on('pageerror', (e) => { (result.pageErrors ??= []).push(String(e)); });
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.evaluate(([p, u, k]) => { clearKeys = k; return players[p](u); }, [order.player, order.url, order.keys])
    .catch((e) => { result.refused = String(e).split('\n')[0]; });
  if (!result.refused) {
    await page.evaluate(() => Promise.race([settled, new Promise((done) => setTimeout(done, 30000))]));
    result.scheme = await page.evaluate(() => video.mediaKeys?.constructor.name || null);
    result.seeks = [];
    for (const t of order.times) result.seeks.push(await page.evaluate((at) => seek(at), t));
    await page.evaluate(() => { video.currentTime = 0; video.playbackRate = 2; return video.play(); });
    await page.waitForFunction(() => seen.ended || seen.errors.length > 0, null, patience).catch(() => {});
    result.ended = await page.evaluate(() => seen.ended);
  }
  result.errors = await page.evaluate(() => seen.errors);
});
