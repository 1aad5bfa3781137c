"""What must not get in: pickled code, by a grep and by trying; and what must not get out: secrets."""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.daemon.config.config import Config, parse_config
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.stages import Reason, Record
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import ConfigError, ModelError, StoreError
from anomalyd.reports.evidence import decode, decode_array
from anomalyd.reports.storage.store import Store

ROOT = Path(__file__).parents[1]
ROOMS = ("assistant", "daemon", "dashboard", "detectors", "interpret", "reports", "src")
_LOADS_CODE = re.compile(
    r"^\s*(import|from)\s+(pickle|cPickle|dill|joblib|cloudpickle|shelve|marshal)\b"
    r"|torch\.load\(|allow_pickle\s*=\s*True|yaml\.(unsafe_load|full_load)\(|(?<!\.)\b(eval|exec)\(",
    re.MULTILINE,
)

SECRET = "do-not-tell-anybody"


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.file),))


def test_nothing_in_the_code_unpickles_or_evaluates() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match.group().strip()}"
        for room in ROOMS
        for file in sorted((ROOT / room).rglob("*.py"))
        for match in _LOADS_CODE.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_pickle_that_comes_as_a_message_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(trap)], dtype=object), allow_pickle=True)
    config = Config.model_validate(
        {
            "inputs": [{"topic": "maps", "format": "npy"}, {"topic": "hosts"}],
            "detectors": [{"name": "hosts", "kind": "vector-autoencoder"}],
        }
    )
    headers = (("entity", b"a"), ("time", b"1795000000"))
    records = [
        Record(topic, 0, n, 1_795_000_000.0, None, value, headers)
        for topic in ("maps", "hosts")
        for n, value in enumerate((buffer.getvalue(), pickle.dumps(Trap(trap))))
    ]
    samples, dead = Decoder(config.inputs, clock=lambda: 1_795_000_000.0).decode(records)
    assert samples == []
    assert len(dead) == 4
    assert all(letter.reason != Reason.INTERNAL for letter in dead)
    assert not trap.exists()


def test_a_pickle_in_place_of_a_model_or_of_evidence_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    pickled = pickle.dumps(Trap(trap))
    folder = tmp_path / "models" / "hosts" / "20261120T184000Z-5c4c2798" / "autoencoder"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(pickled)
    (folder / "model.json").write_bytes(pickled)
    with pytest.raises(ModelError):
        ModelLibrary(tmp_path / "models").load("hosts")
    for read in (decode, decode_array):
        with pytest.raises(StoreError):
            read(pickled)
    assert not trap.exists()


def test_secrets_are_in_no_error_and_in_no_printed_configuration(tmp_path: Path) -> None:
    text = f"""
kafka: {{security: {{protocol: SASL_SSL, username: u, password: {SECRET}, ca_file: 7}}}}
inputs: [{{topic: t}}]
detectors: [{{name: a, kind: vector-autoencoder}}]
store: {{url: "postgresql://u:{SECRET}@nowhere.invalid/db"}}
"""
    with pytest.raises(ConfigError) as refused:
        parse_config(text, "anomalyd.yaml", {})
    assert SECRET not in str(refused.value)
    config = parse_config(text.replace("ca_file: 7", "ca_file: ca.pem"), "anomalyd.yaml", {})
    assert SECRET not in repr(config) + str(config.model_dump()) + config.model_dump_json()
    with pytest.raises(StoreError) as unreachable:
        Store.open(config.store.url.get_secret_value())
    assert SECRET not in str(unreachable.value)


def test_what_is_served_listens_on_loopback_unless_told_otherwise() -> None:
    config = Config.model_validate(
        {"inputs": [{"topic": "t"}], "detectors": [{"name": "a", "kind": "vector-autoencoder"}]}
    )
    assert config.metrics.host == "127.0.0.1"
