"""The section `metrics.otlp`: where the scores of entities are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from anomalyd.daemon.config.section import STRICT


class OtlpConfig(BaseModel):
    """An OTLP/HTTP receiver of metrics, and which entities' scores it gets."""

    model_config = STRICT

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    entities: Annotated[list[str], Field(min_length=1)] = ["*"]
    headers: dict[str, SecretStr] = {}
    queue: Annotated[int, Field(ge=1)] = 100_000
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
