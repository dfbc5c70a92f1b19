"""What the store or a seat holds of a customer, opened: the other direction of `bot.runtime.writer`."""

import msgspec

from bot.core.ids import JournalSeq
from bot.core.state import Conversation, Customer, decode_conversation
from bot.ports.keys import Sealer, Vault
from bot.ports.parking import KEY, STATE
from bot.ports.store import Loaded
from bot.runtime.writer import STATE_CONTEXT


class Unreadable(Exception):
    """`what` is it that cannot be opened: `bot.ports.parking.KEY` or `STATE`."""

    def __init__(self, what: JournalSeq, told: str) -> None:
        super().__init__(told)
        self.what = what


def opened(vault: Vault, loaded: Loaded) -> tuple[Sealer, Conversation]:
    """The customer's sealer and conversation; without a state, one that knows what the store shows beside it.

    Raises `Unreadable`, and `msgspec.ValidationError` when a newer release wrote the state.
    """
    try:
        sealer = vault.customer(loaded.data_key)
    except ValueError:
        raise Unreadable(KEY, "the customer's key cannot be opened") from None
    if loaded.state is None:
        return sealer, Conversation(customer=Customer(language=loaded.language, opted_out=loaded.opted_out))
    try:
        return sealer, decode_conversation(sealer.open(loaded.state, STATE_CONTEXT))
    except msgspec.ValidationError:
        raise
    except (ValueError, msgspec.DecodeError):
        raise Unreadable(STATE, "the state cannot be opened") from None
