"""What the image is made of, by `requirements.lock`: every package with its version, hashes and licence.

The licence is what the installed package says of itself, as an SPDX expression; where it says nothing exact it was
read in the licence file that comes with it, and stands here.
"""

import re
from collections.abc import Mapping
from importlib.metadata import metadata
from typing import Final

import msgspec
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.deployment.code import read

LOCK: Final = "requirements.lock"
PIN: Final = re.compile(
    r"^(\S+?)==(\S+)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
IMAGE: Final[dict[str, str]] = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.15",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""What markers are judged by: the image, wherever this runs."""
READ_IN_ITS_FILE: Final[Mapping[str, str]] = {
    "google-re2": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "pybreaker": "BSD-3-Clause",
    "shellingham": "ISC",
}
CLASSIFIED: Final[Mapping[str, str]] = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
UNKNOWN: Final = "unknown"


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """`hashes`: SHA-256 of the files that may be taken for it. `licence`: an SPDX expression, or `UNKNOWN`."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str


def packages() -> tuple[Package, ...]:
    """Everything that the image installs, in the order of the alphabet."""
    return tuple(
        Package(
            name=canonicalize_name(name),
            version=version,
            hashes=tuple(sorted(re.findall(r"sha256:([0-9a-f]{64})", hashes))),
            licence=licence_of(canonicalize_name(name)),
        )
        for name, version, marker, hashes in PIN.findall(read(LOCK))
        if not marker or Marker(marker).evaluate(IMAGE)
    )


def licence_of(name: str) -> str:
    """What an installed package says, the most exact word first."""
    told = metadata(name)
    classified = [
        line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")
    ]
    if expression := told.get_all("License-Expression"):
        return _spdx(expression[0])
    if name in READ_IN_ITS_FILE:
        return READ_IN_ITS_FILE[name]
    if classified and all(one in CLASSIFIED for one in classified):
        return _spdx(" AND ".join(sorted({CLASSIFIED[one] for one in classified})))
    return _spdx("".join(told.get_all("License") or ()))


def _spdx(text: str) -> str:
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return UNKNOWN
