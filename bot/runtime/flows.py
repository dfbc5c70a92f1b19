"""The book in force: read at start, replaced whole on reload, and completed with old versions that somebody is still
on.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bot.core.book import Book
from bot.core.flow import Flow
from bot.ports.failures import Unavailable
from bot.ports.flow_versions import FlowVersions
from bot.runtime.clock import Clock
from bot.runtime.tasks import Tasks

FETCH_AGAIN = 1.0
"""Seconds before a version that could not be fetched is asked for again."""

log = logging.getLogger(__name__)


class Bookshelf:
    """Holds the book. `load` reads the files: the book, or None, and the problems as lines."""

    def __init__(
        self,
        *,
        load: Callable[[], tuple[Book | None, Sequence[str]]],
        compile_source: Callable[[str], Flow],
        versions: FlowVersions,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._load = load
        self._compile = compile_source
        self._versions = versions
        self._clock = clock
        self._tasks = tasks
        self._book: Book | None = None

    def book(self) -> Book:
        """The rules in force. Raises `RuntimeError` before the first successful `reload`."""
        if self._book is None:
            raise RuntimeError("no flows are loaded")
        return self._book

    async def reload(self) -> Sequence[str]:
        """Put the files in force, or answer their problems and change nothing. Warnings are logged."""
        book, problems = await asyncio.to_thread(self._load)
        if book is None:
            return problems
        for problem in problems:
            log.warning("flow warning: %s", problem)
        await self._remember(book)
        kept = dict(self._book.versions) if self._book else {}
        self._book = msgspec.structs.replace(book, versions={**kept, **book.versions})
        log.info("flows are in force", extra={"version": book.version, "flows": sorted(book.flows)})
        return ()

    async def remember(self) -> None:
        """Say in the store that every version in the book is in use, so that none of them is taken for an old one."""
        await self._keep([flow for flow in self.book().versions.values() if flow.source])

    async def _remember(self, book: Book) -> None:
        """A version is stored before anybody can be pinned to it."""
        await self._keep(book.flows.values())

    async def _keep(self, flows: Iterable[Flow]) -> None:
        await self._versions.keep([(flow.digest, flow.flow_id, flow.version, flow.source) for flow in flows])

    def fetch(self, digest: str, then: Callable[[], None]) -> None:
        """Get a version that is not in the book, then call back; one that is nowhere ends as an empty flow."""
        self._tasks.spawn(self._fetch(digest, then), "fetch flow")

    async def _fetch(self, digest: str, then: Callable[[], None]) -> None:
        source = await self._source(digest)
        flow = await asyncio.to_thread(self._compiled, digest, source)
        book = self.book()
        self._book = msgspec.structs.replace(book, versions={**book.versions, digest: flow})
        then()

    async def _source(self, digest: str) -> str | None:
        while True:
            try:
                return await self._versions.source(digest)
            except Unavailable:
                await self._clock.sleep(FETCH_AGAIN)

    def _compiled(self, digest: str, source: str | None) -> Flow:
        if source is not None:
            try:
                return self._compile(source)
            except Exception:
                log.exception("a stored flow version does not compile", extra={"digest": digest})
        log.error("a flow version is gone; conversations on it leave their flow", extra={"digest": digest})
        return Flow(
            flow_id="",
            version=0,
            digest=digest,
            priority=0,
            triggers=(),
            ops=(),
            closing={},
            source="",
        )
