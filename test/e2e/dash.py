# SPDX-License-Identifier: BSD-2-Clause
"""An MPD by the schema's order and types (ISO/IEC 23009-1), and against the bytes of the segments that it names."""
import re
import xml.etree.ElementTree as xml
from fractions import Fraction
from urllib.parse import urljoin

import exact
from edge import quote

NS = "{urn:mpeg:dash:schema:mpd:2011}"
COUNT, POSITIVE, RATIO = r"\d+", r"[1-9]\d*", r"[1-9]\d*/[1-9]\d*"
DURATION, SHAPE, YES = r"PT\d+\.\d{6}S", r"1:1", "true"
# Of each element: its attributes (those that may be missing with a "?"), its children in their order.
RULES = {
    "MPD": ({"profiles": "urn:mpeg:dash:profile:isoff-live:2011", "type": "static", "mediaPresentationDuration": DURATION,
             "minBufferTime": DURATION}, "Period"),
    "Period": ({"id": "0", "start": "PT0S"}, "AdaptationSet( AdaptationSet)*"),
    "AdaptationSet": ({"id?": "[1-6]", "contentType": "video|audio|text|image",
                       "mimeType": "(video|audio)/mp4|text/vtt|image/jpeg", "lang?": "[a-z]{2,3}(-[a-zA-Z0-9]+)*",
                       "maxPlayoutRate?": POSITIVE, "codingDependency?": "false", "segmentAlignment?": YES,
                       "startWithSAP?": "1"}, "(Label Role |EssentialProperty )?SegmentTemplate( Representation)+"),
    "EssentialProperty": ({"schemeIdUri": "http://dashif.org/guidelines/(trickmode|thumbnail_tile)|"
                                          "urn:mpeg:mpegB:cicp:TransferCharacteristics", "value": r"[1-9]\d*(x\d+)?"}, ""),
    "Label": ({}, ""),
    "Role": ({"schemeIdUri": "urn:mpeg:dash:role:2011",
              "value": "main|alternate|dub|commentary|description|subtitle|caption|forced-subtitle"}, ""),
    "SegmentTemplate": ({"timescale": POSITIVE, "duration?": POSITIVE, "startNumber": "0",
                         "initialization?": r"\$RepresentationID\$/init.mp4",
                         "media": r"\$RepresentationID\$/\$Number\$\.(m4s|vtt|jpg)"}, "(SegmentTimeline)?"),
    "SegmentTimeline": ({}, "S( S)*"),
    "S": ({"t?": "0", "d": POSITIVE, "r?": POSITIVE}, ""),
    "Representation": ({"id": "[0-9a-f]{32}/[a-z0-9-]+", "bandwidth": POSITIVE, "codecs?": "[a-zA-Z0-9.]+", "width?": POSITIVE,
                        "height?": POSITIVE, "sar?": SHAPE, "frameRate?": RATIO, "audioSamplingRate?": POSITIVE},
                       "(AudioChannelConfiguration|EssentialProperty)?( ?SegmentTemplate)?"),
    "AudioChannelConfiguration": ({"schemeIdUri": "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
                                   "value": "[126]"}, ""),
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


def folder_of(representation, url):
    """Where the templates of that manifest say that its segments are."""
    return urljoin(url, representation.get("id") + "/")


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


def check_promises(r, made):
    """The same as HLS says, and as the bytes are [28]."""
    if not made.video:
        assert int(r.get("audioSamplingRate")) == made.init.timescale
        assert made.durations and all(int(r.get("bandwidth")) >= rate for rate in exact.rates(made))
        return
    attrs = made.attrs
    assert r.get("codecs") in attrs["CODECS"].split(",")
    assert f"{r.get('width')}x{r.get('height')}" == attrs["RESOLUTION"] == f"{made.init.width}x{made.init.height}"
    rate = f"{float(Fraction(r.get('frameRate'))):.3f}"
    assert rate == attrs.get("FRAME-RATE", rate)  # HLS has none of trick play
    assert max(exact.rates(made)) <= int(r.get("bandwidth")) <= int(attrs["BANDWIDTH"])


def check_times(adaptation, r, made):
    """Each S is what the boxes of its segment say, although a set has one timescale [29]."""
    times, timescale = timeline(adaptation, r)
    told = [(Fraction(start, timescale), Fraction(duration, timescale)) for start, duration in times]
    assert told == [(fragments[0].time / made.ticks, sum(f.duration for f in fragments) / made.ticks)
                    for fragments in made.fragments], made.name
    return sum(told[-1])


def check(edge, asset, renditions):
    """manifest.mpd names the renditions given (all that HLS has of moving pictures, of stills for fast play, and of
    sound) by the same URLs, says of them what is so, and nothing that the standard does not know."""
    url = f"/{quote(asset)}/manifest.mpd"
    mpd = xml.fromstring(edge.ok(url))
    check_rules(mpd)
    wanted, ends = {r.name: r for r in renditions}, []
    for adaptation in mpd.iter(NS + "AdaptationSet"):
        kind = adaptation.get("contentType")
        for r in adaptation.iter(NS + "Representation") if kind in ("video", "audio") else ():
            made = wanted.pop(r.get("id").split("/")[1])
            assert folder_of(r, url) == made.folder
            check_promises(r, made)
            ends.append(check_times(adaptation, r, made))
    assert not wanted
    length = Fraction(mpd.get("mediaPresentationDuration")[2:-1])
    assert 0 <= length - max(ends) < Fraction(1, 10**6)  # all can be played, and no more
    return mpd
