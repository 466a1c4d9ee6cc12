#!/usr/bin/env bash
# The demo, judged by stock programs: `age` opens what the agency collected, `ffprobe` knows it, the
# clip is the one that the resident had. A program that is missing fails the suite.
# Usage: tests/installed-programs.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
command -v age >/dev/null || { echo "install age"; exit 1; }
command -v ffprobe >/dev/null || { echo "install ffmpeg"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

started=$(date +%s)
"$whosaw" demo --data "$folder/demo"
took=$(($(date +%s) - started))
[ "$took" -lt 60 ] || { echo "the demo took $took s"; exit 1; }

cd "$folder/demo"
sealed=$(ls evidence/*.age)
age -d -i evidence/identity.txt "$sealed" >"$folder/clip.mp4"
cmp "$folder/clip.mp4" doorbell.mp4
codec=$(ffprobe -v error -select_streams v -show_entries stream=codec_name -of csv=p=0 "$folder/clip.mp4")
[ "$codec" = h264 ] || { echo "ffprobe says: $codec"; exit 1; }
echo "stock age opened $sealed; ffprobe calls it $codec; the demo took $took s"
