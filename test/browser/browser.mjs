// What the scripts beside this one share: a Chromium that never outlives its script, and
// a result printed as JSON.  A script that is told to stop, or whose standard input ends
// because the one who started it is gone, or that takes too long, closes the browser on its way out.
import { chromium } from 'playwright-core';

const LIMIT_MS = 300000; // an evaluation in a page has no limit of its own

// Runs work(browser, result) and prints the result; an exception becomes result.failed.
export async function withBrowser(work) {
  const result = {};
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-component-update',
      '--disable-background-networking', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
  });
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
