#!/usr/bin/env bash
# examples/strangers against a real ledger: an agency whose keys openssl made is registered, submits by
# Python and by openssl and curl, and verifies what it is told; altered proofs are refused.
# Needs python3 (3.10 or newer) with `cryptography`, openssl 3, curl, age. A program that is missing fails
# the suite.
# Usage: tests/strangers.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
cd "$(dirname "$0")/.."
strangers=$PWD/examples/strangers judges=$PWD/tests/strangers
vectors=$PWD/tests/vectors/statements.jsonl notes=$PWD/tests/vectors/note.json
for program in python3 openssl curl age age-keygen; do
    command -v "$program" >/dev/null || { echo "install $program"; exit 1; }
done
python3 -c 'import sys, cryptography; assert sys.version_info >= (3, 10)' ||
    { echo "install Python 3.10 or newer, with cryptography (Debian: python3-cryptography)"; exit 1; }

export PYTHONDONTWRITEBYTECODE=1
folder=$(mktemp -d)
running=()
cleanup() {
    for pid in "${running[@]}"; do
        kill -CONT "$pid" && kill "$pid" && wait "$pid" || true
    done 2>/dev/null
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

checks=0
holds() { checks=$((checks + 1)); }
fail() { echo "FAILED: $*"; exit 1; }
# refused COMMAND...: it must end with 1, the answer "no".
refused() {
    local code=0
    "$@" >said 2>&1 || code=$?
    [ "$code" = 1 ] || fail "exit code $code, not 1: $*$(printf '\n' && cat said)"
    holds
}
same() { [ "$1" = "$2" ] || fail "$3: $1, not $2"; holds; }
# start NAME COMMAND...: runs a server, and sets `address` to where it says that it listens.
start() {
    : >"$1.out"
    "${@:2}" >"$1.out" 2>"$1.err" &
    pid=$!
    running+=("$pid")
    for _ in {1..300}; do
        address=$(sed -n 's/^listening on //p' "$1.out")
        [ -z "$address" ] || return 0
        kill -0 "$pid" || { cat "$1.err"; fail "$1 has ended"; }
        sleep 0.1
    done
    fail "$1 does not listen"
}

echo "== a ledger with two witnesses"
"$whosaw" operator init --data operator --origin ledger.example/log --party operator.example \
    --name Operator --jurisdiction US-FL >/dev/null
# New keys speak at once, where the usual limits have them wait for days.
sed -i 's/"new_key_wait_minutes": *[0-9]*/"new_key_wait_minutes": 0/' operator/limits.json
vkeys=()
for name in newsroom university; do
    "$whosaw" witness init --data "$name" --name "$name.example" >"$name.vkeys"
    vkey=$(head -n 1 "$name.vkeys")
    vkeys+=("$vkey")
    start "$name" "$whosaw" witness serve --data "$name" --log operator/log.vkey --listen 127.0.0.1:0
    "$whosaw" operator add-witness --data operator --name "$name" --vkey "$vkey" --url "$address" >/dev/null
done
witness=$pid
start operator "$whosaw" serve --data operator --listen 127.0.0.1:0
server=$address
policy=$folder/operator/log.policy

echo "== an agency whose keys openssl made is registered"
base64url() { base64 -w 0 | tr '+/' '-_' | tr -d =; }
keyid() {
    printf ed25519:
    openssl pkey -in "$1" -pubout -outform DER | tail -c 32 | base64url
}
for key in admin officer service next stranger; do
    openssl genpkey -algorithm ed25519 -out "$key.pem"
done
cat >registration.json <<JSON
{
  "type": "party", "version": 1, "log": "ledger.example/log",
  "parties": ["lakelandgov.example", "operator.example"],
  "party": "lakelandgov.example", "kind": "agency", "name": "Lakeland Police", "jurisdiction": "US-FL",
  "keys": [
    {"key": "$(keyid admin.pem)", "role": "admin"},
    {"key": "$(keyid officer.pem)", "role": "officer", "label": "records-1"},
    {"key": "$(keyid service.pem)", "role": "service"}
  ],
  "domain_check": {"method": "not-checked", "checked_on": "$(date -u +%F)"}
}
JSON
"$strangers/submit.py" sign registration.json --key admin.pem --key officer.pem --key service.pem \
    --output registration.dsse
"$whosaw" operator approve registration.dsse --data operator --server "$server" --yes >approved
grep -q '^ *logged as entry 2' approved || { cat approved; fail "not registered"; }
holds

# report DAY COUNT: a benefit as the agency's records hold it, in RFC 8785 form.
report() {
    printf '{"count":%d,"effective_on":"%s","giver":"operator.example","issued_at":"%s","issuer":"lakelandgov.example","item":"doorbell-camera","kind":"equipment","log":"ledger.example/log","receiver":"lakelandgov.example","type":"benefit","version":1}' \
        "$2" "$1" "$(date -u +%FT%H:%M:00Z)"
}

echo "== Python submits, by a server that is busy, slow, and forgets to answer"
start busy python3 "$judges/busy.py" "$server"
report 2019-07-01 15 >first.json
"$strangers/submit.py" sign first.json --key officer.pem --output first.dsse >first.id
"$strangers/submit.py" send first.dsse --server "$address" --proof first.tlog-proof >first.out 2>first.err
same "$(grep -c '^[0-9]* /problems/' first.err)" 3 "answers other than success"
same "$(sed -n 's/^index //p' first.out)" 3 "the index, sent twice"
same "$(head -n 1 first.out)" "$(cat first.id)" "the id"
same "$(sed -n 's/^id //p' first.id)" "$(sha256sum first.json | cut -d ' ' -f 1)" "the id"

echo "== openssl and curl submit, and Python, while a witness sleeps"
printf '{"add":[{"key":"%s","label":"records-2","role":"officer"}],"issued_at":"%s","issuer":"lakelandgov.example","log":"ledger.example/log","party":"lakelandgov.example","revoke":[],"type":"key-change","version":1}' \
    "$(keyid next.pem)" "$(date -u +%FT%H:%M:00Z)" >change.json
report 2019-07-03 2 >third.json
"$strangers/submit.py" sign third.json --key officer.pem --output third.dsse >/dev/null
kill -STOP "$witness"
"$strangers/submit.sh" change.json "$server" change.tlog-proof admin.pem next.pem >change.out &
pids=("$!")
"$strangers/submit.py" send third.dsse --server "$server" --proof third.tlog-proof >third.out 2>third.err &
pids+=("$!")
sleep 13
kill -CONT "$witness"
for pid in "${pids[@]}"; do
    wait "$pid" || fail "not proved when the witness is awake again: $(cat third.err)"
done
grep -q 'not proved yet' third.err || fail "no 202 while a witness sleeps"
same "$(cat change.out third.out | sed -n 's/^index //p' | sort | paste -s -d ' ')" "4 5" "the indices"
report 2019-07-02 1 >second.json
"$strangers/submit.sh" second.json "$server" second.tlog-proof next.pem >second.out
same "$(sed -n 's/^index //p' second.out)" 6 "the index of what the new key signed"

echo "== the same bytes again are the same statement"
"$strangers/submit.sh" second.json "$server" again.tlog-proof next.pem >again.out
same "$(cat again.out)" "$(cat second.out)" "sent again"
"$strangers/submit.py" sign second.json --key next.pem --output second.dsse >/dev/null
"$strangers/submit.py" send second.dsse --server "$server" --proof again.tlog-proof >again.out
same "$(cat again.out)" "$(cat second.out)" "sent again by Python"

echo "== an agency without an agreement declares that, attaches a scope, and asks for footage"
cat >none.json <<JSON
{"type": "agreement", "version": 1, "log": "ledger.example/log",
 "parties": ["lakelandgov.example", "operator.example"],
 "instrument": "none", "status": "in-force", "terms": [], "complete": true}
JSON
"$strangers/submit.py" sign none.json --key admin.pem --output none.dsse >none.id
"$whosaw" countersign none.dsse --home operator --yes >/dev/null
"$strangers/submit.py" send none.dsse --server "$server" --proof none.tlog-proof >/dev/null
hour=$(date -u -d '3 hours ago' +%FT%H:00:00Z)
cat >scope.geojson <<JSON
{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[-81.952, 28.0378],
 [-81.9479, 28.0376], [-81.9476, 28.0412], [-81.9521, 28.0409], [-81.952, 28.0378]]]},
 "properties": {"from": "$hour", "until": "${hour/:00:00/:40:00}"}}
JSON
attach() {
    "$strangers/attach.py" scope.geojson --type application/geo+json --key "$1" --server "$server"
}
refused attach officer.pem
grep -q /problems/forbidden said || fail "another reason: $(cat said)"
scope=$(attach service.pem)
same "$(attach service.pem)" "$scope" "the scope's digest, uploaded twice"
age-keygen -o request.identity 2>/dev/null
seal=$(printf '["%s","case_number","2019-00123"]' "$(openssl rand 16 | base64url)" |
    base64url | tee case-number.opening | openssl dgst -sha256 -binary | base64url)
cat >request.json <<JSON
{"type": "access-request", "version": 1, "log": "ledger.example/log", "issuer": "lakelandgov.example",
 "kind": "voluntary", "agreement": "$(sed -n 's/^id //p' none.id)",
 "investigation": "$(openssl rand -hex 16)", "jurisdiction": "US-FL", "area_m2": 250000,
 "window_minutes": 60, "footage_age_days": 1, "offence": "220", "asks": ["time", "video"],
 "deadline": "$(date -u -d '5 days' +%FT%H:%M:00Z)", "scope": "$scope",
 "recipient": "$(age-keygen -y request.identity)",
 "sealed": {"case_number": {"digest": "$seal", "open_by": "$(date -u -d '30 days' +%F)"}}}
JSON
"$strangers/submit.py" sign request.json --key officer.pem --output request.dsse >/dev/null
"$strangers/submit.py" send request.dsse --server "$server" --proof request.tlog-proof >/dev/null
holds
# What is served under the digest is the scope, with the opening that was made here.
curl --silent --fail --dump-header scope.head --output scope.served "$server/attachments/$scope"
cmp scope.served scope.geojson
same "$(tr -d '\r' <scope.head | sed -n 's/^whosaw-opening: //Ip')" "$(cat scope.geojson.opening)" "the opening"

echo "== the ledger refuses, and both programs say so"
report 2019-07-04 3 >fourth.json
refused "$strangers/submit.sh" fourth.json "$server" not.tlog-proof stranger.pem
grep -q /problems/missing-signature said || fail "another reason: $(cat said)"
{ cat fourth.json && echo; } >loose.json
refused "$strangers/submit.sh" loose.json "$server" not.tlog-proof next.pem
grep -q /problems/not-canonical said || fail "another reason: $(cat said)"
"$strangers/submit.py" sign fourth.json --key service.pem --output fourth.dsse >/dev/null
refused "$strangers/submit.py" send fourth.dsse --server "$server" --proof not.tlog-proof
grep -q /problems/key-not-live said || fail "another reason: $(cat said)"
[ ! -e not.tlog-proof ] || fail "a proof of what was refused"
for count in 4 5 6 7; do
    report 2019-07-05 "$count" >more.json
    "$strangers/submit.sh" more.json "$server" more.tlog-proof officer.pem >/dev/null
done

echo "== curl sends many at once, and reads what came of each"
for count in 8 9 10; do
    report 2019-07-06 "$count" >more.json
    "$strangers/submit.py" sign more.json --key officer.pem --output "more-$count.dsse" >/dev/null
    { cat "more-$count.dsse" && echo; } >>reports.jsonl
    [ "$count" != 9 ] || { echo '{"half":' && cat fourth.dsse && echo; } >>reports.jsonl
done
many() {
    curl --silent --show-error --fail --no-buffer --header 'Content-Type: application/jsonl' "$@" \
        --data-binary @reports.jsonl "$server/api/v1/statements"
}
many >many.out
same "$(sed 's/^{"line":\([0-9]*\),"status":\([0-9]*\),.*/\1 \2/' many.out | paste -s -d ' ')" "1 201 2 201 3 400 4 401 5 201" "answers"
many --header 'Prefer: return=representation' >many.out
same "$(grep -c '"status":200.*"proof":"c2sp.org/tlog-proof@v1' many.out)" 3 "proofs of those that are known"
python3 -c 'import json,sys; sys.stdout.write(json.loads(sys.stdin.readline())["proof"])' <many.out >many.tlog-proof

echo "== the proofs hold, for Python and for whosaw"
curl --silent --fail --output late.tlog-proof "$server/api/v1/proofs/$(sed -n 's/^id //p' first.id)"
for proof in first change second third none request more many late; do
    "$strangers/verify_proof.py" "$proof.tlog-proof" --policy "$policy" >"$proof.json.out"
    "$whosaw" log check "$proof.tlog-proof" --policy "$policy" >"$proof.check"
    same "$(sed -n 's/^  "id": "\(.*\)",$/\1/p' "$proof.json.out")" \
        "$(sed -n 's/^  id //p' "$proof.check")" "what $proof proves"
done
witnesses=(--witness "${vkeys[0]}" --witness "${vkeys[1]}")
"$strangers/verify_proof.py" late.tlog-proof --log "$(cat operator/log.vkey)" "${witnesses[@]}" --quorum 2 \
    --id "$(sed -n 's/^id //p' first.id)" >/dev/null
holds
"$whosaw" log verify --log "$server/log" --policy "$policy" >/dev/null
holds

echo "== altered proofs, and other people's trust files, are refused"
cp "$policy" honest.policy
"$whosaw" operator init --data other --origin ledger.example/log --party operator.example \
    --name Operator --jurisdiction US-FL >/dev/null
"$whosaw" witness init --data foreign --name newsroom.example >foreign.vkeys
export PYTHONPATH=$strangers
python3 "$judges/alter.py" late.tlog-proof honest.policy other/log.vkey "$(head -n 1 foreign.vkeys)"
for altered in *.altered; do
    refused "$strangers/verify_proof.py" "$altered" --policy honest.policy
    refused "$whosaw" log check "$altered" --policy honest.policy
done
for altered in *.altered-policy; do
    refused "$strangers/verify_proof.py" late.tlog-proof --policy "$altered"
done
refused "$strangers/verify_proof.py" late.tlog-proof --policy honest.policy --id "$(printf '0%.0s' {1..64})"
refused "$strangers/verify_proof.py" late.tlog-proof --log "$(cat operator/log.vkey)" "${witnesses[@]}" --quorum 3
refused "$strangers/verify_proof.py" late.tlog-proof --log "$(cat operator/log.vkey)"

echo "== the vectors of all statement types, and altered ones"
python3 "$judges/vectors.py" "$vectors" >vectors.out
same "$(cat vectors.out)" "$(wc -l <"$vectors") vectors hold" "the vectors"
for alteration in 's/"index":7,/"index":70,/' 's/\("sig":"..\)./\1x/3' 's/\(\\"logged_at\\":\\"2019-07-0\)./\19/' \
    's/"type":"collection"}$/"type":"disclosure"}/'; do
    sed "$alteration" "$vectors" >altered.jsonl
    if cmp -s altered.jsonl "$vectors"; then fail "nothing is altered: $alteration"; fi
    if python3 "$judges/vectors.py" altered.jsonl >said 2>&1; then fail "altered vectors hold: $alteration"; fi
    holds
done

echo "== the note of a disclosure, and others in its place"
# unpack CHANGE: the vector, with its disclosure changed by a line of Python.
unpack() {
    python3 - "$notes" "$1" <<'PYTHON'
import base64, json, sys
vector = json.load(open(sys.argv[1]))
statement = {"clips": [{}] * vector["clips"], "gives": vector["gives"], "note": vector["note"]}
file, text = base64.b64decode(vector["file"]), vector["text"]
exec(sys.argv[2])
json.dump(statement, open("disclosure.json", "w"))
open("note.age", "wb").write(file)
open("note.text", "w").write(text + "\n")
open("note.identity", "w").write(vector["identity"] + "\n")
PYTHON
}
open_note() { "$strangers/note.py" note.age --identity "$1" --disclosure disclosure.json; }
unpack pass
open_note note.identity >note.told
cmp note.told note.text
holds
refused open_note request.identity
for change in 'file = file[:-1]' 'file += b"\0"' 'statement["note"] = "0" * 64' 'statement["gives"].remove("name")' \
    'statement["gives"] = ["video"]' 'statement["clips"].pop()' 'del statement["note"]'; do
    unpack "$change"
    refused open_note note.identity
done

echo "== a log whose operator and witness sign what is no statement"
python3 "$judges/forge.py"
"$strangers/verify_proof.py" honest.forged-proof --policy forged.policy >/dev/null
"$whosaw" log check honest.forged-proof --policy forged.policy >/dev/null
for forged in *.forged; do
    refused "$strangers/verify_proof.py" "$forged" --policy forged.policy
    # To which log a statement is bound, `log check` leaves to the rules.
    [ "$forged" = other-log.forged ] || refused "$whosaw" log check "$forged" --policy forged.policy
done

echo "strangers: $checks checks passed"
