"""docs/troubleshooting.md: each entry is whole; the sentences, metrics, settings and calls that it names are real."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from bot import metrics
from bot.web.api.table import ROUTES
from tests.deployment.code import ROOT, SETTINGS, paths, problem_of_command, read

PAGE = read("docs/troubleshooting.md")
ENTRIES = re.split(r"(?m)^### ", re.sub(r"(?m)^## .*\n", "", PAGE))[1:]
PARTS = ("- **Likely:** ", "- **Look at:** ", "- **Do:** ")
SPANS = re.findall(r"`([^`\n]+)`", PAGE)
SAID = re.findall(r'"([^"]+)"', re.sub(r'`[^`\n]*"[^`\n]*`', "", PAGE))
"""What stands in double quotes, but not inside code."""
OF_OTHERS = frozenset({"remaining connection slots are reserved", "address already in use"})
"""Words of PostgreSQL and of the system that reach an operator by way of ours."""
FEWEST = 40
METRICS: dict[str, Counter | Gauge | Histogram] = {
    name: value
    for value in vars(metrics).values()
    if isinstance(value, Counter | Gauge | Histogram) and not value._labelvalues
    for name in [value._name + ("_total" if isinstance(value, Counter) else "")]
}


def title(entry: str) -> str:
    return entry.splitlines()[0]


@cache
def sentences() -> tuple[str, ...]:
    """Every constant text of the code; what stands between the places of an f-string is one, too."""
    trees = (ast.parse(file.read_bytes()) for file in sorted((ROOT / "bot").rglob("*.py")))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(value.replace("%s", "…") for value in constants if isinstance(value, str))


def is_said(text: str) -> bool:
    """Whether the code has every part of it: `…` and the commands in it stand for what may differ."""
    parts = (part.strip(" .") for part in text.split("…"))
    return all(any(part in sentence for sentence in sentences()) for part in parts if part)


def calls() -> Iterator[tuple[str, str]]:
    for span in SPANS:
        found = re.fullmatch(r"(GET|POST|PATCH|PUT|DELETE) /api/v1(/[^ ?]*)(\?\S*)?", span)
        if found:
            yield found[1], found[2]


def series() -> Iterator[tuple[str, str, str]]:
    for span in SPANS:
        found = re.fullmatch(r'(bot_\w+)\{(\w+)="(\w+)"\}', span)
        if found:
            yield found[1], found[2], found[3]


@pytest.mark.parametrize("entry", ENTRIES, ids=title)
def test_an_entry_goes_from_cause_to_deed(entry: str) -> None:
    lines = [line for line in entry.splitlines()[1:] if line]
    assert [line[: len(part)] for line, part in zip(lines, PARTS, strict=True)] == list(PARTS)


@pytest.mark.parametrize("entry", ENTRIES, ids=title)
def test_an_entry_names_something_to_look_at(entry: str) -> None:
    look = entry.partition(PARTS[1])[2].partition("\n")[0]
    assert re.search(r"`[^`]+`|\]\(|log|transcript|line|document|messages", look), look


def test_there_are_enough_of_them_and_none_twice() -> None:
    titles = [title(entry) for entry in ENTRIES]
    assert len(titles) >= FEWEST
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("text", sorted(set(SAID)))
def test_every_sentence_of_the_service_is_in_the_code(text: str) -> None:
    assert text in OF_OTHERS or is_said(text)


def test_a_sentence_that_nobody_says_is_found_out() -> None:
    assert not is_said("the dog ate the journal")


def test_every_series_that_is_named_can_be_counted() -> None:
    assert len(list(series())) >= 10
    for name, label, value in series():
        metric = METRICS[name]
        assert label in metric._labelnames, name
        known = metrics.FROM_ZERO.get(metric) if isinstance(metric, Counter) else None
        assert known is not None, name
        assert value in known, f"{name}: {value}"


def test_every_metric_and_alert_that_is_named_exists() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "monitoring" / "rules").iterdir())
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert {span for span in SPANS if re.fullmatch(r"Bot[A-Z]\w+", span)} - alerts == set()
    assert {span for span in SPANS if re.fullmatch(r"bot_\w+", span)} - METRICS.keys() == set()


def test_every_setting_that_is_named_exists() -> None:
    named = {found[1] for span in SPANS if (found := re.fullmatch(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?", span))}
    of_the_sdk = {name for name in named if name.startswith("OTEL_")}
    assert named - of_the_sdk - SETTINGS == set()
    assert {name for name in of_the_sdk if name not in read("docs/operations.md")} == set()


def test_every_command_and_target_that_is_named_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    in_sentences = {span for text in SAID for span in re.findall("`([^`]+)`", text)}
    commands = [span for span in SPANS if span.startswith("bot ") and span not in in_sentences]
    assert len(commands) >= 10
    assert {command: problem for command in commands if (problem := problem_of_command(command))} == {}
    targets = set(re.findall(r"(?m)^(\w+):", read("Makefile")))
    assert {found[1] for span in SPANS if (found := re.match(r"make (\w+)", span))} <= targets


def test_every_call_and_path_that_is_named_exists() -> None:
    known = {(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES}
    asked = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in calls()}
    assert len(asked) >= 15
    assert asked - known == set()
    assert {span for span in SPANS if re.fullmatch(r"/(health|ready|metrics|webhook/\w+)", span)} <= paths()
