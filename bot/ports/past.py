"""What became of events long after they were applied, for callers who come back under the same key."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.core.ids import MessageId


class Past(Protocol):
    async def events(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The sealed envelopes, by dedup key, of those events that a commit has consumed and the journal still has."""
        ...

    async def messages(self, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        """Those of `ids` under which there is a message of ours, in the order of its conversation."""
        ...
