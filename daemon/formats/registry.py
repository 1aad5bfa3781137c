"""Format name -> decoder: the whitelist."""

from __future__ import annotations

from collections.abc import Mapping

from anomalyd.daemon.config import InputConfig
from anomalyd.daemon.formats.format import Format
from anomalyd.daemon.formats.json_samples import JsonSamples
from anomalyd.daemon.formats.npy import NpyMap
from anomalyd.errors import ConfigError

FORMATS: Mapping[str, type[Format]] = {"json": JsonSamples, "npy": NpyMap}


def format_of(config: InputConfig) -> Format:
    """Make the decoder of an input.

    Raises:
        ConfigError: there is no format of that name; the text lists those that are.

    """
    if config.format not in FORMATS:
        raise ConfigError(
            f"inputs: {config.topic}: unknown format {config.format!r}; known: {', '.join(FORMATS)}"
        )
    return FORMATS[config.format](config)
