#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A source that is far away: nginx behind a proxy that holds everything back for 25 ms each way.

What is asked for is the source's own video, copied, as it costs no encode: from the first request
for the entry playlist to the segment's first byte (a cold start, with nothing known), and the same
of a segment in the middle once index and connection are there.  Theirs: the ffmpeg program copying
the same seconds, from its start to its first fragment.  Of ours the proxy also counts connections,
requests and bytes, and what segments one behind the other cost once all is warm.

usage: bench/origin.py [ROUNDS]
"""
import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

from measure import Nginx, Server, generated, head, looped, remuxed, row

ONE_WAY = 0.025
RATE = 25e6  # bytes a second of a connection
CHUNK = 64 * 1024
SECONDS = 4


class Distance(threading.Thread):
    """The proxy: a handshake costs a way there and back before the first byte, and what is sent a way."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to, self.connections, self.requests, self.bytes = port, 0, 0, 0
        self.loop, self.ready = asyncio.new_event_loop(), threading.Event()
        self.start()
        self.ready.wait()

    def counts(self):
        return self.connections, self.requests, self.bytes

    def run(self):
        self.loop.run_until_complete(self.serve())
        self.loop.run_forever()

    async def serve(self):
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()

    async def accept(self, reader, writer):
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to, limit=CHUNK)
        await asyncio.gather(self.carry(reader, there_writer, 2 * ONE_WAY, True),
                             self.carry(there_reader, writer, 0, False))

    async def carry(self, reader, writer, handshake, is_request):
        """Takes what comes at once, and puts it down when its way is behind it, no faster than RATE."""
        way = asyncio.Queue()
        begin = self.loop.time() + handshake

        async def put_down():
            while True:
                at, data = await way.get()
                await asyncio.sleep(max(0, at - self.loop.time()))
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()
        task = asyncio.ensure_future(put_down())
        free = 0
        while True:
            try:
                data = await reader.read(CHUNK)
            except ConnectionError:
                data = b""
            if is_request:
                self.requests += data.count(b"GET ") + data.count(b"HEAD ")
            free = max(free, self.loop.time(), begin) + len(data) / RATE
            way.put_nowait((free + ONE_WAY, data))
            if not is_request:
                self.bytes += len(data)
            if not data:
                break
            await asyncio.sleep(max(0, free - self.loop.time()))
        try:
            await task
        except ConnectionError:
            pass


def first_byte(server, path):
    """Seconds until a body begins."""
    begin = time.perf_counter()
    s = socket.create_connection(("127.0.0.1", server.port))
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    got, first = b"", 0
    while data := s.recv(1 << 16):
        got += data
        if not first and len(got.partition(b"\r\n\r\n")[2]) > 20:
            first = time.perf_counter() - begin
    s.close()
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    return first


def ffmpeg(url, at):
    """Seconds until the ffmpeg program's first fragment."""
    begin = time.perf_counter()
    p = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", "-ss", str(at), "-i", url, "-t", str(SECONDS), "-an", "-c",
                          "copy", "-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000", "-f", "mp4", "pipe:1"],
                         stdout=subprocess.PIPE)
    got = b""
    while b"moof" not in got:
        data = p.stdout.read1(1 << 16)
        assert data
        got += data
    first = time.perf_counter() - begin
    p.stdout.read()
    p.wait()
    return first


class Ours:
    """A server with nothing in its caches, and the folder of the source's own video once it is asked for."""

    def __init__(self, far, name):
        self.far, self.name = far, name
        self.server = Server(f"http://127.0.0.1:{far.port}/", MEDIA_PASSTHROUGH="true", LOG_LEVEL="warn", WORKERS_AHEAD=0)

    def enter(self):
        """Seconds from the first request to the first segment's first byte, and what that cost the origin."""
        before, begin = self.far.counts(), time.perf_counter()
        master = self.server.get(f"/{self.name}/master.m3u8").decode()
        self.folder = f"/{self.name}/" + re.search(r"^(.*/source/)index\.m3u8$", master, re.M)[1]
        playlist = self.server.get(self.folder + "index.m3u8").decode()
        self.count = playlist.count("#EXTINF")
        self.server.get(self.folder + "init.mp4")
        passed = time.perf_counter() - begin
        return passed + first_byte(self.server, self.folder + "0.m4s"), self.cost(before)

    def cost(self, before):
        """Also of what is still on its way."""
        now = None
        while now != (now := self.far.counts()):
            time.sleep(0.1)
        return [b - a for a, b in zip(before, now)]

    def go_on(self):
        """The mean of the requests of the segments behind the one in the middle."""
        before = self.far.counts()
        behind = range(self.count // 2 + 1, self.count)
        for k in behind:
            self.server.get(f"{self.folder}{k}.m4s")
        return self.cost(before)[1] / len(behind)


def needed(path):
    """Bytes up to the end of the first segment's samples."""
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pos,size,pts_time,flags",
                          "-of", "csv=p=0", path], capture_output=True, text=True, check=True).stdout
    end = 0
    for line in out.split():
        at, size, pos, flags = line.split(",")[:4]
        if float(at) >= SECONDS - 0.001 and "K" in flags:
            break
        end = max(end, int(pos) + int(size))
    return end


def measure(path, far, rounds):
    name = os.path.basename(path)
    url = f"http://127.0.0.1:{far.port}/{name}"
    cold, theirs, warm, theirs_there, costs, later = [], [], [], [], [], []
    for _ in range(rounds):
        ours = Ours(far, name)
        first, cost = ours.enter()
        middle = ours.count // 2
        cold.append(first)
        costs.append(cost)
        theirs.append(ffmpeg(url, 0))
        warm.append(first_byte(ours.server, f"{ours.folder}{middle}.m4s"))
        theirs_there.append(ffmpeg(url, middle * SECONDS))
        later.append(ours.go_on())
        ours.server.stop()
    row(f"{name}: first byte, nothing known", cold, theirs, "s")
    row(f"{name}: first byte in the middle, index and connection there", warm, theirs_there, "s")
    connections, requests, spent = (statistics.median(c) for c in zip(*costs))
    return (f"| {name} | {connections:.0f} | {requests:.0f} | {spent:.0f} | {spent / needed(path):.3f} |"
            f" {statistics.median(later):.1f} |")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    paths = [looped(generated("hd.mp4"), 5, "hd-60s.mp4"), remuxed("bbb-1080p25-h264-aac-40s.ts", "bbb-1080p25-40s.mp4")]
    head("copied video, 50 ms away")
    costs = []
    for path in filter(None, paths):
        nginx = Nginx({}, "access_log off;", f"location / {{ root {os.path.dirname(path)}; }}")
        costs.append(measure(path, Distance(nginx.port), rounds))
        nginx.stop()
    print("\n| of the first segment | connections | requests | bytes | of those up to its end | requests of a later one |\n"
          "|---|---|---|---|---|---|", *costs, sep="\n")


main()
