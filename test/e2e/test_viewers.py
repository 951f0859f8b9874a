# SPDX-License-Identifier: BSD-2-Clause
"""tidemill-viewers, the crowd for load tests, against the real server."""
import http.server
import json
import os
import re
import subprocess
import threading
import urllib.parse

import pytest

from edge import BUILD


def crowd(*args, text=None):
    return subprocess.run([os.path.join(BUILD, "tidemill-viewers"), "-q", *args], input=text, capture_output=True,
                          text=True, timeout=120)


def visit(edge, lines, *args):
    r = crowd("-t", "-", "-j", "-", edge.url, *args, text="".join(line + "\n" for line in lines))
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_what_viewers_do(start, clip, media_dir):
    """One sees all, one leaves early, one finds nothing; what is said of it is what the server saw."""
    edge = start(media_dir)
    name = clip("short.mp4")
    r = visit(edge, ["0,no such.mp4,0,9000,auto", f"0,{name},3000,9000,240p", f"50,{name},3000,200,"])
    assert (r["visits"], r["saw_all"], r["left"], r["failed_visits"]) == (3, 1, 1, 1), r
    assert r["startup"]["count"] == 2 and r["errors"] == 1 and r["requests"] > r["segments"] >= 3, r
    assert 3200 <= r["played_ms"] < 4000, r
    edge.stop()
    lines = [line for line in edge.lines if "access:" in line]
    assert len(lines) >= r["requests"]  # who leaves takes no answer any more
    assert sum("no%20such.mp4/master.m3u8" in line and " 404 " in line for line in lines) == 1
    assert any("/240p/0.m4s" in line for line in lines)


def test_seeks_and_changes_of_rungs(start, clip, media_dir):
    edge = start(media_dir)
    r = visit(edge, [f"0,{clip('base.mp4')},13000,3000,360p"], "-k", "60", "-g", "0.9", "-c", "headers")
    assert r["failed_visits"] == r["errors"] == r["cut"] == 0 and r["seeks"] > 0, r
    edge.stop()
    rungs = {m[1] for line in edge.lines for m in re.finditer(r"GET \S*/(\d+p|source)/\d+\.m4s", line)}
    assert len(rungs) > 1, rungs


@pytest.mark.parametrize("mode", ["query", "headers"])
def test_cmcd_is_told(mode):
    heard = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append((self.path, dict(self.headers)))
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        crowd("-t", "-", "-c", mode, f"http://127.0.0.1:{server.server_port}", text="0,a?b.mp4,0,1,\n")
        server.shutdown()
    [(path, headers)] = heard
    said = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("CMCD", [""])[0]
    said += ",".join(headers.get("CMCD-" + name, "") for name in ("Object", "Request", "Session", "Status"))
    assert path.startswith("/a%3Fb.mp4/master.m3u8") and "ot=m" in said and 'cid="a?b.mp4"' in said and "su" in said
    assert ("CMCD-Object" in headers) == (mode == "headers")


def test_a_trace_is_written_and_read(tmp_path):
    videos, trace = tmp_path / "videos", tmp_path / "trace"
    videos.write_text("# popular first\nclips/a b.mp4,12000\nc.mp4\n")
    assert crowd("-v", str(videos), "-r", "5", "-s", "20", "-w", str(trace)).returncode == 0
    lines = trace.read_text().splitlines()
    assert lines[0] == "t_ms,video,duration_ms,watch_ms,rung" and len(lines) > 50
    assert re.fullmatch(r"\d+,(clips/a b\.mp4,12000|c\.mp4,0),\d+,auto", lines[1])
    # Nobody listens there: all fail, none is waited for.
    r = crowd("-t", str(trace), "-x", "1000", "-m", "1", "-j", "-", "http://127.0.0.1:9/")
    assert r.returncode == 0, r.stderr
    said = json.loads(r.stdout)
    assert said["failed_visits"] == said["visits"] == len(lines) - 1 and said["cut"] == said["requests"]


@pytest.mark.parametrize("text, status, said", [
    ("1,a,2\n", 1, "-:1: watch_ms is not a time in milliseconds"),
    ("0,a,b,1,\n", 1, "-:1: duration_ms is not a time in milliseconds"),
])
def test_bad_traces(text, status, said):
    r = crowd("-t", "-", "http://127.0.0.1:9/", text=text)
    assert (r.returncode, r.stderr) == (status, f"tidemill-viewers: {said}\n")
