"""Accepted webhooks that wait for PostgreSQL: one stream, `spool`, whose ids rise in the order of `push` (P8).

This is the only thing in Redis that nobody else has. What the promise is, from the moment `push` has returned:

- The death of a service process loses nothing.
- What the death of the Redis process or its machine loses is up to its settings: with `appendonly yes` nothing, and at
  most the last second, respectively; with `appendfsync always` nothing in either case; without persistence everything.
- Behind Sentinel and in a cluster, `push` waits until one replica has it too, so a failover loses nothing either. When
  none says so within `CONFIRMATION_S`, the push counts all the same: refusing webhooks because a replica is being
  replaced would be worse. Such pushes are counted in `bot_spool_unconfirmed_total`, and a failover at that moment may
  lose them.
- Nothing is evicted where `maxmemory-policy` is `noeviction`; a full Redis refuses the push.
"""

import logging
from collections.abc import Sequence
from typing import Final

from bot import metrics
from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import Command, pack
from bot.adapters.redis.scripts import Script, call
from bot.ports.spool import Spooled

KEY: Final = b"spool"
CLAIM: Final = b"{spool}:claim"
"""In the slot of the stream, so that both are there or neither."""
CONFIRMATION_S: Final = 0.2
"""Seconds in which a replica has to say that it has a push."""

_PUSH: Final = (
    b"EVAL",
    b"for _, sealed in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 's', sealed) end",
    b"1",
    KEY,
)
"""ARGV: the deliveries. One script, because what is repeated in part is out of order; and the whole of it each time,
because the question for replicas that goes with it is about what came before on the same connection."""
_CLAIM: Final = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
"""ARGV: me, milliseconds."""
_WAITING: Final[Command] = KEY, pack((b"XLEN", KEY))

log = logging.getLogger(__name__)


class RedisSpool:
    """Fulfils `bot.ports.spool.Spool`."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._confirmed = True
        patience = min(CONFIRMATION_S, keyspace.timeout_s / 2)
        self._confirm: Command = KEY, pack((b"WAIT", b"1", b"%d" % max(1, patience * 1000)))

    async def waiting(self) -> int:
        (length,) = await call(self._keyspace, [_WAITING])
        return int(length)

    async def push(self, sealed: Sequence[bytes]) -> None:
        if not sealed:
            return
        command = KEY, pack((*_PUSH, *sealed))
        if not self._keyspace.replicated:
            await call(self._keyspace, [command])
            return
        _, replicas = await call(self._keyspace, [command, self._confirm])
        if not replicas:
            metrics.spool_unconfirmed_total.inc(len(sealed))
        self._say_once(confirmed=bool(replicas))

    async def first(self, limit: int) -> Sequence[Spooled]:
        (rows,) = await call(self._keyspace, [(KEY, pack((b"XRANGE", KEY, b"-", b"+", b"COUNT", b"%d" % limit)))])
        return [Spooled(id=id_.decode(), sealed=fields[1]) for id_, fields in rows]

    async def remove(self, ids: Sequence[str]) -> None:
        if ids:
            await call(self._keyspace, [(KEY, pack((b"XDEL", KEY, *(id_.encode() for id_ in ids))))])

    async def claim(self, me: str, seconds: float) -> bool:
        """Whoever has it extends it; a holder that is silent loses it after `seconds`."""
        life = b"%d" % max(1, seconds * 1000)
        command = CLAIM, pack((*_CLAIM.start, CLAIM, me.encode(), life))
        (mine,) = await call(self._keyspace, [command], _CLAIM)
        return bool(mine)

    def _say_once(self, *, confirmed: bool) -> None:
        if self._confirmed and not confirmed:
            log.warning("no replica confirms what goes to the spool: a failover of Redis now would lose it")
        self._confirmed = confirmed
