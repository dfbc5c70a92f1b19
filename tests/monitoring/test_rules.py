"""Prometheus's own tool reads the configuration and plays every alert: what makes it fire, and what does not."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.files import CASES, MONITORING, NOT_HERE, PROMTOOL, RULES, alerts, document, recorded

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason=NOT_HERE)


def promtool(*arguments: str) -> None:
    done = subprocess.run([PROMTOOL or "", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def cases() -> list[dict[str, Any]]:
    return [case for path in CASES for case in document(path)["tests"]]


@needs_promtool
def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "--lint-fatal", str(MONITORING / "prometheus.yml"))


@needs_promtool
@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.stem))
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    expected = {f"{alert['alert']} {what}" for alert in alerts() for what in ("fires", "is silent")}
    names = [case["name"] for case in cases()]
    assert len(names) == len(set(names))
    assert {name.partition(" while ")[0] for name in names} == expected
    assert set(names) >= expected


def test_every_case_does_what_its_name_says() -> None:
    for case in cases():
        name, _, what = case["name"].partition(" ")
        if what == "fires":
            (asked,) = case["alert_rule_test"]
            assert asked["alertname"] == name
            assert asked["exp_alerts"], name
        else:
            (asked,) = case["promql_expr_test"]
            assert asked["expr"] == f"count_over_time(ALERTS{{alertname='{name}', alertstate='firing'}}[2d])"
            assert asked["exp_samples"] == [], name


def test_every_file_of_alerts_has_its_file_of_cases() -> None:
    assert {path.name for path in CASES} == {path.name for path in RULES} - {"recorded.yml"}


def test_the_expected_number_of_replicas_is_that_of_the_targets() -> None:
    (job,) = document(MONITORING / "prometheus.yml")["scrape_configs"]
    (static,) = job["static_configs"]
    assert recorded()["bot:replicas:expected"] == f"vector({len(static['targets'])})"
    assert job["job_name"] == "bot"
