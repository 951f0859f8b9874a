# SPDX-License-Identifier: BSD-2-Clause
import contextlib
import itertools
import os
import subprocess

import pytest

import clips
from edge import Edge
from peers import Origin


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
def sound_dir(media_dir):
    """A folder of clips of sounds.py, whose names are not those of clips.py."""
    folder = os.path.join(media_dir, "sound")
    os.makedirs(folder, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def encoded_only():
    """For tests of what workers do: no rendition can be had without one."""
    with pytest.MonkeyPatch.context() as m:
        m.setenv("TIDEMILL_MEDIA_PASSTHROUGH", "false")
        yield


@pytest.fixture(scope="module")
def origin(shelf):
    """An HTTP origin of the shelf that the module has."""
    o = Origin(shelf.folder)
    yield o
    o.stop()


@pytest.fixture
def start(tmp_path):
    """start(origin, *args, config=..., env=...) -> Edge, stopped at the end of the test."""
    caches = (tmp_path / f"cache{i}" for i in itertools.count())
    with contextlib.ExitStack() as running:  # stops all, even if one does not want to

        def run(origin, *args, cache=None, **kw):
            e = Edge(origin, cache or next(caches), *args, **kw)
            running.callback(e.stop)
            return e

        yield run


@pytest.fixture(scope="session")
def real_clips():
    folder = os.environ.get("CLIPS")
    if not folder:
        pytest.skip("CLIPS is not set: tests on real clips are not run")
    return folder


@pytest.fixture
def sound(tmp_path):
    """A folder with a clip that is nothing but sound."""
    folder = tmp_path / "sound"
    folder.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=9:beep_factor=4", "-c:a", "aac",
                    folder / "sound.mp4"], check=True)
    return folder
