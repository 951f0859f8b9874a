# SPDX-License-Identifier: BSD-2-Clause
"""Real players in a real browser, against a server that had nothing but the source."""
import json
import os
import subprocess

import pytest

from edge import ROOT, Playlist, quote

BROWSER = os.path.join(ROOT, "test", "browser")
# name: (frames per second, frames)
CLIPS = {"base.mp4": ("25", 325), "2997.mp4": ("30000/1001", 390)}


def node(script, *args):
    out = subprocess.run(["node", os.path.join(BROWSER, script), *args], capture_output=True, text=True, timeout=400)
    assert out.returncode == 0, out.stderr
    return out.stdout


@pytest.mark.parametrize("player", ["hls", "shaka"])
@pytest.mark.parametrize("name", CLIPS)
def test_chromium(player, name, start, clip, media_dir, tmp_path):
    fps, frames = CLIPS[name]
    edge = start(media_dir)
    url = f"{edge.url}/{quote(clip(name))}/master.m3u8"
    r = json.loads(node("play.mjs", player, url, fps, str(frames), str(tmp_path / "shot.png")))
    duration = frames / eval(fps)
    assert "failed" not in r and not r.get("pageErrors"), (r, edge.log_tail())
    assert r["errors"] == [] and r["waiting"] == [], r
    assert len(r["buffered"]) == 1, r["buffered"]
    assert r["buffered"][0][0] <= 0.001 and abs(r["buffered"][0][1] - duration) < 0.05, r["buffered"]
    assert r["quality"]["total"] == frames, r["quality"]
    assert all(want == got for want, got in r["seeks"]), r["seeks"]
    assert r["rungs"] == len(Playlist(edge, name).variants)
    assert r["afterSwitch"]["time"] > 0.5 * r["rungs"], r["afterSwitch"]


@pytest.mark.parametrize("name", ["base.mp4", "vp9.webm", "noaudio.mp4"])
def test_strict_parser(name, start, clip, media_dir):
    """Every playlist passes hls-parser in strict mode."""
    edge = start(media_dir)
    p = Playlist(edge, clip(name))
    texts = [p.master] + [p.media(folder)[0] for _, folder, _ in p.renditions()]
    out = subprocess.run(["node", os.path.join(BROWSER, "parse.mjs")], input=json.dumps(texts), capture_output=True,
                         text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout) == ["master"] + ["media"] * (len(texts) - 1)


def test_ffprobe_counts_frames(start, clip, media_dir):
    edge = start(media_dir)
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries",
                          "stream=nb_read_frames", "-of", "csv=p=0", f"{edge.url}/{clip('base.mp4')}/master.m3u8"],
                         capture_output=True, text=True)
    assert not out.stderr, out.stderr
    assert int(out.stdout.split()[0]) == 325
