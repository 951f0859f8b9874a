# SPDX-License-Identifier: BSD-2-Clause
import os

import pytest

import clips
from edge import Edge


@pytest.fixture(scope="session")
def media_dir(tmp_path_factory):
    """A folder of generated clips, filled as tests ask for them (clips.py)."""
    given = os.environ.get("TIDEMILL_TEST_MEDIA")  # kept between runs when set
    if given:
        os.makedirs(given, exist_ok=True)
        return given
    return str(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def clip(media_dir):
    """clip('name') makes that clip of clips.py if need be and returns its file name."""
    return lambda name: clips.make(media_dir, name)


@pytest.fixture
def start(tmp_path):
    """start(origin, *args, config=..., env=...) -> Edge, stopped at the end of the test."""
    running = []

    def run(origin, *args, cache=None, **kw):
        e = Edge(origin, cache or tmp_path / f"cache{len(running)}", *args, **kw)
        running.append(e)
        return e

    yield run
    for e in running:
        e.stop()


@pytest.fixture(scope="session")
def real_clips():
    folder = os.environ.get("CLIPS")
    if not folder:
        pytest.skip("CLIPS is not set: tests on real clips are not run")
    return folder
