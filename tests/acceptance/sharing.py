"""What the tests of a running service share: a stage that lasts a module, and numbers nobody else writes from."""

import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import OUR_NUMBER
from tests.conftest import Servers

_numbers = itertools.count(1)


def new_phone() -> str:
    """A number that no other test of this process writes from."""
    return f"9188{next(_numbers):08d}"


def new_user_id() -> str:
    """A business-scoped user id that is new, too."""
    return f"IN.26{next(_numbers):014d}"


def account_body(text: str, *, identity: str = "", **sender: str) -> dict[str, Any]:
    """MSG91's own shape: Meta's message as JSON in a string; `sender` has the keys of that message."""
    identity = identity or f"wamid.{next(_numbers)}"
    message = {**sender, "id": identity, "timestamp": str(int(time.time())), "type": "text", "text": {"body": text}}
    return {"integratedNumber": OUR_NUMBER, "uuid": f"{identity}_callback", "messages": json.dumps([message])}


@asynccontextmanager
async def shared_stage(servers: Servers, folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    """A stage over a database of its own."""
    servers.flush_redis()
    url = servers.new_database()
    try:
        async with staged(url, servers.urls.redis, folder, **settings) as stage:
            yield stage
    finally:
        servers.drop(url)
