#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A cold video segment: ours against the ffmpeg program making the same one.

The same frames of the same local file, scaled with the same flags, encoded by the
same x264 with the same settings (rate, buffer, keyframes where our parts begin), no
audio, fragments of half a second.  That the settings are the same is checked: the
first picture must come out bit for bit alike.

Theirs is run twice a round: as it comes (it takes several encoder threads), and
with one encoder thread, as each of our parts has.  It gets the priority that our
workers give themselves.  Its start-up and its reading of the file's header count,
as they do for whoever runs one ffmpeg per segment; of ours, the index is made
already and the segment is not.

And the source's own video, copied, against the top rung, both ours.

CPU: of our server and all its processes; of the ffmpeg process.

usage: bench/cold.py [ROUNDS]
"""
import http.client
import os
import subprocess
import sys
import time

from measure import Playlist, Server, generated, head, real, remuxed, row, rung_url
from rung import Rung

PRIORITY = ["nice", "-n", "10", "chrt", "-b", "0"]


def first_frame(path):
    """When the video begins, as ffmpeg's -ss counts."""
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                           "stream=start_time:format=start_time", "-of", "default=nw=1:nk=1", path],
                          capture_output=True, text=True, check=True).stdout
    video, file = map(float, text.split()[:2])
    return video - file


def command(path, begin, rung, k, threads):
    """ffmpeg making segment k of a file whose video begins at begin."""
    start = max(begin + (k * rung.frames - 0.5) / rung.fps, 0)
    keys = "+".join(f"eq(n,{n})" for n in range(0, rung.frames, rung.part))
    return [*PRIORITY, "ffmpeg", "-v", "error", "-nostdin", "-ss", f"{start:.6f}", "-i", path,
            "-frames:v", str(rung.frames), "-an", "-sn", "-vf", rung.scaler(), *rung.encoder(threads),
            "-g", "20001", "-keyint_min", "20001", "-forced-idr", "1", "-force_key_frames", f"expr:{keys}",
            "-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000", "-f", "mp4", "pipe:1"]


def first_picture(body):
    """The first sample's slices: the first fragment's mdat up to the second sample."""
    trun = body.index(b"trun")
    flags = int.from_bytes(body[trun + 5:trun + 8], "big")
    at = trun + 12 + 4 * bool(flags & 1) + 4 * bool(flags & 4) + 4 * bool(flags & 0x100)
    size = int.from_bytes(body[at:at + 4], "big")
    sample = body[(mdat := body.index(b"mdat") + 4):mdat + size]
    out, at = [], 0
    while at < len(sample):
        n = int.from_bytes(sample[at:at + 4], "big")
        if sample[at + 4] & 31 in (1, 5):
            out.append(sample[at + 4:at + 4 + n])
        at += 4 + n
    return out


def ours(server, url):
    """Wall, CPU and first-byte seconds, and the bytes."""
    cpu, start = server.cpu(), time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", server.port)
    c.request("GET", url)
    r = c.getresponse()
    first, body = None, bytearray()
    while piece := r.read1(1 << 18):
        body += piece
        if first is None and b"moof" in body:
            first = time.monotonic() - start
    wall = time.monotonic() - start
    c.close()
    assert r.status == 200, (url, r.status, body[:300])
    return wall, server.cpu() - cpu, first, bytes(body)


def theirs(cmd):
    start = time.monotonic()
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE)
    first, body = None, bytearray()
    while piece := os.read(p.stdout.fileno(), 1 << 18):
        body += piece
        if first is None and b"moof" in body:
            first = time.monotonic() - start
    _, status, usage = os.wait4(p.pid, 0)
    wall = time.monotonic() - start
    p.returncode = status
    assert status == 0, cmd
    return wall, usage.ru_utime + usage.ru_stime, first, bytes(body)


def one_round(path, name, k, commands):
    """Ours, and theirs by each command."""
    server = Server(os.path.dirname(path))  # with an empty cache
    try:
        url = rung_url(server, path, name)
        server.get(url + "init.mp4")
        return (ours(server, f"{url}{k}.m4s"), *map(theirs, commands))
    finally:
        server.stop()


def compare(path, name, k, rounds):
    rung, begin = Rung(path, name), first_frame(path)
    commands = [command(path, begin, rung, k, threads) for threads in (None, 1)]
    one_round(path, name, k, commands)  # what is on disk is in memory now
    a, b, c = zip(*(one_round(path, name, k, commands) for _ in range(rounds)))
    if first_picture(a[0][3]) != first_picture(c[0][3]):
        print(f"the first pictures of {path} differ: the settings are not the same", file=sys.stderr)
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}"
    for theirs_as, other in (("as it comes", b), ("one encoder thread", c)):
        for i, what in enumerate(("wall", "CPU", "first fragment")):
            row(f"{title}: {what}, ffmpeg {theirs_as}", [r[i] for r in a], [r[i] for r in other], "s")
    row(f"{title}: bytes", [len(a[0][3])], [len(c[0][3])], "kB", 1e-3)


def copied(path, k, rounds):
    """Segment k of the source as it is against that of the largest rung, from servers that have made nothing yet."""
    rows = {"source": [], "rung": []}
    for _ in range(rounds):
        for name, seen in rows.items():
            server = Server(os.path.dirname(path), MEDIA_PASSTHROUGH="true")
            try:
                names = [uri.split("/")[1] for _, uri in Playlist(server, os.path.basename(path)).variants]
                rung = max((n for n in names if n != "source"), key=lambda n: int(n[:-1]))
                url = rung_url(server, path, "source" if name == "source" else rung)
                server.get(url + "init.mp4")
                seen.append(ours(server, f"{url}{k}.m4s"))
            finally:
                server.stop()
    for i, what in enumerate(("wall", "CPU", "first fragment")):
        row(f"{os.path.basename(path)} source and {rung}: {what}", [r[i] for r in rows["source"]],
            [r[i] for r in rows["rung"]], "s")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("cold video segment")
    compare(generated("hd.mp4"), "720p", 1, rounds)
    if big := remuxed("bbb-1080p25-h264-aac-40s.ts", "bbb-1080p25-40s.mp4"):
        compare(big, "720p", 5, rounds)
    if small := real("sintel-480p25-26s.mp4"):
        compare(small, "360p", 3, rounds)
    copied(generated("hd.mp4"), 1, rounds)
    if big:
        copied(big, 5, rounds)


main()
