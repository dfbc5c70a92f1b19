"""Flows as they once were: a conversation stays on the version it started with."""

from collections.abc import Sequence
from typing import Protocol


class FlowVersions(Protocol):
    """The sources of flow versions, for conversations that are pinned to one that is no longer in force."""

    async def keep(self, flows: Sequence[tuple[str, str, int, str]]) -> None:
        """Remember (digest, flow id, version, source) of each flow in force."""
        ...

    async def source(self, digest: str) -> str | None: ...
