"""Draws dashboards as Grafana's JSON: places panels, numbers them, and says what is the same for all of them once.

The files are kept beside this one, because Grafana reads them as they are; a test compares the two.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
COLUMNS = 24
"""The width of Grafana's grid."""
HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}
"""Rows of the grid that a panel takes."""
SCHEMA = 39
"""The form of the JSON; later versions of Grafana bring it up to date by themselves."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Unit = Literal["short", "s", "reqps", "cps", "percentunit", "currencyUSD", "bytes", "bool_yes_no"]


class Query(msgspec.Struct, frozen=True):
    """What Prometheus is asked, and what each line of the answer is called."""

    expression: str
    legend: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """`width` is in columns. From `warn` on a number is orange, from `bad` on red."""

    title: str
    description: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Literal["stat", "timeseries", "table"] = "timeseries"
    width: int = 8
    warn: float | None = None
    bad: float | None = None
    stacked: bool = False


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str
    description: str
    panels: tuple[Panel, ...]

    @property
    def file(self) -> str:
        return f"{self.name}.json"


def rendered(dashboard: Dashboard) -> str:
    """The file's text."""
    return json.dumps(drawn(dashboard), indent=2, ensure_ascii=False) + "\n"


def drawn(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    places = _places(dashboard.panels)
    return {
        "uid": f"bot-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["bot"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_to_the_others()],
        "templating": {"list": [_source_variable(), _replica_variable()]},
        "panels": [
            _panel(number, panel, place)
            for number, (panel, place) in enumerate(zip(dashboard.panels, places, strict=True), 1)
        ],
    }


def _places(panels: Sequence[Panel]) -> Iterator[dict[str, int]]:
    """From left to right, and below what is highest when a row is full."""
    left = top = tallest = 0
    for panel in panels:
        height = HEIGHTS[panel.kind]
        if left + panel.width > COLUMNS:
            left, top, tallest = 0, top + tallest, 0
        yield {"x": left, "y": top, "w": panel.width, "h": height}
        left, tallest = left + panel.width, max(tallest, height)


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "instant": panel.kind == "table",
                "range": panel.kind != "table",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none"}
        field["color"] = {"mode": "palette-classic"}
        field["custom"] = {"fillOpacity": 30 if panel.stacked else 8, "stacking": stacking, "showPoints": "never"}
    return field


def _thresholds(panel: Panel) -> dict[str, Any]:
    marks = [("orange", panel.warn), ("red", panel.bad)]
    steps = [{"color": color, "value": value} for color, value in marks if value is not None]
    return {"mode": "absolute", "steps": [{"color": "green", "value": None}, *steps]}


OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background_solid",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def _to_the_others() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Support desk",
        "tags": ["bot"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _replica_variable() -> dict[str, Any]:
    asked = 'label_values(up{job="bot"}, replica)'
    return {
        "name": "replica",
        "label": "Replica",
        "type": "query",
        "datasource": SOURCE,
        "definition": asked,
        "query": {"query": asked, "refId": "replica"},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }
