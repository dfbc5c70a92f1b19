"""Every construct of the flow language is used by an example of `docs/flows.md` that is checked and played.

The constructs are those of the table from which the compiler and the JSON Schema are made. So one that is added there
without an example fails here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.adapters.yaml_flows.language import (
    ACTION_KEYS,
    FLOW_KEYS,
    HOURS_KEYS,
    NO_AGENT_KEYS,
    NO_REMINDER,
    REMIND_KEYS,
    REPLY_KEYS,
    RULES_KEYS,
    STEP_KEYS,
    TEXT_NAMES,
    THEN,
    TRIGGER_KEYS,
    VALIDATE_KEYS,
    VALIDATION_TYPES,
    WEEKDAYS,
    WORD_NAMES,
)
from tests.adapters.test_flow_documentation import BLOCK, WITH_EXAMPLES, title

Document = Mapping[str, Any]


def examples() -> Iterator[Document]:
    for section in WITH_EXAMPLES:
        yield from (yaml.safe_load(text) for kind, text in BLOCK.findall(section) if kind == "yaml")


def steps_of(found: Iterable[Document]) -> Iterator[Document]:
    for step in found:
        yield step
        yield from steps_of(step.get("steps", ()))
        yield from steps_of(step.get("else_steps", ()))


def under(place: str, document: Document) -> set[str]:
    return {f"{place}.{key}" for key in document}


def used_by_reminder(place: str, remind: Document | str) -> set[str]:
    return {f"remind {remind}"} if isinstance(remind, str) else {place, *under("remind", remind)}


def used_by_reply(reply: Document) -> set[str]:
    action = f"action {reply.get('action', 'continue')}"
    return {action, *under("reply", reply), *(f"{action}.{key}" for key in reply)}


def used_by_step(step: Document) -> set[str]:
    used = under(step["type"], step)
    if "validate" in step:
        used |= under("validate", step["validate"]) | {f"validate {step['validate'].get('type')}"}
    if "remind" in step:
        used |= used_by_reminder("remind in a step", step["remind"])
    return used.union(*map(used_by_reply, step.get("replies", ())))


def used_by_flow(flow: Document) -> set[str]:
    used = under("flow", flow)
    for trigger in flow.get("triggers", ()):
        used |= {trigger["type"], *under(trigger["type"], trigger)}
    return used.union(*map(used_by_step, steps_of(flow["steps"])))


def used_by_rules(rules: Document) -> set[str]:
    used = under("rules", rules)
    for name in ("words", "texts", "hours", "no_agent"):
        used |= under(name, rules.get(name, {}))
    used.add(f"then {rules.get('no_agent', {}).get('then')}")
    return used | used_by_reminder("remind in the rules", rules.get("remind", {}))


def constructs() -> Iterator[str]:
    yield from (f"flow.{key}" for key in FLOW_KEYS)
    yield from (f"{kind}.{key}" for kind, keys in STEP_KEYS.items() for key in keys)
    yield from (f"reply.{key}" for key in REPLY_KEYS)
    yield from (f"action {action}" for action in ACTION_KEYS)
    yield from (f"action {action}.{key}" for action, keys in ACTION_KEYS.items() for key in keys)
    yield from TRIGGER_KEYS
    yield from (f"{kind}.{key}" for kind, keys in TRIGGER_KEYS.items() for key in keys)
    yield from (f"validate.{key}" for key in VALIDATE_KEYS)
    yield from (f"validate {kind}" for kind in VALIDATION_TYPES)
    yield from (f"remind.{key}" for key in REMIND_KEYS)
    yield from ("remind in a step", "remind in the rules", f"remind {NO_REMINDER}")
    yield from (f"rules.{key}" for key in RULES_KEYS)
    yield from (f"no_agent.{key}" for key in NO_AGENT_KEYS)
    yield from (f"then {end}" for end in THEN)
    yield from (f"words.{name}" for name in WORD_NAMES)
    yield from (f"texts.{name}" for name in TEXT_NAMES)
    yield from (f"hours.{name}" for name in HOURS_KEYS if name not in WEEKDAYS)


def used() -> set[str]:
    return set().union(
        *(used_by_flow(example) if "flow_id" in example else used_by_rules(example) for example in examples())
    )


def test_every_construct_of_the_language_is_in_an_example() -> None:
    assert sorted(set(constructs()) - used()) == []


@pytest.mark.parametrize("section", WITH_EXAMPLES, ids=title)
def test_every_section_with_an_example_plays_it(section: str) -> None:
    assert re.search(r"(?m)^```transcript$", section), "an example stands here that no transcript plays"


def test_the_page_names_the_files_worth_copying() -> None:
    root = Path(__file__).parents[2]
    told = set(re.findall(r"`flows/([\w.]+)`", (root / "docs" / "flows.md").read_text(encoding="utf-8")))
    assert {path.name for path in (root / "flows").iterdir()} - told == set()
