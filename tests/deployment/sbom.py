"""The bill of materials of the image: CycloneDX 1.6 as JSON, made from `requirements.lock`. `make sbom` writes it.

It says nothing that changes from run to run: the same lock and version make the same file.
"""

import sys
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from tests.deployment.code import PROJECT, VERSION, read
from tests.deployment.locked import LOCK, Package, packages

SCHEMA: Final = SchemaVersion.V1_6
INDEX: Final = "https://pypi.org/simple/"


def made() -> str:
    """The document."""
    service = _component(PROJECT["name"], VERSION, ComponentType.APPLICATION)
    bom = Bom(
        components=[_package(one) for one in packages()],
        serial_number=uuid5(NAMESPACE_URL, f"{PROJECT['name']} {VERSION} {read(LOCK)}"),
    )
    bom.metadata.component = service
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema asks for none, and a file that repeats has none
    bom.register_dependency(service, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=1)


def _package(one: Package) -> Component:
    component = _component(one.name, one.version, ComponentType.LIBRARY)
    component.licenses = [LicenseFactory().make_from_string(one.licence)]
    component.external_references = [
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(f"{INDEX}{one.name}/"),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value) for value in one.hashes],
        )
    ]
    return component


def _component(name: str, version: str, kind: ComponentType) -> Component:
    purl = PackageURL(type="pypi", name=name, version=version)
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl))


if __name__ == "__main__":
    sys.stdout.write(made() + "\n")
