"""A configuration of Alertmanager: what belongs together is one notification."""

from __future__ import annotations

from typing import Any

import yaml

WEBHOOK = "http://localhost:9999/alerts"

_HEAD = """\
# Made by `anomalyd deploy alertmanager`. Alerts of one component are one notification: 500 incidents at once
# are one message, not 500. Give the receiver what your control room reads: mail, Mattermost, a pager.
"""


def alertmanager_file(
    *, webhook: str = WEBHOOK, group_wait: str = "30s", group_interval: str = "1m", repeat: str = "4h"
) -> str:
    """Give the configuration (YAML); alerts go to the address `webhook`, durations are Prometheus' own."""
    config: dict[str, Any] = {
        "route": {
            "receiver": "control-room",
            "group_by": ["component"],
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": repeat,
            "routes": [
                # Tickets and pages of anomalies go together: the burst, and the incidents it consists of.
                {"receiver": "control-room", "matchers": ['component = "anomalies"']},
                {"receiver": "control-room", "matchers": ['severity = "ticket"'], "repeat_interval": "24h"},
            ],
        },
        "inhibit_rules": [
            # Where the daemon is down, that it has no data is no news.
            {
                "source_matchers": ['alertname = "AnomalydDown"'],
                "target_matchers": ['alertname =~ "Anomalyd.*"', 'alertname != "AnomalydDown"'],
            }
        ],
        "receivers": [{"name": "control-room", "webhook_configs": [{"url": webhook, "send_resolved": True}]}],
    }
    return _HEAD + yaml.safe_dump(config, sort_keys=False, width=110)
