#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of each file of a folder that nobody tidied up: a row for each, and a summary.

    archive.py FOLDER [NAME...]

It is refused in one sentence; or all that exact.py asks holds for every rung, fetched out of order from a cold server,
each picture is the one of its time that the ffmpeg program shows, and the sound is where that program has it.  Where
the two differ somebody has to look: times that a file does not tell are guessed by both; where nobody guesses any, only
the order is asked for.  docs/real-clips.md has what came of the files at hand.
"""
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import traceback
from fractions import Fraction

import numpy

import dash
import exact
import likeness
import muxed
import sounds
from edge import BUILD, Edge, quote

AT_LEAST = 0.9  # how alike what is heard is to what ffmpeg hears, where its place counts


class Wrong(Exception):
    pass


def showinfo(path):
    """(when, whether it is a key frame) of each picture that ffmpeg decodes, in seconds from the first one."""
    told = subprocess.run(["ffmpeg", "-v", "info", "-nostats", "-max_error_rate", "1", "-flags", "unaligned", "-i", path, "-map",
                           "0:v:0", "-vf", "showinfo", "-vsync", "passthrough", "-f", "null", "-"], capture_output=True,
                          check=True).stderr
    num, den = map(int, re.search(rb"config in time_base: (\d+)/(\d+)", told).groups())
    rows = re.findall(rb" n: *\d+ pts: *(\S+) .* iskey:(\d)", told)
    times = [None if pts == b"NOPTS" else Fraction(int(pts) * num, den) for pts, key in rows]
    return [(None if None in times else t - times[0], key == b"1") for t, (pts, key) in zip(times, rows)]


def told_times(path, count):
    """(begin, end) of each picture that ffmpeg decodes: by the packets; where these have no times, or some hold no
    picture, by what the program makes of them.  The end of the last may be unknown; None where nothing is known."""
    with contextlib.suppress(ValueError, KeyError, IndexError):
        times = exact.presented(path)
        if len(times) == count:
            return times
    begins = [when for when, key in showinfo(path)]
    if len(begins) != count or None in begins or sorted({*begins}) != begins:
        return None
    return [*zip(begins, begins[1:]), (begins[-1], None)]


def in_order(ours, source):
    """Which pictures of the source ours are most like, if none may be from before the one in front of it."""
    a, b = ours.astype("f4"), source.astype("f4")
    far = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    for n in range(1, len(far)):
        far[n] += numpy.minimum.accumulate(far[n - 1])
    want = [int(far[-1].argmin())]
    for row in far[-2::-1]:
        want.append(int(row[:want[-1] + 1].argmin()))
    return want[::-1]


def on_grid(r, ours, times):
    fps, (begin, end) = exact.frame_rate(r), times[-1]
    return exact.shown_on_grid([*times[:-1], (begin, end or max(begin, len(ours) / fps))], fps)


def wanted(r, ours, source, times, fields):
    """Which pictures of the source a rendition has to show.  The last one of a file may be held, while there is sound."""
    every = min(r.init.width, r.init.height) >= 720
    if r.copied:
        want = list(range(len(source)))
    elif times and fields:
        shown = on_grid(r, ours, times)
        want = [2 * i + (every and n > 0 and shown[n - 1] == i) for n, i in enumerate(shown)]
    elif fields:
        want = list(range(0, len(source), 1 if every else 2))
    elif times:
        want = on_grid(r, ours, times)
    else:
        want = in_order(ours, source)
    want += want[-1:] * (len(ours) - len(want))
    if len(ours) != len(want) or max(want) >= len(source):
        raise Wrong(f"{r.name}: {len(ours)} frames, {len(want)} wanted, {len(source)} in the source")
    return want


def first_key(path):
    """How many pictures ffmpeg shows before the first sync sample, which lean on what is not there, and for how long."""
    return next(((n, float(when or 0)) for n, (when, key) in enumerate(showinfo(path)) if key), (0, 0))


def look(path, videos, fields, skip=0):
    """Pictures told from their neighbours, of the rung where it is most; without the first of the source."""
    source, told = likeness.pictures(path, "bwdif=send_field" if fields else "null"), 0
    if not len(source):
        return "ffmpeg shows nothing of it"
    times = told_times(path, len(source) // 2 if fields else len(source))
    if skip:
        source = source[2 * skip if fields else skip:]
        times = times and [(a - times[skip][0], b and b - times[skip][0]) for a, b in times[skip:]]
    for r in videos:
        with tempfile.TemporaryDirectory() as tmp:
            ours = likeness.pictures(r.whole(os.path.join(tmp, "whole.mp4")))
        want = wanted(r, ours, source, times, fields)
        told = max(told, likeness.check(ours, source, want))
    # Of the last rung, as of the others but for rates and fields.
    held = f", the last {want.count(want[-1])} times" if want.count(want[-1]) > 1 else ""
    unknown = "" if times or fields else ", at times that nobody knows"
    return f"{exact.frame_count(videos[0])} frames, {told} told, {len({*want})} of {len(source)} shown{held}{unknown}"


def first_time(path, kind):
    """As sounds.first_time, of a file that may begin with what is of no use."""
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", kind, "-read_intervals", "%+20", "-show_entries",
                          "frame=best_effort_timestamp_time", "-of", "csv=p=0", path], capture_output=True, text=True,
                         check=True).stdout.split()
    return float(next(line.strip(",") for line in out if line[0] != "N"))


def hear(path, rate, channels, n, pictures, skip):
    """As sounds.source, but what is after a hole of more than 30 ms is where its time says.  skip: seconds of pictures
    that are left out."""
    at = first_time(path, "a") - first_time(path, "v") - skip if pictures else 0
    pcm = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-ac", str(channels), "-af",
                          f"aresample={rate}:async=1:min_hard_comp=0.03", "-f", "f32le", "-"], capture_output=True).stdout
    return sounds.place(numpy.frombuffer(pcm, "<f4").reshape(-1, channels).T.astype(float), round(at * rate), n)


def listen(path, audio, pictures, skip, tmp):
    """Where it is heard, as far as it is alike enough to have a place; how alike it is as a rule, and where least."""
    ours, rate = sounds.heard(audio, tmp), audio.init.timescale
    right = hear(path, rate, audio.init.channels, ours.shape[1], pictures, skip)
    found = [f for o, r in zip(ours, right) for f in sounds.lags(o, r, sounds.nearest)]
    longer = 0 if pictures else ours.shape[1] - sounds.decode(path, rate, 1, whole=False).shape[1]
    length = "" if 0 <= longer < 2 * sounds.FRAME else f", {longer / rate:+.3f} s long"
    if not found:
        return "silent" + length
    lags, alike = [lag for lag, alike in found if alike >= AT_LEAST], [alike for _, alike in found]
    off, worst = max(lags, key=abs, default="anything"), min(alike)
    places = f" in {sum(map(bool, lags))} of {len(lags)} places" if lags and off else ""
    return f"sound {off} off{places}, {numpy.median(alike):.3f} alike, {worst:.3f} at worst ({alike.index(worst)}){length}"


def interlaced(path):
    told = subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True).stdout
    return "interlaced" in told.split("source ")[0]


def check(edge, folder, name, tmp):
    answer = edge.get(f"/{quote(name)}/master.m3u8")
    if answer.status != 200:
        return f"refused: {answer.status} {answer.body.decode(errors='replace').strip()}"
    playlist, renditions = exact.fetch(edge, name)
    videos = exact.check_renditions(renditions, tmp)
    path, said, skip = os.path.join(folder, name), [], 0
    try:
        said += [look(path, videos, interlaced(path))] if videos else []
    except (Wrong, AssertionError):
        count, skip = first_key(path)
        if not count:
            raise
        said.append(look(path, videos, interlaced(path), count) + f", {count} before them lean on what is not there")
    for r in (r for r in renditions if not r.video and r.name == "audio-0"):
        said.append(listen(path, r, bool(videos), skip, tmp))
    for m in muxed.fetch(edge, name):
        muxed.check_variant(m, renditions)
    dash.check(edge, name, renditions + exact.fetch_tricks(playlist))
    return "; ".join(said)


def everything(folder):
    return sorted(os.path.relpath(os.path.join(at, f), folder) for at, _, files in os.walk(folder) for f in files)


def row(folder, name, env=None):
    with tempfile.TemporaryDirectory() as tmp:
        edge = Edge(folder, os.path.join(tmp, "cache"), env=env)
        try:
            return check(edge, folder, name, tmp)
        except Exception as e:
            if not env and re.search(r"/source/\d+\.m4s', <422 ", str(e)):
                return "a copy of it is damaged; " + row(folder, name, {"TIDEMILL_MEDIA_PASSTHROUGH": "false"})
            where = traceback.extract_tb(e.__traceback__)[-1]
            return f"WRONG {type(e).__name__} {where.name}:{where.lineno} {str(e)[:300]}"
        finally:
            edge.stop()


def main(folder, *names):
    for name in names or everything(folder):
        print(f"{name}: {row(folder, name)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
