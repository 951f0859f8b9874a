# SPDX-License-Identifier: BSD-2-Clause
"""The exactness suite: what research calls correct, asked of the bytes a client gets."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import subprocess
from fractions import Fraction
from itertools import accumulate

import boxes
from edge import BUILD, Playlist

BARCODE = os.path.join(BUILD, "test", "barcode")


class Rendition:
    """One rendition with all its bytes, fetched in the order asked for."""

    def __init__(self, playlist, name, folder, attrs, order=None, at_once=1):
        edge = playlist.edge
        self.name, self.folder, self.attrs = name, folder, attrs
        self.variants = [attrs]  # it may have one for each group of sound
        self.text, self.durations, self.names = playlist.media(folder)
        wanted = list(self.names)
        (order or random.Random(7).shuffle)(wanted)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            got = dict(zip(wanted, pool.map(lambda n: edge.ok(folder + n), wanted)))
        self.segments = [got[n] for n in self.names]
        self.init_bytes = edge.ok(folder + "init.mp4")
        self.init = boxes.parse_init(self.init_bytes)
        self.fragments = [boxes.parse_segment(s) for s in self.segments]

    @property
    def video(self):
        return self.init.kind == "vide"

    @property
    def copied(self):
        """Whether it is the source's own video, whose pictures may last as long as they like."""
        return self.name == "source"

    @property
    def ticks(self):
        """So many a second."""
        return Fraction(self.init.timescale)

    def cuts(self):
        """When its segments begin, in seconds."""
        return [fragments[0].time / self.ticks for fragments in self.fragments]

    def hashes(self):
        return [hashlib.sha256(b).hexdigest() for b in [self.init_bytes, *self.segments]]

    def whole(self, path):
        with open(path, "wb") as f:
            f.write(self.init_bytes)
            for s in self.segments:
                f.write(s)
        return path


def fetch(edge, asset, order=None, at_once=1, only=None):
    """(playlist, its renditions), each once."""
    p, out = Playlist(edge, asset), {}
    for name, folder, attrs in p.renditions():
        if folder in out:
            out[folder].variants.append(attrs)
        elif only is None or name in only:
            out[folder] = Rendition(p, name, folder, attrs, order=order, at_once=at_once)
    return p, list(out.values())


def fetch_tricks(playlist):
    """Those for fast play."""
    return [Rendition(playlist, *r) for r in playlist.tricks()]


def check_chain(r):
    """tfdt from 0, no gap, IDR first, presentation starts at each segment's start (checks 11, 12)."""
    time = 0
    for k, fragments in enumerate(r.fragments):
        assert fragments[0].time == time, (r.name, k, fragments[0].time, time)
        samples = [s for f in fragments for s in f.samples]
        assert samples[0].sync, (r.name, k)
        if r.video:
            assert boxes.begins_anew(samples[0].data, r.init.entry), (r.name, k)
            check_samples(r, k, fragments)
        if r.init.entry == "av01":
            check_sequence(r, k, samples)
        time += sum(f.duration for f in fragments)
    return Fraction(time, r.init.timescale)


def check_sequence(r, k, samples):
    """What av1C holds is what stands before the pictures (AV1 in ISO base media files, 2.3.3)."""
    told = {obu for s in samples for kind, obu in boxes.obus(s.data) if kind == 1}
    assert told == {r.init.config[4:]}, (r.name, k, told, r.init.config)


def check_samples(r, k, fragments):
    times, dts = [], fragments[0].time
    samples = [s for f in fragments for s in f.samples]
    for s in samples:
        times.append(dts + s.offset)
        dts += s.duration
    for s, time, earliest in zip(samples, times, [*accumulate(times[::-1], min)][::-1]):
        led = earliest < time  # by pictures that may lean on those before it
        assert s.sync == (boxes.begins_anew(s.data, r.init.entry) and not led), (r.name, k, "sync flag")
    if r.copied:
        decoded = [fragments[0].time]
        for s in (s for f in fragments for s in f.samples):
            decoded.append(decoded[-1] + s.duration)
        assert sorted(times) == decoded[:-1], (r.name, k, "presentation times do not fill the segment")
        return
    step = fragments[0].samples[0].duration
    want = [fragments[0].time + i * step for i in range(len(times))]
    assert sorted(times) == want, (r.name, k, "presentation times are not the grid")


def check_playlist(r, total):
    """EXTINF sums and TARGETDURATION, which it returns (checks 2, 3)."""
    target = int(r.text.split("#EXT-X-TARGETDURATION:")[1].split("\n")[0])
    listed = [Fraction(d) for d in r.durations]
    assert min(listed) >= Fraction(1, 10) or len(listed) == 1, (r.name, listed)
    assert abs(sum(listed) - total) <= Fraction(1, 10**6) * len(listed), (r.name, sum(listed), total)
    for d, fragments in zip(listed, r.fragments):
        real = Fraction(sum(f.duration for f in fragments), r.init.timescale)
        assert abs(d - real) <= Fraction(2, 10**6), (r.name, d, real)
        assert d + Fraction(1, 2) < target + 1, (r.name, "longer than TARGETDURATION allows", d, target)
    assert "#EXT-X-ENDLIST" in r.text and re.search("#EXT-X-PLAYLIST-TYPE:(VOD|EVENT)\n", r.text)
    return target


def frame_rate(r):
    """Of a copy the mean; its last picture is held until the other renditions end."""
    samples = [s for fragments in r.fragments for f in fragments for s in f.samples]
    if not r.copied:
        return Fraction(r.init.timescale, samples[0].duration)
    return Fraction(r.init.timescale * len(samples), sum(s.duration for s in samples))


def check_cuts(videos, sounds=()):
    """All video is cut at the same times; a copy of pictures that come unevenly at the nearest to those of the grid;
    sound at the first of its frames that begins there or later (check 4)."""
    grid, step = next((r.cuts(), 1 / frame_rate(r)) for r in videos if not r.copied)
    for r in videos:
        even = not r.copied or len({s.duration for fragments in r.fragments for f in fragments for s in f.samples}) == 1
        off = max(abs(a - b) for a, b in zip(r.cuts(), grid, strict=True))
        assert off == 0 if even else off <= step / 2, (r.name, off)
    for r in sounds:
        assert all(0 <= a - b < 1024 / r.ticks for a, b in zip(r.cuts(), grid, strict=True)), (r.name, r.cuts(), grid)


def check_lengths(videos, ramp=0):
    """A regular table has as many frames in each segment behind its ramp but the last, which is the shorter or takes in
    what would be too short by itself (check 10)."""
    for r in videos if not any(r.copied for r in videos) else ():
        *counts, last = [sum(len(f.samples) for f in fragments) for fragments in r.fragments[ramp:]]
        assert len(set(counts)) <= 1 and (not counts or last < 1.5 * counts[0]), (r.name, counts, last)


def rates(r):
    """Bits per second of each segment, container included."""
    return [8 * len(b) * r.init.timescale / Fraction(sum(f.duration for f in fragments))
            for b, fragments in zip(r.segments, r.fragments)]


def check_bandwidth(r, attrs, sounds):
    """Also together with the sound that a variant names."""
    beside = [rates(s) for s in sounds if "AUDIO" in attrs and s.attrs["GROUP-ID"] == attrs["AUDIO"]]
    for sound in beside or [[0] * len(r.segments)]:
        most = max(map(sum, zip(rates(r), sound, strict=True)))
        assert most <= int(attrs["BANDWIDTH"]), (r.name, float(most), attrs)


def check_promises(r, sounds=()):
    """CODECS, RESOLUTION, FRAME-RATE, BANDWIDTH against the bytes; sounds: the renditions to be played beside r."""
    for attrs in r.variants:
        if r.video:
            codec = boxes.codec_string(r.init)
            # AV1's may go on about colours.
            assert any(c == codec or c.startswith(codec + ".") for c in attrs["CODECS"].split(",")), (attrs, codec)
            assert attrs["RESOLUTION"] == f"{r.init.width}x{r.init.height}", attrs
            off = abs(Fraction(attrs["FRAME-RATE"]) - frame_rate(r))  # it has three decimals
            assert off <= (frame_rate(r) / 100 if r.copied else Fraction(1, 2000)), (attrs, frame_rate(r))
        if "BANDWIDTH" in attrs:
            check_bandwidth(r, attrs, sounds)


def decode_strictly(path, kind):
    """A hash of each frame; anything that the decoder has to say is an error."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-err_detect", "explode", "-i", path, "-map", f"0:{kind}", "-vsync",
                          "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr, (path, out.stderr)
    return [line.rsplit(",", 1)[1] for line in out.stdout.splitlines() if line[0] != "#"]


def check_alone(r, tmp):
    """Each segment behind its init decodes without a word and gives exactly its frames (check 12), and pictures that
    are those of the whole (check 13); the sound of the first packet lacks that of the packet before."""
    kind = "v" if r.video else "a"
    path, whole = os.path.join(str(tmp), r.name + ".mp4"), []
    if r.video:
        whole = decode_strictly(r.whole(path), kind)
    for k, fragments in enumerate(r.fragments):
        with open(path, "wb") as f:
            f.write(r.init_bytes + r.segments[k])
        alone, count = decode_strictly(path, kind), sum(len(f.samples) for f in fragments)
        assert len(alone) == count, (r.name, k, len(alone), count)
        assert not r.video or alone == whole[:count], (r.name, k)
        whole = whole[count:]
    os.unlink(path)


def check_shape(r, tmp):
    """What is decoded has the promised size, square pixels, nothing that turns it, and colours by their names
    (checks 15, 17)."""
    path = os.path.join(str(tmp), r.name + ".mp4")
    with open(path, "wb") as f:
        f.write(r.init_bytes + r.segments[0])
    out = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "frame=width,height,sample_aspect_ratio,color_range,"
                          "color_transfer:stream_side_data_list", "-read_intervals", "%+#1", "-of", "json", path],
                         capture_output=True, text=True, check=True).stdout
    os.unlink(path)
    [frame], [stream] = (json.loads(out)[key] for key in ("frames", "streams"))
    assert (frame["width"], frame["height"]) == (r.init.width, r.init.height), (r.name, frame)
    assert frame.get("sample_aspect_ratio", "1:1") == "1:1" and "side_data_list" not in stream, (r.name, frame, stream)
    tones = {"PQ": "smpte2084", "HLG": "arib-std-b67"}.get(r.attrs.get("VIDEO-RANGE"))
    told = frame.get("color_transfer")
    assert told == tones if tones else told not in ("smpte2084", "arib-std-b67"), (r.name, frame)
    assert r.copied or frame["color_range"] == "tv" and told, (r.name, frame)


def check_renditions(renditions, tmp, ramp=0):
    """All that can be asked of an asset's renditions without knowing what they show; so many of the first segments may
    be shorter.  Returns those of pictures."""
    videos, sounds = ([r for r in renditions if r.video is kind] for kind in (True, False))
    ends = {r.name: check_chain(r) for r in renditions}
    if videos:
        end = next(ends[r.name] for r in videos if not r.copied)
        assert max(abs(ends[r.name] - end) for r in videos) <= 1 / min(r.ticks for r in videos) / 2
        assert all(0 <= ends[r.name] - end < 1024 / r.ticks for r in sounds)
        check_cuts(videos, sounds)
        check_lengths(videos, ramp)
    targets = {check_playlist(r, ends[r.name]) for r in renditions}
    assert len(targets) == 1, targets
    for r in renditions:
        check_promises(r, sounds)
        check_alone(r, tmp)
        if r.video:
            check_shape(r, tmp)
    return videos


def frame_count(r):
    return sum(len(f.samples) for fragments in r.fragments for f in fragments)


def read_barcodes(path, w, h, undo="null"):
    """The frame number that each presented picture of a file shows, None where there is none to read."""
    out = subprocess.run(f"ffmpeg -v error -noautorotate -i '{path}' -vf {undo} -vsync passthrough -enc_time_base -1 "
                         f"-f rawvideo -pix_fmt gray - | '{BARCODE}' read {w} {h}", shell=True, capture_output=True, text=True)
    assert not out.stderr, out.stderr
    return [int(n) if n != "?" else None for n in out.stdout.split()]


def barcodes(r, tmp, undo="null"):
    """Those of a rendition; undo: filters that turn it back as it was stamped."""
    path = r.whole(os.path.join(str(tmp), f"{r.name}-all.mp4"))
    w, h = r.init.width, r.init.height
    if "transpose" in undo:
        w, h = h, w
    numbers = read_barcodes(path, w, h, undo)
    os.unlink(path)
    return numbers


def presented(path):
    """(begin, end) of the presented pictures by the packets' times, in order, from the first one's begin; seconds.
    The last one ends where its stream does, if the container says (an edit list may cut it)."""
    def ask(what):
        return subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", what, "-of",
                               "csv=p=0", path], capture_output=True, text=True, check=True).stdout.split()

    tick = Fraction(ask("stream=time_base")[0].rstrip(","))
    rows = [line.split(",")[:3] for line in ask("packet=pts,duration,flags")]
    begins = sorted(int(pts) * tick for pts, _, flags in rows if "D" not in flags)
    lasts = {int(pts) * tick: int(duration) * tick for pts, duration, _ in rows if duration != "N/A"}
    nexts = [*begins[1:], begins[-1] + lasts[begins[-1]]]
    shown = [(pts - begins[0], pts - begins[0] + lasts.get(pts, end - pts)) for pts, end in zip(begins, nexts)]
    length = ask("stream=duration_ts")[0].rstrip(",")
    if length != "N/A" and int(length) * tick - shown[-1][0] > Fraction(1, 1000):  # else nobody knew
        shown[-1] = shown[-1][0], min(shown[-1][1], int(length) * tick)
    return shown


def frames_on_grid(times, fps):
    return int(times[-1][1] * fps + Fraction(1, 2))


def shown_on_grid(times, fps):
    """Which of the pictures presented at these times each frame of a grid shows: the nearest, of two the earlier."""
    out, i = [], 0
    for at in (n / fps for n in range(frames_on_grid(times, fps))):
        while i + 1 < len(times) and abs(times[i + 1][0] - at) < abs(times[i][0] - at):
            i += 1
        out.append(i)
    return out
