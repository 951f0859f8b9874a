# SPDX-License-Identifier: BSD-2-Clause
"""What breaks: the server, Redis, the disk, what was cached, workers, sources."""
import concurrent.futures
import hashlib
import os
import random
import shutil
import signal
import struct
import subprocess
import threading

import pytest

from edge import BUILD, Edge, Playlist, without_averages
from peers import Raw, Redis, Shelf, fetch, until

pytestmark = pytest.mark.usefixtures("encoded_only")

ENVELOPE = 48


def paths_of(edge, asset):
    """All URLs below the asset's recipes; makes playlists only."""
    p = Playlist(edge, asset)
    return [f + leaf for _, f, _ in p.renditions() for leaf in ("index.m3u8", "init.mp4", *p.media(f)[2])]


def digest(body):
    return hashlib.sha256(body).hexdigest()


class Golden:
    """{path: hash} of a few assets, by a server that nothing happened to."""

    def __init__(self, edge, assets):
        self.assets = assets
        self.hashes = {p: digest(edge.ok(p)) for a in assets for p in paths_of(edge, a)}
        self.paths = sorted(self.hashes)

    def check(self, edge, paths=None, threads=4):
        """Fetches all (or these) in random order; every byte has to be right."""
        wanted = list(paths or self.paths)
        random.Random(1).shuffle(wanted)
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            for path, body in zip(wanted, pool.map(edge.ok, wanted)):
                assert digest(body) == self.hashes[path], path


@pytest.fixture(scope="module")
def shelf(media_dir, clip, tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("faults"), os.path.join(media_dir, clip("tiny.mp4")))


@pytest.fixture(scope="module")
def golden(shelf, tmp_path_factory):
    e = Edge(shelf.folder, tmp_path_factory.mktemp("golden") / "cache")
    g = Golden(e, [shelf.take(), shelf.take()])
    assert e.stop() == 0
    return g


def objects(cache):
    """Paths of the cached files."""
    return [os.path.join(d, f) for d, _, files in os.walk(os.path.join(cache, "objects")) for f in files]


def made(edge):
    m = edge.metrics()
    return m["encodes_video_total"] + m["encodes_audio_total"] + m["inits_total"] + m["probes_total"]


# ---- the server is killed

def kill_under_load(start, shelf, golden, tmp_path, times):
    rng = random.Random(11)
    cache = tmp_path / "killed"
    for _ in range(times):
        edge = start(shelf.folder, cache=cache)
        assert not os.listdir(cache / "tmp"), "a leftover"
        enough = threading.Event()
        left = rng.randrange(1, 30)
        lock = threading.Lock()

        def load(seed):
            nonlocal left
            mine = random.Random(seed)
            while not enough.is_set():
                path = mine.choice(golden.paths)
                try:
                    status, _, body, whole = fetch(edge, path)
                except (OSError, AssertionError):  # killed meanwhile
                    return
                if status == 200 and whole:
                    assert digest(body) == golden.hashes[path], path
                with lock:
                    left -= 1
                    if left == 0:
                        enough.set()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = [pool.submit(load, rng.random()) for _ in range(8)]
            enough.wait(60)
            zygote = open(f"/proc/{edge.process.pid}/task/{edge.process.pid}/children").read().split()
            edge.kill()
            enough.set()
            for r in runs:
                r.result()
        until(lambda: not any(os.path.exists(f"/proc/{z}") for z in zygote), "the workers end with the server")
        # As if it had been cut in the middle of a write.
        (cache / "tmp" / ("0123456789abcdef" * 2 + ".7")).write_bytes(b"half of an obj")
        # The next one finds half of the objects only, so that there is something to do.
        for path in rng.sample(objects(cache), len(objects(cache)) // 2):
            os.unlink(path)
    edge = start(shelf.folder, cache=cache)
    assert not os.listdir(cache / "tmp"), "a leftover"
    golden.check(edge)
    assert edge.metrics()["cache_corrupt_total"] == 0


def test_killed_server(start, shelf, golden, tmp_path):
    kill_under_load(start, shelf, golden, tmp_path, 3)


@pytest.mark.long
def test_server_killed_thirty_times(start, shelf, golden, tmp_path):
    kill_under_load(start, shelf, golden, tmp_path, 30)


def test_stopped_under_load(start, shelf, golden, tmp_path):
    """An orderly stop: whole answers or refusals, exit status 0, and all that was made is kept."""
    cache = tmp_path / "stopped"
    edge = start(shelf.folder, cache=cache)
    first = threading.Event()

    def load(path):
        try:
            status, _, body, whole = fetch(edge, path)
        except (OSError, AssertionError):
            return
        if status == 200 and whole:
            assert digest(body) == golden.hashes[path]
            first.set()
        else:
            assert status in (200, 504, 0), status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(load, p) for p in golden.paths]
        assert first.wait(60)
        assert edge.stop() == 0
        for r in runs:
            r.result()
    assert not os.listdir(cache / "tmp")
    again = start(shelf.folder, cache=cache)
    golden.check(again)


# ---- Redis

@pytest.fixture
def redis(tmp_path):
    if not Redis.program():
        pytest.skip("redis-server is not installed")
    r = Redis(tmp_path)
    yield r
    r.resume()
    r.stop()


def with_redis(redis, timeout="10s", **more):
    """A timeout that no healthy Redis exceeds, but where that is the point."""
    return {"TIDEMILL_REDIS_URL": redis.url, "TIDEMILL_REDIS_TIMEOUT": timeout, **more}


def await_writers(edge, redis, paths):
    """Until these and their assets' indexes are in all tiers; an answer may be out before its object is counted."""
    n = len(paths) + len({p.split("/")[1] for p in paths})

    def written():
        m = edge.metrics()
        return m["cache_memory_objects"] == m["cache_disk_objects"] == len(redis.keys()) == n
    until(written, "all objects are in Redis")


def test_second_server_makes_nothing(start, shelf, golden, redis):
    """Two servers with one Redis and a cache folder each."""
    first = start(shelf.folder, env=with_redis(redis))
    golden.check(first)
    assert made(first) == len([p for p in golden.paths if "index" not in p]) + len(golden.assets)
    await_writers(first, redis, golden.paths)
    second = start(shelf.folder, env=with_redis(redis))
    for asset in golden.assets:
        a, b = (without_averages(e.ok(f"/{asset}/master.m3u8").decode()) for e in (first, second))
        assert a == b
    a = second.get(golden.paths[0])
    assert a.header("cache-status") == "tidemill; hit; detail=redis"
    golden.check(second)
    m = second.metrics()
    assert made(second) == 0 and m["cache_hits_redis_total"] >= len(golden.paths) and m["redis_errors_total"] == 0
    # What came from there is now in the nearer tier.
    second.stop()
    redis.kill()
    third = start(shelf.folder, cache=second.cache, env=with_redis(redis))
    golden.check(third)
    assert made(third) == 0 and third.metrics()["cache_hits_disk_total"] >= len(golden.paths)


def test_redis_is_killed(start, shelf, golden, redis):
    edge = start(shelf.folder, env=with_redis(redis, TIDEMILL_REDIS_RETRY="10ms"))
    half = len(golden.paths) // 2
    golden.check(edge, golden.paths[:half])
    redis.kill()
    golden.check(edge, golden.paths[half:])
    m = edge.metrics()
    assert m["redis_errors_total"] > 0 and m["redis_breaker_open"] == 1
    # It comes back, empty, and is found again.
    redis.start()

    def asks():
        edge.ok(f"/{shelf.take()}/master.m3u8")
        return edge.metrics()["redis_breaker_open"] == 0

    until(asks, "Redis is asked again")
    until(redis.keys, "Redis is written to again")


def test_redis_is_not_there_at_start(start, shelf, golden, redis):
    redis.kill()
    edge = start(shelf.folder, env=with_redis(redis))
    golden.check(edge)
    assert edge.metrics()["redis_breaker_open"] == 1


def test_redis_is_paused(start, shelf, golden, redis):
    """One request waits for its timeout, once; all others find the breaker open."""
    edge = start(shelf.folder, env=with_redis(redis, "1s", TIDEMILL_REDIS_RETRY="10m"))
    half = len(golden.paths) // 2
    golden.check(edge, golden.paths[:half])
    await_writers(edge, redis, golden.paths[:half])
    assert edge.metrics()["redis_errors_total"] == 0
    redis.pause()
    golden.check(edge, golden.paths[half:], threads=1)
    assert edge.metrics()["redis_errors_total"] == 1
    # What is in memory never asks.
    golden.check(edge)
    assert edge.metrics()["redis_errors_total"] == 1


def test_redis_is_paused_under_load(start, shelf, golden, redis):
    """Those who were waiting at that moment each wait for one timeout at most, and then nobody."""
    edge = start(shelf.folder, env=with_redis(redis, "50ms", TIDEMILL_REDIS_RETRY="10m"))
    redis.pause()
    golden.check(edge, threads=8)
    # Eight viewers; what they wait for may be asked for by an index, and by two writers.
    assert 1 <= edge.metrics()["redis_errors_total"] <= 8 * 2 + 2


def test_redis_is_flushed(start, shelf, golden, redis):
    edge = start(shelf.folder, env=with_redis(redis))
    stop = threading.Event()

    def flush():
        while not stop.wait(0.02):
            redis.ask("FLUSHALL")

    t = threading.Thread(target=flush)
    t.start()
    try:
        golden.check(edge)
    finally:
        stop.set()
        t.join()
    assert edge.metrics()["redis_errors_total"] == 0
    golden.check(start(shelf.folder, env=with_redis(redis)))


def rubbish(redis, rng):
    """Spoils every key of ours, each in another way."""
    keys = sorted(redis.keys())
    values = {k: redis.ask("GET", k) for k in keys}
    big = os.urandom(6 << 20)
    for i, k in enumerate(keys):
        v = values[k]
        at = rng.randrange(len(v))
        other = values[keys[(i + 1) % len(keys)]]
        kinds = [
            lambda: redis.ask("SET", k, os.urandom(len(v))),
            lambda: redis.ask("SET", k, v[:at] + bytes([v[at] ^ 1 << rng.randrange(8)]) + v[at + 1:]),
            lambda: redis.ask("SET", k, v[:at]),
            lambda: redis.ask("SET", k, v + b"x"),
            lambda: redis.ask("SET", k, other),  # intact, but of another name
            lambda: redis.ask("SET", k, big),
            lambda: redis.ask("SET", k, b"x"),
            lambda: (redis.ask("DEL", k), redis.ask("RPUSH", k, v, v)),
            lambda: (redis.ask("DEL", k), redis.ask("HSET", k, "a", v)),
            lambda: redis.ask("SET", k, v[:ENVELOPE] + os.urandom(len(v) - ENVELOPE)),
            lambda: redis.ask("SET", k, b"<html>" * 100),
            lambda: redis.ask("SETBIT", k, 8 * (4 << 20), 1),
        ]
        kinds[i % len(kinds)]()
    return len(keys)


def test_redis_is_full_of_rubbish(start, shelf, golden, redis):
    first = start(shelf.folder, env=with_redis(redis))
    golden.check(first)
    await_writers(first, redis, golden.paths)
    assert rubbish(redis, random.Random(3)) >= len(golden.paths)
    second = start(shelf.folder, env=with_redis(redis))
    golden.check(second)
    m = second.metrics()
    # Each was read once and found bad.
    assert m["cache_corrupt_total"] == len(golden.paths) + len(golden.assets) and m["cache_hits_redis_total"] == 0
    # And replaced by good ones.
    until(lambda: second.metrics()["cache_disk_objects"] >= len(golden.paths) + len(golden.assets), "all is written")
    third = start(shelf.folder, env=with_redis(redis))
    golden.check(third)
    assert third.metrics()["cache_hits_redis_total"] > 0


# ---- the disk

@pytest.fixture
def small_disk(tmp_path):
    """small_disk(size): a file system of that size, or a skip where we may not mount one."""
    at = tmp_path / "small"
    at.mkdir()
    mounted = []

    def mount(size):
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", at], capture_output=True, text=True)
        if r.returncode:
            pytest.skip("a file system cannot be mounted here: " + r.stderr.strip())
        mounted.append(at)
        return at

    yield mount
    for m in mounted:
        subprocess.run(["umount", "-l", m], check=True)


@pytest.mark.parametrize("size, floor", [("700k", "0B"), ("700k", "300KiB"), ("700k", "1GiB")])
def test_full_disk(start, shelf, golden, small_disk, size, floor):
    disk = small_disk(size)
    edge = start(shelf.folder, cache=disk / "cache", env={"TIDEMILL_CACHE_DISK_FREE": floor})
    for _ in range(2):
        golden.check(edge)
    assert not os.listdir(disk / "cache" / "tmp")
    m = edge.metrics()
    assert m["cache_corrupt_total"] == 0
    assert m["cache_evictions_disk_total"] + m["cache_write_errors_total"] > 0
    edge.stop()
    again = start(shelf.folder, cache=disk / "cache", env={"TIDEMILL_CACHE_DISK_FREE": floor})
    golden.check(again)
    assert again.metrics()["cache_corrupt_total"] == 0


def test_disk_is_filled_by_others(start, shelf, golden, small_disk):
    disk = small_disk("4m")
    edge = start(shelf.folder, cache=disk / "cache", env={"TIDEMILL_CACHE_DISK_FREE": "0B"})
    half = len(golden.paths) // 2
    golden.check(edge, golden.paths[:half])
    try:
        with open(disk / "other", "wb") as f:
            while f.write(b"x" * 4096):
                f.flush()
    except OSError:
        pass
    golden.check(edge, golden.paths[half:])
    m = edge.metrics()
    assert m["cache_write_errors_total"] + m["cache_evictions_disk_total"] > 0
    os.unlink(disk / "other")
    n = m["cache_disk_objects"]
    golden.check(edge, [p for a in [shelf.take()] for p in same_as(golden, edge, a)])
    edge.wait_metric("cache_disk_objects", lambda v: v > n)


def same_as(golden, edge, asset):
    """Paths of another link to the clip, whose bytes are entered as known."""
    known = [p for p in golden.paths if p.startswith(f"/{golden.assets[0]}/")]
    paths = sorted(paths_of(edge, asset), key=lambda p: p.split("/")[3:])
    for mine, theirs in zip(paths, sorted(known, key=lambda p: p.split("/")[3:])):
        golden.hashes[mine] = golden.hashes[theirs]
    return [p for p in paths if not p.endswith("index.m3u8")]


def test_no_room_to_start(small_disk, shelf):
    disk = small_disk("32k")
    try:
        with open(disk / "other", "wb") as f:
            while f.write(b"x" * 4096):
                f.flush()
    except OSError:
        pass
    status, err = run_server(disk / "cache", shelf.folder)
    assert status == 1 and "No space left" in err, err


def run_server(cache, folder, env=None):
    p = subprocess.run([os.path.join(BUILD, "tidemill"), "-l", "127.0.0.1:0", "-d", cache, folder],
                       capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    return p.returncode, p.stderr


def flip(path, at, bit):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(1)[0]
        f.seek(at)
        f.write(bytes([b ^ 1 << bit]))


def spoil(paths, rng):
    """Damages each file in another way; returns how many are too short to be adopted."""
    short = 0
    for i, path in enumerate(sorted(paths)):
        n = os.path.getsize(path)
        places = [0, 4, 10, 30, 38, 44, ENVELOPE, n // 2, n - 1, rng.randrange(n)]
        if i % 12 < 10:
            flip(path, places[i % 12], rng.randrange(8))
        else:
            to = (n - 1, 0, ENVELOPE, 20)[i // 12 % 4]
            os.truncate(path, to)
            short += to < ENVELOPE
    return short


def test_flipped_bytes(start, shelf, golden, tmp_path):
    """Every kind of cached file, damaged in every place: found, counted, made anew."""
    cache = tmp_path / "flipped"
    edge = start(shelf.folder, cache=cache)
    golden.check(edge)
    n = len(golden.paths) + len(golden.assets)  # and the indexes
    edge.wait_metric("cache_disk_objects", lambda v: v >= n)
    edge.stop()
    files = objects(cache)
    spoil(files, random.Random(5))
    edge = start(shelf.folder, cache=cache)
    golden.check(edge)
    records = len(files) - n
    assert n <= edge.metrics()["cache_corrupt_total"] <= n + records
    edge.wait_metric("cache_disk_objects", lambda v: v >= n)
    edge.stop()
    edge = start(shelf.folder, cache=cache)
    golden.check(edge)
    assert made(edge) == 0 and edge.metrics()["cache_hits_disk_total"] >= len(golden.paths)


def test_damaged_records(start, shelf, tmp_path):
    """The record of a recipe that the settings would not make any more, damaged: 404, not a crash."""
    def ladder(crf):
        return {"ladder": [{"short_side": 180, "maxrate": 400000, "crf": crf}]}

    cache, asset = tmp_path / "records", shelf.take()
    edge = start(shelf.folder, cache=cache, config=ladder(20))
    folder = next(f for _, f, _ in Playlist(edge, asset).renditions())
    edge.wait_metric("cache_disk_objects", lambda v: v >= 3)
    edge.stop()
    for path in objects(cache):
        flip(path, os.path.getsize(path) - 1, 0)
    edge = start(shelf.folder, cache=cache, config=ladder(30))
    assert edge.get(folder + "0.m4s").status == 404
    assert edge.metrics()["cache_corrupt_total"] >= 2  # the index and the record


def test_bytes_flip_while_it_runs(start, shelf, golden, tmp_path):
    """With no memory to hold anything, every read comes from the disk and is checked."""
    cache = tmp_path / "live"
    edge = start(shelf.folder, cache=cache, env={"TIDEMILL_CACHE_MEMORY": "1B"})
    golden.check(edge)
    edge.wait_metric("cache_disk_objects", lambda v: v >= len(golden.paths))
    rng = random.Random(6)
    for path in rng.sample(objects(cache), 10):
        flip(path, rng.randrange(os.path.getsize(path)), rng.randrange(8))
    golden.check(edge)
    assert edge.metrics()["cache_corrupt_total"] > 0


def test_folder_is_emptied_while_it_runs(start, shelf, golden, tmp_path):
    cache = tmp_path / "emptied"
    edge = start(shelf.folder, cache=cache, env={"TIDEMILL_CACHE_MEMORY": "1B"})
    some = golden.paths[:8]
    golden.check(edge, some)
    for name in ("objects", "tmp"):  # where it may be writing just now
        until(lambda: shutil.rmtree(cache / name, True) or not (cache / name).exists(), "it is empty")
    golden.check(edge, some)
    until(lambda: len(objects(cache)) >= len(some) // 2, "objects are written again")
    golden.check(edge, some)


def test_folder_is_in_use(start, shelf, tmp_path):
    cache = tmp_path / "shared"
    first = start(shelf.folder, cache=cache)
    status, err = run_server(cache, shelf.folder)
    assert status == 1 and err.startswith("tidemill: ") and str(cache) in err and "in use" in err
    asset = shelf.take()
    assert first.ok(paths_of(first, asset)[0])
    first.kill()  # the lock goes with it
    start(shelf.folder, cache=cache)


@pytest.mark.parametrize("text", ["tidemill cache 999\n", None])
def test_folder_of_another_format(start, shelf, golden, tmp_path, text):
    """Its objects go; what is not ours stays."""
    cache = tmp_path / "format"
    edge = start(shelf.folder, cache=cache)
    golden.check(edge, golden.paths[:5])
    edge.wait_metric("cache_disk_objects", lambda v: v >= 5)
    edge.stop()
    (cache / "objects" / "README").write_text("mine")
    if text is None:
        os.unlink(cache / "format")
    else:
        (cache / "format").write_text(text)
    edge = start(shelf.folder, cache=cache)
    assert edge.metrics()["cache_disk_objects"] == 0 and any("another format" in line for line in edge.lines)
    golden.check(edge, golden.paths[:5])
    assert (cache / "objects" / "README").read_text() == "mine"
    edge.stop()
    edge = start(shelf.folder, cache=cache)
    assert edge.metrics()["cache_disk_objects"] > 0


def test_folder_cannot_be_written(shelf, tmp_path):
    (tmp_path / "file").write_text("")
    status, err = run_server(tmp_path / "file", shelf.folder)
    assert status == 1 and "cannot be used" in err


# ---- the log

class Unheard(Edge):
    hears = False


def test_log_that_nobody_reads(media_dir, tmp_path):
    """Its pipe is full, and requests are answered all the same; what is not told is counted."""
    edge = Unheard(media_dir, tmp_path / "cache")
    try:
        with Raw(edge) as c:
            for _ in range(400):  # several times what pipe and queue hold
                c.get("/" + "x" * 1900)
                status, head = c.head()
                assert status == 404 and c.input.read(int(head["content-length"]))
        assert edge.metrics()["log_lines_dropped_total"] > 0
    finally:
        assert edge.stop() == 0


# ---- workers and sources that bring them down

def cpu_ticks(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def bring_down(edge, path, how):
    """Asks for path and does that to every worker that is at work on it; returns the answer."""
    before = {pid: cpu_ticks(pid) for pid in edge.worker_pids()}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fetch, edge, path)
        hit = set()
        while not concurrent.futures.wait([answer], 0.01).done:
            for pid in set(edge.worker_pids()) - hit:
                if cpu_ticks(pid) >= before.setdefault(pid, 0) + 5:  # the others wait for work
                    hit.add(pid)
                    os.kill(pid, how)
        return answer.result()


def test_ready_says_when_no_worker_can_be_started(start, clip, media_dir, tmp_path):
    """Not ready, and why; alive all the same; and ready again by itself, though nobody asks for anything."""
    program, away = tmp_path / "tidemill-worker", tmp_path / "away"
    shutil.copy(os.path.join(BUILD, "tidemill-worker"), program)
    edge = start(media_dir, env={"TIDEMILL_WORKER": str(program), "TIDEMILL_WORKERS_COUNT": "1"})
    path = [p for p in paths_of(edge, clip("tiny.mp4")) if "audio" not in p and p.endswith(".m4s")][0]

    def page(name):
        return edge.get(name, port=edge.admin_port)

    assert page("/readyz").status == 200 and page("/readyz").text == "ok\n"
    os.rename(program, away)
    pid = edge.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGKILL)
    assert edge.get(path).status >= 500
    ready = page("/readyz")
    assert ready.status == 503 and "tidemill-worker" in ready.text and ready.text.count("\n") == 1, ready
    assert page("/livez").status == 200
    os.rename(away, program)
    until(lambda: page("/readyz").status == 200, "a worker is started")
    assert edge.get(path).status == 200


def check_refused(edge, path):
    a = edge.get(path)
    assert a.status == 422 and a.json["code"] == "E_POISONED", a
    assert a.header("cache-control") == "no-store"
    assert "brought its decoder down" in a.json["title"]


@pytest.mark.parametrize("how, env", [
    (signal.SIGSEGV, {}),
    (signal.SIGSTOP, {"TIDEMILL_WORKERS_JOB_TIME": "2s"}),
], ids=["crash", "hang"])
def test_source_that_brings_workers_down(start, clip, media_dir, how, env):
    """Two workers, and it is refused for a while; others are served, and nothing half is kept."""
    edge = start(media_dir, env={"TIDEMILL_WORKERS_COUNT": "1", "TIDEMILL_CACHE_NEGATIVE": "0s",
                                 "TIDEMILL_WORKERS_POISON": "10m", **env})
    bad, good = clip("hd.mp4"), clip("tiny.mp4")
    video = [p for p in paths_of(edge, bad) if "audio" not in p and p.endswith(".m4s")]
    status, _, _, whole = bring_down(edge, video[0], how)
    assert status == 422 or (status == 200 and not whole), (status, whole)
    m = edge.metrics()
    assert m["sources_poisoned_total"] == 1 and m["jobs_retried_total"] == 1
    assert m["encodes_video_total"] == 0
    if how == signal.SIGSEGV and "SANITIZED" not in os.environ:  # they catch it
        assert any("the worker died of signal 11 (Segmentation fault)" in line for line in edge.lines)
    for path in (video[0], video[1], video[0].replace("0.m4s", "init.mp4")):
        check_refused(edge, path)
    assert edge.metrics()["workers_started_total"] == m["workers_started_total"], "it was tried again"
    body = edge.ok([p for p in paths_of(edge, good) if "180p" in p and p.endswith("3.m4s")][0])
    assert body
    assert edge.process.poll() is None


def test_refusal_ends(start, clip, media_dir):
    edge = start(media_dir, env={"TIDEMILL_WORKERS_COUNT": "1", "TIDEMILL_CACHE_NEGATIVE": "0s",
                                 "TIDEMILL_WORKERS_POISON": "3s"})
    video = [p for p in paths_of(edge, clip("base.mp4")) if "360p/" in p and p.endswith(".m4s")]
    bring_down(edge, video[0], signal.SIGSEGV)
    assert edge.metrics()["sources_poisoned_total"] == 1
    want = start(media_dir).ok(video[0])
    assert until(lambda: edge.get(video[0]).body == want, "it is served again")


# ---- bombs

def peak_memory(edge):
    """The largest VmHWM of the worker processes, in bytes."""
    peak = 0
    for pid in edge.worker_pids():
        with open(f"/proc/{pid}/status") as f:
            peak = max([peak] + [int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM")])
    return peak


def lie_about_size(path):
    """The container says 64x64; only the bitstream knows better."""
    with open(path, "r+b") as f:
        data = f.read()
        at = data.find(b"avc1", data.find(b"stsd"))
        f.seek(at + 28)
        f.write(struct.pack(">HH", 64, 64))
        at = data.find(b"tkhd")
        f.seek(at + 80)
        f.write(struct.pack(">II", 64 << 16, 64 << 16))


@pytest.fixture(scope="module")
def bombs(media_dir):
    """A picture of 8192x8192 in a file of 200 KB: plain, lying, and in the other container."""
    folder = os.path.join(media_dir, "bombs")
    if not os.path.exists(folder):
        os.makedirs(folder + ".part", exist_ok=True)
        first = folder + ".part/bomb.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=gray:size=8192x8192:rate=25",
                        "-frames:v", "2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
                        "-movflags", "+faststart", first], check=True)
        shutil.copy(first, folder + ".part/liar.mp4")
        lie_about_size(folder + ".part/liar.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", first, "-c", "copy", folder + ".part/bomb.mkv"],
                       check=True)
        os.rename(folder + ".part", folder)
    return folder


@pytest.mark.parametrize("name", ["bomb.mp4", "liar.mp4", "bomb.mkv"])
def test_bomb(start, bombs, name):
    assert os.path.getsize(os.path.join(bombs, name)) < 200_000
    edge = start(bombs)
    a = edge.get(f"/{name}/master.m3u8")
    assert a.status == 422 and a.json["code"] in ("E_LIMITS", "E_CORRUPT"), a
    m = edge.metrics()
    assert m["workers_crashed_total"] + m["workers_killed_total"] == 0
    if "SANITIZED" not in os.environ:
        assert peak_memory(edge) < 256 << 20
