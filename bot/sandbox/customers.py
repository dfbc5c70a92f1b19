"""What a customer does on the phone: a small document becomes a message, is kept, shown, and posted to the webhook."""

import time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bot.core.messages import Value
from bot.sandbox.bodies import Spoken, inbound
from bot.sandbox.box import Box
from bot.sandbox.callbacks import Answer
from bot.sandbox.limits import Content, Option
from bot.sandbox.records import Heard

Number = Annotated[str, Meta(pattern=r"^([0-9]{10,15})?$")]
Link = Annotated[str, Meta(pattern=r"^https?://\S+$", max_length=2048)]
Words = Annotated[str, Meta(min_length=1, max_length=65_536)]


class Tapped(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tap: `button` of reply buttons, `list` for a row, `template` for a template's quick reply."""

    id: Words
    title: str = ""
    description: str = ""
    kind: Literal["button", "list", "template"] = "button"


class File(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Link
    caption: str = ""
    filename: str = ""


class Place(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: str = ""
    address: str = ""


class Customer(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /sandbox/customer`: who, and exactly one thing that they send."""

    sender: Number = msgspec.field(default="", name="from")
    user_id: str = ""
    """WhatsApp's business-scoped user id; with it `from` may be empty."""
    name: str = "Customer"
    to: str = ""
    """Which of our numbers; empty: the first."""
    text: Words | None = None
    tap: Tapped | Words | None = None
    image: File | Link | None = None
    document: File | Link | None = None
    audio: File | Link | None = None
    video: File | Link | None = None
    sticker: File | Link | None = None
    location: Place | None = None
    reaction: Words | None = None
    """An emoji, to the message `reply_to`."""
    reply_to: str = ""
    id: str = ""
    """The message's id, to send one twice; empty: a new one."""
    at: float | None = None
    """When it was written, unix seconds; empty: now."""
    copies: Annotated[int, Meta(ge=1, le=10)] | None = None
    """How often it is posted; empty: as the settings say."""

    def __post_init__(self) -> None:
        if not self.sender and not self.user_id:
            raise ValueError("one of from and user_id is needed")
        given = [self.text, self.tap, self.location, self.reaction, *(file for _, file in self.files)]
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "exactly one of text, tap, image, document, audio, video, sticker, location, reaction is needed"
            )

    @property
    def files(self) -> tuple[tuple[str, File | str | None], ...]:
        return (
            ("image", self.image),
            ("document", self.document),
            ("audio", self.audio),
            ("video", self.video),
            ("sticker", self.sticker),
        )


async def speak(box: Box, customer: Customer) -> tuple[Heard, Answer]:
    """Keep and show the customer's message, post it to the webhook, and give the service's last answer."""
    message = _heard(box, customer)
    box.records.hear(message)
    box.phones.tell(message.number, "message", message)
    body = inbound(_spoken(customer, message), box.settings.webhook_shape)
    answer = await box.webhook.post(body)
    for _ in range((customer.copies or box.settings.webhook_copies) - 1):
        answer = await box.webhook.post(body)
    message.webhook = answer.status
    box.records.counters["webhook_taken" if answer.taken else "webhook_refused"] += 1
    box.phones.tell(message.number, "taken", {"id": message.id, "webhook": answer.status, "error": answer.error})
    return message, answer


def _heard(box: Box, customer: Customer) -> Heard:
    content = _content(customer)
    return Heard(
        id=customer.id or box.records.next_id(),
        sender=customer.sender,
        to=customer.to or box.settings.integrated_numbers[0],
        name=customer.name,
        text=content.text,
        content=content,
        at=time.time() if customer.at is None else customer.at,
    )


def _spoken(customer: Customer, message: Heard) -> Spoken:
    description = customer.tap.description if isinstance(customer.tap, Tapped) else ""
    return Spoken(message=message, reply_to=customer.reply_to, user_id=customer.user_id, description=description)


def _content(customer: Customer) -> Content:
    if customer.text is not None:
        return Content(type="text", text=customer.text)
    if customer.reaction is not None:
        return Content(type="reaction", text=customer.reaction)
    if customer.tap is not None:
        return _tapped(customer.tap)
    if customer.location is not None:
        return Content(type="location", **msgspec.structs.asdict(customer.location))
    return next(_file(kind, file) for kind, file in customer.files if file is not None)


def _tapped(tap: Tapped | str) -> Content:
    tapped = Tapped(id=tap) if isinstance(tap, str) else tap
    title = tapped.title or tapped.id
    kinds = {"button": "button_reply", "list": "list_reply", "template": "button"}
    return Content(type=kinds[tapped.kind], text=title, buttons=(Option(id=tapped.id, title=title),))


def _file(kind: str, file: File | str) -> Content:
    if isinstance(file, str):
        return Content(type=kind, url=file)
    return Content(type=kind, url=file.url, text=file.caption, filename=file.filename)


def answered(message: Heard, answer: Answer) -> dict[str, Any]:
    """What the caller of `POST /sandbox/customer` is told."""
    return {"id": message.id, "from": message.sender, "webhook": msgspec.to_builtins(answer)}
