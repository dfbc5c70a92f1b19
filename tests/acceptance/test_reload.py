"""Flows change under a running service: a broken set is refused whole, and who is in a flow stays on its version."""

import signal
from pathlib import Path

from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import ROOT, until

COUNT = (ROOT / "tests" / "acceptance" / "flows" / "count.yaml").read_text()
SECOND = COUNT.replace("version: 1", "version: 2").replace("Heard", "Second heard").replace("Echo", "Second echo")
THIRD = SECOND.replace("version: 2", "version: 3").replace("Second", "Third")
BROKEN = "flow_id: broken\nversion: 1\nsteps:\n  - {id: a, type: goto, target: nowhere}\n"


async def _versions(stage: Stage) -> dict[str, int]:
    status, answer = await stage.service.api("GET", "/flows")
    assert status == 200
    return {flow["flow_id"]: flow["version"] for flow in answer["items"]}


async def test_a_reload_is_whole_or_not_at_all_and_versions_stay_with_their_conversations(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "count.yaml").write_text(COUNT)
    async with staged(database_url, redis_url, tmp_path, FLOWS_DIR=str(flows)) as stage:
        old, new = new_phone(), new_phone()
        await stage.hear("hello", phone=old)
        await stage.told("Heard hello", phone=old)

        (flows / "count.yaml").write_text(SECOND)
        (flows / "broken.yaml").write_text(BROKEN)
        status, refused = await stage.service.api("POST", "/flows/reload")
        assert status == 422
        assert any("broken.yaml:4" in problem for problem in refused["error"]["problems"]), refused
        assert await _versions(stage) == {"count": 1}

        (flows / "broken.yaml").unlink()
        status, _ = await stage.service.api("POST", "/flows/reload")
        assert status == 200
        assert await _versions(stage) == {"count": 2}
        await stage.hear("a", phone=old)
        await stage.hear("hello", phone=new)
        await stage.told("Heard hello", "Echo a", phone=old)
        await stage.told("Second heard hello", phone=new)

        assert await stage.service.terminate() == 0
        (flows / "count.yaml").write_text(THIRD)
        await stage.service.start()
        await stage.hear("b", phone=old)
        await stage.hear("b", phone=new)
        await stage.told("Heard hello", "Echo a", "Echo b", phone=old)
        await stage.told("Second heard hello", "Second echo b", phone=new)

        (flows / "count.yaml").write_text(THIRD.replace("version: 3", "version: 4"))
        stage.service.signal(signal.SIGHUP)
        await until(lambda: _is_version(stage, 4), "SIGHUP reloads")


async def _is_version(stage: Stage, version: int) -> bool:
    return await _versions(stage) == {"count": version}
