"""Calls that claim take turns: one that a frozen server carries out late must not claim what nobody hears of any more.

A server that stood still carries out a statement long after its caller has given up and asked again. So every such call
has a number, the last one is kept with the replica, and a call that comes after a later one ends before it claims.
"""

from collections.abc import Sequence
from typing import Any

from bot.adapters.postgres.pool import Database


async def claimed(
    database: Database, query: str, me: str, limit: int, turn: int, since: int | None = None
) -> Sequence[Any]:
    """The rows of `query`, which claims for `me`, beside what calls from `since` on have claimed; none out of turn."""
    async with database.transaction() as session:
        if not await session.fetch("replicas_turn", me, turn):
            return ()
        return await session.fetch(query, me, limit, turn, turn if since is None else since)
