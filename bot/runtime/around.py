"""What the registry needs of its neighbours, given once when it is built."""

from collections.abc import Callable, Sequence

import msgspec

from bot.core.book import Book
from bot.core.conversation import Step, step
from bot.core.effects import Effect
from bot.core.events import Envelope
from bot.core.ids import CustomerId, JournalSeq
from bot.core.state import Conversation
from bot.runtime.seating import TakenOver
from bot.runtime.telling import Telling
from bot.runtime.writer import Claims


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry needs of its neighbours.

    `claims`: who performs what a customer's next commit asks for. `publish`: perform the effects of a commit. `merged`:
    identities moved. `fetch_flow(digest, then)`: get a pinned flow version the book lacks, and call back. `taken_over`:
    these customers' states may have been written elsewhere, and their messages may still be on their way there.
    `elsewhere(owner, customer, first, watched)`: another replica has the seat of a customer whose letters wait, among
    them `first` (0: not known) and those under the keys `watched`, for which somebody here waits. `erased`:
    letters of an erased customer wait. `step`: that of the core, as it is or watched.
    """

    book: Callable[[], Book]
    claims: Callable[[CustomerId], Claims]
    publish: Callable[[CustomerId, Conversation, Sequence[Effect], Claims], None]
    merged: Callable[[], None]
    fetch_flow: Callable[[str, Callable[[], None]], None]
    taken_over: TakenOver
    elsewhere: Callable[[str, CustomerId, JournalSeq, tuple[bytes, ...]], None]
    erased: Callable[[CustomerId], None]
    telling: Telling
    step: Callable[[Conversation, Envelope, Book], Step] = step
