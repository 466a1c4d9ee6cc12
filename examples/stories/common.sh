# What all stories have in common: a ledger with two witnesses in a folder that goes away, and a few words
# for what parties do. Needs WHOSAW, the program; without it, `whosaw` on the path.
set -euo pipefail

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
story=$(cd "$(dirname "$0")" && pwd)
whosaw=$(realpath "$(command -v "${WHOSAW:-whosaw}")")
stage=$(mktemp -d)
running=()
close() {
    for pid in "${running[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
    rm -rf "$stage"
}
trap close EXIT
cd "$stage"

# Folder of a party -> what it is, and its id.
declare -A kind id_of

# listens NAME COMMAND...: runs a server; sets `address` to where it listens.
listens() {
    : >"$1.out"
    "$whosaw" "${@:2}" >"$1.out" 2>"$1.err" &
    running+=("$!")
    for _ in {1..300}; do
        address=$(sed -n 's/^listening on //p' "$1.out")
        [ -z "$address" ] || return 0
        sleep 0.1
    done
    cat "$1.err"
    return 1
}

# ledger: an operator's ledger. Its periods are as short as a story needs.
ledger() {
    "$whosaw" operator init --data operator --origin ledger.example/log --party operator.example \
        --name "Ledger Operator" --jurisdiction US --limits "$examples/limits-trial.json" \
        --vendor doorbell.example >/dev/null
    for name in newsroom university; do
        "$whosaw" witness init --data "$name" --name "$name.example" >"$name.vkeys"
        listens "$name" witness serve --data "$name" --log operator/log.vkey --listen 127.0.0.1:0
        "$whosaw" operator add-witness --data operator --name "$name" --vkey "$(head -n 1 "$name.vkeys")" \
            --url "$address" >/dev/null
    done
    listens operator serve --data operator --listen 127.0.0.1:0
    server=$address
}

# party KIND FOLDER ID NAME PLACE: registers a party, which keeps its keys in FOLDER.
party() {
    kind[$2]=$1 id_of[$2]=$3
    "$whosaw" "$1" init --home "$2" --party "$3" --name "$4" --jurisdiction "$5" --server "$server" \
        --trust operator/log.policy >/dev/null
    "$whosaw" "$1" register --home "$2" -o registration.dsse >/dev/null
    "$whosaw" operator approve registration.dsse --data operator --server "$server" --yes >/dev/null
    echo "* $4 is registered as $3"
}

# logged: the id in a command's JSON answer.
logged() { sed -n 's/^ *"id": "\([0-9a-f]*\)".*/\1/p' | head -n 1; }

# shown ID: what a statement says.
shown() {
    "$whosaw" log show "$1" --log "$server/log" --policy operator/log.policy | sed -n '1s/^/* /p'
}

# says WHO TYPE NAME=VALUE...: a party's statement; sets `said` to its id.
says() {
    local who=$1
    case $who in
    operator) said=$("$whosaw" operator say --data operator --server "$server" --json "${@:2}" | logged) ;;
    *) said=$("$whosaw" "${kind[$who]}" say --home "$who" --json "${@:2}" | logged) ;;
    esac
    shown "$said"
}

# agree ONE OTHER OPTIONS...: both sign an agreement; sets `said` to its id.
agree() {
    local document=()
    [[ " $* " != *" --document "* ]] || document=(--document "$(sed 's/.*--document \([^ ]*\).*/\1/' <<<"$*")")
    "$whosaw" "${kind[$1]}" agreement --home "$1" --with "${id_of[$2]}" "${@:3}" --sign-only -o agreement.dsse >/dev/null
    "$whosaw" countersign agreement.dsse --home "$2" "${document[@]}" --yes >/dev/null
    said=$("$whosaw" submit agreement.dsse --server "$server" --trust operator/log.policy --json | logged)
    shown "$said"
}

# gives GIVER RECEIVER KIND OPTIONS...: the giver reports what it gave; sets `said` to the report's id.
gives() {
    said=$("$whosaw" "${kind[$1]}" benefit --home "$1" --giver "${id_of[$1]}" --receiver "${id_of[$2]}" --kind "$3" \
        --json "${@:4}" | logged)
    shown "$said"
}

# resident NAME PLACE CLIP: somebody with a camera, who has stored a clip of two hours ago.
resident() {
    local code
    code=$("$whosaw" operator enrol-code --data operator)
    "$whosaw" resident init --home "$1" --server "$server" --trust operator/log.policy --code-file - \
        --jurisdiction "$jurisdiction" --camera "front=$2" <<<"$code" >/dev/null
    "$whosaw" resident add "$examples/$3" --home "$1" --camera front --from "$(ago 120)" --until "$(ago 119)" >/dev/null
    echo "* $1 stores a clip, sealed on the device"
}

# anchored NAME...: waits until the log holds the commitments of their clips.
anchored() {
    for name; do
        for _ in {1..240}; do
            ! "$whosaw" resident report --home "$name" --json | grep '"anchored": 4' >/dev/null || continue 2
            sleep 0.5
        done
        return 1
    done
}

# answers NAME allow|refuse REQUEST: the device finds the request by itself, and its owner decides.
answers() {
    local yes=()
    [ "$2" = refuse ] || yes=(--yes)
    "$whosaw" resident inbox --home "$1" >/dev/null
    "$whosaw" resident "$2" "$3" --home "$1" "${yes[@]}" >/dev/null
    echo "* $1 decides; only a yes leaves the device"
}

# ago MINUTES: a time.
ago() { date -u -d "$1 minutes ago" +%FT%H:%M:00Z; }

# asks AGENCY OPTIONS...: a request for footage, whose scope is around the residents' street and the last
# hours; sets `said` to its id.
asks() {
    cat >scope.geojson <<JSON
{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[-81.952,28.0378],[-81.9479,28.0376],
[-81.9476,28.0412],[-81.9501,28.0416],[-81.9521,28.0409],[-81.952,28.0378]]]},
"properties":{"from":"$(ago "${2}")","until":"$(ago 1)"}}
JSON
    [ -e case-number.txt ] || echo 2019-001234 >case-number.txt
    said=$("$whosaw" agency request --home "$1" --scope scope.geojson --case-number-file case-number.txt \
        --deadline-in 60 --json "${@:3}" | logged)
    shown "$said"
}

# ends: what anyone can make of it now.
ends() {
    local log=(--log "$server/log" --policy operator/log.policy)
    printf '\nWhat does not fit together:\n'
    "$whosaw" log findings "${log[@]}"
    printf '\nWhat was given:\n'
    "$whosaw" log accounts "${log[@]}"
    printf '\n'
    "$whosaw" log verify "${log[@]}"
}
