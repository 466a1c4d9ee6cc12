#!/usr/bin/env python3
"""Signs a statement and submits it, as docs/AGENCY-DEVELOPERS.md describes it.

    submit.py sign MEMBERS.json --key officer.pem --output report.dsse
    submit.py send report.dsse --server https://ledger.example --proof report.tlog-proof

MEMBERS.json holds the statement's members in any spelling; `issued_at` is added where it is missing.
Keys are PEM files (PKCS#8, unencrypted). Two steps, because the signed file is what is kept: whatever
happens on the way, the same file may be sent again, and is one statement.

Exit codes: 0 done; 1 the ledger refuses the statement; 2 it is not known, or not proved yet.
"""

import argparse
import datetime
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import serialization

import statement

PATIENCE = 300  # seconds in all
STEP = 2  # seconds between two tries, where the server names no time


def sign(members, keys):
    """The envelope of a statement, signed by each of `keys`."""
    payload = statement.canonical(members)
    message = statement.pae(payload)
    signatures = [
        {"keyid": statement.keyid(key.public_key()), "sig": statement.to_base64(key.sign(message))}
        for key in keys
    ]
    return {
        "payload": statement.to_base64(payload),
        "payloadType": statement.PAYLOAD_TYPE,
        "signatures": sorted(signatures, key=lambda signature: signature["keyid"]),
    }


def run_sign(args):
    with open(args.members, encoding="utf-8") as file:
        members = statement.read_json(file.read())
    # A party's time of issue is cut to the minute.
    now = datetime.datetime.now(datetime.timezone.utc)
    members.setdefault("issued_at", now.strftime("%Y-%m-%dT%H:%M:00Z"))
    keys = []
    for path in args.key:
        with open(path, "rb") as file:
            keys.append(serialization.load_pem_private_key(file.read(), password=None))
    envelope = statement.canonical(sign(members, keys))
    with open(args.output, "xb") as file:  # never over a file that may have been sent
        file.write(envelope)
        file.flush()
        os.fsync(file.fileno())
    print("id", hashlib.sha256(statement.canonical(members)).hexdigest())
    return 0


def call(request):
    """Status, headers and body of an answer; status 0 if there was none."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
    except OSError as error:
        print("no answer:", error, file=sys.stderr)
        return 0, {}, b""


def tell(body):
    """Says what a problem (RFC 9457) says."""
    try:
        problem = json.loads(body)
        print(problem["status"], problem["type"], problem["title"], file=sys.stderr)
        for name in ("detail", "member", "accepted"):
            if problem.get(name):
                print(f"  {name}: {problem[name]}", file=sys.stderr)
    except (ValueError, KeyError, TypeError):
        print(body.decode(errors="replace"), file=sys.stderr)


def run_send(args):
    with open(args.envelope, "rb") as file:
        envelope = file.read()
    payload = statement.from_base64(json.loads(envelope)["payload"])
    identifier = hashlib.sha256(payload).hexdigest()
    submission = urllib.request.Request(
        args.server + "/api/v1/statements",
        data=envelope,
        headers={"Content-Type": "application/json"},
    )
    question = urllib.request.Request(f"{args.server}/api/v1/proofs/{identifier}")
    request, until = submission, time.monotonic() + PATIENCE
    while True:
        status, headers, body = call(request)
        if status in (200, 201):
            break
        wait = STEP
        if status == 202:
            # It stands in the log and stays there; the witnesses have not cosigned that yet.
            print("logged, and not proved yet", file=sys.stderr)
            request = question
        elif status in (429, 503):
            tell(body)
            wait = int(headers.get("Retry-After", STEP))
        elif status in (0, 408) or status >= 500:
            # The statement may stand in the log, or not. Sending it again finds out.
            tell(body)
        else:
            tell(body)
            return 1
        if time.monotonic() + wait > until:
            print("given up for now: send the same file again later", file=sys.stderr)
            return 2
        time.sleep(wait)
    if request is submission:
        answer = json.loads(body)
        if answer["id"] != identifier:
            print("the answer is about another statement", file=sys.stderr)
            return 2
        body = answer["proof"].encode()
    with open(args.proof, "wb") as file:
        file.write(body)
    # The server's word so far: verify_proof.py says whether it is so.
    index = next(line for line in body.decode().split("\n") if line.startswith("index "))
    print("id", identifier)
    print(index)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("sign", help="write and sign a statement")
    command.set_defaults(run=run_sign)
    command.add_argument("members", help="a JSON file with the statement's members")
    command.add_argument("--key", action="append", required=True, help="a PEM file; repeatable")
    command.add_argument("--output", required=True, help="where to write the envelope")
    command = commands.add_parser("send", help="submit a signed statement")
    command.set_defaults(run=run_send)
    command.add_argument("envelope", help="the file that `sign` wrote")
    command.add_argument("--server", required=True, help="the ledger's address")
    command.add_argument("--proof", required=True, help="where to write the proof")
    args = parser.parse_args()
    try:
        return args.run(args)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
