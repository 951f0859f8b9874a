#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A cold video segment: ours against the ffmpeg program making the same one.

The same frames of the same local file, scaled with the same flags, encoded by the
same x264 with the same settings (rate, buffer, keyframes where our parts begin), no
audio, fragments of half a second.  That the settings are the same is checked: the
first picture must come out bit for bit alike.

With the same settings theirs is run twice a round: as it comes (it takes several encoder threads), and
with one encoder thread, as each of our parts has.  It gets the priority that our
workers give themselves.

At equal quality: ours with the settings that it has by itself; theirs with veryfast, as it comes, and
the CRF at which it is as like the source as ours; of natural clips.

Its start-up and its reading of the file's header count, as they do for whoever runs one ffmpeg per segment; of ours,
the index is made already and the segment is not.

When the first picture that is shown is there, of a segment that begins at a keyframe and of one far behind one; and
the source's own video, copied, against the top rung: all ours.

CPU: of our server and all its processes; of the ffmpeg process.

usage: bench/cold.py [ROUNDS]
"""
import http.client
import os
import re
import subprocess
import sys
import tempfile
import time

from measure import (GOP_SECONDS, NATURAL, PRIORITY, Playlist, Server, generated, head, natural, row, rung_url,
                     with_long_gops)
from rung import Rung, first_pictures
from similar import Pictures, first_frame


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
    p = subprocess.Popen([*PRIORITY, *cmd], stdout=subprocess.PIPE)
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


def warm_up(server, path, name, k):
    """Another segment of the rung, a later one so that no decoder stands before ours; else ours of another rung."""
    playlist = Playlist(server, os.path.basename(path))
    folders = {n: folder for n, folder, _ in playlist.renditions()}
    if f"{k + 1}.m4s" in playlist.media(folders[name])[2]:
        server.get(f"{folders[name]}{k + 1}.m4s")
    else:
        server.get(next(f for n, f in folders.items() if n[:-1].isdigit() and n != name) + f"{k}.m4s")


def one_round(path, name, k, commands, **settings):
    """Our init segment; ours, and theirs by each command."""
    server = Server(os.path.dirname(path), **settings)  # with an empty cache
    try:
        url = rung_url(server, path, name)
        warm_up(server, path, name, k)
        return server.get(url + "init.mp4"), ours(server, f"{url}{k}.m4s"), *map(theirs, commands)
    finally:
        server.stop()


def times(title, ours, theirs):
    for i, what in enumerate(("wall", "CPU", "first fragment")):
        row(f"{title}: {what}", [r[i] for r in ours], [r[i] for r in theirs], "s")
    row(f"{title}: first fragment, to their last byte", [r[2] for r in ours], [r[0] for r in theirs], "s")


def same_settings(path, name, k, rounds):
    rung, begin = Rung(path, name), first_frame(path)
    commands = [rung.segment(path, k, begin, threads=threads) for threads in (None, 1)]
    one_round(path, name, k, commands)  # what is on disk is in memory now
    _, a, b, c = zip(*(one_round(path, name, k, commands, MEDIA_PRESET="veryfast") for _ in range(rounds)))
    if first_pictures(a[0][3]) != first_pictures(c[0][3]):
        print(f"the first pictures of {path} differ: the settings are not the same", file=sys.stderr)
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}"
    times(f"{title}, ffmpeg as it comes", a, b)
    times(f"{title}, ffmpeg with one encoder thread", a, c)
    row(f"{title}: bytes", [len(a[0][3])], [len(c[0][3])], "kB", 1e-3)


class Judge:
    """How like the source's pictures what was made of segment k is: SSIM of the luma, and of all planes."""

    def __init__(self, path, rung, k, folder):
        self.pictures = Pictures(path, rung, k, os.path.join(folder, "pictures"))
        self.coded = os.path.join(folder, "coded.mp4")

    def __call__(self, body):
        with open(self.coded, "wb") as f:
            f.write(body)
        return self.pictures.similarity(self.coded)


def fitting(path, k, like, judge, rung):
    """The CRF, to a tenth, at which theirs is as like the source as that."""
    begin, low, high = first_frame(path), 150, 350
    while high - low > 1:
        crf = (low + high) // 2
        made = theirs(rung.segment(path, k, begin, threads=None, crf=crf / 10))
        low, high = (crf, high) if judge(made[3])[1] >= like else (low, crf)
    return low / 10


def equal_quality(path, name, k, rounds, judge, rung):
    init, made = one_round(path, name, k, [])
    like = judge(init + made[3])
    crf = fitting(path, k, like[1], judge, rung)
    commands = [rung.segment(path, k, first_frame(path), threads=None, crf=crf)]
    _, a, b = zip(*(one_round(path, name, k, commands) for _ in range(rounds)))
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}, CRF {rung.crf} and {crf}"
    times(title, a, b)
    row(f"{title}: bytes", [len(a[0][3])], [len(b[0][3])], "kB", 1e-3)
    for what, mine, other in zip(("luma", "all planes"), like, judge(b[0][3])):
        print(f"| {title}: SSIM, {what} | **{mine - other:+.4f}** | {mine:.4f} | {other:.4f} |", flush=True)


def first_shown(path, name, k, **settings):
    """Seconds from the request to the segment's first decoded picture, by what the server says of the making."""
    server = Server(os.path.dirname(path), **settings)
    try:
        url = rung_url(server, path, name)
        c = http.client.HTTPConnection("127.0.0.1", server.port)
        c.request("GET", f"{url}{k}.m4s")
        r = c.getresponse()
        assert r.status == 200 and r.read(), (url, r.status)
        waited = sum(float(ms) for ms in re.findall(r"(?:queue|origin);dur=([0-9.]+)", r.headers["server-timing"]))
        c.close()
        return waited / 1e3 + server.metric("first_pictures_us_total") / 1e6
    finally:
        server.stop()


def first_pictures_shown(path, rounds):
    """Where all is cut at keyframes, as where the source itself is a rendition; and 4 s segments of the same clip."""
    at_key, behind, k = [], [], (GOP_SECONDS - 1) // 4
    for _ in range(rounds):
        at_key.append(first_shown(path, "540p", 1, MEDIA_PASSTHROUGH="true"))
        behind.append(first_shown(path, "540p", k))
    row(f"{os.path.basename(path)} 540p, at a keyframe and {4 * k} s behind one: first picture", at_key, behind, "ms", 1e3)


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
    times(f"{os.path.basename(path)} source and {rung}", rows["source"], rows["rung"])


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("cold video segment, the same settings")
    same_settings(generated("hd.mp4"), "720p", 1, rounds)
    if big := natural("bbb-1080p25-40s.mp4"):
        same_settings(big, "720p", 5, rounds)
    if small := natural("sintel-480p25-26s.mp4"):
        same_settings(small, "360p", 3, rounds)
    head("cold video segment, equal quality")
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        for name, rung, k in NATURAL:
            if clip := natural(name):
                equal_quality(clip, rung, k, rounds, Judge(clip, Rung(clip, rung), k, folder), Rung(clip, rung))
    head("cold video segment, first picture shown")
    first_pictures_shown(with_long_gops(big or generated("hd-60s.mp4")), rounds)
    head("cold video segment, copied")
    copied(generated("hd.mp4"), 1, rounds)
    if big:
        copied(big, 5, rounds)


if __name__ == "__main__":
    main()
