"""Bytes to an answer: httptools parses, this keeps what is asked for and the bounds. It neither waits nor writes.

However the bytes of an answer are cut, it reads the same. Interim answers (1xx) are skipped. What is no HTTP, what asks
for another protocol, and what has too much around its body raises `Unreadable`.
"""

from typing import Final

import httptools
import msgspec

FRAME_LIMIT: Final = 32_768
"""Bytes of one answer that are not its body: interim answers, status line, headers, chunk sizes, trailers.

Looked at after each read, so one read more may be held.
"""

_SWITCHING: Final = 101
_FINAL: Final = 200
"""What is below is an interim answer; another one follows."""
_OWN_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_CONNECTION: Final = b"connection"


class Unreadable(Exception):
    """What came is no answer of HTTP/1, or one with more around its body than `FRAME_LIMIT`."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`fields`: headers by name in small letters; where one came twice, the values with a comma between.

    A body longer than the reader's limit is cut there.
    """

    status: int
    fields: dict[bytes, bytes]
    body: bytes


class AnswerReader:
    """Reads one answer after another from one connection; `begin` before each."""

    def __init__(self, *, body_limit: int) -> None:
        """`body_limit`: bytes of a body that are kept; a longer one is cut there, and its connection is at its end."""
        self._body_limit = body_limit
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the answer before."""
        self.whole = False
        self.reusable = False
        """The connection may carry another request; known when the answer is whole."""
        self._fed = 0
        self._restart()

    def _restart(self) -> None:
        self._status = 0
        self._fields: dict[bytes, bytes] = {}
        self._body = b""
        self._framed = False

    def feed(self, data: bytes) -> bool:
        """Take what arrived; whether the answer is whole. Raises `Unreadable`."""
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self.whole:  # what comes behind a whole answer costs the connection, not the answer
                raise Unreadable(str(error)) from error
        if not self.whole and self._fed - len(self._body) > FRAME_LIMIT:
            raise Unreadable(f"more than {FRAME_LIMIT} bytes around the body")
        return self.whole

    def end(self) -> bool:
        """The other side will send no more; whether that makes the answer whole, as for one without a length."""
        if self._status and not self._framed:
            self.whole = True
        return self.whole

    def answer(self) -> Answer:
        return Answer(status=self._status, fields=self._fields, body=self._body)

    # --- called by the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.whole:
            raise Unreadable("more than one answer")
        self._restart()

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == _OWN_LENGTH or (name == _CODING and value.lower().endswith(b"chunked")):
            self._framed = True
        before = self._fields.get(name)
        self._fields[name] = value if before is None else before + b", " + value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == _SWITCHING:
            raise Unreadable("another protocol")
        self._status = status if status >= _FINAL else 0

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._body_limit:
            self._body = self._body[: self._body_limit]
            self.whole = True
            raise Unreadable("a body over the limit")

    def on_message_complete(self) -> None:
        if self._status:
            self.whole = True
            self.reusable = self._parser.should_keep_alive() and not self._old()

    def _old(self) -> bool:
        """HTTP/1.0, which keeps a connection only where it says so; its servers are not to be trusted with that."""
        return _CONNECTION in self._fields and self._parser.get_http_version() != "1.1"
