// Looks at pages of ours in Chromium as visitors do, and prints what is to be seen.
//
//   node look.mjs '[{"url": ..., "width": 360, "dark": false, "do": ["play", "rung:240p"]}, ...]'
//
// Each of them is another visitor, who has nothing in the browser's cache.
// no_autoplay: as a browser that starts nothing by itself.
// no_hls: as a browser that has no HLS of its own.
// hold: a pattern of requests that are not answered.
// do: what the visitor does, in order; after "NAME.png" there is a picture of it.
//   play      wait until the video plays, or the page says why not
//   ended     wait until it has played to its end
//   seek:T    go to T seconds and wait for the picture there
//   held      wait until a request is held
//   rung:TEXT click the rung of that name and wait until it is the one that plays
//   hover:P   point at P per cent of the bar below the video and wait for the picture there
//   press:P   the same, and click
//   poster    wait until the video has one
//   visit     load the page again
//   kill:PID  end the server
//   told:TEXT wait until the page says something with TEXT in it about what is wrong
import { withBrowser } from './browser.mjs';

const visits = JSON.parse(process.argv[2]);
const patience = { timeout: 60000 };

const acts = {
  play: (page) => page.waitForFunction(() => {
    const p = document.getElementById('problem');
    const v = document.getElementById('video');
    return !p.hidden || v.currentTime > 0.5 || v.ended;
  }, null, patience),

  ended: (page) => page.waitForFunction(() => document.getElementById('video').ended, null, patience),

  async seek(page, to) {
    await page.evaluate((t) => { document.getElementById('video').currentTime = t; }, Number(to));
    await page.waitForFunction((t) => {
      const v = document.getElementById('video');
      return !v.seeking && v.readyState > 2 && v.currentTime > t;
    }, Number(to), patience);
  },

  held: (page) => page.held,

  async rung(page, label) {
    const button = page.locator('#rungs button', { hasText: label });
    await button.click();
    await page.waitForFunction((b) => b.classList.contains('playing'), await button.elementHandle(), patience);
  },

  async hover(page, percent) {
    const box = await page.locator('#bar').boundingBox();
    await page.mouse.move(box.x + box.width * percent / 100, box.y + box.height / 2);
    await page.waitForFunction(() => !document.getElementById('tile').hidden, null, patience);
    await page.evaluate(() => {
      const image = new Image();
      image.src = document.getElementById('tile').style.backgroundImage.slice(5, -2);
      return image.decode();
    });
  },

  async press(page, percent) {
    await acts.hover(page, percent);
    await page.mouse.down();
    await page.mouse.up();
  },

  poster: (page) => page.waitForFunction(() => document.getElementById('video').poster, null, patience),

  visit: (page) => page.reload(),
  kill: (page, pid) => process.kill(Number(pid), 'SIGKILL'),

  told: (page, text) => page.waitForFunction((t) => {
    const p = document.getElementById('problem');
    return !p.hidden && p.textContent.includes(t);
  }, text, patience),
};

function see(page) {
  return page.evaluate(() => {
    const text = (e) => (e ? e.innerText.trim() : '');
    const video = document.getElementById('video'), problem = document.getElementById('problem');
    const tile = document.getElementById('tile');
    return {
      title: document.title,
      overflow: document.documentElement.scrollWidth - window.innerWidth,
      text: text(document.body),
      links: [...document.links].map((a) => [text(a.querySelector('.name') || a), a.getAttribute('href')]),
      problem: problem && !problem.hidden ? text(problem) : '',
      rungs: [...document.querySelectorAll('#rungs button')].map((b) => [b.firstChild.textContent, b.className]),
      rows: [...document.querySelectorAll('#log tr')].map((r) => [...r.cells].map(text)),
      video: video && { time: video.currentTime, width: video.videoWidth, height: video.videoHeight, paused: video.paused, poster: video.getAttribute('poster') },
      tile: tile && !tile.hidden ? [tile.style.backgroundImage.split('/').pop(), tile.style.backgroundPosition] : null,
    };
  });
}

async function visit(browser, order) {
  const page = await browser.newPage({
    viewport: { width: order.width, height: order.width < 600 ? 740 : 900 },
    colorScheme: order.dark ? 'dark' : 'light',
  });
  const result = { console: [], seen: [] };
  if (order.no_hls) await page.addInitScript(() => { HTMLMediaElement.prototype.canPlayType = () => ''; });
  if (order.no_autoplay)
    await page.addInitScript(() => {
      HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    });
  if (order.hold) page.held = new Promise((resolve) => { page.route(order.hold, resolve); });
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) result.console.push(m.text()); });
  page.on('pageerror', (e) => result.console.push(String(e)));
  try {
    await page.goto(order.url);
    result.seen.push(await see(page));
    for (const act of order.do || []) {
      const [name, value] = act.split(/:(.*)/);
      if (act.endsWith('.png')) await page.screenshot({ path: act, fullPage: act.endsWith('full.png') });
      else await acts[name](page, value);
      result.seen.push(await see(page));
    }
  } catch (e) {
    result.failed = String(e);
    result.seen.push(await see(page));
  }
  await page.close();
  return result;
}

await withBrowser(async (browser, result) => {
  result.visits = [];
  for (const v of visits) result.visits.push(await visit(browser, v));
});
