# SPDX-License-Identifier: BSD-2-Clause
"""Sound as a player hears it, of segments that a cold server made out of order.

Checked are what the research calls checks 19 to 25, at its thresholds; the numbers
in brackets are those.  Of AAC, and of Opus where that is in the ladder.
"""
import hashlib
import math
import struct
import subprocess

import numpy
import pytest

import exact
import sounds
from edge import Playlist
from sounds import BLOCK, FRAME, UNSOUND, WINDOW, recipe

OPUS, VORBIS, MP3 = "libopus -b:a 192k", "libvorbis -b:a 192k", "libmp3lame -b:a 256k"
PCM = ("pcm_u8", "pcm_s8", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_s32be", "pcm_f32be", "pcm_alaw")
WMA = "wmav2 -b:a 192k"
VARIABLE = (OPUS, VORBIS, WMA)  # their frames differ in length, and Matroska gives them times in milliseconds
SILENT = 1e-4              # -80 dBFS


def table(*rows):
    return {r["name"]: r for r in rows}


def names(rows, *long):
    return [pytest.param(n, marks=pytest.mark.long) if n in long else n for n in rows]


CODECS = {  # what it is called, samples of a frame, which is silent as often at the very start
    "aac": ("audio-0", FRAME, UNSOUND),
    "opus": ("audio-0-opus", 960, 312),
}
# At 96 kb/s or more libopus forgets its past; one channel gets two thirds of this.
OPUS_LADDER = {"ladder": [{"short_side": 240, "maxrate": 400000, "crf": 23}, {"codec": "opus", "bitrate": 144000}]}


def fetch_sound(edge, name, codec="aac"):
    playlist, [audio] = exact.fetch(edge, name, only={CODECS[codec][0]})
    return playlist, audio, audio.init.timescale


def start_for(start, folder, codec):
    return start(folder, config=OPUS_LADDER) if codec == "opus" else start(folder)


# ---- where the sound is

PLACES = table(
    recipe("48k.mp4"),
    recipe("44k.mp4", rate=44100),
    recipe("44k.mkv", rate=44100),
    recipe("22k-mono.mp4", rate=22050, channels=1),
    recipe("six.mp4", channels=6),
    recipe("opus.webm", codec=OPUS),
    recipe("opus.mkv", codec=OPUS),
    recipe("vorbis.mkv", codec=VORBIS),
    recipe("mp3.mp4", codec=MP3),
    recipe("mp3.mkv", codec=MP3, rate=44100),
    recipe("pcm-s16.mov", codec="pcm_s16le"),
    recipe("pcm-s24.mov", codec="pcm_s24be", rate=44100),
    recipe("pcm-f32.mov", codec="pcm_f32le", channels=6),
    recipe("pcm-ulaw.mov", codec="pcm_mulaw", rate=22050, channels=1),
    recipe("pcm.mkv", codec="pcm_s24le", rate=44100),
    *(recipe(f"{kind}.mov", codec=kind, channels=1) for kind in PCM),
    recipe("mp2.mkv", codec="mp2 -b:a 384k"),
    recipe("ac3.mp4", codec="ac3 -b:a 640k"),
    recipe("ac3.mkv", codec="ac3 -b:a 640k", rate=44100),
    recipe("truehd.mkv", codec="truehd -strict -2"),
    recipe("lpcm.m2ts", codec="pcm_bluray"),
    recipe("eac3.mp4", codec="eac3 -b:a 640k"),
    recipe("dts.mkv", codec="dca -strict -2 -b:a 1536k"),
    recipe("flac.mp4", codec="flac -strict -2"),
    recipe("flac.mkv", codec="flac", rate=44100),
    recipe("alac.mp4", codec="alac"),
    recipe("alac.mkv", codec="alac", rate=44100),
    # Containers without an index of use.
    recipe("48k.ts"),
    recipe("44k.ts", rate=44100),
    recipe("mp2.ts", codec="mp2 -b:a 384k"),
    recipe("ac3.ts", codec="ac3 -b:a 640k"),
    recipe("late.ts", at=0.5, seconds=12.5),
    recipe("44k.flv", rate=44100),
    recipe("mp3.flv", codec=MP3, rate=44100),
    recipe("ac3.avi", codec="ac3 -b:a 640k"),
    recipe("ac3.rm", codec="ac3 -b:a 640k"),
    recipe("pcm.avi", codec="pcm_s16le"),
    recipe("adpcm.avi", codec="adpcm_ms"),
    recipe("wma.asf", codec=WMA, rate=44100),
    recipe("pcm.mxf", codec="pcm_s16le"),
    recipe("tape.dv", codec="pcm_s16le", seconds=6, pictures=6),
    recipe("vorbis-video.ogv", codec=VORBIS),
    recipe("alone.wav", codec="pcm_s16le", pictures=0),
    recipe("alone-ima.wav", codec="adpcm_ima_wav", pictures=0),
    recipe("alone.flac", codec="flac", pictures=0, rate=44100),
    recipe("brief.flac", codec="flac", pictures=0, seconds=2),  # so short that its last frame, which is shorter, is seen
    recipe("alone.mp3", codec=MP3, pictures=0, rate=44100),
    recipe("alone.aac", codec=sounds.AAC, pictures=0),
    recipe("alone-opus.ogg", codec=OPUS, pictures=0),
    recipe("alone-vorbis.ogg", codec=VORBIS, pictures=0),
    recipe("alone-flac.ogg", codec="flac", pictures=0),
    recipe("late.mp4", at=0.5, seconds=12.5),
    recipe("late.mkv", at=0.5, seconds=12.5),
    recipe("early.mp4", at=-0.3, seconds=13.3, fps="30"),
    recipe("early.mkv", at=-0.3, seconds=13.3, fps="30", rate=44100),
    recipe("shorter.mp4", seconds=9),
    recipe("longer.mp4", pictures=8),
    recipe("longer.mkv", pictures=8, rate=44100),
    recipe("alone.m4a", pictures=0),
    recipe("alone-mp3.mp4", codec=MP3, pictures=0, rate=44100),
    recipe("ten-minutes.mkv", rate=44100, channels=1, seconds=600, pictures=600),
)


def check_length(playlist, audio, r, frame):
    """As many packets as there are pictures for, of one length, one after another [22]; both lists alike [23]."""
    end = exact.check_chain(audio)
    assert all(s.duration == frame for k in audio.fragments for f in k for s in f.samples)
    exact.check_playlist(audio, end)

    listed = [playlist.media(folder)[1] for _, folder, _ in playlist.renditions()]
    assert {len(durations) for durations in listed} == {len(audio.names)}
    length = max(r["pictures"], r["at"] + r["seconds"])
    if r["pictures"]:
        assert sum(map(float, listed[0])) == pytest.approx(length, abs=1e-5)
    if r["name"].endswith(".aac"):
        length += FRAME / r["rate"]  # ADTS does not say what the encoder put before the sound
    packets = math.ceil(length * audio.init.timescale / frame - 1e-6)
    assert exact.frame_count(audio) == packets and end * audio.init.timescale == packets * frame


@pytest.mark.parametrize("name", names(PLACES, "opus.mkv", "late.mkv", "longer.mkv", "ten-minutes.mkv",
                                       "mp2.ts", "ac3.ts", "truehd.mkv", "lpcm.m2ts", "mp3.flv", "ac3.avi", "pcm.mxf", "alone-ima.wav",
                                       "alone-vorbis.ogg", "alone-flac.ogg",
                                       *(f"{kind}.mov" for kind in PCM)))
def test_place(name, start, sound_dir, tmp_path):
    check_place(name, "aac", start, sound_dir, tmp_path)


@pytest.mark.parametrize("name", ["44k.mkv", "22k-mono.mp4", *(pytest.param(n, marks=pytest.mark.long) for n in (
    "48k.mp4", "six.mp4", "opus.webm", "late.mp4", "early.mkv", "shorter.mp4", "longer.mp4", "44k.ts"))])
def test_place_of_opus(name, start, sound_dir, tmp_path):
    check_place(name, "opus", start, sound_dir, tmp_path)


def check_place(name, codec, start, sound_dir, tmp_path):
    r = PLACES[name]
    path = sounds.make(sound_dir, r)
    frame = CODECS[codec][1]
    playlist, audio, rate = fetch_sound(start_for(start, sound_dir, codec), name, codec)
    check_length(playlist, audio, r, frame)

    heard = sounds.heard(audio, tmp_path)
    channels, n = heard.shape
    assert rate == (44100 if r["rate"] == 44100 and codec == "aac" else 48000)
    assert channels == min(r["channels"], 2) and n == exact.frame_count(audio) * frame
    truth = sounds.truth(r, rate, channels, n)
    # Matroska rounds to a millisecond where the sound begins: what is right then is what it says.
    right = truth if path.endswith(sounds.MP4) else sounds.source(path, rate, channels, n, r["pictures"])
    for channel in range(channels):  # [21]
        lags, alike = zip(*sounds.lags(heard[channel], right[channel]))
        assert max(map(abs, lags)) <= (48 if r["codec"] in VARIABLE else 1), lags
        assert max(map(abs, numpy.diff(lags))) <= 1, lags
        assert min(alike) > 0.5, alike
    # libopus keeps no direct current: what a sudden end leaves of it dies away at 3 Hz.
    edge = sounds.EDGE if codec == "aac" else rate // 4
    assert numpy.all(numpy.abs(heard[:, sounds.quiet(truth, edge)]) < SILENT)  # [23]


def chunk(kind, body):
    return kind + len(body).to_bytes(4, "little") + body


def type_one(dv):
    """An AVI of the frames of a tape as Windows' capture programs wrote it: one stream of both, pictures and sound ("DV Data in
    the AVI File Format", type 1)."""
    frames = [dv[at:at + 144000] for at in range(0, len(dv), 144000)]
    avih = struct.pack("<14I", 40000, 3600000, 0, 0x10, len(frames), 0, 1, 144000, 720, 576, 0, 0, 0, 0)
    strh = struct.pack("<4s4sI2H8I4H", b"iavs", b"dvsd", 0, 0, 0, 0, 1, 25, 0, len(frames), 144000, 0, 0, 0, 0, 720, 576)
    strl = chunk(b"LIST", b"strl" + chunk(b"strh", strh) + chunk(b"strf", bytes(32)))
    movi = b"".join(chunk(b"00__", f) for f in frames)
    idx1 = b"".join(struct.pack("<4s3I", b"00__", 0x10, 4 + 144008 * i, 144000) for i in range(len(frames)))
    return chunk(b"RIFF", b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", avih) + strl) +
                 chunk(b"LIST", b"movi" + movi) + chunk(b"idx1", idx1))


def test_tape_in_avi(start, sound_dir, tmp_path):
    """Pictures and sound of a tape, in an AVI of one stream, are those of its frames alone."""
    folder = tmp_path / "clips"
    folder.mkdir()
    with open(sounds.make(sound_dir, PLACES["tape.dv"]), "rb") as dv:
        frames = dv.read()
    (folder / "tape.dv").write_bytes(frames)
    (folder / "tape.avi").write_bytes(type_one(frames))
    edge = start(folder)
    alike = [[(r.name, r.hashes()) for r in exact.fetch(edge, name)[1]] for name in ("tape.dv", "tape.avi")]
    assert alike[0] == alike[1] and len(alike[0]) > 1


# Of these ffmpeg tells what there is to hear: no more than that is in the file, or what an encoder put before it, too.
ALONE = table(
    recipe("alone.ac3", codec="ac3 -b:a 640k", pictures=0),
    recipe("alone.eac3", codec="eac3 -b:a 640k", pictures=0, rate=44100),
    recipe("alone.dts", codec="dca -strict -2 -b:a 1536k", pictures=0),
    recipe("alone.aiff", codec="pcm_s16be", pictures=0, rate=44100),
    recipe("alone.caf", codec="pcm_s24be", pictures=0),
    recipe("alone.w64", codec="pcm_s16le", pictures=0),
    recipe("alone.au", codec="pcm_mulaw", pictures=0, rate=22050, channels=1),
    recipe("alone.wv", codec="wavpack", pictures=0, rate=44100),
    recipe("alone.tta", codec="tta", pictures=0),
    recipe("ima.mov", codec="adpcm_ima_qt", pictures=0, rate=44100),
    recipe("ms.mov", codec="adpcm_ms", pictures=0),
    recipe("wma.wav", codec=WMA, pictures=0, rate=44100),
    # At 8 kHz a decoder holds samples back from the first packet on: all others come so much early.
    recipe("speech.webm", codec="libopus -b:a 8k -application voip", channels=1, pictures=0),
)


LEFT_OUT = {"wma.wav": 2 * 2048}  # by ffmpeg, though nothing in the file says so


@pytest.mark.parametrize("name", names(ALONE, "alone.eac3", "alone.aiff", "alone.w64", "alone.au", "alone.tta", "ms.mov"))
def test_alone(name, start, sound_dir, tmp_path):
    path = sounds.make(sound_dir, ALONE[name])
    _, audio, rate = fetch_sound(start(sound_dir), name)
    heard = sounds.heard(audio, tmp_path)
    right = sounds.source(path, rate, *heard.shape, False)
    before = LEFT_OUT.get(name, 0)
    assert before or 0 <= heard.shape[1] - sounds.decode(path, rate, 1).shape[1] < 2 * FRAME
    for h, r in zip(heard, right):
        lags, alike = zip(*sounds.lags(h, r))
        assert set(lags) == {before} and min(alike[1:]) > 0.7, (lags, alike)


def test_cable_in_wav(start, tmp_path):
    """AC-3 as it goes over a digital cable, recorded as if it were PCM: the bytes of its words are swapped."""
    r, folder = recipe("plain.ac3", codec="ac3 -b:a 448k", pictures=0, seconds=3), tmp_path / "clips"
    path, cable = sounds.make(str(tmp_path), r), str(tmp_path / "cable")
    folder.mkdir()
    for command in (["-i", path, "-c", "copy", "-f", "spdif", cable],
                    ["-f", "s16le", "-ar", "48000", "-ac", "2", "-i", cable, "-c", "copy", str(folder / "cable.wav")]):
        subprocess.run(["ffmpeg", "-v", "error", *command], check=True)
    _, audio, rate = fetch_sound(start(folder), "cable.wav")
    heard = sounds.heard(audio, tmp_path)
    for h, r in zip(heard, sounds.source(path, rate, *heard.shape, False)):
        assert {lag for lag, _ in sounds.lags(h, r)} == {0}


def test_junk_before_mp3(start, tmp_path):
    """Zeros that a tool left, and half a frame of what was cut."""
    r = recipe("whole.mp3", codec=MP3, pictures=0, seconds=3, rate=44100)
    path, folder = sounds.make(str(tmp_path), r), tmp_path / "clips"
    folder.mkdir()
    with open(path, "rb") as f:
        mp3 = f.read()
    (folder / "junk.mp3").write_bytes(bytes(200) + mp3[1500:1800] + mp3)
    _, audio, rate = fetch_sound(start(folder), "junk.mp3")
    heard = sounds.heard(audio, tmp_path)
    for h, r in zip(heard, sounds.source(str(folder / "junk.mp3"), rate, *heard.shape, False)):
        assert {lag for lag, _ in sounds.lags(h, r)} == {0}


@pytest.mark.parametrize("codec", [VORBIS, pytest.param(OPUS, marks=pytest.mark.long)])
def test_oggs_in_a_row(codec, start, tmp_path):
    """Two recordings in one file, each with a clock and headers of its own: the second follows the first."""
    r = recipe("one.ogg", codec=codec, pictures=0, seconds=3)
    path, folder = sounds.make(str(tmp_path), r), tmp_path / "clips"
    folder.mkdir()
    with open(path, "rb") as f:
        (folder / "two.ogg").write_bytes(2 * f.read())
    _, audio, rate = fetch_sound(start(folder), "two.ogg")
    heard, once = sounds.heard(audio, tmp_path)[0], sounds.source(path, rate, 2, 3 * rate, False)[0]
    assert 0 <= len(heard) - 6 * rate < 2 * FRAME
    for at, most in (0, 48), (3 * rate, FRAME):  # what Opus has before its sound, and where a block of Vorbis ends, is heard
        lags, alike = zip(*sounds.lags(heard[at:at + 3 * rate], once))
        assert max(map(abs, lags)) <= most and min(alike) > 0.5, (lags, alike)


def test_no_sound(start, clip, media_dir):
    master = Playlist(start(media_dir), clip("noaudio.mp4"))
    assert master.variants and not master.audio
    assert "AUDIO" not in master.master and "mp4a" not in master.master


# ---- borders

BORDERS = table(
    recipe("tone.mp4", sounds.tone),
    recipe("sweep.mp4", sounds.tone_and_sweep),
    recipe("sweep-mono.mkv", sounds.tone_and_sweep, rate=44100, channels=1),
    recipe("sweep-22k.mp4", sounds.tone_and_sweep, rate=22050),
    recipe("castanets.mp4", sounds.castanets),
)


def check_borders(error, borders, clicks, reach=None):
    """In a block about a border the error is what it is in others [20]; reach: in those so near."""
    about = [b - BLOCK // 2 for b in borders]
    others = [o for o in range(BLOCK, len(error) - 2 * BLOCK, BLOCK) if all(abs(o - a) >= BLOCK for a in about)]
    for a in about if reach else ():
        near = [sounds.level(error[o:o + BLOCK]) for o in others if abs(o - a) <= reach]
        assert sounds.level(error[a:a + BLOCK]) <= 1.5 * numpy.median(near), (a, near)
    if reach:
        return

    def measure(at):
        blocks = [error[a:a + BLOCK] for a in at]
        return [sounds.level(b) for b in blocks], max(numpy.abs(b).max() for b in blocks)
    levels, peak = measure(about)
    usual_levels, usual_peak = measure(others)
    assert max(levels) <= (1.25 if clicks else 1.5) * numpy.median(usual_levels), (levels, usual_levels)
    # Clicks that are coded as well as one can hear are far off in places, anywhere.
    assert peak <= 0.03 + (usual_peak if clicks else 0), peak


def check_start(heard, right, unsound=UNSOUND):
    """After what fades in there is no click [24]."""
    loudest = [numpy.abs(x[unsound:WINDOW]).max() for x in (heard, right)]
    assert loudest[0] <= loudest[1] + 0.1, loudest


QUALITIES = (100, 70, 49, 34, 23)  # the usual, and what the edge falls back to where sound would exceed its BANDWIDTH


def encode_at_once(pcm, rate, tmp, quality):
    """MD5 of the packets of one continuous encode with the edge's default settings, priming left out."""
    path = tmp / "pcm"
    pcm.T.astype("<f4").tofile(path)
    rows = subprocess.run(["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(rate), "-ac", str(len(pcm)), "-i", path,
                           "-af", f"apad=pad_len={2 * FRAME}", "-c:a", "aac", "-aac_pns", "0",
                           "-flags:a", "+qscale+bitexact", "-global_quality:a", str(quality),
                           "-b:a", str(64000 * len(pcm) * 100 // quality), "-f", "framehash", "-hash", "md5", "-"],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    fields = [row.replace(" ", "").split(",") for row in rows if not row.startswith("#")]
    return [f[5] for f in fields if int(f[2]) >= 0]


def check_packets(audio, at_once, unlike):
    """[19], and more: none differs, except the last ones (ffmpeg ends what it resamples a little differently)."""
    end, at = exact.frame_count(audio) - unlike, 0
    for k, fragments in enumerate(audio.fragments):
        made = [hashlib.md5(s.data).hexdigest() for f in fragments for s in f.samples][:end - at]
        assert any(made == whole[at:at + len(made)] for whole in at_once), k
        at += len(made)


@pytest.mark.parametrize("name", BORDERS)
def test_borders(name, start, sound_dir, tmp_path):
    r = BORDERS[name]
    path = sounds.make(sound_dir, r)
    _, audio, rate = fetch_sound(start(sound_dir), name)
    heard = sounds.heard(audio, tmp_path)
    right = sounds.source(path, rate, *heard.shape)
    right[:, r["seconds"] * rate:] = 0
    for is_, should in zip(heard, right):
        check_borders(is_ - should, [f[0].time for f in audio.fragments[1:]], r["signal"] is sounds.castanets)
        check_start(is_, should)

    clicks = r["signal"] is sounds.castanets
    at_once = [encode_at_once(right, rate, tmp_path, q) for q in (QUALITIES if clicks else QUALITIES[:1])]
    check_packets(audio, at_once, 0 if r["rate"] == rate else 2)


def encode_opus_at_once(pcm, rate, tmp):
    """The same in Opus.  The encoder is late by 312 samples; it begins with those that much into the sound."""
    path = tmp / "pcm"
    pcm[:, 312:].T.astype("<f4").tofile(path)
    rows = subprocess.run(["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(rate), "-ac", str(len(pcm)), "-i", path,
                           "-c:a", "libopus", "-b:a", str(144000 if len(pcm) > 1 else 96000), "-compression_level", "6",
                           "-f", "framehash", "-hash", "md5", "-"],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    return [row.replace(" ", "").split(",")[5] for row in rows if not row.startswith("#")]


@pytest.mark.parametrize("name", ["sweep.mp4", "castanets.mp4",
                                  *(pytest.param(n, marks=pytest.mark.long) for n in ("tone.mp4", "sweep-mono.mkv"))])
def test_borders_of_opus(name, start, sound_dir, tmp_path):
    r = BORDERS[name]
    path = sounds.make(sound_dir, r)
    _, audio, rate = fetch_sound(start_for(start, sound_dir, "opus"), name, "opus")
    heard = sounds.heard(audio, tmp_path)
    right = sounds.source(path, rate, *heard.shape)
    right[:, r["seconds"] * rate:] = 0
    clicks = r["signal"] is sounds.castanets
    for is_, should in zip(heard, right):
        # A mean rate errs more where there is more to say: in a sweep, from second to second.
        check_borders(is_ - should, [f[0].time for f in audio.fragments[1:]], clicks, None if clicks else 4 * BLOCK)
        check_start(is_, should, CODECS["opus"][2])
    if r["rate"] == rate and not clicks:  # ffmpeg resamples a little differently, and these are coded more coarsely
        check_packets(audio, [encode_opus_at_once(right, rate, tmp_path)], 1)


# ---- the promise

PROMISES = table(
    recipe("castanets.m4a", sounds.castanets, pictures=0),
    recipe("castanets-mono.m4a", sounds.castanets, rate=44100, channels=1, pictures=0),
    recipe("bursts.m4a", sounds.bursts, rate=44100, pictures=0),
    recipe("bursts-mono.mka", sounds.bursts, channels=1, pictures=0),
    recipe("bursts-short.m4a", sounds.bursts, seconds=0.3, pictures=0),
)


@pytest.mark.parametrize("name, codec", [*((name, "aac") for name in PROMISES), ("bursts.m4a", "opus")])
def test_dense_sound_keeps_its_bandwidth(name, codec, start, sound_dir):
    sounds.make(sound_dir, PROMISES[name])
    edge = start_for(start, sound_dir, codec)
    _, audio, _ = fetch_sound(edge, name, codec)
    assert "BANDWIDTH" in audio.attrs
    exact.check_promises(audio)
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


# ---- sound and pictures

@pytest.mark.parametrize("name", names(sounds.FLASHES, "flash-minutes.mp4"))
def test_flash_and_beep(name, start, sound_dir, tmp_path):
    """[25]"""
    sounds.make(sound_dir, sounds.FLASHES[name])
    _, [*videos, audio] = exact.fetch(start(sound_dir), name)
    assert [v.copied for v in videos] == [True, False]
    sounds.check_together(videos, audio, tmp_path)
