"""The configuration: one YAML file, checked as a whole before anything starts."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.assistant_config import AssistantConfig
from anomalyd.daemon.config.canary_config import CanaryConfig
from anomalyd.daemon.config.dashboard_config import DashboardConfig
from anomalyd.daemon.config.further_mistakes import further_mistakes
from anomalyd.daemon.config.otlp_config import OtlpConfig
from anomalyd.daemon.config.section import STRICT, Count, Name, Seconds
from anomalyd.daemon.config.yaml_text import fill_in, read_yaml
from anomalyd.detectors.registry import (
    autoencoder_kinds,
    classical_baseline,
    kinds,
    recommended_kind,
    sample_kind_of,
)
from anomalyd.errors import ConfigError
from anomalyd.near_names import did_you_mean
from anomalyd.reports.report import Severity
from anomalyd.reports.storage.repositories.retention import RetentionLimits


class _Section(BaseModel):
    model_config = STRICT


class Security(_Section):
    """How to reach the brokers; passwords best come as `${ENV}`."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: SecretStr | None = None
    check_hostname: bool = True

    @model_validator(mode="after")
    def _sasl_needs_a_user(self) -> Security:
        if self.protocol.startswith("SASL") and (self.username is None or self.password is None):
            raise ValueError(f"protocol {self.protocol} needs username and password")
        return self


class KafkaConfig(_Section):
    """The brokers and the consumer group."""

    bootstrap_servers: Annotated[list[str], Field(min_length=1)] = ["localhost:9092"]
    group: Annotated[str, Field(min_length=1)] = "anomalyd"
    client_id: Annotated[str, Field(min_length=1)] = "anomalyd"
    instance_id: str | None = None
    start: Literal["earliest", "latest", "trained"] = "earliest"
    session_timeout_s: Annotated[float, Field(ge=1, le=1800)] = 45.0
    max_poll_records: Annotated[int, Field(ge=1, le=100_000)] = 4000
    queue_records: Annotated[int, Field(ge=1)] = 20_000
    security: Security = Security()


class Limits(_Section):
    """What a message may hold; more than that becomes a dead letter."""

    message_bytes: Count = 1_048_576
    cells: Count = 1_000_000
    metrics: Count = 10_000
    name_length: Count = 200
    past_s: Seconds = 31_536_000.0
    future_s: Seconds = 300.0


class InputConfig(_Section):
    """One topic to read."""

    topic: Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
    format: Name = "json"
    entity: str | None = None
    grid_s: Annotated[float, Field(ge=0)] | None = None
    lateness_s: Annotated[float, Field(ge=0)] | None = None
    clock_tolerance_s: Annotated[float, Field(ge=0)] = 120.0
    entity_label: str | None = None
    metric_labels: list[str] | None = None
    metrics: Annotated[list[str], Field(min_length=1)] = ["*"]
    ignore_metrics: list[str] = []
    counters: list[str] | None = None
    masks: Path | None = None
    limits: Limits = Limits()


class TrainingConfig(_Section):
    """What a detector is trained on."""

    history_s: Seconds = 86_400.0
    max_samples: Annotated[int, Field(ge=20)] = 500_000
    seed: Annotated[int, Field(ge=0)] = 0
    automatic: bool = True
    every: Seconds | None = None
    promote: Literal["gate", "always"] = "gate"


class DetectorConfig(_Section):
    """One detector pair: an autoencoder and its classical baseline on the same samples."""

    name: Name
    samples: Literal["metrics", "maps"] | None = None
    kind: Name = recommended_kind("vector")
    classical: Name | None = None
    entities: Annotated[list[str], Field(min_length=1)] = ["*"]
    parameters: dict[str, Any] = {}
    classical_parameters: dict[str, Any] = {}
    training: TrainingConfig = TrainingConfig()
    alert: AlertPolicy = AlertPolicy()

    @model_validator(mode="before")
    @classmethod
    def _a_kind_is_chosen(cls, given: Any) -> Any:
        """Take the recommended kind where none is named: of maps if `samples` says so."""
        if not isinstance(given, dict) or given.get("kind") is not None:
            return given
        return {**given, "kind": recommended_kind("map" if given.get("samples") == "maps" else "vector")}

    @model_validator(mode="after")
    def _kinds_are_known(self) -> DetectorConfig:
        if self.kind not in autoencoder_kinds():
            raise ValueError(
                f"kind {self.kind!r} is unknown; {did_you_mean(self.kind, autoencoder_kinds())}"
                f"known: {', '.join(autoencoder_kinds())}"
            )
        if self.classical is not None and self.classical not in kinds():
            raise ValueError(
                f"classical {self.classical!r} is unknown; {did_you_mean(self.classical, kinds())}"
                f"known: {', '.join(kinds())}"
            )
        ours, theirs = (sample_kind_of(k) for k in (self.kind, self.classical_kind))
        if ours != theirs:
            raise ValueError(f"kind {self.kind!r} takes a {ours}, classical {self.classical!r} a {theirs}")
        if self.samples is not None and self.samples != ("maps" if ours == "map" else "metrics"):
            raise ValueError(f"samples is {self.samples!r}, but kind {self.kind!r} takes a {ours}")
        of_metrics = [n for n in ("direction", "min_deviation", "ignore") if getattr(self.alert, n)]
        if ours == "map" and of_metrics:
            raise ValueError(f"alert.{of_metrics[0]} is for metric vectors, kind {self.kind!r} takes maps")
        return self

    @property
    def classical_kind(self) -> str:
        """The classical detector that runs beside it: the one named, or the kind's own."""
        return self.classical if self.classical is not None else classical_baseline(self.kind)

    def watches(self, entity: str) -> bool:
        """Say whether this detector watches the entity (shell patterns, case matters)."""
        return any(fnmatchcase(entity, pattern) for pattern in self.entities)


_DAY_S = 86_400.0


_SeverityName = Annotated[Severity, Field(strict=False)]
"""A file can only name a severity, as text."""


class RetentionConfig(_Section):
    """How long the store keeps what was found, in seconds after an incident closed; null: for ever."""

    evidence_s: dict[_SeverityName, Seconds | None] = {}
    reports_s: dict[_SeverityName, Seconds | None] = {}
    activity_s: Seconds | None = 730 * _DAY_S
    bytes: Count | None = 20_000_000_000

    def limits(self) -> RetentionLimits:
        """Give what the store understands: the defaults, with what is set in their place."""
        evidence = {Severity.WARNING: 90 * _DAY_S, Severity.ERROR: 365 * _DAY_S, Severity.CRITICAL: None}
        reports = {Severity.WARNING: 730 * _DAY_S}
        return RetentionLimits(
            evidence_s={s: at for s, at in (evidence | self.evidence_s).items() if at is not None},
            reports_s={s: at for s, at in (reports | self.reports_s).items() if at is not None},
            activity_s=self.activity_s,
            bytes=self.bytes,
        )


class StoreConfig(_Section):
    """Where reports and trained models are kept."""

    url: SecretStr = SecretStr("sqlite:///anomalyd.db")
    models: str = "models"
    keep_samples_s: Annotated[float, Field(ge=0)] = 0.0
    retention: RetentionConfig = RetentionConfig()


class MetricsConfig(_Section):
    """Where Prometheus finds /metrics, /livez and /readyz, and which entities are named there."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    scores: list[str] = []
    otlp: OtlpConfig | None = None
    limit: Annotated[int, Field(ge=0)] = 1000


class LogConfig(_Section):
    """What the daemon logs to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class ExplainConfig(_Section):
    """How reports are explained, beside the scoring path."""

    enabled: bool = True
    methods: list[
        Literal[
            "occlusion",
            "integrated-gradients",
            "guided-backpropagation",
            "deconvolution",
            "deep-lift",
            "signed-error",
        ]
    ] = ["occlusion", "integrated-gradients"]
    budget_s: Seconds = 10.0


class AdaptationConfig(_Section):
    """How long what the detectors adapted to can be undone."""

    keep_undo_s: Seconds = 2_592_000.0


class OutputConfig(_Section):
    """The topics that anomalyd writes; null for none."""

    topic: str | None = "anomalyd-reports"
    dead_letter_topic: str | None = "anomalyd-dead-letters"


_MAP_FORMATS = ("npy",)
"""Formats that hold nothing but maps."""


def _names_no_kind(detector: object) -> bool:
    return isinstance(detector, dict) and detector.get("kind") is None


class Config(_Section):
    """The whole file."""

    kafka: KafkaConfig = KafkaConfig()
    inputs: Annotated[list[InputConfig], Field(min_length=1)]
    detectors: Annotated[list[DetectorConfig], Field(min_length=1)]
    store: StoreConfig = StoreConfig()
    metrics: MetricsConfig = MetricsConfig()
    explain: ExplainConfig = ExplainConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    canary: CanaryConfig = CanaryConfig()
    assistant: AssistantConfig = AssistantConfig()
    dashboard: DashboardConfig = DashboardConfig()
    output: OutputConfig = OutputConfig()
    groups: dict[Name, Annotated[list[str], Field(min_length=1)]] = {}
    log: LogConfig = LogConfig()

    @model_validator(mode="before")
    @classmethod
    def _maps_alone(cls, given: Any) -> Any:
        """Where all inputs hold maps, so do the samples of detectors that do not say."""
        if not isinstance(given, dict):
            return given
        inputs, detectors = given.get("inputs"), given.get("detectors")
        if not isinstance(inputs, list) or not isinstance(detectors, list) or not inputs:
            return given
        if not all(isinstance(each, dict) and each.get("format") in _MAP_FORMATS for each in inputs):
            return given
        told = [{"samples": "maps", **each} if _names_no_kind(each) else each for each in detectors]
        return {**given, "detectors": told}

    @property
    def fingerprint(self) -> str:
        """A hash of the settings that what is found depends on, as far as they are not the defaults."""
        told = self.model_dump(
            mode="json", include={"inputs", "detectors", "adaptation"}, exclude_defaults=True
        )
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Config:
        for what, names in (
            ("inputs: topic", [i.topic for i in self.inputs]),
            ("detectors: name", [d.name for d in self.detectors]),
        ):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} stands twice; each must be unique")
        written = {self.output.topic, self.output.dead_letter_topic} - {None}
        for read in self.inputs:
            if read.topic in written:
                raise ValueError(
                    f"inputs: topic {read.topic!r} is also an output; anomalyd would read its own words"
                )
        return self


def load_config(
    path: Path, environment: Mapping[str, str] = os.environ, *, parameters: bool = True
) -> Config:
    """Read and check a configuration file.

    Without `parameters` those of detectors are not checked: a command that only reads the store need not wait
    for PyTorch.

    Raises:
        ConfigError: names the file, the path in it, what is wrong and what is allowed.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_config(text, str(path), environment, parameters=parameters)


def parse_config(text: str, name: str, environment: Mapping[str, str], *, parameters: bool = True) -> Config:
    """Check the text of a configuration file called `name`.

    Raises:
        ConfigError: as `load_config`.

    """
    try:
        raw = read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{name}: expected sections ({', '.join(Config.model_fields)}), found {type(raw).__name__}"
        )
    mistakes: list[str] = []
    filled = fill_in(raw, "", environment, mistakes)
    found = None
    try:
        found = Config.model_validate(filled)
    except ValidationError as error:
        mistakes += _described(error)
    # What the sections have said of themselves is not said twice.
    said = "\n".join(mistakes)
    further = further_mistakes(filled, parameters=parameters)
    mistakes += [each for each in further if each.partition(": ")[2] not in said]
    if mistakes or found is None:
        raise ConfigError(f"{name}: " + f"\n{name}: ".join(mistakes))
    return found


def _described(error: ValidationError) -> list[str]:
    """Say every mistake: path in the file, what is wrong, what is allowed."""
    lines = []
    for e in error.errors(include_url=False):
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in e["loc"]).lstrip(".")
        if e["type"] == "extra_forbidden":
            known = _fields_at(e["loc"][:-1])
            hint = did_you_mean(str(e["loc"][-1]), known)
            lines.append(f"{path}: unknown setting; {hint}known here: {', '.join(known)}")
        elif e["type"] == "missing":
            lines.append(f"{path}: must be given")
        else:
            shown = "" if isinstance(e["input"], dict | list | SecretStr) else f" (got {e['input']!r})"
            if "password" in path:
                shown = ""
            if e["type"] == "literal_error" and isinstance(e["input"], str):
                hint = did_you_mean(e["input"], re.findall("'([^']+)'", e["ctx"]["expected"]))
                shown += f"; {hint.rstrip()}" if hint else ""
            lines.append(f"{path or '(whole file)'}: {e['msg'].removeprefix('Value error, ')}{shown}")
    return lines


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Name the settings of the section at a path."""
    section: type[BaseModel] = Config
    for step in loc:
        if isinstance(step, int):
            continue
        annotation: Any = section.model_fields[step].annotation
        arguments = [annotation, *getattr(annotation, "__args__", ())]
        section = next(a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel))
    return sorted(field.alias or name for name, field in section.model_fields.items())
