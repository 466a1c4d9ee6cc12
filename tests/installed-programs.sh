#!/usr/bin/env bash
# The demo, judged by stock programs: `age` opens what the agency collected, and what was published by
# the identity in the protocol; `ffprobe` knows it, the clips are those that the residents had. A program
# that is missing fails the suite.
# Usage: tests/installed-programs.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
protocol=$(realpath "$(dirname "$0")/../docs/PROTOCOL.md")
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
grep -o 'AGE-SECRET-KEY-1[0-9A-Z]*' "$protocol" >"$folder/public.txt"
published=$(ls public/*.age)
age -d -i "$folder/public.txt" "$published" >"$folder/published.mp4"
cmp "$folder/published.mp4" porch.mp4
echo "stock age opened $sealed and $published; ffprobe calls it $codec; the demo took $took s"
