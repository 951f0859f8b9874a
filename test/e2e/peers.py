# SPDX-License-Identifier: BSD-2-Clause
"""Who the server talks to in these tests, and may be let down by: an HTTP origin, Redis, a raw client."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from edge import ROOT


def until(condition, what, seconds=30):
    """Polls for what happens without an answer to wait for; returns what condition does."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Origin:
    """test/origin.py on a folder."""

    def __init__(self, folder, *args):
        self.process = subprocess.Popen([sys.executable, os.path.join(ROOT, "test", "origin.py"), str(folder), *args],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def _ask(self, path):
        with urllib.request.urlopen(self.url + path) as r:
            return r.read()

    def fault(self, name, **query):
        self._ask("__control?" + urllib.parse.urlencode({"fault": name, **query}))

    def clear(self):
        self._ask("__control?clear=1")

    def log(self, path=None):
        """The requests since the last call; path: only those for this asset."""
        entries = json.loads(self._ask("__log?clear=1"))
        wanted = path and "/" + urllib.parse.quote(path)
        return [e for e in entries if wanted in (None, e["path"])]

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Redis:
    """A redis-server that keeps nothing on disk."""

    def __init__(self, folder):
        self.folder, self.port = str(folder), free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    @staticmethod
    def program():
        return shutil.which("redis-server")

    def start(self):
        self.process = subprocess.Popen(
            [self.program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", self.folder, "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        until(self._listens, "redis-server listens")

    def _listens(self):
        assert self.process.poll() is None, "redis-server ended"
        try:
            return self.ask("PING") == b"PONG"
        except OSError:
            return False

    def ask(self, *words):
        """One command; its answer as bytes, a number, None or a list of these."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s, s.makefile("rwb") as f:
            f.write(b"*%d\r\n" % len(words))
            for w in words:
                w = w if isinstance(w, bytes) else str(w).encode()
                f.write(b"$%d\r\n%s\r\n" % (len(w), w))
            f.flush()
            return self._answer(f)

    def _answer(self, f):
        line = f.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else f.read(n + 2)[:n]
        if kind == b"*":
            return [self._answer(f) for _ in range(int(rest))]
        assert kind != b"-", rest
        return int(rest) if kind == b":" else rest

    def keys(self):
        return self.ask("KEYS", "tidemill:*")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    stop = kill


class Raw:
    """A client that sends what it is told and shows what came, byte by byte."""

    def __init__(self, edge=None, address=None, family=socket.AF_INET):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(address or ("127.0.0.1", edge.port))
        self.input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.input.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def get(self, path, *fields, method="GET", version="1.1"):
        self.send("\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *fields, "", ""]))

    def head(self):
        """(status, {name: value}); status 0 when the connection ended instead."""
        status = self.input.readline()
        if not status:
            return 0, {}
        fields = {}
        for line in iter(self.input.readline, b"\r\n"):
            assert line.endswith(b"\r\n"), f"the header ends with {line}"
            name, value = line[:-2].split(b":", 1)
            fields[name.decode().lower()] = value.decode().strip()
        return int(re.match(rb"HTTP/1\.1 (\d{3}) ", status)[1]), fields

    def chunk(self):
        """The next chunk; b"" for the last one, None when the body was cut."""
        size = self.input.readline()
        if not size:
            return None
        n = int(size, 16)
        data = self.input.read(n + 2)
        return data[:-2] if data.endswith(b"\r\n") and len(data) == n + 2 else None

    def rest(self):
        """All until the connection ends."""
        try:
            return self.input.read()
        except ConnectionResetError:
            return b""


def fetch(edge, path, *fields):
    """GET like a careful client: (status, fields, body, whole)."""
    with Raw(edge) as c:
        c.get(path, *fields)
        status, head = c.head()
        if head.get("transfer-encoding") == "chunked":
            body = b""
            while (piece := c.chunk()):
                body += piece
            return status, head, body, piece == b""
        body = c.input.read(int(head.get("content-length", 0)))
        return status, head, body, len(body) == int(head.get("content-length", 0))


class Shelf:
    """A folder with as many cold assets as one likes: links to one clip."""

    def __init__(self, folder, clip):
        self.folder, self.clip, self.count = str(folder), str(clip), 0

    def take(self, name=None):
        """A new asset's name."""
        self.count += 1
        name = name or f"{self.count}.mp4"
        os.makedirs(os.path.dirname(os.path.join(self.folder, name)), exist_ok=True)
        try:
            os.link(self.clip, os.path.join(self.folder, name))
        except OSError:  # another file system
            shutil.copy(self.clip, os.path.join(self.folder, name))
        return name
