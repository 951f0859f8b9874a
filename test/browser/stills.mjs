// What players in Chromium make of single pictures, printed as JSON.
//
//   node stills.mjs '{"player": "shaka", "url": ..., "times": [0, 3.2, ...]}'
//
// player: hls, shaka (HLS), dash (Shaka too) or dashjs.  Shaka and dash.js are asked for the
// thumbnail of each time, then Shaka plays fast; hls.js is asked for the I-frame of each time.  Of all the numbers in the
// pictures: see page.html.
import { load, openPage, withBrowser } from './browser.mjs';

const order = JSON.parse(process.argv[2]);
const patience = { timeout: 60000 };

// [time, number, begin, end] of each thumbnail; dash.js does not tell the last two.
const thumbnails = (page) => page.evaluate(async (times) => {
  const out = [];
  for (const time of times) {
    const t = await thumbnail(time);
    const image = await createImageBitmap(await (await fetch(t.url)).blob());
    const canvas = document.createElement('canvas');
    canvas.width = t.width;
    canvas.height = t.height;
    const g = canvas.getContext('2d', { willReadFrequently: true });
    g.drawImage(image, t.x, t.y, t.width, t.height, 0, 0, t.width, t.height);
    out.push([time, numberOn(g), ...t.span]);
  }
  return out;
}, order.times);

// The numbers on screen while it plays fast, once its pictures are those for that.
async function fast(page) {
  await page.evaluate(async () => {
    await seek(1.5);
    player.configure({ streaming: { bufferingGoal: 2 } });
    await video.play();
    player.trickPlay(4);
  });
  await page.waitForFunction(() => player.getVideoTracks().some((t) => t.active) && video.currentTime > 8, null, patience);
  return page.evaluate(async () => {
    const seen = new Set();
    while (!video.ended && video.currentTime < video.duration - 1) {
      seen.add(frameNumber());
      await new Promise(requestAnimationFrame);
    }
    return [...seen];
  });
}

// [time, number] of each picture that the I-frame player of hls.js shows.
const iframes = (page) => page.evaluate(async (times) => {
  const small = document.createElement('video');
  small.muted = true;
  document.body.append(small);
  const scrub = player.createIFramePlayer();
  const attached = new Promise((done) => scrub.once(Hls.Events.MEDIA_ATTACHED, done));
  scrub.attachMedia(small);
  await attached;
  const out = [];
  for (const time of times) {
    const before = frameNumber(small);
    await new Promise((done, failed) => {
      small.addEventListener('seeked', done, { once: true });
      setTimeout(() => failed(new Error(`no I-frame at ${time}`)), SEEK_MS);
      scrub.loadMediaAt(time);
    });
    out.push([time, await pictureAfter(before, small)]);
  }
  return out;
}, order.times);

await withBrowser(async (browser, result) => {
  const page = await openPage(browser, result);
  const asked = [];
  page.on('request', (q) => { if (q.url().includes('/trick/')) asked.push(q.url().split('/').pop()); });
  await load(page, order);
  await page.evaluate(() => settled);
  if (order.player === 'hls') {
    result.iframes = await iframes(page);
  } else {
    result.thumbnails = await thumbnails(page);
    if (order.player !== 'dashjs') result.fast = await fast(page);
  }
  result.asked = asked;
  result.errors = await page.evaluate(() => seen.errors);
});
