"""Leases with snapshots: one hash for each customer, `seat:{id}`, holding owner, until, version, state and key.

Each command is one small script on one key, so it does the same under Redis Cluster, and a batch is one round trip for
each server. The snapshot stays when a seat is left, for the next owner. What a failover loses costs a step: the version
in the store decides.
"""

from collections.abc import Sequence
from typing import Any, Final

from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import Command, pack
from bot.adapters.redis.scripts import NOW, Script, call
from bot.core.ids import CustomerId
from bot.ports.seats import Keep, Seat
from bot.ports.store import Loaded

_TAKE: Final = (
    NOW
    + """
local seat = redis.call('HMGET', KEYS[1], 'owner', 'until', 'version', 'state', 'key')
if seat[1] and seat[1] ~= ARGV[1] and tonumber(seat[2]) > now then return seat[1] end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {seat[3], seat[4], seat[5]}
"""
)
"""ARGV: me, lease (ms), time to live (ms). The owner's name when it is taken, else the snapshot."""

_KEEP: Final = (
    NOW
    + """
local seat = redis.call('HMGET', KEYS[1], 'owner', 'until', 'version')
local taken = seat[1] and seat[1] ~= ARGV[1] and tonumber(seat[2]) > now
if taken and seat[3] and tonumber(seat[3]) > tonumber(ARGV[4]) then return 0 end
redis.call(
  'HSET', KEYS[1], 'owner', ARGV[1], 'until', now + ARGV[2], 'version', ARGV[4], 'state', ARGV[5], 'key', ARGV[6]
)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
"""ARGV: me, lease, time to live, version, state, key. Somebody else's living seat is kept only if it is further."""

_LEAVE: Final = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'owner', 'until')
"""
"""ARGV: me."""


class RedisSeats:
    """Fulfils `bot.ports.seats.Seats`.

    `lease_s`: after that without a `keep` the seat is free. `session_s`: after that nobody wants the snapshot.
    """

    def __init__(self, keyspace: Keyspace, *, me: str, lease_s: float, session_s: float) -> None:
        self._keyspace = keyspace
        self._me = me
        lease, life = b"%d" % (lease_s * 1000), b"%d" % (max(session_s, lease_s) * 1000)
        self._take = Script(_TAKE), (me.encode(), lease, life)
        self._keep = Script(_KEEP), (me.encode(), lease, life)
        self._leave = Script(_LEAVE), (me.encode(),)

    async def take(self, customers: Sequence[CustomerId]) -> Sequence[Seat]:
        script, arguments = self._take
        commands = [
            (key, pack((*script.start, key, *arguments))) for key in [b"seat:%d" % customer for customer in customers]
        ]
        return [_seat(reply, self._me) for reply in await self._call(commands, script)]

    async def keep(self, keeps: Sequence[Keep]) -> None:
        """A seat that somebody else holds with a newer version is left alone."""
        script, arguments = self._keep
        start = script.start
        commands = []
        for keep in keeps:
            key, loaded = b"seat:%d" % keep.customer, keep.loaded
            written = b"%d" % loaded.version, loaded.state or b"", loaded.data_key
            commands.append((key, pack((*start, key, *arguments, *written))))
        await self._call(commands, script)

    async def leave(self, customers: Sequence[CustomerId]) -> None:
        """Only what is mine; the snapshot stays."""
        script, arguments = self._leave
        keys = [b"seat:%d" % customer for customer in customers]
        await self._call([(key, pack((*script.start, key, *arguments))) for key in keys], script)

    async def forget(self, customers: Sequence[CustomerId]) -> None:
        keys = [b"seat:%d" % customer for customer in customers]
        await call(self._keyspace, [(key, pack((b"DEL", key))) for key in keys])

    async def _call(self, commands: Sequence[Command], script: Script) -> Sequence[Any]:
        return await call(self._keyspace, commands, script) if commands else ()


def _seat(reply: Any, me: str) -> Seat:
    if isinstance(reply, bytes):
        return Seat(granted=False, owner=reply.decode())
    version, state, key = reply
    if version is None:
        return Seat(granted=True, owner=me)
    return Seat(granted=True, owner=me, snapshot=Loaded(version=int(version), state=state or None, data_key=key))
