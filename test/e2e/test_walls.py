# SPDX-License-Identifier: BSD-2-Clause
"""What a worker has of the machine: its socket, its limits, and a voice that is listened to with care."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from edge import BUILD, Playlist
from peers import fetch, until

pytestmark = pytest.mark.usefixtures("encoded_only")

MIB = 1 << 20

# Sanitizer builds keep standard error for their reports.
plain_build = pytest.mark.skipif("SANITIZED" in os.environ, reason="sanitizers write to standard error")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def descriptors(pid):
    """{number: what it is} of a process."""
    folder = f"/proc/{pid}/fd"
    return {int(n): os.readlink(f"{folder}/{n}") for n in os.listdir(folder)}


def limits(pid):
    """{name: (soft, hard)} of a process."""
    with open(f"/proc/{pid}/limits") as f:
        return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in f}


def make_one_of_all(edge, clip):
    """A probe, a header, pictures and sound, so that workers have worked."""
    p = Playlist(edge, clip)
    for _, folder, _ in p.renditions():
        edge.ok(folder + "0.m4s")


def check_walls(server):
    zygote, = children(server)
    workers = children(zygote)
    assert len(workers) >= 2
    nothing = {n: "/dev/null" for n in (0, 1, 2)}
    for pid in workers:
        have = descriptors(pid)
        assert re.fullmatch(r"socket:\[\d+\]", have.pop(3)), have
        assert have == nothing, have
    have = descriptors(zygote)
    assert have.pop(3).startswith("socket:") and have.pop(4) == "anon_inode:[signalfd]"
    assert have == nothing, have
    for pid in workers:
        limit = limits(pid)
        assert limit["Max file size"] == limit["Max core file size"] == ("0", "0")
        assert limit["Max open files"] == ("16", "16")


@plain_build
def test_a_socket_and_nothing_else(start, clip, media_dir):
    edge = start(media_dir)
    make_one_of_all(edge, clip("brief.mp4"))
    check_walls(edge.process.pid)


@plain_build
def test_log_is_a_file(tmp_path, media_dir):
    """That a worker cannot write to either."""
    log = tmp_path / "log"
    with open(log, "wb") as f:
        server = subprocess.Popen([os.path.join(BUILD, "tidemill"), "-l", "127.0.0.1:0", "-d", tmp_path / "cache", media_dir],
                                  stdin=subprocess.DEVNULL, stderr=f)
    try:
        until(lambda: b"ready:" in log.read_bytes(), "it is ready")
        check_walls(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


@pytest.fixture
def damaged(tmp_path, clip, media_dir):
    """A folder with a film whose pictures are full of holes."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    path = shutil.copy(os.path.join(media_dir, clip("tiny.mp4")), folder / "damaged.mp4")
    with open(path, "r+b") as f:
        data = f.read()
        for at in range(data.find(b"mdat") + 3000, len(data), 700):
            f.seek(at)
            f.write(b"\xa5" * 40)
    return folder


def worker_lines(edge):
    return [line for line in edge.lines if " worker: process " in line]


def test_what_libav_says(start, damaged):
    """It is heard when somebody wants to know, in its worker's name."""
    edge = start(damaged, env={"TIDEMILL_LOG_LEVEL": "debug", "TIDEMILL_CACHE_NEGATIVE": "0s"})
    folder = next(f for _, f, _ in Playlist(edge, "damaged.mp4").renditions())
    for _ in range(3):
        edge.get(folder + "1.m4s")
    said = [line for line in worker_lines(edge) if " libav: " in line]
    assert said and all(" debug worker: process " in line for line in said), said[:3]


@plain_build
def test_memory(start, clip, media_dir):
    """A job that needs more than its worker may have fails, is no crime of its source, and hurts nobody."""
    edge = start(media_dir, env={"TIDEMILL_WORKERS_MEMORY": "80MiB", "TIDEMILL_WORKERS_COUNT": "1"})
    pids = edge.worker_pids()
    for pid in pids:
        data, addresses = (int(limits(pid)[name][1]) for name in ("Max data size", "Max address space"))
        assert 40 * MIB <= data < 80 * MIB + 64 * MIB and addresses <= 80 * MIB + 1024 * MIB
    small, large = clip("tiny.mp4"), clip("hd.mp4")
    for _, folder, _ in Playlist(edge, large).renditions():
        status, fields, body, whole = fetch(edge, folder + "0.m4s")
        if status == 504:
            assert b'"E_NO_MEMORY"' in body and fields["retry-after"]
        assert status in (200, 504)
        assert not (status == 200 and whole and "1080p" in folder), "that was enough"
    make_one_of_all(edge, small)
    m = edge.metrics()
    assert m["sources_poisoned_total"] == m["workers_crashed_total"] == 0
    # One encodes and the others probe; all may still have what their last jobs had, and what they were born with.
    assert 0 < m["workers_memory_bytes"] < (80 + 40 * (len(pids) - 1) + 16 * len(pids)) * MIB


def test_nobody_wants_to_know(start, damaged):
    edge = start(damaged)
    folder = next(f for _, f, _ in Playlist(edge, "damaged.mp4").renditions())
    edge.get(folder + "1.m4s")
    assert not [line for line in edge.lines if " libav: " in line]
