"""What deploys the daemon holds together: manifests, the compose file, and the configurations in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from anomalyd import __version__
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.deployment.alert_rules import alert_rules, rules_resource
from anomalyd.daemon.deployment.alertmanager import alertmanager_file

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
"""Of kinds of operators, whose schemas do not come with Kubernetes."""

GIVEN = {
    "POD_NAME": "anomalyd-0",
    "KAFKA_USERNAME": "x",
    "KAFKA_PASSWORD": "x",
    "DATABASE_URL": "postgresql://a@b/c",
}


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
    if manifest["apiVersion"].split("/")[0] in ("monitoring.coreos.com", "keda.sh"):
        jsonschema.validate(manifest, json.loads((SCHEMAS / f"{manifest['kind']}.json").read_text()))
    else:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("kind", sorted(path.stem for path in SCHEMAS.iterdir()))
def test_a_field_that_is_not_known_is_refused(kind: str) -> None:
    found = [yaml.safe_load(path.read_text()) for path in manifests()]
    (manifest,) = [each for each in found if each["kind"] == kind]
    manifest["spec"]["replicaz"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replicaz"):
        jsonschema.validate(manifest, json.loads((SCHEMAS / f"{kind}.json").read_text()))


def opened(policy: Path) -> set[int]:
    """The ports that a network policy lets out to."""
    egress = yaml.safe_load(policy.read_text())["spec"]["egress"]
    return {port["port"] for rule in egress for port in rule["ports"]}


def test_the_network_policy_lets_out_to_what_the_configuration_names() -> None:
    config = load_config(KUBERNETES / "anomalyd.yaml", GIVEN)
    brokers = {int(server.rpartition(":")[2]) for server in config.kafka.bootstrap_servers}
    policy = KUBERNETES / "network-policy.yaml"
    assert brokers | {53, 5432} <= opened(policy)
    (ingress,) = yaml.safe_load(policy.read_text())["spec"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [config.metrics.port]
    assert config.metrics.otlp is None, "its port is opened by the component with-otlp alone"


def test_the_component_opens_the_port_of_a_collector_for_the_same_pods() -> None:
    folder = KUBERNETES / "with-otlp"
    component = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert component["kind"] == "Component"
    assert component["namespace"] == kustomization()["namespace"], "it is in none otherwise"
    assert {*component["resources"], "kustomization.yaml"} == {path.name for path in folder.iterdir()}
    policy = folder / "network-policy.yaml"
    manifest = yaml.safe_load(policy.read_text())
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    assert opened(policy) == {4318}
    base = yaml.safe_load((KUBERNETES / "network-policy.yaml").read_text())
    assert manifest["spec"]["podSelector"] == base["spec"]["podSelector"]
    assert manifest["metadata"]["name"] != base["metadata"]["name"]


def test_every_file_is_applied() -> None:
    components = {"with-otlp", "with-dashboard"}
    meant = {*kustomization()["resources"], "kustomization.yaml", "anomalyd.yaml"} | components
    assert {path.name for path in KUBERNETES.iterdir()} == meant


def test_the_scaler_asks_for_what_the_daemon_reads() -> None:
    config = load_config(KUBERNETES / "anomalyd.yaml", GIVEN)
    scaled = yaml.safe_load((KUBERNETES / "scaled-object.yaml").read_text())["spec"]
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    assert asked["bootstrapServers"].split(",") == config.kafka.bootstrap_servers
    assert asked["consumerGroup"] == config.kafka.group
    assert asked["topic"] in {i.topic for i in config.inputs}
    assert int(asked["lagThreshold"]) == config.kafka.queue_records
    assert asked["allowIdleConsumers"] == "false"  # KEDA then stops at the number of partitions
    assert asked["sasl"] == config.kafka.security.sasl_mechanism.lower().replace("sha-", "sha").replace(
        "-", "_"
    )


def test_the_rules_are_those_of_its_configuration() -> None:
    config = load_config(KUBERNETES / "anomalyd.yaml", GIVEN)
    shipped = (KUBERNETES / "prometheus-rule.yaml").read_text()
    assert shipped == rules_resource(alert_rules(config)), "run `make docs`"
    assert f"> {2 * config.kafka.queue_records}" in shipped


def test_the_pod_may_do_little() -> None:
    pod = yaml.safe_load((KUBERNETES / "statefulset.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["image"] == f"anomalyd:{__version__}"


@pytest.mark.parametrize("path", ["kubernetes/anomalyd.yaml", "compose/anomalyd.yaml"])
def test_the_configuration_is_one(path: str) -> None:
    assert load_config(DEPLOY / path, GIVEN).inputs


def test_the_compose_file_pins_images_and_mounts_what_is_there() -> None:
    folder = DEPLOY / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert re.search(r":v?\d+[\w.-]*$", service["image"]), f"{name} names no version"
        mounts = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]
        assert [m for m in mounts if not (folder / m).exists()] == []


def test_the_compose_file_holds_together() -> None:
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= services.keys(), name
        waited = service["depends_on"] if isinstance(service.get("depends_on"), dict) else {}
        assert all("healthcheck" in services[other] for other in waited), name
        kept = [v.split(":")[0] for v in service.get("volumes", ()) if not v.startswith(".")]
        assert set(kept) <= compose["volumes"].keys(), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    scraped = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    hosts = {
        target.split(":")[0]
        for part in (*scraped["scrape_configs"], *scraped["alerting"]["alertmanagers"])
        for target in part["static_configs"][0]["targets"]
    }
    assert hosts <= services.keys()


def test_the_image_is_of_a_version_and_has_no_root() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(re.search(r":\d+\.\d+-slim$", base) for base in bases)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]


def test_alertmanager_takes_its_configuration() -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("no amtool in PATH: install Debian's package prometheus-alertmanager")
    file = DEPLOY / "prometheus" / "alertmanager.yml"
    assert file.read_text() == alertmanager_file(), "run `make docs`"
    done = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
