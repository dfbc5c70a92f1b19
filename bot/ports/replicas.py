"""Who lives: the claims of a replica that is gone are for whoever sweeps first (P6)."""

from collections.abc import Sequence
from typing import Protocol


class Replicas(Protocol):
    async def beat(self, me: str, alive_within: float) -> None:
        """Say that `me` lives. A replica that did not for `alive_within` seconds is gone: its claims are orphans."""
        ...

    async def leave(self, me: str) -> None: ...

    async def others(self, me: str) -> Sequence[str]:
        """Who lives beside `me`."""
        ...
