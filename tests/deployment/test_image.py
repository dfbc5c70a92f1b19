"""The Dockerfile: linted, and true to the code. What its steps do is walked through by `make image`."""

import asyncio
import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.deployment.code import IMAGE, ROOT, SETTINGS, VERSION, paths, problem_of_command, read
from tests.deployment.dockerfile import Stage, stages

STAGES = stages(read("Dockerfile"))
FINAL = STAGES[-1]
OF_PYTHON = frozenset({"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})
"""Variables of the image that are no settings of ours."""
LINTER = shutil.which("hadolint", path=str(Path(sys.executable).parent))


def copied(stage: Stage) -> list[str]:
    return [source for each in stage.all("COPY") if not each.flags for source in each.value.split()[:-1]]


def allowed() -> list[str]:
    return [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]


def test_hadolint_has_nothing_to_say() -> None:
    assert LINTER, "hadolint is missing: it comes with the dev extra"
    found = subprocess.run([LINTER, "--format", "json", "Dockerfile"], cwd=ROOT, capture_output=True, check=False)
    assert json.loads(found.stdout) == []


def test_every_stage_stands_on_one_base_that_is_pinned_to_a_patch_release() -> None:
    assert len({stage.base for stage in STAGES}) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", FINAL.base)


def test_the_image_has_the_python_on_which_the_locks_were_made() -> None:
    python = re.findall(r"python:(3\.\d+)\.", FINAL.base)
    assert re.findall(r"--python-version (3\.\d+)", read("Makefile")) == [*python, *python]


def test_the_label_tells_the_version_of_the_package() -> None:
    labels = FINAL.only("LABEL").pairs()
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.title"] == IMAGE


def test_it_runs_as_nobody_in_particular_by_number() -> None:
    user, group = FINAL.only("USER").value.split(":")
    assert int(user) >= 10_000, "Kubernetes can tell that a number is not root, but not that a name is not"
    assert int(group) >= 10_000


def test_the_process_itself_hears_sigterm_and_its_commands_exist() -> None:
    entrypoint, command = FINAL.only("ENTRYPOINT").argv(), FINAL.only("CMD").argv()
    assert FINAL.only("STOPSIGNAL").value == "SIGTERM"
    assert entrypoint == ["bot"]
    assert problem_of_command([*entrypoint, *command]) == ""
    assert problem_of_command([*entrypoint, "migrate"]) == ""


def test_every_variable_of_the_image_is_a_setting() -> None:
    assert FINAL.environment().keys() - OF_PYTHON <= SETTINGS
    assert FINAL.environment()["FLOWS_DIR"] in [each.value.split()[-1] for each in FINAL.all("COPY")]


def test_nothing_that_is_needed_is_left_out_of_the_build_and_nothing_else_is_let_in() -> None:
    needed = {source for stage in STAGES for source in copied(stage)}
    assert needed == set(allowed())
    assert all((ROOT / source).exists() for source in needed)
    assert read(".dockerignore").splitlines()[1] == "*", "what is not named must stay out"


def test_everything_is_installed_by_hash_and_nothing_is_built_from_a_source_distribution() -> None:
    runs = " && ".join(each.value for stage in STAGES for each in stage.all("RUN"))
    steps = [step for step in runs.split(" && ") if re.search(r"\bpip\b.* (install|download)\b", step)]
    assert len(steps) == 3
    for step in steps:
        offline = "--no-index" in step
        assert offline or ("--require-hashes" in step and "--only-binary=:all:" in step), step


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
async def test_the_health_check_asks_the_port_that_is_set(status: int, code: int) -> None:
    check = FINAL.only("HEALTHCHECK").value
    argv = json.loads(check.removeprefix("CMD "))
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv[1:], env={"PORT": str(runner.addresses[0][1])}, stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == code
    await runner.cleanup()
    assert set(asked) <= paths()
    assert asked == ["/health"]


def test_the_health_check_fails_where_nobody_listens() -> None:
    argv = json.loads(FINAL.only("HEALTHCHECK").value.removeprefix("CMD "))
    done = subprocess.run([sys.executable, *argv[1:]], env={"PORT": "1"}, capture_output=True, check=False)
    assert done.returncode == 1


def test_the_key_of_the_development_file_is_a_key_and_says_what_it_is() -> None:
    (line,) = [line for line in read(".env.development").splitlines() if line.startswith("ENCRYPTION_KEYS=")]
    key = base64.b64decode(line.partition(":")[2])
    assert len(key) == 32
    assert b"known to all" in key
