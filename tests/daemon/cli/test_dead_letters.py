"""Dead letters: listed, shown, and sent again as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.daemon.kafka.dead_letter_replay import REPLAYED
from anomalyd.daemon.kafka.messages import dead_letter_entry
from anomalyd.daemon.stages import DeadLetter, Record

LETTERS = (
    DeadLetter(
        Record("", 0, 7, 1_795_000_000.5, b"k", b"{broken", (("h", b"1"),)), "syntax", "no JSON\x1b[2J"
    ),
    DeadLetter(Record("", 0, 8, 1_795_000_001.0, None, None), "empty", "a message without a value"),
    DeadLetter(Record("", 0, 9, 1_795_000_002.0, None, b"a\nb", ()), "field", "bad", b"b", "line 2"),
)


@pytest.fixture
def config(embedded_broker: Any, make_topic: Callable[..., str], tmp_path: Path) -> Path:
    origin, dead = make_topic(embedded_broker), make_topic(embedded_broker)
    producer = KafkaProducer(bootstrap_servers=embedded_broker.bootstrap_servers)
    for letter in LETTERS:
        entry = dead_letter_entry(letter, dead)
        headers = [(n, origin.encode() if n == "anomalyd-topic" else v) for n, v in entry.headers]
        producer.send(dead, key=entry.key, value=entry.value, headers=headers).get(10)
    producer.close()
    file = tmp_path / "anomalyd.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "kafka": {"bootstrap_servers": [embedded_broker.bootstrap_servers]},
                "inputs": [{"topic": origin}],
                "detectors": [{"name": "hosts", "kind": "vector-autoencoder"}],
                "output": {"dead_letter_topic": dead},
            }
        )
    )
    return file


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["dlq", *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_letters_are_listed_shown_and_sent_again(config: Path, embedded_broker: Any) -> None:
    about = yaml.safe_load(config.read_text())
    origin = about["inputs"][0]["topic"]
    listed = json.loads(run("list", "-c", str(config), "--json"))
    assert [(x["id"], x["reason"], x["origin"]) for x in listed] == [
        ("0/0", "syntax", f"{origin}/0/7"),
        ("0/1", "empty", f"{origin}/0/8"),
        ("0/2", "field", f"{origin}/0/9"),
    ]
    assert run("list", "-c", str(config), "--reason", "empty").splitlines()[-1] == "1 empty"
    shown = run("show", "0/0", "-c", str(config))
    assert "{broken" in shown
    assert "header h: 1" in shown
    assert "\x1b" not in run("show", "0/2", "-c", str(config)) + shown

    assert "no JSON\\x1b[2J" in shown
    assert run("replay", "0/1", "0/2", "-c", str(config)) == "2 messages sent again\n"
    assert run("replay", "--reason", "syntax", "-c", str(config)) == "1 messages sent again\n"
    consumer = KafkaConsumer(bootstrap_servers=embedded_broker.bootstrap_servers)
    place = TopicPartition(origin, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    came: list[Any] = []
    while len(came) < 3:
        for records in consumer.poll(timeout_ms=5000).values():
            came += records
    consumer.close()
    assert [(r.key, r.value, r.timestamp) for r in came] == [
        (None, b"", 1_795_000_001_000),
        (None, b"b", 1_795_000_002_000),
        (b"k", b"{broken", 1_795_000_000_500),
    ]
    assert [dict(r.headers) for r in came] == [
        {REPLAYED: b"0/1"},
        {REPLAYED: b"0/2"},
        {REPLAYED: b"0/0", "h": b"1"},
    ]


def test_which_must_be_said(config: Path) -> None:
    ran = CliRunner().invoke(app, ["dlq", "replay", "-c", str(config)])
    assert ran.exit_code == 2
