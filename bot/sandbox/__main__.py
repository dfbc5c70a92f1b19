"""`python -m bot.sandbox name=value ...`: the sandbox alone, each setting by its name (`port=9100`)."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from bot.sandbox.server import run
from bot.sandbox.settings import SandboxSettings


def settings_from(words: Sequence[str]) -> SandboxSettings:
    """Settings from `name=value` words; lists are comma separated. `msgspec.ValidationError` names a bad one."""
    given: dict[str, object] = dict(word.partition("=")[::2] for word in words)
    for name in ("integrated_numbers", "models"):
        if name in given:
            given[name] = str(given[name]).split(",")
    return msgspec.convert(given, SandboxSettings, strict=False)


def main() -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(run(settings_from(sys.argv[1:])))


if __name__ == "__main__":
    main()
