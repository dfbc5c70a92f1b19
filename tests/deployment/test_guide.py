"""docs/deployment.md: every setting, command, service and path in it exists, and what is to be pasted works."""

import json
import re
from pathlib import Path

import pytest
import yaml

from bot.adapters.yaml_flows.loading import check
from bot.adapters.yaml_flows.problems import has_errors, render
from bot.config import Settings
from bot.wire.msg91.callbacks import read_webhook
from tests.deployment.code import GRACE, IMAGE, ROOT, SETTINGS, VERSION, paths, problem_of_command, read, seconds
from tests.deployment.compose import DEVELOPMENT, OWN, resolved

PAGE = read("docs/deployment.md")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
SPANS = re.findall(r"`([^`\n]+)`", PROSE)
LINES = [line.strip() for _, block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]


def block(language: str) -> str:
    (only,) = [text for name, text in BLOCKS if name == language]
    return str(only)


def commands() -> list[str]:
    """Everything on the page that the command line of ours would have to understand."""
    plain = [text for text in SPANS if text.startswith("bot ") and "*" not in text]
    inside = re.findall(r"exec bot-1 (bot [\w -]+)", PAGE)
    in_containers = [re.findall(rf"{IMAGE}:{VERSION} (\w.*)", line) for line in LINES]
    overridden = re.findall(r"run --rm migrate (migrate [\w-]+(?: [\w-]+)?)", PAGE)
    return [*plain, *inside, *overridden, *(found[0] for found in in_containers if found)]


def test_every_setting_that_is_named_exists() -> None:
    named = {found[1] for text in SPANS if (found := re.fullmatch(r"([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=.*)?", text))}
    assert named - SETTINGS - OWN == set()


def test_every_command_of_ours_exists() -> None:
    assert len(commands()) >= 10
    assert {command: problem_of_command(command) for command in commands() if problem_of_command(command)} == {}


def test_every_service_of_compose_that_is_named_exists() -> None:
    services = resolved(DEVELOPMENT)["services"]
    lines = [text for text in (*SPANS, *LINES) if "docker compose" in text]
    named = {
        word
        for line in lines
        for word in re.findall(r"\b(bot-\d|migrate|proxy|sandbox|postgres|redis|prometheus|grafana)\b", line)
    }
    assert named
    assert named <= set(services)
    profiles = set(re.findall(r"--profile (\w+)", PAGE))
    assert profiles == {profile for service in services.values() for profile in service.get("profiles", ())}


def test_every_unit_and_object_that_is_named_exists() -> None:
    units = {
        path.name.partition("@")[0].removesuffix(".service") for path in (ROOT / "docs/deployment/systemd").iterdir()
    }
    assert {
        name.partition("@")[0] for name in re.findall(r"systemctl (?:start|restart|reload) (bot[\w@-]*)", PAGE)
    } <= units
    files = re.findall(r"--filename (\S+)", PAGE)
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_every_path_of_the_service_that_is_named_exists() -> None:
    named = {text for text in SPANS if re.fullmatch(r"/(health|ready|metrics|webhook/\w+)", text)}
    assert named
    assert named <= paths()


def test_the_body_for_msg91_has_the_parameters_that_operations_explain() -> None:
    body = json.loads(block("json"))
    section = read("docs/operations.md").partition("### MSG91's dashboard")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(body) == {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert all(value == f"{{{{{key}}}}}" for key, value in body.items())


def test_a_message_in_that_body_is_a_customers_message() -> None:
    message = {
        "from": "919000000002",
        "id": "wamid.A",
        "timestamp": "1782824301",
        "type": "text",
        "text": {"body": "hello"},
    }
    values = {
        "direction": "0",
        "messages": json.dumps([message]),
        "customerNumber": "919000000002",
        "integratedNumber": "919000000001",
        "contentType": "text",
        "text": "hello",
    }
    body = {key: values.get(key, "") for key in json.loads(block("json"))}
    delivery = read_webhook(
        json.dumps(body).encode(), our_numbers=frozenset({"919000000001"}), content_type="application/json"
    )
    assert delivery.problem is None
    (item,) = delivery.items
    assert "hello" in repr(item)


def test_the_first_flow_may_stand_beside_the_others(tmp_path: Path) -> None:
    for path in (ROOT / "flows").glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "hours.yaml").write_text(block("yaml"), encoding="utf-8")
    problems = check((tmp_path,))
    assert not has_errors(problems), render(problems)
    assert yaml.safe_load(block("yaml"))["flow_id"] == "hours"


def test_a_container_has_longer_to_stop_than_it_may_take() -> None:
    (stop,) = re.findall(r"--stop-timeout (\d+)", PAGE)
    assert seconds(stop) > GRACE
    assert f"--publish 127.0.0.1:8001:{Settings().port}" in PAGE


@pytest.mark.parametrize(
    "name", ["stop_grace_period", "drainingSeconds", "TimeoutStopSec", "terminationGracePeriodSeconds"]
)
def test_what_has_to_grow_with_the_draining_is_named_as_it_is_in_the_files(name: str) -> None:
    files = ["docker-compose.yml", "railway.toml", "docs/deployment/systemd/bot@.service"]
    texts = [read(file) for file in (*files, "docs/deployment/kubernetes/deployment.yaml")]
    assert f"`{name}`" in PAGE
    assert sum(name in text for text in texts) == 1
