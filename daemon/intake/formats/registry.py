"""Format name -> decoder: the whitelist."""

from __future__ import annotations

from collections.abc import Mapping

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.collectd import Collectd
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.influx import Influx
from anomalyd.daemon.intake.formats.json_samples import JsonSamples
from anomalyd.daemon.intake.formats.npy import NpyMap
from anomalyd.daemon.intake.formats.otlp import Otlp
from anomalyd.daemon.intake.formats.prometheus import Prometheus
from anomalyd.daemon.intake.formats.prometheus_json import PrometheusJson
from anomalyd.daemon.intake.formats.telegraf_json import TelegrafJson
from anomalyd.errors import ConfigError
from anomalyd.near_names import did_you_mean

FORMATS: Mapping[str, type[Format]] = {
    "json": JsonSamples,
    "npy": NpyMap,
    "telegraf-json": TelegrafJson,
    "influx": Influx,
    "prometheus": Prometheus,
    "collectd": Collectd,
    "prometheus-json": PrometheusJson,
    "otlp": Otlp,
}

# The settings of an input that say how other producers' names become entities and metrics.
_MAPPING = ("entity_label", "metric_labels", "metrics", "ignore_metrics", "counters")


def format_class(config: InputConfig) -> type[Format]:
    """Give the format of an input.

    Raises:
        ConfigError: there is no format of that name; the text lists those that are.

    """
    if config.format not in FORMATS:
        raise ConfigError(
            f"inputs: {config.topic}: unknown format {config.format!r}; "
            f"{did_you_mean(config.format, FORMATS)}known: {', '.join(FORMATS)}"
        )
    return FORMATS[config.format]


def format_of(config: InputConfig) -> Format:
    """Make the decoder of an input.

    Raises:
        ConfigError: there is no format of that name, and the text lists those that are; or a setting that the
            format has no use for.

    """
    decoder = format_class(config)
    useless = [n for n in _MAPPING if getattr(config, n) != type(config).model_fields[n].default]
    if useless and not decoder.maps_names:
        with_names = ", ".join(name for name, kind in FORMATS.items() if kind.maps_names)
        raise ConfigError(
            f"inputs: {config.topic}: {useless[0]} is of no use to the format {config.format!r}, "
            f"whose messages name entity and metrics themselves; it is for {with_names}"
        )
    return decoder(config)
