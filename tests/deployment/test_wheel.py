"""The built package: installed from its file, in an empty folder, it does all that a checkout does."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import aiohttp
import msgspec
import pytest
from packaging.metadata import Metadata
from setuptools import Distribution

from bot.shipping import BuildWithShipped, sources
from tests.acceptance.world import free_port, until
from tests.deployment.code import IMAGE, PROJECT, ROOT, VERSION, read

LITTER = shutil.ignore_patterns(".git", ".venv", ".data", ".*cache*", "__pycache__", "*.egg-info", "build", "dist")
BARE = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
OF_THE_PACKAGE = re.compile(rf"bot/|{IMAGE.replace('-', '_')}-{VERSION}\.dist-info/")
HEADING = re.compile(r"^## (\S+) \((\d{4}-\d\d-\d\d|unreleased)\)$", re.MULTILINE)
PATIENCE = 60
"""Seconds a command may take."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    wheel: Path
    source: Path

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as opened:
            return set(opened.namelist())

    def in_source(self) -> set[str]:
        """Without the name of the folder that holds all."""
        with tarfile.open(self.source) as opened:
            return {member.name.partition("/")[2] for member in opened.getmembers() if member.isfile()}


def run(*command: str | Path, folder: Path, **settings: str) -> str:
    """What a command says; the test fails unless it ends with 0."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**BARE, **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(wheel: Path, *where: str | Path) -> None:
    """By pip, as anybody would, but without asking an index."""
    pip = (sys.executable, "-m", "pip", *where[:-1], "install", "--no-deps", "--no-index", "--no-compile", "--quiet")
    run(*pip, *where[-1:], wheel, folder=wheel.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source distribution of this checkout, and the wheel that is made of nothing else."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "checkout", ignore=LITTER)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder=folder / "checkout")
    (wheel,), (source,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return Built(wheel=wheel, source=source)


@pytest.fixture(scope="module")
def bot(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own. What the package needs is lent to it, the checkout is not."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    install(built.wheel, "--python", folder / "bin" / "python", "--no-input")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (own / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / "bin" / "bot"


class Served(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    async def answers(self, path: str) -> str:
        """What is at `path`; empty until it is there."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
                return await answer.text() if answer.status == 200 else ""
        except aiohttp.ClientError:
            return ""


@pytest.fixture
def served(bot: Path, tmp_path: Path) -> Iterator[Served]:
    """`bot serve --embedded`, started where nothing is; it has to stop when it is told to."""
    port = free_port()
    settings = {"ENVIRONMENT": "development", "HOST": "127.0.0.1", "PORT": str(port), "ADMIN_TOKEN": "admin"}
    with (tmp_path / "log").open("wb") as log:
        command = [str(bot), "serve", "--embedded", "stores"]
        process = subprocess.Popen(command, cwd=tmp_path, env={**BARE, **settings}, stdout=log, stderr=log)
    yield Served(url=f"http://127.0.0.1:{port}", process=process, log=tmp_path / "log")
    process.terminate()
    assert process.wait(PATIENCE) == 0, (tmp_path / "log").read_text()


def test_the_wheel_is_the_package_with_its_pages_flows_and_sql_and_nothing_else(built: Built) -> None:
    pages = {
        str(page.relative_to(ROOT)) for kind in ("html", "css", "js") for page in (ROOT / "bot").rglob(f"*.{kind}")
    }
    folders = {f"bot/shipped/{path.relative_to(ROOT)}" for path in shipped_folders()}
    assert pages
    assert pages | folders <= built.in_wheel()
    assert [name for name in built.in_wheel() if not OF_THE_PACKAGE.match(name)] == []


def shipped_folders() -> set[Path]:
    """What the service reads of both folders; schema.sql is there for people."""
    found = {path for folder in ("flows", "sql") for path in (ROOT / folder).rglob("*.*") if path.is_file()}
    return found - {ROOT / "sql" / "schema.sql"}


def test_the_source_distribution_has_its_tests_and_documents_and_no_litter(built: Built) -> None:
    names = built.in_source()
    wanted = {"README.md", "docs/changelog.md", "tests/conftest.py", "sql/schema.sql", "monitoring/prometheus.yml"}
    assert wanted | {"Makefile", "Dockerfile", ".ci/check", "requirements.lock"} <= names
    assert [name for name in names if re.search(r"\.py[cod]$|(^|/)(\.env|\.coverage|\.venv)(/|$)", name)] == []


def test_the_metadata_is_valid_and_says_what_pyproject_says(built: Built) -> None:
    (name,) = [name for name in built.in_wheel() if name.endswith(".dist-info/METADATA")]
    with zipfile.ZipFile(built.wheel) as opened:
        raw = opened.read(name)
    metadata = Metadata.from_email(raw, validate=True)
    assert (metadata.name, str(metadata.version)) == (IMAGE, VERSION)
    assert metadata.summary == PROJECT["description"]
    assert metadata.description_content_type == "text/markdown"
    assert BytesParser().parsebytes(raw).get_payload() == read("README.md")


def test_the_version_is_that_of_the_newest_release_in_the_changelog() -> None:
    headings = HEADING.findall(read("docs/changelog.md"))
    assert headings[0][0] == VERSION
    assert re.findall(r"^## ", read("docs/changelog.md"), re.MULTILINE) == ["## "] * len(headings)
    assert [name for name, date in headings[1:] if date == "unreleased"] == []


def test_it_tells_its_version(bot: Path, tmp_path: Path) -> None:
    assert run(bot, "--version", folder=tmp_path).strip() == f"bot, version {VERSION}"


def test_the_shipped_flows_are_found_and_sound(bot: Path, tmp_path: Path) -> None:
    assert run(bot, "flows", "check", "--strict", folder=tmp_path).strip() == "no problems"


def test_flows_of_the_folder_it_starts_in_come_first(bot: Path, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    shutil.copy(ROOT / "flows" / "welcome.yaml", tmp_path / "flows" / "only.yaml")
    said = subprocess.run([bot, "flows", "check"], cwd=tmp_path, env=BARE, capture_output=True, text=True, check=False)
    assert "only.yaml" in said.stdout, "it leads to flows that are not there"


def test_it_works_from_a_folder_that_is_no_environment(built: Built, tmp_path: Path) -> None:
    """`pip install --target`, as `--user`, puts the package where `sys.prefix` does not lead."""
    install(built.wheel, f"--target={tmp_path / 'there'}")
    (tmp_path / "empty").mkdir()
    command = (sys.executable, "-m", "bot", "flows", "check")
    assert run(*command, folder=tmp_path / "empty", PYTHONPATH=str(tmp_path / "there")) == "no problems\n"
    place = "import bot.config; print(bot.config.shipped('sql'))"
    found = run(sys.executable, "-c", place, folder=tmp_path / "empty", PYTHONPATH=str(tmp_path / "there"))
    assert Path(found.strip()) == tmp_path / "there" / "bot" / "shipped" / "sql"


def test_the_demo_plays_its_script(bot: Path, tmp_path: Path) -> None:
    said = run(bot, "demo", "--script", folder=tmp_path)
    assert "4 of 4 conversations as they should be" in said


async def test_it_serves_with_stores_of_its_own_and_the_metrics_tell_what_runs(served: Served) -> None:
    await until(lambda: served.answers("/ready"), "it is ready", PATIENCE)
    assert "<h1>" in await served.answers("/api/docs")
    python = ".".join(map(str, sys.version_info[:3]))
    assert f'bot_build_info{{python="{python}",version="{VERSION}"}} 1.0' in await served.answers("/metrics")


def test_the_build_step_copies_what_is_shipped_and_an_editable_installation_needs_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    step = BuildWithShipped(Distribution())
    step.finalize_options()
    step.build_lib = str(tmp_path)
    monkeypatch.setattr(step, "editable_mode", True)
    step.run()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(step, "editable_mode", False)
    step.run()
    copied = {path.relative_to(tmp_path / "bot" / "shipped") for path in tmp_path.rglob("*.*") if path.is_file()}
    assert copied == set(sources()) == {path.relative_to(ROOT) for path in shipped_folders()}
