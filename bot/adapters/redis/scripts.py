"""Small scripts on one key each, called by their names; a server that does not know one yet is sent the whole of it."""

from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError

from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import Command
from bot.ports.failures import Unavailable

NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
"""Milliseconds by Redis's own clock, so that replicas need not agree on theirs."""


class Script:
    """`start` is how a command that runs it on one key begins; the key and the arguments follow."""

    def __init__(self, text: str) -> None:
        source = text.encode()
        # SHA-1 is Redis's name for a script and protects nothing here
        self.start = b"EVALSHA", sha1(source, usedforsecurity=False).hexdigest().encode(), b"1"
        self._called = b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % self.start[1]
        self._whole = b"$4\r\nEVAL\r\n$%d\r\n%b\r\n" % (len(source), source)

    def spelled_out(self, packed: bytes) -> bytes:
        """The same command with the script in it; a command of another script stays as it is."""
        return packed.replace(self._called, self._whole, 1)


async def call(
    keyspace: Keyspace, commands: Sequence[Command], *scripts: Script, timeout_s: float | None = None
) -> Sequence[Any]:
    """The replies to commands, some of which run `scripts`. Raises `Unavailable`, also for an error reply."""
    replies = await keyspace.run(commands, timeout_s)
    if not any(isinstance(reply, Exception) for reply in replies):
        return replies
    replies = list(replies)
    unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    whole = [(commands[place][0], _spelled_out(commands[place][1], scripts)) for place in unknown]
    for place, reply in zip(unknown, await keyspace.run(whole, timeout_s) if whole else (), strict=True):
        replies[place] = reply
    for reply in replies:
        if isinstance(reply, Exception):
            raise Unavailable(f"{type(reply).__name__}: {reply}")
    return replies


def _spelled_out(packed: bytes, scripts: Sequence[Script]) -> bytes:
    for script in scripts:
        packed = script.spelled_out(packed)
    return packed
