"""Signed webhooks of customers' messages, in the shape of MSG91's v5 dashboard: strings, and JSON inside a string."""

import hashlib
import hmac
import time
from typing import Any, Final

import orjson

from loadtest.driver import OUR_NUMBER
from loadtest.people_run.said import Option

NAME: Final = "Asha"
PICTURE: Final = "https://example.com/picture.jpg"


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"body": text}}


def image_part(caption: str) -> dict[str, Any]:
    image = {"id": "1", "mime_type": "image/jpeg", "url": PICTURE}
    return {"type": "image", "image": {**image, "caption": caption} if caption else image}


def tap_part(option: Option, *, row: bool) -> dict[str, Any]:
    """A tap on a button, or on a row of a list."""
    kind = "list_reply" if row else "button_reply"
    return {"type": "interactive", "interactive": {"type": kind, kind: {"id": option.id, "title": option.title}}}


def body_of(phone: str, identity: str, part: dict[str, Any]) -> bytes:
    """The webhook of one message that was written now; `identity` is the platform's id of it."""
    inner = [{"from": phone, "id": identity, "timestamp": str(int(time.time())), **part}]
    kind = part["type"]
    return orjson.dumps(
        {
            "companyId": "500000",
            "requestedAt": "",
            "customerNumber": phone,
            "eventName": "delivered",
            "uuid": f"{identity}_callback",
            "integratedNumber": OUR_NUMBER,
            "direction": "0",
            "customerName": NAME,
            "contentType": kind,
            "text": part["text"]["body"] if kind == "text" else "",
            "interactive": orjson.dumps(part[kind]).decode() if kind == "interactive" else "",
            "url": PICTURE if kind == "image" else "",
            "caption": part[kind].get("caption", "") if kind == "image" else "",
            "contacts": "",
            "messages": orjson.dumps(inner).decode(),
            "ts": "",
        }
    )


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The fields of the request that carries it."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}


def identity_of(phone: str, place: int) -> str:
    return f"wamid.{hashlib.blake2b(f'{phone} {place}'.encode(), digest_size=12).hexdigest()}"
