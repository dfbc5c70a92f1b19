"""`docs/licences.md`: which packages the image holds, and under which licences. `make licences` writes it anew."""

import re
from typing import Final

from tests.deployment.code import ROOT
from tests.deployment.locked import LOCK, Package, packages

PAGE: Final = ROOT / "docs" / "licences.md"
ALLOWED: Final = frozenset(
    {
        *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense", "0BSD", "Zlib"),
        "MPL-2.0",  # asks for the source of its own files, which we ship as they are
    }
)
"""Licences that ask for no more than to be named, and for nothing of what is ours."""
HEAD: Final = f"""# Licences of what is in the image

Made by `make licences` from `{LOCK}` and from what the packages say of themselves; a test fails when this page is older
than the lock, and when a licence is not among those that `tests/deployment/licences.py` allows. The same packages with
the hashes of their files are in the bill of materials that `make sbom` writes.

| package | version | licence |
|---|---|---|
"""


def refused(found: Package) -> list[str]:
    """The licences in its expression that are not allowed."""
    named = set(re.findall(r"[A-Za-z0-9.+-]+", found.licence)) - {"AND", "OR", "WITH"}
    return sorted(named - ALLOWED)


def page() -> str:
    """The page as it should be."""
    return HEAD + "".join(f"| {one.name} | {one.version} | {one.licence} |\n" for one in packages())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
