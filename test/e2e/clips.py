# SPDX-License-Identifier: BSD-2-Clause
"""Generated clips: a table of recipes, made by ffmpeg when first asked for.

Every frame carries its number as a barcode (test/tools/barcode.c), so that a
test can tell which source frame it sees after scaling and coding.
"""
import os
import subprocess

from edge import BUILD

BARCODE = os.path.join(BUILD, "test", "barcode")
PICTURE = "testsrc2=size={w}x{h}:rate={fps}"
SOUND = "sine=frequency=440:beep_factor=4:sample_rate=48000"

X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g {gop} -keyint_min {gop} -sc_threshold 0"
X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p "
AAC = "-c:a aac -b:a 128k -ac 2"
OPEN_GOP = X264 + " -x264-params open-gop=1:bframes=3:b-pyramid=normal"


def recipe(name, w=640, h=360, fps="25", seconds=13, video=X264, audio=AAC, mux="-movflags +faststart",
           gop=50, extra="", source=PICTURE, sound=SOUND, after=None):
    return dict(name=name, w=w, h=h, fps=fps, seconds=seconds, video=video.format(gop=gop), audio=audio,
                mux=mux, extra=extra, source=source, sound=sound, after=after)


def turned(degrees):
    """The display matrix can only be written while copying (ffmpeg 5.1)."""
    return f"-c copy -metadata:s:v:0 rotate={degrees} -movflags +faststart"


RECIPES = {r["name"]: r for r in [
    recipe("base.mp4"),
    recipe("short.mp4", seconds=3),
    recipe("noaudio.mp4", audio=None),
    recipe("23976.mp4", fps="24000/1001"),
    recipe("2997.mp4", fps="30000/1001", gop=60),
    recipe("60.mp4", fps="60", gop=120, seconds=9),
    recipe("120.mp4", fps="120", gop=240, seconds=6),
    recipe("opengop.mp4", video=OPEN_GOP, gop=40),
    recipe("opengop.mkv", video=OPEN_GOP, gop=40, mux=""),
    recipe("refresh.mp4", video=X264 + " -x264-params intra-refresh=1", gop=60),
    recipe("gop10.mp4", gop=250, seconds=24),
    recipe("gop12.mp4", gop=300, seconds=24),
    recipe("gop12.mkv", gop=300, seconds=14, mux=""),
    recipe("moovlast.mp4", mux=""),
    recipe("base.mkv", mux=""),
    recipe("23976.mkv", fps="24000/1001", mux="", gop=60),
    recipe("2997.mkv", fps="30000/1001", mux="", gop=60),
    recipe("hevc.mp4", video=X265 + "-tag:v hvc1 -x265-params keyint={gop}:open-gop=0:log-level=error"),
    recipe("hevcopen.mp4", video=X265 + "-tag:v hvc1 -x265-params keyint={gop}:open-gop=1:bframes=4:log-level=error",
           gop=40),
    recipe("hevcopen.mkv", mux="", video=X265 + "-x265-params keyint={gop}:open-gop=1:bframes=4:log-level=error",
           gop=40),
    # CRA pictures that none lead.
    recipe("hevccra.mkv", mux="", video=X265 + "-x265-params keyint={gop}:open-gop=1:bframes=0:log-level=error"),
    recipe("vp9.webm", mux="", video="-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g {gop} -b:v 1M",
           audio="-c:a libopus -b:a 96k"),
    recipe("vp8.webm", mux="", video="-c:v libvpx -deadline realtime -cpu-used 8 -g {gop} -b:v 1M",
           audio="-c:a libvorbis"),
    recipe("vp9.mp4", video="-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g {gop} -b:v 1M"),
    recipe("av1.mp4", video="-c:v libsvtav1 -preset 12 -g {gop} -pix_fmt yuv420p"),
    recipe("av1.mkv", mux="", video="-c:v libsvtav1 -preset 12 -g {gop} -pix_fmt yuv420p",
           audio="-c:a libmp3lame -ac 2"),
    recipe("mp3.mp4", audio="-c:a libmp3lame -ac 2"),
    recipe("mpeg1.mkv", mux="", video="-c:v mpeg1video -bf 2 -g {gop} -b:v 3M", audio="-c:a mp2"),
    recipe("mpeg2.mkv", mux="", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M", audio="-c:a ac3"),
    recipe("mpeg2.mp4", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M"),
    recipe("mpeg4.mp4", video="-c:v mpeg4 -bf 2 -g {gop} -b:v 3M"),
    recipe("mpeg4.mkv", mux="", video="-c:v mpeg4 -bf 2 -g {gop} -b:v 3M", audio="-c:a flac"),
    recipe("msmpeg4v2.mkv", mux="", video="-c:v msmpeg4v2 -g {gop} -b:v 3M"),
    recipe("msmpeg4v3.mkv", mux="", video="-c:v msmpeg4 -g {gop} -b:v 3M"),
    recipe("wmv1.mkv", mux="", video="-c:v wmv1 -g {gop} -b:v 3M"),
    recipe("wmv2.mkv", mux="", video="-c:v wmv2 -g {gop} -b:v 3M"),
    recipe("h263.mov", w=352, h=288, video="-c:v h263 -g {gop} -b:v 2M"),
    recipe("flv1.mkv", mux="", video="-c:v flv -g {gop} -b:v 3M"),
    recipe("theora.mkv", mux="", video="-c:v libtheora -g {gop} -b:v 3M"),
    recipe("mjpeg.mov", video="-c:v mjpeg -q:v 4 -pix_fmt yuvj420p"),
    recipe("prores.mov", video="-c:v prores_ks -profile:v 2 -pix_fmt yuv422p10le", audio="-c:a alac"),
    recipe("dnxhr.mov", video="-c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p"),
    # What editors, archives and screens keep; of four seconds, as some are as large as raw pictures.
    recipe("ffv1.mkv", seconds=4, mux="", video="-c:v ffv1 -level 3 -g 1", audio="-c:a flac"),
    recipe("ffv1-10.mkv", seconds=4, mux="", video="-c:v ffv1 -level 3 -g 5 -context 1 -pix_fmt yuv422p10le", audio="-c:a pcm_s24le"),
    recipe("huffyuv.avi", seconds=4, mux="", video="-c:v huffyuv -pix_fmt yuv422p", audio="-c:a pcm_s16le"),
    recipe("ffvhuff.avi", seconds=4, mux="", video="-c:v ffvhuff", audio="-c:a pcm_s16le"),
    recipe("utvideo.avi", seconds=4, mux="", video="-c:v utvideo -pix_fmt yuv422p", audio="-c:a pcm_s16le"),
    recipe("magicyuv.mkv", seconds=4, mux="", video="-c:v magicyuv"),
    recipe("v210.mov", seconds=4, video="-c:v v210 -pix_fmt yuv422p10le", audio="-c:a pcm_s16le"),
    recipe("jpeg2000.mxf", seconds=4, mux="", video="-c:v jpeg2000 -pix_fmt yuv422p", audio="-c:a pcm_s16le"),
    recipe("png.mov", seconds=4, video="-c:v png -pix_fmt rgb24"),
    recipe("cfhd.mov", seconds=4, video="-c:v cfhd -pix_fmt yuv422p10le"),
    recipe("qtrle.mov", seconds=4, video="-c:v qtrle -pix_fmt rgb24 -g {gop}"),
    recipe("palette.mov", seconds=4, video="-c:v qtrle -pix_fmt pal8 -g {gop}",
           extra="-vf split[a][b];[a]palettegen[p];[b][p]paletteuse"),
    recipe("svq1.mov", seconds=4, video="-c:v svq1 -pix_fmt yuv410p -g {gop} -q:v 3", audio="-c:a pcm_s16be"),
    recipe("cinepak.avi", w=320, h=180, seconds=2, mux="", video="-c:v cinepak -pix_fmt rgb24 -g {gop}", audio="-c:a pcm_u8"),
    recipe("rpza.mov", seconds=4, video="-c:v rpza -pix_fmt rgb555be -g {gop}", audio="-c:a pcm_s16be"),
    recipe("msvideo1.avi", seconds=4, mux="", video="-c:v msvideo1 -pix_fmt rgb555le -g {gop}", audio="-c:a pcm_u8"),
    recipe("flashsv.flv", seconds=4, mux="", video="-c:v flashsv -pix_fmt bgr24 -g {gop}", audio="-c:a libmp3lame -ar 44100"),
    recipe("flashsv2.flv", seconds=4, mux="", video="-c:v flashsv2 -pix_fmt bgr24 -g {gop}", audio="-c:a libmp3lame -ar 44100"),
    # Containers without an index of use.
    recipe("base.ts", mux=""),
    recipe("base.m2ts", mux="-mpegts_m2ts_mode 1"),
    recipe("opengop.ts", video=OPEN_GOP, gop=40, mux="", audio="-c:a ac3"),
    recipe("hevcopen.ts", mux="", video=X265 + "-x265-params keyint={gop}:open-gop=1:bframes=4:log-level=error",
           gop=40),
    recipe("hevc.ts", mux="", video=X265 + "-x265-params keyint={gop}:open-gop=0:bframes=4:log-level=error"),
    recipe("mpeg2.ts", mux="", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M", audio="-c:a mp2"),
    # The clock of 33 bits begins anew after 6 s.
    recipe("wrap.ts", mux="-output_ts_offset 95436.4"),
    recipe("base.mpg", mux="-f vob", audio="-c:a ac3"),
    recipe("mpeg2.mpg", mux="-f vob", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M", audio="-c:a ac3"),
    recipe("base.flv", mux=""),
    recipe("minute.ts", mux="", seconds=60),
    recipe("minute.flv", mux="", seconds=60),
    recipe("minute.mkv", mux="", seconds=60),
    recipe("minute.webm", mux="", seconds=60, video="-c:v libvpx -deadline realtime -cpu-used 8 -g {gop} -b:v 1M",
           audio="-c:a libvorbis"),
    recipe("minute.avi", mux="", seconds=60, video="-c:v mpeg4 -bf 2 -g {gop} -b:v 1M", audio="-c:a libmp3lame -ac 2"),
    recipe("minute.mpg", mux="-f vob", seconds=60, video="-c:v mpeg2video -bf 2 -g {gop} -b:v 2M", audio="-c:a mp2"),
    recipe("minute.ogv", mux="", seconds=60, video="-c:v libtheora -g {gop} -b:v 1M", audio="-c:a libvorbis"),
    recipe("flv1.flv", mux="", video="-c:v flv -g {gop} -b:v 3M", audio="-c:a libmp3lame -ac 2 -ar 44100"),
    recipe("base.avi", mux=""),
    recipe("mpeg4.avi", mux="", video="-c:v mpeg4 -bf 2 -g {gop} -b:v 3M", audio="-c:a libmp3lame -ac 2"),
    recipe("msmpeg4v3.avi", mux="", video="-c:v msmpeg4 -g {gop} -b:v 3M", audio="-c:a ac3"),
    recipe("mjpeg.avi", mux="", video="-c:v mjpeg -q:v 4 -pix_fmt yuvj420p", audio="-c:a pcm_s16le"),
    recipe("dv.avi", w=720, h=576, mux="", video="-c:v dvvideo -pix_fmt yuv420p", audio="-c:a pcm_s16le"),
    recipe("theora.ogv", mux="", video="-c:v libtheora -g {gop} -b:v 3M", audio="-c:a libvorbis"),
    recipe("theora60.ogv", w=320, h=180, fps="60", seconds=0.4, mux="", video="-c:v libtheora -g {gop} -b:v 200k",
           audio=None),
    recipe("wmv2.asf", mux="", video="-c:v wmv2 -g {gop} -b:v 3M", audio="-c:a wmav2"),
    recipe("rv10.rm", w=352, h=288, mux="", video="-c:v rv10 -g {gop} -b:v 3M", audio=None),
    recipe("rv20.rm", h=352, mux="", video="-c:v rv20 -g {gop} -b:v 3M", audio=None),
    recipe("vp8.ivf", mux="", seconds=4, video="-c:v libvpx -deadline realtime -cpu-used 8 -g {gop} -b:v 3M", audio=None),
    recipe("av1.ivf", mux="", seconds=4, video="-c:v libsvtav1 -preset 12 -pix_fmt yuv420p -g {gop}", audio=None),
    recipe("base.mxf", mux="", audio="-c:a pcm_s16le"),
    recipe("mpeg2.mxf", mux="", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M", audio="-c:a pcm_s16le"),
    recipe("raw.h264", video=X264 + " -x264-params bframes=3:b-pyramid=normal", audio=None, mux=""),
    recipe("raw.hevc", video=X265 + "-x265-params keyint={gop}:bframes=4:log-level=error", audio=None, mux=""),
    recipe("raw.m2v", mux="", video="-c:v mpeg2video -bf 2 -g {gop} -b:v 4M", audio=None),
    recipe("raw.m1v", mux="", video="-c:v mpeg1video -bf 2 -g {gop} -b:v 3M", audio=None),
    recipe("rot90.mp4", after=turned(90)),
    recipe("rot180.mp4", after=turned(180)),
    recipe("rot270.mp4", after=turned(270)),
    recipe("sar.mp4", w=480, h=360, extra="-vf setsar=4/3"),
    recipe("odd.mkv", w=641, h=361, mux="", source="testsrc2=size=640x360:rate={fps},scale={w}:{h}", video="-c:v libx264 -preset veryfast -pix_fmt yuv444p -g {gop}"),
    recipe("tenbit.mkv", mux="", video="-c:v libx264 -preset veryfast -pix_fmt yuv422p10le -g {gop}"),
    # Holes in the times; two pictures in three; a beginning that an edit list hides.
    recipe("holes.mkv", mux="", extra="-vf select='not(between(mod(n,90),30,41))' -vsync passthrough"),
    recipe("uneven.mp4", fps="30", extra="-vf select='mod(n,3)' -vsync passthrough -video_track_timescale 30000"),
    recipe("cut.mp4", after="-ss 1.32 -c copy"),
    # Lengths: one picture, less than a part, exactly one segment, one picture more.
    recipe("one.mp4", seconds=0.04, audio=None),
    recipe("third.mp4", seconds=0.32),
    recipe("four.mp4", seconds=4),
    recipe("fourplus.mp4", seconds=4.04),
    recipe("hd.mp4", w=1920, h=1080, seconds=12, fps="30", gop=60),
    recipe("camera.mp4", w=1920, h=1080, seconds=16, fps="30", gop=60, video=X264 + " -b:v 8M -maxrate 8M -bufsize 8M",
           source=PICTURE + ",noise=alls=12:allf=t"),
    recipe("noise.mp4", w=1280, h=720, seconds=8, video=X264.replace("-preset veryfast", "-preset ultrafast"),
           source=PICTURE + ",noise=alls=40:allf=t"),
]}

# For tests that look at bytes and not at pictures: made and encoded in no time.
PLAIN = {r["name"]: r for r in [
    recipe("tiny.mp4", w=320, h=180),
    recipe("brief.mp4", w=320, h=180, seconds=3),
    recipe("brief.mkv", w=320, h=180, seconds=3, mux=""),
    recipe("brief.ts", w=320, h=180, seconds=3, mux=""),
    recipe("brief.flv", w=320, h=180, seconds=3, mux=""),
    recipe("brief.avi", w=320, h=180, seconds=3, mux="", video="-c:v mpeg4 -bf 2", audio="-c:a libmp3lame -ac 2"),
    recipe("brief.ogv", w=320, h=180, seconds=3, mux="", video="-c:v libtheora", audio="-c:a libvorbis"),
    recipe("brief.asf", w=320, h=180, seconds=3, mux="", video="-c:v wmv2", audio="-c:a wmav2"),
    recipe("brief.mpg", w=320, h=180, seconds=3, mux="-f vob", video="-c:v mpeg2video", audio="-c:a mp2"),
    recipe("brief.mxf", w=320, h=180, seconds=3, mux="", video="-c:v mpeg2video", audio="-c:a pcm_s16le"),
    recipe("brief-hevc.mkv", w=320, h=180, seconds=3, mux="", video=X265 + "-x265-params keyint={gop}:log-level=error"),
    recipe("brief-vp8.webm", w=320, h=180, seconds=3, mux="", video="-c:v libvpx -deadline realtime -cpu-used 8",
           audio="-c:a libvorbis"),
    recipe("brief-vp9.webm", w=320, h=180, seconds=3, mux="", video="-c:v libvpx-vp9 -deadline realtime -cpu-used 8",
           audio="-c:a libopus"),
    recipe("brief-av1.mkv", w=320, h=180, seconds=3, mux="", video="-c:v libsvtav1 -preset 12 -pix_fmt yuv420p"),
    recipe("brief.h264", w=320, h=180, seconds=3, mux="", audio=None),
    recipe("tiny-other.mp4", w=320, h=180, gop=40, source="mandelbrot=size={w}x{h}:rate={fps}"),
    recipe("snow.mp4", w=320, h=180, seconds=7, source="nullsrc=size={w}x{h}:rate={fps},geq=random(1)*255:128:128",
           video="-c:v libx264 -preset ultrafast -pix_fmt yuv420p -qp 10", sound="anoisesrc=sample_rate=48000"),
    recipe("tiny-last.mp4", w=320, h=180, mux=""),
    recipe("tiny.mkv", w=320, h=180, mux=""),
    recipe("blink.mp4", w=320, h=180, seconds=1, source=PICTURE + ",noise=alls=40:allf=t"),
    recipe("tiny-noise.mp4", w=320, h=180, seconds=4, source=PICTURE + ",noise=alls=40:allf=t"),
]}


# Interlaced: numbered at the rate of fields; frame n is woven of the pictures 2n and 2n + 1.
WEAVE = "-flags +ildct+ilme -vf interlace=lowpass=off:scan="
WOVEN = {r["name"]: r for r in [
    recipe("tff.mp4", fps="50", seconds=6, extra=WEAVE + "tff"),
    recipe("bff.mkv", fps="60000/1001", seconds=6, extra=WEAVE + "bff", mux=""),
    recipe("dvd.mkv", fps="50", seconds=6, extra=WEAVE + "tff", mux="", audio="-c:a ac3",
           video="-c:v mpeg2video -b:v 6M -g 12 -bf 2 -pix_fmt yuv420p -alternate_scan 1"),
    recipe("woven.mov", fps="50", seconds=5, extra=WEAVE + "tff", mux="",
           video="-c:v prores_ks -profile:v 1 -pix_fmt yuv422p10le", audio="-c:a pcm_s16le"),
    recipe("tape.avi", w=720, h=576, fps="50", seconds=5, extra=WEAVE + "bff", mux="", audio="-c:a pcm_s16le",
           video="-c:v dvvideo -pix_fmt yuv420p"),
    # Whole pictures that say they were fields, and film at 60 fields a second.
    recipe("psf.mp4", seconds=5, source="mandelbrot=size={w}x{h}:rate={fps}", video=X264 + " -flags +ildct+ilme -x264-params tff=1"),
    recipe("telecine.mkv", fps="24000/1001", seconds=8, mux="", gop=12,
           extra="-flags +ildct+ilme -vf telecine=pattern=23",
           video="-c:v mpeg2video -b:v 6M -g 12 -bf 2 -pix_fmt yuv420p"),
]}


# Two of one name would be one file, and which of them it is a matter of which test comes first.
EVERY = {**PLAIN, **WOVEN, **RECIPES}
assert len(EVERY) == len(PLAIN) + len(WOVEN) + len(RECIPES)


def make(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        build(EVERY[name], path)
    return name


def build(r, path):
    first = path + ".part" + os.path.splitext(path)[1]
    size = f"{r['w']}x{r['h']}"
    pix = "yuv420p"
    source = r["source"].format(**r)
    sound = ["-f", "lavfi", "-i", r["sound"]] if r["audio"] else []
    stamp = subprocess.Popen(
        ["sh", "-c",
         f"ffmpeg -v error -f lavfi -i '{source}' -t {r['seconds']} -pix_fmt {pix} -f rawvideo - | "
         f"'{BARCODE}' stamp {r['w']} {r['h']}"], stdout=subprocess.PIPE)
    cmd = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-s", size, "-pix_fmt", pix, "-r", r["fps"],
           "-i", "-", *sound, "-map", "0:v", *(["-map", "1:a"] if sound else []), "-t", str(r["seconds"]),
           *r["extra"].split(), *r["video"].split(), *(r["audio"] or "-an").split(), *r["mux"].split(), first]
    subprocess.run(cmd, stdin=stamp.stdout, check=True)
    assert stamp.wait() == 0
    if r["after"]:
        second = path + ".turn" + os.path.splitext(path)[1]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", first, *r["after"].split(), second], check=True)
        os.replace(second, first)
    os.replace(first, path)
