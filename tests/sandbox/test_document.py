"""Every example of the sandbox's document, run in order against one sandbox; every setting stands in it."""

import re
from pathlib import Path
from typing import Any

import orjson

from bot.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import Client

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
EXAMPLE = re.compile(r"```http\n(?P<call>.*?)\n\n(?P<status>\d{3})\n(?P<answer>.*?)\n```", re.DOTALL)


def differences(expected: Any, found: Any, at: str = "$") -> list[str]:
    """Where `found` is not what the document shows; `…` is anything, and more fields are allowed."""
    if expected == "…":
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{at}.{key} is missing" for key in expected if key not in found]
        pairs = [(key, value) for key, value in expected.items() if key in found]
        return missing + [line for key, value in pairs for line in differences(value, found[key], f"{at}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = list(enumerate(expected))
        return [line for index, value in pairs for line in differences(value, found[index], f"{at}[{index}]")]
    return [] if expected == found else [f"{at} is {found!r}, not {expected!r}"]


async def test_every_example_holds(box: Client) -> None:
    examples = list(EXAMPLE.finditer(PAGE))
    assert len(examples) == PAGE.count("```http")
    for example in examples:
        head, _, body = example["call"].partition("\n\n")
        line, *headers = head.split("\n")
        method, path = line.split(" ")
        named = dict(header.split(": ") for header in headers)
        async with box.request(method, path, data=body.encode() or None, headers=named) as response:
            assert response.status == int(example["status"]), line
            found = orjson.loads(await response.read())
        assert differences(orjson.loads(example["answer"]), found) == [], line


def test_every_setting_stands_in_the_document_with_its_default() -> None:
    for name, value in zip(SandboxSettings.__struct_fields__, SandboxSettings.__struct_defaults__, strict=True):
        shown = (
            ",".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else value
        )
        assert re.search(rf"^\| `{name}` \| {re.escape(str(shown))} ?\|", PAGE, re.MULTILINE), name
