"""What waits in the spool: accepted deliveries in the form in which they will be worked off, sealed under the service's
key.

A message is there before its customer is known, because the directory of customers is away with the journal. It carries
the very bytes that go into the journal, so an append whose answer was lost before it was spooled is recognised.

The form outlives the process that wrote it: replicas of two releases share one spool. A new field needs a default. A
new kind, or another meaning, is a newer release's, which older ones leave to it.
"""

from typing import Literal

import msgspec

from bot.ports.keys import Vault
from bot.wire.msg91.reports import DeliveryReport

CONTEXT = b"spool"


class SpooledMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="message"):
    """A customer's message: `sealed` is its envelope as the journal keeps it, `dedup` its key, `at` its acceptance."""

    dedup: bytes
    at: float
    sealed: bytes


class SpooledReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="report"):
    """A delivery report, with a time even when the provider gave none."""

    report: DeliveryReport


class SpooledBody(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="body"):
    """A body that could not be used, sealed as the quarantine keeps it."""

    reason: str
    sealed: bytes
    at: float


Spooled = SpooledMessage | SpooledReport | SpooledBody


class _Form(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    what: Spooled
    version: Literal[1] = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Form)


def seal(vault: Vault, what: Spooled) -> bytes:
    return vault.seal(_encoder.encode(_Form(what=what)), CONTEXT)


def unseal(vault: Vault, sealed: bytes) -> Spooled:
    """What `seal` sealed. Raises `ValueError` when no key opens it, `msgspec.DecodeError` for another form."""
    return _decoder.decode(vault.open(sealed, CONTEXT)).what
