"""Leases with snapshots: one hash for each customer, `seat:{id}`, holding owner, until, version, state and key.

Each command is one small script on one key, so it does the same under Redis Cluster, and a batch is one round trip.
Time is Redis's own, so replicas need not agree on theirs. The snapshot stays when a seat is left, for the next owner.
"""

from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Final, cast

import hiredis
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from bot.adapters.redis.connection import TIMEOUT_S, round_trip, translated
from bot.core.ids import CustomerId
from bot.ports.failures import Unavailable
from bot.ports.seats import Keep, Seat
from bot.ports.store import Loaded

_pack: Final = cast("Callable[[tuple[bytes, ...]], bytes]", hiredis.pack_command)
"""Typed here, because its stub allows tuples of one part only."""

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_TAKE: Final = (
    _NOW
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
    _NOW
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
    """Fulfils `bot.ports.seats.Seats`. Give it a client made by `connect(url, timeout_s=None)`.

    `lease_s`: after that without a `keep` the seat is free. `session_s`: after that nobody wants the snapshot.
    """

    def __init__(
        self, client: Redis, *, me: str, lease_s: float, session_s: float, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._me = me
        lease, life = b"%d" % (lease_s * 1000), b"%d" % (max(session_s, lease_s) * 1000)
        self._take = _script(_TAKE), (me.encode(), lease, life)
        self._keep = _script(_KEEP), (me.encode(), lease, life)
        self._leave = _script(_LEAVE), (me.encode(),)

    async def take(self, customers: Sequence[CustomerId]) -> Sequence[Seat]:
        start, arguments = self._take
        packed = [_pack((*start, b"seat:%d" % customer, *arguments)) for customer in customers]
        return [_seat(reply, self._me) for reply in await self._run(packed)]

    async def keep(self, keeps: Sequence[Keep]) -> None:
        """A seat that somebody else holds with a newer version is left alone."""
        start, arguments = self._keep
        packed = [
            _pack(
                (
                    *start,
                    b"seat:%d" % keep.customer,
                    *arguments,
                    b"%d" % keep.loaded.version,
                    keep.loaded.state or b"",
                    keep.loaded.data_key,
                )
            )
            for keep in keeps
        ]
        await self._run(packed)

    async def leave(self, customers: Sequence[CustomerId]) -> None:
        """Only what is mine; the snapshot stays."""
        start, arguments = self._leave
        await self._run([_pack((*start, b"seat:%d" % customer, *arguments)) for customer in customers])

    async def _run(self, packed: Sequence[bytes]) -> Sequence[Any]:
        """The replies; scripts that Redis does not know (it was restarted) are loaded, and all is done once more."""
        if not packed:
            return ()
        replies = await round_trip(self._client, packed, self._timeout_s)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            await self._load()
            replies = await round_trip(self._client, packed, self._timeout_s)
        for reply in replies:
            if isinstance(reply, Exception):
                raise Unavailable(f"{type(reply).__name__}: {reply}")
        return replies

    async def _load(self) -> None:
        with translated():
            for script in (_TAKE, _KEEP, _LEAVE):
                await self._client.script_load(script)


def _script(text: str) -> tuple[bytes, bytes, bytes]:
    """The command that runs it on one key. SHA-1 is Redis's name for a script and protects nothing here."""
    return b"EVALSHA", sha1(text.encode(), usedforsecurity=False).hexdigest().encode(), b"1"


def _seat(reply: Any, me: str) -> Seat:
    if isinstance(reply, bytes):
        return Seat(granted=False, owner=reply.decode())
    version, state, key = reply
    if version is None:
        return Seat(granted=True, owner=me)
    return Seat(granted=True, owner=me, snapshot=Loaded(version=int(version), state=state or None, data_key=key))
