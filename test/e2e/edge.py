# SPDX-License-Identifier: BSD-2-Clause
"""The real server under test: start it on a folder or an origin, talk to it, stop it.

Everything listens on loopback, on free ports, and is ended by the fixture that
started it.
"""
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TIDEMILL_BUILD", os.path.join(ROOT, "build"))


# Tests count what is made for whom, and ask for much at once; those of looking ahead, of going on
# alone and of turning people away say so.
QUIET = {f"TIDEMILL_WORKERS_{name}": "0" for name in ("AHEAD", "SALVAGE", "PATIENCE")}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name, default=None):
        return self.headers.get(name.lower(), default)

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {len(self.body)} bytes {self.body[:200]!r}>"


class Edge:
    """One running tidemill."""

    hears = True  # its log, to the end

    def __init__(self, origin, cache, *args, config=None, env=None):
        self.cache = str(cache)
        cmd = [os.path.join(BUILD, "tidemill"), "-l", "127.0.0.1:0", "-d", self.cache]
        if config is not None:
            path = self.cache + ".json"
            with open(path, "w") as f:
                json.dump(config, f)
            cmd += ["-c", path]
        cmd += [*args]
        if origin is not None:
            cmd.append(str(origin))
        self.lines = []
        self.process = subprocess.Popen(cmd, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True, errors="replace",
                                        env={**QUIET, **os.environ, **(env or {})})
        self.ready = threading.Event()
        self.address = self.port = self.admin_port = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(60) or self.address is None:
            self.process.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            m = re.search(r"status: http://[^ ]*:(\d+)/status", line)
            if m:
                self.admin_port = int(m.group(1))
            m = re.search(r"ready: (unix:\S+|http://\S*:(\d+))/", line)
            if m:
                self.address, self.port = m.group(1), m.group(2) and int(m.group(2))
                self.ready.set()
                if not self.hears:
                    return
        self.ready.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, headers=None, port=None, timeout=120, body=None):
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            body = r.read()
            return Answer(r.status, {k.lower(): ", ".join(r.headers.get_all(k)) for k in r.headers}, body)
        finally:
            c.close()

    def get(self, path, headers=None, **kw):
        return self.request("GET", path, headers, **kw)

    def ok(self, path, headers=None):
        a = self.get(path, headers)
        assert a.status == 200, (path, a, self.log_tail())
        return a.body

    def metrics(self):
        text = self.get("/metrics", port=self.admin_port).text
        return {m[0]: int(m[1]) for m in re.findall(r"^tidemill_(\w+) (-?\d+)$", text, re.M)}

    def wait_metric(self, name, test, seconds=20):
        """Polls until test(value) holds; for what happens without an answer to wait for."""
        end = time.monotonic() + seconds
        while True:
            value = self.metrics()[name]
            if test(value):
                return value
            assert time.monotonic() < end, f"{name} stayed {value}"
            time.sleep(0.02)

    def log_tail(self, n=30):
        return "".join(self.lines[-n:])

    def worker_pids(self):
        """The worker processes: children of the zygote, which is our child."""
        def children(pid):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                return [int(p) for p in f.read().split()]
        return [w for z in children(self.process.pid) for w in children(z)]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the server did not stop:\n" + self.log_tail())
        self.reader.join(5)
        self.process.stderr.close()
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()


def quote(asset):
    return urllib.parse.quote(asset, safe="/")


class Playlist:
    """What a client reads from master.m3u8 and the media playlists."""

    def __init__(self, edge, asset, entry="master.m3u8"):
        self.edge, self.base = edge, "/" + quote(asset) + "/"
        self.master = edge.ok(self.base + entry).decode()
        self.variants = []
        lines = self.master.splitlines()
        for i, line in enumerate(lines):
            if line.startswith("#EXT-X-STREAM-INF:"):
                self.variants.append((attributes(line), lines[i + 1]))
        self.audio = [attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=AUDIO")]

    def renditions(self):
        """(name, path of the folder, attributes) of each; audio last."""
        out = []
        for attrs, uri in self.variants:
            out.append((uri.split("/")[1], self.base + uri.rsplit("/", 1)[0] + "/", attrs))
        for attrs in self.audio:
            uri = attrs["URI"]
            out.append((uri.split("/")[1], self.base + uri.rsplit("/", 1)[0] + "/", attrs))
        return out

    def tricks(self):
        """The same of those that are for fast play only."""
        lines = [attributes(l) for l in self.master.splitlines() if l.startswith("#EXT-X-I-FRAME-STREAM-INF:")]
        return [(a["URI"].split("/")[1], self.base + a["URI"].rsplit("/", 1)[0] + "/", a) for a in lines]

    def media(self, folder):
        """(durations as text, segment names) of one media playlist."""
        text = self.edge.ok(folder + "index.m3u8").decode()
        durations = re.findall(r"#EXTINF:([0-9.]+),", text)
        names = [l for l in text.splitlines() if l and not l.startswith("#")]
        return text, durations, names


def without_averages(master):
    """What of a master playlist does not depend on what was made or seen."""
    return re.sub(r"AVERAGE-BANDWIDTH=\d+,?", "", master)


def attributes(line):
    text = line.split(":", 1)[1]
    return {k: v.strip('"') for k, v in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', text)}
