"""One kept connection: a request goes out in one write, its answer comes back as a future. One request at a time.

Whatever ends a request before its answer is whole is `AnswerLost`, because the request may have arrived. There is no
task and no timer for a request: the connection has one timer, which is armed anew only when it rings too early.
Requests are small, so nothing waits for the socket's buffer to empty.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from bot.adapters.lean_http.answers import Answer, AnswerReader, Unreadable

_TICK: Final = 0.001
"""Seconds, the resolution of the event loop's clock: a timer that rings so little before its time rang on time."""


class AnswerLost(Exception):
    """The request went out, and no whole answer came back: nobody knows what became of it. `__cause__` says why."""


class Connection(asyncio.Protocol):
    _transport: asyncio.Transport
    """There when the connection stands, which is before anybody gets hold of it."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        body_limit: int,
        on_begin: "Callable[[Connection], None]",
        on_end: "Callable[[Connection], None]",
    ) -> None:
        """`on_begin` is called when the connection stands, `on_end` when it is gone."""
        self._loop = loop
        self._on_begin = on_begin
        self._on_end = on_end
        self._reader = AnswerReader(body_limit=body_limit)
        self._call: asyncio.Future[Answer] | None = None
        self._fit = False
        self._ends = 0.0
        self._rings = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def fit(self, now: float) -> bool:
        """Whether it may carry a request: open, between two requests, and not at rest for too long."""
        return self._fit and self._call is None and now < self._ends

    def ask(self, request: bytes, *, until: float) -> asyncio.Future[Answer]:
        """Write a request; its answer, or `AnswerLost`, at `until` at the latest. Only on a connection that is fit."""
        self._reader.begin()
        self._call = call = self._loop.create_future()
        self._watch(until)
        self._transport.write(request)
        return call

    def rest(self, until: float) -> None:
        """Nothing to carry: stay open until then."""
        self._watch(until)

    def abort(self) -> None:
        """Close at once. A request under way is lost."""
        self._fit = False
        self._transport.abort()

    # --- called by the event loop ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._fit = True
        self._ends = float("inf")
        self._on_begin(self)

    def data_received(self, data: bytes) -> None:
        if self._call is None:  # nothing was asked
            self.abort()
            return
        try:
            whole = self._reader.feed(data)
        except Unreadable as error:
            self._lose(error)
            return
        if whole:
            self._answered()

    def eof_received(self) -> None:
        self._fit = False
        if self._call is not None and self._reader.end():
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        self._fit = False
        if self._timer is not None:
            self._timer.cancel()
        self._lose(error or ConnectionResetError("closed before the answer was whole"))
        self._on_end(self)

    # --- how a request ends ------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        if not self._reader.reusable:
            self.abort()
        call, self._call = self._call, None
        if call is not None and not call.done():
            call.set_result(self._reader.answer())

    def _lose(self, error: Exception) -> None:
        self.abort()
        call, self._call = self._call, None
        if call is not None and not call.done():
            lost = AnswerLost()
            lost.__cause__ = error
            call.set_exception(lost)

    # --- the one timer -----------------------------------------------------------------------------------------------

    def _watch(self, until: float) -> None:
        self._ends = until
        if self._timer is None or until < self._rings:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._ends
        self._timer = self._loop.call_at(self._ends, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._ends - self._loop.time() > _TICK:
            self._arm()
        else:
            self._lose(TimeoutError("no whole answer in time"))
