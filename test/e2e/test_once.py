# SPDX-License-Identifier: BSD-2-Clause
"""Made once, for whoever asks; and for nobody, not at all."""
import concurrent.futures
import hashlib
import os
import random
import re
import signal
import socket

import pytest

import exact
from edge import Playlist
from peers import until

pytestmark = pytest.mark.usefixtures("encoded_only")


def first_video(edge, name):
    p = Playlist(edge, name)
    return next(r for r in p.renditions() if r[0] != "audio-0")


def test_storm_on_one_cold_segment(start, clip, media_dir):
    edge = start(media_dir)
    _, folder, _ = first_video(edge, clip("base.mp4"))
    before = edge.metrics()["encodes_video_total"]
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        bodies = list(pool.map(lambda _: edge.ok(folder + "1.m4s"), range(200)))
    assert len({hashlib.sha256(b).hexdigest() for b in bodies}) == 1
    assert edge.metrics()["encodes_video_total"] == before + 1


def test_storm_on_a_cold_asset(start, clip, media_dir):
    """Twenty viewers of everything at once: one probe, one encode of each segment."""
    edge = start(media_dir)
    name = clip("short.mp4")

    def view(_):
        p = Playlist(edge, name)
        return [edge.ok(f + n) for _, f, _ in p.renditions() for n in p.media(f)[2]]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(view, range(20)))
    assert all(s == seen[0] for s in seen)
    m = edge.metrics()
    assert m["probes_total"] == 1
    assert m["encodes_video_total"] + m["encodes_audio_total"] == len(seen[0])


def leave_after_request(edge, path):
    s = socket.create_connection(("127.0.0.1", edge.port))
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


def test_what_would_wait_too_long_hears_it_at_once(start, clip, media_dir):
    """By what the first segment took; what is there is served meanwhile, and later all is."""
    edge = start(media_dir, env={"TIDEMILL_WORKERS_COUNT": "1", "TIDEMILL_WORKERS_QUEUE_WAIT": "100ms"})
    _, folder, _ = max(Playlist(edge, clip("hd.mp4")).renditions(), key=lambda r: int(r[2].get("BANDWIDTH", 0)))
    first = edge.ok(folder + "0.m4s")
    client = leave_after_request(edge, folder + "1.m4s")  # about a second of work, as the first was
    edge.wait_metric("jobs_running", lambda n: n == 1)
    late = edge.get(folder + "2.m4s")
    assert late.status == 504 and late.json["code"] == "E_BUSY"
    assert re.search(r"it would wait \d+ ms for a worker", late.text)
    assert int(late.header("retry-after")) >= 1
    assert edge.ok(folder + "0.m4s") == first
    client.close()
    edge.wait_metric("jobs_running", lambda n: n == 0)
    edge.ok(folder + "2.m4s")


@pytest.mark.parametrize("passthrough", ["true", "false"])
def test_who_begins_waits_at_the_door(passthrough, start, clip, media_dir):
    """Who watches already has a place in the queue; his work is as long."""
    edge = start(media_dir, env={"TIDEMILL_WORKERS_COUNT": "1", "TIDEMILL_WORKERS_PATIENCE": "100ms",
                                 "TIDEMILL_MEDIA_PASSTHROUGH": passthrough})
    watched, other = [r[1] for r in Playlist(edge, clip("hd.mp4")).renditions() if not r[1].endswith("/source/")][:2]
    edge.ok(watched + "0.m4s")
    running, waiting = (leave_after_request(edge, f"{watched}{n}.m4s?CMCD=sid%3D%22one%22") for n in (1, 2))
    edge.wait_metric("jobs_running", lambda n: n == 1)
    edge.wait_metric("jobs_queued", lambda n: n == 1)
    late = [edge.get(other + "0.m4s", {"CMCD-Session": 'sid="two"'})]
    # Of what nobody knows yet, there may be the source's own video, for which nobody has to wait.
    entry = edge.get(f"/{clip('base.mp4')}/master.m3u8", {"CMCD-Session": 'sid="three"'})
    late += [entry] if passthrough == "false" else []
    assert entry.status == (504 if passthrough == "false" else 200)
    assert edge.metrics()["probes_total"] == 1 + (passthrough == "true")
    for a in late:
        assert a.status == 504 and a.json["code"] == "E_BUSY" and int(a.header("retry-after")) >= 1
    running.close()
    assert waiting.recv(20).startswith(b"HTTP/1.1 200")
    waiting.close()
    edge.wait_metric("jobs_running", lambda n: n == 0)
    edge.ok(other + "0.m4s")
    edge.ok(f"/{clip('base.mp4')}/master.m3u8")


def test_what_is_nearly_made_goes_on(start, clip, media_dir):
    """Nearly: within a minute, of a second.  Of nothing like it, or before its first bytes, nobody knows."""
    edge = start(media_dir, env={"TIDEMILL_WORKERS_SALVAGE": "1m"})
    _, folder, _ = first_video(edge, clip("hd.mp4"))
    for n, outcome in (0, (0, 0)), (1, (1, 2)):
        client = leave_after_request(edge, f"{folder}{n}.m4s")
        assert client.recv(20).startswith(b"HTTP/1.1 200")
        client.close()
        edge.wait_metric("jobs_running", lambda v: v == 0)
        m = edge.metrics()
        assert (m["jobs_salvaged_total"], m["encodes_video_total"]) == outcome
        edge.ok(f"{folder}{n}.m4s")
    assert edge.get(folder + "1.m4s").header("cache-status") == "tidemill; hit; detail=memory"
    assert edge.metrics()["encodes_video_total"] == 2


def test_last_reader_leaves(start, clip, media_dir):
    """The encode stops, nothing partial is kept, and the next one gets right bytes."""
    edge = start(media_dir)
    _, folder, _ = first_video(edge, clip("hd.mp4"))
    client = leave_after_request(edge, folder + "1.m4s")
    edge.wait_metric("jobs_running", lambda v: v == 1)
    client.close()
    edge.wait_metric("jobs_cancelled_total", lambda v: v == 1)
    edge.wait_metric("jobs_running", lambda v: v == 0)
    m = edge.metrics()
    assert m["encodes_video_total"] == 0 and m["workers_crashed_total"] == 0
    assert m["http_clients_gone_total"] == 1
    line = re.compile(rf"{re.escape(folder)}1.m4s (499|200) \d+B .*client-gone")
    until(lambda: any(map(line.search, edge.lines)), "the access line")
    body = edge.ok(folder + "1.m4s")
    assert body == start(media_dir).ok(folder + "1.m4s")


def test_one_of_two_readers_leaves(start, clip, media_dir):
    edge = start(media_dir)
    _, folder, _ = first_video(edge, clip("hd.mp4"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        stays = pool.submit(edge.ok, folder + "0.m4s")
        edge.wait_metric("jobs_running", lambda v: v == 1)
        leave_after_request(edge, folder + "0.m4s").close()
        assert len(stays.result()) > 0
    assert edge.metrics()["jobs_cancelled_total"] == 0


@pytest.mark.parametrize("name", ["opengop.mp4", "snow.mp4"])  # noise, at which the maxrate binds throughout
def test_history_free(name, start, clip, media_dir):
    """Any order, one or eight at once, one or more workers, one part or two at once, a fresh worker for each: the
    same bytes from each of four servers."""
    clip(name)
    runs = [
        (dict(), lambda l: l.sort(), 1),
        (dict(), lambda l: l.sort(reverse=True), 8),
        (dict(TIDEMILL_WORKERS_COUNT="1", TIDEMILL_WORKERS_PARTS="2"), random.Random(3).shuffle, 8),
        (dict(TIDEMILL_WORKERS_COUNT="3", TIDEMILL_WORKERS_JOBS="1"), random.Random(4).shuffle, 3),
    ]
    seen = []
    for env, order, at_once in runs:
        _, renditions = exact.fetch(start(media_dir, env=env), name, order=order, at_once=at_once)
        seen.append({r.name: r.hashes() for r in renditions})
    assert all(s == seen[0] for s in seen)


@pytest.mark.parametrize("name, resumed", [("gop12.mp4", 4), ("gop12.mkv", 2), ("base.mp4", 0)])
def test_no_picture_is_decoded_twice(name, resumed, start, clip, media_dir):
    """By who watches segment after segment, whichever worker is free; and the same bytes as for who begins at the
    end."""
    clip(name)
    seen = []
    for reverse in False, True:
        edge = start(media_dir, env={"TIDEMILL_WORKERS_COUNT": "3", "TIDEMILL_WORKERS_AHEAD": "0"})
        _, folder, _ = first_video(edge, name)
        paths = [folder + uri for uri in Playlist(edge, name).media(folder)[2]]
        seen.append(sorted((p, hashlib.sha256(edge.ok(p)).hexdigest()) for p in sorted(paths, reverse=reverse)))
        m = edge.metrics()
        if not reverse:
            assert m["decoders_resumed_total"] == resumed
            assert m["frames_decoded_total"] == m["frames_encoded_total"] > 0
            assert m["first_pictures_us_total"] > 0
    assert seen[0] == seen[1]


RUNGS = [{"short_side": 240, "maxrate": 500000, "crf": 24}, {"short_side": 180, "maxrate": 300000, "crf": 24},
         {"short_side": 120, "maxrate": 200000, "crf": 24, "codec": "hevc"}]


@pytest.mark.parametrize("name", ["base.mp4", "tff.mp4"])
def test_rungs_share_a_decode(name, start, clip, media_dir):
    """Those of one segment that wait for the one worker are made of one decode, and are the same as when each is made
    alone."""
    clip(name)
    config = {"ladder": RUNGS, "workers": {"count": 1, "ahead": 0}}

    def open_edge():
        edge = start(media_dir, config=config)
        folders = [f for _, f, a in Playlist(edge, name).renditions() if "RESOLUTION" in a]
        assert len(folders) == len(RUNGS)
        return edge, [f + "0.m4s" for f in folders], folders[0] + "1.m4s"

    def decoded(edge):
        return edge.metrics()["frames_decoded_total"]

    alone, paths, other = open_edge()
    alone.ok(other)
    before = decoded(alone)
    want = [alone.ok(p) for p in paths]
    together, _, _ = open_edge()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for pid in together.worker_pids():
            os.kill(pid, signal.SIGSTOP)
        pool.submit(together.ok, other)
        together.wait_metric("jobs_running", lambda v: v == 1)
        made = [pool.submit(together.ok, p) for p in paths]
        together.wait_metric("jobs_queued", lambda v: v == len(paths))
        for pid in together.worker_pids():
            os.kill(pid, signal.SIGCONT)
        assert [m.result() for m in made] == want
    assert together.metrics()["decodes_shared_total"] == 2
    assert (decoded(together) - before) * 3 == decoded(alone) - before
    assert alone.metrics()["decodes_shared_total"] == 0


def test_killed_workers_change_nothing(start, clip, media_dir):
    """Workers are killed under load: every request is answered, with the same bytes."""
    import threading
    name = clip("base.mp4")
    want = {r.name: r.hashes() for r in exact.fetch(start(media_dir), name)[1]}
    edge = start(media_dir)
    stop = threading.Event()

    def made():
        m = edge.metrics()
        return m["encodes_video_total"] + m["encodes_audio_total"]

    def killer():
        rng, seen = random.Random(5), 0
        while not stop.wait(0.05):
            if made() > seen:  # one down for each segment that gets through
                seen = made()
                os.kill(rng.choice(edge.worker_pids()), signal.SIGKILL)

    t = threading.Thread(target=killer)
    t.start()
    try:
        got = {r.name: r.hashes() for r in exact.fetch(edge, name, at_once=2)[1]}
    finally:
        stop.set()
        t.join()
    assert edge.metrics()["workers_lost_total"] > 0
    assert got == want
