"""Bugs on purpose: each breaks one thing in the real code, or one promise of a store, and the checker has to notice.

A mutation says what it breaks and how: `patches` gives what is replaced by what. `seed` catches it, by the check that
`catches` names; when the code has changed since and that seed is another run, one of the `WITHIN` seeds after it does.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from tests.simulation import bugs
from tests.simulation.bugs import Patch, replaced

WITHIN = 100
"""Seeds from the one that is named on, of which at least one catches a mutation."""


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """`patches` makes the pairs of what is replaced, anew for each run. `catches`: the check that notices."""

    name: str
    breaks: str
    catches: str
    seed: int
    patches: Callable[[], Sequence[Patch]]

    def seeds(self) -> range:
        """The seed that catches it first."""
        return range(self.seed, self.seed + WITHIN)

    def command(self) -> str:
        """Tells which seeds catch it, and by which check."""
        return f"python -m tests.simulation --mutation '{self.name}' --seeds {WITHIN}"

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The code is broken inside."""
        with contextlib.ExitStack() as stack:
            for owner, name, value in self.patches():
                stack.enter_context(replaced(owner, name, value))
            yield


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        name="version guard skipped",
        breaks="P3, P4: the store takes a write that began from a version which is no longer the stored one.",
        catches="whole_or_nothing",
        seed=3,
        patches=bugs.version_guard_skipped,
    ),
    Mutation(
        name="earlier event overlooked",
        breaks="P3: the store takes a write although an event that was accepted earlier still waits.",
        catches="in_order_of_acceptance",
        seed=8,
        patches=bugs.earlier_event_overlooked,
    ),
    Mutation(
        name="dedup key forgotten",
        breaks="P2: the journal takes an event again that it has.",
        catches="one_event_one_effect",
        seed=0,
        patches=bugs.dedup_key_forgotten,
    ),
    Mutation(
        name="state without effects",
        breaks="P4: of a commit's messages only the first is written.",
        catches="whole_or_nothing",
        seed=0,
        patches=bugs.state_without_effects,
    ),
    Mutation(
        name="state without marks",
        breaks="P4: a commit marks only the first of the events it consumed.",
        catches="one_event_one_effect",
        seed=0,
        patches=bugs.state_without_marks,
    ),
    Mutation(
        name="acknowledged before durable",
        breaks="P1: a webhook is answered before its events are in the journal.",
        catches="acknowledged_is_durable",
        seed=0,
        patches=bugs.acknowledged_before_durable,
    ),
    Mutation(
        name="sent before marked",
        breaks="P5: a message goes out although the store does not know that it may.",
        catches="no_more_doubles_than_counted",
        seed=91,
        patches=bugs.sent_before_marked,
    ),
    Mutation(
        name="published before the commit",
        breaks="P4, P5: effects are performed before the write took effect.",
        catches="replies_in_order",
        seed=1,
        patches=bugs.published_before_the_commit,
    ),
    Mutation(
        name="journal not swept",
        breaks="P6: nobody looks for events that no actor was told of.",
        catches="at_rest",
        seed=1,
        patches=bugs.journal_not_swept,
    ),
    Mutation(
        name="orphans not swept",
        breaks="P6: nobody takes over the messages of a replica that is gone.",
        catches="at_rest",
        seed=0,
        patches=bugs.orphans_not_swept,
    ),
    Mutation(
        name="orphans of the living",
        breaks="P5: a replica takes over the messages of one that lives.",
        catches="no_more_doubles_than_counted",
        seed=0,
        patches=bugs.orphans_of_the_living,
    ),
    Mutation(
        name="outcome without its key",
        breaks="P2: a model's answer is journalled under a key of its own instead of the question's.",
        catches="one_event_one_effect",
        seed=83,
        patches=bugs.outcome_without_its_key,
    ),
    Mutation(
        name="refused snapshot believed",
        breaks="P7: an actor takes a snapshot again that the store has turned away.",
        catches="at_rest",
        seed=10,
        patches=bugs.refused_snapshot_believed,
    ),
    Mutation(
        name="nobody lines up",
        breaks="P3: who takes a customer over does not wait for what the last replica has still to send.",
        catches="replies_in_order",
        seed=1,
        patches=bugs.nobody_lines_up,
    ),
    Mutation(
        name="lapsed claims trusted",
        breaks="P5, P6: a replica that was silent for longer than its lease goes on sending what it had.",
        catches="no_more_doubles_than_counted",
        seed=0,
        patches=bugs.lapsed_claims_trusted,
    ),
    Mutation(
        name="claims left before the drain",
        breaks="P5, P6: a replica that stops gives its claims up and then sends what it still has.",
        catches="no_more_doubles_than_counted",
        seed=124,
        patches=bugs.claims_left_before_the_drain,
    ),
    Mutation(
        name="uncertain send not counted",
        breaks="P5: a message that may have arrived is sent again as if it had not.",
        catches="no_more_doubles_than_counted",
        seed=1,
        patches=bugs.uncertain_send_not_counted,
    ),
    Mutation(
        name="alive for two leases",
        breaks="P6: seats and heartbeats hold twice as long as a customer may have to wait.",
        catches="others_go_on_in_time",
        seed=17,
        patches=bugs.alive_for_two_leases,
    ),
    Mutation(
        name="nobody hints",
        breaks="P6: who was refused a seat does not tell its owner that something waits.",
        catches="others_go_on_in_time",
        seed=9,
        patches=bugs.nobody_hints,
    ),
    Mutation(
        name="spool overtaken",
        breaks="P8: a webhook goes into the journal although others wait in the spool.",
        catches="in_order_of_acceptance",
        seed=11,
        patches=bugs.spool_overtaken,
    ),
    Mutation(
        name="spool emptied before the append",
        breaks="P8: deliveries are removed from the spool before the journal has them.",
        catches="acknowledged_is_durable",
        seed=0,
        patches=bugs.spool_emptied_before_the_append,
    ),
)

BY_NAME: Mapping[str, Mutation] = {mutation.name: mutation for mutation in MUTATIONS}


def table() -> str:
    """The mutations as the README lists them."""
    rows = [f"| {one.name} | {one.breaks} | `{one.catches}` | {one.seed} |" for one in MUTATIONS]
    return "\n".join(("| mutation | what it breaks | caught by | seed |", "|---|---|---|---|", *rows))
