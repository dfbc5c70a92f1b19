"""What the code itself knows, for comparison with what deployment files say: settings, commands, paths, versions."""

import ast
import re
import shlex
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from bot.__main__ import main
from bot.config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = frozenset(name.upper() for name in Settings.__struct_fields__)
ROUTERS = frozenset({"add_get", "add_post", "get", "post"})
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION: str = PROJECT["version"]
IMAGE = PROJECT["name"]
DEFAULTS = Settings()
GRACE = DEFAULTS.drain_seconds + 10
"""Seconds that a stopping replica may take (docs/operations.md, "Starting and stopping")."""
RATE_OF_A_NUMBER = DEFAULTS.msg91_rate


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def problem_of_command(words: Sequence[str] | str) -> str:
    """What is wrong with `bot WORDS`, by the command line's own parser; empty when it would run."""
    left = shlex.split(words) if isinstance(words, str) else list(words)
    if left[:1] == ["bot"]:
        left = left[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        name = left.pop(0) if left else "(nothing)"
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"there is no command {name}"
        command = found
    try:
        command.make_context(command.name, left)
    except click.UsageError as error:
        return error.format_message()
    return ""


@cache
def paths() -> frozenset[str]:
    """Every path that some router of the service or the sandbox is given as it stands."""
    return frozenset(path for file in (ROOT / "bot").rglob("*.py") for path in _paths_of(file))


def _paths_of(file: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    routed = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ROUTERS]
    first = [call.args[0] for call in routed if call.args]
    return [
        node.value
        for node in first
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/")
    ]


def seconds(text: str) -> float:
    """`40s`, `1m`, `40` as seconds."""
    found = re.fullmatch(r"(\d+)(s|m|)", text)
    assert found, f"{text} is no time"
    return int(found[1]) * (60 if found[2] == "m" else 1)
