"""Fulfils `bot.ports.keys.Vault` without ciphers: what is sealed is tagged by key and context, and always the same."""

import itertools
from hashlib import blake2b

from bot.ports.keys import Sealer

TAG_BYTES = 8


class TaggingSealer:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        return self._tag(plain, context) + plain

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        tag, plain = sealed[:TAG_BYTES], sealed[TAG_BYTES:]
        if tag != self._tag(plain, context):
            raise ValueError("not sealed by this key in this context")
        return plain

    def _tag(self, plain: bytes, context: bytes) -> bytes:
        return blake2b(b"%d:%b%b" % (len(context), context, plain), digest_size=TAG_BYTES, key=self._key).digest()


class MemoryVault(TaggingSealer):
    def __init__(self) -> None:
        super().__init__(b"service")
        self._numbers = itertools.count(1)

    def new_customer_key(self) -> bytes:
        return b"key-%d" % next(self._numbers)

    def customer(self, wrapped: bytes) -> Sealer:
        if not wrapped.startswith(b"key-"):
            raise ValueError("the key was destroyed or is not ours")
        return TaggingSealer(wrapped)

    def forget(self) -> None:
        """Nothing is kept."""

    def fingerprint(self, kind: str, value: str) -> bytes:
        return blake2b(f"{kind}:{value}".encode(), digest_size=16).digest()
