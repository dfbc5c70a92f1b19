"""The locks: they hold all that pyproject.toml asks for, nothing that nobody asks for, and a hash for each."""

import re
import sys
import tomllib
from importlib.metadata import requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.deployment.code import PROJECT, read

PIN = re.compile(r"^(\S+?)==(\S+)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
BUILD: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["build-system"]
EXTRAS = PROJECT["optional-dependencies"]
IN_THE_IMAGE = [*PROJECT["dependencies"], *EXTRAS["tracing"]]
"""Traces are off unless set; the image has what they need all the same, because nothing can be added to it later."""


def pins(path: str) -> dict[str, Requirement]:
    return {
        canonicalize_name(name): Requirement(f"{name}=={version}{'; ' + marker if marker else ''}")
        for name, version, marker, _ in PIN.findall(read(path))
    }


def version_of(pin: Requirement) -> Version:
    (only,) = pin.specifier
    return Version(only.version)


def here(requirement: Requirement, extras: set[str] | frozenset[str] = frozenset({""})) -> bool:
    """Whether it is asked for on this machine."""
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)


def asked_for(requirement: Requirement, found: dict[str, Requirement]) -> dict[str, Requirement]:
    """Every package that is needed for one, by what the installed packages say of themselves."""
    name = canonicalize_name(requirement.name)
    if name in found:
        return found
    found[name] = requirement
    for text in requires(requirement.name) or ():
        needed = Requirement(text)
        if here(needed, requirement.extras or {""}):
            asked_for(needed, found)
    return found


@pytest.mark.parametrize("path", ["requirements.lock", "requirements-build.lock"])
def test_every_line_of_a_lock_is_a_pin_with_hashes(path: str) -> None:
    names = re.findall(r"^([A-Za-z0-9]\S*?)==", read(path), re.MULTILINE)
    assert len(names) == len(pins(path)) > 0
    assert read(path).splitlines()[1].strip("# ") == "make lock"


def test_the_lock_satisfies_every_requirement_of_the_package() -> None:
    locked = pins("requirements.lock")
    for text in IN_THE_IMAGE:
        requirement = Requirement(text)
        pin = locked.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{text} is not in requirements.lock: run `make lock`"
        assert version_of(pin) in requirement.specifier, f"{pin} does not satisfy {text}: run `make lock`"


def test_the_lock_holds_what_is_needed_and_nothing_else() -> None:
    needed: dict[str, Requirement] = {}
    for text in IN_THE_IMAGE:
        asked_for(Requirement(text), needed)
    locked = {name for name, pin in pins("requirements.lock").items() if here(pin)}
    if sys.version_info[:2] == (3, 11):
        assert locked == set(needed)
    assert set(needed) >= locked


def test_the_lock_of_the_build_satisfies_what_the_build_asks_for() -> None:
    locked = pins("requirements-build.lock")
    wanted = [Requirement(text) for text in BUILD["requires"]]
    assert set(locked) == {canonicalize_name(requirement.name) for requirement in wanted}
    assert all(version_of(locked[canonicalize_name(each.name)]) in each.specifier for each in wanted)


def test_no_development_tool_gets_into_the_image() -> None:
    tools = {Requirement(text).name for text in EXTRAS["dev"]}
    wanted = {Requirement(text).name for text in IN_THE_IMAGE}
    found = pins("requirements.lock").keys() & tools - wanted
    assert found <= {"opentelemetry-proto"}, "what a test reads traces with is a part of what sends them"
