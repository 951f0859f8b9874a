# SPDX-License-Identifier: BSD-2-Clause
"""What an answer from memory costs in system calls, as strace sees them."""
import collections
import ctypes
import os
import re
import struct
import subprocess

import pytest

from edge import Playlist
from peers import Raw

CLIENTS, ROUNDS, GOES = 8, 50, 5

# One HTTP thread, for two would share the clients as it comes; and no disk tier, which writes behind.
CONFIG = {"http": {"threads": 1}, "cache": {"disk_enabled": False}, "admin": ""}


def http_thread(pid):
    """Its id."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as f:
            if f.read() == "http\n":
                return thread
    raise AssertionError("no HTTP thread")


def hits(clients, path):
    """All ask before one reads, so that the server finds many at once."""
    for c in clients:
        c.get(path)
    for c in clients:
        status, fields = c.head()
        c.input.read(int(fields["content-length"]))
        assert status == 200 and fields["cache-status"] == "tidemill; hit; detail=memory"


def traced(pid, out, work):
    """{thread: {system call: how often}} of a process while work is done."""
    strace = subprocess.Popen(["strace", "-f", "-o", out, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    said = strace.stderr.readline()
    if "attached" not in said:
        strace.communicate()
        pytest.skip(f"strace may not look at the server here: {said.strip()}")
    work()
    strace.terminate()
    strace.communicate()
    calls = collections.defaultdict(collections.Counter)
    with open(out) as f:
        for thread, call in re.findall(r"^(\d+) +(\w+)\(", f.read(), re.M):
            calls[thread][call] += 1
    return calls


def time_slice(thread):
    """In ns; None where the kernel is one that does not tell (before Linux 6.12)."""
    SCHED_GETATTR = 315 if os.uname().machine == "x86_64" else 275
    attr = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(SCHED_GETATTR, int(thread), attr, len(attr), 0) == 0
    return struct.unpack("=IIQiIQQQ", attr.raw)[5] or None


def test_hits_do_not_wait_for_workers(start, media_dir):
    """Where the kernel knows of slices: who serves has shorter ones than who encodes."""
    edge = start(media_dir, config=CONFIG)
    serves, encodes = time_slice(http_thread(edge.process.pid)), [time_slice(p) for p in edge.worker_pids()]
    assert all(serves == e is None or serves == 100_000 < e for e in encodes) and encodes, (serves, encodes)


@pytest.mark.skipif("SANITIZED" in os.environ, reason="sanitizers make calls of their own")
def test_system_calls_of_a_small_hit(start, clip, media_dir, tmp_path):
    """One reads, one writes; the wait for events is shared by those who come together, as many as the machine lets."""
    edge = start(media_dir, config=CONFIG)
    path = Playlist(edge, clip("tiny.mp4")).renditions()[0][1] + "index.m3u8"
    edge.ok(path)
    pid, least = edge.process.pid, 9
    clients = [Raw(edge) for _ in range(CLIENTS)]
    hits(clients, path)
    for _ in range(GOES):
        calls = traced(pid, tmp_path / "strace", lambda: [hits(clients, path) for _ in range(ROUNDS)])
        elsewhere = set().union(*calls.values()) & {"open", "openat", "openat2", "stat", "newfstatat", "connect"}
        assert not elsewhere, calls
        ours = calls[http_thread(pid)]
        assert ours["recvfrom"] == ours["sendmsg"] == CLIENTS * ROUNDS, ours
        least = min(least, sum(ours.values()) / (CLIENTS * ROUNDS))
        if least <= 2.2:
            break
    for c in clients:
        c.__exit__()
    assert least <= 2.2, ours
