// Which of some types of media Chromium says that it can play, in their order.
//
//   node types.mjs '["video/mp4; codecs=\"avc1.64001F\"", ...]'
import { withBrowser } from './browser.mjs';

await withBrowser(async (browser, result) => {
  const page = await browser.newPage();
  result.supported = await page.evaluate((types) => types.map((t) => MediaSource.isTypeSupported(t)),
    JSON.parse(process.argv[2]));
});
