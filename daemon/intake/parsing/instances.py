"""Which label of a Prometheus series names the entity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from anomalyd.daemon.config.config import InputConfig

# A URL; a host with a port, which has a letter in it; an IP address, which needs no port.
_ADDRESS = re.compile(
    r"""[a-z][a-z0-9+.-]*://.+
      | [\w.-]*[^\W\d_][\w.-]*:\d{1,5}
      | \d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?
      | \[[0-9a-f:.]+\](?::\d{1,5})?""",
    re.VERBOSE | re.IGNORECASE,
)

PROMETHEUS_ENTITY = ("instance", "host")


def entity_labels(config: InputConfig, labels: Mapping[str, str]) -> Sequence[str]:
    """Give the labels to ask for the entity, the first that is there names it; empty: as the input says.

    Where there are both, `instance` may be what Windows calls so (`_Total`, `C:`, a process) on a `host`: it
    names the entity only where it is an address.
    """
    if config.entity_label is None and labels.get("host") and labels.get("instance"):
        return () if _ADDRESS.fullmatch(labels["instance"]) else ("host",)
    return ()
