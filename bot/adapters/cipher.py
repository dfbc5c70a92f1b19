"""AES-256-GCM for everything that is stored, and keyed fingerprints by which sealed values are found again.

A sealed value is one byte of version, one byte of length and the id of the key, 12 random bytes of nonce, and the
ciphertext with its tag. The id is empty under a customer's key: which customer it is, the row says. Random nonces allow
2**32 values for each key (NIST SP 800-38D, 8.3): the service's key, under which the journal is, is to be rotated before
that, a customer's key will not get there.
"""

import base64
import binascii
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.ports.keys import Sealer

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_NONCES_DRAWN: Final = 512
_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 16
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
KEY_CONTEXT: Final = b"key"
"""The context under which keys are wrapped."""
_SEALERS_KEPT: Final = 10_000


class KeysError(ValueError):
    """`ENCRYPTION_KEYS` cannot be used; the message names what to do and never a key."""


def parse_keys(setting: str) -> Mapping[str, bytes]:
    """Keys by id, in the order of `id:base64,id:base64`. Raises `KeysError`."""
    keys: dict[str, bytes] = {}
    for place, entry in enumerate(filter(None, (part.strip() for part in setting.split(","))), 1):
        id_, colon, encoded = entry.partition(":")
        if not colon or not _KEY_ID.fullmatch(id_):
            raise KeysError(f"ENCRYPTION_KEYS: entry {place} is not id:base64 (id: letters, digits, '.', '_', '-')")
        if id_ in keys:
            raise KeysError(f"ENCRYPTION_KEYS: the id {id_} is used twice")
        keys[id_] = _decoded(id_, encoded)
    if not keys:
        raise KeysError(f"ENCRYPTION_KEYS is empty: make a key with 'openssl rand -base64 {_KEY_BYTES}'")
    return keys


def _decoded(id_: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise KeysError(f"ENCRYPTION_KEYS: the key {id_} is not base64") from None
    if len(key) != _KEY_BYTES:
        raise KeysError(
            f"ENCRYPTION_KEYS: the key {id_} has {len(key)} bytes instead of {_KEY_BYTES}: "
            f"make one with 'openssl rand -base64 {_KEY_BYTES}'"
        )
    return key


class _Nonces:
    """Random nonces, fetched from the kernel many at a time: a call of it for each costs more than the sealing."""

    def __init__(self) -> None:
        self._pool: Iterator[bytes] = iter(())

    def take(self) -> bytes:
        nonce = next(self._pool, None)
        if nonce is not None:
            return nonce
        drawn = os.urandom(_NONCE_BYTES * _NONCES_DRAWN)
        self._pool = iter([drawn[at : at + _NONCE_BYTES] for at in range(0, len(drawn), _NONCE_BYTES)])
        return self.take()


_nonces: Final = _Nonces()


class AesSealer:
    """Fulfils `bot.ports.keys.Sealer` with one key, whose id goes in front."""

    def __init__(self, key: bytes, id_: str = "") -> None:
        encoded = id_.encode()
        self._front = bytes((_VERSION, len(encoded))) + encoded
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        nonce = _nonces.take()
        return self._front + nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raises `ValueError` for what this key and context did not make."""
        start = len(self._front)
        body = start + _NONCE_BYTES
        if sealed[:start] != self._front:
            raise ValueError("sealed under another key")
        try:
            return self._cipher.decrypt(sealed[start:body], sealed[body:], context)
        except (InvalidTag, ValueError):
            raise ValueError("not sealed by this key in this context, or damaged") from None


class ServiceKeys:
    """`ENCRYPTION_KEYS`: the first seals, all open. They also wrap the keys of customers and of fingerprints."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._sealers = {id_.encode(): AesSealer(key, id_) for id_, key in keys.items()}
        self._first = next(iter(self._sealers.values()))
        self.ids = tuple(keys)
        self.first_id = self.ids[0]

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        return self._first.seal(plain, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raises `ValueError` for what none of the keys made in this context."""
        sealer = self._sealers.get(_key_id(sealed))
        if sealer is None:
            raise ValueError("sealed under a key that ENCRYPTION_KEYS does not hold, or damaged")
        return sealer.open(sealed, context)

    def new_key(self) -> bytes:
        """A fresh random key, wrapped."""
        return self.seal(os.urandom(_KEY_BYTES), KEY_CONTEXT)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key itself. Raises `ValueError`."""
        return self.open(wrapped, KEY_CONTEXT)


class AesVault:
    """Fulfils `bot.ports.keys.Vault`. `fingerprint_key` is wrapped; it comes from the keyring and never changes.

    The sealers of the last `kept` customers stay unwrapped in memory.
    """

    def __init__(self, keys: ServiceKeys, fingerprint_key: bytes, *, kept: int = _SEALERS_KEPT) -> None:
        self._keys = keys
        self._fingerprint_key = keys.unwrap(fingerprint_key)
        self._kept = kept
        self._customers: OrderedDict[bytes, Sealer] = OrderedDict()
        self.seal = keys.seal
        self.open = keys.open

    def new_customer_key(self) -> bytes:
        return self._keys.new_key()

    def customer(self, wrapped: bytes) -> Sealer:
        """Raises `ValueError` when the key was destroyed or is not ours."""
        sealer = self._customers.get(wrapped)
        if sealer is not None:
            self._customers.move_to_end(wrapped)
            return sealer
        sealer = self._customers[wrapped] = AesSealer(self._keys.unwrap(wrapped))
        if len(self._customers) > self._kept:
            self._customers.popitem(last=False)
        return sealer

    def forget(self) -> None:
        self._customers.clear()

    def fingerprint(self, kind: str, value: str) -> bytes:
        """`kind` has at most 16 bytes and keeps equal values of different kinds apart."""
        return blake2b(
            value.encode(), key=self._fingerprint_key, digest_size=_FINGERPRINT_BYTES, person=kind.encode()
        ).digest()


def key_id(sealed: bytes) -> str:
    """Which of the service's keys sealed this; empty under a customer's key, and for what is not sealed."""
    return _key_id(sealed).decode("ascii", "replace")


def _key_id(sealed: bytes) -> bytes:
    if len(sealed) < 2 or sealed[0] != _VERSION:
        return b""
    return sealed[2 : 2 + sealed[1]]
