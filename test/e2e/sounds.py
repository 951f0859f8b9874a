# SPDX-License-Identifier: BSD-2-Clause
"""Clips whose sound is known sample by sample, and what to measure in what comes out.

A signal is a function of time, so it is known at every rate: what is heard at 48 kHz
of a source of 22.05 kHz is compared with the signal, not with a resampling of it.

Everything counts in samples from T0, the first presented picture.  Sample n of the
decoded rendition is sample n of that: there is nothing to skip.  The edge drops the
encoder's priming packet, and the first one it serves, of time 0, decodes to samples
[0, 1024).  These lack what the dropped packet would have added to them: UNSOUND.
"""
import os
import subprocess

import numpy

FRAME = 1024      # samples of an AAC packet
UNSOUND = FRAME   # samples at the very start that fade in
WINDOW = 8192     # samples whose place is looked for
REACH = 4096      # to either side
BLOCK = 4096      # samples about a border, and those they are compared with
EDGE = 3072       # samples by which a sound blurs where it begins or ends: a block of our packets, one of the source's


# ---- signals: samples [0, n) of one channel, which end there

def noise(n, rate, channel):
    """50 Hz to 8 kHz, which all codecs keep, and the same at every rate: one spectrum, of 20 s."""
    seconds, low, high = 20, 50, 8000
    phases = 2 * numpy.pi * numpy.random.default_rng(channel).random((high - low) * seconds)
    spectrum = numpy.zeros(rate * seconds // 2 + 1, complex)
    spectrum[low * seconds:high * seconds] = numpy.exp(1j * phases)
    return numpy.resize(numpy.fft.irfft(spectrum) * rate * seconds / 3750, n)


def fade(n, rate):
    """Half a second, to be multiplied with an end of a sound: sudden ones make an encoder stumble."""
    return numpy.clip(numpy.arange(n) / rate * 2, 0, 1)


def tone(n, rate, channel):
    """997 Hz that sounds from the first sample on."""
    return (0.125 - 0.05 * channel) * numpy.sin(2 * numpy.pi * 997 * numpy.arange(n) / rate + 1) * fade(n, rate)[::-1]


def tone_and_sweep(n, rate, channel):
    """997 Hz, and 2 to 10 kHz in 13 s.  In phase in all channels: else the encoder, which may merge channels
    and keep only how loud each is (intensity stereo), errs more than a bad border would."""
    speed, t = numpy.log(5) / 13, numpy.arange(n) / rate
    sweep = numpy.sin(2 * numpy.pi * 2000 / speed * (numpy.exp(speed * t) - 1))
    x = (0.25 - 0.1 * channel) * (numpy.sin(2 * numpy.pi * 997 * t) + sweep)
    return x * fade(n, rate) * fade(n, rate)[::-1]


def castanets(n, rate, channel):
    """Clicks in a rhythm as long as a BLOCK: so all blocks hold the same, wherever they begin."""
    random = numpy.random.default_rng(channel)
    bar = numpy.zeros(BLOCK)
    for at in 200, 1500, 3000:
        bar[at:at + 1024] += 0.3 * numpy.exp(-numpy.arange(1024) / 120) * random.uniform(-1, 1, 1024)
    return numpy.resize(bar, n)


def bursts(n, rate, channel):
    """Noise at full scale that dies away, every 30 ms: a machine gun, or too much applause."""
    noise = numpy.random.default_rng(channel).uniform(-1, 1, n)
    return noise * numpy.exp(-numpy.arange(n) / rate % 0.03 * 250)


def beeps(every):
    """50 ms of 2 kHz every so many seconds, from 0."""
    def signal(n, rate, channel):
        t = numpy.arange(n) / rate % every
        return numpy.where(t < 0.05, 0.5 * numpy.cos(2 * numpy.pi * 2000 * t), 0)
    return signal


# ---- clips

AAC = "aac -b:a {rate}0 -aac_pns 0"  # 10 bits a sample (or as many as it can use): what errors there are are ours
# Which signal: of 5.1 front left, front right, centre, low, back left, back right.
CHANNELS = {1: [0], 2: [0, 1], 6: [0, 1, 2, 3, 0, 1]}
MP4 = (".mp4", ".m4a")


def recipe(name, signal=noise, rate=48000, channels=2, codec=AAC, at=0, seconds=13, pictures=13, fps="25", flash=0):
    """seconds of sound from `at` after the first picture on, and seconds of pictures, one in `flash` white."""
    return dict(name=name, signal=signal, rate=rate, channels=channels, codec=codec.format(rate=rate), at=at,
                seconds=seconds, pictures=pictures, fps=fps, flash=flash)


def signal_of(r, channel, rate):
    return r["signal"](round(r["seconds"] * rate), rate, channel)


def picture_options(r):
    extension = os.path.splitext(r["name"])[1]
    size = {".dv": "720x576", ".rm": "160x96"}.get(extension, "160x90")
    coders = {".dv": "dvvideo", ".webm": "libvpx -deadline realtime", ".ogv": "libtheora", ".asf": "wmv2", ".mxf": "mpeg2video",
              ".rm": "rv10"}
    coder = coders.get(extension, "libx264 -preset ultrafast")
    source = f"color=gray:size={size}:rate={r['fps']}"
    if r["flash"]:
        source = source.replace("gray", "black") + f",drawbox=color=white:t=fill:enable='not(mod(n,{r['flash']}))'"
    return ["-itsoffset", str(max(-r["at"], 0)), "-f", "lavfi", "-t", str(r["pictures"]), "-i", source, "-map", "1:v",
            "-vsync", "passthrough", "-c:v", *coder.split(), "-pix_fmt", "yuv420p", "-g", str(2 * r["flash"] or 50)]


def make(folder, r):
    path = os.path.join(folder, r["name"])
    if os.path.exists(path):
        return path
    pcm, part = path + ".pcm", path + ".part" + os.path.splitext(path)[1]
    numpy.array([signal_of(r, c, r["rate"]) for c in CHANNELS[r["channels"]]], "<f4").T.tofile(pcm)
    # The edit list of an MP4 tells when its sound begins, in ticks of the movie.
    exact = ["-movie_timescale", str(r["rate"])] if path.endswith(MP4) else []
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-itsoffset", str(max(r["at"], 0)), "-f", "f32le",
                    "-ar", str(r["rate"]), "-ac", str(r["channels"]), "-i", pcm,
                    *(picture_options(r) if r["pictures"] else []), "-map", "0:a", "-c:a", *r["codec"].split(),
                    *exact, part], check=True)
    os.unlink(pcm)
    os.replace(part, path)
    return path


# ---- sounds: arrays of channels

def place(x, at, n):
    """n samples in which x begins at sample `at`."""
    out = numpy.zeros((len(x), n))
    x = x[:, max(-at, 0):][:, :max(n - max(at, 0), 0)]
    out[:, max(at, 0):max(at, 0) + x.shape[1]] = x
    return out


def truth(r, rate, channels, n):
    """What there is to hear."""
    return place(numpy.array([signal_of(r, c, rate) for c in range(channels)]), round(r["at"] * rate), n)


def decode(path, rate, channels, whole=True):
    """whole: that it decodes without a word."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-ar", str(rate), "-ac", str(channels),
                          "-f", "f32le", "-"], capture_output=True)
    assert not whole or out.returncode == 0 and not out.stderr, out.stderr
    return numpy.frombuffer(out.stdout, "<f4").reshape(-1, channels).T.astype(float)


def first_time(path, kind):
    """When the first frame of a file is presented, by the file's own clock; it may be behind many that are not."""
    for part in ["-read_intervals", "%+#4"], []:
        out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", kind, *part, "-show_entries",
                              "frame=best_effort_timestamp_time", "-of", "csv=p=0", path],
                             capture_output=True, text=True, check=True).stdout.split()
        if out:
            return float(out[0].strip(","))


def source(path, rate, channels, n, pictures=True, whole=True):
    """What ffmpeg hears in a source: its first sample is the first of all where there are no pictures."""
    at = first_time(path, "a") - first_time(path, "v") if pictures else 0
    return place(decode(path, rate, channels, whole), round(at * rate), n)


def heard(r, tmp):
    """What a player hears of a rendition."""
    return decode(r.whole(os.path.join(str(tmp), r.name + ".mp4")), r.init.timescale, r.init.channels)


# ---- measuring

def level(x):
    return float(numpy.sqrt(numpy.mean(x ** 2)))


def lag(x, y):
    """By how many samples x is later than in y, which reaches to either side of it, and how alike the two are
    then, 1 at most."""
    n = len(x) + len(y)
    alike = numpy.fft.irfft(numpy.fft.rfft(y, n) * numpy.conj(numpy.fft.rfft(x, n)), n)[:2 * REACH + 1]
    power = numpy.pad(y ** 2, (1, 0)).cumsum()
    alike /= WINDOW * level(x) * numpy.sqrt(numpy.maximum(power[WINDOW:] - power[:-WINDOW], 0) / WINDOW) + 1e-15
    best = int(numpy.argmax(alike))
    return REACH - best, alike[best]


def nearest(x, y, slack=0.02):
    """As lag(), but of all places where the two are nearly as alike as they get, the nearest: a tone fits in many."""
    n, power = len(x) + len(y), numpy.pad(numpy.cumsum(y ** 2), (1, 0))
    alike = numpy.fft.irfft(numpy.fft.rfft(y, n) * numpy.conj(numpy.fft.rfft(x, n)), n)[:len(y) - len(x) + 1]
    alike /= numpy.sqrt(numpy.sum(x ** 2) * (power[len(x):] - power[:-len(x)])) + 1e-9
    good = numpy.flatnonzero(alike >= alike.max() - slack) - REACH
    best = int(good[numpy.argmin(numpy.abs(good))])
    return -best, alike[best + REACH]


def lags(heard, right, lag=lag):
    """lag() of each window in which there is something to hear."""
    usual, wide = level(right), numpy.pad(right, REACH)
    return [lag(heard[at:at + WINDOW], wide[at:at + WINDOW + 2 * REACH])
            for at in range(0, len(right) - WINDOW + 1, WINDOW) if level(right[at:at + WINDOW]) > usual / 2]


def quiet(x, edge=EDGE):
    """Where no channel sounds, nor anything within `edge`."""
    loud = numpy.pad((x != 0).any(0).astype(int), edge).cumsum()
    return loud[2 * edge:] == numpy.pad(loud, (1, 0))[:-2 * edge - 1]


def onsets(x, rate):
    """When a beep begins, in seconds: what is loud after a tenth of a second that is not."""
    loud = numpy.flatnonzero(numpy.abs(x) > 0.1)
    return loud[numpy.diff(loud, prepend=-rate) > rate / 10] / rate


# ---- sound and pictures

FLASHES = {r["name"]: r for r in (
    recipe("flash.mp4", beeps(1.001), fps="30000/1001", flash=30),
    recipe("flash.mkv", beeps(1), rate=44100, flash=25),
    recipe("flash-minutes.mp4", beeps(1.001), fps="30000/1001", seconds=190, pictures=190, flash=30),
)}


def presentation_times(video):
    out = []
    for fragment in (f for k in video.fragments for f in k):
        dts = fragment.time
        for s in fragment.samples:
            out.append(dts + s.offset)
            dts += s.duration
    return numpy.sort(out) / video.init.timescale


def flashes(video, tmp):
    """When white pictures are presented, in seconds, by its boxes."""
    path = video.whole(str(tmp / "video.mp4"))
    luma = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-vf", "scale=1:1:flags=area",
                           "-f", "rawvideo", "-pix_fmt", "gray", "-"], capture_output=True, check=True).stdout
    return presentation_times(video)[numpy.frombuffer(luma, "u1") > 128]


def check_together(videos, audio, tmp):
    """A beep with each flash, within 10 ms; the one at 0 fades in.  In each rendition, all along, and so also for who
    plays a segment of the one and then one of the other: all have the flashes of a segment within it."""
    sounding = onsets(heard(audio, tmp)[0], audio.init.timescale)
    shown = []
    for video in videos:
        seen = flashes(video, tmp)
        assert len(seen) == len(sounding)
        assert numpy.abs(sounding - seen)[1:].max() <= 0.01, (video.name, sounding - seen)
        cuts = [fragments[0].time / video.init.timescale for fragments in video.fragments]
        assert set(cuts) <= set(seen), "a border without a flash"
        shown.append(numpy.searchsorted(cuts, seen, "right").tolist())
    assert all(segments == shown[0] for segments in shown), shown
