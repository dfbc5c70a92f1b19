"""Sealing and opening: a customer's own key, wrapped by the service's keys."""

from typing import Protocol


class Sealer(Protocol):
    """Authenticated encryption under one key. `context` must be the same for both calls."""

    def seal(self, plain: bytes, context: bytes = b"") -> bytes: ...

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raise `ValueError` when `sealed` was not made by this key with this context."""
        ...


class Vault(Sealer, Protocol):
    """The service's keys. Seals with the first key of `ENCRYPTION_KEYS` and opens with any."""

    def new_customer_key(self) -> bytes:
        """A fresh data key, wrapped: what `users.data_key` holds."""
        ...

    def customer(self, wrapped: bytes) -> Sealer:
        """The sealer of one customer. Raise `ValueError` when the key was destroyed or is not ours."""
        ...

    def fingerprint(self, kind: str, value: str) -> bytes:
        """A keyed hash (16 bytes) under which an identity or a search word is found again without being readable."""
        ...

    def forget(self) -> None:
        """Keep no customer's key in memory: one of them was destroyed. What is needed is unwrapped anew."""
        ...
