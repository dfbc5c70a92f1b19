"""What the command line says when something is away, and that it ends in silence when nobody reads on."""

import os
import subprocess
import sys

import pytest

from bot.__main__ import _run

NOWHERE = {"DATABASE_URL": "postgresql://u@/x?host=/nowhere", "REDIS_URL": "redis://127.0.0.1:1/0"}


def test_a_database_that_is_away_is_named_with_its_setting() -> None:
    command = (sys.executable, "-m", "bot", "tokens", "list")
    ended = subprocess.run(command, env=os.environ | NOWHERE, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("bot: PostgreSQL (DATABASE_URL): ")
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    async def write_into_a_closed_pipe() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            os.write(writer, b"more")
        finally:
            os.close(writer)

    with pytest.raises(BrokenPipeError):  # which click knows and ends on in silence
        _run(write_into_a_closed_pipe())
