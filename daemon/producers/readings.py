"""What this host says of itself: gauges, that are as they are, and counters, that only grow.

Every reader puts what it finds into a `Reading`; what a platform does not have is left out. Names end with
their unit; a counter has the name of the rate it will become.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read at one moment.

    `counters` by (metric, instance): a metric may have several instances (network cards, cores), of which
    some come and go.
    """

    gauges: dict[str, float] = field(default_factory=dict)
    counters: dict[tuple[str, str], float] = field(default_factory=dict)


Reader = Callable[[Reading], None]


def cpu(reading: Reading) -> None:
    """CPU time by state, in percent of all cores, and of the busiest core."""
    times, cores = psutil.cpu_times(), psutil.cpu_times(percpu=True)
    for state in ("user", "nice", "system", "iowait", "irq", "softirq", "steal"):
        if hasattr(times, state):
            reading.counters[f"cpu_{state}_percent", ""] = getattr(times, state) * 100 / len(cores)
    reading.counters["cpu_percent", ""] = _busy(times) * 100 / len(cores)
    for number, core in enumerate(cores):
        reading.counters["cpu_busiest_core_percent", str(number)] = _busy(core) * 100


def _busy(times: object) -> float:
    # guest time is counted as user time already; waiting for a disk is not work
    states = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, state, 0.0) for state in states))


def load(reading: Reading) -> None:
    """Load averages."""
    names = ("load_1min", "load_5min", "load_15min")
    reading.gauges.update(zip(names, os.getloadavg(), strict=True))


def switches(reading: Reading) -> None:
    """Context switches and interrupts."""
    stats = psutil.cpu_stats()
    reading.counters["context_switches_per_s", ""] = stats.ctx_switches
    reading.counters["interrupts_per_s", ""] = stats.interrupts
    reading.counters["soft_interrupts_per_s", ""] = stats.soft_interrupts


def entity_state(reading: Reading) -> None:
    """Memory and swap."""
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    reading.gauges["memory_used_percent"] = ram.percent
    for kind in ("used", "available", "free", "cached", "buffers", "shared", "slab", "active", "inactive"):
        if hasattr(ram, kind):
            reading.gauges[f"memory_{kind}_bytes"] = getattr(ram, kind)
    reading.gauges["swap_used_bytes"] = swap.used
    reading.counters["swap_in_bytes_per_s", ""] = swap.sin
    reading.counters["swap_out_bytes_per_s", ""] = swap.sout


def disks(reading: Reading) -> None:
    """Disk traffic, and the share of time the busiest disk works."""
    for disk, io in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if disk.startswith(("loop", "ram", "zram")) or _is_partition(disk):
            continue
        reading.counters["disk_read_bytes_per_s", disk] = io.read_bytes
        reading.counters["disk_write_bytes_per_s", disk] = io.write_bytes
        reading.counters["disk_reads_per_s", disk] = io.read_count
        reading.counters["disk_writes_per_s", disk] = io.write_count
        if hasattr(io, "busy_time"):
            reading.counters["disk_busiest_percent", disk] = io.busy_time / 10  # milliseconds


def _is_partition(disk: str) -> bool:
    return Path("/sys/class/block", disk, "partition").exists()


def filesystem(reading: Reading) -> None:
    """How full the root file system is."""
    status = os.statvfs("/")
    reading.gauges["filesystem_used_percent"] = psutil.disk_usage("/").percent
    if status.f_files:
        reading.gauges["filesystem_inodes_used_percent"] = 100 * (1 - status.f_ffree / status.f_files)


def network(reading: Reading) -> None:
    """Network traffic over all cards but the loopback."""
    for card, io in psutil.net_io_counters(pernic=True).items():
        if card in ("lo", "lo0"):
            continue
        reading.counters["network_received_bytes_per_s", card] = io.bytes_recv
        reading.counters["network_sent_bytes_per_s", card] = io.bytes_sent
        reading.counters["network_received_packets_per_s", card] = io.packets_recv
        reading.counters["network_sent_packets_per_s", card] = io.packets_sent
        reading.counters["network_errors_per_s", card] = io.errin + io.errout
        reading.counters["network_drops_per_s", card] = io.dropin + io.dropout


def processes(reading: Reading) -> None:
    """How many processes there are."""
    reading.gauges["processes"] = len(psutil.pids())


def kernel(reading: Reading, proc: Path = PROC) -> None:
    """What only Linux tells: processes by state and started, threads, page faults."""
    stat = dict(line.split(maxsplit=1) for line in _lines(proc / "stat"))
    reading.gauges["processes_running"] = float(stat["procs_running"])
    reading.gauges["processes_blocked"] = float(stat["procs_blocked"])
    reading.counters["processes_started_per_s", ""] = float(stat["processes"])
    running_of_all = _lines(proc / "loadavg")[0].split()[3]  # "2/1234"
    reading.gauges["threads"] = float(running_of_all.split("/")[1])
    vmstat = dict(line.split() for line in _lines(proc / "vmstat"))
    reading.counters["page_faults_per_s", ""] = float(vmstat["pgfault"])
    reading.counters["major_page_faults_per_s", ""] = float(vmstat["pgmajfault"])


def descriptors(reading: Reading, proc: Path = PROC) -> None:
    """Open file descriptors of the whole host."""
    reading.gauges["file_descriptors"] = float(_lines(proc / "sys/fs/file-nr")[0].split()[0])


def sockets(reading: Reading, proc: Path = PROC) -> None:
    """Sockets in use, and TCP connections."""
    found = {}
    for line in _lines(proc / "net/sockstat"):
        protocol, _, rest = line.partition(":")
        words = rest.split()
        found[protocol] = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    reading.gauges["sockets"] = found["sockets"]["used"]
    reading.gauges["tcp_connections"] = found["TCP"]["inuse"]
    reading.gauges["tcp_time_wait"] = found["TCP"]["tw"]


def pressure(reading: Reading, proc: Path = PROC) -> None:
    """Pressure stall information: the share of time some, or all, tasks wait for CPU, memory or disks."""
    for resource in ("cpu", "memory", "io"):
        for line in _lines(proc / "pressure" / resource):
            who, *pairs = line.split()  # some avg10=0.00 avg60=0.00 avg300=0.00 total=12345 (microseconds)
            if (resource, who) != ("cpu", "full"):  # of a whole host always 0
                total = dict(pair.split("=") for pair in pairs)["total"]
                reading.counters[f"pressure_{resource}_{who}_percent", ""] = float(total) / 1e4


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="ascii").splitlines()


READERS: tuple[Reader, ...] = (
    cpu,
    load,
    switches,
    entity_state,
    disks,
    filesystem,
    network,
    processes,
    kernel,
    descriptors,
    sockets,
    pressure,
)
