"""Walks the Dockerfile's steps on this machine, without a container engine, and runs what comes out: `make image`.

It does what a builder does, below a folder of its own instead of below `/`: copies what .dockerignore lets in, runs
every `RUN`, and carries over to the next stage only what is copied there. What comes out then migrates a database,
serves, answers the image's own health check and stops when it is told to. Packages come from the index, so this needs
the network; it takes half a minute of processor time.
"""

import asyncio
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import click

from bot.adapters.embedded import Embedded
from bot.config import Settings
from tests.acceptance.world import free_port, until
from tests.deployment.code import ROOT, VERSION, read
from tests.deployment.compose import DEVELOPMENT
from tests.deployment.dockerfile import Instruction, Stage, stages

ABSOLUTE = re.compile(r"(?<![\w.:/-])/(?=opt|src|wheels|flows|tmp)")
"""The beginning of a path that the Dockerfile means to be below its own root."""
OUTSIDE = re.compile(r"PIP_(CERT|DEFAULT_TIMEOUT|INDEX_URL)|SSL_CERT_FILE|HTTPS?_PROXY|NO_PROXY", re.IGNORECASE)
"""What of this machine a builder needs to reach the index."""


class Walk:
    """One build. `root` is the same path in all stages, because programs remember where they were installed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._folder = folder
        self.left: dict[str, Path] = {}
        """The stages that are done, by name, each with its root."""
        self.environment: dict[str, str] = {}
        self._directory = self.root

    def build(self, found: Sequence[Stage]) -> None:
        for stage in found:
            self._begin()
            for instruction in stage.instructions:
                self._do(instruction)
            if stage is not found[-1]:
                self._leave(stage.name)

    def run(self, argv: Sequence[str], extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        env = self.variables(extra)
        return subprocess.run(
            [shutil.which(argv[0], path=env["PATH"]) or argv[0], *argv[1:]],
            cwd=self._directory,
            env=env,
            text=True,
            capture_output=True,
            check=False,
        )

    def variables(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**self.environment, **(extra or {})}

    def below(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self._directory / path

    def files(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if path.is_file()}

    def _begin(self) -> None:
        for folder in ("tmp", "opt"):
            (self.root / folder).mkdir(parents=True)
        python = str(Path(sys.executable).parent)
        outside = {name: value for name, value in os.environ.items() if OUTSIDE.fullmatch(name)}
        self.environment = {"PATH": f"{python}:/usr/bin:/bin", "PIP_QUIET": "1", **outside}
        self._directory = self.root

    def _leave(self, name: str) -> None:
        self.left[name] = self.root.rename(self._folder / name)

    def _do(self, instruction: Instruction) -> None:
        match instruction.name:
            case "ENV":
                for name, value in instruction.pairs().items():
                    filled = value.replace("$PATH", self.environment["PATH"])
                    self.environment[name] = self._local(filled)
            case "WORKDIR":
                self._directory = self.below(instruction.value)
                self._directory.mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(instruction)
            case "RUN":
                self._execute(instruction.value)
            case "LABEL" | "USER" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                pass
            case unknown:
                raise SystemExit(f"walk: {unknown} is new here: teach it to tests/deployment/walk.py")

    def _execute(self, command: str) -> None:
        click.echo(f"RUN {command[:110]}")
        done = subprocess.run(
            ["sh", "-ec", self._local(command)], cwd=self._directory, env=self.environment, check=False
        )
        if done.returncode:
            raise SystemExit(f"walk: it ended with {done.returncode}")

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.value.split()
        origin = self.left[instruction.flags["from"]] if instruction.flags else ROOT
        for source in sources:
            path = origin / source.lstrip("/")
            into = self.below(target) / (path.name if target.endswith("/") else "")
            if path.is_dir():
                shutil.copytree(path, into, symlinks=True, ignore=None if instruction.flags else ignored)
            else:
                shutil.copy2(path, into)

    def _local(self, text: str) -> str:
        return ABSOLUTE.sub(f"{self.root}/", text)


def ignored(folder: str, names: Sequence[str]) -> set[str]:
    """What .dockerignore keeps out of the folders that it lets in."""
    patterns = [line[3:] for line in read(".dockerignore").splitlines() if line.startswith("**/")]
    return {name for name in names for pattern in patterns if fnmatch.fnmatch(name, pattern)}


def expect(holds: object, what: str) -> None:
    if not holds:
        raise SystemExit(f"walk: it is not true that {what}")
    click.echo(f"ok  {what}")


def look_at(walk: Walk, final: Stage) -> None:
    """What can be seen without stores."""
    entrypoint = final.only("ENTRYPOINT").argv()
    (shared,) = (walk.root / "opt" / "bot" / "lib").glob("python3.*/site-packages/bot/shipped")
    told = walk.run([*entrypoint, "--version"]).stdout
    expect(told == f"bot, version {VERSION}\n", f"`bot --version` tells {VERSION}")
    flows = walk.run([*entrypoint, "flows", "check"])
    expect(flows.returncode == 0, f"`bot flows check` finds no error: {flows.stdout.splitlines()[-1]}")
    bare = walk.run([*entrypoint, *final.only("CMD").argv()])
    expect(bare.returncode == 2, "`bot serve` without settings ends with 2")
    expect("ENCRYPTION_KEYS is missing" in bare.stderr, "and names what is missing")
    source = walk.left["build"] / "src"
    for folder in ("flows", "sql/migrations", "sql/queries"):
        own = {path.name: path.read_bytes() for path in (source / folder).iterdir() if path.is_file()}
        there = {path.name: path.read_bytes() for path in (shared / folder).iterdir()}
        expect(own == there, f"the wheel brings {folder}")
    expect(not list(walk.root.rglob("pip")), "there is no installer in the image")


async def live_with(walk: Walk, final: Stage) -> None:
    """Migrate, serve, be healthy, stop; on stores of this machine."""
    entrypoint = final.only("ENTRYPOINT").argv()
    with tempfile.TemporaryDirectory(prefix="bot-walk-stores-") as folder:
        async with Embedded(Path(folder)) as urls:
            stores = {"DATABASE_URL": urls.database, "REDIS_URL": urls.redis}
            settings = {**DEVELOPMENT, **stores, "PORT": str(free_port()), "HOST": "127.0.0.1"}
            migrated = walk.run([*entrypoint, "migrate", "--pre"], stores)
            expect(migrated.returncode == 0, f"`bot migrate --pre` brings the schema: {migrated.stdout.strip()}")
            process = await asyncio.create_subprocess_exec(
                *entrypoint,
                *final.only("CMD").argv(),
                cwd=walk.root / "tmp",
                env=walk.variables(settings),
                stderr=subprocess.DEVNULL,
            )
            try:
                await until(lambda: is_ready(settings["PORT"]), "`bot serve` is ready")
                expect(True, "`bot serve` is ready")
                check = json.loads(final.only("HEALTHCHECK").value.removeprefix("CMD "))
                expect(walk.run(check, settings).returncode == 0, "the image's health check is content")
                started = time.monotonic()
                process.terminate()
                code = await asyncio.wait_for(process.wait(), Settings().drain_seconds)
                expect(code == 0, f"SIGTERM ends it with 0, in {time.monotonic() - started:.1f} s")
            finally:
                if process.returncode is None:
                    process.kill()


async def is_ready(port: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def main() -> None:
    found = stages(read("Dockerfile"))
    with tempfile.TemporaryDirectory(prefix="bot-walk-") as folder:
        walk = Walk(Path(folder))
        walk.build(found)
        before = walk.files()
        look_at(walk, found[-1])
        asyncio.run(live_with(walk, found[-1]))
        expect(walk.files() == before, "nothing was written: the file system may be read-only")


if __name__ == "__main__":
    main()
