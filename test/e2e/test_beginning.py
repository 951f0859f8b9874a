# SPDX-License-Identifier: BSD-2-Clause
"""A source that has to be scanned, and is long: it plays from its beginning while the rest is read."""
import concurrent.futures
import json

import pytest

import browser
import exact
from edge import Playlist
from peers import Origin, until

FRAMES = 60 * 25
CONFIG = {"workers": {"first": "2MiB"}, "ladder": [{"short_side": 360, "maxrate": 800000, "crf": 24}]}


@pytest.fixture
def slow(clip, media_dir):
    """slow(name) -> an origin that keeps what lies behind 4 MB to itself until it is cleared."""
    origins = []

    def make(name):
        clip(name)
        origins.append(Origin(media_dir))
        origins[-1].fault("hold", n=4000000, count=0)
        return origins[-1]

    yield make
    for o in origins:
        o.clear()
        o.stop()


def video_of(edge, name):
    _, folder, _ = Playlist(edge, name).renditions()[0]
    return folder


def listed(edge, folder):
    answer = edge.get(folder + "index.m3u8")
    assert answer.status == 200, answer
    text = answer.text
    return answer, text, [l for l in text.splitlines() if l and l[0] != "#"]


def test_plays_while_it_is_scanned(start, slow, tmp_path):
    origin = slow("minute.ts")
    edge = start(origin.url, config=CONFIG)
    folder = video_of(edge, "minute.ts")
    answer, text, first = listed(edge, folder)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text and "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES" in text
    assert "#EXT-X-ENDLIST" not in text and 2 <= len(first) < 10
    assert answer.header("Cache-Control") == "public, max-age=1" and not answer.header("ETag")
    early = [edge.ok(folder + n) for n in ["init.mp4", *first]]
    assert edge.metrics()["probes_total"] == 1, "the rest is not there yet"
    status = json.loads(edge.get("/status", port=edge.admin_port).body)
    assert [p["source"] for p in status["probes"]] == ["minute.ts"]
    whole = edge.get(folder.rstrip("/") + ".mp4")
    assert whole.status == 504 and "not known yet" in whole.json["detail"] and whole.header("Retry-After")

    # What lies behind, and what depends on the end, waits for it.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        late = pool.submit(edge.get, folder + "14.m4s")
        mpd = pool.submit(edge.get, "/minute.ts/manifest.mpd")
        until(lambda: edge.metrics()["http_connections"] >= 2, "both ask")
        origin.clear()
        assert late.result().status == mpd.result().status == 200
    answer, whole, names = until(lambda: [a for a in [listed(edge, folder)] if "ENDLIST" in a[1]], "it has an end")[0]
    assert answer.header("Cache-Control").endswith("immutable") and answer.header("ETag")
    assert names[:len(first)] == first and len(names) == 15
    head = text.split("#EXT-X-MAP")[0].replace("#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n", "")
    assert whole.startswith(head) and whole.split("#EXT-X-MAP")[1].startswith(text.split("#EXT-X-MAP")[1])

    # Made of the beginning or of all: the same bytes, and every picture once.
    known = start(origin.url, config=CONFIG)
    known.ok("/minute.ts/manifest.mpd")
    assert video_of(known, "minute.ts") == folder
    assert [known.ok(folder + n) for n in ["init.mp4", *first]] == early
    assert known.metrics()["probes_total"] == 2
    _, renditions = exact.fetch(known, "minute.ts")
    for r in renditions:
        exact.check_playlist(r, exact.check_chain(r))
    exact.check_promises(renditions[0], renditions[1:])
    assert exact.barcodes(renditions[0], tmp_path) == list(range(FRAMES))


@pytest.mark.parametrize("name", [pytest.param("minute." + e, marks=pytest.mark.long) for e in ("flv", "avi", "mpg", "ogv", "mkv", "webm")])
def test_other_containers(name, start, clip, media_dir, tmp_path):
    """The recipes of a beginning are those of all, and what is made of either is the same."""
    clip(name)
    edge = start(media_dir, config=CONFIG)
    entry = edge.ok(f"/{name}/master.m3u8")
    folder = video_of(edge, name)
    early = [edge.ok(folder + n) for n in ("init.mp4", "0.m4s", "1.m4s")]
    known = start(media_dir, config=CONFIG)
    known.ok(f"/{name}/manifest.mpd")
    assert known.metrics()["probes_total"] == 2, "it broke off once"
    assert all(l in known.ok(f"/{name}/master.m3u8").decode() for l in entry.decode().splitlines())
    assert [known.ok(folder + n) for n in ("init.mp4", "0.m4s", "1.m4s")] == early
    _, renditions = exact.fetch(known, name)
    assert exact.barcodes(renditions[0], tmp_path) == list(range(FRAMES))


@pytest.mark.long
def test_a_scan_leaves_what_is_read(start, slow):
    """All of a long source goes by, and the beginning, which is being watched, is not asked for again."""
    origin = slow("minute.ts")
    edge = start(origin.url, config=dict(CONFIG, cache={"source_blocks": "4MiB"}))
    folder = video_of(edge, "minute.ts")
    edge.ok(folder + "0.m4s")
    origin.clear()
    until(lambda: "ENDLIST" in listed(edge, folder)[1], "it has an end")
    assert edge.metrics()["origin_bytes_total"] > 6 << 20, "more than there is room for"
    origin.log()
    edge.ok(folder + "1.m4s")
    assert [e["range"] for e in origin.log("minute.ts") if e["method"] == "GET"] == []


def test_the_rest_cannot_be_scanned(start, clip, media_dir):
    """It says so, and does not pretend to go on for ever."""
    edge = start(media_dir, config=dict(CONFIG, workers={"first": "2MiB", "probe_bytes": "5MiB"}))
    url = video_of(edge, clip("minute.ts"))
    answer = until(lambda: [a for a in [edge.get(url + "index.m3u8")] if a.status != 200], "it is told")[0]
    assert answer.json["code"] == "E_LIMITS", answer
    edge.ok(url + "0.m4s")


def test_ends_while_it_scans(start, slow):
    """A server that is told to stop does not wait for a scan that nobody reads."""
    origin = slow("minute.ts")
    edge = start(origin.url, config=CONFIG)
    edge.ok("/minute.ts/master.m3u8")
    until(lambda: json.loads(edge.get("/status", port=edge.admin_port).body)["probes"], "the rest is scanned")
    edge.stop()
    assert edge.process.returncode == 0


@pytest.mark.parametrize("player", ["hls", pytest.param("shaka", marks=pytest.mark.long)])
def test_in_chromium(player, start, slow):
    """It starts at the start, learns of the end while it plays, goes there, and ends there."""
    origin = slow("minute.ts")
    edge = start(origin.url, config=CONFIG)
    r = browser.run("grow.mjs", dict(player=player, url=edge.url + "/minute.ts/master.m3u8", seconds=60, fps=25,
                                     release=origin.url + "__control?clear=1"))
    assert "failed" not in r and "pageErrors" not in r and r["errors"] == [], (r, edge.log_tail())
    assert 1 <= r["started"] < 6 and (r["known"] or 0) < 30, r
    assert all(want == got for want, got in r["pictures"]), r
