# SPDX-License-Identifier: BSD-2-Clause
"""A variant of master-ts.m3u8, and what has to be in it: the pictures and sounds of the fMP4, by the standard's rules."""
import random
from fractions import Fraction

import ts
from edge import Playlist


class Muxed:
    """One variant with all its bytes, fetched in any order."""

    def __init__(self, playlist, name, folder, attrs, order=None):
        edge = playlist.edge
        self.name, self.folder, self.attrs = name, folder, attrs
        self.text, self.durations, self.names = playlist.media(folder)
        wanted = list(self.names)
        (order or random.Random(7).shuffle)(wanted)
        got = {n: edge.ok(folder + n) for n in wanted}
        self.segments = [got[n] for n in self.names]
        reader = ts.Reader()
        self.read = [reader.read(s) for s in self.segments]

    def whole(self, path):
        with open(path, "wb") as f:
            f.write(b"".join(self.segments))
        return path


def fetch(edge, asset, order=None):
    p = Playlist(edge, asset, "master-ts.m3u8")
    return [Muxed(p, *r, order=order) for r in p.renditions()]


def check_video(m, video):
    """The same coded pictures at the same times, headers in front of each IDR picture [35, 36]."""
    avcc, step = video.init.config, video.fragments[0][0].samples[0].duration
    sets = [avcc[8:8 + int.from_bytes(avcc[6:8], "big")]]
    rest = avcc[8 + len(sets[0]):]
    sets.append(rest[3:3 + int.from_bytes(rest[1:3], "big")])
    for segment, fragments in zip(m.read, video.fragments):
        time = fragments[0].time
        samples = [s for f in fragments for s in f.samples]
        assert len(segment.video) == len(samples)
        assert min(p.pts for p in segment.video) == ts.ticks(time, video.init.timescale)
        for pes, sample in zip(segment.video, samples):
            units = ts.nal_units(pes.data)
            want = [b"\x09\xf0", *(sets if sample.sync else []), *lengths(sample.data)]
            assert units == want and pes.random_access == sample.sync, m.name
            assert pes.pts == ts.ticks(time + sample.offset, video.init.timescale)
            assert pes.dts == ts.ticks(time - 2 * step, video.init.timescale)
            time += sample.duration


def lengths(sample):
    """The NAL units of an avc1 sample."""
    at, out = 0, []
    while at < len(sample):
        n = int.from_bytes(sample[at:at + 4], "big")
        out.append(sample[at + 4:at + 4 + n])
        at += 4 + n
    return out


def check_audio(m, audio):
    for segment, fragments in zip(m.read, audio.fragments):
        frames = [(audio.init.channels, s.data) for f in fragments for s in f.samples]
        assert [f for p in segment.audio for f in ts.adts_frames(p.data)] == frames
        time = fragments[0].time
        for pes in segment.audio:
            assert pes.pts == pes.dts == ts.ticks(time, audio.init.timescale)
            time += 1024 * len(ts.adts_frames(pes.data))


def rates(m):
    return [8 * len(b) / Fraction(d) for b, d in zip(m.segments, m.durations)]


def check_variant(m, others):
    """Against the fMP4 renditions of the same asset."""
    videos = [r for r in others if r.video]
    audio = next((r for r in others if r.name == "audio-0"), None)
    video = next((r for r in videos if r.name == m.name), None)
    lead = video or audio
    assert m.name == lead.name and m.durations == lead.durations
    assert m.text.replace(".ts\n", ".m4s\n").replace("VERSION:3", "VERSION:7") == \
        lead.text.replace('#EXT-X-MAP:URI="init.mp4"\n', "")
    assert m.folder != lead.folder and m.names == [f"{k}.ts" for k in range(len(m.names))]
    kinds = {ts.H264} if video and not audio else {ts.AAC} if not video else {ts.H264, ts.AAC}
    assert all(set(s.kinds.values()) == kinds for s in m.read)
    if video:
        check_video(m, video)
        assert {k: m.attrs[k] for k in ("CODECS", "RESOLUTION", "FRAME-RATE")} == \
            {k: video.attrs[k] for k in ("CODECS", "RESOLUTION", "FRAME-RATE")}
    if audio:
        check_audio(m, audio)
    assert max(rates(m)) <= int(m.attrs["BANDWIDTH"])
