#!/usr/bin/env python3
"""Verifies a .tlog-proof: that a statement stands in a log, and that witnesses vouch for that log.

    verify_proof.py report.tlog-proof --policy log.policy
    verify_proof.py report.tlog-proof --log VKEY --witness VKEY --witness VKEY --quorum 2

It needs no network. The formats are C2SP's: tlog-proof, tlog-checkpoint, signed-note,
tlog-cosignature, tlog-policy; hashes are RFC 6962's. Of signatures it knows Ed25519, which every log
and every cosignature of type 0x04 has; lines of other types are passed over, and a quorum that asks
for keys of other types is not met.

Exit codes: 0 the proof holds, and the statement is printed; 1 it does not.
"""

import argparse
import hashlib
import json
import re
import sys
from dataclasses import dataclass

import statement

MAX_PROOF = 2 << 20  # bytes
LOG, COSIGNATURE = 0x01, 0x04  # signature types; others are passed over


class Refused(ValueError):
    """The file proves nothing, or the trust file cannot be used."""


def require(holds, why):
    if not holds:
        raise Refused(why)


# Whom the reader trusts


@dataclass(frozen=True)
class Key:
    """A verifier key, `<name>+<id>+<base64 of type and key>`."""

    name: str
    id: bytes
    type: int
    raw: bytes

    @classmethod
    def parse(cls, vkey):
        parts = vkey.split("+", 2)  # base64 may hold a `+`
        require(len(parts) == 3 and is_name(parts[0]), f"not a verifier key: {vkey[:80]}")
        name, identifier, encoded = parts
        data = statement.from_base64(encoded)
        require(len(data) > 1, f"no key: {vkey[:80]}")
        digest = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        require(digest.hex() == identifier, f"the id of {name}'s key is not that of name and key")
        key = cls(name, digest, data[0], data[1:])
        if key.type in (LOG, COSIGNATURE):
            fine = len(key.raw) == 32 and statement.is_strong(key.raw)
            require(fine, f"the key of {name} is not a strong Ed25519 key")
        return key

    @property
    def host(self):
        return re.split("[/:]", self.name)[0]


def is_name(text):
    return bool(text) and not any(c.isspace() or c in "+" or ord(c) < 0x20 for c in text)


class Policy:
    """Whose log, and how many of which witnesses (C2SP tlog-policy)."""

    def __init__(self):
        self.logs = []
        self.witnesses = {}  # key by its name in the policy
        self.groups = {}  # threshold and members by name
        self.quorum = None

    @classmethod
    def parse(cls, text):
        policy = cls()
        for line in text.split("\n"):
            words = re.split("[ \t]+", line.strip(" \t"))
            if words == [""] or words[0].startswith("#"):
                continue
            match words:
                case ["log", vkey] | ["log", vkey, _]:
                    policy.add_log(vkey)
                case ["witness", name, vkey] | ["witness", name, vkey, _]:
                    policy.add_witness(name, vkey)
                case ["group", name, threshold, *members]:
                    policy.add_group(name, threshold, members)
                case ["quorum", name]:
                    require(policy.quorum is None, "the policy has two quorums")
                    policy.quorum = name
                case _:
                    raise Refused(f"the policy has a line that is not understood: {line[:80]!r}")
        policy.check()
        return policy

    @classmethod
    def of(cls, logs, witnesses, quorum):
        """The policy that `quorum` of the witnesses cosign."""
        policy = cls()
        for vkey in logs:
            policy.add_log(vkey)
        for vkey in witnesses:
            policy.add_witness(vkey.split("+")[0], vkey)
        policy.add_group("+quorum", str(quorum), list(policy.witnesses))
        policy.quorum = "+quorum"
        policy.check()
        return policy

    def add_log(self, vkey):
        key = Key.parse(vkey)
        require(key.type != COSIGNATURE, "a log's key is not of type 0x04")
        require(key.raw not in [k.raw for k in self.logs], "a log's key is named twice")
        self.logs.append(key)

    def add_witness(self, name, vkey):
        key = Key.parse(vkey)
        require(key.type != LOG, "a witness's key is not of type 0x01")
        self.check_new(name)
        # One key under two names would count twice.
        taken = [k.raw for k in self.witnesses.values()]
        require(key.raw not in taken, "a witness's key is named twice")
        self.witnesses[name] = key

    def add_group(self, name, threshold, members):
        self.check_new(name)
        joined = [m for _, group in self.groups.values() for m in group]
        for i, member in enumerate(members):
            require(self.is_defined(member), f"{member} is not defined before its group")
            free = member not in joined and member not in members[:i]
            require(free, f"{member} is a member twice")
        words = {"any": 1, "all": len(members)}
        fits = threshold in words or re.fullmatch("[1-9][0-9]{0,3}", threshold)
        needed = words[threshold] if threshold in words else int(threshold) if fits else 0
        require(1 <= needed <= len(members), f"{threshold} of {len(members)} cannot be")
        if needed > 1:
            # One witness with two keys would count twice, if these were not joined by `any`.
            below = [key.name for m in members for key in set(self.keys_below(m))]
            fine = len(set(below)) in (1, len(below))
            require(fine, f"a witness counts twice in {name}")
        self.groups[name] = (needed, members)

    def keys_below(self, name):
        """Keys below a name, one of those that share their own name."""
        if name in self.witnesses:
            return [self.witnesses[name]]
        keys = [key for m in self.groups[name][1] for key in self.keys_below(m)]
        return list({key.name: key for key in keys}.values())

    def is_defined(self, name):
        return name in self.witnesses or name in self.groups

    def check_new(self, name):
        require(name != "none" and not self.is_defined(name), f"the name {name} is taken")

    def check(self):
        require(self.logs, "the policy names no log")
        require(self.quorum not in (None, "none"), "the policy asks for no witness")
        require(self.is_defined(self.quorum), f"the quorum {self.quorum} is not defined")
        # Witnesses that are the operator's own say nothing about the operator.
        own = [
            name
            for name, witness in self.witnesses.items()
            for log in self.logs
            if witness.raw == log.raw or ("." + witness.host).endswith("." + log.host)
        ]
        require(not self.is_met(self.quorum, own), "the operator alone could fill the quorum")

    def is_met(self, name, cosigned):
        """Whether those that cosigned are enough for the witness or group of this name."""
        if name in self.witnesses:
            return name in cosigned
        needed, members = self.groups[name]
        return sum(self.is_met(member, cosigned) for member in members) >= needed


# The proof, step by step


def parse_proof(data):
    """Leaf, index, hashes and checkpoint note of a tlog-proof; nothing verified yet."""
    require(len(data) <= MAX_PROOF, "larger than 2 MiB")
    text = data.decode()
    require(not any(c < " " and c != "\n" for c in text), "control characters")
    head, found, note = text.partition("\n\n")
    lines = head.split("\n")
    require(found and lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    require(len(lines) > 2 and lines[1].startswith("extra "), "it does not carry its entry")
    leaf = statement.from_base64(lines[1].removeprefix("extra "))
    index = lines[2].removeprefix("index ")
    require(lines[2] != index, "no index")
    hashes = [statement.from_base64(line) for line in lines[3:]]
    require(len(hashes) <= 63 and all(len(h) == 32 for h in hashes), "hashes are 32 bytes each")
    return leaf, decimal(index), hashes, note


def decimal(text):
    require(re.fullmatch("0|[1-9][0-9]{0,18}", text), f"not a decimal number: {text[:40]!r}")
    return int(text)


def parse_note(note):
    """The text of a signed note, and its signatures: name, key id, bytes."""
    text, found, lines = note.rpartition("\n\n")
    require(found and lines.endswith("\n"), "the checkpoint is not a signed note")
    signatures = []
    for line in lines[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        require(dash == "\u2014" and is_name(name), "not a signature line")
        data = statement.from_base64(encoded)
        require(len(data) > 4, "a signature without bytes")
        signatures.append((name, data[:4], data[4:]))
    require(len(signatures) <= 100, "more than 100 signatures")
    return text + "\n", signatures


def parse_checkpoint(text):
    """Origin, size and root."""
    lines = text.split("\n")
    require(len(lines) == 4 and lines[3] == "", "a checkpoint has three lines, and no extensions")
    root = statement.from_base64(lines[2])
    require(is_name(lines[0]) and len(root) == 32, "not a checkpoint")
    return lines[0], decimal(lines[1]), root


def by(key, signatures):
    """The signatures that claim to be by this key."""
    return [data for name, identifier, data in signatures if (name, identifier) == (key.name, key.id)]


def verify_log(policy, origin, text, signatures):
    """The log signed the checkpoint. A line by a known key that fails refuses all of it."""
    keys = [key for key in policy.logs if key.name == origin]
    require(keys, f"the checkpoint is of another log: {origin}")
    signed = False
    for key in keys:
        for signature in by(key, signatures) if key.type == LOG else []:
            holds = statement.verifies(key.raw, text.encode(), signature)
            require(holds, f"the signature of the log {origin} does not hold")
            signed = True
    require(signed, "the log did not sign the checkpoint with a key that is known here")


def verify_witnesses(policy, text, signatures):
    """Enough witnesses cosigned; when each did, in seconds since 1970."""
    times = {}
    for name, key in policy.witnesses.items():
        for data in by(key, signatures) if key.type == COSIGNATURE else []:
            seconds = int.from_bytes(data[:8], "big")
            message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
            holds = statement.verifies(key.raw, message, data[8:]) and 0 < seconds < 2**63
            require(holds, f"the cosignature of {name} does not hold")
            times[name] = seconds
    require(policy.is_met(policy.quorum, times), "the witnesses' quorum is missing")
    return times


def verify_inclusion(leaf, index, size, hashes, root):
    """The leaf stands at this index of the tree of this size and root (RFC 6962, 2.1.1)."""
    require(index < size, f"entry {index} is not in a tree of {size}")
    node = hashlib.sha256(b"\x00" + leaf).digest()
    last = size - 1
    for sibling in hashes:
        require(last > 0, "too many hashes")
        if index % 2 == 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            # A right border without a sibling: its hash stands for several levels.
            while index % 2 == 0 and index > 0:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    require(last == 0, "too few hashes")
    require(node == root, "the hashes do not lead to the checkpoint's root")


def verify_leaf(leaf, origin):
    """The leaf is a statement for this log, and its signatures hold; members, keys and time."""
    entry = statement.read_canonical(leaf)
    has_members(entry, "logged_at", "statement")
    time = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:00Z"
    require(re.fullmatch(time, str(entry["logged_at"])), "the time of logging is cut to the minute")
    envelope = entry["statement"]
    has_members(envelope, "payload", "payloadType", "signatures")
    require(envelope["payloadType"] == statement.PAYLOAD_TYPE, "not a statement's payload type")
    payload = statement.from_base64(envelope["payload"])
    keys = []
    for signature in envelope["signatures"]:
        has_members(signature, "keyid", "sig")
        key, bytes_ = str(signature["keyid"]), statement.from_base64(signature["sig"])
        holds = statement.verifies(statement.from_keyid(key), statement.pae(payload), bytes_)
        require(holds, f"the signature of {key} does not hold")
        keys.append(key)
    require(keys and keys == sorted(set(keys)), "signatures stand in the order of their keys, each once")
    members = statement.read_canonical(payload)
    require(isinstance(members, dict), "a statement is an object")
    require(members.get("log") == origin, "the statement was made for another log")
    return entry["logged_at"], payload, members, keys


def has_members(value, *names):
    fits = isinstance(value, dict) and sorted(value) == sorted(names)
    require(fits, f"an object with exactly {', '.join(names)} is expected")


def verify(data, policy, expected):
    leaf, index, hashes, note = parse_proof(data)
    text, signatures = parse_note(note)
    origin, size, root = parse_checkpoint(text)
    verify_log(policy, origin, text, signatures)
    times = verify_witnesses(policy, text, signatures)
    verify_inclusion(leaf, index, size, hashes, root)
    logged_at, payload, members, keys = verify_leaf(leaf, origin)
    identifier = hashlib.sha256(payload).hexdigest()
    require(expected in (None, identifier), f"it is about another statement: {identifier}")
    return {
        "log": origin,
        "index": index,
        "id": identifier,
        "logged_at": logged_at,
        "size": size,
        "witnesses": times,
        "signed_by": keys,
        "statement": members,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("proof", help="the .tlog-proof file")
    parser.add_argument("--policy", help="the trust file (C2SP tlog-policy)")
    parser.add_argument("--log", action="append", default=[], metavar="VKEY", help="in its place")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY")
    parser.add_argument("--quorum", type=int, metavar="N", help="how many of the witnesses")
    parser.add_argument("--id", help="the statement that it should be about")
    args = parser.parse_args()
    try:
        if args.policy:
            with open(args.policy, encoding="utf-8", newline="") as file:
                policy = Policy.parse(file.read())
        else:
            policy = Policy.of(args.log, args.witness, args.quorum or len(args.witness))
        with open(args.proof, "rb") as file:
            proved = verify(file.read(), policy, args.id)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        print("it proves nothing:", error)
        return 1
    # As JSON with everything but ASCII escaped: what strangers wrote does not steer a terminal.
    print(json.dumps(proved, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
