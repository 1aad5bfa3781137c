"""The configuration: every setting is documented, every mistake is named with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from anomalyd.daemon.config.config import (
    Config,
    DetectorConfig,
    InputConfig,
    load_config,
    parse_config,
)
from anomalyd.errors import ConfigError
from anomalyd.reports.report import Severity

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "anomalyd.yaml"
LEAST = "inputs: [{topic: metrics}]\ndetectors: [{name: hosts, kind: vector-autoencoder}]\n"


def settings(section: type[BaseModel], prefix: str = "") -> dict[str, tuple[str, Any]]:
    """Every setting by its path, with the section it belongs to and its default (... where required)."""
    found: dict[str, tuple[str, Any]] = {}
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        below = {"inputs": InputConfig, "detectors": DetectorConfig}.get(name)
        kind = field.annotation
        if below is not None:
            found |= settings(below, f"{path}[0].")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= settings(kind, f"{path}.")
        else:
            default = ... if field.is_required() else field.get_default(call_default_factory=True)
            found[path] = (name, default.get_secret_value() if isinstance(default, SecretStr) else default)
    return found


def at(raw: Any, path: str) -> Any:
    for step in path.replace("[0]", ".0").split("."):
        raw = raw[int(step)] if step.isdigit() else raw[step]
    return raw


@pytest.mark.parametrize("path", sorted(settings(Config)))
def test_the_example_file_lists_every_setting_with_its_default(path: str) -> None:
    raw = yaml.safe_load(EXAMPLE.read_text())
    _, default = settings(Config)[path]
    written = at(raw, path)
    if default is not ...:
        assert written == default


@pytest.mark.parametrize("path", sorted(settings(Config)))
def test_every_setting_is_documented(path: str) -> None:
    assert f"`{path.replace('[0]', '[]')}`" in (ROOT / "docs" / "config.md").read_text()


def test_the_example_file_is_good() -> None:
    assert load_config(EXAMPLE, {}).detectors[0].classical_kind == "median-distance"


@pytest.mark.parametrize(
    ("inputs", "detector", "kind"),
    [
        ("{topic: a}", "", "vector-ensemble"),
        ("{topic: a}", ", kind: null", "vector-ensemble"),
        ("{topic: a}", ", samples: metrics", "vector-ensemble"),
        ("{topic: a}", ", samples: maps", "map-scan"),
        ("{topic: a, format: npy}", "", "map-scan"),
        ("{topic: a, format: npy}, {topic: b}", "", "vector-ensemble"),
        ("{topic: a, format: npy}", ", samples: metrics", "vector-ensemble"),
        ("{topic: a, format: npy}", ", kind: map-autoencoder", "map-autoencoder"),
    ],
)
def test_a_kind_that_is_left_out_is_the_recommended_one(inputs: str, detector: str, kind: str) -> None:
    text = f"inputs: [{inputs}]\ndetectors: [{{name: d{detector}}}]"
    assert parse_config(text, "f", {}).detectors[0].kind == kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "inputs: [{topic: a}]\ndetectors: [{name: x, samples: maps, kind: vector-ensemble}]",
            "samples is 'maps', but kind 'vector-ensemble' takes a vector",
        ),
        (
            "inputs: [{topic: a}]\ndetectors: [{name: x, parameters: {foo: 1}}]",
            "detectors[0].parameters.foo",
        ),
        (
            LEAST + "kafka: {grup: x}",
            "kafka.grup: unknown setting; did you mean 'group'? known here: bootstrap_servers",
        ),
        (LEAST + "kafka: {group: 1}", "kafka.group: Input should be a valid string (got 1)"),
        (LEAST + "kafka: {group: a, group: b}", "'group' stands twice"),
        (LEAST + "nonsense: 1", "nonsense: unknown setting; known here: adaptation, assistant"),
        (LEAST + "metrics: {port: 70000}", "metrics.port: Input should be less than or equal to 65535"),
        (LEAST + "kafka: {security: {protocol: SASL_SSL}}", "needs username and password"),
        (LEAST + "store: {url: '${NOWHERE}'}", "store.url: environment variable NOWHERE is not set"),
        (LEAST + "output: {topic: metrics}", "is also an output"),
        (
            "inputs: [{topic: a}, {topic: a}]\ndetectors: [{name: x, kind: vector-autoencoder}]",
            "stands twice",
        ),
        (
            "inputs: [{topic: a}]\ndetectors: [{name: x, kind: oracle}]",
            "detectors[0]: kind 'oracle' is unknown",
        ),
        (
            "inputs: [{topic: a}]\ndetectors: [{name: x, kind: vector-autoencoder, classical: zero-cells}]",
            "takes a vector, classical 'zero-cells' a map",
        ),
        (
            "inputs: [{topic: a}]\ndetectors: [{name: x, kind: map-autoencoder, alert: {open_after: 1.5}}]",
            "detectors[0].alert.open_after: Input should be a valid integer (got 1.5)",
        ),
        (
            "inputs: [{topic: a}]\n"
            "detectors: [{name: x, kind: map-autoencoder, alert: {severity: {error: 6.0}}}]",
            "critical (5.0) must be above error (6.0)",
        ),
        ("inputs: []\ndetectors: []", "inputs: List should have at least 1 item"),
        ("- a", "expected sections"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_path(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, "file.yaml", {})
    assert "file.yaml: " in str(error.value)
    assert said in str(error.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(LEAST + "kafka: {group: 1}\nmetrics: {prt: 1}", "f", {})
    assert "kafka.group" in str(error.value)
    assert "metrics.prt" in str(error.value)


def test_placeholders_are_filled_in_and_secrets_are_not_shown() -> None:
    text = LEAST + "kafka: {security: {protocol: SASL_SSL, username: u, password: '${PASSWORD}'}}"
    config = parse_config(text, "f", {"PASSWORD": "hunter2"})
    assert config.kafka.security.password is not None
    assert config.kafka.security.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config)


def test_a_wrong_password_type_is_not_shown() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(LEAST + "kafka: {security: {password: 123456}}", "f", {})
    assert "123456" not in str(error.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_config(tmp_path / "nowhere.yaml")


def test_retention_names_severities() -> None:
    limits = parse_config(
        LEAST + "store: {retention: {evidence_s: {warning: 60, critical: null}, reports_s: {error: 600}}}",
        "f",
        {},
    ).store.retention.limits()
    assert limits.evidence_s[Severity.WARNING] == 60
    assert Severity.CRITICAL not in limits.evidence_s
    assert limits.reports_s[Severity.ERROR] == 600
    with pytest.raises(ConfigError, match=r"reports_s\.loud.*'warning', 'error' or 'critical'"):
        parse_config(LEAST + "store: {retention: {reports_s: {loud: 600}}}", "f", {})


def test_a_detector_watches_by_pattern() -> None:
    text = LEAST.replace("name: hosts", "name: hosts, entities: ['host/*', db1]")
    detector = parse_config(text, "f", {}).detectors[0]
    assert detector.watches("host/pc1")
    assert detector.watches("db1")
    assert not detector.watches("db12")
    assert not detector.watches("Host/pc1")


def mistakes(text: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        parse_config(text, "f", environment or {})
    return str(error.value)


def test_no_mistake_hides_another() -> None:
    said = mistakes(
        "inputs: [{topic: a, format: xml}, {topic: a, grid_s: -1}, {topic: anomalyd-reports}]\n"
        "detectors: [{name: x, kind: oracle, training: {seed: -1}},"
        " {name: x, kind: vector-autoencoder, parameters: {foo: 1, steps: -3}, classical: nobody}]\n"
        "store: {url: 'mysql://root:hunter2@db/x'}\n"
        "kafka: {grup: g, security: {protocol: SASL_SSL}, client_id: '${NOWHERE}'}\n"
    )
    for part in (
        "inputs[0].format: unknown format 'xml'; known: json, npy",
        "inputs[1].grid_s: ",
        "inputs: topic 'a' stands twice",
        "inputs: topic 'anomalyd-reports' is also an output",
        "detectors[0]: kind 'oracle' is unknown",
        "detectors[0].training.seed: ",
        "detectors[1]: classical 'nobody' is unknown",
        "detectors[1].parameters.foo: ",
        "detectors[1].parameters.steps: ",
        "detectors: name 'x' stands twice",
        "store.url: 'mysql' is no database that is supported",
        "kafka.grup: unknown setting",
        "needs username and password",
        "kafka.client_id: environment variable NOWHERE is not set",
    ):
        assert part in said, part
    assert "hunter2" not in said
    assert len(set(said.splitlines())) == len(said.splitlines()) == 14


@pytest.mark.parametrize("url", ["oracle://x", "mysql+pymysql://u:p@h/d", "anomalyd.db", "", "http://x"])
def test_a_store_that_cannot_be_is_refused(url: str) -> None:
    assert "store.url: " in mistakes(LEAST + f"store: {{url: '{url}'}}")


@pytest.mark.parametrize("given", ["foo: 1", "steps: x", "steps: true", "steps: 1e99"])
def test_parameters_of_a_detector_are_checked_beforehand(given: str) -> None:
    text = LEAST.replace("kind: vector-autoencoder", f"kind: vector-autoencoder, parameters: {{{given}}}")
    assert f"detectors[0].parameters.{given.partition(':')[0]}: " in mistakes(text)


def test_a_mistake_is_said_once() -> None:
    said = mistakes("inputs: [{topic: a}, {topic: a}]\ndetectors: [{name: x, kind: oracle}]")
    assert said.count("stands twice") == said.count("oracle") == 1
