#!/usr/bin/env bash
# examples/strangers against a real ledger: an agency whose keys openssl made is registered, submits by
# Python and by openssl and curl, and verifies what it is told; altered proofs are refused.
# Needs python3 (3.10 or newer) with `cryptography`, openssl 3, curl. A program that is missing fails
# the suite.
# Usage: tests/strangers.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
cd "$(dirname "$0")/.."
strangers=$PWD/examples/strangers
for program in python3 openssl curl sha256sum; do
    command -v "$program" >/dev/null || { echo "install $program"; exit 1; }
done
python3 -c 'import sys, cryptography; assert sys.version_info >= (3, 10)' ||
    { echo "install Python 3.10 or newer, with cryptography (Debian: python3-cryptography)"; exit 1; }

export PYTHONDONTWRITEBYTECODE=1
folder=$(mktemp -d)
running=()
cleanup() {
    for pid in "${running[@]}"; do
        kill -CONT "$pid" && kill "$pid" && wait "$pid"
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
    vkey=$("$whosaw" witness init --data "$name" --name "$name.example" | head -n 1)
    vkeys+=("$vkey")
    start "$name" "$whosaw" witness serve --data "$name" --log operator/log.vkey --listen 127.0.0.1:0
    "$whosaw" operator add-witness --data operator --name "$name" --vkey "$vkey" --url "$address" >/dev/null
done
witness=$pid
start operator "$whosaw" serve --data operator --listen 127.0.0.1:0
server=$address
policy=$folder/operator/log.policy

echo "== an agency whose keys openssl made is registered"
keyid() {
    printf 'ed25519:%s' "$(openssl pkey -in "$1" -pubout -outform DER | tail -c 32 | base64 -w 0 | tr '+/' '-_' | tr -d =)"
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
cat >busy.py <<'PY'
# Answers 429, 503, and 408 to a call that it has carried out; then passes everything on.
import sys, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
seen, last = 0, 0.0
class Busy(BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        global seen, last
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen, waited, last = seen + 1, time.monotonic() - last, time.monotonic()
        problem = b'{"type":"/problems/%s","title":"Wait","status":%d,"detail":""}'
        if seen == 1:
            return self.answer(429, problem % (b"party-limit", 429), Retry_After="3")
        if seen == 2:
            if waited < 3:
                return self.answer(400, b"too early")
            return self.answer(503, problem % (b"busy", 503), Retry_After="1")
        request = urllib.request.Request(sys.argv[1] + self.path, data=body,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            passed = answer.status, answer.read()
        if seen == 3:
            return self.answer(408, problem % (b"too-slow", 408))
        self.answer(*passed)
    def log_message(self, *_):
        pass
server = HTTPServer(("127.0.0.1", 0), Busy)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PY
start busy python3 busy.py "$server"
report 2019-07-01 15 >first.json
"$strangers/submit.py" sign first.json --key officer.pem --output first.dsse >first.id
"$strangers/submit.py" send first.dsse --server "$address" --proof first.tlog-proof >first.out 2>first.err
same "$(grep -c '^[0-9]* /problems/' first.err)" 3 "answers other than success"
same "$(sed -n 's/^index //p' first.out)" 3 "the index, sent twice"
same "$(head -n 1 first.out)" "$(cat first.id)" "the id"
same "$(sed -n 's/^id //p' first.id)" "$(sha256sum first.json | cut -d ' ' -f 1)" "the id"

echo "== openssl and curl submit, while a witness sleeps"
printf '{"add":[{"key":"%s","label":"records-2","role":"officer"}],"issued_at":"%s","issuer":"lakelandgov.example","log":"ledger.example/log","party":"lakelandgov.example","revoke":[],"type":"key-change","version":1}' \
    "$(keyid next.pem)" "$(date -u +%FT%H:%M:00Z)" >change.json
kill -STOP "$witness"
(sleep 14 && kill -CONT "$witness") &
waker=$!
"$strangers/submit.sh" change.json "$server" change.tlog-proof admin.pem next.pem >change.out
wait "$waker"
same "$(sed -n 's/^index //p' change.out)" 4 "the index"
report 2019-07-02 1 >second.json
"$strangers/submit.sh" second.json "$server" second.tlog-proof next.pem >second.out
same "$(sed -n 's/^index //p' second.out)" 5 "the index of what the new key signed"

kill -STOP "$witness"
(sleep 14 && kill -CONT "$witness") &
waker=$!
report 2019-07-03 2 >third.json
"$strangers/submit.py" sign third.json --key next.pem --output third.dsse >/dev/null
"$strangers/submit.py" send third.dsse --server "$server" --proof third.tlog-proof >third.out 2>third.err
wait "$waker"
grep -q 'not proved yet' third.err || fail "no 202 while a witness sleeps"
holds

echo "== the same bytes again are the same statement"
"$strangers/submit.sh" second.json "$server" again.tlog-proof next.pem >again.out
same "$(cat again.out)" "$(cat second.out)" "sent again"
"$strangers/submit.py" sign second.json --key next.pem --output second.dsse >/dev/null
"$strangers/submit.py" send second.dsse --server "$server" --proof again.tlog-proof >again.out
same "$(cat again.out)" "$(cat second.out)" "sent again by Python"

echo "== the ledger refuses, and both programs say so"
report 2019-07-04 3 >fourth.json
refused "$strangers/submit.sh" fourth.json "$server" none.tlog-proof stranger.pem
grep -q /problems/key-not-live said || fail "another reason: $(cat said)"
{ cat fourth.json && echo; } >loose.json
refused "$strangers/submit.sh" loose.json "$server" none.tlog-proof next.pem
grep -q /problems/not-canonical said || fail "another reason: $(cat said)"
"$strangers/submit.py" sign fourth.json --key service.pem --output fourth.dsse >/dev/null
refused "$strangers/submit.py" send fourth.dsse --server "$server" --proof none.tlog-proof
grep -q /problems/key-not-live said || fail "another reason: $(cat said)"
[ ! -e none.tlog-proof ] || fail "a proof of what was refused"
for count in 4 5 6 7; do
    report 2019-07-05 "$count" >more.json
    "$strangers/submit.sh" more.json "$server" more.tlog-proof officer.pem >/dev/null
done

echo "== the proofs hold, for Python and for whosaw"
curl --silent --fail --output late.tlog-proof "$server/api/v1/proofs/$(sed -n 's/^id //p' first.id)"
for proof in first change second third more late; do
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
foreign=$("$whosaw" witness init --data foreign --name newsroom.example | head -n 1)
PYTHONPATH=$strangers python3 - "$foreign" <<'PY'
import base64, sys
import verify_proof

text = open("late.tlog-proof", encoding="utf-8").read()
policy = open("honest.policy", encoding="utf-8").read()
lines = text.split("\n")
empty = lines.index("")
size = lines.index("ledger.example/log") + 1
names = [line.split(" ")[1] if line.startswith("\u2014") else "" for line in lines]
newsroom = names.index("newsroom.example")
leaf = base64.b64decode(lines[1].removeprefix("extra "))


def flip(line, at):
    """One bit of a base64 line's data, by its last word."""
    head, _, word = line.rpartition(" ")
    data = bytearray(base64.b64decode(word))
    data[at] ^= 1
    return (head + " " if head else "") + base64.b64encode(data).decode()


def put(at, line):
    return "\n".join(lines[:at] + [line] + lines[at + 1:])


def drop(at):
    return "\n".join(lines[:at] + lines[at + 1:])


def other_leaf(old, new):
    assert old in leaf
    return put(1, "extra " + base64.b64encode(leaf.replace(old, new)).decode())


assert empty > 4, "a proof with two hashes at least"
first_signature = lines.index("", empty + 1) + 1
log_ed25519 = min(
    (at for at, name in enumerate(names) if name == "ledger.example/log"), key=lambda at: len(lines[at])
)
ml_dsa = max(range(len(lines)), key=lambda at: len(lines[at]))
proofs = {
    "leaf-a-bit": put(1, flip(lines[1], 30)),
    "leaf-signature": other_leaf(leaf[-20:-16], b"AAAA"),
    "leaf-time": other_leaf(leaf[14:18], b"2031"),
    "leaf-missing": drop(1),
    "leaf-not-canonical": other_leaf(b'{"logged_at":', b'{ "logged_at":'),
    "index": put(2, "index 4"),
    "index-beyond": put(2, "index 4000000000"),
    "index-spelling": put(2, "index 03"),
    "hash": put(3, flip(lines[3], 0)),
    "hash-missing": drop(3),
    "hash-surplus": put(3, lines[3] + "\n" + lines[3]),
    "hashes-swapped": "\n".join(lines[:3] + [lines[4], lines[3]] + lines[5:]),
    "origin": put(size - 1, "other.example/log"),
    "size": put(size, str(int(lines[size]) + 1)),
    "root": put(size + 1, flip(lines[size + 1], 5)),
    "extension-line": put(size + 1, lines[size + 1] + "\nextension"),
    "log-signature": put(log_ed25519, flip(lines[log_ed25519], 40)),
    "log-signature-missing": "\n".join(line for line, name in zip(lines, names) if name != "ledger.example/log"),
    "cosignature": put(newsroom, flip(lines[newsroom], 60)),
    "cosignature-time": put(newsroom, flip(lines[newsroom], 11)),
    "cosignature-missing": drop(newsroom),
    "cosignature-of-another-name": put(newsroom, lines[newsroom].replace("newsroom", "nobody")),
    "cosignature-twice-for-two": put(names.index("university.example"), lines[newsroom]),
    "truncated": text[:-20],
    "line-after": text + "more\n",
    "carriage-returns": text.replace("\n", "\r\n"),
    "first-line": put(0, "c2sp.org/tlog-proof@v2"),
    "empty": "",
}
for name, altered in proofs.items():
    assert altered != text, name
    open(f"{name}.altered", "w", encoding="utf-8", newline="").write(altered)

log = [line for line in policy.split("\n") if line.startswith("log ")]
foreign_log = open("other/log.vkey").read().strip()
witness = next(line for line in policy.split("\n") if line.startswith("witness newsroom "))
vkey = witness.split(" ")[2]
policies = {
    "foreign-log": policy.replace(log[0], f"log {foreign_log}").replace(log[1] + "\n", ""),
    "foreign-witness": policy.replace(vkey, sys.argv[1]),
    "unnamed-log": policy.replace(log[0] + "\n", "").replace(log[1] + "\n", ""),
    "no-quorum": policy.replace("quorum witnesses", "quorum none"),
    "quorum-of-three": policy.replace("group witnesses 2", "group witnesses 3"),
    "witness-twice": policy.replace(witness, f"{witness}\nwitness again {vkey}"),
    "member-twice": policy.replace("newsroom university\n", "newsroom newsroom\n"),
    "altered-key": policy.replace(vkey, vkey[:-1] + ("A" if vkey[-1] != "A" else "B")),
}
for name, altered in policies.items():
    assert altered != policy, name
    open(f"{name}.altered-policy", "w", encoding="utf-8").write(altered)

# And every byte, but of the line that this program passes over.
trusted, data, refused = verify_proof.Policy.parse(policy), text.encode(), 0
passed_over = lines[ml_dsa].encode()
start = data.index(passed_over)
verify_proof.verify(data, trusted, None)
for at in range(len(data)):
    if start <= at < start + len(passed_over):
        continue
    altered = bytearray(data)
    altered[at] ^= 1
    try:
        verify_proof.verify(bytes(altered), trusted, None)
    except ValueError:
        refused += 1
    else:
        sys.exit(f"accepted with byte {at} altered")
print(f"{refused} files with one bit altered are refused")
PY
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

echo "strangers: $checks checks passed"
