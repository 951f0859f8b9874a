// Serves the page under test and the players to it, on loopback; returns the port.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const files = {
  '/': [join(here, 'page.html'), 'text/html'],
  '/hls.js': [join(here, 'node_modules/hls.js/dist/hls.min.js'), 'text/javascript'],
  '/dash.js': [join(here, 'node_modules/dashjs/dist/modern/umd/dash.all.min.js'), 'text/javascript'],
  '/shaka.js': [join(here, 'node_modules/shaka-player/dist/shaka-player.compiled.js'), 'text/javascript'],
};

export async function serve() {
  const server = createServer(async (q, a) => {
    const file = files[q.url];
    if (!file) return a.writeHead(404).end();
    a.writeHead(200, { 'Content-Type': file[1] }).end(await readFile(file[0]));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return server.address().port;
}
