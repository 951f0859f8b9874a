# SPDX-License-Identifier: BSD-2-Clause
"""MP4 whose tables are not presented as they stand: edit lists of several parts, fragments that come again."""
import os
import struct
import subprocess

import numpy
import pytest

import exact
import sounds
from boxes import boxes, child


def box(kind, *body):
    return struct.pack(">I4s", 8 + sum(map(len, body)), kind.encode()) + b"".join(body)


def split(data, start=0, end=None):
    """(type, bytes) of each box."""
    return [(kind, data[a - 8:b]) for kind, a, b in boxes(data, start, end)]


def edited(data, parts):
    """The file with all tracks presented in these parts: (seconds, from which second on; None: nothing)."""
    def edit(trak):
        whole = boxes(trak)[0]
        media = child(trak, child(trak, whole, "mdia"), "mdhd")
        ticks, = struct.unpack_from(">I", trak, media[1] + 12)
        list_ = child(trak, child(trak, whole, "edts"), "elst")
        first, = struct.unpack_from(">i", trak, list_[2] - 8)  # what an encoder puts before
        rows = [struct.pack(">Iii", round(seconds * movie), -1 if at is None else first + round(at * ticks), 0x10000)
                for seconds, at in parts]
        new = box("edts", box("elst", struct.pack(">II", 0, len(rows)), *rows))
        return box("trak", *(new if kind == "edts" else b for kind, b in split(trak, 8)))

    *before, (last, moov) = split(data)
    assert last == "moov"
    header = child(moov, boxes(moov)[0], "mvhd")
    movie, = struct.unpack_from(">I", moov, header[1] + 12)
    moov = box("moov", *(edit(b) if kind == "trak" else b for kind, b in split(moov, 8)))
    return b"".join(b for _, b in before) + moov


# Into a GOP and out of one, one part twice, the middle before the end, and one that goes on where that of another GOP ends.
PARTS = [(2, 1.2), (1, 7.48), (0.48, 3), (2, 1.2), (1, 11)]


def folder_with(tmp_path, name, data):
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / name).write_bytes(data)
    return folder


def copied(path, folder, *options):
    """Its bytes with the moov at the end, or as the options want it."""
    copy = folder / "copy.mov"
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-c", "copy", *options, copy], check=True)
    return copy.read_bytes()


@pytest.mark.parametrize("name", ["base.mp4", "hevcopen.mp4", *(pytest.param(n, marks=pytest.mark.long) for n in (
    "opengop.mp4", "refresh.mp4", "mpeg4.mp4", "prores.mov"))])
def test_pictures_of_parts(name, start, clip, media_dir, tmp_path):
    data = copied(os.path.join(media_dir, clip(name)), tmp_path)
    edge = start(folder_with(tmp_path, name, edited(data, PARTS)))
    want = [n for seconds, at in PARTS for n in range(round(at * 25), round((at + seconds) * 25))]
    for r in exact.check_renditions(exact.fetch(edge, name)[1], tmp_path):
        assert exact.barcodes(r, tmp_path) == want, r.name


NOISE = sounds.recipe("edited.mp4")


def sound_of(edge, name, tmp_path):
    [audio] = [r for r in exact.fetch(edge, name)[1] if not r.video]
    return sounds.heard(audio, tmp_path)[0], audio.init.timescale


def check_heard(heard, rate, parts, most):
    """Each part where it belongs, within so many samples."""
    whole, at = sounds.signal_of(NOISE, 0, rate), 0
    for seconds, begin in parts:
        n = round(seconds * rate)
        if begin is not None:
            first = round(begin * rate)
            lags, alike = zip(*sounds.lags(heard[at:at + n], whole[first:first + n]))
            assert max(map(abs, lags)) <= most and min(alike) > 0.5, (lags, alike)
        at += n
    assert 0 <= len(heard) - at < 2 * sounds.FRAME


def test_sound_of_parts(start, sound_dir, tmp_path):
    """Within half a frame; where the edit list has nothing, nothing is heard."""
    parts = [(2, 1.2), (1, 7.48), (1, None), (2, 1.2), (1, 11)]
    data = copied(sounds.make(sound_dir, NOISE), tmp_path, "-movie_timescale", "48000")
    edge = start(folder_with(tmp_path, "edited.mp4", edited(data, parts)))
    heard, rate = sound_of(edge, "edited.mp4", tmp_path)
    check_heard(heard, rate, parts, sounds.FRAME // 2 + 1)
    assert numpy.abs(heard[3 * rate + sounds.EDGE:4 * rate - sounds.EDGE]).max() < 0.001


def again(path, folder):
    """Its fragments, of which some come twice: at once, or beside others behind them."""
    cut = copied(path, folder, "-movflags", "frag_keyframe+empty_moov+default_base_moof")
    parts = [b for kind, b in split(cut) if kind != "mfra"]
    fragments = [a + b for a, b in zip(parts[2::2], parts[3::2])]
    assert len(fragments) > 5
    return b"".join([*parts[:2], *(fragments[i] for i in (0, 0, 1, 2, 1, 2, *range(3, len(fragments))))])


def test_pictures_of_fragments_again(start, clip, media_dir, tmp_path):
    data = again(os.path.join(media_dir, clip("base.mp4")), tmp_path)
    edge = start(folder_with(tmp_path, "again.mp4", data))
    for r in exact.check_renditions(exact.fetch(edge, "again.mp4")[1], tmp_path):
        assert exact.barcodes(r, tmp_path) == list(range(325)), r.name


def test_sound_of_fragments_again(start, sound_dir, tmp_path):
    edge = start(folder_with(tmp_path, "again.mp4", again(sounds.make(sound_dir, NOISE), tmp_path)))
    heard, rate = sound_of(edge, "again.mp4", tmp_path)
    check_heard(heard[sounds.FRAME:], rate, [(13, 0)], 1)  # there is no edit list: what the encoder put before is heard
