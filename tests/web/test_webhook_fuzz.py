"""What anybody may send to the webhook: any bytes, real bodies gone wrong, odd heads. It goes through the door, over a
socket, into a service with the sample flows, whose stores are in memory.

There is never an answer of 5xx, a traceback in the log, or a 200 for what was not stored; every answer has a form that
is promised; and no message stops its conversation.
"""

import asyncio
import gzip
import hmac
import logging
import zlib
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.yaml_flows.loading import load_book
from bot.core.book import Rules
from bot.runtime.waiter import Tally
from tests.fuzzing import bounded
from tests.runtime.replica import World
from tests.web.test_door import HEAD, PING, Entrance, entrance, request_of
from tests.wire.mutations import bodies_in, mutated

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "wire" / "samples"
SECRET = "geheim-\u00fc"
PROOF = b"X-Webhook-Secret: " + SECRET.encode() + b"\r\n"
SECONDS = 10.0
"""In which a request must have been answered or refused."""
TALLY = set(Tally.__struct_fields__)


class Overheard(logging.Handler):
    """Keeps what the log says of warnings and worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Target:
    """The service under fire, which lives as long as the module."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.heard = Overheard()
        book = load_book(ROOT / "flows", Rules(quiet_moment=0.0)).book
        assert book is not None
        self.here: Entrance = self.run(
            self._stack.enter_async_context(entrance(secret=SECRET, limit=10**6, world=World(book)))
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self.here.replica.end())
        self.run(self._stack.aclose())
        self._runner.close()

    def stored(self) -> int:
        """Messages, reports and unusable bodies in the stores."""
        tables = self.here.replica.world.tables
        return self.here.journalled + len(tables.reports) + len(tables.quarantine)

    def fire(self, data: bytes) -> list[tuple[int, Any]]:
        """Send `data` and nothing more; the answers, each of which was looked at."""
        before = self.stored()
        raw = self.run(asyncio.wait_for(self._told(data), SECONDS))
        answers = [checked(*answer) for answer in answers_in(raw)]
        assert not [self.told_of(record) for record in self.heard.records]
        tallies = [body for status, body in answers if status == 200 and isinstance(body, dict)]
        assert sum(tally["accepted"] + tally["quarantined"] for tally in tallies) == self.stored() - before
        assert not self.here.replica.world.tables.parked
        return answers

    async def _told(self, data: bytes) -> bytes:
        caller = await self.here.call()
        caller.send(data)
        caller.writer.write_eof()
        try:
            return await caller.reader.read()
        except ConnectionError:
            return b""
        finally:
            caller.writer.close()
            await self.here.replica.clock.settled()

    @staticmethod
    def told_of(record: logging.LogRecord) -> str:
        return f"{record.name}: {record.getMessage()} {record.exc_info}"


def answers_in(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Status, head and body of every answer, those that only ask for more aside."""
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/"), raw[:200]
        status = int(head[9:12])
        length = 0
        if status >= 200:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            yield status, head, rest[:length]
        raw = rest[length:]


def checked(status: int, head: bytes, body: bytes) -> tuple[int, Any]:
    """An answer in one of the forms there are."""
    assert status < 500, body
    assert b"nosniff" in head
    if b"content-type: application/json" not in head.lower():
        assert status in {404, 405, 417} or body == b"ok", (status, body)
        return status, None
    told = orjson.loads(body)
    if status == 200:
        assert told.keys() == {"status", *TALLY}
        assert told["status"] == "accepted"
    else:
        assert status in {400, 401, 408, 413, 429, 431}, (status, told)
        assert told.keys() == {"error"}
        assert told["error"].keys() == {"code", "message"}
    return status, told


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    made = Target()
    logging.getLogger().addHandler(made.heard)
    yield made
    logging.getLogger().removeHandler(made.heard)
    made.close()


def proven(body: bytes, fields: bytes = b"Content-Type: application/json\r\n") -> bytes:
    return HEAD + PROOF + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


@bounded(150)
@given(data=st.lists(st.binary(max_size=200) | st.sampled_from((HEAD, PING, b"\r\n", proven(b"{}"))), max_size=5))
def test_any_bytes_are_answered_or_let_go(target: Target, data: list[bytes]) -> None:
    target.fire(b"".join(data))


@bounded(60)
@given(
    body=st.binary(max_size=300), prefix=st.sampled_from((b"", b"payload=", b"\xef\xbb\xbf", b"[", b'{"messages":"'))
)
def test_any_body_is_answered_once(target: Target, body: bytes, prefix: bytes) -> None:
    ((status, _),) = target.fire(proven(prefix + body))
    assert status in {200, 400}


@bounded(250)
@given(body=mutated(bodies_in(SAMPLES)), large=st.booleans())
def test_a_real_body_gone_wrong_is_taken_quarantined_or_refused(target: Target, body: str, large: bool) -> None:
    """The same whether the door reads it or aiohttp."""
    written = body.encode("utf-8", "surrogatepass") + b" " * (70_000 if large else 0)
    ((status, _),) = target.fire(proven(written))
    assert status in {200, 400}


CHARSETS = ("utf-8", "utf-16", "utf-32", "latin-1", "idna", "nonsense", "", '"')


@bounded(80)
@given(
    body=mutated(bodies_in(SAMPLES)),
    said=st.sampled_from(CHARSETS),
    meant=st.sampled_from(("utf-16", "utf-32", "utf-8-sig")),
)
def test_a_body_in_another_alphabet_is_answered(target: Target, body: str, said: str, meant: str) -> None:
    kind = f"Content-Type: application/json; charset={said}\r\n".encode()
    ((status, _),) = target.fire(proven(body.encode(meant, "surrogatepass"), kind))
    assert status in {200, 400}


BODY = (SAMPLES / "simple-text.json").read_bytes()
PACKED = gzip.compress(BODY)
RIGHT = hmac.digest(SECRET.encode(), BODY, "sha256").hex().encode()
FIELDS = (
    *(b"Content-Type: ", b"Content-Type: application/x-www-form-urlencoded", b"Content-Type: multipart/form-data"),
    *(b"Content-Type: text/xml; charset=\xff", b"Content-Type: a" * 2, b"Content-Type: " + b"a" * 9000),
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: +5", b"Content-Length: 0x5"),
    *(b"Content-Length: 99999999999999999999", b"Content-Length: 5, 5", b"Content-Length:", b"content-length:\t5 "),
    *(b"Content-Length: %d" % len(BODY), b"Content-Length: 3145729", b"Content-Length: 1_0", b"Content-Length: \xb2"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
    *(b"Transfer-Encoding : chunked", b"Transfer-Encoding: \x0bchunked", b"Transfer_Encoding: chunked"),
    *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Content-Encoding: zstd"),
    *(b"Content-Encoding: identity", b"Content-Encoding: x", b"Content-Encoding: gzip, gzip"),
    *(
        PROOF[:-2],
        b"X-Webhook-Secret: \xff\xfe",
        b"X-Webhook-Secret: " + SECRET.encode("latin-1"),
        b"X-Webhook-Secret:",
    ),
    *(b"X-Hub-Signature-256: sha256=" + RIGHT, b"X-MSG91-Signature: " + RIGHT, b"X-MSG91-Signature: \xc3\xbc"),
    *(b"X-Hub-Signature-256: ", b"X-Hub-Signature-256: sha256=sha256=" + RIGHT, b"X-MSG91-Signature: " + b"0" * 64),
    *(b"Expect: 100-continue", b"Expect: something", b"Upgrade: websocket", b"Upgrade: h2c", b"Connection: upgrade"),
    *(b"Connection: close", b"Connection: keep-alive, close", b"Connection: \xff", b"Connection: content-length"),
    *(
        b" folded",
        b"no colon",
        b":",
        b"",
        b"a b: c",
        b"X: \0",
        b"X: a\rb",
        b"X: a\nb",
        b"Host: y",
        b"X: " + b"a" * 70_000,
    ),
    *(b"X-Forwarded-For: \xff", b'Cookie: a="\\', b"Range: bytes=0-", b"If-Match: *", b"Trailer: Content-Length"),
)
ADDRESSES = (
    *(
        b"/webhook/msg91",
        b"/webhook/msg91?token=%ff",
        b"/webhook/msg91?token=%ED%A0%80",
        b"/webhook/msg91?token=" + b"a" * 9000,
    ),
    *(
        b"/webhook/msg91?token=geheim-%C3%BC",
        b"/webhook/msg91?token=%F0%9F%98",
        b"/webhook/msg91?&&=&[#?%",
        b"/webhook/msg91?a=" * 3,
    ),
    *(
        b"/webhook/msg91/",
        b"/webhook/../webhook/msg91",
        b"//webhook/msg91",
        b"/webhook%2fmsg91",
        b"http://x/webhook/msg91",
    ),
    *(
        b"/webhook/msg91?token",
        b"/webhook/msg91?token=a&token=geheim-%C3%BC",
        b"/webhook/msg91#a",
        b"*",
        b"/\xff",
        b"/%00",
    ),
)
METHODS = (b"POST",) * 6 + (b"GET", b"PUT", b"DELETE", b"post", b"PRI", b"OPTIONS", b"CONNECT", b"\xff")
VERSIONS = (b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1", b"")
BODIES = (
    *(BODY, PACKED, PACKED[:-4], zlib.compress(BODY), gzip.compress(PACKED), gzip.compress(b"\0" * (8 << 20)), b""),
    *(
        b'5\r\n{"a":\r\n3\r\n1} \r\n0\r\n\r\n',
        b"0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"-1\r\n",
        b"5;" + b"x" * 20_000,
    ),
    *(b"%x\r\n%s\r\n0\r\nContent-Length: 5\r\n\r\n" % (len(BODY), BODY), BODY + proven(BODY), b"{}" + PING),
)


@bounded(350)
@given(
    line=st.tuples(st.sampled_from(METHODS), st.sampled_from(ADDRESSES), st.sampled_from(VERSIONS)),
    fields=st.lists(st.sampled_from(FIELDS), max_size=5),
    given_=st.lists(st.sampled_from(("length", "proof")), unique=True),
    body=st.sampled_from(BODIES),
)
def test_any_head_is_answered_or_let_go(
    target: Target, line: tuple[bytes, bytes, bytes], fields: list[bytes], given_: list[str], body: bytes
) -> None:
    usual = {"length": b"Content-Length: %d" % len(body), "proof": PROOF[:-2]}
    lines = [b" ".join(line), b"Host: x", *fields, *(usual[name] for name in given_), b"", b""]
    target.fire(b"\r\n".join(lines) + body)


def test_what_is_right_is_taken_after_all_that(target: Target) -> None:
    body = orjson.dumps(orjson.loads(BODY) | {"messageId": "after all that"})
    assert target.fire(request_of(body, f"X-Webhook-Secret: {SECRET}"))[0][0] == 200
