"""Asks whether anything in `requirements.lock` has a known vulnerability: `make audit`, and the last step of CI.

The question goes to the package index and, when that does not know, to osv.dev. Without a network, or behind a mirror
that answers for downloads alone, nobody can be asked. pip-audit then reports success, so its words are looked at here:
an audit that was not done is told in large letters and ends with 2, never with 0.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from tests.deployment.code import ROOT
from tests.deployment.locked import LOCK

SERVICES: Final = ("pypi", "osv")
SECONDS: Final = 180.0
"""For one service to answer for everything."""
REPLY_SECONDS: Final = 15
"""For one of its answers."""
MOST_TOLD: Final = 5
"""Packages that are named as not looked at."""
SOUND, VULNERABLE, NOT_DONE = 0, 1, 2


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    fix_versions: tuple[str, ...] = ()


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str = ""
    skip_reason: str = ""
    vulns: tuple[Vulnerability, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What pip-audit prints."""

    dependencies: tuple[Dependency, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: the exit code; `lines`: for whoever reads the output."""

    status: Literal[0, 1, 2]
    lines: tuple[str, ...]


def judged(output: bytes, trouble: bytes) -> Verdict:
    """What pip-audit's output means: `output` as it was printed, `trouble` what it said beside it."""
    try:
        told = msgspec.json.decode(output, type=Told)
    except msgspec.DecodeError:
        last = trouble.decode(errors="replace").strip().rpartition("\n")[2]
        return Verdict(status=2, lines=(f"the service did not answer: {last}",))
    found = [
        f"{one.name} {one.version}: {flaw.id}, mended in {', '.join(flaw.fix_versions) or 'no version yet'}"
        for one in told.dependencies
        for flaw in one.vulns
    ]
    skipped = [one.name for one in told.dependencies if one.skip_reason]
    if found:
        return Verdict(status=1, lines=tuple(found))
    if skipped or not told.dependencies:
        which = ", ".join(skipped[:MOST_TOLD])
        return Verdict(status=2, lines=(f"the service knows nothing of {len(skipped)} packages: {which}",))
    return Verdict(status=0, lines=(f"{len(told.dependencies)} packages, no vulnerability is known",))


def ask(service: str) -> Verdict:
    """One service's verdict on the lock."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", LOCK, "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", service, "--timeout", str(REPLY_SECONDS)]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Verdict(status=2, lines=(f"no answer within {SECONDS:.0f} s",))
    return judged(done.stdout, done.stderr)


def audit(ask: Callable[[str], Verdict], say: Callable[[str], object]) -> int:
    """Ask one service after the other until one knows; its exit code."""
    unheard = []
    for service in SERVICES:
        verdict = ask(service)
        if verdict.status != NOT_DONE:
            for line in verdict.lines:
                say(f"audit ({service}): {line}")
            return verdict.status
        unheard += [f"    {service}: {line}" for line in verdict.lines]
    say("\n".join(["=" * 100, "THE DEPENDENCIES WERE NOT AUDITED: nobody could be asked.", *unheard, "=" * 100]))
    return NOT_DONE


if __name__ == "__main__":
    sys.exit(audit(ask, lambda line: print(line, file=sys.stderr)))  # noqa: T201 - it is what this is for
