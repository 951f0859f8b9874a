# SPDX-License-Identifier: BSD-2-Clause
"""The source's own AAC as a rendition: its frames are the source's, each at its time, and silence is where it has none."""
import os
import re
import subprocess

import pytest

import exact
import sounds
from edge import BUILD, Playlist

FRAME = 1024
COPY = {"TIDEMILL_MEDIA_COPY_AUDIO": "true"}


def packets(path):
    """(time in samples, hash) of each packet of sound that does not end before the presentation begins."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-"],
                         capture_output=True, text=True, check=True).stdout
    base = next(line.split()[-1] for line in out.splitlines() if line.startswith("#tb"))
    rate = next(int(line.split()[-1]) for line in out.splitlines() if line.startswith("#sample_rate"))
    num, den = map(int, base.split("/"))
    rows = [line.replace(" ", "").split(",") for line in out.splitlines() if line[0] != "#"]
    found = [(int(row[2]) * num * rate / den, row[5]) for row in rows]
    return [(at, digest) for at, digest in found if at > -FRAME / 2]


def probe(path):
    return subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True, check=True,
                          env={**os.environ, **COPY}).stdout


def fetch_sound(edge, name, **kw):
    _, [r] = exact.fetch(edge, name, only=["audio-0"], **kw)
    return r


def decoded(path):
    """Levels of the first channel, and that nothing was said against it."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-f", "s16le", "-"], capture_output=True, check=True)
    assert not out.stderr, out.stderr
    return memoryview(out.stdout).cast("h")


@pytest.mark.parametrize("name", ["base.mp4", "2997.mkv"])
def test_frames_are_the_sources(name, start, clip, media_dir, tmp_path):
    edge = start(media_dir, env=COPY)
    r = fetch_sound(edge, clip(name))
    ours, theirs = packets(r.whole(str(tmp_path / "copy.mp4"))), packets(os.path.join(media_dir, name))
    kept = len(ours) - sum(digest not in {d for _, d in theirs} for _, digest in ours[-2:])  # silence at the end
    assert [t for t, _ in ours] == [i * FRAME for i in range(len(ours))]
    origin = 0 if name.endswith("mp4") else theirs[1][0]  # there the first is priming
    theirs = theirs if name.endswith("mp4") else theirs[1:]
    for (at, digest), (when, want) in zip(ours[:kept], theirs):
        assert digest == want and abs(at - (when - origin)) <= (0 if name.endswith("mp4") else 48)
    assert kept >= len(theirs) - 1
    assert abs(len(decoded(str(tmp_path / "copy.mp4"))) - len(ours) * FRAME) <= FRAME
    after = edge.metrics()
    assert after["copies_audio_total"] == len(r.segments)
    assert after["encodes_audio_total"] == after["inits_total"] == after["bandwidth_exceeded_total"] == 0
    exact.check_chain(r)
    exact.check_promises(r)


# (Of what a decoder makes up by itself, no two are alike.)
AAC = ["-c:a", "aac", "-aac_pns", "0"]
# What is asked of the sound of a clip, how it is made, and whether it is copied or why not.
MADE = [
    ("shorter", ["-af", "atrim=0:5.3", *AAC], None),
    ("late", ["-af", "asetpts=PTS+4096/SR/TB", *AAC, "-movie_timescale", "48000"], None),
    ("late by a little", ["-af", "asetpts=PTS+500/SR/TB", *AAC], "none of its frames begins"),
    ("large", [*AAC, "-b:a", "512k"], "more bits"),
    ("of 22 kHz", [*AAC, "-ar", "22050"], "not every player"),
    ("mp3", ["-c:a", "libmp3lame"], "it is not AAC"),
]


@pytest.mark.parametrize("what,options,why", MADE, ids=[m[0] for m in MADE])
def test_what_is_copied(what, options, why, start, clip, media_dir, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    noise = ["-f", "lavfi", "-i", "anoisesrc=sample_rate=48000:seed=3:duration=13"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(media_dir, clip("base.mp4")), *noise, "-map", "0:v", "-map",
                    "1:a", "-c:v", "copy", *options, str(folder / "a.mp4")], check=True)
    text = probe(str(folder / "a.mp4"))
    said = re.search(r"^  audio-0 copy +not offered: (.*)$", text, re.M)
    if why:
        assert said and why in said[1], text
        return
    assert not said and "channel, as it is" in text, text
    r = fetch_sound(start(folder, env=COPY), "a.mp4")
    levels = decoded(r.whole(str(tmp_path / "copy.mp4")))
    theirs, late = decoded(str(folder / "a.mp4")), 3072 if what == "late" else 0  # (with its priming)
    assert len(r.segments) == 4 and abs(len(levels) - 13 * 48000) <= FRAME
    for at in range(4 * FRAME, min(len(theirs), len(levels) - late) - 2 * FRAME, 48000 // 3):  # each at its time; noise is like nothing but itself
        ours, want = levels[at + late:at + late + 64].tolist(), theirs[at:at + 64].tolist()
        assert sum(abs(a - b) for a, b in zip(ours, want)) <= 64 * 2, at
    silent = [*range(late - 2 * FRAME), *range(len(theirs) + late + 2 * FRAME, len(levels))]
    assert not any(levels[at] for at in silent)


@pytest.mark.parametrize("name", ["flash.mp4", "flash.mkv"])
def test_flash_and_beep(name, start, sound_dir, tmp_path):
    """It stays with the pictures, copied or encoded: 10 ms at every border [25]."""
    sounds.make(sound_dir, sounds.FLASHES[name])
    edge = start(sound_dir, env=COPY)
    _, [*videos, audio] = exact.fetch(edge, name)
    assert [v.copied for v in videos] == [True, False] and len(audio.segments) == 4
    assert edge.metrics()["copies_audio_total"] == 4
    sounds.check_together(videos, audio, tmp_path)


def test_not_asked_for(start, clip, media_dir):
    edge = start(media_dir)
    fetch_sound(edge, clip("short.mp4"))
    after = edge.metrics()
    assert after["copies_audio_total"] == 0 and after["encodes_audio_total"] > 0


def test_in_mpeg_ts(start, clip, media_dir, tmp_path):
    """Muxed from the same frames."""
    edge = start(media_dir, env=COPY)
    sound = [digest for _, digest in packets(fetch_sound(edge, clip("short.mp4")).whole(str(tmp_path / "copy.mp4")))]
    playlist = Playlist(edge, "short.mp4", "master-ts.m3u8")
    _, folder, _ = playlist.renditions()[0]
    (tmp_path / "all.ts").write_bytes(b"".join(edge.ok(folder + n) for n in playlist.media(folder)[2]))
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / "all.ts"), "-map", "0:a", "-c", "copy", "-bsf:a",
                          "aac_adtstoasc", "-f", "framemd5", "-"], capture_output=True, text=True, check=True).stdout
    assert [line.split(",")[5].strip() for line in out.splitlines() if line[0] != "#"] == sound


def test_old_recipes_are_kept(start, clip, media_dir):
    """Who hears it plays on when it is offered no more, and the other way round."""
    for first, then in ("true", "false"), ("false", "true"):
        edge = start(media_dir, env={"TIDEMILL_MEDIA_COPY_AUDIO": first})
        r = fetch_sound(edge, clip("short.mp4"))
        assert edge.stop() == 0
        for f in (os.path.join(root, n) for root, _, files in os.walk(edge.cache) for n in files):
            if os.path.getsize(f) > 5000:
                os.unlink(f)
        later = start(media_dir, cache=edge.cache, env={"TIDEMILL_MEDIA_COPY_AUDIO": then})
        assert later.ok(r.folder + "0.m4s") == r.segments[0]
        assert later.metrics()["copies_audio_total"] == (first == "true")


def test_segments_in_any_order(start, clip, media_dir):
    hashes = [fetch_sound(start(media_dir, env=COPY), clip("base.mp4"), order=order).hashes()
              for order in (sorted, lambda names: names.sort(reverse=True))]
    assert hashes[0] == hashes[1]
