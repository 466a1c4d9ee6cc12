"""Writes altered copies of a proof (*.altered) and of its trust file (*.altered-policy), and sees that
verify_proof.py refuses the proof with any one bit altered.

Usage: alter.py PROOF POLICY OTHER-LOG.vkey OTHER-WITNESS-VKEY
"""

import base64
import sys

import verify_proof

text = open(sys.argv[1], encoding="utf-8").read()
policy = open(sys.argv[2], encoding="utf-8").read()
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
foreign_log = open(sys.argv[3]).read().strip()
witness = next(line for line in policy.split("\n") if line.startswith("witness newsroom "))
vkey = witness.split(" ")[2]
policies = {
    "foreign-log": policy.replace(log[0], f"log {foreign_log}").replace(log[1] + "\n", ""),
    "foreign-witness": policy.replace(vkey, sys.argv[4]),
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
