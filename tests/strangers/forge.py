"""A log and witnesses that sign whatever they are given: what verify_proof.py says then.

Inclusion in trees of every size up to 40 is compared with RFC 6962's own definition. Entries that are
no statements, under a checkpoint that all have signed, are written as *.forged, with forged.policy; and
honest.forged-proof, which differs from them in nothing but holding a statement.
Usage: forge.py
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import statement
import verify_proof

ORIGIN = "forged.example/log"


def sha256(data):
    return hashlib.sha256(data).digest()


def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    k = split(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


def path(index, leaves):
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return path(index, leaves[:k]) + [root(leaves[k:])]
    return path(index - k, leaves[k:]) + [root(leaves[:k])]


def split(size):
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def holds(*arguments):
    try:
        verify_proof.verify_inclusion(*arguments)
    except verify_proof.Refused:
        return False
    return True


compared = 0
for size in range(1, 41):
    leaves = [b"leaf %d" % i for i in range(size)]
    for index in range(size):
        leaf, hashes, top = leaves[index], path(index, leaves), root(leaves)
        assert holds(leaf, index, size, hashes, top), (index, size)
        assert not holds(b"other", index, size, hashes, top), (index, size)
        assert not holds(leaf, index, size, hashes + [top], top), (index, size)
        assert not holds(leaf, index, size, hashes[:-1], top) or not hashes, (index, size)
        for other in set(range(size + 1)) - {index}:
            assert not holds(leaf, other, size, hashes, top), (index, other, size)
        compared += 1
print(f"{compared} inclusion proofs are as RFC 6962 has them")


def raw(key):
    return statement.from_keyid(statement.keyid(key.public_key()))


def key_id(name, kind, key):
    return sha256(name.encode() + b"\n" + bytes([kind]) + raw(key))[:4]


def vkey(name, kind, key):
    encoded = base64.b64encode(bytes([kind]) + raw(key)).decode()
    return f"{name}+{key_id(name, kind, key).hex()}+{encoded}"


log, witness, officer, other = (Ed25519PrivateKey.generate() for _ in range(4))


def prove(leaf):
    """A proof that a leaf is the only one of the log, signed by all."""
    text = f"{ORIGIN}\n1\n{base64.b64encode(sha256(bytes(1) + leaf)).decode()}\n"
    seconds = 1_600_000_000
    cosigned = witness.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    lines = [
        (ORIGIN, key_id(ORIGIN, 1, log) + log.sign(text.encode())),
        ("w.example", key_id("w.example", 4, witness) + seconds.to_bytes(8, "big") + cosigned),
    ]
    signatures = "".join(f"\u2014 {name} {base64.b64encode(data).decode()}\n" for name, data in lines)
    extra = base64.b64encode(leaf).decode()
    return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n\n{text}\n{signatures}"


MEMBERS = {
    "effective_on": "2019-07-01", "giver": "a.example", "issued_at": "2019-07-01T10:00:00Z",
    "issuer": "a.example", "kind": "equipment", "log": ORIGIN, "receiver": "b.example",
    "type": "benefit", "version": 1,
}


def leaf(payload=statement.canonical(MEMBERS), keys=(officer,), **members):
    signatures = [
        {"keyid": statement.keyid(key.public_key()),
         "sig": statement.to_base64(key.sign(statement.pae(payload)))}
        for key in keys
    ]
    envelope = {
        "payload": statement.to_base64(payload),
        "payloadType": statement.PAYLOAD_TYPE,
        "signatures": sorted(signatures, key=lambda signature: signature["keyid"]),
    }
    envelope.update((name, value) for name, value in members.items() if name in envelope)
    entry = {"logged_at": "2019-07-01T10:00:00Z", "statement": envelope}
    entry.update((name, value) for name, value in members.items() if name not in envelope)
    return statement.canonical(entry)


def signed(**members):
    return leaf(statement.canonical({**MEMBERS, **members}))


one = {"keyid": statement.keyid(officer.public_key()),
       "sig": statement.to_base64(officer.sign(statement.pae(statement.canonical(MEMBERS))))}
both = json.loads(leaf(keys=(officer, other)))["statement"]["signatures"]
foreign = {**one, "keyid": statement.keyid(other.public_key())}
# The neutral element as key and as R, and S = 0: RFC 8032's equation holds for any message.
neutral = bytes([1]) + bytes(31)
weak = {"keyid": "ed25519:" + statement.to_base64url(neutral),
        "sig": statement.to_base64(neutral + bytes(32))}
forged = {
    "no-json": b"a leaf",
    "no-statement": b"{}",
    "not-canonical": leaf().replace(b'{"logged_at":', b'{"logged_at": '),
    "a-member-twice": leaf().replace(b'{"logged_at":', b'{"logged_at":"2019-07-01T10:00:00Z","logged_at":'),
    "line-feed": leaf() + b"\n",
    "exact-seconds": leaf(logged_at="2019-07-01T10:00:01Z"),
    "one-member-more": leaf(index=0),
    "payload-type": leaf(payloadType="application/json"),
    "other-log": signed(log="other.example/log"),
    "payload-not-canonical": leaf(json.dumps(MEMBERS).encode()),
    "payload-with-a-fraction": leaf(statement.canonical(MEMBERS).replace(b":1}", b":1.5}")),
    "payload-no-object": leaf(b'"text"'),
    "no-signature": leaf(signatures=[]),
    "signature-of-another-key": leaf(signatures=[foreign]),
    "signature-of-another-payload": leaf(statement.canonical({**MEMBERS, "count": 2}), signatures=[one]),
    "signatures-out-of-order": leaf(signatures=both[::-1]),
    "signature-twice": leaf(signatures=[one, one]),
    "signature-not-base64": leaf(signatures=[{**one, "sig": one["sig"].rstrip("=")}]),
    "weak-key": leaf(signatures=[weak]),
    "key-of-another-kind": leaf(signatures=[{**one, "keyid": one["keyid"].replace("ed25519", "ed448")}]),
}
for name, entry in forged.items():
    with open(f"{name}.forged", "w", encoding="utf-8") as file:
        file.write(prove(entry))
with open("honest.forged-proof", "w", encoding="utf-8") as file:
    file.write(prove(leaf()))
with open("forged.policy", "w", encoding="utf-8") as file:
    file.write(f"log {vkey(ORIGIN, 1, log)}\nwitness w {vkey('w.example', 4, witness)}\nquorum w\n")
