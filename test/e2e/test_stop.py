# SPDX-License-Identifier: BSD-2-Clause
"""SIGTERM with work in flight: a clean end, and nothing left behind."""
import threading
import time

import pytest

from edge import Playlist

pytestmark = pytest.mark.usefixtures("encoded_only")


def lives(pid):
    """Whether it runs still: one that is dead may wait for whoever inherited it."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_stop_under_load(start, clip, media_dir):
    edge = start(media_dir)
    p = Playlist(edge, clip("hd.mp4"))
    paths = [f + n for _, f, _ in p.renditions() for n in p.media(f)[2]]
    pids = edge.worker_pids()
    assert pids

    def view(path):
        try:
            edge.get(path)
        except OSError:
            pass  # cut, or refused
        except Exception as e:
            assert type(e).__module__ == "http.client", e

    threads = [threading.Thread(target=view, args=(path,)) for path in paths[:12]]
    for t in threads:
        t.start()
    edge.wait_metric("jobs_running", lambda v: v >= 1)
    assert edge.stop() == 0, edge.log_tail()
    for t in threads:
        t.join()
    end = time.monotonic() + 20  # they are killed as we end, not before
    while left := [pid for pid in pids if lives(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)
