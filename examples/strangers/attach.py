#!/usr/bin/env python3
"""Uploads the attachment of a statement that is to be submitted next: a call signed by RFC 9421.

    attach.py scope.geojson --type application/geo+json --key service.pem --server https://ledger.example

Prints the digest by which the statement names it, and writes the opening, from which the digest
follows, beside the file as FILE.opening. Run again, it takes the opening that lies there.

Exit codes: 0 the server has it; 1 the server refuses it; 2 not known.
"""

import argparse
import hashlib
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import serialization

import statement


def opening_of(data, media_type):
    """An SD-JWT disclosure that fixes the attachment's bytes, under a salt that hides them."""
    value = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "type": media_type}
    salt = statement.to_base64url(os.urandom(16))
    return statement.to_base64url(statement.canonical([salt, "attachment", value]))


def digest_of(opening):
    """SHA-256 of the opening's own text."""
    return statement.to_base64url(hashlib.sha256(opening.encode()).digest())


def signed_put(url, data, headers, key):
    """A PUT with the signature that the protocol asks of calls (RFC 9421, RFC 9530)."""
    parts = urllib.parse.urlsplit(url)
    content_digest = f"sha-256=:{statement.to_base64(hashlib.sha256(data).digest())}:"
    now = int(time.time())
    components = {
        "@method": "PUT",
        "@authority": parts.netloc.lower(),
        "@path": parts.path,
        "@query": "?" + parts.query,
        "content-digest": content_digest,
    }
    parameters = "({});created={};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"ed25519\";tag=\"whosaw-v1\"".format(
        " ".join(f'"{name}"' for name in components),
        now,
        now + 60,
        statement.to_base64url(os.urandom(16)),
        statement.keyid(key.public_key()),
    )
    lines = [f'"{name}": {value}' for name, value in components.items()]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    headers = headers | {
        "Content-Digest": content_digest,
        "Signature-Input": f"whosaw={parameters}",
        "Signature": f"whosaw=:{statement.to_base64(key.sign(base.encode()))}:",
    }
    return urllib.request.Request(url, data=data, headers=headers, method="PUT")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--type", required=True, help="its media type")
    parser.add_argument("--key", required=True, help="a service key, as a PEM file")
    parser.add_argument("--server", required=True, help="the ledger's address")
    args = parser.parse_args()
    with open(args.file, "rb") as file:
        data = file.read()
    with open(args.key, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), password=None)
    beside = args.file + ".opening"
    if os.path.exists(beside):
        with open(beside, encoding="ascii") as file:
            opening = file.read().strip()
    else:
        opening = opening_of(data, args.type)
        with open(beside, "x", encoding="ascii") as file:
            file.write(opening + "\n")
    url = f"{args.server}/attachments/{digest_of(opening)}"
    headers = {"Content-Type": args.type, "Whosaw-Opening": opening}
    try:
        with urllib.request.urlopen(signed_put(url, data, headers, key), timeout=60):
            print(digest_of(opening))
            return 0
    except urllib.error.HTTPError as error:
        print(error.read().decode(errors="replace"), file=sys.stderr)
        return 2 if error.code in (408, 429) or error.code >= 500 else 1
    except OSError as error:
        print("no answer:", error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
