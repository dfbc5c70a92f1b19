"""`docs/configuration.md`, made from `bot/config.py`: `python -m bot.config_page > docs/configuration.md`.

A setting is described once, under its field; a comment line above a field begins a section of the page.
"""

import ast
import inspect
from collections.abc import Iterator
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec

from bot import config
from bot.config import Settings

HEAD = """# Configuration

<!-- Made by `python -m bot.config_page > docs/configuration.md`; a test sees to it that it is current. -->

Settings come from the environment and are read once, at start. Everything that is missing or wrong is said at once, and
the command ends with 2. With `ENVIRONMENT=development` a file `.env` in the working directory fills what the
environment leaves open. `bot doctor` tries them all.
"""


def page() -> str:
    """The whole page."""
    return "\n".join((HEAD.rstrip(), *_sections()))


def _sections() -> Iterator[str]:
    source = inspect.getsource(config)
    lines = source.splitlines()
    hints = get_type_hints(Settings, include_extras=True)
    defaults = msgspec.structs.asdict(Settings())
    for field, meaning in _described(ast.parse(source)):
        name = ast.unparse(field.target)
        above = lines[field.lineno - 2].strip()
        if above.startswith("# "):
            yield f"\n## {above.removeprefix('# ')}\n\n| name | default | meaning |\n|---|---|---|"
        allowed = _allowed(hints[name])
        said = " ".join(meaning.split()) + (f" {allowed}" if allowed else "")
        yield f"| `{name.upper()}` | {_shown(defaults[name])} | {said.replace('|', chr(92) + '|')} |"
    yield ""


def _described(tree: ast.Module) -> Iterator[tuple[ast.AnnAssign, str]]:
    """The fields of `Settings`, each with the string that stands under it."""
    settings = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__)
    for field, under in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(under, ast.Expr) and isinstance(under.value, ast.Constant):
            yield field, str(under.value.value)


def _allowed(hint: object) -> str:
    if get_origin(hint) is Literal:
        return "One of " + ", ".join(f"`{value}`" for value in get_args(hint)) + "."
    if get_origin(hint) is not Annotated:
        return ""
    limits = next(one for one in get_args(hint) if isinstance(one, msgspec.Meta))
    if limits.le is not None:
        return f"From {limits.ge} to {limits.le}."
    return "More than 0." if limits.gt == 0 else f"At least {limits.ge}."


def _shown(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"`{int(value)}`"
    return f"`{value}`" if str(value) else ""


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what the command is for
