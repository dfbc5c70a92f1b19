"""The Kubernetes objects: valid for every Kubernetes that is in use, and true to the code and to each other."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bot.config import Settings, demands_of_service, read_settings
from tests.deployment.code import GRACE, IMAGE, RATE_OF_A_NUMBER, ROOT, SETTINGS, VERSION, paths, problem_of_command
from tests.deployment.compose import DEVELOPMENT

FOLDER = ROOT / "docs" / "deployment" / "kubernetes"
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest that we speak for."""
OBJECTS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
KUSTOMIZATION = OBJECTS.pop("kustomization")
POD: dict[str, Any] = OBJECTS["deployment"]["spec"]["template"]["spec"]
JOB: dict[str, Any] = OBJECTS["migrate"]["spec"]["template"]["spec"]
SECRETS = (
    *("DATABASE_URL", "REDIS_URL", "MSG91_AUTH_KEY", "MSG91_WEBHOOK_SECRET"),
    *("ENCRYPTION_KEYS", "ADMIN_TOKEN", "OPENROUTER_API_KEY"),
)


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def literals() -> dict[str, str]:
    (generator,) = KUSTOMIZATION["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OBJECTS)
def test_it_is_valid_by_the_schema_of_kubernetes(name: str, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)


def test_the_schema_finds_a_misspelling() -> None:
    broken = {**OBJECTS["service"], "spec": {**OBJECTS["service"]["spec"], "sessionAfinity": "None"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_the_base_holds_every_object_but_the_migration() -> None:
    assert set(KUSTOMIZATION["resources"]) == {f"{name}.yaml" for name in OBJECTS} - {"migrate.yaml"}
    assert all((FOLDER / Path(name)).is_file() for name in KUSTOMIZATION["resources"])
    known = {"apiVersion", "kind", "resources", "labels", "images", "configMapGenerator"}
    assert KUSTOMIZATION.keys() == known


def test_the_image_is_ours_in_this_version() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == (IMAGE, VERSION)
    assert container(POD)["image"] == image["name"]
    assert container(JOB)["image"] == f"{image['newName']}:{image['newTag']}"


def test_a_replica_would_start_with_its_settings_and_secrets() -> None:
    secrets = {**{name: DEVELOPMENT.get(name, "x") for name in SECRETS}, "OPENROUTER_API_KEY": ""}
    stores = {"DATABASE_URL": "postgresql://bot@db/bot", "REDIS_URL": "redis://cache"}
    own = {variable["name"]: variable.get("value", "a-pod") for variable in container(POD)["env"]}
    environment = {**literals(), **secrets, **stores, **own}
    assert environment.keys() <= SETTINGS
    settings = read_settings(environment, dotenv=None, demands=demands_of_service)
    assert settings.port == container(POD)["ports"][0]["containerPort"]


def test_the_guide_makes_the_secret_with_every_name_in_it() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert [name for name in SECRETS if f"--from-literal={name}=" not in page] == []
    assert {source[kind]["name"] for source in container(POD)["envFrom"] for kind in source} == {
        "bot-settings",
        "bot-secrets",
    }
    (variable,) = container(JOB)["env"]
    assert variable["name"] == variable["valueFrom"]["secretKeyRef"]["key"] == "DATABASE_URL"


def test_every_command_and_path_exists() -> None:
    assert problem_of_command(container(POD)["args"]) == ""
    assert container(JOB)["args"] == ["migrate", "--pre"]
    assert problem_of_command(container(JOB)["args"]) == ""
    probes = {kind: container(POD)[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    (rule,) = OBJECTS["ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert {path["path"], "/health", "/ready", "/metrics"} <= paths()
    annotations = OBJECTS["deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == "/metrics"


def test_ports_and_labels_lead_to_the_pods() -> None:
    labels = OBJECTS["deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        OBJECTS["deployment"]["spec"]["selector"]["matchLabels"],
        OBJECTS["service"]["spec"]["selector"],
        OBJECTS["disruption"]["spec"]["selector"]["matchLabels"],
        POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    (port,) = container(POD)["ports"]
    (offered,) = OBJECTS["service"]["spec"]["ports"]
    assert offered["targetPort"] == port["name"]
    (path,) = OBJECTS["ingress"]["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {
        "name": OBJECTS["service"]["metadata"]["name"],
        "port": {"name": offered["name"]},
    }
    assert OBJECTS["service"]["spec"]["sessionAffinity"] == "None"


def test_a_stopping_pod_has_longer_than_it_may_take() -> None:
    (*_, wait) = container(POD)["lifecycle"]["preStop"]["exec"]["command"]
    assert float(literals()["DRAIN_SECONDS"]) == Settings().drain_seconds
    assert POD["terminationGracePeriodSeconds"] > float(wait) + GRACE


def test_a_rollout_never_has_fewer_replicas_than_asked_for() -> None:
    spec = OBJECTS["deployment"]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_replicas_share_the_rate_of_the_number_during_a_rollout_too() -> None:
    spec = OBJECTS["deployment"]["spec"]
    most = spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"]
    assert most * float(literals()["MSG91_RATE"]) <= RATE_OF_A_NUMBER


@pytest.mark.parametrize("pod", [POD, JOB], ids=["replica", "migration"])
def test_a_pod_may_do_nothing_that_it_need_not(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container(pod)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(pod)["resources"]["limits"].keys() == {"memory"}
