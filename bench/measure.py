# SPDX-License-Identifier: BSD-2-Clause
"""What the benches share: the server, CPU clocks, clips, and rows of one table.

A figure is a ratio of two neighbours in time: rounds are interleaved, each round
gives one ratio, and what is printed is their median with the smallest and the
largest.  Absolute numbers depend on the machine and on the minute.
"""
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.setdefault("TIDEMILL_BUILD", os.path.join(ROOT, "build"))
MEDIA = os.environ.get("TIDEMILL_BENCH_MEDIA", os.path.join(BUILD, "bench"))
# What is measured is encoding, unless a bench says otherwise.
os.environ["TIDEMILL_MEDIA_PASSTHROUGH"] = "false"

sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import clips  # noqa: E402
from edge import Playlist  # noqa: E402

CPUS = sorted(os.sched_getaffinity(0))


# ---- clips

def generated(name):
    os.makedirs(MEDIA, exist_ok=True)
    return os.path.join(MEDIA, clips.make(MEDIA, name))


def real(name):
    """A real clip; None when CLIPS does not have it."""
    folder = os.environ.get("CLIPS")
    path = folder and os.path.join(folder, name)
    return path if path and os.path.exists(path) else None


def made(name, *args):
    """A clip that ffmpeg makes so, once."""
    to = os.path.join(MEDIA, name)
    if not os.path.exists(to):
        os.makedirs(MEDIA, exist_ok=True)
        part = to + ".part.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-y", *args, "-movflags", "+faststart", part], check=True)
        os.replace(part, to)
    return to


def remuxed(name, out):
    """A real clip copied into an MP4."""
    path = real(name)
    return made(out, "-i", path, "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-bsf:a", "aac_adtstoasc") if path else None


def looped(path, times, out):
    """A clip many times in a row, nothing coded anew."""
    return made(out, "-stream_loop", str(times - 1), "-i", path, "-c", "copy")


GOP_SECONDS = 10


def with_long_gops(path):
    """The clip's video coded anew, with a keyframe every GOP_SECONDS."""
    return made("long-gops-" + os.path.basename(path), "-i", path, "-an", "-c:v", "libx264", "-preset", "fast", "-crf", "20",
                "-g", "100000", "-sc_threshold", "0", "-force_key_frames", f"expr:gte(t,n_forced*{GOP_SECONDS})")


# A rung of each clip that shows something of the world, and its segment at about a third.
NATURAL = [("bbb-1080p25-40s.mp4", "720p", 3), ("bbb-1080p25-40s.mp4", "240p", 3), ("sintel-480p25-26s.mp4", "360p", 2),
           ("snowboard-400p30-29s.mp4", "360p", 2), ("cctv-cars-432p12.5-30s.mp4", "360p", 2),
           ("city-240p60-fragmented-15s.mp4", "240p", 1), ("screenrec-1070x700-vfr.mov", "540p", 0),
           ("android-2160p60-portrait-rot90.mp4", "720p", 0)]


def natural(name):
    if name == "bbb-1080p25-40s.mp4":
        return remuxed("bbb-1080p25-h264-aac-40s.ts", name)
    return real(name)


# ---- processes

PRIORITY = ["nice", "-n", "10", "chrt", "-b", "0"]  # our workers'


def timed(*commands):
    """Wall and CPU seconds of programs that run beside each other."""
    start, used = time.monotonic(), 0
    for p in [subprocess.Popen([*PRIORITY, *c], stdout=subprocess.DEVNULL) for c in commands]:
        _, p.returncode, usage = os.wait4(p.pid, 0)
        assert p.returncode == 0, p.args
        used += usage.ru_utime + usage.ru_stime
    return time.monotonic() - start, used


def cpu(pid):
    """CPU seconds of a process so far: all its threads, also those that have ended."""
    return time.clock_gettime(~pid << 3 | 2)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def pinned(cpus, cmd):
    return ["taskset", "-c", ",".join(map(str, cpus)), *cmd]


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def await_port(port, process):
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    process.kill()
    process.wait()
    raise RuntimeError(f"did not start: {' '.join(process.args)}")


class Listener:
    """What answers on self.port."""

    def get(self, path, port=None):
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=120)
        try:
            c.request("GET", path)
            r = c.getresponse()
            body = r.read()
            assert r.status == 200, (path, r.status, body[:300])
            return body
        finally:
            c.close()

    ok = get  # for Playlist


class Server(Listener):
    """A running tidemill with a cache of its own.  settings are TIDEMILL_ variables."""

    def __init__(self, origin, cpus=None, config=None, **settings):
        self.folder = tempfile.TemporaryDirectory(prefix="tidemill-bench-")
        self.log = os.path.join(self.folder.name, "log")
        self.port, self.admin_port = free_ports(2)
        cmd = [os.path.join(BUILD, "tidemill"), "-l", f"127.0.0.1:{self.port}",
               "-d", os.path.join(self.folder.name, "cache")]
        if config:
            path = os.path.join(self.folder.name, "config.json")
            with open(path, "w") as f:
                json.dump(config, f)
            cmd += ["-c", path]
        env = {"TIDEMILL_" + k: str(v) for k, v in settings.items()}
        env["TIDEMILL_ADMIN"] = f"127.0.0.1:{self.admin_port}"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(pinned(cpus or CPUS, [*cmd, origin]), stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **env})
        await_port(self.port, self.process)

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        return [w for z in children(self.pid) for w in children(z)]

    def cpu(self):
        """Of the server, the program that forks workers, and the workers."""
        return sum(map(cpu, [self.pid, *children(self.pid), *self.workers()]))

    def metric(self, name):
        return int(re.search(rf"^tidemill_{name} (\d+)$", self.get("/metrics", self.admin_port).decode(), re.M)[1])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.folder.cleanup()


NGINX = """{load}
worker_processes {workers}; daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 768; }}
http {{
    include /etc/nginx/mime.types; default_type application/octet-stream; types_hash_max_size 2048;
    client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
    uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
    {how}
    server {{ listen 127.0.0.1:{port}{listen}; root {folder}; {where} }}
}}
"""


def folder_of(bodies):
    """A new folder with these files, by name."""
    folder = tempfile.TemporaryDirectory(prefix="tidemill-bench-")
    for name, body in bodies.items():
        with open(os.path.join(folder.name, name), "wb") as f:
            f.write(body)
    return folder


class Nginx(Listener):
    """nginx with one worker for each of cpus, the first CPU if not said, which serves its folder: bodies, files by name.
    how, where and load are lines of its configuration, of http, server and above both."""

    def __init__(self, bodies, how, where="", load="", cpus=None):
        cpus = cpus or CPUS[:1]
        self.folder = folder_of(bodies)
        self.port, = free_ports(1)
        path = os.path.join(self.folder.name, "conf")
        with open(path, "w") as f:
            f.write(NGINX.format(folder=self.folder.name, port=self.port, how=how.format(folder=self.folder.name),
                                 where=where, load=load, workers=len(cpus),
                                 listen=" reuseport" if len(cpus) > 1 else "",  # else one worker takes most of them
                                 user="user root;" if os.getuid() == 0 else ""))
        self.process = subprocess.Popen(pinned(cpus, ["/usr/sbin/nginx", "-c", path]), stderr=subprocess.DEVNULL)
        await_port(self.port, self.process)

    def cpu(self):
        return sum(map(cpu, [self.process.pid, *children(self.process.pid)]))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


H2O = """{user}
num-threads: 1
num-name-resolution-threads: 1
max-connections: 768
pid-file: {folder}/pid
error-log: {folder}/error.log
listen: {{ host: 127.0.0.1, port: {port} }}
http1-upgrade-to-http2: OFF
file.send-compressed: OFF
hosts: {{ default: {{ paths: {{ "/": {{ file.dir: {folder} }} }} }} }}
"""


class H2o(Listener):
    """One thread of h2o on the first CPU, which serves its folder, and writes no access log."""

    def __init__(self, bodies):
        self.folder = folder_of(bodies)
        self.port, = free_ports(1)
        path = os.path.join(self.folder.name, "conf")
        with open(path, "w") as f:
            f.write(H2O.format(folder=self.folder.name, port=self.port,
                               user="user: root" if os.getuid() == 0 else ""))
        # The kernel ends it when the bench does not live to do so.
        self.process = subprocess.Popen(
            pinned(CPUS[:1], ["setpriv", "--pdeathsig", "KILL", "h2o", "-m", "worker", "-c", path]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await_port(self.port, self.process)

    def cpu(self):
        return cpu(self.process.pid)

    def stop(self):
        self.process.kill()  # its own end is a graceful one, which waits for connections
        self.process.wait()
        self.folder.cleanup()


def rung_url(server, path, rung):
    """The folder of a rung's segments."""
    playlist = Playlist(server, os.path.basename(path))
    return next(folder for name, folder, _ in playlist.renditions() if name == rung)


# ---- load

# What a run of wrk tells: unit and factor of each number in it.
LOAD = {"requests per second": ("", 1), "server's CPU a request": ("us", 1e6),
        "server's and client's CPU a request": ("us", 1e6), "median latency": ("ms", 1e3),
        "99th percentile": ("ms", 1e3)}


def seconds(text):
    m = re.match(r"([\d.]+)(us|ms|s)", text)
    return float(m[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[m[2]]


def load(server, path, connections, duration, *script, cpus=None):
    """The numbers of LOAD, by name, with a thread of wrk for each of cpus, the second CPU if not said; path is asked
    for, or what script says."""
    cpus = cpus or CPUS[1:2]
    before = server.cpu()
    more, args = (["-s", script[0]], ["--", *script[1:]]) if script else ([], [])
    cmd = pinned(cpus, ["wrk", f"-t{len(cpus)}", f"-c{connections}", f"-d{duration}s", "--timeout", "10s", "--latency",
                        *more, f"http://127.0.0.1:{server.port}{path}", *args])
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
    out = p.stdout.read()
    _, p.returncode, usage = os.wait4(p.pid, 0)
    used = server.cpu() - before
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    n = int(re.search(r"(\d+) requests in", out)[1])
    return dict(zip(LOAD, (
        float(re.search(r"Requests/sec: +([\d.]+)", out)[1]), used / n,
        (used + usage.ru_utime + usage.ru_stime) / n,
        *(seconds(re.search(rf"{p}% +(\S+)", out)[1]) for p in (50, 99)))))


# What is told of hits.
HIT = ("requests per second", "server's CPU a request", "server's and client's CPU a request", "99th percentile")


def hits(server, path, cpus=None):
    """A second of them, on 64 connections that are kept."""
    return load(server, path, 64, 1, cpus=cpus)


# ---- the table

def spread(values, form):
    return f"{form(statistics.median(values))} ({form(min(values))} to {form(max(values))})"


def number(v):
    """Three digits that count."""
    return f"{v:.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.2f}" if v >= 0.1 else f"{v:.3f}"


def row(what, ours, theirs, unit="", scale=1):
    """One row: the ratio of each round, and the two absolute medians."""
    ratios = [a / b for a, b in zip(ours, theirs)]
    side = [f"{number(statistics.median(v) * scale)} {unit}".strip() for v in (ours, theirs)]
    print(f"| {what} | **{spread(ratios, number)}** | {side[0]} | {side[1]} |", flush=True)


def rows(what, figures, ours, theirs):
    """Rows of these numbers of load, of each round."""
    for figure in figures:
        row(f"{what}: {figure}", [r[figure] for r in ours], [r[figure] for r in theirs], *LOAD[figure])


def head(title, ours="ours", theirs="theirs"):
    print(f"\n| {title} | {ours} / {theirs} | {ours} | {theirs} |\n|---|---|---|---|", flush=True)
