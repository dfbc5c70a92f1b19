"""How often the interesting things happened, by the service's own counters: runs that never meet them prove nothing."""

from collections import Counter
from collections.abc import Mapping

from prometheus_client import REGISTRY

INTERESTING: Mapping[str, str] = {
    "bot_stale_commits_total": "commits refused as stale",
    "bot_duplicates_total": "repetitions without effect",
    "bot_uncertain_sends_total": "uncertain sends",
    "bot_spooled_total": "deliveries spooled",
    "bot_swept_total": "found by the sweep",
    "bot_hints_total": "hints heard",
    "bot_sends_total": "sends",
    "bot_escalations_total": "escalations",
    "bot_store_errors_total": "store errors met",
}


def counted() -> Counter[str]:
    """What the counters of this process say, by what they count."""
    found: Counter[str] = Counter()
    for family in REGISTRY.collect():
        for sample in family.samples:
            what = INTERESTING.get(sample.name)
            if what is not None:
                found[" ".join((what, *sample.labels.values()))] += int(sample.value)
    return found
