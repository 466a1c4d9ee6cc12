#!/usr/bin/env bash
# The demo, judged by stock programs: `age` opens what the agency collected, and what was published by
# the identity in the protocol; `ffprobe` knows it, the clips are those that the residents had. It
# ends with all that it started. A program that is missing fails the suite.
# Usage: tests/installed-programs.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
protocol=$(realpath "$(dirname "$0")/../docs/PROTOCOL.md")
command -v age >/dev/null || { echo "install age"; exit 1; }
command -v ffprobe >/dev/null || { echo "install ffmpeg"; exit 1; }
command -v curl >/dev/null || { echo "install curl"; exit 1; }
folder=$(mktemp -d)
demo=
trap '[ -z "$demo" ] || kill "$demo" 2>/dev/null || true; rm -rf "$folder"' EXIT

started=$(date +%s)
"$whosaw" demo --data "$folder/demo" --stay >"$folder/told" &
demo=$!
until address=$(sed -n 's/^The ledger keeps running at \(.*\) until.*/\1/p' "$folder/told") && [ -n "$address" ]; do
    kill -0 "$demo" || { cat "$folder/told"; exit 1; }
    sleep 0.2
done
took=$(($(date +%s) - started))
curl --silent --fail --output "$folder/health" "$address/healthz"
# A film of three minutes, with a key frame every second, in parts: no stream is encoded again, and nothing is missing.
long=$folder/long.mp4
ffmpeg -nostdin -loglevel error -f lavfi -i testsrc=size=64x64:rate=5:duration=180 -c:v libx264 -g 5 -pix_fmt yuv420p "$long"
"$whosaw" resident add "$long" --home "$folder/demo/ana" --camera front --from 2019-07-30T20:00:00Z \
    --until 2019-07-30T20:03:00Z --split=1 --json >"$folder/split.json"
grep -q "\"sha256\": \"$(sha256sum "$long" | cut -d ' ' -f 1)\"" "$folder/split.json"
packets() { ffprobe -v error -select_streams v -show_entries packet=data_hash -show_data_hash sha256 -of csv=p=0 "$1"; }
parts=0
for clip in $(sed -n 's/^ *"clip": "\([0-9a-f]*\)",$/\1/p' "$folder/split.json"); do
    parts=$((parts + 1))
    "$whosaw" resident open "$clip" --home "$folder/demo/ana" -o "$folder/part-$parts.mp4" >"$folder/opened"
    grep -q "part $parts of 3" "$folder/opened"
    packets "$folder/part-$parts.mp4" >>"$folder/packets"
done
[ "$parts" = 3 ] || { echo "$parts parts, not 3"; exit 1; }
packets "$long" | cmp - "$folder/packets"

kill "$demo"
wait "$demo"
demo=
if curl --silent --output "$folder/health" "$address/healthz"; then
    echo "the demo's ledger outlives it"
    exit 1
fi

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
