"""docker-compose.yml: valid by the specification's schema, and true to the code and to the files beside it."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from bot.config import Settings, demands_of_service, read_settings
from tests.acceptance.world import free_port
from tests.deployment.code import (
    GRACE,
    IMAGE,
    RATE_OF_A_NUMBER,
    ROOT,
    SETTINGS,
    VERSION,
    paths,
    problem_of_command,
    read,
    seconds,
)
from tests.deployment.compose import DEVELOPMENT, FILE, OWN, REPLICAS, Missing, given, resolved, variables

EXAMPLE = ROOT / ".env.example"
FILLED = {
    "PUBLIC_HOST": "bot.example.com",
    "POSTGRES_PASSWORD": "0123abcd",
    "REDIS_PASSWORD": "4567cdef",
    "GRAFANA_PASSWORD": "89abcdef",
    "MSG91_AUTH_KEY": "authkey",
    "MSG91_SENDER_ID": "919000000001",
    "MSG91_WEBHOOK_SECRET": "secret",
    "ENCRYPTION_KEYS": DEVELOPMENT["ENCRYPTION_KEYS"],
    "ADMIN_TOKEN": "token",
}
"""What somebody writes into the places that .env.example leaves empty and that have to be filled."""
CONNECTIONS_OF_POSTGRES = 100
"""`max_connections` of PostgreSQL as it comes."""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = resolved(DEVELOPMENT)["services"]
    return found


def names_in(path: str) -> set[str]:
    lines = [line.removeprefix("# ") for line in read(path).splitlines()]
    return {line.partition("=")[0] for line in lines if line.partition("=")[0].isupper() and "=" in line}


def test_it_is_valid_by_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_is_a_setting_or_one_of_composes_own() -> None:
    assert variables().keys() <= SETTINGS | OWN
    assert variables().keys() >= OWN


@pytest.mark.parametrize("path", [".env.example", ".env.development"])
def test_every_name_in_an_env_file_means_something(path: str) -> None:
    assert names_in(path) <= SETTINGS | OWN


def test_the_example_names_all_that_has_to_be_given() -> None:
    demanded = {name for name, form in variables().items() if form == ":?"}
    assert demanded == set(FILLED)
    assert demanded <= names_in(".env.example")
    missing = {problem.split(" ")[0] for problem in demands_of_service(Settings())}
    assert missing <= names_in(".env.example")
    assert given(EXAMPLE).keys().isdisjoint(demanded), "a secret must not have a value that everybody knows"


@pytest.mark.parametrize("name", sorted(FILLED))
def test_compose_says_which_secret_is_missing(name: str) -> None:
    with pytest.raises(Missing, match=rf"^{name}: set it in \.env"):
        resolved({**given(EXAMPLE), **FILLED, name: ""})


@pytest.mark.parametrize("replica", REPLICAS)
@pytest.mark.parametrize("environment", [{**given(EXAMPLE), **FILLED}, DEVELOPMENT], ids=["production", "development"])
def test_every_replica_would_start_with_its_settings(replica: str, environment: dict[str, str]) -> None:
    given_to_it = resolved(environment)["services"][replica]["environment"]
    assert given_to_it.keys() <= SETTINGS
    settings = read_settings(given_to_it, dotenv=None, demands=demands_of_service)
    assert settings.environment == environment.get("ENVIRONMENT", "production")
    assert settings.replica.startswith(f"{replica}-")


def test_migrations_have_what_they_need_and_no_secret_beyond_it(services: dict[str, Any]) -> None:
    assert set(services["migrate"]["environment"]) == {"DATABASE_URL", "REDIS_URL"}


def test_the_replicas_differ_in_their_names_only(services: dict[str, Any]) -> None:
    assert [name for name in services if name.startswith("bot")] == list(REPLICAS)
    stripped = [
        {**services[name], "environment": {**services[name]["environment"], "REPLICA_ID": ""}} for name in REPLICAS
    ]
    assert stripped[1:] == stripped[:-1]


def test_every_command_exists(services: dict[str, Any]) -> None:
    ours = {name: service for name, service in services.items() if service["image"].startswith(IMAGE)}
    assert set(ours) == {*REPLICAS, "migrate", "sandbox"}
    assert {problem_of_command(service.get("command", ["serve"])) for service in ours.values()} == {""}
    assert services["migrate"]["image"] == f"{IMAGE}:{VERSION}"


def test_a_replica_waits_for_the_schema_and_is_ready_only_when_it_says_so(services: dict[str, Any]) -> None:
    bot = services["bot-1"]
    assert bot["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert "'/ready'" in bot["healthcheck"]["test"][-1]
    assert f"'127.0.0.1', {bot['environment']['PORT']}," in bot["healthcheck"]["test"][-1]


def test_the_health_checks_are_programs_and_not_mistakes(services: dict[str, Any]) -> None:
    *_, program = services["bot-1"]["healthcheck"]["test"]
    nobody = program.replace("127.0.0.1', 8000", f"127.0.0.1', {free_port()}")
    assert nobody != program
    done = subprocess.run([sys.executable, "-I", "-S", "-c", nobody], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"ConnectionRefusedError" in done.stderr or b"sys.exit" not in done.stderr


def test_a_stopping_replica_has_longer_than_it_may_take(services: dict[str, Any]) -> None:
    for name in REPLICAS:
        drain = float(services[name]["environment"]["DRAIN_SECONDS"])
        assert drain == Settings().drain_seconds
        assert seconds(services[name]["stop_grace_period"]) > GRACE


def test_what_is_shared_is_not_used_up_by_the_replicas_together(services: dict[str, Any]) -> None:
    rates = [float(services[name]["environment"]["MSG91_RATE"]) for name in REPLICAS]
    assert sum(rates) <= RATE_OF_A_NUMBER
    assert len(REPLICAS) * Settings().database_pool < CONNECTIONS_OF_POSTGRES


def test_redis_keeps_what_it_was_given(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert "redis:/data" in services["redis"]["volumes"]


def test_ours_can_write_nowhere_but_to_a_temporary_folder(services: dict[str, Any]) -> None:
    for name in (*REPLICAS, "migrate", "sandbox"):
        assert services[name]["read_only"] is True
        assert services[name]["tmpfs"] == ["/tmp"]
        assert services[name]["cap_drop"] == ["ALL"]


def test_only_the_proxies_are_heard_from_outside(services: dict[str, Any]) -> None:
    world = {name for name, service in services.items() for port in service.get("ports", ()) if "127.0.0.1" not in port}
    assert world == {"tls"}
    assert services["tls"]["command"][-1] == "proxy:8080"


def test_stores_are_on_a_network_without_a_way_out(services: dict[str, Any]) -> None:
    assert resolved(DEVELOPMENT)["networks"]["stores"] == {"internal": True}
    assert {name for name, service in services.items() if service["networks"] == ["stores"]} == {
        *("postgres", "redis", "migrate")
    }


def test_everything_that_stays_up_has_bounds_and_a_policy(services: dict[str, Any]) -> None:
    lasting = {name: service for name, service in services.items() if name != "migrate"}
    assert all(service["restart"] == "unless-stopped" for service in lasting.values())
    assert all(service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"} for service in lasting.values())
    assert all(":" in service["image"] and not service["image"].endswith(":latest") for service in services.values())


def test_profiles_are_the_two_that_are_documented(services: dict[str, Any]) -> None:
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        "tls": ["production"],
        "sandbox": ["development"],
        "prometheus": ["development", "production"],
        "grafana": ["development", "production"],
    }


def test_the_sandbox_plays_both_providers_to_the_replicas(services: dict[str, Any]) -> None:
    command = services["sandbox"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    settings = services["bot-1"]["environment"]
    assert settings["MSG91_BASE_URL"] == f"http://sandbox:{options['--port']}/api/v5"
    assert settings["OPENROUTER_BASE_URL"] == f"http://sandbox:{options['--port']}/api/v1"
    assert settings["MSG91_WEBHOOK_SECRET"] == options["--secret"]
    assert options["--webhook"].removeprefix("http://proxy:8080") in paths()
    assert services["sandbox"]["ports"] == [f"127.0.0.1:{options['--port']}:{options['--port']}"]


def test_prometheus_scrapes_every_replica(services: dict[str, Any]) -> None:
    (job,) = yaml.safe_load(read("monitoring/prometheus.yml"))["scrape_configs"]
    port = services["bot-1"]["environment"]["PORT"]
    assert job["static_configs"] == [{"targets": [f"{name}:{port}" for name in REPLICAS]}]
    assert job["metrics_path"] in paths()
    assert set(services["prometheus"]["networks"]) <= set(services["bot-1"]["networks"])


@pytest.mark.parametrize(
    ("service", "file"),
    [
        ("prometheus", "/etc/prometheus/prometheus.yml"),
        ("prometheus", "/etc/prometheus/rules/recorded.yml"),
        ("grafana", "/etc/grafana/provisioning/datasources/prometheus.yml"),
        ("grafana", "/etc/grafana/provisioning/dashboards/dashboards.yml"),
        ("grafana", "/etc/grafana/dashboards/overview.json"),
    ],
)
def test_what_watches_reads_the_files_of_the_repository(services: dict[str, Any], service: str, file: str) -> None:
    mounts = [volume.split(":") for volume in services[service]["volumes"] if volume.startswith(".")]
    (found,) = [here + file.removeprefix(there) for here, there, mode in mounts if file.startswith(there)]
    assert (ROOT / found).is_file()
    assert all(mode == "ro" for *_, mode in mounts)


def test_what_watches_is_told_where_its_files_are(services: dict[str, Any]) -> None:
    assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"]["command"]
    kept = {volume.split(":")[0] for name in ("prometheus", "grafana") for volume in services[name]["volumes"][2:]}
    assert kept == {"prometheus", "grafana"}
    (provider,) = yaml.safe_load(read("monitoring/grafana/provisioning/dashboards/dashboards.yml"))["providers"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/overview.json"


def test_the_data_source_is_prometheus_here_and_the_password_is_given(services: dict[str, Any]) -> None:
    (source,) = yaml.safe_load(read("monitoring/grafana/provisioning/datasources/prometheus.yml"))["datasources"]
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert source["url"] == "http://prometheus:9090"
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == DEVELOPMENT["GRAFANA_PASSWORD"]
    assert services["grafana"]["depends_on"] == {"prometheus": {"condition": "service_healthy"}}
