# SPDX-License-Identifier: BSD-2-Clause
"""One ceiling for all memory: what is counted, what is refused at it, and that it passes."""
import concurrent.futures
import os
import socket
import subprocess

import pytest

from edge import BUILD, Playlist
from peers import Raw, Shelf, until

pytestmark = pytest.mark.usefixtures("encoded_only")

MIB = 1 << 20
# Segments of a megabyte that are made in no time.
LADDER = [{"short_side": 180, "maxrate": 2000000, "crf": 15}]


def small(in_use):
    return {"memory": "1GiB", "ladder": LADDER, "cache": {"in_use": in_use, "disk_enabled": False},
            "http": {"entry_age": "1h"}}


@pytest.fixture
def shelf(media_dir, clip, tmp_path):
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf", os.path.join(media_dir, clip("tiny-noise.mp4")))


class Slow(Raw):
    """A client that reads the header of the answer and leaves the rest where it is."""

    def __init__(self, edge, path):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", edge.port))
        self.input = self.socket.makefile("rb", 512)
        self.get(path)
        self.status, self.fields = self.head()


def shares(edge):
    """{name: (share, used)} of /status; nobody may use more than its share."""
    memory = edge.get("/status", port=edge.admin_port).json["memory"]
    ceiling = memory.pop("ceiling")
    assert sum(s["share"] for s in memory.values()) <= ceiling
    for name, s in memory.items():
        assert 0 <= s["used"] <= s["share"], (name, s)
    return {name: (s["share"], s["used"]) for name, s in memory.items()}


def segment(edge, asset):
    """Path of a segment that nobody has made yet; its playlist is there."""
    p = Playlist(edge, asset)
    folder = next(f for n, f, _ in p.renditions() if n == "180p")
    return folder + p.media(folder)[2][0]


def test_slow_readers(start, shelf):
    """Each holds an object of its own, until there is no room for another; when they leave, there is."""
    edge = start(shelf.folder, config=small("8MiB"))
    paths = [segment(edge, shelf.take()) for _ in range(20)]
    held, refused = [], None
    for path in paths:
        s = Slow(edge, path)
        if s.status != 200:
            refused = s
            break
        held.append(s)
        edge.wait_metric("jobs_running", lambda n: n == 0, 60)
        assert shares(edge)["cache.in_use"][1] > len(held) * 900_000, edge.log_tail(5)
    assert refused and 5 < len(held) < len(paths) - 5, len(held)
    assert refused.status == 504 and refused.fields["retry-after"]
    assert b'"E_BUSY"' in refused.input.read(int(refused.fields["content-length"]))

    # As long as they stay, no other segment is made; what is there is served.
    for path in paths[len(held):]:
        a = edge.get(path)
        assert a.status == 504 and a.json["code"] == "E_BUSY", a
    for path in paths:
        edge.ok(path.replace("0.m4s", "index.m3u8"))
    m = edge.metrics()
    assert m["cache_refused_total"] >= len(paths) - len(held) + 1
    assert m["encodes_video_total"] == len(held)
    shares(edge)

    for s in [refused, *held]:
        s.__exit__()
    until(lambda: shares(edge)["cache.in_use"][1] == 0, "all is given back")
    for path in paths[-2:]:
        assert edge.ok(path)
    # What the slow ones held is kept, as far as that goes.
    assert edge.ok(paths[0]) and edge.metrics()["encodes_video_total"] == len(held) + 2


def test_no_room_for_a_segment(start, shelf):
    """What its playlist promises has to find room before a byte is sent: nobody's body is cut."""
    edge = start(shelf.folder, config=small("1536KiB"))
    edge.ok(segment(edge, shelf.take()))  # alone it has room
    other, path = (segment(edge, shelf.take()) for _ in range(2))
    slow = Slow(edge, other)
    edge.wait_metric("jobs_running", lambda n: n == 0)
    a = edge.get(path)
    assert a.status == 504 and a.json["code"] == "E_BUSY", a
    m = edge.metrics()
    assert m["encodes_video_total"] == 2 and m["cache_refused_total"] == 1
    shares(edge)
    slow.__exit__()
    until(lambda: shares(edge)["cache.in_use"][1] == 0, "all is given back")
    assert edge.ok(path)


def test_six_hundred_at_once(start, media_dir, clip, tmp_path):
    """More than may wait: each is served or told to come again, nothing is made twice, and then all is well."""
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", os.path.join(media_dir, clip("tiny.mp4")))
    edge = start(shelf.folder, config={"workers": {"count": 2, "queue": 4}})
    paths = [f + leaf for p in (Playlist(edge, shelf.take()) for _ in range(5)) for _, f, _ in p.renditions()
             for leaf in p.media(f)[2]]
    with concurrent.futures.ThreadPoolExecutor(600) as pool:
        answers = list(pool.map(edge.get, (paths * 15)[:600]))
    refused = [a for a in answers if a.status != 200]
    assert 0 < len(refused) < 600
    assert all(a.status == 504 and a.header("retry-after") and a.json["code"] == "E_BUSY" for a in refused), refused[:3]
    for path in paths:
        edge.ok(path)
    m = edge.metrics()
    assert m["encodes_video_total"] + m["encodes_audio_total"] == len(paths) and m["workers_crashed_total"] == 0


def arenas(pid):
    """Those of malloc but its first: 64 MiB of addresses each, of which some can be used."""
    size = 64 * MIB
    with open(f"/proc/{pid}/maps") as f:
        maps = [(*(int(x, 16) for x in line.split()[0].split("-")), line.split()[1]) for line in f]
    return sum(start % size == 0 and end == rest and last == start + size and mode == "---p"
               for (start, end, _), (rest, last, mode) in zip(maps, maps[1:]))


@pytest.mark.parametrize("env, count", [({}, range(2)), ({"MALLOC_ARENA_MAX": "1"}, [0])])
def test_few_arenas(env, count, start, shelf):
    """Else what one thread has freed is of no use to another, and a server grows for a day."""
    edge = start(shelf.folder, env=env)
    edge.ok("/" + shelf.take() + "/master.m3u8")
    assert arenas(edge.process.pid) in count


def configured(tmp_path, *args, **env):
    p = subprocess.run([os.path.join(BUILD, "tidemill"), *args, tmp_path], capture_output=True, text=True, timeout=60,
                       env={**os.environ, **{"TIDEMILL_" + k: v for k, v in env.items()}})
    return p.returncode, p.stdout, p.stderr


def test_what_is_too_much(tmp_path):
    """Refused before anything starts, and every share is named."""
    status, _, err = configured(tmp_path, "-t", MEMORY="1GiB", CACHE_MEMORY="2GiB")
    assert status == 78 and err.startswith("tidemill: memory: 1GiB is too little, ")
    for name in ("workers ", "cache.memory 2048MiB", "cache.in_use ", "the server itself ", "lower one of these"):
        assert name in err, err
    assert configured(tmp_path, "-t", MEMORY="4GiB", CACHE_MEMORY="2GiB")[0] == 0
    status, out, err = configured(tmp_path, "-T", MEMORY="1GiB")
    assert status == 0 and '"memory": "1GiB"' in out
    assert err.startswith("memory: workers ") and "spare 64MiB" in err


# ---- of a worker

def resident(pid):
    """Bytes of memory that are its own."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))


def faults(pid):
    """Pages that it was given when it touched them."""
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[7])


def test_the_warmest_worker(start, media_dir, clip):
    """What one worker can do after the other is done by one: the others' memory stays with the machine."""
    edge = start(media_dir, config={"workers": {"count": 3, "probes": 1}})
    p = Playlist(edge, clip("hd.mp4"))
    folder = next(f for n, f, _ in p.renditions() if n == "audio-0")
    edge.ok(folder + "init.mp4")
    before = {pid: faults(pid) for pid in edge.worker_pids()}
    for name in p.media(folder)[2]:
        edge.ok(folder + name)
    assert len([pid for pid in before if faults(pid) > before[pid] + 50]) == 1


@pytest.mark.long
def test_a_workers_memory(start, media_dir, clip):
    """What a segment lay in the next one lies in; when none comes for a while, the machine has it again."""
    edge = start(media_dir, config={"workers": {"count": 1, "probes": 1}})
    p = Playlist(edge, clip("hd.mp4"))
    folder = next(f for n, f, _ in p.renditions() if n == "720p")
    names = p.media(folder)[2]
    before = {pid: faults(pid) for pid in edge.worker_pids()}
    edge.ok(folder + names[0])
    worker = max(before, key=lambda pid: faults(pid) - before[pid])
    first = faults(worker) - before[worker]
    edge.ok(folder + names[1])
    second = faults(worker) - before[worker] - first
    assert first > 20_000 and second < 0.6 * first, (first, second)
    most = resident(worker)
    assert most > 120 * MIB
    until(lambda: resident(worker) < most // 2, "memory that is given back", 60)
    edge.ok(folder + names[2])
    assert worker in edge.worker_pids()
