"""What a commit has to know of outgoing webhooks: whether anybody wants to be told, and whom to wake afterwards."""

from typing import Protocol


class Telling(Protocol):
    """`wanted`: the types of event that an endpoint asks for, as far as this replica has heard."""

    wanted: frozenset[str]

    def wake(self) -> None:
        """Something to be told was committed."""
        ...
