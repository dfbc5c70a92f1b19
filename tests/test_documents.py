"""What the documents name exists: links, files, metrics and settings. `UPDATE_GOLDEN=1` redraws the modes."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.config import Settings
from bot.core.modes import drawing
from tests.deployment.code import problem_of_command

ROOT = Path(__file__).resolve().parent.parent
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
RELIABILITY = ROOT / "docs" / "reliability.md"
PROMISE = re.compile(r"(?m)^\| (P\d+) \|.*$")
PROMISES = 10
FOLDERS = ("docs", "bot", "flows", "sql", "tests", "loadtest")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PLACE = re.compile(r"(?:bot|sql|flows|tests|loadtest|docs)/[\w./*-]+")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
PICTURES = ROOT / "docs" / "pictures"
PICTURE_LIMIT = 1_500_000
"""Bytes of one picture: whoever opens the page waits for it."""
PATTERN_LETTERS = "NNNN"
"""A name that stands for many: `docs/decisions/NNNN-*.md`."""
METRIC = re.compile(r"(?<![\w./-])bot_[a-z][a-z0-9_]*")
SERIES = re.compile(r"_(?:bucket|sum|count)$")
SETTING = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?")
OPENTELEMETRY = "OTEL_"
"""Settings that begin so are those of the library that sends traces."""
ASSIGNED = re.compile(r"^(?:export )?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def spans(path: Path) -> Iterator[str]:
    return (found[1] for found in SPAN.finditer(prose(path)))


def anchors(path: Path) -> set[str]:
    """What a link may name behind `#`: the headings as GitHub writes them, in lower case with `-` for blanks."""
    made: list[str] = []
    for found in HEADING.finditer(prose(path)):
        words = re.sub(r"[^\w\- ]", "", LINK.sub(lambda link: link[0].partition("](")[0], found[1]).lower())
        anchor = words.replace(" ", "-")
        made.append(f"{anchor}-{made.count(anchor)}" if anchor in made else anchor)
    return set(made)


def known_metrics() -> set[str]:
    return set(re.findall(r'"(bot_\w+)"', (ROOT / "bot" / "metrics.py").read_text(encoding="utf-8")))


def exists(place: str) -> bool:
    return any(ROOT.glob(place.rstrip("/"))) if "*" in place else (ROOT / place).exists()


def test_the_drawing_of_the_modes_is_made_from_their_table() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    before, begin, rest = text.partition("<!-- modes -->\n")
    drawn, end, after = rest.partition("<!-- /modes -->")
    assert begin, "the architecture page has lost its place for the drawing"
    assert end, "the place for the drawing has no end"
    wanted = f"```mermaid\n{drawing()}\n```\n"
    if UPDATE:
        ARCHITECTURE.write_text(before + begin + wanted + end + after, encoding="utf-8")
        return
    assert drawn == wanted


def test_the_layers_of_the_architecture_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    enforced = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    block = next(block for block in FENCE.findall(ARCHITECTURE.read_text(encoding="utf-8")) if "__main__" in block)
    told = [re.split(r" {2,}", line)[0] for line in block.splitlines()[1:-1]]
    assert [set(line.split(" | ")) for line in told if line] == [
        {layer.removeprefix("bot.") for layer in line.split(" | ")} for line in enforced
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    targets = [found[1].partition("#")[0] for found in LINK.finditer(prose(document)) if "://" not in found[1]]
    assert [target for target in targets if target and not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_link_to_a_heading_finds_it(document: Path) -> None:
    targets = [found[1].partition("#") for found in LINK.finditer(prose(document)) if "://" not in found[1]]
    pages = [(document.parent / place if place else document, anchor) for place, _, anchor in targets if anchor]
    assert [f"{page.name}#{anchor}" for page, anchor in pages if anchor not in anchors(page)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            targets = (found[1].partition("#")[0] for found in LINK.finditer(prose(page)) if "://" not in found[1])
            waiting += [(page.parent / target).resolve() for target in targets if target]
    assert {names(page) for page in DOCUMENTS} - {names(page) for page in reached} == set()


def test_every_picture_is_shown_somewhere_and_is_not_too_large() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in DOCUMENTS)
    assert [picture.name for picture in PICTURES.iterdir() if f"pictures/{picture.name}" not in shown] == []
    assert [picture.name for picture in PICTURES.iterdir() if picture.stat().st_size > PICTURE_LIMIT] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_file_and_folder_that_is_named_exists(document: Path) -> None:
    places = [span for span in spans(document) if PLACE.fullmatch(span) and PATTERN_LETTERS not in span]
    assert [place for place in places if not exists(place)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_metric_that_is_named_exists(document: Path) -> None:
    told = set(METRIC.findall(document.read_text(encoding="utf-8")))
    known = known_metrics()
    assert {name for name in told if name not in known and SERIES.sub("", name) not in known} == set()


def test_the_operations_page_tells_of_every_metric() -> None:
    assert known_metrics() - set(METRIC.findall(OPERATIONS.read_text(encoding="utf-8"))) == set()


def test_the_readme_and_the_reliability_page_name_the_same_promises_and_tests() -> None:
    readme, reliability = (path.read_text(encoding="utf-8") for path in (ROOT / "README.md", RELIABILITY))
    shown = {row[1]: set(re.findall(r"\((tests/\S+?)\)", row[0])) for row in re.finditer(PROMISE, readme)}
    assert len(shown) == PROMISES
    for row in re.finditer(PROMISE, reliability.partition("| promise | acceptance tests |")[2]):
        assert shown[row[1]] <= set(re.findall(r"`(tests/\S+?)`", row[0])), row[1]


def test_the_readme_names_every_command_and_no_other() -> None:
    told = [re.sub(r"[A-Z]+", ".", span) for span in spans(ROOT / "README.md") if span.startswith("bot ")]
    problems = {command: problem_of_command(command) for command in told if not re.search(r" (add|revoke)$", command)}
    assert {command: problem for command, problem in problems.items() if problem} == {}
    assert set(main.commands) - {command.split()[1] for command in told} == set()


@pytest.mark.parametrize("document", [ROOT / "README.md", OPERATIONS], ids=names)
def test_every_setting_that_is_named_exists(document: Path) -> None:
    told = {found[1] for span in spans(document) if (found := SETTING.fullmatch(span))}
    for block in FENCE.findall(document.read_text(encoding="utf-8")):
        told |= set(ASSIGNED.findall(block))
    theirs = {name for name in told if name.startswith(OPENTELEMETRY)}
    assert told - theirs - {field.upper() for field in Settings.__struct_fields__} == set()
