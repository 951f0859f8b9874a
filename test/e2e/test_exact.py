# SPDX-License-Identifier: BSD-2-Clause
"""Every rung of every kind of source, fetched out of order from a cold server."""
import hashlib
import math
import os
import random
import re
import struct
import subprocess
import zlib
from fractions import Fraction

import numpy
import pytest

import boxes
import clips
import exact
import likeness
import sheets
from edge import Playlist

SHORT = ["base.mp4", "2997.mp4", "opengop.mp4", "base.mkv", "rot90.mp4", "sar.mp4", "noaudio.mp4",
         "palette.mov", "vp9.webm", "mpeg2.mkv", "mpeg4.mp4", "base.ts", "mpeg4.avi", "wmv2.asf"]
ALL = [n for n in clips.RECIPES if n not in ("noise.mp4", "short.mp4")]

# A clip turned by its display matrix (rotate=90: counter-clockwise) was stamped before that.
UNDO = {"rot90.mp4": "transpose=1", "rot180.mp4": "hflip,vflip", "rot270.mp4": "transpose=2"}


# Clips whose pictures are not one for each frame of the grid.
UNEVEN = {"holes.mkv", "uneven.mp4", "cut.mp4", "120.mp4"}


def numbers_of(name, r, path):
    """The barcodes that a rendition of the clip has to show."""
    recipe = clips.RECIPES[name]
    if name not in UNEVEN:
        return list(range(math.ceil(recipe["seconds"] * Fraction(recipe["fps"]) - Fraction(1, 10**6))))
    stamped = exact.read_barcodes(path, recipe["w"], recipe["h"])
    return [stamped[i] for i in exact.shown_on_grid(exact.presented(path), Fraction(r.attrs["FRAME-RATE"]))]


def own_numbers(name, r, path):
    """Those that the clip itself shows."""
    if name not in UNEVEN:
        return numbers_of(name, r, path)
    return exact.read_barcodes(path, clips.RECIPES[name]["w"], clips.RECIPES[name]["h"])


def check_asset(edge, name, tmp_path, at_once=1):
    videos = exact.check_renditions(exact.fetch(edge, name, at_once=at_once)[1], tmp_path)
    assert videos
    return videos


def flagged(path, sync):
    """A Matroska all of whose simple blocks of pictures are called sync samples, or none of them."""
    data = bytearray(open(path, "rb").read())
    for pos in map(int, subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pos", "-of",
                                        "csv=p=0", path], capture_output=True, text=True, check=True).stdout.split()):
        assert data[pos] == 0x81  # the track; then its time
        data[pos + 3] = data[pos + 3] & 0x7f | 0x80 * sync
    return bytes(data)


@pytest.mark.parametrize("codec,sync", [("libvpx", True), ("libvpx-vp9", True), ("libvpx-vp9", False)])
def test_flags_that_lie(codec, sync, start, tmp_path):
    """Where pictures say themselves whether decoding can start there, the container is not believed."""
    honest, lying = tmp_path / "honest", tmp_path / "lying"
    honest.mkdir()
    lying.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-c:v", codec,
                    "-deadline", "realtime", "-cpu-used", "8", "-g", "100", honest / "a.webm"], check=True)
    (lying / "a.webm").write_bytes(flagged(honest / "a.webm", sync))
    one, other = (exact.fetch(start(folder), "a.webm") for folder in (honest, lying))
    for a, b in zip(one[1] + exact.fetch_tricks(one[0]), other[1] + exact.fetch_tricks(other[0]), strict=True):
        assert a.hashes() == b.hashes()


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in ALL])
def test_generated(name, start, clip, media_dir, tmp_path):
    clip(name)
    videos = check_asset(start(media_dir), name, tmp_path)
    for r in videos:
        want = (own_numbers if r.copied else numbers_of)(name, r, os.path.join(media_dir, name))
        assert exact.barcodes(r, tmp_path, UNDO.get(name, "null")) == want, r.name


def test_stretched_after_it_was_turned(start, clip, media_dir, tmp_path):
    """An MP4 whose movie stretches what its track turns: the one is of what is seen, and not of what is coded."""
    with open(os.path.join(media_dir, clip("rot90.mp4")), "rb") as f:
        data = bytearray(f.read())
    d = data.index(b"mvhd") + 4 + 52
    assert data[d:d + 4] == bytes([0, 1, 0, 0])
    data[d + 1] = 2
    (tmp_path / "high.mp4").write_bytes(data)
    assert Playlist(start(tmp_path), "high.mp4").variants[0][0]["RESOLUTION"] == "360x1280"


def test_noise_stays_below_bandwidth(start, clip, media_dir):
    """Where the maxrate binds all the time: the encoder takes it whole, and the playlist says enough."""
    maxrate = 700000
    edge = start(media_dir, config={"ladder": [{"short_side": 180, "maxrate": maxrate, "crf": 23}],
                                    "media": {"passthrough": False}})
    _, [video, sound] = exact.fetch(edge, clip("snow.mp4"))
    exact.check_promises(video, [sound])
    assert min(exact.rates(video)) >= 0.95 * maxrate
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("woven", [False, True])
def test_pictures_change_in_mid_stream(woven, start, tmp_path):
    """Of another size and kind from the middle of a segment on: the rungs keep theirs, and show each picture."""
    folder = tmp_path / "clips"
    folder.mkdir()
    flags = "-flags +ildct+ilme -x264-params tff=1" if woven else ""
    with open(tmp_path / "both.ts", "wb") as whole:
        for w, h, kind, first in (640, 352, "yuv420p", 0), (320, 176, "yuv422p", 64):
            whole.write(subprocess.run(
                f"ffmpeg -v error -f lavfi -i testsrc2=size={w}x{h}:rate=25 -frames:v 64 -pix_fmt yuv420p -f rawvideo - | "
                f"'{exact.BARCODE}' stamp {w} {h} {first} | ffmpeg -v error -f rawvideo -s {w}x{h} -pix_fmt yuv420p -r 25 "
                f"-i - -pix_fmt {kind} -c:v libx264 -preset veryfast -g 16 -bf 0 {flags} "
                f"-output_ts_offset {first / 25} -f mpegts -",
                shell=True, capture_output=True, check=True).stdout)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "both.ts", "-c", "copy", folder / "both.mkv"], check=True)
    edge = start(folder, config={"media": {"every_field": 0, "passthrough": False}})  # a copy has one size
    videos = check_asset(edge, "both.mkv", tmp_path)
    for r in videos:
        assert exact.barcodes(r, tmp_path) == list(range(128)), r.name


def box(kind, *parts):
    body = b"".join(p if isinstance(p, bytes) else p.to_bytes(4, "big") for p in parts)
    return (8 + len(body)).to_bytes(4, "big") + kind.encode() + body


def sample_entries(path):
    data = open(path, "rb").read()
    return data[data.index(b"stsd") + 12:][:int.from_bytes(data[data.index(b"stsd") + 12:][:4], "big")]


def put_together(paths):
    """An MP4 of the samples of several, 25 a second without B-pictures, each with its own sample entry, as editors join them."""
    parts = [boxes.read_samples(path)[2] for path in paths]
    ftyp, samples, keys = box("ftyp", b"isom", 0, b"isom"), [s for part in parts for s in part], []
    for k, s in enumerate(samples, 1):
        keys += [k] if boxes.begins_anew(s, "avc1") else []
    starts = [len(ftyp) + 8 + sum(map(len, samples[:sum(map(len, parts[:k]))])) for k in range(len(parts))]
    runs = b"".join(struct.pack(">3I", k, len(part), k) for k, part in enumerate(parts, 1))
    stbl = box("stbl", box("stsd", 0, len(parts), *map(sample_entries, paths)), box("stts", 0, 1, len(samples), 1),
               box("stss", 0, len(keys), *keys), box("stsz", 0, 0, len(samples), *map(len, samples)),
               box("stsc", 0, len(parts), runs), box("stco", 0, len(parts), *starts))
    mdia = box("mdia", box("mdhd", 0, 0, 0, 25, len(samples), 0x55c40000),
               box("hdlr", 0, 0, b"vide", bytes(13)), box("minf", box("vmhd", 1, 0, 0), stbl))
    matrix = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    tkhd = box("tkhd", 7, 0, 0, 1, 0, len(samples), 0, 0, 0, 0, *matrix, 640 << 16, 352 << 16)
    mvhd = box("mvhd", 0, 0, 0, 25, len(samples), 0x10000, 0, 0, 0, *matrix, *[0] * 6, 2)
    return ftyp + box("mdat", *samples) + box("moov", mvhd, box("trak", tkhd, mdia))


def test_sample_entries_change_in_mid_stream(start, tmp_path):
    """Two sizes in one track of an MP4, and the first again; in the middle of segments."""
    folder, paths, first = tmp_path / "clips", [], 0
    folder.mkdir()
    for w, h, count in (640, 352, 70), (320, 176, 71), (640, 352, 59):
        paths.append(tmp_path / f"{first}.mp4")
        subprocess.run(
            f"ffmpeg -v error -f lavfi -i testsrc2=size={w}x{h}:rate=25 -frames:v {count} -pix_fmt yuv420p -f rawvideo - | "
            f"'{exact.BARCODE}' stamp {w} {h} {first} | ffmpeg -v error -f rawvideo -s {w}x{h} -pix_fmt yuv420p -r 25 "
            f"-i - -c:v libx264 -preset veryfast -g 30 -bf 0 {paths[-1]}", shell=True, check=True)
        first += count
    (folder / "joined.mp4").write_bytes(put_together(paths))
    videos = check_asset(start(folder), "joined.mp4", tmp_path)
    assert "source" not in [r.name for r in videos]
    for r in videos:
        assert exact.barcodes(r, tmp_path) == list(range(200)), r.name


@pytest.mark.parametrize("what", ["right", "short", "garbage"])
def test_compressed_moov(what, start, clip, media_dir, tmp_path):
    """As QuickTime wrote "Fast Start - Compressed Header"; one that does not expand to what it says is damaged."""
    with open(os.path.join(media_dir, clip("tiny-last.mp4")), "rb") as f:
        data = f.read()
    moov = data.rindex(b"moov") - 4
    size = len(data) - moov + (what == "short")
    packed = zlib.compress(data[moov:]) if what != "garbage" else bytes(500)
    cmov = box("cmov", box("dcom", b"zlib"), box("cmvd", size, packed))
    (tmp_path / "plain.mp4").write_bytes(data)
    (tmp_path / "packed.mp4").write_bytes(data[:moov] + box("moov", cmov))
    edge = start(tmp_path)
    if what != "right":
        assert edge.get("/packed.mp4/master.m3u8").status == 422
        return
    alike = [[(r.name, r.hashes()) for r in exact.fetch(edge, name)[1]] for name in ("plain.mp4", "packed.mp4")]
    assert alike[0] == alike[1] and len(alike[0]) > 1


def element(name, body):
    """Of Matroska, its size in eight bytes."""
    return bytes.fromhex(name) + b"\x01" + len(body).to_bytes(7, "big") + body


def test_matroska_whose_tracks_stand_last(start, clip, media_dir, tmp_path):
    """As programs write it that do not know them before: only the seek head says where they are."""
    with open(os.path.join(media_dir, clip("brief.mkv")), "rb") as f:
        data = f.read()
    segment, head = (data.index(bytes.fromhex(name)) for name in ("18538067", "114d9b74"))
    info = data.index(bytes.fromhex("1549a966"), head + 70)  # behind what the seek head names
    tracks, tags = (data.index(bytes.fromhex(name), info) for name in ("1654ae6b", "1254c367"))
    assert data[segment + 4] == 1, "a size of eight bytes"
    seek = element("114d9b74", element("4dbb", bytes.fromhex("53ab841654ae6b53ac84") +
                                       (len(data) - segment - 12).to_bytes(4, "big")))
    before = seek + element("ec", bytes(info - head - len(seek) - 9)) + data[info:tracks]
    gap = element("ec", bytes(tags - tracks - 9))
    (tmp_path / "last.mkv").write_bytes(data[:segment] + element("18538067", before + gap + data[tags:] + data[tracks:tags]))
    (tmp_path / "first.mkv").write_bytes(data)
    edge = start(tmp_path)
    alike = [[(r.name, r.hashes()) for r in exact.fetch(edge, name)[1]] for name in ("first.mkv", "last.mkv")]
    assert alike[0] == alike[1] and len(alike[0]) > 1
# ---- packed bitstreams

def chunk(kind, *parts):
    body = b"".join(parts)
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def avi(packets, w, h, fps):
    """An AVI of MPEG-4 packets."""
    head = struct.pack("<14I", 1000000 // fps, 0, 0, 16, len(packets), 0, 1, 0, w, h, 0, 0, 0, 0)
    stream = struct.pack("<4s4s10IHHHH", b"vids", b"XVID", 0, 0, 0, 1, fps, 0, len(packets), 0, 0, 0, 0, 0, w, h)
    form = struct.pack("<IIIHH4s5I", 40, w, h, 1, 24, b"XVID", w * h * 3, 0, 0, 0, 0)
    headers = chunk(b"LIST", b"hdrl", chunk(b"avih", head), chunk(b"LIST", b"strl", chunk(b"strh", stream), chunk(b"strf", form)))
    return chunk(b"RIFF", b"AVI ", headers, chunk(b"LIST", b"movi", *(chunk(b"00dc", p) for p in packets)))


def packed(pictures):
    """As DivX put them into AVIs: a B-picture lies with the one that it is shown before, and a packet of nothing stands
    for it later."""
    out, owed = [], False
    for p in pictures:
        is_b = p[p.index(b"\0\0\1\xb6") + 4] >> 6 == 2
        if is_b and not owed:
            out[-1] += p
            owed = True
        else:
            out += [b"\0\0\1\xb6\x50\0\0"] * (owed and not is_b) + [p]
            owed &= is_b
    return out


def test_packed_bitstream(start, clip, media_dir, tmp_path):
    """Each picture once, in order, of a file that puts two into one packet."""
    folder = tmp_path / "clips"
    folder.mkdir()
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(media_dir, clip("mpeg4.avi")), "-c:v", "copy", "-an",
                          "-f", "m4v", "-"], capture_output=True, check=True).stdout
    cuts = [0] + [m.end() for m in re.finditer(rb"\0\0\x01\xb6.*?(?=\0\0\x01[\xb0\xb3\xb6]|$)", raw, re.S)]
    pictures = [raw[a:b] for a, b in zip(cuts, cuts[1:])]
    packets = packed(pictures)
    assert len(packets) in (len(pictures), len(pictures) - 1) and max(p.count(b"\0\0\1\xb6") for p in packets) == 2
    (folder / "packed.avi").write_bytes(avi(packets, 640, 360, 25))
    for r in check_asset(start(folder), "packed.avi", tmp_path):
        assert exact.barcodes(r, tmp_path) == list(range(len(pictures))), r.name


def ogg_crc(page):
    c = 0
    for byte in page:
        c ^= byte << 24
        for _ in range(8):
            c = (c << 1 ^ (0x04c11db7 if c >> 31 else 0)) & 0xffffffff
    return c


def in_one_page(data):
    """A short Ogg of Theora with all its pictures in its last page, where libavformat finds no times."""
    pages = [b"OggS" + p for p in data.split(b"OggS")[1:]]
    films = pages[2:]
    sizes = b"".join(p[27:27 + p[26]] for p in films)
    head = films[-1][:14] + films[0][14:22]
    tail = bytes([len(sizes)]) + sizes + b"".join(p[27 + p[26]:] for p in films)
    return b"".join(pages[:2]) + head + ogg_crc(head + bytes(4) + tail).to_bytes(4, "little") + tail


def test_pictures_without_times(start, clip, media_dir, tmp_path):
    with open(os.path.join(media_dir, clip("theora60.ogv")), "rb") as f:
        data = in_one_page(f.read())
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "page.ogv").write_bytes(data)
    for r in check_asset(start(folder), "page.ogv", tmp_path):
        assert exact.barcodes(r, tmp_path) == list(range(24)) and exact.frame_rate(r) == 60, r.name


# ---- what was asked for before

def test_inits_do_not_depend_on_what_came_before(start, clip, media_dir):
    """Five cold servers, each asked for something else first, in another order of renditions: one init of each [5]."""
    name, seen = clip("tiny.mp4"), set()
    for k, first in enumerate(["init.mp4", "0.m4s", "3.m4s", "index.m3u8", "2.m4s"]):
        edge = start(media_dir)
        folders = [folder for _, folder, _ in Playlist(edge, name).renditions()]
        for folder in random.Random(k).sample(folders, len(folders)):
            edge.ok(folder + first)
        seen.add(tuple(hashlib.sha256(edge.ok(folder + "init.mp4")).hexdigest() for folder in folders))
    assert len(seen) == 1


# Of each container and each way in which a segment may need what lies before it.
TORTURED = ["opengop.mp4", "hevcopen.mkv", "gop12.mkv", "refresh.mp4", "opengop.ts", "hevcopen.ts", "wrap.ts", "base.flv",
            "mpeg4.avi", "theora.ogv", "wmv2.asf", "base.mxf", "mpeg2.mpg"]


@pytest.mark.long
def test_two_hundred_seeks(start, clip, media_dir):
    """Straight to any segment of any of them, at a cold server: the bytes are those of going through in order [18]."""
    in_order, cold, want = start(media_dir), start(media_dir), {}
    for name in map(clip, TORTURED):
        playlist = Playlist(in_order, name)
        for _, folder, _ in playlist.renditions():
            for leaf in playlist.media(folder)[2]:
                want[folder + leaf] = hashlib.sha256(in_order.ok(folder + leaf)).digest()
        Playlist(cold, name)  # its URLs are known
    for path in random.Random(18).choices(sorted(want), k=200):
        assert hashlib.sha256(cold.ok(path)).digest() == want[path], path


# ---- colours

PATCHES = [(60, 90, 200), (80, 220, 110), (110, 128, 128), (150, 60, 120), (180, 128, 128), (200, 140, 90), (30, 128, 128),
           (220, 110, 140)]  # Y, U, V
PATCH_W, PATCH_H = 160, 180  # four beside each other, two rows


def patched(path, coder, tags):
    """A second of flat patches in a file, as good as lossless."""
    rows = [[PATCHES[4 * y + x] for x in range(4)] for y in range(2)]
    planes = [numpy.kron(numpy.array([[p[i] for p in row] for row in rows], "u1"), numpy.ones((PATCH_H >> (i > 0),
              PATCH_W >> (i > 0)), "u1")) for i in range(3)]
    frame = b"".join(p.tobytes() for p in planes)
    kinds = ("colorspace", "color_primaries", "color_trc")
    names = [x for kind, name in zip(kinds, tags or ()) for x in ("-" + kind, name)]
    subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-s", f"{4 * PATCH_W}x{2 * PATCH_H}", "-pix_fmt", "yuv420p",
                    "-r", "25", "-i", "-", "-c:v", coder, "-crf", "1", *names, path], input=25 * frame, check=True)


def patches_of(path, area="iw:ih:0:0"):
    """Mean red, green and blue of the middle of each, in all pictures."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf",
                          f"crop={area},scale={4 * PATCH_W}:{2 * PATCH_H}:flags=accurate_rnd+"
                          "full_chroma_int", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    p = numpy.frombuffer(raw.stdout, "u1").reshape(-1, 2, PATCH_H, 4, PATCH_W, 3)
    return p[:, :, 40:-40, :, 40:-40].mean(axis=(2, 4)).reshape(-1, 8, 3)


@pytest.mark.parametrize("coder, tags", [("libx264", ["bt709"] * 3), ("libx264", ["smpte170m"] * 3), ("libx264rgb", None),
                                         ("libx264", ["bt2020c", "bt2020", "bt2020-10"])])
def test_flat_colours_stay(coder, tags, start, tmp_path):
    """Also where they are coded otherwise: within a code value [17], on a sheet of JPEG within what its quantiser takes.
    Sheets are BT.601, whatever the source is; rungs are what it is, unless H.264 has no name for that (the last)."""
    folder = tmp_path / "clips"
    folder.mkdir()
    patched(folder / "flat.mp4", coder, tags)
    want = patches_of(folder / "flat.mp4")[0]
    edge = start(folder, config={"media": {"passthrough": False}})
    for r in exact.fetch(edge, "flat.mp4")[1]:
        off = numpy.abs(patches_of(r.whole(tmp_path / "ours.mp4")) - want)
        assert off.max() <= 1, (r.name, off.max(axis=(0, 2)))
    board = sheets.Storyboard(edge, "flat.mp4", tmp_path)
    [(_, _, sheet, (x, y, w, h))] = board.cues
    off = numpy.abs(patches_of(board.paths[sheet], f"{w}:{h}:{x}:{y}") - want)
    assert off.max() <= 3, off.max(axis=(0, 2))


def test_tone_mapping_has_no_steps(start, tmp_path):
    """A picture that stands still in PQ: its light is the same before and behind each border and part [14]."""
    folder = tmp_path / "clips"
    folder.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "smptehdbars=s=320x180:r=25:d=9", "-pix_fmt", "yuv420p10le",
                    "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "crf=4:keyint=50:log-level=error:"
                    "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", "-tag:v", "hvc1", folder / "still.mp4"],
                   check=True)
    [r] = exact.fetch(start(folder, config={"media": {"passthrough": False}}), "still.mp4")[1]
    light = likeness.pictures(r.whole(str(tmp_path / "ours.mp4"))).mean(axis=1)
    steps = numpy.abs(numpy.diff(light))
    assert len(light) == 225 and steps.max() <= 0.5, steps.argmax()
