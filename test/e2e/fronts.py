# SPDX-License-Identifier: BSD-2-Clause
"""Caches in front of a running tidemill, configured as docs/behind-a-cache.md says."""
import os
import re
import socket
import subprocess

from edge import ROOT, Edge
from peers import free_port, until

with open(os.path.join(ROOT, "docs", "behind-a-cache.md")) as page:
    SNIPPETS = dict(re.findall(r"^```(vcl|nginx)\n(.*?)^```$", page.read(), re.M | re.S))

SLICE = 64 * 1024


class Front:
    """Asked like the edge behind it."""

    request, get, ok = Edge.request, Edge.get, Edge.ok
    snippet = None
    ranges_at_once = ranges_of_chunked = True  # of what nobody has, and of what came without a length

    def __init__(self, edge, folder):
        self.edge, self.folder, self.port = edge, str(folder), free_port()
        self.config = SNIPPETS[self.snippet]
        for words, ours in self.changes():
            assert words in self.config, f"docs/behind-a-cache.md no longer has {words!r}"
            self.config = self.config.replace(words, ours)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._listens, "the front listens")

    def changes(self):
        """[(words of the page, what the test has in their place)]"""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def _listens(self):
        assert self.process.poll() is None, self.log_tail()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def log_tail(self):
        with open(self.log) as f:
            return f.read()[-3000:]

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Varnish(Front):
    snippet = "vcl"
    ranges_at_once = False

    def changes(self):
        return [('"8080"', f'"{self.edge.port}"')]

    def command(self):
        return ["/usr/sbin/varnishd", "-F", "-j", "none", "-n", os.path.join(self.folder, "varnish"), "-s", "malloc,64m",
                "-a", f"127.0.0.1:{self.port}", "-f", self.write("tidemill.vcl", self.config)]


FRAME = """daemon off; worker_processes 1; pid {0}/pid; error_log stderr; {1}
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
    fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
    {2}
}}
"""


class Nginx(Front):
    snippet = "nginx"
    ranges_at_once = ranges_of_chunked = False

    def changes(self):
        return [("server 127.0.0.1:8080", f"server 127.0.0.1:{self.edge.port}"),
                ("listen 80;", f"listen 127.0.0.1:{self.port};"),
                ("/var/cache/nginx/tidemill", os.path.join(self.folder, "cache"))]

    def command(self):
        user = "user root;" if os.getuid() == 0 else ""
        return ["/usr/sbin/nginx", "-c", self.write("nginx.conf", FRAME.format(self.folder, user, self.config))]


class Slices(Nginx):
    """Of all that there is, and small ones."""
    ranges_at_once = ranges_of_chunked = True

    def changes(self):
        return super().changes() + [(r'location ~ "/[0-9a-f]{32}/[^/]+\.mp4$"', "location ~ ."), ("slice 1m", f"slice {SLICE}")]
