"""The promises, held against what went in and what came out. It knows nothing of how the service keeps them.

Each promise is a function that yields what it finds broken. P6, P7, P8, P9 are promises about what may happen to the
service: they are kept when the others hold although it happened, and everything comes to rest.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bot.core.book import Book
from bot.core.events import MessageReceived, ModelAnswered, ModelFailed, Sender, SendFailed, TimerFired
from bot.core.ids import CustomerId, JournalSeq
from bot.core.messages import Text
from bot.runtime.letters import event_key
from bot.wire.msg91.identity import dedup_key
from tests.runtime.memory.tables import Message, Tables
from tests.runtime.memory.vault import MemoryVault
from tests.simulation.flows import WORDS, echoed
from tests.simulation.history import Arrival, Commit, History, Post
from tests.simulation.oracle import differences, envelope_of, replayed, stored_state


class Evidence(msgspec.Struct, kw_only=True):
    """All that may be looked at."""

    history: History
    tables: Tables
    vault: MemoryVault
    book: Book
    restless: Sequence[str]
    problems: Sequence[str]
    brisk: bool
    """Nothing went wrong but that replicas ended: answers had to come in time."""

    def row_of(self, post: Post) -> JournalSeq | None:
        event = MessageReceived(provider_id=post.wamid, sender=Sender(), content=Text(text=""))
        return self.tables.dedups.get(dedup_key(event))

    def commits_of(self) -> Mapping[CustomerId, list[Commit]]:
        found: dict[CustomerId, list[Commit]] = defaultdict(list)
        for commit in self.history.commits:
            found[commit.customer].append(commit)
        return found

    def merged(self) -> set[CustomerId]:
        """Customers who absorbed another or were absorbed."""
        kept = {customer: user.merged_into for customer, user in self.tables.users.items() if user.merged_into}
        return {*kept, *kept.values()}


WORK_SECONDS = 2.0
"""Seconds an answer may take when nobody ends: the messages before it are sent one after the other."""

Promise = Callable[[Evidence], Iterator[str]]


def acknowledged_is_durable(evidence: Evidence) -> Iterator[str]:
    """P1: what was answered 200 is in the journal, was applied, and stands in the transcript."""
    heard = Counter(row.row.provider_id for row in evidence.tables.messages.values() if row.row.direction == "inbound")
    for post in evidence.history.posts:
        if post.acked is None:
            continue
        seq = evidence.row_of(post)
        if seq is None:
            yield f"{post.wamid} ({post.text!r}) was acknowledged and is nowhere"
        elif evidence.tables.journal[seq].consumed_at is None:
            yield f"{post.wamid} ({post.text!r}) was acknowledged and never applied"
        elif not heard[post.wamid]:
            yield f"{post.wamid} ({post.text!r}) was applied and is not in the transcript"


def one_event_one_effect(evidence: Evidence) -> Iterator[str]:
    """P2: an event is consumed by one commit, however often it came."""
    consumed = Counter(seq for commit in evidence.history.commits for seq in commit.consumed)
    yield from (f"event {seq} was applied {count} times" for seq, count in consumed.items() if count > 1)
    heard = Counter(row.row.provider_id for row in evidence.tables.messages.values() if row.row.direction == "inbound")
    yield from (f"{wamid} stands {count} times in the transcript" for wamid, count in heard.items() if count > 1)
    yield from (f"{what} was told {count} times" for what, count in _told(evidence).items() if count > 1)
    wamids = {post.wamid for post in evidence.history.posts}
    yield from (f"{wamid} was never sent" for wamid in heard if wamid not in wamids)


def in_order_of_acceptance(evidence: Evidence) -> Iterator[str]:
    """P3: what was sent after something else was acknowledged is applied after it.

    Not promised is the order of what waited in the spool while Redis was in trouble as well.
    """
    order = {seq: place for place, seq in enumerate(_consumed(evidence))}
    for phone, posts in _by_customer(evidence.history.posts).items():
        placed = [(post, order[seq]) for post in posts if (seq := evidence.row_of(post)) in order]
        for before, first in placed:
            for after, second in placed:
                if _must_precede(evidence, before, after) and second < first:
                    yield f"{phone}: {after.wamid} was applied before {before.wamid}, which was acknowledged earlier"


def whole_or_nothing(evidence: Evidence) -> Iterator[str]:
    """P4: state, messages, questions and timers are those that the consumed events give, no more and no less."""
    merged = evidence.merged()
    for customer, commits in evidence.commits_of().items():
        if customer in merged:
            continue
        expected = replayed(evidence.tables, evidence.vault, commits, evidence.book)
        yield from (f"customer {customer}: {what}" for what in differences(evidence.tables, customer, expected))
        if stored_state(evidence.tables, evidence.vault, customer) != expected.state:
            yield f"customer {customer}: the stored state is not what the events give"
        versions = [commit.version for commit in commits]
        if versions != list(range(len(versions))):
            yield f"customer {customer}: versions were written in the order {versions}"


def replies_arrive(evidence: Evidence) -> Iterator[str]:
    """P5: a committed message reaches the customer, unless the provider said that it cannot, or time ran out."""
    arrived = {arrival.reference for arrival in evidence.history.arrivals}
    for message in evidence.tables.outbound():
        if message.row.id not in arrived and message.status not in {"failed", "withheld"}:
            yield f"message {message.row.id} is {message.status} and never reached the provider"
        if message.status == "failed" and not _may_fail(evidence, message):
            yield f"message {message.row.id} failed, and nobody said so: {message.reason}"


def no_more_doubles_than_counted(evidence: Evidence) -> Iterator[str]:
    """P5: a message arrives twice only where the service was not sure and says so, or the provider had denied it."""
    history = evidence.history
    doubles = len(history.arrivals) - len({arrival.reference for arrival in history.arrivals})
    denied = sum(arrival.told_otherwise for arrival in history.arrivals)
    if doubles > history.uncertain + denied:
        yield f"{doubles} messages came more than once; {history.uncertain:.0f} uncertain sends, {denied} denied"


def replies_in_order(evidence: Evidence) -> Iterator[str]:
    """P5, P3: messages reach a customer in the order in which they were committed."""
    places = {message.row.id: message.seq for message in evidence.tables.outbound()}
    owners = {message.row.id: message.customer for message in evidence.tables.outbound()}
    last: dict[CustomerId, Arrival] = {}
    for arrival in _first(evidence.history.arrivals):
        customer = owners.get(arrival.reference)  # type: ignore[call-overload]
        if customer is None:
            yield f"{arrival.text!r} reached {arrival.recipient} and was never committed"
            continue
        before = last.get(customer)
        if before is not None and places[before.reference] > places[arrival.reference]:  # type: ignore[index]
            yield f"{arrival.recipient}: {arrival.text!r} came after {before.text!r}, committed later"
        last[customer] = arrival


def replies_have_a_cause(evidence: Evidence) -> Iterator[str]:
    """P2, P5: nobody hears an echo of what they did not say, or twice as different messages; nor a person's words."""
    said = Counter((post.phone, text) for post in evidence.history.posts for text in _echo(post.text))
    acted = {act.text for act in evidence.history.acts}
    for arrival in _first(evidence.history.arrivals):
        text = arrival.text
        if _is_echo(text):
            key = (arrival.recipient, text)
            said[key] -= 1
            # who writes under two identities says it under one of them, and hears it by phone
            if said[key] < 0 and said["", text] < 1:
                yield f"{arrival.recipient} heard {text!r} without a cause"
        elif text.startswith("desk ") and text not in acted:
            yield f"{arrival.recipient} heard {text!r}, which nobody wrote"


def every_message_is_answered(evidence: Evidence) -> Iterator[str]:
    """P1, P5: who only heard the bot, and whose messages all could be delivered, heard every answer."""
    heard: dict[str, list[str]] = defaultdict(list)
    for arrival in _first(evidence.history.arrivals):
        heard[arrival.recipient].append(arrival.text)
    for phone in _untroubled(evidence):
        for post in evidence.history.posts:
            if post.phone != phone or post.acked is None:
                continue
            for text in _echo(post.text):
                if text not in heard[phone]:
                    yield f"{phone} said {post.text!r} and never heard {text!r}"


def others_go_on_in_time(evidence: Evidence) -> Iterator[str]:
    """P6: another replica goes on within the lease, and at once after a stop."""
    history = evidence.history
    if not evidence.brisk or history.unserved:
        return
    arrived: dict[tuple[str, str], float] = {}
    for arrival in history.arrivals:
        arrived.setdefault((arrival.recipient, arrival.text), arrival.at)
    for post in history.posts:
        if post.acked is None or post.phone not in _untroubled(evidence):
            continue
        for text in _echo(post.text):
            at = arrived.get((post.phone, text), post.acked)
            may_take = WORK_SECONDS + sum(costs for end, costs in history.ends if post.acked - costs <= end <= at)
            if at - post.acked > may_take:
                took = f"{at - post.acked:.1f} s after it was acknowledged"
                yield f"{post.phone} heard {text!r} {took}; {may_take:.1f} s would have been in time"


def deeds_are_done_once(evidence: Evidence) -> Iterator[str]:
    """P2: a deed that is said to be done stands in the journal, and a person's words reach the customer once."""
    arrived = Counter(arrival.text for arrival in _first(evidence.history.arrivals))
    for act in evidence.history.acts:
        key = event_key("deed", act.conversation, act.key)
        if act.status == "done" and key not in evidence.tables.dedups:
            yield f"{act.key} is done, and nothing of it is in the journal"
        if act.text and arrived[act.text] > 1:
            yield f"{act.text!r} reached the customer {arrived[act.text]} times as different messages"
        if act.status == "done" and act.text and not arrived[act.text] and not _failed_text(evidence, act.text):
            yield f"{act.text!r} is done and reached nobody"


def at_rest(evidence: Evidence) -> Iterator[str]:
    """P6 to P9: when nothing goes wrong any more, everything is finished within minutes, and stays so."""
    yield from (f"not at rest: {what}" for what in evidence.restless)


def nothing_unexpected(evidence: Evidence) -> Iterator[str]:
    """No failure that is not one of the world's: an exception nobody expected, a task that died, a loop."""
    yield from (f"unexpected: {what}" for what in evidence.problems)


PROMISES: tuple[Promise, ...] = (
    acknowledged_is_durable,
    one_event_one_effect,
    in_order_of_acceptance,
    whole_or_nothing,
    replies_arrive,
    no_more_doubles_than_counted,
    replies_in_order,
    replies_have_a_cause,
    every_message_is_answered,
    others_go_on_in_time,
    deeds_are_done_once,
    at_rest,
    nothing_unexpected,
)


def broken(evidence: Evidence) -> list[str]:
    """Every broken promise, with the name of its check in front."""
    return [f"{promise.__name__}: {what}" for promise in PROMISES for what in promise(evidence)]


# --- what the promises look at ---------------------------------------------------------------------------------------


def _consumed(evidence: Evidence) -> list[JournalSeq]:
    return [seq for commit in evidence.history.commits for seq in commit.consumed]


def _must_precede(evidence: Evidence, before: Post, after: Post) -> bool:
    if before.acked is None or before.acked >= after.sent:
        return False
    seq = evidence.row_of(before)
    journalled = evidence.history.journalled[seq] if seq is not None else before.acked
    waited_in_spool = journalled > before.acked
    troubled = any(begin <= journalled and before.sent <= end for begin, end in evidence.history.redis_trouble)
    return not (waited_in_spool and troubled)


def _told(evidence: Evidence) -> Counter[str]:
    """How often the conversations heard of the outcome of each question, of each timer and each failed message."""
    told: Counter[str] = Counter()
    for seq in _consumed(evidence):
        match envelope_of(evidence.tables, evidence.vault, seq).event:
            case ModelAnswered(ask_id=id_) | ModelFailed(ask_id=id_):
                told[f"the outcome of question {id_}"] += 1
            case TimerFired(timer_id=id_):
                told[f"timer {id_}"] += 1
            case SendFailed(message_id=id_):
                told[f"the failure of message {id_}"] += 1
            case _:
                pass
    return told


def _by_customer(posts: Sequence[Post]) -> Mapping[str, list[Post]]:
    """By identity: a customer with two is two until they are merged, and nothing orders those."""
    found: dict[str, list[Post]] = defaultdict(list)
    for post in posts:
        found[f"{post.phone} {post.user_id}"].append(post)
    return found


def _first(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Each message when it first arrived."""
    found: dict[str, Arrival] = {}
    for arrival in arrivals:
        found.setdefault(arrival.reference, arrival)
    return list(found.values())


def _is_echo(text: str) -> bool:
    number, _, rest = text.partition(" ")
    return number in {"1", "2", "3"} and rest.partition(" ")[0] in WORDS


def _echo(text: str) -> list[str]:
    return echoed(text) if text.partition(" ")[0] in WORDS else []


def _untroubled(evidence: Evidence) -> set[str]:
    """Customers who only ever said what is echoed, had nobody else speak to them, and no message fail."""
    posts = evidence.history.posts
    phones = {post.phone for post in posts} - {post.phone for post in posts if not _echo(post.text) or post.user_id}
    owners = {evidence.tables.identities.get(("phone", phone)): phone for phone in phones}
    for message in evidence.tables.outbound():
        if message.status == "failed" or message.row.id in evidence.history.told_failed:
            phones.discard(owners.get(message.customer, ""))
    touched = {act.conversation for act in evidence.history.acts}
    for conversation, owner in evidence.tables.owners.items():
        if conversation in touched:
            phones.discard(owners.get(owner, ""))
    return phones


def _may_fail(evidence: Evidence, message: Message) -> bool:
    return message.row.id in evidence.history.told_failed or message.reason != ""


def _failed_text(evidence: Evidence, text: str) -> bool:
    """Whether the message with this text is one that failed."""
    for commit in evidence.history.commits:
        for seq in commit.consumed:
            event = envelope_of(evidence.tables, evidence.vault, seq).event
            if getattr(getattr(event, "content", None), "text", "") == text:
                stored = [evidence.tables.messages.get(row.id) for row in commit.write.messages]
                return any(message is not None and message.status == "failed" for message in stored)
    return False
