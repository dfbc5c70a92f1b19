"""What replicas tell each other so that nobody waits for the sweep: a short list for each replica, `hints:{replica}`.

A list and not pub/sub, which a cluster sends to all its nodes. Whoever receives waits at its list, on a connection that
the pool lends to nobody else meanwhile. Nothing here grows: a list is cut to the newest `MOST` hints, and one that
nobody has written to for `LIFE_S` is gone, because its replica is, or has looked everywhere itself by then.
"""

from collections.abc import Sequence
from typing import Final

from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import Command, pack
from bot.adapters.redis.scripts import Script, call
from bot.ports.hints import Hint

LIFE_S: Final = 10.0
MOST: Final = 10_000

_SEND: Final = Script(
    """
for place = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[place]) end
redis.call('LTRIM', KEYS[1], -ARGV[1], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)
"""ARGV: how many may wait, milliseconds to live, the hints."""
_TAKE_ALL: Final = Script(
    """
local all = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return all
"""
)


class RedisHints:
    """Fulfils `bot.ports.hints.Hints` for the replica `me`."""

    def __init__(self, keyspace: Keyspace, *, me: str) -> None:
        self._keyspace = keyspace
        self._mine = _key(me)
        self._bounds = b"%d" % MOST, b"%d" % (LIFE_S * 1000)
        self._take_all: Command = self._mine, pack((*_TAKE_ALL.start, self._mine))

    async def send(self, hints: Sequence[Hint]) -> None:
        """To each replica in one piece. Raises `Unavailable`; some may have arrived then."""
        words: dict[str, list[bytes]] = {}
        for hint in hints:
            words.setdefault(hint.to, []).append(hint.words)
        commands = [
            (key, pack((*_SEND.start, key, *self._bounds, *said)))
            for key, said in ((_key(to), said) for to, said in words.items())
        ]
        if commands:
            await call(self._keyspace, commands, _SEND)

    async def receive(self, wait: float) -> Sequence[bytes]:
        """The first hint ends the wait; all others that are there come along."""
        commands = [self._take_all]
        if wait > 0:
            commands.insert(0, (self._mine, pack((b"BLPOP", self._mine, b"%.3f" % max(wait, 0.001)))))
        *waited, rest = await call(
            self._keyspace, commands, _TAKE_ALL, timeout_s=max(wait, 0) + self._keyspace.timeout_s
        )
        return [*(word for _, word in filter(None, waited)), *rest]


def _key(replica: str) -> bytes:
    return b"hints:" + replica.encode()
