"""The dashboards are drawn from monitoring/panels.py, and Grafana can read them. `UPDATE_GOLDEN=1` draws them anew."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from monitoring.drawing import COLUMNS, FOLDER, Dashboard, rendered
from monitoring.panels import DASHBOARDS as DRAWN
from tests.monitoring.files import DASHBOARDS, MONITORING, dashboard, document

UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard(path)["panels"]
    return found


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: str(drawn.name))
def test_a_file_is_as_it_is_drawn(drawn: Dashboard) -> None:
    path = FOLDER / drawn.file
    if UPDATE:
        path.write_text(rendered(drawn), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == rendered(drawn), "run `python -m monitoring`"


def test_there_is_no_file_that_nobody_draws() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {drawn.file for drawn in DRAWN}


def test_names_are_used_once() -> None:
    shown = [dashboard(path) for path in DASHBOARDS]
    assert len({one["uid"] for one in shown}) == len({one["title"] for one in shown}) == len(DASHBOARDS) == 5


@every_dashboard
def test_panels_have_numbers_and_titles_of_their_own(path: Path) -> None:
    found = panels(path)
    assert len({panel["id"] for panel in found}) == len({panel["title"] for panel in found}) == len(found)


@every_dashboard
def test_panels_stand_on_the_grid_and_none_on_another(path: Path) -> None:
    places = [panel["gridPos"] for panel in panels(path)]
    cells = [
        cell
        for place in places
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert {column for column, _ in cells} <= set(range(COLUMNS))


@every_dashboard
def test_a_panel_says_what_it_shows_in_which_unit_and_names_its_lines(path: Path) -> None:
    for panel in panels(path):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters)), panel["title"]


@every_dashboard
def test_the_data_source_is_chosen_at_the_top_of_the_page(path: Path) -> None:
    source, replica = dashboard(path)["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (replica["name"], replica["multi"], replica["includeAll"], replica["allValue"]) == (
        *("replica", True, True),
        ".*",
    )
    asked = [target["datasource"] for panel in panels(path) for target in panel["targets"]]
    assert all(one == SOURCE for one in (*asked, *(panel["datasource"] for panel in panels(path))))


@every_dashboard
def test_the_choice_of_replicas_matters(path: Path) -> None:
    asked = [target["expr"] for panel in panels(path) for target in panel["targets"]]
    assert sum('replica=~"$replica"' in expression for expression in asked) > len(asked) / 3


def test_grafana_looks_where_the_files_are_and_scrapes_match() -> None:
    (provider,) = document(MONITORING / "grafana/provisioning/dashboards/dashboards.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    (source,) = document(MONITORING / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["uid"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")
    scraped = document(MONITORING / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
