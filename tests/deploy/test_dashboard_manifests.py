"""The dashboard on Kubernetes: a component that shows nobody anything until the operator opens it."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from anomalyd import __version__
from anomalyd.daemon.cli.read import dashboard
from anomalyd.daemon.config.config import load_config

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
FOLDER = KUBERNETES / "with-dashboard"
NAME = "anomalyd-dashboard"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def component() -> Any:
    return read(FOLDER / "kustomization.yaml")


def pod() -> Any:
    return read(FOLDER / "deployment.yaml")["spec"]["template"]


def container() -> Any:
    (found,) = pod()["spec"]["containers"]
    return found


def documented() -> list[str]:
    """The blocks of code in the page on deployment."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    return [textwrap.dedent(block) for block in re.findall(r"(?:^ {4,}\S.*\n)+", page, re.MULTILINE)]


def documented_manifest(kind: str) -> str:
    (found,) = [block for block in documented() if f"\nkind: {kind}\n" in block]
    return found


def check(manifest: Any) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_the_component_names_its_files_and_the_namespace_of_the_base() -> None:
    found = component()
    assert found["kind"] == "Component"
    assert found["namespace"] == read(KUBERNETES / "kustomization.yaml")["namespace"]
    assert {*found["resources"], "kustomization.yaml"} == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", component()["resources"])
def test_a_manifest_fits_the_schema(name: str) -> None:
    manifest = read(FOLDER / name)
    check(manifest)
    assert manifest["metadata"]["name"] == NAME


def test_nothing_of_the_daemon_selects_the_dashboard() -> None:
    """The daemon's service, disruption budget, network policy and Prometheus choose by the same label."""
    labels = pod()["metadata"]["labels"]
    assert labels == read(FOLDER / "deployment.yaml")["spec"]["selector"]["matchLabels"]
    assert labels == read(FOLDER / "service.yaml")["spec"]["selector"]
    assert labels == read(FOLDER / "network-policy.yaml")["spec"]["podSelector"]["matchLabels"]
    daemon = read(KUBERNETES / "statefulset.yaml")["spec"]["template"]["metadata"]["labels"]
    assert daemon.keys() == labels.keys()
    assert daemon != labels


def test_nobody_is_let_in_and_it_gets_out_to_names_and_the_store_alone() -> None:
    spec = read(FOLDER / "network-policy.yaml")["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert not spec.get("ingress")
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 5432}


def test_the_pod_may_do_little() -> None:
    found, spec = container(), pod()["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert not spec["automountServiceAccountToken"]
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert found["image"] == f"anomalyd:{__version__}"
    assert found["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in found["resources"]["limits"]


def test_it_may_write_where_it_is_started_and_at_home() -> None:
    found = container()
    environment = {each["name"]: each.get("value") for each in found["env"]}
    empty = {volume["name"] for volume in pod()["spec"]["volumes"] if "emptyDir" in volume}
    writable = {mount["mountPath"] for mount in found["volumeMounts"] if mount["name"] in empty}
    assert writable == {"/home/anomalyd", "/tmp"}
    assert found["workingDir"] == environment["HOME"] == "/home/anomalyd"
    (secret,) = [mount for mount in found["volumeMounts"] if mount["name"] == "sign-in"]
    assert secret["mountPath"] == f"{found['workingDir']}/.streamlit"  # Streamlit looks there
    assert secret["readOnly"]


def test_its_command_is_one_of_anomalyd_and_reads_what_is_mounted() -> None:
    command, *options = container()["args"]
    assert command == dashboard.__name__
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.keys() == {"--config", "--host", "--port"}
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert Path(given["--config"]) == Path(mounts["config"]) / "anomalyd.yaml"
    (port,) = container()["ports"]
    assert int(given["--port"]) == port["containerPort"]
    (service,) = read(FOLDER / "service.yaml")["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container()[probe]["httpGet"] == {"path": "/_stcore/health", "port": port["name"]}


def test_the_configuration_of_the_daemon_is_read_without_the_login_of_kafka() -> None:
    given = {each["name"]: each.get("value", "postgresql://a@b/c") for each in container()["env"]}
    config = load_config(KUBERNETES / "anomalyd.yaml", given)
    data = next(mount for mount in container()["volumeMounts"] if mount["name"] == "data")
    assert Path(config.store.models).is_relative_to(data["mountPath"])
    taken = [each["valueFrom"]["secretKeyRef"] for each in container()["env"] if "valueFrom" in each]
    assert taken == [{"name": "anomalyd", "key": "DATABASE_URL"}]
    assert "envFrom" not in container()


def test_the_documented_policy_opens_the_dashboard() -> None:
    policy = yaml.safe_load(documented_manifest("NetworkPolicy"))
    check(policy)
    closed = read(FOLDER / "network-policy.yaml")
    assert policy["metadata"]["name"] != closed["metadata"]["name"]
    assert policy["spec"]["podSelector"] == closed["spec"]["podSelector"]
    (entry,) = policy["spec"]["ingress"]
    assert [port["port"] for port in entry["ports"]] == [container()["ports"][0]["containerPort"]]
    assert entry["from"], "from everywhere otherwise"


def test_the_documented_settings_ask_for_a_sign_in(tmp_path: Path) -> None:
    (settings,) = [block for block in documented() if block.startswith("dashboard:\n")]
    file = tmp_path / "anomalyd.yaml"
    file.write_text((KUBERNETES / "anomalyd.yaml").read_text() + settings)
    given = {each["name"]: each.get("value", "postgresql://a@b/c") for each in container()["env"]}
    found = load_config(file, given).dashboard
    assert found.sign_in
    assert found.link("7") == "https://anomalyd.example.org/incident?report=7"


def test_the_documented_overlay_is_built(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl in PATH")
    shutil.copytree(KUBERNETES, tmp_path / "anomalyd" / "deploy" / "kubernetes")
    overlay = tmp_path / "experiment"
    overlay.mkdir()
    shutil.copy(KUBERNETES / "anomalyd.yaml", overlay)
    (overlay / "open-dashboard.yaml").write_text(documented_manifest("NetworkPolicy"))
    (overlay / "kustomization.yaml").write_text(documented_manifest("Kustomization"))
    done = subprocess.run(
        [kubectl, "kustomize", str(overlay)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    built = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}
    assert {kind for kind, name in built if name == NAME} == {"Deployment", "Service", "NetworkPolicy"}
    assert ("NetworkPolicy", f"{NAME}-open") in built
    outside = [key for key, each in built.items() if each["metadata"].get("namespace") != "anomalyd"]
    assert outside == [("Namespace", "anomalyd")]
    deployment = built["Deployment", NAME]["spec"]["template"]["spec"]
    (config,) = [v["configMap"]["name"] for v in deployment["volumes"] if v["name"] == "config"]
    assert ("ConfigMap", config) in built  # by its name with the hash of what it holds
    assert deployment["containers"][0]["image"].startswith("registry.example.org/")


def test_the_image_can_sign_people_in_and_reach_postgresql() -> None:
    (line,) = re.findall(r"pip install .*'\.\[([\w,]+)\]'", (ROOT / "deploy" / "Dockerfile").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = [need for name in line.split(",") for need in extras[name]]
    assert any(need.startswith("streamlit[auth]") for need in brought)
    assert any(need.startswith("psycopg") for need in brought)
