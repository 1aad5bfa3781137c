"""Where the recorded inputs of the golden runs come from: `python tests/golden/golden_inputs.py`.

Run it to add a case or to change what a case is sent; it trains the models anew, too. What comes out of the
cases is written by `make golden`. Three hosts send four metrics every ten seconds, two drift-tube chambers a
map every lumisection; now and then one of them breaks.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import numpy as np
from golden_driver import ROOT, forget_models
from golden_models import MODELS, train_model
from golden_scene import BEGIN, CHAMBERS, HOSTS, METRICS, STEP_S, occupancy, row, total

Script = Iterator[dict[str, Any]]


# ---- the records


class Topic:
    """Records of one topic in the order they are sent, numbered partition by partition."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next: dict[int, int] = {}

    def record(
        self,
        value: str | bytes | None,
        time: float,
        partition: int = 0,
        *,
        key: str | None = None,
        headers: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        offset = self._next.get(partition, 0)
        self._next[partition] = offset + 1
        entry = {"topic": self._name, "partition": partition, "offset": offset, "timestamp": time + 0.5}
        if key is not None:
            entry["key"] = key
        if headers is not None:
            entry["headers"] = [[name, str(text)] for name, text in headers.items()]
        if isinstance(value, bytes):
            return entry | {"base64": base64.b64encode(value).decode()}
        return entry | {"value": value}


def at(step: int) -> float:
    return BEGIN + step * STEP_S


def vector(host: str, step: int, jump: float = 0.0, **more: Any) -> str:
    values = dict(zip(METRICS, row(host, step, jump).tolist(), strict=True))
    return json.dumps({"entity": host, "time": at(step), "values": values} | more)


def hosts(steps: range, breaks: dict[str, range], topic: Topic | None = None) -> Script:
    """All hosts, one record each; the third from another partition."""
    topic = topic or Topic("metrics")
    for step in steps:
        for host in HOSTS:
            jump = 15.0 if step in breaks.get(host, ()) else 0.0
            yield topic.record(vector(host, step, jump), at(step), partition=int(host == HOSTS[2]))


# ---- the cases


def vectors() -> Script:
    """An incident that closes, one alarming row that is none, one that goes on at the end."""
    yield from hosts(range(40), {"host/a": range(8, 14), "host/b": range(20, 21), "host/c": range(34, 40)})


def unknown_host() -> Script:
    """A host that no training knew, beside one that it did."""
    topic = Topic("metrics")
    for step in range(45):
        jump = 15.0 if 34 <= step < 38 else 0.0
        about = json.loads(vector("host/b", step, jump))
        yield topic.record(json.dumps(about | {"entity": "host/new"}), at(step))
        yield topic.record(vector("host/a", step), at(step))


def maps_npy() -> Script:
    """A dead region in four layers of one chamber, as npy."""
    topic = Topic("occupancy")
    for step in range(20):
        for chamber in CHAMBERS:
            buffer = io.BytesIO()
            broken = chamber == CHAMBERS[0] and 8 <= step < 12
            np.save(buffer, occupancy(chamber, 100 + step, broken).astype(np.uint8))
            about = {"entity": chamber, "time": at(step), "run": 321909, "lumisection": 100 + step}
            yield topic.record(buffer.getvalue(), at(step), headers=about)


def maps_json() -> Script:
    """Ragged rows and masked cells, as JSON; some lumisections in one message."""
    topic = Topic("occupancy")
    for step in range(0, 16, 2):
        both = []
        for lumisection in (100 + step, 101 + step):
            cells = occupancy(CHAMBERS[1], lumisection, 108 <= lumisection < 112).tolist()
            cells[3] = cells[3][:40]
            cells[5][7] = None
            about = {"entity": CHAMBERS[1], "time": at(lumisection - 100), "map": cells}
            both.append(about | {"run": 321910, "lumisection": lumisection})
        yield topic.record(json.dumps(both, separators=(",", ":")), at(step + 1), key="chambers")


def parts_on_a_grid() -> Script:
    """Telegraf: every input in a message of its own, spread over two partitions and out of order."""
    topic, breaks = Topic("telegraf"), range(16, 22)
    sent: list[tuple[float, int, str]] = []
    for step in range(32):
        for n, host in enumerate(HOSTS[:2]):
            jumps = breaks if host == HOSTS[0] else range(0)
            cpu, memory, *_ = row(host, step, 15.0 if step in jumps else 0.0).tolist()
            received, written = (total(host, step, metric, jumps) for metric in (2, 3))
            if host == HOSTS[1] and step >= 18:
                received -= total(host, 17, 2, jumps)  # it was set back
            for k, (name, tags, values) in enumerate(
                (
                    ("cpu", {"cpu": "cpu-total"}, {"usage_user": cpu}),
                    ("mem", {}, {"used_percent": memory}),
                    ("net", {"interface": "eth0"}, {"bytes_recv": received, "speed": -1}),
                    ("diskio", {"name": "sda"}, {"write_bytes": written, "serial": "a text"}),
                )
            ):
                about = {"name": name, "tags": {"host": host, "job": "farm"} | tags, "fields": values}
                message = json.dumps(about | {"timestamp": int(at(step)) + k})
                late = 13.0 if (step + k) % 5 == 0 else 65.0 if (step, k) == (25, 1) else 0.0
                sent.append((at(step) + k + late, (k + n) % 2, message))
    for time, partition, message in sorted(sent):
        yield topic.record(message, time, partition)
    yield {"do": "wait", "seconds": 60}


def counters() -> Script:
    """A counter that wraps around after 32 bits: collectd, which sends totals."""
    topic, jumps = Topic("collectd"), range(14, 20)
    for step in range(30):
        load, memory, *_ = row(HOSTS[0], step, 15.0 if step in jumps else 0.0).tolist()
        received, written = (total(HOSTS[0], step, metric, jumps) for metric in (2, 3))
        lists = [
            _collectd(step, "load", "", "load", "", ["gauge"] * 3, ["shortterm", "midterm", "longterm"])
            | {"values": [load, 4.0, 4.0]},
            _collectd(step, "memory", "", "memory", "used", ["gauge"], ["value"]) | {"values": [memory]},
            _collectd(step, "interface", "eth0", "if_octets", "", ["counter"] * 2, ["rx", "tx"])
            | {"values": [(received + 2**32 - 1_700_000) % 2**32, 17]},
            _collectd(step, "disk", "sda", "disk_octets", "", ["derive"] * 2, ["read", "write"])
            | {"values": [5, written]},
        ]
        yield topic.record(json.dumps(lists[:2]), at(step))
        yield topic.record(json.dumps(lists[2:]), at(step))
    yield {"do": "wait", "seconds": 60}


def _collectd(step: int, *about: Any) -> dict[str, Any]:
    names = ("plugin", "plugin_instance", "type", "type_instance", "dstypes", "dsnames")
    more = {"time": at(step) + 0.25, "interval": STEP_S, "host": HOSTS[0]}
    return dict(zip(names, about, strict=True)) | more


def influx() -> Script:
    """Line protocol with escapes, comments and a line that is broken."""
    topic, jumps = Topic("influx"), range(14, 20)
    for step in range(30):
        cpu, memory, *_ = row(HOSTS[1], step, 15.0 if step in jumps else 0.0).tolist()
        received, written = (total(HOSTS[1], step, metric, jumps) for metric in (2, 3))
        nanoseconds = int(at(step)) * 10**9
        lines = [
            f"cpu,cpu=cpu-total,host={HOSTS[1]} usage_user={cpu} {nanoseconds}",
            f'mem,host={HOSTS[1]} used_percent={memory},about="a text, \\"quoted\\"" {nanoseconds}',
            "# a comment",
            f"net,host={HOSTS[1]},interface=eth0 bytes_recv={received}i {nanoseconds}",
            f"diskio,host={HOSTS[1]},name=sda write_bytes={written}u {nanoseconds}",
        ]
        if step == 10:
            lines.append(f"mem,host={HOSTS[1]} swap= {nanoseconds}")
        yield topic.record("\n".join(lines), at(step))
    yield {"do": "wait", "seconds": 60}


def prometheus() -> Script:
    """Remote write, two series in a request; one request is cut."""
    topic, jumps = Topic("node"), range(14, 20)
    for step in range(30):
        load, memory, *_ = row(HOSTS[2], step, 15.0 if step in jumps else 0.0).tolist()
        received, written = (total(HOSTS[2], step, metric, jumps) for metric in (2, 3))
        series = [
            _series("node_load1", {}, load, step),
            _series("node_memory_Active_bytes", {}, memory, step),
            _series("node_network_receive_bytes_total", {"device": "eth0"}, received, step),
            _series("node_disk_written_bytes_total", {"device": "sda"}, written, step),
        ]
        for half in (series[:2], series[2:]):
            request = bytes(cramjam.snappy.compress_raw(b"".join(half)))
            yield topic.record(request[:40] if step == 9 and half == series[:2] else request, at(step))
    yield {"do": "wait", "seconds": 60}


def _series(name: str, labels: dict[str, str], value: float, step: int) -> bytes:
    pairs = {"__name__": name, "instance": HOSTS[2], "job": "node"} | labels
    told = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in pairs.items())
    sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(int(at(step) * 1000))
    return _field(1, told + _field(2, sample))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def broken_messages() -> Script:
    """Every kind of fault, each between good messages, which lose nothing."""
    topic = Topic("metrics")
    good = json.loads(vector("host/a", 3))
    bad: list[tuple[str | bytes | None, dict[str, Any]]] = [
        (None, {"key": "host/a"}),
        ("", {}),
        ("[]", {}),
        ('{"entity": ', {"headers": {"sender": "agent 7"}}),
        (b"\xff\xfe\x00", {}),
        (json.dumps({"entity": "host/a", "time": at(1)}), {}),
        (json.dumps(good | {"values": {"cpu": "high"}}), {}),
        (json.dumps(good | {"map": [[1]]}), {}),
        (json.dumps(good | {"run": -1}), {}),
        (json.dumps({k: v for k, v in good.items() if k != "entity"}), {}),
        (json.dumps(good | {"entity": " host/a"}), {}),
        (json.dumps({k: v for k, v in good.items() if k != "time"}), {}),
        (json.dumps(good | {"time": "yesterday"}), {}),
        (json.dumps(good | {"time": at(9_000_000)}), {}),
        (json.dumps(good | {"time": 12.0}), {}),
        (json.dumps(good | {"values": {}}), {}),
        (json.dumps(good | {"values": {"m" * 300: 1.0}}), {}),
        (json.dumps({"entity": "DT/x", "time": at(1), "map": []}), {}),
        (json.dumps(good | {"values": {"cpu": 1.0}, "padding": "x" * 1500}), {"key": "host/a"}),
        (json.dumps([good, {"entity": "host/c"}, json.loads(vector("host/c", 3))]), {}),
    ]
    jumps = range(10, 16)
    for step in range(24):
        for host in HOSTS[:2]:
            jump = 15.0 if host == "host/a" and step in jumps else 0.0
            yield topic.record(vector(host, step, jump), at(step))
        if step < len(bad):
            value, more = bad[step]
            yield topic.record(value, at(step), **more)


def late_and_out_of_order() -> Script:
    """Samples behind those that were scored, twice the same, and out of order within one delivery."""
    topic = Topic("metrics")
    sent = list(hosts(range(36), {"host/a": range(12, 18)}))
    for n in range(5, len(sent) - 5, 6):  # neighbours change places
        sent[n], sent[n + 4] = sent[n + 4], sent[n]
    for entry in sent:
        yield topic.record(entry["value"], entry["timestamp"] - 0.5)
        about = json.loads(entry["value"])
        if about["time"] in (at(10), at(20)) and about["entity"] == "host/b":
            yield topic.record(entry["value"], entry["timestamp"])  # twice
            yield topic.record(vector("host/b", 3), entry["timestamp"])  # late
            yield topic.record(vector("host/b", 4, 15.0), entry["timestamp"])  # late, and alarming


def presence() -> Script:
    """A metric that vanishes, one that comes anew, and one that is null now and then."""
    topic = Topic("metrics")
    for step in range(50):
        for host in HOSTS[:2]:
            about = json.loads(vector(host, step, 15.0 if host == "host/a" and 36 <= step < 41 else 0.0))
            if host == "host/a" and step >= 16:
                del about["values"]["disk"]
            if host == "host/b" and step >= 20:
                about["values"]["gpu"] = 3.0
            if host == "host/b" and step % 7 == 3:
                about["values"]["cpu"] = None
            yield topic.record(json.dumps(about), at(step))


def alert_policy() -> Script:
    """Alarms in quiet hours, in maintenance of both kinds, in the wrong direction, of an ignored metric."""
    breaks = {"host/a": range(4, 9), "host/b": range(4, 9), "host/c": range(4, 9)}  # quiet hours to 19:17
    yield from hosts(range(14), breaks, topic := Topic("metrics"))
    until = {"since": at(20), "until": at(30)}
    yield {"do": "maintenance", "entities": ["host/b"], **until, "reason": "a new disk"}
    yield from hosts(range(14, 34), {host: range(22, 27) for host in HOSTS}, topic)  # a: maintenance by YAML
    for step in range(34, 60):
        for host in HOSTS:
            about = json.loads(vector(host, step))
            values = about["values"]
            if host == "host/a" and 36 <= step < 41:
                values["memory"] -= 150.0  # the wrong direction
            if host == "host/a" and 46 <= step < 58:
                values["memory"] += 150.0  # long enough to become critical
            if host == "host/b" and 36 <= step < 41:
                values["disk"] += 30.0  # ignored
            if host == "host/c" and 36 <= step < 41:
                values["cpu"] += 12.0  # less than its least deviation
            yield topic.record(json.dumps(about), at(step), partition=int(host == HOSTS[2]))


def operator_feedback() -> Script:
    """Told normal, told broken, one of them taken back, and a word on what nobody has scored."""
    topic = Topic("metrics")
    breaks = {"host/a": range(6, 60), "host/b": range(6, 30)}
    yield from hosts(range(12), breaks, topic)
    who = {"detector": "hosts-ensemble", "who": "Ada"}
    yield {"do": "normal", "entity": "host/a", **who, "reason": "a new job runs there"}
    yield {"do": "broken", "entity": "host/b", **who, "reason": "the fan is dead"}
    yield {"do": "normal", "entity": "host/nowhere", **who, "reason": ""}
    yield {"do": "normal", "entity": "host/b", **who, "detector": "hosts", "reason": "seen before"}
    yield from hosts(range(12, 30), breaks, topic)
    yield {"do": "normal", "entity": "host/a", **who, "reason": "once more"}
    yield from hosts(range(30, 36), breaks, topic)
    yield {"do": "undo", "who": "Grace", "reason": "it was a fault after all"}
    yield {"do": "wait", "seconds": 20}
    yield from hosts(range(36, 46), breaks, topic)


def restart_in_the_middle() -> Script:
    """Killed amid an incident, and while a detector that follows its entity is warm; then once more."""
    for n, entry in enumerate(hosts(range(40), {"host/a": range(8, 16), "host/c": range(30, 40)})):
        if n in (34, 70, 101):
            yield {"do": "restart"}
        yield entry


def detector_kinds() -> Script:
    """The same hosts before every other kind of detector for metrics."""
    yield from hosts(range(44), {"host/a": range(12, 20), "host/c": range(34, 44)})


CASES: dict[str, Callable[[], Script]] = {
    "alert-policy": alert_policy,
    "broken-messages": broken_messages,
    "counters-collectd": counters,
    "detector-kinds": detector_kinds,
    "influx": influx,
    "late-samples": late_and_out_of_order,
    "maps-json": maps_json,
    "maps-npy": maps_npy,
    "operator-feedback": operator_feedback,
    "parts-on-a-grid": parts_on_a_grid,
    "presence": presence,
    "prometheus": prometheus,
    "restart": restart_in_the_middle,
    "unknown-host": unknown_host,
    "vectors": vectors,
}


def main() -> None:
    """Write every input, and train the models."""
    for case, script in CASES.items():
        text = "".join(json.dumps(entry) + "\n" for entry in script())
        (ROOT / case / "input.jsonl").write_text(text)
        print(f"{case}: {len(text)} characters")
    forget_models()
    for name in MODELS:
        print(f"{name}: {train_model(name, ROOT / 'models')}")


if __name__ == "__main__":
    main()
