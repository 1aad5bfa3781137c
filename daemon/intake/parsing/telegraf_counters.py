"""Which of Telegraf's fields only ever count up: it does not say so in its messages.

From the documentation of Telegraf's own inputs. What is not named here, add with `inputs.counters`.
"""

from __future__ import annotations

# Patterns on `measurement.field`.
TELEGRAF_COUNTERS = (
    "cpu.time_*",
    "diskio.read*",
    "diskio.write*",
    "diskio.merged_*",
    "diskio.io_time",
    "diskio.weighted_io_time",
    "docker_container_blkio.io_serviced_recursive_*",
    "docker_container_blkio.io_service_bytes_recursive_*",
    "docker_container_cpu.throttling_*",
    "docker_container_cpu.usage_*",
    "!docker_container_cpu.usage_percent",
    "docker_container_net.*",
    "interrupts.*",
    "soft_interrupts.*",
    "kernel.context_switches",
    "kernel.interrupts",
    "kernel.processes_forked",
    "kernel.disk_pages_*",
    "kernel_vmstat.*",
    "!kernel_vmstat.nr_*",
    "net.bytes_*",
    "net.packets_*",
    "net.err_*",
    "net.drop_*",
    # The series `interface=all`: the counters of the protocols. (`netstat.tcp_*` are numbers of sockets in a
    # state, which go up and down.)
    "net.icmp*",
    "net.ip_*",
    "net.tcp_*",
    "net.udp*",
    "!net.ip_default*",
    "!net.ip_forwarding",
    "!net.tcp_currestab",
    "!net.tcp_maxconn",
    "!net.tcp_rto*",
    "procstat.*_faults",
    "procstat.*_context_switches",
    "procstat.cpu_time_*",
    "procstat.read_*",
    "procstat.write_*",
    "swap.in",
    "swap.out",
    "system.uptime",  # its rate is 1, and a restart shows as a reset; as it is it would only ever drift
)

# The same, as they are called in Prometheus remote write.
TELEGRAF_COUNTERS_JOINED = tuple(pattern.replace(".", "_", 1) for pattern in TELEGRAF_COUNTERS)
