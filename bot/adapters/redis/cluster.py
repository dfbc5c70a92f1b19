"""Keys spread over the masters of a cluster by their slots: one round trip for each master, side by side.

redis-py's own client asks one node after the other for the slots, marks every connection for renewal whenever it does,
and sends commands through a pipeline that costs several times as much. Here all known nodes are asked side by side for
the slots and the first answer counts.

The slots are asked for again when a connection breaks, when somebody did not answer in time, and when a node says that
the key is elsewhere (`MOVED`) or that it may not answer (`CLUSTERDOWN`). What failed is then repeated once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import BROKEN, Command, Node, Nodes, first_answer, pack
from bot.wire.redis_url import Address, RedisAt

SLOTS: Final = 16384
_QUESTION: Final = pack((b"CLUSTER", b"SLOTS"))
_ASKING: Final = pack((b"ASKING",))
_REDIRECTIONS: Final = (MovedError, AskError, TryAgainError, ClusterDownError, ReadOnlyError)
Owners = list[Address | None]
"""The master of each slot."""
Part = tuple[Node, bool]
"""Whom to ask, and whether it has to be told that the slot is only on its way to it."""


class Cluster(Keyspace):
    """Give it the addresses of some nodes; it learns of the others."""

    replicated = True

    def __init__(self, at: RedisAt, *, timeout_s: float, size: int) -> None:
        super().__init__(timeout_s)
        self._seeds = at.addresses
        self._nodes = Nodes(lambda address: Node(at.server_url(address), size=size))
        self._owners: Owners = [None] * SLOTS
        self._sure = False
        self._members: set[Address] = set(at.addresses)
        self._generation = 0
        self._learning = asyncio.Lock()

    async def aclose(self) -> None:
        await self._nodes.aclose()

    async def _run(self, commands: Sequence[Command]) -> Sequence[Any]:
        generation = self._generation
        if not self._sure:
            await self._learn(generation)
        replies: list[Any] = [None] * len(commands)
        await self._spread(commands, self._parts(commands, range(len(commands)), replies), replies)
        astray = {key for (key, _), reply in zip(commands, replies, strict=True) if _is_astray(reply)}
        if not astray:
            return replies
        await self._learn_from(replies, generation)
        again = [place for place, (key, _) in enumerate(commands) if key in astray]
        await self._spread(commands, self._parts(commands, again, replies), replies)
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise reply
        return replies

    def _parts(self, commands: Sequence[Command], places: Sequence[int], replies: list[Any]) -> dict[Part, list[int]]:
        """The places of the commands by the node that has their key; what `replies` say of a key goes first."""
        asked = {
            commands[place][0]: (self._nodes.at((reply.host, int(reply.port))), True)
            for place in places
            if isinstance(reply := replies[place], AskError)
        }
        parts: dict[Part, list[int]] = {}
        for place in places:
            key = commands[place][0]
            parts.setdefault(asked.get(key) or (self._owner(key), False), []).append(place)
        return parts

    def _owner(self, key: bytes) -> Node:
        slot = key_slot(key)
        address = self._owners[slot]
        if address is None:
            raise RedisError(f"no node of the cluster has slot {slot}")
        return self._nodes.at(address)

    async def _spread(self, commands: Sequence[Command], parts: dict[Part, list[int]], replies: list[Any]) -> None:
        """Ask each node for its part, and put the replies where they belong; what broke is a reply, too."""
        if len(parts) == 1:
            for part, places in parts.items():
                await _ask(part, [commands[place][1] for place in places], places, replies)
            return
        async with asyncio.TaskGroup() as group:
            for part, places in parts.items():
                group.create_task(_ask(part, [commands[place][1] for place in places], places, replies))

    async def _ping(self) -> str:
        await self._learn(self._generation)
        masters = {address for address in self._owners if address is not None}
        await asyncio.gather(*(self._nodes.at(address).ping() for address in masters))
        return f"{len(masters)} masters answer"

    def _doubt(self) -> None:
        self._sure = False

    async def _learn_from(self, replies: Iterable[Any], generation: int) -> None:
        """Ask for the slots, unless nothing is wrong with what is known; a redirection is newer than any answer."""
        if all(isinstance(reply, AskError) for reply in replies if _is_astray(reply)):
            return
        await self._learn(generation)
        for reply in replies:
            if isinstance(reply, MovedError) and reply.host:
                self._owners[reply.slot_id] = (reply.host, int(reply.port))

    async def _learn(self, generation: int) -> None:
        """Ask every node for the slots, unless somebody else did that since `generation`."""
        async with self._learning:
            if self._generation != generation and self._sure:
                return
            self._owners, members = await first_answer(map(self._told_by, {*self._seeds, *self._members}))
            self._members, self._sure = members, True
            self._generation += 1
            await self._nodes.keep_only({*self._seeds, *members})

    async def _told_by(self, address: Address) -> tuple[Owners, set[Address]]:
        """The master of each slot and all nodes, as the node at `address` knows them."""
        ranges = await self._nodes.at(address).ask(_QUESTION)
        if not ranges:
            raise RedisError("a node knows no slots: it is in no cluster")
        owners: Owners = [None] * SLOTS
        members = set()
        for first, last, *nodes in ranges:
            addresses = [_address(node, address[0]) for node in nodes]
            members.update(addresses)
            owners[first : last + 1] = [addresses[0]] * (last + 1 - first)
        return owners, members


async def _ask(part: Part, packed: Sequence[bytes], places: Sequence[int], replies: list[Any]) -> None:
    node, on_its_way = part
    try:
        if on_its_way:
            answers = (await node.round_trip([one for command in packed for one in (_ASKING, command)]))[1::2]
        else:
            answers = await node.round_trip(packed)
    except BROKEN as error:
        answers = [error] * len(places)
    for place, answer in zip(places, answers, strict=True):
        replies[place] = answer


def _address(node: Sequence[Any], asked: str) -> Address:
    """A node that does not know its own address has the one under which it was asked."""
    host, port = node[0], node[1]
    return host.decode() if host and host != b"?" else asked, int(port)


def _is_astray(reply: object) -> bool:
    """Whether asking somebody else may help: the connection broke, or the node sent us away."""
    return isinstance(reply, Exception) and (not isinstance(reply, ResponseError) or isinstance(reply, _REDIRECTIONS))
