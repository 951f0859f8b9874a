# SPDX-License-Identifier: BSD-2-Clause
"""The MPD: by the schema's order and types (ISO/IEC 23009-1), and against the bytes of the segments it names."""
import re
import xml.etree.ElementTree as xml
from fractions import Fraction
from urllib.parse import urljoin

import pytest

import boxes
import sheets
from edge import Playlist, quote

NS = "{urn:mpeg:dash:schema:mpd:2011}"
COUNT, POSITIVE, RATIO = r"\d+", r"[1-9]\d*", r"[1-9]\d*/[1-9]\d*"
DURATION, SHAPE, YES = r"PT\d+\.\d{6}S", r"1:1", "true"
# Of each element: its attributes (those that may be missing with a "?"), its children in their order.
RULES = {
    "MPD": ({"profiles": "urn:mpeg:dash:profile:isoff-live:2011", "type": "static", "mediaPresentationDuration": DURATION,
             "minBufferTime": DURATION}, "Period"),
    "Period": ({"id": "0", "start": "PT0S"}, "AdaptationSet( AdaptationSet)*"),
    "AdaptationSet": ({"id?": "1", "contentType": "video|audio|text|image",
                       "mimeType": "(video|audio)/mp4|text/vtt|image/jpeg", "lang?": "[a-z]{2,3}(-[a-zA-Z0-9]+)*",
                       "maxPlayoutRate?": POSITIVE, "codingDependency?": "false", "segmentAlignment?": YES,
                       "startWithSAP?": "1"}, "(Label Role |EssentialProperty )?SegmentTemplate( Representation)+"),
    "EssentialProperty": ({"schemeIdUri": "http://dashif.org/guidelines/(trickmode|thumbnail_tile)",
                           "value": r"1|\d+x\d+"}, ""),
    "Label": ({}, ""),
    "Role": ({"schemeIdUri": "urn:mpeg:dash:role:2011",
              "value": "main|alternate|dub|commentary|description|subtitle|caption|forced-subtitle"}, ""),
    "SegmentTemplate": ({"timescale": POSITIVE, "duration?": POSITIVE, "startNumber": "0", "initialization?": "init.mp4",
                         "media": r"\$Number\$\.(m4s|vtt|jpg)"}, "(SegmentTimeline)?"),
    "SegmentTimeline": ({}, "S( S)*"),
    "S": ({"t?": "0", "d": POSITIVE, "r?": POSITIVE}, ""),
    "Representation": ({"id": "[a-z0-9-]+", "bandwidth": POSITIVE, "codecs?": "[a-zA-Z0-9.]+", "width?": POSITIVE,
                        "height?": POSITIVE, "sar?": SHAPE, "frameRate?": RATIO, "audioSamplingRate?": POSITIVE},
                       "(AudioChannelConfiguration |EssentialProperty )?BaseURL( SegmentTemplate)?"),
    "AudioChannelConfiguration": ({"schemeIdUri": "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
                                   "value": "[126]"}, ""),
    "BaseURL": ({}, ""),
}


def check_rules(e):
    assert e.tag.startswith(NS)
    name = e.tag[len(NS):]
    attributes, children = RULES[name]
    for key, pattern in attributes.items():
        value = e.get(key.rstrip("?"))
        assert (key.endswith("?") and value is None) or re.fullmatch(pattern, value), (name, key, value)
    assert set(e.attrib) <= {k.rstrip("?") for k in attributes}, (name, e.attrib)
    assert re.fullmatch(children, " ".join(c.tag[len(NS):] for c in e)), name
    for child in e:
        check_rules(child)


def timeline(adaptation, representation=None):
    """(start, duration) of each segment in ticks, and how many there are a second."""
    own = representation.find(NS + "SegmentTemplate") if representation is not None else None
    template = adaptation.find(NS + "SegmentTemplate") if own is None else own
    at, out = 0, []
    for s in template.iter(NS + "S"):
        for _ in range(int(s.get("r", 0)) + 1):
            out.append((at, int(s.get("d"))))
            at += int(s.get("d"))
    assert template.find(f"{NS}SegmentTimeline/{NS}S").get("t") == "0"
    return out, int(template.get("timescale"))


def check_bytes(edge, folder, times, timescale):
    """Each S is what the boxes of its segment say [29]."""
    assert boxes.parse_init(edge.ok(folder + "init.mp4")).timescale == timescale
    for k, (start, duration) in enumerate(times):
        fragments = boxes.parse_segment(edge.ok(f"{folder}{k}.m4s"))
        assert (fragments[0].time, sum(f.duration for f in fragments)) == (start, duration), (folder, k)
    assert edge.get(f"{folder}{len(times)}.m4s").status == 404


@pytest.mark.parametrize("name", ["base.mp4", "2997.mkv", "noaudio.mp4", "one.mp4", "rot90.mp4", "uneven.mp4"])
def test_manifest(name, start, clip, media_dir):
    edge = start(media_dir)
    url = f"/{quote(clip(name))}/manifest.mpd"
    answer = edge.get(url)
    assert answer.status == 200 and answer.header("content-type") == "application/dash+xml"
    mpd = xml.fromstring(answer.body)
    check_rules(mpd)
    hls = Playlist(edge, name)
    wanted = {r: (folder, attrs) for r, folder, attrs in hls.renditions() + hls.tricks()}
    ends = {}
    for adaptation in mpd.iter(NS + "AdaptationSet"):
        if adaptation.get("contentType") == "image":
            continue
        times, timescale = timeline(adaptation)
        ends[adaptation.get("contentType")] = Fraction(sum(times[-1]), timescale)
        for r in adaptation.iter(NS + "Representation"):
            folder, attrs = wanted.pop(r.get("id"))
            assert urljoin(url, r.find(NS + "BaseURL").text) == folder
            check_bytes(edge, folder, *timeline(adaptation, r))
            check_promises(r, attrs, edge.ok(folder + "init.mp4"))
    assert not wanted
    length = Fraction(mpd.get("mediaPresentationDuration")[2:-1])
    assert 0 <= length - ends["video"] < Fraction(1, 10**6)


def check_promises(r, attrs, init):
    """The same as HLS says, and as the bytes are [28]."""
    track = boxes.parse_init(init)
    if track.kind != "vide":
        assert int(r.get("audioSamplingRate")) == track.timescale
        return
    assert r.get("codecs") in attrs["CODECS"].split(",")
    assert f"{r.get('width')}x{r.get('height')}" == attrs["RESOLUTION"] == f"{track.width}x{track.height}"
    rate = f"{float(Fraction(r.get('frameRate'))):.3f}"
    assert rate == attrs.get("FRAME-RATE", rate)  # HLS has none of trick play
    assert int(r.get("bandwidth")) <= int(attrs["BANDWIDTH"])


@pytest.mark.parametrize("name, step", [("base.mp4", Fraction(1)), ("2997.mkv", Fraction(30030, 30000)),
                                        ("one.mp4", Fraction(1))])
def test_thumbnails(name, step, start, clip, media_dir, tmp_path):
    """The storyboard's own sheets: tile k of them, by DASH's rule, is the one that the map names for its time."""
    edge = start(media_dir)
    url = f"/{quote(clip(name))}/manifest.mpd"
    mpd = xml.fromstring(edge.ok(url))
    [images] = [a for a in mpd.iter(NS + "AdaptationSet") if a.get("contentType") == "image"]
    template, r = images.find(NS + "SegmentTemplate"), images.find(NS + "Representation")
    columns, rows = map(int, r.find(NS + "EssentialProperty").get("value").split("x"))
    width, height = int(r.get("width")) // columns, int(r.get("height")) // rows
    duration = Fraction(int(template.get("duration")), int(template.get("timescale")))
    assert duration == step * columns * rows
    board = sheets.Storyboard(edge, name, tmp_path)
    for k, (begin, _, sheet, area) in enumerate(board.cues):
        assert 0 <= begin - k * step < Fraction(1, 1000)
        n, tile = divmod(k, columns * rows)
        assert urljoin(url, r.find(NS + "BaseURL").text + template.get("media").replace("$Number$", str(n))) == \
            urljoin(url, sheet)
        assert area == (tile % columns * width, tile // columns * height, width, height)
    total = Fraction(mpd.get("mediaPresentationDuration")[2:-1])
    assert len(board.sheets) == -(-total // duration)
    for body in board.sheets.values():
        assert 8 * len(body) / duration <= int(r.get("bandwidth"))


def test_sound_alone(sound, start):
    edge = start(sound)
    mpd = xml.fromstring(edge.ok("/sound.mp4/manifest.mpd"))
    check_rules(mpd)
    [adaptation] = mpd.iter(NS + "AdaptationSet")
    times, timescale = timeline(adaptation)
    [r] = adaptation.iter(NS + "Representation")
    check_bytes(edge, urljoin("/sound.mp4/manifest.mpd", r.find(NS + "BaseURL").text), times, timescale)


def test_entered_by_the_manifest_alone(start, clip, media_dir):
    """Its URLs are good without master.m3u8 having been asked for, also after a restart with another ladder."""
    name = clip("short.mp4")
    before = start(media_dir)
    mpd = xml.fromstring(before.ok(f"/{name}/manifest.mpd"))
    folder = urljoin(f"/{name}/manifest.mpd", next(mpd.iter(NS + "BaseURL")).text)
    body = before.ok(folder + "0.m4s")
    assert before.stop() == 0
    after = start(media_dir, config={"ladder": [{"short_side": 90, "maxrate": 100000, "crf": 30}]}, cache=before.cache)
    assert after.ok(folder + "0.m4s") == body
    assert after.ok(folder + "init.mp4")


def test_compressed(start, clip, media_dir):
    edge = start(media_dir)
    url = f"/{clip('short.mp4')}/manifest.mpd"
    plain, packed = edge.get(url), edge.get(url, {"Accept-Encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip" and packed.header("etag") != plain.header("etag")
    assert "max-age" in plain.header("cache-control") and "immutable" not in plain.header("cache-control")
    assert edge.get(url, {"If-None-Match": plain.header("etag")}).status == 304
