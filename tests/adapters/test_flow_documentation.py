"""Every example of `docs/flows.md` is checked and played. `UPDATE_GOLDEN=1` rewrites its transcripts."""

import re
from pathlib import Path

import pytest

from bot.adapters.yaml_flows.language import (
    FLOW_KEYS,
    RULES_KEYS,
    STEP_KEYS,
    TEXT_NAMES,
    TRIGGER_KEYS,
    VALIDATION_TYPES,
)
from bot.adapters.yaml_flows.loading import check
from tests.core.playing import UPDATE, book_of, replayed

DOCUMENT = Path(__file__).parents[2] / "docs" / "flows.md"
SECTIONS = re.split(r"(?m)^(?=## )", DOCUMENT.read_text(encoding="utf-8"))
BLOCK = re.compile(r"(?ms)^```(yaml|transcript)\n(.*?)\n```$")
WITH_EXAMPLES = [section for section in SECTIONS if "```yaml" in section]


def title(section: str) -> str:
    return section.splitlines()[0].removeprefix("## ")


def write_examples(section: str, folder: Path) -> None:
    for kind, text in BLOCK.findall(section):
        found = re.search(r"(?m)^flow_id: (\S+)", text)
        if kind == "yaml":
            (folder / f"{found[1] if found else 'rules'}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("section", WITH_EXAMPLES, ids=title)
def test_the_examples_of_a_section_have_no_errors(section: str, tmp_path: Path) -> None:
    write_examples(section, tmp_path)
    problems = [problem for problem in check([tmp_path]) if problem.severity == "error"]
    assert not problems


@pytest.mark.parametrize("section", WITH_EXAMPLES, ids=title)
def test_the_examples_of_a_section_play_as_documented(section: str, tmp_path: Path) -> None:
    write_examples(section, tmp_path)
    book = book_of(tmp_path)
    transcripts = [text for kind, text in BLOCK.findall(section) if kind == "transcript"]
    for expected in transcripts:
        actual = replayed(book, expected)
        if UPDATE:
            document = DOCUMENT.read_text(encoding="utf-8")
            DOCUMENT.write_text(document.replace(f"\n{expected}\n", f"\n{actual}\n", 1), encoding="utf-8")
        assert actual == expected or UPDATE


def test_the_document_names_every_construct() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    names = [*FLOW_KEYS, *RULES_KEYS, *TEXT_NAMES, *TRIGGER_KEYS, *VALIDATION_TYPES, *STEP_KEYS]
    names += [key for keys in STEP_KEYS.values() for key in keys]
    assert not [name for name in names if not re.search(rf"\b{name}\b", document)]
