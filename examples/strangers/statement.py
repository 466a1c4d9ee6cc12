"""What submit.py and verify_proof.py have in common: canonical JSON, DSSE, strict base64.

Python's standard library and the package `cryptography`; nothing of whosaw's own code. The contract
is docs/PROTOCOL.md, section 4.
"""

import base64
import binascii
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.whosaw.statement+json"
MAX_INTEGER = 2**53 - 1


def canonical(value) -> bytes:
    """The RFC 8785 form of a value of strings, integers, booleans, arrays and objects.

    That is all a statement may hold. Of RFC 8785 this leaves out `null` and fractions, whose writing
    as ECMAScript does it is the hard part: for those, take a library.
    """
    check_plain(value)
    # Python sorts by code point, RFC 8785 by UTF-16 code unit: the same for ASCII names, and no
    # statement has others.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def check_plain(value):
    """Raises ValueError for what no statement may hold."""
    if isinstance(value, dict):
        for name, below in value.items():
            if not name.isascii():
                raise ValueError(f"a member's name is ASCII: {name!r}")
            check_plain(below)
    elif isinstance(value, list):
        for below in value:
            check_plain(below)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"not within ±(2^53-1): {value}")
    elif not isinstance(value, str):
        raise ValueError(f"not a string, integer, boolean, array or object: {value!r}")


def read_json(text):
    """Parses JSON in any spelling, but with each member once."""

    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member is written twice")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=members)


def read_canonical(data: bytes):
    """Parses JSON that is its own RFC 8785 form, or raises ValueError."""
    value = read_json(data.decode())
    if canonical(value) != data:
        raise ValueError("the bytes differ from their RFC 8785 form")
    return value


def pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Standard base64, padded; of several spellings of the same bytes, the one that encoders write."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {error}") from None
    if to_base64(data) != text:
        raise ValueError("not canonical base64")
    return data


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def keyid(key: Ed25519PublicKey) -> str:
    """A public key as statements write it."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "ed25519:" + to_base64url(raw)


def from_keyid(text: str) -> bytes:
    """The 32 bytes of a key as statements write it."""
    scheme, _, digits = text.partition(":")
    if scheme != "ed25519" or len(digits) != 43:
        raise ValueError(f"not a key: {text!r}")
    raw = base64.urlsafe_b64decode(digits + "=")
    if "ed25519:" + to_base64url(raw) != text:
        raise ValueError(f"not canonical base64url: {text!r}")
    return raw


# Ed25519 beyond what `cryptography` checks: neither key nor R may be a point of small order, for
# which anybody could sign. These are the y of all eight points, without the sign of x.
P = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, P - 1, ORDER_8, P - ORDER_8}


def is_strong(point: bytes) -> bool:
    """Whether 32 bytes encode their y canonically, and a y of large order."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    return y < P and y not in SMALL_ORDER


def verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature holds (RFC 8032, without cofactor, strictly)."""
    if len(signature) != 64 or not is_strong(key) or not is_strong(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
