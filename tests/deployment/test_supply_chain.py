"""What the image is made of: licences are allowed and listed, the bill of materials is valid and complete, and an audit
that could not be done is never taken for one that found nothing.
"""

import json
import re
import sys
import tomllib

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.deployment.audit import NOT_DONE, SOUND, VULNERABLE, Verdict, audit, judged
from tests.deployment.code import PROJECT, VERSION, read
from tests.deployment.licences import PAGE, page, refused
from tests.deployment.locked import LOCK, UNKNOWN, Package, licence_of, packages
from tests.deployment.sbom import made

of_the_image = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is that of Python 3.11")

# --- licences ---------------------------------------------------------------------------------------------------------


@of_the_image
def test_every_licence_is_known_and_allowed() -> None:
    assert {one.name: refused(one) for one in packages() if refused(one)} == {}


@of_the_image
def test_the_page_of_licences_is_that_of_the_lock() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make licences`"


@pytest.mark.parametrize(
    ("licence", "named"),
    [
        ("MIT", []),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", []),
        ("MIT AND GPL-3.0-only", ["GPL-3.0-only"]),
        ("AGPL-3.0-or-later OR MIT", ["AGPL-3.0-or-later"]),
        (UNKNOWN, [UNKNOWN]),
    ],
)
def test_a_licence_that_is_not_allowed_is_named(licence: str, named: list[str]) -> None:
    assert refused(Package(name="a", version="1", hashes=(), licence=licence)) == named


def test_what_says_nothing_exact_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.deployment.locked.READ_IN_ITS_FILE", {})
    assert licence_of("google-re2") == UNKNOWN
    assert licence_of("aiohttp") == "Apache-2.0 AND MIT"


# --- bill of materials ------------------------------------------------------------------------------------------------


@of_the_image
def test_the_bill_of_materials_is_valid_and_has_every_package_with_its_hashes() -> None:
    document = made()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
    bill = json.loads(document)
    assert bill["metadata"]["component"]["name"] == PROJECT["name"]
    assert bill["metadata"]["component"]["version"] == VERSION
    listed = {(one["name"], one["version"]): one for one in bill["components"]}
    assert set(listed) == {(one.name, one.version) for one in packages()}
    for one in packages():
        (source,) = listed[one.name, one.version]["externalReferences"]
        assert {found["content"] for found in source["hashes"]} == set(one.hashes)
    told = {content["content"] for one in listed.values() for content in one["externalReferences"][0]["hashes"]}
    assert len(told) >= len(re.findall("--hash=", read(LOCK))) * 0.9


@of_the_image
def test_the_same_lock_makes_the_same_bill() -> None:
    assert made() == made()


def test_every_package_has_a_hash() -> None:
    names = re.findall(r"^([A-Za-z0-9]\S*?)==", read(LOCK), re.MULTILINE)
    assert len(names) >= len(packages()) > 30
    assert all(one.hashes for one in packages())


# --- audit ------------------------------------------------------------------------------------------------------------

SKIPPED = {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could not be audited: aiohttp (3.14.5)"}
FLAWED = {
    "name": "aiohttp",
    "version": "3.9.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.9.4"], "aliases": ["CVE-1"], "description": "bad"}],
}
FINE = {"name": "yarl", "version": "1.0", "vulns": []}


@pytest.mark.parametrize(
    ("dependencies", "status"),
    [
        ([FINE], SOUND),
        ([FINE, FLAWED], VULNERABLE),
        ([SKIPPED, FLAWED], VULNERABLE),
        ([SKIPPED, FINE], NOT_DONE),
        ([SKIPPED], NOT_DONE),
        ([], NOT_DONE),
    ],
)
def test_an_audit_is_done_only_when_everything_was_looked_at(dependencies: list[object], status: int) -> None:
    assert judged(json.dumps({"dependencies": dependencies, "fixes": []}).encode(), b"").status == status


def test_a_service_that_cannot_be_reached_is_no_good_news() -> None:
    verdict = judged(b"", b"WARNING: trying\nERROR: could not connect")
    assert verdict == Verdict(status=2, lines=("the service did not answer: ERROR: could not connect",))


def test_the_second_service_is_asked_when_the_first_does_not_know() -> None:
    said: list[str] = []
    answers = {
        "pypi": Verdict(status=2, lines=("knows nothing",)),
        "osv": judged(json.dumps({"dependencies": [FLAWED]}).encode(), b""),
    }
    assert audit(answers.__getitem__, said.append) == VULNERABLE
    assert said == ["audit (osv): aiohttp 3.9.0: PYSEC-1, mended in 3.9.4"]


def test_an_audit_that_was_not_done_says_so_loudly() -> None:
    said: list[str] = []
    assert audit(lambda _: Verdict(status=2, lines=("offline",)), said.append) == NOT_DONE
    assert "THE DEPENDENCIES WERE NOT AUDITED" in said[0]
    assert "pypi: offline" in said[0]


def test_ci_audits_and_fails_on_what_is_found() -> None:
    last = read(".ci/check").strip().splitlines()[-1]
    assert "tests.deployment.audit" in last
    assert '[ "$?" -eq 2 ]' in last
    tools = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]["dev"]
    assert any(tool.startswith("pip-audit") for tool in tools)
