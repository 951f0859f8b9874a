# SPDX-License-Identifier: BSD-2-Clause
"""The list of videos and the player page, as a visitor's Chromium shows them."""
import os
import shutil

import pytest

import browser
from edge import ROOT, quote

NAMES = ["100% #1?.mp4", "<b>bold & co.mp4", "a \"quoted\" 'name'.mp4", "semi;colon=.mp4",
         "two  spaces/ßüß/日本語 🎬.mp4"]
WIDTHS = [360, 1440]


def visit(edge, path, *do, width=1440, **kw):
    return dict(url=edge.url + path, width=width, do=do, **kw)


def look(edge, *visits, console=0):
    """What was to be seen at the end of each visit; they may all make so many console lines."""
    r = browser.run("look.mjs", visits)
    assert "failed" not in r, (r, edge.log_tail())
    for v in r["visits"]:
        assert "failed" not in v, (v["failed"], v["seen"][-1], edge.log_tail())
        assert len(v["console"]) == console, v["console"]
        assert all(s["overflow"] <= 0 for s in v["seen"]), "it scrolls sideways"
    return [v["seen"][-1] for v in r["visits"]]


@pytest.fixture
def shelf(tmp_path, clip, media_dir):
    """A folder with awkward names."""
    folder = tmp_path / "shelf"
    for name in NAMES:
        os.makedirs(os.path.dirname(folder / name), exist_ok=True)
        shutil.copy(os.path.join(media_dir, clip("gop12.mp4")), folder / name)
    for name in ".hidden.mp4", "notes.txt", "back\\slash.mp4", "new\nline.mp4", b"latin-\xe9.mp4":
        open(os.path.join(os.fsencode(folder), os.fsencode(name)), "w").close()
    return folder


def test_list(start, shelf):
    edge = start(shelf)
    for seen in look(edge, *[visit(edge, "/", width=w) for w in WIDTHS]):
        assert seen["links"] == [[" ".join(n.split()), f"/{quote(n)}/play"] for n in NAMES]


def test_pages_of_the_list(tmp_path, start):
    """Exactly two pages; a name may be longer than most buffers."""
    deep = "d" * 200 + "/" + "e" * 200 + "/"
    os.makedirs(tmp_path / "many" / deep)
    names = sorted([f"{i:03}.mp4" for i in range(50)] + [f"{deep}{i:03}.mp4" for i in range(150)])
    for n in names:
        open(tmp_path / "many" / n, "w").close()
    edge = start(tmp_path / "many")
    [first] = look(edge, visit(edge, "/"))
    [second] = look(edge, visit(edge, first["links"][-1][1], width=360))
    assert first["links"][-1][0] == "Next page" and second["links"][-1] == ["First page", "/"]
    assert [l[0] for l in first["links"][:-1] + second["links"][:-1]] == names


def test_the_source_has_its_name(start, clip, media_dir):
    edge = start(media_dir)
    [seen] = look(edge, visit(edge, f"/{clip('hd.mp4')}/play", "rung:source"))
    labels = [label for label, _ in seen["rungs"]]
    assert labels[0] == "Auto" and labels.count("source") == 1 and len(set(labels)) == len(labels)
    assert seen["video"]["height"] == 1080


def test_a_rung_chosen_before_another_has_begun(start, clip, media_dir):
    """hls.js would wait for ever."""
    edge = start(media_dir)
    do = "held", "rung:source", "play"
    [seen] = look(edge, visit(edge, f"/{clip('hd.mp4')}/play", *do, hold="**/*p/init.mp4"))
    assert [label for label, state in seen["rungs"] if state == "chosen playing"] == ["source"]


def test_player(start, shelf):
    """It plays, a click on a rung switches, and the table says what the cache did."""
    edge, name = start(shelf), NAMES[2]
    do = "play", "seek:9", "rung:240p", "rung:360p"
    for seen in look(edge, *[visit(edge, f"/{quote(name)}/play", *do, width=w, dark=w == 360) for w in WIDTHS]):
        assert name in seen["title"] and name in seen["text"] and seen["problem"] == ""
        assert seen["rungs"] == [["Auto", ""], ["240p", ""], ["360p", "chosen playing"]]
        assert seen["video"]["height"] == 360 and not seen["video"]["paused"]
        loads = {segment.split("/")[0]: words for segment, words, *_ in seen["rows"]}
        assert set(loads) == {"240p", "360p", "audio-0"}
        assert "" not in loads.values(), loads


def test_strip(start, clip, media_dir, tmp_path):
    """Pointing at the bar shows the storyboard's picture, of one sheet; a click goes there."""
    edge, page = start(media_dir), f"/{clip('gop12.mp4')}/play"
    at = lambda width, *do: look(edge, visit(edge, page, "play", *do, width=width))[0]
    assert at(1440)["tile"] is None and edge.metrics()["encodes_sheets_total"] == 0
    for width in WIDTHS:
        assert at(width, "hover:10")["tile"] == ['0.jpg")', "-512px 0px"]  # 2.4 of 24 s
    assert at(1440, "hover:1", "hover:36")["tile"] == ['0.jpg")', "0px -288px"]  # 8.64 s
    assert edge.metrics()["encodes_sheets_total"] == 1
    seen = at(360, "press:80")
    assert seen["tile"] == ['1.jpg")', "-768px 0px"] and abs(seen["video"]["time"] - 19.2) < 1.5


def test_poster(start, clip, media_dir):
    """Only where the browser does not let the page start."""
    edge, page = start(media_dir), f"/{clip('gop12.mp4')}/play"
    [free] = look(edge, visit(edge, page, "play"))
    assert free["video"]["poster"] is None and edge.metrics()["encodes_sheets_total"] == 0
    [held] = look(edge, visit(edge, page, "poster", no_autoplay=True))
    assert held["video"]["poster"] == "poster.jpg"
    edge.wait_metric("encodes_sheets_total", lambda n: n == 1)


def test_second_visit(start, clip, media_dir, tmp_path):
    """Whoever comes later is told that the server, or the own browser, had it already."""
    page, cache = f"/{clip('brief.mp4')}/play", tmp_path / "cache"
    edge = start(media_dir, cache=cache)
    new = visit(edge, page, "ended")
    again = visit(edge, page, "ended", "visit", "ended")
    views = look(edge, new, new, again)
    edge.stop()
    edge = start(media_dir, cache=cache)
    views += look(edge, visit(edge, page, "ended"))
    first, second, third, restarted = [{row[1] for row in v["rows"]} for v in views]
    assert first == {"made now"} and second == {"memory"} and restarted == {"disk"}
    assert "browser" in third <= {"browser", "memory"}  # a browser may ask again


def test_sound(start, sound):
    edge = start(sound)
    [seen] = look(edge, visit(edge, "/sound.mp4/play", "play"))
    assert [label for label, _ in seen["rungs"]] == ["Auto", "Sound"] and seen["problem"] == ""


def test_problems_are_sentences(start, tmp_path):
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    edge = start(tmp_path)
    sentences = {
        "text": "The source is of a kind that is not supported: this is no video or audio file of a kind that is "
                "read.",
        "missing": "There is no video at this address.",
    }
    visits = [visit(edge, f"/{n}.mp4/play", "play", width=w) for n in sentences for w in WIDTHS]
    views = look(edge, *visits, console=2)  # hls.js and the page each asked for the playlist
    assert [v["problem"] for v in views] == [s for s in sentences.values() for _ in WIDTHS]
    assert all(v["rows"] == v["rungs"] == [] for v in views)


def test_server_goes_away(start, clip, media_dir):
    edge = start(media_dir)
    page = visit(edge, f"/{clip('gop12.mp4')}/play", "play", f"kill:{edge.process.pid}", "told:trying again")
    [v] = browser.run("look.mjs", [page])["visits"]
    assert "failed" not in v, v
    assert v["seen"][-1]["problem"] == "The server does not answer; trying again."


def test_nothing_to_list(start, clip, media_dir, tmp_path):
    (tmp_path / "empty").mkdir()
    folder, web = start(tmp_path / "empty"), start("http://127.0.0.1:9/videos/")
    a, b = look(folder, visit(folder, "/", width=360), visit(web, "/", width=360))
    assert "No videos here." in a["text"]
    assert "cannot be listed" in b["text"] and "/path/to/video.mp4/play" in b["text"]


@pytest.fixture
def bare_web(tmp_path):
    """What we serve to pages, without hls.js."""
    folder = tmp_path / "web"
    folder.mkdir()
    for name in "style.css", "player.js":
        shutil.copy(os.path.join(ROOT, "web", name), folder)
    return {"TIDEMILL_WEB": str(folder)}


def test_without_hls_js(start, clip, media_dir, bare_web):
    edge = start(media_dir, env=bare_web)
    page = f"/{clip('brief.mp4')}/play"
    native, neither = look(edge, visit(edge, page, "ended"), visit(edge, page, "play", no_hls=True))
    assert native["problem"] == "" and "The browser chooses" in native["text"]
    assert neither["problem"] == \
        "This browser cannot play HLS by itself, and hls.js is not installed on this server."
    [seen] = look(edge, visit(edge, "/missing.mp4/play", "play"), console=2)
    assert seen["problem"] == "There is no video at this address."
