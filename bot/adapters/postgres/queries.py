"""The statements by name: one file each under `sql/queries`, opened by a line that says what it does."""

from collections.abc import Mapping
from pathlib import Path


def load_queries(sql_dir: Path) -> Mapping[str, str]:
    """Name of the file, without `.sql`, to its statement. Raises `FileNotFoundError` when there are none."""
    files = sorted((sql_dir / "queries").glob("*.sql"))
    if not files:
        raise FileNotFoundError(f"no statements under {sql_dir / 'queries'}: is SQL_DIR right?")
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def description(statement: str) -> str:
    """What the first line of a statement says. Raises `ValueError` when it is not such a line."""
    first = statement.split("\n", 1)[0]
    if not first.startswith("-- ") or not first.endswith("."):
        raise ValueError(f"a statement must begin with a line of description, not with {first!r}")
    return first.removeprefix("-- ")
