#!/usr/bin/env python3
"""tests/vectors/statements.jsonl, checked without this project's code.

Canonical bytes, ids, pre-authentication encoding, signatures, leaves and their hashes are all computed
anew; the secret keys follow from their names. Prints how many vectors hold; exit code 1 if one does not.
Usage: vectors.py FILE
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.whosaw.statement+json"


def canonical(value):
    """RFC 8785 of what statements are made of: strings, integers, booleans, lists, objects."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return b"{" + b",".join(canonical(k) + b":" + canonical(v) for k, v in ordered) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    if isinstance(value, float) or value is None:
        raise ValueError(f"no member has such a value: {value!r}")
    return json.dumps(value, ensure_ascii=False).encode()


def expect(holds, what):
    if not holds:
        raise ValueError(what)


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(key):
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def check(vector):
    payload = vector["payload"].encode()
    statement = json.loads(payload)
    expect(canonical(statement) == payload, "the payload is not canonical")
    expect(statement["type"] == vector["type"], "another type")
    expect(hashlib.sha256(payload).hexdigest() == vector["id"], "another id")

    envelope = vector["envelope"]
    expect(sorted(envelope) == ["payload", "payloadType", "signatures"], "members of the envelope")
    expect(envelope["payloadType"] == PAYLOAD_TYPE, "another payload type")
    expect(base64.b64decode(envelope["payload"], validate=True) == payload, "another payload")
    header = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode()
    keyids = [signature["keyid"] for signature in envelope["signatures"]]
    expect(keyids == sorted(keyids) and len(keyids) == len(vector["keys"]), "order of the signatures")
    for name, signature in zip(vector["keys"], envelope["signatures"]):
        secret = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        public = raw(secret.public_key())
        expect(signature["keyid"] == "ed25519:" + unpadded(public), f"{name} has another key")
        sig = base64.b64decode(signature["sig"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(sig, header + payload)
        expect(secret.sign(header + payload) == sig, f"{name} signs otherwise")

    if statement["type"] == "decision":
        expect("leaf" not in vector, "decisions stand in no log")
        return
    leaf = vector["leaf"].encode()
    entry = json.loads(leaf)
    expect(sorted(entry) == ["logged_at", "statement"], "members of the leaf")
    expect(entry["logged_at"].endswith(":00Z"), "the time of logging is not cut")
    expect(entry["statement"] == envelope, "another envelope")
    expect(canonical(entry) == leaf, "the leaf is not canonical")
    expect(hashlib.sha256(b"\0" + leaf).hexdigest() == vector["leaf_hash"], "another leaf hash")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = [json.loads(line) for line in file]
    logged = [vector for vector in vectors if "index" in vector]
    expect([vector["index"] for vector in logged] == list(range(len(logged))), "indices")
    for n, vector in enumerate(vectors):
        try:
            check(vector)
        except (InvalidSignature, ValueError) as why:
            print(f"vector {n} ({vector.get('type')}): {str(why) or 'a signature does not verify'}")
            return 1
    print(f"{len(vectors)} vectors hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
