"""What monitoring/ speaks of exists: metrics, labels, headings; and every alert says what somebody needs at night."""

import ast
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY, Metric

from bot import metrics
from bot.adapters.openrouter.guards import ACCOUNT
from bot.adapters.postgres.circuit import NAME as DATABASE
from bot.core.events import ModelFailure
from bot.wire.msg91.reports import ReportStatus
from tests.monitoring.files import DASHBOARDS, ROOT, alerts, metrics_of, queries, recorded

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FROM_ELSEWHERE = re.compile(r"up|ALERTS|process_\w+|python_\w+")
"""Series that Prometheus makes itself, or that its client library makes of a process."""
TOLD = ("**Customers notice:**", "**Look at:**", "**Do:**")
CHAPTER = "## Alerts"
MATCHER = re.compile(r"(\w+)\{([^}]*)\}")
SELECTED = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')


def known() -> dict[str, Metric]:
    """Every metric of the service, by the names of its series."""
    families = [family for family in REGISTRY.collect() if family.name.startswith("bot_")]
    return {sample.name: family for family in families for sample in family.samples} | {
        name: family for family in families for name in _series(family)
    }


def _series(family: Metric) -> list[str]:
    if family.type == "counter":
        return [f"{family.name}_total"]
    if family.type == "histogram":
        return [f"{family.name}{end}" for end in ("_bucket", "_count", "_sum")]
    return [family.name]


def everything_asked() -> list[str]:
    of_panels = [expression for path in DASHBOARDS for _, expression in queries(path)]
    return [*(alert["expr"] for alert in alerts()), *recorded().values(), *of_panels]


def chapter() -> str:
    _, _, rest = OPERATIONS.partition(f"\n{CHAPTER}\n")
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def anchor(heading: str) -> str:
    """The name that a heading has in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """The text under each heading of an alert, by the heading's name in links."""
    parts = re.split(r"^### (.+)$", chapter(), flags=re.MULTILINE)[1:]
    return {anchor(heading): text for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def test_every_series_that_is_asked_for_exists() -> None:
    asked = {name for expression in everything_asked() for name in metrics_of(expression)}
    named = {name for name in asked if not FROM_ELSEWHERE.fullmatch(name)}
    assert len(named) > 40
    assert named - set(known()) - set(recorded()) == set()


def test_every_recorded_expression_is_used() -> None:
    asked = {name for expression in everything_asked() for name in metrics_of(expression)}
    assert set(recorded()) - asked == set()


def test_every_value_of_a_label_that_is_asked_for_occurs() -> None:
    """A misspelt value would be an alert that never fires."""
    selected = [
        (name, label, value)
        for expression in everything_asked()
        for name, inside in MATCHER.findall(expression)
        for label, values in SELECTED.findall(inside)
        for value in values.split("|")
    ]
    assert len(selected) > 40
    assert [one for one in selected if one[2] not in occurring(*one[:2])] == []


def occurring(name: str, label: str) -> set[str]:
    """The values that a label has, as far as the code names them."""
    match label:
        case "name":
            return {"msg91", DATABASE, ACCOUNT}
        case "kind":
            return set(metrics.reply_seconds_by_kind)
        case "job" | "replica" | "alertstate":
            return {"bot", "$replica", "firing"}
        case _:
            return {sample.labels[label] for sample in known()[name].samples}


def test_counts_that_alerts_watch_begin_at_zero() -> None:
    """Prometheus takes the first value of a series for its beginning, so a first failure would not be a rise."""
    of_the_model = {"answered", *get_args(ModelFailure)}
    assert set(metrics.FROM_ZERO[metrics.model_calls_total]) == of_the_model
    assert set(metrics.FROM_ZERO[metrics.reports_total]) == set(get_args(ReportStatus))
    begun = {name: set(values) for name, values in _begun().items()}
    missing = [(name, value) for name, value in _counted() if name in begun and value not in begun[name]]
    assert missing == [], "add the value to FROM_ZERO in bot/metrics.py"


def _begun() -> dict[str, tuple[str, ...]]:
    names = {id(value): name for name, value in vars(metrics).items()}
    return {names[id(counter)]: values for counter, values in metrics.FROM_ZERO.items()}


def _counted() -> list[tuple[str, str]]:
    """Every `metrics.NAME.labels("value")` in the code."""
    trees = [ast.parse(path.read_bytes()) for path in (ROOT / "bot").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [found for call in calls if (found := _label(call)) is not None]


def _label(call: ast.Call) -> tuple[str, str] | None:
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="metrics"), attr=name), attr="labels"),
            args=[ast.Constant(value=str(value))],
        ):
            return name, value
        case _:
            return None


def test_parts_of_the_sweep_begin_at_zero() -> None:
    sweep = (ROOT / "bot" / "runtime" / "sweep.py").read_text(encoding="utf-8")
    assert set(re.findall(r'_part\("(\w+)"', sweep)) == set(metrics.FROM_ZERO[metrics.sweep_failures_total])


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "runbook"}
    assert re.fullmatch(r"[A-Z{].*\.", alert["annotations"]["summary"])
    place, _, heading = alert["annotations"]["runbook"].partition("#")
    assert place == "docs/operations.md"
    assert heading in sections()


def test_alerts_have_names_of_their_own() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names))


def test_every_heading_belongs_to_an_alert() -> None:
    assert set(sections()) - {alert["annotations"]["runbook"].partition("#")[2] for alert in alerts()} == set()


@pytest.mark.parametrize("heading", sorted(sections()))
def test_a_heading_names_its_alerts_and_tells_what_customers_notice_and_what_to_do(heading: str) -> None:
    text = sections()[heading]
    assert [word for word in TOLD if word not in text] == []
    belonging = {alert["alert"] for alert in alerts() if alert["annotations"]["runbook"].partition("#")[2] == heading}
    assert set(re.findall(r"`(Bot[A-Z]\w+)`", text.split("- **")[0])) == belonging


def test_files_of_rules_are_found_by_prometheus() -> None:
    assert {path.suffix for path in Path(ROOT / "monitoring" / "rules").iterdir()} == {".yml"}
