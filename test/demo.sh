#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh DIR - makes two clips to look at, unless they are there: a landscape one of
# 60 seconds, and one as phones make them, held upright: coded lying on its side, with
# a note in the file to turn it.  Frame numbers are burnt in, and it beeps each second.
set -e

dir=${1:?usage: demo.sh DIR}
mkdir -p "$dir"
ff="ffmpeg -nostdin -v error -y"
number="drawtext=font=DejaVu Sans Mono:text='%{frame_num}':fontcolor=white:box=1:boxborderw=12"
beep="aevalsrc='0.3*sin(2*PI*880*t)*lt(mod(t,1),0.1)|0.3*sin(2*PI*660*t)*lt(mod(t,1),0.1)':s=48000"
h264="-c:v libx264 -preset veryfast -pix_fmt yuv420p -crf 23 -g 100 -keyint_min 50"
aac="-c:a aac -b:a 128k"

if [ ! -s "$dir/demo.mp4" ]; then
    echo "Making $dir/demo.mp4"
    $ff -f lavfi -i "testsrc2=s=1280x720:r=25:d=60" -f lavfi -i "$beep:d=60" \
        -vf "$number:boxcolor=black@0.7:fontsize=96:x=(w-tw)/2:y=h-th-60" \
        $h264 $aac -shortest -movflags +faststart -f mp4 "$dir/demo.mp4.part"
    mv "$dir/demo.mp4.part" "$dir/demo.mp4"
fi

if [ ! -s "$dir/phone.mp4" ]; then
    echo "Making $dir/phone.mp4"
    # In two steps, because the encoder would undo a rotation that it knows of.
    $ff -f lavfi -i "mandelbrot=s=540x960:r=30:maxiter=300:end_pts=600" -f lavfi -i "$beep:d=20" \
        -vf "$number:boxcolor=black@0.7:fontsize=80:x=(w-tw)/2:y=h-th-80,transpose=cclock" \
        -t 20 $h264 $aac -f mp4 "$dir/phone.mp4.lying"
    $ff -f mp4 -i "$dir/phone.mp4.lying" -c copy -metadata:s:v:0 rotate=270 \
        -movflags +faststart -f mp4 "$dir/phone.mp4.part"
    rm "$dir/phone.mp4.lying"
    mv "$dir/phone.mp4.part" "$dir/phone.mp4"
fi
