"""Reads what monitoring/ says: alerts, recorded rules, dashboards, and the names of metrics in all of them."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
MONITORING = ROOT / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
CASES = sorted(Path(__file__).parent.glob("*.yml"))
"""What makes each alert fire and what does not, for `promtool test rules`."""
PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")
NOT_HERE = "prometheus is not installed here: its files were read, but not tried"
STRING = re.compile(r'"[^"]*"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
LABELS = re.compile(r"\{[^}]*\}")
NAME = re.compile(r"(?<![\w$:])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
WORDS = frozenset({"and", "or", "unless", "offset", "bool", "le"})
DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> Iterator[dict[str, Any]]:
    """Every rule, in the order of the files."""
    for path in RULES:
        for group in document(path)["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> dict[str, str]:
    """The expressions that are worked out in advance, by their names."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def queries(path: Path) -> list[tuple[str, str]]:
    """The queries of a dashboard's panels, each with the panel's title."""
    panels = dashboard(path)["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def metrics_of(expression: str) -> set[str]:
    """The names of the series that an expression asks for."""
    bare = LABELS.sub("", STRING.sub("", expression))
    bare = DURATION.sub("", GROUPING.sub("", bare))
    return {found[0] for found in NAME.finditer(bare)} - WORDS
