"""railway.toml: only keys and values that Railway documents, and true to the code."""

import re
import shlex
import tomllib
from fnmatch import fnmatch
from typing import Any

from bot.config import Settings
from tests.deployment.code import GRACE, RATE_OF_A_NUMBER, ROOT, SETTINGS, paths, problem_of_command, read

DOCUMENT: dict[str, Any] = tomllib.loads(read("railway.toml"))
PAGE = read("docs/deployment.md")

# Facts of https://railway.com/railway.schema.json and https://docs.railway.com/config-as-code/reference (2026).
SCHEMA = "https://railway.com/railway.schema.json"
BUILDERS = {"RAILPACK", "DOCKERFILE"}
BUILD = {"builder", "watchPatterns", "buildCommand", "dockerfilePath", "railpackVersion"}
DEPLOY: dict[str, type] = {
    "startCommand": str,
    "preDeployCommand": list,
    "healthcheckPath": str,
    "healthcheckTimeout": int,
    "restartPolicyType": str,
    "restartPolicyMaxRetries": int,
    "cronSchedule": str,
    "overlapSeconds": int,
    "drainingSeconds": int,
    "multiRegionConfig": dict,
}
"""The reference's examples write the seconds as strings; the schema takes numbers."""
RESTARTS = {"ON_FAILURE", "ALWAYS", "NEVER"}
REGIONS = {"us-west2", "us-east4-eqdc4a", "europe-west4-drams3a", "asia-southeast1-eqsg3a"}
"""https://docs.railway.com/deployments/regions"""
PROVIDED = {"RAILWAY_PUBLIC_DOMAIN", "RAILWAY_REPLICA_ID", "RAILWAY_RUN_UID"}


def variables() -> dict[str, str]:
    """The table of variables in docs/deployment.md that has Railway's references in it."""
    (block,) = re.findall(r"```\n(DATABASE_URL=\$\{\{.*?)```", PAGE, re.DOTALL)
    return dict(line.split("=", 1) for line in block.strip().splitlines())


def test_every_key_and_kind_is_one_that_railway_knows() -> None:
    assert set(DOCUMENT) == {"$schema", "build", "deploy"}
    assert DOCUMENT["$schema"] == SCHEMA
    assert DOCUMENT["build"].keys() <= BUILD
    assert {key: type(value) for key, value in DOCUMENT["deploy"].items()}.items() <= DEPLOY.items()
    assert DOCUMENT["build"]["builder"] in BUILDERS
    assert DOCUMENT["deploy"]["restartPolicyType"] in RESTARTS
    assert DOCUMENT["deploy"]["multiRegionConfig"].keys() <= REGIONS


def test_it_builds_from_files_that_exist_and_watches_all_that_the_image_is_made_of() -> None:
    assert (ROOT / DOCUMENT["build"]["dockerfilePath"]).is_file()
    watched = DOCUMENT["build"]["watchPatterns"]
    assert all(any(ROOT.glob(pattern)) for pattern in watched)
    copied = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")} - {"README.md"}
    assert {
        path for path in copied if not any(fnmatch(f"{path}/", f"{p}/") or fnmatch(f"{path}/x", p) for p in watched)
    } == set()


def test_the_schema_is_brought_up_to_date_beside_the_old_release() -> None:
    (command,) = DOCUMENT["deploy"]["preDeployCommand"]
    assert problem_of_command(command) == ""
    assert shlex.split(command) == ["bot", "migrate", "--pre"], "the old release still serves: only `pre` may run"


def test_no_traffic_before_it_is_ready_and_no_kill_before_it_is_done() -> None:
    deploy = DOCUMENT["deploy"]
    assert deploy["healthcheckPath"] in paths()
    assert deploy["drainingSeconds"] > GRACE
    assert "startCommand" not in deploy, "the image's own entry point hears SIGTERM"


def test_the_variables_in_the_guide_are_settings_and_refer_to_railways_stores() -> None:
    given = variables()
    assert given.keys() <= SETTINGS
    assert given["DATABASE_URL"] == "${{Postgres.DATABASE_URL}}"
    assert given["REDIS_URL"] == "${{Redis.REDIS_URL}}"
    assert "PORT" not in given, "Railway gives every deployment a PORT"
    assert "REPLICA_ID" not in given, "every replica would have the same name"


def test_the_replicas_share_the_rate_of_the_number_also_while_two_releases_serve() -> None:
    replicas = sum(region["numReplicas"] for region in DOCUMENT["deploy"]["multiRegionConfig"].values())
    assert replicas >= 2
    assert 2 * replicas * float(variables()["MSG91_RATE"]) <= RATE_OF_A_NUMBER
    assert Settings().host == "0.0.0.0"


def test_railways_own_variables_are_those_that_it_documents() -> None:
    assert set(re.findall(r"RAILWAY_[A-Z_]+", PAGE)) <= PROVIDED
