"""Makes conversations in great number: the same two messages from each of many phones, and what must come of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from loadtest.driver import Message, build, drive
from loadtest.people_run.said import Heard
from loadtest.people_run.world import SECRET

PORTION: Final = 10_000
"""Phones whose requests are built at a time: the driver need not hold them all."""
CONNECTIONS: Final = 64


class Fill(msgspec.Struct):
    """What was said, by phone, in the order of saying. `refused`: answered something else than 200."""

    said: dict[str, list[str]] = msgspec.field(default_factory=lambda: defaultdict(list))
    refused: int = 0

    async def drive(self, numbers: Sequence[str], rounds: range, port: int) -> None:
        """Let everybody say what the rounds have, as fast as it is acknowledged."""
        for first in range(0, len(numbers), PORTION):
            messages = build(numbers[first : first + PORTION], rounds, port=port, secret=SECRET)
            sent = await drive(messages, port=port, connections=CONNECTIONS)
            self.refused += sum(one.status != 200 for one in sent)
            for one in sent:
                self.note(one.message)

    def note(self, message: Message) -> None:
        """This was said."""
        self.said[message.phone].append(message.text)

    @property
    def count(self) -> int:
        """Messages said."""
        return sum(map(len, self.said.values()))

    def broken(self, heard: Sequence[Heard]) -> list[str]:
        """A sentence for each customer who did not hear every answer once and in order."""
        came: Mapping[str, list[str]] = defaultdict(list)
        for one in heard:
            came[one.to].append(one.text)
        return [
            f"{phone} wrote {texts} and heard {came[phone]}"
            for phone, texts in self.said.items()
            if came[phone] != [answer(text) for text in texts]
        ]


def answer(text: str) -> str:
    """What `loadtest/flows/echo.yaml` answers."""
    return f"{'Heard' if text.startswith('hello') else 'Echo'} {text}"
