# SPDX-License-Identifier: BSD-2-Clause
"""Players that are programs of their own.

Each function plays a URL, with its sound or without, with files in the folder tmp, and
returns what the program made of it.
"""
import os
import re
import subprocess
from dataclasses import dataclass

import exact

W, H = 320, 180
# But for what this machine lacks, thumbnails that are nothing to demux, and a wait while all is busy.
VLC_ERROR = re.compile(r"^(?!.*(?:interface|libvlc|demuxer \(nil\) Unknown|deadlock prevented)).*error.*\n", re.M)
SECONDS = 120


@dataclass
class Played:
    pictures: list  # their numbers, in the order in which they were shown
    samples: int  # of sound, 48000 a second; None where it was not played
    complaints: str


def run(cmd, **kw):
    p = subprocess.run([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace", timeout=SECONDS, **kw)
    assert p.returncode == 0, p.stdout
    return p.stdout


def samples(tmp):
    """Those of raw sound, if there is any."""
    sound = tmp / "sound"
    return os.path.getsize(sound) // 4 if sound.exists() else 0


def numbers(path):
    """Those in a file of raw gray pictures."""
    with open(path, "rb") as f:
        out = subprocess.run([exact.BARCODE, "read", str(W), str(H)], stdin=f, capture_output=True, text=True,
                             check=True).stdout
    return [int(n) if n != "?" else None for n in out.split()]


def ffmpeg(url, tmp, sound):
    """All of the first video and sound: with several, its reader of DASH ends with the first of them that ends."""
    sound = ["-map", "0:a:0", "-ac", "2", "-ar", "48000", "-f", "s16le", tmp / "sound"] if sound else []
    said = run(["ffmpeg", "-nostdin", "-v", "warning", "-y", "-i", url, "-map", "0:v:0",
                "-vf", f"scale={W}:{H},format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", tmp / "pictures", *sound])
    return Played(numbers(tmp / "pictures"), samples(tmp), said)


def mpv(url, tmp, sound):
    """It writes what it would show, as fast as it can.  Of DASH it takes fast play's pictures for another choice."""
    said = run(["mpv", "--no-config", "--msg-level=all=warn", "--no-audio", "--vid=1", f"--vf=scale={W}:{H},format=gray",
                f"--o={tmp / 'pictures'}", "--of=rawvideo", "--ovc=rawvideo", url])
    return Played(numbers(tmp / "pictures"), None, said)


def gstreamer(url, tmp, sound):
    """Only what goes to a screen would wait, or drop pictures."""
    said = run(["gst-launch-1.0", "-q", "playbin3", f"uri={url}",
                f"video-sink=videoconvertscale ! video/x-raw,format=GRAY8,width={W},height={H} ! "
                f"filesink sync=false location={tmp / 'pictures'}",
                "audio-sink=audioconvert ! audioresample ! audio/x-raw,format=S16LE,channels=2,rate=48000 ! "
                f"filesink sync=false location={tmp / 'sound'}"])
    return Played(numbers(tmp / "pictures"), samples(tmp), said)


def vlc(url, tmp, sound):
    """What it shows it shows in its time or not at all.  So it first tells what it found to show, and then plays."""
    common = ["cvlc", "--intf=dummy", "--aout=dummy", "--vout=dummy", "--play-and-exit", url]
    if os.getuid() == 0:  # it refuses to be
        common = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *common]
    said = run([*common, "--sout=#stats"]) + run([*common, "--rate=4"])
    # A sheet of thumbnails counts as a video of one picture.
    final = re.findall(r"final type:(\w+) id:\d+ segments:(\d+)", said)
    counts = {kind: max(int(n) for k, n in final if k == kind) for kind, _ in final}
    return Played([*range(counts["Video"])], 1024 * counts.get("Audio", 0), "".join(VLC_ERROR.findall(said)))
