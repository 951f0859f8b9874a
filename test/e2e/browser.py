# SPDX-License-Identifier: BSD-2-Clause
"""Runs the scripts of test/browser, which print one JSON value."""
import json
import os
import subprocess

from edge import ROOT

BROWSER = os.path.join(ROOT, "test", "browser")
SECONDS = 330  # a script gives up by itself before


def run(script, order):
    """The result of a script that drives a browser.  However this ends, the browser is
    gone: SIGTERM makes the script close it, and so does the end of its standard input."""
    stdin, held = os.pipe()
    p = subprocess.Popen(["node", os.path.join(BROWSER, script), json.dumps(order)], text=True,
                         stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = p.communicate(timeout=SECONDS)
    finally:
        os.close(stdin)
        os.close(held)
        p.terminate()
        p.wait(30)
    assert p.returncode == 0, err or p.returncode
    return json.loads(out)


def parse(texts):
    """Kinds of playlists by a strict parser, in a list; fails where it refuses one."""
    out = subprocess.run(["node", os.path.join(BROWSER, "parse.mjs")], input=json.dumps(texts),
                         capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)
