"""deploy/kubernetes as documents: valid by Kubernetes' schemas, confined, each with its secrets."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import flows

FOLDER = Path(flows.__file__).parents[1] / "deploy/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: dict[str, dict[str, Any]] = {
    f"{each['kind']}/{each['metadata']['name']}": each
    for file in KUSTOMIZATION["resources"]
    for each in yaml.safe_load_all((FOLDER / file).read_text())
}
WORKLOADS = {
    name: each["spec"]["template"]["spec"]
    for name, each in OBJECTS.items()
    if each["kind"] in ("Deployment", "Job")
}
KUBERNETES = ("1.31", "1.35")


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_is_valid(name: str, kubernetes: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], kubernetes, strict=True)


def test_every_file_is_applied_and_the_image_is_this_version() -> None:
    files = {file.name for file in FOLDER.iterdir()} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files
    (image,) = KUSTOMIZATION["images"]
    assert image["newTag"] == version("hagicode-mirror")
    for pod in WORKLOADS.values():
        assert [each["image"] for each in pod["containers"]] == [image["name"]]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_is_confined(name: str) -> None:
    pod = WORKLOADS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]


def test_each_pod_has_the_secrets_that_it_needs_and_no_others() -> None:
    given = {
        name.partition("/")[2]: set(
            re.findall(r"secret(?:Key)?Ref': {'name': '([\w-]+)'", str(pod))
        )
        for name, pod in WORKLOADS.items()
    }
    assert given == {
        "migrate": {"owner"},
        "deploy": {"prefect"},
        "prefect-server": {"prefect", "prefect-database"},
        "worker": {"history", "prefect", "registries", "alerts"},
        "watch": {"history", "prefect", "registries", "alerts"},
        "watchdog": {"history", "prefect", "alerts"},
        "site": {"history", "prefect"},  # of the history the reader's login alone
    }
    (site,) = WORKLOADS["Deployment/site"]["containers"]
    assert "envFrom" not in site


def test_services_reach_their_pods_and_nothing_else_is_let_in() -> None:
    for name in ("prefect-server", "site"):
        labels = OBJECTS[f"Deployment/{name}"]["spec"]["template"]["metadata"]["labels"]
        assert OBJECTS[f"Service/{name}"]["spec"]["selector"] == labels
        assert OBJECTS[f"NetworkPolicy/{name}"]["spec"]["podSelector"]["matchLabels"] == labels
    closed = OBJECTS["NetworkPolicy/closed"]["spec"]
    assert closed["policyTypes"] == ["Ingress"] and "ingress" not in closed
