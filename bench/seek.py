#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A seek to a segment that nobody made: ours against go-vod, which runs one ffmpeg for each viewer.

go-vod begins anew where a viewer seeks to: it starts ffmpeg one segment before that,
so that its keyframes are where they should be, and answers when ffmpeg has written the
whole segment.  Then ffmpeg goes on for some segments; of that nothing is counted here.

The same file, 720p with its sound, and the middle segment, of three seconds, which are
go-vod's own; ours is told so.  go-vod's segment is MPEG-TS with both in it; of ours
video and sound are asked for at once, and both have to be there.  Each round has a new
server on each side, which has been asked for its playlists; ours for the init segments and
the first segment, too, as it would be by who begins to watch.  (Theirs would have an ffmpeg
to end first, if it had been.)

As shipped: ours as it comes; go-vod as it comes, too, but for its CRF, which is 0 and
which Memories, the gallery that it is part of, sets to 24.  At go-vod's preset: ours with
its x264 preset, the same CRF, and a maxrate that does not bind, as go-vod has none.

First byte: of ours, that of the first fragment; what stands before it shows nothing.
CPU: of all processes of a side, to the last byte.

GO_VOD is go-vod's program (bench/README.md says how it is built); without it nothing
is measured.

usage: bench/seek.py [ROUNDS]
"""
import glob
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from measure import CPUS, Listener, Playlist, Server, await_port, cpu, free_ports, generated, head, natural, pinned, row

GO_VOD = os.environ.get("GO_VOD")
SECONDS = 3
PRESET, CRF = "faster", 24
WAYS = {"as shipped": {},
        "at go-vod's preset": {"MEDIA_PRESET": PRESET,
                               "config": {"ladder": [{"short_side": 720, "maxrate": 20000000, "crf": CRF}]}}}


class GoVod(Listener):
    """go-vod with its own settings, on all CPUs."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidemill-bench-")
        self.port, = free_ports(1)
        path = os.path.join(self.folder.name, "config.json")
        with open(path, "w") as f:
            json.dump({"bind": f"127.0.0.1:{self.port}", "tempdir": os.path.join(self.folder.name, "segments"),
                       "chunkSize": SECONDS, "qf": CRF}, f)
        with open(os.path.join(self.folder.name, "log"), "w") as log:
            # A session of its own, so that no ffmpeg, which it leaves behind, outlives it.
            self.process = subprocess.Popen(pinned(CPUS, [GO_VOD, path]), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        await_port(self.port, self.process)

    def children(self):
        """Any of its threads may have started them."""
        out = []
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/children"):
            with open(path) as f:
                out += map(int, f.read().split())
        return out

    def cpu(self):
        return sum(map(cpu, [self.process.pid, *self.children()]))

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()


def ask(server, paths, begun):
    """Seconds to the first of these bodies' bytes with begun, and to the last of all, CPU seconds, and the bodies."""
    connections = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in paths]
    used, start = server.cpu(), time.monotonic()
    for c, path in zip(connections, paths):
        c.request("GET", path)
    bodies, first = [], None
    for c, path in zip(connections, paths):
        r, body = c.getresponse(), bytearray()
        while piece := r.read1(1 << 18):
            body += piece
            if first is None and begun in body:
                first = time.monotonic() - start
        assert r.status == 200, (path, r.status, body[:300])
        bodies.append(bytes(body))
    last, used = time.monotonic() - start, server.cpu() - used
    for c in connections:
        c.close()
    return first, last, used, bodies


def ours(path, config=None, **settings):
    """What ask says, with the init segments in front of the bodies."""
    server = Server(os.path.dirname(path), config=config, MEDIA_SEGMENT=f"{SECONDS}s", **settings)
    try:
        playlist = Playlist(server, os.path.basename(path))
        folders = {name: folder for name, folder, _ in playlist.renditions()}
        folders = [folders["720p"], folders["audio-0"]]
        inits = [server.get(folder + "init.mp4") for folder in folders]
        server.get(folders[0] + "0.m4s")
        k = middle(playlist.media(folders[0])[1])
        first, last, used, bodies = ask(server, [f"{folder}{k}.m4s" for folder in folders], b"moof")
        return first, last, used, [init + body for init, body in zip(inits, bodies)]
    finally:
        server.stop()


def theirs(path):
    server = GoVod()
    try:
        server.get(f"/bench{path}/index.m3u8")
        text = server.get(f"/bench{path}/720p.m3u8").decode()
        k = middle(re.findall(r"#EXTINF:([0-9.]+),", text))
        got = ask(server, [f"/bench{path}/720p-{k:06d}.ts"], b"")
        assert server.children(), "ffmpeg has ended, and its CPU time was not seen"
        return got
    finally:
        server.stop()


def middle(durations):
    k = len(durations) // 2
    assert abs(float(durations[k]) - SECONDS) < 0.1, durations
    return k


def streams(body):
    """Of a body, by its kind: width, height and how many pictures or packets of sound there are."""
    with tempfile.NamedTemporaryFile(prefix="tidemill-bench-") as f:
        f.write(body)
        f.flush()
        text = subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_entries",
                               "stream=codec_type,width,height,nb_read_packets", "-of", "json", f.name],
                              capture_output=True, text=True, check=True).stdout
    return {s["codec_type"]: (s.get("width"), s.get("height"), int(s["nb_read_packets"]))
            for s in json.loads(text)["streams"]}


def check(a, b):
    """Anything else would compare apples and pears."""
    a = {kind: stream for body in a for kind, stream in streams(body).items()}
    b = streams(b[0])
    assert a.keys() == b.keys() == {"video", "audio"}, (a, b)
    assert a["video"][:2] == b["video"][:2] == (1280, 720), (a, b)
    for kind in a:
        assert abs(a[kind][2] - b[kind][2]) <= 0.05 * b[kind][2], (a, b)


def compare(path, rounds, settings):
    # The first round brings into memory what is on disk.
    a, b = zip(*[(ours(path, **settings), theirs(path)) for _ in range(rounds + 1)][1:])
    check(a[0][3], b[0][3])
    for i, what in enumerate(("first byte", "last byte", "CPU to the last byte")):
        row(f"{os.path.basename(path)} 720p: {what}", [r[i] for r in a], [r[i] for r in b], "s")
    row(f"{os.path.basename(path)} 720p: bytes", *([sum(map(len, r[0][3]))] for r in (a, b)), "kB", 1e-3)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if not GO_VOD:
        print("\nSeeks were not measured: GO_VOD does not say where go-vod is.")
        return
    for how, settings in WAYS.items():
        head(f"cold seek, {how}", theirs="go-vod")
        for path in (generated("hd.mp4"), natural("bbb-1080p25-40s.mp4")):
            if path:
                compare(path, rounds, settings)


main()
