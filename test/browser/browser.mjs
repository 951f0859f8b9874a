// What the scripts beside this one share: a browser that never outlives its script, a page
// with a player in it, and a result printed as JSON.  A script that is told to stop, or whose
// standard input ends because the one who started it is gone, or that takes too long, closes
// the browser on its way out.
import { chromium, firefox } from 'playwright-core';
import { serve } from './serve.mjs';

const LIMIT_MS = 300000; // an evaluation in a page has no limit of its own

const launch = {
  chromium: () => chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-component-update',
      '--disable-background-networking', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
  }),
  // As Mozilla makes it, over WebDriver BiDi.
  firefox: () => firefox.launch({
    channel: 'moz-firefox',
    executablePath: process.env.FIREFOX || '/usr/bin/firefox-esr',
    firefoxUserPrefs: { 'media.autoplay.default': 0 },
  }),
};

// Runs work(browser, result) in the browser of that name and prints the result; an exception
// becomes result.failed.
export async function withBrowser(work, name = 'chromium') {
  const result = {};
  const browser = await launch[name]();
  const close = () => browser.close();
  process.stdin.on('end', close).resume();
  setTimeout(close, LIMIT_MS).unref();
  result.browser = browser.version();
  try {
    await work(browser, result);
  } catch (e) {
    result.failed = String(e.stack || e);
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit());
}

let port = null;

// A new page.html; what goes wrong in it is added to result.pageErrors.
export async function openPage(browser, result) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on('pageerror', (e) => { (result.pageErrors ??= []).push(String(e)); });
  port ??= await serve();
  await page.goto(`http://127.0.0.1:${port}/`);
  return page;
}

// Gives the page the player of the order (see play.mjs) and what that is to play.
export function load(page, { player, url, turn = 0, keys = null }) {
  return page.evaluate(async ([p, u, t, k]) => { turn = t; clearKeys = k; await players[p](u); }, [player, url, turn, keys]);
}

// Both, and the player can be sought.
export async function openPlayer(browser, result, order) {
  const page = await openPage(browser, result);
  await load(page, order);
  await page.evaluate(() => settled);
  return page;
}
