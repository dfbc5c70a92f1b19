"""Reads docker-compose.yml as compose does: anchors and merges resolved, variables filled in from an environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from tests.deployment.code import ROOT, read

FILE = "docker-compose.yml"
DEVELOPMENT: Mapping[str, str] = {key: value or "" for key, value in dotenv_values(ROOT / ".env.development").items()}
REPLICAS = ("bot-1", "bot-2", "bot-3")
OWN = frozenset({"POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "PUBLIC_HOST", "BOT_IMAGE"})
"""Variables that compose itself reads; everything else has to be a setting of the service."""
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<form>:-|:\?)(?P<rest>[^}]*))?\}|(?P<bare>\w+))")


class Missing(Exception):
    """A variable that has to be given is not; the message is compose's."""


def variables() -> Mapping[str, str]:
    """Every variable of the file with its form: `:?` has to be given, `:-` has a default, empty has neither."""
    text = _without_comments(read(FILE))
    return {
        found["name"] or found["bare"]: found["form"] or "" for found in VARIABLE.finditer(text) if found[0] != "$$"
    }


def resolved(environment: Mapping[str, str]) -> dict[str, Any]:
    """The document with `environment`; raises `Missing` as `docker compose` would."""
    document: dict[str, Any] = yaml.safe_load(read(FILE))
    filled = _fill(document, environment)
    assert isinstance(filled, dict)
    return filled


def given(path: Path) -> Mapping[str, str]:
    """The variables of an env file that are not empty."""
    return {key: value for key, value in dotenv_values(path).items() if value}


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _fill(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, environment) for inner in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _value(found, environment), value)
    return value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    name = found["name"] or found["bare"]
    value = environment.get(name, "")
    if value or not found["form"]:
        return value
    if found["form"] == ":?":
        raise Missing(f"{name}: {found['rest']}")
    return str(found["rest"])
