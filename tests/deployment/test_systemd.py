"""The systemd units: parsed always, verified by systemd itself where it is installed, and true to the code."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.deployment.code import GRACE, ROOT, SETTINGS, problem_of_command, seconds

FOLDER = ROOT / "docs" / "deployment" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))
REPLICA = FOLDER / "bot@.service"
BOT = "/opt/bot/bin/bot"
DIRECTIVES = {
    "Unit": "Description Wants After StartLimitIntervalSec",
    "Install": "WantedBy",
    "Service": """
        Type ExecStart ExecReload EnvironmentFile Environment Restart RestartSec KillSignal KillMode TimeoutStopSec
        MemoryMax LimitNOFILE DynamicUser UMask NoNewPrivileges ProtectSystem ProtectHome PrivateTmp PrivateDevices
        ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname
        ProtectProc RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality
        MemoryDenyWriteExecute SystemCallArchitectures SystemCallFilter CapabilityBoundingSet StateDirectory
        StateDirectoryMode
    """,
    "Timer": "OnCalendar RandomizedDelaySec Persistent",
}
"""What systemd.unit(5), systemd.service(5), systemd.timer(5), systemd.exec(5), systemd.kill(5) and
systemd.resource-control(5) of systemd 250 and later know, as far as we use it: a misspelt directive is ignored by
systemd with a line in the log.
"""
ANALYZE = shutil.which("systemd-analyze")

Sections = dict[str, dict[str, list[str]]]


def parsed(path: Path) -> Sections:
    """Sections, directives, values; a directive may come more than once."""
    sections: Sections = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
            sections[section] = defaultdict(list)
            continue
        name, equals, value = line.partition("=")
        assert equals, f"{path.name}: {line!r} is no directive"
        sections[section][name].append(value)
    return sections


@pytest.mark.parametrize("path", [*UNITS, *TIMERS], ids=lambda path: path.name)
def test_every_directive_is_known_in_its_section(path: Path) -> None:
    for section, directives in parsed(path).items():
        assert directives.keys() <= set(DIRECTIVES[section].split())


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_command_and_setting_exists(path: Path) -> None:
    service = parsed(path)["Service"]
    (start,) = service["ExecStart"]
    program, *words = shlex.split(start)
    assert program == BOT
    assert problem_of_command(words) == ""
    assert {line.partition("=")[0] for line in service["Environment"]} <= SETTINGS
    assert service["EnvironmentFile"] == ["/etc/bot/bot.env"]


def test_the_main_process_alone_hears_sigterm_and_has_longer_than_it_may_take() -> None:
    service = parsed(REPLICA)["Service"]
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["KillMode"] == ["mixed"]
    assert seconds(service["TimeoutStopSec"][0]) > GRACE
    assert service["Restart"] == ["always"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_a_backup_goes_where_its_unit_may_write_and_a_timer_starts_it() -> None:
    service = parsed(FOLDER / "bot-backup.service")["Service"]
    (folder,) = service["StateDirectory"]
    assert service["ExecStart"] == [f"{BOT} backup /var/lib/{folder}"]
    assert [path.stem for path in TIMERS] == ["bot-backup"]


def test_migrations_before_a_release_leave_the_old_one_alone() -> None:
    service = parsed(FOLDER / "bot-migrate.service")["Service"]
    assert service["Type"] == ["oneshot"]
    assert service["ExecStart"] == [f"{BOT} migrate --pre"]


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed here: the units were parsed, but not verified")
def test_systemd_itself_has_nothing_to_say(tmp_path: Path) -> None:
    """With a program that exists, because systemd looks for it."""
    for path in (*UNITS, *TIMERS):
        name = path.name.replace("@.", "@8001.")
        text = path.read_text(encoding="utf-8").replace(BOT, sys.executable)
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        [ANALYZE or "", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []
    assert done.returncode == 0, done.stderr
