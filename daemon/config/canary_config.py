"""The section `canary`: synthetic samples through the real topics."""

from __future__ import annotations

from pydantic import BaseModel

from anomalyd.daemon.config.section import STRICT, Seconds


class CanaryConfig(BaseModel):
    """Whether canaries are sent, and how often. It needs the right to write the topics of `inputs`."""

    model_config = STRICT

    enabled: bool = False
    every_s: Seconds = 60.0
