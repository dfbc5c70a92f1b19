"""How an outgoing webhook is signed: the Standard Webhooks specification, version 1 (symmetric).

The receiver computes HMAC-SHA256 over `id.timestamp.body` with the bytes behind `whsec_` and compares it, in constant
time, with each `v1,...` of the header; while a secret is being replaced there are two. The timestamp is that of the
attempt, so that a receiver may refuse what is old.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - it says what follows, and is none itself
SECRET_BYTES = 32
"""Random bytes of a new secret; the specification asks for 24 to 64."""


def secret_of(key: bytes) -> str:
    """The bytes of a key as the secret that its owner is shown."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def signed_headers(keys: Sequence[bytes], *, event_id: str, at: float, body: bytes) -> Mapping[str, str]:
    """The three headers of the specification; `keys` are bytes, `at` unix seconds."""
    seconds = int(at)
    content = b"%b.%d.%b" % (event_id.encode(), seconds, body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{_mac(key, content)}" for key in keys),
    }


def _mac(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
