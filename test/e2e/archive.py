#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of each file of a folder that nobody tidied up: a row for each, and a summary.

    archive.py FOLDER [NAME...]

It is refused in one sentence; or all that exact.py asks holds for every rung, fetched out of order from a cold server,
each picture is the one of its time that the ffmpeg program shows, and the sound is where that program has it.  Where
the two differ somebody has to look: times that a file does not tell are guessed by both.  docs/real-clips.md has what
came of the files at hand.
"""
import os
import subprocess
import sys
import tempfile
import traceback

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


def look(path, videos, fields):
    """Pictures told from their neighbours, of the rung where it is most."""
    times, told = exact.presented(path), 0
    source = likeness.pictures(path, "bwdif=send_field" if fields else "null")
    for r in videos:
        with tempfile.TemporaryDirectory() as tmp:
            ours = likeness.pictures(r.whole(os.path.join(tmp, "whole.mp4")))
        if r.copied:
            want = range(len(source))
        elif fields:
            want = range(0, len(source), 1 if min(r.init.width, r.init.height) >= 720 else 2)
        else:
            want = exact.shown_on_grid(times, exact.frame_rate(r))
        if len(ours) != len(want) or max(want) >= len(source):
            raise Wrong(f"{r.name}: {len(ours)} frames, {len(want)} wanted, {len(source)} in the source")
        told = max(told, likeness.check(ours, source, list(want)))
    return f"{exact.frame_count(videos[0])} frames, {told} told"


def listen(path, audio, pictures, tmp):
    ours = sounds.heard(audio, tmp)
    right = sounds.source(path, audio.init.timescale, audio.init.channels, ours.shape[1], pictures, whole=False)
    found = [sounds.lags(o, r) for o, r in zip(ours, right)]
    if not any(found):
        return "silent"
    off = max(abs(lag) for channel in found for lag, alike in channel)
    alike = numpy.median([alike for channel in found for _, alike in channel])
    return f"sound {off} off, {alike:.3f} alike"


def interlaced(path):
    told = subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True).stdout
    return "interlaced" in told.split("source ")[0]


def check(edge, folder, name, tmp):
    answer = edge.get(f"/{quote(name)}/master.m3u8")
    if answer.status != 200:
        return f"refused: {answer.status} {answer.body.decode(errors='replace').strip()}"
    playlist, renditions = exact.fetch(edge, name)
    videos = exact.check_renditions(renditions, tmp)
    path, said = os.path.join(folder, name), []
    if videos:
        said.append(look(path, videos, interlaced(path)))
    for r in (r for r in renditions if not r.video and r.name == "audio-0"):
        said.append(listen(path, r, bool(videos), tmp))
    for m in muxed.fetch(edge, name):
        muxed.check_variant(m, renditions)
    dash.check(edge, name, renditions + exact.fetch_tricks(playlist))
    return "; ".join(said)


def everything(folder):
    return sorted(os.path.relpath(os.path.join(at, f), folder) for at, _, files in os.walk(folder) for f in files)


def main(folder, *names):
    for name in names or everything(folder):
        with tempfile.TemporaryDirectory() as tmp:
            edge = Edge(folder, os.path.join(tmp, "cache"))
            try:
                print(f"{name}: {check(edge, folder, name, tmp)}", flush=True)
            except Exception as e:
                where = traceback.extract_tb(e.__traceback__)[-1]
                print(f"{name}: WRONG {type(e).__name__} {where.name}:{where.lineno} {str(e)[:300]}", flush=True)
            finally:
                edge.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
