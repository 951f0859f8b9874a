# SPDX-License-Identifier: BSD-2-Clause
"""The source's own video as a rendition: what is offered, that it is the source, and that it joins the others.

That its boxes, cuts, playlist and promises are right is asked with all renditions in test_exact.py, test_real.py,
test_dash.py and test_players.py.
"""
import concurrent.futures
import hashlib
import http.client
import os
import re
import subprocess

import pytest

import boxes
import browser
import exact
import mutants
from edge import BUILD, Playlist
from peers import Origin, Raw, Shelf, until

# What every test here may take: a constant rate, in both containers; rates that vary, of pictures out of order; each codec.
CLIPS = ["base.mp4", "2997.mkv", "uneven.mp4", "hevc.mp4", "av1.mkv"]
REAL = ["cctv-cars-432p12.5-30s.mp4", "city-240p60-fragmented-15s.mp4", "frame-counter-1920x1280p25-10s.mp4",
        "phone-av1-hdr10-portrait.mp4"]

REFUSED = [
    ("opengop.mp4", "its sync samples are not IDR pictures"),
    ("opengop.mkv", "its sync samples are not IDR pictures"),
    ("refresh.mp4", "its sync samples are not IDR pictures"),
    ("gop12.mp4", "segments of up to 12.00 s (limit 10.48 s)"),
    ("rot90.mp4", "turned or stretched"),
    ("sar.mp4", "turned or stretched"),
    ("tenbit.mkv", "its profile, its chroma or its bit depth"),
    ("tff.mp4", "it is interlaced"),
    ("psf.mp4", "interlaced"),
    ("vp9.mp4", "it is not H.264, HEVC or AV1"),
    ("hevcopen.mp4", "segments of up to 13.00 s"),
    ("opengop.ts", "its sync samples are not IDR pictures"),
    pytest.param("hevcopen.ts", "segments of up to 13.00 s", marks=pytest.mark.long),
]


def source_of(edge, name):
    """(name, folder, attributes) of it, or None."""
    return next((r for r in Playlist(edge, name).renditions() if r[0] == "source"), None)


def check_refused(path, why):
    """One sentence says why, and all is as if there were no such thing."""
    text = subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True,
                          check=True).stdout
    said = re.search(r"^  source +not offered: (.*)$", text, re.M)
    assert said and why in said[1], text
    assert not re.search(r"^  source +\d", text, re.M) and "sync samples of the source)" not in text


@pytest.mark.parametrize("name,why", REFUSED)
def test_refused(name, why, clip, media_dir):
    check_refused(os.path.join(media_dir, clip(name)), why)


def test_refused_with_hidden_pictures(clip, media_dir, tmp_path):
    """An edit list that begins within a group of pictures: decoding has to begin before it."""
    path = str(tmp_path / "hidden.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "3.3", "-i", os.path.join(media_dir, clip("base.mp4")), "-c", "copy",
                    path], check=True)
    check_refused(path, "decoded but not presented (an edit list)")


def test_refused_with_pictures_that_lean_on_nothing(tmp_path):
    """A recording that was cut at an open GOP."""
    whole, path = str(tmp_path / "whole.mkv"), str(tmp_path / "cut.ts")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3", "-c:v", "libx265",
                    "-preset", "ultrafast", "-x265-params", "keyint=26:bframes=3:b-adapt=0:scenecut=0:open-gop=1:"
                    "log-level=error", whole], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "1.3", "-i", whole, "-c", "copy", path], check=True)
    check_refused(path, "it begins within a GOP")


# Types of the units that are pictures, and of AV1 the sequence header.
PICTURES = {"avc1": {1, 5}, "hvc1": {*range(10), 19, 20, 21}, "av01": {1, 3, 4, 6}}


def with_two_descriptions(data, used, kind):
    """An MP4 with its video's sample description there twice, first of its own kind and then of this one; used: which of them
    its last samples have."""
    data = bytearray(data)
    stsd = data.index(b"stsd", data.index(b"vide", data.index(b"moov"))) - 4
    stsc = data.index(b"stsc", stsd) - 4
    runs = int.from_bytes(data[stsc + 12:stsc + 16], "big")
    assert runs > 1
    data[stsc + size_of(data, stsc) - 4:stsc + size_of(data, stsc)] = used.to_bytes(4, "big")
    entry = data[stsd + 16:stsd + size_of(data, stsd)]
    data[stsd + 12:stsd + 16] = (2).to_bytes(4, "big")
    data[stsd + 16:stsd + 16] = entry
    data[stsd + 20 + len(entry):stsd + 24 + len(entry)] = kind
    for name in (b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.rindex(name, 0, stsd + 8) - 4
        data[at:at + 4] = (size_of(data, at) + len(entry)).to_bytes(4, "big")
    return bytes(data)


def size_of(data, at):
    return int.from_bytes(data[at:at + 4], "big")


@pytest.mark.parametrize("used,kind,status", [(1, b"mp4v", 200), (2, b"avc1", 200), (2, b"mp4v", 415)])
def test_two_sample_descriptions(used, kind, status, start, clip, media_dir, tmp_path):
    """One of them is never used, or says the same: it counts for nothing.  Both are, and it is of another kind: refused."""
    folder = tmp_path / "two"
    folder.mkdir()
    data = open(os.path.join(media_dir, clip("moovlast.mp4")), "rb").read()
    (folder / "two.mp4").write_bytes(with_two_descriptions(data, used, kind))
    answer = start(folder).get("/two.mp4/master.m3u8")
    assert answer.status == status
    if status == 200:
        assert "/source/" in answer.body.decode()
    else:
        assert "several sample descriptions" in answer.body.decode()


def test_another_description_in_fragments(start, clip, media_dir, tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(media_dir, clip("base.mp4")), "-c", "copy", "-movflags",
                    "frag_keyframe+empty_moov", str(folder / "two.mp4")], check=True)
    data = bytearray((folder / "two.mp4").read_bytes())
    trex = data.index(b"trex")
    assert data[trex + 12:trex + 16] == b"\0\0\0\1"
    data[trex + 15] = 2
    (folder / "two.mp4").write_bytes(data)
    answer = start(folder).get("/two.mp4/master.m3u8")
    assert answer.status == 415 and "several sample descriptions" in answer.body.decode()


def decoded(path):
    """A hash of each picture that a file shows."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-f", "framemd5",
                          "-"], capture_output=True, text=True, check=True)
    assert not out.stderr, out.stderr
    return [line.rsplit(",", 1)[1].strip() for line in out.stdout.splitlines() if not line.startswith("#")]


def check_same_pictures(edge, name, folder, tmp_path):
    """Fetched in any order; what is decoded is the very same, and nothing else of the source is there."""
    before = edge.metrics()
    _, [r] = exact.fetch(edge, name, only=["source"])
    assert decoded(r.whole(str(tmp_path / "copy.mp4"))) == decoded(os.path.join(folder, name))
    for s in (s for fragments in r.fragments for f in fragments for s in f.samples):
        types = boxes.obu_types(s.data) if r.init.entry == "av01" else boxes.nal_types(s.data, r.init.entry)
        assert set(types) <= PICTURES[r.init.entry], "notes of the source's maker"
    after = edge.metrics()
    assert after["copies_video_total"] - before["copies_video_total"] == len(r.segments)
    for idle in ("encodes_video_total", "inits_total", "frames_decoded_total", "bandwidth_exceeded_total"):
        assert after[idle] == before[idle], idle
    return r


# Containers that cut pictures in pieces, or hold them behind start codes.
SCANNED = ["base.ts", "base.flv", *(pytest.param(n, marks=pytest.mark.long) for n in (
    "base.m2ts", "wrap.ts", "hevc.ts", "base.avi", "base.mpg"))]


@pytest.mark.parametrize("name", [*CLIPS, "hevccra.mkv", "gop10.mp4", *SCANNED])
def test_pictures_of_generated(name, start, clip, media_dir, tmp_path):
    check_same_pictures(start(media_dir), clip(name), media_dir, tmp_path)


@pytest.mark.parametrize("name", [*REAL, "bbb-360p25-h264-aac-10s.flv", *(pytest.param(n, marks=pytest.mark.long) for n in (
    "bbb-1080p25-h264-aac-40s.ts", "bbb-1080p24-hevc-aac51.ts"))])
def test_pictures_of_real(name, start, real_clips, tmp_path):
    check_same_pictures(start(real_clips), name, real_clips, tmp_path)


@pytest.mark.parametrize("name", [*CLIPS, "base.ts"])
def test_same_bytes_in_any_order(name, start, clip, media_dir):
    clip(name)
    hashes = []
    for order in (sorted, lambda names: names.sort(reverse=True)):
        _, [r] = exact.fetch(start(media_dir), name, order=order, only=["source"], at_once=2)
        hashes.append(r.hashes())
    assert hashes[0] == hashes[1]


def numbers(r, k, tmp_path):
    path = str(tmp_path / "one.mp4")
    with open(path, "wb") as f:
        f.write(r.init_bytes + r.segments[k])
    return exact.read_barcodes(path, r.init.width, r.init.height)


@pytest.mark.parametrize("name", [*CLIPS, *(pytest.param(n, marks=pytest.mark.long) for n in ("base.ts", "base.flv", "hevc.ts"))])
def test_switches_at_every_border(name, start, clip, media_dir, tmp_path):
    """From the source to a rung and back: no picture is lost or comes twice, but where a grid repeats or skips some."""
    _, renditions = exact.fetch(start(media_dir), clip(name))
    source, rung = next(r for r in renditions if r.copied), next(r for r in renditions if r.video and not r.copied)
    assert len(source.segments) == len(rung.segments) >= 3
    own, others = ([numbers(r, k, tmp_path) for k in range(len(r.segments))] for r in (source, rung))
    for first in (own, others):
        mixed = [n for k, pair in enumerate(zip(own, others)) for n in pair[(k + (first is others)) % 2]]
        assert mixed == sorted(mixed)
        if name != "uneven.mp4":
            assert mixed == list(range(len(mixed)))
    for a, b in zip(own, others):
        assert abs(a[0] - b[0]) <= 1 and abs(a[-1] - b[-1]) <= 1, (a, b)


def test_the_first_variant(start, clip, media_dir):
    """It is where playing starts, when most connections carry it: nothing is faster to make."""
    edge = start(media_dir)
    variants = Playlist(edge, clip("base.mp4")).variants
    assert variants[0][1].split("/")[1] == "source"
    rates = [int(attrs["BANDWIDTH"]) for attrs, _ in variants]
    assert rates == sorted(rates, reverse=True), "players take the source for the best"
    large = Playlist(edge, clip("hd.mp4")).variants
    assert int(large[0][0]["BANDWIDTH"]) < 2500000 or large[0][1].split("/")[1] != "source"


def test_contract(start, clip, media_dir):
    edge = start(media_dir)
    _, folder, _ = source_of(edge, clip("base.mp4"))
    for name in ("init.mp4", "1.m4s"):
        head = edge.request("HEAD", folder + name)
        assert head.status == 200 and head.header("etag")
        assert edge.metrics()["copies_video_total"] == 0
        assert edge.get(folder + name, {"If-None-Match": head.header("etag")}).status == 304
    part = edge.get(folder + "1.m4s", {"Range": "bytes=100-199"})
    whole = edge.get(folder + "1.m4s")
    assert part.status == 206 and part.body == whole.body[100:200]
    assert whole.status == 200 and whole.header("etag") == head.header("etag")
    assert whole.header("cache-control") == "public, max-age=31536000, immutable"
    assert edge.metrics()["copies_video_total"] == 1
    assert edge.get(folder + "4.m4s").status == edge.get(folder.replace("/source/", "/sourc/") + "0.m4s").status == 404


def test_codecs_in_chromium(start, clip, media_dir, real_clips):
    """It plays what CODECS says, but for HEVC, which it has no decoder for here."""
    codecs = [source_of(start(folder), name)[2]["CODECS"].split(",")[0] for folder, name in (
        (media_dir, clip("base.mp4")), (media_dir, clip("av1.mkv")), (real_clips, "phone-av1-hdr10-portrait.mp4"))]
    r = browser.run("types.mjs", [f'video/mp4; codecs="{c}"' for c in [*codecs, "av01.0.31M.10.0.111.09.16.99.0"]])
    assert r["supported"] == [True, True, True, False], (codecs, r)


def test_switched_off(start, clip, media_dir):
    edge = start(media_dir, env={"TIDEMILL_MEDIA_PASSTHROUGH": "false"})
    assert source_of(edge, clip("base.mp4")) is None


@pytest.mark.parametrize("name", CLIPS)
def test_old_recipes_are_kept(name, start, clip, media_dir):
    """Who plays the source, or a rung cut as the source is, plays on when it is offered no more."""
    edge = start(media_dir)
    playlist = Playlist(edge, clip(name))
    folders = [folder for _, folder, _ in playlist.renditions()]
    want = {folder: [edge.ok(folder + n) for n in ("index.m3u8", "init.mp4", "1.m4s")] for folder in folders}
    assert edge.stop() == 0
    for f in (f for root, _, files in os.walk(edge.cache) for f in (os.path.join(root, n) for n in files)):
        if os.path.getsize(f) > 5000:  # segments; what is left are records and small texts
            os.unlink(f)
    later = start(media_dir, cache=edge.cache, env={"TIDEMILL_MEDIA_PASSTHROUGH": "false"})
    assert source_of(later, name) is None
    for folder in folders:
        assert [later.ok(folder + n) for n in ("index.m3u8", "init.mp4", "1.m4s")] == want[folder], folder
    assert later.metrics()["copies_video_total"] == 1


def check_segment_1_fails(edge, name, good):
    """Each time, and no other; the log says why."""
    _, where, _ = source_of(edge, name)
    for _ in range(2):
        for k in (0, 2, 3):
            assert edge.ok(f"{where}{k}.m4s") == good.segments[k]
        try:
            assert edge.get(f"{where}1.m4s").status == 422
        except http.client.IncompleteRead:
            pass  # it was under way
    until(lambda: "source segment 1: the source is damaged" in "".join(edge.lines), "a line in the log")


def test_damage_stays_where_it_is(start, clip, media_dir, tmp_path):
    """What is no picture: its segment fails, each time, and no other."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    path = os.path.join(media_dir, clip("base.mp4"))
    _, [good] = exact.fetch(start(media_dir), "base.mp4", only=["source"])
    data = bytearray(open(path, "rb").read())
    victim = good.fragments[1][4].samples[3].data
    at = data.index(victim)
    data[at:at + 4] = b"\x7f\xff\xff\xff"
    (folder / "base.mp4").write_bytes(data)
    check_segment_1_fails(start(folder), "base.mp4", good)


# ---- transport streams

PACKET = 188


def packets(path):
    data = open(path, "rb").read()
    return [bytearray(data[at:at + PACKET]) for at in range(0, len(data), PACKET)]


def pid(packet):
    return (packet[1] & 31) << 8 | packet[2]


def video_packets(all_packets):
    """Numbers of those of the video, the first PID of FFmpeg's."""
    return [i for i, p in enumerate(all_packets) if pid(p) == 0x100 and p[3] & 16]


def write(folder, name, all_packets):
    (folder / name).write_bytes(b"".join(all_packets))
    return name


def copied(edge, name):
    return exact.fetch(edge, name, only=["source"])[1][0]


@pytest.mark.parametrize("name", ["base.flv", "base.avi"])
def test_a_source_that_ends_within_a_picture(name, start, clip, media_dir, tmp_path):
    """What is there is copied, to its last whole picture."""
    path = os.path.join(media_dir, clip(name))
    last = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=size,pos", "-of", "csv=p=0",
                           path], capture_output=True, text=True, check=True).stdout.split()[-1]
    size, pos = map(int, last.split(","))
    folder = tmp_path / "clips"
    folder.mkdir()
    with open(path, "rb") as f:
        (folder / name).write_bytes(f.read(pos + size // 2))
    assert exact.frame_count(copied(start(folder), name)) == exact.frame_count(copied(start(media_dir), name)) - 1


def test_packets_of_any_size(start, clip, media_dir, tmp_path):
    """With times before them, as cameras have them, or checksums behind: the same copy."""
    whole = packets(os.path.join(media_dir, clip("base.ts")))
    folder = tmp_path / "clips"
    folder.mkdir()
    write(folder, "188.ts", whole)
    write(folder, "192.m2ts", [b"\x12\x34\x56\x78" + p for p in whole])
    write(folder, "204.ts", [p + b"\xfe" * 16 for p in whole])
    edge = start(folder)
    hashes = [copied(edge, name).hashes() for name in ("188.ts", "192.m2ts", "204.ts")]
    assert hashes[0] == hashes[1] == hashes[2] and len(hashes[0]) > 4


def lose(all_packets, victim):
    all_packets[victim][1:3] = b"\x1f\xff"  # a null packet


def mark(all_packets, victim):
    all_packets[victim][1] |= 0x80  # as its receiver does


@pytest.mark.parametrize("damage", [lose, mark])
def test_damaged_packets(damage, start, clip, media_dir, tmp_path):
    """Who copies sees nothing of the pictures, but counts: the segment fails, each time, and no other."""
    whole = packets(os.path.join(media_dir, clip("base.ts")))
    good = copied(start(media_dir), "base.ts")
    of_video = video_packets(whole)
    damage(whole, of_video[len(of_video) * 6 // 13])
    folder = tmp_path / "damaged"
    folder.mkdir()
    write(folder, "base.ts", whole)
    check_segment_1_fails(start(folder), "base.ts", good)


def part(clip, media_dir, path, video, *options):
    """Seconds of the clip in other clothes."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(media_dir, clip("base.mp4")), "-frames:v", "150", "-map", "0:v", "-c:v",
                    *video.split(), *options, str(path)], check=True)
    return packets(path)


def test_recordings_put_together(start, clip, media_dir, tmp_path):
    """Counters and clocks begin anew in the middle: nothing is missing."""
    folder = tmp_path / "clips"
    folder.mkdir()
    one = part(clip, media_dir, tmp_path / "one.ts", "copy")
    two = part(clip, media_dir, tmp_path / "two.ts", "copy", "-output_ts_offset", "1000")
    for p in two:
        p[3] = p[3] & 0xf0 | p[3] + 5 & 15
    name = write(folder, "both.ts", one + two)
    r = check_same_pictures(start(folder), name, folder, tmp_path)
    assert exact.frame_count(r) == 300


def test_headers_change_in_a_transport_stream(start, clip, media_dir, tmp_path):
    one = part(clip, media_dir, tmp_path / "one.ts", "copy")
    two = part(clip, media_dir, tmp_path / "two.ts", "libx264 -preset ultrafast -g 50", "-output_ts_offset", "6")
    path = tmp_path / write(tmp_path, "both.ts", one + two)
    check_refused(path, "its headers change on the way")


def test_hole_in_a_transport_stream(start, clip, media_dir, tmp_path):
    """The picture before it stands for all of it: a segment that would be too long."""
    one = part(clip, media_dir, tmp_path / "one.ts", "copy")
    two = part(clip, media_dir, tmp_path / "two.ts", "copy", "-output_ts_offset", "15.5")
    path = tmp_path / write(tmp_path, "both.ts", one + two)
    check_refused(path, "segments of up to 11.44 s (limit 10.48 s)")


def whatever(edge, name):
    """What comes of each segment of the copy, if there is one."""
    try:
        _, folder, _ = source_of(edge, name)
    except (AssertionError, TypeError):
        return None

    def segment(leaf):
        try:
            answer = edge.get(folder + leaf)
            return hashlib.sha256(answer.body).hexdigest() if answer.status == 200 else answer.status
        except http.client.IncompleteRead:
            return 422  # it was under way

    return [segment(leaf) for leaf in Playlist(edge, name).media(folder)[2]]


@pytest.mark.long
@pytest.mark.parametrize("seed", ["brief.ts", "brief.flv", "brief.h264"])
def test_mutants(seed, start, clip, media_dir, tmp_path):
    """It is the server itself that reads these: it lives on, and says the same twice."""
    folder = tmp_path / "mutants"
    folder.mkdir()
    with open(os.path.join(media_dir, clip(seed)), "rb") as f:
        data = f.read()
    names = [f"{i}.{seed}" for i in range(40)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(mutants.mutate(seed, data, i))
    first, second = start(folder), start(folder)
    seen = [whatever(first, name) for name in names]
    assert [whatever(second, name) for name in names] == seen
    assert any(seen) and first.get("/").status and second.get("/").status


@pytest.mark.parametrize("slow", [False, True])
def test_sent_while_its_source_comes(slow, start, clip, media_dir):
    """In pieces while the origin keeps us waiting, or has shown to be slow; with its length where all of the source's
    bytes are here."""
    origin = Origin(media_dir)
    try:
        edge = start(origin.url, env={"TIDEMILL_ORIGIN_FIRST_READ": "512KiB", "TIDEMILL_CACHE_MEMORY": "64KiB",
                                      "TIDEMILL_CACHE_DISK_ENABLED": "false",
                                      # With larger reads, all of the first segment would come along with the probe.
                                      "TIDEMILL_ORIGIN_READ_MAX": "8MiB" if slow else "512KiB"})
        folder = source_of(edge, clip("hd.mp4"))[1]
        path = folder + f"{int(slow)}.m4s"
        if slow:  # what comes behind its first fragment
            edge.ok(folder + "0.m4s")
            origin.fault("pause", n=1 << 20, count=0)
            origin.fault("delay", ms=50, count=0)
        else:  # the first one
            origin.fault("hold", n=1, count=0)
        with Raw(edge) as client:
            client.get(path)
            status, head = client.head()
            assert status == 200 and head["transfer-encoding"] == "chunked"
            body = client.chunk()
            assert body[4:8] == b"styp" and edge.metrics()["copies_video_total"] == slow
            origin.clear()
            body += b"".join(iter(client.chunk, b""))
        until(lambda: edge.metrics()["cache_in_use_bytes"] == 0, "it is let go, and there is no room for it")
        again = edge.get(path)
        assert again.header("cache-status") == "tidemill; fwd=miss"
        assert int(again.header("content-length")) == len(body) > 512 * 1024 and again.body == body
        assert edge.metrics()["copies_video_total"] == 2 + slow
    finally:
        origin.stop()


def page_faults(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[7])


@pytest.mark.skipif("SANITIZED" in os.environ, reason="sanitizers have a malloc of their own")
def test_what_a_copy_lay_in_is_used_again(start, clip, media_dir, tmp_path):
    """Pages that come anew cost more than what is written to them.  Not at once: there are two arenas, and each fills up."""
    shelf = Shelf(tmp_path, os.path.join(media_dir, clip("hd.mp4")))
    edge = start(shelf.folder, env={"TIDEMILL_CACHE_MEMORY": "64KiB", "TIDEMILL_CACHE_DISK_ENABLED": "false"})
    paths = [source_of(edge, shelf.take())[1] + "0.m4s" for _ in range(8)]
    seen = [page_faults(edge.process.pid)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pages = sum(len(body) for body in pool.map(edge.ok, paths)) / 4096
            seen.append(page_faults(edge.process.pid))
    assert edge.metrics()["copies_video_total"] == 8 * len(paths)
    assert min(b - a for a, b in zip(seen, seen[1:])) < pages / 8, (seen, pages)


def test_many_readers_one_copy(start, clip, media_dir):
    edge = start(media_dir)
    _, folder, _ = source_of(edge, clip("base.mp4"))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        bodies = set(pool.map(lambda _: edge.ok(folder + "2.m4s"), range(16)))
    assert len(bodies) == 1 and edge.metrics()["copies_video_total"] == 1
