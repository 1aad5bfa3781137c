"""Names that may have been meant."""

from __future__ import annotations

import pytest

from anomalyd.daemon.config.config import parse_config
from anomalyd.errors import ConfigError, TrainingError
from anomalyd.near_names import did_you_mean, nearest

ENTITIES = ["host/pc1", "host/node17", "DT/W-2/MB1/S04", "DT/W+1/MB2/S11"]


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("host/pc", "host/pc1"),
        ("node17", "host/node17"),
        ("node-17", "host/node17"),
        ("HOST/NODE17", "host/node17"),
        ("DT/W2/MB1/S4", "DT/W-2/MB1/S04"),
    ],
)
def test_the_likeliest_comes_first(mistyped: str, meant: str) -> None:
    assert nearest(mistyped, ENTITIES)[0] == meant


@pytest.mark.parametrize("name", ["", "zzz", "?!", "🙂"])
def test_nothing_is_made_up(name: str) -> None:
    assert nearest(name, ENTITIES) == ()
    assert did_you_mean(name, ENTITIES) == ""
    assert did_you_mean("a", []) == ""


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("inputs: [{topic: t, lateness: 3}]", r"inputs\[0\]\.lateness: .*did you mean 'lateness_s'\?"),
        ("inputs: [{topic: t, formt: json}]", r"formt: unknown setting; did you mean 'format'\?"),
        (
            "inputs: [{topic: t, format: prometeus}]",
            r"unknown format 'prometeus'; did you mean 'prometheus'\?",
        ),
        ("detectors: [{name: d, kind: vector-ensembel}]", r"did you mean 'vector-ensemble'\?"),
        ("detectors: [{name: d, classical: median-distnce}]", r"did you mean 'median-distance'\?"),
        (
            "detectors: [{name: d, parameters: {hiden: 8}}]",
            r"unknown parameter 'hiden'; did you mean 'hidden'\?",
        ),
        ("kafka: {security: {protocol: SASL-SSL, username: a, password: b}}", r"did you mean 'SASL_SSL'\?"),
        ("explain: {methods: [oclusion]}", r"did you mean 'occlusion'\?"),
    ],
)
def test_a_configuration_says_what_was_meant(section: str, said: str) -> None:
    sections = {"inputs": "inputs: [{topic: t}]", "detectors": "detectors: [{name: d}]"}
    sections[section.partition(":")[0]] = section
    with pytest.raises(ConfigError, match=said):
        parse_config("\n".join(sections.values()), "c.yaml", {})


def test_kinds_of_detector_say_what_was_meant() -> None:
    from anomalyd.detectors.registry import sample_kind_of

    with pytest.raises(TrainingError, match="did you mean 'map-scan'"):
        sample_kind_of("mapscan")
