# SPDX-License-Identifier: BSD-2-Clause
"""Subtitles of all kinds as WebVTT renditions: each cue in every segment that it touches [37]."""
import os
import re
import shutil
import subprocess
import zlib
from typing import NamedTuple

import pytest

import browser
from edge import Playlist, attributes, quote
from peers import Origin

SRT = """1
00:00:00,500 --> 00:00:02,000
Fish & <i>chips</i> <3

2
00:00:03,500 --> 00:00:05,250
Crosses the border
in two lines

3
00:00:04,000 --> 00:00:08,000
<b>Bold</b> — ünïcode

4
00:00:06,000 --> 00:00:12,900
long

"""
VTT = "WEBVTT\n\n" + re.sub(r"(\d),(\d)", r"\1.\2", SRT).replace("& ", "&amp; ").replace("<3", "&lt;3")
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, Bold, Italic, Alignment
Style: Default,Arial,16,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:02.00,Default,,0,0,0,,Fish & {\\i1}chips{\\i0} <3
Dialogue: 0,0:00:03.50,0:00:05.25,Default,,0,0,0,,Crosses the border\\Nin two lines
Dialogue: 0,0:00:04.00,0:00:08.00,Default,,0,0,0,,{\\b1}Bold{\\b0} — ünïcode
Dialogue: 0,0:00:05.00,0:00:07.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
Dialogue: 0,0:00:06.00,0:00:12.90,Default,,0,0,0,,long
"""


class Cue(NamedTuple):
    start: int  # milliseconds
    end: int
    text: str


WANT = [
    Cue(500, 2000, "Fish &amp; <i>chips</i> &lt;3"),
    Cue(3500, 5250, "Crosses the border\nin two lines"),
    Cue(4000, 8000, "<b>Bold</b> — ünïcode"),
    Cue(6000, 12900, "long"),
]
# In an MP4 a text ends where the next begins, at the latest.
CUT = [a._replace(end=min(a.end, b.start)) for a, b in zip(WANT, WANT[1:])] + WANT[-1:]
CLIPS = {  # name: (file of the text, options); each has the text twice
    "mov_text.mp4": (SRT, "srt", "-c:s mov_text"),
    "srt.mkv": (SRT, "srt", "-c:s srt"),
    "ass.mkv": (ASS, "ass", "-c:s ass"),
    "webvtt.mkv": (VTT, "vtt", "-c:s copy"),
}


def elements(data):
    """(id, body) of each element of Matroska."""
    def number(at, marked):
        wide = 9 - data[at].bit_length()
        value = int.from_bytes(data[at:at + wide], "big")
        return at + wide, value if marked else value & (1 << 7 * wide) - 1

    at = 0
    while at < len(data):
        at, kind = number(at, True)
        at, size = number(at, False)
        yield kind, data[at:at + size]
        at += size


SEGMENT, CLUSTER, TRACKS, TRACK, GROUP, BLOCK, KIND = 0x18538067, 0x1f43b675, 0x1654ae6b, 0xae, 0xa0, 0xa1, 0x83
POSITIONS = {0x114d9b74, 0x1c53bb6b, 0xec}  # seek heads, cues, voids
ZLIB = bytes.fromhex("6d80 86 6240 83 5034 80")  # ContentEncodings: one, all of it the defaults


def deflated(data):
    """The Matroska with its texts compressed, as mkvmerge did until 2013: the third track and all behind it."""
    out = b""
    for kind, body in elements(data):
        if kind in POSITIONS:
            continue
        if kind in (SEGMENT, CLUSTER, TRACKS, GROUP):
            body = deflated(body)
        elif kind == TRACK and (KIND, b"\x11") in elements(body):
            body += ZLIB
        elif kind == BLOCK and body[0] > 0x82:
            body = body[:4] + zlib.compress(body[4:])
        out += kind.to_bytes(4, "big").lstrip(b"\0") + b"\x01" + len(body).to_bytes(7, "big") + body
    return out


@pytest.fixture(scope="module")
def folder(clip, media_dir, tmp_path_factory):
    """All of CLIPS: English, and German that the source wants shown, with a name."""
    out = tmp_path_factory.mktemp("subtitles")
    video = os.path.join(media_dir, clip("tiny.mp4"))
    for name, (text, kind, options) in CLIPS.items():
        (out / f"text.{kind}").write_text(text)
        text = out / f"text.{kind}"
        subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-i", text, "-i", text, "-map", "0", "-map", "1", "-map",
                        "2", "-c", "copy", *options.split(), "-metadata:s:s:0", "language=eng", "-metadata:s:s:1",
                        "language=ger", "-metadata:s:s:1", 'title=Für "alle"', "-disposition:s:0", "0",
                        "-disposition:s:1", "default", out / name], check=True)
    (out / "deflated.mkv").write_bytes(deflated((out / "srt.mkv").read_bytes()))
    return out


def ms(text):
    h, m, s = text.split(":")
    return round((int(h) * 3600 + int(m) * 60 + float(s)) * 1000)


def cues(body):
    """What a segment holds; it begins with nothing but the header."""
    header, _, rest = body.decode().partition("\n\n")
    assert header == "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0"
    out = []
    for block in filter(None, rest.split("\n\n")):
        times, text = block.split("\n", 1)
        start, end = re.fullmatch(r"(\S+) --> (\S+)", times).groups()
        out.append(Cue(ms(start), ms(end), text))
    return out


def subtitles(edge, name):
    """[(attributes, folder)] of the renditions."""
    base = f"/{quote(name)}/"
    lines = edge.ok(base + "master.m3u8").decode().splitlines()
    found = [attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=SUBTITLES")]
    return [(a, base + a["URI"].rsplit("/", 1)[0] + "/") for a in found]


def listed(edge, path):
    """(durations as text, names) of the segments."""
    text = edge.ok(path + "index.m3u8").decode()
    return re.findall(r"#EXTINF:([0-9.]+),", text), [x for x in text.splitlines() if x and x[0] != "#"]


def check_segments(edge, path, want, shift=0, order=list):
    """Every cue whole in every segment that it touches, and in no other: so the union is the source's."""
    durations, names = listed(edge, path)
    borders = [0]
    for d in durations:
        borders.append(borders[-1] + round(float(d) * 1000))
    assert names == [f"{k}.vtt" for k in range(len(names))]
    for k in order(range(len(names))):
        got = cues(edge.ok(path + names[k]))
        assert [c.text for c in got] == [c.text for c in want if c.start < borders[k + 1] and c.end > borders[k]], k
        for c in got:
            [source] = [w for w in want if w.text == c.text]
            assert abs(c.start - source.start) <= shift and abs(c.end - source.end) <= shift, (c, source)


@pytest.mark.parametrize("name", [*CLIPS, "deflated.mkv"])
def test_every_segment(name, folder, start):
    edge = start(folder)
    english, german = subtitles(edge, name)
    assert english[0]["LANGUAGE"] == "en" and english[0]["NAME"] == "English" and english[0]["DEFAULT"] == "NO"
    assert german[0]["LANGUAGE"] == "de" and german[0]["AUTOSELECT"] == "YES"
    if name.endswith(".mkv"):  # MP4 has no such flag, and FFmpeg writes titles to no other
        assert german[0]["NAME"] == "Für alle" and german[0]["DEFAULT"] == "YES"
    want, shift = (WANT, 1) if name.endswith(".mkv") else (CUT, 0)  # Matroska's clock ticks in milliseconds
    check_segments(edge, english[1], want, shift)
    check_segments(edge, german[1], want, shift, order=lambda ks: reversed(list(ks)))


def test_what_there_is_not(folder, start):
    edge = start(folder)
    [(_, path), _] = subtitles(edge, "srt.mkv")
    for leaf in ("init.mp4", "0.m4s", "4.vtt"):
        assert edge.get(path + leaf).status == 404, leaf
    p = Playlist(edge, "srt.mkv")
    assert edge.get(p.renditions()[0][1] + "0.vtt").status == 404
    a = edge.get(path + "0.vtt")
    assert a.header("content-type") == "text/vtt; charset=utf-8" and "immutable" in a.header("cache-control")


def test_any_server_says_the_same(folder, start):
    """From the same source: by another process, after a restart, and from the disk."""
    one, other = start(folder), start(folder)
    [(a, path), _] = subtitles(one, "ass.mkv")
    [(b, _), _] = subtitles(other, "ass.mkv")
    assert a == b
    bodies = [one.ok(f"{path}{k}.vtt") for k in range(4)]
    assert [other.ok(f"{path}{k}.vtt") for k in (3, 2, 1, 0)] == bodies[::-1]
    assert one.metrics()["texts_total"] == 4
    one.stop()
    again = start(folder, cache=one.cache)
    assert [again.ok(f"{path}{k}.vtt") for k in range(4)] == bodies
    assert again.metrics()["texts_total"] == 0


@pytest.mark.parametrize("player,entry", [("hls", "master.m3u8"), ("shaka", "master.m3u8"), ("dash", "manifest.mpd"),
                                          ("dashjs", "manifest.mpd")])
def test_shown_in_chromium(player, entry, folder, start):
    check_shown(start(folder), player, entry)


@pytest.mark.long
@pytest.mark.parametrize("player", ["hls", "shaka"])
def test_encrypted_ones_are_shown(player, folder, start):
    """Whole segments of AES-128, as those of pictures and sound beside them are."""
    edge = start(folder, config={"encryption": {"method": "aes-128", "secret": "a secret of the test, and long"}})
    [(_, path), _] = subtitles(edge, "srt.mkv")
    assert "#EXT-X-KEY:METHOD=AES-128" in edge.ok(path + "index.m3u8").decode() and b"WEBVTT" not in edge.ok(path + "0.vtt")
    check_shown(edge, player, "master.m3u8")


def check_shown(edge, player, entry):
    """What is active at a time is what the source has there, once, with its times.

    The first time is one whose pictures are not in the buffer: Shaka with HLS shows texts that were chosen late only
    when the next pictures come."""
    times = [12.5, 1.5, 4.5, 7, 0.6]
    r = browser.run("subtitles.mjs", dict(player=player, url=f"{edge.url}/srt.mkv/{entry}", language="en", times=times))
    assert "failed" not in r and "pageErrors" not in r and r["errors"] == [], (r, edge.log_tail())
    assert r["tracks"] == [["en", "English"], ["de", "Für alle"]]
    plain = str.maketrans({"\n": " "})
    for t, shown in zip(times, r["shown"]):
        want = [c for c in WANT if c.start < t * 1000 < c.end]
        assert [(round(a * 1000), round(b * 1000)) for a, b, _ in shown] == [c[:2] for c in want], (t, shown)
        texts = [s[2].replace("&amp;", "&").replace("&lt;", "<").translate(plain) for s in shown]
        assert texts == [c.text.replace("&amp;", "&").replace("&lt;", "<").translate(plain) for c in want], (t, shown)


# ---- files beside the source

FRESH = {"TIDEMILL_HTTP_ENTRY_AGE": "0s", "TIDEMILL_ORIGIN_FRESH": "0s", "TIDEMILL_CACHE_NEGATIVE": "0s"}


@pytest.fixture
def shelf(clip, media_dir, tmp_path):
    """A folder in a folder: a source without subtitles, and those in files beside it."""
    folder = tmp_path / "shelf" / "in"
    folder.mkdir(parents=True)
    shutil.copy(os.path.join(media_dir, clip("tiny.mp4")), folder / "cat.mp4")
    (folder / "cat.mp4.en.srt").write_text("\ufeff" + SRT.replace("\n", "\r\n"))
    (folder / "cat.mp4.pt-br.vtt").write_text(VTT)
    (folder / "cat.mp4.pt-br.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nnot this one\n")
    (folder / "cat.mp4.nonsense.srt").write_text(SRT)
    (folder / "dog.mp4.de.srt").write_text(SRT)
    return tmp_path / "shelf"


def check_sidecars(edge):
    portuguese, english = sorted(subtitles(edge, "in/cat.mp4"), key=lambda s: s[0]["LANGUAGE"] == "en")
    assert english[0]["NAME"] == "English" and english[1].endswith("/subs-en/")
    assert portuguese[0]["LANGUAGE"] == "pt-BR" and portuguese[0]["NAME"] == "português (BR)"
    check_segments(edge, english[1], WANT)
    check_segments(edge, portuguese[1], WANT, order=lambda ks: reversed(list(ks)))
    return english[1], portuguese[1]


def test_files_in_a_folder(shelf, start):
    check_sidecars(start(shelf))


def test_files_of_a_clip(shelf, start):
    """Its first picture is the first at or after 3.21 s, that of 3.24 s: so much earlier is each cue."""
    edge = start(shelf)
    tracks = subtitles(edge, "in/cat.mp4;t=3.21,11")
    assert sorted(a["LANGUAGE"] for a, _ in tracks) == ["en", "pt-BR"]
    want = [Cue(max(c.start - 3240, 0), c.end - 3240, c.text) for c in WANT[1:]]
    for _, path in tracks:
        check_segments(edge, path, want)
    whole = {path for _, path in subtitles(edge, "in/cat.mp4")}
    assert not whole & {path for _, path in tracks}


def test_files_at_an_http_origin(shelf, start):
    """They are asked for where the configuration says so, and nowhere else."""
    origin = Origin(shelf)
    try:
        plain = start(origin.url)
        assert subtitles(plain, "in/cat.mp4") == []
        assert {e["path"] for e in origin.log()} == {"/in/cat.mp4"}
        config = {"origins": [{"prefix": "/", "base": origin.url, "subtitles": ["en", "pt-br", "ja"]}]}
        edge = start(None, config=config)
        check_sidecars(edge)
        asked = [e["path"] for e in origin.log()]
        assert set(asked) == {"/in/cat.mp4", *(f"/in/cat.mp4.{x}" for x in ("en.vtt", "en.srt", "pt-br.vtt", "ja.vtt", "ja.srt"))}
        # An origin that fails to give them takes nothing else away.
        origin.fault("status", n=503, count=0, path="pt-br")
        broken = start(None, config=config, env={"TIDEMILL_ORIGIN_RETRIES": "0"})
        assert [a["LANGUAGE"] for a, _ in subtitles(broken, "in/cat.mp4")] == ["en"]
    finally:
        origin.stop()


def test_a_changed_file_has_another_url(shelf, start):
    edge = start(shelf, env=FRESH)
    pictures = [uri for _, uri in Playlist(edge, "in/cat.mp4").variants]
    english, _ = check_sidecars(edge)
    file = shelf / "in" / "cat.mp4.en.srt"
    body = edge.ok(english + "0.vtt")
    file.write_text(SRT.replace("Fish", "Meat"))
    [again] = [path for a, path in subtitles(edge, "in/cat.mp4") if a["LANGUAGE"] == "en"]
    assert again != english and b"Meat" in edge.ok(again + "0.vtt")
    assert [uri for _, uri in Playlist(edge, "in/cat.mp4").variants] == pictures
    assert edge.ok(english + "0.vtt") == body  # it is in a cache
    cold = start(shelf, env=FRESH)
    assert cold.get(english + "0.vtt").status == 404
    assert b"Meat" in cold.ok(again + "0.vtt")  # without the playlist, whose record it does not have
    file.unlink()
    assert [a["LANGUAGE"] for a, _ in subtitles(edge, "in/cat.mp4")] == ["pt-BR"]


def test_a_file_of_nonsense(shelf, start):
    (shelf / "in" / "cat.mp4.en.srt").write_bytes(bytes(range(256)) * 64)
    (shelf / "in" / "cat.mp4.de.srt").write_bytes(b"")
    (shelf / "in" / "cat.mp4.fr.vtt").write_bytes(b" " * (4 * 1024 * 1024 + 1))
    os.mkfifo(shelf / "in" / "cat.mp4.it.vtt")
    edge = start(shelf)
    found = subtitles(edge, "in/cat.mp4")
    assert [a["LANGUAGE"] for a, _ in found] == ["pt-BR", "de", "en"]
    assert cues(edge.ok(found[1][1] + "0.vtt")) == cues(edge.ok(found[2][1] + "0.vtt")) == []
    assert edge.get(found[2][1] + "99.vtt").status == 404


def test_real_clip(start, real_clips):
    edge = start(real_clips)
    tracks = subtitles(edge, "nasa-multitrack-2v-2a-2s.mp4")
    assert [a["NAME"] for a, _ in tracks] == ["English", "English 2"]
    for _, path in tracks:
        seen = {c for leaf in listed(edge, path)[1] for c in cues(edge.ok(path + leaf))}
        assert len(seen) == 4, seen
