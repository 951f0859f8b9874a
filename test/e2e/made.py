# SPDX-License-Identifier: BSD-2-Clause
"""The real clips, and what FFmpeg makes of one of them: what phones, broadcasts, discs, editors and archives hold, with
a film's pictures.  Beside each what has to become of it."""
import os
import subprocess
from dataclasses import dataclass
from fractions import Fraction

BBB = "bbb-1080p25-h264-aac-40s.ts"


@dataclass
class Clip:
    rate: str             # pictures a second of the rungs; none: nothing to see
    frames: int = 0
    portrait: bool = False
    fields: bool = False  # interlaced: there are so many pictures at the rungs of 720 lines and more, of others half
    damaged: bool = False  # or without times of its own (AVI): what it has to show is not known
    end: str = ""         # when its last picture ends, where ffprobe does not tell it as the edit list does
    recipe: str = ""      # what makes it

    @property
    def fps(self):
        return Fraction(self.rate)


# Of the iPhone's, the old phone's and the screen's, whose rates vary: those of the nearest usual rate, or the mean.
REAL = {
    "bear-161x121-vp9-odd.webm": Clip("30000/1001", 30),
    "bbb-800x640-sar64_45-bpyramid.mp4": Clip("30", 120),
    "cctv-cars-432p12.5-30s.mp4": Clip("25/2", 377),
    "bbb-480p24-30s-aac51.mp4": Clip("24", 720),
    "sintel-480p25-26s.mp4": Clip("25", 652),
    "snowboard-400p30-29s.mp4": Clip("30", 869),
    "frame-counter-1920x1280p25-10s.mp4": Clip("25", 250),
    "bbb-720p24-vp8-vorbis-30s.webm": Clip("24", 720),
    "phone-av1-hdr10-portrait.mp4": Clip("30000/1001", 127, portrait=True),
    "iphone-hevc10-hlg-dovi-rot90-elst.mp4": Clip("30000/1001", 76, portrait=True),
    "android-2160p60-portrait-rot90.mp4": Clip("60", 18, portrait=True),
    "bbb-480p24-msmpeg4v2-mp3.mkv": Clip("24", 100),
    "city-240p60-fragmented-15s.mp4": Clip("60", 932),
    "nasa-multitrack-2v-2a-2s.mp4": Clip("25", 325),
    "bbb-1080p24-hevc-aac51.ts": Clip("24", 120),
    BBB: Clip("25", 1008),
    "bbb-360p25-h264-aac-10s.flv": Clip("25", 250),
    "camera-320x240-mjpeg-pcm.avi": Clip("15", 41),
    "popcorn-300x180-theora-vorbis-64s.ogv": Clip("24", 1549),
    "oldphone-cif-h263-vfr.3gp": Clip("2500/177", 71, end="5.02"),
    "screenrec-1070x700-vfr.mov": Clip("60", 468, end="46840/6000"),
    "mediarecorder-720p-vp9-opus-noduration.webm": Clip("15", 74),
    "avchd-1080i50-a7m3-pgs.mts": Clip("50", 26, fields=True),
    "corrupt-720p10-h264.mp4": Clip("10", 50, damaged=True),
    "audio-only-aac-10s.mp4": Clip(""),
}


SRT = "1\n00:00:01,000 --> 00:00:03,500\n{0}\n\n2\n00:00:05,000 --> 00:00:07,000\n{0} {0}\n"
X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=error"
HDR = ("ff -t 4 -i $B -an {x265}:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc{more} -color_primaries bt2020 "
       "-color_trc {transfer} -colorspace bt2020nc -tag:v hvc1 $OUT")
HDR10 = (":hdr10=1:master-display='G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)':"
         "max-cll='1000,400'")
WOVEN = "-flags +ildct+ilme"
EIGHT = "'pan=7.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0|SL=c0|SR=c0'"


def turned(degrees, filters):
    """As phones do it: coded lying.  In two steps, as ffmpeg writes the matrix only while it copies."""
    return (f"ff -t 5 -i $B -vf {filters} -c:v libx264 -preset veryfast -c:a aac -ac 2 $D/turn.mp4; "
            f"ff -i $D/turn.mp4 -c copy -metadata:s:v:0 rotate={degrees} -movflags +faststart $OUT")


# Shell commands: $B the film, $D a folder to work in, with what is in HELPERS.
HELPERS = {
    "base.mp4": "ff -t 9.7 -i $B -frames:v 240 -map 0:v:0 -map 0:a:0 -c copy -bsf:a aac_adtstoasc -movflags +faststart $OUT",
    "en.srt": f"printf '{SRT.format('Hello')}' > $OUT",
    "de.srt": f"printf '{SRT.format('Guten Tag')}' > $OUT",
}
MADE = {
    "base.mp4": Clip("25", 240, recipe="cp $D/base.mp4 $OUT"),
    "moovlast.mp4": Clip("25", 240, recipe="ff -i $D/base.mp4 -c copy $OUT"),
    "frag.mp4": Clip("25", 240, recipe="ff -i $D/base.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof $OUT"),
    "rot90.mp4": Clip("25", 126, recipe=turned(90, "transpose=1")),
    "rot180.mp4": Clip("25", 126, recipe=turned(180, "hflip,vflip")),
    "rot270.mp4": Clip("25", 126, recipe=turned(270, "transpose=2")),
    "4k60.mp4": Clip("60", 120, recipe="ff -f lavfi -i testsrc2=s=3840x2160:r=60:d=2 -f lavfi -i sine=r=48000:d=2 "
                                       f"{X265} -c:a aac $OUT"),
    "hdr10.mp4": Clip("25", 100, recipe=HDR.format(x265=X265, transfer="smpte2084", more=HDR10)),
    "hlg.mp4": Clip("25", 100, recipe=HDR.format(x265=X265, transfer="arib-std-b67", more="")),
    "pal-576i25.ts": Clip("50", 250, fields=True, recipe="ff -t 5 -i $B -map 0:v:0 -map 0:a:0 -vf framerate=fps=50,"
                          f"scale=720:576,setsar=64/45,interlace=scan=tff -c:v mpeg2video {WOVEN} -top 1 -alternate_scan 1 "
                          "-g 12 -bf 2 -b:v 5M -maxrate 8M -bufsize 1835k -c:a mp2 -ac 2 -b:a 192k -f mpegts $OUT"),
    "mbaff.ts": Clip("50", 250, fields=True, recipe="ff -t 5 -i $B -vf framerate=fps=50,interlace=scan=tff -c:v libx264 "
                     f"-preset veryfast {WOVEN} -x264-params tff=1:interlaced=1:open-gop=1:keyint=50 -c:a copy $OUT"),
    "tele.vob": Clip("30000/1001", 149, recipe="ff -t 5 -i $B -vf fps=24000/1001,telecine=pattern=23,"
                     f"scale=720:480,setsar=32/27 -c:v mpeg2video {WOVEN} -top 1 -b:v 5M -c:a ac3 -f vob $OUT"),
    "multi.mkv": Clip("25", 240, recipe="ff -i $D/base.mp4 -f lavfi -i sine=f=440:r=48000:d=10 -i $D/en.srt -i $D/de.srt "
                      "-map 0:v -map 0:a -map 1:a -map 2 -map 3 -c:v copy -c:a:0 copy -c:a:1 ac3 -ac:a:1 6 -c:s srt "
                      "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -metadata:s:s:0 language=eng "
                      "-metadata:s:s:1 language=deu -disposition:a:1 default -disposition:a:0 0 $OUT"),
    "vfr.mp4": Clip("25", 246, end="9.84", recipe="ff -t 10 -i $B -vf \"select='lt(mod(n,50),10)+not(mod(n,7))'\" -vsync vfr -c:v libx264 "
                                      "-an $OUT"),
    "onekey.mp4": Clip("25", 1008, recipe="ff -i $B -vf scale=640:360 -an -c:v libx264 -preset ultrafast -g 100000 "
                       "-keyint_min 100000 -sc_threshold 0 $OUT"),
    "edit.mp4": Clip("25", 110, recipe="ff -ss 3.3 -i $D/base.mp4 -c copy -frames:v 144 -t 6 $OUT"),
    "nodur.webm": Clip("25", 250, recipe="ff -t 10 -i $B -vf scale=640:-2 -c:v libvpx -deadline realtime -cpu-used 8 "
                       "-c:a libopus -ac 2 -f webm - | cat > $OUT"),
    "w.wmv": Clip("25", 251, recipe="ff -t 10 -i $B -vf scale=640:360 -c:v wmv2 -b:v 800k -c:a wmav2 -ac 2 $OUT"),
    "xvid.avi": Clip("25", 252, damaged=True, recipe="ff -t 10 -i $B -vf scale=640:360 -c:v libxvid -bf 2 -qscale:v 5 -vtag XVID "
                     "-c:a libmp3lame -ac 2 $OUT"),
    "trunc.mp4": Clip("25", 109, damaged=True, recipe="head -c 3000000 $D/base.mp4 > $OUT"),
    "prores.mov": Clip("25", 76, recipe="ff -t 3 -i $B -c:v prores_ks -profile:v 3 -c:a pcm_s16le $OUT"),
    "alpha.mov": Clip("25", 75, recipe="ff -t 3 -i $B -vf scale=960:540,format=yuva444p10le -c:v prores_ks -profile:v 4 "
                      "-an $OUT"),
    "pal.dv": Clip("25", 75, recipe="ff -t 3 -i $B -target pal-dv -aspect 16:9 $OUT"),
    "film.mxf": Clip("25", 75, recipe="ff -t 3 -i $B -c:v mpeg2video -b:v 20M -c:a pcm_s16le -ac 2 $OUT"),
    "a71.mka": Clip("", recipe=f"ff -f lavfi -i sine=r=96000:d=10 -af {EIGHT} -c:a flac $OUT"),
    "cover.m4a": Clip("", recipe="ff -i $D/base.mp4 -f lavfi -i color=red:s=300x300:d=0.1 -map 0:a -map 1:v -c:a copy "
                      "-c:v mjpeg -frames:v 1 -disposition:v attached_pic $OUT"),
}


def run(recipe, work, film, out):
    subprocess.run(["sh", "-ec", 'ff() { ffmpeg -v error -nostdin -y "$@"; }; ' + recipe], check=True,
                   env={**os.environ, "B": film, "D": str(work), "OUT": str(out)})


def make(name, folder, work, film):
    """One of MADE, in the folder."""
    for helper, recipe in HELPERS.items():
        if not os.path.exists(os.path.join(work, helper)):
            run(recipe, work, film, os.path.join(work, helper))
    run(MADE[name].recipe, work, film, os.path.join(folder, name))
