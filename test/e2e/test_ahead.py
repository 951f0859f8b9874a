# SPDX-License-Identifier: BSD-2-Clause
"""What is begun before it is asked for: for whom, and that it is what would have been made."""

import pytest

from edge import Playlist
from test_encryption import settings
from test_once import leave_after_request

pytestmark = pytest.mark.usefixtures("encoded_only")
ON = {"TIDEMILL_WORKERS_AHEAD": "1"}


def names_of(edge, name, entry):
    p = Playlist(edge, name, entry)
    _, folder, _ = p.renditions()[0]
    return [folder + n for n in p.media(folder)[2]]


@pytest.mark.parametrize("entry,config,of", [
    ("master.m3u8", None, 1),
    ("master-ts.m3u8", None, 2),  # of its video and of its sound
    ("master.m3u8", settings("aes-128"), 1),
])
def test_who_watches_has_the_next(entry, config, of, start, clip, media_dir):
    edge, plain = start(media_dir, config=config, env=ON), start(media_dir, config=config)
    paths = names_of(edge, clip("base.mp4"), entry)
    edge.ok(paths[0])
    assert edge.metrics()["ahead_begun_total"] == 0  # he may swipe away
    edge.ok(paths[1])
    edge.wait_metric("ahead_begun_total", lambda n: n == of)
    edge.wait_metric("encodes_video_total", lambda n: n == 3)
    assert edge.ok(paths[2]) == plain.ok(paths[2])
    edge.wait_metric("encodes_video_total", lambda n: n == 4)
    assert edge.metrics()["ahead_used_total"] == of
    assert edge.ok(paths[3]) == plain.ok(paths[3])  # the last one
    edge.wait_metric("ahead_void_total", lambda n: n == of)  # there is none behind it
    assert edge.metrics()["encodes_video_total"] == len(paths) == 4


@pytest.mark.parametrize("how", ["query", "header"])
def test_a_player_names_what_comes_next(how, start, clip, media_dir):
    edge = start(media_dir, env=ON)
    paths = names_of(edge, clip("base.mp4"), "master.m3u8")
    if how == "query":
        edge.ok(paths[0] + "?CMCD=bl%3D4000%2Cnor%3D%222.m4s%22")
    else:
        edge.ok(paths[0], {"CMCD-Request": 'bl=4000,nor="2.m4s"'})
    edge.wait_metric("encodes_video_total", lambda n: n == 2)
    assert edge.get(paths[2]).header("cache-status").startswith("tidemill; hit")
    assert edge.metrics()["ahead_used_total"] == 1


def test_who_leaves_takes_it_along(start, clip, media_dir):
    """One worker: what is begun ahead waits behind what the client left."""
    edge = start(media_dir, env={**ON, "TIDEMILL_WORKERS_COUNT": "1"})
    paths = names_of(edge, clip("hd.mp4"), "master.m3u8")
    edge.ok(paths[0])
    client = leave_after_request(edge, paths[1])
    edge.wait_metric("ahead_begun_total", lambda n: n == 1)
    client.close()
    edge.wait_metric("jobs_cancelled_total", lambda n: n == 2)
    assert edge.metrics()["encodes_video_total"] == 1


@pytest.mark.parametrize("query", ["CMCD=%", "CMCD=nor%3D%22%2F..%2F..%2Fetc%22", "CMCD=" + "x" * 3000,
                                   "CMCD=nor%3D%22master.m3u8%22", "CMCD=nor%3D%22999.m4s%22"])
def test_nonsense_changes_nothing(query, start, clip, media_dir):
    edge = start(media_dir, env=ON)
    paths = names_of(edge, clip("base.mp4"), "master.m3u8")
    assert edge.ok(paths[0] + "?" + query) == edge.ok(paths[0])
    assert edge.metrics()["encodes_video_total"] == 1
