"""Whether all is at rest: nothing waits in the tables, in a replica's memory, or on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.memory.tables import Tables

if TYPE_CHECKING:
    from tests.simulation.replica import Replica
    from tests.simulation.world import Simulation

OVERDUE = 3.0
"""Seconds after which a timer that is due should have been heard of."""


def restless(simulation: Simulation) -> list[str]:
    """What is still under way, or stuck; empty: all is at rest."""
    found = in_tables(simulation.ground.tables, simulation.ground.clock.now())
    if simulation.ground.queue.entries:
        found.append(f"{len(simulation.ground.queue.entries)} deliveries wait in the spool")
    if simulation.courier.under_way:
        found.append(f"{simulation.courier.under_way} webhooks are under way")
    if simulation.desk.under_way:
        found.append(f"{simulation.desk.under_way} deeds are under way")
    for replica in simulation.replicas:
        found += [f"{replica.name}: {what}" for what in in_memory(replica, simulation.ground.tables)]
    return found


def in_tables(tables: Tables, now: float) -> list[str]:
    unread = [row.seq for row in tables.journal.values() if row.consumed_at is None]
    unsent = [message.row.id for message in tables.outbound() if message.status in {"pending", "sending"}]
    unanswered = [effect.row.id for effect in tables.effects.values() if not effect.done]
    overdue = [timer.row.id for timer in tables.timers.values() if timer.row.due < now - OVERDUE]
    parked = [parked.error for parked in tables.parked.values()]
    found = {"unread": unread, "unsent": unsent, "unanswered": unanswered, "overdue timers": overdue, "parked": parked}
    return [f"{what}: {which}" for what, which in found.items() if which]


def in_memory(replica: Replica, tables: Tables) -> list[str]:
    """What a replica still holds; of timers, those the tables do not have any more."""
    engine = replica.engine
    sizes = {
        "letters": engine.registry.letters,
        "actors under way": sum(actor.busy for actor in engine.registry._actors.values()),
        "events to journal": len(engine.intake),
        "reports": len(engine.reports),
        "outgoing": len(engine.delivery),
        "lanes": len(engine.delivery._lanes),
        "held lanes": len(engine.delivery.gate._held),
        "spilled": len(engine.delivery.spilled.since) + len(engine.delivery.spilled.given_up),
        "sends to prove": len(engine.delivery.proofs.tried) + len(engine.delivery.proofs._awaited),
        "questions": len(engine.thinking),
        "timers of nobody": len(set(engine.wheel._near) - set(tables.timers)),
        "watchers": len(engine.registry.watching._watched),
    }
    return [f"{size} {what}" for what, size in sizes.items() if size]
