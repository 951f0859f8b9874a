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

CPU: of our server and all its processes; of the ffmpeg process.

usage: bench/cold.py [ROUNDS]
"""
import http.client
import os
import re
import subprocess
import sys
import time

from measure import BUILD, Server, generated, head, real, remuxed, row, rung_url

PRIORITY = ["nice", "-n", "10", "chrt", "-b", "0"]


def exact_rate(kilobits):
    """The bits per second that `tidemill probe` has rounded: a rung's, if there is one."""
    text = subprocess.run([os.path.join(BUILD, "tidemill"), "-T", "/"], capture_output=True, text=True,
                          check=True).stdout
    for m in re.findall(r'"maxrate": (\d+)', text):
        if round(int(m) / 1000) == kilobits:
            return int(m)
    return kilobits * 1000


def first_frame(path):
    """When the video begins, as ffmpeg's -ss counts."""
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                           "stream=start_time:format=start_time", "-of", "default=nw=1:nk=1", path],
                          capture_output=True, text=True, check=True).stdout
    video, file = map(float, text.split()[:2])
    return video - file


def settings(path, rung):
    """What `tidemill probe` says of a file and a rung."""
    text = subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True,
                          check=True).stdout
    m = re.search(rf"{rung} +(\d+)x(\d+), crf (\d+), at most (\d+) kb/s, avc1\.64..(..)", text)
    fps = re.search(r"grid +(\d+)/(\d+) frames", text)
    per = re.search(r"of (\d+) frames \(parts of (\d+)\)", text)
    return dict(width=m[1], height=m[2], crf=m[3], rate=exact_rate(int(m[4])), level=int(m[5], 16),
                begin=first_frame(path), fps=int(fps[1]) / int(fps[2]), frames=int(per[1]), part=int(per[2]))


def command(path, k, s, threads):
    start = max(s["begin"] + (k * s["frames"] - 0.5) / s["fps"], 0)
    keys = "+".join(f"eq(n,{n})" for n in range(0, s["frames"], s["part"]))
    return [*PRIORITY, "ffmpeg", "-v", "error", "-nostdin", "-ss", f"{start:.6f}", "-i", path,
            "-frames:v", str(s["frames"]), "-an", "-sn", "-vf",
            f"scale={s['width']}:{s['height']}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=yuv420p",
            "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level:v", str(s["level"]),
            "-crf", s["crf"], "-maxrate", str(s["rate"]), "-bufsize", str(s["rate"]),
            "-rc_init_occupancy", str(s["rate"] * 68 // 100), "-x264-params", "stitchable=1:cpu-independent=1",
            "-g", "20001", "-keyint_min", "20001", "-forced-idr", "1", "-flags", "+cgop",
            "-fps_mode", "passthrough",
            "-force_key_frames", f"expr:{keys}", *threads,
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


def one_round(path, rung, k, s):
    """Ours, theirs as it comes, theirs with one encoder thread."""
    server = Server(os.path.dirname(path))  # with an empty cache
    try:
        url = rung_url(server, path, rung)
        server.get(url + "init.mp4")
        return (ours(server, f"{url}{k}.m4s"), theirs(command(path, k, s, [])),
                theirs(command(path, k, s, ["-threads", "1"])))
    finally:
        server.stop()


def compare(path, rung, k, rounds):
    s = settings(path, rung)
    one_round(path, rung, k, s)  # what is on disk is in memory now
    a, b, c = zip(*(one_round(path, rung, k, s) for _ in range(rounds)))
    if first_picture(a[0][3]) != first_picture(c[0][3]):
        print(f"the first pictures of {path} differ: the settings are not the same", file=sys.stderr)
    name = f"{os.path.basename(path)} {rung} {s['width']}x{s['height']}"
    for theirs_as, other in (("as it comes", b), ("one encoder thread", c)):
        for i, what in enumerate(("wall", "CPU", "first fragment")):
            row(f"{name}: {what}, ffmpeg {theirs_as}", [r[i] for r in a], [r[i] for r in other], "s")
    row(f"{name}: bytes", [len(a[0][3])], [len(c[0][3])], "kB", 1e-3)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("cold video segment")
    compare(generated("hd.mp4"), "720p", 1, rounds)
    if big := remuxed("bbb-1080p25-h264-aac-40s.ts", "bbb-1080p25-40s.mp4"):
        compare(big, "720p", 5, rounds)
    if small := real("sintel-480p25-26s.mp4"):
        compare(small, "360p", 3, rounds)


main()
