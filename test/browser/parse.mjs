// Parses playlists strictly: a JSON list of texts in, a JSON list of their kinds out.
import HLS from 'hls-parser';

HLS.setOptions({ strictMode: true });
let text = '';
for await (const chunk of process.stdin) text += chunk;
console.log(JSON.stringify(JSON.parse(text).map((t) => (HLS.parse(t).isMasterPlaylist ? 'master' : 'media'))));
