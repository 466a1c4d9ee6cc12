#!/bin/sh
# Makes the clips of this folder: drawn scenes, H.264 in MP4, no metadata. Needs ffmpeg.
# Usage: examples/make-clips.sh [FOLDER]
set -eu
out=${1:-$(dirname "$0")}

# A wall, a door, a path and a lamp; a figure of three boxes walks from x0 at v pixels a second.
clip() {
    name=$1 wall=$2 door=$3 figure=$4 x0=$5 v=$6
    x="$x0+t*$v"
    size=640x360
    ffmpeg -v error -y -f lavfi -i "color=c=$wall:s=$size:r=12:d=3.5" \
        -f lavfi -i "color=c=$figure:s=34x78:r=12:d=3.5" \
        -f lavfi -i "color=c=0xd9b08c:s=22x22:r=12:d=3.5" \
        -f lavfi -i "color=c=0x2b2b33:s=26x52:r=12:d=3.5" \
        -filter_complex "
            [0]drawbox=0:250:640:110:0x6f7466:fill,
            drawbox=260:250:120:110:0x9a958a:fill,
            drawbox=255:70:130:186:0x3a2a20:fill,
            drawbox=265:80:110:176:$door:fill,
            drawbox=283:98:74:54:0x22303a:fill,
            drawbox=358:170:8:8:0xd8c26a:fill,
            drawbox=404:120:14:26:0xe8e0b0:fill,
            drawbox=60:96:120:84:0x22303a:fill,
            drawbox=60:96:120:84:0xd8d8d0:4,
            drawbox=470:96:120:84:0x22303a:fill,
            drawbox=470:96:120:84:0xd8d8d0:4[scene];
            [scene][3]overlay=x='$x+4':y=268[legs];
            [legs][1]overlay=x='$x':y='192+3*sin(9*t)'[body];
            [body][2]overlay=x='$x+6':y='168+3*sin(9*t)',format=yuv420p[v]" \
        -map '[v]' -c:v libx264 -preset veryslow -crf 30 -threads 1 -movflags +faststart \
        -map_metadata -1 -fflags +bitexact -flags:v +bitexact "$out/$name.mp4"
}

clip doorbell 0x8c8f94 0x7a2f2a 0x3f5f8a 20 150
clip porch 0xa39a86 0x2f5a46 0x8a5a3f 600 -140
clip garage 0x777d86 0x9aa0a6 0x55604a 120 90
ffmpeg -v error -y -ss 1.5 -i "$out/doorbell.mp4" -frames:v 1 -q:v 8 -bitexact "$out/doorbell.jpg"
