"""Mistakes that a section alone does not show, told beside all others: so that no mistake hides another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anomalyd.detectors.registry import (
    autoencoder_kinds,
    classical_baseline,
    detector_class,
    kinds,
    recommended_kind,
)
from anomalyd.errors import TrainingError
from anomalyd.near_names import did_you_mean

FORMATS = (
    *("json", "npy", "telegraf-json", "influx", "prometheus", "collectd"),
    *("prometheus-json", "otlp"),
)
"""The formats of `inputs`, by name; `intake.formats.registry` has their decoders."""

_STORES = ("sqlite", "postgresql", "postgres")


def further_mistakes(raw: Mapping[str, Any], *, parameters: bool = True) -> list[str]:
    """Look at a configuration as it was written; each mistake with its path, the misshapen passed over.

    Without `parameters` those of detectors are not looked at, for which PyTorch has to be imported.
    """
    inputs, detectors = _sections(raw, "inputs"), _sections(raw, "detectors")
    return [
        *_formats(inputs),
        *_unique("inputs", "topic", inputs),
        *_outputs(raw, inputs),
        *_kinds(detectors),
        *(_parameters(detectors) if parameters else ()),
        *_unique("detectors", "name", detectors),
        *_store(raw),
        *_login(raw),
    ]


def _formats(inputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, each in enumerate(inputs):
        name = each.get("format", "json")
        if isinstance(name, str) and name not in FORMATS:
            yield (
                f"inputs[{index}].format: unknown format {name!r}; "
                f"{did_you_mean(name, FORMATS)}known: {', '.join(FORMATS)}"
            )


def _unique(section: str, key: str, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [each.get(key) for each in found]
    for name in sorted({n for n in names if isinstance(n, str) and names.count(n) > 1}):
        yield f"{section}: {key} {name!r} stands twice; each must be unique"


def _outputs(raw: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    output = raw.get("output")
    given = output if isinstance(output, Mapping) else {}
    written = {
        given.get("topic", "anomalyd-reports"),
        given.get("dead_letter_topic", "anomalyd-dead-letters"),
    }
    for each in inputs:
        if isinstance(each.get("topic"), str) and each["topic"] in written:
            yield f"inputs: topic {each['topic']!r} is also an output; anomalyd would read its own words"


def _kinds(detectors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, each in enumerate(detectors):
        for key, known in (("kind", autoencoder_kinds()), ("classical", kinds())):
            kind = each.get(key)
            if isinstance(kind, str) and kind not in known:
                yield (
                    f"detectors[{index}]: {key} {kind!r} is unknown; "
                    f"{did_you_mean(kind, known)}known: {', '.join(known)}"
                )


def _parameters(detectors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, each in enumerate(detectors):
        kind = each.get("kind") or recommended_kind("map" if each.get("samples") == "maps" else "vector")
        if kind not in autoencoder_kinds():
            continue
        classical = each.get("classical") or classical_baseline(kind)
        for key, of_kind in (("parameters", kind), ("classical_parameters", classical)):
            given = each.get(key)
            if isinstance(given, Mapping) and given and of_kind in kinds():
                yield from (f"detectors[{index}].{key}.{text}" for text in _wrong(of_kind, given))


def _wrong(kind: str, given: Mapping[str, Any]) -> Iterator[str]:
    # Only here is a detector's code imported: most configurations give no parameters.
    from anomalyd.detectors.parameters import read_parameters

    known = detector_class(kind).parameters_class
    if known is None:
        return
    for name, value in given.items():
        try:
            read_parameters(kind, known, {name: value})
        except TrainingError as error:
            yield f"{name}: {error}"


def _store(raw: Mapping[str, Any]) -> Iterator[str]:
    store = raw.get("store")
    url = store.get("url") if isinstance(store, Mapping) else None
    if isinstance(url, str) and "${" not in url:
        backend = url.partition(":")[0].partition("+")[0]
        if backend not in _STORES or "://" not in url:
            # The rest is not shown: it may hold a password.
            yield (
                f"store.url: {backend[:20]!r} is no database that is supported; expected sqlite:///FILE or "
                "postgresql://USER:PASSWORD@HOST/DATABASE"
            )


def _login(raw: Mapping[str, Any]) -> Iterator[str]:
    kafka = raw.get("kafka")
    security = kafka.get("security") if isinstance(kafka, Mapping) else None
    if not isinstance(security, Mapping):
        return
    protocol = str(security.get("protocol", ""))
    if protocol.startswith("SASL") and None in (security.get("username"), security.get("password")):
        yield f"kafka.security: protocol {protocol} needs username and password"


def _sections(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = raw.get(name)
    return [each if isinstance(each, Mapping) else {} for each in found] if isinstance(found, list) else []
