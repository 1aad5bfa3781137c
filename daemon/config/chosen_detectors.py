"""The detectors that a command is about."""

from __future__ import annotations

from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.errors import ConfigError
from anomalyd.near_names import did_you_mean


def chosen_detectors(config: Config, name: str | None) -> list[DetectorConfig]:
    """Give one detector of the configuration by its name, or all.

    Raises:
        ConfigError: there is no detector of that name.

    """
    detectors = [d for d in config.detectors if name in (None, d.name)]
    if not detectors:
        known = [d.name for d in config.detectors]
        raise ConfigError(
            f"there is no detector {name!r} in the configuration; {did_you_mean(name or '', known)}"
            f"there are: {', '.join(known)}"
        )
    return detectors
