#!/usr/bin/env python3
"""Opens the note of a disclosure, and prints what it tells, if it is the one that the disclosure names.

    note.py NOTE.age --identity request.identity --disclosure disclosure.json

`disclosure.json` is the statement as it stands in the log: the member `statement` of the answer to
`GET /api/v1/statements/{id}`. Calls `age`.

Exit codes: 0 it is the note; 1 it is not; 2 could not look.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import unicodedata

import statement

SIZE, PADDED, LONGEST = 4296, 4096, 400
DIGITS = rb"[A-Za-z0-9+/]{43}"
HEADER = re.compile(rb"age-encryption\.org/v1\n-> X25519 %b\n%b\n--- %b\n" % (DIGITS, DIGITS, DIGITS))
BY_CLIP = {"place", "time"}


class NoNote(Exception):
    """What is wrong with it."""


def expect(holds, what):
    if not holds:
        raise NoNote(what)


def plaintext(file, identity):
    command = ["age", "--decrypt", "--identity", identity]
    opened = subprocess.run(command, input=file, capture_output=True, check=False)
    expect(opened.returncode == 0, "it does not open with this identity")
    return opened.stdout


def unpadded(padded):
    expect(len(padded) == PADDED, f"its text is not padded to {PADDED} bytes")
    text = padded.rstrip(b"\0")
    expect(text.endswith(b"\x80"), "the padding does not begin with 0x80")
    return text[:-1]


def check_text(kind, text):
    expect(isinstance(text, str) and text.strip(), f"{kind} has no text")
    expect(len(text.encode()) <= LONGEST, f"a text of {kind} is longer than {LONGEST} bytes")
    expect(all(unicodedata.category(c) != "Cc" for c in text), f"a text of {kind} has a control character")


def told(text, disclosure):
    try:
        note = statement.read_json(text)
        is_canonical = statement.canonical(note) == text
    except ValueError as error:
        raise NoNote(f"its text is not JSON of texts and lists: {error}") from error
    expect(isinstance(note, dict) and is_canonical, "its text is not an object in its RFC 8785 form")
    given = sorted(set(disclosure["gives"]) - {"video"})
    expect(sorted(note) == given, f"it tells {sorted(note)}, where {given} is given")
    for kind, value in note.items():
        texts = value if kind in BY_CLIP else [value]
        expect(isinstance(texts, list), f"{kind} is no list of texts")
        expect(kind not in BY_CLIP or len(texts) == len(disclosure["clips"]), f"{kind} has not one text for each clip")
        for each in texts:
            check_text(kind, each)
    return note


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--identity", required=True, help="the request's age identity")
    parser.add_argument("--disclosure", required=True, help="the statement in the log, JSON")
    args = parser.parse_args()
    try:
        with open(args.file, "rb") as file:
            note = file.read(SIZE + 1)
        with open(args.disclosure, encoding="utf-8") as file:
            disclosure = json.load(file)
        expect(disclosure.get("note") == hashlib.sha256(note).hexdigest(), "it is not the note that the disclosure names")
        expect(len(note) == SIZE and HEADER.match(note), f"it is not an age file of {SIZE} bytes with one X25519 stanza")
        text = unpadded(plaintext(note, args.identity))
        told(text, disclosure)
    except NoNote as error:
        print(f"no note: {error}", file=sys.stderr)
        sys.exit(1)
    except (OSError, ValueError, KeyError) as error:
        print(f"could not look: {error}", file=sys.stderr)
        sys.exit(2)
    sys.stdout.buffer.write(text + b"\n")


if __name__ == "__main__":
    main()
