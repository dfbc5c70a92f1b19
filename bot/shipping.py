"""The one step of the build that pyproject.toml has no words for: `flows` and `sql` become folders of the package.

In a checkout they stand beside the package, where people work on them. In a wheel they lie in `bot/shipped`, so the
service finds them wherever and however it was installed (`shipped` in bot/config.py). Only the build imports this.
"""

from pathlib import Path

from setuptools.command.build_py import build_py

SHIPPED = {"flows": ("*.yaml", "*.json"), "sql": ("roles.sql", "migrations/*.sql", "queries/*.sql")}
"""What is shipped, by folder."""


class BuildWithShipped(build_py):
    """Nothing is copied for an editable installation: there the checkout itself is used."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source in sources():
                target = Path(self.build_lib, "bot", "shipped", source)
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))


def sources() -> list[Path]:
    """Every file that is shipped, by its path in the checkout; the same order each time."""
    return sorted(path for folder, kinds in SHIPPED.items() for kind in kinds for path in Path(folder).glob(kind))
