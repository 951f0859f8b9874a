#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The source's own video in fMP4 segments of HLS: ours against nginx-vod-module.

The whole server, with one HTTP thread, against one nginx worker, both kept on the
first CPU; wrk on the second, asking for all segments one after another.  The same
MP4, the same cuts, video alone.  nginx-vod-module makes each answer anew, of the
file, which the system has in memory.  Ours comes three times: as it is, when each
segment is made once and then found in memory; with a cache that no segment fits
into and no disk, when each is made anew, of source blocks that are there; and with
room for a few of these only, when each is read anew, too.

NGINX_VOD is the module (bench/README.md says how it is built); without it nothing
is measured.

usage: bench/passthrough.py [ROUNDS]
"""
import os
import re
import sys
import tempfile

from measure import CPUS, Nginx, Playlist, Server, generated, head, load, looped, remuxed, rows

SECONDS = 2
CLIENTS = {1: ("median latency", "server's CPU a request"),
           16: ("requests per second", "server's CPU a request", "server's and client's CPU a request",
                "99th percentile")}
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "paths.lua")
MODULE = os.environ.get("NGINX_VOD")
SETTINGS = ("sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000000;"
            "open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;"
            "vod_mode local; vod_metadata_cache metadata 512m; vod_response_cache playlists 64m;"
            "vod_output_buffer_pool 64k 32; vod_align_segments_to_key_frames on;"
            "vod_manifest_segment_durations_mode accurate; vod_segment_duration {ms};")
HLS = "location /hls/ {{ alias {folder}/; vod hls; vod_hls_container_format fmp4; }}"
# No segment fits into it; playlists and the packed index do.
ANEW = {"CACHE_MEMORY": "1MiB", "CACHE_DISK_ENABLED": "false", "WORKERS_AHEAD": 0}
WAYS = {"as it comes": {}, "made anew": ANEW, "read and made anew": {**ANEW, "CACHE_SOURCE_BLOCKS": "16MiB"}}


def ours(clip, segment_ms, **settings):
    return Server(os.path.dirname(clip), CPUS[:1], HTTP_THREADS=1, LOG_LEVEL="warn", MEDIA_PASSTHROUGH="true",
                  MEDIA_SEGMENT=f"{segment_ms}ms", **settings)


def our_segments(server, clip):
    playlist = Playlist(server, os.path.basename(clip))
    folder = next(folder for name, folder, _ in playlist.renditions() if name == "source")
    _, durations, names = playlist.media(folder)
    return [float(d) for d in durations], [folder + name for name in names]


def their_segments(server, clip):
    text = server.get(f"/hls/{os.path.basename(clip)}/index-v1.m3u8").decode()
    return ([float(d) for d in re.findall(r"#EXTINF:([0-9.]+),", text)],
            re.findall(r"^http://[^/]*(/\S+)$", text, re.M))


class Walk:
    """A server, and the list of its segments for wrk."""

    def __init__(self, server, segments):
        self.server = server
        self.durations, paths = segments
        self.bytes = [len(server.get(path)) for path in paths]
        self.list = tempfile.NamedTemporaryFile("w", prefix="tidemill-bench-")
        self.list.write("".join(path + "\n" for path in paths))
        self.list.flush()

    def load(self, clients):
        return load(self.server, "", clients, SECONDS, SCRIPT, self.list.name)


# Anything else would compare apples and pears.
def check(walks):
    for w in walks:
        assert len(w.bytes) == len(walks[0].bytes), [len(w.bytes) for w in walks]
        for a, b in zip(w.durations, walks[0].durations):
            assert abs(a - b) < 0.05, (a, b)
        for a, b in zip(w.bytes, walks[0].bytes):
            assert abs(a - b) < 0.01 * b, (a, b)


def compare(clip, segment_ms, rounds):
    servers = [ours(clip, segment_ms, **settings) for settings in WAYS.values()]
    peer = Nginx({}, SETTINGS.format(ms=segment_ms), HLS.format(folder=os.path.dirname(clip)), f"load_module {MODULE};")
    try:
        walks = [Walk(s, our_segments(s, clip)) for s in servers] + [Walk(peer, their_segments(peer, clip))]
        check(walks)
        mean = sum(walks[0].bytes) / len(walks[0].bytes)
        for clients, figures in CLIENTS.items():
            got = [[w.load(clients) for w in walks] for _ in range(rounds + 1)][1:]
            for i, how in enumerate(WAYS):
                rows(f"{os.path.basename(clip)}, {mean / 1e6:.1f} MB, {clients} client{'s' * (clients > 1)}, ours {how}",
                     figures, [g[i] for g in got], [g[-1] for g in got])
        for server, how in zip(servers[1:], list(WAYS)[1:]):
            found = server.metric("cache_joins_total") + server.metric("cache_hits_memory_total")
            print(f"\n{how}: {server.metric('copies_video_total')} segments; {found} requests found something.", flush=True)
    finally:
        for server in [*servers, peer]:
            server.stop()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if not MODULE:
        print("\nPassthrough was not measured: NGINX_VOD does not say where nginx-vod-module is.")
        return
    camera = looped(generated("camera.mp4"), 15, "camera-240s.mp4")
    bunny = remuxed("bbb-1080p25-h264-aac-40s.ts", "bbb-1080p25-40s.mp4")
    for clip, segment_ms in ((camera, 4000), (bunny and looped(bunny, 6, "bbb-240s.mp4"), 3840)):
        if clip:
            head("segment of the source's own video")
            compare(clip, segment_ms, rounds)


main()
