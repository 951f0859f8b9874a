#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""origin - a small HTTP origin for tests that can misbehave on demand.

    origin.py FOLDER [--port N] [--sigv4 ID:SECRET:REGION[:TOKEN]]

Serves the files of FOLDER on 127.0.0.1: GET and HEAD, HTTP/1.1 with
keep-alive, single byte ranges, a strong ETag (from size, mtime and inode),
Last-Modified, If-Match (412), If-Range and If-None-Match (304).  Prints
`PORT n` on standard output when it listens and ends when its standard input
is closed.  Symbolic links are followed; there are no folder listings.

With --sigv4 it is a bucket of S3: what is not signed by that key for service s3 there, as
AWS Signature Version 4 has it, is answered with 403.  The signature is computed from
the request as it came, the path anew from the name that it means.

Faults are ordered by a URL and count down with the requests they hit:

    /__control?fault=NAME[&n=N][&ms=N][&value=TEXT][&count=K][&path=TEXT][&method=GET]

count: how many requests are hit (default 1; 0: until cleared).  path: only
requests whose decoded path contains TEXT.  Faults add up; where two of one
name match, the older is used (and counted down) first.

    truncate n=N      full header, N bytes of the body, then an orderly close
    reset n=N         full header, N bytes of the body, then a TCP reset
    stall n=N         full header, N bytes of the body, then silence
    pause n=N         full header, N bytes of the body; the rest when the faults are
                      cleared
    mute              no answer at all, not even a header
    drip n=N ms=M     the body in pieces of N bytes (1), M ms (100) apart
    delay ms=M        wait M ms before answering
    hold n=N          requests for what begins at byte N or behind it wait until
                      the faults are cleared
    status n=S        answer with status S and a short body
    norange           ignore Range: 200 with the whole file
    nolength          ignore Range, no Content-Length, close at the end
    badstart n=N      Content-Range starts (and ends) N (1) bytes too far on
    badtotal n=N      Content-Range's total is N (1) too large
    badrange value=T  Content-Range is T
    short n=N         a 206 for N (1) bytes less than asked for, all consistent
    etag value=T      the ETag is T (with its quotes)
    weak              the ETag is a weak one
    noetag            no ETag, only Last-Modified
    novalidator       neither of them
    ignorematch       If-Match is ignored
    gzip              the body is gzipped, Content-Encoding: gzip
    redirect value=U  302 to U; an empty U redirects to the same path
    close             Connection: close

    /__control?clear=1   forgets all faults
    /__log               JSON: a list of all requests so far (control URLs are
                         not among them), each {"method", "path" (as sent),
                         "range", "if_match", "if_range", "authorization", "status", "bytes" (of
                         body, handed to the network), "conn" (number of the
                         connection), "unsigned" (with --sigv4: what is wrong
                         with its signature, or null)}
    /__log?clear=1       the same, and starts a new log
"""

import argparse
import datetime
import gzip
import hashlib
import hmac
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes, urlsplit

PIECE = 64 * 1024


class Faults:
    """The ordered faults; take() counts down those that a request meets."""

    def __init__(self):
        self.lock = threading.Lock()
        self.cleared = threading.Condition(self.lock)
        self.rules = []

    def add(self, query):
        rule = {key: values[0] for key, values in query.items()}
        rule["left"] = int(rule.pop("count", 1)) or -1
        with self.lock:
            self.rules.append(rule)

    def clear(self):
        with self.lock:
            self.rules = []
            self.cleared.notify_all()

    def wait_for_clear(self):
        with self.lock:
            self.cleared.wait_for(lambda: not self.rules)

    def take(self, method, path):
        taken = {}
        with self.lock:
            for rule in self.rules:
                name = rule["fault"]
                if name in taken or rule["left"] == 0:
                    continue
                if rule.get("path", "") not in path or rule.get("method", method) != method:
                    continue
                taken[name] = rule
                rule["left"] -= rule["left"] > 0
            self.rules = [rule for rule in self.rules if rule["left"] != 0]
        return taken


class Log:
    def __init__(self):
        self.lock = threading.Lock()
        self.entries = []
        self.connections = 0

    def connection(self):
        with self.lock:
            self.connections += 1
            return self.connections

    def add(self, entry):
        with self.lock:
            self.entries.append(entry)

    def dump(self, clear):
        with self.lock:
            text = json.dumps(self.entries)
            if clear:
                self.entries = []
        return text.encode()


def number(rule, key, default):
    return int(rule.get(key, default))


def parse_range(text, size):
    """(first, last) clamped to size; None: no usable range; (size, -1): unsatisfiable."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")
    if not match or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        return (max(0, size - int(last)), size - 1) if int(last) and size else (size, -1)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return (size, -1)
    return (int(first), min(int(last), size - 1) if last else size - 1)


class Bucket:
    """Who may read: the owner of one key.  fault() says why a request is not signed as it has to be."""

    def __init__(self, text):
        self.id, self.secret, self.region, self.token = (text.split(":") + [None])[:4]

    def signature(self, day, stamp, canonical):
        scope = [day, self.region, "s3", "aws4_request"]
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + self.secret.encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()

    def fault(self, method, target, headers):
        sent = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, *"
                            r"SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})", headers["Authorization"] or "")
        if not sent:
            return "unsigned"
        key, day, region, signed, signature = sent.groups()
        names, stamp, body = signed.split(";"), headers["x-amz-date"], headers["x-amz-content-sha256"]
        if (key, region) != (self.id, self.region):
            return "other key or region"
        if names != sorted(names) or not {"host", *(n.lower() for n in headers if n.lower().startswith("x-amz-"))} <= set(names):
            return "headers that have to be signed are not"
        if headers["x-amz-security-token"] != self.token or body != hashlib.sha256(b"").hexdigest():
            return "token or hash of the body"
        now = datetime.datetime.now(datetime.timezone.utc)
        then = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if stamp[:8] != day or abs(now - then) > datetime.timedelta(minutes=15):
            return "time"
        path = quote(unquote_to_bytes(target.split("?")[0]), safe="/-_.~")
        lines = [f"{n}:{' '.join(headers[n].split())}" for n in names]
        canonical = "\n".join([method, path, "", *lines, "", signed, body])
        return None if hmac.compare_digest(signature, self.signature(day, stamp, canonical)) else "signature"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.conn = self.server.log.connection()

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        if url.path == "/__control":
            self.control(query)
        elif url.path == "/__log":
            self.plain(200, self.server.log.dump("clear" in query))
        else:
            self.serve(unquote(url.path))

    do_HEAD = do_GET

    def control(self, query):
        if "clear" in query:
            self.server.faults.clear()
        if "fault" in query:
            self.server.faults.add(query)
        self.plain(200, b"")

    def plain(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, **headers):
        self.entry["status"] = status
        self.plain(status, b"" if status == 204 else b"no\n", **headers)

    def serve(self, path):
        self.entry = {"method": self.command, "path": self.path, "range": self.headers["Range"],
                      "if_match": self.headers["If-Match"], "if_range": self.headers["If-Range"],
                      "authorization": self.headers["Authorization"],
                      "status": 0, "bytes": 0, "conn": self.conn}
        self.server.log.add(self.entry)
        self.faults = self.server.faults.take(self.command, path)
        try:
            self.answer(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, path):
        faults = self.faults
        bucket = self.server.bucket
        self.entry["unsigned"] = bucket and bucket.fault(self.command, self.path, self.headers)
        if self.entry["unsigned"]:
            return self.refuse(403)
        if "delay" in faults:
            time.sleep(number(faults["delay"], "ms", 100) / 1000)
        if "mute" in faults:
            return self.silence()
        if "status" in faults:
            return self.refuse(number(faults["status"], "n", 503))
        if "redirect" in faults:
            return self.refuse(302, Location=faults["redirect"].get("value") or self.path)
        name = os.path.join(self.server.folder, path.lstrip("/"))
        if ".." in path.split("/") or not os.path.isfile(name):
            return self.refuse(404)
        with open(name, "rb") as file:
            self.answer_file(file)

    def validators(self, stat):
        etag = '"%x-%x-%x"' % (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if "etag" in self.faults:
            etag = self.faults["etag"].get("value", '"other"')
        if "weak" in self.faults:
            etag = "W/" + etag
        modified = formatdate(stat.st_mtime, usegmt=True)
        if "novalidator" in self.faults:
            return {}
        if "noetag" in self.faults:
            return {"Last-Modified": modified}
        return {"ETag": etag, "Last-Modified": modified}

    def answer_file(self, file):
        faults = self.faults
        stat = os.fstat(file.fileno())
        size = stat.st_size
        headers = self.validators(stat)
        etag = headers.get("ETag", "")
        match = self.headers["If-Match"]
        if match and match not in ("*", etag) and "ignorematch" not in faults:
            return self.refuse(412)
        if self.headers["If-None-Match"] == etag != "":
            return self.refuse(304)
        wanted = parse_range(self.headers["Range"], size)
        if self.headers["If-Range"] not in (None, etag, headers.get("Last-Modified")):
            wanted = None
        if "norange" in faults or "nolength" in faults or self.command == "HEAD":
            wanted = None
        if wanted == (size, -1):
            return self.refuse(416, Content_Range="bytes */%d" % size)
        if "hold" in faults and wanted and wanted[0] >= number(faults["hold"], "n", 0):
            self.server.faults.wait_for_clear()
        if wanted and "short" in faults:
            wanted = (wanted[0], wanted[1] - number(faults["short"], "n", 1))

        first, last = wanted or (0, size - 1)
        if wanted:
            shift = number(faults["badstart"], "n", 1) if "badstart" in faults else 0
            more = number(faults["badtotal"], "n", 1) if "badtotal" in faults else 0
            text = "bytes %d-%d/%d" % (first + shift, last + shift, size + more)
            headers["Content-Range"] = faults.get("badrange", {}).get("value", text)
        self.send_body(206 if wanted else 200, headers, file, first, last + 1 - first)

    def send_body(self, status, headers, file, first, length):
        faults = self.faults
        file.seek(first)
        packed = None
        if "gzip" in faults:
            packed = gzip.compress(file.read(length))
            headers["Content-Encoding"] = "gzip"
            length = len(packed)
        self.entry["status"] = status
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        if "nolength" in faults or "close" in faults:
            self.send_header("Connection", "close")
        if "nolength" not in faults:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for name, end in (("truncate", self.close), ("reset", self.reset), ("stall", self.silence)):
            if name in faults:
                self.copy(file, packed, min(length, number(faults[name], "n", 0)))
                return end()
        if "pause" in faults and packed is None:
            begin = min(length, number(faults["pause"], "n", 0))
            self.copy(file, packed, begin)
            self.server.faults.wait_for_clear()
            length -= begin
        self.copy(file, packed, length)

    def copy(self, file, packed, length):
        drip = self.faults.get("drip")
        piece = number(drip, "n", 1) if drip else PIECE
        sent = 0
        while sent < length:
            n = min(piece, length - sent)
            part = packed[sent:sent + n] if packed else file.read(n)
            if not part:
                return self.close()
            # Before the write: who got the last byte may look at the log at once.
            self.entry["bytes"] += len(part)
            self.wfile.write(part)
            sent += len(part)
            if drip:
                time.sleep(number(drip, "ms", 100) / 1000)

    def close(self):
        self.close_connection = True

    def silence(self):
        self.close_connection = True
        while self.connection.recv(PIECE):
            pass

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--sigv4", metavar="ID:SECRET:REGION[:TOKEN]")
    args = parser.parse_args()
    server = Server(("127.0.0.1", args.port), Handler)
    server.folder = args.folder
    server.bucket = Bucket(args.sigv4) if args.sigv4 else None
    server.faults = Faults()
    server.log = Log()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("PORT", server.server_address[1], flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
