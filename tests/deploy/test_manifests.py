"""What deploys the daemon holds together: manifests, the compose file, and the configurations in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from anomalyd import __version__
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.deployment.alertmanager import alertmanager_file

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
CUSTOM = {"ServiceMonitor", "ScaledObject"}
"""Kinds of operators, whose schemas do not come with Kubernetes."""


def manifests() -> list[Path]:
    return [KUBERNETES / name for name in kustomization()["resources"]]


def kustomization() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    return found


def test_kustomize_finds_its_files() -> None:
    assert all(path.is_file() for path in manifests())
    (generated,) = kustomization()["configMapGenerator"]
    assert all((KUBERNETES / name).is_file() for name in generated["files"])


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.stem)
def test_a_manifest_fits_the_schema(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    assert manifest["metadata"]["name"] == "anomalyd"
    if manifest["kind"] not in CUSTOM:
        newest = kubernetes_validate.latest_version()
        kubernetes_validate.validate(manifest, newest, strict=True)


def test_the_pod_may_do_little() -> None:
    pod = yaml.safe_load((KUBERNETES / "statefulset.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["image"] == f"anomalyd:{__version__}"


@pytest.mark.parametrize("path", ["kubernetes/anomalyd.yaml", "compose/anomalyd.yaml"])
def test_the_configuration_is_one(path: str) -> None:
    given = {"POD_NAME": "anomalyd-0", "KAFKA_PASSWORD": "x", "DATABASE_URL": "postgresql://a@b/c"}
    assert load_config(DEPLOY / path, given).inputs


def test_the_compose_file_pins_images_and_mounts_what_is_there() -> None:
    folder = DEPLOY / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert re.search(r":v?\d+[\w.-]*$", service["image"]), f"{name} names no version"
        mounts = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]
        assert [m for m in mounts if not (folder / m).exists()] == []


def test_alertmanager_takes_its_configuration() -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("no amtool in PATH: install Debian's package prometheus-alertmanager")
    file = DEPLOY / "prometheus" / "alertmanager.yml"
    assert file.read_text() == alertmanager_file(), "run `make docs`"
    done = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
