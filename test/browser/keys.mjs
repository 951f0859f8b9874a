// Plays what is encrypted in Chromium and prints what happened as JSON.
//
//   node keys.mjs '{"player": "shaka", "url": ..., "keys": {"KEY ID": "KEY"}, "times": [1.5, 4]}'
//
// player: as for play.mjs.  keys: in hexadecimal, what the player is told for ClearKey; null
// where the playlist says where they are.  It goes to each time and reads the number in the
// picture there, off the screen: what was encrypted cannot be drawn elsewhere.  Then it plays
// from the start to the end at double speed.
import { load, openPage, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);

async function onScreen(page) {
  const png = await page.locator('#video').screenshot();
  return page.evaluate(async (bytes) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${bytes}`)).blob());
    const g = new OffscreenCanvas(image.width, image.height).getContext('2d');
    g.drawImage(image, 0, 0);
    return numberOn(g);
  }, png.toString('base64'));
}

// It may be on the screen a little later than the event that says so.
async function numberAt(page, t) {
  const before = await onScreen(page);
  await page.evaluate((at) => new Promise((done, failed) => {
    setTimeout(() => failed(new Error(`seek to ${at}`)), SEEK_MS);
    video.addEventListener('seeked', done, { once: true });
    video.currentTime = at;
  }), t);
  let number = before;
  for (let looks = 0; looks < 50 && (number === null || number === before); looks++) number = await onScreen(page);
  return number;
}

await withBrowser(async (browser, result) => {
  const page = await openPage(browser, result);
  const patience = { timeout: 60000 };
  await load(page, order).catch((e) => { result.refused = String(e).split('\n')[0]; });
  if (!result.refused) {
    await page.evaluate(() => Promise.race([settled, new Promise((done) => setTimeout(done, 30000))]));
    result.scheme = await page.evaluate(() => video.mediaKeys?.constructor.name || null);
    result.seeks = [];
    for (const t of order.times) result.seeks.push(await numberAt(page, t));
    await page.evaluate(() => { video.currentTime = 0; video.playbackRate = 2; video.play().catch(() => {}); });
    await page.waitForFunction(() => seen.ended || seen.errors.length > 0, null, patience).catch(() => {});
    result.ended = await page.evaluate(() => seen.ended);
    result.frames = await page.evaluate(() => video.getVideoPlaybackQuality().totalVideoFrames);
  }
  result.errors = await page.evaluate(() => seen.errors);
});
