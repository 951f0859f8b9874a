// Chooses tracks of sound in turn while it plays in Chromium, and prints what is heard as JSON.
//
//   node sound.mjs '{"player": "hls", "url": ..., "languages": ["en", "de", "en"]}'
//
// player: as for play.mjs.  without: a codec that the browser shall not know.  heard: of each,
// the loudest frequency in Hz, once it has come.
import { load, openPage, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);

await withBrowser(async (browser, result) => {
  const page = await openPage(browser, result);
  await page.evaluate((codec) => {
    const known = MediaSource.isTypeSupported, decoding = navigator.mediaCapabilities.decodingInfo;
    const lacks = (type) => codec && type?.includes(codec);
    MediaSource.isTypeSupported = (type) => !lacks(type) && known.call(MediaSource, type);
    navigator.mediaCapabilities.decodingInfo = async function (c) {
      const info = await decoding.call(this, c);
      return lacks(c.audio?.contentType) ? { ...info, supported: false } : info;
    };
  }, order.without);
  await load(page, order);
  await page.evaluate(() => settled);
  result.tracks = await page.evaluate(() => soundTracks());
  await page.evaluate(async () => { listen(); video.loop = true; video.muted = false; await video.play(); });
  result.heard = [];
  let before = 0;
  for (const language of order.languages) {
    await page.evaluate((l) => chooseSound(l), language);
    // What is in the buffer may be heard for a while.
    const other = await page.waitForFunction((hz) => {
      const now = settledOn();
      return now > 50 && Math.abs(now - hz) > 50 && now;
    }, before, { timeout: 30000 }).catch(() => null);
    result.heard.push(before = other ? await other.jsonValue() : await page.evaluate(() => loudest()));
  }
  result.errors = await page.evaluate(() => seen.errors);
});
